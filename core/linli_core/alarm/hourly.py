"""The figures of the alarm system hour by hour, so that they can be drawn; as :mod:`linli_core.alarm.health`. Pure."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from statistics import median

import msgspec

from linli_core.alarm.health import CHATTER, FLOOD_SPAN, STANDING, Moment, floods
from linli_core.alarm.rule import Priority
from linli_core.alarm.states import Event
from linli_core.instant import HOUR, Instant


class HourFigures(msgspec.Struct, frozen=True):
    """The figures of one hour.

    Attributes:
        start: When it begins.
        raised: Alarms raised, those raised again counted again.
        mix: The same by priority.
        floods: Floods that began.
        in_floods: Alarms raised that were part of a flood.
        chattering: Alarms that were raised as part of three raises within ten minutes.
        standing: Alarms whose condition had held for more than a day at its end.
        unseen: Alarms that nobody had acknowledged at its end.
        acknowledged: Alarms acknowledged.
        seen_after, seen_after_p90: The time that half of these, and nine of ten, had been known for at most.
    """

    start: Instant
    raised: int
    mix: dict[Priority, int]
    floods: int
    in_floods: int
    chattering: int
    standing: int
    unseen: int
    acknowledged: int
    seen_after: Instant | None
    seen_after_p90: Instant | None


def hourly(moments: Iterable[Moment], start: Instant, end: Instant, phase: Instant = 0) -> list[HourFigures]:
    """Return the figures of every hour from the one that ``start`` is in to the last that begins before ``end``.

    Args:
        moments: Every transition of the alarms that lived in the period, those before it too, as far as known.
        start: When the period begins.
        end: When it ends.
        phase: By how much hours begin after those of UTC: there are zones whose midnight is at half past of ours.
    """
    first = (start - phase) // HOUR
    count = max(0, -(-(end - phase) // HOUR) - first)
    if not count:
        return []
    begin = first * HOUR + phase
    course = sorted(moments, key=lambda moment: moment.at)
    raises = [moment for moment in course if moment.event is Event.RAISE and 0 <= (moment.at - begin) // HOUR < count]
    raised = Counter((moment.at - begin) // HOUR for moment in raises)
    mix = Counter(((moment.at - begin) // HOUR, moment.priority) for moment in raises)
    begun: Counter[int] = Counter()
    flooded: Counter[int] = Counter()
    times = [moment.at for moment in raises]
    for flood in floods(times):
        begun[(flood.start - begin) // HOUR] += 1
        place = bisect_left(times, flood.start)
        flooded.update((at - begin) // HOUR for at in times[place : place + flood.count])
    chatter = _chatter(raises, begin)
    standing, unseen, waits = _courses(course, begin, count)
    return [
        HourFigures(
            start=begin + hour * HOUR,
            raised=raised[hour],
            mix={priority: mix[hour, priority] for priority in Priority},
            floods=begun[hour],
            in_floods=flooded[hour],
            chattering=chatter[hour],
            standing=standing[hour],
            unseen=unseen[hour],
            acknowledged=len(taken := waits.get(hour, ())),
            seen_after=round(median(taken)) if taken else None,
            seen_after_p90=sorted(taken)[min(len(taken) - 1, len(taken) * 9 // 10)] if taken else None,
        )
        for hour in range(count)
    ]


def _chatter(raises: Iterable[Moment], start: Instant) -> Counter[int]:
    """Return by hour how many alarms came and went."""
    times: dict[tuple[str, str], list[Instant]] = {}
    for moment in raises:
        times.setdefault((moment.rule, moment.subject), []).append(moment.at)
    found: Counter[int] = Counter()
    for own in times.values():
        hours: set[int] = set()
        for place in range(len(own) - CHATTER + 1):
            if own[place + CHATTER - 1] - own[place] < FLOOD_SPAN:
                hours.update((at - start) // HOUR for at in own[place : place + CHATTER])
        found.update(hours)
    return found


def _courses(
    course: Sequence[Moment], start: Instant, count: int
) -> tuple[list[int], list[int], dict[int, list[Instant]]]:
    """Return by hour how many alarms stand, and how many nobody has seen, at its end; and how long people took."""
    # What begins and ends is marked where it does; adding up from the left gives what is there.
    standing, unseen = [0] * (count + 1), [0] * (count + 1)
    waits: dict[int, list[Instant]] = {}
    since: dict[int, Instant] = {}
    waiting: dict[int, Moment] = {}

    def mark(marks: list[int], begin: Instant, end: Instant | None) -> None:
        """Mark the hours at whose end something is that began before ``begin`` and ends at ``end``."""
        one = max((begin - start) // HOUR, 0)
        other = count if end is None else min((end - start) // HOUR, count)
        if one < other:
            marks[one] += 1
            marks[other] -= 1

    for moment in course:
        if moment.event is Event.RAISE:
            since[moment.alarm] = moment.at
            waiting.setdefault(moment.alarm, moment)
            continue
        if moment.event is not Event.ACKNOWLEDGE and (raised := since.pop(moment.alarm, None)) is not None:
            mark(standing, raised + STANDING, moment.at)
        if moment.event in {Event.ACKNOWLEDGE, Event.RESET} and (told := waiting.pop(moment.alarm, None)) is not None:
            mark(unseen, told.at, moment.at)
            if moment.event is Event.ACKNOWLEDGE:
                waits.setdefault((moment.at - start) // HOUR, []).append(max(0, moment.at - told.learnt_at))
    for raised in since.values():
        mark(standing, raised + STANDING, None)
    for told in waiting.values():
        mark(unseen, told.at, None)
    return list(accumulate(standing)), list(accumulate(unseen)), waits
