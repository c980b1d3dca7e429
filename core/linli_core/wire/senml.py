"""SenML packs (RFC 8428), JSON and CBOR by the first byte: what gateways send as ``telemetry``.

Our packs name the gateway in the first record's ``bn`` and carry four labels of our own, which others ignore:
``epoch`` and ``seq`` (first record: the message's place in the gateway's log), ``q`` (quality; absent: good) and
``dt`` (the device's own time, seconds since 1970). A missing value is a record without a value and with ``q``.

The vocabulary keeps some quantities in secondary units (Wh, ppm), so our packs are of version 26 (RFC 9100 §4).
Sums and update times are checked and let go: the store keeps values.

Unknown labels are ignored; one that ends in ``_`` must be understood and refuses its record (RFC 8428 §4.4). What is
wrong with one record costs that record only.

A pack that has a place in a log needs absolute times: one relative to now (RFC 8428 §4.5.3) would mean another
instant each time the log offers it, and so another reading.
"""

import binascii
import json
import math
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from typing import Any, Final

import cbor2
import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import SECOND, Instant, from_seconds
from linli_core.model import Quality, Reading, Reason, parse_point, quality_from_label, quality_label
from linli_core.units import UnitError
from linli_core.vocabulary import vocabulary

MAX_BYTES: Final = 1 << 20
"""Longest payload: as much as our brokers carry."""
MAX_RECORDS: Final = 10_000
MAX_TEXT: Final = 4_096
"""Longest text of one record, in characters."""
VERSIONS: Final = frozenset({10, 26})
"""The SenML versions understood: 10 (RFC 8428 §4.1), and 26, which is 10 with secondary units (RFC 9100 §4)."""
_OURS: Final = 26
RELATIVE_BELOW: Final = 2.0**28
"""A time below this is relative to now (RFC 8428 §4.5.3)."""

FARTHEST: Final = 4.0e12
"""Seconds from 1970 that still fit a column of 64-bit microseconds."""
MAX_SEQ: Final = 10**18 - 1
"""Highest message number: it fits 64 bits with room to count on."""

