"""Writes: the value into registers and back, over libmodbus; what is not certain is not called done."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import DeviceError, LinkClosed, WriteRefusal, WriteRefused
from linli_core.model import Point, Reason
from linli_edge.driver import Counting, WriteRequest, Writing
from linli_edge.drivers.modbus import SPEC
from linli_edge.drivers.modbus.decode import BlockDecoder
from linli_edge.drivers.modbus.driver import ModbusDriver
from linli_edge.drivers.modbus.pdu import Command
from linli_edge.drivers.modbus.registers import DataType, MappedPoint, RegisterTable, WordOrder
from linli_edge.drivers.modbus.writing import words_for
from linli_sim.compiled import NotBuilt
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.libmodbus import LibmodbusSlave, slave_program
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import Faults, ModbusServer

NOW = 1_790_000_000_000_000
PATIENCE = "60 s"
"""Of a device whose answer comes, on a machine that may be busy: as long as it takes."""
POINTS: list[dict[str, Any]] = [
    {"quantity": "temperature_setpoint", "unit": "Cel", "type": "int16", "scale": 0.1, "address": 0, "writable": True,
     "minimum": -30, "maximum": 10},
    {"quantity": "pump_speed", "unit": "Hz", "type": "float32", "order": "CDAB", "address": 1, "writable": True},
    {"quantity": "pump_running", "table": "coil", "address": 0, "writable": True},
    {"quantity": "relay_state", "type": "uint16", "address": 5, "states": {"170": True, "85": False}, "writable": True},
    {"quantity": "active_power", "unit": "W", "type": "uint16", "address": 6, "scale_register": 7, "writable": True},
    {"quantity": "air_temperature", "unit": "Cel", "type": "int16", "scale": 0.1, "address": 8},
]  # fmt: skip


def unit() -> Unit:
    made = Unit()
    made.put("holding", 0, [0xFF38, 0, 0, 0, 0, 85, 10, 2, 215])
    made.put("coil", 0, [0])
    return made


def request(point: str, value: Any, expires_at: int = NOW + 1) -> WriteRequest:
    return WriteRequest("w-1", f"room-1/{point}", value, expires_at, "test")


@asynccontextmanager
async def opened(port: int, **more: Any) -> AsyncIterator[ModbusDriver]:
    device = {"id": "room-1", "unit": 1, "timeout": PATIENCE, "points": POINTS, **more}
    table = {"id": "bus", "driver": "modbus", "host": "127.0.0.1", "port": port, "devices": [device]}
    async with SPEC.open(SPEC.parse(table, "links[0]"), lambda: NOW) as driver:
        assert isinstance(driver, ModbusDriver)
        yield driver


@asynccontextmanager
async def on_libmodbus(*told: str, **more: Any) -> AsyncIterator[ModbusDriver]:
    try:
        slave_program()
    except NotBuilt as exc:
        pytest.skip(f"no libmodbus slave: {exc}")
    async with LibmodbusSlave({1: unit()}, more=("writable 1 1", *told)) as slave, opened(slave.port, **more) as driver:
        yield driver


def test_the_driver_counts_and_writes() -> None:
    assert issubclass(ModbusDriver, Counting)
    assert issubclass(ModbusDriver, Writing)


async def test_each_kind_of_point_is_written_and_read_back() -> None:
    async with on_libmodbus() as driver:
        for point, before, value in (
            ("temperature_setpoint", -20, Decimal("-18.5")),
            ("pump_speed", 0.0, 48.5),
            ("pump_running", False, True),
            ("relay_state", False, True),
            ("active_power", 1000, 2500),
        ):
            outcome = await driver.write(request(point, value))
            assert (outcome.ok, outcome.before, outcome.after) == (
                True,
                before,
                float(value) if point != "active_power" else value,
            )
        readings = {reading.point.quantity: reading.value for reading in await driver.poll(driver.plan[0])}
        assert readings["temperature_setpoint"] == -18.5
        assert readings["active_power"] == 2500
        assert driver.counters()["room-1"].requests > 10


async def test_a_number_between_two_raw_values_is_rounded_and_what_is_held_is_told() -> None:
    async with on_libmodbus() as driver:
        outcome = await driver.write(request("temperature_setpoint", -18.26))
        assert (outcome.ok, outcome.after) == (True, -18.3)


async def test_a_device_that_knows_only_function_16_is_written_with_it() -> None:
    async with on_libmodbus("functions 1 1 3 15 16", functions=[1, 3, 15, 16]) as driver:
        assert (await driver.write(request("temperature_setpoint", 2))).ok
        assert (await driver.write(request("pump_running", True))).ok


@pytest.mark.parametrize(
    ("point", "value", "reason"),
    [
        ("temperature_setpoint", 10.1, WriteRefusal.BAD_VALUE),
        ("temperature_setpoint", "cold", WriteRefusal.BAD_VALUE),
        ("temperature_setpoint", True, WriteRefusal.BAD_VALUE),
        ("temperature_setpoint", float("nan"), WriteRefusal.BAD_VALUE),
        ("pump_speed", 1e300, WriteRefusal.BAD_VALUE),
        ("pump_running", 1, WriteRefusal.BAD_VALUE),
        ("relay_state", 1, WriteRefusal.BAD_VALUE),
        ("active_power", 6_553_600, WriteRefusal.BAD_VALUE),
        ("air_temperature", 4, WriteRefusal.NOT_WRITABLE),
        ("noise", 4, WriteRefusal.UNKNOWN_POINT),
    ],
)
async def test_what_cannot_be_written_is_refused_before_anything_is_sent(point: str, value: Any, reason: Any) -> None:
    async with on_libmodbus("writable 1 0") as driver:
        with pytest.raises(WriteRefused) as caught:
            await driver.write(request(point, value))
        assert caught.value.reason is reason


async def test_a_write_that_expired_while_the_line_was_read_is_not_sent() -> None:
    async with on_libmodbus("writable 1 0") as driver:
        with pytest.raises(WriteRefused) as caught:
            await driver.write(request("temperature_setpoint", 1, NOW - 1))
        assert caught.value.reason is WriteRefusal.EXPIRED


@on_jumping_loop
async def test_a_write_that_expires_while_the_line_settles_is_not_sent() -> None:
    """The pause of a slow device alone takes longer than the write had left."""
    now = [NOW]
    device = {"id": "room-1", "unit": 1, "timeout": "1 s", "pause": "50 ms", "points": POINTS}
    server = ModbusServer({1: unit()})

    def reading(_unit: int) -> None:
        # What it holds before is read in time; the rest until the write may go out is not.
        asyncio.get_running_loop().call_later(0.001, now.__setitem__, 0, NOW + 2)

    server.before = reading
    async with server.listen() as port:
        table = {"id": "bus", "driver": "modbus", "host": "127.0.0.1", "port": port, "devices": [device]}
        async with SPEC.open(SPEC.parse(table, "links[0]"), lambda: now[0]) as driver:
            assert isinstance(driver, ModbusDriver)
            with pytest.raises(WriteRefused) as caught:
                await driver.write(request("temperature_setpoint", 1))
            assert caught.value.reason is WriteRefusal.EXPIRED
            assert server.units[1].tables["holding"][0] == 0xFF38
            # The line is as good as before.
            assert len(await driver.poll(driver.plan[0])) == len(POINTS)


async def test_a_device_that_refuses_the_write_says_so() -> None:
    async with on_libmodbus("writable 1 0") as driver:
        with pytest.raises(DeviceError, match="illegal function"):
            await driver.write(request("temperature_setpoint", 1))


@on_jumping_loop
async def test_a_device_that_takes_the_value_and_holds_another_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_edge.drivers.modbus.driver._SETTLING", 0.0)
    stubborn = unit()
    stubborn.on_write = lambda *_: None
    taken: list[int] = []

    def forget(number: int) -> None:
        del number
        stubborn.tables["holding"][0] = 0xFF38
        taken.append(1)

    async with ModbusServer({1: stubborn}, before=forget).listen() as port, opened(port) as driver:
        outcome = await driver.write(request("temperature_setpoint", 1))
    assert (outcome.ok, outcome.before, outcome.after) == (False, -20, -20)
    assert outcome.error == "it holds -20.0 afterwards"


@on_jumping_loop
async def test_a_write_whose_answer_stays_away_is_judged_by_what_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_edge.drivers.modbus.driver._SETTLING", 0.0)
    deaf = unit()
    server = ModbusServer({1: deaf}, Faults())

    def fall_silent(table: str, address: int, value: int) -> None:
        del table, address, value
        server.faults.silent.add(1)

    writes = 0

    async def answer(self: Any, asked: Any, frames: Any) -> bytes:
        nonlocal writes
        if asked.pdu[0] == 6:
            writes += 1
            deaf.tables["holding"][0] = 10
            return b""
        return frames.answer(asked, deaf.answer(asked.pdu)) if isinstance(self, ModbusServer) else b""

    deaf.on_write = fall_silent
    monkeypatch.setattr(ModbusServer, "_answer", answer)
    async with server.listen() as port, opened(port, timeout="50 ms", retries=3) as driver:
        outcome = await driver.write(request("temperature_setpoint", 1))
    assert (outcome.ok, outcome.after, writes) == (True, 1, 1)


@on_jumping_loop
async def test_a_connection_that_breaks_in_a_write_is_not_used_to_write_again() -> None:
    server = ModbusServer({1: unit()})

    def drop(number: int) -> None:
        server.faults.drop.add(number)

    server.before = drop
    async with server.listen() as port, opened(port) as driver:
        with pytest.raises(LinkClosed):
            await driver.write(request("temperature_setpoint", 1))
    assert server.connections == 1


@given(
    st.sampled_from([kind for kind in DataType if kind.registers and kind.kind != "float"]),
    st.sampled_from(list(WordOrder)),
    st.integers(-(2**63), 2**63),
    st.sampled_from([Fraction(1), Fraction(1, 10), Fraction(100)]),
)
def test_what_is_written_is_what_is_read(kind: DataType, order: WordOrder, raw: int, factor: Fraction) -> None:
    entry = MappedPoint("t", "q", RegisterTable.HOLDING, 0, kind.registers, kind, order, factor)
    exact = raw * factor
    value = Decimal(exact.numerator) / exact.denominator
    try:
        words = words_for(entry, value, {})
    except WriteRefused:
        return  # it does not fit
    data = struct.pack(f">{len(words)}H", *words)
    (reading,) = BlockDecoder(0, [(entry, Point("d", "q"))]).decode(data, 0)
    assert Fraction(str(reading.value)) == exact or float(str(reading.value)) == float(exact)


def test_a_scale_that_is_not_known_is_no_scale() -> None:
    (entry,) = [
        replace(point, address=0)
        for point in SPEC.parse(
            {"id": "b", "driver": "modbus", "host": "h", "devices": [{"id": "d", "unit": 1, "points": POINTS}]}, "links"
        )
        .devices[0]
        .points
        if point.multipliers
    ]
    with pytest.raises(WriteRefused, match="its scale is not known"):
        words_for(entry, 1, {entry.multipliers[0].register: Reason.NOT_IMPLEMENTED})


def test_commands_are_the_protocols_own_bytes() -> None:
    assert Command(1, 5, 172, (1,)).pdu == bytes.fromhex("0500acff00")
    assert Command(1, 6, 1, (3,)).pdu == bytes.fromhex("0600010003")
    assert Command(1, 15, 19, (1, 0, 1, 1, 0, 0, 1, 1, 1, 0)).pdu == bytes.fromhex("0f0013000a02cd01")
    assert Command(1, 16, 1, (10, 258)).pdu == bytes.fromhex("100001000204000a0102")
