"""Water for a fire, tanks, pits: hydraulics in small."""

import math
from typing import Final

from linli_core.instant import HOUR, MINUTE, SECOND, Instant
from linli_sim.models.tank import Tank
from linli_sim.scenarios.story import Scenario, Story, Teller, every


def hydrant_leak(start: Instant, seed: int) -> Story:
    """A fire main leaks and its jockey pump fails: the pressure goes, first at the sprinklers, which are higher."""
    teller, until = Teller(start, seed), start + 5 * HOUR
    hydrant = teller.device("hydrant-1", "hydrant")
    sprinkler = teller.device("sprinkler-end-1", "sprinkler")
    fault, mended, pressure = start + HOUR, start + 4 * HOUR, 350_000.0
    for at in every(start, until, 30 * SECOND):
        if at < fault or at >= mended:
            pressure += (350_000.0 - pressure) / 10.0
        else:
            # What leaks goes with the root of the pressure; the main's elasticity gives some forty minutes.
            pressure -= 30.0 / (40 * 60) * math.sqrt(pressure * 350_000.0)
            pressure = max(pressure, 0.0)
        noise = teller.random.gauss(0.0, 1_500.0)
        teller.say(hydrant, "hydrant_pressure", at, round(max(pressure + noise, 0.0), -2))
        # 10 m higher.
        teller.say(sprinkler, "sprinkler_pressure", at, round(max(pressure - 98_000.0 + noise, 0.0), -2))
    lasts = until - fault
    teller.must("safety.hydrant-pressure-low", hydrant, "hydrant_pressure", fault, within=75 * MINUTE, lasts=lasts)
    teller.must("safety.sprinkler-pressure-low", sprinkler, "sprinkler_pressure", fault, within=HOUR, lasts=lasts)
    return teller.story(until)


def hydrant_open(start: Instant, seed: int) -> Story:
    """Somebody washes a car from a hydrant: the pressure drops by half within a minute."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    device = teller.device("hydrant-1", "hydrant")
    fault, closed, pressure = start + HOUR, start + 75 * MINUTE, 350_000.0
    for at in every(start, until, 20 * SECOND):
        goal = 140_000.0 if fault <= at < closed else 350_000.0
        pressure += (goal - pressure) * -math.expm1(-20.0 / 25.0)
        teller.say(device, "hydrant_pressure", at, round(pressure + teller.random.gauss(0.0, 1_500.0), -2))
    teller.must("safety.hydrant-in-use", device, "hydrant_pressure", fault, within=3 * MINUTE, lasts=15 * MINUTE)
    return teller.story(until)


def fire_tank(start: Instant, seed: int) -> Story:
    """A drain valve of the fire tank was left open after an inspection."""
    teller, until = Teller(start, seed), start + 8 * HOUR
    device = teller.device("fire-tank-1", "tank", tags=["fire-water"])
    fault, tank = start + HOUR, Tank(36.0, level=0.97)
    for at in every(start, until, MINUTE):
        tank.step(60.0, inflow=0.0, outflow=1.2 if at >= fault else 0.0)
        teller.say(device, "tank_fill", at, round(tank.fill + teller.random.gauss(0.0, 0.05), 1))
    teller.must("safety.fire-tank-low", device, "tank_fill", fault, within=3 * HOUR, lasts=until - fault)
    return teller.story(until)


def tank_empty(start: Instant, seed: int) -> Story:
    """The fill pump of a roof tank stops before the evening, and the dwellings draw on."""
    teller, until = Teller(start, seed), start + 8 * HOUR
    device = teller.device("roof-tank-1", "tank")
    fault, tank, filling = start + HOUR, Tank(20.0, level=0.8), False
    for at in every(start, until, MINUTE):
        filling = tank.fill < 60.0 or (filling and tank.fill < 88.0)
        inflow = 9.0 if filling and at < fault else 0.0
        tank.step(60.0, inflow=inflow, outflow=3.2 * teller.random.uniform(0.6, 1.4))
        teller.say(device, "tank_fill", at, round(tank.fill, 1))
    teller.must("safety.tank-low", device, "tank_fill", fault, within=6 * HOUR, lasts=until - fault)
    return teller.story(until)


def flood(start: Instant, seed: int) -> Story:
    """A float valve sticks: the tank overflows, the drain does not keep up, and the pump room is under water."""
    teller, until = Teller(start, seed), start + 4 * HOUR
    device = teller.device("break-tank-1", "tank")
    floor = teller.device("pump-room-floor", "water_leak_sensor")
    fault, shut, tank, puddle = start + HOUR, start + 3 * HOUR, Tank(15.0, level=0.85), 0.0
    wet_at = 0
    for at in every(start, until, MINUTE):
        # A float valve that works throttles towards its level; one that sticks lets all of it through.
        inflow = 8.0 if fault <= at < shut else max(0.0, min((0.92 - tank.level) * 150.0, 8.0))
        over = tank.step(60.0, inflow=inflow, outflow=2.5)
        puddle = max(puddle + over - 1.5 / 60.0, 0.0)
        if puddle > 0.1 and not wet_at:
            wet_at = at
        teller.say(device, "tank_fill", at, round(tank.fill, 1))
        teller.say(floor, "water_leak", at, puddle > 0.1)
    teller.must("safety.tank-overflow", device, "tank_fill", fault, within=45 * MINUTE, lasts=2 * HOUR)
    teller.must("safety.water-on-floor", floor, "water_leak", fault, within=45 * MINUTE, lasts=3 * HOUR)
    return teller.story(until)


def manhole(start: Instant, seed: int) -> Story:
    """Somebody takes a manhole's cover away."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    device = teller.device("manhole-7", "manhole")
    fault = start + HOUR
    changes = [(start, False), (fault, True), (fault + 30 * MINUTE, False)]
    teller.state(device, "manhole_open", until, step=10 * MINUTE, changes=changes)
    teller.must("safety.manhole-open", device, "manhole_open", fault, within=30 * SECOND, lasts=30 * MINUTE)
    return teller.story(until)


SCENARIOS: Final = (
    Scenario("hydrant-leak", hydrant_leak),
    Scenario("hydrant-open", hydrant_open),
    Scenario("fire-tank", fire_tank),
    Scenario("tank-empty", tank_empty),
    Scenario("flood", flood),
    Scenario("manhole", manhole),
)
