"""Read-through: what was read is given out under the device's own addresses, never as younger than it is."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient

from linli_core.errors import ConfigError
from linli_edge.drivers.modbus import SPEC, read_through
from linli_edge.drivers.modbus.driver import ModbusDriver
from linli_edge.drivers.modbus.image import SPANS, Absence, Image
from linli_edge.drivers.modbus.read_through import ReadThrough, ReadThroughSettings
from linli_sim.jumping_loop import on_jumping_loop, running_loop
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import ModbusServer

POINTS = [
    {"quantity": "voltage", "unit": "V", "type": "uint16", "address": address, "channel": address}
    for address in (0, 1, 9, 300)
]


def unit() -> Unit:
    made = Unit()
    made.put("holding", 0, range(100, 110))
    made.put("holding", 300, [400])
    made.put("coil", 0, [1, 0, 1, 1, 0, 0, 0, 1, 1])
    return made


def link(port: int, **through: Any) -> dict[str, Any]:
    coils = [{"quantity": "pump_running", "table": "coil", "address": place, "channel": place} for place in range(9)]
    device = {"id": "meter-1", "unit": 7, "points": [*POINTS, *coils]}
    return {
        "id": "bus", "driver": "modbus", "host": "127.0.0.1", "port": port, "devices": [device],
        "read_through": {"listen": "127.0.0.1:0", **through},
    }  # fmt: skip


@asynccontextmanager
async def served(**through: Any) -> AsyncIterator[tuple[ModbusDriver, ReadThrough, int, ModbusServer]]:
    server = ModbusServer({7: unit()})
    async with server.listen() as port:
        config = SPEC.parse(link(port, **through), "links[0]")
        reading = ReadThrough(config.read_through, frozenset({7}), config.image)
        task = asyncio.create_task(reading.run())
        async with SPEC.open(config, lambda: 0) as driver:
            assert isinstance(driver, ModbusDriver)
            yield driver, reading, await reading.bound(), server
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def client(port: int) -> AsyncIterator[AsyncModbusTcpClient]:
    made = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=2, retries=0)
    assert await made.connect()
    try:
        yield made
    finally:
        made.close()


async def hung_up_on(port: int, said: bytes = b"") -> bool:
    """Connect, perhaps say something, and return whether the other end closes without a word."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(said)
        return await reader.read() == b""
    finally:
        writer.close()
        await writer.wait_closed()


async def mbpoll(port: int, *words: str) -> tuple[int, str]:
    program = shutil.which("mbpoll")
    if program is None:
        pytest.skip("mbpoll is not installed: apt-get install mbpoll")
    with running_loop().standing():
        process = await asyncio.create_subprocess_exec(
            program, "-m", "tcp", "-p", str(port), "-0", "-1", "-o", "10", *words, "127.0.0.1",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@on_jumping_loop
async def test_a_foreign_client_reads_what_the_gateway_read() -> None:
    async with served() as (driver, reading, port, server):
        await driver.poll(driver.plan[0])
        asked = server.units[7].requests
        code, said = await mbpoll(port, "-a", "7", "-r", "0", "-c", "10", "-t", "4")
        assert code == 0, said
        lines = [line.split() for line in said.splitlines() if line.startswith("[")]
        assert [(line[0], line[1]) for line in lines] == [(f"[{place}]:", str(100 + place)) for place in range(10)]
        code, said = await mbpoll(port, "-a", "7", "-r", "0", "-c", "9", "-t", "0")
        assert [line.split()[1] for line in said.splitlines() if line.startswith("[")] == list("101100011")
        code, said = await mbpoll(port, "-a", "8", "-r", "0", "-c", "1", "-t", "4")
        assert code != 0
        assert "Gateway path unavailable" in said
        # None of that reached the device.
        assert server.units[7].requests == asked
        assert reading.counts == {"served": 2, "refused": 1}


@on_jumping_loop
async def test_pymodbus_reads_and_may_not_write() -> None:
    async with served() as (driver, _, port, _), client(port) as foreign:
        await driver.poll(driver.plan[0])
        assert (await foreign.read_holding_registers(0, count=10, device_id=7)).registers == list(range(100, 110))
        assert (await foreign.read_holding_registers(300, count=1, device_id=255)).registers == [400]
        assert (await foreign.write_register(0, 1, device_id=7)).exception_code == 1
        assert (await foreign.read_holding_registers(200, count=1, device_id=7)).exception_code == 2
        assert (await foreign.read_holding_registers(65530, count=10, device_id=7)).exception_code == 2


@on_jumping_loop
async def test_what_was_never_read_or_is_too_old_is_no_answer_and_never_a_value() -> None:
    async with served(max_age="100 ms") as (driver, reading, port, server), client(port) as foreign:
        assert (await foreign.read_holding_registers(0, count=1, device_id=7)).exception_code == 11
        await driver.poll(driver.plan[0])
        assert (await foreign.read_holding_registers(0, count=1, device_id=7)).registers == [100]
        server.faults.silent.add(7)
        loop = asyncio.get_running_loop()
        at, late = loop.time(), loop.time() + 0.2
        assert reading.answer(7, bytes.fromhex("0300000001"), at) == bytes.fromhex("03020064")
        assert reading.answer(7, bytes.fromhex("0300000001"), late) == bytes.fromhex("830b")
        # The hole between the blocks is known to be one while the rest is fresh; afterwards nothing is known.
        assert reading.answer(7, bytes.fromhex("0300c80001"), late) == bytes.fromhex("830b")


@on_jumping_loop
async def test_clients_are_few_and_come_from_where_they_may() -> None:
    async with served(clients=1) as (_, reading, port, _), client(port):
        assert await hung_up_on(port)
        assert await hung_up_on(port)
        assert reading.counts["turned_away"] == 2
    async with served(allow=["192.0.2.0/24"]) as (_, reading, port, _):
        assert await hung_up_on(port)
        assert reading.counts["turned_away"] == 1


@pytest.mark.parametrize("patience", ["_COMES_BACK", "_GIVES_WAY"])
@on_jumping_loop
async def test_a_connection_that_says_nothing_gives_way(monkeypatch: pytest.MonkeyPatch, patience: str) -> None:
    """A controller that lost its power comes back while the server still holds its old connection."""
    for name in ("_COMES_BACK", "_GIVES_WAY"):
        monkeypatch.setattr(read_through, name, 0.0 if name == patience else 1e9)
    async with served(clients=1) as (driver, reading, port, _), client(port) as old:
        await driver.poll(driver.plan[0])
        assert (await old.read_holding_registers(0, count=1, device_id=7)).registers == [100]
        async with client(port) as new:
            assert (await new.read_holding_registers(0, count=1, device_id=7)).registers == [100]
            assert reading.counts["gave_way"] == 1
            assert reading.counts["turned_away"] == 0


@on_jumping_loop
async def test_of_several_the_one_that_was_silent_for_longest_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_through, "_COMES_BACK", 0.0)
    async with served(clients=2) as (driver, _, port, _):
        await driver.poll(driver.plan[0])
        async with client(port) as first, client(port) as second:
            for each in (first, second, first):
                assert (await each.read_holding_registers(0, count=1, device_id=7)).registers == [100]
                await asyncio.sleep(1)  # of the loop's time
            async with client(port) as third:
                assert (await third.read_holding_registers(0, count=1, device_id=7)).registers == [100]
                assert (await first.read_holding_registers(0, count=1, device_id=7)).registers == [100]


