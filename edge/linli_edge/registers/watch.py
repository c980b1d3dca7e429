"""One cumulative register: what may follow what. Pure: time is an argument.

Theory of operation
    A register only rises, no faster than physics allows (:data:`FASTEST`). A value that fits is the new *baseline*.
    One that does not is a *suspect*: it is kept and sent as UNCERTAIN with a reason, and the baseline stays, so that a
    garbled telegram or a moment of zero costs nothing. A suspect becomes the new baseline once :data:`CONFIRMED_BY`
    readings in a row have followed each other from it as a register's do, over :data:`CONFIRMED_AFTER` at least; that
    is told as what it was: a reset, a jump. If the old course is taken up again before, it was a dip or a glitch.

    * **Rollover**: the value fell by nearly the register's whole range. Where the range is known (from the profile, or
      because the value is a 16- or 32-bit number) it is accepted at once. Where it is not, the next power of ten is
      tried, with caution: the value must have been within a hundredth of it. Zero itself waits for what comes next.
    * **Unit jump**: the value is a power of ten times what it was (a meter set from Wh to kWh, a lost decimal point).
      Nothing confirms it but a person: it stays UNCERTAIN until the register comes back or a swap is entered. What
      physics allows is much to a small meter, and anything after a week off; so a rise to a power of ten of what it
      was is measured by the meter's own pace (:mod:`linli_edge.registers.pace`). By that alone nothing else is doubted,
      and where the register goes on faster than its pace in either unit, it was a rise after all.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from linli_core.instant import DAY, HOUR, MINUTE, Instant
from linli_core.model import Reason
from linli_edge.registers.pace import Pace, usual

FASTEST: Final = {"Wh": 20e6, "varh": 20e6, "kVAh": 20e3, "m3": 5_000.0}
"""Most that a register rises in an hour, by its unit: a feeder of 20 MW, a main of 5,000 m³/h."""

FASTEST_OF: Final = {"heat_cost_units": 60.0}
"""The same for quantities without a unit: a radiator that is never cold counts some dozens a day."""

UNKNOWN: Final = {"Wh": 100e3, "varh": 100e3, "kVAh": 100.0, "m3": 20.0}
"""What a register is believed to rise in an hour while its own pace is not known: a big house."""

CONFIRMED_BY: Final = 3
CONFIRMED_AFTER: Final = MINUTE
ZERO_CONFIRMED_AFTER: Final = DAY
"""How long a register stands at zero before it counts as reset: a new meter in a house where nobody lives yet."""

_SLACK: Final = MINUTE
"""Clocks of meters and gateways differ, and a poll takes its time: so much of the fastest rise is always allowed."""
_NEARLY_FULL: Final = 0.9
_NEARLY_A_POWER: Final = 0.99
_LEAST: Final = 10.0
"""The smallest step up of a unit."""
_FACTORS: Final = (1e3, 1e-3, 1e2, 1e-2, 1e1, 1e-1, 1e6, 1e-6)


class Happening(StrEnum):
    """What became of a register. The words are part of event types: never renamed."""

    ROLLOVER = "rollover"
    RESET = "reset"
    ZERO_DIP = "zero_dip"
    UNIT_JUMP = "unit_jump"
    JUMP = "jump"
    GLITCH = "glitch"


class Suspect(msgspec.Struct):
    """Values that do not follow the baseline.

    Attributes:
        kind: What they seem to be.
        first, first_at: The first of them.
        last, last_at: The newest.
        count: How many followed each other.
        told: It has been told.
    """

    kind: Happening
    first: float
    first_at: Instant
    last: float
    last_at: Instant
    count: int = 1
    told: bool = False


class Baseline(msgspec.Struct):
    """What is remembered of a register over a restart.

    Attributes:
        value, at: The last value that fitted.
        suspect: What has come since and does not.
        pace: How fast it has been seen to rise.
    """

    value: float
    at: Instant
    suspect: Suspect | None = None
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Something happened to a register.

    Attributes:
        kind: What.
        before, before_at: The last value that fitted.
        after, after_at: The value that did not; of a dip or glitch the first of them.
        at: When it was certain.
        factor: Of a unit jump.
        modulus: Of a rollover: the register's range.
        assumed: Of a rollover: whether the range was inferred.
    """

    kind: Happening
    before: float
    before_at: Instant
    after: float
    after_at: Instant
    at: Instant
    factor: float | None = None
    modulus: float | None = None
    assumed: bool = False


