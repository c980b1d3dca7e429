"""Chinese meters on a line whose characters take their time: at a serial port, behind a converter, on a shared line."""

from typing import Any

import pytest

from linli_core.model import Quality, Reading
from linli_edge.driver import DriverSpec
from linli_edge.drivers import cjt188, dlt645, shared_bus
from linli_sim.cjt188_meter import make_meters
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.line import LineTiming, SerialBus
from linli_sim.mbus import wall_clock
from linli_sim.meter_line import BURST, TURNAROUND, dlt645_meters

FAST = LineTiming(38400, 11, TURNAROUND, BURST)


async def poll_all(spec: DriverSpec, table: dict[str, Any]) -> list[Reading]:
    async with spec.open(spec.parse(table, "links[0]"), wall_clock) as driver:
        return [reading for planned in driver.plan for reading in await driver.poll(planned)]


def power(count: int = 2) -> tuple[dict[int, Any], list[dict[str, Any]]]:
    meters = dlt645_meters(count, 1, wall_clock)
    devices = [
        {"id": name, "address": made.address, "edition": "2007", "read": ["0001FF00", "0201FF00"]}
        for name, made in meters.items()
    ]
    return dict(enumerate(meters.values())), devices


def supplies() -> tuple[dict[int, Any], list[dict[str, Any]]]:
    meters = make_meters(4, 1, wall_clock)
    devices = [
        {"id": name, "address": made.address, "profile": f"cjt188-{name.rpartition('-')[0]}", "order": "2004"}
        for name, made in meters.items()
    ]
    return dict(enumerate(meters.values(), start=100)), devices


@on_jumping_loop
async def test_electricity_meters_at_a_serial_port() -> None:
    stations, devices = power()
    with SerialBus(stations, FAST, on_loop=True) as bus:
        readings = await poll_all(dlt645.SPEC, {"transport": "serial", "path": bus.path, "devices": devices})
    assert len(readings) == 2 * (5 + 3)
    assert {reading.quality for reading in readings} == {Quality.GOOD}
    assert not bus.wire.collisions


@on_jumping_loop
async def test_water_heat_and_gas_behind_a_converter() -> None:
    stations, devices = supplies()
    with SerialBus(stations, FAST, tcp=0, on_loop=True) as bus:
        readings = await poll_all(cjt188.SPEC, {"host": "127.0.0.1", "port": bus.port, "devices": devices})
    assert len(readings) == 6 + 6 + 11 + 6
    assert {reading.quality for reading in readings} == {Quality.GOOD}


@pytest.mark.parametrize("serial", [True, False])
@on_jumping_loop
async def test_both_protocols_share_one_line(*, serial: bool) -> None:
    electric, power_devices = power()
    others, supply_devices = supplies()
    with SerialBus(electric | others, FAST, tcp=0, on_loop=True) as bus:
        line: dict[str, Any] = {"host": "127.0.0.1", "port": bus.port}
        if serial:
            line = {"transport": "serial", "path": bus.path}
        protocols = [
            {"driver": "dlt645", "devices": power_devices},
            {"driver": "cjt188", "devices": supply_devices},
        ]
        readings = await poll_all(shared_bus.SPEC, {**line, "protocols": protocols})
    assert len(readings) == 16 + 29
    assert {reading.quality for reading in readings} == {Quality.GOOD}
