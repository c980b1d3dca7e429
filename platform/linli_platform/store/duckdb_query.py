"""The statements that ask the DuckDB file about many series at once."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from functools import lru_cache, partial
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_platform.days import bounds, day_of
from linli_platform.store import Aggregate, Row, packed, sources
from linli_platform.store.query import Measure, Scan, Steps, TooManyReadings, Windows
from linli_platform.store.rollup import floor
from linli_platform.store.schema import zone_of
from linli_platform.store.statements import registered

_MEASURES: Final = {
    Measure.COUNT: "CAST(sum(count) AS DOUBLE)",
    Measure.SUM: "sum(sum)",
    Measure.MINIMUM: "min(min)",
    Measure.MAXIMUM: "max(max)",
    Measure.FIRST: "arg_min(first, first_time)",
    Measure.LAST: "arg_max(last, last_time)",
}

_AGGREGATES: Final = {
    Aggregate.MEAN: "sum(sum) / nullif(sum(count), 0)",
    Aggregate.MINIMUM: _MEASURES[Measure.MINIMUM],
    Aggregate.MAXIMUM: _MEASURES[Measure.MAXIMUM],
    Aggregate.SUM: _MEASURES[Measure.SUM],
    Aggregate.COUNT: _MEASURES[Measure.COUNT],
    Aggregate.FIRST: _MEASURES[Measure.FIRST],
    Aggregate.LAST: _MEASURES[Measure.LAST],
}


def read(
    cursor: duckdb.DuckDBPyConnection,
    series: int,
    start: Instant,
    end: Instant,
    step: int | None,
    aggregate: Aggregate | None,
    limit: int,
    bad: int,
) -> list[Row]:
    """Return readings or steps of one series; see :meth:`linli_platform.store.Store.read`."""
    if step is None:
        if aggregate is not None:
            raise ValueError("an aggregate needs a step")
        query = (
            "SELECT time, value, text, quality, CAST(quality < $bad AS INTEGER),"  # noqa: S608 - numbers
            f" CAST(quality >= $bad AS INTEGER) FROM {packed.readings(start, end)}"
            " WHERE series = $series AND time >= $start AND time < $end ORDER BY time LIMIT $limit"
        )
        values = {"series": series, "start": start, "end": end, "bad": bad, "limit": limit}
        return [Row(*row) for row in cursor.execute(query, values).fetchall()]
    if step <= 0:
        raise ValueError(f"a step of {step} µs; a step is longer than nothing")
    if end <= start:
        return []
    chosen = sources.level_of(np.array([start, end], np.int64), step, None)
    with _one_state(cursor):
        source = sources.source_of(cursor, [series], (start, end), chosen, bad, numbers=False)
        rows = cursor.execute(
            f"SELECT {floor('time', step)}, {_AGGREGATES[aggregate or Aggregate.MEAN]}, NULL,"  # noqa: S608 - from above
            " coalesce(min(good_quality), max(bad_quality)), sum(count + others), sum(bad), NULL, max(rollup)"
            f" FROM ({source.query}) GROUP BY 1 ORDER BY 1 LIMIT {limit}"
        ).fetchall()
    return [Row(*row) for row in rows]


@contextmanager
def _one_state(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let several statements see one state of the store."""
    cursor.begin()
    try:
        yield
    finally:
        cursor.rollback()


