"""What stood on the registers at the boundaries that bills are made of: exact, late by so much, or missing. Pure.

A boundary is every whole multiple of an interval on the local clock (:00, :15 …, midnight). The reading of a register
at a boundary is the first good one at or after it. It is **exact** within ``exact`` of the boundary, **late** by its
distance up to ``late``, and **missing** where none came: no value from before or later is put in its place.

Boundaries are closed once, in order, and a clock that is set back a little opens none again. One that ran ahead by more
than an interval closed boundaries that have not been: they are closed once more when their time comes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from linli_core.instant import MINUTE, SECOND, Instant

MOST_MISSED: Final = 96
"""Boundaries told one by one after a gateway was off; older ones are counted: a day of quarter hours."""


@dataclass(frozen=True, slots=True)
class BillingSettings:
    """Table ``[gateway.billing]``; times in microseconds.

    Attributes:
        every: From one boundary to the next.
        exact: Farthest from the boundary that counts as exact.
        late: Farthest from the boundary that counts at all; shorter than ``every``.
        utc_offset: How far local time is east of UTC: a day begins at midnight there.
    """

    every: int = 15 * MINUTE
    exact: int = 5 * SECOND
    late: int = 10 * MINUTE
    utc_offset: int = 0

    def boundary(self, moment: Instant) -> Instant:
        """Return the last boundary at or before a moment."""
        return (moment + self.utc_offset) // self.every * self.every - self.utc_offset


@dataclass(frozen=True, slots=True)
class Stood:
    """What stood on a register at a boundary.

    Attributes:
        value: What was read.
        at: When.
    """

    value: float
    at: Instant


@dataclass(frozen=True, slots=True)
class Closed:
    """A boundary and what stood there.

    Attributes:
        boundary: When.
        stood: By point name; ``None`` for a register that could not be read in time.
        before: How many older boundaries passed unseen and are not told one by one.
    """

    boundary: Instant
    stood: Mapping[str, Stood | None]
    before: int = 0


class BillingMemory(msgspec.Struct):
    """What is remembered over a restart.

    Attributes:
        closed: The newest boundary that is closed.
        registers: Names of the registers that are expected.
    """

    closed: Instant | None = None
    registers: list[str] = []


class BillingWatch:
    """The boundaries of one gateway."""

    def __init__(self, settings: BillingSettings, memory: BillingMemory | None = None) -> None:
        self._settings = settings
        memory = memory or BillingMemory()
        self._closed = memory.closed
        self._expected: dict[str, None] = dict.fromkeys(memory.registers)
        self._open: dict[Instant, dict[str, Stood]] = {}

    @property
    def closed(self) -> Instant | None:
        """The newest boundary that is closed."""
        return self._closed

    def memory(self) -> BillingMemory:
        """Return what is to be remembered."""
        return BillingMemory(self._closed, list(self._expected))

    def expect(self, names: Iterable[str]) -> None:
        """Expect registers at every boundary from the next one on."""
        self._expected.update(dict.fromkeys(names))

    def keep_only(self, devices: Iterable[str]) -> None:
        """Expect no more of what is not in the configuration any more."""
        known = set(devices)
        self._expected = {name: None for name in self._expected if name.partition("/")[0] in known}

    def take(self, name: str, value: float, at: Instant) -> None:
        """Take a good reading of a register."""
        self._expected[name] = None
        boundary = self._settings.boundary(at)
        if at - boundary > self._settings.late or (self._closed is not None and boundary <= self._closed):
            return
        self._open.setdefault(boundary, {}).setdefault(name, Stood(value, at))

    def due(self, now: Instant) -> list[Closed]:
        """Close the boundaries that are complete or over, oldest first.

        One is complete when every expected register was read, and over when ``late`` has passed.
        """
        newest = self._settings.boundary(now)
        if self._closed is None:
            # What was before the first start is nobody's to tell.
            self._closed = min([newest, *self._open]) - self._settings.every if self._open else newest
        if self._closed - now > self._settings.every:
            self._closed = newest
        found = []
        boundary = self._closed + self._settings.every
        skipped = max(0, (newest - boundary) // self._settings.every + 1 - MOST_MISSED)
        boundary += skipped * self._settings.every
        while boundary <= newest:
            stood = self._open.get(boundary, {})
            complete = bool(stood) and self._expected.keys() <= stood.keys()
            if not complete and now < boundary + self._settings.late:
                break
            self._open.pop(boundary, None)
            self._closed = boundary
            if self._expected:
                found.append(Closed(boundary, {name: stood.get(name) for name in self._expected}, skipped))
            skipped = 0
            boundary += self._settings.every
        for old in [old for old in self._open if old <= self._closed]:
            del self._open[old]
        return found
