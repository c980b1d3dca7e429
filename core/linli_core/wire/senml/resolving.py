"""Records to resolved form (RFC 8428 §4.6), in the vocabulary's units."""

import binascii
import math
import re
from base64 import urlsafe_b64decode
from decimal import Decimal
from functools import lru_cache
from typing import Final

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant, from_seconds
from linli_core.model import Quality, Reason, parse_point, quality_from_label
from linli_core.units import UnitError
from linli_core.vocabulary import vocabulary
from linli_core.wire.senml.fields import Base, check_types, fault, number_of, text_of
from linli_core.wire.senml.pack import FARTHEST, RELATIVE_BELOW, VALUES, Number, Pack, Record, ResolvedRecord, shown

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-:./_]*")


def resolve(pack: Pack, now: Instant) -> tuple[list[ResolvedRecord], list[Refused]]:
    """Return the records in resolved form, and beside them what is refused and why.

    A name without a base that holds three parts is left for the caller to refuse: who may send it is not known here.
    """
    base = Base()
    records: list[ResolvedRecord] = []
    refused: list[Refused] = []
    for index, record in enumerate(pack.records):
        where = f"record[{index}]"
        base.take(record, index)
        try:
            check_types(record, where)
            resolved = _resolve(record, base, now if pack.seq is None else None, where)
        except Refused as exc:
            refused.append(exc)
        else:
            if resolved is not None:
                records.append(resolved)
    return records, refused


def oldest(pack: Pack) -> Instant | None:
    """Return the time of the oldest record of a pack with a place in a log, whether it can be taken or not."""
    base = Base()
    found: list[Instant] = []
    for index, record in enumerate(pack.records):
        base.take(record, index)
        if "n" in record and fault("t", record.get("t", 0)) is None:
            seconds = float(base.time) + float(number_of(record.get("t"), 0))
            if -FARTHEST < seconds < FARTHEST:
                found.append(from_seconds(seconds))
    return min(found, default=None)


def booked_day(pack: Pack) -> int | None:
    """Return the day under which the gateway booked a pack, where it says so: ``day``, days since 1970.

    A pack stamped before the time was known is booked by the time it had then, and sent with the right one.
    """
    day = pack.records[0].get("day") if pack.records else None
    return day if isinstance(day, int) and not isinstance(day, bool) and 0 <= day <= FARTHEST // 86_400 else None


def _resolve(record: Record, base: Base, now: Instant | None, where: str) -> ResolvedRecord | None:
    held = [label for label in VALUES if label in record]
    if not held and "s" not in record and "q" not in record and "n" not in record:
        return None  # a record that only sets base fields
    base.need("bn", where)
    name = base.name + text_of(record.get("n"), "")
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
    value, unit = _in_own_unit(name, value, text_of(record.get("u"), base.unit), where)
    if isinstance(value, Decimal | float) and not math.isfinite(value):
        raise Refused(RefusalReason.NOT_FINITE, f"{shown(value)} is no finite number", where=f"{where}.v")
    base.need("bt", where)
    stamp_ = record.get("dt")
    return ResolvedRecord(
        name,
        value,
        unit,
        _time_of(base.time, record.get("t", 0), now, where),
        quality,
        reason,
        None if stamp_ is None else _instant(float(number_of(stamp_, 0)), f"{where}.dt"),
    )


def _quality(record: Record, where: str) -> tuple[Quality, Reason | None]:
    label = record.get("q")
    if label is None:
        return Quality.GOOD, None
    try:
        return quality_from_label(text_of(label, ""))
    except ValueError as exc:
        raise Refused(RefusalReason.WRONG_TYPE, str(exc), where=f"{where}.q") from None


def _value(record: Record, base: Base, held: list[str], where: str) -> Number | str | bool | None:
    if not held:
        return None
    value = record[held[0]]
    if held[0] == "v":
        base.need("bv", where)
        number = number_of(value, 0)
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
    text = text_of(value, "")
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


def _time_of(base: Number, offset: object, now: Instant | None, where: str) -> Instant:
    # float arithmetic as in the platform's fast way: both give the same microsecond.
    seconds = float(base) + float(number_of(offset, 0))
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
