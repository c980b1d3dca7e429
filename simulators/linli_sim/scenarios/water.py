"""Pipes and what flows through them: leaks, bursts, backflow, frost, and whether it may be drunk."""

import math
from typing import Final

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.models.dwelling_water import draws
from linli_sim.scenarios.story import Scenario, Story, Teller, every

QUARTER: Final = 15 * MINUTE


class _Building:
    """A building's water: its dwellings, the bulk meter before them, and what is lost between."""

    def __init__(self, teller: Teller, dwellings: int) -> None:
        self._teller = teller
        self.bulk = teller.device("bulk-water-1", "bulk_water_meter")
        self.flats = [teller.device(f"flat-{101 + number}-water", "water_meter") for number in range(dwellings)]
        self._counts = [teller.random.uniform(50_000.0, 400_000.0) for _ in self.flats]
        self._total = 12_000_000.0

    def step(self, at: Instant, step: Instant, *, lost: float = 0.0, running: dict[int, float] | None = None) -> None:
        """Let the dwellings draw for a while, and tell the meters.

        Args:
            at: Its end; local midnight is a multiple of a day after the story's start.
            step: How long it is.
            lost: What leaks between the bulk meter and the others, m³/h.
            running: What runs in dwellings besides, m³/h, by their number.
        """
        hour = (at - self._teller.start) // HOUR % 24
        share = step / HOUR
        for number, name in enumerate(self.flats):
            # An hour's draws thinned to the step: an hour's worth with the chance of the step, on average the same.
            litres = draws(self._teller.random, 2.4 * share, hour) + (running or {}).get(number, 0.0) * 1000.0 * share
            self._counts[number] += litres
            self._total += litres
            self._teller.say(name, "water_volume", at, round(self._counts[number]) / 1000)
        self._total += lost * 1000.0 * share
        self._teller.say(self.bulk, "water_volume", at, round(self._total) / 1000)


def leak(start: Instant, seed: int) -> Story:
    """A buried pipe before the dwellings leaks 1.4 m³/h from an afternoon on."""
    teller, until = Teller(start, seed), start + 5 * DAY
    building = _Building(teller, 8)
    fault = start + DAY + 14 * HOUR
    for at in every(start, until, QUARTER):
        building.step(at, QUARTER, lost=1.4 if at > fault else 0.0)
    lasts = until - fault
    teller.must("utility.leak-night-flow", building.bulk, "water_volume", fault, within=40 * HOUR, lasts=lasts)
    teller.must("utility.water-losses", building.bulk, "water_volume", fault, within=48 * HOUR, lasts=lasts)
    return teller.story(until)


def leak_dwelling(start: Instant, seed: int) -> Story:
    """A toilet's valve does not shut: nine litres an hour, day and night."""
    teller, until = Teller(start, seed), start + 5 * DAY
    building = _Building(teller, 4)
    fault = start + DAY + 10 * HOUR
    for at in every(start, until, HOUR):
        building.step(at, HOUR, running={1: 0.009} if at > fault else None)
    within, lasts = 63 * HOUR, until - fault
    teller.must("utility.leak-dwelling", building.flats[1], "water_volume", fault, within=within, lasts=lasts)
    return teller.story(until)


def burst_dwelling(start: Instant, seed: int) -> Story:
    """A washing machine's hose bursts while nobody is at home: 2.2 m³/h until somebody shuts the valve."""
    teller, until = Teller(start, seed), start + 2 * DAY
    building = _Building(teller, 4)
    fault, shut = start + DAY + 9 * HOUR, start + DAY + 13 * HOUR
    for at in every(start, until, QUARTER):
        building.step(at, QUARTER, running={2: 2.2} if fault < at <= shut else None)
    lasts = 6 * HOUR
    teller.must("utility.burst-dwelling", building.flats[2], "water_volume", fault, within=75 * MINUTE, lasts=lasts)
    return teller.story(until)


