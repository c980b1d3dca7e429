"""The policy of one Modbus link: its polls, what a refusal teaches, and when a silence is a silence."""

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from linli_core.errors import DeviceError, LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_core.instant import HOUR, SECOND
from linli_core.model import Point, Reading, Reason, missing
from linli_edge.driver import Clock, PlannedPoll
from linli_edge.drivers.modbus.client import FramedPort, ModbusPort
from linli_edge.drivers.modbus.framing import Request, RtuFraming, TcpFraming
from linli_edge.drivers.modbus.plan import Block, Limits, RequestPlan
from linli_edge.drivers.modbus.registers import MappedPoint
from linli_edge.drivers.modbus.settings import DeviceSettings, LinkSettings
from linli_edge.transport import Transport
from linli_edge.transport.settings import SerialSettings

_LOG: Final = logging.getLogger(__name__)

_ILLEGAL_FUNCTION: Final = 1
_SPLITTING: Final = frozenset({2, 3})
"""Exceptions about the addresses or their number: a smaller request may do."""

_BUSY: Final = frozenset({5, 6})
_UNREACHABLE: Final = frozenset({10, 11})
"""A Modbus gateway says that the unit behind it does not answer: that is silence, not refusal."""

_TCP_TURNAROUND: Final = 5_000
_RTU_TURNAROUND: Final = 30_000
"""Microseconds a device takes before it answers, as a first guess; the link measures."""

RELEARN: Final = HOUR
"""How long a refusal is believed before the whole block is tried again."""


@dataclass(frozen=True, slots=True)
class _Task:
    """One poll: the device, and its requests."""

    device: DeviceSettings
    planned: PlannedPoll
    requests: RequestPlan


