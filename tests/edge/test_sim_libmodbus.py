"""The slave on libmodbus: what it is told it does, and the gateway's frames are Modbus to it."""

from pathlib import Path

import pytest

from linli_core.errors import DeviceError, LinkTimeout, LinliError
from linli_edge.drivers.modbus.client import FramedPort
from linli_edge.drivers.modbus.framing import Request, TcpFraming
from linli_edge.transport.tcp import TcpTransport
from linli_sim.compiled import NotBuilt, cache_folder
from linli_sim.libmodbus import LibmodbusSlave, map_lines, slave_program, write_map
from linli_sim.modbus_registers import Unit


@pytest.fixture(autouse=True)
def built() -> None:
    try:
        slave_program()
    except NotBuilt as exc:
        pytest.skip(f"no libmodbus slave: {exc}")


def unit() -> Unit:
    made = Unit(most=30)
    made.put("holding", 0, [10, 11, 12])
    made.put("holding", 5, [15])
    made.put("input", 7, [0xFFFF])
    made.put("coil", 0, [1, 0, 1])
    return made


def test_a_map_names_runs_of_addresses_and_leaves_holes() -> None:
    assert list(map_lines({3: unit()})) == [
        "coil 3 0 1 0 1",
        "holding 3 0 10 11 12",
        "holding 3 5 15",
        "input 3 7 65535",
        "most 3 30",
    ]


async def test_it_holds_what_it_was_given_and_refuses_the_rest(tmp_path: Path) -> None:
    assert write_map(tmp_path / "map", {1: unit()}).read_text().startswith("coil 1 0 1 0 1\n")
    async with LibmodbusSlave({1: unit(), 9: unit()}) as slave, TcpTransport("127.0.0.1", slave.port) as transport:
        port = FramedPort(transport, TcpFraming())

        async def read(function: int, address: int, count: int, number: int = 1) -> bytes:
            return await port.read(Request(number, function, address, count), limit=2)

        assert await read(3, 0, 3) == bytes.fromhex("000a000b000c")
        assert await read(4, 7, 1, number=9) == b"\xff\xff"
        assert await read(1, 0, 3) == b"\x05"
        for function, address, count, code in ((3, 0, 6, 2), (4, 0, 1, 2), (2, 0, 1, 2), (3, 0, 31, 3)):
            with pytest.raises(DeviceError) as caught:
                await read(function, address, count)
            assert caught.value.code == code
        await slave.tell("functions 1 4")
        with pytest.raises(DeviceError, match="illegal function"):
            await read(3, 0, 1)
        await slave.tell("functions 1", "exception 1 6")
        with pytest.raises(DeviceError, match="busy"):
            await read(3, 0, 1)
        await slave.tell("exception 1 0", "holding 1 0 99", "delay 1 1000")
        assert await read(3, 0, 1) == b"\x00\x63"
        assert await slave.requests(1) == 9
        await slave.tell("silent 1 1")
        with pytest.raises(LinkTimeout):
            await port.read(Request(1, 3, 0, 1), limit=0.02)
        with pytest.raises(LinliError, match="no such word"):
            await slave.tell("nonsense 1 1")


def test_where_there_is_no_compiler_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotBuilt, match="apt-get install gcc libmodbus-dev"):
        slave_program(tmp_path)
    monkeypatch.setenv("LINLI_CACHE", str(tmp_path / "kept"))
    assert cache_folder() == tmp_path / "kept"
