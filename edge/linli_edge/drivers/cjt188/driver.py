"""The policy of one CJ/T 188 link: its polls, the order of identifiers, refusals, the valve."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from linli_core.codecs.cjt188 import Cjt188Codec, Frame, Interpreter
from linli_core.codecs.cjt188.control import READING
from linli_core.errors import DeviceError, LinkClosed, LinkTimeout, ProtocolError
from linli_core.instant import HOUR, SECOND
from linli_core.model import Point, Reading, Reason, missing
from linli_edge.driver import Clock, PlannedPoll, UnitCounters, WriteOutcome, WriteRequest
from linli_edge.drivers.cjt188.meter import Meter
from linli_edge.drivers.cjt188.settings import DeviceSettings, LinkSettings, Memory
from linli_edge.drivers.cjt188.valve import work_valve
from linli_edge.half_duplex import HalfDuplex
from linli_edge.transport import Transport

_LOG: Final = logging.getLogger(__name__)

RELEARN: Final = HOUR
"""How long a refusal is believed before the identifier is asked for again."""

_TURNAROUND: Final = 50_000
_CONVERTER_COST: Final = 250_000
"""Microseconds one exchange takes, as a first guess; the link measures."""

_SIZES: Final = {0x90: 19, 0xD1: 5, 0x81: 15}
_HEAT_SIZE: Final = 43
"""Bytes of the standard's answers behind identifier and serial number, by the identifier's high byte."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One poll: the meter, and what it is asked for."""

    planned: PlannedPoll
    identifiers: tuple[int, ...]


class Cjt188Driver:
    """One line of CJ/T 188 meters over any transport; :func:`open_link` opens a line of its own for it.

    Attributes:
        line: The way to the meters.
        meters: By device id.
    """

    def __init__(self, settings: LinkSettings, transport: Transport, clock: Clock) -> None:
        self.line: HalfDuplex[Frame] = HalfDuplex(
            transport, Cjt188Codec(), timeout=settings.timeout / SECOND, character=settings.character
        )
        self.meters = {
            device.device: Meter(device, settings.memory.setdefault(device.device, Memory()), settings.retries)
            for device in settings.devices
        }
        self._clock = clock
        self._interpreters = {device.device: _interpreter(device) for device in settings.devices}
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

        When a meter falls silent in the middle, what it has said counts, and the rest is BAD without being asked for.
        """
        task, meter = self._tasks[planned.key], self.meters[planned.device]
        meter.forget(self._clock(), RELEARN)
        readings: list[Reading] = []
        answered = False
        trouble: ProtocolError | None = None
        refused = meter.memory.refused
        left = [identifier for identifier in task.identifiers if identifier not in refused]
        lost = [(identifier, Reason.REFUSED_BY_DEVICE) for identifier in task.identifiers if identifier in refused]
        while left:
            identifier = left.pop(0)
            try:
                readings += await self._read(meter, identifier, patient=planned.patient)
            except LinkClosed:
                raise
            except LinkTimeout as exc:
                if not answered:
                    raise
                _LOG.info("%s: %s; %d requests left out", planned.device, exc, len(left) + 1)
                lost += [(silent, Reason.NO_COMMUNICATION) for silent in (identifier, *left)]
                break
            except ProtocolError as exc:
                trouble = exc
                lost.append((identifier, Reason.MALFORMED_ANSWER))
            except DeviceError as exc:
                answered = True
                lost.append((identifier, Reason.REFUSED_BY_DEVICE))
                if identifier != READING:
                    # Every meter has its reading: what keeps it from telling it passes.
                    meter.memory.refused[identifier] = self._clock()
                    _LOG.warning("%s: %s; %04X is not asked for again for an hour", planned.device, exc, identifier)
            else:
                answered = True
        if trouble is not None and not answered:
            raise trouble
        return readings + self._missing(meter.settings, lost)

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Work a meter's valve; see :class:`linli_edge.driver.Writing`.

        It is possible only where the profile declares the maker's codes and the device allows it.
        """
        return await work_valve(self.meters, self.line, request, self._clock)

    async def _read(self, meter: Meter, identifier: int, *, patient: bool) -> list[Reading]:
        answer, records = await meter.read(self.line, identifier, patient=patient)
        device = meter.settings
        now = self._clock()
        readings = self._interpreters[device.device].readings(answer, records, now)
        if any(record.field is None for record in records):
            # It fits no layout: kept raw, and none of the values is known.
            readings += self._missing(device, [(identifier, Reason.MALFORMED_ANSWER)])
        return readings

    def _missing(self, device: DeviceSettings, lost: Sequence[tuple[int, Reason]]) -> list[Reading]:
        now, interpreter = self._clock(), self._interpreters[device.device]
        return [
            missing(point, now, reason)
            for identifier, reason in lost
            for point in _points(interpreter, device.meter_type, identifier)
        ]


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link, one for each device and each interval among its reads."""
    return [task.planned for task in _tasks(settings)]


def guest(settings: LinkSettings, transport: Transport, clock: Clock) -> Cjt188Driver:
    """Return the driver for a line that somebody else has opened and shares."""
    return Cjt188Driver(settings, transport, clock)


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[Cjt188Driver]:
    """Open the line and yield the driver; raise ``LinkError`` where there is none."""
    async with settings.transport.open() as transport:
        yield Cjt188Driver(settings, transport, clock)


def _interpreter(device: DeviceSettings) -> Interpreter:
    return Interpreter(device.device, dialect=device.profile.dialect, utc_offset=device.utc_offset)


def _tasks(settings: LinkSettings) -> list[_Task]:
    return [task for device in settings.devices for task in _tasks_of(device, settings)]


def _tasks_of(device: DeviceSettings, settings: LinkSettings) -> list[_Task]:
    """Return a device's polls, the most frequent first."""
    groups: dict[int, list[int]] = {}
    for reads in device.reads:
        group = groups.setdefault(reads.interval or device.interval, [])
        group += [identifier for identifier in reads.identifiers if identifier not in group]
    interpreter = _interpreter(device)
    tasks: list[_Task] = []
    for number, (interval, identifiers) in enumerate(sorted(groups.items()), start=1):
        key = device.device if number == 1 else f"{device.device}#{number}"
        points = tuple(
            dict.fromkeys(
                point for identifier in identifiers for point in _points(interpreter, device.meter_type, identifier)
            )
        )
        cost = sum(_cost(device, settings, identifier) for identifier in identifiers)
        tasks.append(_Task(PlannedPoll(key, device.device, interval, points, cost=cost), tuple(identifiers)))
    return tasks


def _points(interpreter: Interpreter, meter_type: int, identifier: int) -> tuple[Point, ...]:
    """Return the points that the standard's answer yields; a maker's own may yield fewer or others."""
    for size in dict.fromkeys((_size(meter_type, identifier), 1)):
        if points := interpreter.points(meter_type, identifier, size):
            return points
    return ()


def _size(meter_type: int, identifier: int) -> int:
    high = identifier >> 8
    return _HEAT_SIZE if high == 0x90 and meter_type >> 4 == 2 else _SIZES.get(high, 0)


def _cost(device: DeviceSettings, settings: LinkSettings, identifier: int) -> int:
    """Return the microseconds of line time that one request is expected to take."""
    if not settings.character:
        return _CONVERTER_COST
    characters = 2 * (device.profile.preamble + 16) + _size(device.meter_type, identifier)
    return _TURNAROUND + round(characters * settings.character * SECOND)
