"""What the store takes together by itself: statements of plain aggregates need no rows brought here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from linli_platform.influxql.checks import calls_of
from linli_platform.influxql.columns import Chosen
from linli_platform.influxql.functions import MATHEMATICS, MATHEMATICS_OF_TWO, SELECTORS, TRANSFORMATIONS
from linli_platform.influxql.mathematics import apply, combine, constant
from linli_platform.influxql.syntax import Binary, Call, Duration, Expression, Kind, Name, Number
from linli_platform.influxql.vector import Mask, Times, Vector, vector
from linli_platform.store.query import Measure, Steps

_DIFFERENCES: Final = frozenset({"difference", "non_negative_difference"})
_DERIVATIVES: Final = frozenset({"derivative", "non_negative_derivative"})
_RISES: Final = "non_negative_"
_NEEDS: Final[dict[str, frozenset[Measure]]] = {
    "count": frozenset({Measure.COUNT}),
    "sum": frozenset({Measure.SUM}),
    "mean": frozenset({Measure.SUM, Measure.COUNT}),
    "min": frozenset({Measure.MINIMUM}),
    "max": frozenset({Measure.MAXIMUM}),
    "spread": frozenset({Measure.MINIMUM, Measure.MAXIMUM}),
    "first": frozenset({Measure.FIRST}),
    "last": frozenset({Measure.LAST}),
}
AGGREGATED: Final = frozenset(_NEEDS)
"""Functions that the store can take together."""

PERCENTILE: Final = "percentile"


@dataclass(frozen=True, slots=True)
class Points:
    """Values of many groups.

    Attributes:
        group: Of each value.
        times: Of each value (ns); those of one group are in order.
        values: All of them are there.
        kind: FLOAT or INTEGER.
    """

    group: NDArray[np.int32]
    times: Times
    values: NDArray[Any]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one group comes to, by windows.

    Attributes:
        edges: Where each window begins, as the evaluation has them, and where the last one ends (ns).
        windows: Numbers of the windows that hold anything.
        measures: Of those windows.
        kind: Of the field.
    """

    edges: Times
    windows: Any
    measures: Mapping[Measure, Any]
    kind: Kind = Kind.FLOAT

    def reduced(self, name: str, starts: Times | None) -> tuple[Vector, Mask]:
        """Return an aggregate's value for each window, and which windows hold anything."""
        values = reduced(name, self.measures, self.kind)
        if starts is None:
            there = np.ones(1, np.bool_) if len(values) else np.zeros(1, np.bool_)
            return Vector(values.kind, values.data if len(values) else np.zeros(1, values.data.dtype), there), there
        length = len(self.edges) - 1
        data = np.zeros(length, values.data.dtype)
        data[self.windows] = values.data
        had = np.zeros(length, np.bool_)
        had[self.windows] = True
        first = int(np.searchsorted(self.edges, starts[0]))
        part = slice(first, first + len(starts))
        return Vector(values.kind, data[part], had[part].copy()), had[part]


def reduced(name: str, measures: Mapping[Measure, Any], kind: Kind) -> Vector:
    """Return an aggregate of what holds anything."""
    if name == "mean":
        return vector(Kind.FLOAT, measures[Measure.SUM] / measures[Measure.COUNT])
    if name == "spread":
        return vector(kind, measures[Measure.MAXIMUM] - measures[Measure.MINIMUM])
    (measure,) = _NEEDS[name]
    return vector(Kind.INTEGER if measure is Measure.COUNT else kind, measures[measure])


def plan(chosen: Sequence[Chosen], *, windowed: bool) -> tuple[str, frozenset[Measure]] | None:
    """Return the one field that columns are made of and what is needed of it; ``None`` if rows are needed."""
    calls = [call for column in chosen for call in calls_of(column.expression)]
    if not calls or any(not calls_of(column.expression) for column in chosen):
        return None
    inner = [_inner(call) for call in calls]
    if any(call is None for call in inner):
        return None
    plain = [call for call in inner if call is not None]
    # A lone selector without windows answers with the time of what it picked, which steps do not tell.
    if not windowed and len(plain) == 1 and plain[0].name in SELECTORS:
        return None
    fields = {call.arguments[0].name for call in plain if isinstance(call.arguments[0], Name)}
    if len(fields) != 1:
        return None
    return fields.pop(), frozenset().union(*(_NEEDS[call.name] for call in plain))


@dataclass(frozen=True, slots=True)
class Differing:
    """That a measure's change from window to window is asked for.

    Attributes:
        measure: Of what.
        rises: Leave out what is less than before.
        unit: In what time it changes by so much (ns); 0 for the change itself, however long that took.
    """

    measure: Measure
    rises: bool
    unit: int = 0


def differing(chosen: Sequence[Chosen], interval: int) -> Differing | None:
    """Return of what the changes from window to window are asked; ``None`` for all else.

    Args:
        chosen: The columns.
        interval: Length of a window (ns).
    """
    if len(chosen) != 1 or not isinstance(call := chosen[0].expression, Call) or not call.arguments:
        return None
    inner, *more = call.arguments
    # Where nothing was counted, that is 0 and no gap.
    if not isinstance(inner, Call) or inner.name not in _NEEDS.keys() - {"count"} or len(_NEEDS[inner.name]) > 1:
        return None
    (measure,) = _NEEDS[inner.name]
    rises = call.name.startswith(_RISES)
    if call.name in _DIFFERENCES and not more:
        return Differing(measure, rises)
    if call.name in _DERIVATIVES and not more:
        return Differing(measure, rises, interval)
    if call.name in _DERIVATIVES and len(more) == 1 and isinstance(more[0], Duration):
        return Differing(measure, rises, more[0].value)
    return None


