"""Every query of every panel, asked of a running platform, and what came held against what the panel declares."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final

from linli_core.vocabulary import vocabulary
from linli_dashboards.annotations import MARKS
from linli_dashboards.ask import Aggregate, Ask, Question, Record
from linli_dashboards.asking import Answer, Platform, Refused
from linli_dashboards.build import Made, read
from linli_dashboards.check.grafana import POINTS, NoSuchVariable, Shown, filled, presets
from linli_dashboards.check.schema import mistakes
from linli_dashboards.influxql import named
from linli_dashboards.panel import Look, Panel
from linli_dashboards.units import GRAFANA, factor, unit_of

_EXTREMES: Final = frozenset({Aggregate.MEAN, Aggregate.MINIMUM, Aggregate.MAXIMUM, Aggregate.LAST})


@dataclass(slots=True)
class Report:
    """What was checked and what is wrong.

    Attributes:
        boards, panels, queries: How many there are; a query counts once for each language, whomever it was asked.
        stores: Whom they were asked.
        failures: What is wrong: a sentence each.
        empty: What came empty, and may.
    """

    boards: int = 0
    panels: int = 0
    queries: int = 0
    stores: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "boards": self.boards,
            "panels": self.panels,
            "queries": self.queries,
            "stores": self.stores,
            "failed": len(self.failures),
        }


def check(boards: Sequence[Made], folder: Path | None, platforms: Sequence[Platform], now: int) -> Report:
    """Check boards.

    Args:
        boards: As they are made.
        folder: Where their files are; ``None`` to check what is made.
        platforms: Whom every query is asked; none to check the files only.
        now: The present (s).
    """
    report = Report(stores=[platform.name for platform in platforms])
    for board, text in read(boards, folder) if folder else ((board, board.text) for board in boards):
        _check_board(board, text, platforms, now, report)
    return report


def _check_board(board: Made, text: str, platforms: Sequence[Platform], now: int, report: Report) -> None:
    report.boards += 1
    if text != board.text:
        report.failures.append(f"{board.uid}: its file is not what is made now; run linli-boards build")
        return
    dashboard = board.dashboard
    report.failures += [f"{board.uid}{mistake}" for mistake in mistakes(dashboard)]
    shown = Shown.until(now, board.board.shown)
    panels = {panel["id"]: panel for panel in dashboard["panels"]}
    for number, part in board.board.numbered:
        if isinstance(part, Panel):
            report.panels += 1
            report.queries += len(part.questions())
            where = f"{board.uid} {panels[number]['title']!r}"
            report.failures += _declared(where, part, panels[number])
    choosing = [variable for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    report.queries += len(choosing) + len(MARKS)
    for platform in platforms:
        for found in _asked(board, dashboard, platform, shown):
            (report.empty if found.may_be else report.failures).append(found.text)


@dataclass(frozen=True, slots=True)
class _Finding:
    text: str
    may_be: bool = False


def _declared(where: str, panel: Panel, made: dict[str, Any]) -> Iterator[str]:
    """Yield where a panel's JSON says something else than the panel."""
    letters = [target["refId"] for target in made["targets"]]
    if letters != [letter for letter, _ in panel.questions()]:
        yield f"{where}: it asks {letters}"
    if panel.look is not Look.TABLE:
        if made["fieldConfig"]["defaults"].get("unit") != GRAFANA[panel.unit]:
            yield f"{where}: its unit is not that of {panel.unit}"
        units = {ask.unit for ask in panel.asks}
        if len(units) > 1:
            yield f"{where}: it shows {', '.join(sorted(units))} on one scale"


def _asked(board: Made, dashboard: dict[str, Any], platform: Platform, shown: Shown) -> Iterator[_Finding]:
    asker = _Asker(platform, shown, presets(dashboard))
    panels = {panel["id"]: panel for panel in dashboard["panels"]}
    for number, part in board.board.numbered:
        if isinstance(part, Panel):
            made = panels[number]
            for target, (letter, question) in zip(made["targets"], part.questions(), strict=False):
                where = f"{platform.name}: {board.uid} {made['title']!r} {letter}"
                asked = asker.ask(target["query"], made.get("maxDataPoints") or POINTS)
                yield from _of_panel(asked, where, question, board, platform)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield from _listed(asker, f"{platform.name}: {board.uid} variable {variable['name']}", variable["query"])
    for mark, made in zip(MARKS, dashboard["annotations"]["list"], strict=True):
        where, query = f"{platform.name}: {board.uid} marks {mark.name}", made["target"]["query"]
        yield from _listed(asker, where, query, may_be_empty=bool(mark.may_be_empty))


_Asked = tuple[list[Answer], str]


