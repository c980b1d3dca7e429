"""The judge of DL/T 645: address, identifier, value, unit and place, beside what each recording's source says of it.

What an identifier is and in which unit it is sent is written down here by hand, for the identifiers that were recorded,
apart from the decoder's rules: so that one checks the other.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from linli_core.codecs.dlt645 import Frame, Interpreter, decode_answer, decode_frame, decode_records
from linli_core.codecs.dlt645.answer import Answer, decode_request
from linli_core.codecs.dlt645.dictionary import show
from linli_core.errors import DeviceError, ProtocolError
from linli_core.model import Quality, Reading
from linli_core.vocabulary import vocabulary
from linli_sim.vectors.verdict import Outcome, Verdict

LISTED: Final[Mapping[str, str]] = {}


class _Meaning(NamedTuple):
    points: tuple[str, ...]
    sent_in: str
    unit: str
    factor: int


_MEANINGS: Final = {
    "00000000": _Meaning(("energy_combined",), "kWh", "Wh", 1000),
    "00010000": _Meaning(("energy_import",), "kWh", "Wh", 1000),
    "00440000": _Meaning(("reactive_energy_q4.l3",), "kvarh", "varh", 1000),
    "02010100": _Meaning(("voltage.l1",), "V", "V", 1),
    "0201FF00": _Meaning(("voltage.l1", "voltage.l2", "voltage.l3"), "V", "V", 1),
    "02020100": _Meaning(("current.l1",), "A", "A", 1),
    "02040000": _Meaning(("reactive_power",), "kvar", "var", 1000),
    "02050000": _Meaning(("apparent_power",), "kVA", "VA", 1000),
    "02060000": _Meaning(("power_factor",), "", "/", 1),
    "9010": _Meaning(("energy_import",), "kWh", "Wh", 1000),
    "B630": _Meaning(("active_power",), "kW", "W", 1000),
}
"""Identifier → points, unit on the wire, unit of the vocabulary, one in the other."""


def judge(document: Mapping[str, Any], _path: Path) -> Verdict:
    """Return what comes of one recording; see :class:`linli_sim.vectors.protocols.Judge`."""
    kind, expected = document["kind"], document["expected"]
    try:
        frame = decode_frame(bytes.fromhex(document["input"]["data"]))
    except ProtocolError as exc:
        agrees = kind == "malformed" and exc.kind == "checksum"
        return Verdict(Outcome.REFUSED_AS_EXPECTED if agrees else Outcome.WRONG, f"{exc.kind}: {exc}")
    if kind == "malformed":
        return Verdict(Outcome.WRONG, "decoded, and should have been refused")
    problems = list(_frame(frame, expected))
    if kind == "error_reply":
        return _refused(frame, expected, problems)
    if kind == "request":
        problems += _request(frame, expected)
    else:
        problems += _answer(frame, expected)
    return Verdict(Outcome.WRONG, "; ".join(problems)) if problems else Verdict(Outcome.AGREE)


def _frame(frame: Frame, expected: Mapping[str, Any]) -> Iterator[str]:
    if frame.address != expected["address"]:
        yield f"address {frame.address}, expected {expected['address']}"
    if "control" in expected and f"{frame.control:02X}" != expected["control"]:
        yield f"control code {frame.control:02X}, expected {expected['control']}"


def _refused(frame: Frame, expected: Mapping[str, Any], problems: list[str]) -> Verdict:
    try:
        decode_answer(frame)
    except DeviceError as exc:
        words = expected["meaning"].partition(": ")[2].replace("requested ", "such ")
        if not problems and f"{exc.code:02X}" == expected["error"] and words in str(exc):
            return Verdict(Outcome.REFUSED_AS_EXPECTED, str(exc))
        problems.append(str(exc))
    return Verdict(Outcome.WRONG, "; ".join(problems) or "no error, expected one")


def _request(frame: Frame, expected: Mapping[str, Any]) -> Iterator[str]:
    asked = decode_request(frame)
    name = show(asked[0], asked[1]) if asked else None
    if name != expected["di"]:
        yield f"asks for {name}, expected {expected['di']}"


def _answer(frame: Frame, expected: Mapping[str, Any]) -> Iterator[str]:
    answer = decode_answer(frame)
    if "address_in_data" in expected:
        if answer.own_address != expected["address_in_data"]:
            yield f"tells the address {answer.own_address}, expected {expected['address_in_data']}"
        return
    assert answer.edition is not None, "an answer to a read is of one edition"
    assert answer.identifier is not None, "an answer to a read has an identifier"
    name = show(answer.edition, answer.identifier)
    if name != expected["di"]:
        yield f"identifier {name}, expected {expected['di']}"
        return
    yield from _values(answer, _MEANINGS[name], expected)


def _values(answer: Answer, meaning: _Meaning, expected: Mapping[str, Any]) -> Iterator[str]:
    if "raw_bcd" in expected:
        values = [Decimal(expected["raw_bcd"]).scaleb(-2)]
        if answer.data[::-1].hex() != expected["raw_bcd"]:
            yield f"raw {answer.data[::-1].hex()}, expected {expected['raw_bcd']}"
    else:
        values = [Decimal(value) for value in expected.get("values", [expected.get("value")])]
        if meaning.sent_in != expected["unit"]:
            yield f"sent in {meaning.sent_in}, expected {expected['unit']}"
    readings = _readings(answer)
    if [reading.point.local_name for reading in readings] != list(meaning.points):
        yield f"{[reading.point.local_name for reading in readings]}, expected {meaning.points}"
        return
    for reading, value in zip(readings, values, strict=True):
        if reading.value != value * meaning.factor or reading.quality is not Quality.GOOD:
            yield f"{reading.point.local_name}: {reading.value}, expected {value * meaning.factor}"
        if vocabulary()[reading.point.quantity].unit != meaning.unit:
            yield f"{reading.point.local_name} is not in {meaning.unit}"


def _readings(answer: Answer) -> list[Reading]:
    assert answer.edition is not None
    assert answer.identifier is not None
    records = decode_records(answer.edition, answer.identifier, answer.data)
    return Interpreter("meter").readings(answer.edition, records, 0)
