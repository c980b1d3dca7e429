"""A measurement of rows that are made at once and kept for as long as what they are made of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from linli_core.instant import Instant
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Series
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.vector import Vector, vector
from linli_platform.influxql.window import MICROSECOND, Range

_NOTHING = {Kind.STRING: "", Kind.FLOAT: 0.0, Kind.INTEGER: 0, Kind.BOOLEAN: False}


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        time: When it was so.
        tags: Whose it is; empty ones are left out.
        values: Its fields; ``None`` where there is no value.
    """

    time: Instant
    tags: Mapping[str, str]
    values: Mapping[str, float | str | bool | None]


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


class Told:
    """A table as a measurement.

    Args:
        table: What is told.
        known: To whom, and of what.
    """

    def __init__(self, table: Table, known: Known) -> None:
        self.name = table.name
        self.fields = table.fields
        self._table = table
        self._known = known

    def series(self) -> Sequence[Series]:
        """Return its series."""
        return [series for series, _ in self._made()]

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return the rows of series within a range."""
        made = self._made()
        wanted = chosen(self.fields, fields)
        pieces = []
        for one in series:
            rows = made[one.id][1]
            piece = piece_of(self.name, one.tags, [row.time for row in rows], [row.values for row in rows], wanted)
            piece = piece.take((piece.times >= reach.start) & (piece.times <= reach.end))
            if len(piece):
                pieces.append(piece)
        return pieces

    def _made(self) -> list[tuple[Series, list[Row]]]:
        found: list[tuple[Series, list[Row]]] | None = self._known.made.get(self.name)
        if found is None:
            members: dict[tuple[tuple[str, str], ...], list[Row]] = {}
            for row in self._table.rows(self._known):
                key = tuple(sorted((tag, value) for tag, value in row.tags.items() if value))
                members.setdefault(key, []).append(row)
            found = [
                (Series(number, dict(key)), sorted(rows, key=lambda row: row.time))
                for number, (key, rows) in enumerate(sorted(members.items()))
            ]
            self._known.made[self.name] = found
        return found


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


def _column(rows: Sequence[Mapping[str, Any]], name: str, kind: Kind) -> Vector:
    values = [row.get(name) for row in rows]
    there = [value is not None for value in values]
    return vector(kind, [_NOTHING[kind] if value is None else value for value in values], there)
