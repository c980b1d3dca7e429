"""Lifts, doors, buttons, cameras, and people who live alone."""

from typing import Final

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.model import Value
from linli_sim.models.dwelling_water import draws
from linli_sim.scenarios.story import Scenario, Story, Teller, every


def trapped(start: Instant, seed: int) -> Story:
    """A lift stops between two floors with somebody in it; help takes twenty-five minutes."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    device = teller.device("lift-2", "elevator")
    fault = start + HOUR
    freed = fault + 25 * MINUTE
    state: list[tuple[Instant, Value]] = [(start, "idle")]
    at = start + 3 * MINUTE
    while at < fault - 2 * MINUTE:
        state += [(at, "running"), (at + round(teller.random.uniform(15, 45)) * SECOND, "idle")]
        at += round(teller.random.uniform(90, 400)) * SECOND
    state += [(fault - 20 * SECOND, "running"), (fault, "stopped"), (freed, "maintenance"), (freed + HOUR // 2, "idle")]
    teller.state(device, "elevator_state", until, step=MINUTE, changes=state)
    inside = [(start, False), (fault + 20 * SECOND, True), (freed, False)]
    teller.state(device, "elevator_person_trapped", until, step=MINUTE, changes=inside)
    lasts = freed - fault
    teller.must("safety.elevator-person-trapped", device, "elevator_person_trapped", fault, within=MINUTE, lasts=lasts)
    teller.must("safety.elevator-stopped", device, "elevator_state", fault, within=2 * MINUTE, lasts=lasts)
    return teller.story(until)


def lift_fails_often(start: Instant, seed: int) -> Story:
    """A door contact wears out: four times in a day the lift stops, and goes on by itself within a minute."""
    teller, until = Teller(start, seed), start + 20 * HOUR
    device = teller.device("lift-2", "elevator")
    state: list[tuple[Instant, Value]] = [(start, "idle")]
    first = start + 2 * HOUR
    for number in range(5):
        at = first + number * 3 * HOUR + round(teller.random.uniform(0, 3600)) * SECOND
        state += [(at, "running"), (at + 20 * SECOND, "fault"), (at + 60 * SECOND, "idle")]
    teller.state(device, "elevator_state", until, step=MINUTE, changes=state)
    within = 11 * HOUR
    teller.must("safety.elevator-fails-often", device, "elevator_state", first, within=within, lasts=18 * HOUR)
    return teller.story(until)


def lift_not_moving(start: Instant, seed: int) -> Story:
    """A lift's landing buttons are dead from the morning on; its controller knows of nothing."""
    teller, until = Teller(start, seed), start + 10 * HOUR
    device = teller.device("lift-2", "elevator")
    fault, trips = start + 3 * HOUR, 48_211
    for at in every(start, until, 5 * MINUTE):
        trips += teller.random.randrange(0, 5) if at < fault else 0
        teller.say(device, "elevator_trips", at, trips)
        teller.say(device, "elevator_state", at, "idle")
    within = 200 * MINUTE
    teller.must("safety.elevator-not-moving", device, "elevator_trips", fault, within=within, lasts=until - fault)
    return teller.story(until)