def differences(steps: Steps, edges: Times, first: int, last: int, asked: Differing, kind: Kind) -> Points:
    """Return the changes of each group from one window that holds anything to the next, all groups at once.

    Args:
        steps: By group, then by window.
        edges: Where each window begins, and where the last one ends (ns).
        first: Where the first window that is asked for begins.
        last: Where the last one does.
        asked: Of what, and in what time.
        kind: Of the field.
    """
    values, group, starts = steps.measures[asked.measure], steps.group, edges[steps.window]
    change, times = np.diff(values), starts[1:]
    kept = (np.diff(group) == 0) & (times >= first) & (times <= last)
    if asked.rises:
        kept &= change >= 0
    found, kind = change[kept], Kind.FLOAT if asked.unit else kind
    if asked.unit:
        found = found.astype(np.float64) / (np.diff(starts)[kept] / float(asked.unit))
    return Points(group[1:][kept], times[kept], found, kind)


def parted(points: Points) -> dict[int, tuple[Times, Vector]]:
    """Return the values of each group that has any; they are in order of their groups."""
    if not len(points.group):
        return {}
    begins = np.flatnonzero(np.r_[True, np.diff(points.group) != 0])
    ends = np.r_[begins[1:], len(points.group)]
    return {
        int(points.group[begin]): (points.times[begin:end], vector(points.kind, points.values[begin:end]))
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    }


@dataclass(frozen=True, slots=True)
class Selecting:
    """A lone selector, of which all of a statement is made.

    Attributes:
        call: Itself.
        field: Of what.
        share: Of a percentile.
    """

    call: Call
    field: str
    share: float = 0.0

    @property
    def is_percentile(self) -> bool:
        """Whether it picks by rank: of a few values none may have it."""
        return self.call.name == PERCENTILE


def selecting(chosen: Sequence[Chosen]) -> Selecting | None:
    """Return the lone selector that columns are made of; ``None`` for all else."""
    calls = [call for column in chosen for call in calls_of(column.expression)]
    if len(calls) != 1 or len(chosen) != 1 or calls[0].name not in SELECTORS:
        return None
    (field, *more) = calls[0].arguments
    if not isinstance(field, Name):
        return None
    if calls[0].name != PERCENTILE:
        return None if more else Selecting(calls[0], field.name)
    return Selecting(calls[0], field.name, float(more[0].value)) if isinstance(more[0], Number) else None


def picked(selector: Selecting, points: Points, windows: NDArray[np.int64] | None = None) -> Points:
    """Return what a selector picks of each group that has it, of equal values the earliest; groups are in order then.

    Args:
        selector: By which.
        points: Of what.
        windows: In which window of its group each of them lies; it is picked of each window then.
    """
    if not len(points.group):
        return points
    where = np.zeros(len(points.group), np.int64) if windows is None else windows
    ranked = (points.times, points.values) if selector.is_percentile else (points.times,)
    order = np.lexsort((*ranked, where, points.group))
    group, where, times, values = points.group[order], where[order], points.times[order], points.values[order]
    begins = np.flatnonzero(np.r_[True, (np.diff(group) != 0) | (np.diff(where) != 0)])
    counts = np.diff(np.r_[begins, len(group)])
    rows = begins
    if selector.is_percentile:
        places = np.floor(counts * selector.share / 100 + 0.5).astype(np.int64) - 1
        there = (places >= 0) & (places < counts)
        rows = begins[there] + places[there]
    elif selector.call.name == "last":
        rows = begins + counts - 1
    elif selector.call.name in {"min", "max"}:
        best = (np.minimum if selector.call.name == "min" else np.maximum).reduceat(values, begins)
        best_rows = np.flatnonzero(values == np.repeat(best, counts))
        rows = best_rows[np.searchsorted(best_rows, begins)]
    return Points(group[rows], times[rows], values[rows], points.kind)


def of_groups(expression: Expression, call: Callable[[Call], Vector], length: int) -> Vector:
    """Return an expression of aggregates for all groups at once, where each group has one value of each.

    Args:
        expression: The expression.
        call: Returns an aggregate's values.
        length: How many groups there are.
    """
    if isinstance(expression, Binary):
        sides = (of_groups(side, call, length) for side in (expression.left, expression.right))
        return combine(expression.operator, *sides)
    if isinstance(expression, Call):
        if expression.name in MATHEMATICS or expression.name in MATHEMATICS_OF_TWO:
            return apply(expression, [of_groups(each, call, length) for each in expression.arguments])
        return call(expression)
    return constant(expression, length)


def by_group(steps: Steps, edges: Times, kind: Kind) -> dict[int, Prepared]:
    """Return what each group that holds anything comes to; ``kind`` is the field's."""
    if not len(steps.group):
        return {}
    starts = np.flatnonzero(np.r_[True, np.diff(steps.group) != 0])
    ends = np.r_[starts[1:], len(steps.group)]
    return {
        int(steps.group[first]): Prepared(
            edges, steps.window[first:last], {name: values[first:last] for name, values in steps.measures.items()}, kind
        )
        for first, last in zip(starts.tolist(), ends.tolist(), strict=True)
    }


def _inner(call: Call) -> Call | None:
    """Return the aggregate that a call is or transforms, if the store knows it."""
    if call.name in TRANSFORMATIONS:
        first = call.arguments[0]
        return _inner(first) if isinstance(first, Call) else None
    if call.name not in _NEEDS or len(call.arguments) != 1 or not isinstance(call.arguments[0], Name):
        return None
    return call
