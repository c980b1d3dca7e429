"""The simulated bus: its timing is arithmetic, its collisions and faults are what a wire does."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import LinkClosed, LinkTimeout
from linli_edge.drivers.modbus.client import FramedPort
from linli_edge.drivers.modbus.framing import Request, RtuFraming
from linli_edge.transport.serial_line import Line, SerialTransport
from linli_edge.transport.tcp import TcpTransport
from linli_sim.compiled import NotBuilt
from linli_sim.libmodbus import LibmodbusSlave, slave_program
from linli_sim.line import ForeignStation, LineTiming, Misbehaviour, ModbusStation, SerialBus
from linli_sim.line.faults import framed
from linli_sim.line.wire import Wire
from linli_sim.modbus_registers import Unit
from linli_sim.waiting import eventually

HEAD, STATION = ("head", 1), ("station", 1)
FAST = LineTiming(115_200, 10, turnaround=0.0005)


def unit(number: int = 1) -> Unit:
    made = Unit()
    made.put("holding", 0, [1000 * number + place for place in range(40)])
    return made


def stations(*numbers: int) -> dict[int, Any]:
    return {number: ModbusStation(number, unit(number)) for number in numbers}


async def read(port: FramedPort, number: int, count: int = 2, limit: float = 60.0) -> list[int]:
    data = await port.read(Request(number, 3, 0, count), limit=limit, pause=FAST.silence)
    return [int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2)]


def test_characters_take_the_time_their_bits_take() -> None:
    timing = LineTiming(9600, 11, turnaround=0.005)
    assert timing.character == 11 / 9600
    assert timing.silence == 3.5 * 11 / 9600
    assert LineTiming(115_200, 11).silence == 0.00175
    assert timing.exchange(8, 85) == pytest.approx(93 * 11 / 9600 + 0.005 + timing.silence)


@given(st.lists(st.tuples(st.sampled_from([HEAD, STATION]), st.binary(min_size=1, max_size=40)), max_size=8))
def test_what_is_said_one_after_the_other_arrives_whole_and_on_time(said: list[tuple[tuple[str, int], bytes]]) -> None:
    wire = Wire(LineTiming())
    at, heard, ends = 0.0, [], []
    for source, data in said:
        at = wire.say(source, data, at)
        ends.append(at)
        heard += list(wire.arrived(at))
    assert wire.collisions == 0
    assert b"".join(arrival.data for arrival in heard) == b"".join(data for _, data in said)
    assert [arrival.at for arrival in heard if arrival.last] == pytest.approx(ends)
    assert wire.busy == pytest.approx(sum(len(data) for _, data in said) * wire.timing.character)


def test_what_two_say_at_once_is_damaged_where_it_overlaps() -> None:
    wire = Wire(LineTiming(burst=100))
    wire.say(STATION, b"\xf0\xf0\xf0\xf0", 0.0)
    wire.say(HEAD, b"\x0f\x3c\xff", 2 * wire.timing.character)
    assert [(arrival.source, arrival.data) for arrival in wire.arrived(1.0)] == [
        (STATION, b"\xf0\xf0\x00\x30"),
        (HEAD, b"\x00\x30\xff"),
    ]
    assert wire.collisions == 1


def test_each_fault_changes_what_it_says_it_changes() -> None:
    asked, answer = framed(b"\x01\x03\x00\x00\x00\x01"), framed(b"\x01\x03\x02\x12\x34")
    assert Misbehaviour().parts(asked, answer) == [(0.0, answer)]
    assert Misbehaviour(silent=True).parts(asked, answer) == []
    assert Misbehaviour(delay=2.0, before=b"\0", after=b"\xff").parts(asked, answer) == [
        (2.0, b"\0" + answer + b"\xff")
    ]
    assert Misbehaviour(exception=6).parts(asked, answer) == [(0.0, framed(b"\x01\x83\x06"))]
    assert Misbehaviour(unit=2).parts(asked, answer) == [(0.0, framed(b"\x02\x03\x02\x12\x34"))]
    assert Misbehaviour(damaged=-1).parts(asked, answer) == [(0.0, answer[:-1] + bytes((answer[-1] ^ 0xFF,)))]
    assert Misbehaviour(cut=3).parts(asked, answer) == [(0.0, answer[:3])]
    assert Misbehaviour(pause_at=2, pause=0.1).parts(asked, answer) == [(0.0, answer[:2]), (0.1, answer[2:])]


async def test_a_bus_is_read_as_a_serial_port_at_the_speed_of_its_wire() -> None:
    timing = LineTiming(9600, 11)
    with SerialBus(stations(1, 2), timing) as bus:
        async with SerialTransport(bus.path, Line(9600, "even")) as transport:
            port = FramedPort(transport, RtuFraming())
            started = time.monotonic()
            for number in (1, 2):
                assert await read(port, number, 40) == [1000 * number + place for place in range(40)]
            assert time.monotonic() - started >= timing.exchange(8, 85) + timing.exchange(8, 85) - 2 * timing.silence
        assert bus.wire.busy == pytest.approx(2 * 93 * timing.character)


async def test_libmodbus_answers_on_the_bus_and_a_silent_unit_puts_no_other_out_of_step() -> None:
    try:
        slave_program()
    except NotBuilt as exc:
        pytest.skip(f"no libmodbus slave: {exc}")
    ends = {number: ForeignStation(number) for number in (1, 2, 3)}
    paths = {number: end.path for number, end in ends.items()}
    async with LibmodbusSlave({number: unit(number) for number in ends}, paths) as slave:
        with SerialBus(ends, FAST) as bus:
            async with SerialTransport(bus.path, Line(115_200)) as transport:
                port = FramedPort(transport, RtuFraming())
                await slave.tell("silent 2 1")
                for times in (1, 2):
                    assert await read(port, 1) == [1000, 1001]
                    with pytest.raises(LinkTimeout):
                        await read(port, 2, limit=0.02)

                    async def asked(times: int = times) -> bool:
                        return await slave.requests(2) == times

                    # However late it was asked: what is said meanwhile would be one frame with the question.
                    await eventually(asked, "the silent unit to be asked")
                    assert await read(port, 3) == [3000, 3001]


async def test_a_converter_passes_bytes_and_may_close_behind_or_within_an_answer() -> None:
    with SerialBus(stations(1), FAST, tcp=0) as bus:
        async with TcpTransport("127.0.0.1", bus.port) as transport:
            assert await read(FramedPort(transport, RtuFraming()), 1) == [1000, 1001]
        bus.converter.hang_up = True
        async with TcpTransport("127.0.0.1", bus.port) as transport:
            assert await read(FramedPort(transport, RtuFraming()), 1) == [1000, 1001]
            assert await transport.read() == b""
        bus.converter.hang_up, bus.converter.hang_up_after = False, 4
        async with TcpTransport("127.0.0.1", bus.port) as transport:
            with pytest.raises(LinkClosed):
                await read(FramedPort(transport, RtuFraming()), 1)
        assert bus.connections == 3


async def test_a_port_that_is_pulled_is_gone_and_comes_back_under_another_name(tmp_path: Path) -> None:
    link = tmp_path / "usb-adapter"
    with SerialBus(stations(1), FAST, link=link) as bus:
        before = link.readlink()
        async with SerialTransport(bus.path, Line(115_200)) as transport:
            port = FramedPort(transport, RtuFraming())
            assert await read(port, 1) == [1000, 1001]
            bus.unplug()
            assert not link.exists()
            other = os.openpty()  # takes the name that has become free
            with pytest.raises(LinkClosed):
                await read(port, 1)
        other = os.openpty()  # takes the name that has become free
        bus.plug_in()
        assert link.readlink() != before
        async with SerialTransport(bus.path, Line(115_200)) as transport:
            assert await read(FramedPort(transport, RtuFraming()), 1) == [1000, 1001]
        for end in other:
            os.close(end)
