"""The embedded store: one DuckDB file.

Readings are appended; nothing is updated but a reading that a better one replaces (``docs/adr/0007-store.md``). Marks
of one commit are one row of a journal, folded into the table ``mark`` now and then: a commit costs the same whether one
gateway spoke or two hundred.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, tzinfo
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_core.model import Quality, parse_point, quality_code
from linli_platform.store import (
    MOST_READINGS,
    Aggregate,
    Appended,
    Batch,
    Capabilities,
    EventRow,
    Fence,
    Fenced,
    LatestRow,
    Quarantined,
    Row,
    SeriesInfo,
    StoreError,
    StoreUnavailable,
    completeness,
    device_time,
    duckdb_query,
    packed,
    removal,
    statements,
)
from linli_platform.store.arrange import Held, arrange, settle
from linli_platform.store.aside import Aside
from linli_platform.store.cache import Cache
from linli_platform.store.compaction import PIECE, Compacted, Compactor, Expired
from linli_platform.store.cursors import Cursors
from linli_platform.store.extent import Reach, extent_of
from linli_platform.store.heads import Heads
from linli_platform.store.query import Measure, Scan, Steps, Windows
from linli_platform.store.records import Records
from linli_platform.store.removal import Retention
from linli_platform.store.schema import connect, installation_of, note_zone, share_of, zone_of
from linli_platform.store.snapshot import Snapshot
from linli_platform.store.transaction import told, transaction

_BAD: Final = quality_code(Quality.BAD)
_FOLD_AFTER: Final = 4096
_FOLD_BYTES: Final = 2_000_000
"""Rows and bytes of the journal of marks from which on it is folded: each checkpoint writes all of it anew."""

_FENCE: Final = "fence:"
_MICROSECONDS_MAX: Final = 2**62


class DuckDBStore(Records):
    """Readings, events and marks in one DuckDB file: the :class:`linli_platform.store.Store` that needs no server.

    ``with DuckDBStore(path) as store`` opens the file and recovers the newest readings. One writer at a time (a lock
    sees to it); reads go through cursors of their own and see the last commit.

    Args:
        path: The file.
        memory_limit: What DuckDB may hold in memory, as DuckDB writes it (``512MB``).
        threads: Threads DuckDB may use for one query.
        zone: Where its days begin.

    Attributes:
        path: The file.
        zone: As given.
        installation: Whose store it is, once it is open; random, and the same for its whole life.
    """

    def __init__(self, path: Path, *, memory_limit: str = "512MB", threads: int = 2, zone: tzinfo = UTC) -> None:
        self.path = path
        self.zone = zone
        self._memory_limit = memory_limit
        self._threads = threads
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._broken = False
        self._write = threading.Lock()
        self._completing = threading.Lock()
        self._state = threading.Lock()
        self._aside = Aside(self._write)
        self._reach = Reach()
        self._compactor = Compactor(path, self._aside, self._cursor, self._reach.widen)
        self._calm = 0
        self._heads = Heads()
        self._series: dict[tuple[str, str], SeriesInfo] = {}
        self._by_id: list[SeriesInfo | None] = [None]
        self._unsaved: list[SeriesInfo] = []
        self._fences: dict[str, int] = {}
        self._journal = 0
        self._journal_rows = 0
        self._journal_bytes = 0
        self._cache = Cache(path, memory_limit)
        self._late = 0
        self._share = ""
        self._cursors = Cursors(path)
        self._days_of: tzinfo | None = None
        self.installation = ""

    def __enter__(self) -> Self:
        self._compactor.stopping.clear()
        self._open()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with self._write, self._state:
            self._aside.give_way()
            self._close()

    @property
    def capabilities(self) -> Capabilities:
        """DuckDB can do all of it."""
        return Capabilities()

    # Series

    def series(self, gateway: str, name: str) -> SeriesInfo:
        """Return the series of a point name; a new one is written with the next commit."""
        found = self._series.get((gateway, name))
        if found is not None:
            return found
        point = parse_point(name)
        with self._state:
            found = self._series.get((gateway, name))
            if found is None:
                found = SeriesInfo(len(self._by_id), gateway, point.device, name, point.quantity)
                self._heads.reserve(found.id)
                self._unsaved.append(found)
                self._by_id.append(found)
                self._series[gateway, name] = found
        return found

    def find(self, gateway: str, name: str) -> SeriesInfo | None:
        """Return the series of a point name if it exists."""
        return self._series.get((gateway, name))

    def get(self, series: int) -> SeriesInfo | None:
        """Return the series with this id if it exists."""
        return self._by_id[series] if 0 < series < len(self._by_id) else None

    def all_series(self) -> list[SeriesInfo]:
        """Return every series, by id."""
        with self._state:
            return [info for info in self._by_id if info is not None]

    # Writing

    def append(
        self,
        batch: Batch,
        marks: Mapping[str, bytes],
        *,
        events: Sequence[EventRow] = (),
        quarantined: Sequence[Quarantined] = (),
        fence: Fence | None = None,
    ) -> Appended:
        """Commit readings, events and marks in one transaction; on return they are on disk."""
        with self._write:
            if self._broken:
                self._reopen()
            connection = self._connected()
            if fence is not None:
                self._check(fence)
            with self._state:
                unsaved = list(self._unsaved)
            body = msgspec.msgpack.encode(dict(marks)) if marks else b""
            for at in statements.swaps_of(events):
                self._aside.give_way(at, at)  # it reckons by the events that were known when it began
            if len(batch):
                first = int(batch.time.min())
                self._reach.widen(lambda extent: extent.with_fresh(first))
            with transaction(connection, self.path, self.mark_broken):
                if unsaved:
                    statements.insert_series(connection, unsaved)
                appended, rows = self._append_readings(connection, batch)
                filled = device_time.keep(connection, batch, rows, self._stored) if batch.device_times else None
                new_events = statements.insert_events(connection, events)
                statements.redo_swapped(connection, [events[number] for number in new_events])
                if body:
                    connection.execute("INSERT INTO mark_journal VALUES (?, ?)", [self._journal + 1, body])
                statements.insert_quarantined(connection, quarantined)
            with self._state:
                del self._unsaved[: len(unsaved)]
                self._heads.take(batch, rows)
                if filled is not None:
                    self._heads.fill(batch, filled)
            if body:
                self._journal += 1
                self._journal_rows += 1
                self._journal_bytes += len(body)
            # The batch is committed whatever becomes of this.
            self._tidy(connection)
            return Appended(appended.new, appended.duplicates, appended.conflicts, new_events)

    # Ownership

    @property
    def is_exclusive(self) -> bool:
        """DuckDB lets one process in."""
        return True

    def fenced(self, name: str) -> int:
        """Return the term from which on commits of this name are taken."""
        return self._fences.get(name, 0)

    def fence(self, fence: Fence) -> None:
        """Refuse from now on commits under an older term of the same name."""
        with self._write:
            if self._broken:
                self._reopen()
            connection = self._connected()
            self._check(fence)
            with transaction(connection, self.path, self.mark_broken):
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [_FENCE + fence.name, str(fence.term)])
            self._fences[fence.name] = fence.term

    def _check(self, fence: Fence) -> None:
        """Writers come one at a time (the caller holds the lock): what is found here holds until the commit."""
        if (term := self.fenced(fence.name)) > fence.term:
            raise Fenced(f"{fence.name} belongs to the owner of term {term}, no longer to that of {fence.term}")

    def _append_readings(
        self, connection: duckdb.DuckDBPyConnection, batch: Batch
    ) -> tuple[Appended, NDArray[np.int64]]:
        if not len(batch):
            return Appended(np.empty(0, np.int64), 0, 0, ()), np.empty(0, np.int64)
        arranged = arrange(batch)
        rows = arranged.rows
        duplicates, conflicts = arranged.duplicates, arranged.conflicts
        sure = self._heads.surely_new(batch.series[rows], batch.time[rows])
        if not sure.all():
            settled = settle(batch, statements.look_up(connection, batch, rows[~sure]))
            duplicates += settled.duplicates
            conflicts += settled.conflicts
            if settled.replacing:
                replaced = np.array(settled.replacing, np.int64)
                times = batch.time[replaced]
                self._aside.give_way(int(times.min()), int(times.max()))
                statements.delete(connection, batch, replaced)
                device_time.delete(connection, batch, replaced)
            rows = settled.leave(rows)
        statements.insert_readings(connection, batch, rows)
        if note := completeness.note_late(batch, rows):
            self._late += 1
            completeness.insert_late(connection, self._late, note)
        return Appended(np.sort(rows), duplicates, conflicts, ()), rows

    def _stored(self, connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> Iterable[Held]:
        """Return what is stored of the identities of rows, those of this transaction too."""
        return statements.look_up(connection, batch, rows)

    def delete(self, series: Iterable[int], start: Instant, end: Instant) -> int:
        """Take readings with ``start <= time < end`` of series out for good; return how many there were."""
        chosen = [number for number in series if self.get(number) is not None]
        with self._write:
            if self._broken:
                self._reopen()
            self._aside.give_way()
            connection = self._connected()
            with transaction(connection, self.path, self.mark_broken):
                zone = zone_of(connection) or self.zone
                gone = removal.remove(statements.plainly(connection), chosen, start, end, zone)
                newest = [head for head in statements.read_heads(connection) if head[0] in set(chosen)]
                device_times = device_time.of_newest(connection, {head[0]: head[1] for head in newest})
            with self._state:
                for number in chosen:
                    self._heads.forget(number)
                for head in newest:
                    self._heads.recover(*head)
                self._heads.device_times.update(device_times)
        return gone

    def _tidy(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Do after a commit what keeps the next ones and the memory small; what fails now is done another time."""
        if self._journal_rows >= _FOLD_AFTER or self._journal_bytes >= _FOLD_BYTES:
            with suppress(StoreError):
                self._fold()
        if self._cache.was_written():
            # No query begins meanwhile: it would be refused for memory that is lacking for this moment only.
            with self._state, suppress(duckdb.Error):  # a file that is of no more use says so to the next commit
                if not self._cursors and not self._calm:
                    self._cache.give_back(connection)

    def _fold(self) -> None:
        """Bring the journal of marks into the table of marks."""
        connection = self._connected()
        with transaction(connection, self.path, self.mark_broken):
            marks = statements.read_marks(connection)
            connection.execute("DELETE FROM mark")
            connection.execute("DELETE FROM mark_journal")
            statements.insert_marks(connection, marks)
        self._journal_rows = self._journal_bytes = 0

    def marks(self) -> dict[str, bytes]:
        """Return each gateway's mark as committed last."""
        with self._reader() as cursor:
            return statements.read_marks(cursor)

    # Reading

    def latest(self, series: Iterable[int] | None = None) -> list[LatestRow]:
        """Return the newest reading by observation time of the given series, or of all."""
        with self._state:
            return self._heads.latest(self._by_id, series)

    def read(
        self,
        series: int,
        start: Instant,
        end: Instant,
        *,
        step: int | None = None,
        aggregate: Aggregate | None = None,
        limit: int = 10_000,
    ) -> list[Row]:
        """Return readings or steps with ``start <= time < end``, in order of time."""
        start, end = max(-_MICROSECONDS_MAX, start), min(_MICROSECONDS_MAX, end)
        with self._reader() as cursor:
            return self._reach.ask(
                cursor, duckdb_query.read, series, start, end, step, aggregate, limit=max(0, limit), bad=_BAD
            )

    def scan(
        self,
        series: Sequence[int],
        start: Instant,
        end: Instant,
        *,
        texts: bool = True,
        least: int = 0,
        limit: int = MOST_READINGS,
    ) -> Scan:
        """Return the readings of many series with ``start <= time < end``."""
        start, end = max(-_MICROSECONDS_MAX, start), min(_MICROSECONDS_MAX, end)
        numbers = np.array(series, np.int32)
        with self._reader() as cursor:
            return self._reach.ask(cursor, duckdb_query.scan, numbers, start, end, least, texts=texts, limit=limit)

    def steps(self, groups: Mapping[int, int], windows: Windows, wanted: frozenset[Measure]) -> Steps:
        """Return what groups of series come to in each window that holds any usable number."""
        zone = self._days_of
        with self._reader() as cursor:
            return self._reach.ask(cursor, duckdb_query.steps, groups, windows, wanted, _BAD, zone)

    def count(self) -> int:
        """Return the number of readings held."""
        return int(self._rows(packed.COUNT, {})[0][0])

    def count_device_times(self) -> int:
        """Return of how many readings the device's own time is held."""
        return int(self._rows(packed.COUNT_DEVICE_TIMES, {})[0][0])

    def count_distinct(self) -> int:
        """Return the number of distinct (series, time) held."""
        query = "SELECT count(*) FROM (SELECT DISTINCT series, time FROM readings)"
        return int(self._rows(query, {})[0][0])

    def size_bytes(self) -> int:
        """Return the bytes on disk, write-ahead log included."""
        files = (self.path, self.path.with_name(self.path.name + ".wal"))
        size = 0
        for file in files:
            with suppress(FileNotFoundError):  # the log goes when it has been brought in
                size += file.stat().st_size
        return size

    def bytes_in_use(self) -> int:
        """Return the bytes of the file that hold something; the others are filled before it grows."""
        return int(self._rows("SELECT used_blocks * block_size FROM pragma_database_size()", {})[0][0])

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the main file."""
        with self._write, self._aside.bringing_in:
            # DuckDB brings nothing into the file while another transaction writes.
            self._aside.give_way()
            try:
                self._connected().checkpoint()
            except duckdb.Error as exc:
                raise StoreError(f"{self.path}: checkpoint: {exc}") from exc

    # Upkeep

    def compact(self, now: Instant, *, most: int = PIECE) -> Compacted:
        """Move readings of days that are over to where they take little room; the store goes on meanwhile.

        Args:
            now: The present instant.
            most: Readings moved at a time.

        Raises:
            GaveWay: The writer had to change what was being moved; what is not moved yet is moved the next time.
            StoreError: The disk is full or fails; what is not moved yet is moved the next time, and nothing is lost.
        """
        with told(self.path, "upkeep"), self._one_thread(), self._aside.keeping_log(self._cursor()):
            done = self._compactor.compact(now, self._days(), most)
        if done.days:
            with self._write, suppress(duckdb.Error):  # a file that is of no more use says so to the next commit
                self._reach.narrow(self._connected())
        return done

    def retain(self, now: Instant, rules: Retention) -> Expired:
        """Take out what is older than it is to be kept; the store goes on meanwhile.

        Args:
            now: The present instant.
            rules: For how long what is kept.

        Raises:
            StoreError: The disk is full or fails, or the writer came first; the rest goes the next time.
        """
        with told(self.path, "upkeep"), self._one_thread(), self._aside.keeping_log(self._cursor()):
            return self._compactor.retain(now, self._days(), rules)

    def _days(self) -> tzinfo:
        """Return the zone by which this file has its days: that of its first compaction, for ever."""
        with self._write:
            if self._broken:
                self._reopen()
            connection = self._connected()
            found = zone_of(connection)
            if found is None:
                with transaction(connection, self.path, self.mark_broken):
                    note_zone(connection, self.zone)
                found = self.zone
            self._days_of = found
        return found

    def stop_upkeep(self) -> None:
        """Let :meth:`compact` return, soon, and from now on do nothing."""
        self._compactor.stopping.set()

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Work for seconds and more: one core is left to who brings readings and who is alarmed."""
        self._calm_by(1)
        try:
            yield
        finally:
            self._calm_by(-1)

    def _calm_by(self, change: int) -> None:
        with self._state:
            self._calm += change
            if self._connection is not None:
                with suppress(duckdb.Error):  # a file that is of no more use says so to whoever works with it
                    self._connection.cursor().execute(f"SET threads = {1 if self._calm else self._threads}")

    @contextmanager
    def snapshot(self, pin: Callable[[], None] = lambda: None) -> Iterator[Snapshot]:
        """Yield the store as it is at one instant between two commits; it goes on meanwhile.

        Args:
            pin: Called at that instant: whatever else belongs to the same picture is fixed there.
        """
        with self._write:
            if self._broken:
                self._reopen()
            cursor = self._connected().cursor()
            try:
                cursor.begin()
                cursor.execute("SELECT count(*) FROM meta").fetchall()
                pin()
            except duckdb.Error as exc:
                cursor.close()
                raise StoreError(f"{self.path}: no snapshot can be taken: {exc}") from exc
            except BaseException:
                cursor.close()
                raise
        with self._cursors.used(cursor), self._one_thread():
            yield Snapshot(self.path, cursor)

    # The connection

    def _rows(self, query: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        with self._reader() as cursor:
            return cursor.execute(query, dict(values) if values else None).fetchall()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._state:
            return self._connected().cursor()

    @contextmanager
    def _reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor for the calling thread alone."""
        with self._state:
            connection = self._connected()
            taken = self._cursors.take(connection)
        with self._cursors.asking(connection, taken, self._share) as cursor:
            yield cursor

    def _connected(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            raise StoreUnavailable(f"{self.path} is not open")
        return self._connection

    def _open(self) -> None:
        """Open the file, or leave it closed: then the next write opens it."""
        connection = connect(self.path, self._memory_limit, self._threads)
        try:
            self._take_in(connection)
        except BaseException as exc:
            with self._state:
                self._connection, self._broken = connection, True
                self._close()
            if isinstance(exc, duckdb.Error):
                raise StoreUnavailable(f"{self.path}: it cannot be read: {exc}") from exc
            raise

    def _take_in(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Learn from a file that was opened what is kept of it in memory, and use it from then on."""
        self._share = share_of(connection)
        heads = Heads()
        known = [
            SeriesInfo(*row)
            for row in connection.execute("SELECT id, gateway, device, name, quantity FROM series").fetchall()
        ]
        by_id: list[SeriesInfo | None] = [None] * (1 + max((info.id for info in known), default=0))
        for info in known:
            by_id[info.id] = info
            heads.reserve(info.id)
        newest = {}
        for head in statements.read_heads(connection):
            heads.recover(*head)
            newest[head[0]] = head[1]
        heads.device_times.update(device_time.of_newest(connection, newest))
        zone, extent = zone_of(connection), extent_of(connection)
        with self._state:
            self._heads = heads
            # Series asked for since the last commit keep their numbers: batches on their way carry them.
            saved = {(info.gateway, info.name) for info in known}
            self._unsaved = [info for info in self._unsaved if (info.gateway, info.name) not in saved]
            for info in self._unsaved:
                by_id.extend([None] * (info.id + 1 - len(by_id)))
                by_id[info.id] = info
                heads.reserve(info.id)
            self._by_id = by_id
            self._series = {(info.gateway, info.name): info for info in by_id if info is not None}
            self._connection = connection
            self._broken = False
            self._days_of, self._reach.extent = zone, extent
        self.installation = installation_of(connection)
        fences = connection.execute("SELECT key, value FROM meta WHERE starts_with(key, ?)", [_FENCE]).fetchall()
        self._fences = {key.removeprefix(_FENCE): int(term) for key, term in fences}
        self._journal_rows = connection.execute("SELECT count(*) FROM mark_journal").fetchall()[0][0]
        self._late = max(self._late, completeness.newest_note(connection))
        if self._journal_rows:
            self._fold()

    def _recover_device_times(self, newest: Mapping[int, Instant]) -> None:
        """Set those of newest readings as found in the file; whoever calls holds the state's lock."""
        self._heads.device_times.update(device_time.of_newest(self._connected(), newest))

    def _reopen(self) -> None:
        self._aside.give_way()
        with self._state:
            self._close()
        self._open()

    def _close(self) -> None:
        """Close the file, with the queries that are under way; the caller holds both locks."""
        if self._connection is not None:
            self._cursors.close(self._connection)
            self._connection = None

    @contextmanager
    def _changes(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A transaction in the writer's turn."""
        with self._write:
            if self._broken:
                self._reopen()
            with self._transaction() as connection:
                yield connection

    def _transaction(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a transaction; the caller holds the writer's lock."""
        return transaction(self._connected(), self.path, self.mark_broken)

    def mark_broken(self) -> None:
        """Open the file again before the next write: DuckDB refuses a database that failed inside a commit."""
        self._broken = True