def scan(
    cursor: duckdb.DuckDBPyConnection,
    series: NDArray[np.int32],
    start: Instant,
    end: Instant,
    least: int = 0,
    *,
    texts: bool,
    limit: int,
) -> Scan:
    """Return the readings of series with ``start <= time < end``; see :meth:`linli_platform.store.Store.scan`.

    Only those whose quality is ``least`` or worse are looked for.
    """
    asked = {"series": series, "place": np.arange(len(series), dtype=np.int32)}
    text = "r.text" if texts else "NULL"
    worse = f" AND r.quality >= {least}" if least else ""
    with registered(cursor, "asked", asked):
        columns = cursor.execute(
            f"SELECT r.series, r.time, coalesce(r.value, 'NaN'::DOUBLE) AS value, r.quality, {text} AS text"  # noqa: S608 - from above
            f" FROM {packed.readings(start, end)} r JOIN asked ON r.series = asked.series"
            f" WHERE r.time >= ? AND r.time < ?{worse} ORDER BY asked.place, r.time LIMIT ?",
            [start, end, limit + 1],
        ).fetchnumpy()
    found = len(columns["series"])
    if found > limit:
        raise TooManyReadings(f"more than {limit} readings: ask for a shorter time or for fewer series")
    return Scan(
        series=_plain(columns["series"], np.int32),
        time=_plain(columns["time"], np.int64),
        value=_plain(columns["value"], np.float64),
        quality=_plain(columns["quality"], np.uint8),
        texts=_texts(columns["text"]) if texts else {},
    )


def steps(
    cursor: duckdb.DuckDBPyConnection,
    groups: Mapping[int, int],
    windows: Windows,
    wanted: frozenset[Measure],
    bad: int,
) -> Steps:
    """Return what series come to by groups and windows; see :meth:`linli_platform.store.Store.steps`."""
    order = sorted(wanted)
    measures = "".join(f", {_MEASURES[measure]} AS {measure.value}" for measure in order)
    with _one_state(cursor), ExitStack() as tables:
        # Each table that is joined takes as long as a small answer: only what is needed is.
        group, joined = f"CAST({next(iter(groups.values()), 0)} AS INTEGER)", ""
        if len(groups) != 1:
            asked = {
                "series": np.array(list(groups), np.int32),
                "place": np.array(list(groups.values()), np.int32),
            }
            tables.enter_context(registered(cursor, "asked", asked))
            group, joined = "a.place", " JOIN asked a ON a.series = s.series"
        number = f"(s.time - {windows.origin}) // {windows.step}"
        if not windows.step:
            edges: dict[str, NDArray[Any]] = {
                "start": windows.edges[:-1],
                "number": np.arange(len(windows.edges) - 1, dtype=np.int32),
            }
            tables.enter_context(registered(cursor, "edges", edges))
            number, joined = "e.number", joined + " ASOF JOIN edges e ON s.time >= e.start"
        chosen = sources.level_of(windows.edges, windows.step, _begins(cursor))
        span = int(windows.edges[0]), int(windows.edges[-1])
        source = sources.source_of(cursor, list(groups), span, chosen, bad, numbers=True)
        columns = cursor.execute(
            f"SELECT {group} AS place, CAST({number} AS INTEGER) AS step_number{measures}"  # noqa: S608 - from above
            f" FROM ({source.query}) s{joined} GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchnumpy()
    return Steps(
        group=_plain(columns["place"], np.int32),
        window=_plain(columns["step_number"], np.int32),
        measures={measure: _plain(columns[measure.value], np.float64) for measure in order},
        rollup=source.level,
    )


def _begins(cursor: duckdb.DuckDBPyConnection) -> sources.Begins | None:
    zone = zone_of(cursor)
    return None if zone is None else partial(_begin, zone)


@lru_cache(maxsize=16_384)
def _begin(zone: tzinfo, instant: Instant) -> Instant:
    """Return when the day of an instant begins. Boards ask for the same days again and again."""
    return bounds(day_of(instant, zone), zone)[0]


def _plain(column: Any, kind: Any) -> NDArray[Any]:
    """Return a column as it is: DuckDB masks what may be NULL, and here nothing is."""
    return np.ascontiguousarray(np.ma.getdata(column), dtype=kind)


def _texts(column: Any) -> dict[int, str]:
    mask = np.ma.getmaskarray(column)
    return {row: str(column[row]) for row in np.flatnonzero(~mask).tolist() if column[row] is not None}
