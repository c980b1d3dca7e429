"""The statements that ask the DuckDB file about many series at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from functools import lru_cache, partial
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, Instant
from linli_platform.days import bounds, day_of
from linli_platform.store import Aggregate, Row, device_time, sources
from linli_platform.store.extent import Extent
from linli_platform.store.query import MOST_STEPS, Measure, Scan, Steps, TooManyReadings, Windows, refuse_more
from linli_platform.store.rollup import floor
from linli_platform.store.sources import Asked
from linli_platform.store.statements import registered

_MEASURES: Final = {
    Measure.COUNT: ("CAST(sum(count) AS DOUBLE)", ("count",)),
    Measure.SUM: ("sum(sum)", ("sum",)),
    Measure.MINIMUM: ("min(min)", ("min",)),
    Measure.MAXIMUM: ("max(max)", ("max",)),
    Measure.FIRST: ("arg_min(first, first_time)", ("first", "first_time")),
    Measure.LAST: ("arg_max(last, last_time)", ("last", "last_time")),
}
"""What rows come to, and of which of their columns."""

_AGGREGATES: Final = {
    Aggregate.MEAN: ("sum(sum) / nullif(sum(count), 0)", ("sum", "count")),
    Aggregate.MINIMUM: _MEASURES[Measure.MINIMUM],
    Aggregate.MAXIMUM: _MEASURES[Measure.MAXIMUM],
    Aggregate.SUM: _MEASURES[Measure.SUM],
    Aggregate.COUNT: _MEASURES[Measure.COUNT],
    Aggregate.FIRST: _MEASURES[Measure.FIRST],
    Aggregate.LAST: _MEASURES[Measure.LAST],
}
_OF_ROWS: Final = ("count", "others", "bad", "good_quality", "bad_quality", "rollup")


def read(
    cursor: duckdb.DuckDBPyConnection,
    extent: Extent,
    series: int,
    start: Instant,
    end: Instant,
    step: int | None,
    aggregate: Aggregate | None,
    *,
    limit: int,
    bad: int,
) -> list[Row]:
    """Return readings or steps of one series; see :meth:`linli_platform.store.Store.read`."""
    if step is None:
        if aggregate is not None:
            raise ValueError("an aggregate needs a step")
        query = (
            "SELECT time, value, text, quality, CAST(quality < $bad AS INTEGER),"  # noqa: S608 - numbers
            f" CAST(quality >= $bad AS INTEGER), told FROM {extent.readings(start, end, [series])}"
            " WHERE series = $series AND time >= $start AND time < $end ORDER BY time LIMIT $limit"
        )
        values = {"series": series, "start": start, "end": end, "bad": bad, "limit": limit}
        with _one_state(cursor):  # between the two a reading may be moved, with what its device's clock said
            found = [Row(*row) for row in cursor.execute(query, values).fetchall()]
            return device_time.beside(cursor, series, found)
    if step <= 0:
        raise ValueError(f"a step of {step} µs; a step is longer than nothing")
    if end <= start:
        return []
    value, needed = _AGGREGATES[aggregate or Aggregate.MEAN]
    columns = [*dict.fromkeys([*_OF_ROWS, *needed])]
    chosen = sources.level_of(np.array([start, end], np.int64), step, None)
    with _one_state(cursor), ExitStack() as tables:
        asked = Asked([series], columns, bad, numbers=False)
        source = sources.source_of(cursor, asked, (start, end), chosen, extent, tables)
        rows = cursor.execute(
            f"SELECT {floor('time', step)}, {value}, NULL,"  # noqa: S608 - from above
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
    extent: Extent,
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
            f" FROM {extent.readings(start, end, series.tolist())} r JOIN asked ON r.series = asked.series"
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
    extent: Extent,
    groups: Mapping[int, int],
    windows: Windows,
    wanted: frozenset[Measure],
    bad: int,
    zone: tzinfo | None,
    most: int = MOST_STEPS,
) -> Steps:
    """Return what series come to by groups and windows; see :meth:`linli_platform.store.Store.steps`.

    Args:
        cursor: The connection.
        extent: Where there is anything at all.
        groups: Group by series.
        windows: Windows.
        wanted: What is asked for.
        bad: Quality code from which on a reading is unusable.
        zone: By which the file has its days, ``None`` if it has none.
        most: Windows of groups in the answer; with more :class:`TooManyReadings`.
    """
    order = sorted(wanted)
    columns = [*dict.fromkeys(column for measure in order for column in _MEASURES[measure][1])]
    step, span = windows.step, (int(windows.edges[0]), int(windows.edges[-1]))
    chosen = sources.level_of(windows.edges, step, None if zone is None else partial(_begin, zone))
    places = set(groups.values())
    asked = Asked(list(groups), columns, bad, numbers=True, place="a.place" if len(places) > 1 else "")
    with ExitStack() as tables:
        # What takes as long as a small answer: each statement, each table that is joined, each column.
        if len(groups) > 1:
            joined = {"series": np.array(list(groups), np.int32), "place": np.array(list(groups.values()), np.int32)}
            tables.enter_context(registered(cursor, "asked", joined))
        if 0 < chosen[0] < DAY:
            tables.enter_context(_one_state(cursor))
        source = sources.source_of(cursor, asked, span, chosen, extent, tables)
        if source.few and len(groups) == 1:
            rows = cursor.execute(source.query).fetchnumpy()
            return _of_few(rows, next(iter(places)), windows, order, source.level)
        number, edged = f"(s.time - {windows.origin}) // {step}" if step else "e.number", ""
        if not step:
            edges: dict[str, NDArray[Any]] = {
                "start": windows.edges[:-1],
                "number": np.arange(len(windows.edges) - 1, dtype=np.int32),
            }
            tables.enter_context(registered(cursor, "edges", edges))
            edged = " ASOF JOIN edges e ON s.time >= e.start"
        place = "s.place" if asked.place else f"CAST({next(iter(places), 0)} AS INTEGER)"
        measures = "".join(f", {_MEASURES[measure][0]} AS {measure.value}" for measure in order)
        # Counting costs: only what can be too much is counted.
        limit = f" LIMIT {most + 1}" if len(places) * (len(windows.edges) - 1) > most else ""
        found = cursor.execute(
            f"SELECT {place} AS place, CAST({number} AS INTEGER) AS step_number{measures}"  # noqa: S608 - from above
            f" FROM ({source.query}) s{edged} GROUP BY 1, 2{limit}"
        ).fetchnumpy()
    refuse_more(len(found["place"]), most)
    group, window = _plain(found["place"], np.int32), _plain(found["step_number"], np.int32)
    sorting = np.lexsort((window, group))
    return Steps(
        group=group[sorting],
        window=window[sorting],
        measures={measure: _plain(found[measure.value], np.float64)[sorting] for measure in order},
        rollup=source.level,
    )


def _of_few(rows: Mapping[str, Any], group: int, windows: Windows, order: Sequence[Measure], level: int) -> Steps:
    """Return the steps of one series' rows: mostly one of a rollup for each window, a day's readings at both ends."""
    times = _plain(rows["time"], np.int64)
    sorting = np.argsort(times)
    window = np.searchsorted(windows.edges, times[sorting], "right").astype(np.int32) - 1
    starts = np.flatnonzero(np.r_[True, np.diff(window) != 0]) if len(window) else np.empty(0, np.int64)
    measures = {measure: _TAKEN[measure](_plain(rows[measure.value], np.float64)[sorting], starts) for measure in order}
    window = np.asarray(window[starts], np.int32)
    return Steps(np.full(len(window), group, np.int32), window, measures, level)


_TAKEN: Final[Mapping[Measure, Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]]] = {
    Measure.COUNT: np.add.reduceat,
    Measure.SUM: np.add.reduceat,
    Measure.MINIMUM: np.minimum.reduceat,
    Measure.MAXIMUM: np.maximum.reduceat,
    Measure.FIRST: lambda values, starts: values[starts],
    Measure.LAST: lambda values, starts: values[np.r_[starts[1:], len(values)] - 1] if len(starts) else values,
}
"""How rows in order of time are taken together, from where on each window has them."""


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
