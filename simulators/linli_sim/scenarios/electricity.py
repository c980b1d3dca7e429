"""Feeders, transformers, supplies: what the loads and the lines make of voltage, power and their factor."""

import cmath
import math
from typing import Final

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.models.feeder import Feeder
from linli_sim.scenarios.story import Scenario, Story, Teller, every

PHASES: Final = ("l1", "l2", "l3")
LINES: Final = ("l12", "l23", "l31")


def tell_feeder(teller: Teller, device: str, feeder: Feeder, at: Instant, *, lines: bool = False) -> None:
    """Tell what a three-phase meter shows of a feeder."""
    for phase, volts in zip(PHASES, feeder.voltages(), strict=True):
        teller.say(device, f"voltage.{phase}", at, round(abs(volts), 1))
    if lines:
        for pair, between in zip(LINES, feeder.line_voltages(), strict=True):
            teller.say(device, f"voltage.{pair}", at, round(between, 1))


def _stir(teller: Teller, feeder: Feeder, watts: tuple[float, float, float]) -> None:
    feeder.power = [load * teller.random.uniform(0.9, 1.1) for load in watts]


def neutral_lost(start: Instant, seed: int) -> Story:
    """The neutral of a riser breaks: the phase with the least load gets what the others do not."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    device, feeder = teller.device("riser-meter-1", "bulk_electricity_meter"), Feeder()
    fault, off = start + HOUR, start + 80 * MINUTE
    for at in every(start, until, 10 * SECOND):
        feeder.neutral = math.inf if fault <= at < off else 0.04
        _stir(teller, feeder, (4_000.0, 3_000.0, 2_000.0))
        tell_feeder(teller, device, feeder, at)
    teller.must("utility.neutral-lost", device, "voltage.l3", fault, within=30 * SECOND, lasts=20 * MINUTE)
    return teller.story(until, may=["utility.voltage-high", "utility.voltage-low", "utility.phase-lost"])


def phase_lost(start: Instant, seed: int) -> Story:
    """A fuse of the second phase blows."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    device, feeder = teller.device("riser-meter-1", "bulk_electricity_meter"), Feeder()
    fault, back = start + HOUR, start + 90 * MINUTE
    for at in every(start, until, 10 * SECOND):
        feeder.fused[1] = not fault <= at < back
        _stir(teller, feeder, (4_000.0, 3_500.0, 3_000.0))
        tell_feeder(teller, device, feeder, at)
    teller.must("utility.phase-lost", device, "voltage.l2", fault, within=30 * SECOND, lasts=30 * MINUTE)
    return teller.story(until, may=["utility.voltage-low"])


def voltage_high(start: Instant, seed: int) -> Story:
    """After maintenance the transformer stands on the wrong tap, two steps too high."""
    teller, until = Teller(start, seed), start + 5 * HOUR
    device, feeder = teller.device("transformer-1", "transformer"), Feeder()
    fault = start + HOUR
    for at in every(start, until, 30 * SECOND):
        feeder.emf = 230.0 if at < fault else 230.0 * 1.05
        _stir(teller, feeder, (6_000.0, 6_000.0, 6_000.0))
        tell_feeder(teller, device, feeder, at, lines=True)
    lasts = until - fault
    for phase in PHASES:
        point = f"voltage.{phase}"
        teller.must("utility.voltage-high", device, point, fault, within=2 * MINUTE, lasts=lasts)
        teller.must("utility.voltage-often-out", device, point, fault, within=130 * MINUTE, lasts=lasts)
    for pair in LINES:
        teller.must("utility.line-voltage-high", device, f"voltage.{pair}", fault, within=2 * MINUTE, lasts=lasts)
    return teller.story(until)


def voltage_low(start: Instant, seed: int) -> Story:
    """A long feeder in a cold evening: everybody heats, and the voltage at its end goes with the load."""
    teller, until = Teller(start, seed), start + 8 * HOUR
    device = teller.device("feeder-end-1", "feeder")
    feeder = Feeder(emf=226.0, line=0.42 + 0.15j, neutral=0.42)
    dusk = start + 2 * HOUR
    for at in every(start, until, 30 * SECOND):
        evening = min(max((at - dusk) / HOUR, 0.0), 1.0) * min(max((until - HOUR - at) / HOUR, 0.0), 1.0)
        load = 3_000.0 + 15_000.0 * evening
        _stir(teller, feeder, (load, load, load))
        tell_feeder(teller, device, feeder, at, lines=True)
    lasts = until - dusk
    for phase in PHASES:
        point = f"voltage.{phase}"
        teller.must("utility.voltage-low", device, point, dusk, within=90 * MINUTE, lasts=lasts)
        teller.must("utility.voltage-often-out", device, point, dusk, within=200 * MINUTE, lasts=lasts)
    for pair in LINES:
        teller.must("utility.line-voltage-low", device, f"voltage.{pair}", dusk, within=90 * MINUTE, lasts=lasts)
    return teller.story(until)


def unbalanced(start: Instant, seed: int) -> Story:
    """Three charging points were all connected to one phase."""
    teller, until = Teller(start, seed), start + 5 * HOUR
    device = teller.device("feeder-1", "feeder")
    feeder = Feeder(line=0.17 + 0.07j, neutral=0.17)
    fault = start + HOUR
    for at in every(start, until, MINUTE):
        _stir(teller, feeder, (5_000.0 + (18_000.0 if fault <= at else 0.0), 4_500.0, 5_500.0))
        teller.say(device, "voltage_unbalance", at, round(feeder.unbalance(), 2))
    teller.must("utility.voltage-unbalanced", device, "voltage_unbalance", fault, within=HOUR, lasts=until - fault)
    return teller.story(until)


