"""When each poll of one link is due, and which goes next. Pure: ``now`` is an argument.

Theory of operation
    * **Due times lie on a grid of the wall clock**: ``n × interval + phase``, counted from local midnight. So polling
      never drifts, a restart finds the same grid, and the quarter-hour readings are taken at the quarter hour. The
      phase is a hash of the poll's key, within ``spread`` or the interval, whichever is shorter: enough to keep polls
      from falling due all at once, too little to leave the boundary.
    * **Earliest deadline first**: a poll's deadline is its next due time. Equal deadlines go by priority.
    * **Polls never overlap**: the link carries one at a time. A poll that could not run before its next due time
      has missed that one; only the latest is made up for, the others are counted.
    * **Overload**: when the measured cost of the plan exceeds the line, intervals stretch, those of lower priority
      first (:func:`linli_edge.load.stretches`), and within a priority those of the devices that take more than an
      equal part (:func:`linli_edge.load.fair`): one slow device is no other's loss. A stretched poll leaves out due
      times of its own accord as long as somebody is to be protected from it; :meth:`Scheduler.load` says so. The grid
      stays: what is read is still read at the boundary, only not at every one.
    * **A silent device** (:mod:`linli_edge.breaker`) is not polled: each due time becomes a :class:`Miss`, which
      costs no line time, and the device is probed apart from its due times within a bounded share of the line. A
      probe is one more entry with a deadline, so polls of living devices that are in a hurry go first; until then it
      waits for a gap in which it makes nobody late.
    * **A clock that is set** is no time that passed: nothing was missed by it, nobody was silent for it. The link tells
      (:meth:`Scheduler.clock_was_set`); the grid is taken up anew, all else moves along. One that is set back without
      a word is noticed too: it would leave every due time in the future.

:meth:`Scheduler.next` says what to do; after a :class:`Run` the link calls :meth:`Scheduler.finished`.
"""

import heapq
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from enum import Enum
from itertools import count
from typing import Final

from linli_core.instant import DAY, MINUTE, SECOND, Instant
from linli_edge.breaker import Allowance, Breaker, BreakerSettings
from linli_edge.driver import PlannedPoll
from linli_edge.load import UseMeter, fair, stretches
from linli_edge.local_time import Grid, LocalTime

IDLE: Final = 60 * SECOND
"""How long a link without a single poll may rest before it asks again."""

_UNCHANGED: Final = 15 * MINUTE
_REPLAN_EVERY: Final = SECOND
_LEARNING_RATE: Final = 0.2
_SETTLING: Final = 10 * SECOND
"""How long costs are measured before a line may be called overloaded: at first they are the driver's estimates."""
_OVERLOADED: Final = 1.02
_RELIEVED: Final = 0.9
"""A line at its limit must not be called overloaded and relieved by turns."""
_ROUNDING: Final = 1e-9
"""Sums of floats: a poll that gets what it wants to the last digit is not stretched."""
_UNNOTICED: Final = 0.05
_BEARABLE: Final = 0.4
"""Share of an interval by which a probe may make a poll late: at first, and once it has waited for half its time."""


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """How a link is scheduled; times in microseconds.

    Attributes:
        spread: Longest phase, counted from the wall-clock boundary.
        retry_after: A failed poll with a longer interval than this is tried once more after it.
        capacity: Share of the line the plan may take before it is stretched.
        breaker: When a device counts as silent.
        utc_offset: How far local time is ahead of UTC: days begin at local midnight.
        zone: In its place where clocks are set forward and back.
        priorities: Priorities in place of the driver's, by device (``meter-1``) or point (``meter-1/active_power``).
    """

    spread: int = SECOND
    retry_after: int = 5 * SECOND
    capacity: float = 0.98
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
    utc_offset: int = 0
    zone: tzinfo | None = None
    priorities: Mapping[str, int] = field(default_factory=dict)

    def ranked(self, planned: PlannedPoll) -> PlannedPoll:
        """Return a poll with the priority it is to have: that of its most urgent point, else its device's."""
        names = [name for point in planned.points if (name := point.name) in self.priorities]
        if not names and planned.device in self.priorities:
            names = [planned.device]
        if not names:
            return planned
        return replace(planned, priority=min(self.priorities[name] for name in names))


