"""Takes readings out of the DuckDB file: those whose time is over, and those that somebody asks to be removed.

What readings came to outlives them: rollups stay when the readings of a day go, until their own time is over. From then
on they cannot be made anew. So the file notes from which day on it has the readings of each kind (``raw:gauge``), and
what comes late for a day before that is never moved to history: it goes with the next look.
"""
# ruff: noqa: S608 - names and numbers of ours alone stand in the statements

from collections.abc import Iterable
from datetime import date, timedelta, tzinfo
from typing import Annotated, Final

import msgspec

from linli_core.instant import Instant, from_datetime, to_datetime
from linli_core.model import Kind
from linli_core.vocabulary import vocabulary
from linli_platform.days import bounds, day_of
from linli_platform.store import packed, rollup
from linli_platform.store.rollup import BITS, DAILY, LEVELS, Execute

_BESIDE: Final = "device_time"
_RAW: Final = "raw:"
_EARLIEST: Final = from_datetime(to_datetime(0).replace(year=1))
_LATEST: Final = from_datetime(to_datetime(0).replace(year=9_998))


Days = Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how many days what is kept; 0 for ever.

    Attributes:
        gauge, counter, state: Readings of quantities of this kind.
        minute, quarter, hour, day: Rollups; where readings go, they stay on.
    """

    gauge: Days = 0
    counter: Days = 0
    state: Days = 0
    minute: Days = 0
    quarter: Days = 0
    hour: Days = 0
    day: Days = 0

    def __post_init__(self) -> None:
        """A day's row says what else there is of it."""
        others = (self.gauge, self.counter, self.state, self.minute, self.quarter, self.hour)
        if self.day and not all(0 < days <= self.day for days in others):
            raise ValueError("what is kept for ever, or longer than day, needs its days: leave day out, or raise it")

    @property
    def kinds(self) -> dict[Kind, int]:
        """The kinds of which readings go."""
        found = {Kind.GAUGE: self.gauge, Kind.COUNTER: self.counter, Kind.STATE: self.state}
        return {kind: days for kind, days in found.items() if days}

    @property
    def tables(self) -> dict[str, tuple[int, int]]:
        """Days and the bit in ``levels`` by the rollups that go."""
        levels = zip(sorted(LEVELS), (self.minute, self.quarter, self.hour), strict=True)
        found = {LEVELS[length]: (days, BITS[length]) for length, days in levels}
        return {table: each for table, each in {**found, DAILY: (self.day, 0)}.items() if each[0]}


def limit_of(now: Instant, days: int, zone: tzinfo) -> date:
    """Return the first day that is kept."""
    return day_of(now, zone) - timedelta(days=days)


def of_kind(kind: Kind) -> str:
    """Return in SQL the ids of the series of a kind."""
    names = ", ".join(f"'{word.name}'" for word in vocabulary().values() if word.kind is kind)
    return f"(SELECT id FROM series WHERE quantity IN ({names}))"


def raw_from(execute: Execute) -> dict[Kind, int]:
    """Return from which day on the readings of each kind are there, where not all are."""
    rows = execute(f"SELECT key, value FROM meta WHERE starts_with(key, '{_RAW}')")
    return {Kind(key.removeprefix(_RAW)): int(value) for key, value in rows}


def note_raw_from(execute: Execute, kind: Kind, first: int) -> None:
    """Write from which day on the readings of a kind are there; it only grows."""
    if first > raw_from(execute).get(kind, 0):
        execute(f"INSERT OR REPLACE INTO meta VALUES ('{_RAW}{kind.value}', '{first}')")


def without_readings(execute: Execute, table: str) -> str:
    """Return a query of the rows of a rollup whose readings are gone."""
    gone = [f"(t.day < {first} AND t.series IN {of_kind(kind)})" for kind, first in raw_from(execute).items()]
    return f"SELECT t.* FROM {table} t WHERE {' OR '.join(gone) or 'false'}"


def kept(execute: Execute, day: int) -> str:
    """Return in SQL which series have readings of a day in history, as a condition: of the others it is over."""
    gone = [of_kind(kind) for kind, first in raw_from(execute).items() if day < first]
    return "".join(f" AND series NOT IN {ids}" for ids in gone)


