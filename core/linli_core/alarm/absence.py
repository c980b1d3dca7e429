"""Silence: readings that should have come and did not."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from linli_core.alarm.conditions import Absence
from linli_core.alarm.memory import AlarmChange, Memory, move
from linli_core.alarm.rule import Rule
from linli_core.alarm.scope import Series
from linli_core.alarm.states import Event
from linli_core.alarm.watch import AHEAD
from linli_core.instant import Instant
from linli_core.model import Quality, Value

_LEARN: Final = 2
_FORGET: Final = 0.05
"""Of a longest gap, so much of the time that passes is forgotten."""


def forgotten(interval: Instant, gap: Instant) -> Instant:
    """Return the longest gap after another one: what was learnt before is forgotten with time.

    Not with the number of gaps: of devices that report in turn most gaps are short, and the long one is still theirs.
    """
    return max(gap, interval - round(gap * _FORGET))


class AbsenceWatch:
    """Silence of a point, a device or a gateway, by its own interval or a stated time."""

    __slots__ = ("_condition", "_return", "_zone", "memory", "queued_at", "rule")

    def __init__(self, rule: Rule, memory: Memory, zone: tzinfo) -> None:
        if not isinstance(rule.condition, Absence):
            raise TypeError("not an absence")
        self.rule = rule
        self.memory = memory
        self.queued_at: Instant | None = None
        self._condition = rule.condition
        self._zone = zone
        self._return = Event.RETURN_LATCHED if rule.latched else Event.RETURN

    def meet(self, series: Series, now: Instant) -> None:
        """Learn of a series that belongs to the subject: silence counts from now, its interval may be declared."""
        memory = self.memory
        if memory.known_at is None:
            memory.known_at = now
        if memory.interval is None and series.interval is not None:
            memory.interval, memory.gaps = series.interval, _LEARN

    def allowed(self) -> Instant:
        """Return the longest silence that is still normal, µs."""
        condition, memory = self._condition, self.memory
        if memory.interval is None or memory.gaps < _LEARN:
            return max(condition.after, condition.until_known) if condition.intervals else condition.after
        return self._silence(memory.interval)

    def calm(self, value: Value, quality: Quality, at: Instant, now: Instant, listening_since: Instant) -> bool:
        """Take a sign of life that only puts the next look off, quickly; ``False`` leaves it to :meth:`observe`."""
        memory, condition = self.memory, self._condition
        last, queued, interval = memory.last_at, self.queued_at, memory.interval
        if (
            last is None
            or queued is None
            or interval is None
            or memory.raised
            or memory.gaps < _LEARN
            or not last < at <= now
            or (not condition.bad_counts and (value is None or quality is Quality.BAD))
        ):
            return False
        gap = at - last
        if gap > interval:
            return False  # a longer gap than any: a habit, or an outage
        if gap != interval:
            interval = forgotten(interval, gap)
        silence = max(condition.after, round(condition.intervals * interval))
        if max(at, listening_since) + silence < queued:
            return False  # the look must come earlier than planned
        memory.last_at, memory.interval = at, interval
        return True

    @property
    def bad_counts(self) -> bool:
        """Whether a BAD reading is a sign of life too."""
        return self._condition.bad_counts

    def hear(self, times: Sequence[Instant], now: Instant, listening_since: Instant, *, came_in_time: bool) -> bool:
        """Take a run of signs of life, none earlier than the one before it.

        ``False``, and nothing is taken, if they may settle something: they are to be observed one by one then.
        """
        memory = self.memory
        if memory.last_at is None or times[0] < memory.last_at or times[-1] > now:
            return False
        if not memory.raised:
            return self._put_off(memory.last_at, times, listening_since)
        if came_in_time:
            return False  # each of them was a sign when it came
        # A backlog's old readings are no signs of life now, and nothing is learnt from them.
        is_history = times[-1] + self.allowed() <= now
        if is_history:
            memory.last_at = times[-1]
        return is_history

    def _silence(self, interval: Instant) -> Instant:
        """Return the longest silence that is normal for an interval."""
        return max(self._condition.after, round(self._condition.intervals * interval))

    def _put_off(self, last: Instant, times: Sequence[Instant], listening_since: Instant) -> bool:
        """Take signs that only put the next look off, as :meth:`calm` takes one."""
        memory, queued = self.memory, self.queued_at
        interval = memory.interval
        if queued is None or interval is None or memory.gaps < _LEARN:
            return False
        silence = self._silence(interval)
        for at in times:
            gap = at - last
            if not gap:
                continue  # a second point of the same poll
            if gap > interval or gap > silence:
                return False  # longer than any before, or an alarm in between
            if gap != interval:
                interval = forgotten(interval, gap)
                silence = self._silence(interval)
            if max(at, listening_since) + silence < queued:
                return False  # the look must come earlier than planned
            last = at
        memory.last_at, memory.interval = last, interval
        return True

    def observe(self, value: Value, quality: Quality, at: Instant, now: Instant, out: list[AlarmChange]) -> bool:
        """Take a sign of life; one older than the newest changes nothing and returns ``False``."""
        memory = self.memory
        if at > now + AHEAD:
            return False
        if not self._condition.bad_counts and (value is None or quality is Quality.BAD):
            return True
        if memory.last_at is not None and at <= memory.last_at:
            return at == memory.last_at  # a second point of the same poll is in order, only nothing new
        allowed, before = self.allowed(), memory.last_at
        if before is not None:
            self._learn(at - before, allowed)
        memory.last_at = min(at, now)
        # A backlog's old reading is no sign of life now.
        if memory.raised and at + allowed > now:
            memory.raised = False
            self._learn_habit(before, at)
            change = move(self.rule, memory, self._return, at, now)
            if change is not None:
                out.append(change)
        return True

    def _learn(self, gap: Instant, allowed: Instant) -> None:
        """Learn the interval as a slowly forgotten maximum: points that report changes come unevenly."""
        memory = self.memory
        if gap > allowed or memory.raised:
            return  # an outage is not the subject's habit
        if memory.gaps < _LEARN:
            memory.gaps += 1
        memory.interval = gap if memory.interval is None else forgotten(memory.interval, gap)

    def _learn_habit(self, before: Instant | None, at: Instant) -> None:
        """Tell outages from a subject that is always heard for shorter than it is silent: that is its way to be.

        Three detectors that report within a minute and then not for half an hour are no gateway that fails.
        """
        memory = self.memory
        if before is None:
            return
        if memory.begun_at is not None and 0 <= before - memory.begun_at < at - before:
            memory.interval, memory.gaps = at - before, _LEARN
        memory.begun_at = at

    def tick(self, now: Instant, listening_since: Instant, out: list[AlarmChange]) -> None:
        """Raise when the silence has lasted too long."""
        memory = self.memory
        due = self.due(listening_since)
        if due is None or now < due:
            return
        memory.raised = True
        change = move(self.rule, memory, Event.RAISE, due, now)
        if change is not None:
            out.append(change)

    def due(self, listening_since: Instant) -> Instant | None:
        """Return when the silence becomes an alarm; while the engine itself was deaf, nobody was silent."""
        memory = self.memory
        heard_at = memory.known_at if memory.last_at is None else memory.last_at
        if memory.raised or heard_at is None:
            return None
        due = max(heard_at, listening_since) + self.allowed()
        if self.rule.schedule.holds(due, self._zone):
            return due
        return self.rule.schedule.next_edge(due, self._zone)
