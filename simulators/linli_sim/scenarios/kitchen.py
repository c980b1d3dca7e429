"""A canteen's kitchen: holding hot, fume, gas."""

import math
from typing import Final

from linli_core.instant import HOUR, MINUTE, SECOND, Instant
from linli_sim.models.gas_room import GasRoom
from linli_sim.scenarios.story import Scenario, Story, Teller, every


def hot_holding(start: Instant, seed: int) -> Story:
    """The bain-marie's heating fails as the first guests come; by night it is cold, and nobody minds."""
    teller, until = Teller(start, seed), start + 6 * HOUR
    device = teller.device("bain-marie-1", "bain_marie")
    fault, mended, value = start + 90 * MINUTE, start + 4 * HOUR, 24.0
    for at in every(start, until, MINUTE):
        heated = (at < fault or at >= mended) and at < start + 5 * HOUR
        # 40 l of water: the heating brings 72 °C within half an hour, without it an hour and a quarter's constant.
        value += (90.0 - value) / 14.0 if heated and value < 72.0 else (24.0 - value) / 75.0
        teller.say(device, "hot_holding_temperature", at, round(value, 1))
    within = 50 * MINUTE
    teller.must("food.hot-holding-cold", device, "hot_holding_temperature", fault, within=within, lasts=mended - fault)
    return teller.story(until)


def oil_fume(start: Instant, seed: int) -> Story:
    """A purifier clogs; the peaks of frying before that pass within minutes."""
    teller, until = Teller(start, seed), start + 5 * HOUR
    device = teller.device("hood-1", "kitchen_hood")
    fault, level = start + 2 * HOUR, 900.0
    for at in every(start, until, MINUTE):
        frying = 1500.0 if (at - start) // MINUTE % 40 < 6 else 0.0
        goal = (700.0 + frying) * (4.0 if at >= fault else 1.0)
        level += (goal - level) * -math.expm1(-0.4)
        teller.say(device, "oil_fume", at, round(level * teller.random.uniform(0.95, 1.05)))
    teller.must("food.oil-fume-high", device, "oil_fume", fault, within=40 * MINUTE, lasts=until - fault)
    return teller.story(until)


def kitchen_gas(start: Instant, seed: int) -> Story:
    """A hose bursts in a kitchen of 45 m³; the valve is shut after a quarter of an hour, and the windows opened."""
    teller, until = Teller(start, seed), start + HOUR
    device = teller.device("kitchen-gas-1", "kitchen_gas_detector")
    room = GasRoom(45.0, airing=1.0)
    fault, shut = start + 20 * MINUTE, start + 35 * MINUTE
    for at in every(start, until, 2 * SECOND):
        room.source = 12.0 if fault <= at < shut else 0.0
        room.airing = 1.0 if at < shut else 20.0
        room.step(2.0)
        shown = max(room.explosive + teller.random.gauss(0.3, 0.3), 0.0)
        teller.say(device, "combustible_gas", at, round(min(shown, 100.0)))
    lasts = 25 * MINUTE
    teller.must("food.kitchen-gas", device, "combustible_gas", fault, within=4 * MINUTE, lasts=lasts)
    teller.must("safety.gas-leak", device, "combustible_gas", fault, within=6 * MINUTE, lasts=lasts)
    teller.must("safety.gas-explosive", device, "combustible_gas", fault, within=14 * MINUTE, lasts=lasts)
    return teller.story(until, may=["safety.gas-trace"])


def gas_detector_failed(start: Instant, seed: int) -> Story:
    """The sensor of the kitchen's gas detector has come to its end."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    device = teller.device("kitchen-gas-1", "kitchen_gas_detector")
    fault = start + HOUR
    changes = [(start, False), (fault, True), (fault + 40 * MINUTE, False)]
    teller.state(device, "gas_detector_fault", until, step=MINUTE, changes=changes)
    for rule in ("food.kitchen-gas-detector-fault", "safety.gas-detector-fault"):
        teller.must(rule, device, "gas_detector_fault", fault, within=3 * MINUTE, lasts=40 * MINUTE)
    return teller.story(until)


SCENARIOS: Final = (
    Scenario("hot-holding", hot_holding, hour=9.5),
    Scenario("oil-fume", oil_fume),
    Scenario("kitchen-gas", kitchen_gas),
    Scenario("gas-detector-failed", gas_detector_failed),
)
