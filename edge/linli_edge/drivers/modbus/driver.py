"""The policy of one Modbus link: its polls, what a refusal teaches, and when a silence is a silence."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from linli_core.errors import DeviceError, LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_core.instant import HOUR, SECOND, Instant
from linli_core.model import Point, Reading, Reason, missing
from linli_edge.driver import Clock, PlannedPoll
from linli_edge.drivers.modbus.client import FramedPort, ModbusPort
from linli_edge.drivers.modbus.framing import Request, RtuFraming, TcpFraming
from linli_edge.drivers.modbus.plan import Block, Limits, RequestPlan
from linli_edge.drivers.modbus.registers import MappedPoint
from linli_edge.drivers.modbus.settings import DeviceSettings, LinkSettings
from linli_edge.transport import Transport

_LOG: Final = logging.getLogger(__name__)

_ILLEGAL_FUNCTION: Final = 1
_SPLITTING: Final = frozenset({2, 3})
"""Exceptions about the addresses or their number: a smaller request may do."""

_BUSY: Final = frozenset({5, 6})
_UNREACHABLE: Final = frozenset({10, 11})
"""A Modbus gateway says that the unit behind it does not answer: that is silence, not refusal."""

RELEARN: Final = HOUR
"""How long a refusal is believed before the whole block is tried again."""


class _Task:
    """One poll: the device, its requests, and since when they are not the planned ones."""

    __slots__ = ("device", "learnt_at", "plan", "planned")

    def __init__(self, device: DeviceSettings, planned: PlannedPoll, plan: RequestPlan) -> None:
        self.device = device
        self.planned = planned
        self.plan = plan
        self.learnt_at: Instant = 0


class ModbusDriver:
    """One Modbus link; :func:`open_link` makes it.

    Attributes:
        plan: Its polls; one for each device and each interval among the device's points.
        port: The way to the devices.
    """

    def __init__(self, settings: LinkSettings, port: ModbusPort, clock: Clock) -> None:
        self.port = port
        self._clock = clock
        self._silence = settings.silence
        self._tasks: dict[str, _Task] = {}
        for device in settings.devices:
            for task in _tasks(device):
                self._tasks[task.planned.key] = task

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
        if task.plan.changed and self._clock() - task.learnt_at >= RELEARN:
            task.plan.forget()
        readings: list[Reading] = []
        queue = list(reversed(task.plan.blocks))
        while queue:
            block = queue.pop()
            try:
                data = await self._ask(task.device, block)
            except (LinkError, ProtocolError) as exc:
                if not readings:
                    raise
                reason = Reason.MALFORMED_ANSWER if isinstance(exc, ProtocolError) else Reason.NO_COMMUNICATION
                _LOG.info("%s: %s; %d requests left out", planned.key, exc, len(queue) + 1)
                now = self._clock()
                readings += [missing(point, now, reason) for left in (block, *queue) for point in left.points]
                break
            except DeviceError as exc:
                queue.extend(reversed(self._refused(task, block, exc, readings)))
            else:
                readings += block.decoder.decode(data, self._clock())
        now = self._clock()
        readings += [missing(point, now, Reason.REFUSED_BY_DEVICE) for point in task.plan.denied]
        return readings

    def _refused(self, task: _Task, block: Block, error: DeviceError, readings: list[Reading]) -> Sequence[Block]:
        """Return the blocks to ask for instead; add the BAD readings of a block that is not to be split."""
        now = self._clock()
        if error.code in _SPLITTING or error.code == _ILLEGAL_FUNCTION:
            if not task.plan.changed:
                task.learnt_at = now
            parts = task.plan.refused(block, whole=error.code == _ILLEGAL_FUNCTION)
            if not parts:
                names = ", ".join(point.name for point in block.points)
                _LOG.warning("%s; not asked again for an hour: %s", error, names)
            return parts
        reason = Reason.DEVICE_FAILURE if error.code not in _BUSY else Reason.REFUSED_BY_DEVICE
        readings += [missing(point, now, reason) for point in block.points]
        return ()

    async def _ask(self, device: DeviceSettings, block: Block) -> bytes:
        """Carry out one request, as often as the device may be asked."""
        request = Request(device.unit, block.table.function, block.address, block.count)
        quirks = device.quirks
        pause = max(quirks.pause / SECOND, self._silence)
        for left in range(quirks.retries, -1, -1):
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


def _tasks(device: DeviceSettings) -> list[_Task]:
    """Return a device's polls, the most frequent first."""
    quirks = device.quirks
    limits = Limits(quirks.max_registers, min(2000, 16 * quirks.max_registers), quirks.max_gap)
    groups: dict[int, list[tuple[MappedPoint, Point]]] = {}
    for mapped in device.points:
        groups.setdefault(max(device.interval, mapped.interval), []).append((mapped, mapped.of(device.device)))
    tasks: list[_Task] = []
    for number, (interval, entries) in enumerate(sorted(groups.items()), start=1):
        key = device.device if number == 1 else f"{device.device}#{number}"
        plan = RequestPlan(entries, limits)
        planned = PlannedPoll(key, device.device, interval, tuple(point for _, point in entries))
        tasks.append(_Task(device, planned, plan))
    return tasks


def connector(settings: LinkSettings) -> Callable[[], Awaitable[Transport]]:
    """Return what opens the link's stream."""

    async def connect() -> Transport:
        async with AsyncExitStack() as stack:
            transport = await stack.enter_async_context(settings.transport.open())
            stack.pop_all()  # the port closes it
            return transport

    return connect


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[ModbusDriver]:
    """Connect and yield the driver; raise ``LinkError`` where there is no connection."""
    framing = TcpFraming if settings.framing == "tcp" else RtuFraming
    port = FramedPort(connector(settings), framing)
    await port.open()
    try:
        yield ModbusDriver(settings, port, clock)
    finally:
        await port.close()
