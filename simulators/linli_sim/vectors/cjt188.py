"""The judge of CJ/T 188: address, identifier, each value with its unit, clock, status, beside what the source says.

Which reading an expected word means is written down here by hand, apart from the decoder's layouts: so that one checks
the other.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from linli_core.codecs.cjt188 import Answer, Frame, Interpreter, decode_answer, decode_frame, decode_records
from linli_core.codecs.cjt188.control import decode_identifier
from linli_core.errors import ProtocolError
from linli_core.model import Quality, Reading
from linli_sim.vectors.verdict import Outcome, Verdict

LISTED: Final[Mapping[str, str]] = {}

_WORDS: Final = {
    "volume_total": "water_volume",
    "volume_settlement_day": "water_volume.s1",
    "volume": "heat_volume",
    "heat_settlement_day": "heat_energy.s1",
    "heat_current": "heat_energy",
    "energy_field1": "heat_energy.s1",
    "energy_field2": "heat_energy",
    "power": "heat_power",
    "temp_supply_c": "flow_temperature",
    "temp_return_c": "return_temperature",
    "working_hours": "operating_time",
    "time": "meter_time",
    "status": "state_word",
}
"""The source's word → our point."""

_FACTORS: Final = {"kWh": 1000, "kW": 1000, "m3": 1, "working_hours": 3600}
"""What one of the source's units is in ours."""


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
    if kind != "request":
        answer = decode_answer(frame)
        problems += _maker(answer) if kind == "vendor_odd" else _answer(answer, expected)
    return Verdict(Outcome.WRONG, "; ".join(problems)) if problems else Verdict(Outcome.AGREE)


def _frame(frame: Frame, expected: Mapping[str, Any]) -> Iterator[str]:
    identifier, order = decode_identifier(frame.data[:2])
    on_wire = bytes.fromhex(frame.address)[::-1].hex().upper()
    ours = {
        "meter_type": f"{frame.meter_type:02X}",
        "address": frame.address,
        "address_wire": on_wire,
        "control": f"{frame.control:02X}",
        "di": f"{identifier:04X}",
        # The order is the recording's own: told only where the identifier was sent high byte first.
        "di_wire": frame.data[:2].hex().upper(),
        "ser": frame.data[2] if len(frame.data) > 2 else None,
    }
    if order is None and not frame.is_makers:
        yield f"unknown identifier {identifier:04X}"
    for word, found in ours.items():
        if word in expected and found != expected[word]:
            yield f"{word} {found}, expected {expected[word]}"


def _maker(answer: Answer) -> Iterator[str]:
    """A maker's own control code: nobody published what it says, so all of it is kept raw."""
    (reading,) = _readings(answer)
    raw = f"C{answer.control:02X}-{answer.data.hex().upper()}"
    if reading.point.quantity != "cjt188_record" or reading.value != raw:
        yield f"{reading.point.local_name} {reading.value}, expected {raw}"


def _answer(answer: Answer, expected: Mapping[str, Any]) -> Iterator[str]:
    readings = {reading.point.local_name: reading for reading in _readings(answer)}
    if "cjt188_record" in readings:
        yield "kept raw, expected values"
    for word, point in _WORDS.items():
        if word not in expected:
            continue
        reading = readings.get(point)
        if reading is None:
            yield f"no reading {point}"
            continue
        wanted = _wanted(word, expected)
        if reading.value != wanted:
            yield f"{point}: {reading.value}, expected {wanted}"
        if (reading.quality is Quality.BAD) != (wanted is None):
            yield f"{point} is {reading.quality.name}"


def _wanted(word: str, expected: Mapping[str, Any]) -> Decimal | str | None:
    value = expected[word]
    unit = expected.get("unit", "") if word.startswith("volume") else word
    if isinstance(value, Mapping):
        value, unit = value["value"], value["unit"]
    if value is None or isinstance(value, str):
        return value
    return Decimal(value) * _FACTORS.get(unit, 1)


def _readings(answer: Answer) -> list[Reading]:
    return Interpreter("meter").readings(answer, decode_records(answer), 0)
