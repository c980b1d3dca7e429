"""Cold rooms and freezers that fail, told by a thermal model; each fault is one of the plant, what follows is heat."""

import math
from collections.abc import Callable
from typing import Final

from linli_core.instant import HOUR, MINUTE, SECOND, Instant
from linli_sim.coldroom_model import ColdRoom
from linli_sim.scenarios.story import Scenario, Story, Teller, every

Act = Callable[[ColdRoom, Instant], None]
"""What happens to a room at an instant since the story's start."""

CHILLED: Final = 3.0
FROZEN: Final = -21.0


def make_room(seed: int, *, setpoint: float = CHILLED, ambient: float = 26.0) -> ColdRoom:
    """Return a room for stories that last for hours."""
    return ColdRoom(seed, setpoint=setpoint, ambient=ambient, longest_step=5.0)


def tell_room(teller: Teller, device: str, room: ColdRoom, until: Instant, act: Act, step: Instant = MINUTE) -> None:
    """Let a room live while something is done to it, and tell it every step."""
    for at in every(teller.start, until, step):
        act(room, at - teller.start)
        room.step(step / SECOND)
        teller.say(device, "air_temperature", at, round(room.measured_air, 1))
        teller.say(device, "product_temperature", at, round(room.goods, 1))
        teller.say(device, "evaporator_temperature", at, round(room.evaporator, 1))
        for quantity, value in (
            ("door_open", room.door_open),
            ("compressor_running", room.compressor),
            ("defrost_active", room.defrosting),
            ("power_present", room.powered),
        ):
            teller.say(device, quantity, at, value)


def cold_room(start: Instant, seed: int) -> Story:
    """A compressor dies on a hot day, and nobody comes until the next."""
    teller, until = Teller(start, seed), start + 34 * HOUR
    device = teller.device("cold-room-2", "cold_room")
    fault = start + 2 * HOUR

    def act(room: ColdRoom, since: Instant) -> None:
        room.compressor_failed = since >= 2 * HOUR

    tell_room(teller, device, make_room(seed, ambient=34.0), until, act, 5 * MINUTE)
    lasts = until - fault
    for rule, quantity, hours in (
        ("food.chilled-warm", "air_temperature", 7),
        ("food.cooling-not-running", "air_temperature", 7),
        ("food.product-time-out-of-range", "product_temperature", 14),
        ("food.chilled-degree-hours", "air_temperature", 14),
        ("food.chilled-mean-kinetic", "air_temperature", 24),
        ("food.chilled-hot", "air_temperature", 26),
    ):
        teller.must(rule, device, quantity, fault, within=hours * HOUR, lasts=lasts)
    return teller.story(until, may=["food.cold-room-warm"])


def door(start: Instant, seed: int) -> Story:
    """A door stands open on a kitchen at 38 °C through a lunch rush of two hours."""
    teller, until = Teller(start, seed), start + 6 * HOUR
    device = teller.device("cold-room-2", "cold_room")
    fault, lasts = start + HOUR, 2 * HOUR

    def act(room: ColdRoom, since: Instant) -> None:
        room.door_open = HOUR <= since < 3 * HOUR

    tell_room(teller, device, make_room(seed, ambient=38.0), until, act)
    for rule, quantity, within in (
        ("food.door-open", "door_open", 17 * MINUTE),
        ("food.chilled-warm", "air_temperature", 40 * MINUTE),
        ("food.chilled-hot", "air_temperature", 50 * MINUTE),
        ("food.air-warms-fast", "air_temperature", 90 * MINUTE),
    ):
        teller.must(rule, device, quantity, fault, within=within, lasts=lasts)
    may = ["food.cold-room-warm", "food.cold-room-door-open", "food.chilled-degree-hours", "food.cooling-not-running"]
    return teller.story(until, may=[*may, "food.product-time-out-of-range"])


def door_at_night(start: Instant, seed: int) -> Story:
    """The last one out leaves the freezer's door open."""
    teller, until = Teller(start, seed), start + 4 * HOUR
    device = teller.device("freezer-room-1", "frozen_room")

    def act(room: ColdRoom, since: Instant) -> None:
        room.door_open = HOUR <= since < 80 * MINUTE

    tell_room(teller, device, make_room(seed, setpoint=FROZEN), until, act)
    fault = start + HOUR
    teller.must("food.door-open-at-night", device, "door_open", fault, within=5 * MINUTE, lasts=20 * MINUTE)
    return teller.story(until, may=["food.cold-room-door-open"])


def freezing(start: Instant, seed: int) -> Story:
    """A contactor is welded: the compressor runs on, and the lettuce freezes."""
    teller, until = Teller(start, seed), start + 10 * HOUR
    device = teller.device("cold-room-2", "cold_room")
    fault = start + HOUR

    def act(room: ColdRoom, since: Instant) -> None:
        room.thermostat_stuck = since >= HOUR

    tell_room(teller, device, make_room(seed, ambient=16.0), until, act, 2 * MINUTE)
    teller.must("food.chilled-freezing", device, "air_temperature", fault, within=3 * HOUR, lasts=9 * HOUR)
    return teller.story(until)


