"""Where an answer about windows of time comes from: from rollups where they say it, from readings where they do not.

Theory of operation. Windows that lie on the borders of a level's windows are put together from its rows. What sticks
out at both ends, what is fresh, and days of series that the level is not kept for come from the readings themselves.
All of it has the same columns and is put together by the same aggregates, so what the answer is does not depend on
where it is from.
"""
# ruff: noqa: S608 - names and numbers of ours alone stand in the statements

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, HOUR, Instant
from linli_platform.store import packed
from linli_platform.store.rollup import BITS, DAILY, LEVELS

_COARSEST_FIRST: Final = sorted(LEVELS, reverse=True)
_MOST_DAYS: Final = 40_000

Begins = Callable[[Instant], Instant]
"""Returns when the day begins that an instant is of, by the zone of the file."""


@dataclass(frozen=True, slots=True)
class Source:
    """What to ask.

    Attributes:
        query: Rows of ``series, time, count, others, bad, good_quality, bad_quality, sum, min, max, first, first_time,
            last, last_time, rollup``; of readings the time is their own, of rollups that of their window. Of more
            than one series it joins a table ``asked``.
        level: Length of the rollup's windows, 0 if there is none, a day for those of the zone.
    """

    query: str
    level: int


def level_of(edges: NDArray[np.int64], step: int, begins: Begins | None) -> tuple[int, Instant, Instant]:
    """Return which level says what the windows between these edges hold, and from when to when.

    Args:
        edges: Ascending; the first and the last may cut a window short.
        step: Length of the others, 0 if they differ or there are none.
        begins: Of the zone's days, ``None`` if the file has none yet.
    """
    first, last = int(edges[0]), int(edges[-1])
    inner = edges[1:-1]
    if begins is not None and (not len(inner) or int(np.diff(inner).min(initial=DAY)) >= 22 * HOUR):
        start, end = _up(first, begins), begins(last)
        if start < end and len(inner) <= _MOST_DAYS and all(begins(edge) == edge for edge in inner.tolist()):
            return DAY, start, end
    for level in _COARSEST_FIRST:
        start, end = -(-first // level) * level, last // level * level
        if start < end and step % level == 0 and not (inner % level).any():
            return level, start, end
    return 0, first, first


def _up(instant: Instant, begins: Begins) -> Instant:
    start = begins(instant)
    # 26 hours later it is the next day, however long this one is; a day has 20 hours at least.
    return start if start == instant else begins(start + 26 * HOUR)


def source_of(
    cursor: duckdb.DuckDBPyConnection,
    series: Sequence[int],
    bounds: tuple[Instant, Instant],
    chosen: tuple[int, Instant, Instant],
    bad: int,
    *,
    numbers: bool,
) -> Source:
    """Return what to ask about series between two instants, joined with a table ``asked`` of them if they are several.

    Args:
        cursor: The connection, in a transaction: all is asked of one state.
        series: Which.
        bounds: From when to when.
        chosen: As :func:`level_of` returns it.
        bad: Quality code from which on a reading is unusable.
        numbers: Whether usable numbers are all that counts.
    """
    if not series:
        return Source(_readings("reading", "false", bad), 0)
    level, start, end = chosen
    # One series needs no join: half of the time of a small answer would go into planning it.
    alone = len(series) == 1
    of_series = f"r.series = {series[0]}" if alone else f"r.series BETWEEN {min(series)} AND {max(series)}"
    asked = "" if alone else " AND r.series IN (SELECT series FROM asked)"
    usable = f" AND r.value IS NOT NULL AND r.quality < {bad}" if numbers else ""

    def within(table: str, first: Instant, last: Instant, more: str = "", joined: str = "") -> str:
        where = f"r.time >= {first} AND r.time < {last} AND {of_series}{usable}{more}"
        return _readings(table, where + asked, bad, joined)

    def moved(first: Instant, last: Instant, more: str = "", joined: str = "") -> str:
        return within(packed.past(first, last), first, last, more, joined)

    first, last = bounds
    legs = [within("reading", first, last)]
    if not level:
        return Source(" UNION ALL ".join([*legs, moved(first, last)]), 0)
    legs += [moved(begin, stop) for begin, stop in ((first, start), (end, last)) if begin < stop]
    table = DAILY if level == DAY else LEVELS[level]
    legs.append(
        "SELECT r.series, r.time, r.count, r.others, r.bad,"
        f" CASE WHEN r.quality < {bad} THEN r.quality END, CASE WHEN r.quality >= {bad} THEN r.quality END,"
        f" r.sum, r.min, r.max, r.first, r.first_time, r.last, r.last_time, {level}::BIGINT"
        f" FROM {table} r WHERE r.time >= {start} AND r.time < {end} AND {of_series}"
        + asked
        + (" AND r.count > 0" if numbers else "")
    )
    if level != DAY:
        # Only rows of days are looked at here: a few for each series.
        lacking = (
            f"SELECT r.series, r.day FROM {DAILY} r WHERE r.levels & {BITS[level]} = 0 AND {of_series}"
            f" AND r.time > {start - 2 * DAY} AND r.time < {end}{asked}"
        )
        days = cursor.execute(f"SELECT min(day), max(day) FROM ({lacking})").fetchall()[0]
        if days[0] is not None:
            more = f" AND r.day BETWEEN {days[0]} AND {days[1]}"
            legs.append(moved(start, end, more, f" SEMI JOIN ({lacking}) AS k USING (series, day)"))
    return Source(" UNION ALL ".join(legs), level)


def _readings(table: str, where: str, bad: int, joined: str = "") -> str:
    """Return a query that gives readings the columns of rollups."""
    number = f"CASE WHEN r.quality < {bad} THEN r.value END"
    made = f"CASE WHEN {number} IS NOT NULL THEN r.time END"
    return (
        f"SELECT r.series, r.time, CAST({number} IS NOT NULL AS INTEGER) AS count,"
        f" CAST(r.quality < {bad} AND r.value IS NULL AS INTEGER) AS others,"
        f" CAST(r.quality >= {bad} AS INTEGER) AS bad,"
        f" CASE WHEN r.quality < {bad} THEN r.quality END AS good_quality,"
        f" CASE WHEN r.quality >= {bad} THEN r.quality END AS bad_quality,"
        f" {number} AS sum, {number} AS min, {number} AS max,"
        f" {number} AS first, {made} AS first_time, {number} AS last, {made} AS last_time, 0::BIGINT AS rollup"
        f" FROM {table} r{joined} WHERE {where}"
    )