# RFC 8428 §6, table 4; our own labels stay text.
_CBOR_LABELS: Final = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
_CBOR_NUMBERS: Final = {label: number for number, label in _CBOR_LABELS.items()}
_NUMBERS: Final = frozenset({"bt", "bv", "bs", "v", "s", "t", "ut", "dt"})
_TEXTS: Final = frozenset({"bn", "bu", "n", "u", "vs", "q", "epoch"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")
_VALUES: Final = ("v", "vs", "vb", "vd")
_BASES: Final = ("bn", "bt", "bu", "bv")

Number = int | float | Decimal
Record = Mapping[str, object]
"""One record as it was sent: labels and values, not yet checked."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as it was sent.

    Attributes:
        epoch, seq: Its place in the gateway's log; ``None`` where it names none.
        records: Not yet checked: see :func:`resolve`.
    """

    epoch: str | None
    seq: int | None
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class ResolvedRecord:
    """A record in resolved form (RFC 8428 §4.6), its unit turned into the vocabulary's.

    Attributes:
        name: Base name and name: ``gateway/device/point``.
        value: Number, text, truth, or ``None`` where missing.
        time: Microseconds since 1970.
        device_time: The device's own stamp, where it was sent.
    """

    name: str
    value: Number | str | bool | None
    unit: str
    time: Instant
    quality: Quality = Quality.GOOD
    reason: Reason | None = None
    device_time: Instant | None = None


# --- sending ---------------------------------------------------------------------------------------------------------

_json: Final = msgspec.json.Encoder(decimal_format="number")
_units: dict[str, str] = {}


def _unit(quantity: str) -> str:
    """Return a quantity's unit; empty for one the vocabulary lacks (the platform will refuse it by name)."""
    unit = _units.get(quantity)
    if unit is None:
        known = vocabulary().get(quantity)
        unit = _units[quantity] = known.unit if known else ""
    return unit


def _records(gateway: str, readings: Sequence[Reading]) -> list[dict[str, object]]:
    if not readings:
        raise ValueError("a pack holds at least one reading")
    # A whole number of seconds as base keeps every relative time short and exact.
    base = min(reading.observed_at for reading in readings) // SECOND
    records = [_record(reading, base * SECOND) for reading in readings]
    records[0] = {"bver": _OURS, "bn": f"{gateway}/", "bt": base, **records[0]}
    return records


def _record(reading: Reading, base: Instant) -> dict[str, object]:
    point = reading.point
    record: dict[str, object] = {"n": point.name}
    if unit := _unit(point.quantity):
        record["u"] = unit
    quality, reason, value = reading.quality, reading.reason, reading.value
    if value is None:
        quality = Quality.BAD
    elif isinstance(value, bool):
        record["vb"] = value
    elif isinstance(value, str):
        record["vs"] = value
    elif _is_finite(value):
        record["v"] = value
    else:  # SenML has no way to say it
        quality, reason = Quality.BAD, reason or Reason.NOT_A_NUMBER
    if offset := reading.observed_at - base:
        record["t"] = offset / SECOND
    if quality:
        record["q"] = quality_label(quality, reason)
    if reading.device_time is not None:
        record["dt"] = reading.device_time / SECOND
    return record


def _is_finite(value: Number) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, Decimal) or value.is_finite()


def encode(gateway: str, readings: Sequence[Reading]) -> bytes:
    """Return readings (at least one) as a JSON pack without ``epoch`` and ``seq``: the log stamps it when sent."""
    return _json.encode(_records(gateway, readings))


def encode_cbor(gateway: str, readings: Sequence[Reading]) -> bytes:
    """Return readings (at least one) as a CBOR pack without ``epoch`` and ``seq``."""
    return _dump_cbor(_records(gateway, readings))


def _dump_cbor(records: Iterable[Mapping[str, object]]) -> bytes:
    return cbor2.dumps(
        [{_CBOR_NUMBERS.get(label, label): value for label, value in record.items()} for record in records]
    )


def stamp(body: bytes, epoch: str, seq: int) -> bytes:
    """Return a pack of ours with its place in the log."""
    if body[:2] == b"[{":
        return b'[{"epoch":"%b","seq":%d,%b' % (epoch.encode(), seq, body[2:])
    first, *others = _load_cbor(body)
    return _dump_cbor([{"epoch": epoch, "seq": seq, **first}, *others])


# --- receiving -------------------------------------------------------------------------------------------------------


def decode(payload: bytes) -> Pack:
    """Return a pack as it was sent.

    Raises:
        Refused: It is no pack at all: malformed, too large, too deep, of another version.
    """
    if len(payload) > MAX_BYTES:
        raise Refused(RefusalReason.TOO_LARGE, f"{len(payload)} bytes; a pack has {MAX_BYTES} at most")
    if not payload:
        raise Refused(RefusalReason.MALFORMED, "an empty payload")
    # Before anything is built: a mebibyte of "{}," would become 350,000 objects. Twice, for braces within texts.
    if payload.count(b"{") > 2 * MAX_RECORDS and payload.lstrip()[:1] == b"[":
        raise Refused(RefusalReason.TOO_MANY_RECORDS, f"far more records than the {MAX_RECORDS} a pack has at most")
    records = _load_json(payload) if payload.lstrip()[:1] in (b"[", b"{") else _load_cbor(payload)
    if not records:
        raise Refused(RefusalReason.MALFORMED, "a pack without a record")
    if len(records) > MAX_RECORDS:
        raise Refused(RefusalReason.TOO_MANY_RECORDS, f"{len(records)} records; a pack has {MAX_RECORDS} at most")
    for index, record in enumerate(records):
        version = record.get("bver", 10)
        if isinstance(version, bool) or not isinstance(version, int) or version not in VERSIONS:
            raise Refused(
                RefusalReason.VERSION,
                f"SenML version {_shown(version)}; known: {', '.join(map(str, sorted(VERSIONS)))}",
                where=f"record[{index}].bver",
            )
    epoch, seq = _place(records[0])
    return Pack(epoch, seq, tuple(records))


def _place(first: Record) -> tuple[str | None, int | None]:
    epoch, seq = first.get("epoch"), first.get("seq")
    if not isinstance(epoch, str) or not epoch or isinstance(seq, bool) or not isinstance(seq, int):
        return None, None
    return (epoch, seq) if 1 <= seq <= MAX_SEQ else (None, None)


# Decimal: a register's digits as they were sent.
_json_records: Final = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)


