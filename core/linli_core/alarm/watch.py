"""One rule on one subject: the pure interpreter of a condition in event time.

A value holds until the next reading of the same point says otherwise (many points report only changes), so a watch
concludes "beyond for the whole on-delay" either from a later reading or, when none comes, from the clock. The clock is
trusted only as far as the subject's own lag: readings that arrive three hours late move the watch's time three hours
behind ``now``, so a backlog being delivered raises nothing its next reading would have denied.

What is concluded depends on the readings only; ticks decide how early it is learnt.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Final

import msgspec

from linli_core.alarm.rule import Absence, Limit, Rule, Series, StateIs
from linli_core.alarm.states import Event, State, advance
from linli_core.instant import MINUTE, Instant
from linli_core.model import Quality, Value

AHEAD: Final = 5 * MINUTE
"""A reading further ahead of ``now`` than this is stored but moves no alarm: its clock is wrong."""

_LEARN: Final = 2
_LEAST: Final = float("-inf")
_FORGET: Final = 0.9


class AlarmChange(msgspec.Struct, frozen=True):
    """One transition of one alarm.

    Attributes:
        rule: Id of the rule.
        subject: ``gateway``, ``gateway/device`` or ``gateway/device/point``.
        event: What happened.
        before: The state it was in.
        after: The state it is in.
        at: When it was so, by the readings (event time).
        learnt_at: When the engine concluded it.
        value: The reading that settled it, ``None`` for an absence or a person's act.
        actor: Who did it, empty for the engine.
        comment: What that person said.
    """

    rule: str
    subject: str
    event: Event
    before: State
    after: State
    at: Instant
    learnt_at: Instant
    value: Value = None
    actor: str = ""
    comment: str = ""


class Memory(msgspec.Struct, omit_defaults=True):
    """Everything a watch must remember over a restart.

    Attributes:
        rule: Id of the rule.
        subject: The subject.
        state: Where the alarm stands.
        raised: Whether the condition was concluded to hold.
        since: Since when the readings say the opposite of ``raised``, in event time.
        last_at: Event time of the newest reading taken.
        known_at: When the subject of an absence became known.
        lag: How far behind ``now`` that reading arrived.
        held: Whether the newest reading was BAD, so that the clock concludes nothing.
        value: The newest usable value.
        interval: The subject's own interval as far as learnt, µs.
        gaps: How many gaps it was learnt from, at most two.
    """

    rule: str
    subject: str
    state: State = State.NORMAL
    raised: bool = False
    since: Instant | None = None
    last_at: Instant | None = None
    known_at: Instant | None = None
    lag: Instant = 0
    held: bool = False
    value: bool | float | str | None = None
    interval: Instant | None = None
    gaps: int = 0


def move(
    rule: Rule,
    memory: Memory,
    event: Event,
    at: Instant,
    now: Instant,
    *,
    value: Value = None,
    actor: str = "",
    comment: str = "",
) -> AlarmChange | None:
    """Apply an event by the table; return the change, or ``None`` where the table refuses it."""
    before = memory.state
    after = advance(before, event)
    if after is None:
        return None
    memory.state = after
    return AlarmChange(rule.id, memory.subject, event, before, after, at, now, value, actor, comment)


class LevelWatch:
    """A limit or a lasting state: two delays and a dead band between beyond and back."""

    __slots__ = ("_back", "_limit", "_off", "_on", "_return", "_sign", "_values", "memory", "queued_at", "rule")

    def __init__(self, rule: Rule, memory: Memory) -> None:
        condition = rule.condition
        if isinstance(condition, Absence):
            raise TypeError("an absence is not a level")
        self.rule = rule
        self.memory = memory
        self.queued_at: Instant | None = None
        self._on = condition.on_delay
        self._off = condition.off_delay
        self._return = Event.RETURN_LATCHED if rule.latched else Event.RETURN
        self._values = condition.values if isinstance(condition, StateIs) else None
        self._sign, self._limit = 1.0, 0.0
        self._back = 0.0
        if isinstance(condition, Limit):
            # A low limit is a high limit of the negated value.
            self._sign = 1.0 if condition.high is not None else -1.0
            edge = condition.high if condition.high is not None else condition.low
            self._limit = self._sign * (0.0 if edge is None else edge)
            self._back = self._limit - condition.hysteresis

    def _side(self, value: bool | float | str) -> int | None:
        """Return 1 beyond, -1 back, 0 in the dead band, ``None`` where the value cannot be judged."""
        if self._values is not None:
            return 1 if value in self._values else -1
        if isinstance(value, str) or not isfinite(value):
            return None
        level = self._sign * value
        if level > self._limit:
            return 1
        return -1 if level <= self._back else 0

    @property
    def calm_range(self) -> tuple[float, float]:
        """The numbers that settle nothing while nothing is amiss: from, to, both included; none for a state."""
        if self._values is not None:
            return -_LEAST, _LEAST
        return (_LEAST, self._limit) if self._sign > 0 else (-self._limit, -_LEAST)

    def is_at_rest(self, at: Instant) -> bool:
        """Tell whether good readings from an instant on that lie within :attr:`calm_range` would settle nothing."""
        memory = self.memory
        return not memory.raised and memory.since is None and (memory.last_at is None or at > memory.last_at)

    def calm(self, value: Value, quality: Quality, at: Instant, now: Instant) -> bool:
        """Take a reading that settles nothing, as nothing is amiss, quickly; ``False`` leaves it to :meth:`observe`.

        Nearly every reading of a healthy site goes this way.
        """
        memory = self.memory
        if (
            type(value) is not float
            or quality
            or memory.raised
            or memory.since is not None
            or self._values is not None
            or not _LEAST < self._sign * value <= self._limit
            or at > now
            or (memory.last_at is not None and at <= memory.last_at)
        ):
            return False
        memory.last_at, memory.lag, memory.held, memory.value = at, now - at, False, value
        return True

    def observe(self, value: Value, quality: Quality, at: Instant, now: Instant, out: list[AlarmChange]) -> bool:
        """Take a reading; a late, doubled or far-ahead one changes nothing and returns ``False``."""
        memory = self.memory
        if (memory.last_at is not None and at <= memory.last_at) or at > now + AHEAD:
            return False
        if memory.since is not None and not memory.held:
            self._conclude(at, now, out)
        memory.last_at = at
        memory.lag = max(now - at, 0)
        plain = value if value is None or isinstance(value, bool | float | int | str) else float(value)
        side = None if plain is None or quality is Quality.BAD else self._side(plain)
        memory.held = side is None
        if side is None:
            return True
        memory.value = plain
        # While quiet only "beyond" opposes; while raised only "back" does: the dead band settles nothing.
        opposes = side < 0 if memory.raised else side > 0
        if not opposes:
            memory.since = None
        else:
            if memory.since is None:
                memory.since = at
            self._conclude(at, now, out)
        return True

    def _conclude(self, upto: Instant, now: Instant, out: list[AlarmChange]) -> None:
        memory = self.memory
        if memory.since is None:
            return
        at = memory.since + (self._off if memory.raised else self._on)
        if at > upto:
            return
        event = self._return if memory.raised else Event.RAISE
        memory.raised = not memory.raised
        memory.since = None
        change = move(self.rule, memory, event, at, now, value=memory.value)
        if change is not None:
            out.append(change)

    def tick(self, now: Instant, listening_since: Instant, out: list[AlarmChange]) -> None:  # noqa: ARG002
        """Conclude what has lasted long enough by now, less the subject's lag."""
        if not self.memory.held:
            self._conclude(now - self.memory.lag, now, out)

    def due(self, listening_since: Instant) -> Instant | None:  # noqa: ARG002
        """Return when the running delay ends."""
        memory = self.memory
        if memory.since is None or memory.held:
            return None
        return memory.since + (self._off if memory.raised else self._on) + memory.lag


