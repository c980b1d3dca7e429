"""How manufacturers write numbers and dates in their own layouts, by name.

A coding takes the bytes of a field and returns what they say, ``None`` where they mark a missing value.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from linli_core.codecs.mbus.values import MeterTime, decode_bcd, decode_time

Coded = int | Decimal | str | MeterTime | None
Coding = Callable[[bytes], Coded]


def _unsigned(data: bytes) -> Coded:
    return int.from_bytes(data, "little")


def _signed(data: bytes) -> Coded:
    return int.from_bytes(data, "little", signed=True)


def _big(data: bytes) -> Coded:
    return int.from_bytes(data, "big")


def _bcd(data: bytes) -> Coded:
    return decode_bcd(data)


def _bcd_big(data: bytes) -> Coded:
    return decode_bcd(data[::-1])


def _time(data: bytes) -> Coded:
    return decode_time(data)


def _date(year: int, month: int, day: int) -> MeterTime | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    try:
        datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
    return MeterTime((year, month, day))


def _packed_date(data: bytes) -> Coded:
    """Day 5 bits, month 4, year 7 since 2000, low byte first."""
    number = int.from_bytes(data, "little")
    return _date(2000 + (number >> 9 & 0x7F), number >> 5 & 0x0F, number & 0x1F)


def _bcd_date(data: bytes) -> Coded:
    """Day, month, year of two digits, each a byte of BCD."""
    day, month, year = (decode_bcd(data[at : at + 1]) for at in range(3))
    return None if day is None or month is None or year is None else _date(2000 + year, month, day)


def _bcd_date_year_first(data: bytes) -> Coded:
    return _bcd_date(data[::-1])


def _day_month(data: bytes) -> Coded:
    """A day without a year behind an earlier packed date in the first two bytes: the first such day after that.

    Day 5 bits from bit 4, month 4 bits from bit 9.
    """
    earlier = int.from_bytes(data[:2], "little")
    number = int.from_bytes(data[-2:], "little")
    year, month, day = 2000 + (earlier >> 9 & 0x7F), number >> 9 & 0x0F, number >> 4 & 0x1F
    if (month, day) <= (earlier >> 5 & 0x0F, earlier & 0x1F):
        year += 1
    return _date(year, month, day)


def _seconds_since_2000(data: bytes) -> Coded:
    moment = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=int.from_bytes(data, "little"))
    return MeterTime((moment.year, moment.month, moment.day), (moment.hour, moment.minute, moment.second))


def _bcd_clock(data: bytes) -> Coded:
    """Second, minute, hour, day, month, year of two digits, each a byte of BCD."""
    second, minute, hour = (decode_bcd(data[at : at + 1]) for at in range(3))
    date = _bcd_date(data[3:6])
    if second is None or minute is None or hour is None or not isinstance(date, MeterTime):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    return MeterTime(date.date, (hour, minute, second))


def _twelve_first(data: bytes) -> Coded:
    """Of two numbers of twelve bits in three bytes the first: its high digit is the middle byte's high one."""
    return data[0] | (data[1] >> 4) << 8


def _twelve_second(data: bytes) -> Coded:
    """Of the same the second."""
    return data[2] | (data[1] & 0x0F) << 8


def _text(data: bytes) -> Coded:
    return data.decode("latin-1").strip("\x00 ")


CODINGS: Final[Mapping[str, Coding]] = {
    "unsigned": _unsigned,
    "signed": _signed,
    "unsigned_big": _big,
    "bcd": _bcd,
    "bcd_big": _bcd_big,
    "time": _time,
    "packed_date": _packed_date,
    "bcd_date": _bcd_date,
    "bcd_date_year_first": _bcd_date_year_first,
    "day_month": _day_month,
    "seconds_since_2000": _seconds_since_2000,
    "bcd_clock": _bcd_clock,
    "twelve_first": _twelve_first,
    "twelve_second": _twelve_second,
    "text": _text,
}
"""What a layout may name."""

SIZES: Final[Mapping[str, tuple[int, ...]]] = {
    "time": (2, 3, 4, 6),
    "packed_date": (2,),
    "bcd_date": (3,),
    "bcd_date_year_first": (3,),
    "bcd_clock": (6,),
    "seconds_since_2000": (4,),
    "twelve_first": (3,),
    "twelve_second": (3,),
}
"""Bytes that a coding takes, where not just any number."""
