"""What happened to alarms, which stand, at which device how many, how their system fares.

``alarm_change``, ``alarm_active``, ``alarm_count``, ``alarm_health`` and ``alarm_seen``.
Nothing of it is written to the store: the alarms' own record is the one place where it stands (ADR 0039).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

from linli_core.alarm import CONDITION_HOLDS, NEEDS_ACKNOWLEDGEMENT, Priority
from linli_core.alarm.health import acknowledged
from linli_core.alarm.hourly import HourFigures, hourly
from linli_core.catalogue import Language, text
from linli_core.instant import DAY, HOUR, SECOND, Instant
from linli_platform.alarms.records import Filter
from linli_platform.alarms.rows import AlarmRow, Sort, Told
from linli_platform.days import bounds, day_of
from linli_platform.influxql.catalogue import LANGUAGES
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Series
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.told.known import Known
from linli_platform.influxql.told.table import ByRows, Row, Standing, Table, Values, chosen, piece_of
from linli_platform.influxql.window import Range, microseconds
from linli_platform.registry import State

_BACK: Final = 400 * DAY
"""So far back the health is asked for at most, where a statement names no time."""

_HOURS: Final = "alarm_health.hours"
_MOST_HOURS: Final = 100_000
"""So many hours of communities are kept for a moment."""

_MOST: Final = 200_000
_STANDING: Final = 10_000
_COMMUNITY: Final = "community"


_Place = tuple[str, str]
"""A gateway, and a device of it; ``""`` for the gateway itself."""

_Community = tuple[dict[str, str], set[_Place]]
"""Its tags, and what is there."""

_PRIORITIES: Final = tuple(Priority)


class _Span(NamedTuple):
    """A stretch of time, and the hours around it."""

    start: Instant
    end: Instant
    first: Instant
    whole: Instant


class _Fared(NamedTuple):
    """The hours of a community, and by priority when each alarm was seen and how long it had been known."""

    hours: list[HourFigures]
    seen: dict[Priority, list[tuple[Instant, Instant]]]


def _not_settled(known: Known) -> list[AlarmRow]:
    """Return the alarms that are not settled and may be seen; once for a moment."""
    found: list[AlarmRow] | None = known.made.get("")
    if found is None:
        rows = known.alarms.records.find(Filter(active=True, gateways=known.gateways), _STANDING)
        seen = known.alarms.hiding.seen(rows, known.now)
        found = known.made[""] = [row for row in seen if known.sees(row.gateway, row.device)]
    return found


def _standing(known: Known) -> Iterator[Row]:
    for row in _not_settled(known):
        sort = Sort(row.rule, row.category.value, row.priority.value, row.gateway, row.device, row.point)
        since = row.raised_again_at or row.raised_at
        yield Row(
            since,
            _tags(known, sort) | {"state": row.state.value},
            {
                "acknowledged": row.state not in NEEDS_ACKNOWLEDGEMENT,
                "alarm": row.id,
                "hidden": row.hiding is not None,
                "retrospective": row.retrospective,
                "since": (known.now - since) / SECOND,
                "subject": row.subject,
                "value": row.value,
                **_said("title", row.title),
                **_said("response", row.response),
            },
        )


ACTIVE: Final = Table(
    "alarm_active",
    {
        "acknowledged": Kind.BOOLEAN,
        "alarm": Kind.INTEGER,
        "hidden": Kind.BOOLEAN,
        "response_en": Kind.STRING,
        "response_zh": Kind.STRING,
        "retrospective": Kind.BOOLEAN,
        "since": Kind.FLOAT,
        "subject": Kind.STRING,
        "title_en": Kind.STRING,
        "title_zh": Kind.STRING,
        "value": Kind.FLOAT,
    },
    _standing,
)


def _places(known: Known) -> Iterator[tuple[Mapping[str, str], tuple[_Place, bool]]]:
    """Yield gateways and devices with whether they were retired: what stands of one since then stands all the same."""
    places = [((gateway.id, ""), gateway.state) for gateway in known.places.gateways()]
    places += [((each.gateway, each.id), each.state) for each in known.places.devices()]
    for place, state in places:
        if known.sees(*place):
            yield known.places.tags(*place), (place, state is State.RETIRED)


def _counts(known: Known, things: Sequence[tuple[_Place, bool]]) -> list[Values | None]:
    there = {place for place, _ in things}
    counts: Counter[tuple[_Place, str]] = Counter()
    for row in _not_settled(known):
        own = row.gateway, row.device
        # What is said of a device that nobody knows is counted with its gateway.
        counts[own if own in there else (row.gateway, ""), row.priority.value] += 1
    found: list[Values | None] = []
    for place, is_retired in things:
        of_each = {priority.value: counts[place, priority.value] for priority in Priority}
        every = sum(of_each.values())
        found.append(None if is_retired and not every else {**of_each, "all": every})
    return found


COUNTS: Final = Standing(
    "alarm_count", {"all": Kind.INTEGER, **{each.value: Kind.INTEGER for each in Priority}}, _places, _counts
)


class Changes(ByRows):
    """Every transition of every alarm, and what people did with it, when it was so.

    Args:
        known: What there is.
    """

    name = "alarm_change"
    fields: Mapping[str, Kind] = {
        "active": Kind.INTEGER,
        "actor": Kind.STRING,
        "alarm": Kind.INTEGER,
        "comment": Kind.STRING,
        "event": Kind.STRING,
        "learnt_at": Kind.INTEGER,
        "retrospective": Kind.BOOLEAN,
        "said_en": Kind.STRING,
        "said_zh": Kind.STRING,
        "state": Kind.STRING,
        "subject": Kind.STRING,
        "text": Kind.STRING,
        "title_en": Kind.STRING,
        "title_zh": Kind.STRING,
        "value": Kind.FLOAT,
    }

    def series(self) -> Sequence[Series]:
        """Return one series for each sort of alarm that may be seen."""
        return [series for series, _ in self._made()]

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return what happened to alarms within a range."""
        made = self._made()
        members: dict[Sort, list[Told]] = {made[one.id][1]: [] for one in series}
        told = self._known.alarms.records.told(*microseconds(reach), self._known.gateways, _MOST + 1)
        if len(told) > _MOST:
            raise QueryError(f"more than {_MOST} changes of alarms: ask for a shorter time")
        for one in reversed(told):
            if (found := members.get(one.sort)) is not None:
                found.append(one)
        wanted = chosen(self.fields, fields)
        pieces = []
        for one_series in series:
            if own := members[made[one_series.id][1]]:
                times = [one.change.at for one in own]
                pieces.append(piece_of(self.name, one_series.tags, times, [_values(one) for one in own], wanted))
        return pieces

    def _made(self) -> list[tuple[Series, Sort]]:
        found: list[tuple[Series, Sort]] | None = self._known.made.get(self.name)
        if found is None:
            sorts = [sort for sort in self._known.alarms.records.kinds() if self._known.sees(sort.gateway, sort.device)]
            tags = sorted((tuple(sorted(_tags(self._known, sort).items())), sort) for sort in sorts)
            found = [(Series(number, dict(key)), sort) for number, (key, sort) in enumerate(tags)]
            self._known.made[self.name] = found
        return found


