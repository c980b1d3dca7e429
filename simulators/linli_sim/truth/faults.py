"""What is planted: which fault, where, from when to when, which rule must say so, and by when.

The time within which a rule must speak is counted from the fault's first second: the rule's own delay, and what physics
takes to get there. It stands beside each fault and is never changed by what came of it.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from linli_core.instant import DAY, HOUR, MINUTE, Instant
from linli_sim.scenarios.story import Truth

TAIL: Final = 2 * HOUR
"""So long after a fault is mended its alarms still follow from it: windows are full of it, people tidy up."""


class Fault(NamedTuple):
    """A fault.

    Attributes:
        kind: Which; those who simulate it ask for it by this name and ``where``.
        where: The device or building it happens to.
        begins: Its first instant.
        ends: When it is mended.
        truth: What must be said of it.
        follows: Rules and subjects (globs) that may say something too, because of it.
    """

    kind: str
    where: str
    begins: Instant
    ends: Instant
    truth: Truth
    follows: tuple[tuple[str, str], ...] = ()

    def accounts_for(self, rule: str, subject: str, at: Instant) -> bool:
        """Tell whether an alarm is because of this fault."""
        if not self.begins <= at <= self.truth.ends:
            return False
        return self.truth.is_about(rule, subject) or any(
            fnmatchcase(rule, rules) and fnmatchcase(subject, subjects) for rules, subjects in self.follows
        )


class Planned(NamedTuple):
    """A fault before its day is known.

    Attributes:
        kind: As in :class:`Fault`.
        where: As there; ``gateway/device`` of what the truth is about.
        hour: Local hour at which it begins.
        lasts: Until it is mended.
        rule: What must speak.
        quantity: Of which point.
        within: In what time.
        follows: As in :class:`Fault`.
        after: Days of normal life it needs before it.
    """

    kind: str
    where: str
    hour: float
    lasts: Instant
    rule: str
    quantity: str
    within: Instant
    follows: tuple[tuple[str, str], ...] = ()
    after: int = 0


PLANNED: Final = (
    Planned(
        "compressor",
        "gw-canteen/cold-room-1",
        5.0,
        20 * HOUR,
        "food.chilled-warm",
        "air_temperature",
        10 * HOUR,
        (("food.*", "gw-canteen/cold-room-1*"),),
    ),
    Planned(
        "compressor",
        "gw-canteen/freezer-1",
        18.0,
        14 * HOUR,
        "food.frozen-warm",
        "air_temperature",
        4 * HOUR,
        (("food.*", "gw-canteen/freezer-1*"),),
    ),
    Planned(
        "door",
        "gw-canteen/freezer-2",
        23.0,
        25 * MINUTE,
        "food.door-open-at-night",
        "door_open",
        5 * MINUTE,
        (("food.*", "gw-canteen/freezer-2*"),),
    ),
    Planned("probe", "gw-canteen/cold-room-2", 14.0, 5 * HOUR, "food.probe-fault", "probe_fault", 4 * MINUTE,
            (("food.probe-*", "gw-canteen/cold-room-2*"),)),
    Planned("gas", "gw-canteen/kitchen-gas-1", 10.5, 30 * MINUTE, "food.kitchen-gas", "combustible_gas", 5 * MINUTE,
            (("safety.gas-*", "gw-canteen/kitchen-gas-1*"),)),
    Planned("leak", "gw-1/bulk-water", 15.0, 4 * DAY, "utility.leak-night-flow", "water_volume", 40 * HOUR,
            (("utility.water-losses", "gw-1"), ("utility.water-use-unusual", "gw-1/*"))),
    Planned("toilet", "gw-2/flat-07-water", 9.0, 5 * DAY, "utility.leak-dwelling", "water_volume", 64 * HOUR),
    Planned("hose", "gw-2/flat-11-water", 10.0, 3 * HOUR, "utility.burst-dwelling", "water_volume", 80 * MINUTE,
            (("utility.water-use-unusual", "gw-2/*"),)),
    Planned("main", "gw-3/booster", 8.5, 3 * HOUR, "utility.burst-pressure", "water_pressure", 5 * MINUTE,
            (("utility.water-*", "gw-3*"), ("safety.tank-low", "gw-3/*"))),
    Planned("theft", "gw-3/bulk-electricity", 12.0, 5 * DAY, "utility.electricity-losses", "energy_import", 40 * HOUR),
    Planned("gas-tap", "gw-4/flat-05-gas", 9.0, 5 * DAY, "utility.gas-never-stops", "gas_volume", 64 * HOUR),
    Planned("fall", "gw-1/flat-03-water", 19.0, 22 * HOUR, "safety.no-activity", "water_volume", 15 * HOUR),
    Planned("outage", "gw-4/flat-01-electricity", 20.0, 50 * MINUTE, "utility.outage-wide", "power_present", MINUTE,
            (("utility.*", "gw-4*"), ("system.device-silent", "gw-4/*"))),
    Planned("neutral", "gw-5/feeder", 19.5, 20 * MINUTE, "utility.neutral-lost", "voltage.l3", 90 * 1_000_000,
            (("utility.*", "gw-5/*"),)),
    Planned("gateway", "gw-2/feeder", 2.5, 5 * HOUR, "system.gateway-silent", "voltage.l1", 5 * MINUTE,
            (("*", "gw-2*"),)),
    Planned("trapped", "gw-3/lift-1", 18.25, 25 * MINUTE, "safety.elevator-person-trapped", "elevator_person_trapped",
            MINUTE, (("safety.elevator-*", "gw-3/lift-1*"),)),
    Planned("overload", "gw-centre/transformer", 19.0, 90 * MINUTE, "utility.transformer-overloaded", "apparent_power",
            15 * MINUTE, (("utility.transformer-*", "gw-centre/transformer*"),)),
    Planned("hydrant", "gw-5/hydrant", 3.0, 6 * HOUR, "safety.hydrant-pressure-low", "hydrant_pressure", 75 * MINUTE),
    Planned("overflow", "gw-1/roof-tank", 22.0, 4 * HOUR, "safety.tank-overflow", "tank_fill", 60 * MINUTE),
    Planned("joint", "gw-4/riser", 17.0, 4 * HOUR, "safety.cable-hot", "cable_temperature", 50 * MINUTE,
            (("safety.*", "gw-4/riser*"),)),
)  # fmt: skip
"""Twenty, of as many kinds."""


def plant(planned: Sequence[Planned], start: Instant, days: int) -> list[Fault]:
    """Spread faults over the days, from the second on, so that none begins where another of its gateway goes on.

    Args:
        planned: What to plant.
        start: Local midnight of the first day.
        days: How many there are.
    """
    found: list[Fault] = []
    room = days - 1
    for number, it in enumerate(planned):
        takes = max(it.lasts, it.within) // DAY + 1
        day = 1 + (number * 7 + number // 4) % max(room - takes, 1)
        begins = start + day * DAY + round(it.hour * HOUR)
        ends = min(begins + it.lasts, start + days * DAY)
        truth = Truth(it.rule, f"{it.where}/{it.quantity}", begins, ends + TAIL, begins + it.within)
        found.append(Fault(it.kind, it.where, begins, ends, truth, it.follows))
    return sorted(found, key=lambda fault: fault.begins)


class Faults:
    """The faults of a run, asked by those who simulate what they happen to."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.all = tuple(faults)
        self._by_place = {(fault.kind, fault.where): fault for fault in self.all}

    def span(self, kind: str, where: str) -> tuple[Instant, Instant]:
        """Return from when to when a fault is there; an empty span if it is not planted."""
        fault = self._by_place.get((kind, where))
        return (0, 0) if fault is None else (fault.begins, fault.ends)

    def spans(self, kind: str, where: str) -> list[tuple[Instant, Instant]]:
        """Return the same as a list, which is empty if it is not planted."""
        span = self.span(kind, where)
        return [span] if span != (0, 0) else []
