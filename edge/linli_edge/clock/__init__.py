"""What time it is at a gateway: how far it can be trusted, from whom it came, and how what came before is corrected."""

from linli_edge.clock.discipline import ClockMemory, Correction, Discipline, Era, Step
from linli_edge.clock.eras import corrected, mark
from linli_edge.clock.keeper import ClockKeeper

__all__ = ["ClockKeeper", "ClockMemory", "Correction", "Discipline", "Era", "Step", "corrected", "mark"]