class Why(Enum):
    """Why a poll is run."""

    DUE = "due"
    RETRY = "retry"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Run:
    """Carry out this poll now, then call :meth:`Scheduler.finished`."""

    planned: PlannedPoll
    due: Instant
    why: Why


@dataclass(frozen=True, slots=True)
class Miss:
    """This poll is due, and its device is silent or the line is down: report its points as BAD."""

    planned: PlannedPoll
    due: Instant


@dataclass(frozen=True, slots=True)
class Rest:
    """There is nothing to do before ``until``."""

    until: Instant


Action = Run | Miss | Rest


@dataclass(frozen=True, slots=True)
class DeviceSilent:
    """A device has stopped answering; ``error`` says what happened last."""

    device: str
    since: Instant
    error: str = ""


@dataclass(frozen=True, slots=True)
class DeviceBack:
    """A silent device answers again."""

    device: str
    since: Instant


Transition = DeviceSilent | DeviceBack


@dataclass(frozen=True, slots=True)
class Load:
    """How a line fares.

    Attributes:
        use: Measured share of the line in use; ``None`` before anything ran.
        planned: Share of the line the plan of the answering devices takes, by measured cost.
        stretched: The largest factor by which an interval is stretched; 1.0 when the plan fits.
        silent: Devices that do not answer.
        missed: Due times that passed without a poll since the start, because the line was busy.
        shares: Measured share of the line that each device takes, by its id.
    """

    use: float | None
    planned: float
    stretched: float
    silent: tuple[str, ...]
    missed: int
    shares: Mapping[str, float] = field(default_factory=dict)


class _Entry:
    """One poll and where it stands."""

    __slots__ = (
        "cost",
        "device",
        "due",
        "grid",
        "impatient",
        "order",
        "owed",
        "phase",
        "planned",
        "stale",
        "stretch",
        "version",
    )

    def __init__(self, planned: PlannedPoll, device: "_Device", order: int, settings: ScheduleSettings) -> None:
        self.planned = planned
        self.impatient = replace(planned, patient=False)
        self.device = device
        self.order = order
        spread = zlib.crc32(planned.key.encode()) * min(planned.interval, settings.spread) >> 32
        # Local midnight, by UTC: due times are counted from there.
        self.phase = spread - settings.utc_offset % planned.interval
        # A quarter of an hour or less does not notice that clocks are changed.
        self.grid: Grid | None = None
        if settings.zone is not None and planned.interval > _UNCHANGED and not DAY % planned.interval:
            self.phase = spread
            self.grid = Grid(LocalTime(zone=settings.zone), planned.interval)
        self.owed = 0.0
        self.cost = float(planned.cost or 0)
        self.stretch = 1.0
        self.due: Instant = 0
        self.stale = True
        self.version = 0

    def slot(self, moment: Instant) -> Instant:
        """Return the last due time of the grid at or before a moment."""
        if self.grid is not None:
            return self.grid.boundary(moment - self.phase) + self.phase
        interval = self.planned.interval
        return (moment - self.phase) // interval * interval + self.phase

    def after(self, moment: Instant) -> Instant:
        """Return the first due time of the grid after a moment."""
        if self.grid is not None:
            return self.grid.after(moment - self.phase) + self.phase
        return self.slot(moment) + self.planned.interval


class _Device:
    """The polls of one device and its breaker."""

    __slots__ = ("breaker", "entries", "meter", "probe_by", "probe_cost", "version")

    def __init__(self, breaker: Breaker, now: Instant) -> None:
        self.breaker = breaker
        self.entries: list[_Entry] = []
        self.meter = UseMeter(now)
        self.probe_by: Instant = now
        self.probe_cost = 0
        self.version = 0

    def probe(self) -> _Entry:
        """Return the poll to probe with: the one that matters most, then the quickest."""
        return min(self.entries, key=lambda entry: (entry.planned.priority, entry.cost, entry.order))


