"""What stands in the windows that had no rows."""

import numpy as np

from linli_platform.influxql.syntax import Fill, Kind
from linli_platform.influxql.vector import Mask, Vector


def filled(
    values: Vector, had: Mask, fill: Fill, number: float, *, counts: bool = False, descending: bool = False
) -> Vector:
    """Return values with the windows that had no rows filled.

    Args:
        values: One for each window.
        had: Which windows had rows; one of them may have no value all the same (the deviation of a single number).
        fill: With what.
        number: With which number, if with a number.
        counts: Nothing counted is 0, not nothing.
        descending: The answer begins with the latest: the previous value is the later one.
    """
    if had.all() or fill is Fill.NONE or (fill is Fill.NULL and not counts):
        return values
    if fill is Fill.PREVIOUS:
        order = slice(None, None, -1) if descending else slice(None)
        return _previous(values.take(order), had[order]).take(order)
    if values.kind is Kind.STRING:
        return values
    if fill is Fill.LINEAR:
        return _linear(values, had)
    data = values.data.copy()
    value = 0 if fill is Fill.NULL else number
    data[~had] = int(value) if values.kind is Kind.INTEGER else value
    return Vector(values.kind, data, values.valid | ~had)


def _previous(values: Vector, had: Mask) -> Vector:
    """What was before is that of the window before that had rows, and be it no value."""
    places = np.flatnonzero(had)
    if not len(places):
        return values
    before = np.searchsorted(places, np.arange(len(values)), "right") - 1
    gaps = ~had & (before >= 0)
    data, valid = values.data.copy(), values.valid.copy()
    data[gaps] = values.data[places[before[gaps]]]
    valid[gaps] = values.valid[places[before[gaps]]]
    return Vector(values.kind, data, valid)


def _linear(values: Vector, had: Mask) -> Vector:
    """A line is drawn between neighbours that both have a value."""
    places = np.flatnonzero(had)
    if not len(places):
        return values
    rows = np.arange(len(values))
    after = np.searchsorted(places, rows)
    inside = ~had & (after > 0) & (after < len(places))
    left, right = places[np.maximum(after - 1, 0)], places[np.minimum(after, len(places) - 1)]
    gaps = inside & values.valid[left] & values.valid[right]
    line = np.interp(rows[gaps], places, np.where(values.valid[places], values.data[places], 0).astype(np.float64))
    data, valid = values.data.copy(), values.valid | gaps
    data[gaps] = np.trunc(line) if values.kind is Kind.INTEGER else line
    return Vector(values.kind, data, valid)
