"""Meters that are tampered with, stand still, fall silent, and gas that flows where it should not."""

import math
from typing import Final

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.scenarios.story import Scenario, Story, Teller, every


def tamper(start: Instant, seed: int) -> Story:
    """Somebody opens a meter's cover and puts a magnet on it."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    device = teller.device("flat-302-electricity", "electricity_meter")
    fault = start + HOUR
    off = fault + 40 * MINUTE
    for quantity, at in (("cover_open", fault), ("tamper", fault + 10 * SECOND), ("magnetic_field", fault + MINUTE)):
        teller.state(device, quantity, until, step=5 * MINUTE, changes=[(start, False), (at, True), (off, False)])
    lasts = off - fault
    teller.must("utility.meter-cover-open", device, "cover_open", fault, within=2 * MINUTE, lasts=lasts)
    teller.must("utility.meter-tampered", device, "tamper", fault, within=2 * MINUTE, lasts=lasts)
    teller.must("utility.meter-magnet", device, "magnetic_field", fault, within=4 * MINUTE, lasts=lasts)
    return teller.story(until)


def stuck_meters(start: Instant, seed: int) -> Story:
    """Sand stops a bulk water meter; an electricity meter's display lives on, its register does not."""
    teller, until = Teller(start, seed), start + 5 * DAY
    water = teller.device("bulk-water-1", "bulk_water_meter")
    power = teller.device("flat-302-electricity", "electricity_meter")
    fault, volume, energy = start + DAY, 88_000.0, 4_211_000.0
    for at in every(start, until, HOUR):
        if at <= fault:
            volume += teller.random.uniform(0.05, 0.6)
            energy += teller.random.uniform(60.0, 700.0)
        teller.say(water, "water_volume", at, round(volume, 3))
        teller.say(power, "energy_import", at, round(energy))
    lasts = until - fault
    teller.must("utility.bulk-water-meter-stuck", water, "water_volume", fault, within=14 * HOUR, lasts=lasts)
    teller.must("utility.electricity-meter-stuck", power, "energy_import", fault, within=75 * HOUR, lasts=lasts)
    return teller.story(until)


def battery(start: Instant, seed: int) -> Story:
    """A radio meter's battery comes to its last three months; a cold night's warning before that is borne."""
    teller, until = Teller(start, seed), start + 4 * DAY
    device = teller.device("flat-302-water", "water_meter")
    fault = start + 2 * DAY
    for at in every(start, until, HOUR // 2):
        left = 90 * DAY - (at - fault)
        teller.say(device, "battery_remaining", at, left // SECOND // 3600 * 3600)
        teller.say(device, "battery_low", at, at >= fault or at == start + 30 * HOUR)
    lasts = until - fault
    teller.must("utility.meter-battery-low", device, "battery_low", fault, within=100 * MINUTE, lasts=lasts)
    teller.must("utility.meter-battery-ends-soon", device, "battery_remaining", fault, within=2 * HOUR, lasts=lasts)
    return teller.story(until)


def meter_silent(start: Instant, seed: int) -> Story:
    """Of two meters that tell of themselves four times a day one is walled in."""
    teller, until = Teller(start, seed), start + 5 * DAY
    fault = start + DAY
    panel = teller.device("collector-1", "collector")
    teller.state(panel, "power_present", until, step=5 * MINUTE, changes=[(start, True)])
    for number in (1, 2):
        device = teller.device(f"flat-30{number}-heat", "heat_meter")
        for at in every(start, fault if number == 1 else until, 6 * HOUR):
            late = round(teller.random.uniform(0, 120)) * SECOND
            teller.say(device, "heat_energy", at, 1_000_000 + (at - start) // MINUTE, late=late)
    teller.must("system.device-silent", "flat-301-heat", "heat_energy", fault, within=25 * HOUR, lasts=until - fault)
    teller.must("utility.meter-silent", "flat-301-heat", "heat_energy", fault, within=51 * HOUR, lasts=until - fault)
    return teller.story(until)


def gas_unaccounted(start: Instant, seed: int) -> Story:
    """A buried gas pipe leaks between the bulk meter and the dwellings."""
    teller, until = Teller(start, seed), start + 6 * DAY
    bulk = teller.device("bulk-gas-1", "bulk_gas_meter")
    flats = [teller.device(f"flat-{number}-gas", "gas_meter") for number in range(101, 125)]
    fault, counts, total = start + 2 * DAY + 10 * HOUR, [400.0] * len(flats), 21_000.0
    for at in every(start, until, HOUR):
        hour = (at - start) // HOUR % 24
        cooks = 0.6 * math.exp(-(((hour - 18.5) / 1.2) ** 2)) + 0.3 * math.exp(-(((hour - 12.0) / 1.0) ** 2))
        for number, name in enumerate(flats):
            used = 0.35 * teller.random.random() if teller.random.random() < cooks else 0.0
            counts[number] += used
            total += used
            teller.say(name, "gas_volume", at, round(counts[number], 2))
        total += 0.4 if at > fault else 0.0
        teller.say(bulk, "gas_volume", at, round(total, 2))
    teller.must("utility.gas-losses", bulk, "gas_volume", fault, within=40 * HOUR, lasts=until - fault)
    return teller.story(until)


def gas_never_stops(start: Instant, seed: int) -> Story:
    """Behind a dwelling's meter gas runs on at sixty litres an hour, in summer, day and night."""
    teller, until = Teller(start, seed), start + 5 * DAY
    device = teller.device("flat-302-gas", "gas_meter")
    fault, count = start + DAY + 9 * HOUR, 512.0
    for at in every(start, until, HOUR):
        hour = (at - start) // HOUR % 24
        count += teller.random.uniform(0.1, 0.5) if hour in {7, 12, 18, 19} else 0.0
        count += 0.06 if at > fault else 0.0
        teller.say(device, "gas_volume", at, round(count, 2))
    teller.must("utility.gas-never-stops", device, "gas_volume", fault, within=64 * HOUR, lasts=until - fault)
    return teller.story(until)


def gas_valve(start: Instant, seed: int) -> Story:
    """A valve reports that it is shut, and gas flows: its seat is worn."""
    teller, until = Teller(start, seed), start + 4 * HOUR
    device = teller.device("flat-302-gas", "gas_meter")
    fault = start + HOUR
    for at in every(start, until, 5 * MINUTE):
        flow = 0.0002 * teller.random.uniform(0.8, 1.2) if at < fault else 0.00002
        teller.say(device, "gas_flow", at, round(flow, 6))
        teller.say(device, "gas_valve_state", at, "open" if at < fault else "closed")
    teller.must("utility.gas-through-closed-valve", device, "gas_flow", fault, within=40 * MINUTE, lasts=3 * HOUR)
    return teller.story(until)


SCENARIOS: Final = (
    Scenario("tamper", tamper),
    Scenario("stuck-meters", stuck_meters, hour=0.0),
    Scenario("battery", battery),
    Scenario("meter-silent", meter_silent),
    Scenario("gas-unaccounted", gas_unaccounted, hour=0.0),
    Scenario("gas-never-stops", gas_never_stops, hour=0.0, summer=True),
    Scenario("gas-valve", gas_valve),
)
