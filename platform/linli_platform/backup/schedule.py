"""When a backup is due, and which old ones may go. Pure: the time is an argument."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from linli_core.instant import Instant, from_datetime, to_datetime
from linli_platform.backup.manifest import BackupName


@dataclass(frozen=True, slots=True)
class Keep:
    """How many backups stay: the newest of each of so many days, weeks and months that have one."""

    days: int = 7
    weeks: int = 4
    months: int = 6


def next_due(after: Instant, at: time, zone: tzinfo) -> Instant:
    """Return the first instant after another at which a clock on the wall shows ``at``.

    A night that skips that time (summer begins) has it an hour later; one that shows it twice has the first.
    """
    moment = to_datetime(after).astimezone(zone)
    day = moment.date()
    while True:
        due = from_datetime(datetime.combine(day, at, zone))
        if due > after:
            return due
        day += timedelta(days=1)


def expired(names: Iterable[BackupName], keep: Keep, zone: tzinfo) -> list[BackupName]:
    """Return the backups of one installation that need not stay, oldest first. The newest always stays."""
    newest_first = sorted(names, reverse=True)
    kept = set(newest_first[:1])

    def keep_newest(count: int, period: Callable[[datetime], Hashable]) -> None:
        seen: set[Hashable] = set()
        for name in newest_first:
            key = period(to_datetime(name.taken_at).astimezone(zone))
            if key in seen:
                continue
            if len(seen) == count:
                return
            seen.add(key)
            kept.add(name)

    keep_newest(keep.days, lambda moment: moment.date())
    keep_newest(keep.weeks, lambda moment: moment.isocalendar()[:2])
    keep_newest(keep.months, lambda moment: (moment.year, moment.month))
    return [name for name in reversed(newest_first) if name not in kept]
