"""Several protocols on one line: cases as data, and a pseudo-terminal with devices of two speeds and their noise."""

import asyncio
import json
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import linli_edge.drivers.shared_bus
from linli_core.codecs.mbus import Identity
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ConfigError, LinkClosed, LinkError, LinkTimeout, LinliError, WriteRefused
from linli_core.instant import SECOND, from_rfc3339
from linli_core.model import Reading
from linli_edge.driver import PlannedPoll, UnitCounters, WriteOutcome, WriteRequest
from linli_edge.drivers.shared_bus import SPEC
from linli_edge.drivers.shared_bus.driver import Guest, SharedBusDriver
from linli_edge.drivers.shared_bus.line import PATIENCE, SharedLine
from linli_edge.drivers.shared_bus.settings import LinkSettings, line_of, parse
from linli_edge.transport.memory import MemoryTransport
from linli_edge.transport.serial_line import Line, SerialTransport
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.line import ModbusStation
from linli_sim.mbus_meters import record
from linli_sim.mbus_slave import BusSegment, Slave
from linli_sim.modbus_registers import Unit
from linli_sim.shared_pty import SharedPty, Speaker

FOLDER = Path(linli_edge.drivers.shared_bus.__file__).parent / "testcases"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
NOW = from_rfc3339("2026-11-23T04:00:00Z")


