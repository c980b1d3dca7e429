"""What else a building has: lifts, a roof tank, a booster, hydrants, detectors, cameras, doors."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_sim.models.tank import Tank
from linli_sim.truth.faults import Faults
from linli_sim.truth.ledger import Ledger, grid

Span = tuple[Instant, Instant]
_FIVE: Final = 5 * MINUTE
_STATES: Final = ("idle", "running", "maintenance", "stopped", "fault")
_RIDES: Final = (
    0.2, 0.1, 0.1, 0.1, 0.2, 1.0, 4.0, 9.0, 7.0, 4.0, 3.5, 5.0,
    5.5, 3.5, 3.0, 3.5, 5.0, 8.0, 9.0, 7.0, 5.0, 3.5, 1.5, 0.5,
)  # fmt: skip


class Building:
    """One building."""

    def __init__(self, ledger: Ledger, faults: Faults, gateway: str, seed: int) -> None:
        self._ledger, self._faults, self._gateway = ledger, faults, gateway
        self._random = np.random.default_rng(seed)
        self._trips = [40_000.0, 70_000.0]
        self._tank, self._filling = Tank(20.0, level=0.75), False
        self._hydrant = 350_000.0

    def tell(self, start: Instant) -> None:
        """Tell a day."""
        for number in range(2):
            self._tell_lift(start, number)
        self._tell_tank(start)
        self._tell_pressures(start)
        self._tell_watchers(start)

    def _tell_lift(self, start: Instant, number: int) -> None:
        ledger, random, lift = self._ledger, self._random, f"lift-{number + 1}"
        times = grid(start, start + DAY, _FIVE, 3 * SECOND)
        rides = np.array(_RIDES)[((times - start) // HOUR) % 24]
        begins, ends = self._faults.span("trapped", f"{self._gateway}/{lift}")
        stands = (times >= begins) & (times < ends)
        trips = random.poisson(rides / 2.0)
        trips[stands] = 0
        counts = self._trips[number] + np.cumsum(trips)
        self._trips[number] = float(counts[-1])
        ledger.tell(ledger.point(self._gateway, f"{lift}/elevator_trips", "elevator"), times, counts.astype(np.float64))
        # What its controller says: it stops for half a minute now and then, and goes on.
        state = ledger.point(self._gateway, f"{lift}/elevator_state", "elevator", labels=_STATES)
        edges: list[tuple[Instant, float]] = [(int(at), float(random.random() < 0.3)) for at in times]
        if random.random() < 0.12:
            at = start + int(random.uniform(7, 22) * HOUR)
            edges += [(at, 4.0), (at + int(random.uniform(15, 50)) * SECOND, 0.0)]
        if start // DAY % 15 == number:
            at = start + 10 * HOUR
            edges = [edge for edge in edges if not at <= edge[0] < at + HOUR] + [(at, 2.0), (at + HOUR, 0.0)]
        edges = [edge for edge in edges if not begins <= edge[0] < ends]
        edges += [(at, value) for at, value in ((begins, 3.0), (ends, 0.0)) if begins and start <= at < start + DAY]
        edges += [(int(at), 3.0) for at in times[stands]]
        edges.sort()
        ledger.tell(state, np.array([at for at, _ in edges], np.int64), np.array([value for _, value in edges]))
        trapped = ledger.point(self._gateway, f"{lift}/elevator_person_trapped", "elevator")
        spans = [(begins + 15 * SECOND, ends)] if begins else []
        ledger.state(trapped, start, start + DAY, _FIVE, spans)
        ebikes = ledger.point(self._gateway, f"{lift}-camera/ebike_in_elevator", "camera")
        ledger.state(ebikes, start, start + DAY, _FIVE, self._spans(start, 0.4, 1, 2))

    def _tell_tank(self, start: Instant) -> None:
        ledger = self._ledger
        times = grid(start, start + DAY, MINUTE, 11 * SECOND)
        begins, ends = self._faults.span("overflow", f"{self._gateway}/roof-tank")
        fill, wet = np.empty(len(times)), np.zeros(len(times))
        for minute, at in enumerate(times.tolist()):
            stuck = begins <= at < ends
            self._filling = stuck or self._tank.fill < 60.0 or (self._filling and self._tank.fill < 88.0)
            draw = (0.3 + 0.06 * _RIDES[minute // 60]) * self._random.uniform(0.5, 1.5)
            over = self._tank.step(60.0, inflow=8.0 if self._filling else 0.0, outflow=draw)
            fill[minute], wet[minute] = self._tank.fill, over > 0.05
        # A float bobs while the pump runs.
        shown = np.round(np.clip(fill + self._random.normal(0.0, 0.2, len(times)), 0.0, 100.0), 1)
        ledger.tell(ledger.point(self._gateway, "roof-tank/tank_fill", "tank"), times, shown)
        floor = ledger.point(self._gateway, "pump-room-floor/water_leak", "water_leak_sensor")
        # A mop's water is on the floor for seconds.
        ledger.state(floor, start, start + DAY, 10 * MINUTE, self._spans(start, 0.15, 3, 8))

    def _tell_pressures(self, start: Instant) -> None:
        ledger, random = self._ledger, self._random
        times = grid(start, start + DAY, MINUTE, 17 * SECOND)
        count = len(times)
        begins, ends = self._faults.span("main", f"{self._gateway}/booster")
        demand = np.array(_RIDES)[((times - start) // HOUR) % 24] * 3_000.0
        booster = 430_000.0 - demand * random.uniform(0.5, 1.5, count) + random.normal(0.0, 2_500.0, count)
        # A pump changes over: half a minute at 60 kPa less.
        booster -= 60_000.0 * (random.random(count) < 0.004)
        burst = (times >= begins) & (times < ends)
        booster = np.where(burst, 70_000.0 + random.normal(0.0, 3_000.0, count), booster)
        ledger.tell(
            ledger.point(self._gateway, "booster/water_pressure", "booster_set"),
            times,
            np.round(np.maximum(booster, 0.0), -2),
        )
        begins, ends = self._faults.span("hydrant", f"{self._gateway}/hydrant")
        hydrant = np.empty(count)
        for minute, at in enumerate(times.tolist()):
            if begins <= at < ends:
                # By the root of the pressure, with the forty minutes that the main's elasticity gives.
                self._hydrant = max(self._hydrant - math.sqrt(self._hydrant * 350_000.0) / 40.0, 0.0)
            else:
                # It seeps by ten kilopascals an hour until the jockey pump makes it up.
                self._hydrant = 350_000.0 if self._hydrant < 320_000.0 else self._hydrant - 10_000.0 / 60.0
            hydrant[minute] = self._hydrant
        hydrant += random.normal(0.0, 800.0, count)
        if start // DAY % 7 == 2:
            hydrant[600:602] -= 45_000.0  # the weekly test of the pump
        ledger.tell(
            ledger.point(self._gateway, "hydrant/hydrant_pressure", "hydrant"),
            times,
            np.round(np.maximum(hydrant, 0.0), -2),
        )

    def _tell_watchers(self, start: Instant) -> None:
        """Tell detectors, cameras, doors and buttons, which have little to say and a few slips."""
        point, state, end = self._ledger.point, self._ledger.state, start + DAY
        for number in range(10):
            smoke = point(self._gateway, f"smoke-{number + 1:02}/smoke_alarm", "smoke_detector")
            toast = self._spans(start, 0.0012, 60, 240)
            state(smoke, start + number * MINUTE, end, 6 * HOUR, toast)
        for number in range(3):
            camera = f"camera-{number + 1}"
            dark = self._spans(start, 0.1, 30, 100)
            online = self._ledger.point(self._gateway, f"{camera}/camera_online", "camera")
            self._online(online, start, dark)
            state(
                point(self._gateway, f"{camera}/crowding", "camera"), start, end, _FIVE, self._spans(start, 0.5, 5, 50)
            )
        lane = point(self._gateway, "lane-camera/fire_lane_blocked", "camera")
        state(lane, start, end, _FIVE, self._spans(start, 5.0, 20, 270))
        door = point(self._gateway, "fire-door/fire_door_open", "door")
        state(door, start, end, _FIVE, self._spans(start, 25.0, 5, 560))
        state(point(self._gateway, "facade-camera/thrown_object", "camera"), start, end, 15 * MINUTE, [])
        state(point(self._gateway, "button/emergency_button", "emergency_button"), start, end, HOUR,
              self._spans(start, 0.004, 2, 4))  # fmt: skip
        state(point(self._gateway, "manhole/manhole_open", "manhole"), start, end, HOUR, [])
        for number in range(2):
            fence = point(self._gateway, f"fence-{number + 1}/intrusion", "fence_sensor")
            state(fence, start, end, 10 * MINUTE, self._spans(start, 0.03, 1, 4))

    def _online(self, point: int, start: Instant, dark: Sequence[Span]) -> None:
        times = np.array(
            sorted(
                {*range(start, start + DAY, _FIVE), *(edge for span in dark for edge in span if edge < start + DAY)}
            ),
            np.int64,
        )
        online = np.ones(len(times))
        for begins, ends in dark:
            online[(times >= begins) & (times < ends)] = 0.0
        self._ledger.tell(point, times, online)

    def _spans(self, start: Instant, daily: float, shortest: float, longest: float) -> list[Span]:
        """Return short events of a day: so many on average, of so many seconds, one after the other."""
        random = self._random
        found: list[Span] = []
        for at in sorted(start + int(random.uniform(6.0, 23.0) * HOUR) for _ in range(random.poisson(daily))):
            if found and at < found[-1][1] + 30 * SECOND:
                continue
            found.append((at, min(at + int(random.uniform(shortest, longest) * SECOND), start + DAY - SECOND)))
        return found
