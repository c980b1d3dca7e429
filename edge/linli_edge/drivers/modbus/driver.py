"""The policy of one Modbus link: its polls, what a refusal teaches, and when a silence is a silence."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from linli_core.errors import (
    DeviceError,
    LinkClosed,
    LinkError,
    LinkTimeout,
    ProtocolError,
    WriteRefusal,
    WriteRefused,
)
from linli_core.instant import HOUR, SECOND
from linli_core.model import Point, Reading, Reason, Value
from linli_core.settings import is_loopback
from linli_edge.config.units import show_duration
from linli_edge.driver import Clock, PlannedPoll, Served, UnitCounters, WriteOutcome, WriteRequest
from linli_edge.drivers.modbus.client import QUIET, FramedPort, ModbusPort
from linli_edge.drivers.modbus.framing import AsciiFraming, Framing, Request, RtuFraming, TcpFraming
from linli_edge.drivers.modbus.harvest import Harvest
from linli_edge.drivers.modbus.plan import Block, Entry, Factors, RequestPlan, blocks_of
from linli_edge.drivers.modbus.read_through import ReadThrough
from linli_edge.drivers.modbus.registers import MappedPoint
from linli_edge.drivers.modbus.settings import DeviceSettings, FramingName, LinkSettings, limits_of
from linli_edge.drivers.modbus.sunspec import choose, walk
from linli_edge.drivers.modbus.writing import command_for, words_for
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

_ILLEGAL_ADDRESS: Final = 2
_SUNSPEC_REGISTERS: Final = 2 * 126
"""Bytes of the longest SunSpec model that is read, with its head."""

_READ_BACKS: Final = 3
_SETTLING: Final = 0.2
"""How often, and after how many seconds more each time, a written value is looked for: some devices take a moment."""

FRAMINGS: Final[Mapping[FramingName, Callable[[], Framing]]] = {
    "tcp": TcpFraming,
    "rtu": RtuFraming,
    "ascii": AsciiFraming,
}

RELEARN: Final = HOUR
"""How long a refusal is believed before the whole block is tried again."""


@dataclass(slots=True)
class _Task:
    """One poll: the device, its requests, and what must not have changed since they were planned.

    Attributes:
        requests: ``None`` before a SunSpec device has been looked through.
        guards: Registers and what they held when it was.
        fresh: Whether that was just now, so that a refusal is one and no change of layout.
    """

    device: DeviceSettings
    planned: PlannedPoll
    requests: RequestPlan | None
    guards: Mapping[MappedPoint, int] = field(default_factory=dict)
    fresh: bool = False


class _LayoutChanged(Exception):
    """A SunSpec device's chain of models is not what it was; confined to this module."""


