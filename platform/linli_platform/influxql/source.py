"""What a query is answered from: measurements, their series with tags, and the rows of each."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

import msgspec

from linli_platform.influxql.piece import Piece
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.vector import Times
from linli_platform.influxql.window import Range
from linli_platform.store.query import Measure, Steps


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a measurement.

    Attributes:
        id: By which the source knows it.
        tags: None of them empty.
    """

    id: int
    tags: Mapping[str, str]


class Newest(msgspec.Struct, frozen=True, gc=False):
    """The newest value of a series.

    Attributes:
        series: Which.
        time: When (ns).
        value: The number.
    """

    series: Series
    time: int
    value: float


class Source(Protocol):
    """Where rows come from; only what the asker may see is in it."""

    def measurements(self) -> Sequence[str]:
        """Return the names of all measurements, in order."""
        ...

    def fields(self, measurement: str) -> Mapping[str, Kind]:
        """Return a measurement's fields; none of one that does not exist."""
        ...

    def tags(self, measurement: str) -> AbstractSet[str]:
        """Return the tags that any of a measurement's series has."""
        ...

    def series(self, measurement: str) -> Sequence[Series]:
        """Return a measurement's series, by tags."""
        ...

    def rows(
        self, measurement: str, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None
    ) -> list[Piece]:
        """Return the rows of series within a range, a piece each; those without rows are left out.

        Args:
            measurement: Which.
            series: Which of its series.
            reach: Which times.
            fields: Those that are asked for, ``None`` for all; what is not asked for need not be there.
        """
        ...

    def newest(
        self, measurement: str, series: Sequence[Series], reach: Range, field: str
    ) -> tuple[list[Newest], list[Series]]:
        """Return the newest values of a field that are at hand, and the series to be asked for all their rows."""
        ...

    def steps(
        self, measurement: str, field: str, groups: Mapping[int, int], edges: Times, wanted: frozenset[Measure]
    ) -> Steps | None:
        """Return what a field comes to by groups of series and windows; ``None`` where rows have to be asked for.

        Args:
            measurement: Which.
            field: Which of its fields.
            groups: Group by series.
            edges: Where each window begins, and where the last one ends (ns).
            wanted: What is asked for.
        """
        ...
