"""Compact profiles: a row of values in one record, told apart by storage number (EN 13757-3, compact profile).

::

    DIF DIFE VIF 93 (inverse) or 9E (forward)   LVAR   spacing control 1   spacing value 1   elements…

A load profile of a year costs a meter one record. Each element becomes a record of its own here: an inverse profile
goes back in time from the base value and counts its storage numbers up from the base's, a forward one goes on from it.
With increments an element is the step from its neighbour; the base value is the record with the same DIF and VIF but
without the profile, and where there is none the elements cannot be known.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from linli_core.codecs.mbus.record import Record
from linli_core.codecs.mbus.record_header import PLAIN_TEXT, SIZES, Header, RecordValue, parse_header
from linli_core.codecs.mbus.values import VARIABLE, MeterTime
from linli_core.codecs.mbus.vif import Measurand

INVERSE: Final = 0x13
FORWARD: Final = 0x1E
UNNUMBERED: Final = 0x1F
"""Forward too, the last element being the one behind the base. The elements have no storage numbers of their own and
are given those behind the base's. So one recorded model sends it, whose last sum is the register of the same day."""

_TABLES: Final = (0xFB, 0xFD)
"""VIF behind which a table's own code stands before any combinable VIFE."""

_MANUFACTURER: Final = 0x7F
_ANOTHER_TABLE: Final = 0x7C
_HEADERS_KEPT: Final = 4096
_HALF_MONTH: Final = 253
_MONTH: Final = 254
_STEPS: Final = (1, 60, 3600, 86400)
"""Seconds of the spacing unit: seconds, minutes, hours, days."""


def expand_profiles(records: Iterable[Record]) -> list[Record]:
    """Return records with each compact profile replaced by its elements; what cannot be told apart stays as it is."""
    found = list(records)
    if not any(_direction(record.header) for record in found):
        return found
    expanded: list[Record] = []
    for record in found:
        elements = list(_elements(record, found)) if _direction(record.header) else []
        expanded.extend(elements or (record,))
    return expanded


def _direction(header: Header) -> int:
    """Return -1 for an inverse profile, 1 for a forward one, 0 for any other record."""
    if header.coding != VARIABLE:
        return 0
    codes = set(_combinable(header.vib))
    return -1 if INVERSE in codes else 1 if codes & {FORWARD, UNNUMBERED} else 0


def _combinable(vib: bytes) -> Iterator[int]:
    """Yield the combinable VIFE, without extension bits.

    A code of a table (FD 13, an access code), a text's letters, what follows 7F (the manufacturer's) or 7C (another
    table's) may be the same number, and is no profile.
    """
    codes = iter(code & 0x7F for code in vib[_start(vib) :])
    for code in codes:
        if code == _MANUFACTURER:
            return
        if code == _ANOTHER_TABLE:
            next(codes, None)
        else:
            yield code


def _start(vib: bytes) -> int:
    """Return where the combinable VIFE begin."""
    if vib[0] & 0x7F == PLAIN_TEXT:
        return 2 + vib[1]
    return 2 if vib[0] in _TABLES else 1


def _elements(record: Record, records: list[Record]) -> Iterator[Record]:
    data, header = record.data, record.header
    if len(data) < 2:
        return
    control, spacing = data[0], data[1]
    mode, unit, coding = control >> 6, control >> 4 & 0x03, control & 0x0F
    size = SIZES[coding]
    if not size or _HALF_MONTH > spacing > 250 or (spacing >= _HALF_MONTH and (unit != 3 or spacing > _MONTH)):
        return
    if (len(data) - 2) % size:
        return
    plain = _plain_vib(header.vib)
    base = _find(records, header.storage, plain, header)
    if mode and (base is None or not isinstance(base.value, Decimal)):
        return
    direction = _direction(header)
    dates = _Dates(records, header.storage, direction, unit, spacing)
    running = base.value if mode and base is not None else None
    places = range(2, len(data), size)
    for index, at in enumerate(reversed(places) if _last_first(header) else places, start=1):
        storage = header.storage + index
        content = data[at : at + size]
        own = _element_header(header, plain, coding, storage)
        value: RecordValue = own.decode(content)
        if mode:
            running = _step(running, value, mode, direction)
            value = running
        yield Record(own, value, content)
        date = dates.of(index)
        if date is not None:
            yield Record(_date_header(storage), date, b"")


def _last_first(header: Header) -> bool:
    return UNNUMBERED in _combinable(header.vib)