def _load_json(payload: bytes) -> list[dict[str, object]]:
    try:
        return _json_records.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError) as exc:
        found = _load_lenient(payload)
        if found is None:
            raise Refused(RefusalReason.MALFORMED, f"no JSON array of objects: {exc}") from exc
        return found


def _load_lenient(payload: bytes) -> list[dict[str, Any]] | None:
    """Return what some writers call JSON (``NaN``, ``Infinity``), so that one such value costs its record only."""
    try:
        found = json.loads(payload, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return None
    sound = isinstance(found, list) and all(isinstance(record, dict) for record in found)
    return found if sound else None


def _load_cbor(payload: bytes) -> list[dict[str, object]]:
    stream = BytesIO(payload)
    try:
        found = cbor2.CBORDecoder(stream, tag_hook=_refuse_tag, semantic_decoders=_FORBIDDEN).decode()
    except (cbor2.CBORDecodeError, ValueError, TypeError, RecursionError, OverflowError, MemoryError) as exc:
        raise Refused(RefusalReason.MALFORMED, f"neither JSON nor CBOR: {exc}") from exc
    if stream.tell() != len(payload) and stream.read(1):
        raise Refused(RefusalReason.MALFORMED, "bytes after the end of the CBOR pack")
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise Refused(RefusalReason.MALFORMED, "a pack is an array of maps")
    records = []
    for index, record in enumerate(found):
        named: dict[str, object] = {}
        for label, value in record.items():
            name = _CBOR_LABELS.get(label, str(label)) if isinstance(label, int) else label
            if not isinstance(name, str):
                raise Refused(
                    RefusalReason.MALFORMED, "a label that is neither number nor text", where=f"record[{index}]"
                )
            named[name] = value
        records.append(named)
    return records


def _refuse_tag(*_: object) -> object:
    raise ValueError("a tag where SenML has none")


# Decimal fractions (tag 4) are numbers of SenML (RFC 8428 §6). The other tags the library would follow are not: some
# cost far more than their bytes (a bigfloat's exponent, a shared reference to itself), none is a SenML value.
_FORBIDDEN: Final = dict.fromkeys(
    (0, 1, 2, 3, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799), _refuse_tag
)


_EPOCH: Final = re.compile(rb'"epoch"\s*:\s*"([^"\\]{1,128})"')
_SEQ: Final = re.compile(rb'"seq"\s*:\s*(\d{1,18})(?!\d)')


def parse_sequence(payload: bytes) -> tuple[str, int] | None:
    """Return epoch and number of a message that is about to be refused, as far as they can be found in it.

    Without them the gateway would offer the message for ever; with them it is booked as refused and done with.
    """
    head = payload[:MAX_BYTES]
    epoch, seq = _EPOCH.search(head), _SEQ.search(head)
    if epoch and seq and int(seq[1]):
        return epoch[1].decode(errors="replace"), int(seq[1])
    try:
        place = _place(_load_cbor(head)[0])
    except (Refused, IndexError):
        return None
    return (place[0], place[1]) if place[0] is not None and place[1] is not None else None


@dataclass(slots=True)
class _Base:
    """The base fields in force (RFC 8428 §4.1): each holds until another record changes it.

    One that cannot be used is remembered in ``broken`` until a sound one follows: what would rest on it is refused,
    for without it a reading would be another point's, or of another time.
    """

    name: str = ""
    time: Number = 0
    unit: str = ""
    value: Number | None = None
    broken: dict[str, int] = field(default_factory=dict)

    def take(self, record: Record, index: int) -> None:
        """Take over the base fields of a record."""
        for label in _BASES:
            if label not in record:
                continue
            value = record[label]
            if _fault(label, value) is not None:
                self.broken[label] = index
                continue
            self.broken.pop(label, None)
            if label == "bn":
                self.name = _text(value, "")
            elif label == "bu":
                self.unit = _text(value, "")
            elif label == "bt":
                self.time = _number(value, 0)
            else:
                self.value = _number(value, 0)

    def need(self, label: str, where: str) -> None:
        """Refuse a record that rests on a base field which cannot be used."""
        if label in self.broken:
            raise Refused(
                RefusalReason.WRONG_TYPE, f"rests on {label} of record[{self.broken[label]}], refused", where=where
            )


def resolve(pack: Pack, now: Instant) -> tuple[list[ResolvedRecord], list[Refused]]:
    """Return the records in resolved form, and beside them what is refused and why.

    A name without a base that holds three parts is left for the caller to refuse: who may send it is not known here.
    """
    base = _Base()
    records: list[ResolvedRecord] = []
    refused: list[Refused] = []
    for index, record in enumerate(pack.records):
        where = f"record[{index}]"
        base.take(record, index)
        try:
            _check_types(record, where)
            resolved = _resolve(record, base, now if pack.seq is None else None, where)
        except Refused as exc:
            refused.append(exc)
        else:
            if resolved is not None:
                records.append(resolved)
    return records, refused


def _check_types(record: Record, where: str) -> None:
    for label, value in record.items():
        if label.endswith("_"):
            raise Refused(
                RefusalReason.UNKNOWN_LABEL, f"label {label[:80]!r} must be understood and is not", where=where
            )
        fault = _fault(label, value)
        if fault is not None:
            raise Refused(fault[0], fault[1], where=f"{where}.{label}")


def _fault(label: str, value: object) -> tuple[RefusalReason, str] | None:
    """Return what is wrong with a field by itself; ``None`` if nothing, or if the label is unknown."""
    wrong = ""
    if label in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            wrong = "is no number"
        elif not math.isfinite(value) if not isinstance(value, int) else abs(value) > 1 << 1023:
            return RefusalReason.NOT_FINITE, f"{_shown(value)} is no finite number"
    elif label in _TEXTS and not isinstance(value, str):
        wrong = "is no text"
    elif label == "vb" and not isinstance(value, bool):
        wrong = "is neither true nor false"
    elif label == "vd" and not isinstance(value, str | bytes):
        wrong = "is no data"
    if wrong:
        return RefusalReason.WRONG_TYPE, f"{_shown(value)} {wrong}"
    if isinstance(value, str | bytes) and len(value) > MAX_TEXT:
        return RefusalReason.TOO_LARGE, f"{len(value)} characters; {MAX_TEXT} at most"
    return None


def _text(value: object, default: str) -> str:
    return value if isinstance(value, str) else default


def _number(value: object, default: Number) -> Number:
    return value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else default


def _resolve(record: Record, base: _Base, now: Instant | None, where: str) -> ResolvedRecord | None:
    held = [label for label in _VALUES if label in record]
    if not held and "s" not in record and "q" not in record and "n" not in record:
        return None  # a record that only sets base fields
    base.need("bn", where)
    name = base.name + _text(record.get("n"), "")
    if not _NAME.fullmatch(name):
        raise Refused(RefusalReason.BAD_NAME, f"{name[:80]!r} is no SenML name", where=f"{where}.n")
    if len(held) > 1:
        raise Refused(RefusalReason.MANY_VALUES, f"{' and '.join(held)}: one value a record", where=where)
    quality, reason = _quality(record, where)
    value = _value(record, base, held, where)
    if value is None and quality is not Quality.BAD:
        raise Refused(RefusalReason.NO_VALUE, "neither a value nor q = bad", where=where)
    if "u" not in record:
        base.need("bu", where)
    value, unit = _in_own_unit(name, value, _text(record.get("u"), base.unit), where)
    if isinstance(value, Decimal | float) and not math.isfinite(value):
        raise Refused(RefusalReason.NOT_FINITE, f"{_shown(value)} is no finite number", where=f"{where}.v")
    base.need("bt", where)
    stamp_ = record.get("dt")
    return ResolvedRecord(
        name,
        value,
        unit,
        _time(base.time, record.get("t", 0), now, where),
        quality,
        reason,
        None if stamp_ is None else _instant(float(_number(stamp_, 0)), f"{where}.dt"),
    )


def _quality(record: Record, where: str) -> tuple[Quality, Reason | None]:
    label = record.get("q")
    if label is None:
        return Quality.GOOD, None
    try:
        return quality_from_label(_text(label, ""))
    except ValueError as exc:
        raise Refused(RefusalReason.WRONG_TYPE, str(exc), where=f"{where}.q") from None


def _value(record: Record, base: _Base, held: list[str], where: str) -> Number | str | bool | None:
    if not held:
        return None
    value = record[held[0]]
    if held[0] == "v":
        base.need("bv", where)
        number = _number(value, 0)
        if base.value is None:
            return number
        if isinstance(number, float) or isinstance(base.value, float):
            return float(number) + float(base.value)
        return number + base.value
    if held[0] == "vd":
        return _data(value, where)
    return value if isinstance(value, str | bool) else None


def _data(value: object, where: str) -> str:
    """Return ``vd`` as hexadecimal text (JSON carries it as base64url without padding)."""
    if isinstance(value, bytes):
        return value.hex()
    text = _text(value, "")
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
    except (binascii.Error, ValueError) as exc:
        raise Refused(RefusalReason.WRONG_TYPE, f"no base64url: {exc}", where=f"{where}.vd") from None


@lru_cache(maxsize=1 << 14)
def _quantity_of(name: str) -> str:
    """Return the quantity of a point by its name with the gateway before it; ``ValueError`` if it is no point."""
    return parse_point(name.partition("/")[2]).quantity


def _in_own_unit(
    name: str, value: Number | str | bool | None, unit: str, where: str
) -> tuple[Number | str | bool | None, str]:
    """Return the value in the vocabulary's unit of the quantity that the name ends in."""
    try:
        quantity = _quantity_of(name)
    except ValueError as exc:
        raise Refused(RefusalReason.BAD_NAME, str(exc)[:200], where=f"{where}.n") from None
    words = vocabulary()
    if quantity not in words:
        raise Refused(RefusalReason.UNKNOWN_QUANTITY, f"no quantity is called {quantity!r}", where=f"{where}.n")
    own = words[quantity].unit
    if not unit or unit == own:
        return value, own
    try:
        number = Decimal(0) if isinstance(value, str | bool) or value is None else Decimal(str(value))
        converted = words.convert(quantity, number, unit)
    except UnitError as exc:
        raise Refused(RefusalReason.UNKNOWN_UNIT, f"{unit[:40]!r} for {quantity}: {exc}", where=f"{where}.u") from None
    return (value if isinstance(value, str | bool) or value is None else converted), own


def _time(base: Number, offset: object, now: Instant | None, where: str) -> Instant:
    # float arithmetic as in the platform's fast way: both give the same microsecond.
    seconds = float(base) + float(_number(offset, 0))
    if 0 < seconds < RELATIVE_BELOW:
        # Relative, it would lie ahead, where nothing can have been read; more likely a clock still stands in the 1970s.
        raise Refused(
            RefusalReason.TIME_OUT_OF_RANGE, f"{seconds:g} s: the 1970s, or ahead of the present", where=where
        )
    if seconds > 0:
        return _instant(seconds, where)
    if now is None:
        raise Refused(
            RefusalReason.TIME_OUT_OF_RANGE,
            f"{seconds:g} s is relative to now; a logged pack needs a date",
            where=where,
        )
    return _instant(seconds, where) + now


def _instant(seconds: float, where: str) -> Instant:
    # Compared as a float: beyond about 1e302 s the microseconds are infinite, and no int.
    if not -FARTHEST < seconds < FARTHEST:
        raise Refused(RefusalReason.TIME_OUT_OF_RANGE, f"{seconds:g} s since 1970", where=where)
    return from_seconds(seconds)


def _shown(value: object) -> str:
    """Return a short text of a value for a refusal."""
    return json.dumps(value, default=str)[:80]