def burst(start: Instant, seed: int) -> Story:
    """After three weeks like any others the main bursts in a morning: the pressure goes, and 18 m³/h with it."""
    teller, until = Teller(start, seed), start + 21 * DAY + 14 * HOUR
    bulk = teller.device("bulk-water-1", "bulk_water_meter")
    booster = teller.device("booster-1", "booster_set")
    fault, shut, volume = start + 21 * DAY + 9 * HOUR, start + 21 * DAY + 12 * HOUR, 88_000.0
    for at in every(start, until, HOUR):
        hour = (at - start) // HOUR % 24
        litres = sum(draws(teller.random, 2.4, hour) for _ in range(12))
        volume += litres / 1000.0 + (18.0 if fault < at <= shut else 0.0)
        teller.say(bulk, "water_volume", at, round(volume, 3))
    pressure = 420_000.0
    for at in [*every(start, fault - HOUR, 12 * HOUR), *every(fault - HOUR + MINUTE, until, 30 * SECOND)]:
        goal = 65_000.0 if fault <= at < shut else 420_000.0
        pressure += (goal - pressure) * -math.expm1(-30.0 / 45.0)
        teller.say(booster, "water_pressure", at, round(pressure + teller.random.gauss(0.0, 2_000.0), -2))
    lasts = until - fault
    teller.must("utility.burst-pressure", booster, "water_pressure", fault, within=4 * MINUTE, lasts=lasts)
    teller.must("utility.water-pressure-low", booster, "water_pressure", fault, within=8 * MINUTE, lasts=lasts)
    teller.must("utility.water-use-unusual", bulk, "water_volume", fault, within=125 * MINUTE, lasts=lasts)
    return teller.story(until)


def reverse_flow(start: Instant, seed: int) -> Story:
    """A check valve hangs: at low pressure a heating circuit pushes its water back into the main."""
    teller, until = Teller(start, seed), start + 14 * HOUR
    device = teller.device("heating-fill-water", "water_meter")
    fault, back = start + 6 * HOUR, 0.412
    for at in every(start, until, 5 * MINUTE):
        flow = -0.00012 * teller.random.uniform(0.8, 1.2) if at > fault else 0.00001
        back += max(-flow, 0.0) * 300.0
        teller.say(device, "water_flow", at, round(flow, 6))
        teller.say(device, "water_volume_reverse", at, round(back, 3))
    lasts = until - fault
    teller.must("utility.water-reverse-flow", device, "water_flow", fault, within=15 * MINUTE, lasts=lasts)
    teller.must("utility.water-reverse-volume", device, "water_volume_reverse", fault, within=2 * HOUR, lasts=lasts)
    return teller.story(until)


def frost(start: Instant, seed: int) -> Story:
    """A meter pit's cover is left off in a frosty night."""
    teller, until = Teller(start, seed), start + 12 * HOUR
    device = teller.device("pit-3-water", "water_meter")
    fault, value = start + HOUR, 8.0
    for at in every(start, until, 10 * MINUTE):
        # Six hours' constant: the pit's water and ground.
        value += ((-7.0 if at > fault else 8.0) - value) * -math.expm1(-1.0 / 36.0)
        teller.say(device, "water_temperature", at, round(value, 1))
    within = 5 * HOUR
    teller.must("utility.water-meter-freezing", device, "water_temperature", fault, within=within, lasts=until - fault)
    return teller.story(until)


def chlorine_low(start: Instant, seed: int) -> Story:
    """The dosing pump of a tank stops, and its chlorine decays by the third every hour."""
    teller, until = Teller(start, seed), start + 14 * HOUR
    device = teller.device("tank-quality-1", "water_quality_monitor")
    fault, level = start + 2 * HOUR, 0.35
    for at in every(start, until, 5 * MINUTE):
        level += (0.0 if at > fault else 0.35 * 0.35 / 12.0) - 0.35 * level / 12.0
        teller.say(device, "residual_chlorine", at, round(max(level + teller.random.gauss(0.0, 0.002), 0.0), 3))
    within = 8 * HOUR
    teller.must("utility.water-chlorine-low", device, "residual_chlorine", fault, within=within, lasts=until - fault)
    return teller.story(until)