def expired_days(execute: Execute, kind: Kind, first: int) -> list[int]:
    """Return the days before the first that is kept of which history has readings of a kind."""
    where = f"day < {first} AND series IN {of_kind(kind)}"
    query = f"SELECT day FROM history WHERE {where} UNION SELECT day FROM packed WHERE {where} ORDER BY 1"
    return [day for (day,) in execute(query)]


def expire_day(execute: Execute, kind: Kind, day: int, zone: tzinfo) -> int:
    """Take the readings of a kind and a day out of history; their rollups stay."""
    start, end = bounds(date.fromordinal(day), zone)
    execute(f"DELETE FROM {_BESIDE} WHERE time >= {start} AND time < {end} AND series IN {of_kind(kind)}")
    ((gone,),) = execute(f"DELETE FROM history WHERE day = {day} AND series IN {of_kind(kind)}")
    return int(gone) + packed.delete(execute, f"series IN {of_kind(kind)}", day)


def expire_fresh(execute: Execute, kind: Kind, before: Instant) -> int:
    """Take readings out that came when their day was gone already."""
    execute(
        f"DELETE FROM {_BESIDE} t USING reading r WHERE t.series = r.series AND t.time = r.time"
        f" AND r.time < {before} AND r.series IN {of_kind(kind)}"
    )
    ((gone,),) = execute(f"DELETE FROM reading WHERE time < {before} AND series IN {of_kind(kind)}")
    return int(gone)


def expire_rollup(execute: Execute, table: str, first: int, bit: int) -> int:
    """Take the rows of a rollup out that are of days before the first that is kept."""
    ((gone,),) = execute(f"DELETE FROM {table} WHERE day < {first}")
    if bit and gone:
        execute(f"UPDATE {DAILY} SET levels = levels & ~{bit}::UTINYINT WHERE day < {first} AND levels & {bit} <> 0")
    return int(gone)


def remove(execute: Execute, series: Iterable[int], start: Instant, end: Instant, zone: tzinfo) -> int:
    """Take readings of series with ``start <= time < end`` out, wherever they are, and what they came to.

    Of a day whose readings are gone already and of which a part is asked for, all goes: what the other part came to is
    not known.
    """
    ids = ", ".join(str(number) for number in sorted(set(series)))
    if not ids or start >= end:
        return 0
    start, end = max(start, _EARLIEST), min(end, _LATEST)
    first, last = day_of(start, zone).toordinal(), day_of(end - 1, zone).toordinal()
    span = rollup.touch(
        execute,
        f"SELECT series, day, time AS start FROM {DAILY} WHERE day BETWEEN {first} AND {last} AND series IN ({ids})",
    )
    where = f"WHERE time >= {start} AND time < {end} AND series IN ({ids})"
    gone = sum(int(execute(f"DELETE FROM {table} {where}")[0][0]) for table in ("reading", "history"))
    gone += packed.delete_span(execute, ids, start, end)
    execute(f"DELETE FROM {_BESIDE} {where}")
    if span is not None:
        rollup.redo(execute, span)
    # A newest reading that was not asked for stays, though its day may be gone already. A key that is deleted cannot
    # come again in the same transaction: what stays is changed in its place.
    newest = f"(SELECT series FROM head {where})"
    execute(
        "INSERT INTO head SELECT series, max(time),"
        " unnest(arg_max({'value': value, 'text': text, 'quality': quality, 'told': told}, time))"
        f" FROM past WHERE series IN {newest} GROUP BY series"
        " ON CONFLICT (series) DO UPDATE SET time = excluded.time, value = excluded.value, text = excluded.text,"
        " quality = excluded.quality, told = excluded.told"
    )
    execute(f"DELETE FROM head {where} AND series NOT IN (SELECT DISTINCT series FROM past WHERE series IN ({ids}))")
    return gone


def begin_of(day: int, zone: tzinfo) -> Instant:
    """Return when a day begins."""
    return bounds(date.fromordinal(day), zone)[0]
