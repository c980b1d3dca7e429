"""How full a line is, and by how much its plan must stretch to fit. Pure."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Final, TypeVar

from linli_core.instant import Instant

RESERVE: Final = 0.1
"""Share of the line that the polls of lower priority keep between them, however much the higher ones want."""

_ROUNDING: Final = 1e-9

WINDOW: Final = 30_000_000
"""Microseconds after which the measured use starts a new window; the one before still counts."""


def stretches(wanted: Mapping[int, float], capacity: float) -> dict[int, float]:
    """Return by how much the intervals of each priority must stretch.

    Args:
        wanted: Share of the line that the plan of each priority takes (lower number: goes first).
        capacity: Share of the line there is.

    Returns:
        For each priority 1.0 (the plan fits) or more. The higher priorities keep their plan as long as the lower
        ones are left :data:`RESERVE` of what is there, or all they want if that is less.
    """
    factors: dict[int, float] = {}
    room = capacity
    rest = sum(wanted.values())
    for priority in sorted(wanted):
        want = wanted[priority]
        rest -= want
        granted = min(want, room - min(max(rest, 0.0), RESERVE * room))
        room -= granted
        # Sums of floats: a plan that fits to the last digit must not be called stretched.
        factors[priority] = want / granted if want > granted + _ROUNDING else 1.0
    return factors


KeyT = TypeVar("KeyT", bound=Hashable)


def fair(wanted: Mapping[KeyT, float], room: float) -> dict[KeyT, float]:
    """Return what each is granted of a room that may be too small for all: max-min fair.

    Who wants less than an equal part gets all of it; the others share what is left evenly. So one that wants far too
    much takes nothing from those that do not.
    """
    granted: dict[KeyT, float] = {}
    left = len(wanted)
    for key in sorted(wanted, key=wanted.__getitem__):
        granted[key] = min(wanted[key], room / left)
        room -= granted[key]
        left -= 1
    return granted


class UseMeter:
    """Measured share of the line in use, over the last half minute to a minute."""

    def __init__(self, now: Instant) -> None:
        self._started = now
        self._busy = 0
        self._before: tuple[int, int] = (0, 0)

    def add(self, now: Instant, busy: int) -> None:
        """Book line time that ended now, in microseconds."""
        elapsed = now - self._started
        if elapsed < 0:
            # The clock was set back: what was measured by it says nothing any more.
            self._started, self._busy, self._before = now - busy, 0, (0, 0)
            elapsed = busy
        self._busy += busy
        if elapsed >= WINDOW:
            self._before = (self._busy, max(elapsed, self._busy))
            self._started, self._busy = now, 0

    def moved(self, by: int) -> None:
        """The clock was set, by microseconds: that is no time for which the line was idle."""
        self._started += by

    def use(self, now: Instant) -> float | None:
        """Return the share from 0 to 1; ``None`` before anything was measured."""
        elapsed = max(now - self._started, self._busy) + self._before[1]
        return min(1.0, (self._busy + self._before[0]) / elapsed) if elapsed else None


def plan_load(costs: Iterable[tuple[int | None, int]]) -> float | None:
    """Return the share of the line that polls of (cost, interval) will take; ``None`` if no cost is known."""
    known = [cost / interval for cost, interval in costs if cost is not None]
    return sum(known) if known else None
