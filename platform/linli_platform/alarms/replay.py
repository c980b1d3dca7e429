"""What rules would have said: stored history judged again, by the rules in force and by those that are tried.

One pass over the readings feeds both. Each reading counts as having come when it was observed, as nobody knows any more
when it came; so what is told is what a platform in good order would have told.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, tzinfo
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from linli_core.alarm import Absence, AlarmChange, Bound, Engine, Event, Key, Rule, Series
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_platform.alarms.history import chunks
from linli_platform.alarms.screening import Screening
from linli_platform.days import day_of
from linli_platform.ingest import Columns
from linli_platform.store import SeriesInfo, Store

WARM_UP: Final = DAY
"""What is judged before the span that is told, so that what began before it is no alarm of its first minute."""

_OVER: Final = frozenset({Event.RETURN, Event.RETURN_LATCHED})


@dataclass(frozen=True, slots=True)
class Episode:
    """One alarm, from when it was raised until it returned; ``None`` where it still stands at the end."""

    rule: str
    subject: str
    raised_at: Instant
    returned_at: Instant | None = None

    def overlaps(self, other: "Episode") -> bool:
        """Tell whether two alarms of one identity stood at one time."""
        return self.raised_at <= _end(other) and other.raised_at <= _end(self)


@dataclass(slots=True)
class Replay:
    """What came of it.

    Attributes:
        readings: How many were judged.
        seconds: What that took.
        days: By day of the community: alarms raised by the rules in force, and by those that are tried.
        appear: Alarms that those in force would not have raised.
        vanish: Alarms that only those in force would have raised.
        same: Alarms that both would have raised.
    """

    readings: int = 0
    seconds: float = 0.0
    days: dict[date, tuple[int, int]] = field(default_factory=dict)
    appear: list[Episode] = field(default_factory=list)
    vanish: list[Episode] = field(default_factory=list)
    same: int = 0


class Stopped(Exception):
    """Nobody waits for the answer any more."""


def replay(
    store: Store,
    before: Sequence[Rule],
    tried: Sequence[Rule],
    kinds: Mapping[tuple[str, str], str],
    start: Instant,
    end: Instant,
    zone: tzinfo,
    *,
    areas: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType({}),
    tags: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType({}),
    go_on: Callable[[], bool] = lambda: True,
) -> Replay:
    """Judge the readings with ``start <= time < end`` by two sets of rules; blocks.

    Args:
        store: What was read.
        before: The rules in force that are compared.
        tried: Those that are tried.
        kinds: Kinds of devices, as the alarm service has them.
        start: When the span begins that is told; :data:`WARM_UP` before it is judged as well.
        end: When it ends.
        zone: Of the community.
        areas: Areas of devices, as the alarm service has them.
        tags: Tags of devices, the same.
        go_on: Asked now and then; ``False`` ends it.

    Raises:
        Stopped: ``go_on`` said so.
        StoreError: The store cannot be read.
    """
    began = time.perf_counter()
    first = start - max((reach(rule) for rule in (*before, *tried)), default=WARM_UP)
    # A file of rules of which one was changed is the usual case: what is the same in both is judged once.
    changed = [rule for rule in (*before, *tried) if rule not in tried or rule not in before]
    disputed = {name for rule in changed for name in rule.supersedes}
    same = [rule for rule in tried if rule in before and rule.id not in disputed]
    places = _Places(kinds, areas, tags, zone)
    courses = [
        _Course(rules, beside, places, first, end)
        for rules, beside in (
            (same, same),
            ([rule for rule in before if rule not in same], before),
            ([rule for rule in tried if rule not in same], tried),
        )
    ]
    watched = {info.id: info for info in store.all_series() if any([course.watches(info) for course in courses])}  # noqa: C419
    readings = 0
    for columns, at, until in chunks(store, watched, first, end):
        readings += len(columns.series)
        for course in courses:
            if not go_on():
                raise Stopped
            course.take(columns, at, until)
    both, *either = (course.episodes(start) for course in courses)
    told = _compare([*both, *either[0]], [*both, *either[1]], zone)
    told.readings, told.seconds = readings, time.perf_counter() - began
    return told


def reach(rule: Rule) -> Instant:
    """Return how far back a rule looks before it says anything: so much is judged before the span that is told."""
    condition = rule.condition
    spans = [getattr(condition, name, 0) for name in ("over", "within", "on_delay")]
    spans += [getattr(condition, "weeks", 0) * 7 * DAY, getattr(condition, "nights", 0) * DAY]
    return WARM_UP + max(spans)


class _Places(NamedTuple):
    """Kinds, areas and tags of devices, that rules choose by, and the community's zone, by which their days go."""

    kinds: Mapping[tuple[str, str], str]
    areas: Mapping[tuple[str, str], frozenset[str]]
    tags: Mapping[tuple[str, str], frozenset[str]]
    zone: tzinfo


