"""Simulated meters: plausible, repeatable, and counting what they measure."""

import argparse

import pytest

from linli_core.instant import HOUR, SECOND
from linli_core.model import Phase
from linli_edge.drivers.modbus import SPEC, device_profile
from linli_sim import modbus
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.loadcurve import HOURLY, Household, share_of_day
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import ModbusServer

NOW = 1_790_000_000 * SECOND


def day(household: Household, step: float = 60.0) -> list[float]:
    powers = []
    for place in range(round(86_400 / step)):
        household.step(step, (place + 1) * step / 3600.0 % 24.0)
        powers.append(household.power)
    return powers


@pytest.mark.parametrize("phases", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_counter_is_the_integral_of_the_power(seed: int, phases: int) -> None:
    household = Household(seed, phases=phases)
    start = household.energy
    powers = []
    for _ in range(50):
        household.step(30.0, 8.0)
        powers.append(household.power)
    assert household.energy - start == pytest.approx(sum(powers) * 30.0 / 3600.0, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_a_day_is_plausible(seed: int) -> None:
    household = Household(seed)
    before = household.energy
    powers = day(household, 300.0)
    assert all(0 < power < 15_000 for power in powers)
    assert 2_000 < household.energy - before < 60_000
    for phase in household.phases:
        assert 215 < phase.voltage < 245
        assert 0 < phase.power_factor <= 1
        assert phase.current == pytest.approx(phase.apparent / phase.voltage)
    assert 49.9 < household.frequency < 50.1


def test_evenings_use_more_than_nights() -> None:
    evening, night = 0.0, 0.0
    for seed in range(20):
        powers = day(Household(seed), 300.0)
        evening += sum(powers[12 * 18 : 12 * 22])
        night += sum(powers[12 * 1 : 12 * 5])
    assert evening > 2 * night
    assert share_of_day(19.0) == HOURLY[19]
    assert min(HOURLY[18], HOURLY[19]) <= share_of_day(18.5) <= max(HOURLY[18], HOURLY[19])


def test_the_same_seed_gives_the_same_day_and_another_seed_another() -> None:
    assert day(Household(7), 900.0) == day(Household(7), 900.0)
    assert day(Household(7), 900.0) != day(Household(8), 900.0)


@pytest.mark.parametrize("profile", ["eastron-sdm630", "eastron-sdm120", "schneider-iem3155", "acrel-dtsd1352"])
@on_jumping_loop
async def test_what_the_gateway_reads_is_what_the_meter_measures(profile: str) -> None:
    now = NOW
    units, update = modbus.meters(profile, 2, 5, lambda: now)
    async with ModbusServer(units, before=update).listen() as port:
        device = {"id": "meter", "unit": 2, "profile": profile}
        config = SPEC.parse(
            {"id": "bus", "driver": "modbus", "host": "127.0.0.1", "port": port, "devices": [device]}, ""
        )
        now += 900 * SECOND
        async with SPEC.open(config, lambda: now) as driver:
            readings = {reading.point.local_name: reading.value for reading in await driver.poll(driver.plan[0])}
    meter = modbus.SimulatedMeter(modbus.entries_of(profile), 5 * 1009 + 2, NOW)
    meter.update(NOW + 900 * SECOND)
    house = meter.household
    assert set(readings) == {
        entry.mapped.of("x").local_name for entry in device_profile.SHELF.load(profile, "").entries
    }
    assert readings["active_power"] == pytest.approx(house.power, rel=1e-4, abs=1)
    assert readings["frequency"] == pytest.approx(house.frequency, abs=0.01)
    assert readings["energy_import"] == pytest.approx(house.energy, rel=1e-6)
    voltage = "voltage" if len(house.phases) == 1 else "voltage.l1"
    assert readings[voltage] == pytest.approx(house.phases[0].voltage, abs=0.1)


def test_line_voltage_of_a_symmetrical_net() -> None:
    household = Household(1)
    for phase in household.phases:
        phase.voltage = 230.0
        phase.apparent = phase.power = 1.0
    assert modbus.meter_values(household)["voltage", Phase.L12] == pytest.approx(398.37, abs=0.01)


def test_a_meter_does_not_compute_more_often_than_it_refreshes() -> None:
    meter = modbus.SimulatedMeter(modbus.entries_of("eastron-sdm120"), 1, NOW)
    shown = dict(meter.unit.tables["input"])
    meter.update(NOW + SECOND // 10)
    assert meter.unit.tables["input"] == shown
    meter.update(NOW + HOUR)
    assert meter.unit.tables["input"] != shown


def test_faults_from_the_command_line() -> None:
    parser = argparse.ArgumentParser()
    modbus.add_fault_arguments(parser)
    faults = modbus.faults_of(
        parser.parse_args(["--silent", "2", "--silent", "3", "--drop", "4", "--delay", "5=0.5", "--exception", "6=4"])
    )
    assert (faults.silent, faults.drop, faults.delay, faults.exception) == ({2, 3}, {4}, {5: 0.5}, {6: 4})
    with pytest.raises(SystemExit):
        parser.parse_args(["--delay", "five"])


# --- the second stack's own answers: Modbus Application Protocol V1.1b3, the examples of §6.1 to §6.6 -----------------


def example() -> Unit:
    unit = Unit(on_write=lambda *_: None)
    unit.put("coil", 19, [int(bit) for bit in "1011001111010110101"])
    unit.put("discrete", 196, [int(bit) for bit in "0011010111011011101011"])
    unit.put("holding", 107, [0x022B, 0x0000, 0x0064])
    unit.put("input", 8, [0x000A])
    unit.put("coil", 172, [0])
    unit.put("holding", 1, [0])
    return unit


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("0100130013", "0103CD6B05"),
        ("0200C40016", "0203ACDB35"),
        ("03006B0003", "0306022B00000064"),
        ("0400080001", "0402000A"),
        ("0500ACFF00", "0500ACFF00"),
        ("0600010003", "0600010003"),
        ("03006B0004", "8302"),
        ("03006B0000", "8303"),
        ("03006B007E", "8303"),
        ("0300", "8303"),
        ("0500AC1234", "8503"),
        ("0600020003", "8602"),
        ("2B0E0100", "AB01"),
    ],
)
def test_the_second_stack_answers_as_the_specification_says(asked: str, answered: str) -> None:
    assert example().answer(bytes.fromhex(asked)).hex().upper() == answered


def test_a_unit_nobody_may_write() -> None:
    assert Unit().answer(bytes.fromhex("0500ACFF00")).hex().upper() == "8501"
