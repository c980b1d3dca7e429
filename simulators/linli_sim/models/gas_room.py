"""Gas in a room that is aired: one well mixed volume. Pure."""

import math
from dataclasses import dataclass
from typing import Final

LOWER_EXPLOSIVE: Final = 5.0
"""Methane in air, % of volume."""


@dataclass
class GasRoom:
    """A room into which gas comes.

    Attributes:
        volume: m³.
        airing: Changes of its air in an hour.
        source: Gas that comes in, m³/h.
        share: Share of the gas in the air, 0 to 1.
    """

    volume: float
    airing: float = 0.5
    source: float = 0.0
    share: float = 0.0

    def step(self, seconds: float) -> None:
        """Let time pass; exact for a source and an airing that do not change meanwhile."""
        out = self.airing + self.source / self.volume
        goal = self.source / self.volume / out if out else self.share
        self.share = goal + (self.share - goal) * math.exp(-out * seconds / 3600.0)

    @property
    def explosive(self) -> float:
        """What a detector of methane shows: % of the lower explosive limit, 100 at most."""
        return min(self.share * 100.0 / LOWER_EXPLOSIVE * 100.0, 100.0)

    @property
    def ppm(self) -> float:
        """Parts per million."""
        return self.share * 1e6