class _Track:
    """Rules for which time may pass in steps of one length: a step's readings are judged at its end.

    That moves when a limit is learnt, never what is concluded; a silence counts from one look to the next.
    """

    def __init__(
        self, rules: Sequence[Rule], beside: Sequence[Rule], places: _Places, first: Instant, step: Instant
    ) -> None:
        self.step = step
        self._rules = rules
        self._engine = Engine(rules, places.zone, beside)
        self._places = places
        self._now = first
        self._screening = Screening(self._engine, self._bind)
        self._watched = np.zeros(0, np.bool_)

    def _bind(self, info: SeriesInfo) -> Bound:
        # Only when its first reading is judged: what was not there yet was not silent.
        return self._engine.bind(self._series(info), self._now)

    def _series(self, info: SeriesInfo) -> Series:
        key = (info.gateway, info.device)
        kind, areas = self._places.kinds.get(key, ""), self._places.areas.get(key, frozenset())
        tags = self._places.tags.get(key, frozenset())
        return Series(info.gateway, info.device, info.name, info.quantity, kind, tags, areas=areas)

    def watches(self, info: SeriesInfo) -> bool:
        """Tell whether any rule watches a series, and remember it."""
        series = self._series(info)
        found = any(rule.watches(series) for rule in self._rules)
        if info.id >= len(self._watched):
            self._watched = np.concatenate([self._watched, np.zeros(info.id + 64 - len(self._watched), np.bool_)])
        self._watched[info.id] = found
        return found

    def take(self, columns: Columns, at: Instant, until: Instant) -> Iterator[AlarmChange]:
        """Judge the readings from one instant to another, in order of time."""
        if not self._rules:
            return
        for part, begin, now in _in_steps(_rows(columns, self._watched[columns.series]), at, until, self.step):
            # What the clock settled while nothing came, before what comes.
            yield from self._engine.tick(begin)
            self._now = now
            if len(part.series):
                yield from self._judge(part, begin, now)
            yield from self._engine.tick(now)

    def _judge(self, part: Columns, begin: Instant, now: Instant) -> Iterator[AlarmChange]:  # noqa: ARG002
        """Judge a step's readings."""
        yield from self._screening.observe(part, now)

    def close(self, end: Instant) -> Iterator[AlarmChange]:
        """Conclude what the readings before the end allow."""
        yield from self._engine.tick(end + self.step)


class _SilenceTrack(_Track):
    """Rules about silence: what a stretch of signs of life only puts off is settled at once, the rest in fine steps."""

    def __init__(
        self, rules: Sequence[Rule], beside: Sequence[Rule], places: _Places, first: Instant, finely: Instant
    ) -> None:
        super().__init__(rules, beside, places, first, HOUR)
        self._finely = finely

    def _judge(self, part: Columns, begin: Instant, now: Instant) -> Iterator[AlarmChange]:
        engine = self._engine
        rows, bounds = self._screening.put_off(part, now)
        values, qualities, times = self._screening.values(part, rows)
        ends = [*range(begin + self._finely, now, self._finely), now]
        cuts = [0, *np.searchsorted(part.time[rows], ends, "left").tolist()]
        for number, end in enumerate(ends):
            these = slice(cuts[number], cuts[number + 1])
            if these.start < these.stop:
                yield from engine.tick(ends[number - 1] if number else begin)
                yield from engine.observe_all(bounds[these], values[these], qualities[these], times[these], end)
                yield from engine.tick(end)


