"""Which parts of the file can hold a reading at all: a query does not look where there is none.

Theory of operation. What a small answer takes is the planning of what it is put together from, and most of that holds
nothing: today was not moved yet, last month is not fresh, and a meter never says a text. An :class:`Extent` says so,
never too narrowly: whoever is about to write where it says that nothing is widens it first, and commits afterwards. A
query takes the extent before it asks and looks at it again when it has its answer. Is it another one, something may
have come meanwhile where the query did not look, and it asks again, everywhere.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Concatenate, Final, ParamSpec, TypeVar

import duckdb

from linli_core.instant import Instant
from linli_platform.days import bounds
from linli_platform.store import packed, rollup
from linli_platform.store.schema import zone_of

_MOST_ODD: Final = 1_000_000
"""Readings left in history up to which it is worth a look whose they are."""

_DAYS: Final = (
    "SELECT min(first), max(last) FROM ("  # noqa: S608 - names of ours
    + " UNION ALL ".join(
        f"SELECT min(day) AS first, max(day) AS last FROM {table}"  # noqa: S608
        for table in (rollup.DAILY, "history", "packed")
    )
    + ")"
)
_ALWAYS: Final = 2**62

_Of = ParamSpec("_Of")
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Extent:
    """Where readings can be.

    Attributes:
        fresh_from: No reading in ``reading`` is of an instant before.
        moved_from, moved_to: Neither a reading that was moved nor a rollup is of an instant before the one, or not
            before the other.
        odd: Series that can have readings in ``history``; ``None`` if any can.
    """

    fresh_from: Instant = -_ALWAYS
    moved_from: Instant = -_ALWAYS
    moved_to: Instant = _ALWAYS
    odd: frozenset[int] | None = None

    def has_fresh(self, end: Instant) -> bool:
        """Tell whether ``reading`` can hold anything of before an instant."""
        return end > self.fresh_from

    def has_moved(self, start: Instant, end: Instant) -> bool:
        """Tell whether anything of between two instants, the second left out, can have been moved."""
        return start < self.moved_to and end > self.moved_from

    def has_odd(self, series: Iterable[int]) -> bool:
        """Tell whether ``history`` can hold anything of these series."""
        return self.odd is None or not self.odd.isdisjoint(series)

    def readings(self, start: Instant, end: Instant, series: Iterable[int]) -> str:
        """Return in SQL all readings of series, but those that were moved of days not between two instants."""
        if not self.has_moved(start, end):
            return f"({packed.FRESH})"
        return packed.readings(start, end, fresh=self.has_fresh(end), odd=self.has_odd(series))

    def with_fresh(self, first: Instant) -> "Extent":
        """Return one that has readings from an instant on; this one if it has."""
        return self if first >= self.fresh_from else replace(self, fresh_from=first)

    def with_moved(self, start: Instant, end: Instant) -> "Extent":
        """Return one that has readings of between two instants that were moved; this one if it has."""
        if self.moved_from <= start and end <= self.moved_to:
            return self
        return replace(self, moved_from=min(self.moved_from, start), moved_to=max(self.moved_to, end))


EVERYWHERE: Final = Extent()


class Reach:
    """The extent of a file that is open.

    Attributes:
        extent: As it is now.
    """

    def __init__(self) -> None:
        self.extent = EVERYWHERE
        self._lock = threading.Lock()

    def widen(self, wider: Callable[[Extent], Extent]) -> None:
        """Say where something is about to be written, before it is committed."""
        with self._lock:
            self.extent = wider(self.extent)

    def narrow(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Look from when on there is anything fresh, after the rest was moved; nobody writes to it meanwhile."""
        first = fresh_from(connection)
        self.widen(lambda extent: replace(extent, fresh_from=first))

    def ask(
        self,
        cursor: duckdb.DuckDBPyConnection,
        question: Callable[Concatenate[duckdb.DuckDBPyConnection, Extent, _Of], _Found],
        *of: _Of.args,
        **more: _Of.kwargs,
    ) -> _Found:
        """Ask where there is anything, and everywhere if meanwhile something may have come elsewhere."""
        extent = self.extent
        found = question(cursor, extent, *of, **more)
        return found if extent is self.extent else question(cursor, EVERYWHERE, *of, **more)


def fresh_from(connection: duckdb.DuckDBPyConnection) -> Instant:
    """Return the first instant of which ``reading`` holds anything; nobody writes to it meanwhile."""
    ((first,),) = connection.execute("SELECT min(time) FROM reading").fetchall()
    return _ALWAYS if first is None else int(first)


def extent_of(connection: duckdb.DuckDBPyConnection) -> Extent:
    """Return where the readings of a file are that nobody writes to."""
    fresh = fresh_from(connection)
    zone = zone_of(connection)
    if zone is None:
        return Extent(fresh, _ALWAYS, -_ALWAYS, frozenset())
    ((first, last),) = connection.execute(_DAYS).fetchall()
    if first is None:
        return Extent(fresh, _ALWAYS, -_ALWAYS, frozenset())
    odd = None
    # Nothing is written to history any more: what an earlier version left there becomes less.
    if connection.execute("SELECT count(*) FROM history").fetchall()[0][0] <= _MOST_ODD:
        odd = frozenset(one for (one,) in connection.execute("SELECT DISTINCT series FROM history").fetchall())
    begin, end = bounds(date.fromordinal(first), zone)[0], bounds(date.fromordinal(last), zone)[1]
    return Extent(fresh, begin, end, odd)
