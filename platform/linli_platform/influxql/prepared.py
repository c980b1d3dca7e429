"""What the store takes together by itself: statements of plain aggregates need no rows brought here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from linli_platform.influxql.checks import calls_of
from linli_platform.influxql.columns import Chosen
from linli_platform.influxql.functions import SELECTORS, TRANSFORMATIONS
from linli_platform.influxql.syntax import Call, Kind, Name
from linli_platform.influxql.vector import Mask, Times, Vector, vector
from linli_platform.store.query import Measure, Steps

_DIFFERENCES: Final = frozenset({"difference", "non_negative_difference"})
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


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one group comes to, by windows.

    Attributes:
        edges: Where each window begins, as the evaluation has them, and where the last one ends (ns).
        windows: Numbers of the windows that hold anything.
        measures: Of those windows.
    """

    edges: Times
    windows: Any
    measures: Mapping[Measure, Any]

    def reduced(self, name: str, starts: Times | None) -> tuple[Vector, Mask]:
        """Return an aggregate's value for each window, and which windows hold anything."""
        values = self._values(name)
        kind = Kind.INTEGER if name == "count" else Kind.FLOAT
        if starts is None:
            there = np.ones(1, np.bool_) if len(values) else np.zeros(1, np.bool_)
            data = values if len(values) else np.zeros(1)
            return Vector(kind, data.astype(np.int64) if kind is Kind.INTEGER else data, there), there
        length = len(self.edges) - 1
        data = np.zeros(length, np.int64 if kind is Kind.INTEGER else np.float64)
        data[self.windows] = values
        had = np.zeros(length, np.bool_)
        had[self.windows] = True
        first = int(np.searchsorted(self.edges, starts[0]))
        part = slice(first, first + len(starts))
        return Vector(kind, data[part], had[part].copy()), had[part]

    def _values(self, name: str) -> Any:
        measures = self.measures
        if name == "mean":
            return measures[Measure.SUM] / measures[Measure.COUNT]
        if name == "spread":
            return measures[Measure.MAXIMUM] - measures[Measure.MINIMUM]
        (measure,) = _NEEDS[name]
        return measures[measure]


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


def differing(chosen: Sequence[Chosen]) -> tuple[Measure, bool] | None:
    """Return of what the differences from window to window are asked, and whether only rises; ``None`` for all else."""
    if len(chosen) != 1 or not isinstance(call := chosen[0].expression, Call) or len(call.arguments) != 1:
        return None
    inner = call.arguments[0]
    # Where nothing was counted, that is 0 and no gap.
    if call.name not in _DIFFERENCES or not isinstance(inner, Call) or inner.name not in _NEEDS.keys() - {"count"}:
        return None
    needed = _NEEDS[inner.name]
    return (next(iter(needed)), call.name.startswith("non_negative")) if len(needed) == 1 else None


def differences(
    steps: Steps, edges: Times, first: int, last: int, measure: Measure, *, rises: bool
) -> dict[int, tuple[Times, Vector]]:
    """Return the differences of each group from one window that holds anything to the next, all groups at once.

    Args:
        steps: By group, then by window.
        edges: Where each window begins, and where the last one ends (ns).
        first: Where the first window that is asked for begins.
        last: Where the last one does.
        measure: Of what.
        rises: Leave out what is less than before.
    """
    values, group = steps.measures[measure], steps.group
    change, times = np.diff(values), edges[steps.window[1:]]
    kept = (np.diff(group) == 0) & (times >= first) & (times <= last)
    if rises:
        kept &= change >= 0
    change, times, group = change[kept], times[kept], group[1:][kept]
    if not len(group):
        return {}
    begins = np.flatnonzero(np.r_[True, np.diff(group) != 0])
    ends = np.r_[begins[1:], len(group)]
    return {
        int(group[begin]): (times[begin:end], vector(Kind.FLOAT, change[begin:end]))
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    }


def by_group(steps: Steps, edges: Times) -> dict[int, Prepared]:
    """Return what each group that holds anything comes to."""
    if not len(steps.group):
        return {}
    starts = np.flatnonzero(np.r_[True, np.diff(steps.group) != 0])
    ends = np.r_[starts[1:], len(steps.group)]
    return {
        int(steps.group[first]): Prepared(
            edges, steps.window[first:last], {name: values[first:last] for name, values in steps.measures.items()}
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
