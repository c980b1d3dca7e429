"""Local time: where days and quarter hours begin, also where clocks are set forward and back. Pure.

A grid holds the moments at which a local clock shows a whole multiple of an interval, counted from midnight. Where
the clocks change, a day has 23 or 25 hours and the interval over the change is longer or shorter; what is a divisor of
the change (a quarter hour, an hour) does not notice. A midnight that a change leaps over is the moment of the change;
of one that comes twice the first counts.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from linli_core.instant import HOUR, MINUTE, SECOND, Instant

_STEP: Final = 15 * MINUTE
"""All the world's clocks differ by whole quarters of an hour."""
_FARTHEST: Final = 4 * HOUR
"""No clock is set back by more."""


@dataclass(frozen=True, slots=True)
class LocalTime:
    """How far local time is ahead of UTC.

    Attributes:
        offset: Microseconds, where it is always the same.
        zone: Where it is not.
    """

    offset: int = 0
    zone: tzinfo | None = None

    def ahead(self, moment: Instant) -> int:
        """Return how far it is ahead at a moment, in microseconds."""
        if self.zone is None:
            return self.offset
        ahead = datetime.fromtimestamp(moment // SECOND, UTC).astimezone(self.zone).utcoffset()
        return 0 if ahead is None else ahead.days * 24 * HOUR + ahead.seconds * SECOND


class Grid:
    """The whole multiples of an interval on a local clock."""

    __slots__ = ("_every", "_from", "_local", "_until")

    def __init__(self, local: LocalTime, every: int) -> None:
        """Store; ``every`` in microseconds."""
        self._local = local
        self._every = every
        # The interval that was looked up last: most questions are about the present one.
        self._from = self._until = 0

    def boundary(self, moment: Instant) -> Instant:
        """Return the last one at or before a moment."""
        if self._local.zone is None:
            return self._plain(moment, self._local.offset)
        if not self._from <= moment < self._until:
            start = self._look_up(moment)
            self._from, self._until = start, self._after(start)
        return self._from

    def after(self, moment: Instant) -> Instant:
        """Return the first one after a moment."""
        if self._local.zone is None:
            return self._plain(moment, self._local.offset) + self._every
        self.boundary(moment)
        return self._until

    def before(self, moment: Instant) -> Instant:
        """Return the last one before a moment."""
        return self.boundary(moment - 1)

    def _plain(self, moment: Instant, ahead: int) -> Instant:
        return (moment + ahead) // self._every * self._every - ahead

    def _look_up(self, moment: Instant) -> Instant:
        ahead = self._local.ahead(moment)
        start = self._plain(moment, ahead)
        # A second before: the change itself may lie there, back to a midnight that has been.
        earlier = self._local.ahead(start - SECOND)
        if (ahead - earlier) % self._every == 0:
            return start
        change = self._change(start - SECOND, moment)
        last, first = (change - 1 + earlier) // self._every, (change + ahead) // self._every
        return change if first > last else last * self._every - earlier

    def _after(self, start: Instant) -> Instant:
        moment = start + self._every
        while (found := self._look_up(moment)) <= start and moment < start + self._every + _FARTHEST:
            moment += _STEP
        return found

    def _change(self, start: Instant, end: Instant) -> Instant:
        """Return the moment between two at which the clocks were changed."""
        ahead = self._local.ahead(end)
        while end - start > SECOND:
            middle = (start + end) // 2 // SECOND * SECOND
            if middle <= start:
                break
            if self._local.ahead(middle) == ahead:
                end = middle
            else:
                start = middle
        return end // SECOND * SECOND
