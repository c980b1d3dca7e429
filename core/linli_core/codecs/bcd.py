"""Numbers of Chinese meters: packed decimal digits, low byte first, with a fixed number of decimals.

What a meter fills with FF it does not have; what holds a digit above 9 is no number. Neither is ever 0.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from linli_core.codecs.mbus.values import MeterTime

BLANK: Final = 0xFF
SIGN: Final = 0x80
"""Highest bit of the highest byte: minus, in numbers that have a sign (sign and magnitude, no complement)."""


def is_blank(data: bytes) -> bool:
    """Tell whether a meter has filled a field with FF: it has no such value."""
    return bool(data) and data.count(BLANK) == len(data)


def decode_number(data: bytes, decimals: int = 0, *, signed: bool = False) -> Decimal | None:
    """Return the number in some bytes, with all its digits; ``None`` where it is missing or the digits are none.

    Minus zero is zero: a meter that turns its sign over with nothing flowing says nothing else.
    """
    if not data or is_blank(data):
        return None
    high_first = bytearray(reversed(data))
    negative = signed and bool(high_first[0] & SIGN)
    if negative:
        high_first[0] &= ~SIGN & 0xFF
    digits = high_first.hex()
    if not digits.isdecimal():
        return None
    number = Decimal(int(digits)).scaleb(-decimals)
    return -number if negative and number else number


def encode_number(value: Decimal | int, size: int, decimals: int = 0, *, signed: bool = False) -> bytes:
    """Return the bytes of a number, rounded to its decimals; ``ValueError`` if it does not fit."""
    units = round(Decimal(value).scaleb(decimals))
    digits = f"{abs(units):0{2 * size}d}"
    if len(digits) > 2 * size or (units < 0 and not signed) or (signed and digits[0] > "7"):
        raise ValueError(f"{value} does not fit into {size} bytes with {decimals} decimals")
    high_first = bytearray.fromhex(digits)
    if units < 0:
        high_first[0] |= SIGN
    return bytes(reversed(high_first))


def decode_digits(data: bytes) -> str | None:
    """Return the digits of a number that is a name (an address, a meter number); ``None`` where it is filled with FF.

    Hexadecimal digits occur in the field and are kept.
    """
    return None if not data or is_blank(data) else data[::-1].hex().upper()


def decode_pair(byte: int) -> int | None:
    """Return the number in one byte, ``None`` if a digit is none."""
    high, low = byte >> 4, byte & 0x0F
    return 10 * high + low if high < 10 and low < 10 else None


def clock_of(parts: tuple[int | None, ...], century: int = 2000) -> MeterTime | None:
    """Return the time that year, month, day, hour, minute and second mean; ``None`` if there is no such time.

    Args:
        parts: Three of them for a date, five or six for a date with its time.
        century: What is added to the year.
    """
    numbers = [part for part in parts if part is not None]
    if len(numbers) != len(parts):
        return None
    year, month, day, *time = numbers
    hour, minute, second = (*time, 0, 0, 0)[:3]
    try:
        datetime(century + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return MeterTime((century + year, month, day), (hour, minute, second) if time else None, seconds=len(time) != 2)
