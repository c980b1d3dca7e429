"""The driver on the wire, against units of a second, unrelated stack: TCP, RTU over TCP, RTU on a terminal."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linli_core.errors import DriverUnavailable, LinkClosed, LinkError, LinkTimeout
from linli_core.instant import HOUR, SECOND
from linli_core.model import Quality, Reading, Reason
from linli_edge.driver import PlannedPoll
from linli_edge.drivers.modbus import SPEC
from linli_edge.drivers.modbus.client import FramedPort, check_version
from linli_edge.drivers.modbus.driver import ModbusDriver, on_line
from linli_edge.drivers.modbus.framing import Request, RtuFraming, TcpFraming
from linli_edge.transport.memory import MemoryTransport
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.modbus_frames import rtu
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import Faults, ModbusServer

NOW = 1_790_000_000_000_000


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def words(count: int = 10, first: int = 0) -> Unit:
    """A unit whose register *n* holds 100 + n."""
    unit = Unit()
    unit.put("holding", first, [100 + first + place for place in range(count)])
    return unit


def points(*addresses: int) -> list[dict[str, Any]]:
    """Inline points, one register each, told apart by their channel."""
    return [
        {"quantity": "voltage", "unit": "V", "type": "uint16", "address": address, "channel": address}
        for address in addresses
    ]


def device(unit: int, *addresses: int, **more: Any) -> dict[str, Any]:
    return {"id": f"meter-{unit}", "unit": unit, "timeout": "5 s", "points": points(*addresses), **more}


def link(port: int, *devices: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "bus-1", "driver": "modbus", "host": "127.0.0.1", "port": port, "devices": list(devices), **more}


@contextlib.asynccontextmanager
async def opened(table: dict[str, Any], clock: Clock | None = None) -> AsyncIterator[ModbusDriver]:
    async with SPEC.open(SPEC.parse(table, "links[0]"), clock or Clock()) as driver:
        assert isinstance(driver, ModbusDriver)
        yield driver


def shown(readings: list[Reading]) -> dict[int, Any]:
    """Value of each channel, or the reason why there is none."""
    return {
        reading.point.channel or 0: reading.value if reading.quality is Quality.GOOD else reading.reason
        for reading in readings
    }


def poll_of(driver: ModbusDriver, key: str) -> PlannedPoll:
    return next(planned for planned in driver.plan if planned.key == key)


@pytest.mark.parametrize("rtu_frames", [False, True], ids=["tcp", "rtu over tcp"])
@on_jumping_loop
async def test_several_units_are_read_over_one_connection(rtu_frames: bool) -> None:
    server = ModbusServer({1: words(), 2: words(10, 50)})
    async with server.listen(rtu=rtu_frames) as port:
        table = link(port, device(1, 0, 1, 9), device(2, 50, 59), framing="rtu" if rtu_frames else "tcp")
        async with opened(table) as driver:
            assert [planned.key for planned in driver.plan] == ["meter-1", "meter-2"]
            assert shown(await driver.poll(poll_of(driver, "meter-1"))) == {0: 100, 1: 101, 9: 109}
            assert shown(await driver.poll(poll_of(driver, "meter-2"))) == {50: 150, 59: 159}
    assert server.connections == 1


@on_jumping_loop
async def test_rtu_on_a_terminal() -> None:
    server = ModbusServer({1: words()}, Faults(noise={1: b"\x00\x01\x03"}))
    async with server.on_terminal() as path:
        table = {"id": "bus", "driver": "modbus", "transport": "serial", "path": path, "parity": "none"}
        async with opened({**table, "baud": 115200, "devices": [device(1, 0, 5)]}) as driver:
            planned = poll_of(driver, "meter-1")
            for _ in range(3):
                assert shown(await driver.poll(planned)) == {0: 100, 5: 105}


@on_jumping_loop
async def test_a_reading_is_stamped_when_its_answer_came() -> None:
    clock = Clock()
    server = ModbusServer({1: words()}, before=lambda _: setattr(clock, "now", NOW + 5))
    async with server.listen() as port, opened(link(port, device(1, 0)), clock) as driver:
        (reading,) = await driver.poll(poll_of(driver, "meter-1"))
    assert reading.observed_at == NOW + 5


@on_jumping_loop
async def test_one_silent_unit_does_not_cost_the_others_their_connection() -> None:
    server = ModbusServer({1: words(), 2: words()}, Faults(silent={2}))
    silent = device(2, 0, timeout="20 ms")
    async with server.listen() as port, opened(link(port, device(1, 0), silent)) as driver:
        for _ in range(10):
            with pytest.raises(LinkTimeout, match=r"unit 2: no answer within 0\.02 s"):
                await driver.poll(poll_of(driver, "meter-2"))
            assert shown(await driver.poll(poll_of(driver, "meter-1"))) == {0: 100}
    assert server.connections == 1


@on_jumping_loop
async def test_a_late_answer_on_the_socket_is_counted_and_not_taken() -> None:
    server = ModbusServer({1: words(), 2: words(1, 0)}, Faults(delay={2: 0.1}))
    late = device(2, 0, timeout="20 ms")
    async with server.listen() as port, opened(link(port, device(1, 0), late)) as driver:
        with pytest.raises(LinkTimeout):
            await driver.poll(poll_of(driver, "meter-2"))
        # The line answers in turn: the late answer comes first, under the transaction id of the request before.
        assert shown(await driver.poll(poll_of(driver, "meter-1"))) == {0: 100}
        assert sum(driver.port.late.values()) == 1


@on_jumping_loop
async def test_a_unit_that_hangs_up_is_a_closed_link_and_stays_one() -> None:
    server = ModbusServer({1: words(), 2: words()}, Faults(drop={2}))
    async with server.listen() as port, opened(link(port, device(1, 0), device(2, 0))) as driver:
        for key in ("meter-2", "meter-1"):
            with pytest.raises(LinkClosed):
                await driver.poll(poll_of(driver, key))


@on_jumping_loop
async def test_nobody_there_is_a_link_error() -> None:
    server = ModbusServer({})
    async with server.listen() as port:
        pass
    with pytest.raises(LinkError):
        async with opened(link(port, device(1, 0))):
            pytest.fail("nobody listens on that port")


@on_jumping_loop
async def test_a_refused_block_is_split_and_the_split_is_remembered_over_connections() -> None:
    unit = words()
    del unit.tables["holding"][4]
    clock = Clock()
    async with ModbusServer({1: unit}).listen() as port:
        config = SPEC.parse(link(port, device(1, 0, 1, 4, 8, 9)), "links[0]")
        async with SPEC.open(config, clock) as driver:
            first = await driver.poll(driver.plan[0])
            assert shown(first) == {0: 100, 1: 101, 4: Reason.REFUSED_BY_DEVICE, 8: 108, 9: 109}
            learning = unit.requests
        async with SPEC.open(config, clock) as driver:
            assert shown(await driver.poll(driver.plan[0])) == shown(first)
            remembered = unit.requests - learning
            assert remembered == 2 < learning
            # The device was updated: an hour later the whole block is tried again.
            unit.put("holding", 4, [104])
            clock.now += HOUR
            assert shown(await driver.poll(driver.plan[0])) == {0: 100, 1: 101, 4: 104, 8: 108, 9: 109}
            assert unit.requests == learning + remembered + 1


@on_jumping_loop
async def test_a_unit_that_takes_fewer_registers_than_it_should_is_asked_for_less() -> None:
    unit = words(100)
    unit.most = 30
    async with ModbusServer({1: unit}).listen() as port, opened(link(port, device(1, *range(100)))) as driver:
        for _ in range(2):
            assert shown(await driver.poll(driver.plan[0])) == {place: 100 + place for place in range(100)}


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1, Reason.REFUSED_BY_DEVICE), (4, Reason.DEVICE_FAILURE), (6, Reason.REFUSED_BY_DEVICE)],
)
@on_jumping_loop
async def test_other_exceptions_are_bad_readings(code: int, reason: Reason) -> None:
    server = ModbusServer({1: words()}, Faults(exception={1: code}))
    async with server.listen() as port, opened(link(port, device(1, 0, 1))) as driver:
        readings = await driver.poll(driver.plan[0])
        assert shown(readings) == {0: reason, 1: reason}
        assert [reading.value for reading in readings] == [None, None]


@on_jumping_loop
async def test_a_gateways_word_that_its_unit_is_silent_is_silence() -> None:
    server = ModbusServer({1: words()}, Faults(exception={1: 11}))
    async with server.listen() as port, opened(link(port, device(1, 0))) as driver:
        with pytest.raises(LinkTimeout, match="gateway target silent"):
            await driver.poll(driver.plan[0])


@on_jumping_loop
async def test_a_unit_that_falls_silent_in_the_middle_keeps_what_it_said() -> None:
    server = ModbusServer({1: words(200)})
    asked = 0

    def once(unit: int) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            server.faults.silent.add(unit)

    server.before = once
    async with server.listen() as port, opened(link(port, device(1, 0, 90, 180, timeout="20 ms"))) as driver:
        assert shown(await driver.poll(driver.plan[0])) == {
            0: 100,
            90: Reason.NO_COMMUNICATION,
            180: Reason.NO_COMMUNICATION,
        }


@on_jumping_loop
async def test_a_busy_unit_is_asked_again_as_often_as_allowed() -> None:
    server = ModbusServer({1: words()}, Faults(exception={1: 6}))
    calls = 0

    async def patient(request: Request, *, limit: float, pause: float = 0.0) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 3:
            server.faults.exception.clear()
        return await port_read(request, limit=limit, pause=pause)

    async with server.listen() as port, opened(link(port, device(1, 0, retries=2))) as driver:
        assert isinstance(driver.port, FramedPort)
        port_read = driver.port.read
        driver.port.read = patient  # type: ignore[method-assign]
        assert shown(await driver.poll(driver.plan[0])) == {0: 100}
    assert calls == 3


@on_jumping_loop
async def test_points_with_a_longer_interval_are_a_poll_of_their_own() -> None:
    slow = {**points(5)[0], "interval": "60 s"}
    table = device(1, 0, interval="1 s")
    table["points"].append(slow)
    async with ModbusServer({1: words()}).listen() as port, opened(link(port, table)) as driver:
        polls = [(planned.key, planned.interval, len(planned.points)) for planned in driver.plan]
        assert polls == [("meter-1", SECOND, 1), ("meter-1#2", 60 * SECOND, 1)]
        assert shown(await driver.poll(poll_of(driver, "meter-1#2"))) == {5: 105}
        assert SPEC.plan is not None
        assert list(SPEC.plan(SPEC.parse(link(port, table), "links[0]"))) == list(driver.plan)


@on_jumping_loop
async def test_addresses_of_one_unit_that_stands_for_several_devices() -> None:
    devices = [device(1, 0), {**device(1, 0, address_offset=50), "id": "second"}]
    async with ModbusServer({1: words(100)}).listen() as port, opened(link(port, *devices)) as driver:
        assert shown(await driver.poll(poll_of(driver, "meter-1"))) == {0: 100}
        assert shown(await driver.poll(poll_of(driver, "second"))) == {0: 150}


# --- the port on its own -------------------------------------------------------------------------------------------


def rtu_answer(unit: int, *values: int) -> bytes:
    return rtu(unit, bytes((3, 2 * len(values))) + b"".join(value.to_bytes(2, "big") for value in values))


def request(unit: int, count: int = 1) -> Request:
    return Request(unit, 3, 0, count)


@on_jumping_loop
async def test_a_late_rtu_answer_is_never_taken_for_the_next() -> None:
    line = MemoryTransport()
    port = FramedPort(line, RtuFraming(), quiet=0.001)
    with pytest.raises(LinkTimeout):
        await port.read(request(5), limit=0.01)
    # The answer to the first request comes while nobody asks; then the unit answers the second.
    line.feed(rtu_answer(5, 111))
    line._answers.append((rtu_answer(5, 222),))
    assert await port.read(request(5), limit=5.0) == (222).to_bytes(2, "big")
    assert port.late == {5: 1}


@on_jumping_loop
async def test_a_late_rtu_answer_of_a_silent_unit_is_not_anothers() -> None:
    line = MemoryTransport()
    port = FramedPort(line, RtuFraming(), quiet=0.001)
    with pytest.raises(LinkTimeout):
        await port.read(request(5), limit=0.01)
    line._answers.append((rtu_answer(5, 111), rtu_answer(6, 222)))
    assert await port.read(request(6), limit=5.0) == (222).to_bytes(2, "big")
    assert sum(port.late.values()) == 1


@on_jumping_loop
async def test_a_poll_that_was_cancelled_leaves_no_answer_for_the_next() -> None:
    line = MemoryTransport()
    port = FramedPort(line, RtuFraming(), quiet=0.001)
    task = asyncio.create_task(port.read(request(5), limit=0.2))
    while not line.written:
        await asyncio.wait({task}, timeout=0.0001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    line.feed(rtu_answer(5, 111))
    line._answers.append((rtu_answer(5, 222),))
    assert await port.read(request(5), limit=5.0) == (222).to_bytes(2, "big")
    assert port.late == {5: 1}


@on_jumping_loop
async def test_a_stream_out_of_step_is_given_up() -> None:
    line = MemoryTransport([(b"HTTP/1.1 400 Bad Request\r\n",)])
    port = FramedPort(line, TcpFraming())
    for _ in range(2):
        with pytest.raises(LinkClosed, match="no MBAP header"):
            await port.read(request(1), limit=5.0)
    assert len(line.written) == 1
    counted = port.count(1)
    assert (counted.requests, counted.malformed, counted.answers) == (1, 1, 0)


@on_jumping_loop
async def test_what_a_converter_delivers_of_the_connection_before_is_no_answer_on_the_next() -> None:
    config = SPEC.parse(link(502, device(1, 0, 5, max_gap=0)), "links[0]")
    before, after = MemoryTransport([[]]), MemoryTransport()
    before.end()
    with pytest.raises(LinkClosed):
        await on_line(config, before, Clock()).port.read(Request(1, 3, 0, 1), limit=5.0)
    late = before.written[0][:4] + bytes.fromhex("0005 01 03 02 DEAD")
    after.feed(late)
    after.end()
    with pytest.raises(LinkClosed):  # it goes on waiting for its own
        await on_line(config, after, Clock()).port.read(Request(1, 3, 5, 1), limit=5.0)


def test_another_pymodbus_is_refused_by_name() -> None:
    with pytest.raises(DriverUnavailable) as caught:
        check_version("3.17.0", "links[0]")
    assert str(caught.value) == (
        "links[0]: pymodbus 3.17.0 is installed, driver 'modbus' needs 3.16.1; try: pip install 'linli[edge]'"
    )
