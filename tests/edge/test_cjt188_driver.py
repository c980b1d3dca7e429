"""The CJ/T 188 driver against simulated meters on a line without time."""

from decimal import Decimal
from typing import Any

import pytest

from linli_core.codecs.cjt188 import Order
from linli_core.errors import DeviceError, LinkTimeout, ProtocolError, WriteRefusal, WriteRefused
from linli_core.instant import HOUR, MINUTE, from_rfc3339, to_rfc3339
from linli_core.model import Reading, quality_label
from linli_edge.driver import Counting, WriteRequest, Writing
from linli_edge.drivers.cjt188 import SPEC
from linli_edge.drivers.cjt188.driver import Cjt188Driver
from linli_edge.drivers.cjt188.settings import parse
from linli_sim.cjt188_meter import Cjt188Meter, make_meters
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.timeless_line import StationTransport

NOW = from_rfc3339("2026-11-25T08:00:00Z")
PROFILES = {0x10: "cjt188-water", 0x11: "cjt188-hot-water", 0x20: "cjt188-heat", 0x30: "cjt188-gas"}


def meters(count: int = 4) -> list[Cjt188Meter]:
    return list(make_meters(count, 1, lambda: NOW).values())


class Field:
    def __init__(self, *made: Cjt188Meter, devices: list[dict[str, Any]] | None = None) -> None:
        self.now = NOW
        self.transport = StationTransport(made)
        tables = devices or [device(meter, place) for place, meter in enumerate(made)]
        table = {"host": "converter", "port": 1, "timeout": "20 ms", "retries": 0, "devices": tables}
        self.settings = parse(table, "links[0]")
        self.driver = Cjt188Driver(self.settings, self.transport, lambda: self.now)

    async def poll(self, place: int = 0) -> dict[str, object]:
        return {reading.point.local_name: shown(reading) for reading in await self.readings(place)}

    async def readings(self, place: int = 0) -> list[Reading]:
        return await self.driver.poll(self.driver.plan[place])


