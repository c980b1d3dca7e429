"""Everything a line can do wrong: each has its name, is counted on its own unit, and costs the neighbour nothing.

The line has the speed of a real one and its stations misbehave as they are told; half of it on libmodbus.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from linli_core.errors import LinkClosed, LinkError, LinkTimeout, LinliError, ProtocolError
from linli_core.model import Quality, Reason
from linli_edge.driver import UnitCounters
from linli_edge.drivers.modbus import SPEC
from linli_edge.drivers.modbus.driver import ModbusDriver
from linli_edge.drivers.modbus.framing import Request
from linli_sim.compiled import NotBuilt
from linli_sim.jumping_loop import on_jumping_loop, running_loop
from linli_sim.libmodbus import LibmodbusSlave, slave_program
from linli_sim.line import ForeignStation, LineTiming, Misbehaviour, ModbusStation, SerialBus, Station
from linli_sim.line.faults import framed
from linli_sim.modbus_registers import Unit
from linli_sim.processes import Program, free_port
from linli_sim.waiting import eventually

TIMING = LineTiming(115_200, 10, turnaround=0.0005)
LIMIT = 0.08
AS_LONG_AS_IT_TAKES = 60.0
"""Seconds: the patience with other programs, whose processor may be somebody else's for a while."""
SICK, HEALTHY = 1, 2


def unit(number: int) -> Unit:
    made = Unit()
    made.put("holding", 0, [1000 * number + place for place in range(6)])
    made.put("holding", 40, [1000 * number + 40])
    return made


def table(patience: float = LIMIT, **line: Any) -> dict[str, Any]:
    devices = [
        {
            "id": f"meter-{number}", "unit": number, "timeout": f"{round(patience * 1000)} ms", "max_gap": 4,
            "points": [
                {"quantity": "voltage", "unit": "V", "type": "uint16", "address": address, "channel": address}
                for address in (0, 1, 40)
            ],
        }
        for number in (SICK, HEALTHY)
    ]  # fmt: skip
    return {"id": "bus", "driver": "modbus", "devices": devices, **line}


@dataclass(frozen=True)
class Bench:
    bus: SerialBus
    driver: ModbusDriver

    @property
    def faults(self) -> Misbehaviour:
        return self.bus.faults[SICK]

    def unit(self, number: int) -> Unit:
        station = self.bus.stations[number]
        assert isinstance(station, ModbusStation)
        return station.unit

    def count(self, number: int) -> UnitCounters:
        return self.driver.counters()[f"meter-{number}"]

    async def poll(self, number: int) -> dict[int, Any]:
        readings = await self.driver.poll(self.driver.plan[number - 1])
        return {
            reading.point.channel or 0: reading.value if reading.quality is Quality.GOOD else reading.reason
            for reading in readings
        }

    async def healthy(self) -> None:
        assert await self.poll(HEALTHY) == {0: 2000, 1: 2001, 40: 2040}

    def booked(self) -> None:
        """Each request to the sick one has ended as one thing, and to the healthy one nothing has happened."""
        sick, healthy = self.count(SICK), self.count(HEALTHY).as_dict()
        assert sick.requests == sick.answers + sick.timeouts + sick.checksum + sick.malformed, sick
        assert healthy.pop("answers") == healthy.pop("requests")
        assert not any(healthy.values()), healthy

    async def well_again(self) -> None:
        """The sick one, once nothing ails it, is read as if nothing had been."""
        self.bus.faults[SICK].__init__()  # type: ignore[misc]
        assert await self.poll(SICK) == {0: 1000, 1: 1001, 40: 1040}


@asynccontextmanager
async def bench(*, foreign: bool = False) -> AsyncIterator[Bench]:
    async with contextlib.AsyncExitStack() as stack:
        stations: dict[int, Station]
        if foreign:
            try:
                slave_program()
            except NotBuilt as exc:
                pytest.skip(f"no libmodbus slave: {exc}")
            ends = {number: ForeignStation(number) for number in (SICK, HEALTHY)}
            slave = LibmodbusSlave({n: unit(n) for n in ends}, {n: end.path for n, end in ends.items()})
            with running_loop().standing():
                await stack.enter_async_context(slave)
            stations = dict(ends)
        else:
            stations = {number: ModbusStation(number, unit(number)) for number in (SICK, HEALTHY)}
        bus = stack.enter_context(SerialBus(stations, TIMING, on_loop=True))
        running_loop().stand_while(lambda: bus.is_owed)
        line = table(transport="serial", path=bus.path, baud=115_200, parity="none")
        driver = await stack.enter_async_context(SPEC.open(SPEC.parse(line, "links[0]"), lambda: 0))
        assert isinstance(driver, ModbusDriver)
        yield Bench(bus, driver)


