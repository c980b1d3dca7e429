"""A tank: what comes in, what goes out, what runs over. Pure."""

from dataclasses import dataclass


@dataclass
class Tank:
    """A tank.

    Attributes:
        volume: m³ when full to the overflow.
        level: Share of it that is filled.
    """

    volume: float
    level: float = 0.8

    def step(self, seconds: float, *, inflow: float, outflow: float) -> float:
        """Let time pass with flows in m³/h; return what ran over, m³."""
        held = self.level * self.volume + (inflow - outflow) * seconds / 3600.0
        over = max(held - self.volume, 0.0)
        self.level = max(held - over, 0.0) / self.volume
        return over

    @property
    def fill(self) -> float:
        """How full it is, %."""
        return 100.0 * self.level
