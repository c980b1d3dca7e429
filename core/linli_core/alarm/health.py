"""How the alarm system itself fares: whether people can still trust and handle it. After ISA-18.2, clause 16. Pure.

An alarm system that cries too often is muted, and then the one alarm that mattered is not heard. These are the figures
by which the standard has it watched, and what would help the worst of them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

import msgspec

from linli_core.alarm.rule import Priority
from linli_core.alarm.states import Event
from linli_core.instant import DAY, HOUR, MINUTE, Instant

FLOOD: Final = 10
"""More alarms than this within ten minutes are a flood: nobody handles them one by one."""

FLOOD_SPAN: Final = 10 * MINUTE
CHATTER: Final = 3
"""So many raises of one alarm within ten minutes are chatter."""

STANDING: Final = DAY
WORST: Final = 10
MIX: Final[Mapping[Priority, float]] = {Priority.LOW: 0.80, Priority.MEDIUM: 0.15, Priority.HIGH: 0.05}
"""The share of each priority that people can tell apart."""


class Moment(msgspec.Struct, frozen=True):
    """One transition of one alarm.

    Attributes:
        alarm: Its number.
        rule: Id of the rule.
        subject: What it is about.
        priority: Of the rule when it was raised.
        event: What happened.
        at: When it was so.
        learnt_at: When it was known.
    """

    alarm: int
    rule: str
    subject: str
    priority: Priority
    event: Event
    at: Instant
    learnt_at: Instant


class Flood(msgspec.Struct, frozen=True):
    """More alarms than a person can handle: from when to when, and how many."""

    start: Instant
    end: Instant
    count: int


class Worst(msgspec.Struct, frozen=True):
    """A rule and how much of all alarms it brings, 0 to 1."""

    rule: str
    count: int
    share: float


class Chattering(msgspec.Struct, frozen=True):
    """An alarm that comes and goes, and what would keep it quiet (µs; 0 where nothing is known to help).

    Attributes:
        rule: Id of the rule.
        subject: What it is about.
        count: How often it was raised.
        on_delay: Most of its raises lasted no longer than this: with such an on-delay they would not have been.
        off_delay: It mostly came back within this after it had gone: such an off-delay would have kept it standing.
    """

    rule: str
    subject: str
    count: int
    on_delay: Instant
    off_delay: Instant


class Standing(msgspec.Struct, frozen=True):
    """An alarm whose condition has held for more than a day."""

    alarm: int
    rule: str
    subject: str
    since: Instant


class Health(msgspec.Struct, frozen=True):
    """The figures of one period.

    Attributes:
        start: When it begins.
        end: When it ends.
        raised: Alarms raised, those raised again counted again.
        per_hour: The same per hour.
        busiest_hour: The most in any hour that begins with an alarm.
        floods: Each of them.
        in_floods: The share of all alarms that came in floods, 0 to 1.
        chattering: The alarms that come and go, the worst first.
        standing: Alarms whose condition held for more than a day at the end.
        unseen: Alarms of the period that nobody had acknowledged at its end.
        mix: The share of each priority, 0 to 1; :data:`MIX` is what is aimed at.
        worst: The rules that bring the most.
        acknowledged: Alarms acknowledged in the period.
        seen_after: Median of the time from being known to being acknowledged, ``None`` without any.
        seen_after_p90: The time within which nine of ten were.
    """

    start: Instant
    end: Instant
    raised: int
    per_hour: float
    busiest_hour: int
    floods: tuple[Flood, ...]
    in_floods: float
    chattering: tuple[Chattering, ...]
    standing: tuple[Standing, ...]
    unseen: int
    mix: Mapping[Priority, float]
    worst: tuple[Worst, ...]
    acknowledged: int
    seen_after: Instant | None
    seen_after_p90: Instant | None


def health(moments: Iterable[Moment], start: Instant, end: Instant) -> Health:
    """Return the figures of ``start <= time < end``.

    Args:
        moments: Every transition of the alarms that lived in the period, those before it too, as far as known.
        start: When the period begins.
        end: When it ends.
    """
    course = sorted((moment for moment in moments if moment.at < end), key=lambda moment: moment.at)
    raises = [moment for moment in course if moment.event is Event.RAISE and moment.at >= start]
    times = [moment.at for moment in raises]
    found = floods(times)
    by_rule = Counter(moment.rule for moment in raises)
    by_priority = Counter(moment.priority for moment in raises)
    seen, unseen = acknowledged(course)
    waits = [wait for at, wait in seen if at >= start]
    count = len(raises)
    return Health(
        start=start,
        end=end,
        raised=count,
        per_hour=count * HOUR / max(end - start, 1),
        busiest_hour=max((_within(times, place, HOUR) for place in range(count)), default=0),
        floods=tuple(found),
        in_floods=sum(flood.count for flood in found) / count if count else 0.0,
        chattering=tuple(_chattering(course, start)),
        standing=tuple(_standing(course, end)),
        unseen=unseen,
        mix={priority: by_priority[priority] / count if count else 0.0 for priority in Priority},
        worst=tuple(Worst(rule, number, number / count) for rule, number in by_rule.most_common(WORST)),
        acknowledged=len(waits),
        seen_after=round(median(waits)) if waits else None,
        seen_after_p90=sorted(waits)[min(len(waits) - 1, len(waits) * 9 // 10)] if waits else None,
    )


def _within(times: Sequence[Instant], place: int, span: Instant) -> int:
    """Return how many of the times, from one of them on, lie within a span."""
    return bisect_left(times, times[place] + span, place) - place


def floods(times: Sequence[Instant]) -> list[Flood]:
    """Return the floods among the times of raises, which are in order."""
    found: list[Flood] = []
    place = 0
    while place < len(times):
        count = _within(times, place, FLOOD_SPAN)
        if count <= FLOOD:
            place += 1
            continue
        # It lasts until there are ten minutes that hold no more than a person can handle.
        last = place + count - 1
        while last + 1 < len(times) and _within(times, last - FLOOD + 1, FLOOD_SPAN) > FLOOD:
            last += 1
        found.append(Flood(times[place], times[last], last - place + 1))
        place = last + 1
    return found


def _chattering(course: Sequence[Moment], start: Instant) -> list[Chattering]:
    lives: dict[tuple[str, str], list[Moment]] = {}
    for moment in course:
        if moment.event in {Event.RAISE, Event.RETURN, Event.RETURN_LATCHED} and moment.at >= start:
            lives.setdefault((moment.rule, moment.subject), []).append(moment)
    found = []
    for (rule, subject), life in lives.items():
        raises = [moment.at for moment in life if moment.event is Event.RAISE]
        if max((_within(raises, place, FLOOD_SPAN) for place in range(len(raises))), default=0) < CHATTER:
            continue
        pairs = list(pairwise(life))
        lasted = [after.at - before.at for before, after in pairs if before.event is Event.RAISE is not after.event]
        gone = [after.at - before.at for before, after in pairs if before.event is not Event.RAISE is after.event]
        found.append(Chattering(rule, subject, len(raises), _most(lasted), _most(gone)))
    return sorted(found, key=lambda it: -it.count)[:WORST]


def _most(spans: Sequence[Instant]) -> Instant:
    """Return a span that eight of ten do not exceed, 0 where there is none."""
    return sorted(spans)[min(len(spans) - 1, len(spans) * 8 // 10)] if spans else 0


def _standing(course: Iterable[Moment], end: Instant) -> list[Standing]:
    since: dict[int, Moment] = {}
    for moment in course:
        if moment.event is Event.RAISE:
            since[moment.alarm] = moment
        elif moment.event is not Event.ACKNOWLEDGE:
            since.pop(moment.alarm, None)
    return [
        Standing(moment.alarm, moment.rule, moment.subject, moment.at)
        for moment in since.values()
        if end - moment.at > STANDING
    ]


def acknowledged(course: Iterable[Moment]) -> tuple[list[tuple[Instant, Instant]], int]:
    """Return when each acknowledgement was and how long the alarm had been known, and how many wait for theirs.

    Args:
        course: Transitions in their order.
    """
    waiting: dict[int, Instant] = {}
    waits = []
    for moment in course:
        if moment.event is Event.RAISE:
            waiting.setdefault(moment.alarm, moment.learnt_at)
        elif moment.event is Event.ACKNOWLEDGE:
            known = waiting.pop(moment.alarm, None)
            if known is not None:
                waits.append((moment.at, max(0, moment.at - known)))
        elif moment.event is Event.RESET:
            waiting.pop(moment.alarm, None)
    return waits, len(waiting)
