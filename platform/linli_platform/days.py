"""Days by the community's clock: 23 hours when it goes forward, 25 when it goes back."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from linli_core.instant import Instant, from_datetime, to_datetime


def day_of(instant: Instant, zone: tzinfo) -> date:
    """Return the day of an instant."""
    return to_datetime(instant).astimezone(zone).date()


def bounds(day: date, zone: tzinfo) -> tuple[Instant, Instant]:
    """Return when a day begins and when the next one does.

    Where the clock goes forward over midnight the day begins with the first moment that is of it.
    """
    return _begin(day, zone), _begin(day + timedelta(days=1), zone)


def _begin(day: date, zone: tzinfo) -> Instant:
    # Through UTC and back: a midnight that the clock leaves out is told as the moment it goes forward at.
    midnight = datetime.combine(day, time(), zone)
    return from_datetime(midnight.astimezone(UTC))


def zone_name(zone: tzinfo) -> str:
    """Return the name of a time zone that others can look up; empty for one that is only an offset."""
    if isinstance(zone, ZoneInfo):
        return zone.key or ""
    return "UTC" if zone is UTC else ""
