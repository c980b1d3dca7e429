"""Moves days that are over from ``reading`` into ``history``, sorted by series and time.

Theory of operation. ``reading`` takes what comes in the order in which it comes: cheap to write, dear to keep and to
ask. A day that is over is moved whole, in one transaction, or in several of some series each where it is large: a
reading is in the one table or in the other at every instant, whatever happens. What comes late for a day that was moved
lands in ``reading`` like everything else and is moved after it, sorted in itself; readers sort what they read anyway.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final

import duckdb

from linli_core.instant import DAY, HOUR, Instant, from_datetime, to_datetime
from linli_platform.days import bounds, day_of
from linli_platform.store import StoreError, packed, removal, rollup
from linli_platform.store.aside import Aside
from linli_platform.store.extent import Extent
from linli_platform.store.packed import Piece

PIECE: Final = 4 * packed.ROWS
"""Readings moved by one transaction: what sorting them takes fits any memory limit. Groups of rows that are whole are
on the disk before the commit, for which the writer waits a tenth of a second or so, however many they are."""

_LOG_BYTES: Final = 4 * 1024 * 1024
"""What a piece leaves in the write-ahead log for which it is worth bringing that in: twice as much is usual."""

_WORTH_FILLING: Final = packed.ROWS // 8
"""DuckDB begins another group of rows where a group lacks less than that."""

SETTLES: Final = 2 * HOUR
"""A day stays where it is for so long after its end: most of what comes late is there by then."""

_EARLIEST: Final = from_datetime(to_datetime(0).replace(year=1900))
_ALWAYS: Final = (-(2**62), 2**62)


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


@dataclass(slots=True)
class Expired:
    """What retention took out.

    Attributes:
        readings: Readings.
        rollups: Rows of rollups.
    """

    readings: int = 0
    rollups: int = 0


Rows = Callable[[str], list[tuple[Any, ...]]]
Widen = Callable[[Callable[[Extent], Extent]], None]


def due(rows: Rows, now: Instant, zone: tzinfo) -> list[date]:
    """Return the days of which ``reading`` holds anything that are over for a while, oldest first."""
    limit = bounds(day_of(now - SETTLES, zone), zone)[0]
    found = rows(
        f"SELECT DISTINCT {rollup.floor('time', DAY)} FROM reading"  # noqa: S608 - numbers
        f" WHERE time >= {_EARLIEST} AND time < {limit} ORDER BY 1"
    )
    days: set[date] = set()
    for (begin,) in found:
        day, last = day_of(begin, zone), day_of(min(begin + DAY, limit) - 1, zone)
        while day <= last:
            days.add(day)
            day += timedelta(days=1)
    return sorted(days)


def pieces(rows: Rows, day: date, zone: tzinfo, most: int, table: str = "reading", room: int = 0) -> Iterator[Piece]:
    """Yield the pieces in which what is there of a day is moved from a table, each when the one before was moved.

    What comes meanwhile, for ever maybe, is left to the next time; for the arguments see :func:`next_piece`.
    """
    start, end = bounds(day, zone)
    ((left,),) = rows(f"SELECT count(*) FROM {table} WHERE time >= {start} AND time < {end}")  # noqa: S608 - numbers
    while left > 0 and (piece := next_piece(rows, day, zone, min(left, most), table, room)):
        yield piece
        left -= piece.readings
        room = 0


def next_piece(rows: Rows, day: date, zone: tzinfo, most: int, table: str, room: int) -> Piece | None:
    """Return what is moved next of a day that is in a table; ``None`` if nothing is left.

    As many readings as fill groups of rows, however series go into these: DuckDB writes a group that is whole at once
    and for good, and one that is not takes more room for ever. Texts come last: in a group that has any, each of its
    rows bears the number of one.

    Args:
        rows: Runs a query.
        day: The day.
        zone: Whose day.
        most: How many readings at most.
        table: Where they are.
        room: How many lacks the group of rows that was written last.
    """
    start, end = bounds(day, zone)
    ordinal = day.toordinal()
    kept = removal.kept(rows, ordinal)
    of_day = f"FROM {table} WHERE time >= {start} AND time < {end}{kept}"
    counts = rows(f"SELECT text IS NOT NULL, series, count(*) {of_day} GROUP BY 1, 2 ORDER BY 1, 2")
    left = sum(count for _, _, count in counts)
    if not left:
        return None
    whole = left // packed.ROWS * packed.ROWS
    readings = wanted = room if _WORTH_FILLING <= room <= min(left, most) else min(whole or left, most)
    for texts, series, count in counts:
        if wanted < count:
            of_series = f"{of_day} AND series = {series} AND (text IS NOT NULL) = {texts}"
            after = rows(f"SELECT time {of_series} ORDER BY 1 LIMIT 1 OFFSET {wanted}")
            # None: the writer took some out meanwhile.
            return Piece(ordinal, start, end, readings, series, after[0][0] if after else None, texts, kept)
        wanted -= count
        if not wanted:
            return Piece(ordinal, start, end, readings, series, None, texts, kept)
    raise AssertionError("a piece of more readings than there are")


class Compactor:
    """Moves what is due, a piece after the other.

    Args:
        path: The file, for errors.
        aside: In whose transactions it is moved.
        cursor: Returns a new connection to the file.
        widen: Is told, before it is committed, where there will be something that was moved.

    Attributes:
        stopping: Set, nothing more is begun.
    """

    def __init__(self, path: Path, aside: Aside, cursor: Callable[[], duckdb.DuckDBPyConnection], widen: Widen) -> None:
        self._path = path
        self._aside = aside
        self._cursor = cursor
        self._widen = widen
        self.stopping = threading.Event()

    def compact(self, now: Instant, zone: tzinfo, most: int) -> Compacted:
        """Move what is due; see :meth:`linli_platform.store.duckdb.DuckDBStore.compact`."""
        done = Compacted()
        for day in due(self._rows, now, zone):
            for piece in pieces(self._rows, day, zone, most, room=packed.room(self._rows)):
                if self.stopping.is_set():
                    return done
                self._move(piece, done)
                done.days.append(day.toordinal())
        self._pack_again(zone, most)
        self._sort_days(most)
        return done

    def _pack_again(self, zone: tzinfo, most: int) -> None:
        """Pack what an earlier version moved, a piece after the other."""
        for (day,) in self._rows("SELECT DISTINCT day FROM history ORDER BY 1"):
            for piece in pieces(self._rows, date.fromordinal(day), zone, most, "history"):
                if self.stopping.is_set():
                    return
                with self._transaction(piece.start, piece.end - 1):
                    packed.pack(self._aside.execute, "history", piece)

    def _sort_days(self, most: int) -> None:
        """Sort the days of all series if many are not; killed or disturbed, it begins anew the next time."""
        ranges, day = rollup.sorting(self._rows, most)
        for first, last in ranges:
            if self.stopping.is_set():
                return
            with self._transaction(*_ALWAYS):
                rollup.sort(self._aside.execute, first, last)
        if ranges:
            with self._transaction(*_ALWAYS):
                rollup.note_sorted(self._aside.execute, day)

    def retain(self, now: Instant, zone: tzinfo, rules: removal.Retention) -> Expired:
        """Take out what is over, a day after the other; see :meth:`linli_platform.store.duckdb.DuckDBStore.retain`."""
        done = Expired()
        execute = self._aside.execute
        for kind, days in rules.kinds.items():
            first = removal.limit_of(now, days, zone).toordinal()
            begin = removal.begin_of(first, zone)
            # Noted before anything goes: what goes cannot be told from what was never there.
            with self._transaction(-(2**62), begin):
                removal.note_raw_from(execute, kind, first)
                done.readings += removal.expire_fresh(execute, kind, begin)
            for day in removal.expired_days(self._rows, kind, first):
                if self.stopping.is_set():
                    return done
                with self._transaction(removal.begin_of(day, zone), removal.begin_of(day + 1, zone)):
                    done.readings += removal.expire_day(execute, kind, day, zone)
        for table, (days, bit) in rules.tables.items():
            first = removal.limit_of(now, days, zone).toordinal()
            with self._transaction(-(2**62), removal.begin_of(first, zone)):
                done.rollups += removal.expire_rollup(execute, table, first, bit)
        return done

    def _move(self, piece: Piece, done: Compacted) -> None:
        with self._transaction(piece.start, piece.end - 1):
            done.readings += move(self._aside, piece)
            self._widen(lambda extent: extent.with_moved(piece.start, piece.end))
            ended = time.monotonic()
        done.longest_commit_s = max(done.longest_commit_s, time.monotonic() - ended)

    @contextmanager
    def _transaction(self, first: Instant, last: Instant) -> Iterator[None]:
        try:
            with self._aside.transaction(self._cursor(), first, last):
                yield
        except duckdb.Error as exc:
            raise StoreError(f"{self._path}: upkeep: nothing of it was kept: {exc}") from exc
        try:
            length = self._path.with_name(self._path.name + ".wal").stat().st_size
        except FileNotFoundError:
            return
        try:
            if length >= _LOG_BYTES:
                self._aside.bring_in(self._cursor(), self._cursor())
        except duckdb.Error as exc:
            raise StoreError(f"{self._path}: upkeep: the log could not be brought in: {exc}") from exc

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        cursor = self._cursor()
        try:
            return cursor.execute(query).fetchall()
        except duckdb.Error as exc:
            raise StoreError(f"{self._path}: {exc}") from exc
        finally:
            cursor.close()


def move(aside: Aside, piece: Piece) -> int:
    """Move a piece, inside a transaction of ``aside``; return how many readings that were."""
    aside.execute(
        "INSERT INTO head SELECT n.*, d.device_time FROM (SELECT series, max(time) AS time,"  # noqa: S608 - numbers
        " unnest(arg_max({'value': value, 'text': text, 'quality': quality}, time))"
        f" FROM reading WHERE {piece.where} GROUP BY series) n LEFT JOIN device_time d ON d.series = n.series"
        f" AND d.time = n.time AND d.time >= {piece.start} AND d.time < {piece.end}"
        " ON CONFLICT (series) DO UPDATE SET time = excluded.time, value = excluded.value, text = excluded.text,"
        " quality = excluded.quality, told = excluded.told WHERE excluded.time >= head.time"
    )
    touched = rollup.touch(
        aside.execute,
        f"SELECT DISTINCT series, {piece.day} AS day, {piece.start} AS start FROM reading WHERE {piece.where}",  # noqa: S608 - numbers
    )
    moved = packed.pack(aside.execute, "reading", piece)
    if touched is not None:
        rollup.redo(aside.execute, touched)
    return moved