def script(path: Path) -> tuple[list[bytes], list[list[bytes]]]:
    """Return what the gateway says, and what comes back after each of it."""
    said: list[bytes] = []
    answers: list[list[bytes]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        direction, _, text = line.partition(" ")
        if direction == ">":
            said.append(bytes.fromhex(text))
            answers.append([])
        elif direction == "<":
            answers[-1].append(bytes.fromhex(text))
        else:
            assert not direction or direction.startswith("#"), line
    return said, answers


def over(settings: LinkSettings, transport: MemoryTransport) -> SharedBusDriver:
    line = SharedLine(transport, 0)
    guests = []
    for guest in settings.guests:
        assert guest.spec.guest is not None
        guests.append(Guest(guest.spec.guest(guest.config, line, lambda: NOW), None))
    return SharedBusDriver(guests, line)


def shown(reading: Reading) -> dict[str, object]:
    value = reading.value
    number = isinstance(value, Decimal | float)
    return {"point": reading.point.name, "value": format(Decimal(str(value)), "f") if number else value}


async def poll_all(settings: LinkSettings, transport: MemoryTransport) -> list[dict[str, object]]:
    driver = over(settings, transport)
    return [shown(reading) for planned in driver.plan for reading in await driver.poll(planned)]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
@on_jumping_loop
async def test_case(case: Path) -> None:
    link = tomllib.loads((case / "config.toml").read_text(encoding="utf-8"))["links"][0]
    wire = case / "wire.hex"
    said, answers = script(wire) if wire.exists() else ([], [])
    transport = MemoryTransport(answers)
    error = case / "error.txt"
    if not error.exists():
        expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
        assert await poll_all(parse(link, "links[0]"), transport) == expected
    else:
        with pytest.raises(LinliError) as caught:
            await poll_all(parse(link, "links[0]"), transport)
        assert f"{caught.value}\n" == error.read_text(encoding="utf-8")
        assert isinstance(caught.value, ConfigError) != wire.exists()
    assert transport.written == said


def test_the_sample_is_a_valid_link() -> None:
    (link,) = tomllib.loads((FOLDER.parent / "sample.toml").read_text(encoding="utf-8"))["links"]
    settings = parse(link, "links[0]")
    assert [line_of(guest) and line_of(guest).place.rpartition(" ")[2] for guest in settings.guests] == ["8E1", "8N1"]  # type: ignore[union-attr]
    assert [planned.device for planned in SPEC.plan(settings)] == ["heat-301", "power-301"]  # type: ignore[misc]


METER = Identity("10010001", "LNW", 1, 0x16)


def water_meter(address: int, liters: int) -> Slave:
    frame = encode_frame(encode_answer(METER, [record(Measurand.VOLUME, "m3", -3, liters / 1000)], address=address))
    return Slave(address, METER, lambda: [frame])


def settings_of(path: str, *, mbus_timeout: str = "300 ms") -> LinkSettings:
    table: dict[str, Any] = {
        "id": "shaft",
        "driver": "shared_bus",
        "transport": "serial",
        "path": path,
        "quiet": "5 ms",
        "protocols": [
            {
                "driver": "mbus",
                "timeout": mbus_timeout,
                "retries": 0,
                "devices": [{"id": "water-1", "address": 1}, {"id": "water-9", "address": 9}],
            },
            {
                "driver": "modbus",
                "baud": 9600,
                "devices": [
                    {
                        "id": "room-1",
                        "unit": 5,
                        "timeout": "300 ms",
                        "points": [
                            {"quantity": "air_temperature", "unit": "Cel", "type": "int16", "address": 0, "scale": 0.1}
                        ],
                    }
                ],
            },
        ],
    }
    return parse(table, "links[0]")


def speakers(noise: bytes = b"") -> tuple[Speaker, Speaker, Unit]:
    unit = Unit()
    unit.put("holding", 0, [215])
    station = ModbusStation(5, unit)

    def hear(frame: bytes) -> Sequence[bytes]:
        return [said] if (said := station.hear(frame)) else []

    segment = BusSegment([water_meter(1, 12345), water_meter(2, 777)])
    return Speaker(2400, segment.receive, noise), Speaker(9600, hear, noise), unit


async def poll(driver: Any, device: str) -> list[Reading]:
    (planned,) = [planned for planned in driver.plan if planned.device == device]
    readings: list[Reading] = await driver.poll(planned)
    return readings


@pytest.mark.parametrize("noise", [b"", bytes.fromhex("00FF68"), b"\x68" * 40, bytes.fromhex("6803036808017A83")])
@on_jumping_loop
async def test_two_speeds_on_one_serial_line(noise: bytes) -> None:
    """Each device answers at its own speed only; at the other's it hears noise, and may answer with noise."""
    mbus, modbus, _ = speakers(noise)
    async with SharedPty([mbus, modbus]) as pty, SPEC.open(settings_of(pty.path), lambda: NOW) as driver:
        for _ in range(3):
            (volume,) = await poll(driver, "water-1")
            (temperature,) = await poll(driver, "room-1")
            assert (volume.point.quantity, volume.value) == ("water_volume", Decimal("12.345"))
            assert temperature.point.quantity == "air_temperature"
            assert float(str(temperature.value)) == 21.5
        assert isinstance(driver, SharedBusDriver)
        assert driver.line.switches == 5
        assert {baud for baud, _ in pty.heard} == {2400, 9600}
        if noise:
            assert driver.line.dropped == 0 or driver.line.dropped % len(noise) == 0
        assert mbus.missed == 3


@on_jumping_loop
async def test_a_dead_device_and_a_late_answer_leave_the_other_protocol_alone() -> None:
    mbus, modbus, _ = speakers()
    async with (
        SharedPty([mbus, modbus]) as pty,
        SPEC.open(settings_of(pty.path, mbus_timeout="20 ms"), lambda: NOW) as driver,
    ):
        with pytest.raises(LinkTimeout):
            await poll(driver, "water-9")
        # Its answer comes when nobody waits any more, and the line is about to be another's.
        pty.say(encode_frame(encode_answer(METER, [], address=9)))
        (temperature,) = await poll(driver, "room-1")
        assert float(str(temperature.value)) == 21.5
        assert isinstance(driver, SharedBusDriver)
        assert driver.line.dropped > 0


@on_jumping_loop
async def test_a_line_that_does_not_fall_quiet_is_told() -> None:
    transport = MemoryTransport()
    transport.feed(*[b"\x55" * 512] * (PATIENCE // 512 + 1))
    with pytest.raises(LinkTimeout, match="the line does not fall quiet"):
        await SharedLine(transport, 0).turn(object(), None)
    ended = MemoryTransport()
    ended.end()
    with pytest.raises(LinkClosed):
        await SharedLine(ended, 0).turn(object(), None)


@on_jumping_loop
async def test_what_still_goes_out_is_waited_for() -> None:
    """A frame that nobody answers is on the wire for a while after it was handed over."""
    async with SharedPty([]) as pty, SerialTransport(pty.path, Line(300)) as transport:
        line = SharedLine(transport, 0)
        await line.turn("slow", Line(300))
        await line.write(bytes(6))
        loop_time = asyncio.get_running_loop().time
        before = loop_time()
        await line.turn("fast", Line(9600))
        assert loop_time() - before >= 6 * 10 / 300 - 0.01
        assert transport.line == Line(9600)


class Scripted:
    """A driver that counts and writes."""

    def __init__(self, device: str) -> None:
        self.device = device

    @property
    def plan(self) -> list[PlannedPoll]:
        return [PlannedPoll(self.device, self.device, SECOND)]

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        raise LinkTimeout(planned.key)

    def counters(self) -> dict[str, UnitCounters]:
        return {self.device: UnitCounters(requests=1)}

    async def write(self, request: WriteRequest) -> WriteOutcome:
        return WriteOutcome(ok=True, after=request.value)


class Silent:
    """A driver that neither counts nor writes."""

    plan = (PlannedPoll("s", "s", SECOND),)

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        raise LinkTimeout(planned.key)


@on_jumping_loop
async def test_counters_and_writes_go_to_the_device_s_own_protocol() -> None:
    guests = [Guest(Scripted("a"), None), Guest(Scripted("b"), None), Guest(Silent(), None)]
    driver = SharedBusDriver(guests, SharedLine(MemoryTransport(), 0))
    assert set(driver.counters()) == {"a", "b"}
    outcome = await driver.write(WriteRequest("1", "b/relay", True, NOW, "somebody"))
    assert outcome.ok
    with pytest.raises(WriteRefused, match="no device is called c"):
        await driver.write(WriteRequest("2", "c/relay", True, NOW, "somebody"))
    with pytest.raises(WriteRefused, match="the protocol of s writes nothing"):
        await driver.write(WriteRequest("3", "s/relay", True, NOW, "somebody"))
    assert driver.line.switches == 0


@on_jumping_loop
async def test_a_speed_that_no_port_has_is_told() -> None:
    async with SharedPty([]) as pty, SerialTransport(pty.path, Line(2400)) as transport:
        with pytest.raises(LinkError, match=r"/dev/pts/\d+: cannot be set to 2401 baud"):
            await SharedLine(transport, 0).turn("odd", Line(2401))
    with pytest.raises(LinkClosed, match="is not open"):
        transport.set_line(Line(9600))
