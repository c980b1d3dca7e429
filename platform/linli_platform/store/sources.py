"""Where an answer about windows of time comes from: from rollups where they say it, from readings where they do not.

Theory of operation. Windows that lie on the borders of a level's windows are put together from its rows. What sticks
out at both ends, what is fresh, and days of series that the level is not kept for come from the readings themselves.
All of it has the same columns and is put together by the same aggregates, so what the answer is does not depend on
where it is from.
"""
# ruff: noqa: S608 - names and numbers of ours alone stand in the statements

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, HOUR, Instant
from linli_platform.store import packed
from linli_platform.store.extent import Extent
from linli_platform.store.rollup import BITS, DAILY, LEVELS
from linli_platform.store.statements import registered

_COARSEST_FIRST: Final = sorted(LEVELS, reverse=True)
_MOST_DAYS: Final = 40_000

Begins = Callable[[Instant], Instant]
"""Returns when the day begins that an instant is of, by the zone of the file."""


_MADE_OF: Final = {
    "count": ("CAST({number} IS NOT NULL AS INTEGER)", "r.count"),
    "others": ("CAST(r.quality < {bad} AND r.value IS NULL AS INTEGER)", "r.others"),
    "bad": ("CAST(r.quality >= {bad} AS INTEGER)", "r.bad"),
    "good_quality": ("CASE WHEN r.quality < {bad} THEN r.quality END",) * 2,
    "bad_quality": ("CASE WHEN r.quality >= {bad} THEN r.quality END",) * 2,
    "sum": ("{number}", "r.sum"),
    "min": ("{number}", "r.min"),
    "max": ("{number}", "r.max"),
    "first": ("{number}", "r.first"),
    "first_time": ("CASE WHEN {number} IS NOT NULL THEN r.time END", "r.first_time"),
    "last": ("{number}", "r.last"),
    "last_time": ("CASE WHEN {number} IS NOT NULL THEN r.time END", "r.last_time"),
    "rollup": ("0::BIGINT", "{level}::BIGINT"),
}
"""Columns of an answer, of readings and of rollups. Each that stands in a statement takes its time to plan."""