def dosing_stuck(start: Instant, seed: int) -> Story:
    """Sodium hypochlorite is dosed without an end: chlorine rises, and with it the water's alkalinity."""
    teller, until = Teller(start, seed), start + 10 * HOUR
    device = teller.device("tank-quality-1", "water_quality_monitor")
    fault, level = start + 2 * HOUR, 0.35
    for at in every(start, until, 5 * MINUTE):
        level += ((1.6 if at > fault else 0.1225) - 0.35 * level) / 12.0
        alkaline = 7.5 + 0.33 * max(level - 0.35, 0.0)
        teller.say(device, "residual_chlorine", at, round(level + teller.random.gauss(0.0, 0.005), 3))
        teller.say(device, "ph", at, round(alkaline + teller.random.gauss(0.0, 0.01), 2))
    lasts = until - fault
    teller.must("utility.water-chlorine-high", device, "residual_chlorine", fault, within=3 * HOUR, lasts=lasts)
    teller.must("utility.water-ph-high", device, "ph", fault, within=5 * HOUR, lasts=lasts)
    return teller.story(until)


def turbid(start: Instant, seed: int) -> Story:
    """A filter breaks through, and acid from its regeneration comes with the dirt."""
    teller, until = Teller(start, seed), start + 8 * HOUR
    device = teller.device("tank-quality-1", "water_quality_monitor")
    fault, dirt, acid = start + 2 * HOUR, 0.25, 7.4
    for at in every(start, until, 5 * MINUTE):
        dirt += ((3.0 if at > fault else 0.25) - dirt) / 9.0
        acid += ((6.1 if at > fault else 7.4) - acid) / 9.0
        flush = 1.2 if 12 <= (at - start) // (5 * MINUTE) < 14 else 0.0  # the first water after a flush is borne
        teller.say(device, "turbidity", at, round(dirt + flush + abs(teller.random.gauss(0.0, 0.02)), 2))
        teller.say(device, "ph", at, round(acid + teller.random.gauss(0.0, 0.01), 2))
    lasts = until - fault
    teller.must("utility.water-turbid", device, "turbidity", fault, within=50 * MINUTE, lasts=lasts)
    teller.must("utility.water-ph-low", device, "ph", fault, within=2 * HOUR, lasts=lasts)
    return teller.story(until)


def pump(start: Instant, seed: int) -> Story:
    """A booster pump's drive reports a fault; the restart of a second one before that is borne."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    fault = start + HOUR
    first, second = teller.device("booster-pump-1", "pump"), teller.device("booster-pump-2", "pump")
    borne = [(start, False), (start + 20 * MINUTE, True), (start + 20 * MINUTE + 20 * SECOND, False)]
    teller.state(second, "pump_fault", until, step=MINUTE, changes=borne)
    teller.state(first, "pump_fault", until, step=MINUTE, changes=[(start, False), (fault, True)])
    teller.must("utility.pump-fault", first, "pump_fault", fault, within=MINUTE, lasts=HOUR)
    return teller.story(until)


SCENARIOS: Final = (
    Scenario("leak", leak, hour=0.0),
    Scenario("leak-dwelling", leak_dwelling, hour=0.0),
    Scenario("burst-dwelling", burst_dwelling, hour=0.0),
    Scenario("burst", burst, hour=0.0),
    Scenario("reverse-flow", reverse_flow),
    Scenario("frost", frost),
    Scenario("chlorine-low", chlorine_low),
    Scenario("dosing-stuck", dosing_stuck),
    Scenario("turbid", turbid),
    Scenario("pump", pump),
)
