"""What the DuckDB file holds beside readings and marks: events, quarantine, how complete days are."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager

import duckdb

from linli_core.instant import Instant
from linli_platform.store import CompleteDay, DayCounts, EventRow, EventSort, Quarantined, completeness, statements


class Records(ABC):
    """Reads and writes them, through connections of whoever has the file open."""

    _completing: threading.Lock
    """Held while a day is made and written."""

    @abstractmethod
    def _reader(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a cursor that sees the last commit."""

    @abstractmethod
    def _changes(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a transaction in the writer's turn."""

    def events(
        self,
        start: Instant,
        end: Instant,
        *,
        gateways: Collection[str] | None = None,
        types: Collection[str] | None = None,
        limit: int = 1_000,
    ) -> list[EventRow]:
        """Return events with ``start <= time < end``, newest first, of gateways and of types that begin so if given."""
        with self._reader() as cursor:
            return statements.read_events(cursor, start, end, gateways, types, max(0, limit))

    def event_sorts(self) -> list[EventSort]:
        """Return every sort of event there ever was."""
        with self._reader() as cursor:
            return statements.read_event_sorts(cursor)

    def quarantine(
        self, *, gateway: str | None = None, number: int | None = None, limit: int = 100
    ) -> list[Quarantined]:
        """Return quarantined messages, newest first."""
        with self._reader() as cursor:
            return statements.read_quarantined(cursor, gateway, number, max(0, limit))

    def discard(self, number: int) -> bool:
        """Take a message out of the quarantine; tell whether it was there."""
        with self._changes() as connection:
            gone = connection.execute("DELETE FROM quarantine WHERE number = ? RETURNING number", [number])
            return bool(gone.fetchall())

    def late_days(self) -> list[Instant]:
        """Return moments of which late readings came since their day was counted."""
        with self._reader() as cursor:
            return completeness.late_days(cursor)

    def count_readings(self, start: Instant, end: Instant) -> DayCounts:
        """Return by series how many readings with ``start <= time < end`` there are."""
        with self._reader() as cursor:
            return completeness.count_readings(cursor, start, end)

    def complete(
        self, start: Instant, end: Instant, expected: Mapping[int, int | None], counts: DayCounts, now: Instant
    ) -> None:
        """Write how complete a day is, in place of what was written of it."""
        with self._completing:
            with self._reader() as cursor:
                day = completeness.make_day(cursor, start, end, expected, counts)
            with self._changes() as connection:
                completeness.write_day(connection, day, now)

    def completeness(self, series: Iterable[int], start: Instant, end: Instant) -> list[CompleteDay]:
        """Return the days with ``start <= day < end`` of series, by series and day."""
        with self._reader() as cursor:
            return completeness.read_days(cursor, series, start, end)

    def newest_complete(self) -> Instant | None:
        """Return the newest day of which completeness was written."""
        with self._reader() as cursor:
            found = cursor.execute("SELECT max(day) FROM completeness").fetchall()
        return None if found[0][0] is None else int(found[0][0])

    def probe(self) -> None:
        """Write something small, durably."""
        with self._changes() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('probed', now()::VARCHAR)")
