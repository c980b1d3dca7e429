"""Timelines: what is observed when, and which alarms must come of it: a rule's acceptance test, as data beside it.

::

    [[timelines]]
    title = "a warm room is told after ten minutes, once"
    points = { air = { name = "cold-room-1/air_temperature", kind = "cold-room" } }
    until = "1 h"

    [[timelines.readings]]
    point = "air"
    from = "0 s"
    to = "30 min"
    every = "1 min"
    value = 9.5

    [[timelines.expect]]
    rule = "food.cold-room-warm"
    event = "raise"
    between = ["10 min", "11 min"]

Every change of the rules named is to be expected: one that nobody expected fails the timeline. Times count from its
``start``. A reading may come ``late``, be of ``bad`` quality, or stand for many: ``every`` so long ``from`` … ``to``,
with ``to_value`` in a straight line from the one value to the other. Pure.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from linli_core.alarm.engine import Engine
from linli_core.alarm.memory import AlarmChange
from linli_core.alarm.rule import Rule
from linli_core.alarm.scope import Series
from linli_core.alarm.states import Event, Note
from linli_core.alarm.table import parse_duration
from linli_core.errors import ConfigError
from linli_core.instant import DAY, SECOND, Instant
from linli_core.model import Quality, Value, parse_point

MOST_READINGS: Final = 200_000
"""Readings of one timeline: a slip in ``every`` must not fill the memory."""

GATEWAY: Final = "gw-1"
START: Final = datetime(2026, 7, 1, tzinfo=UTC)

_QUALITIES: Final = {"good": Quality.GOOD, "uncertain": Quality.UNCERTAIN, "bad": Quality.BAD}


class _Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    gateway: str = GATEWAY
    kind: str = ""
    tags: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    interval: str = ""


class _Readings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    point: str
    at: str = ""
    start: str = ""
    to: str = ""
    every: str = ""
    value: bool | float | str | None = None
    to_value: float | None = None
    quality: str = "good"
    late: str = "0 s"


class _Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: str
    event: Literal["raise", "return", "return_latched", "disprove"]
    between: tuple[str, str]
    subject: str = ""
    learnt_by: str = ""


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    points: dict[str, _Point]
    until: str
    readings: tuple[_Readings, ...] = ()
    expect: tuple[_Expected, ...] = ()
    start: datetime = START
    rules: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    timelines: tuple[_Told, ...]


class Observation(msgspec.Struct, frozen=True):
    """One reading of a timeline: of which series, when it was so, and when it comes."""

    series: Series
    value: Value
    quality: Quality
    at: Instant
    comes: Instant


class Expectation(msgspec.Struct, frozen=True):
    """One change that must come: which, when it was so, and until when it must be known."""

    rule: str
    event: Event | Note
    earliest: Instant
    latest: Instant
    subject: str
    learnt_by: Instant

    def is_met_by(self, change: AlarmChange) -> bool:
        """Tell whether a change is the one that is expected."""
        return (
            change.rule == self.rule
            and change.event == self.event
            and self.earliest <= change.at <= self.latest
            and change.learnt_at <= self.learnt_by
            and (not self.subject or change.subject == self.subject)
        )


class Timeline(msgspec.Struct, frozen=True):
    """One story.

    Attributes:
        where: Its place in the file.
        title: What it shows.
        start: When it begins.
        until: When it ends.
        series: Its points.
        observations: Its readings, in the order in which they come.
        expected: The changes that must come of it, and no others.
        rules: Ids of the rules it is about: those that are expected to change, and those that must stay quiet.
    """

    where: str
    title: str
    start: Instant
    until: Instant
    series: tuple[Series, ...]
    observations: tuple[Observation, ...]
    expected: tuple[Expectation, ...]
    rules: tuple[str, ...]


def parse_timelines(text: str, where: str) -> list[Timeline]:
    """Return the timelines of a TOML text.

    Args:
        text: The file's content.
        where: What to call it in errors, such as its name.

    Raises:
        ConfigError: A timeline cannot be used.
    """
    try:
        found = msgspec.convert(tomllib.loads(text), _File)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(where, f"no TOML: {exc}", "mend the syntax there") from exc
    except msgspec.ValidationError as exc:
        what, _, place = str(exc).partition(" - at `$")
        inside = re.sub(r"`.*|^\.", "", place)
        raise ConfigError(f"{where}: {inside}" if inside else where, what, "see docs/alarms.md, Timelines") from exc
    return [_timeline(told, f"{where}: timelines[{number}]") for number, told in enumerate(found.timelines)]


def play(rules: Iterable[Rule], timeline: Timeline) -> list[AlarmChange]:
    """Return what the engine makes of a timeline, in the order in which it is learnt."""
    engine = Engine(rules)
    bound = {series: engine.bind(series, timeline.start) for series in timeline.series}
    changes: list[AlarmChange] = []

    def tick(until: Instant) -> None:
        while (due := engine.next_due()) is not None and due <= until:
            changes.extend(engine.tick(max(due, timeline.start)))

    for it in timeline.observations:
        tick(it.comes)
        changes.extend(engine.observe(bound[it.series], it.value, it.quality, it.at, it.comes))
    tick(timeline.until)
    changes.extend(engine.tick(timeline.until))
    return changes


def judge(rules: Sequence[Rule], timeline: Timeline) -> list[str]:
    """Play a timeline; return what went otherwise than expected, for people: nothing if all went well."""
    wanted = [rule for rule in rules if rule.id in timeline.rules]
    missing = sorted(set(timeline.rules) - {rule.id for rule in wanted})
    if missing:
        return [f"there is no rule {name}" for name in missing]
    open_ = list(timeline.expected)
    wrong = []
    for change in play(wanted, timeline):
        met = next((expected for expected in open_ if expected.is_met_by(change)), None)
        if met is not None:
            open_.remove(met)
        else:
            wrong.append(f"not expected: {_told(change, timeline.start)}")
    for expected in open_:
        span = f"{_clock(expected.earliest - timeline.start)} … {_clock(expected.latest - timeline.start)}"
        wrong.append(f"did not come: {expected.event} of {expected.rule} {span}")
    return wrong


def _told(change: AlarmChange, start: Instant) -> str:
    learnt = f", learnt {_clock(change.learnt_at - start)}" if change.learnt_at != change.at else ""
    return f"{change.event} of {change.rule} on {change.subject} {_clock(change.at - start)}{learnt}"


def _clock(span: Instant) -> str:
    """Return a time since the start as ``1 d 02:03:04``."""
    days, rest = divmod(span, DAY)
    seconds = rest / SECOND
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    text = f"{hours:02}:{minutes:02}:{seconds % 60:02.0f}"
    return f"{days} d {text}" if days else text


def _timeline(told: _Told, where: str) -> Timeline:
    start = _instant(told.start, f"{where}.start")
    series = {key: _series(point, f"{where}.points.{key}") for key, point in told.points.items()}
    observations: list[Observation] = []
    for number, line in enumerate(told.readings):
        place = f"{where}.readings[{number}]"
        if line.point not in series:
            raise ConfigError(f"{place}.point", f"found {line.point!r}", f"name one of {', '.join(series) or 'points'}")
        for it in _observations(line, series[line.point], start, place):
            observations.append(it)
            if len(observations) > MOST_READINGS:
                raise ConfigError(place, f"more than {MOST_READINGS} readings", "let them come less often")
    observations.sort(key=lambda it: it.comes)
    expected = tuple(_expectation(line, start, f"{where}.expect[{number}]") for number, line in enumerate(told.expect))
    rules = tuple(dict.fromkeys([*told.rules, *(line.rule for line in told.expect)]))
    if not rules:
        raise ConfigError(f"{where}.rules", "found nothing", "name the rules that must stay quiet")
    until = start + _span(told.until, f"{where}.until")
    return Timeline(where, told.title, start, until, tuple(series.values()), tuple(observations), expected, rules)


def _series(point: _Point, where: str) -> Series:
    try:
        parsed = parse_point(point.name)
    except ValueError as exc:
        raise ConfigError(f"{where}.name", str(exc), "write one such as cold-room-1/air_temperature") from exc
    interval = _span(point.interval, f"{where}.interval") if point.interval else None
    return Series(
        gateway=point.gateway,
        device=parsed.device,
        name=point.name,
        quantity=parsed.quantity,
        kind=point.kind,
        tags=frozenset(point.tags),
        interval=interval,
        areas=frozenset(point.areas),
    )


def _observations(line: _Readings, series: Series, start: Instant, where: str) -> Iterator[Observation]:
    if line.quality not in _QUALITIES:
        raise ConfigError(f"{where}.quality", f"found {line.quality!r}", f"write one of {', '.join(_QUALITIES)}")
    quality, late = _QUALITIES[line.quality], _span(line.late, f"{where}.late")
    if line.at:
        at = start + _span(line.at, f"{where}.at")
        yield Observation(series, line.value, quality, at, at + late)
        return
    first, last = _span(line.start, f"{where}.from"), _span(line.to, f"{where}.to")
    every = _span(line.every, f"{where}.every")
    if not every or last < first:
        found = "no time at all" if not every else "to comes before from"
        raise ConfigError(f"{where}.every" if not every else f"{where}.to", f"found {found}", "write a longer one")
    for at in range(first, last + 1, every):
        value = line.value
        if line.to_value is not None:
            if isinstance(value, str) or value is None:
                raise ConfigError(f"{where}.value", f"found {value!r}", "a straight line begins at a number")
            share = (at - first) / (last - first) if last > first else 0.0
            value = value + share * (line.to_value - value)
        yield Observation(series, value, quality, start + at, start + at + late)


def _expectation(line: _Expected, start: Instant, where: str) -> Expectation:
    earliest, latest = (start + _span(text, f"{where}.between") for text in line.between)
    if latest < earliest:
        raise ConfigError(f"{where}.between", "it ends before it begins", "write the earlier time first")
    known = start + _span(line.learnt_by, f"{where}.learnt_by") if line.learnt_by else 2**62
    event = Note.DISPROVE if line.event == "disprove" else Event(line.event)
    return Expectation(line.rule, event, earliest, latest, line.subject, known)


def _span(text: str, where: str) -> Instant:
    return parse_duration(text or None, where, 'write one such as "90 s" or "15 min"')


def _instant(moment: datetime, where: str) -> Instant:
    if moment.tzinfo is None:
        raise ConfigError(where, "found a time without its zone", "write one such as 2026-07-01T00:00:00+08:00")
    return round(moment.timestamp()) * SECOND
