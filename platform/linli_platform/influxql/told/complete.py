"""``completeness``: what should have come of each point and day, and what came."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from linli_core.vocabulary import vocabulary
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Series
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.vector import Vector
from linli_platform.influxql.window import EARLIEST, LATEST, MICROSECOND, Range
from linli_platform.store import CompleteDay

_FIELDS: Final = {
    "expected": Kind.INTEGER,
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
        found: list[Series] | None = self._known.made.get(self.name)
        if found is None:
            words = vocabulary()
            found = []
            for name, members in self._known.catalogue.series.items():
                quantity = words.get(name)
                titles = {f"quantity_{lang}": quantity.titles[lang] if quantity else name for lang in ("zh", "en")}
                more = {"quantity": name, **titles}
                found += [Series(one.id, dict(sorted({**one.tags, **more}.items()))) for one in members]
            self._known.made[self.name] = found
        return found

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return the days of points within a range."""
        start, end = max(reach.start, EARLIEST) // MICROSECOND, min(reach.end, LATEST) // MICROSECOND + 1
        members: dict[int, list[CompleteDay]] = {}
        for day in self._known.store.completeness([one.id for one in series], start, end):
            if day.day * MICROSECOND >= reach.start:
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


def _column(days: Sequence[CompleteDay], name: str) -> Vector:
    values = [getattr(day.completeness, name) for day in days]
    kind = _FIELDS[name]
    data = np.array([0 if value is None else value for value in values], np.float64 if kind is Kind.FLOAT else np.int64)
    return Vector(kind, data, np.array([value is not None for value in values], np.bool_))