class ModbusDriver:
    """One Modbus link; :func:`open_link` makes it.

    Attributes:
        port: The way to the devices.
    """

    def __init__(self, settings: LinkSettings, port: ModbusPort, clock: Clock) -> None:
        self.port = port
        self._clock = clock
        self._settings = settings
        self._tasks = {task.planned.key: task for task in _tasks(settings)}

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The polls of this link."""
        return [task.planned for task in self._tasks.values()]

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return what has been counted of each device; where several share a unit id, on the first of them."""
        first: dict[int, str] = {}
        for device in self._settings.devices:
            first.setdefault(device.unit, device.device)
        return {name: self.port.count(unit) for unit, name in first.items()}

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Carry out one poll; see :class:`linli_edge.driver.Driver`.

        A block that the device refuses is split until only the truly refused points are left; the split is remembered
        for :data:`RELEARN`. When a device falls silent in the middle, what it has said counts, and the rest is BAD
        without being asked for. A SunSpec device whose layout has changed is looked through again, and nothing that
        was read by the old layout is given out.
        """
        task = self._tasks[planned.key]
        for _ in range(2):
            requests = task.requests or await self._discover(task)
            try:
                readings = await self._gather(task, requests, patient=planned.patient)
            except _LayoutChanged as exc:
                _LOG.warning("%s: %s; looking through it again", planned.key, exc)
                task.requests = None
            else:
                task.fresh = False
                return readings
        raise DeviceError(f"{planned.key}: its SunSpec layout changes while it is read", code=0, kind="unsteady")

    async def _gather(self, task: _Task, requests: RequestPlan, *, patient: bool) -> list[Reading]:
        """Carry out the requests of a poll."""
        if requests.changed_at is not None and self._clock() - requests.changed_at >= RELEARN:
            requests.forget()
        harvest = Harvest(requests.denied_factors)
        unread = dict(task.guards)
        malformed: ProtocolError | None = None
        queue = list(reversed(requests.blocks))
        while queue:
            block = queue.pop()
            try:
                data = await self._ask(task.device, block, patient=patient or harvest.answered)
            except LinkError as exc:
                if not harvest.answered:
                    raise
                _LOG.info("%s: %s; %d requests left out", task.planned.key, exc, len(queue) + 1)
                harvest.without((block, *queue), Reason.NO_COMMUNICATION, self._clock())
                break
            except ProtocolError as exc:
                malformed = exc
                harvest.without((block,), Reason.MALFORMED_ANSWER, self._clock())
            except DeviceError as exc:
                harvest.answered = True
                queue.extend(reversed(self._refused(task, requests, block, exc, harvest)))
            else:
                found = harvest.take(block, data, self._clock())
                self._guard(task, found)
                unread = {register: held for register, held in unread.items() if register not in found}
        if malformed is not None and not harvest.answered:
            raise malformed
        harvest.missing(requests.denied, Reason.REFUSED_BY_DEVICE, self._clock())
        # Where it was not read which model stands there, nobody knows what the registers behind it mean.
        return harvest.void(unread) if unread else harvest.readings()

    def _guard(self, task: _Task, found: Mapping[MappedPoint, Fraction | Reason]) -> None:
        for register, expected in task.guards.items():
            if found.get(register, expected) != expected:
                raise _LayoutChanged(f"SunSpec: another model stands at {register.address}")

    async def _discover(self, task: _Task) -> RequestPlan:
        """Look through a SunSpec device; return the requests that read what was chosen of it."""
        device = task.device
        assert device.sunspec is not None, "other devices have their requests from the configuration"
        table = device.sunspec_table

        async def read(address: int, count: int) -> bytes:
            data, most = b"", limits_of(device.quirks).most(table)
            for first in range(address, address + count, most):
                part = min(most, address + count - first)
                data += await self._read(device, Request(device.unit, table.function, first, part), patient=True)
            return data

        known = self._settings.layouts.get(device.device)
        wanted = device.sunspec
        if known is not None and not wanted.serial:
            # A chain that has grown must not make another meter of this one.
            wanted = replace(wanted, serial=known.device.serial)
        layout = choose(await walk(read), wanted, table, device.device)
        self._settings.layouts[device.device] = layout
        who = layout.device
        _LOG.info(
            "%s: SunSpec model %d at %d: %s %s %s, serial number %s",
            *(device.device, layout.model.id, layout.model.address, who.maker, who.model, who.version, who.serial),
        )
        model = layout.model.address
        points: list[Entry] = [(entry, entry.of(device.device)) for entry in layout.entries]
        points += [(register, None) for register in layout.guards if register.address >= model]
        apart: list[Entry] = [(register, None) for register in layout.guards if register.address < model]
        limits = limits_of(device.quirks)
        if apart and len(blocks_of([*apart, *points], limits)) == 1:
            points, apart = [*apart, *points], []
        task.requests = RequestPlan(points, limits, apart=apart)
        task.guards = layout.guards
        task.fresh = True
        return task.requests

    def _refused(
        self, task: _Task, requests: RequestPlan, block: Block, error: DeviceError, harvest: Harvest
    ) -> Sequence[Block]:
        """Return the blocks to ask for instead; note as missing a block that is not to be split."""
        if error.code in _SPLITTING or error.code == _ILLEGAL_FUNCTION:
            if task.guards and not task.fresh and error.code == _ILLEGAL_ADDRESS:
                raise _LayoutChanged(str(error))
            parts = requests.refused(block, self._clock(), whole=error.code == _ILLEGAL_FUNCTION)
            if not parts:
                names = ", ".join(point.name for point in block.points)
                _LOG.warning("%s; not asked again for an hour: %s", error, names)
                harvest.worthless(block.gives, Reason.REFUSED_BY_DEVICE)
            return parts
        reason = Reason.DEVICE_FAILURE if error.code not in _BUSY else Reason.REFUSED_BY_DEVICE
        harvest.without((block,), reason, self._clock())
        return ()

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Write one value and read it back; see :class:`linli_edge.driver.Writing`."""
        device, entry, point = self._writable(request.point_name)
        requests = RequestPlan([(entry, point)], limits_of(device.quirks))
        before, factors = await self._read_back(device, requests)
        words = words_for(entry, request.value, factors)
        command = command_for(device.unit, entry, words, device.quirks)
        doubt = ""
        limit, pause = device.quirks.timeout / SECOND, self._pause(device)
        try:
            await self.port.write(command, limit=limit, pause=pause, permit=lambda: request.in_time(self._clock()))
        except (LinkTimeout, ProtocolError) as exc:
            doubt = str(exc)
        wanted = b"".join(word.to_bytes(2, "big") for word in words) if not entry.table.bits else bytes(words)
        after: Reading | None = None
        for attempt in range(_READ_BACKS):
            after, held = await self._raw(device, requests, entry, _SETTLING * attempt)
            if held == wanted:
                return WriteOutcome(ok=True, before=before, after=after.value if after else None)
        if after is None:
            error = "it could not be read afterwards: what the device did is unknown"
        else:
            error = f"it holds {after.value} afterwards"
        error = f"{error} ({doubt})" if doubt else error
        return WriteOutcome(ok=False, before=before, after=after.value if after else None, error=error)

    def _writable(self, point_name: str) -> tuple[DeviceSettings, MappedPoint, Point]:
        for device in self._settings.devices:
            for entry in device.points:
                point = entry.of(device.device)
                if point.name != point_name:
                    continue
                if not entry.writable:
                    raise WriteRefused(WriteRefusal.NOT_WRITABLE, f"{entry.where} does not say writable = true")
                return device, entry, point
        raise WriteRefused(WriteRefusal.UNKNOWN_POINT, f"no device on this line has a point {point_name}")

    async def _read_back(self, device: DeviceSettings, requests: RequestPlan) -> tuple[Value, Factors]:
        """Return what a point holds before it is written, and what its register is to be multiplied by."""
        harvest, factors = Harvest({}), Factors()
        for block in requests.blocks:
            try:
                data = await self._ask(device, block, patient=True)
            except (LinkTimeout, ProtocolError, DeviceError) as exc:
                _LOG.info("%s: before a write: %s", device.device, exc)
            else:
                factors |= harvest.take(block, data, self._clock())
        readings = harvest.readings()
        return readings[0].value if readings else None, factors

    async def _raw(
        self, device: DeviceSettings, requests: RequestPlan, entry: MappedPoint, pause: float
    ) -> tuple[Reading | None, bytes]:
        """Return what a point holds after it was written: as a reading, and as it stands in its registers."""
        harvest, raw = Harvest({}), b""
        for block in requests.blocks:
            request = Request(device.unit, block.table.function, block.address, block.count)
            try:
                data = await self.port.read(
                    request, limit=device.quirks.timeout / SECOND, pause=max(pause, self._pause(device))
                )
            except LinkClosed:
                raise
            except (LinkTimeout, ProtocolError, DeviceError) as exc:
                _LOG.info("%s: after a write: %s", device.device, exc)
                continue
            harvest.take(block, data, self._clock())
            if any(point is not None for _, point in block.entries):
                first = 2 * (entry.address - block.address)
                raw = data[:1] if entry.table.bits else data[first : first + 2 * entry.count]
        readings = harvest.readings()
        return readings[0] if readings else None, raw

    def _pause(self, device: DeviceSettings) -> float:
        return max(device.quirks.pause / SECOND, self._settings.silence)

    async def _ask(self, device: DeviceSettings, block: Block, *, patient: bool) -> bytes:
        """Carry out the request for a block."""
        request = Request(device.unit, block.table.function, block.address, block.count)
        return await self._read(device, request, patient=patient)

    async def _read(self, device: DeviceSettings, request: Request, *, patient: bool) -> bytes:
        """Carry out one request and keep what it brought, for those that it is served to."""
        data = await self._tried(device, request, patient=patient)
        if self._settings.read_through is not None:
            place = (request.unit, request.function, request.address, request.count)
            self._settings.image.store(*place, data, asyncio.get_running_loop().time())
        return data

    async def _tried(self, device: DeviceSettings, request: Request, *, patient: bool) -> bytes:
        """Carry out one request, as often as the device may be asked; once only where it has not answered lately."""
        quirks = device.quirks
        pause = self._pause(device)
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


