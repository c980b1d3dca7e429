"""What a register counted in a month, by what stood on it around each midnight."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from linli_dashboards.report.month import Month

_HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What one register counted.

    Attributes:
        total: In its unit; ``None`` where it was not read twice.
        days: Of each day.
        partial: Not from the month's first moment to its last.
        broken: It was exchanged, or went back (swap, reset, rollover): of what was used meanwhile is in it what the
            platform knows.
    """

    total: float | None
    days: Mapping[date, float]
    partial: bool
    broken: bool


class Midnights:
    """The midnights of a month, in seconds since 1970, the one that ends it too.

    Attributes:
        month: Which.
        place: Of each midnight.
        eve: Of each midnight, by the beginning of the hour before it.
        start, end: The first and the last.
    """

    def __init__(self, month: Month) -> None:
        self.month = month
        moments = [int(moment.timestamp()) for moment in (*(month.begin(day) for day in month), month.end)]
        self.place = {moment: number for number, moment in enumerate(moments)}
        self.eve = {moment - _HOUR_S: number for number, moment in enumerate(moments)}
        self.start, self.end = moments[0], moments[-1]


class Register:
    """A register, told hour by hour in their order.

    There are millions of hours in a month of a large community: none is kept.
    """

    __slots__ = ("_broken", "_mark", "_midnights", "_stood", "_total")

    def __init__(self, midnights: Midnights) -> None:
        self._midnights = midnights
        self._stood: dict[int, float] = {}
        self._mark: float | None = None
        self._total: float | None = None
        self._broken = False

    def hour(self, start: int, first: float, last: float) -> None:
        """Take up an hour: when it begins, and its first and last reading."""
        midnights = self._midnights
        if (number := midnights.place.get(start)) is not None:
            self._stood.setdefault(number, first)
        if (number := midnights.eve.get(start)) is not None:
            self._stood[number] = last
        if start < midnights.start:
            if number is not None:
                self._mark = last
        elif start < midnights.end:
            self._step(first)
            self._step(last)
        elif start == midnights.end:
            self._step(self._stood[len(midnights.month.days)])

    def reckoned(self) -> Reckoned:
        """Return what it counted.

        A day is told where the register was read within an hour of both its midnights. The total goes over gaps: the
        register counts on while nobody reads it.
        """
        month, stood = self._midnights.month, self._stood
        days = {
            day: stood[end] - stood[begin]
            for day, (begin, end) in zip(month, pairwise(range(len(month.days) + 1)), strict=True)
            if begin in stood and end in stood and stood[end] >= stood[begin]
        }
        partial = not (0 in stood and len(month.days) in stood)
        return Reckoned(self._total, days, partial, self._broken)

    def _step(self, value: float) -> None:
        """Go on to what stands on it now."""
        if self._mark is not None:
            if value >= self._mark:
                self._total = (self._total or 0.0) + (value - self._mark)
            else:
                self._broken = True
                self._total = self._total or 0.0
        self._mark = value
