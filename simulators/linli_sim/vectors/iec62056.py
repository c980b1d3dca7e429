"""The judge of IEC 62056-21: messages, data sets and commands beside what their source says of them."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from linli_core.codecs.iec62056 import Command, DataMessage, DataSet, Frame, SignOn, decode_frame, parse_data
from linli_core.codecs.iec62056.dataset import split_value
from linli_core.errors import ChecksumError, ProtocolError
from linli_sim.vectors.verdict import Outcome, Verdict

LISTED: Final[Mapping[str, str]] = {}

_STARTS: Final = frozenset(b"/\x01\x02\x06")


def judge(document: Mapping[str, Any], _path: Path) -> Verdict:
    """Return what comes of one recording; see :class:`linli_sim.vectors.protocols.Judge`."""
    data, expected = bytes.fromhex(document["input"]["data"]), document["expected"]
    try:
        frame = decode_frame(data) if data[0] in _STARTS else None
        datasets = _datasets(frame, data)
    except ProtocolError as exc:
        agrees = expected.get("error") == "bcc" and isinstance(exc, ChecksumError)
        return Verdict(Outcome.REFUSED_AS_EXPECTED if agrees else Outcome.WRONG, str(exc))
    if document["kind"] != "valid":
        return Verdict(Outcome.WRONG, "decoded, and should have been refused")
    problems = list(_differences(frame, datasets, data, dict(expected)))
    return Verdict(Outcome.WRONG, "; ".join(problems)) if problems else Verdict(Outcome.AGREE)


def _datasets(frame: Frame | None, data: bytes) -> list[DataSet]:
    match frame:
        case None:
            return parse_data(data)
        case DataMessage() | Command():
            return parse_data(frame.data)
        case _:
            return []


def _differences(frame: Frame | None, datasets: list[DataSet], data: bytes, expected: dict[str, Any]) -> Iterator[str]:
    if expected.pop("bcc_ok", True) is not True:
        yield "an expectation this judge does not know"
    if "lines" in expected:
        lines = [parse_data(line) for line in data.split(b"\r\n") if line]
        if len(lines) != expected.pop("lines"):
            yield f"{len(lines)} lines"
        if [item.raw for line in lines for item in line] != [item.raw for item in datasets]:
            yield "the lines one by one give other data sets than all together"
    yield from _frame(frame, expected)
    if "address" in expected:
        expected["sets"] = [{key: expected.pop(key) for key in ("address", "value", "unit") if key in expected}]
    yield from _sets(datasets, expected.pop("sets", None))
    if expected:
        yield f"expectations nobody compared: {sorted(expected)}"


def _frame(frame: Frame | None, expected: dict[str, Any]) -> Iterator[str]:
    if "command" in expected:
        wanted = expected.pop("command") + expected.pop("type")
        if not isinstance(frame, Command) or frame.name != wanted:
            yield f"{frame}, expected command {wanted}"
    if "device_address" in expected and frame != SignOn(expected.pop("device_address")):
        yield f"{frame}"


def _sets(datasets: list[DataSet], expected: list[dict[str, Any]] | None) -> Iterator[str]:
    if expected is None:
        return
    if len(datasets) != len(expected):
        yield f"{len(datasets)} data sets, expected {len(expected)}"
        return
    for ours, theirs in zip(datasets, expected, strict=True):
        number, unit = split_value(ours.values[0])
        found = (ours.identifier, number, unit or None)
        wanted = (theirs["address"], Decimal(theirs["value"]), theirs.get("unit"))
        if found != wanted:
            yield f"{found}, expected {wanted}"
