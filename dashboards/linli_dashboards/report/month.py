"""A month by the community's clock."""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from linli_core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Month:
    """A month.

    Attributes:
        year, number: Which; January is 1.
        zone: By whose clock.
    """

    year: int
    number: int
    zone: ZoneInfo

    @property
    def days(self) -> tuple[date, ...]:
        """Its days."""
        count = calendar.monthrange(self.year, self.number)[1]
        return tuple(date(self.year, self.number, day) for day in range(1, count + 1))

    @property
    def start(self) -> datetime:
        """When it begins, UTC."""
        return self.begin(self.days[0])

    @property
    def end(self) -> datetime:
        """When the next one begins, UTC."""
        return self.begin(self.days[-1] + timedelta(days=1))

    @property
    def last_year(self) -> "Month":
        """The same month a year before."""
        return Month(self.year - 1, self.number, self.zone)

    def begin(self, day: date) -> datetime:
        """Return when a day begins, UTC."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def day_of(self, moment: datetime) -> date:
        """Return the day of a moment."""
        return moment.astimezone(self.zone).date()

    def __iter__(self) -> Iterator[date]:
        return iter(self.days)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


def parse_month(text: str, zone: ZoneInfo, today: date) -> Month:
    """Return a month written ``2026-10``; the last whole one before ``today`` if the text is empty.

    Raises:
        ConfigError: It is none, or lies ahead.
    """
    if not text:
        last = today.replace(day=1) - timedelta(days=1)
        return Month(last.year, last.month, zone)
    found = re.fullmatch(r"(\d{4})-(\d{2})", text)
    if found is None or not 1 <= int(found[2]) <= 12 or not 2000 <= int(found[1]) <= 9998:
        raise ConfigError("--month", f"{text[:40]!r} is no month", "write one such as 2026-10")
    month = Month(int(found[1]), int(found[2]), zone)
    if month.days[0] > today:
        raise ConfigError("--month", f"{month} lies ahead", "name one that has begun")
    return month


def check_days(month: Month, now: datetime, platform: str, offset: int | None) -> None:
    """Refuse a month whose days are not those that the platform counts by.

    What came of a day would be told of two, and the last day of the month would lack its evening.

    Args:
        month: By the clock that was asked for.
        now: The platform's present.
        platform: Name of its zone; empty if it knows none.
        offset: By how many seconds its clock is ahead of UTC now; ``None`` if it does not say.

    Raises:
        ConfigError: They are others.
    """
    if platform:
        theirs = parse_zone(platform)
        same = all(month.begin(day) == Month(month.year, month.number, theirs).begin(day) for day in month.days)
    else:
        ours = now.astimezone(month.zone).utcoffset()
        same = offset is None or ours is None or ours.total_seconds() == offset
    if not same:
        counted = platform or f"a clock {(offset or 0) / 3600:+g} h from UTC"
        raise ConfigError(
            "--zone",
            f"the platform counts its days by {counted}, which are not those of {month.zone.key}",
            f'set zone = "{month.zone.key}" in its settings, or ask by its own',
        )


def parse_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name; :class:`ConfigError` if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ConfigError("--zone", f"no time zone is called {name[:40]!r}", "write one such as Asia/Shanghai") from exc