def freezer(start: Instant, seed: int) -> Story:
    """A freezer's compressor trips on a Friday evening, and it thaws through the night."""
    teller, until = Teller(start, seed), start + 22 * HOUR
    device = teller.device("freezer-room-1", "frozen_room")
    fault, lasts = start + 2 * HOUR, 20 * HOUR

    def act(room: ColdRoom, since: Instant) -> None:
        room.compressor_failed = since >= 2 * HOUR

    tell_room(teller, device, make_room(seed, setpoint=FROZEN, ambient=30.0), until, act, 3 * MINUTE)
    teller.must("food.frozen-warm", device, "air_temperature", fault, within=4 * HOUR, lasts=lasts)
    teller.must("food.frozen-thawing", device, "air_temperature", fault, within=12 * HOUR, lasts=lasts)
    return teller.story(until, may=["food.air-warms-fast"])


def defrost_stuck(start: Instant, seed: int) -> Story:
    """A defrost does not end: its thermostat is broken, and the heater stays on."""
    teller, until = Teller(start, seed), start + 8 * HOUR
    device = teller.device("cold-room-2", "cold_room")
    fault = start + 2 * HOUR

    def act(room: ColdRoom, since: Instant) -> None:
        room.heater_stuck = 2 * HOUR <= since < 5 * HOUR

    tell_room(teller, device, make_room(seed), until, act)
    teller.must("food.defrost-too-long", device, "defrost_active", fault, within=62 * MINUTE, lasts=3 * HOUR)
    return teller.story(until)


def evaporator_iced(start: Instant, seed: int) -> Story:
    """Ice grows through an evaporator for want of defrosts: it gets colder, and the room does not."""
    teller, until = Teller(start, seed), start + 16 * HOUR
    device = teller.device("cold-room-2", "cold_room")

    def act(room: ColdRoom, since: Instant) -> None:
        room.icing = min(max(since / HOUR - 1.0, 0.0) / 4.0, 1.0)

    room = make_room(seed, ambient=30.0)
    room.defrost_interval = 1e9
    tell_room(teller, device, room, until, act, 3 * MINUTE)
    fault = start + HOUR
    teller.must("food.evaporator-iced", device, "evaporator_temperature", fault, within=7 * HOUR, lasts=15 * HOUR)
    return teller.story(until, may=["food.chilled-warm", "food.cold-room-warm"])


def short_cycles(start: Instant, seed: int) -> Story:
    """Refrigerant has leaked away, and the low-pressure switch stops the compressor every four minutes."""
    teller, until = Teller(start, seed), start + 6 * HOUR
    device = teller.device("cold-room-2", "cold_room")
    fault, lasts = start + HOUR, 5 * HOUR

    def act(room: ColdRoom, since: Instant) -> None:
        room.low_charge = since >= HOUR

    tell_room(teller, device, make_room(seed, ambient=30.0), until, act)
    within = 80 * MINUTE
    teller.must("food.compressor-short-cycles", device, "compressor_running", fault, within=within, lasts=lasts)
    return teller.story(until, may=["food.chilled-warm", "food.cold-room-warm", "food.cooling-not-running"])


def power_lost(start: Instant, seed: int) -> Story:
    """A breaker trips; the controller tells it on its battery."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    device = teller.device("freezer-room-1", "frozen_room")
    fault = start + HOUR

    def act(room: ColdRoom, since: Instant) -> None:
        room.powered = not HOUR <= since < 2 * HOUR

    tell_room(teller, device, make_room(seed, setpoint=FROZEN), until, act)
    teller.must("food.cold-store-power-lost", device, "power_present", fault, within=7 * MINUTE, lasts=HOUR)
    return teller.story(until)


def controller_alarm(start: Instant, seed: int) -> Story:
    """A refrigerator's controller says that something is wrong; a minute's grumbling before that is nothing."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    device = teller.device("fridge-1", "fridge")
    fault = start + HOUR
    changes = [
        (start, False),
        (start + 20 * MINUTE, True),
        (start + 21 * MINUTE, False),
        (fault, True),
        (fault + 30 * MINUTE, False),
    ]
    teller.state(device, "controller_alarm", until, step=MINUTE, changes=changes)
    teller.must("food.controller-alarm", device, "controller_alarm", fault, within=6 * MINUTE, lasts=30 * MINUTE)
    return teller.story(until)