REASONS: Final = {
    Happening.RESET: Reason.REGISTER_RESET,
    Happening.ZERO_DIP: Reason.ZERO_DIP,
    Happening.UNIT_JUMP: Reason.UNIT_JUMP,
    Happening.JUMP: Reason.IMPLAUSIBLE_RISE,
}


class RegisterWatch:
    """The course of one register.

    Attributes:
        baseline: What is remembered; ``None`` before the first value.
    """

    __slots__ = ("_allowed", "_moduli", "_rate", "_unknown", "baseline")

    def __init__(
        self,
        per_hour: float,
        moduli: tuple[float, ...] = (),
        baseline: Baseline | None = None,
        *,
        unknown: float | None = None,
    ) -> None:
        """Store.

        Args:
            per_hour: Most it rises in an hour.
            moduli: At which values it begins again at zero, as far as known.
            baseline: What is remembered of it.
            unknown: What it is believed to rise in an hour while its own pace is not known; ``per_hour`` if left out.
        """
        self._rate = per_hour / HOUR
        self._unknown = self._rate if unknown is None else min(self._rate, unknown / HOUR)
        self._allowed = self._rate * _SLACK
        self._moduli = moduli
        self.baseline = baseline

    def judge(self, value: float, at: Instant) -> tuple[Reason | None, Told | None]:
        """Take a value, in order of time.

        Returns:
            Why it is doubtful (``None`` if it is not), and what has become certain by it.
        """
        base = self.baseline
        if base is None:
            self.baseline = Baseline(value, at)
            return None, None
        if self._jumped(base, value, at):
            return self._suspect(base, value, at)
        if self._follows(base.value, base.at, value, at):
            self._learn(base, value, at)
            told = self._back_on_course(base, at) if base.suspect is not None else None
            base.value, base.at = value, at
            return None, told
        told = self._rolled_over(base, value, at)
        if told is not None:
            self._begin_again(base, value, at)
            return (Reason.REGISTER_RESET if told.assumed else None), told
        return self._suspect(base, value, at)

    def begin_at(self, value: float, at: Instant) -> None:
        """Begin anew: another meter hangs there, and this is what it showed."""
        self.baseline = Baseline(value, at)

    def forget(self) -> None:
        """Begin anew with the next value, whatever it is."""
        self.baseline = None

    def moved(self, by: int, began: Instant) -> None:
        """What was read since ``began`` was read ``by`` microseconds later: a clock that is set makes nobody wait."""
        base = self.baseline
        if base is None:
            return
        if base.at >= began:
            base.at += by
        if base.pace is not None:
            base.pace.since += by if base.pace.since >= began else 0
        suspect = base.suspect
        if suspect is not None:
            suspect.first_at += by if suspect.first_at >= began else 0
            suspect.last_at += by if suspect.last_at >= began else 0

    def _follows(self, before: float, before_at: Instant, value: float, at: Instant) -> bool:
        """Tell whether a value can have followed another; a clock that was set back gives no more time."""
        return 0 <= value - before <= self._allowed + self._rate * max(0, at - before_at)

    def _pace(self, base: Baseline) -> float:
        """Return what the register is believed to rise in a microsecond, by what has been seen of it."""
        return min(self._rate, usual(base.pace, self._unknown))

    def _learn(self, base: Baseline, value: float, at: Instant) -> None:
        if base.pace is None:
            base.pace = Pace(base.at, base.value)
        if base.pace.is_due(at):
            base.pace.learn(value, at, self._pace(base))

    def _begin_again(self, base: Baseline, value: float, at: Instant) -> None:
        """Take a new baseline; the meter is the same, and so is its pace."""
        if base.pace is not None:
            base.pace.since, base.pace.value = at, value
        self.baseline = Baseline(value, at, pace=base.pace)

    def _jumped(self, base: Baseline, value: float, at: Instant) -> bool:
        """Tell whether a value that physics allows is none the less the old one in another unit, or goes on from it."""
        suspect = base.suspect
        if suspect is not None and suspect.kind is Happening.UNIT_JUMP and suspect.first > base.value:
            return self._goes_on(suspect, value, at)
        # Asked of every reading, and answered at once for almost all.
        return value >= _LEAST * base.value > 0 and self._power(base, value, at, self._pace(base)) is not None

    def _rolled_over(self, base: Baseline, value: float, at: Instant) -> Told | None:
        if value >= base.value or value == 0:
            return None  # zero may as well be a dip: what comes next says which, and the baseline is there to tell by
        for modulus in self._moduli:
            if base.value >= _NEARLY_FULL * modulus and self._follows(base.value, base.at, value + modulus, at):
                return Told(Happening.ROLLOVER, base.value, base.at, value, at, at, modulus=modulus)
        modulus = 1.0
        while modulus <= base.value:
            modulus *= 10
        if base.value >= _NEARLY_A_POWER * modulus and self._follows(base.value, base.at, value + modulus, at):
            return Told(Happening.ROLLOVER, base.value, base.at, value, at, at, modulus=modulus, assumed=True)
        return None

    def _suspect(self, base: Baseline, value: float, at: Instant) -> tuple[Reason | None, Told | None]:
        suspect = base.suspect
        if suspect is not None and self._goes_on(suspect, value, at):
            suspect.last, suspect.last_at = value, at
            suspect.count += 1
            if suspect.kind is Happening.ZERO_DIP and value > 0:
                suspect.kind = Happening.RESET  # it counts again, from nothing
        else:
            suspect = base.suspect = Suspect(self._kind(base, value, at), value, at, value, at)
        return self._weigh(base, suspect, at)

    def _goes_on(self, suspect: Suspect, value: float, at: Instant) -> bool:
        return self._follows(suspect.last, suspect.last_at, value, at)

    def _kind(self, base: Baseline, value: float, at: Instant) -> Happening:
        if value == 0:
            return Happening.ZERO_DIP
        if self._factor(base, value, at) is not None:
            return Happening.UNIT_JUMP
        return Happening.RESET if value < base.value else Happening.JUMP

    def _factor(self, base: Baseline, value: float, at: Instant) -> float | None:
        """Return by which power of ten a value differs from what was to be expected, if it is one."""
        pace = self._pace(base)
        found = self._power(base, value, at, pace)
        return self._power(base, value, at, self._rate) if found is None and pace < self._rate else found

    def _power(self, base: Baseline, value: float, at: Instant, rate: float) -> float | None:
        """Return the same for a register that rises so fast at most."""
        room = rate * (_SLACK + max(0, at - base.at))
        for factor in _FACTORS:
            scaled = base.value * factor
            # Where the register is so low that any value is near a multiple of it, nothing can be said.
            apart = abs(base.value - scaled) > 2 * room * max(1.0, factor)
            if apart and 0 <= value - scaled <= room * factor:
                return factor
        return None

    def _weigh(self, base: Baseline, suspect: Suspect, at: Instant) -> tuple[Reason | None, Told | None]:
        """Decide whether a suspect has been seen often and long enough."""
        age = at - suspect.first_at
        seen = suspect.count >= CONFIRMED_BY and age >= CONFIRMED_AFTER
        if suspect.kind is Happening.ZERO_DIP:
            seen = seen and age >= ZERO_CONFIRMED_AFTER
        reason = REASONS[suspect.kind]
        if not seen:
            return reason, None
        kind = Happening.RESET if suspect.kind is Happening.ZERO_DIP else suspect.kind
        factor = self._factor(base, suspect.first, suspect.first_at) if kind is Happening.UNIT_JUMP else None
        told = Told(kind, base.value, base.at, suspect.first, suspect.first_at, at, factor)
        if kind is Happening.UNIT_JUMP and factor is not None and self._too_fast(base, suspect, factor):
            told = replace(told, kind=Happening.JUMP, factor=None)
        elif kind is Happening.UNIT_JUMP:
            if suspect.told:
                return reason, None
            suspect.told = True
            return reason, told
        self._begin_again(base, suspect.last, suspect.last_at)
        return None, told

    def _too_fast(self, base: Baseline, suspect: Suspect, factor: float) -> bool:
        """Tell whether a register goes on faster than in either unit: then it is much that has passed, and no unit."""
        pace = self._pace(base) * max(1.0, factor)
        return suspect.last - suspect.first > pace * (_SLACK + suspect.last_at - suspect.first_at)

    def _back_on_course(self, base: Baseline, at: Instant) -> Told | None:
        """Say what a suspect was now that the old course is taken up again."""
        suspect, base.suspect = base.suspect, None
        assert suspect is not None
        kind = Happening.ZERO_DIP if suspect.kind is Happening.ZERO_DIP else Happening.GLITCH
        return Told(kind, base.value, base.at, suspect.first, suspect.first_at, at)
