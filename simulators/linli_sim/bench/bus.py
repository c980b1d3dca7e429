"""``bus.*``: one line of a gateway against Modbus units on libmodbus, a stack that is not its client's.

The line under test is the gateway's own :class:`linli_edge.link.Link`, with the driver that the configuration names;
what it delivers is counted where the gateway's pipeline would take it. Serial lines are pseudo-terminals whose bytes
take their time (:mod:`linli_sim.line`).
"""

import asyncio
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from linli_core.instant import SECOND, Instant
from linli_core.model import Quality, Reading
from linli_edge.config.gateway import parse_config
from linli_edge.link import Link, Report
from linli_edge.timekeeping import SYSTEM
from linli_sim.bench import CannotRun, bench
from linli_sim.libmodbus import LibmodbusSlave
from linli_sim.line import ForeignStation, LineTiming, SerialBus
from linli_sim.modbus_registers import Unit

_WORDS: Final = 2
"""Registers of one point: a 32-bit float."""

_SILENT_WINDOW: Final = 75.0
"""Seconds, from the start of the line on: the first failure counts."""

_UNITS: Final = 30
_POINTS: Final = 40
_BUS_WINDOW: Final = 40.0
_STRETCH: Final = 1.5
"""How much longer than with all alive a healthy unit may wait for its next reading."""

_CYCLES: Final = 20
_ANSWERS_IN: Final = 15_000
"""Microseconds that the device waits; with what a process and a socket add it answers in 20 ms."""


@dataclass
class Tally:
    """What a line delivered: for each device the moments at which all its points came, good."""

    points: int
    whole: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    observed: dict[str, list[Instant]] = field(default_factory=lambda: defaultdict(list))
    partial: int = 0

    def take(self, readings: list[Reading]) -> None:
        """Take the readings of one poll."""
        device = readings[0].point.device
        good = sum(reading.quality is Quality.GOOD for reading in readings)
        if good == self.points:
            self.whole[device].append(time.monotonic())
            self.observed[device].append(max(reading.observed_at for reading in readings))
        elif good:
            self.partial += 1

    def report(self, link: str, report: Report) -> None:
        """Take a report: it changes no figure."""


def unit(points: int, base: int = 0) -> Unit:
    """Return a unit that holds so many floats, from address 0 on."""
    made = Unit(most=125)
    for number in range(points):
        # 1.0, 2.0…: the upper word is enough for what is counted here.
        made.put("holding", _WORDS * number, (0x3F80 + (base + number) % 64, 0))
    return made


def line_config(transport: str, units: Iterable[int], points: int, interval: str, quirks: str = "") -> str:
    """Return a gateway's configuration with one link."""
    tables = [
        f'[gateway]\nid = "gw-bench"\ndata = "."\n[uplink]\nhost = "127.0.0.1"\n[[links]]\nid = "bus"\n{transport}'
    ]
    for number in units:
        tables.append(
            f'[[links.devices]]\nid = "unit-{number}"\nunit = {number}\ninterval = "{interval}"\n{quirks}\n'
            'defaults = { table = "holding", type = "float32" }'
        )
        tables += [
            f'[[links.devices.points]]\nquantity = "energy_import"\nunit = "Wh"\n'
            f"tariff = {point + 1}\naddress = {_WORDS * point}"
            for point in range(points)
        ]
    return "\n".join(tables)


async def polled(config: str, points: int, seconds: float) -> tuple[Tally, float]:
    """Run the configuration's one link for a time; return what it delivered, and how long it ran."""
    settings = parse_config(tomllib.loads(config), Path()).links[0]
    tally = Tally(points)
    link = Link(settings, tally, SYSTEM)
    started = time.monotonic()
    task = asyncio.create_task(link.run(), name="link")
    await asyncio.wait([task], timeout=seconds)
    took = time.monotonic() - started
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise CannotRun(f"the link ended: {error}") from error
    return tally, took