def living_alone(start: Instant, seed: int) -> Story:
    """Somebody who lives alone falls in the evening; the day before, and its short nights, were like any other."""
    teller, until = Teller(start, seed), start + 44 * HOUR
    device = teller.device("flat-302-water", "water_meter", tags=["care-agreed"])
    fault, volume = start + 27 * HOUR, 211_480.0
    for at in every(start, until, HOUR):
        hour = int((at - start) // HOUR + 6) % 24
        litres = draws(teller.random, 1.0, hour, 1.3)
        if hour in {7, 12, 18}:
            litres += 9.0  # washing, cooking: what everybody does
        volume += litres if at < fault else 0.0
        teller.say(device, "water_volume", at, round(volume) / 1000)
    teller.must("safety.no-activity", device, "water_volume", fault, within=14 * HOUR, lasts=until - fault)
    return teller.story(until)


def _event(
    start: Instant, seed: int, *, device: tuple[str, str], quantity: str, rule: str, within: Instant, borne: Instant = 0
) -> Story:
    """Tell of a state that comes for a while: once for as long as is borne, and then for half an hour."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    name = teller.device(*device)
    fault = start + HOUR + round(teller.random.uniform(0, 120)) * SECOND
    changes: list[tuple[Instant, Value]] = [(start, False)]
    if borne:
        changes += [(start + 10 * MINUTE, True), (start + 10 * MINUTE + borne, False)]
    changes += [(fault, True), (fault + 30 * MINUTE, False)]
    teller.state(name, quantity, until, step=5 * MINUTE, changes=changes)
    teller.must(rule, name, quantity, fault, within=within, lasts=30 * MINUTE)
    return teller.story(until)


def ebike(start: Instant, seed: int) -> Story:
    """An e-bike is taken into a lift; a pram that the camera takes for one for two seconds is borne."""
    return _event(
        start,
        seed,
        device=("lift-2-camera", "camera"),
        quantity="ebike_in_elevator",
        rule="safety.ebike-in-elevator",
        within=10 * SECOND,
        borne=2 * SECOND,
    )


def emergency(start: Instant, seed: int) -> Story:
    """Somebody presses the button in an underground car park."""
    return _event(
        start,
        seed,
        device=("garage-button-3", "emergency_button"),
        quantity="emergency_button",
        rule="safety.emergency-button",
        within=5 * SECOND,
    )


def fire_lane(start: Instant, seed: int) -> Story:
    """A lorry is parked on the fire lane; a taxi that lets somebody out before that is borne."""
    return _event(
        start,
        seed,
        device=("lane-camera-1", "camera"),
        quantity="fire_lane_blocked",
        rule="safety.fire-lane-blocked",
        within=6 * MINUTE,
        borne=3 * MINUTE,
    )


def fire_door(start: Instant, seed: int) -> Story:
    """A fire door is wedged open for a move; furniture carried through before that is borne."""
    return _event(
        start,
        seed,
        device=("fire-door-4", "door"),
        quantity="fire_door_open",
        rule="safety.fire-door-open",
        within=11 * MINUTE,
        borne=6 * MINUTE,
    )


def crowding(start: Instant, seed: int) -> Story:
    """A crowd gathers at the gate; a school bus that empties before that is borne."""
    return _event(
        start,
        seed,
        device=("gate-camera-1", "camera"),
        quantity="crowding",
        rule="safety.crowding",
        within=90 * SECOND,
        borne=40 * SECOND,
    )


def intrusion(start: Instant, seed: int) -> Story:
    """Somebody walks along the fence at night and tries three places within six minutes."""
    teller, until = Teller(start, seed), start + 2 * HOUR
    fault = start + HOUR
    for number in range(4):
        device = teller.device(f"fence-{number + 1}", "fence_sensor")
        changes: list[tuple[Instant, Value]] = [(start, False)]
        if number:
            at = fault + (number - 1) * 150 * SECOND + round(teller.random.uniform(0, 30)) * SECOND
            changes += [(at, True), (at + 20 * SECOND, False)]
        teller.state(device, "intrusion", until, step=5 * MINUTE, changes=changes)
        if number:
            within = 9 * MINUTE
            teller.must("safety.intrusion", device, "intrusion", fault, within=within, lasts=20 * MINUTE)
    teller.must("safety.intrusion-repeated", "fence-4", "intrusion", fault, within=9 * MINUTE, lasts=20 * MINUTE)
    return teller.story(until)


def thrown_object(start: Instant, seed: int) -> Story:
    """From one building something falls three times within a week."""
    teller, until = Teller(start, seed), start + 6 * DAY
    device = teller.device("facade-camera-1", "camera")
    changes: list[tuple[Instant, Value]] = [(start, False)]
    falls = [start + day * DAY + round(teller.random.uniform(8, 20) * 3600) * SECOND for day in (0, 2, 4)]
    for at in falls:
        changes += [(at, True), (at + 10 * SECOND, False)]
        teller.must("safety.thrown-object", device, "thrown_object", at, within=30 * SECOND, lasts=HOUR)
    teller.state(device, "thrown_object", until, step=15 * MINUTE, changes=changes)
    teller.must("safety.thrown-object-repeated", device, "thrown_object", falls[2], within=MINUTE, lasts=HOUR)
    return teller.story(until)


def camera(start: Instant, seed: int) -> Story:
    """A camera is sprayed over, and its cable cut a quarter of an hour later."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    device = teller.device("gate-camera-1", "camera")
    fault = start + HOUR
    cut = fault + 15 * MINUTE
    covered: list[tuple[Instant, Value]] = [(start, False), (fault, True), (cut, False)]
    online: list[tuple[Instant, Value]] = [
        (start, True),
        (start + 20 * MINUTE, False),  # a switch that restarts is borne
        (start + 21 * MINUTE, True),
        (cut, False),
        (cut + HOUR, True),
    ]
    teller.state(device, "camera_tampered", until, step=MINUTE, changes=covered)
    teller.state(device, "camera_online", until, step=MINUTE, changes=online)
    teller.must("safety.camera-tampered", device, "camera_tampered", fault, within=90 * SECOND, lasts=15 * MINUTE)
    teller.must("safety.camera-lost", device, "camera_online", cut, within=3 * MINUTE, lasts=HOUR)
    return teller.story(until)


def detector_silent(start: Instant, seed: int) -> Story:
    """A smoke detector is painted over with its antenna; the others on its gateway go on."""
    teller, until = Teller(start, seed), start + 10 * HOUR
    fault = start + 4 * HOUR
    for number in range(3):
        device = teller.device(f"stairs-smoke-{number + 1}", "smoke_detector")
        ends = fault if number == 1 else until
        for at in every(start, ends, HOUR // 2):
            jitter = round(teller.random.uniform(0, 60)) * SECOND
            teller.say(device, "smoke_alarm", at + jitter, False)
    panel = teller.device("fire-panel-1", "fire_panel")
    teller.state(panel, "fire_panel_state", until, step=MINUTE, changes=[(start, "normal")])
    for rule, minutes in (("safety.detector-silent", 100), ("system.device-silent", 130)):
        teller.must(rule, "stairs-smoke-2", "smoke_alarm", fault, within=minutes * MINUTE, lasts=6 * HOUR)
    return teller.story(until)


def silent_gateway(start: Instant, seed: int) -> Story:
    """A gateway loses its power for an hour; what it had not sent comes late."""
    teller, until = Teller(start, seed), start + 3 * HOUR
    fault, back = start + HOUR, start + 2 * HOUR
    for number in range(3):
        device = teller.device(f"meter-{number + 1}", "electricity_meter")
        for at in every(start, until, 15 * SECOND):
            if fault <= at < back:
                continue
            # The last quarter of a minute was read and not sent.
            late = back - at if fault - 20 * SECOND <= at < fault else 0
            volts = round(229.0 + teller.random.gauss(0.0, 1.0), 1)
            teller.say(device, "voltage", at, volts, late=late)
        teller.must("system.device-silent", device, "voltage", fault - MINUTE, within=4 * MINUTE, lasts=HOUR)
    teller.must("system.gateway-silent", "meter-1", "voltage", fault - MINUTE, within=3 * MINUTE, lasts=HOUR)
    return teller.story(until)


SCENARIOS: Final = (
    Scenario("trapped", trapped),
    Scenario("lift-fails-often", lift_fails_often, hour=6.0),
    Scenario("lift-not-moving", lift_not_moving, hour=6.0),
    Scenario("ebike", ebike),
    Scenario("emergency", emergency),
    Scenario("fire-lane", fire_lane),
    Scenario("fire-door", fire_door),
    Scenario("intrusion", intrusion),
    Scenario("crowding", crowding),
    Scenario("thrown-object", thrown_object, hour=0.0),
    Scenario("camera", camera),
    Scenario("living-alone", living_alone, hour=6.0),
    Scenario("detector-silent", detector_silent),
    Scenario("silent-gateway", silent_gateway, dies_after=HOUR),
)