@dataclass(frozen=True, slots=True)
class _Asker:
    platform: Platform
    shown: Shown
    variables: Mapping[str, str | list[str]]

    def ask(self, query: str, points: int = POINTS) -> _Asked:
        """Return an answer, and what is wrong with the query."""
        try:
            return self.platform.ask(filled(query, self.shown, self.variables, points)), ""
        except Refused as exc:
            return [], exc.found
        except NoSuchVariable as exc:
            return [], f"its board has no variable {exc}"


def _of_panel(asked: _Asked, where: str, question: Question, board: Made, platform: Platform) -> Iterator[_Finding]:
    answers, wrong = asked
    if wrong:
        yield _Finding(f"{where}: {wrong}")
    elif not _values(answers, question, board):
        yield _Finding(f"{where}: no answer", may_be=bool(question.may_be_empty))
    else:
        for mistake in _judge(answers, question, board, platform):
            yield _Finding(f"{where}: {mistake}")


def _listed(asker: _Asker, where: str, query: str, *, may_be_empty: bool = False) -> Iterator[_Finding]:
    answers, wrong = asker.ask(query)
    if wrong:
        yield _Finding(f"{where}: {wrong}")
    elif not answers:
        yield _Finding(f"{where}: no answer", may_be=may_be_empty)


def _names(question: Question, board: Made) -> list[str]:
    """Return the columns in which values are."""
    if isinstance(question, Ask):
        return [question.name]
    return [column.key.replace("{lang}", board.lang) for column in question.columns]


def _values(answers: Iterable[Answer], question: Question, board: Made) -> list[Any]:
    """Return the values that came."""
    wanted = _names(question, board)
    return [
        value
        for answer in answers
        for row in answer.values
        for name, value in zip(answer.columns, row, strict=True)
        if name in wanted and value is not None
    ]


def _judge(answers: Sequence[Answer], question: Question, board: Made, platform: Platform) -> Iterator[str]:
    """Yield what is wrong with an answer: its columns, its tags, its values, its unit."""
    expected = ["time", *_names(question, board)]
    for answer in answers:
        if answer.columns != expected:
            yield f"its columns are {answer.columns}, not {expected}"
            return
        if question.by and set(answer.tags) != set(named(question.by, board.lang)):
            yield f"its tags are {sorted(answer.tags)}, not {sorted(named(question.by, board.lang))}"
            return
    if isinstance(question, Record):
        yield from _record(answers, question, board)
    else:
        yield from _quantity(answers, question, board, platform)


def _quantity(answers: Sequence[Answer], ask: Ask, board: Made, platform: Platform) -> Iterator[str]:
    values = _values(answers, ask, board)
    if not all(isinstance(value, int | float) and isfinite(value) for value in values):
        yield f"not all of its values are numbers: {next(it for it in values if not isinstance(it, int | float))!r}"
        return
    units = platform.ask(f'SHOW TAG VALUES FROM "{ask.quantity}" WITH KEY = "unit"')
    kept = {value for answer in units for _, value in answer.values}
    if kept != ({unit_of(ask.quantity)} - {""}):
        yield f"the store holds {ask.quantity} in {sorted(kept)}, the vocabulary in {unit_of(ask.quantity)!r}"
    quantity = vocabulary()[ask.quantity]
    scale = float(factor(ask.quantity, ask.shown or unit_of(ask.quantity)))
    if ask.aggregate in _EXTREMES and not ask.across:
        low = -float("inf") if quantity.minimum is None else quantity.minimum * scale
        high = float("inf") if quantity.maximum is None else quantity.maximum * scale
        beyond = [value for value in values if not low <= value <= high]
        if beyond:
            yield f"{beyond[0]} {ask.unit} is beyond what {ask.quantity} can be ({low:g} to {high:g})"
    elif any(value < 0 for value in values):
        yield f"{min(values)} {ask.unit}: nothing is consumed or counted backwards"


def _record(answers: Sequence[Answer], record: Record, board: Made) -> Iterator[str]:
    for column in record.columns:
        name = column.key.replace("{lang}", board.lang)
        values = [
            row[answer.columns.index(name)]
            for answer in answers
            for row in answer.values
            if row[answer.columns.index(name)] is not None
        ]
        if column.unit and not all(isinstance(value, int | float) for value in values):
            yield f"{name} holds no numbers, and is shown in {column.unit}"
        elif column.unit == "share" and not all(0 <= value <= 1 for value in values):
            yield f"{name} is a share, and reaches from {min(values)} to {max(values)}"
        elif column.unit in {"s", "count", "d", "B"} and any(value < 0 for value in values):
            yield f"{name} is {min(values)} {column.unit}"
