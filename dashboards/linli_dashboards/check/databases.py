"""Boards straight to a database: every query asked of a running one, and held to bring numbers."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, Final

from linli_dashboards.ask import Aggregate, Ask
from linli_dashboards.asking import Platform, PlatformAway, Refused
from linli_dashboards.build import Made
from linli_dashboards.check.checking import Report
from linli_dashboards.check.grafana import POINTS, NoSuchVariable, Shown, filled, presets
from linli_dashboards.check.schema import mistakes
from linli_dashboards.panel import Panel

_PATIENCE_S: Final = 60
_LABELS: Final = "label_values("

Target = Mapping[str, Any]
Numbers = list[Any]


def check_database(boards: Sequence[Made], database: str, url: str, now: int) -> Report:
    """Check boards that were made for a database against one that runs.

    Args:
        boards: As they are made for it.
        database: ``influxdb`` or ``victoriametrics``.
        url: Where it is.
        now: The present (s).
    """
    report = Report(stores=[f"{database} itself"])
    for board in boards:
        report.boards += 1
        report.failures += [f"{board.uid}{mistake}" for mistake in mistakes(board.dashboard)]
        _check_board(board, _ASKING[database](url), now, report)
    return report


def _check_board(board: Made, asker: "_Asking", now: int, report: Report) -> None:
    dashboard = board.dashboard
    shown, variables = Shown.until(now, board.board.shown), presets(dashboard)
    panels = {panel["id"]: panel for panel in dashboard["panels"]}
    for number, part in board.board.numbered:
        if not isinstance(part, Panel):
            continue
        made = panels[number]
        report.panels += 1
        for target, (letter, ask) in zip(made["targets"], part.questions(), strict=True):
            report.queries += 1
            where = f"{board.uid} {made['title']!r} {letter}"
            try:
                found = asker.numbers(target, shown, variables, made.get("maxDataPoints") or POINTS)
            except (Refused, NoSuchVariable) as exc:
                report.failures.append(f"{where}: {_said(exc)}")
                continue
            if not found:
                (report.empty if ask.may_be_empty else report.failures).append(f"{where}: no answer")
            elif wrong := _wrong(found, ask):
                report.failures.append(f"{where}: {wrong}")
    (choice,) = (each for each in dashboard["templating"]["list"] if each["name"] == "device")
    report.queries += 1
    if not asker.devices(choice["query"]):
        report.failures.append(f"{board.uid} variable device: there is nothing to choose")


def _said(exc: Refused | NoSuchVariable) -> str:
    return exc.found if isinstance(exc, Refused) else f"its board has no variable {exc}"


def _wrong(found: Numbers, ask: object) -> str:
    if not all(isinstance(value, int | float) and isfinite(value) for value in found):
        return "not all of its values are numbers"
    counted = isinstance(ask, Ask) and ask.aggregate in {Aggregate.CONSUMED, Aggregate.COUNT, Aggregate.UNUSABLE}
    return f"{min(found)}: nothing is consumed or counted backwards" if counted and min(found) < 0 else ""


class _Influx:
    def __init__(self, url: str) -> None:
        self._server = Platform(url, name="influxdb")

    def numbers(self, target: Target, shown: Shown, variables: Mapping[str, str | list[str]], points: int) -> Numbers:
        """Return all values of an answer."""
        answers = self._server.ask(filled(target["query"], shown, variables, points))
        return [value for one in answers for row in one.values for value in row[1:] if value is not None]

    def devices(self, query: str) -> list[str]:
        """Return the devices there are."""
        return [row[1] for one in self._server.ask(query) for row in one.values]


class _Victoria:
    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def numbers(self, target: Target, shown: Shown, variables: Mapping[str, str | list[str]], points: int) -> Numbers:
        """Return all values of an answer."""
        asked = {"query": filled(target["expr"], shown, variables, points)}
        if target["instant"]:
            found = self._ask("query", asked | {"time": str(shown.end // 1000)})
            pairs = [one["value"] for one in found["result"]]
        else:
            times = {"start": str(shown.start // 1000), "end": str(shown.end // 1000), "step": shown.interval(points)}
            found = self._ask("query_range", asked | times)
            pairs = [pair for one in found["result"] for pair in one["values"]]
        return [float(value) for _, value in pairs]

    def devices(self, query: str) -> list[str]:
        """Return the devices there are."""
        found: list[str] = self._ask(f"label/{query.removeprefix(_LABELS).rstrip(')')}/values", {})
        return found

    def _ask(self, path: str, parameters: dict[str, str]) -> Any:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:  # noqa: S310 - checked by who calls
                return json.load(answer)["data"]
        except urllib.error.HTTPError as exc:
            said = exc.read(2000).decode(errors="replace")
            raise Refused(f"{self._url}: {path}", f"refused: {said}", "make the boards anew") from exc
        except (OSError, ValueError) as exc:
            raise PlatformAway(f"{self._url}: {path}", f"no answer ({exc})", "is the server running?") from exc


_Asking = _Influx | _Victoria
_ASKING: Final[dict[str, Callable[[str], _Asking]]] = {"influxdb": _Influx, "victoriametrics": _Victoria}
