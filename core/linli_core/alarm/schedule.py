"""When a rule is in force: days, hours and seasons in the community's own time. Pure: the zone is an argument."""

from datetime import datetime, timedelta, tzinfo
from typing import Final

import msgspec

from linli_core.instant import Instant, from_datetime, to_datetime

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES: Final = 24 * 60
_LOOK: Final = 400
"""Days that are looked through for the next edge: a season comes again within a year."""


class Schedule(msgspec.Struct, frozen=True):
    """Days, hours and seasons, all of which must hold; what is empty always does.

    Attributes:
        days: Days of the week, Monday is 0; hours that run past midnight belong to the day they begin on.
        hours: Spans of minutes after midnight; one that ends before it begins runs past midnight.
        seasons: Spans of (month, day), both included; one that ends before it begins runs past New Year.
    """

    days: tuple[int, ...] = ()
    hours: tuple[tuple[int, int], ...] = ()
    seasons: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()

    @property
    def is_always(self) -> bool:
        """Whether it never closes."""
        return not (self.days or self.hours or self.seasons)

    def holds(self, at: Instant, zone: tzinfo) -> bool:
        """Tell whether it is open at an instant."""
        if self.is_always:
            return True
        local = to_datetime(at).astimezone(zone)
        minute = local.hour * 60 + local.minute
        if not self.hours:
            return self._has(local)
        for begin, end in self.hours:
            if begin < end:
                if begin <= minute < end and self._has(local):
                    return True
            elif (minute >= begin and self._has(local)) or (minute < end and self._has(local - timedelta(days=1))):
                return True
        return False

    def _has(self, day: datetime) -> bool:
        """Tell whether a day is one of its days and in one of its seasons."""
        if self.days and day.weekday() not in self.days:
            return False
        date = (day.month, day.day)
        return not self.seasons or any(
            first <= date <= last if first <= last else date >= first or date <= last for first, last in self.seasons
        )

    def next_edge(self, after: Instant, zone: tzinfo) -> Instant | None:
        """Return when it next opens or closes after an instant, ``None`` if it does not within a year."""
        if self.is_always:
            return None
        now = self.holds(after, zone)
        today = to_datetime(after).astimezone(zone).replace(second=0, microsecond=0)
        minutes = sorted({0, *(minute % MINUTES for span in self.hours for minute in span)})
        for number in range(_LOOK):
            day = today + timedelta(days=number)
            for minute in minutes:
                edge = from_datetime(day.replace(hour=minute // 60, minute=minute % 60))
                if edge > after and self.holds(edge, zone) is not now:
                    return edge
        return None


ALWAYS: Final = Schedule()
