"""What stood on the registers at the boundaries that bills are made of: exact, late by so much, or missing. Pure.

A boundary is every whole multiple of an interval on the local clock (:00, :15 …, midnight). The reading of a register
at a boundary is the first good one at or after it. It is **exact** within ``exact`` of the boundary, **late** by its
distance up to ``late``, and **missing** where none came: no value from before or later is put in its place. Why it
could not be read is told where that is known.

What is expected comes from the configuration, so a meter that has never answered is missing like any other. A register
that has never been read and that its device refuses is missing, too, but nobody waits for it. Where only the answers
tell which registers a device has, the device itself is missing as long as it has said nothing.

Boundaries are closed once, in order, and a clock that is set back a little opens none again. One that ran ahead by more
than an interval closed boundaries that have not been: they are closed once more when their time comes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

import msgspec

from linli_core.instant import MINUTE, SECOND, Instant
from linli_core.model import Reason
from linli_edge.local_time import Grid, LocalTime

_FOR_GOOD: Final = frozenset({Reason.REFUSED_BY_DEVICE, Reason.NOT_IMPLEMENTED, Reason.CONFIGURATION})
"""Why a register that has never been read will not be read in a moment either."""

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
        zone: In its place where clocks are set forward and back.
    """

    every: int = 15 * MINUTE
    exact: int = 5 * SECOND
    late: int = 10 * MINUTE
    utc_offset: int = 0
    zone: tzinfo | None = None

    @property
    def grid(self) -> Grid:
        """The boundaries."""
        return Grid(LocalTime(self.utc_offset, self.zone), self.every)

    def boundary(self, moment: Instant) -> Instant:
        """Return the last boundary at or before a moment."""
        return self.grid.boundary(moment)


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
        why: Why what is missing could not be read, as far as somebody tried.
    """

    boundary: Instant
    stood: Mapping[str, Stood | None]
    before: int = 0
    why: Mapping[str, Reason] = field(default_factory=dict)


class BillingMemory(msgspec.Struct):
    """What is remembered over a restart.

    Attributes:
        closed: The newest boundary that is closed.
        registers: Names of the registers that have been read and are expected again.
    """

    closed: Instant | None = None
    registers: list[str] = []


class BillingWatch:
    """The boundaries of one gateway."""

    def __init__(self, settings: BillingSettings, memory: BillingMemory | None = None) -> None:
        self._settings = settings
        self._grid = settings.grid
        memory = memory or BillingMemory()
        self._closed = memory.closed
        # Whether each has been read at least once.
        self._expected: dict[str, bool] = dict.fromkeys(memory.registers, True)
        self._unheard: dict[str, None] = {}
        self._open: dict[Instant, dict[str, Stood]] = {}
        self._why: dict[Instant, dict[str, Reason]] = {}

    @property
    def closed(self) -> Instant | None:
        """The newest boundary that is closed."""
        return self._closed

    def memory(self) -> BillingMemory:
        """Return what is to be remembered."""
        return BillingMemory(self._closed, [name for name, read in self._expected.items() if read])

    def expect(self, names: Iterable[str]) -> None:
        """Expect registers at every boundary from the next one on."""
        for name in names:
            self._expected.setdefault(name, False)

    def expect_devices(self, devices: Iterable[str]) -> None:
        """Expect devices whose registers only their answers tell, until they have answered."""
        known = {name.partition("/")[0] for name in self._expected}
        self._unheard = dict.fromkeys(device for device in devices if device not in known)

    def heard(self, device: str) -> None:
        """A device has answered: from now on it is its registers that are expected."""
        self._unheard.pop(device, None)

    def keep_only(self, devices: Iterable[str]) -> None:
        """Expect no more of what is not in the configuration any more."""
        known = set(devices)
        self._keep(lambda name: name.partition("/")[0] in known)

    def forget_others(self, names: Iterable[str], devices: Iterable[str]) -> None:
        """Of these devices expect only these registers: the others are not asked for any more."""
        known, whole = set(names), set(devices)
        self._keep(lambda name: name in known or name.partition("/")[0] not in whole)

    def _keep(self, wanted: Callable[[str], bool]) -> None:
        self._expected = {name: read for name, read in self._expected.items() if wanted(name)}

    def take(self, name: str, value: float, at: Instant) -> None:
        """Take a good reading of a register."""
        self._expected[name] = True
        boundary = self._open_at(at)
        if boundary is not None:
            self._open.setdefault(boundary, {}).setdefault(name, Stood(value, at))

    def missed(self, name: str, why: Reason, at: Instant) -> None:
        """Take note that an expected register was asked for and gave nothing good; the latest reason is told."""
        boundary = self._open_at(at)
        if boundary is not None and name in self._expected:
            self._why.setdefault(boundary, {})[name] = why

    def _open_at(self, at: Instant) -> Instant | None:
        """Return the boundary that a reading is for; ``None`` where it is for none that is still open."""
        boundary = self._grid.boundary(at)
        if at - boundary > self._settings.late or (self._closed is not None and boundary <= self._closed):
            return None
        return boundary

    def due(self, now: Instant) -> list[Closed]:
        """Close the boundaries that are complete or over, oldest first.

        One is complete when every expected register was read, but for those that are refused for good, and over when
        ``late`` has passed.
        """
        newest = self._grid.boundary(now)
        if self._closed is None:
            # What was before the first start is nobody's to tell.
            self._closed = self._grid.before(min([newest, *self._open])) if self._open else newest
        if self._closed - now > self._settings.every:
            self._closed = newest
        found = []
        boundary = self._grid.after(self._closed)
        skipped = max(0, (newest - boundary) // self._settings.every + 1 - MOST_MISSED)
        if skipped:
            boundary = self._grid.boundary(boundary + skipped * self._settings.every)
        while boundary <= newest:
            stood, why = self._open.get(boundary, {}), self._why.get(boundary, {})
            if not self._complete(stood, why) and now < boundary + self._settings.late:
                break
            self._closed = boundary
            if self._expected or self._unheard:
                found.append(self._told(boundary, stood, why, skipped))
            skipped = 0
            boundary = self._grid.after(boundary)
        for noted in (self._open, self._why):
            for old in [old for old in noted if old <= self._closed]:
                del noted[old]
        return found

    def _complete(self, stood: Mapping[str, Stood], why: Mapping[str, Reason]) -> bool:
        # Asked after every poll: the counts say no in almost every case.
        if self._unheard or not stood or len(stood) + len(why) < len(self._expected):
            return False
        return all(name in stood or (not read and why.get(name) in _FOR_GOOD) for name, read in self._expected.items())

    def _told(self, boundary: Instant, stood: Mapping[str, Stood], why: Mapping[str, Reason], skipped: int) -> Closed:
        every = {name: stood.get(name) for name in (*self._expected, *self._unheard)}
        reasons = {name: reason for name, reason in why.items() if every[name] is None}
        reasons |= dict.fromkeys(self._unheard, Reason.WAITING_FOR_INITIAL_DATA)
        return Closed(boundary, every, skipped, reasons)
