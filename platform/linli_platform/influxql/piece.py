"""Readings on their way through a query: rows of one series, or of several that were grouped."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.vector import Times, Vector, empty, joined, vector


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one series, in order of time.

    Attributes:
        name: The measurement.
        tags: Of all its rows.
        fields: One vector for each field, as long as ``times``.
    """

    name: str
    tags: Mapping[str, str]
    times: Times
    fields: Mapping[str, Vector]

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "Piece":
        """Return some of the rows."""
        if rows.all():
            return self
        fields = {name: values.take(rows) for name, values in self.fields.items()}
        return Piece(self.name, self.tags, self.times[rows], fields)

    def column(self, name: str) -> Vector:
        """Return a field, or a tag as a column; without a value where the piece has neither."""
        if (found := self.fields.get(name)) is not None:
            return found
        value = self.tags.get(name, "")
        length = len(self.times)
        return vector(Kind.STRING, [value] * length) if value else empty(Kind.STRING, length)


@dataclass(slots=True)
class Rows:
    """Rows of all the pieces of a group, in order of time; at one instant in order of the pieces."""

    pieces: list[Piece]
    times: Times
    _order: "np.ndarray[tuple[int], np.dtype[np.intp]] | None"
    _columns: dict[str, Vector]

    @classmethod
    def of(cls, pieces: list[Piece]) -> "Rows":
        """Bring pieces together."""
        if not pieces:
            return cls([], np.empty(0, np.int64), None, {})
        if len(pieces) == 1:
            return cls(pieces, pieces[0].times, None, {})
        times = np.concatenate([piece.times for piece in pieces])
        order = np.argsort(times, kind="stable")
        return cls(pieces, times[order], order, {})

    def column(self, name: str) -> Vector:
        """Return a field or a tag of all rows."""
        found = self._columns.get(name)
        if found is None:
            holders = [piece for piece in self.pieces if name in piece.fields]
            if not holders or len(holders) == len(self.pieces):
                found = joined([piece.column(name) for piece in self.pieces])
            else:
                kind = holders[0].fields[name].kind
                found = joined([piece.fields.get(name) or empty(kind, len(piece)) for piece in self.pieces])
            if self._order is not None:
                found = found.take(self._order)
            self._columns[name] = found
        return found
