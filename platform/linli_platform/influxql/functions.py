"""The functions of InfluxQL over vectors: what each is given and what it makes of it.

An aggregate makes one value of the values of a window; a selector picks one of them, with its time; a transformation
makes a new column of a column.
"""

import math
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.vector import Mask, Times, Vector, vector

Numbers: TypeAlias = NDArray[Any]
Edges: TypeAlias = NDArray[np.intp]
"""Row numbers at which windows begin and, one further, the last one ends: window i is ``edges[i]:edges[i + 1]``."""

AGGREGATES: Final = frozenset({"count", "sum", "mean", "median", "mode", "spread", "stddev", "integral", "distinct"})
SELECTORS: Final = frozenset({"first", "last", "min", "max", "percentile"})
RANKED: Final = frozenset({"top", "bottom"})
TRANSFORMATIONS: Final = frozenset(
    {
        "derivative",
        "non_negative_derivative",
        "difference",
        "non_negative_difference",
        "moving_average",
        "cumulative_sum",
        "elapsed",
    }
)
MATHEMATICS: Final[dict[str, Callable[..., Any]]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "ceil": np.ceil,
    "cos": np.cos,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "round": lambda data: np.copysign(np.floor(np.abs(data) + 0.5), data),
    "sin": np.sin,
    "sqrt": np.sqrt,
    "tan": np.tan,
}
MATHEMATICS_OF_TWO: Final[dict[str, Callable[..., Any]]] = {
    "atan2": np.arctan2,
    "pow": np.power,
    "log": lambda data, base: np.log(data) / np.log(base),
}
KEEP_INTEGERS: Final = frozenset({"abs", "ceil", "floor", "round", "pow"})
OF_ANYTHING: Final = frozenset({"count", "first", "last", "distinct", "mode", "elapsed"})
"""Functions that take texts too; the others take numbers."""


def aggregate(
    name: str, data: Vector, edges: Edges, arguments: tuple[Any, ...], times: Times, windows: Times
) -> Vector:
    """Return one value for each window.

    Args:
        name: Which aggregate or selector (but ``distinct``).
        data: Only values that are there, in order of time.
        edges: Windows within ``data``.
        arguments: Further arguments, numbers.
        times: Of ``data``, for the functions that need them.
        windows: Where each window begins, and one more: where the last one ends.
    """
    filled = np.diff(edges) > 0
    if name in {"min", "max", "percentile"}:
        rows = selected(name, data, edges, arguments)
        return _spread_out(data.kind, data.data[rows[rows >= 0]], rows >= 0)
    if name == "integral":
        return _integral(data, edges, times, windows, arguments[0] if arguments else 1_000_000_000)
    return _AGGREGATES[name](data, edges, filled)


def _count(_data: Vector, edges: Edges, _filled: Mask) -> Vector:
    return vector(Kind.INTEGER, np.diff(edges))


def _first(data: Vector, edges: Edges, filled: Mask) -> Vector:
    return _spread_out(data.kind, data.data[edges[:-1][filled]], filled)


def _last(data: Vector, edges: Edges, filled: Mask) -> Vector:
    return _spread_out(data.kind, data.data[edges[1:][filled] - 1], filled)


def _sum(data: Vector, edges: Edges, filled: Mask) -> Vector:
    return _spread_out(data.kind, np.add.reduceat(data.data, edges[:-1][filled]) if filled.any() else [], filled)


def _mean(data: Vector, edges: Edges, filled: Mask) -> Vector:
    sums = np.add.reduceat(data.data.astype(np.float64), edges[:-1][filled]) if filled.any() else np.empty(0)
    return _spread_out(Kind.FLOAT, sums / np.diff(edges)[filled], filled)


def _spread(data: Vector, edges: Edges, filled: Mask) -> Vector:
    starts = edges[:-1][filled]
    spans: Any = []
    if filled.any():
        spans = np.maximum.reduceat(data.data, starts) - np.minimum.reduceat(data.data, starts)
    return _spread_out(data.kind, spans, filled)


def _median(data: Vector, edges: Edges, filled: Mask) -> Vector:
    values = [float(np.median(data.data[first:last])) for first, last in _pairs(edges, filled)]
    return _spread_out(Kind.FLOAT, values, filled)


def _stddev(data: Vector, edges: Edges, _filled: Mask) -> Vector:
    """Of a single value there is no deviation: a row without a value."""
    several = np.diff(edges) > 1
    spans = _pairs(edges, several)
    values = [float(np.std(data.data[first:last].astype(np.float64), ddof=1)) for first, last in spans]
    return _spread_out(Kind.FLOAT, values, several)


def _modes(data: Vector, edges: Edges, filled: Mask) -> Vector:
    values = [_mode(data.data[first:last]) for first, last in _pairs(edges, filled)]
    return _spread_out(data.kind, values, filled)


_AGGREGATES: Final[dict[str, Callable[[Vector, Edges, Mask], Vector]]] = {
    "count": _count,
    "first": _first,
    "last": _last,
    "mean": _mean,
    "median": _median,
    "mode": _modes,
    "spread": _spread,
    "stddev": _stddev,
    "sum": _sum,
}


