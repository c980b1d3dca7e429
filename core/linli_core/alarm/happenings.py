"""Events rather than levels: a state that changes, and patterns of events."""

from bisect import insort
from datetime import tzinfo
from typing import Final

from linli_core.alarm.conditions import Change, Limit, Pattern, PatternForm
from linli_core.alarm.journal import JournalWatch
from linli_core.alarm.memory import AlarmChange, Entry, Memory, Point
from linli_core.alarm.rule import Rule
from linli_core.alarm.states import Event, Note
from linli_core.alarm.watch import plain_value
from linli_core.instant import Instant
from linli_core.model import Quality, Value

MOST_POINTS: Final = 256
"""Points of one pattern whose state is remembered."""


class ChangeWatch(JournalWatch):
    """A state that changes: raised when it does, over when it has not done so for a while."""

    __slots__ = ("_condition",)

    def __init__(self, rule: Rule, memory: Memory, condition: Change, zone: tzinfo) -> None:
        super().__init__(rule, memory, Limit(high=0.0, off_delay=condition.hold), zone)
        self._condition = condition

    def _said(self, value: Value, quality: Quality) -> bool | float | str | None:
        return plain_value(value, quality)

    def _take(self, entry: Entry, now: Instant, out: list[AlarmChange]) -> None:
        memory, condition, at, state = self.memory, self._condition, entry.at, entry.value
        self._conclude(at, now, out)
        memory.last_at = at
        if state is None:
            return  # what it was before still stands: a missing reading is no change
        before, memory.value = memory.value, state
        if before is None or before == state:
            self.is_substantial |= before is None
            return
        self.is_substantial = True
        if (not condition.start or before in condition.start) and (not condition.to or state in condition.to):
            if not self.rule.schedule.holds(at, self._zone):
                return
            if not memory.raised:
                memory.raised = True
                self._tell(Event.RAISE, at, now, state, out)
            memory.since = at

    def _advance(self, upto: Instant, now: Instant, out: list[AlarmChange]) -> None:
        self._conclude(upto, now, out)


class PatternWatch(JournalWatch):
    """So many events within a while, one and then another, or one without the other.

    An event is a point's coming to one of the states; a point that is first heard of in such a state brings none, as
    nobody knows since when. Events of several points may come in any order: each is put where it belongs.
    """

    __slots__ = ("_condition",)

    def __init__(self, rule: Rule, memory: Memory, condition: Pattern, zone: tzinfo) -> None:
        off = condition.hold if condition.form is PatternForm.THEN else condition.within
        on = condition.within if condition.form is PatternForm.WITHOUT else 0
        off = 0 if condition.form is PatternForm.WITHOUT else off
        super().__init__(rule, memory, Limit(high=0.0, on_delay=on, off_delay=off), zone)
        self._condition = condition

    def _said(self, value: Value, quality: Quality) -> bool | float | str | None:
        return plain_value(value, quality)

    def _take(self, entry: Entry, now: Instant, out: list[AlarmChange]) -> None:
        points, at, state = self._kept.points, entry.at, entry.value
        known = points.get(entry.series)
        self.memory.last_at = at
        if known is None and len(points) >= MOST_POINTS:
            return
        before = None if known is None else known.value
        if state is not None and before != state:
            self.is_substantial = True
        points[entry.series] = Point(at, before if state is None else state)
        if state is None or before is None or before == state or not self.rule.schedule.holds(at, self._zone):
            return
        for name in entry.names:
            happening = self._condition.a if name == "a" else self._condition.b
            if happening is not None and state in happening.values and before not in happening.values:
                self._happened(name, at, state, now, out)

    def _happened(self, name: str, at: Instant, state: Value, now: Instant, out: list[AlarmChange]) -> None:
        form = self._condition.form
        if form is PatternForm.COUNT:
            self._count(at, state, now, out)
        elif form is PatternForm.THEN:
            self._then(name, at, state, now, out)
        else:
            self._without(name, at, state, now, out)

    def _put(self, name: str, at: Instant, most: int) -> list[Instant]:
        """Keep when an event happened, in order of time; of too many the oldest go."""
        times = self._kept.times.setdefault(name, [])
        insort(times, at)
        del times[:-most]
        return times

    def _count(self, at: Instant, state: Value, now: Instant, out: list[AlarmChange]) -> None:
        memory, condition = self.memory, self._condition
        self._conclude(at, now, out)
        times = self._put("a", at, condition.count)
        if len(times) < condition.count or times[-1] - times[0] > condition.within:
            return
        if not memory.raised:
            memory.raised = True
            self._tell(Event.RAISE, times[-1], now, state, out)
        memory.since = times[0]

    def _then(self, name: str, at: Instant, state: Value, now: Instant, out: list[AlarmChange]) -> None:
        memory, within = self.memory, self._condition.within
        self._conclude(at, now, out)
        times = self._put(name, at, _REMEMBERED)
        other = self._kept.times.get("b" if name == "a" else "a", [])
        if name == "b":
            ends = [at] if any(0 < at - first <= within for first in other) else []
        else:
            ends = [last for last in other if 0 < last - at <= within]
        if not ends or not times:
            return
        if not memory.raised:
            memory.raised = True
            self._tell(Event.RAISE, ends[-1], now, state, out)
        memory.since = max(memory.since or ends[-1], ends[-1])

    def _without(self, name: str, at: Instant, state: Value, now: Instant, out: list[AlarmChange]) -> None:
        memory, within = self.memory, self._condition.within
        # What is waited for is concluded only when the other event can have happened no more.
        if name == "a":
            self._conclude(at, now, out)
            others = self._kept.times.get("b", [])
            if not any(at <= other <= at + within for other in others) and not memory.raised:
                memory.since = at if memory.since is None else min(memory.since, at)
                memory.value = self._waiting(state)
            return
        self._put("b", at, _REMEMBERED)
        begun = memory.begun_at
        if not memory.raised:
            if memory.since is not None and memory.since <= at <= memory.since + within:
                memory.since = None
            else:
                self._conclude(at, now, out)
        if not memory.raised:
            return
        if begun is not None and begun <= at <= begun + within:
            self._tell(Note.DISPROVE, at, now, state, out)
        if memory.raised_at is not None:
            memory.raised, memory.since = False, None
            self._tell(self._return, max(at, memory.raised_at), now, state, out)

    @staticmethod
    def _waiting(state: Value) -> bool | float | str | None:
        return state if isinstance(state, bool | float | int | str) or state is None else float(state)

    def _advance(self, upto: Instant, now: Instant, out: list[AlarmChange]) -> None:
        # While raised, an alarm of "without" ends with the other event, never by the clock.
        if not (self.memory.raised and self._condition.form is PatternForm.WITHOUT):
            self._conclude(upto, now, out)


_REMEMBERED: Final = 32