class ModbusDriver:
    """One Modbus link; :func:`open_link` makes it.

    Attributes:
        port: The way to the devices.
    """

    def __init__(self, settings: LinkSettings, port: ModbusPort, clock: Clock) -> None:
        self.port = port
        self._clock = clock
        self._silence = settings.silence
        self._tasks = {task.planned.key: task for task in _tasks(settings)}

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The polls of this link."""
        return [task.planned for task in self._tasks.values()]

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Carry out one poll; see :class:`linli_edge.driver.Driver`.

        A block that the device refuses is split until only the truly refused points are left; the split is remembered
        for :data:`RELEARN`. When a device falls silent in the middle, what it has said counts, and the rest is BAD
        without being asked for.
        """
        task = self._tasks[planned.key]
        changed_at = task.requests.changed_at
        if changed_at is not None and self._clock() - changed_at >= RELEARN:
            task.requests.forget()
        readings: list[Reading] = []
        answered = False
        malformed: ProtocolError | None = None
        queue = list(reversed(task.requests.blocks))
        while queue:
            block = queue.pop()
            try:
                data = await self._ask(task.device, block, patient=planned.patient or answered)
            except LinkError as exc:
                if not answered:
                    raise
                _LOG.info("%s: %s; %d requests left out", planned.key, exc, len(queue) + 1)
                readings += self._missing((block, *queue), Reason.NO_COMMUNICATION)
                break
            except ProtocolError as exc:
                malformed = exc
                readings += self._missing((block,), Reason.MALFORMED_ANSWER)
            except DeviceError as exc:
                answered = True
                queue.extend(reversed(self._refused(task, block, exc, readings)))
            else:
                answered = True
                readings += block.decoder.decode(data, self._clock())
        if malformed is not None and not answered:
            raise malformed
        now = self._clock()
        readings += [missing(point, now, Reason.REFUSED_BY_DEVICE) for point in task.requests.denied]
        return readings

    def _missing(self, blocks: Iterable[Block], reason: Reason) -> list[Reading]:
        now = self._clock()
        return [missing(point, now, reason) for block in blocks for point in block.points]

    def _refused(self, task: _Task, block: Block, error: DeviceError, readings: list[Reading]) -> Sequence[Block]:
        """Return the blocks to ask for instead; add the BAD readings of a block that is not to be split."""
        if error.code in _SPLITTING or error.code == _ILLEGAL_FUNCTION:
            parts = task.requests.refused(block, self._clock(), whole=error.code == _ILLEGAL_FUNCTION)
            if not parts:
                names = ", ".join(point.name for point in block.points)
                _LOG.warning("%s; not asked again for an hour: %s", error, names)
            return parts
        reason = Reason.DEVICE_FAILURE if error.code not in _BUSY else Reason.REFUSED_BY_DEVICE
        readings += self._missing((block,), reason)
        return ()

    async def _ask(self, device: DeviceSettings, block: Block, *, patient: bool) -> bytes:
        """Carry out one request, as often as the device may be asked; once only where it has not answered lately."""
        request = Request(device.unit, block.table.function, block.address, block.count)
        quirks = device.quirks
        pause = max(quirks.pause / SECOND, self._silence)
        for left in range(quirks.retries if patient else 0, -1, -1):
            try:
                return await self.port.read(request, limit=quirks.timeout / SECOND, pause=pause)
            except LinkClosed:
                raise
            except (LinkTimeout, ProtocolError):
                if not left:
                    raise
            except DeviceError as exc:
                if exc.code in _UNREACHABLE:
                    if not left:
                        raise LinkTimeout(str(exc)) from exc
                elif exc.code not in _BUSY or not left:
                    raise
        raise AssertionError("the last attempt returns or raises")


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link, one for each device and each interval among its points."""
    return [task.planned for task in _tasks(settings)]


def _tasks(settings: LinkSettings) -> list[_Task]:
    return [task for device in settings.devices for task in _tasks_of(device, settings)]


def _tasks_of(device: DeviceSettings, settings: LinkSettings) -> list[_Task]:
    """Return a device's polls, the most frequent first."""
    quirks = device.quirks
    limits = Limits(quirks.max_registers, min(2000, 16 * quirks.max_registers), quirks.max_gap)
    groups: dict[int, list[tuple[MappedPoint, Point]]] = {}
    for mapped in device.points:
        groups.setdefault(max(device.interval, mapped.interval), []).append((mapped, mapped.of(device.device)))
    tasks: list[_Task] = []
    for number, (interval, entries) in enumerate(sorted(groups.items()), start=1):
        key = device.device if number == 1 else f"{device.device}#{number}"
        requests = settings.learnt.get(key)
        if requests is None:
            requests = settings.learnt[key] = RequestPlan(entries, limits)
        cost = sum(_cost(block, device, settings) for block in requests.blocks)
        points = tuple(point for _, point in entries)
        tasks.append(_Task(device, PlannedPoll(key, device.device, interval, points, cost=cost), requests))
    return tasks


def _cost(block: Block, device: DeviceSettings, settings: LinkSettings) -> int:
    """Return the microseconds of line time that one request is expected to take."""
    pause = max(device.quirks.pause, round(settings.silence * SECOND))
    if not isinstance(settings.transport, SerialSettings):
        return pause + _TCP_TURNAROUND
    data = (block.count + 7) // 8 if block.table.bits else 2 * block.count
    characters = (8 + 5 + data) * 11
    return pause + _RTU_TURNAROUND + characters * SECOND // settings.transport.baud


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[ModbusDriver]:
    """Connect and yield the driver; raise ``LinkError`` where there is no connection."""
    async with settings.transport.open() as transport:
        yield on_line(settings, transport, clock)


def on_line(settings: LinkSettings, transport: Transport, clock: Clock) -> ModbusDriver:
    """Return the driver on a line that is open, perhaps one that other protocols share."""
    framing = TcpFraming() if settings.framing == "tcp" else RtuFraming()
    return ModbusDriver(settings, FramedPort(transport, framing), clock)
