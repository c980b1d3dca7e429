"""One link: opens its driver, carries out what the scheduler says, and says honestly what could not be read.

Nothing that happens to a device or to the line ends a link: what could not be read becomes BAD readings at each due
time, a broken line is opened again with growing pauses, and a driver's bug counts as a broken line
(:mod:`linli_edge.supervisor`). Each loss is told once, and each return. Writes go before reads: one that was
submitted waits for the poll that runs, and for no other unless eight writes have gone before it.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import msgspec

from linli_core.errors import (
    ChecksumError,
    DeviceError,
    LinkError,
    LinkTimeout,
    LinliError,
    ProtocolError,
    Unheard,
    WriteRefusal,
    WriteRefused,
)
from linli_core.instant import SECOND, Instant
from linli_core.model import Point, Reading, Reason, missing
from linli_core.wire.messages import MOST_UNITS, LinkState, UnitState
from linli_edge.driver import (
    Counting,
    Driver,
    DriverSpec,
    PlannedPoll,
    UnitCounters,
    WriteOutcome,
    WriteRequest,
    Writing,
)
from linli_edge.fruitless import DeviceFruitful, DeviceFruitless, Fruitless, complaint
from linli_edge.scheduler import DeviceBack, DeviceSilent, Load, Rest, Run, Scheduler, ScheduleSettings, Why
from linli_edge.supervisor import DriverBug, confine
from linli_edge.timekeeping import Timekeeper
from linli_edge.writes import Pending, WriteQueue

_LOG: Final = logging.getLogger(__name__)

WRITES_IN_A_ROW: Final = 8
"""Writes that are carried out before a read that is due gets its turn: a flood of them must not silence a line."""

_LOOK_UP: Final = 5 * SECOND
"""Longest rest: a clock that was set is noticed within it."""

_STEP: Final = SECOND // 2
"""A clock that gained so much on the steady one since it was looked at has been set."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One link of the configuration.

    Attributes:
        id: Its name, unique in the gateway.
        spec: Its driver.
        config: What the driver's ``parse`` made of the table.
        schedule: How it is scheduled.
        reopen_first: Microseconds before a broken line is opened again.
        reopen_last: Longest such pause; it doubles from one attempt to the next, and varies by a quarter.
    """

    id: str
    spec: DriverSpec
    config: Any
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    reopen_first: int = SECOND // 2
    reopen_last: int = 30 * SECOND


@dataclass(frozen=True, slots=True)
class LinkDown:
    """A line is broken, or cannot be opened."""

    error: str
    bug: bool


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A line that was down is up again, ``downtime`` microseconds later."""

    downtime: int


@dataclass(frozen=True, slots=True)
class LinkOverloaded:
    """A line cannot carry its plan; ``planned`` is the share of the line it would take."""

    planned: float


@dataclass(frozen=True, slots=True)
class LinkRelieved:
    """A line that was overloaded carries its plan again."""

    planned: float


@dataclass(frozen=True, slots=True)
class DeviceLeftOut:
    """A device is not read because the configuration says it wrongly."""

    device: str
    error: str


Report = (
    DeviceSilent
    | DeviceBack
    | DeviceFruitless
    | DeviceFruitful
    | DeviceLeftOut
    | LinkDown
    | LinkUp
    | LinkOverloaded
    | LinkRelieved
)


class Sink(Protocol):
    """Where a link's readings and reports go; never blocks."""

    def take(self, readings: list[Reading]) -> None:
        """Take the readings of one poll."""
        ...

    def report(self, link: str, report: Report) -> None:
        """Take a report."""
        ...


