"""The judge of wired M-Bus: header, each record, and each reading, beside what libmbus made of the same frame."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from linli_core.codecs.mbus import Interpreter, Telegram, decode_frame, decode_telegram
from linli_core.codecs.mbus.quantities import UNMAPPED
from linli_core.errors import DeviceError, ProtocolError
from linli_core.model import Reading
from linli_sim.vectors.mbus_expectations import ExpectedReading, expected_quantity, expected_readings
from linli_sim.vectors.mbus_recordings import Recording, recording
from linli_sim.vectors.mbus_records import difference
from linli_sim.vectors.verdict import Outcome, Verdict

LISTED: Final = {
    "test-frames__abb_f95": (
        "the data are DDEBB4DD and EBB4DD: digits above 9 are none. libmbus adds the nibbles up as if they were; "
        'what it shows "as transmitted" is the same DDEBB4DD'
    ),
}

_DIFFERING: Final = {"test-frames__abb_f95": {2, 3}}
"""Listed recording → its records that differ; a difference anywhere else is wrong all the same."""

_REFUSALS: Final = {
    "error-frames__premature_end_of_var_vif1": "truncated",
    "error-frames__too_long_var_vif": "truncated",
    "unsupported-frames__manual_frame4": "unsupported",
}
"""Recording that must be refused → the kind of error; its source says only that it is."""


def judge(document: Mapping[str, Any], path: Path) -> Verdict:
    """Return what comes of one recording; see :class:`linli_sim.vectors.protocols.Judge`."""
    found = recording(document, path.stem)
    try:
        telegram = decode_telegram(decode_frame(found.frame))
    except DeviceError as exc:
        agrees = found.kind == "error_reply" and _same_words(found.error, str(exc))
        return Verdict(Outcome.REFUSED_AS_EXPECTED if agrees else Outcome.WRONG, str(exc))
    except ProtocolError as exc:
        agrees = _REFUSALS.get(found.name) == exc.kind
        return Verdict(Outcome.REFUSED_AS_EXPECTED if agrees else Outcome.WRONG, f"{exc.kind}: {exc}")
    if found.kind != "valid":
        return Verdict(Outcome.WRONG, "decoded, and should have been refused")
    return _compare(found, telegram)


def _same_words(expected: str, message: str) -> bool:
    return expected.replace("-", " ").replace("CI Field", "CI field").lower() in message.lower()


def _compare(found: Recording, telegram: Telegram) -> Verdict:
    problems = list(_header(found, telegram))
    differing: set[int] = set()
    if len(telegram.records) != len(found.records):
        problems.append(f"{len(telegram.records)} records, expected {len(found.records)}")
    else:
        for number, (record, expected) in enumerate(zip(telegram.records, found.records, strict=True)):
            if why := difference(record, expected):
                differing.add(number)
                problems.append(f"record {number + 1}: {why}")
        problems += _readings(found, telegram)
    if problems and len(problems) == len(differing) and differing == _DIFFERING.get(found.name):
        return Verdict(Outcome.LISTED, "; ".join(problems))
    if problems:
        return Verdict(Outcome.WRONG, "; ".join(problems))
    return Verdict(Outcome.AGREE)


def _header(found: Recording, telegram: Telegram) -> Iterator[str]:
    identity, slave = telegram.identity, found.slave
    if identity is None:
        yield "no identity"
        return
    # libmbus prints identification numbers without leading zeros.
    pairs: list[tuple[str, object, object]] = [
        ("number", identity.number.lstrip("0"), slave["Id"].lstrip("0")),
        ("access number", telegram.access_number, int(slave["AccessNumber"])),
        ("status", telegram.status, int(slave["Status"], 16)),
    ]
    if "Manufacturer" in slave:
        pairs += [
            ("manufacturer", identity.manufacturer, slave["Manufacturer"]),
            ("version", identity.version, int(slave["Version"])),
            ("signature", telegram.signature, int(slave["Signature"], 16)),
        ]
    for name, ours, theirs in pairs:
        if ours != theirs:
            yield f"{name}: {ours}, expected {theirs}"


def _readings(found: Recording, telegram: Telegram) -> Iterator[str]:
    for item, record in zip(Interpreter("meter").explain(telegram, 0), found.records, strict=True):
        # What a modifier makes of a value is another quantity than libmbus's word for it, and the fixed structure has
        # units for words.
        if record.quantity is not None and not item.record.header.modifiers:
            wanted = expected_quantity(record, found.slave["Medium"]) or UNMAPPED
            if item.reading.point.quantity != wanted:
                yield f"{item.reading.point.quantity}, expected {wanted}"
    ours = {
        reading.point.local_name: reading
        for reading in Interpreter("meter").readings(telegram, 0)
        if reading.point.quantity != UNMAPPED
    }
    for expected in expected_readings(found):
        reading = ours.pop(expected.name, None)
        if reading is None:
            yield f"no reading {expected.name}"
        elif not _same_value(reading, expected):
            yield f"{expected.name}: {reading.value}, expected {expected.value}"
    yield from (f"an unexpected reading {name}" for name in ours)


def _same_value(reading: Reading, expected: ExpectedReading) -> bool:
    if expected.exact or not isinstance(reading.value, Decimal) or not isinstance(expected.value, Decimal):
        return reading.value == expected.value
    return abs(reading.value - expected.value) <= abs(expected.value) / 1_000_000