class AbsenceWatch:
    """Silence of a point, a device or a gateway, by its own interval or a stated time."""

    __slots__ = ("_condition", "_return", "memory", "queued_at", "rule")

    def __init__(self, rule: Rule, memory: Memory) -> None:
        if not isinstance(rule.condition, Absence):
            raise TypeError("not an absence")
        self.rule = rule
        self.memory = memory
        self.queued_at: Instant | None = None
        self._condition = rule.condition
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
        if not condition.intervals:
            return condition.after
        if memory.interval is None or memory.gaps < _LEARN:
            return max(condition.after, condition.until_known)
        return max(condition.after, round(condition.intervals * memory.interval))

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
        if gap < interval:
            interval = max(gap, round(interval * _FORGET))
        silence = (
            max(condition.after, round(condition.intervals * interval)) if condition.intervals else condition.after
        )
        if max(at, listening_since) + silence < queued:
            return False  # the look must come earlier than planned
        memory.last_at, memory.interval = at, interval
        return True

    @property
    def bad_counts(self) -> bool:
        """Whether a BAD reading is a sign of life too."""
        return self._condition.bad_counts

    def hear(self, times: Sequence[Instant], now: Instant, listening_since: Instant) -> bool:
        """Take a run of signs of life, none earlier than the one before it.

        ``False``, and nothing is taken, if they may settle something: they are to be observed one by one then.
        """
        memory = self.memory
        if memory.last_at is None or times[0] < memory.last_at or times[-1] > now:
            return False
        if not memory.raised:
            return self._put_off(memory.last_at, times, listening_since)
        # A backlog's old readings are no signs of life now, and nothing is learnt from them.
        is_history = times[-1] + self.allowed() <= now
        if is_history:
            memory.last_at = times[-1]
        return is_history

    def _put_off(self, last: Instant, times: Sequence[Instant], listening_since: Instant) -> bool:
        """Take signs that only put the next look off, as :meth:`calm` takes one."""
        memory, condition, queued = self.memory, self._condition, self.queued_at
        interval = memory.interval
        if queued is None or interval is None or memory.gaps < _LEARN:
            return False
        for at in times:
            gap = at - last
            if not gap:
                continue  # a second point of the same poll
            if gap > interval:
                return False
            if gap < interval:
                interval = max(gap, round(interval * _FORGET))
            silence = condition.after
            if condition.intervals:
                silence = max(silence, round(condition.intervals * interval))
            if max(at, listening_since) + silence < queued:
                return False
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
        allowed = self.allowed()
        if memory.last_at is not None:
            self._learn(at - memory.last_at, allowed)
        memory.last_at = min(at, now)
        # A backlog's old reading is no sign of life now.
        if memory.raised and at + allowed > now:
            memory.raised = False
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
        known = memory.interval or 0
        memory.interval = max(gap, round(known * _FORGET))

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
        return max(heard_at, listening_since) + self.allowed()


def make_watch(rule: Rule, memory: Memory) -> LevelWatch | AbsenceWatch:
    """Return the interpreter of a rule's condition."""
    return AbsenceWatch(rule, memory) if isinstance(rule.condition, Absence) else LevelWatch(rule, memory)
