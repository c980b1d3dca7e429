"""What one poll has brought so far. Pure.

A register that multiplies may come after what it multiplies, and in another answer: such blocks wait until all have
come.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from linli_core.instant import Instant
from linli_core.model import Point, Reading, Reason, missing
from linli_edge.drivers.modbus.plan import Block, Factors
from linli_edge.drivers.modbus.registers import MappedPoint


class Harvest:
    """The readings of one poll, as its answers come in.

    Attributes:
        answered: Whether the device has said anything, a refusal included.
    """

    def __init__(self, factors: Mapping[MappedPoint, Fraction | Reason]) -> None:
        """Begin with what is known of multiplying registers that are not asked for."""
        self.answered = False
        self._factors: Factors = dict(factors)
        self._readings: list[Reading] = []
        self._held: list[tuple[Block, bytes, Instant]] = []

    def take(self, block: Block, data: bytes, at: Instant) -> Factors:
        """Take the data bytes of a block's answer; return what its multiplying registers hold."""
        self.answered = True
        if block.needs:
            self._held.append((block, data, at))
        else:
            self._readings += block.decode(data, at, self._factors)
        if not block.gives:
            return {}
        found = block.factors_in(data)
        self._factors |= found
        return found

    def without(self, blocks: Iterable[Block], reason: Reason, at: Instant) -> None:
        """Take note of blocks that brought nothing."""
        for block in blocks:
            self.missing(block.points, reason, at)
            self.worthless(block.gives, reason)

    def worthless(self, registers: Iterable[MappedPoint], reason: Reason) -> None:
        """Take note of multiplying registers that could not be read."""
        self._factors |= dict.fromkeys(registers, reason)

    def missing(self, points: Iterable[Point], reason: Reason, at: Instant) -> None:
        """Take note of points that could not be read."""
        self._readings += [missing(point, at, reason) for point in points]

    def void(self, guards: Iterable[MappedPoint]) -> list[Reading]:
        """Return everything without a value: registers that had to be read with the others were not."""
        held = [self._factors.get(register) for register in guards]
        reason = next((found for found in held if isinstance(found, Reason)), Reason.NO_COMMUNICATION)
        return [
            reading if reading.value is None else missing(reading.point, reading.observed_at, reason)
            for reading in self.readings()
        ]

    def readings(self) -> list[Reading]:
        """Return everything, now that nothing more will come."""
        for block, data, at in self._held:
            self._readings += block.decode(data, at, self._factors)
        self._held = []
        return self._readings
