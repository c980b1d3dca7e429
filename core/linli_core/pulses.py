"""Pulse inputs: what a meter with a pulse output has measured, from its pulses or from the count of a logger. Pure.

::

    counter = PulseCounter(PulseScale(Decimal(10), preset=Decimal(1234560), wrap=1 << 16), state)
    counter.count(65530, now)          # what a logger says it has counted; booked once the next count confirms it
    counter.pulse(now)                 # or one pulse, seen by ourselves
    counter.register                   # preset + pulses × 10, in the quantity's unit
    counter.state                      # to be kept over a restart

A logger's lines have no checksum, so that a digit may change or be lost on the way. A count is therefore held until the
next one goes on from it; one that nothing goes on from was damaged, and moves nothing. The register is as old as the
line before the last.

A count that is lower than the one before has run over, or its logger has started anew. It has run over if that needs no
more pulses than the meter can have made meanwhile; else the logger lost its count, and what it lost is unknown: its new
count is added, and :attr:`PulseCounter.doubtful` says that the register is a lower bound.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from linli_core.errors import ProtocolError
from linli_core.instant import MINUTE, SECOND, Instant

DELAY: Final = 10 * MINUTE
"""How long lines of a logger may wait on the way (a converter that connects again) and then come together."""

START: Final = 10 * SECOND
"""In which the first two lines of a logger may have been counted, if they come together."""


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
        last: The logger's count that was booked last; -1 before the first.
        seen: When it was seen, or when the last pulse was.
        resets: How often the logger lost its count.
        held: The count after that, which nothing has confirmed yet; -1 if there is none.
        held_at: When it was seen.
    """

    pulses: int = 0
    last: int = -1
    seen: Instant = 0
    resets: int = 0
    held: int = -1
    held_at: Instant = 0


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
        self.state = msgspec.structs.replace(state, pulses=state.pulses + 1, seen=now)
        return True

    def count(self, count: int, now: Instant) -> int | None:
        """Take what a logger has counted.

        Returns:
            The pulses that are booked now: up to the count before, which this one confirms. ``None``: nothing is
            confirmed; that is known with the next count.

        Raises:
            ProtocolError: The count is higher than any the logger can have (kind ``out_of_range``), or the count before
                was damaged, for this one goes on from an earlier one (kind ``unconfirmed``). What is right goes on as
                if nothing had been.
        """
        wrap, state = self.scale.wrap, self.state
        if count < 0 or (wrap is not None and count >= wrap):
            raise ProtocolError(f"a count of {count}, where {wrap} is never reached", kind="out_of_range")
        held = state.held
        if state.last < 0 and held < 0:
            self.state = msgspec.structs.replace(state, seen=now, held=count, held_at=now)
            return 0  # the preset was read off now
        goes_on_from_last = state.last >= 0 and self._forward(state.last, state.seen, count, now) is not None
        fresh = self._confirmed(goes_on_from_last, count, now)
        if fresh is not None:
            resets = state.resets + (1 if fresh[1] else 0)
            self.state = PulseState(state.pulses + fresh[0], held, state.held_at, resets, count, now)
            return fresh[0]
        self.state = msgspec.structs.replace(state, held=count, held_at=now)
        if held >= 0 and goes_on_from_last:
            raise ProtocolError(
                f"a count of {held} between {state.last} and {count}: a digit changed on the way", kind="unconfirmed"
            )
        return None

    def _confirmed(self, goes_on_from_last: bool, count: int, now: Instant) -> tuple[int, bool] | None:
        """Return the pulses up to the held count, and whether they begin anew; ``None`` if ``count`` proves it not."""
        state = self.state
        steps = None if state.held < 0 else self._forward(state.held, state.held_at, count, now)
        if steps is None:
            return None
        if state.last < 0:
            # Where counting begins there is no count before to tell a lost digit by: only what is likely is believed.
            return (0, False) if steps <= max(now - state.held_at, START) / SECOND * self.scale.fastest else None
        fresh = self._forward(state.last, state.seen, state.held, state.held_at)
        if fresh is not None:
            return fresh, False
        # A logger that lost its count goes on from the low one, and not from the one it had.
        return None if goes_on_from_last or state.held >= state.last else (state.held, True)

    def _forward(self, before: int, then: Instant, after: int, now: Instant) -> int | None:
        """Return the pulses from one count to another; ``None`` if the meter cannot have made as many."""
        wrap = self.scale.wrap
        if after >= before:
            # Lines that waited on the way come all at once.
            most = max(now - then, DELAY) / SECOND * self.scale.fastest
            return after - before if after - before <= most else None
        if wrap is None:
            return None
        # A clock that was set back says nothing of how long it was: then a second is believed.
        fresh = after - before + wrap
        return fresh if fresh <= max((now - then) / SECOND, 1.0) * self.scale.fastest else None