class _Course:
    """One set of rules on its way through time."""

    def __init__(
        self, rules: Iterable[Rule], beside: Sequence[Rule], places: _Places, first: Instant, end: Instant
    ) -> None:
        self._end = end
        silences: list[Rule] = []
        others: list[Rule] = []
        for rule in rules:
            (silences if isinstance(rule.condition, Absence) else others).append(rule)
        shortest = min((rule.condition.after for rule in silences if isinstance(rule.condition, Absence)), default=0)
        finely = max(SECOND, min(MINUTE, shortest // 4))
        self._tracks = [
            _Track(others, beside, places, first, HOUR),
            _SilenceTrack(silences, beside, places, first, finely),
        ]
        self._standing: dict[Key, AlarmChange] = {}
        self._over: list[Episode] = []

    def watches(self, info: SeriesInfo) -> bool:
        """Tell whether any rule watches a series."""
        return any([track.watches(info) for track in self._tracks])  # noqa: C419 - each of them is to be told

    def take(self, columns: Columns, at: Instant, until: Instant) -> None:
        """Judge the readings from one instant to another."""
        for track in self._tracks:
            for change in track.take(columns, at, until):
                self._note(change)

    def _note(self, change: AlarmChange) -> None:
        key = (change.rule, change.subject)
        if change.at >= self._end:
            return
        if change.event is Event.RAISE:
            self._standing[key] = change
        elif change.event in _OVER and (raised := self._standing.pop(key, None)) is not None:
            self._over.append(Episode(*key, raised.at, change.at))

    def episodes(self, start: Instant) -> list[Episode]:
        """Return the alarms raised from an instant on, in order; nothing comes after."""
        for track in self._tracks:
            for change in track.close(self._end):
                self._note(change)
        still = [Episode(*key, raised.at) for key, raised in self._standing.items()]
        found = [episode for episode in (*self._over, *still) if episode.raised_at >= start]
        return sorted(found, key=lambda it: (it.raised_at, it.rule, it.subject))


def _rows(columns: Columns, wanted: NDArray[np.bool_]) -> Columns:
    """Return some of the rows."""
    if wanted.all():
        return columns
    texts: dict[int, str] = {}
    if columns.texts:
        places = np.cumsum(wanted) - 1
        texts = {int(places[row]): text for row, text in columns.texts.items() if wanted[row]}
    return Columns(
        columns.series[wanted],
        columns.time[wanted],
        columns.value[wanted],
        columns.quality[wanted],
        texts,
        columns.info,
    )


def _in_steps(
    columns: Columns, at: Instant, until: Instant, step: Instant
) -> Iterator[tuple[Columns, Instant, Instant]]:
    """Yield the readings of each step that has any, and of the last, with when it begins and ends."""
    ends = [*range(at + step, until, step), until]
    cuts = [0, *np.searchsorted(columns.time, ends, "left").tolist()]
    said = list(columns.texts)
    for number, now in enumerate(ends):
        begin, stop = cuts[number], cuts[number + 1]
        if begin == stop and now != until:
            continue
        part = slice(begin, stop)
        texts = {row - begin: columns.texts[row] for row in said[bisect_left(said, begin) : bisect_left(said, stop)]}
        yield (
            Columns(
                columns.series[part],
                columns.time[part],
                columns.value[part],
                columns.quality[part],
                texts,
                columns.info,
            ),
            ends[number - 1] if number else at,
            now,
        )


def _compare(before: Sequence[Episode], tried: Sequence[Episode], zone: tzinfo) -> Replay:
    told = Replay()
    for place, episodes in enumerate((before, tried)):
        for episode in episodes:
            counts = list(told.days.get(day_of(episode.raised_at, zone), (0, 0)))
            counts[place] += 1
            told.days[day_of(episode.raised_at, zone)] = counts[0], counts[1]
    told.days = dict(sorted(told.days.items()))
    told.vanish = _without_match(before, tried)
    told.appear = _without_match(tried, before)
    told.same = len(tried) - len(told.appear)
    return told


def _without_match(these: Iterable[Episode], others: Iterable[Episode]) -> list[Episode]:
    """Return the alarms that stood while none of the others of their identity did."""
    known: dict[Key, list[Episode]] = {}
    for other in others:
        known.setdefault((other.rule, other.subject), []).append(other)
    found = []
    place: dict[Key, int] = {}
    for episode in these:
        key = (episode.rule, episode.subject)
        candidates = known.get(key, [])
        at = place.get(key, 0)
        while at < len(candidates) and _end(candidates[at]) < episode.raised_at:
            at += 1
        place[key] = at
        if at >= len(candidates) or not episode.overlaps(candidates[at]):
            found.append(episode)
    return found


def _end(episode: Episode) -> Instant:
    return 2**62 if episode.returned_at is None else episode.returned_at
