"""Report by exception: which readings are worth sending. Off unless the configuration asks for it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from linli_core.instant import HOUR, Instant
from linli_core.model import Point, Reading


@dataclass(frozen=True, slots=True)
class ReportRule:
    """One ``[[report]]`` of the configuration.

    Attributes:
        device: Holds for this device only; ``None`` for all.
        quantity: Holds for this quantity only; ``None`` for all.
        deadband: Smallest change worth sending, in the quantity's unit; 0: every change.
        max_silence: Microseconds after which even an unchanged value is sent, so that silence stays a sign of trouble.
    """

    device: str | None = None
    quantity: str | None = None
    deadband: float = 0.0
    max_silence: int = HOUR

    def holds_for(self, point: Point) -> bool:
        """Tell whether the rule is about a point."""
        return self.device in (None, point.device) and self.quantity in (None, point.quantity)


def rule_for(point: Point, rules: Sequence[ReportRule]) -> ReportRule | None:
    """Return the first rule that holds for a point."""
    return next((rule for rule in rules if rule.holds_for(point)), None)


class Reported:
    """What was last sent of one point."""

    __slots__ = ("_deadband", "_last", "_max_silence", "_sent_at")

    def __init__(self, rule: ReportRule) -> None:
        self._deadband = rule.deadband
        self._max_silence = rule.max_silence
        self._last: Reading | None = None
        self._sent_at: Instant = 0

    def worth_sending(self, reading: Reading) -> bool:
        """Tell whether to send a reading; if so it is what later ones are compared with."""
        last = self._last
        if (
            last is not None
            and last.quality is reading.quality
            and last.reason is reading.reason
            and 0 <= reading.observed_at - self._sent_at < self._max_silence
            and not self._changed(last, reading)
        ):
            return False
        self._last, self._sent_at = reading, reading.observed_at
        return True

    def _changed(self, last: Reading, reading: Reading) -> bool:
        old, new = last.value, reading.value
        if not isinstance(old, int | float | Decimal) or not isinstance(new, int | float | Decimal):
            return old != new
        # Decimal and float do not mix in a subtraction; a deadband needs no more digits than a float has.
        return old != new and abs(float(new) - float(old)) >= self._deadband