@bench("bus.silent_unit.healthy_share", unit="of plan", target=0.95)
async def healthy_share() -> float:
    """Five units behind one TCP converter, once a second, one of them silent: what the four others deliver.

    A timeout of 3 s and one repetition, and the 75 s begin with the line: what the gateway does not know yet costs.
    """
    silent = 3
    units = {number: unit(10) for number in range(1, 6)}
    async with LibmodbusSlave(units, more=[f"silent {silent} 1"]) as slave:
        transport = f'driver = "modbus"\nhost = "127.0.0.1"\nport = {slave.port}'
        config = line_config(transport, units, 10, "1 s", 'timeout = "3 s"\nretries = 1')
        tally, took = await polled(config, 10, _SILENT_WINDOW)
    planned = (len(units) - 1) * int(took)
    return sum(len(moments) for moments in tally.whole.values()) / planned


@dataclass(frozen=True, slots=True)
class _Cycles:
    """Two hundred points once a second, for a while."""

    requests: float
    complete: float


async def _plan200() -> _Cycles:
    async with LibmodbusSlave({1: unit(200)}, more=[f"delay 1 {_ANSWERS_IN}"]) as slave:
        transport = f'driver = "modbus"\nhost = "127.0.0.1"\nport = {slave.port}'
        tally, took = await polled(line_config(transport, [1], 200, "1 s"), 200, _CYCLES + 0.5)
        requests = await slave.requests(1)
    cycles = {moment // SECOND for moment in tally.observed["unit-1"]}
    return _Cycles(requests / max(1, len(tally.whole["unit-1"]) + tally.partial), len(cycles) / int(took))


@bench("bus.plan200.requests_per_cycle", unit="requests", target=4)
async def requests_per_cycle() -> float:
    """200 points, once a second, on a device that answers in 20 ms: requests for each whole reading of them."""
    return (await _plan200()).requests


@bench("bus.plan200.complete_share", unit="of cycles", target=1)
async def complete_share() -> float:
    """200 points, once a second, on a device that answers in 20 ms: seconds in which every point came, good."""
    return min(1.0, (await _plan200()).complete)


@bench("bus.rtu9600.use", unit="of what the wire allows", target=0.95)
async def rtu_use() -> float:
    """30 units of 40 points at 9,600 baud, asked as fast as the line goes: exchanges over what the wire allows."""
    return await _rtu_use(dead=())


@bench("bus.rtu9600.use_3dead", unit="of what the wire allows", target=0.85)
async def rtu_use_3dead() -> float:
    """The same with 3 of the 30 dead, from the start of the line on; void if a healthy unit waits too long for it."""
    return await _rtu_use(dead=(4, 15, 23))


async def _rtu_use(dead: tuple[int, ...]) -> float:
    timing = LineTiming(9600, 11)
    exchange = timing.exchange(8, 5 + 2 * _WORDS * _POINTS)
    numbers = range(1, _UNITS + 1)
    with _libmodbus_bus(timing, numbers) as (bus, stations):
        lines = {number: station.path for number, station in stations.items()}
        units = {number: unit(_POINTS, number) for number in numbers}
        async with LibmodbusSlave(units, lines, [f"silent {number} 1" for number in dead]):
            transport = f'driver = "modbus"\ntransport = "serial"\npath = "{bus.path}"\nbaud = 9600\nparity = "even"'
            tally, took = await polled(line_config(transport, numbers, _POINTS, "1 s"), _POINTS, _BUS_WINDOW)
        collisions = bus.wire.collisions
    if collisions:
        raise CannotRun(f"the figure is void: two spoke at once, {collisions} times")
    longest = max(later - earlier for moments in tally.whole.values() for earlier, later in pairwise(moments))
    if len(tally.whole) != _UNITS - len(dead) or longest > _STRETCH * _UNITS * exchange:
        raise CannotRun(
            f"the figure is void: {len(tally.whole)} units were read, one of them waited {longest:.2f} s "
            f"where all alive take {_UNITS * exchange:.2f} s"
        )
    return sum(len(moments) for moments in tally.whole.values()) * exchange / took


@contextmanager
def _libmodbus_bus(timing: LineTiming, numbers: Iterable[int]) -> Iterator[tuple[SerialBus, dict[int, ForeignStation]]]:
    stations = {number: ForeignStation(number) for number in numbers}
    with (
        tempfile.TemporaryDirectory(prefix="linli-bench-") as folder,
        SerialBus(stations, timing, link=Path(folder) / "serial-port") as bus,
    ):
        yield bus, stations
