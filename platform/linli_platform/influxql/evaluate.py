"""A group of rows and a list of columns: what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np

from linli_platform.influxql.checks import calls_of, reduces
from linli_platform.influxql.columns import Chosen
from linli_platform.influxql.filling import filled
from linli_platform.influxql.functions import (
    MATHEMATICS,
    MATHEMATICS_OF_TWO,
    RANKED,
    SELECTORS,
    TRANSFORMATIONS,
    aggregate,
    distinct,
    ranked,
    selected,
    transform,
)
from linli_platform.influxql.mathematics import apply, combine, constant
from linli_platform.influxql.piece import Rows
from linli_platform.influxql.prepared import Prepared
from linli_platform.influxql.syntax import Binary, Call, Distinct, Duration, Expression, Fill, Kind, Name, Number, walk
from linli_platform.influxql.vector import Mask, Times, Vector, empty
from linli_platform.influxql.window import SECOND, Range, Windows

_ONE_SECOND: Final = ("derivative", "non_negative_derivative")


class Table(msgspec.Struct, frozen=True, gc=False):
    """Rows of an answer, in ascending order of time.

    Attributes:
        times: One for each row.
        columns: Vectors, as long.
    """

    times: Times
    columns: list[Vector]


@dataclass(frozen=True, slots=True)
class _Stream:
    """Values with the times they are of."""

    times: Times
    values: Vector


class Group:
    """Rows of one group, and how they are to be taken together.

    Args:
        rows: Within the reach, and what ``earlier`` asks for before it; none if ``prepared``.
        reach: What is asked for.
        windows: ``None`` without windows.
        earlier: Windows that transformations need before the reach; behind it where the latest comes first.
        fill, fill_value, descending: As the statement says.
        prepared: What the store has taken together of the group.
    """

    def __init__(
        self,
        rows: Rows,
        reach: Range,
        windows: Windows | None,
        *,
        earlier: int = 0,
        fill: Fill = Fill.NULL,
        fill_value: float = 0.0,
        descending: bool = False,
        prepared: Prepared | None = None,
    ) -> None:
        self._rows = rows
        self._prepared = prepared
        self._reach = reach
        self._fill = fill
        self._fill_value = fill_value
        self._descending = descending
        self._starts: Times | None = None
        self._extended: Times | None = None
        self._has_data = False
        if windows is not None and (len(rows.times) or prepared is not None):
            first = reach.start if reach.has_start else int(rows.times[0])
            self._starts, self._extended = starts_of(windows, Range(first, reach.end), earlier, descending=descending)
        self._is_windowed = windows is not None
        self._interval = windows.interval if windows is not None else 0

    def table(self, chosen: Sequence[Chosen]) -> Table | None:
        """Return the rows of the answer; ``None`` if the group has none."""
        calls = [call for column in chosen for call in calls_of(column.expression)]
        if self._prepared is None and not len(self._rows.times):
            return None
        if self._prepared is None and len(calls) == 1 and calls[0].name in SELECTORS | RANKED | {"distinct"}:
            return self._alone(chosen, calls[0])
        streams = [self._stream(column.expression) for column in chosen]
        is_reduced = any(reduces(column.expression) for column in chosen)
        if is_reduced and not self._has_data:
            return None
        table = _joined(streams)
        if not calls:
            return self._said(table, chosen)
        if any(call.name in TRANSFORMATIONS for call in calls):
            table = _without_empty(table, [not column.is_tag for column in chosen])
        return table if len(table.times) else None

    def _alone(self, chosen: Sequence[Chosen], call: Call) -> Table | None:
        if call.name in RANKED:
            return self._ranked(chosen, call)
        return self._distinct(call) if call.name == "distinct" else self._one_selector(chosen, call)

    def _said(self, table: Table, chosen: Sequence[Chosen]) -> Table | None:
        """Leave out rows in which none of the fields asked for has a value, whatever is calculated with them."""
        fields = [column.expression for column in chosen if not column.is_tag]
        names = {item.name for expression in fields for item in walk(expression) if isinstance(item, Name)}
        keep = np.zeros(len(table.times), np.bool_)
        for name in names:
            keep |= self._rows.column(name).valid
        if not keep.any():
            return None
        return Table(table.times[keep], [column.take(keep) for column in table.columns])

    # Streams

    def _stream(self, expression: Expression) -> _Stream:
        if isinstance(expression, Name):
            return _Stream(self._rows.times, self._rows.column(expression.name))
        if isinstance(expression, Distinct):
            return self._stream(Call("distinct", (Name(expression.name),)))
        if isinstance(expression, Binary):
            left, right = self._sides(expression)
            table = _joined([left, right])
            return _Stream(table.times, combine(expression.operator, *table.columns))
        if isinstance(expression, Call):
            return self._called(expression)
        return _Stream(self._rows.times, constant(expression, len(self._rows.times)))

    def _called(self, call: Call) -> _Stream:
        if call.name in MATHEMATICS or call.name in MATHEMATICS_OF_TWO:
            return self._mathematics(call)
        return self._transformed(call) if call.name in TRANSFORMATIONS else self._reduced(call, self._starts)

    def _sides(self, expression: Binary) -> tuple[_Stream, _Stream]:
        """Return both sides; a constant is as long as what it stands beside."""
        sides = expression.left, expression.right
        constants = [isinstance(side, Number | Duration) for side in sides]
        streams = [
            None if is_constant else self._stream(side) for side, is_constant in zip(sides, constants, strict=True)
        ]
        times = next((stream.times for stream in streams if stream is not None), self._rows.times)
        left, right = (
            _Stream(times, constant(side, len(times))) if stream is None else stream
            for side, stream in zip(sides, streams, strict=True)
        )
        return left, right

    def _mathematics(self, call: Call) -> _Stream:
        first = self._stream(call.arguments[0])
        others = [
            _Stream(first.times, constant(item, len(first.times))) if isinstance(item, Number) else self._stream(item)
            for item in call.arguments[1:]
        ]
        table = _joined([first, *others])
        return _Stream(table.times, apply(call, table.columns))

    def _reduced(self, call: Call, starts: Times | None) -> _Stream:
        """Return an aggregate's or selector's value for each window, filled, or the one value where there are none."""
        name = call.name
        field = call.arguments[0]
        if self._prepared is not None:
            values, had = self._prepared.reduced(name, starts)
        elif name == "count" and (isinstance(field, Distinct | Call)):
            inner = field.name if isinstance(field, Distinct) else _field_of(field)
            times, data = self._valid(inner)
            edges = self._edges(times, starts)
            windows, _ = distinct(data, edges)
            counts = np.bincount(np.array(windows, np.intp), minlength=len(edges) - 1)
            values, had = Vector(Kind.INTEGER, counts.astype(np.int64), counts > 0), np.diff(edges) > 0
        else:
            times, data = self._valid(_field_of(call))
            edges = self._edges(times, starts)
            had = np.diff(edges) > 0
            values = aggregate(name, data, edges, _further(call), times, self._bounds(starts))
            if name == "count":
                values = Vector(values.kind, values.data, had)
        self._has_data = self._has_data or bool(had.any())
        if starts is None:
            return _Stream(self._moment(), values)
        if self._fill is Fill.NONE:
            return _Stream(starts[had], values.take(had))
        return _Stream(starts, self._filled(values, had, counts=name == "count" and bool(had.any())))

    def _transformed(self, call: Call) -> _Stream:
        inner = call.arguments[0]
        stream = self._reduced(inner, self._extended) if isinstance(inner, Call) else self._stream(inner)
        times, values = stream.times[stream.values.valid], stream.values.take(stream.values.valid)
        argument: Any = SECOND if call.name in _ONE_SECOND else 1
        if (
            call.name in _ONE_SECOND
            and isinstance(inner, Call)
            and self._extended is not None
            and len(call.arguments) == 1
        ):
            argument = self._interval
        if len(call.arguments) > 1:
            further = call.arguments[1]
            assert isinstance(further, Number | Duration)
            argument = further.value
        order = slice(None, None, -1) if self._descending else slice(None)
        times, found = transform(call.name, times[order], values.take(order), argument)
        times, found = times[order], found.take(order)
        if self._starts is not None:
            asked = (times >= self._starts[0]) & (times <= self._starts[-1])
            times, found = times[asked], found.take(asked)
        return _Stream(times, found)

    # What takes the whole statement

    def _one_selector(self, chosen: Sequence[Chosen], call: Call) -> Table | None:
        """Return the point that a lone selector picks in each window, with what else stands at it."""
        rows = self._rows
        column = rows.column(_field_of(call))
        valid = np.flatnonzero(column.valid)
        data, times = column.take(valid), rows.times[valid]
        edges = self._edges(times, self._starts)
        picked = selected(call.name, data, edges, _further(call))
        there = picked >= 0
        if not (np.diff(edges) > 0).any():
            return None
        places = valid[picked[there]]
        if self._starts is None:
            if not there.any():
                return Table(self._moment(), [empty(data.kind, 1) for _ in chosen])
            moments = rows.times[places]
        else:
            moments = self._starts
        length = len(moments)
        found: list[Vector] = []
        for each in chosen:
            if calls_of(each.expression):
                values = _placed(column.take(places), there, length, spread=self._starts is not None)
                if self._starts is not None:
                    values = self._filled(values, there)
                found.append(self._around(each.expression, call, _Stream(moments, values)))
            else:
                aux = rows.column(_only_name(each.expression)).take(places)
                values = _placed(aux, there, length, spread=self._starts is not None)
                # Between the qualities of two readings there is no line.
                as_it_is = self._starts is None or (self._fill is Fill.LINEAR and aux.kind is Kind.INTEGER)
                found.append(values if as_it_is else self._filled(values, there))
        table = Table(moments, found)
        if self._starts is not None and self._fill is Fill.NONE:
            table = _without_empty(table, [not each.is_tag for each in chosen])
        return table if len(table.times) else None

    def _around(self, expression: Expression, call: Call, stream: _Stream) -> Vector:
        """Return what is calculated with a selector's value."""
        if expression == call:
            return stream.values
        if isinstance(expression, Binary):
            sides = [
                constant(side, len(stream.times))
                if isinstance(side, Number | Duration)
                else self._around(side, call, stream)
                for side in (expression.left, expression.right)
            ]
            return combine(expression.operator, *sides)
        assert isinstance(expression, Call)
        return apply(
            expression,
            [
                constant(item, len(stream.times)) if isinstance(item, Number) else self._around(item, call, stream)
                for item in expression.arguments
            ],
        )

    def _ranked(self, chosen: Sequence[Chosen], call: Call) -> Table | None:
        rows = self._rows
        column = rows.column(_field_of(call))
        valid = np.flatnonzero(column.valid)
        data, times = column.take(valid), rows.times[valid]
        edges = self._edges(times, self._starts)
        *tags, count = call.arguments[1:]
        assert isinstance(count, Number)
        if tags:
            valid, data, edges = self._best_of_each([_only_name(tag) for tag in tags], call.name, valid, data, edges)
        picked = ranked(call.name, data, edges, int(count.value))
        places = valid[self._within_windows(picked, np.searchsorted(edges, picked, "right"))]
        if not len(places):
            return None
        found = [
            column.take(places) if calls_of(each.expression) else rows.column(_only_name(each.expression)).take(places)
            for each in chosen
        ]
        found += [rows.column(_only_name(tag)).take(places) for tag in tags]
        return Table(rows.times[places], found)

    def _best_of_each(
        self, tags: list[str], name: str, valid: Any, data: Vector, edges: Any
    ) -> tuple[Any, Vector, Any]:
        """Leave of each window the best row of each combination of tags."""
        keys = [self._rows.column(tag).take(valid).listed() for tag in tags]
        sign = -1 if name == "top" else 1
        kept: list[int] = []
        bounds = [0]
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            best: dict[tuple[Any, ...], int] = {}
            for row in range(first, last):
                key = tuple(each[row] for each in keys)
                if key not in best or sign * data.data[row] < sign * data.data[best[key]]:
                    best[key] = row
            kept += sorted(best.values())
            bounds.append(len(kept))
        chosen = np.array(kept, np.intp)
        return valid[chosen], data.take(chosen), np.array(bounds, np.intp)

    def _distinct(self, call: Call) -> Table | None:
        times, data = self._valid(_field_of(call))
        windows, values = distinct(data, self._edges(times, self._starts))
        if not values:
            return None
        moments = self._moment() if self._starts is None else self._starts
        where = np.array(windows, np.intp)
        column = empty(data.kind, len(values))
        column.data[:] = values
        order = self._within_windows(np.arange(len(values)), where)
        return Table(moments[where[order]], [Vector(data.kind, column.data[order], np.ones(len(values), np.bool_))])

    def _within_windows(self, rows: Any, windows: Any) -> Any:
        """Return rows turned round within each window where the answer will be: there they stay as they are."""
        if not self._descending or not len(rows):
            return rows
        order = np.lexsort((-np.arange(len(rows)), windows))
        return rows[order]

    # Rows and windows

    def _valid(self, field: str) -> tuple[Times, Vector]:
        column = self._rows.column(field)
        return self._rows.times[column.valid], column.take(column.valid)

    def _edges(self, times: Times, starts: Times | None) -> Any:
        if starts is None:
            return np.array([0, len(times)], np.intp)
        inner = np.searchsorted(times, starts, "left")
        return np.append(inner, np.searchsorted(times, int(starts[-1]) + self._interval, "left"))

    def _bounds(self, starts: Times | None) -> Times:
        if starts is None:
            return np.array([-(2**63), 2**63 - 1], np.int64)
        return np.append(starts, int(starts[-1]) + self._interval)

    def _moment(self) -> Times:
        return np.array([self._reach.start if self._reach.has_start else 0], np.int64)

    def _filled(self, values: Vector, had: Mask, *, counts: bool = False) -> Vector:
        return filled(values, had, self._fill, self._fill_value, counts=counts, descending=self._descending)


