"""A link with its real driver on a timed bus whose converter or adapter misbehaves: what it costs, and whom."""

import asyncio
import os
import socket
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from linli_core.instant import SECOND
from linli_core.model import Quality, Reading, Reason
from linli_edge.config.gateway import parse_config
from linli_edge.link import Link, LinkDown, LinkUp, Report
from linli_edge.scheduler import DeviceSilent
from linli_edge.timekeeping import Timekeeper
from linli_sim.jumping_loop import on_jumping_loop, running_loop
from linli_sim.line import LineTiming, ModbusStation, SerialBus
from linli_sim.line.faults import framed
from linli_sim.modbus_registers import Unit

FAST = LineTiming(115_200, 10, turnaround=0.0005)
DEVICE = """
[[links.devices]]
id = "meter-{unit}"
unit = {unit}
interval = "100 ms"
timeout = "100 ms"
max_gap = 0
defaults = {{ table = "holding", type = "uint16" }}
points = [
    {{ quantity = "voltage", unit = "V", address = 0 }},
    {{ quantity = "frequency", unit = "Hz", address = 20 }},
]
"""
"""Two points too far apart for one request."""


@dataclass
class Watch:
    """Where a link's readings and reports go, and what waits for them."""

    readings: list[Reading] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, readings: list[Reading]) -> None:
        self.readings += readings
        self.news.set()

    def report(self, link: str, report: Report) -> None:
        assert link == "bus"
        self.reports.append(report)
        self.news.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        while not happened():
            self.news.clear()
            await self.news.wait()

    async def good(self, count: int, device: str = "") -> None:
        """Return once so many more good readings have come."""
        first = len(self.readings)
        await self.until(lambda: sum(self._is_good(one, device) for one in self.readings[first:]) >= count)

    @staticmethod
    def _is_good(reading: Reading, device: str) -> bool:
        return reading.quality is Quality.GOOD and device in {"", reading.point.device}


def stations(*numbers: int) -> dict[int, ModbusStation]:
    made = {}
    for number in numbers:
        unit = Unit()
        unit.put("holding", 0, [230])
        unit.put("holding", 20, [50])
        made[number] = ModbusStation(number, unit)
    return made