@dataclass(frozen=True)
class Fault:
    """What is done, what is raised (or what the points become), and what is counted."""

    name: str
    sicken: Callable[[Misbehaviour], None]
    error: type[LinliError] | None = None
    readings: dict[int, Any] = field(default_factory=dict)
    counted: tuple[str, ...] = ()


def having(**changes: Any) -> Callable[[Misbehaviour], None]:
    def sicken(faults: Misbehaviour) -> None:
        for name, value in changes.items():
            setattr(faults, name, value)

    return sicken


GOOD = {0: 1000, 1: 1001, 40: 1040}
FAULTS = [
    Fault("silent", having(silent=True), LinkTimeout, counted=("timeouts",)),
    Fault("too late", having(delay=LIMIT * 1.4), LinkTimeout, counted=("timeouts",)),
    Fault("noise before the answer", having(before=b"\x00\xff\x01\x83"), None, GOOD, ("noise",)),
    Fault("noise behind the answer", having(after=b"\x01\x03\x04\x99"), None, GOOD, ("noise",)),
    Fault("wrong checksum", having(damaged=-1), ProtocolError, counted=("checksum",)),
    Fault("a damaged register", having(damaged=3), ProtocolError, counted=("checksum",)),
    Fault("another unit id", having(unit=9), LinkTimeout, counted=("timeouts", "foreign")),
    Fault("cut short", having(cut=5), LinkTimeout, counted=("timeouts",)),
    Fault("one byte", having(cut=1), LinkTimeout, counted=("timeouts",)),
    Fault("refuses: broken", having(exception=4), None, dict.fromkeys(GOOD, Reason.DEVICE_FAILURE), ("refused",)),
    Fault("refuses: busy", having(exception=6), None, dict.fromkeys(GOOD, Reason.REFUSED_BY_DEVICE), ("refused",)),
    Fault("a gateway's target is silent", having(exception=11), LinkTimeout, counted=("refused",)),
]  # fmt: skip


