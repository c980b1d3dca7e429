"""A household's electricity over a day, as its meter shows it. Pure: ``step`` with the time of day as an argument.

The counters are the integral of the powers that were shown, so that what a meter counts and what it measures agree.
"""

import math
import random
from dataclasses import dataclass
from typing import Final

HOURLY: Final = (
    0.35, 0.28, 0.25, 0.24, 0.25, 0.35, 0.65, 0.95, 0.85, 0.60, 0.55, 0.60,
    0.80, 0.65, 0.55, 0.55, 0.65, 0.90, 1.35, 1.60, 1.50, 1.25, 0.90, 0.55,
)  # fmt: skip
"""A residential day: share of the mean load in each hour; its mean is about 0.7 and leaves room for appliances."""

_LONGEST: Final = 60.0


@dataclass
class PhaseLoad:
    """One phase: what is connected to it now.

    Attributes:
        voltage: V.
        current: A.
        power: Active power in W.
        reactive: Reactive power in var.
        apparent: Apparent power in VA.
        energy: Wh used since the counter began.
        reactive_energy: varh, the same.
        appliance: W of a large appliance that runs now.
        until: Seconds since the start at which the next appliance is switched on or off.
        drift: V, slow.
        wobble: Share of the base load, slow.
    """

    voltage: float = 230.0
    current: float = 0.0
    power: float = 0.0
    reactive: float = 0.0
    apparent: float = 0.0
    energy: float = 0.0
    reactive_energy: float = 0.0
    appliance: float = 0.0
    until: float = 0.0
    drift: float = 0.0
    wobble: float = 0.0

    @property
    def power_factor(self) -> float:
        """Active over apparent power."""
        return self.power / self.apparent if self.apparent else 1.0


class Household:
    """A dwelling on one or three phases.

    Attributes:
        phases: The three phases (a single-phase dwelling has one).
        frequency: Hz.
    """

    def __init__(self, seed: int, *, phases: int = 3, mean_watts: float = 450.0) -> None:
        """Make a household.

        Args:
            seed: The same seed and the same steps give the same day.
            phases: 1 or 3.
            mean_watts: Mean of the base load over a day, all phases together.
        """
        self._random = random.Random(seed)  # noqa: S311 - a repeatable day, no secret
        self._mean = mean_watts * self._random.uniform(0.6, 1.5) / phases
        self._shift = self._random.gauss(0.0, 0.6)
        self._elapsed = 0.0
        self.frequency = 50.0
        self.phases = [PhaseLoad() for _ in range(phases)]
        for phase in self.phases:
            phase.energy = float(self._random.randrange(300_000, 9_000_000))
            phase.reactive_energy = phase.energy * 0.2

    def step(self, seconds: float, hour: float) -> None:
        """Let time pass.

        Args:
            seconds: How much.
            hour: Local time of day at its end, 0 to 24.
        """
        left = seconds
        while left > 0:
            span = min(left, _LONGEST)
            left -= span
            self._advance(span, hour - left / 3600.0)

    def _advance(self, seconds: float, hour: float) -> None:
        self._elapsed += seconds
        keep = math.exp(-seconds / 120.0)
        spread = math.sqrt(1.0 - keep * keep)
        self.frequency = 50.0 + (self.frequency - 50.0) * keep + self._random.gauss(0.0, 0.012) * spread
        base = self._mean * share_of_day(hour + self._shift)
        for phase in self.phases:
            self._switch(phase, hour)
            phase.wobble = phase.wobble * keep + self._random.gauss(0.0, 0.08) * spread
            phase.drift = phase.drift * keep + self._random.gauss(0.0, 1.2) * spread
            phase.power = max(8.0, base * (1.0 + phase.wobble)) + phase.appliance
            # Electronics and motors draw some reactive power; heating appliances hardly any.
            phase.reactive = base * 0.35 + phase.appliance * 0.05
            phase.apparent = math.hypot(phase.power, phase.reactive)
            phase.voltage = 231.5 + phase.drift - phase.apparent / 2200.0
            phase.current = phase.apparent / phase.voltage
            phase.energy += phase.power * seconds / 3600.0
            phase.reactive_energy += phase.reactive * seconds / 3600.0

    def _switch(self, phase: PhaseLoad, hour: float) -> None:
        """Switch a large appliance on or off when its time has come."""
        if self._elapsed < phase.until:
            return
        if phase.appliance or phase.until == 0.0:
            phase.appliance = 0.0
            phase.until = self._elapsed + self._random.expovariate(1.0 / (2400.0 / share_of_day(hour)))
        else:
            phase.appliance = self._random.choice((900.0, 1200.0, 1500.0, 2000.0, 2200.0))
            phase.until = self._elapsed + self._random.expovariate(1.0 / 360.0)

    @property
    def power(self) -> float:
        """Active power of all phases in W."""
        return sum(phase.power for phase in self.phases)

    @property
    def reactive(self) -> float:
        """Reactive power of all phases in var."""
        return sum(phase.reactive for phase in self.phases)

    @property
    def apparent(self) -> float:
        """Apparent power in VA (of the sums, as meters show it)."""
        return math.hypot(self.power, self.reactive)

    @property
    def energy(self) -> float:
        """Energy of all phases in Wh."""
        return sum(phase.energy for phase in self.phases)

    @property
    def reactive_energy(self) -> float:
        """Reactive energy of all phases in varh."""
        return sum(phase.reactive_energy for phase in self.phases)


def share_of_day(hour: float) -> float:
    """Return the load's share at a time of day, smooth between the hours."""
    whole = math.floor(hour)
    part = hour - whole
    return HOURLY[whole % 24] * (1.0 - part) + HOURLY[(whole + 1) % 24] * part
