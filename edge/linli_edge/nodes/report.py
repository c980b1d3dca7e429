"""What a node at the cable holds and says, for people: its health, its log, its checks, its own words."""

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from linli_core.catalogue import Language, text
from linli_core.vocabulary import vocabulary
from linli_edge.commissioning.sheet import UNIT_NAMES
from linli_edge.nodes.phrases import explained
from linli_edge.nodes.serial_board import SerialBoard
from linli_edge.nodes.trouble import BoardTrouble
from linli_edge.nodes.updating import RUNNING

Fact = dict[str, Any]
"""One line of a node's, as it came: ``what`` says what it is about."""

_REPORT_S: Final = 60.0
_SELFTEST_S: Final = 180.0
"""Eight networks are tried for a quarter of a minute each, and a board may have sixteen sensors."""
_UNITS: Final = {"count": ""}
_NOT_COUNTED: Final = """
_s = Slots("").state()
if _s["trial"] is not None and _s["tries"]:
    _s["tries"] -= 1
    Slots("").keep(_s)
"""


def report(board: SerialBoard, most: int) -> list[Fact]:
    """Return what a node holds, with so many of its undelivered records at most."""
    return _facts(board, f"from linli_app.report import report\nreport({most})", _REPORT_S)


def selftest(board: SerialBoard) -> list[Fact]:
    """Return how a node's checks of sensors, network and broker ended."""
    return _facts(board, "from linli_app.selftest import selftest\nselftest()", _SELFTEST_S)


def _facts(board: SerialBoard, code: str, limit_s: float) -> list[Fact]:
    if not all(board.digests(["/main.py", "/lib/linli_loader.mpy"]).values()):
        raise BoardTrouble("not_flashed", board.port)
    found = []
    for line in board.run(RUNNING + code, limit_s=limit_s).splitlines():
        try:
            fact = json.loads(line)
        except ValueError:
            # A library of the firmware that says something of its own.
            continue
        if isinstance(fact, dict) and "what" in fact:
            found.append(fact)
    return found


def let_go(board: SerialBoard) -> None:
    """Start again what was interrupted; a program on trial has not failed because somebody looked at it."""
    # A board that is gone by now starts by itself.
    with contextlib.suppress(BoardTrouble):
        board.run(f"{RUNNING}{_NOT_COUNTED}")
    board.restart()


def told(facts: list[Fact], lang: Language) -> Iterator[str]:
    """Yield what a node holds, for people."""
    for fact in facts:
        what = fact.pop("what")
        yield from _TELLERS.get(what, _nothing)(fact, lang)


def _nothing(_fact: Fact, _lang: Language) -> Iterator[str]:
    return iter(())


def _board(fact: Fact, lang: Language) -> Iterator[str]:
    yield text("node.report.board", lang, **fact)
    if fact["trial"] is not None:
        yield text("node.report.trial", lang, number=fact["number"])


def _configuration(fact: Fact, lang: Language) -> Iterator[str]:
    if fact.get("missing"):
        yield text("node.report.missing", lang)
    elif "mistakes" in fact:
        yield text("node.report.mistakes", lang)
        for line in fact["mistakes"]:
            yield f"  {line}"
            if meaning := explained(line, lang):
                yield f"  → {meaning}"
    else:
        power = text(f"node.report.{fact['power']}", lang)
        lists = {key: ", ".join(fact[key]) or "–" for key in ("wifi", "sensors")}
        yield text("node.report.node", lang, **{**fact, **lists, "power": power})


def _health(fact: Fact, lang: Language) -> Iterator[str]:
    battery = "–" if fact["battery_mv"] is None else f"{fact['battery_mv'] / 1000:.2f} V"
    yield text("node.report.health", lang, starts=fact["starts"], heap=fact["heap_free"] // 1024, battery=battery)
    if fact["call"]:
        yield text("node.report.call", lang)


def _error(fact: Fact, lang: Language) -> Iterator[str]:
    yield text("node.report.error", lang)
    lines = fact["text"].strip().splitlines()
    yield from (f"  {line}" for line in lines)
    if meaning := explained(lines[-1] if lines else "", lang):
        yield f"  → {meaning}"


def _log(fact: Fact, lang: Language) -> Iterator[str]:
    yield text("node.report.log", lang, total=fact["next_seq"] - 1, **fact)


def _record(fact: Fact, lang: Language) -> Iterator[str]:
    if fact["at"] is None:
        when = text("node.report.no_time", lang)
    else:
        when = datetime.fromtimestamp(fact["at"] / 1000).astimezone().isoformat(" ", "seconds")
        when = f"{when}{' ?' if fact['doubtful'] else ''}"
    for name, unit, value, quality in fact["records"]:
        yield f"  {fact['seq']:>6}  {when}  {title(name, lang)}: {shown(value, unit, quality, lang)}"


def title(name: str, lang: Language) -> str:
    """Return what people call a point of a node's; its own name where nobody has another."""
    quantity, _, channel = name.partition(".")
    word = vocabulary().get(quantity)
    return f"{word.titles[lang]} {channel}".strip() if word is not None else name


def shown(value: Any, unit: str, quality: str, lang: Language) -> str:
    """Return a value of a node's as people write it, or why there is none."""
    if value is None:
        reason = quality.partition("/")[2]
        return f"✗ {text(f'reason.{reason}', lang) if reason else quality}"
    if isinstance(value, bool):
        return text(f"node.report.{'yes' if value else 'no'}", lang)
    if isinstance(value, (list, tuple)):
        whole, places = value
        value = f"{whole / 10**places:.{max(0, places)}f}"
    return f"{value} {_UNITS.get(unit, UNIT_NAMES.get(unit, unit))}".strip()


_TELLERS: Final = {
    "board": _board,
    "configuration": _configuration,
    "health": _health,
    "error": _error,
    "log": _log,
    "record": _record,
}