class Link:
    """One link; :meth:`run` keeps it going until it is cancelled.

    Attributes:
        settings: What it was made from.
        polls: Polls carried out, of those ``failed`` without an answer.
    """

    def __init__(self, settings: LinkSettings, sink: Sink, time: Timekeeper) -> None:
        self.settings = settings
        self.polls = 0
        self.failed = 0
        self._sink = sink
        self._time = time
        self._scheduler: Scheduler | None = None
        self._plan: tuple[PlannedPoll, ...] = ()
        self._seen: dict[str, list[Reading]] = {}
        self._running: Run | None = None
        self._attempt = 0
        self._down_since: int | None = None
        self._offset: int | None = None
        self._error = ""
        self._overloaded = False
        self._fruitless = Fruitless()
        self._refusals: dict[str, str] = {}
        self._writes = WriteQueue()
        self._counting: Counting | None = None
        self._counted: dict[str, UnitCounters] = {}
        # Spreads gateways that lost the same converter; nothing here is a secret.
        self._random = random.Random()  # noqa: S311

    async def run(self) -> None:
        """Open the line and poll, for ever."""
        if self.settings.spec.plan is not None:
            self._take_up(self.settings.spec.plan(self.settings.config))
        while True:
            try:
                await confine(self._session())
            except LinliError as exc:
                self._broken(exc)
                await self._pause()

    async def submit(self, request: WriteRequest) -> WriteOutcome:
        """Carry out a write before the next poll and return what came of it.

        While the line is down the write waits for it, until it expires.

        Raises:
            WriteRefused: It was not begun.
        """
        return await self._writes.submit(request)

    @property
    def devices(self) -> frozenset[str]:
        """Ids of the devices on this link; empty before its plan is known."""
        return frozenset(planned.device for planned in self._plan)

    def intervals(self) -> dict[str, int | None]:
        """Return by point how often it is read, in microseconds; ``None`` where no plan says how often it comes.

        Points that only an answer tells are there once the device has answered.
        """
        found: dict[str, int | None] = {}
        for planned in self._plan:
            points = planned.points or tuple(reading.point for reading in self._seen.get(planned.key, ()))
            for point in points:
                found[point.name] = None if planned.heard else planned.interval
        return found

    def counters(self) -> dict[str, UnitCounters]:
        """Return what each device did with the requests to it since the start, by its id."""
        totals = {device: UnitCounters() for device in sorted(self.devices)}
        for counted in (self._counted, self._counted_now()):
            for device, counters in counted.items():
                totals.setdefault(device, UnitCounters()).add(counters)
        return totals

    def state(self) -> LinkState:
        """Return how the link fares, for the gateway's status."""
        load = self.load()
        silent = load.silent if load else ()
        fruitless = self._fruitless.devices
        down = self._down_since is not None
        return LinkState(
            id=self.settings.id,
            driver=self.settings.spec.name,
            state="down" if down else "degraded" if silent or fruitless else "up",
            devices=len(self.devices),
            silent=silent,
            fruitless=fruitless,
            use=round(load.use, 3) if load and load.use is not None else None,
            stretched=round(load.stretched, 2) if load and load.stretched > 1 else None,
            error=self._error if down else "",
            units=self._units(load, (*silent, *fruitless)),
            unlisted=max(0, len(self.devices) - MOST_UNITS),
        )

    def _units(self, load: Load | None, troubled: Sequence[str]) -> tuple[UnitState, ...]:
        """Return the devices one by one, as many as a status may list: silent and failing ones first."""
        counters = self.counters()
        shares = load.shares if load is not None else {}

        def rank(device: str) -> tuple[bool, float, float, str]:
            counted = counters[device]
            lost = (counted.requests - counted.answers + counted.refused) / max(1, counted.requests)
            return device not in troubled, -round(lost, 3), -shares.get(device, 0.0), device

        def unit(device: str) -> UnitState:
            took, share = counters[device].median, shares.get(device)
            return UnitState(
                device,
                round(share, 4) if share is not None else None,
                round(took / SECOND, 4) if took is not None else None,
                **counters[device].as_dict(),
            )

        return tuple(unit(device) for device in sorted(self.devices, key=rank)[:MOST_UNITS])

    def load(self) -> Load | None:
        """Return how full the line is; ``None`` before its plan is known."""
        return self._scheduler.load(self._time.clock()) if self._scheduler else None

    async def _session(self) -> None:
        """Open the line and poll until the line must be opened again."""
        async with self.settings.spec.open(self.settings.config, self._time.clock) as driver:
            self._counting = driver if isinstance(driver, Counting) else None
            try:
                await self._conversation(driver, self._opened(driver))
            finally:
                for device, counters in self._counted_now().items():
                    self._counted.setdefault(device, UnitCounters()).add(counters)
                self._counting = None

    async def _conversation(self, driver: Driver, scheduler: Scheduler) -> None:
        """Write and poll until the line must be opened again."""
        answered = False
        written = 0
        while True:
            if written < WRITES_IN_A_ROW and (pending := self._writes.next(self._time.clock())) is not None:
                written += 1
                if await self._write(driver, scheduler, pending):
                    continue
                return
            written = 0
            again = self._running is not None
            run = self._running = self._running or await self._next(scheduler)
            if run is None:
                continue
            started = self._time.steady()
            try:
                spoke = await self._poll(driver, run, started)
            except LinkError as exc:
                if answered and not again:
                    # The other end hung up after an earlier answer, as many converters do: nothing is lost yet,
                    # and the same poll runs on the new connection.
                    return
                self._no_answer(started, Reason.NO_COMMUNICATION, exc)
                self._attempt += 1
                if self._attempt > 1:
                    raise
                # Asking a dead unit makes some converters hang up: that alone is no broken line.
                return
            answered = answered or spoke
            if not spoke and scheduler.all_silent:
                # Perhaps it is the line, whose other end lost its power without a word.
                return

    async def _poll(self, driver: Driver, run: Run, started: int) -> bool:
        """Carry out a poll; return whether the device answered. Raise ``LinkError`` where the line broke."""
        offset = self._time.clock() - self._time.steady()
        try:
            readings = self._restamped(await driver.poll(run.planned), started, offset)
        except Unheard as exc:
            self._no_answer(started, Reason.STALE, exc)
        except LinkTimeout as exc:
            self._no_answer(started, Reason.NO_COMMUNICATION, exc)
        except ProtocolError as exc:
            self._no_answer(started, Reason.MALFORMED_ANSWER, exc)
        except DeviceError as exc:
            if self._refusals.get(run.planned.key) != str(exc):
                # Once each: a device that refuses for good would fill a memory card's journal.
                _LOG.info("link %s: %s refused: %s", self.settings.id, run.planned.key, exc)
            self._refusals[run.planned.key] = str(exc)
            self._answered(started, refused=True, error=str(exc))
            self._missing(run.planned, self._time.clock(), Reason.REFUSED_BY_DEVICE)
            return True
        else:
            self._refusals.pop(run.planned.key, None)
            # What a device that is only listened to has not said lately is neither given nor refused.
            self._answered(started, error=complaint(readings) if readings else None)
            if readings:
                # A device that is only listened to may have nothing new to say: its points stay known.
                self._seen[run.planned.key] = readings
            self._sink.take(readings)
            return True
        return False

    def _restamped(self, readings: list[Reading], started: int, offset: int) -> list[Reading]:
        """Return readings with the time they would have, had the clock been right all through their poll.

        Args:
            readings: As the driver stamped them.
            started: When the poll began, by the steady clock.
            offset: From the steady clock to the time as it was then.
        """
        ended = self._time.steady()
        by = self._time.clock() - ended - offset
        if abs(by) < _STEP:
            return readings
        right = range(started + offset + by, ended + offset + by + 1)
        before = range(started + offset, ended + offset + 1)
        return [
            msgspec.structs.replace(reading, observed_at=reading.observed_at + by)
            if reading.observed_at not in right and reading.observed_at in before
            else reading
            for reading in readings
        ]

    async def _write(self, driver: Driver, scheduler: Scheduler, pending: Pending) -> bool:
        """Carry out a write; return whether the line may be used further. A write is never repeated."""
        if not isinstance(driver, Writing):
            pending.refuse(WriteRefusal.NOT_WRITABLE, f"driver {self.settings.spec.name!r} does not write")
            return True
        started = self._time.steady()
        outcome = WriteOutcome(ok=False, error="the driver broke off: whether the device took the value is unknown")
        usable = True
        try:
            outcome = await driver.write(pending.request)
        except WriteRefused as exc:
            pending.refuse(exc.reason, str(exc))
        except DeviceError as exc:
            outcome = WriteOutcome(ok=False, error=f"the device refused: {exc}")
        except (LinkError, ProtocolError) as exc:
            outcome = WriteOutcome(ok=False, error=f"{exc}: whether the device took the value is unknown")
            usable = isinstance(exc, LinkTimeout | ProtocolError)
        finally:
            scheduler.spent(self._time.clock(), self._time.steady() - started)
            pending.settle(outcome)
        return usable

    def _opened(self, driver: Driver) -> Scheduler:
        scheduler = self._take_up(driver.plan)
        if self._down_since is not None:
            downtime = self._time.steady() - self._down_since
            self._down_since = None
            self._error = ""
            scheduler.link_up(self._look(scheduler))
            _LOG.warning("link %s: up again after %.1f s", self.settings.id, downtime / SECOND)
            self._sink.report(self.settings.id, LinkUp(downtime))
        return scheduler

    def _take_up(self, polls: Sequence[PlannedPoll]) -> Scheduler:
        """Return the scheduler of a plan: the present one if it is the same plan."""
        before = [(planned.key, planned.interval, planned.priority) for planned in self._plan]
        self._plan = tuple(polls)
        if self._scheduler is None or before != [(poll.key, poll.interval, poll.priority) for poll in polls]:
            self._running = None
            self._fruitless.forget()
            self._scheduler = Scheduler(polls, self.settings.schedule, self._time.clock())
        return self._scheduler

    async def _next(self, scheduler: Scheduler) -> Run | None:
        """Return the next poll, as soon as it is due; ``None`` as soon as there is a write to be carried out."""
        while not isinstance(action := scheduler.next(self._look(scheduler)), Run):
            if isinstance(action, Rest):
                await self._writes.interrupt(self._rest(action, _LOOK_UP))
            else:
                self._missing(action.planned, action.due, Reason.NO_COMMUNICATION)
            if self._writes:
                return None
        return action

    def _look(self, scheduler: Scheduler) -> Instant:
        """Return the time; one that was set since the last look is no time that passed, and the scheduler is told."""
        now = self._time.clock()
        offset = now - self._time.steady()
        by = offset - self._offset if self._offset is not None else 0
        if abs(by) >= _STEP:
            scheduler.clock_was_set(now, by)
            self._fruitless.moved(by)
        self._offset = offset
        return now

    async def _rest(self, action: Rest, longest: int) -> None:
        await self._time.wait(max(1, min(action.until - self._time.clock(), longest)))

    def _answered(self, started: int, *, refused: bool = False, error: str | None = "") -> None:
        """Book a poll that was answered.

        Args:
            started: When it began, by the steady clock.
            refused: Whether the device said no to all of it.
            error: Why it brought no value; empty if it did; ``None`` where it says nothing of that.
        """
        run = self._running
        self.polls += 1
        self._attempt = 0
        if (counters := self._counted_here()) is not None:
            counters.answered(self._time.steady() - started)
            counters.refused += refused
        self._finished(started, answered=True)
        if run is not None and error is not None:
            self._tell_fruitless(
                self._fruitless.answered(run.planned.device, run.planned.key, self._time.clock(), error)
            )

    def _no_answer(self, started: int, reason: Reason, error: LinliError) -> None:
        self.polls += 1
        self.failed += 1
        if (counters := self._counted_here()) is not None:
            if isinstance(error, ChecksumError):
                counters.checksum += 1
            elif isinstance(error, ProtocolError):
                counters.malformed += 1
            else:
                counters.timeouts += 1
        run = self._running
        # A failed retry or probe says nothing new: its due time has been reported.
        if run is not None and run.why is Why.DUE:
            self._missing(run.planned, self._time.clock(), reason)
        self._finished(started, answered=False, error=str(error))

    def _counted_now(self) -> Mapping[str, UnitCounters]:
        """Return what the present driver has counted itself."""
        return self._counting.counters() if self._counting is not None else {}

    def _counted_here(self) -> UnitCounters | None:
        """Return where the poll that runs is counted; ``None`` if the driver counts itself."""
        if self._running is None or self._counting is not None:
            return None
        counters = self._counted.setdefault(self._running.planned.device, UnitCounters())
        counters.requests += 1
        return counters

    def _finished(self, started: int, *, answered: bool, error: str = "") -> None:
        self._running = None
        assert self._scheduler is not None, "what runs was scheduled"
        now, cost = self._look(self._scheduler), self._time.steady() - started
        transition = self._scheduler.finished(now, cost, answered=answered)
        if isinstance(transition, DeviceSilent):
            _LOG.warning("link %s: device %s is silent: %s", self.settings.id, transition.device, error)
            transition = replace(transition, error=error)
            self._fruitless.silent(transition.device)
        elif isinstance(transition, DeviceBack):
            _LOG.warning("link %s: device %s answers again", self.settings.id, transition.device)
        if transition is not None:
            self._sink.report(self.settings.id, transition)
        if self._scheduler.overloaded is not self._overloaded:
            self._tell_overload(self._scheduler.load(now))

    def _tell_fruitless(self, change: DeviceFruitless | DeviceFruitful | None) -> None:
        if change is None:
            return
        if isinstance(change, DeviceFruitless):
            _LOG.warning("link %s: device %s gives no value: %s", self.settings.id, change.device, change.error)
        else:
            _LOG.warning("link %s: device %s gives values again", self.settings.id, change.device)
        self._sink.report(self.settings.id, change)

    def _tell_overload(self, load: Load) -> None:
        self._overloaded = not self._overloaded
        report: Report = LinkOverloaded(load.planned) if self._overloaded else LinkRelieved(load.planned)
        if self._overloaded:
            _LOG.warning(
                "link %s: overloaded: the plan takes %.0f%% of the line; lengthen the intervals or split the link",
                self.settings.id,
                load.planned * 100,
            )
        else:
            _LOG.warning("link %s: carries its plan again", self.settings.id)
        self._sink.report(self.settings.id, report)

    def _missing(self, planned: PlannedPoll, moment: Instant, reason: Reason) -> None:
        """Say of each point of a poll that it could not be read."""
        points: Sequence[Point] = planned.points
        if not points:
            # Only the answers tell: what the last one held is what is missing now.
            points = [reading.point for reading in self._seen.get(planned.key, ())]
        if points:
            self._sink.take([missing(point, moment, reason) for point in points])

    def _broken(self, error: LinliError) -> None:
        """Note that the line is down; tell it once."""
        if self._running is not None:
            # A bug that one device's answers bring about counts against that device: the others are still read.
            self._no_answer(self._time.steady(), Reason.NO_COMMUNICATION, error)
        if self._scheduler is not None:
            self._scheduler.link_down(self._time.clock())
        bug = isinstance(error, DriverBug)
        text = str(error)
        if self._down_since is None:
            self._down_since = self._time.steady()
            _LOG.warning("link %s: down: %s", self.settings.id, text, exc_info=error.__cause__ if bug else None)
            self._sink.report(self.settings.id, LinkDown(text, bug))
        elif text != self._error:
            _LOG.warning("link %s: still down: %s", self.settings.id, text, exc_info=error.__cause__ if bug else None)
        self._error = text

    async def _pause(self) -> None:
        """Wait before the line is opened again; what falls due meanwhile is missing."""
        pause = min(self.settings.reopen_first << min(self._attempt, 20), self.settings.reopen_last)
        self._attempt += 1
        end = self._time.steady() + round(pause * self._random.uniform(0.75, 1.25))
        while (left := end - self._time.steady()) > 0:
            now = self._time.clock()
            action = self._scheduler.next(now) if self._scheduler is not None else Rest(now + left)
            assert not isinstance(action, Run), "nothing runs on a line that is down"
            if isinstance(action, Rest):
                await self._rest(action, min(left, _LOOK_UP))
            else:
                self._missing(action.planned, action.due, Reason.NO_COMMUNICATION)
            self._writes.expire(now)