_OF_NUMBERS: Final = {"count": "1", "first_time": "r.time", "last_time": "r.time"}
"""The same of readings where each has a usable number."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked.

    Attributes:
        series: Of which series; if there are several a table ``asked`` has them.
        columns: Which of ``count, others, bad, good_quality, bad_quality, sum, min, max, first, first_time, last,
            last_time, rollup``.
        bad: Quality code from which on a reading is unusable.
        numbers: Usable numbers are all that counts.
        place: What comes first in each row, in SQL, of ``r`` or of a table ``asked`` as ``a``; empty for nothing.
    """

    series: Sequence[int]
    columns: Sequence[str]
    bad: int
    numbers: bool
    place: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where it comes from.

    Attributes:
        query: Rows of what was asked, and ``time``, which of readings is their own, of rollups that of their window.
        level: Length of the rollup's windows, 0 if there is none, a day for those of the zone.
        few: Rows are those of that rollup, in no order, and readings of what sticks out at both ends.
    """

    query: str
    level: int
    few: bool = False


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
    asked: Asked,
    bounds: tuple[Instant, Instant],
    chosen: tuple[int, Instant, Instant],
    extent: Extent,
    tables: ExitStack,
) -> Source:
    """Return where to ask about series between two instants.

    Args:
        cursor: The connection; in a transaction if the level is shorter than a day: all is asked of one state.
        asked: What is asked.
        bounds: From when to when.
        chosen: As :func:`level_of` returns it.
        extent: Where there is anything at all.
        tables: Holds the tables that are joined for as long as the source is asked.
    """
    if not asked.series:
        return Source(_select(asked, "reading r", "false"), 0)
    parts = _Parts(asked, extent)
    level, start, end = chosen
    first, last = bounds
    legs = parts.fresh(first, last)
    few = not legs
    lacking = parts.lacking(cursor, level, start, end) if extent.has_moved(start, end) else None
    if not level or lacking is None:
        level = 0
        legs += parts.moved([bounds])
    else:
        legs += parts.moved([(first, start), (end, last)])
        if len(lacking["day"]):
            few = False
            tables.enter_context(registered(cursor, "lacking", lacking))
            days = f" AND r.day BETWEEN {lacking['day'].min()} AND {lacking['day'].max()}"
            legs += parts.moved([(start, end)], days, " SEMI JOIN lacking k ON k.series = r.series AND k.day = r.day")
        legs.append(parts.rolled(level, start, end))
    return Source(" UNION ALL ".join(legs or [parts.nothing]), level, few=few and bool(level))


class _Parts:
    """What an answer about series is put together from, each in SQL; none where there is nothing."""

    def __init__(self, asked: Asked, extent: Extent) -> None:
        self._asked = asked
        self._extent = extent
        series = asked.series
        # One series needs no join: half of the time of a small answer would go into planning it.
        alone = len(series) == 1
        self._join = " JOIN asked a ON a.series = r.series" if "a." in asked.place else ""
        self._of_days = f"r.series = {series[0]}" if alone else f"r.series BETWEEN {min(series)} AND {max(series)}"
        self._of_series = self._of_days
        if not alone:
            self._of_days += " AND r.series IN (SELECT series FROM asked)"
            self._of_series = self._of_series if self._join else self._of_days
        self._usable = f" AND r.value IS NOT NULL AND r.quality < {asked.bad}" if asked.numbers else ""

    @property
    def nothing(self) -> str:
        return _select(self._asked, f"reading r{self._join}", "false")

    def fresh(self, start: Instant, end: Instant) -> list[str]:
        return [self._readings("reading", [(start, end)])] if self._extent.has_fresh(end) else []

    def moved(self, spans: Sequence[packed.Span], more: str = "", joined: str = "") -> list[str]:
        held = [(start, end) for start, end in spans if start < end and self._extent.has_moved(start, end)]
        if not held:
            return []
        return [self._readings(packed.past(*held, odd=self._extent.has_odd(self._asked.series)), held, more, joined)]

    def rolled(self, level: int, start: Instant, end: Instant) -> str:
        where = f"r.time >= {start} AND r.time < {end} AND {self._of_series}"
        if self._asked.numbers:
            where += " AND r.count > 0"
        return _select(self._asked, f"{_table(level)} r{self._join}", where, level)

    def lacking(
        self, cursor: duckdb.DuckDBPyConnection, level: int, start: Instant, end: Instant
    ) -> dict[str, NDArray[Any]] | None:
        """Return the days and series that a level is not kept for; ``None`` where it is kept for none at all."""
        if level in {0, DAY}:
            return _NONE_LACKING
        # Only rows of days are looked at here: a few for each series.
        where = f"FROM {DAILY} r WHERE {self._of_days} AND r.time > {start - 2 * DAY} AND r.time < {end}"
        lacks = f"r.levels & {BITS[level]} = 0"
        ((count, of),) = cursor.execute(f"SELECT count(*) FILTER ({lacks}), count(*) {where}").fetchall()
        if count == of:
            return None
        if not count:
            return _NONE_LACKING
        found = cursor.execute(f"SELECT r.series, r.day {where} AND {lacks}").fetchnumpy()
        return {name: np.ma.getdata(column) for name, column in found.items()}

    def _readings(self, table: str, spans: Sequence[packed.Span], more: str = "", joined: str = "") -> str:
        within = " OR ".join(f"r.time >= {start} AND r.time < {end}" for start, end in spans)
        return _select(
            self._asked, f"{table} r{self._join}{joined}", f"({within}) AND {self._of_series}{self._usable}{more}"
        )


_NONE_LACKING: Final[dict[str, NDArray[Any]]] = {"series": np.empty(0, np.int32), "day": np.empty(0, np.int32)}


def _table(level: int) -> str:
    return DAILY if level == DAY else LEVELS[level]


def _select(asked: Asked, table: str, where: str, level: int = 0) -> str:
    """Return a query that gives readings, or rows of a rollup, the columns that are asked for."""
    number = "r.value" if asked.numbers else f"CASE WHEN r.quality < {asked.bad} THEN r.value END"
    made = []
    for name in asked.columns:
        of_reading, of_rollup = _MADE_OF[name]
        if asked.numbers:
            of_reading = _OF_NUMBERS.get(name, of_reading)
        text = (of_rollup if level else of_reading).format(number=number, bad=asked.bad, level=level)
        made.append(f"{text} AS {name}")
    place = f"{asked.place} AS place, " if asked.place else ""
    return f"SELECT {place}r.time, {', '.join(made)} FROM {table} WHERE {where}"