def device(meter: Cjt188Meter, place: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": f"m{place}", "address": meter.address, "profile": PROFILES[meter.meter_type], **more}


def shown(reading: Reading) -> object:
    if reading.value is None:
        return quality_label(reading.quality, reading.reason)
    return format(reading.value, "f") if isinstance(reading.value, Decimal) else reading.value


@on_jumping_loop
async def test_water_hot_water_heat_and_gas_on_one_line() -> None:
    made = meters()
    field = Field(*made)
    quantities = ["water_volume", "hot_water_volume", "heat_energy", "gas_volume"]
    for place, (meter, quantity) in enumerate(zip(made, quantities, strict=True)):
        found = await field.poll(place)
        total = meter.use.total(NOW)
        # Hundredths of m3; of a heat meter hundredths of kWh, told in Wh.
        wanted = Decimal(round(total / 10)) * 10 if quantity == "heat_energy" else Decimal(round(total * 100)) / 100
        assert Decimal(str(found[quantity])) == wanted
        assert found["meter_time"] == "2026-11-25T16:00:00"
        assert {point.local_name for point in field.driver.plan[place].points} == set(found)
    assert isinstance(field.driver, Counting)
    assert isinstance(field.driver, Writing)
    assert SPEC.plan is not None
    assert list(SPEC.plan(field.settings)) == list(field.driver.plan)


@on_jumping_loop
async def test_the_order_of_identifiers_is_found_out_and_remembered() -> None:
    (made,) = meters(1)
    made.order = Order.LOW_FIRST
    field = Field(made)
    first = await field.poll()
    assert len(field.transport.written) == 2
    assert await field.poll() == first
    assert len(field.transport.written) == 3
    assert field.settings.memory["m0"].order is Order.LOW_FIRST


@on_jumping_loop
async def test_the_clock_stands_beside_the_gateways() -> None:
    field = Field(*meters(1))
    times = {reading.point.local_name: reading.device_time for reading in await field.readings()}
    assert times["water_volume"] is not None
    assert to_rfc3339(times["water_volume"]) == "2026-11-25T08:00:00Z"
    assert times["water_volume.s1"] is None


@on_jumping_loop
async def test_a_meter_without_unit_bytes_is_read_all_the_same() -> None:
    (made,) = meters(1)
    with_units = await Field(made).poll()
    made.units = False
    assert await Field(made).poll() == with_units


@on_jumping_loop
async def test_another_meters_answer_is_foreign_and_never_booked() -> None:
    (made,) = meters(1)
    made.answers_as = "11019999999999"
    field = Field(made, devices=[device(made, order="2004")])
    with pytest.raises(ProtocolError, match="another answered: meter 11019999999999"):
        await field.poll()
    counted = field.driver.counters()["m0"]
    assert (counted.foreign, counted.answers, counted.timeouts) == (1, 0, 1)


@on_jumping_loop
async def test_a_silent_meter_is_a_timeout() -> None:
    (made,) = meters(1)
    field = Field(made, devices=[device(made, address="11010000000000")])
    with pytest.raises(LinkTimeout):
        await field.poll()


@on_jumping_loop
async def test_what_a_meter_has_not_is_bad_and_asked_again_after_an_hour() -> None:
    (made,) = meters(1)
    field = Field(made, devices=[device(made, order="2004", read=["901F", "8102"])])
    found = await field.poll()
    assert found["unit_price.c1"] == "bad/refused_by_device"
    assert len(field.transport.written) == 2
    await field.poll()
    assert len(field.transport.written) == 3
    field.now += HOUR
    await field.poll()
    assert len(field.transport.written) == 5


@on_jumping_loop
async def test_the_only_meter_may_be_asked_by_the_wildcard_and_a_swap_is_noticed() -> None:
    one, two = meters(2)
    two.meter_type = one.meter_type
    field = Field(one, devices=[device(one, address="AAAAAAAAAAAAAA")])
    await field.poll()
    field.transport.stations = [two]
    await field.poll()
    assert field.settings.memory["m0"].swaps == 1
    assert field.settings.memory["m0"].address == two.address


def order(value: Any = False, point: str = "m0/water_valve_state") -> WriteRequest:
    return WriteRequest("w1", point, value, NOW + MINUTE, "operator")


def valved(made: Cjt188Meter, **more: Any) -> dict[str, Any]:
    return device(made, order="2004") | {"profile": "sanchuan-valve-water", "valve": True} | more


@on_jumping_loop
async def test_a_valve_is_closed_and_looked_at_before_and_after() -> None:
    (made,) = meters(1)
    made.valve_open, made.valve_close = 0x55, 0x99
    field = Field(made, devices=[valved(made)])
    outcome = await field.driver.write(order())
    assert (outcome.ok, outcome.before, outcome.after) == (True, "open", "closed")
    assert made.commands == [0x99]
    assert (await field.driver.write(order(True))).after == "open"
    assert made.commands == [0x99, 0x55]


@on_jumping_loop
async def test_a_valve_that_is_not_declared_or_not_allowed_is_never_touched() -> None:
    (made,) = meters(1)
    made.valve_open, made.valve_close = 0x55, 0x99
    cases = [
        (Field(made), order(), WriteRefusal.NOT_WRITABLE),
        (Field(made, devices=[valved(made, valve=False)]), order(), WriteRefusal.NOT_WRITABLE),
        (Field(made, devices=[valved(made)]), order("shut"), WriteRefusal.BAD_VALUE),
        (Field(made, devices=[valved(made)]), order(point="m0/water_volume"), WriteRefusal.UNKNOWN_POINT),
        (Field(made, devices=[valved(made, address="AAAAAAAAAAAAAA")]), order(), WriteRefusal.NOT_WRITABLE),
    ]
    for field, request, reason in cases:
        with pytest.raises(WriteRefused) as caught:
            await field.driver.write(request)
        assert caught.value.reason is reason
        assert not field.transport.written
    assert not made.commands


@on_jumping_loop
async def test_a_valve_that_is_too_late_by_the_time_it_was_looked_at_is_not_worked() -> None:
    (made,) = meters(1)
    made.valve_open, made.valve_close = 0x55, 0x99
    field = Field(made, devices=[valved(made)])
    read = field.transport.write

    async def slowly(data: bytes) -> None:
        field.now += 2 * MINUTE
        await read(data)

    field.transport.write = slowly  # type: ignore[method-assign]
    with pytest.raises(WriteRefused) as caught:
        await field.driver.write(order())
    assert caught.value.reason is WriteRefusal.EXPIRED
    assert not made.commands


@on_jumping_loop
async def test_a_meter_that_refuses_the_valve_is_told() -> None:
    (made,) = meters(1)
    field = Field(made, devices=[valved(made)])
    with pytest.raises(DeviceError, match="refuses to write data"):
        await field.driver.write(order())


@on_jumping_loop
async def test_a_command_without_confirmation_is_not_repeated() -> None:
    (made,) = meters(1)
    made.valve_open, made.valve_close = 0x55, 0x99

    class Mute:
        def hear(self, frame: bytes) -> bytes:
            answer = made.hear(frame)
            return b"" if frame.lstrip(b"\xfe")[9] == 0x04 else answer

    field = Field(made, devices=[valved(made)])
    field.transport.stations = [Mute()]
    outcome = await field.driver.write(order())
    assert not outcome.ok
    assert "did not confirm" in outcome.error
    assert (outcome.before, outcome.after) == ("open", "closed")
    assert made.commands == [0x99]