def selected(name: str, data: Vector, edges: Edges, arguments: tuple[Any, ...]) -> NDArray[np.intp]:
    """Return the row that a selector picks in each window, -1 where there is none."""
    counts = np.diff(edges)
    rows = np.full(len(counts), -1, np.intp)
    filled = counts > 0
    if name == "first":
        rows[filled] = edges[:-1][filled]
    elif name == "last":
        rows[filled] = edges[1:][filled] - 1
    elif name in {"min", "max"}:
        pick = np.argmin if name == "min" else np.argmax
        rows[filled] = [first + int(pick(data.data[first:last])) for first, last in _pairs(edges, filled)]
    else:
        share = float(arguments[0])
        for window, (first, last) in zip(np.flatnonzero(filled).tolist(), _pairs(edges, filled), strict=True):
            place = math.floor((last - first) * share / 100 + 0.5) - 1
            if 0 <= place < last - first:
                rows[window] = first + int(np.argsort(data.data[first:last], kind="stable")[place])
    return rows


def ranked(name: str, data: Vector, edges: Edges, count: int) -> NDArray[np.intp]:
    """Return the rows that ``top`` or ``bottom`` pick, in order of time; of equals the earliest."""
    found: list[int] = []
    sign = -1 if name == "top" else 1
    for first, last in _pairs(edges, np.diff(edges) > 0):
        order = np.argsort(sign * data.data[first:last], kind="stable")[:count]
        found += sorted(first + int(row) for row in order)
    return np.array(found, np.intp)


def transform(name: str, times: Times, data: Vector, argument: Any) -> tuple[Times, Vector]:
    """Return a transformation of a column.

    Args:
        name: Which.
        times: When each value was.
        data: Values, all of them there, in the order they are to be taken in.
        argument: The unit of a derivative or of time elapsed (ns), the number of values of a moving average.
    """
    if name == "cumulative_sum":
        return times, vector(data.kind, np.cumsum(data.data))
    if name == "moving_average":
        return _moving_average(times, data, int(argument))
    if len(data) < 2:
        kind = Kind.FLOAT if "derivative" in name else Kind.INTEGER if name == "elapsed" else data.kind
        return times[:0], vector(kind, [])
    if name == "elapsed":
        passed = np.diff(times)
        return times[1:], vector(Kind.INTEGER, np.sign(passed) * (np.abs(passed) // int(argument)))
    if name.endswith("difference"):
        steps = np.diff(data.data)
        keep = steps >= 0 if name.startswith("non_negative") else np.ones(len(steps), np.bool_)
        return times[1:][keep], vector(data.kind, steps[keep])
    return _rates(times, data, float(argument), positive=name.startswith("non_negative"))


def _moving_average(times: Times, data: Vector, count: int) -> tuple[Times, Vector]:
    if len(data) < count:
        return times[:0], vector(Kind.FLOAT, [])
    sums = np.convolve(data.data.astype(np.float64), np.ones(count), "valid")
    return times[count - 1 :], vector(Kind.FLOAT, sums / count)


def _rates(times: Times, data: Vector, unit: float, *, positive: bool) -> tuple[Times, Vector]:
    passed = np.abs(np.diff(times))
    # Several series may have a value at one instant: there is no rate between them.
    keep = passed != 0
    rates = np.diff(data.data.astype(np.float64))[keep] / (passed[keep] / unit)
    later = times[1:][keep]
    if positive:
        later, rates = later[rates >= 0], rates[rates >= 0]
    return later, vector(Kind.FLOAT, rates)


def distinct(data: Vector, edges: Edges) -> tuple[list[int], list[Any]]:
    """Return each value of each window once, as they come, with the number of its window."""
    windows: list[int] = []
    values: list[Any] = []
    for window, (first, last) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        found = list(dict.fromkeys(data.data[first:last].tolist()))
        windows += [window] * len(found)
        values += found
    return windows, values


def _pairs(edges: Edges, chosen: Mask) -> "list[tuple[int, int]]":
    return list(zip(edges[:-1][chosen].tolist(), edges[1:][chosen].tolist(), strict=True))


def _spread_out(kind: Kind, values: Any, filled: Mask) -> Vector:
    """Put values into the windows that have one."""
    if kind is Kind.STRING:
        data: NDArray[Any] = np.empty(len(filled), object)
    else:
        data = np.zeros(len(filled), {Kind.FLOAT: np.float64, Kind.INTEGER: np.int64, Kind.BOOLEAN: np.bool_}[kind])
    data[filled] = values
    return Vector(kind, data, filled.copy())


def _mode(values: Numbers) -> Any:
    """Return the most frequent value.

    Of several the one that was complete before the next began; if none comes twice, the smallest.
    """
    runs: dict[Any, list[int]] = {}
    for place, value in enumerate(values.tolist()):
        runs.setdefault(value, []).append(place)
    best, most, ended = min(runs), 1, 0
    for value in sorted(runs):
        places = runs[value]
        for count, place in enumerate(places[1:], 2):
            if count > most or (count == most and places[0] <= ended):
                best, most, ended = value, count, place
    return best


def _integral(data: Vector, edges: Edges, times: Times, windows: Times, unit: int) -> Vector:
    """Return the area under the values, straight lines between them, in value times ``unit``.

    A line that crosses the beginning of a window is divided there.
    """
    count = len(edges) - 1
    areas, found = np.zeros(count), np.diff(edges) > 0
    numbers = data.data.astype(np.float64)
    for left in range(len(numbers) - 1):
        start, end = int(times[left]), int(times[left + 1])
        if start == end:
            continue
        slope = (numbers[left + 1] - numbers[left]) / (end - start)
        window = int(np.searchsorted(windows, start, "right")) - 1
        at, value = start, numbers[left]
        while at < end and 0 <= window < count:
            until = min(end, int(windows[window + 1]))
            later = numbers[left] + slope * (until - start)
            areas[window] += (value + later) / 2 * (until - at)
            found[window] = True
            at, value, window = until, later, window + 1
    return Vector(Kind.FLOAT, areas / unit, found)
