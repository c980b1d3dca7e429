"""The series of one measurement, and what statements ask of their tags: worked out once for all that ask the same.

A board's statements choose the same places again and again, each time out of thousands of series. So what holds for
which of them is found by the values a tag has, not series by series, and is kept for as long as the series are.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from linli_platform.influxql.condition import names_in, truth
from linli_platform.influxql.source import Series
from linli_platform.influxql.syntax import Expression, Kind
from linli_platform.influxql.vector import Mask, vector

_ROOM: Final = 64 << 20
"""Bytes, roughly, of all that is kept: some five hundred boards' worth of a thousand meters."""

_OF_ENTRY: Final = 500
_OF_KEY: Final = 120
_OF_PLACE: Final = 8
"""Bytes, roughly, that an answer takes by itself, and one series in a grouping and in a list."""

_Answer = TypeVar("_Answer")


class Shelf:
    """What was worked out, as far as there is room: conditions come from outside, and may be another each time.

    Args:
        room: Bytes, roughly.

    Attributes:
        used: How many of them are taken.
    """

    def __init__(self, room: int = _ROOM) -> None:
        self._room = room
        self.used = 0
        self._kept: dict[Hashable, Any] = {}

    def find(self, key: Hashable, weight: int, make: Callable[[], _Answer]) -> _Answer:
        """Return what is kept under a key, or make it; ``weight`` is what it takes beside the key, in bytes."""
        found: _Answer | None = self._kept.get(key)
        if found is None:
            found = make()
            # A condition may be long, and what it answers for one series is a byte.
            weight += _OF_ENTRY + len(repr(key))
            if self.used + weight > self._room:
                self._kept.clear()
                self.used = 0
            self._kept[key] = found
            self.used += weight
        return found


@dataclass(frozen=True, slots=True)
class Grouped:
    """Series by the values of some tags.

    Attributes:
        keys: These values of each group, in order.
        groups: Number of the group, by the series' id.
    """

    keys: list[tuple[str, ...]]
    groups: Mapping[int, int]


class Members(Sequence[Series]):
    """Series of one measurement, as one asker sees them; they do not change.

    Args:
        series: In order of their tags.
        shelf: Keeps what is worked out.
    """

    def __init__(self, series: Sequence[Series], shelf: Shelf) -> None:
        self._series = list(series)
        self._shelf = shelf
        self._self = object()

    @classmethod
    def of(cls, series: Sequence[Series]) -> "Members":
        """Return series as members; what they are already, with all that is known of them."""
        return series if isinstance(series, Members) else cls(series, Shelf())

    def __len__(self) -> int:
        return len(self._series)

    def __iter__(self) -> Iterator[Series]:
        return iter(self._series)

    @overload
    def __getitem__(self, place: int) -> Series: ...

    @overload
    def __getitem__(self, place: slice) -> list[Series]: ...

    def __getitem__(self, place: int | slice) -> Series | list[Series]:
        return self._series[place]

    @property
    def tags(self) -> frozenset[str]:
        """The tags that any of them has."""
        return self._find("tags", _OF_KEY, lambda: frozenset(tag for one in self._series for tag in one.tags))

    def holding(self, parts: Sequence[Expression]) -> "Members":
        """Return the series for which all parts of a condition hold, which speak of tags alone."""
        if not parts:
            return self
        asked = tuple(parts)
        return self._find(("holding", asked), _OF_PLACE * len(self), lambda: self._holding(asked))

    def grouped(self, tags: Sequence[str]) -> Grouped:
        """Return the series by the values of tags; a tag that one does not have is an empty text."""
        asked = tuple(tags)
        return self._find(("grouped", asked), _OF_KEY * len(self), lambda: self._by(asked))

    def _find(self, key: Hashable, weight: int, make: Callable[[], _Answer]) -> _Answer:
        return self._shelf.find((self._self, key), weight, make)

    def _holding(self, parts: tuple[Expression, ...]) -> "Members":
        holds = np.logical_and.reduce([self._mask(part) for part in parts])
        return self if holds.all() else Members(list(compress(self._series, holds.tolist())), self._shelf)

    def _by(self, tags: tuple[str, ...]) -> Grouped:
        keys = [tuple(one.tags.get(tag, "") for tag in tags) for one in self._series]
        numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
        return Grouped(list(numbers), {one.id: numbers[key] for one, key in zip(self._series, keys, strict=True)})

    def _mask(self, part: Expression) -> Mask:
        return self._find(("mask", part), len(self), lambda: self._truth(part))

    def _truth(self, part: Expression) -> Mask:
        names = names_in([part])
        if len(names) != 1:
            return truth(part, lambda name: vector(Kind.STRING, self._values(name.name)), len(self))
        tag = names.pop()
        values, places = self._find(("column", tag), _OF_KEY * len(self), lambda: self._column(tag))
        return truth(part, lambda _name: vector(Kind.STRING, values), len(values))[places]

    def _values(self, tag: str) -> list[str]:
        return [one.tags.get(tag, "") for one in self._series]

    def _column(self, tag: str) -> tuple[list[str], NDArray[np.intp]]:
        """Return the values that a tag has, and which of them each series has."""
        values = self._values(tag)
        numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
        return list(numbers), np.array([numbers[value] for value in values], np.intp)
