"""Moves days that are over from ``reading`` into ``history``, sorted by series and time.

Theory of operation. ``reading`` takes what comes in the order in which it comes: cheap to write, dear to keep and to
ask. A day that is over is moved whole, in one transaction, or in several of some series each where it is large: a
reading is in the one table or in the other at every instant, whatever happens. What comes late for a day that was moved
lands in ``reading`` like everything else and is moved after it, sorted in itself; readers sort what they read anyway.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta, tzinfo
from typing import Any, Final

from linli_core.instant import DAY, HOUR, Instant, from_datetime, to_datetime
from linli_platform.days import bounds, day_of
from linli_platform.store.aside import Aside

PIECE: Final = 1_000_000
"""Readings moved by one transaction: half a second's work, and what sorting them takes fits any memory limit."""

SETTLES: Final = 2 * HOUR
"""A day stays where it is for so long after its end: most of what comes late is there by then."""

_EARLIEST: Final = from_datetime(to_datetime(0).replace(year=1900))
_ALL: Final = (0, 2**31 - 1)


@dataclass(slots=True)
class Compacted:
    """What a compaction did.

    Attributes:
        readings: Readings moved.
        days: Days they were of, as ordinals.
        longest_commit_s: For how long a writer may have had to wait.
    """

    readings: int = 0
    days: list[int] = field(default_factory=list)
    longest_commit_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Readings of one day and some series.

    Attributes:
        day: Ordinal of the day.
        start, end: When it begins and ends.
        first, last: The series.
    """

    day: int
    start: Instant
    end: Instant
    first: int = _ALL[0]
    last: int = _ALL[1]

    @property
    def where(self) -> str:
        """The readings as a condition of SQL; numbers of ours alone stand in it."""
        return f"time >= {self.start} AND time < {self.end} AND series BETWEEN {self.first} AND {self.last}"


Rows = Callable[[str], list[tuple[Any, ...]]]


def due(rows: Rows, now: Instant, zone: tzinfo) -> list[date]:
    """Return the days of which ``reading`` holds anything that are over for a while, oldest first."""
    limit = bounds(day_of(now - SETTLES, zone), zone)[0]
    found = rows(
        f"SELECT DISTINCT time // {DAY} FROM reading WHERE time >= {_EARLIEST} AND time < {limit} ORDER BY 1"  # noqa: S608 - numbers
    )
    days: set[date] = set()
    for (number,) in found:
        day, last = day_of(number * DAY, zone), day_of(min((number + 1) * DAY, limit) - 1, zone)
        while day <= last:
            days.add(day)
            day += timedelta(days=1)
    return sorted(days)


def pieces(rows: Rows, day: date, zone: tzinfo, most: int) -> list[Piece]:
    """Return the pieces in which a day is moved; none if nothing is there."""
    start, end = bounds(day, zone)
    counts = rows(
        f"SELECT series, count(*) FROM reading WHERE time >= {start} AND time < {end} GROUP BY 1 ORDER BY 1"  # noqa: S608 - numbers
    )
    found: list[Piece] = []
    first, held = _ALL[0], 0
    for series, count in counts:
        if held and held + count > most:
            found.append(Piece(day.toordinal(), start, end, first, series - 1))
            first, held = series, 0
        held += count
    return [*found, Piece(day.toordinal(), start, end, first)] if counts else []


def move(aside: Aside, piece: Piece) -> int:
    """Move a piece, inside a transaction of ``aside``; return how many readings that were."""
    aside.execute(
        "INSERT INTO head SELECT series, max(time),"  # noqa: S608 - numbers
        " unnest(arg_max({'value': value, 'text': text, 'quality': quality}, time))"
        f" FROM reading WHERE {piece.where} GROUP BY series"
        " ON CONFLICT (series) DO UPDATE SET time = excluded.time, value = excluded.value, text = excluded.text,"
        " quality = excluded.quality WHERE excluded.time >= head.time"
    )
    ((moved,),) = aside.execute(
        f"INSERT INTO history SELECT series, time, value, text, quality, {piece.day} FROM reading"  # noqa: S608 - numbers
        f" WHERE {piece.where} ORDER BY series, time"
    )
    aside.execute(f"DELETE FROM reading WHERE {piece.where}")  # noqa: S608 - numbers
    return int(moved)
