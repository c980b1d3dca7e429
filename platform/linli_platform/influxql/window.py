"""Windows of time: where they begin, in a time zone or none, and which of them a query asks for."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.vector import Times

MICROSECOND: Final = 1_000
SECOND: Final = 1_000_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR
EARLIEST: Final = -(2**63) + 2
LATEST: Final = 2**63 - 2
"""The ends of time, as InfluxQL counts it: 1677 and 2262."""

LOCAL: Final = "Local"
"""Names the zone of whoever is asked, as with InfluxDB: here the community's, whose midnight is where a day begins."""

MOST: Final = 2_000_000
"""Windows of one query; a year by the minute has half a million."""


@dataclass(frozen=True, slots=True)
class Range:
    """Instants from ``start`` to ``end``, both included (ns)."""

    start: int = EARLIEST
    end: int = LATEST

    def within(self, other: "Range") -> "Range":
        """Return what is in both."""
        return Range(max(self.start, other.start), min(self.end, other.end))

    @property
    def has_start(self) -> bool:
        """Tell whether anything bounds it below."""
        return self.start > EARLIEST

    @property
    def is_empty(self) -> bool:
        """Tell whether it holds no instant."""
        return self.start > self.end


def microseconds(reach: Range) -> tuple[int, int]:
    """Return a range's first microsecond and the one behind its last."""
    return -(-max(reach.start, EARLIEST) // MICROSECOND), min(reach.end, LATEST) // MICROSECOND + 1


def zone_of(name: str, local: tzinfo | None) -> tzinfo | None:
    """Return a time zone, ``None`` for UTC; :class:`QueryError` if there is none of that name."""
    if not name or name.upper() == "UTC":
        return None
    if name == LOCAL:
        return local
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise QueryError(f"unable to find time zone {name}") from exc


class Windows:
    """Windows of one length; see ``GROUP BY time()``.

    Args:
        interval: Length of a window (ns).
        offset: By which all are shifted (ns).
        zone: Whose midnights days begin at.
    """

    def __init__(self, interval: int, offset: int = 0, zone: tzinfo | None = None) -> None:
        self.interval = interval
        self.offset = offset
        self._zone = zone

    def start_of(self, time: int) -> int:
        """Return where the window begins that holds a time."""
        moved = time - self.offset
        shift = self._shift(moved)
        start = time - (moved + shift) % self.interval
        # Where the clock was changed within the window its beginning was told by the other clock.
        change = shift - self._shift(start)
        return start + change if change and abs(change) < self.interval else start

    def starts(self, reach: Range) -> Times:
        """Return where the windows begin that hold the times of a range; :class:`QueryError` if there are too many."""
        first, last = self.start_of(reach.start), self.start_of(reach.end)
        if (last - first) // self.interval >= MOST:
            raise QueryError(f"more than {MOST} windows: shorten the time or lengthen the windows")
        if self._is_even(first, last):
            # Counted in whole numbers: between two ends they would be counted in floats, and the last one be lost.
            return first + np.arange((last - first) // self.interval + 1, dtype=np.int64) * self.interval
        found, start = [], first
        while start <= last:
            found.append(start)
            following = self.start_of(start + self.interval)
            # A window that the clock made longer still holds the time one interval on.
            start = following if following > start else self.start_of(start + self.interval + HOUR)
        return np.array(found, np.int64)

    def _is_even(self, first: int, last: int) -> bool:
        """Tell whether the clock stays as it is from a day before to a day behind; nowhere is it changed for a day."""
        if self._zone is None:
            return True
        shift = self._shift(first - DAY)
        return all(self._shift(time) == shift for time in range(first, last + 2 * DAY, DAY))

    def _shift(self, time: int) -> int:
        return 0 if self._zone is None else _shift_of(self._zone, max(0, time) // SECOND)


@lru_cache(maxsize=16_384)
def _shift_of(zone: tzinfo, second: int) -> int:
    """Return how far a zone is ahead (ns). Boards ask for the same days again and again."""
    shift = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
    return 0 if shift is None else round(shift.total_seconds()) * SECOND
