"""A dwelling's water: toilets, taps, showers, machines, as events by the hour of the day. Pure."""

import random
from typing import Final, NamedTuple

HOURS: Final = (
    0.25, 0.12, 0.08, 0.06, 0.08, 0.35, 1.20, 1.70, 1.30, 0.95, 0.85, 1.05,
    1.20, 0.80, 0.70, 0.75, 0.95, 1.35, 1.80, 1.70, 1.55, 1.35, 0.95, 0.55,
)  # fmt: skip
"""How often water is drawn in each hour beside the day's mean; nobody sleeps through every night."""


class Draw(NamedTuple):
    """A kind of draw: litres, seconds, times a day and head."""

    litres: float
    seconds: float
    daily: float


DRAWS: Final = (
    Draw(6.0, 40.0, 5.0),  # toilet
    Draw(2.0, 20.0, 14.0),  # tap
    Draw(45.0, 420.0, 0.7),  # shower
    Draw(50.0, 3000.0, 0.18),  # washing machine
)


def draws(chance: random.Random, people: float, hour: int, activity: float = 1.0) -> float:
    """Return the litres that a household draws in an hour.

    Args:
        chance: Its chance.
        people: How many live there.
        hour: Local hour, 0 to 23.
        activity: 0 while they are away, more than 1 with guests.
    """
    litres = 0.0
    for kind in DRAWS:
        expected = kind.daily * people * activity * HOURS[hour] / 22.0
        count = _poisson(chance, expected)
        litres += sum(kind.litres * chance.uniform(0.6, 1.5) for _ in range(count))
    return litres


def _poisson(chance: random.Random, expected: float) -> int:
    """Return how many events happen (by their exponential gaps)."""
    count, left = 0, expected
    while left > 0 and (left := left - chance.expovariate(1.0)) > 0:
        count += 1
    return count