def served(settings: LinkSettings) -> Served | None:
    """Return what the read-through of a link hands on; ``None`` where there is none."""
    through = settings.read_through
    if through is None:
        return None
    units = sorted({device.unit for device in settings.devices})
    warnings = []
    if not is_loopback(through.host) and not through.allow:
        warnings.append("whoever reaches it may read: name the networks that may in allow")
    slow = sorted({planned.device for planned in plan(settings) if planned.interval > through.max_age})
    if slow:
        warnings.append(
            f"some of {', '.join(slow)} is read less often than every {show_duration(through.max_age)} (max_age): "
            "in between clients get exception 0B for it; lengthen max_age, or shorten the interval"
        )
    words = f"unit{'s' if len(units) > 1 else ''} {', '.join(map(str, units))} over Modbus TCP"
    what = f"{words}, nothing older than {show_duration(through.max_age)}"
    return Served(f"{through.host}:{through.port}", what, tuple(warnings))


async def serve(settings: LinkSettings) -> None:
    """Serve what is read to others, until cancelled; return at once where nobody may have it."""
    if settings.read_through is None:
        return
    units = frozenset(device.unit for device in settings.devices)
    await ReadThrough(settings.read_through, units, settings.image).run()


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link, one for each device and each interval among its points."""
    return [task.planned for task in _tasks(settings)]


def _tasks(settings: LinkSettings) -> list[_Task]:
    return [task for device in settings.devices for task in _tasks_of(device, settings)]


def _tasks_of(device: DeviceSettings, settings: LinkSettings) -> list[_Task]:
    """Return a device's polls, the most frequent first."""
    if device.sunspec is not None:
        # Which points it has, only it can tell.
        cost = _cost(_SUNSPEC_REGISTERS, device, settings)
        return [_Task(device, PlannedPoll(device.device, device.device, device.interval, cost=cost), None)]
    limits = limits_of(device.quirks)
    groups: dict[int, list[tuple[MappedPoint, Point]]] = {}
    for mapped in device.points:
        groups.setdefault(mapped.interval or device.interval, []).append((mapped, mapped.of(device.device)))
    tasks: list[_Task] = []
    for number, (interval, entries) in enumerate(sorted(groups.items()), start=1):
        key = device.device if number == 1 else f"{device.device}#{number}"
        requests = settings.learnt.get(key)
        if requests is None:
            requests = settings.learnt[key] = RequestPlan(entries, limits)
        cost = sum(_cost(_data_bytes(block), device, settings) for block in requests.blocks)
        points = tuple(point for _, point in entries)
        tasks.append(_Task(device, PlannedPoll(key, device.device, interval, points, cost=cost), requests))
    return tasks