def _step(running: RecordValue, step: RecordValue, mode: int, direction: int) -> Decimal | None:
    """Return the next value of a row of increments; once one is missing all behind it are."""
    if not isinstance(running, Decimal) or not isinstance(step, Decimal):
        return None
    # 1: the counter rises with time; 2: it falls; 3: the steps have signs of their own.
    sign = -1 if mode == 2 else 1
    return running + sign * direction * step


def _plain_vib(vib: bytes) -> bytes:
    """Return VIF and VIFE without the profile's code."""
    start = _start(vib)
    codes = (code & 0x7F for code in vib[start:])
    kept = [code for code in codes if code not in (INVERSE, FORWARD, UNNUMBERED)]
    head = bytearray(vib[:start])
    # A text stands between its VIF, which has the extension bit, and the VIFE.
    carrier = 0 if vib[0] & 0x7F == PLAIN_TEXT else start - 1
    head[carrier] = head[carrier] & 0x7F | (0x80 if kept else 0)
    return bytes(head) + bytes(code | 0x80 for code in kept[:-1]) + bytes(kept[-1:])


def _find(records: list[Record], storage: int, vib: bytes, like: Header) -> Record | None:
    for record in records:
        header = record.header
        if (header.storage, header.vib, header.tariff, header.subunit) == (storage, vib, like.tariff, like.subunit):
            return record
    return None


class _Dates:
    """When the elements of a profile were so, counted from the base's date where the telegram has it."""

    def __init__(self, records: list[Record], storage: int, direction: int, unit: int, spacing: int) -> None:
        self._base: MeterTime | None = None
        for record in records:
            header = record.header
            if (
                header.storage == storage
                and header.measurand in (Measurand.DATE, Measurand.DATE_TIME)
                and not header.modifiers
                and isinstance(record.value, MeterTime)
                and record.value.date is not None
            ):
                self._base = record.value
        self._direction, self._unit, self._spacing = direction, unit, spacing

    def of(self, index: int) -> MeterTime | None:
        """Return the date of an element, the first being 1; ``None`` where it is not known."""
        base = self._base
        if base is None or base.date is None or not self._spacing:
            return None
        if self._spacing == _MONTH:
            return MeterTime(_months(base.date, self._direction * index), base.time, base.summer, base.seconds)
        if self._spacing == _HALF_MONTH:
            return MeterTime(_half_months(base.date, self._direction * index), base.time, base.summer, base.seconds)
        moment = datetime(*base.date, *(base.time or (0, 0, 0)), tzinfo=UTC)
        try:
            moment += timedelta(seconds=self._direction * index * self._spacing * _STEPS[self._unit])
        except OverflowError:
            return None
        date = (moment.year, moment.month, moment.day)
        if base.time is None:
            return MeterTime(date) if self._unit == 3 else None
        return MeterTime(date, (moment.hour, moment.minute, moment.second), base.summer, base.seconds)


def _months(date: tuple[int, int, int], count: int) -> tuple[int, int, int]:
    """Return a date some months on or back; the last day of a month stays the last."""
    year, month, day = date
    index = 12 * year + month - 1 + count
    last = _days(index // 12, index % 12 + 1)
    return index // 12, index % 12 + 1, last if day == _days(year, month) else min(day, last)


def _half_months(date: tuple[int, int, int], count: int) -> tuple[int, int, int]:
    """Return a date some half months on or back: 1 and 16, or 15 and the last."""
    year, month, day = date
    late = day > 15
    index = 2 * (12 * year + month - 1) + late + count
    at_end = day in (15, _days(year, month))
    year, month = index // 24, index // 2 % 12 + 1
    if at_end:
        return year, month, _days(year, month) if index % 2 else 15
    day = (day - 15 if late else day) + (15 if index % 2 else 0)
    return year, month, min(day, _days(year, month))


def _days(year: int, month: int) -> int:
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return (following - timedelta(days=1)).day


@lru_cache(maxsize=_HEADERS_KEPT)
def _element_header(profile: Header, vib: bytes, coding: int, storage: int) -> Header:
    """Return the header of an element: one object for all alike, as :func:`parse_header` gives."""
    element = parse_header(bytes((coding,)) + vib)
    return replace(element, storage=storage, tariff=profile.tariff, subunit=profile.subunit, function=profile.function)


@lru_cache(maxsize=_HEADERS_KEPT)
def _date_header(storage: int) -> Header:
    return replace(parse_header(b"\x02\x6c"), storage=storage)
