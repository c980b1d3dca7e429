"""The statements that ask the DuckDB file about many series at once."""

from collections.abc import Mapping
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_platform.store import Aggregate, Row
from linli_platform.store.query import Measure, Scan, Steps, TooManyReadings, Windows
from linli_platform.store.statements import registered

_MEASURES: Final = {
    Measure.COUNT: "CAST(count(*) AS DOUBLE)",
    Measure.SUM: "sum(value)",
    Measure.MINIMUM: "min(value)",
    Measure.MAXIMUM: "max(value)",
    Measure.FIRST: "arg_min(value, time)",
    Measure.LAST: "arg_max(value, time)",
}

_AGGREGATES: Final = {
    Aggregate.MEAN: "avg(value) FILTER (quality < $bad)",
    Aggregate.MINIMUM: "min(value) FILTER (quality < $bad)",
    Aggregate.MAXIMUM: "max(value) FILTER (quality < $bad)",
    Aggregate.SUM: "sum(value) FILTER (quality < $bad)",
    Aggregate.COUNT: "CAST(count(value) FILTER (quality < $bad) AS DOUBLE)",
    Aggregate.FIRST: "arg_min(value, time) FILTER (quality < $bad)",
    Aggregate.LAST: "arg_max(value, time) FILTER (quality < $bad)",
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
    values: dict[str, object] = {"series": series, "start": start, "end": end, "bad": bad, "limit": limit}
    if step is None:
        if aggregate is not None:
            raise ValueError("an aggregate needs a step")
        query = (
            "SELECT time, value, text, quality, CAST(quality < $bad AS INTEGER), CAST(quality >= $bad AS INTEGER)"
            " FROM readings WHERE series = $series AND time >= $start AND time < $end ORDER BY time LIMIT $limit"
        )
    else:
        if step <= 0:
            raise ValueError(f"a step of {step} µs; a step is longer than nothing")
        values["step"] = step
        query = (
            f"SELECT time - ((time % $step) + $step) % $step AS start, {_AGGREGATES[aggregate or Aggregate.MEAN]},"  # noqa: S608 - from the table above
            " NULL, coalesce(min(quality) FILTER (quality < $bad), max(quality)),"
            " count(*) FILTER (quality < $bad), count(*) FILTER (quality >= $bad)"
            " FROM readings WHERE series = $series AND time >= $start AND time < $end"
            " GROUP BY 1 ORDER BY 1 LIMIT $limit"
        )
    return [Row(*row) for row in cursor.execute(query, values).fetchall()]


def scan(
    cursor: duckdb.DuckDBPyConnection,
    series: NDArray[np.int32],
    start: Instant,
    end: Instant,
    *,
    texts: bool,
    limit: int,
) -> Scan:
    """Return the readings of series with ``start <= time < end``; see :meth:`linli_platform.store.Store.scan`."""
    asked = {"series": series, "place": np.arange(len(series), dtype=np.int32)}
    text = "r.text" if texts else "NULL"
    with registered(cursor, "asked", asked):
        columns = cursor.execute(
            f"SELECT r.series, r.time, coalesce(r.value, 'NaN'::DOUBLE) AS value, r.quality, {text} AS text"  # noqa: S608 - from above
            " FROM readings r JOIN asked ON r.series = asked.series WHERE r.time >= ? AND r.time < ?"
            " ORDER BY asked.place, r.time LIMIT ?",
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
    cursor: duckdb.DuckDBPyConnection, groups: Mapping[int, int], windows: Windows, wanted: frozenset[Measure], bad: int
) -> Steps:
    """Return what series come to by groups and windows; see :meth:`linli_platform.store.Store.steps`."""
    asked: dict[str, NDArray[Any]] = {
        "series": np.array(list(groups), np.int32),
        "place": np.array(list(groups.values()), np.int32),
    }
    order = sorted(wanted)
    measures = "".join(f", {_MEASURES[measure]} AS {measure.value}" for measure in order)
    first, last = int(windows.edges[0]), int(windows.edges[-1])
    values: dict[str, object] = {"bad": bad, "first": first, "last": last}
    if windows.step:
        number, values["step"], values["origin"] = "(r.time - $origin) // $step", windows.step, windows.origin
        source = "readings r JOIN asked ON r.series = asked.series"
    else:
        number = "edges.number"
        source = "readings r JOIN asked ON r.series = asked.series ASOF JOIN edges ON r.time >= edges.start"
    edges: dict[str, NDArray[Any]] = {
        "start": windows.edges[:-1],
        "number": np.arange(len(windows.edges) - 1, dtype=np.int32),
    }
    with registered(cursor, "asked", asked), registered(cursor, "edges", edges):
        columns = cursor.execute(
            f"SELECT place, CAST({number} AS INTEGER) AS step_number{measures} FROM {source}"  # noqa: S608 - from above
            " WHERE r.time >= $first AND r.time < $last AND r.value IS NOT NULL AND r.quality < $bad"
            " GROUP BY 1, 2 ORDER BY 1, 2",
            values,
        ).fetchnumpy()
    return Steps(
        group=_plain(columns["place"], np.int32),
        window=_plain(columns["step_number"], np.int32),
        measures={measure: _plain(columns[measure.value], np.float64) for measure in order},
    )


def _plain(column: Any, kind: Any) -> NDArray[Any]:
    """Return a column as it is: DuckDB masks what may be NULL, and here nothing is."""
    return np.ascontiguousarray(np.ma.getdata(column), dtype=kind)


def _texts(column: Any) -> dict[int, str]:
    mask = np.ma.getmaskarray(column)
    return {row: str(column[row]) for row in np.flatnonzero(~mask).tolist() if column[row] is not None}
