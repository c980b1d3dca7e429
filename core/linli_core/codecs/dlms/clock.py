"""COSEM date and time: twelve bytes, any of which may say that it is not specified."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from linli_core.errors import ProtocolError
from linli_core.instant import MINUTE, Instant, from_datetime

SIZE: Final = 12
_UNSPECIFIED: Final = 0xFF
_NO_DEVIATION: Final = -0x8000
_INVALID: Final = 0x01
_SUMMER: Final = 0x80


class CosemTime(msgspec.Struct, frozen=True):
    """A date and time as it was sent.

    Attributes:
        date: ``(year, month, day)``; ``None`` if any of them is not specified, or there is no such day.
        time: ``(hour, minute, second)``; ``None`` likewise; an unspecified second is 0.
        deviation: Minutes to add to local time for UTC (-120: UTC+2); ``None`` if not specified.
        status: The clock's status byte; FF: not specified.
    """

    date: tuple[int, int, int] | None
    time: tuple[int, int, int] | None
    deviation: int | None = None
    status: int = _UNSPECIFIED

    def __str__(self) -> str:
        if self.date is None or self.time is None:
            return ""
        return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*self.date, *self.time)

    @property
    def invalid(self) -> bool:
        """Whether the meter says that its clock cannot be right."""
        return self.status != _UNSPECIFIED and bool(self.status & _INVALID)

    @property
    def summer(self) -> bool:
        """Whether the meter says that summer time is in force."""
        return self.status != _UNSPECIFIED and bool(self.status & _SUMMER)

    def instant(self, utc_offset: int = 0) -> Instant | None:
        """Return the instant; where the meter names no deviation its clock is ``utc_offset`` minutes east of UTC.

        ``None`` where date or time is missing, or the meter calls its own clock invalid.
        """
        if self.date is None or self.time is None or self.invalid:
            return None
        moment = from_datetime(datetime(*self.date, *self.time, tzinfo=UTC))
        if self.deviation is not None:
            return moment + self.deviation * MINUTE
        return moment - (utc_offset + 60 * self.summer) * MINUTE


def decode_time(data: bytes) -> CosemTime:
    """Return the date and time that twelve bytes are; ``ProtocolError`` for another number of them."""
    if len(data) != SIZE:
        raise ProtocolError(f"a date and time has 12 bytes, not {len(data)}")
    deviation = int.from_bytes(data[9:11], signed=True)
    date, time = decode_date(data[:5]), _clock(data[5:8])
    return CosemTime(date, time, None if deviation == _NO_DEVIATION else deviation, data[11])


def decode_date(data: bytes) -> tuple[int, int, int] | None:
    """Return the date of five bytes (year, month, day, day of week); ``None`` if it names no single day."""
    year, month, day = int.from_bytes(data[:2]), data[2], data[3]
    try:
        datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None
    # Years far off are no meter's: 1970 starts the epoch, and what lies behind 2200 would overflow an instant's bounds.
    return (year, month, day) if 1970 <= year <= 2200 else None


def _clock(data: bytes) -> tuple[int, int, int] | None:
    hour, minute, second = data[0], data[1], 0 if data[2] == _UNSPECIFIED else data[2]
    return (hour, minute, second) if hour < 24 and minute < 60 and second < 60 else None


def encode_time(moment: datetime, deviation: int | None = None, status: int = 0) -> bytes:
    """Return the twelve bytes of a local date and time."""
    return (
        moment.year.to_bytes(2)
        + bytes(
            (moment.month, moment.day, moment.isoweekday(), moment.hour, moment.minute, moment.second, _UNSPECIFIED)
        )
        + (_NO_DEVIATION if deviation is None else deviation).to_bytes(2, signed=True)
        + bytes((status,))
    )
