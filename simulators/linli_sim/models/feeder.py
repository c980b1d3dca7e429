"""A three-phase feeder: the voltages at its end by the loads, the line and the neutral. Pure, in complex amplitudes."""

import cmath
import math
from dataclasses import dataclass, field
from typing import Final

_TURN: Final = cmath.exp(2j * math.pi / 3)
_ANGLES: Final = (1 + 0j, _TURN**2, _TURN)
_LEAST: Final = 1e-12


@dataclass
class Feeder:
    """The feeder's state; the caller changes the loads and asks.

    Attributes:
        emf: Voltage of each phase at the transformer, V.
        line: Impedance of a phase up to the meter, Ω.
        neutral: Impedance of the neutral, Ω; infinite where it is lost.
        power: Active load of each phase at nominal voltage, W.
        factor: Power factor of each phase's load, lagging.
        fused: Whether each phase is there.
    """

    emf: float = 230.0
    line: complex = 0.04 + 0.02j
    neutral: float = 0.04
    power: list[float] = field(default_factory=lambda: [3000.0, 3000.0, 3000.0])
    factor: list[float] = field(default_factory=lambda: [0.97, 0.97, 0.97])
    fused: list[bool] = field(default_factory=lambda: [True, True, True])

    def voltages(self) -> tuple[complex, complex, complex]:
        """Return the voltage between each phase and the neutral at the meter (Millman's theorem)."""
        sources = [self.emf * angle for angle in _ANGLES]
        loads = [self._admittance(phase) for phase in range(3)]
        paths = [
            1 / (self.line + 1 / load) if fused and load else 0j for load, fused in zip(loads, self.fused, strict=True)
        ]
        star = sum(paths) + (0 if math.isinf(self.neutral) else 1 / self.neutral)
        shift = sum(s * path for s, path in zip(sources, paths, strict=True)) / star if star else 0j
        found = [
            (source - shift) * path / load if load and fused else 0j
            for source, path, load, fused in zip(sources, paths, loads, self.fused, strict=True)
        ]
        return found[0], found[1], found[2]

    def _admittance(self, phase: int) -> complex:
        angle = math.acos(self.factor[phase])
        apparent = max(self.power[phase], _LEAST) / self.factor[phase]
        return cmath.rect(apparent, -angle) / 220.0**2

    def powers(self) -> tuple[complex, complex, complex]:
        """Return what each phase draws now, W + j var."""
        volts = self.voltages()
        first, second, third = (abs(volt) ** 2 * self._admittance(n).conjugate() for n, volt in enumerate(volts))
        return first, second, third

    def line_voltages(self) -> tuple[float, float, float]:
        """Return the voltages between phases: 1-2, 2-3, 3-1."""
        first, second, third = self.voltages()
        return abs(first - second), abs(second - third), abs(third - first)

    def unbalance(self) -> float:
        """Return the negative sequence beside the positive one, %."""
        first, second, third = self.voltages()
        positive = abs(first + _TURN * second + _TURN**2 * third)
        negative = abs(first + _TURN**2 * second + _TURN * third)
        return 100.0 * negative / positive if positive else 100.0
