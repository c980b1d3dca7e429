"""What a store holds, and beside it what the platform tells about itself, as one source of queries."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from linli_platform.influxql.members import Members
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Newest, Series, Source
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.vector import Times
from linli_platform.influxql.window import Range
from linli_platform.store.query import Measure, Steps


class Virtual(Protocol):
    """A measurement that no store holds: it is put together when it is asked for.

    Only what the asker may see is in it, as in every source.
    """

    @property
    def name(self) -> str:
        """Its name, which no quantity has."""
        ...

    @property
    def fields(self) -> Mapping[str, Kind]:
        """Its fields."""
        ...

    def series(self) -> Sequence[Series]:
        """Return its series."""
        ...

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return the rows of some of its series within a range, as :meth:`Source.rows` does."""
        ...

    def steps(self, field: str, groups: Mapping[int, int], edges: Times, wanted: frozenset[Measure]) -> Steps | None:
        """Return what a field comes to, as :meth:`Source.steps` does."""
        ...


class Joined:
    """A source with measurements of the platform's own beside its own.

    Args:
        source: What the store holds.
        virtual: What is told besides; each has a name of its own.
    """

    def __init__(self, source: Source, virtual: Iterable[Virtual]) -> None:
        self._source = source
        self._virtual = {one.name: one for one in virtual}

    def measurements(self) -> list[str]:
        """Return the names of all measurements."""
        return sorted({*self._source.measurements(), *self._virtual})

    def fields(self, measurement: str) -> Mapping[str, Kind]:
        """Return a measurement's fields."""
        found = self._virtual.get(measurement)
        return self._source.fields(measurement) if found is None else found.fields

    def tags(self, measurement: str) -> AbstractSet[str]:
        """Return the tags that any of a measurement's series has."""
        found = self._virtual.get(measurement)
        if found is None:
            return self._source.tags(measurement)
        return Members.of(found.series()).tags

    def series(self, measurement: str) -> Sequence[Series]:
        """Return a measurement's series."""
        found = self._virtual.get(measurement)
        return self._source.series(measurement) if found is None else found.series()

    def rows(
        self, measurement: str, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None
    ) -> list[Piece]:
        """Return the rows of series within a range."""
        found = self._virtual.get(measurement)
        if found is None:
            return self._source.rows(measurement, series, reach, fields)
        return found.rows(series, reach, fields)

    def newest(
        self, measurement: str, series: Sequence[Series], reach: Range, field: str
    ) -> tuple[list[Newest], list[Series]]:
        """Return the newest values that are at hand; none of what is told."""
        if measurement in self._virtual:
            return [], list(series)
        return self._source.newest(measurement, series, reach, field)

    def steps(
        self, measurement: str, field: str, groups: Mapping[int, int], edges: Times, wanted: frozenset[Measure]
    ) -> Steps | None:
        """Return what a field comes to."""
        if (found := self._virtual.get(measurement)) is not None:
            return found.steps(field, groups, edges, wanted)
        return self._source.steps(measurement, field, groups, edges, wanted)