@pytest.mark.parametrize("foreign", [False, True], ids=["ours", "libmodbus"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@on_jumping_loop
async def test_each_fault_has_a_name_is_counted_and_costs_the_others_nothing(fault: Fault, foreign: bool) -> None:
    async with bench(foreign=foreign) as line:
        await line.healthy()
        fault.sicken(line.faults)
        if fault.error is None:
            assert await line.poll(SICK) == fault.readings
        else:
            with pytest.raises(fault.error):
                await line.poll(SICK)
        await line.healthy()
        for name in fault.counted:
            assert getattr(line.count(SICK), name) >= 1, name
        assert line.count(HEALTHY).requests == 4
        line.booked()
        await line.well_again()
        line.booked()


@pytest.mark.parametrize("place", range(1, 9))
@on_jumping_loop
async def test_a_frame_torn_apart_at_any_byte_is_put_together(place: int) -> None:
    async with bench() as line:
        line.faults.pause_at, line.faults.pause = place, 0.01
        assert await line.poll(SICK) == GOOD
        await line.healthy()
        assert line.count(SICK).as_dict() == line.count(HEALTHY).as_dict()
        line.booked()


@on_jumping_loop
async def test_an_answer_to_another_request_is_not_this_ones() -> None:
    """A unit that is one answer behind: its answers have another length than was asked for."""
    async with bench() as line:
        assert await line.poll(SICK) == GOOD  # two registers, then one
        line.faults.repeats = 1
        with pytest.raises(LinkTimeout):
            await line.poll(SICK)
        await line.healthy()
        await line.well_again()
        assert line.count(SICK).foreign + line.count(SICK).late >= 1
        line.booked()


@on_jumping_loop
async def test_a_device_that_changes_its_layout_is_asked_in_another_way_and_counted() -> None:
    """An update of its firmware has taken a register away and brought the limit of a request down."""
    async with bench() as line:
        assert await line.poll(SICK) == GOOD
        assert line.count(SICK).refused == 0
        changed = line.unit(SICK)
        del changed.tables["holding"][1]
        changed.most = 1
        for _ in range(2):
            assert await line.poll(SICK) == {0: 1000, 1: Reason.REFUSED_BY_DEVICE, 40: 1040}
            await line.healthy()
        learnt = line.count(SICK).refused
        assert 1 <= learnt <= 2, "what was refused once is remembered"
        assert line.count(SICK).answers == line.count(SICK).requests
        line.booked()


@on_jumping_loop
async def test_a_line_that_echoes_is_read_through_its_own_echo() -> None:
    async with bench() as line:
        line.bus.converter.echo = True
        for _ in range(2):
            assert await line.poll(SICK) == GOOD
            await line.healthy()
        assert line.count(SICK).noise == line.count(SICK).foreign == 0


@on_jumping_loop
async def test_two_masters_on_one_line_are_noticed_and_nothing_foreign_is_taken() -> None:
    """The other one asks the same unit the same function, and its answer is as long as ours."""
    async with bench() as line:
        line.faults.delay = 0.03
        station, asked = line.bus.stations[SICK], asyncio.Event()
        assert isinstance(station, ModbusStation)
        station.before = asked.set
        asking = asyncio.create_task(line.poll(SICK))
        request = Request(SICK, 3, 2, 2)
        await asked.wait()
        line.bus.inject(framed(bytes((SICK,)) + request.pdu) + framed(bytes.fromhex("010304beefbeef")))
        assert await asking == {0: Reason.MALFORMED_ANSWER, 1: Reason.MALFORMED_ANSWER, 40: 1040}
        assert line.count(SICK).malformed == 1
        assert line.count(SICK).foreign >= 1
        await line.healthy()
        await line.well_again()
        line.booked()


@on_jumping_loop
async def test_two_devices_on_one_id_collide_and_give_no_value() -> None:
    twins = {1: ModbusStation(1, unit(1)), 2: ModbusStation(2, unit(2)), 3: ModbusStation(1, unit(5))}
    with SerialBus(twins, TIMING, on_loop=True) as bus:
        bus.faults[3].delay = 0.0003
        line = table(transport="serial", path=bus.path, baud=115_200, parity="none")
        async with SPEC.open(SPEC.parse(line, "links[0]"), lambda: 0) as driver:
            assert isinstance(driver, ModbusDriver)
            both = Bench(bus, driver)
            with pytest.raises((ProtocolError, LinkTimeout)):
                await both.poll(SICK)
            await both.healthy()
        assert bus.wire.collisions >= 1


async def test_rtu_through_ser2net(tmp_path: Path) -> None:
    program = shutil.which("ser2net") or shutil.which("ser2net", path="/usr/sbin")
    if program is None:
        pytest.skip("ser2net is not installed: apt-get install ser2net")
    stations = {number: ModbusStation(number, unit(number)) for number in (SICK, HEALTHY)}
    with SerialBus(stations, TIMING) as bus:
        port, config = free_port(), tmp_path / "ser2net.yaml"
        config.write_text(
            f"connection: &bus\n  accepter: tcp,127.0.0.1,{port}\n"
            f"  connector: serialdev(nouucplock=true),{bus.path},115200n81,local\n",
            encoding="utf-8",
        )
        pid = tmp_path / "pid"
        os.mkfifo(pid)
        argv = [program, "-n", "-d", "-c", str(config), "-P", str(pid)]
        async with Program("ser2net", argv, tmp_path / "ser2net.log") as server:
            await _listening(server, pid)
            line = table(AS_LONG_AS_IT_TAKES, host="127.0.0.1", port=port, framing="rtu")
            hasty = {"id": "hasty", "address_offset": 100, "timeout": f"{round(LIMIT * 1000)} ms"}
            line["devices"].append({**line["devices"][0], **hasty})
            async with SPEC.open(SPEC.parse(line, "links[0]"), lambda: 0) as driver:
                assert isinstance(driver, ModbusDriver)
                through = Bench(bus, driver)
                assert await through.poll(SICK) == GOOD
                bus.faults[SICK].silent = True
                known = through.unit(SICK).requests
                with pytest.raises(LinkTimeout):
                    await driver.poll(driver.plan[2])

                async def asked() -> bool:
                    return through.unit(SICK).requests > known

                # However late it was asked, its answer comes now, when nobody waits any more.
                await eventually(asked, "the request of the one that did not wait")
                bus.inject(framed(bytes.fromhex("010304 03E8 03E9")))
                await asyncio.to_thread(bus.heard_from, "noise")
                await through.healthy()
                await through.well_again()


async def _listening(server: Program, pid: Path) -> None:
    """Return once ser2net has written who it is into a pipe: it listens by then."""
    descriptor, told, loop = os.open(pid, os.O_RDONLY | os.O_NONBLOCK), asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(descriptor, told.set)
    tasks = {asyncio.create_task(told.wait(), name="told"), asyncio.create_task(server.wait(), name="ended")}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        loop.remove_reader(descriptor)
        os.close(descriptor)
    assert told.is_set(), server.tail()


async def test_libmodbus_over_tcp_with_holes_limits_and_refusals() -> None:
    try:
        slave_program()
    except NotBuilt as exc:
        pytest.skip(f"no libmodbus slave: {exc}")
    told = ("hole holding 1 1 1", "most 2 1", "exception 1 0")
    async with LibmodbusSlave({SICK: unit(SICK), HEALTHY: unit(HEALTHY)}, more=told) as slave:
        line = table(AS_LONG_AS_IT_TAKES, host="127.0.0.1", port=slave.port)
        async with SPEC.open(SPEC.parse(line, "links[0]"), lambda: 0) as driver:
            assert isinstance(driver, ModbusDriver)
            polls = [
                {reading.point.channel: reading.value for reading in await driver.poll(planned)}
                for planned in driver.plan
                for _ in range(2)
            ]
    assert polls[0] == polls[1] == {0: 1000, 1: None, 40: 1040}
    assert polls[2] == polls[3] == {0: 2000, 1: 2001, 40: 2040}


async def test_a_third_stack_over_tcp() -> None:
    server = pytest.importorskip("pyModbusTCP.server", reason="pyModbusTCP is not installed")
    port = free_port()
    bank = server.DataBank(h_regs_size=64)
    bank.set_holding_registers(0, [1000, 1001, 7, 7, 7, 7])
    bank.set_holding_registers(40, [1040])
    foreign = server.ModbusServer("127.0.0.1", port, no_block=True, data_bank=bank)
    await asyncio.to_thread(foreign.start)
    try:
        line = table(AS_LONG_AS_IT_TAKES, host="127.0.0.1", port=port)
        async with SPEC.open(SPEC.parse(line, "links[0]"), lambda: 0) as driver:
            assert isinstance(driver, ModbusDriver)
            readings = {reading.point.channel: reading.value for reading in await driver.poll(driver.plan[0])}
            assert readings == GOOD
    finally:
        await asyncio.to_thread(foreign.stop)


@on_jumping_loop
async def test_a_converter_that_hangs_up_within_an_answer_is_a_broken_line() -> None:
    stations = {number: ModbusStation(number, unit(number)) for number in (SICK, HEALTHY)}
    with SerialBus(stations, TIMING, tcp=0, on_loop=True) as bus:
        bus.converter.hang_up_after = 4
        line = table(host="127.0.0.1", port=bus.port, framing="rtu")
        config = SPEC.parse(line, "links[0]")
        async with SPEC.open(config, lambda: 0) as driver:
            assert isinstance(driver, ModbusDriver)
            cut = Bench(bus, driver)
            with pytest.raises(LinkClosed):
                await cut.poll(SICK)
            assert cut.count(SICK).timeouts == cut.count(SICK).requests == 1
            cut.booked()
        bus.converter.hang_up_after = 0
        async with SPEC.open(config, lambda: 0) as driver:
            readings = {reading.point.channel: reading.value for reading in await driver.poll(driver.plan[0])}
    assert readings == GOOD


@on_jumping_loop
async def test_a_line_nobody_is_on_is_a_link_error() -> None:
    with pytest.raises(LinkError, match="cannot be opened"):
        async with SPEC.open(SPEC.parse(table(transport="serial", path="/dev/ttyNOWHERE"), "links[0]"), lambda: 0):
            pytest.fail("there is no such port")