@asynccontextmanager
async def running(transport: str, *units: int) -> AsyncIterator[tuple[Link, Watch]]:
    text = '[gateway]\nid = "gw"\ndata = "."\n[uplink]\nhost = "::1"\n'
    text += f'[[links]]\nid = "bus"\ndriver = "modbus"\n{transport}'
    text += '\nschedule = { probe_first = "100 ms", probe_last = "200 ms", silent_share = 0.2 }'
    text += "".join(DEVICE.format(unit=unit) for unit in units)
    settings = parse_config(tomllib.loads(text), Path()).links[0]
    watch = Watch()
    loop = running_loop()

    def now() -> int:
        return round(loop.time() * SECOND)

    link = Link(replace(settings, reopen_first=SECOND // 50, reopen_last=SECOND // 20), watch, Timekeeper(now, now))
    task = asyncio.create_task(link.run(), name="link")
    try:
        yield link, watch
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


def over_tcp(port: int, framing: str = "rtu") -> str:
    return f'host = "127.0.0.1"\nport = {port}\nframing = "{framing}"'


@on_jumping_loop
async def test_a_converter_that_closes_behind_each_answer_costs_a_connection_and_no_reading() -> None:
    with SerialBus(stations(1, 2), FAST, tcp=0, on_loop=True) as bus:
        bus.converter.hang_up = True
        async with running(over_tcp(bus.port), 1, 2) as (link, watch):
            await watch.good(4)
            first = len(watch.readings)
            await watch.good(40)
            assert {reading.quality for reading in watch.readings[first:]} == {Quality.GOOD}
            assert bus.connections >= 20
            assert link.state().state == "up"
            assert not any(isinstance(report, LinkDown) for report in watch.reports)


@on_jumping_loop
async def test_a_converter_that_serves_one_only_is_named_and_used_once_it_is_free() -> None:
    with SerialBus(stations(1), FAST, tcp=0, on_loop=True) as bus:
        bus.converter.only_one = True
        other = socket.create_connection(("127.0.0.1", bus.port))
        async with running(over_tcp(bus.port), 1) as (link, watch):
            await watch.until(lambda: any(isinstance(report, LinkDown) for report in watch.reports))
            assert "closed the connection" in link.state().error
            assert all(reading.value is None for reading in watch.readings)
            other.close()
            await watch.good(4)
            assert link.state().state == "up"
            assert any(isinstance(report, LinkUp) for report in watch.reports)


@on_jumping_loop
async def test_an_adapter_that_comes_back_under_another_name_is_found(tmp_path: Path) -> None:
    name = tmp_path / "usb-FTDI_FT232R_A50285BI-if00-port0"
    with SerialBus(stations(1), FAST, link=name, on_loop=True) as bus:
        before = name.readlink()
        async with running(f'transport = "serial"\npath = "{name}"\nbaud = 115200', 1) as (link, watch):
            await watch.good(4)
            bus.unplug()
            taken = os.openpty()  # takes the name that has become free, if it is free by now
            await watch.until(lambda: any(isinstance(report, LinkDown) for report in watch.reports))
            others = os.openpty()
            bus.plug_in()
            assert name.readlink() != before
            await watch.good(4)
            assert (link.state().state, link.state().error) == ("up", "")
            assert isinstance(watch.reports[-1], LinkUp)
            for end in (*taken, *others):
                os.close(end)
        gone = [reading for reading in watch.readings if reading.quality is not Quality.GOOD]
        assert all(reading.value is None for reading in gone)


@on_jumping_loop
async def test_an_unplugged_adapter_is_told_on_its_own_line_and_costs_the_other_nothing(tmp_path: Path) -> None:
    with (
        SerialBus(stations(1), FAST, link=tmp_path / "one", on_loop=True) as one,
        SerialBus(stations(1), FAST, on_loop=True) as two,
    ):
        serial = 'transport = "serial"\npath = "{}"\nbaud = 115200'
        async with (
            running(serial.format(one.path), 1) as (sick, sick_watch),
            running(serial.format(two.path), 1) as (well, well_watch),
        ):
            await sick_watch.good(2)
            one.unplug()
            await sick_watch.until(lambda: sick_watch.readings[-1].quality is Quality.BAD)
            await well_watch.good(6)
            missing = sick_watch.readings[-1]
            assert (missing.value, missing.reason) == (None, Reason.NO_COMMUNICATION)
            assert sick.state().state == "down"
            assert str(one.path) in sick.state().error
            assert (well.state().state, well_watch.reports) == ("up", [])
            assert all(reading.quality is Quality.GOOD for reading in well_watch.readings)
            (counted,) = well.state().units
            assert counted.requests - counted.answers in {0, 1}, "one may be under way"


@pytest.mark.parametrize("pattern", ["usb-*", "usb-FTDI_?-port0"])
@on_jumping_loop
async def test_an_adapter_is_found_by_a_pattern(tmp_path: Path, pattern: str) -> None:
    with SerialBus(stations(1), FAST, link=tmp_path / "usb-FTDI_1-port0", on_loop=True) as bus:
        path = tmp_path / pattern
        async with running(f'transport = "serial"\npath = "{path}"\nbaud = 115200', 1) as (_, watch):
            await watch.good(2)
            bus.unplug()
            await watch.until(lambda: any(isinstance(report, LinkDown) for report in watch.reports))
            bus._link = tmp_path / "usb-FTDI_2-port0"
            bus.plug_in()
            await watch.good(2)


@on_jumping_loop
async def test_noise_and_a_dead_unit_cost_their_own_device_and_nobody_else() -> None:
    with SerialBus(stations(1, 2, 3, 4), FAST, tcp=0, on_loop=True) as bus:
        bus.faults[2].before = b"\x00\xff\x02\x03\x04\x81"
        bus.faults[3].silent = True
        bus.faults[4].damaged = -1
        async with running(over_tcp(bus.port), 1, 2, 3, 4) as (link, watch):
            await watch.good(30, "meter-1")
            await watch.good(10, "meter-2")
            good = {reading.point.device for reading in watch.readings if reading.quality is Quality.GOOD}
            assert good == {"meter-1", "meter-2"}
            silent = {report.device: report for report in watch.reports if isinstance(report, DeviceSilent)}
            assert set(silent) == {"meter-3", "meter-4"}
            assert "no answer" in silent["meter-3"].error
            counters = link.counters()
            assert counters["meter-1"].requests == counters["meter-1"].answers >= 15
            assert counters["meter-3"].answers == counters["meter-4"].answers == 0
            assert link.state().state == "degraded"


@on_jumping_loop
async def test_a_second_master_is_seen_on_the_device_it_asks_and_named(tmp_path: Path) -> None:
    with SerialBus(stations(1, 2), FAST, link=tmp_path / "port", tcp=0, on_loop=True) as bus:
        async with running(f'transport = "serial"\npath = "{bus.path}"\nbaud = 115200', 1, 2) as (link, watch):
            await watch.good(4)
            other = socket.create_connection(("127.0.0.1", bus.port))
            try:
                while not link.counters()["meter-1"].foreign + link.counters()["meter-2"].foreign:
                    other.sendall(framed(b"\x01\x03\x00\x14\x00\x01"))
                    await watch.good(2)
            finally:
                other.close()
            seen = {unit.device: unit.foreign for unit in link.state().units}
            assert sum(seen.values()) >= 1
            await watch.good(20)
            voltages = {one.value for one in watch.readings if one.value is not None and "voltage" in one.point.name}
            assert voltages == {230}, "what the other master was told is never taken for an answer to us"
