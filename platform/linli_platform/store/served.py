"""What stores have in common whose readings are on a database server.

The server holds readings and nothing else. Series, marks, events, quarantine, fences and completeness stay in a DuckDB
file beside, by the same code as in the embedded store (``docs/adr/0024-servers.md``). A commit writes to the server
*inside* the file's transaction: store first, mark after. What fails in between is written again, and changes nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import isclose
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import HOUR, Instant
from linli_core.model import Quality, quality_code
from linli_platform.store import (
    MOST_READINGS,
    Aggregate,
    Appended,
    Batch,
    DayCounts,
    EventRow,
    Fence,
    Quarantined,
    Row,
    SeriesInfo,
    StoreUnavailable,
    completeness,
    device_time,
)
from linli_platform.store.arrange import Held, arrange, same_reading, settle
from linli_platform.store.compaction import PIECE, Compacted, Expired
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import (
    MOST_STEPS,
    Measure,
    Scan,
    Steps,
    TooManyReadings,
    Windows,
    refuse_more,
    steps_of,
)
from linli_platform.store.removal import Retention
from linli_platform.store.schema import keeper_of, note_keeper
from linli_platform.store.server import Server
from linli_platform.store.stepped import stepped

BAD: Final = quality_code(Quality.BAD)

_ALL_DIGITS: Final = 17

NEAR: Final = HOUR
"""Late rows of a series that lie no further apart are looked up as one span."""


@dataclass(frozen=True, slots=True)
class Span:
    """``start <= time < end`` of one series."""

    series: int
    start: Instant
    end: Instant


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest reading of a series as the server has it."""

    series: int
    time: Instant
    value: float | None
    text: str | None
    quality: int


