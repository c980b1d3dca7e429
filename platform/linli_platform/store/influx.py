"""Readings in InfluxDB: written as line protocol, read by InfluxQL, which versions 1.8, 2 and 3 Core all answer to."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_platform.store import Batch, Capabilities, SeriesInfo, StoreError, influx_query
from linli_platform.store.influx_lines import encode, key
from linli_platform.store.influx_query import Influx
from linli_platform.store.query import Measure, Scan, Steps, Windows
from linli_platform.store.served import Newest, ServedStore, Span
from linli_platform.store.server import Refusal, Server

_EXPIRED: Final = "points beyond retention policy dropped"
_PROBE: Final = b"linli_probe probed=1i"


class InfluxStore(ServedStore):
    """Readings in an InfluxDB 1.x database.

    Args:
        path: File of all that is no reading.
        server: The server.
        database: Its database; made if absent.
        org: With it the server is spoken to as version 2: lines by ``/api/v2/write``, its buckets made by others.
        retention: How long the server keeps readings; 0 for ever.
        memory_limit: What DuckDB may hold in memory.
        threads: Threads DuckDB may use for one query.
    """

    def __init__(
        self,
        path: Path,
        server: Server,
        database: str,
        *,
        org: str = "",
        retention: int = 0,
        memory_limit: str = "512MB",
        threads: int = 2,
    ) -> None:
        super().__init__(path, server, database, retention=retention, memory_limit=memory_limit, threads=threads)
        self._influx = Influx(server, database, org)
        self._keys: dict[int, str] = {}

    @property
    def capabilities(self) -> Capabilities:
        """All that DuckDB can but rollups, and readings expire if it was agreed."""
        return Capabilities(expires=bool(self._retention), rollups=False)

    @property
    def keeper(self) -> str:
        """The engine's name in the settings."""
        return "influxdb"

    def _prepare(self) -> None:
        self._influx.make(self._retention, known=bool(self.all_series()))

    def probe(self) -> None:
        """Write something small, durably, to both."""
        super().probe()
        self._influx.write(_PROBE)

    def _send(self, _connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
        if not len(rows):
            return
        for number in set(batch.series[rows].tolist()) - self._keys.keys():
            info = self.get(number)
            if info is None:
                raise StoreError(f"no series {number}")
            self._keys[number] = key(info)
        for lines in encode(batch, rows, self._keys):
            try:
                self._influx.write(lines)
            except Refusal as exc:
                # What is older than the server keeps is stored, and gone at once.
                if _EXPIRED not in exc.said:
                    raise

    def _newest(self, series: Sequence[SeriesInfo]) -> Iterable[Newest]:
        return influx_query.newest(self._influx, series) if series else ()

    def _fetch(self, spans: Sequence[Span], *, texts: bool, limit: int) -> Scan:
        return influx_query.fetch(self._influx, spans, self._infos(spans), texts=texts, limit=limit)

    def steps(self, groups: Mapping[int, int], windows: Windows, wanted: frozenset[Measure]) -> Steps:
        """Return what groups of series come to in each window, reckoned by the server."""
        infos = {number: info for number in groups if (info := self.get(number)) is not None}
        return influx_query.steps(self._influx, infos, groups, windows, wanted) or super().steps(
            groups, windows, wanted
        )

    def _withdraw(self, spans: Sequence[Span]) -> None:
        influx_query.withdraw(self._influx, spans, self._infos(spans))

    def _counts(self, start: Instant, end: Instant) -> Mapping[int, tuple[int, int]]:
        return influx_query.counts(self._influx, self.find, start, end)

    def count(self) -> int:
        """Return the number of readings held."""
        return influx_query.count(self._influx)

    def count_distinct(self) -> int:
        """Return the number of readings held: the server's key is (series, time)."""
        return self.count()

    def _infos(self, spans: Sequence[Span]) -> dict[int, SeriesInfo]:
        return {span.series: info for span in spans if (info := self.get(span.series)) is not None}