# What waits for its time, or is ready: (when or deadline, priority, order, serial, entry, why, version).
_Item = tuple[Instant, int, int, int, _Entry, Why, int]


class Scheduler:
    """The plan of one link. See the module's theory of operation."""

    def __init__(self, polls: Sequence[PlannedPoll], settings: ScheduleSettings, now: Instant) -> None:
        """Take up the plan: every poll is due at once, then on its grid."""
        self._settings = settings
        self._devices: dict[str, _Device] = {}
        self._entries: list[_Entry] = []
        self._waiting: list[_Item] = []
        self._ready: list[_Item] = []
        self._serial = count()
        self._running: Run | None = None
        self._running_entry: _Entry | None = None
        self._down_since: Instant | None = None
        self._last = now
        self._replan_at = now
        self._missed = 0
        self._overloaded = False
        self._protecting = False
        self._settled_at = now + _SETTLING
        self._meter = UseMeter(now)
        self._allowance = Allowance(settings.breaker.silent_share)
        for order, planned in enumerate(sorted(polls, key=lambda planned: zlib.crc32(planned.key.encode()))):
            device = self._devices.setdefault(planned.device, _Device(Breaker(settings.breaker), now))
            entry = _Entry(settings.ranked(planned), device, order, settings)
            device.entries.append(entry)
            self._entries.append(entry)
            self._wait_for_due(entry, now)

    def next(self, now: Instant) -> Action:
        """Return what to do now. Calling it while a poll runs is an error of the link (``RuntimeError``)."""
        if self._running is not None:
            raise RuntimeError(f"{self._running.planned.key} is still running: polls of one link never overlap")
        self._look_at_clock(now)
        if now >= self._replan_at:
            self._replan(now)
        while self._waiting and self._waiting[0][0] <= now:
            self._make_ready(heapq.heappop(self._waiting))
        while self._ready:
            item = heapq.heappop(self._ready)
            action = self._act(item, now)
            if action is not None:
                return action
        return Rest(self._waiting[0][0] if self._waiting else now + IDLE)

    def finished(self, now: Instant, cost: int, *, answered: bool) -> Transition | None:
        """Book the poll that was run.

        Args:
            now: When it ended.
            cost: Microseconds of line time it took, by a clock that is never set.
            answered: Whether the device answered, a refusal included.

        Returns:
            What this changes about the device.
        """
        run, entry = self._running, self._running_entry
        if run is None or entry is None:
            raise RuntimeError("no poll is running")
        self._look_at_clock(now)
        self._running = self._running_entry = None
        self._meter.add(now, cost)
        device = entry.device
        device.meter.add(now, cost)
        distrusted = device.breaker.distrusted
        if run.why is Why.DUE:
            self._wait_for_due(entry, self._after(entry, now))
        if answered:
            entry.stale = False
            entry.cost += (cost - entry.cost) * (_LEARNING_RATE if entry.cost else 1.0)
            since = device.breaker.answered()
            if since is None:
                return None
            self._refresh(device, now)
            return DeviceBack(entry.planned.device, since)
        entry.stale = True
        device.probe_cost = cost
        silenced = device.breaker.failed(now, cost)
        if distrusted or silenced:
            self._allowance.spend(now, cost)
        if silenced:
            self._wait_for_probe(device, now + device.breaker.wait)
            return DeviceSilent(entry.planned.device, now)
        if device.breaker.silent:
            self._wait_for_probe(device, now + device.breaker.wait)
        elif entry.due > now + self._settings.retry_after:
            self._push(self._waiting, now + self._settings.retry_after, entry, Why.RETRY, entry.version)
        return None

    def spent(self, now: Instant, cost: int) -> None:
        """Book line time that no poll took: a write, in microseconds, that ended now."""
        self._meter.add(now, cost)

    def link_down(self, now: Instant) -> None:
        """The line is down: from now on due times are misses."""
        self._look_at_clock(now)
        if self._down_since is None:
            self._down_since = now

    def link_up(self, now: Instant) -> None:
        """The line is up again: ask at once for what was missed; after a longer outage probe silent devices, too."""
        self._look_at_clock(now)
        if self._down_since is None:
            return
        # A converter may drop the connection whenever a dead unit is asked: such a return tells nothing of the unit.
        long = now - self._down_since >= self._settings.breaker.probe_first
        self._down_since = None
        for device in self._devices.values():
            if not device.breaker.silent:
                self._refresh(device, now)
            elif long:
                device.breaker.hurry()
                self._wait_for_probe(device, now)
            else:
                self._wait_for_probe(device, now + device.breaker.wait)

    def clock_was_set(self, now: Instant, by: int) -> None:
        """The clock was set, by microseconds: forward where ``by`` is positive."""
        self._last = now
        self._settled_at += by
        if self._down_since is not None:
            self._down_since += by
        self._meter.moved(by)
        for device in self._devices.values():
            device.meter.moved(by)
            device.breaker.moved(by)
        for entry in self._entries:
            # Its next turn comes when it would have come: what is owed for the past is not called in at once.
            entry.owed += by
        self._take_up_grid(now, by)

    @property
    def overloaded(self) -> bool:
        """Whether the plan is more than the line can carry; once true, until it fits with some room."""
        return self._overloaded

    @property
    def all_silent(self) -> bool:
        """Whether no device answers."""
        return all(device.breaker.silent for device in self._devices.values())

    def load(self, now: Instant) -> Load:
        """Return how the line fares."""
        return Load(
            use=self._meter.use(now),
            planned=self._planned(),
            stretched=max((entry.stretch for entry in self._entries), default=1.0),
            silent=tuple(sorted(name for name, device in self._devices.items() if device.breaker.silent)),
            missed=self._missed,
            shares={name: device.meter.use(now) or 0.0 for name, device in self._devices.items()},
        )

    def _act(self, item: _Item, now: Instant) -> Action | None:
        _, _, _, _, entry, why, version = item
        breaker = entry.device.breaker
        if why is Why.PROBE:
            if version != entry.device.version or not breaker.silent or self._down_since is not None:
                return None
            better = self._better_moment(entry.device, now)
            if better > now:
                self._push(self._waiting, better, entry, why, version)
                return None
        elif version != entry.version:
            return None
        elif breaker.silent or self._down_since is not None:
            if why is Why.RETRY:
                return None
            due = entry.due
            entry.stale = True
            self._wait_for_due(entry, self._after(entry, now))
            return Miss(entry.planned, due)
        planned = entry.planned if breaker.trusted else entry.impatient
        self._running = Run(planned, entry.due if why is Why.DUE else now, why)
        self._running_entry = entry
        return self._running

    def _make_ready(self, item: _Item) -> None:
        when, _, _, _, entry, why, version = item
        if why is Why.DUE:
            deadline = when + round(entry.planned.interval * entry.stretch)
        elif why is Why.RETRY:
            deadline = when + self._settings.retry_after
        else:
            deadline = entry.device.probe_by
        self._push(self._ready, deadline, entry, why, version)

    def _better_moment(self, device: _Device, now: Instant) -> Instant:
        """Return when a device may be probed: now, or when it is paid for, or when it makes nobody late."""
        free_at = self._allowance.free_at()
        if free_at is not None and free_at > now:
            device.probe_by = free_at + device.breaker.wait
            return free_at
        if now >= device.probe_by:
            return now
        late = _UNNOTICED if now < device.probe_by - device.breaker.wait // 2 else _BEARABLE
        end, clear = now + device.probe_cost, now
        for entry in self._entries:
            if not entry.device.breaker.silent and end > entry.due + entry.planned.interval * late:
                clear = max(clear, entry.due + round(entry.cost) + 1)
        return min(clear, device.probe_by)

    def _after(self, entry: _Entry, now: Instant) -> Instant:
        """Return the due time after the present one, or the latest if that has passed too; count those left out."""
        interval = entry.planned.interval
        first, latest = entry.after(entry.due), entry.slot(now)
        due = max(first, latest)
        if entry.stretch > 1 and self._protecting:
            # Paced to what it was granted: left alone, it would take what those before it leave for a moment.
            step = interval * entry.stretch * self._settings.capacity
            entry.owed = min(max(entry.owed, entry.due - step), entry.due) + step
            due = max(due, entry.after(round(entry.owed) - 1))
        if due > first and not entry.device.breaker.silent and self._down_since is None:
            self._missed += (due - first) // interval
        return due

    def _refresh(self, device: _Device, now: Instant) -> None:
        for entry in device.entries:
            if entry.stale and entry is not self._running_entry:
                self._wait_for_due(entry, now)

    def _wait_for_due(self, entry: _Entry, due: Instant) -> None:
        entry.due = due
        entry.version += 1
        self._push(self._waiting, due, entry, Why.DUE, entry.version)

    def _wait_for_probe(self, device: _Device, when: Instant) -> None:
        device.version += 1
        device.probe_by = when + device.breaker.wait
        self._push(self._waiting, when, device.probe(), Why.PROBE, device.version)

    def _push(self, heap: list[_Item], key: Instant, entry: _Entry, why: Why, version: int) -> None:
        heapq.heappush(heap, (key, entry.planned.priority, entry.order, next(self._serial), entry, why, version))

    def _planned(self) -> float:
        """Return the share of the line that the plan of the answering devices takes."""
        return sum(entry.cost / entry.planned.interval for entry in self._entries if not entry.device.breaker.silent)

    def _replan(self, now: Instant) -> None:
        self._replan_at = now + _REPLAN_EVERY
        silent = any(device.breaker.silent for device in self._devices.values())
        capacity = self._settings.capacity - (self._settings.breaker.silent_share if silent else 0.0)
        planned = self._planned()
        if planned > capacity:
            self._stretch(capacity)
        else:
            for entry in self._entries:
                entry.stretch = 1.0
        stretched = [entry.stretch > 1 for entry in self._entries if not entry.device.breaker.silent]
        self._protecting = any(stretched) and not all(stretched)
        if planned > capacity * _OVERLOADED:
            self._overloaded = self._overloaded or now >= self._settled_at
        elif planned < capacity * _RELIEVED:
            self._overloaded = False

    def _stretch(self, capacity: float) -> None:
        """Share the line out: among priorities, within each among devices, within each among its polls."""
        classes: dict[int, dict[str, dict[_Entry, float]]] = {}
        for entry in self._entries:
            entry.stretch = 1.0
            if not entry.device.breaker.silent:
                devices = classes.setdefault(entry.planned.priority, {})
                devices.setdefault(entry.planned.device, {})[entry] = entry.cost / entry.planned.interval
        wanted = {
            priority: {device: sum(wants.values()) for device, wants in devices.items()}
            for priority, devices in classes.items()
        }
        totals = {priority: sum(wants.values()) for priority, wants in wanted.items()}
        for priority, factor in stretches(totals, capacity).items():
            rooms = fair(wanted[priority], totals[priority] / factor)
            for device, room in rooms.items():
                wants = classes[priority][device]
                for entry, granted in fair(wants, room).items():
                    entry.stretch = wants[entry] / granted if wants[entry] > granted + _ROUNDING else 1.0

    def _look_at_clock(self, now: Instant) -> None:
        if now < self._last:
            self._clock_was_set_back(now)
        self._last = now

    def _clock_was_set_back(self, now: Instant) -> None:
        if self._down_since is not None:
            self._down_since = min(self._down_since, now)
        self._take_up_grid(now, 0)

    def _take_up_grid(self, now: Instant, by: int) -> None:
        self._waiting.clear()
        self._ready.clear()
        self._allowance.forget()
        self._replan_at = now
        for entry in self._entries:
            if entry is self._running_entry and self._running is not None and self._running.why is Why.DUE:
                entry.due = entry.slot(now)  # its next turn is found when it has ended
                continue
            # One that was due already is due still.
            due = now if entry.due + by <= now else entry.after(now)
            self._wait_for_due(entry, min(entry.due, due) if not by else due)
        for device in self._devices.values():
            if device.breaker.silent:
                self._wait_for_probe(device, now + device.breaker.wait)