def _data_bytes(block: Block) -> int:
    return (block.count + 7) // 8 if block.table.bits else 2 * block.count


def _cost(data: int, device: DeviceSettings, settings: LinkSettings) -> int:
    """Return the microseconds of line time that a request for so many bytes is expected to take."""
    pause = max(device.quirks.pause, round(settings.silence * SECOND))
    if not isinstance(settings.transport, SerialSettings):
        return pause + _TCP_TURNAROUND
    characters = (8 + 5 + data) * 11
    return pause + _RTU_TURNAROUND + characters * SECOND // settings.transport.baud


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[ModbusDriver]:
    """Connect and yield the driver; raise ``LinkError`` where there is no connection."""
    async with settings.transport.open() as transport:
        yield on_line(settings, transport, clock)


def on_line(settings: LinkSettings, transport: Transport, clock: Clock) -> ModbusDriver:
    """Return the driver on a line that is open, perhaps one that other protocols share."""
    # On a slow line a character alone takes longer than the silence that is waited for elsewhere.
    quiet = max(QUIET, 2 * settings.silence)
    framing = TcpFraming(settings.transactions) if settings.framing == "tcp" else FRAMINGS[settings.framing]()
    port = FramedPort(transport, framing, quiet=quiet, doubt=settings.doubt)
    return ModbusDriver(settings, port, clock)
