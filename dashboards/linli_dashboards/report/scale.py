"""Axes: round numbers, and where a value stands between them."""

import math
from dataclasses import dataclass
from typing import Final

_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class Scale:
    """From ``lowest`` to ``highest``, in steps that people count in."""

    lowest: float
    highest: float
    step: float

    @property
    def ticks(self) -> tuple[float, ...]:
        """The values that are written at the axis."""
        count = round((self.highest - self.lowest) / self.step)
        return tuple(self.lowest + self.step * number for number in range(count + 1))

    def part(self, value: float) -> float:
        """Return where a value stands, 0 at the lowest and 1 at the highest."""
        return (value - self.lowest) / (self.highest - self.lowest)

    def told(self, value: float) -> str:
        """Return a tick as it is written."""
        digits = 0
        while digits < _DIGITS and abs(round(self.step, digits) - self.step) > 1e-9 * self.step:
            digits += 1
        return f"{value:,.{digits}f}"


def scale(lowest: float, highest: float, steps: int = 4, *, whole: bool = False) -> Scale:
    """Return a scale that holds both values, of about so many steps of 1, 2, 2.5 or 5 times a power of ten.

    Of what is counted, nothing lies between two whole numbers: ``whole`` steps are at least one.
    """
    span = highest - lowest
    if span <= 0:
        span = abs(highest) or 1.0
    rough = span / steps
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, math.ceil(step))
    low, high = math.floor(lowest / step + 1e-9) * step, math.ceil(highest / step - 1e-9) * step
    return Scale(low, high if high > low else low + step, step)
