"""``completeness``: what should have come of each point and day, and what came."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from linli_core.vocabulary import vocabulary
from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.members import Members
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Series
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.vector import Times, Vector
from linli_platform.influxql.window import EARLIEST, LATEST, MICROSECOND, Range
from linli_platform.store import CompleteDay
from linli_platform.store.query import Measure, Steps, taken_together

_FIELDS: Final = {
    "expected": Kind.INTEGER,
    "fulfilled": Kind.INTEGER,
    "good": Kind.INTEGER,
    "late": Kind.INTEGER,
    "missing": Kind.INTEGER,
    "received": Kind.INTEGER,
    "share": Kind.FLOAT,
}


class Completeness:
    """The completeness of points as a measurement: a row for each day, at its beginning.

    Args:
        known: What there is.
    """

    name = "completeness"
    fields: Mapping[str, Kind] = _FIELDS

    def __init__(self, known: Known) -> None:
        self._known = known

    def series(self) -> Sequence[Series]:
        """Return the points that may be seen."""
        found: Members | None = self._known.lasting.get(self.name)
        if found is None:
            words = vocabulary()
            series = []
            for name, members in self._known.catalogue.series.items():
                quantity = words.get(name)
                titles = {f"quantity_{lang}": quantity.titles[lang] if quantity else name for lang in LANGUAGES}
                more = {"quantity": name, **titles}
                series += [Series(one.id, dict(sorted({**one.tags, **more}.items()))) for one in members]
            found = self._known.lasting[self.name] = Members(series, self._known.shelf)
        return found

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return the days of points within a range."""
        members: dict[int, list[CompleteDay]] = {}
        for day in self._days([one.id for one in series], reach):
            members.setdefault(day.series, []).append(day)
        wanted = [name for name in _FIELDS if fields is None or name in fields]
        return [
            Piece(
                self.name,
                one.tags,
                np.array([day.day for day in days], np.int64) * MICROSECOND,
                {name: _column(days, name) for name in wanted},
            )
            for one in series
            if (days := members.get(one.id))
        ]

    def steps(self, field: str, groups: Mapping[int, int], edges: Times, wanted: frozenset[Measure]) -> Steps | None:
        """Return what a field comes to by groups of points and windows."""
        if field not in _FIELDS:
            return None
        days = self._days(list(groups), Range(int(edges[0]), int(edges[-1]) - 1))
        column = _column(days, field)
        group = np.array([groups[day.series] for day in days], np.int32)[column.valid]
        times = np.array([day.day for day in days], np.int64)[column.valid] * MICROSECOND
        return taken_together(group, times, column.data[column.valid], edges, wanted)

    def _days(self, series: Sequence[int], reach: Range) -> list[CompleteDay]:
        """Return the days that begin within a range."""
        start, end = max(reach.start, EARLIEST) // MICROSECOND, min(reach.end, LATEST) // MICROSECOND + 1
        found = self._known.store.completeness(series, start, end)
        return [day for day in found if reach.start <= day.day * MICROSECOND <= reach.end]


def _column(days: Sequence[CompleteDay], name: str) -> Vector:
    values = [getattr(day.completeness, name) for day in days]
    kind = _FIELDS[name]
    data = np.array([0 if value is None else value for value in values], np.float64 if kind is Kind.FLOAT else np.int64)
    return Vector(kind, data, np.array([value is not None for value in values], np.bool_))
