"""Gas, carbon monoxide, fire, and the electricity that starts one."""

import math
from typing import Final

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.models.gas_room import GasRoom
from linli_sim.scenarios.story import Scenario, Story, Teller, every


def gas(start: Instant, seed: int) -> Story:
    """A fitting in a pipe duct seeps for hours, then it breaks; somebody shuts the valve and airs the duct."""
    teller, until = Teller(start, seed), start + 4 * HOUR
    device = teller.device("duct-gas-1", "gas_detector")
    room = GasRoom(60.0, airing=1.0)
    seeps, breaks, shut = start + HOUR, start + 3 * HOUR, start + 200 * MINUTE
    for at in every(start, until, 5 * SECOND):
        room.source = 0.0 if at < seeps or at >= shut else 0.3 if at < breaks else 10.0
        room.airing = 1.0 if at < shut else 30.0
        room.step(5.0)
        shown = max(room.explosive + teller.random.gauss(0.3, 0.3), 0.0)
        if (at - start) % (30 * SECOND) == 0 or at >= breaks:
            teller.say(device, "combustible_gas", at, round(min(shown, 100.0), 1))
    lasts = until - breaks
    teller.must("safety.gas-trace", device, "combustible_gas", seeps, within=2 * HOUR, lasts=until - seeps)
    teller.must("safety.gas-leak", device, "combustible_gas", breaks, within=6 * MINUTE, lasts=lasts)
    teller.must("safety.gas-explosive", device, "combustible_gas", breaks, within=17 * MINUTE, lasts=lasts)
    return teller.story(until)


def carbon_monoxide(start: Instant, seed: int) -> Story:
    """A flue is blocked by a nest; first the boiler burns badly, then very badly."""
    teller, until = Teller(start, seed), start + 5 * HOUR
    device = teller.device("boiler-co-1", "co_detector")
    room = GasRoom(30.0, airing=3.0)
    blocked, worse, aired = start + HOUR, start + 3 * HOUR, start + 4 * HOUR
    for at in every(start, until, MINUTE):
        # 90 ppm, then 500 ppm, are what the source and the airing settle at.
        room.source = 0.0 if at < blocked or at >= aired else 90e-6 * 90.0 if at < worse else 500e-6 * 90.0
        room.airing = 3.0 if at < aired else 25.0
        room.step(60.0)
        teller.say(device, "carbon_monoxide", at, round(max(room.ppm + teller.random.gauss(1.0, 1.0), 0.0)))
    lasts = until - blocked
    teller.must("safety.co-dose", device, "carbon_monoxide", blocked, within=65 * MINUTE, lasts=lasts)
    teller.must("safety.co-acute", device, "carbon_monoxide", worse, within=15 * MINUTE, lasts=until - worse)
    return teller.story(until)


def fire(start: Instant, seed: int) -> Story:
    """A battery burns in a stairwell: smoke within a minute, a resident presses the button, then the heat detector."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    smoke, heat = teller.device("stairs-smoke-1", "smoke_detector"), teller.device("stairs-heat-1", "heat_detector")
    button = teller.device("stairs-button-1", "call_point")
    ignites, out = start + HOUR, start + 80 * MINUTE
    # A fire whose heat grows with the square of time (fast: 1 MW after 150 s), under a ceiling of 60 m².
    smoke_at = heat_at = 0
    for at in every(ignites, out, SECOND):
        since = (at - ignites) / SECOND
        megawatts = min((since / 150.0) ** 2, 1.5)
        if not smoke_at and megawatts > 0.03:
            smoke_at = at + 15 * SECOND
        if not heat_at and 20.0 + 45.0 * megawatts ** (2 / 3) > 57.0:
            heat_at = at
    pressed = smoke_at + round(teller.random.uniform(40, 120)) * SECOND
    for device, quantity, begins in (
        (smoke, "smoke_alarm", smoke_at),
        (heat, "heat_alarm", heat_at),
        (button, "manual_call_point", pressed),
    ):
        changes = [(start, False), (begins, True), (out, False)]
        teller.state(device, quantity, until, step=MINUTE, changes=changes)
    lasts = out - ignites
    teller.must("safety.smoke", smoke, "smoke_alarm", ignites, within=MINUTE, lasts=lasts)
    teller.must("safety.heat", heat, "heat_alarm", ignites, within=4 * MINUTE, lasts=lasts)
    teller.must("safety.call-point", button, "manual_call_point", ignites, within=4 * MINUTE, lasts=lasts)
    teller.must("safety.fire-confirmed", button, "manual_call_point", ignites, within=4 * MINUTE, lasts=lasts)
    return teller.story(until)


def electrical_fire(start: Instant, seed: int) -> Story:
    """A joint in a riser loosens: it heats by its own resistance, arcs, and its insulation begins to leak."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    device = teller.device("riser-1", "electrical_fire_monitor")
    fault, repaired = start + HOUR, start + 150 * MINUTE
    cable, current = 31.0, 120.0
    for at in every(start, until, 10 * SECOND):
        loose = fault <= at < repaired
        share = min((at - fault) / (40 * MINUTE), 1.0) if loose else 0.0
        resistance = 0.0002 + 0.004 * share
        # Heat given off at 0.9 W/K; a time constant of eight minutes.
        cable += (28.0 + current**2 * resistance / 0.9 - cable) * -math.expm1(-10.0 / 480.0)
        leaks = 0.04 + (0.4 * share**2) + teller.random.gauss(0.0, 0.003)
        teller.say(device, "cable_temperature", at, round(cable, 1))
        teller.say(device, "residual_current", at, round(leaks, 3))
        teller.say(device, "arc_fault", at, share > 0.6)
    lasts = repaired - fault + 10 * MINUTE
    teller.must("safety.cable-hot", device, "cable_temperature", fault, within=50 * MINUTE, lasts=lasts)
    teller.must("safety.residual-current-high", device, "residual_current", fault, within=40 * MINUTE, lasts=lasts)
    teller.must("safety.arc-fault", device, "arc_fault", fault, within=25 * MINUTE, lasts=lasts)
    return teller.story(until)


def insulation_ages(start: Instant, seed: int) -> Story:
    """Three weeks of an installation that leaks a little each evening; then damp comes into a junction box."""
    teller, until = Teller(start, seed), start + 22 * DAY
    device = teller.device("riser-1", "electrical_fire_monitor")
    fault = start + 20 * DAY
    for at in every(start, until, 20 * MINUTE):
        hour = (at - start) % DAY / HOUR
        usual = 0.06 + 0.03 * math.exp(-(((hour - 20.0) / 2.5) ** 2))
        damp = 0.14 if at >= fault else 0.0
        teller.say(device, "residual_current", at, round(usual + damp + teller.random.gauss(0.0, 0.004), 3))
    within = 130 * MINUTE
    teller.must("safety.residual-current-rising", device, "residual_current", fault, within=within, lasts=until - fault)
    return teller.story(until)


SCENARIOS: Final = (
    Scenario("gas", gas),
    Scenario("carbon-monoxide", carbon_monoxide),
    Scenario("fire", fire),
    Scenario("electrical-fire", electrical_fire),
    Scenario("insulation-ages", insulation_ages, hour=0.0),
)
