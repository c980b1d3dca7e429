"""Pulse inputs: what a meter with a pulse output has measured, from its pulses or from the count of a logger. Pure.

::

    counter = PulseCounter(PulseScale(Decimal(10), preset=Decimal(1234560), wrap=1 << 16), state)
    counter.count(65530, now)          # what a logger says it has counted
    counter.pulse(now)                 # or one pulse, seen by ourselves
    counter.register                   # preset + pulses × 10, in the quantity's unit
    counter.state                      # to be kept over a restart

A count that is lower than the one before has run over, or its logger has started anew. It has run over if that needs no
more pulses than the meter can have made meanwhile; else the logger lost its count, and what it lost is unknown: its new
count is added, and :attr:`PulseCounter.resets` says that the register is a lower bound.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from linli_core.errors import ProtocolError
from linli_core.instant import MINUTE, SECOND, Instant

DELAY: Final = 10 * MINUTE
"""How long lines of a logger may wait on the way (a converter that connects again) and then come together."""


@dataclass(frozen=True, slots=True)
class PulseScale:
    """What a pulse is worth.

    Attributes:
        worth: Of one pulse, in the quantity's unit.
        preset: What the meter's face showed when counting began, in the same unit.
        wrap: A logger's count that comes after the highest: 65536, 2**32, 1000000; ``None``: it never runs over.
        debounce: Microseconds in which a contact may bounce: pulses nearer than that are one.
        fastest: Pulses a second that the meter can make at most.
    """

    worth: Decimal
    preset: Decimal = Decimal(0)
    wrap: int | None = None
    debounce: int = 0
    fastest: float = 100.0


class PulseState(msgspec.Struct, frozen=True):
    """What must survive a restart.

    Attributes:
        pulses: Counted since the preset was read off.
        last: The logger's count that was seen last; -1 before the first.
        seen: When that was.
        resets: How often the logger lost its count.
    """

    pulses: int = 0
    last: int = -1
    seen: Instant = 0
    resets: int = 0


EMPTY: Final = PulseState()


class PulseCounter:
    """One input.

    Attributes:
        scale: What its pulses are worth.
        state: What must survive a restart.
        bounced: Pulses that were none, since it was made.
    """

    def __init__(self, scale: PulseScale, state: PulseState = EMPTY) -> None:
        self.scale = scale
        self.state = state
        self.bounced = 0
        self._last_pulse: Instant | None = None

    @property
    def register(self) -> Decimal:
        """What the meter's face should show, in the quantity's unit."""
        return self.scale.preset + self.state.pulses * self.scale.worth

    @property
    def doubtful(self) -> bool:
        """Whether pulses may be missing."""
        return self.state.resets > 0

    def pulse(self, now: Instant) -> bool:
        """Take one pulse; return whether it counts, or is the bouncing of the one before."""
        before, self._last_pulse = self._last_pulse, now
        if before is not None and 0 <= now - before < self.scale.debounce:
            self.bounced += 1
            return False
        state = self.state
        self.state = PulseState(state.pulses + 1, state.last, now, state.resets)
        return True

    def count(self, count: int, now: Instant) -> int:
        """Take what a logger has counted; return the pulses since the last time.

        Raises:
            ProtocolError: The count is higher than any the logger can have, or than the meter can have made since the
                last one (kind ``out_of_range``): a digit changed on the way. The next right one goes on as if nothing
                had been.
        """
        wrap, state = self.scale.wrap, self.state
        if count < 0 or (wrap is not None and count >= wrap):
            raise ProtocolError(f"a count of {count}, where {wrap} is never reached", kind="out_of_range")
        resets = state.resets
        if state.last < 0:
            fresh = 0
        elif count >= state.last:
            fresh = count - state.last
            if fresh > self._possible(now):
                raise ProtocolError(f"{fresh} pulses more are more than the meter can make", kind="out_of_range")
        elif self._ran_over(count, now):
            fresh = count - state.last + (wrap or 0)
        else:
            fresh, resets = count, resets + 1
        self.state = PulseState(state.pulses + fresh, count, now, resets)
        return fresh

    def _ran_over(self, count: int, now: Instant) -> bool:
        wrap, state = self.scale.wrap, self.state
        if wrap is None:
            return False
        # A clock that was set back says nothing of how long it was: then a second is believed.
        seconds = max((now - state.seen) / SECOND, 1.0)
        return count - state.last + wrap <= seconds * self.scale.fastest

    def _possible(self, now: Instant) -> float:
        """Return the most pulses there can be since the last count; lines that waited on the way come all at once."""
        return max(now - self.state.seen, DELAY) / SECOND * self.scale.fastest