class ServedStore(DuckDBStore, ABC):
    """Readings on a server, all else in a file.

    Args:
        path: The file; not that of an embedded store.
        server: Where the readings are; opened and closed with the store.
        database: Where on it; its readings are this file's for ever.
        retention: How long readings are kept; 0 for ever.
        memory_limit: What DuckDB may hold in memory.
        threads: Threads DuckDB may use for one query.
    """

    def __init__(
        self,
        path: Path,
        server: Server,
        database: str,
        *,
        retention: int = 0,
        memory_limit: str = "512MB",
        threads: int = 2,
    ) -> None:
        super().__init__(path, memory_limit=memory_limit, threads=threads)
        self._server = server
        self._database = database
        self._retention = retention
        self._doubtful: set[tuple[int, int]] = set()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._server)
            super().__enter__()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, value, trace)
        self._server.__exit__()

    def compact(self, _now: Instant, *, most: int = PIECE) -> Compacted:  # noqa: ARG002 - a server does it by itself
        """Do nothing: the server makes its own files small."""
        return Compacted()

    def retain(self, now: Instant, _rules: Retention) -> Expired:
        """Take out of the file what the server has let go by now; how long it keeps readings was agreed with it."""
        if not self._retention:
            return Expired()
        limit = now - self._retention
        with self._changes() as connection:
            (gone,) = connection.execute("DELETE FROM reading WHERE time < ?", [limit]).fetchall()[0]
            device_time.withdraw(connection, [info.id for info in self.all_series()], -(2**62), limit)
        return Expired(readings=gone)

    # What each kind of server does its own way

    @property
    @abstractmethod
    def keeper(self) -> str:
        """The kind of server."""

    @abstractmethod
    def _prepare(self) -> None:
        """See that the server can be used, and make on it what is needed; it may have been done before."""

    @abstractmethod
    def _newest(self, series: Sequence[SeriesInfo]) -> Iterable[Newest]:
        """Return the newest reading of each series that has any."""

    @abstractmethod
    def _send(self, connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
        """Write rows of a batch durably; writing them again changes nothing. Runs inside the file's transaction."""

    @abstractmethod
    def _fetch(self, spans: Sequence[Span], *, texts: bool, limit: int) -> Scan:
        """Return the first readings of spans, by span, then by time; no more than ``limit``."""

    @abstractmethod
    def _withdraw(self, spans: Sequence[Span]) -> None:
        """Take out what is in spans, for good; :class:`CannotDelete` if that cannot be."""

    @abstractmethod
    def _counts(self, start: Instant, end: Instant) -> Mapping[int, tuple[int, int]]:
        """Return by series how many readings there are with ``start <= time < end``, and how many are GOOD."""

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
        """Write readings to the server, then commit events and marks; a failure between is mended by trying again."""
        if (resolution := self.capabilities.resolution) > 1:
            batch = replace(batch, time=batch.time // resolution * resolution)
        appended = super().append(batch, marks, events=events, quarantined=quarantined, fence=fence)
        if self._doubtful:
            self._doubtful.difference_update(_identities(batch, appended.new))
        return appended

    def _append_readings(
        self, connection: duckdb.DuckDBPyConnection, batch: Batch
    ) -> tuple[Appended, NDArray[np.int64]]:
        if not len(batch):
            return Appended(np.empty(0, np.int64), 0, 0, ()), np.empty(0, np.int64)
        arranged = arrange(batch)
        rows = arranged.rows
        duplicates, conflicts = arranged.duplicates, arranged.conflicts
        late = rows[~self._heads.surely_new(batch.series[rows], batch.time[rows])]
        if len(late):
            held = [item for item in self._held(batch, late) if not self._is_ours(batch, item)]
            settled = settle(batch, held, replaces=self.capabilities.replaces)
            duplicates += settled.duplicates
            conflicts += settled.conflicts
            # From here on the server may hold them though the commit fails: then they are still new the next time.
            self._doubtful.update(_identities(batch, settled.leave(late)))
            if settled.replacing:
                self._replace(connection, batch, np.array(settled.replacing, np.int64))
            rows = settled.leave(rows)
            if len(written := settled.leave(late)):
                # Of worse readings, and of what the server has let go since.
                device_time.delete(connection, batch, written)
        self._send(connection, batch, rows)
        if len(rows) and (note := completeness.note_late(batch, rows)):
            self._late += 1
            completeness.insert_late(connection, self._late, note)
        return Appended(np.sort(rows), duplicates, conflicts, ()), rows

    def _replace(self, _connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
        """Take out what rows take the place of: written over it, fields that they lack would stay."""
        pairs = zip(batch.series[rows].tolist(), batch.time[rows].tolist(), strict=True)
        self._withdraw([Span(series, time, time + 1) for series, time in pairs])

    def _held(self, batch: Batch, rows: NDArray[np.int64]) -> Iterator[Held]:
        """Yield what the server holds of the identities of rows, which are sorted by series and time."""
        series, time = batch.series[rows], batch.time[rows]
        begins = np.flatnonzero(np.r_[True, (np.diff(series) != 0) | (np.diff(time) > NEAR)])
        ends = np.r_[begins[1:], len(rows)] - 1
        edges = zip(series[begins].tolist(), time[begins].tolist(), time[ends].tolist(), strict=True)
        found = self.fetch([Span(number, first, last + 1) for number, first, last in edges])
        wanted = dict(zip(zip(series.tolist(), time.tolist(), strict=True), rows.tolist(), strict=True))
        for place, (number, at, value, quality) in enumerate(found.rows()):
            if (row := wanted.get((number, at))) is not None:
                yield row, self._as_offered(value, float(batch.value[row])), found.texts.get(place), quality

    def _stored(self, _connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> Iterable[Held]:
        """Yield what the server holds of the identities of rows; several rows may have one."""
        of_identity: dict[tuple[int, int], list[int]] = {}
        for row, identity in zip(rows.tolist(), _identities(batch, rows), strict=True):
            of_identity.setdefault(identity, []).append(row)
        chosen = np.array([of_identity[identity][0] for identity in sorted(of_identity)], np.int64)
        for row, value, text, quality in self._held(batch, chosen):
            for other in of_identity[int(batch.series[row]), int(batch.time[row])]:
                yield other, value, text, quality

    def _is_ours(self, batch: Batch, held: Held) -> bool:
        """Tell whether what is held was written by an attempt of ours that was never committed."""
        row, value, text, quality = held
        if (int(batch.series[row]), int(batch.time[row])) not in self._doubtful:
            return False
        offered = (float(batch.value[row]), batch.texts.get(row), int(batch.quality[row]))
        return same_reading((np.nan if value is None else value, text, quality), offered)

    def _as_offered(self, kept: float | None, offered: float) -> float | None:
        """Return a number as it was offered if the server has merely cut off its last digits."""
        digits = self.capabilities.digits
        if kept is None or digits >= _ALL_DIGITS:
            return kept
        return offered if isclose(kept, offered, rel_tol=10.0 ** (1 - digits)) else kept

    def delete(self, series: Iterable[int], start: Instant, end: Instant) -> int:
        """Take readings with ``start <= time < end`` of series out for good; return how many there were."""
        known = [info for number in series if (info := self.get(number)) is not None]
        with self._write:
            spans = [Span(info.id, start, end) for info in known]
            gone = len(self.fetch(spans, texts=False))
            if gone:
                self._withdraw(spans)
                newest = list(self._newest(known))
                with self._state:
                    for info in known:
                        self._heads.forget(info.id)
                    self._recover(newest)
            # Whether or not: what a broken-off attempt left of it goes now.
            with self._transaction() as connection:
                device_time.withdraw(connection, [info.id for info in known], start, end)
        return gone

    # Reading

    def fetch(self, spans: Sequence[Span], *, texts: bool = True, limit: int = MOST_READINGS) -> Scan:
        """Return the readings of spans; :class:`TooManyReadings` if there are more than ``limit``."""
        found = self._fetch(spans, texts=texts, limit=limit + 1)
        if len(found) > limit:
            raise TooManyReadings(f"more than {limit} readings: ask for a shorter time or for fewer series")
        return found

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
        if step is None:
            if aggregate is not None:
                raise ValueError("an aggregate needs a step")
            found = self._fetch([Span(series, start, end)], texts=True, limit=max(0, limit))
            rows = [
                Row(time, value, found.texts.get(place), quality, int(quality < BAD), int(quality >= BAD))
                for place, (_, time, value, quality) in enumerate(found.rows())
            ]
            with self._reader() as cursor:
                return device_time.beside(cursor, series, rows)
        if step <= 0:
            raise ValueError(f"a step of {step} µs; a step is longer than nothing")
        found = self.fetch([Span(series, start, end)], texts=False)
        return stepped(found, step, aggregate or Aggregate.MEAN, max(0, limit))

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
        spans = [Span(number, start, end) for number in series]
        if not least:
            return self.fetch(spans, texts=texts, limit=limit)
        found = self.fetch(spans, texts=texts)
        kept = found.quality >= least
        if kept.sum() > limit:
            raise TooManyReadings(f"more than {limit} readings: ask for a shorter time or for fewer series")
        rows = {old: new for new, old in enumerate(np.flatnonzero(kept).tolist())}
        words = {rows[row]: text for row, text in found.texts.items() if row in rows}
        return Scan(found.series[kept], found.time[kept], found.value[kept], found.quality[kept], words)

    def steps(self, groups: Mapping[int, int], windows: Windows, wanted: frozenset[Measure]) -> Steps:
        """Return what groups of series come to in each window that holds any usable number."""
        found = self.scan(sorted(groups), int(windows.edges[0]), int(windows.edges[-1]), texts=False)
        steps = steps_of(found, groups, windows, wanted, BAD)
        refuse_more(len(steps.group), MOST_STEPS)
        return steps

    def count_readings(self, start: Instant, end: Instant) -> DayCounts:
        """Return by series how many readings with ``start <= time < end`` there are."""
        # First, as in the embedded store: late readings that come meanwhile are counted, but not yet called late.
        through = super().count_readings(start, end).through
        return DayCounts(self._counts(start, end), through)

    # The connection

    def _take_in(self, connection: duckdb.DuckDBPyConnection) -> None:
        super()._take_in(connection)
        self._claim(connection)
        self._prepare()
        newest = list(self._newest([info for info in self._by_id if info is not None]))
        with self._state:
            self._recover(newest)

    def _claim(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Note what keeps the readings; :class:`StoreUnavailable` if that is another already.

        The marks say what gateways may forget: with another keeper they would say so of what is not there.
        """
        keeper = f"{self.keeper} {self._database!r}"
        if (found := keeper_of(connection)) is None:
            note_keeper(connection, found := keeper)
        if found != keeper:
            raise StoreUnavailable(
                f"{self.path}: its readings are kept by {found}, not by {keeper}; write that into [store] again, or"
                " `linli-platform export` with the old settings and `import` into a new data folder"
            )

    def _recover(self, newest: Iterable[Newest]) -> None:
        found = {}
        for item in newest:
            if item.time > self._heads.time[item.series]:
                self._heads.forget(item.series)
                self._heads.recover(item.series, item.time, item.value, item.text, item.quality)
                found[item.series] = item.time
        self._recover_device_times(found)


def _identities(batch: Batch, rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    return zip(batch.series[rows].tolist(), batch.time[rows].tolist(), strict=True)
