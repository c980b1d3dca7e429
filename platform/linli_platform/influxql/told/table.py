"""A measurement of rows that are made at once and kept for as long as what they are made of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_platform.influxql.members import Members
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Series
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.vector import Times, Vector, vector
from linli_platform.influxql.window import MICROSECOND, Range
from linli_platform.store.query import Measure, Steps, taken_together

_NOTHING: Final = {Kind.STRING: "", Kind.FLOAT: 0.0, Kind.INTEGER: 0, Kind.BOOLEAN: False}
_EXACT: Final = 2**53
"""Whole numbers below it are the same as floats."""

Values: TypeAlias = Mapping[str, float | str | bool | None]
"""Fields of a row; ``None`` where there is no value."""

_Thing = TypeVar("_Thing")


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        time: When it was so.
        tags: Whose it is; empty ones are left out.
        values: Its fields.
    """

    time: Instant
    tags: Mapping[str, str]
    values: Values


@dataclass(frozen=True, slots=True)
class Table:
    """What there is to be told of one thing.

    Attributes:
        name: Of the measurement.
        fields: Its fields.
        rows: Makes all its rows that a caller may see.
    """

    name: str
    fields: Mapping[str, Kind]
    rows: Callable[[Known], Iterable[Row]]

    def made(self, known: Known) -> "Made":
        """Return all rows that a caller may see."""
        members: dict[tuple[tuple[str, str], ...], list[Row]] = {}
        for row in self.rows(known):
            members.setdefault(_key(row.tags), []).append(row)
        series = []
        rows: list[Row] = []
        bounds = [0]
        for number, (key, own) in enumerate(sorted(members.items())):
            series.append(Series(number, dict(key)))
            rows += sorted(own, key=lambda row: row.time)
            bounds.append(len(rows))
        times = [row.time for row in rows]
        return Made(self, Members(series, known.shelf), bounds, times, [row.values for row in rows])


@dataclass(frozen=True, slots=True)
class Standing(Generic[_Thing]):
    """What is so now of things that stay where they are: what they are called is worked out once.

    Attributes:
        name: Of the measurement.
        fields: Its fields.
        things: Yields each thing that a caller may see, with its tags; by where things are alone.
        values: Returns the fields of each thing now, in the same order; ``None`` where there is no row.
    """

    name: str
    fields: Mapping[str, Kind]
    things: Callable[[Known], Iterable[tuple[Mapping[str, str], _Thing]]]
    values: Callable[[Known, Sequence[_Thing]], Sequence[Values | None]]

    def made(self, known: Known) -> "Made":
        """Return the row of each thing that a caller may see."""
        found: tuple[Members, list[_Thing]] | None = known.lasting.get(self.name)
        if found is None:
            tagged = [(_key(tags), each) for tags, each in self.things(known)]
            tagged.sort(key=lambda pair: pair[0])
            series = [Series(number, dict(key)) for number, (key, _) in enumerate(tagged)]
            found = Members(series, known.shelf), [each for _, each in tagged]
            known.lasting[self.name] = found
        members, things = found
        rows = self.values(known, things)
        bounds = [0, *np.cumsum([row is not None for row in rows]).tolist()]
        there = [row for row in rows if row is not None]
        return Made(self, members, bounds, [known.now] * len(there), there)


