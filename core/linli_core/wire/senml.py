"""SenML packs (RFC 8428), JSON and CBOR by the first byte: what gateways send as ``telemetry``.

Our packs name the gateway in the first record's ``bn`` and carry four labels of our own, which others ignore:
``epoch`` and ``seq`` (first record: the message's place in the gateway's log), ``q`` (quality; absent: good) and
``dt`` (the device's own time, seconds since 1970). A missing value is a record without a value and with ``q``.

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
from dataclasses import dataclass
from decimal import Decimal
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
VERSION: Final = 10
"""The SenML version this is (RFC 8428 §4.1: ``bver`` 10)."""
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
    records = []
    for reading in readings:
        point = reading.point
        record: dict[str, object] = {"n": point.name}
        if unit := _unit(point.quantity):
            record["u"] = unit
        value = reading.value
        if isinstance(value, bool):
            record["vb"] = value
        elif isinstance(value, str):
            record["vs"] = value
        elif value is not None:
            record["v"] = value
        if offset := reading.observed_at - base * SECOND:
            record["t"] = offset / SECOND
        if reading.quality or value is None:
            quality = Quality.BAD if value is None else reading.quality
            record["q"] = quality_label(quality, reading.reason)
        if reading.device_time is not None:
            record["dt"] = reading.device_time / SECOND
        records.append(record)
    records[0] = {"bn": f"{gateway}/", "bt": base, **records[0]}
    return records


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
    records = _load_json(payload) if payload.lstrip()[:1] in (b"[", b"{") else _load_cbor(payload)
    if not records:
        raise Refused(RefusalReason.MALFORMED, "a pack without a record")
    if len(records) > MAX_RECORDS:
        raise Refused(RefusalReason.TOO_MANY_RECORDS, f"{len(records)} records; a pack has {MAX_RECORDS} at most")
    for index, record in enumerate(records):
        version = record.get("bver")
        if version is not None and (isinstance(version, bool) or not isinstance(version, int) or version > VERSION):
            raise Refused(
                RefusalReason.VERSION,
                f"SenML version {version!r}; known up to {VERSION}",
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
        found = cbor2.CBORDecoder(stream, tag_hook=_refuse_tag).decode()
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


def _refuse_tag(*arguments: object) -> object:
    raise ValueError(f"a tag ({arguments[-1]!r:.80}) where SenML has none")


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
    """The base fields in force (RFC 8428 §4.1): each holds until another record changes it."""

    name: str = ""
    time: Number = 0
    unit: str = ""
    value: Number | None = None
    total: Number | None = None


def resolve(pack: Pack, now: Instant) -> tuple[list[ResolvedRecord], list[Refused]]:
    """Return the records in resolved form, and beside them what is refused and why.

    A name without a base that holds three parts is left for the caller to refuse: who may send it is not known here.
    """
    base = _Base()
    records: list[ResolvedRecord] = []
    refused: list[Refused] = []
    for index, record in enumerate(pack.records):
        where = f"record[{index}]"
        try:
            _check_types(record, where)
            resolved = _resolve(record, _carried(base, record), now if pack.seq is None else None, where)
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
        if label in _NUMBERS:
            if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
                raise Refused(RefusalReason.WRONG_TYPE, f"{_shown(value)} is no number", where=f"{where}.{label}")
            if not math.isfinite(value) if not isinstance(value, int) else abs(value) > 1 << 1023:
                raise Refused(
                    RefusalReason.NOT_FINITE, f"{_shown(value)} is no finite number", where=f"{where}.{label}"
                )
        elif label in _TEXTS and not isinstance(value, str):
            raise Refused(RefusalReason.WRONG_TYPE, f"{_shown(value)} is no text", where=f"{where}.{label}")
        elif label == "vb" and not isinstance(value, bool):
            raise Refused(RefusalReason.WRONG_TYPE, f"{_shown(value)} is neither true nor false", where=f"{where}.vb")
        elif label == "vd" and not isinstance(value, str | bytes):
            raise Refused(RefusalReason.WRONG_TYPE, f"{_shown(value)} is no data", where=f"{where}.vd")
        if isinstance(value, str | bytes) and len(value) > MAX_TEXT:
            raise Refused(
                RefusalReason.TOO_LARGE, f"{len(value)} characters; {MAX_TEXT} at most", where=f"{where}.{label}"
            )


def _carried(base: _Base, record: Record) -> _Base:
    """Take a record's base fields over into ``base``."""
    base.name = _text(record.get("bn"), base.name)
    base.unit = _text(record.get("bu"), base.unit)
    base.time = _number(record.get("bt"), base.time)
    if "bv" in record:
        base.value = _number(record["bv"], 0)
    if "bs" in record:
        base.total = _number(record["bs"], 0)
    return base


def _text(value: object, default: str) -> str:
    return value if isinstance(value, str) else default


def _number(value: object, default: Number) -> Number:
    return value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else default


def _resolve(record: Record, base: _Base, now: Instant | None, where: str) -> ResolvedRecord | None:
    held = [label for label in _VALUES if label in record]
    if not held and "s" not in record and "q" not in record and "n" not in record:
        return None  # a record that only sets base fields
    name = base.name + _text(record.get("n"), "")
    if not _NAME.fullmatch(name):
        raise Refused(RefusalReason.BAD_NAME, f"{name[:80]!r} is no SenML name", where=f"{where}.n")
    if len(held) > 1:
        raise Refused(RefusalReason.MANY_VALUES, f"{' and '.join(held)}: one value a record", where=where)
    quality, reason = _quality(record, where)
    value = _value(record, base, held, where)
    if value is None and quality is not Quality.BAD:
        raise Refused(RefusalReason.NO_VALUE, "neither a value nor q = bad", where=where)
    value, unit = _in_own_unit(name, value, _text(record.get("u"), base.unit), where)
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


def _in_own_unit(
    name: str, value: Number | str | bool | None, unit: str, where: str
) -> tuple[Number | str | bool | None, str]:
    """Return the value in the vocabulary's unit of the quantity that the name ends in."""
    _, _, below = name.partition("/")
    try:
        quantity = parse_point(below).quantity
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
