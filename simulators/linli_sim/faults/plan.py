"""Which faults come, in which order and for how long: all of it from one seed. Pure."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LONGEST: Final = 2.5
"""Seconds a fault lasts at most."""
_PAUSE: Final = 0.8


class Fault(StrEnum):
    """What can go wrong; the first word says where."""

    GATEWAY_KILL = "gateway_kill"
    GATEWAY_POWER = "gateway_power"
    GATEWAY_CUT = "gateway_cut"
    GATEWAY_BLACK_HOLE = "gateway_black_hole"
    GATEWAY_HALF_OPEN = "gateway_half_open"
    GATEWAY_SLOW = "gateway_slow"
    GATEWAY_DISK_FULL = "gateway_disk_full"
    GATEWAY_READ_ONLY = "gateway_read_only"
    GATEWAY_SLOW_DISK = "gateway_slow_disk"
    GATEWAY_CLOCK = "gateway_clock"
    GATEWAY_DAMAGE = "gateway_damage"
    PLATFORM_KILL = "platform_kill"
    PLATFORM_POWER = "platform_power"
    PLATFORM_CUT = "platform_cut"
    PLATFORM_BLACK_HOLE = "platform_black_hole"
    PLATFORM_HALF_OPEN = "platform_half_open"
    PLATFORM_SLOW = "platform_slow"
    PLATFORM_DISK_FULL = "platform_disk_full"
    PLATFORM_READ_ONLY = "platform_read_only"
    PLATFORM_SLOW_DISK = "platform_slow_disk"
    PLATFORM_CLOCK = "platform_clock"
    PLATFORM_RESTORE = "platform_restore"
    PLATFORM_SECOND = "platform_second"
    BROKER_KILL = "broker_kill"
    BROKER_FORGET = "broker_forget"


_RARE: Final[Mapping[Fault, float]] = {
    Fault.GATEWAY_DAMAGE: 0.5,
    Fault.PLATFORM_RESTORE: 0.4,
    Fault.PLATFORM_SECOND: 0.4,
}
"""Those that take long, or that hardly leave the others anything to do."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come.

    Attributes:
        fault: Which.
        pause: Seconds before it.
        seconds: How long it lasts.
        share: A number from 0 to 1 for whatever the fault leaves to chance.
    """

    fault: Fault
    pause: float
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Two lanes of faults that run side by side, so that they meet."""

    gateway: tuple[Planned, ...]
    platform: tuple[Planned, ...]


def plan(seed: int, faults: int, only: Collection[Fault] = tuple(Fault)) -> Plan:
    """Return a plan: each fault comes once before any comes by chance, as far as there is room for it.

    Args:
        seed: The same one makes the same plan.
        faults: How many; half of them in each lane that has any.
        only: Which.
    """
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    here = [fault for fault in Fault if fault.startswith("gateway") and fault in only]
    there = [fault for fault in Fault if not fault.startswith("gateway") and fault in only]
    if not here or not there:
        lane = _lane(chance, here or there, faults)
        return Plan(lane, ()) if here else Plan((), lane)
    return Plan(_lane(chance, here, faults // 2), _lane(chance, there, faults - faults // 2))


def _lane(chance: random.Random, kinds: list[Fault], count: int) -> tuple[Planned, ...]:
    chosen = chance.sample(kinds, len(kinds))[:count]
    weights = [_RARE.get(kind, 1.0) for kind in kinds]
    chosen += chance.choices(kinds, weights, k=count - len(chosen))
    return tuple(
        Planned(kind, chance.uniform(0.05, _PAUSE), chance.uniform(0.1, LONGEST), chance.random()) for kind in chosen
    )
