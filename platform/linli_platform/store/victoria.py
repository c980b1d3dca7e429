"""Readings in VictoriaMetrics: numbers in milliseconds there, texts and what is fresh in the file beside.

VictoriaMetrics takes samples into memory and writes them to its disk seconds later: whoever pulls its plug meanwhile
has lost what it had said yes to. So each reading stays in the file, in the same commit as its mark, until the server
has run on for longer than that; after a run that ended sooner, what is there is handed over again. It also makes
readings seen at once that the server shows a second later.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, HOUR, Instant
from linli_core.model import Quality, quality_code
from linli_platform.clock import Clock, wall_clock
from linli_platform.store import (
    Appended,
    Batch,
    CannotDelete,
    Capabilities,
    Deletion,
    EventRow,
    Fence,
    Quarantined,
    SeriesInfo,
    StoreError,
    StoreUnavailable,
    duckdb_query,
    statements,
)
from linli_platform.store.arrange import QUALITY_SPAN
from linli_platform.store.compaction import PIECE, Compacted
from linli_platform.store.extent import EVERYWHERE
from linli_platform.store.query import Scan, TooManyReadings
from linli_platform.store.served import Newest, ServedStore, Span
from linli_platform.store.server import Server
from linli_platform.store.victoria_api import MILLISECOND, Samples, Victoria, duration

KEPT_S: Final = 60.0
"""For how long a reading stays in the file: the server writes what it was handed to its disk within five seconds."""

LOOK_S: Final = 10.0
"""How often it is looked at whether the server still runs."""

_SAME_S: Final = 2.0
"""So long after a beginning was seen, no other can be of the same second."""

AHEAD: Final = 2 * DAY - HOUR
"""The server drops, and does not say so, what lies further ahead of its clock than two days."""

FOR_EVER: Final = 10 * 365 * DAY
"""What a server must keep at least where nothing else was agreed."""

_MOST: Final = 2**62
_PAGE: Final = 100_000
_CHUNK: Final = 200
_RANKS: Final = 3
_UNCERTAIN: Final = quality_code(Quality.UNCERTAIN)
_WINDOWS: Final = (DAY, 31 * DAY)


@dataclass(frozen=True, slots=True)
class _Sent:
    """Readings that the file keeps since a moment."""

    at: float
    series: NDArray[np.int32]
    time: NDArray[np.int64]


class VictoriaStore(ServedStore):
    """Readings in a VictoriaMetrics server, single node.

    Args:
        path: File of all that is no number, and of what is fresh.
        server: The server.
        database: Value of the label ``db`` by which ours are told from others' series.
        retention: How long readings are to be kept; 0 for ever, which here is ten years at least.
        memory_limit: What DuckDB may hold in memory.
        threads: Threads DuckDB may use for one query.
        clock: Wall clock.
        steady: Seconds of a clock that is never set.
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
        clock: Clock = wall_clock,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(path, server, database, retention=retention, memory_limit=memory_limit, threads=threads)
        self._victoria = Victoria(server, database)
        self._clock = clock
        self._steady = steady
        self._sent: deque[_Sent] = deque()
        self._started = 0.0
        self._seen_at = 0.0
        self._settled = False
        self._look_at = 0.0

    @property
    def capabilities(self) -> Capabilities:
        """Milliseconds, twelve digits, whole series."""
        return Capabilities(resolution=MILLISECOND, digits=12, deletion=Deletion.SERIES, expires=True, rollups=False)

    @property
    def keeper(self) -> str:
        """The engine's name in the settings."""
        return "victoriametrics"

    def _prepare(self) -> None:
        flags = self._victoria.flags()
        if "retentionPeriod" not in flags:
            raise StoreUnavailable(
                f"{self._server.url}: /metrics does not show how it was started; is it VictoriaMetrics, single node?"
            )
        needed = self._retention or FOR_EVER
        if duration(flags["retentionPeriod"]) < needed:
            raise StoreUnavailable(
                f"{self._server.url}: after -retentionPeriod={flags['retentionPeriod']} (a bare number is months)"
                f" readings vanish; start it with -retentionPeriod={-(-needed // DAY)}d, or write fewer days in"
                " store.retention_days"
            )
        if flags.get("dedup.minScrapeInterval") != "1ms":
            raise StoreUnavailable(
                f"{self._server.url}: what comes twice would count twice; start it with -dedup.minScrapeInterval=1ms"
            )
        self._hand_over_again()

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
        """Commit to both; now and then, take out of the file what the server surely has on its disk."""
        appended = super().append(batch, marks, events=events, quarantined=quarantined, fence=fence)
        kept = appended.new[~np.isin(appended.new, list(batch.texts))] if batch.texts else appended.new
        if len(kept):
            times = batch.time[kept] // MILLISECOND * MILLISECOND
            self._sent.append(_Sent(self._steady(), batch.series[kept], times))
        if self._steady() >= self._look_at:
            # The batch is committed whatever becomes of this: what cannot be let go now stays longer.
            with suppress(StoreError):
                self.let_go()
        return appended

    def compact(self, now: Instant, *, most: int = PIECE) -> Compacted:
        """Take out of the file what the server surely has: readings may have ceased to come."""
        self.let_go()
        return super().compact(now, most=most)

    def let_go(self) -> None:
        """Take out of the file what the server has had time to write; hand everything over again if it began anew.

        When it began is known to the second. So all is handed over once more when a second run can no longer have
        begun within the same one, and nothing is taken out before.
        """
        now = self._steady()
        self._look_at = now + LOOK_S
        if self._victoria.started() != self._started or (not self._settled and now > self._seen_at + _SAME_S):
            self._hand_over_again()
        if not self._settled:
            return
        old = []
        while self._sent and self._sent[0].at <= now - KEPT_S:
            old.append(self._sent.popleft())
        if not old:
            return
        series, times = np.concatenate([item.series for item in old]), np.concatenate([item.time for item in old])
        gone = Batch(series, times, np.empty(0), np.empty(0, np.uint8), 0)
        try:
            with self._write:
                self._aside.give_way(int(times.min()), int(times.max()))
                with self._transaction() as connection:
                    statements.delete(connection, gone, np.arange(len(series)))
        except StoreError:
            self._sent.extendleft(reversed(old))
            raise

    def _hand_over_again(self) -> None:
        """Hand over every number that is still in the file."""
        started, now = self._victoria.started(), self._steady()
        self._settled = started == self._started
        if not self._settled:
            self._started, self._seen_at = started, now
        known = self.all_series()
        found = self._in_file([info.id for info in known], -_MOST, _MOST, texts=True)
        numbers = np.array([row not in found.texts for row in range(len(found))], bool)
        batch = Batch(found.series[numbers], found.time[numbers], found.value[numbers], found.quality[numbers], 0)
        self._victoria.write(batch, np.arange(len(batch)), {info.id: info for info in known})
        self._sent.clear()
        if len(batch):
            self._sent.append(_Sent(now, batch.series, batch.time))

    def probe(self) -> None:
        """Write something small, durably, to the file; ask the server how it is."""
        super().probe()
        self._victoria.started()

    def _send(self, connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
        if not len(rows):
            return
        if np.isinf(batch.value[rows]).any():
            raise StoreError("a reading's value is infinite, and the server takes none such")
        if int(batch.time[rows].max()) > self._clock() + AHEAD:
            raise StoreError("a reading is of a time more than two days ahead, and the server would drop it unsaid")
        numbers = rows[~np.isin(rows, list(batch.texts))] if batch.texts else rows
        infos = {number: info for number in set(batch.series[numbers].tolist()) if (info := self.get(number))}
        self._victoria.write(batch, numbers, infos)
        statements.insert_readings(connection, batch, rows)

    def _replace(self, connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
        # On the server the worse one stays, and the better one is taken when both are read.
        times = batch.time[rows]
        self._aside.give_way(int(times.min()), int(times.max()))
        statements.delete(connection, batch, rows)

    def _withdraw(self, spans: Sequence[Span]) -> None:
        infos = [info for span in spans if (info := self.get(span.series)) is not None]
        asked = sum(len(self._fetch([span], texts=False, limit=_MOST)) for span in spans)
        held = sum(len(self._fetch([Span(info.id, -_MOST, _MOST)], texts=False, limit=_MOST)) for info in infos)
        if asked < held:
            raise CannotDelete(
                "VictoriaMetrics takes out whole series, not a part of their time; nothing was taken out"
            )
        self._victoria.flush()
        self._victoria.forget(infos)
        ids = [info.id for info in infos]
        self._aside.give_way()
        with self._transaction() as connection:
            connection.execute("DELETE FROM reading WHERE list_contains(?, series)", [ids])

    # Reading

    def _fetch(self, spans: Sequence[Span], *, texts: bool, limit: int) -> Scan:
        order = {span.series: place for place, span in enumerate(spans)}
        infos = [info for number in order if (info := self.get(number)) is not None]
        if not infos or limit < 1:
            return _merged([], order, limit)
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        if len({(span.start, span.end) for span in spans}) > 1:
            return self._by_days(spans, texts=texts, limit=limit)
        if limit > _PAGE:
            return self._between(infos, start, end, order, texts=texts, limit=limit)
        # The server knows no limit: ask for a day, then for twice as much, until there is enough.
        found, width = [], DAY
        newest = max((row.time for row in self.latest([info.id for info in infos])), default=start)
        start, end = max(0, start), min(end, newest + 1)
        count = 0
        while start < end and count < limit:
            until = min(end, start + width)
            piece = self._between(infos, start, until, order, texts=texts, limit=limit - count)
            found.append(piece)
            count += len(piece)
            start, width = until, 2 * width
        return _merged(found, order, limit)

    def _by_days(self, spans: Sequence[Span], *, texts: bool, limit: int) -> Scan:
        """Fetch spans of different times: those that begin on one day are asked for together."""
        by_day: dict[int, list[Span]] = {}
        for span in spans:
            by_day.setdefault(span.start // DAY, []).append(span)
        found = []
        for some in by_day.values():
            order = {span.series: place for place, span in enumerate(some)}
            infos = [info for number in order if (info := self.get(number)) is not None]
            start, end = min(span.start for span in some), max(span.end for span in some)
            piece = self._between(infos, start, end, order, texts=texts, limit=limit)
            found.append(_within(piece, some))
        return _merged(found, {span.series: place for place, span in enumerate(spans)}, limit)

    def _between(
        self,
        infos: Sequence[SeriesInfo],
        start: Instant,
        end: Instant,
        order: Mapping[int, int],
        *,
        texts: bool,
        limit: int,
    ) -> Scan:
        """Return what both have of series, the best of each instant; no more than ``limit`` readings."""
        pieces = [self._in_file([info.id for info in infos], start, end, texts=texts)]
        count = len(pieces[0])
        for samples in self._victoria.export(infos, start, end):
            info = self.find(samples.gateway, samples.point)
            if info is None:
                continue
            pieces.append(_scan_of(info.id, samples))
            count += len(pieces[-1])
            if count > _RANKS * (limit + _PAGE):
                raise TooManyReadings(f"more than {limit} readings: ask for a shorter time or for fewer series")
        return _merged(pieces, order, limit)

    def _in_file(self, series: Sequence[int], start: Instant, end: Instant, *, texts: bool) -> Scan:
        start, end = max(-_MOST, start), min(_MOST, end)
        with self._reader() as cursor:
            numbers = np.array(series, np.int32)
            return duckdb_query.scan(cursor, EVERYWHERE, numbers, start, end, texts=texts, limit=_MOST)

    def _newest(self, series: Sequence[SeriesInfo]) -> Iterable[Newest]:
        missing = {info.id for info in series}
        end = self._clock() + 2 * DAY
        alone = series[0] if len(series) == 1 else None
        for back in (*_WINDOWS, end):
            if not missing:
                return
            best: dict[int, tuple[int, int, Samples]] = {}
            for samples in self._victoria.last(end - back, end, alone):
                info = self.find(samples.gateway, samples.point)
                if info is None or info.id not in missing:
                    continue
                order = (int(samples.time[0]), -(samples.quality // QUALITY_SPAN))
                if info.id not in best or order > best[info.id][:2]:
                    best[info.id] = (*order, samples)
            missing -= best.keys()
            for number, (at, _, samples) in best.items():
                value = float(samples.value[0])
                yield Newest(number, at, None if np.isnan(value) else value, None, samples.quality)

    def _counts(self, start: Instant, end: Instant) -> Mapping[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        for scan in self._all(start, end):
            numbers, place = np.unique(scan.series, return_inverse=True)
            received = np.bincount(place, minlength=len(numbers)).tolist()
            good = (
                np.bincount(place, weights=scan.quality < _UNCERTAIN, minlength=len(numbers)).astype(np.int64).tolist()
            )
            found.update(zip(numbers.tolist(), zip(received, good, strict=True), strict=True))
        return found

    def count(self) -> int:
        """Return the number of readings held, by reading all of them."""
        return sum(len(scan) for scan in self._all(-_MOST, _MOST))

    def count_distinct(self) -> int:
        """Return the number of readings held: of one instant one is read."""
        return self.count()

    def _all(self, start: Instant, end: Instant) -> Iterable[Scan]:
        self._connected()
        known = self.all_series()
        for first in range(0, len(known), _CHUNK):
            some = known[first : first + _CHUNK]
            order = {info.id: place for place, info in enumerate(some)}
            yield self._between(some, start, end, order, texts=False, limit=_MOST)


def _scan_of(series: int, samples: Samples) -> Scan:
    count = len(samples.time)
    return Scan(
        np.full(count, series, np.int32), samples.time, samples.value, np.full(count, samples.quality, np.uint8)
    )


def _within(scan: Scan, spans: Sequence[Span]) -> Scan:
    """Return what of a scan is in any of some spans."""
    begins = np.flatnonzero(np.r_[True, np.diff(scan.series) != 0]) if len(scan) else np.empty(0, np.int64)
    ends = np.r_[begins[1:], len(scan)].tolist()
    places = {
        number: (first, last)
        for number, first, last in zip(scan.series[begins].tolist(), begins.tolist(), ends, strict=False)
    }
    chosen = np.zeros(len(scan), bool)
    for span in spans:
        first, last = places.get(span.series, (0, 0))
        inside = np.searchsorted(scan.time[first:last], [span.start, span.end])
        chosen[first + int(inside[0]) : first + int(inside[1])] = True
    return _chosen(scan, np.flatnonzero(chosen))


def _merged(pieces: Sequence[Scan], order: Mapping[int, int], limit: int) -> Scan:
    """Return the best reading of each instant, by series in an order, then by time; of equals the earlier piece's."""
    texts: dict[int, str] = {}
    count = 0
    for piece in pieces:
        texts.update((count + row, text) for row, text in piece.texts.items())
        count += len(piece)
    if not count:
        return Scan(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint8))
    whole = Scan(
        np.concatenate([piece.series for piece in pieces]),
        np.concatenate([piece.time for piece in pieces]),
        np.concatenate([piece.value for piece in pieces]),
        np.concatenate([piece.quality for piece in pieces]),
        texts,
    )
    numbers, which = np.unique(whole.series, return_inverse=True)
    place = np.array([order[number] for number in numbers.tolist()])[which]
    rows = np.lexsort((whole.quality // QUALITY_SPAN, whole.time, place))
    again = (np.diff(place[rows]) == 0) & (np.diff(whole.time[rows]) == 0)
    return _chosen(whole, rows[np.r_[True, ~again]][:limit])


def _chosen(scan: Scan, rows: NDArray[np.int64]) -> Scan:
    texts = {}
    if scan.texts:
        texts = {place: scan.texts[row] for place, row in enumerate(rows.tolist()) if row in scan.texts}
    return Scan(scan.series[rows], scan.time[rows], scan.value[rows], scan.quality[rows], texts)
