"""Data types of records: integers, BCD, real, text, dates (EN 13757-3, data types A, B, C, D, F, G, H, I, J).

Numbers are ``Decimal`` and exact: a register's digits must survive. What a meter marks as missing (a digit that is
none, NaN, the lowest integer, an invalid date) decodes to ``None``.
"""

import math
import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from linli_core.instant import MINUTE, Instant, from_datetime

INTEGER_SIZE: Final = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8}
"""Data field code of the DIF → bytes of a two's complement integer (type B, low byte first)."""

BCD_SIZE: Final = {0x9: 1, 0xA: 2, 0xB: 3, 0xC: 4, 0xE: 6}
"""Data field code of the DIF → bytes of a BCD number (type A, low byte first)."""

REAL: Final = 0x5
VARIABLE: Final = 0xD


class MeterTime(msgspec.Struct, frozen=True):
    """A meter's own date, time or both; meters know no time zone.

    Attributes:
        date: ``(year, month, day)``; ``None`` for a time of day.
        time: ``(hour, minute, second)``; ``None`` for a date.
        summer: The meter's clock runs on summer time.
        seconds: Whether the type has seconds at all.
    """

    date: tuple[int, int, int] | None = None
    time: tuple[int, int, int] | None = None
    summer: bool = False
    seconds: bool = True

    def __str__(self) -> str:
        day = "{:04}-{:02}-{:02}".format(*self.date) if self.date else ""
        clock = "{:02}:{:02}:{:02}".format(*self.time) if self.time else ""
        return f"{day}T{clock}" if day and clock else day or clock

    def instant(self, utc_offset: int = 0) -> Instant | None:
        """Return the instant, ``utc_offset`` being minutes east of UTC; ``None`` for a mere time of day.

        A date is the midnight it begins with. Summer time is an hour more.
        """
        if self.date is None:
            return None
        moment = datetime(*self.date, *(self.time or (0, 0, 0)), tzinfo=UTC)
        return from_datetime(moment) - (utc_offset + 60 * self.summer) * MINUTE


def decode_integer(data: bytes) -> int | None:
    """Return a signed integer; the lowest one means that there is no value."""
    number = int.from_bytes(data, "little", signed=True)
    return None if number == -1 << (8 * len(data) - 1) and len(data) > 1 else number


def decode_bcd(data: bytes) -> int | None:
    """Return a BCD number; a top nibble of F is a minus sign, any other digit above 9 means no value."""
    digits = data[::-1].hex()
    if digits.isdecimal():
        return int(digits)
    if digits[0] == "f" and digits[1:].isdecimal():
        return -int(digits[1:])
    return None


def decode_real(data: bytes) -> Decimal | None:
    """Return a 32-bit real by the shortest decimal that means it; NaN and infinity mean no value."""
    (number,) = struct.unpack("<f", data)
    if not math.isfinite(number):
        return None
    if not number:  # a real has two zeros; a register has one
        return Decimal(0)
    for digits in (6, 7, 8):
        text = f"{number:.{digits}g}"
        if struct.pack("<f", float(text)) == data:
            return Decimal(text)
    return Decimal(f"{number:.9g}")


def decode_text(data: bytes) -> str:
    """Return a text: Latin-1, last character first."""
    return data[::-1].decode("latin-1")


def variable_size(length: int) -> int | None:
    """Return how many bytes follow an LVAR byte; ``None`` if it is reserved."""
    if length < 0xC0:
        return length
    if length <= 0xC9:
        return length - 0xC0
    if 0xD0 <= length <= 0xD9:
        return length - 0xD0
    if 0xE0 <= length <= 0xEF:
        return length - 0xE0
    if 0xF0 <= length <= 0xF4:
        return 4 * (length - 0xEC)
    return {0xF5: 48, 0xF6: 64}.get(length)


def decode_variable(length: int, data: bytes) -> str | int | bytes | None:
    """Return a value of variable length: text, signed BCD or binary (highest byte first, as it is shown)."""
    if length < 0xC0:
        return decode_text(data)
    if length >= 0xE0:
        return data[::-1]
    digits = data[::-1].hex()
    if not digits:
        return None
    if not digits.isdecimal():
        return None
    return -int(digits) if length >= 0xD0 else int(digits)


def decode_date(low: int, high: int, century: int = 0) -> tuple[int, int, int] | None:
    """Return year, month, day of type G (and of the date in F and I); ``None`` if there is no such day.

    The year has seven bits of which two digits are used; beyond them it is none. Without a century 0 to 80 are 2000
    to 2080, as the standard asks for old meters; so they are with one behind this, which some meters send.
    """
    day, month, year = low & 0x1F, high & 0x0F, low >> 5 | (high & 0xF0) >> 1
    if year > 99:  # 127: every year, which is no date
        return None
    if century == 1:
        year += 2000
    else:
        year += 2000 if year <= 80 else 1900
    try:
        datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
    return year, month, day


def decode_time(data: bytes) -> MeterTime | None:
    """Return a date or time by its size: G (2 bytes), J (3), F (4), I (6); ``None`` if invalid or of another size."""
    size = len(data)
    if size == 2:
        date = decode_date(data[0], data[1])
        return MeterTime(date) if date else None
    if size == 3:
        clock = data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F
        return MeterTime(time=clock) if _is_clock(clock) else None
    if size == 4:
        clock = data[1] & 0x1F, data[0] & 0x3F, 0
        date = decode_date(data[2], data[3], data[1] >> 5 & 0x03)
        invalid, summer = data[0] & 0x80, data[1] & 0x80
    elif size == 6:
        clock = data[2] & 0x1F, data[1] & 0x3F, data[0] & 0x3F
        date = decode_date(data[3], data[4])
        invalid, summer = data[1] & 0x80, data[0] & 0x40
    else:
        return None
    if invalid or date is None or not _is_clock(clock):
        return None
    return MeterTime(date, clock, bool(summer), size == 6)


def _is_clock(clock: tuple[int, int, int]) -> bool:
    return clock[0] < 24 and clock[1] < 60 and clock[2] < 60