@lru_cache(maxsize=16)
def starts_of(windows: Windows, reach: Range, earlier: int, *, descending: bool) -> tuple[Times, Times]:
    """Return where windows begin, and where they do with some more in front, or behind where the latest comes first."""
    starts = windows.starts(reach)
    edge = [int(starts[-1] if descending else starts[0])]
    for _ in range(earlier):
        edge.append(windows.start_of(edge[-1] + windows.interval if descending else edge[-1] - 1))
    more = np.array(edge[1:], np.int64)
    extended = np.concatenate((starts, more)) if descending else np.concatenate((more[::-1], starts))
    # Every group of a statement has the same ones.
    starts.setflags(write=False)
    extended.setflags(write=False)
    return starts, extended


def _field_of(call: Call) -> str:
    return _only_name(call.arguments[0])


def _only_name(expression: Expression) -> str:
    assert isinstance(expression, Name)
    return expression.name


def _further(call: Call) -> tuple[Any, ...]:
    return tuple(item.value for item in call.arguments[1:] if isinstance(item, Number | Duration))


def _placed(values: Vector, there: Any, length: int, *, spread: bool) -> Vector:
    """Put values into the windows they are of."""
    if not spread:
        return values
    found = empty(values.kind, length)
    found.data[there] = values.data
    found.valid[there] = values.valid
    return found


def _joined(streams: Sequence[_Stream]) -> Table:
    """Bring columns together by time."""
    times = streams[0].times
    if all(stream.times is times or np.array_equal(stream.times, times) for stream in streams):
        return Table(times, [stream.values for stream in streams])
    times = np.unique(np.concatenate([stream.times for stream in streams]))
    columns = []
    for stream in streams:
        column = empty(stream.values.kind, len(times))
        places = np.searchsorted(times, stream.times)
        column.data[places] = stream.values.data
        column.valid[places] = stream.values.valid
        columns.append(column)
    return Table(times, columns)


def _without_empty(table: Table, counts: Sequence[bool]) -> Table:
    """Leave out rows without a value in any of the columns that count."""
    keep = np.zeros(len(table.times), np.bool_)
    for column, is_field in zip(table.columns, counts, strict=True):
        if is_field:
            keep |= column.valid
    return Table(table.times[keep], [column.take(keep) for column in table.columns])