class Made:
    """The rows of a measurement, series by series.

    Args:
        table: What is told.
        members: Its series, numbered from 0.
        bounds: Where the rows of each series begin, and where the last one's end.
        times: Of each row.
        rows: Their fields.
    """

    def __init__(
        self,
        table: "Table | Standing[Any]",
        members: Members,
        bounds: Sequence[int],
        times: Sequence[Instant],
        rows: Sequence[Values],
    ) -> None:
        self.members = members
        self._table = table
        self._bounds = np.array(bounds, np.int64)
        self._times: Times = np.array(times, np.int64) * MICROSECOND
        self._rows = rows
        self._columns: dict[str, Vector] = {}

    def pieces(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return the rows of series within a range."""
        columns = {name: self._column(name) for name in chosen(self._table.fields, fields)}
        found = []
        for one in series:
            part = slice(*self._bounds[one.id : one.id + 2].tolist())
            times = self._times[part]
            if not len(times):
                continue
            own = {name: column.take(part) for name, column in columns.items()}
            piece = Piece(self._table.name, one.tags, times, own)
            if times[0] < reach.start or times[-1] > reach.end:
                piece = piece.take((times >= reach.start) & (times <= reach.end))
            if len(piece):
                found.append(piece)
        return found

    def steps(self, field: str, groups: Mapping[int, int], edges: Times, wanted: frozenset[Measure]) -> Steps | None:
        """Return what a field comes to by groups of series and windows; ``None`` where it is no number."""
        if self._table.fields.get(field) not in {Kind.FLOAT, Kind.INTEGER}:
            return None
        column = self._column(field)
        if column.kind is Kind.INTEGER and np.abs(column.data).max(initial=0) >= _EXACT:
            return None
        number = np.full(len(self.members), -1, np.int32)
        number[np.fromiter(groups, np.int64, len(groups))] = np.fromiter(groups.values(), np.int32, len(groups))
        group = np.repeat(number, np.diff(self._bounds))
        kept = column.valid & (group >= 0)
        return taken_together(group[kept], self._times[kept], column.data[kept], edges, wanted)

    def _column(self, name: str) -> Vector:
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = _column(self._rows, name, self._table.fields[name])
        return found


class Told:
    """A table as a measurement.

    Args:
        table: What is told.
        known: To whom, and of what.
    """

    def __init__(self, table: Table | Standing[Any], known: Known) -> None:
        self.name = table.name
        self.fields = table.fields
        self._table = table
        self._known = known

    def series(self) -> Sequence[Series]:
        """Return its series."""
        return self._made().members

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return the rows of series within a range."""
        return self._made().pieces(series, reach, fields)

    def steps(self, field: str, groups: Mapping[int, int], edges: Times, wanted: frozenset[Measure]) -> Steps | None:
        """Return what a field comes to by groups of series and windows; ``None`` where rows have to be asked for."""
        return self._made().steps(field, groups, edges, wanted)

    def _made(self) -> Made:
        found: Made | None = self._known.made.get(self.name)
        if found is None:
            found = self._known.made[self.name] = self._table.made(self._known)
        return found


class ByRows:
    """A measurement of which nothing is summed up beforehand.

    Args:
        known: To whom it is told, and of what.
    """

    def __init__(self, known: Known) -> None:
        self._known = known

    def steps(
        self, _field: str, _groups: Mapping[int, int], _edges: Times, _wanted: frozenset[Measure]
    ) -> Steps | None:
        """Return nothing: rows have to be asked for."""
        return None


def chosen(fields: Mapping[str, Kind], wanted: AbstractSet[str] | None) -> dict[str, Kind]:
    """Return those of the fields that are asked for; ``None`` asks for all."""
    return {name: kind for name, kind in fields.items() if wanted is None or name in wanted}


def piece_of(
    name: str,
    tags: Mapping[str, str],
    times: Sequence[Instant],
    rows: Sequence[Mapping[str, Any]],
    fields: Mapping[str, Kind],
) -> Piece:
    """Return rows as a measurement has them.

    Args:
        name: Of the measurement.
        tags: Whose they are.
        times: When each was so.
        rows: Their fields; ``None`` where there is no value.
        fields: Which of them are wanted.
    """
    columns = {field: _column(rows, field, kind) for field, kind in fields.items()}
    return Piece(name, tags, np.array(times, np.int64) * MICROSECOND, columns)


def _key(tags: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((tag, value) for tag, value in tags.items() if value))


def _column(rows: Sequence[Mapping[str, Any]], name: str, kind: Kind) -> Vector:
    values = [row.get(name) for row in rows]
    there: NDArray[np.bool_] = np.array([value is not None for value in values], np.bool_)
    return vector(kind, [_NOTHING[kind] if value is None else value for value in values], there)