def probe_failed(start: Instant, seed: int) -> Story:
    """A probe's wire breaks: the controller says so, and the room's temperature reads BAD."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    device = teller.device("cold-room-2", "cold_room")
    fault, ends = start + HOUR, start + 2 * HOUR
    room = make_room(seed)
    for at in every(start, until, MINUTE):
        room.step(60.0)
        broken = fault <= at < ends
        teller.say(device, "probe_fault", at, broken)
        teller.say(device, "door_open", at, False)
        if broken:
            teller.missing(device, "air_temperature", at)
        else:
            teller.say(device, "air_temperature", at, round(room.measured_air, 1))
    teller.must("food.probe-fault", device, "probe_fault", fault, within=3 * MINUTE, lasts=HOUR)
    teller.must("food.probe-silent", device, "air_temperature", fault, within=33 * MINUTE, lasts=HOUR)
    return teller.story(until)


def probe_in_air(start: Instant, seed: int) -> Story:
    """Somebody takes the probe out of the food and lets it hang in the warm kitchen; the food itself stays cold."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    device = teller.device("cold-room-2", "cold_room")
    fault, back = start + HOUR, start + 100 * MINUTE
    room, probe = make_room(seed), CHILLED
    for at in every(start, until, MINUTE):
        room.step(60.0)
        # A probe of 6 mm follows air within five minutes, food within two.
        around, pace = (room.ambient, 300.0) if fault <= at < back else (room.goods, 120.0)
        probe += (around - probe) * min(60.0 / pace, 1.0)
        teller.say(device, "product_temperature", at, round(probe, 1))
        teller.say(device, "air_temperature", at, round(room.measured_air, 1))
    teller.must("food.probe-in-air", device, "product_temperature", fault, within=12 * MINUTE, lasts=40 * MINUTE)
    return teller.story(until)


def probe_stuck(start: Instant, seed: int) -> Story:
    """A transmitter hangs and repeats one figure, while the room goes up and down as before."""
    teller, until = Teller(start, seed), start + 20 * HOUR
    device = teller.device("cold-room-2", "cold_room")
    fault = start + 4 * HOUR
    room, held = make_room(seed), CHILLED
    for at in every(start, until, MINUTE):
        room.step(60.0)
        held = round(room.measured_air, 1) if at < fault else held
        teller.say(device, "air_temperature", at, held)
    teller.must("food.probe-stuck", device, "air_temperature", fault, within=13 * HOUR, lasts=until - fault)
    return teller.story(until)


def blast_chiller(start: Instant, seed: int) -> Story:
    """A thin batch cools in time; the next one is a pot filled to the brim, and does not."""
    teller, until = Teller(start, seed), start + 13 * HOUR
    device = teller.device("blast-chiller-1", "blast_chiller")
    second = start + 4 * HOUR
    for at in every(start, until, MINUTE):
        since = (at - start) / HOUR
        # Newton's cooling in air at −5 °C: an hour's time constant for 5 cm, three hours and a half for a full pot.
        if since < 3.0:
            core = _cooled(72.0, -5.0, since, 1.0)
        elif at < second:
            core = 2.0
        else:
            core = _cooled(72.0, -5.0, since - 4.0, 3.5)
        teller.say(device, "product_temperature", at, round(core + teller.random.gauss(0.0, 0.02), 1))
        teller.say(device, "compressor_running", at, since < 3.0 or at >= second)
    lasts = until - second
    teller.must("food.cooling-slow", device, "product_temperature", second, within=123 * MINUTE, lasts=lasts)
    teller.must("food.cooling-unfinished", device, "product_temperature", second, within=363 * MINUTE, lasts=lasts)
    return teller.story(until)


def blast_chiller_stalls(start: Instant, seed: int) -> Story:
    """A blast chiller trips with half-cooled food in it, its door open on a hot kitchen."""
    teller, until = Teller(start, seed), start + 5 * HOUR
    device = teller.device("blast-chiller-1", "blast_chiller")
    fault, core = start + HOUR, 40.0
    for at in every(start, until, MINUTE):
        failed = fault <= at < start + 4 * HOUR
        core += ((36.0 if failed else -8.0) - core) / (2.0 * HOUR / MINUTE)
        teller.say(device, "product_temperature", at, round(core, 1))
        teller.say(device, "compressor_running", at, not failed)
    teller.must("food.cooling-stalled", device, "product_temperature", fault, within=90 * MINUTE, lasts=3 * HOUR)
    return teller.story(until)


def _cooled(first: float, around: float, hours: float, constant: float) -> float:
    """Return what has cooled for so long in an air of one temperature (Newton)."""
    return around + (first - around) * math.exp(-hours / constant)


SCENARIOS: Final = (
    Scenario("cold-room", cold_room),
    Scenario("cold-room-door", door, hour=11.0),
    Scenario("cold-room-door-at-night", door_at_night, hour=22.5),
    Scenario("cold-room-freezes", freezing),
    Scenario("freezer", freezer),
    Scenario("defrost-stuck", defrost_stuck),
    Scenario("evaporator-iced", evaporator_iced),
    Scenario("compressor-short-cycles", short_cycles),
    Scenario("cold-store-power", power_lost),
    Scenario("refrigerator-alarm", controller_alarm),
    Scenario("probe-failed", probe_failed),
    Scenario("probe-in-air", probe_in_air),
    Scenario("probe-stuck", probe_stuck),
    Scenario("blast-chiller", blast_chiller),
    Scenario("blast-chiller-stalls", blast_chiller_stalls),
)