class Health(ByRows):
    """The figures of the alarm system by community and hour of its clock, each at the hour's beginning.

    Args:
        known: What there is.
    """

    name = "alarm_health"
    fields: Mapping[str, Kind] = {
        "acknowledged": Kind.INTEGER,
        "chattering": Kind.INTEGER,
        "floods": Kind.INTEGER,
        "high": Kind.INTEGER,
        "in_floods": Kind.INTEGER,
        "low": Kind.INTEGER,
        "medium": Kind.INTEGER,
        "raised": Kind.INTEGER,
        "seen_after": Kind.FLOAT,
        "seen_after_p90": Kind.FLOAT,
        "standing": Kind.INTEGER,
        "unseen": Kind.INTEGER,
    }

    def series(self) -> Sequence[Series]:
        """Return one series for each community that may be seen in part."""
        return [Series(number, tags) for number, (tags, _) in enumerate(_communities(self._known))]

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return the hours within a range, until the present one."""
        span = _span(self._known, reach)
        if span is None:
            return []
        wanted = chosen(self.fields, fields)
        fared = _fared(self._known, [one.id for one in series], span)
        pieces = []
        for one, each in zip(series, fared, strict=True):
            # Those that begin within the range.
            hours = [hour for hour in each.hours if span.start <= hour.start < span.end]
            values = [_figures(hour) for hour in hours]
            pieces.append(piece_of(self.name, one.tags, [hour.start for hour in hours], values, wanted))
        return pieces


class Seen(ByRows):
    """Every acknowledgement, when it was, and how long the alarm had been known by then.

    Of the hours of ``alarm_health`` only each one's own median is kept, and a median of medians is none: twenty alarms
    that were seen to in one minute would weigh as much as one that waited for a night.

    Args:
        known: What there is.
    """

    name = "alarm_seen"
    fields: Mapping[str, Kind] = {"after": Kind.FLOAT}

    def series(self) -> Sequence[Series]:
        """Return one series for each priority of each community that may be seen in part."""
        return [
            Series(number * len(_PRIORITIES) + place, tags | _of_priority(priority))
            for number, (tags, _) in enumerate(_communities(self._known))
            for place, priority in enumerate(_PRIORITIES)
        ]

    def rows(self, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None) -> list[Piece]:
        """Return the acknowledgements within a range."""
        span = _span(self._known, reach)
        if span is None or not series:
            return []
        numbers = sorted({one.id // len(_PRIORITIES) for one in series})
        fared = dict(zip(numbers, _fared(self._known, numbers, span), strict=True))
        wanted, pieces = chosen(self.fields, fields), []
        for one in series:
            number, place = divmod(one.id, len(_PRIORITIES))
            waits = [(at, wait) for at, wait in fared[number].seen[_PRIORITIES[place]] if span.start <= at < span.end]
            if waits:
                values = [{"after": wait / SECOND} for _, wait in waits]
                pieces.append(piece_of(self.name, one.tags, [at for at, _ in waits], values, wanted))
        return pieces


def _communities(known: Known) -> list[_Community]:
    """Return the tags of each community, and which devices of which gateways are there and may be seen."""
    found: list[_Community] | None = known.made.get(_COMMUNITY)
    if found is None:
        members: dict[tuple[tuple[str, str], ...], set[_Place]] = {}
        alarmed = {(sort.gateway, sort.device) for sort in known.alarms.records.kinds()}
        # A community in which nothing was ever raised has its row too: it is there, and had no alarm.
        there = {(each.gateway, each.id) for each in known.places.devices() if each.state is not State.RETIRED}
        for gateway, device in alarmed | there:
            if known.sees(gateway, device) and (tags := _community(known, gateway, device)):
                members.setdefault(tuple(sorted(tags.items())), set()).add((gateway, device))
        found = known.made[_COMMUNITY] = [(dict(key), places) for key, places in sorted(members.items())]
    return found


def _span(known: Known, reach: Range) -> _Span | None:
    """Return of which time until now a statement asks; ``None`` for none."""
    start, end = microseconds(reach)
    start, end = max(start, known.now - _BACK), min(end, known.now + 1)
    if start >= end:
        return None
    # By the community's clock: an alarm of its first quarter of a day is none of the day before.
    phase = bounds(day_of(start, known.zone), known.zone)[0] % HOUR
    return _Span(start, end, (start - phase) // HOUR * HOUR + phase, (end - 1 - phase) // HOUR * HOUR + HOUR + phase)


def _fared(known: Known, numbers: Sequence[int], span: _Span) -> list[_Fared]:
    """Return how the alarms of communities fared, kept for a moment: a board asks for the same ones ten times."""
    made, first, whole = _communities(known), span.first, span.whole
    kept: dict[tuple[Instant, Instant, int], _Fared] = known.made.setdefault(_HOURS, {})
    found = {number: fared for number in numbers if (fared := kept.get((first, whole, number))) is not None}
    missing = [number for number in numbers if number not in found]
    if missing:
        # Asked of these alone: another community's flood must not use up the bound.
        gateways = {gateway for number in missing for gateway, _ in made[number][1]}
        moments = known.alarms.records.moments(first, whole, gateways, _MOST + 1)
        if len(moments) > _MOST:
            raise QueryError(f"more than {_MOST} changes of alarms: ask for a shorter time")
        for number in missing:
            own = [moment for moment in moments if _place_of(moment.subject) in made[number][1]]
            seen = {each: acknowledged(it for it in own if it.priority is each)[0] for each in _PRIORITIES}
            found[number] = _Fared(hourly(own, first, whole, first % HOUR), seen)
        if len(kept) + len(missing) <= _MOST_HOURS * HOUR // (whole - first):
            kept |= {(first, whole, number): found[number] for number in missing}
    return [found[number] for number in numbers]


def _tags(known: Known, sort: Sort) -> dict[str, str]:
    own = {"rule": sort.rule, "category": sort.category, "point": sort.point, **_of_priority(sort.priority)}
    rule = known.alarms.engine.rules.get(sort.rule)
    # As a rule is called now, or by its id where it is gone: one title in all of the time shown.
    own |= {f"rule_{lang}": (rule and rule.title.in_language(lang)) or sort.rule for lang in LANGUAGES}
    return known.places.tags(sort.gateway, sort.device) | {name: value for name, value in own.items() if value}


def _of_priority(priority: str) -> dict[str, str]:
    return {"priority": str(priority), **{f"priority_{lang}": text(f"priority.{priority}", lang) for lang in LANGUAGES}}


def _community(known: Known, gateway: str, device: str) -> dict[str, str]:
    """Return the tags of the community a device is in, or of the outermost area where none is one."""
    place = known.places.of(gateway, device)
    area = place.kinds.get(_COMMUNITY) or (place.areas[-1] if place.areas else None)
    return {} if area is None else known.places.tags_of_area(area)


def _place_of(subject: str) -> tuple[str, str]:
    gateway, _, below = subject.partition("/")
    return gateway, below.partition("/")[0]


def _said(name: str, words: Mapping[str, str]) -> dict[str, str | None]:
    return {f"{name}_{lang}": words.get(lang) for lang in LANGUAGES}


def _values(told: Told) -> dict[str, Any]:
    change = told.change
    return {
        "active": int(change.after in CONDITION_HOLDS),
        "actor": change.actor or None,
        "alarm": told.alarm,
        "comment": change.comment or None,
        "event": change.event.value,
        "learnt_at": change.learnt_at,
        "retrospective": change.retrospective,
        "state": change.after.value,
        "subject": told.subject,
        "text": change.text,
        "value": change.value,
        **_said("said", {lang: _sentence(told, lang) for lang in LANGUAGES}),
        **_said("title", told.title),
    }


def _sentence(told: Told, lang: Language) -> str:
    """Return what happened to which alarm, who did it and what that person wrote: a mark on a curve says no more."""
    change = told.change
    key = "mark.happened_by" if change.actor else "mark.happened"
    event, title = text(f"alarm_event.{change.event.value}", lang), told.title.get(lang, told.sort.rule)
    said = text(key, lang, event=event, actor=change.actor, title=title)
    return f"{said} · {change.comment}" if change.comment else said


def _figures(hour: HourFigures) -> dict[str, Any]:
    def seconds(span: Instant | None) -> float | None:
        return None if span is None else span / SECOND

    return {
        "acknowledged": hour.acknowledged,
        "chattering": hour.chattering,
        "floods": hour.floods,
        "high": hour.mix[Priority.HIGH],
        "in_floods": hour.in_floods,
        "low": hour.mix[Priority.LOW],
        "medium": hour.mix[Priority.MEDIUM],
        "raised": hour.raised,
        "seen_after": seconds(hour.seen_after),
        "seen_after_p90": seconds(hour.seen_after_p90),
        "standing": hour.standing,
        "unseen": hour.unseen,
    }
