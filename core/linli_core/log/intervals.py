"""Sets of whole numbers kept as ranges: a million messages in a row cost as much as one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Self

Range = tuple[int, int]
"""First and last member, both included."""


class IntervalSet:
    """A set of ints as sorted, disjoint, non-touching ranges.

    Adding at the end, the common case, is O(1); everything else is O(log ranges) plus the ranges it changes.
    """

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Add ``first … last`` (one number if ``last`` is left out; nothing if ``last < first``)."""
        if last is None:
            last = first
        if last < first:
            return
        firsts, lasts = self._firsts, self._lasts
        if not lasts or first > lasts[-1] + 1:
            firsts.append(first)
            lasts.append(last)
            return
        if first >= firsts[-1]:
            lasts[-1] = max(lasts[-1], last)
            return
        # Every range that overlaps or touches [first, last] melts into one.
        low = bisect_left(lasts, first - 1)
        high = bisect_right(firsts, last + 1)
        if low < high:
            first = min(first, firsts[low])
            last = max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]

    def remove(self, first: int, last: int | None = None) -> None:
        """Remove ``first … last``; what is not in the set does not matter."""
        if last is None:
            last = first
        firsts, lasts = self._firsts, self._lasts
        low = bisect_left(lasts, first)
        high = bisect_right(firsts, last)
        if last < first or low >= high:
            return
        kept_firsts: list[int] = []
        kept_lasts: list[int] = []
        if firsts[low] < first:
            kept_firsts.append(firsts[low])
            kept_lasts.append(first - 1)
        if lasts[high - 1] > last:
            kept_firsts.append(last + 1)
            kept_lasts.append(lasts[high - 1])
        firsts[low:high] = kept_firsts
        lasts[low:high] = kept_lasts

    def __contains__(self, number: int) -> bool:
        at = bisect_left(self._lasts, number)
        return at < len(self._firsts) and self._firsts[at] <= number

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"IntervalSet({self.ranges()})"

    @property
    def first(self) -> int | None:
        """The smallest member."""
        return self._firsts[0] if self._firsts else None

    @property
    def last(self) -> int | None:
        """The largest member."""
        return self._lasts[-1] if self._lasts else None

    @property
    def range_count(self) -> int:
        """How many ranges the set is made of: its true size in memory."""
        return len(self._firsts)

    def count(self) -> int:
        """Return how many numbers are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def ranges(self) -> list[Range]:
        """Return the ranges, in order."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def within(self, first: int, last: int) -> list[Range]:
        """Return the parts of ``first … last`` that are in the set."""
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        return [(max(self._firsts[at], first), min(self._lasts[at], last)) for at in range(low, high)]

    def missing(self, first: int, last: int) -> list[Range]:
        """Return the parts of ``first … last`` that are not in the set."""
        holes: list[Range] = []
        for start, end in self.within(first, last):
            if start > first:
                holes.append((first, start - 1))
            first = end + 1
        if first <= last:
            holes.append((first, last))
        return holes

    def next_from(self, number: int) -> int | None:
        """Return the smallest member that is at least ``number``."""
        at = bisect_left(self._lasts, number)
        return max(self._firsts[at], number) if at < len(self._firsts) else None

    def last_before(self, number: int) -> int | None:
        """Return the largest member that is less than ``number``."""
        at = bisect_left(self._firsts, number)
        return min(self._lasts[at - 1], number - 1) if at else None

    def run_end(self, number: int) -> int:
        """Return the last of the unbroken run that holds ``number``; ``number - 1`` if it is not a member."""
        at = bisect_left(self._lasts, number)
        if at < len(self._firsts) and self._firsts[at] <= number:
            return self._lasts[at]
        return number - 1

    def run_start(self, number: int) -> int:
        """Return the first of the unbroken run that holds ``number``; ``number + 1`` if it is not a member."""
        at = bisect_left(self._lasts, number)
        if at < len(self._firsts) and self._firsts[at] <= number:
            return self._firsts[at]
        return number + 1

    def touches(self, number: int) -> bool:
        """Tell whether adding ``number`` would make no new range."""
        return number in self or number - 1 in self or number + 1 in self

    def copy(self) -> Self:
        """Return an independent copy."""
        return type(self)(self.ranges())

    def union(self, other: "IntervalSet") -> Self:
        """Return the members of either."""
        # Sorted input keeps ``add`` on its O(1) path.
        return type(self)(sorted(self.ranges() + other.ranges()))

    def intersection(self, other: "IntervalSet") -> Self:
        """Return the members of both."""
        return type(self)(part for first, last in other.ranges() for part in self.within(first, last))

    def difference(self, other: "IntervalSet") -> Self:
        """Return the members that ``other`` does not hold."""
        result = type(self)()
        for first, last in self.ranges():
            for start, end in other.missing(first, last):
                result.add(start, end)
        return result