def transformer(start: Instant, seed: int) -> Story:
    """Cars come home and charge: a transformer of 630 kVA carries more and more of the evening."""
    teller, until = Teller(start, seed), start + 9 * HOUR
    device = teller.device("transformer-1", "transformer")
    heavy = over = 0
    for at in every(start, until, 2 * MINUTE):
        hours = (at - start) / HOUR
        # Dwellings by the evening's bell, cars by how many have come and are not yet full.
        dwellings = 260_000.0 + 190_000.0 * math.exp(-(((hours - 4.0) / 2.2) ** 2))
        cars = 310_000.0 / (1.0 + math.exp(-(hours - 3.4) * 2.2)) / (1.0 + math.exp((hours - 7.0) * 3.0))
        load = (dwellings + cars) * teller.random.uniform(0.99, 1.01)
        heavy = heavy or (at if load > 0.85 * 630_000.0 else 0)
        over = over or (at if load > 1.1 * 630_000.0 else 0)
        teller.say(device, "apparent_power", at, round(load))
        teller.say(device, "apparent_power_limit", at, 630_000)
    within, lasts = 80 * MINUTE, 6 * HOUR
    teller.must("utility.transformer-heavily-loaded", device, "apparent_power", heavy, within=within, lasts=lasts)
    teller.must("utility.transformer-overloaded", device, "apparent_power", over, within=25 * MINUTE, lasts=lasts)
    return teller.story(until)


def supply_overloaded(start: Instant, seed: int) -> Story:
    """A dwelling with a supply of 8 kW heats its water, cooks and charges a car; a kettle before that is borne."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    device = teller.device("flat-302-electricity", "electricity_meter")
    fault, off = start + HOUR, start + 2 * HOUR
    for at in every(start, until, 30 * SECOND):
        load = 600.0 * teller.random.uniform(0.8, 1.2)
        if start + 30 * MINUTE <= at < start + 33 * MINUTE:
            load += 8_000.0
        if fault <= at < off:
            load += 2_000.0 + 1_800.0 + 6_600.0
        teller.say(device, "active_power", at, round(load))
        teller.say(device, "power_limit", at, 8_000)
    teller.must("utility.supply-overloaded", device, "active_power", fault, within=6 * MINUTE, lasts=off - fault)
    return teller.story(until)


def power_factor(start: Instant, seed: int) -> Story:
    """A capacitor bank loses its contactor; the lifts and pumps draw their reactive power from the grid."""
    teller, until = Teller(start, seed), start + 8 * HOUR
    device = teller.device("bulk-meter-1", "bulk_electricity_meter")
    fault = start + 2 * HOUR
    for at in every(start, until, 5 * MINUTE):
        power = 42_000.0 * teller.random.uniform(0.85, 1.15)
        reactive = power * 0.78 - (30_000.0 if at < fault else 0.0)
        apparent = complex(power, reactive)
        teller.say(device, "active_power", at, round(power))
        teller.say(device, "power_factor", at, round(math.cos(cmath.phase(apparent)), 3))
    within = 130 * MINUTE
    teller.must("utility.power-factor-low", device, "power_factor", fault, within=within, lasts=until - fault)
    return teller.story(until)


def outage(start: Instant, seed: int) -> Story:
    """A building's main breaker trips: each meter says so with what its capacitor holds."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    fault, back = start + HOUR, start + 100 * MINUTE
    names = [teller.device(f"flat-{number}-electricity", "electricity_meter") for number in range(101, 113)]
    for name in names:
        gasp = fault + teller.random.randrange(0, 4) * SECOND
        changes = [(start, True), (gasp, False), (back, True)]
        teller.state(name, "power_present", until, step=MINUTE, changes=changes)
        teller.must("utility.outage", name, "power_present", fault, within=30 * SECOND, lasts=back - fault)
    teller.must("utility.outage-wide", names[0], "power_present", fault, within=30 * SECOND, lasts=back - fault)
    return teller.story(until)


def theft(start: Instant, seed: int) -> Story:
    """Somebody taps the riser before the meters: the bulk meter counts what no other does."""
    teller, until = Teller(start, seed), start + 6 * DAY
    bulk = teller.device("bulk-electricity-1", "bulk_electricity_meter")
    flats = [teller.device(f"flat-{number}-electricity", "electricity_meter") for number in range(101, 117)]
    fault, counts, total = start + 2 * DAY + 10 * HOUR, [1_000_000.0] * len(flats), 90_000_000.0
    for at in every(start, until, HOUR):
        hour = (at - start) // HOUR % 24
        share = 0.3 + 1.2 * math.exp(-(((hour - 20.0) / 3.0) ** 2)) + 0.5 * math.exp(-(((hour - 8.0) / 2.0) ** 2))
        for number, name in enumerate(flats):
            used = 500.0 * share * teller.random.uniform(0.4, 1.6)
            counts[number] += used
            total += used * 1.015  # what the lines take
            teller.say(name, "energy_import", at, round(counts[number]))
        total += 2_200.0 if at >= fault else 0.0
        teller.say(bulk, "energy_import", at, round(total))
    within = 40 * HOUR
    teller.must("utility.electricity-losses", bulk, "energy_import", fault, within=within, lasts=until - fault)
    return teller.story(until)


SCENARIOS: Final = (
    Scenario("neutral-lost", neutral_lost),
    Scenario("phase-lost", phase_lost),
    Scenario("voltage-high", voltage_high),
    Scenario("voltage-low", voltage_low),
    Scenario("unbalanced", unbalanced),
    Scenario("transformer", transformer, hour=16.0),
    Scenario("supply-overloaded", supply_overloaded),
    Scenario("power-factor", power_factor),
    Scenario("outage", outage),
    Scenario("theft", theft, hour=0.0),
)
