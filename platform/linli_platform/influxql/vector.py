"""Columns of values, some of which are missing."""

from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_platform.influxql.syntax import Kind

Times: TypeAlias = NDArray[np.int64]
"""Nanoseconds since 1970, UTC."""

Mask: TypeAlias = NDArray[np.bool_]


class Vector(msgspec.Struct, frozen=True, gc=False):
    """Values of one kind.

    Attributes:
        kind: FLOAT (float64), INTEGER (int64), STRING (object), BOOLEAN (bool).
        data: The values; what stands where there is none means nothing.
        valid: Where there is one.
    """

    kind: Kind
    data: NDArray[Any]
    valid: Mask

    def __len__(self) -> int:
        return len(self.data)

    def take(self, rows: Any) -> "Vector":
        """Return some of the rows (a mask, a slice or row numbers)."""
        return Vector(self.kind, self.data[rows], self.valid[rows])

    def listed(self) -> list[Any]:
        """Return the values as Python's own, ``None`` where there is none."""
        values: list[Any] = self.data.tolist()
        if not self.valid.all():
            for row in np.flatnonzero(~self.valid).tolist():
                values[row] = None
        return values


_TYPES = {Kind.FLOAT: np.float64, Kind.INTEGER: np.int64, Kind.BOOLEAN: np.bool_}


def vector(kind: Kind, data: Any, valid: Any = None) -> Vector:
    """Return a vector; all values are there unless ``valid`` says otherwise."""
    if kind is Kind.STRING:
        array = np.empty(len(data), object)
        array[:] = data
    else:
        array = np.asarray(data, _TYPES[kind])
    return Vector(kind, array, np.ones(len(array), np.bool_) if valid is None else np.asarray(valid, np.bool_))


def empty(kind: Kind, length: int) -> Vector:
    """Return a vector without a single value."""
    data = np.empty(length, object) if kind is Kind.STRING else np.zeros(length, _TYPES[kind])
    return Vector(kind, data, np.zeros(length, np.bool_))


def joined(vectors: list[Vector]) -> Vector:
    """Return vectors one behind the other; of two kinds of number it is floats."""
    kinds = {item.kind for item in vectors}
    kind = vectors[0].kind if len(kinds) == 1 else Kind.FLOAT
    if len(kinds) > 1 and not kinds <= {Kind.FLOAT, Kind.INTEGER}:
        # Different things under one name in different sources: the first kind is kept, as a column has one.
        kind = vectors[0].kind
        vectors = [item if item.kind is kind else empty(kind, len(item)) for item in vectors]
    data = [item.data for item in vectors]
    if kind is Kind.FLOAT and len(kinds) > 1:
        data = [each.astype(np.float64) for each in data]
    return Vector(kind, np.concatenate(data), np.concatenate([item.valid for item in vectors]))
