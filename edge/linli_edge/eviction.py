"""Which readings leave the log first when it is full and nothing has been acknowledged. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linli_core.model import Point
from linli_edge.outbox.message import NORMAL

LAST: Final = 9
"""The priority that goes first of all."""


@dataclass(frozen=True, slots=True)
class EvictionRule:
    """One ``[[outbox.priority]]`` of the configuration.

    Attributes:
        priority: 1 (as usual) to 9: the larger, the sooner it leaves a full log.
        device: Holds for this device only; ``None`` for all.
        quantity: Holds for this quantity only; ``None`` for all.
    """

    priority: int
    device: str | None = None
    quantity: str | None = None

    def holds_for(self, point: Point) -> bool:
        """Tell whether the rule is about a point."""
        return self.device in (None, point.device) and self.quantity in (None, point.quantity)


def priority_of(point: Point, rules: Sequence[EvictionRule]) -> int:
    """Return the priority by the first rule that holds for a point."""
    return next((rule.priority for rule in rules if rule.holds_for(point)), NORMAL)
