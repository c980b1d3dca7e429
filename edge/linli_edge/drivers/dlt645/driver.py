"""The policy of one DL/T 645 link: its polls, blocks and what becomes of a refusal, the relay."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from linli_core.codecs.dlt645 import Dlt645Codec, Edition, Interpreter
from linli_core.codecs.dlt645.meaning import clock_of
from linli_core.codecs.mbus.values import MeterTime
from linli_core.instant import SECOND, Instant
from linli_core.model import Reading, Reason, missing
from linli_edge.driver import Clock, PlannedPoll, UnitCounters, WriteOutcome, WriteRequest
from linli_edge.drivers.dlt645.meter import Meter, Told
from linli_edge.drivers.dlt645.plan import Memory, ReadPlan, Request
from linli_edge.drivers.dlt645.poll import Poll
from linli_edge.drivers.dlt645.relay import work_relay
from linli_edge.drivers.dlt645.settings import DeviceSettings, LinkSettings
from linli_edge.half_duplex import HalfDuplex
from linli_edge.transport import Transport

_TURNAROUND: Final = 50_000
"""Microseconds a meter takes before it answers, as a first guess; the link measures."""

_CONVERTER_COST: Final = 250_000
"""Microseconds one exchange takes behind a converter, as a first guess."""

_FRAME: Final = 12
"""Bytes of a frame besides its data."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One poll: the meter, and what it is asked for in each edition."""

    planned: PlannedPoll
    plans: Mapping[Edition, ReadPlan]


class Dlt645Driver:
    """One line of DL/T 645 meters over any transport; :func:`open_link` opens a line of its own for it.

    Attributes:
        line: The way to the meters.
        meters: By device id.
    """

    def __init__(self, settings: LinkSettings, transport: Transport, clock: Clock) -> None:
        self.line = HalfDuplex(
            transport, Dlt645Codec(), timeout=settings.timeout / SECOND, character=settings.character
        )
        self.meters = {
            device.device: Meter(device, _memory(settings, device), settings.retries) for device in settings.devices
        }
        self._clock = clock
        self._interpreters = {
            device.device: Interpreter(device.device, utc_offset=device.utc_offset) for device in settings.devices
        }
        self._tasks = {task.planned.key: task for task in _tasks(settings)}

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The polls of this link."""
        return [task.planned for task in self._tasks.values()]

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return the counters of each device; see :class:`linli_edge.driver.Counting`."""
        return {name: meter.counters for name, meter in self.meters.items()}

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Carry out one poll; see :class:`linli_edge.driver.Driver`.

        A block that the meter refuses, or leaves without an answer while it answers other things, is read value by
        value and the refusal remembered for an hour. When a meter falls silent in the middle, what it has said counts,
        and the rest is BAD without being asked for.
        """
        task, meter = self._tasks[planned.key], self.meters[planned.device]
        edition = await meter.find_edition(self.line, patient=planned.patient)
        await meter.identify(self.line, edition)
        plan = task.plans[edition]
        meter.memory.forget(self._clock())
        poll = Poll(meter, self.line, edition, plan, self._clock, patient=planned.patient)
        await poll.run()
        return self._readings(meter, plan, poll)

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Work a meter's relay; see :class:`linli_edge.driver.Writing`.

        It is possible only where the profile declares the maker's codes and the device names the authority by which
        it may be done.
        """
        return await work_relay(self.meters, self.line, request, self._clock)

    def _readings(self, meter: Meter, plan: ReadPlan, poll: Poll) -> list[Reading]:
        interpreter, offset = self._interpreters[meter.settings.device], meter.settings.utc_offset
        clock = next(
            ((moment, told.at) for told in poll.told if (moment := clock_of(told.records, offset)) is not None),
            _clock_of_all(poll.told, offset),
        )
        readings: list[Reading] = []
        for told in poll.told:
            # The meter's clock was read at another moment of the same poll; between the two both clocks ran.
            device_time = clock[0] + told.at - clock[1] if clock else None
            readings += interpreter.readings(told.edition, told.records, told.at, device_time)
        now = self._clock()
        for item, reason in [*poll.missing, *((item, Reason.REFUSED_BY_DEVICE) for item in plan.denied(meter.memory))]:
            readings += [missing(point, now, reason) for point in interpreter.points(item)]
        return _once(readings)


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link, one for each device and each interval among its reads."""
    return [task.planned for task in _tasks(settings)]


def guest(settings: LinkSettings, transport: Transport, clock: Clock) -> Dlt645Driver:
    """Return the driver for a line that somebody else has opened and shares."""
    return Dlt645Driver(settings, transport, clock)


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[Dlt645Driver]:
    """Open the line and yield the driver; raise ``LinkError`` where there is none."""
    async with settings.transport.open() as transport:
        yield Dlt645Driver(settings, transport, clock)


def _memory(settings: LinkSettings, device: DeviceSettings) -> Memory:
    return settings.memory.setdefault(device.device, Memory())


def _tasks(settings: LinkSettings) -> list[_Task]:
    return [task for device in settings.devices for task in _tasks_of(device, settings)]


def _tasks_of(device: DeviceSettings, settings: LinkSettings) -> list[_Task]:
    """Return a device's polls, the most frequent first."""
    profile, memory = device.profile, _memory(settings, device)
    groups: dict[int, dict[Edition, list[int]]] = {}
    for reads in device.reads:
        group = groups.setdefault(reads.interval or device.interval, {edition: [] for edition in Edition})
        for edition, listed in reads.identifiers.items():
            group[edition] += listed
    interpreter = Interpreter(device.device)
    tasks: list[_Task] = []
    for number, (interval, identifiers) in enumerate(sorted(groups.items()), start=1):
        key = device.device if number == 1 else f"{device.device}#{number}"
        plans = {
            edition: ReadPlan(
                identifiers[edition], profile.words(edition), tariffs=profile.tariffs, blocks=profile.blocks
            )
            for edition in Edition
        }
        edition = device.edition or memory.edition or _likelier(plans)
        points = tuple(dict.fromkeys(point for item in plans[edition].items for point in interpreter.points(item)))
        cost = sum(_cost(request, device, settings) for request in plans[edition].requests(memory))
        planned = PlannedPoll(key, device.device, interval, points, cost=cost)
        tasks.append(_Task(planned, plans))
    return tasks


def _likelier(plans: Mapping[Edition, ReadPlan]) -> Edition:
    return Edition.E2007 if plans[Edition.E2007].items else Edition.E1997


def _cost(request: Request, device: DeviceSettings, settings: LinkSettings) -> int:
    """Return the microseconds of line time that one request is expected to take."""
    if not settings.character:
        return _CONVERTER_COST
    size = request.wanted[0].edition.identifier_size
    asked = device.profile.preamble + _FRAME + size
    answered = device.profile.preamble + _FRAME + size + sum(item.format.size for item in request.wanted)
    return _TURNAROUND + round((asked + answered) * settings.character * SECOND)


def _clock_of_all(told: Sequence[Told], offset: int) -> tuple[Instant, Instant] | None:
    """Return the meter's clock where date and time were read one after the other, and when that was."""
    moment = clock_of([record for one in told for record in one.records], offset)
    if moment is None:
        return None
    times = [one.at for one in told if any(isinstance(record.value, MeterTime) for record in one.records)]
    return moment, max(times)


def _once(readings: list[Reading]) -> list[Reading]:
    """Return the readings, each point once: a value that was told beats one that is missing."""
    found: dict[str, Reading] = {}
    for reading in readings:
        before = found.get(reading.point.name)
        if before is None or (before.value is None and reading.value is not None):
            found[reading.point.name] = reading
    return list(found.values())