@on_jumping_loop
async def test_connections_are_watched_over() -> None:
    async with served() as (_, _, port, _):
        seen: list[int] = []
        given = socket.socket.setsockopt

        def noted(self: socket.socket, level: int, name: int, value: int) -> None:
            seen.append(name)
            given(self, level, name, value)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket.socket, "setsockopt", noted)
            assert await hung_up_on(port, b"GET / HTTP/1.1\r\n\r\n")
        assert socket.SO_KEEPALIVE in seen
        assert socket.TCP_KEEPIDLE in seen


@on_jumping_loop
async def test_who_speaks_something_else_is_hung_up_on() -> None:
    async with served() as (_, _, port, _):
        assert await hung_up_on(port, b"GET / HTTP/1.1\r\n\r\n")


@on_jumping_loop
async def test_a_port_that_is_taken_ends_nothing() -> None:
    async with served() as (_, _, port, _):
        second = ReadThrough(ReadThroughSettings(port=port), frozenset({1}), Image())
        task = asyncio.create_task(second.run())
        await asyncio.wait([task], timeout=0.05)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


@given(st.integers(0, 255), st.binary(min_size=1, max_size=20))
def test_whatever_is_asked_the_answer_is_an_answer(unit_id: int, pdu: bytes) -> None:
    reading = ReadThrough(ReadThroughSettings(), frozenset({1, 2}), Image())
    answer = reading.answer(unit_id, pdu, 100.0)
    assert len(answer) == 2
    assert answer[0] == pdu[0] & 0x7F | 0x80


def test_of_two_answers_the_newest_counts_and_what_is_missing_is_missing() -> None:
    image = Image()
    image.store(1, 3, 10, 2, b"\x00\x01\x00\x02", 5.0)
    image.store(1, 3, 11, 2, b"\x00\x07\x00\x08", 6.0)
    assert image.read(1, 3, 10, 3, 4.0) == b"\x00\x01\x00\x07\x00\x08"
    assert image.read(1, 3, 10, 3, 5.5) is Absence.STALE
    assert image.read(1, 3, 10, 4, 4.0) is Absence.NEVER
    assert image.read(1, 4, 10, 1, 4.0) is Absence.STALE
    for place in range(2 * SPANS):
        image.store(1, 3, place, 1, b"\0\0", 10.0 + place)
    assert image.read(1, 3, 10, 1, 0.0) is Absence.NEVER


def test_it_is_bound_to_loopback_unless_told_and_mistakes_are_named() -> None:
    config = SPEC.parse({**link(502), "read_through": {}}, "links[0]")
    assert (config.read_through.host, config.read_through.port) == ("127.0.0.1", 1502)
    with pytest.raises(ConfigError) as caught:
        SPEC.parse(link(502, listen="1502", allow=["home"]), "links[0]")
    assert 'links[0].read_through.listen: found "1502"; write ADDRESS:PORT' in str(caught.value)
    assert "links[0].read_through.allow" in str(caught.value)
