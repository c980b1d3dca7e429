"""One rule on one subject: the pure interpreter of a condition in event time.

A value holds until the next reading of the same point says otherwise (many points report only changes), so a watch
concludes "beyond for the whole on-delay" either from a later reading or, when none comes, from the clock. The clock is
trusted only as far as the subject's own lag: readings that arrive three hours late move the watch's time three hours
behind ``now``, so a backlog being delivered raises nothing its next reading would have denied.

What is concluded depends on the readings only; ticks decide how early it is learnt.
"""

from datetime import tzinfo
from math import isfinite
from typing import Final

from linli_core.alarm.conditions import Limit, StateIs
from linli_core.alarm.memory import AlarmChange, Memory, Past, move
from linli_core.alarm.rule import Rule
from linli_core.alarm.states import Event, Note, State
from linli_core.instant import MINUTE, Instant
from linli_core.model import Quality, Value

AHEAD: Final = 5 * MINUTE
"""A reading further ahead of ``now`` than this is stored but moves no alarm: its clock is wrong."""

QUIET: Final = 10 * MINUTE
"""A run of late readings is over when nothing more of it came for so long."""

_LEAST: Final = float("-inf")


class LevelWatch:
    """A limit or a lasting state: two delays and a dead band between beyond and back."""

    __slots__ = (
        "_back",
        "_edge_at",
        "_limit",
        "_off",
        "_on",
        "_return",
        "_sign",
        "_values",
        "_zone",
        "is_substantial",
        "memory",
        "queued_at",
        "rule",
    )

    def __init__(self, rule: Rule, memory: Memory, level: Limit | StateIs, zone: tzinfo) -> None:
        self.rule = rule
        self.memory = memory
        self.queued_at: Instant | None = None
        # Whether the last reading changed what a restart could not learn from the store.
        self.is_substantial = False
        self._zone = zone
        # When the rule's schedule opens or closes next; found out with the first reading.
        self._edge_at: Instant | None = None
        self._on = level.on_delay
        self._off = level.off_delay
        self._return = Event.RETURN_LATCHED if rule.latched else Event.RETURN
        self._values = level.values if isinstance(level, StateIs) else None
        self._sign, self._limit = 1.0, 0.0
        self._back = 0.0
        if isinstance(level, Limit):
            # A low limit is a high limit of the negated value.
            self._sign = 1.0 if level.high is not None else -1.0
            edge = level.high if level.high is not None else level.low
            self._limit = self._sign * (0.0 if edge is None else edge)
            self._back = self._limit - level.hysteresis

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
        if self._values is not None or not self.rule.schedule.is_always:
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
            or self._edge_at is not None
            or not _LEAST < self._sign * value <= self._limit
            or at > now
            or (memory.last_at is not None and at <= memory.last_at)
        ):
            return False
        memory.last_at, memory.lag, memory.held, memory.value = at, now - at, False, value
        return True

    def observe(self, value: Value, quality: Quality, at: Instant, now: Instant, out: list[AlarmChange]) -> bool:
        """Take a reading; a doubled or far-ahead one changes nothing and returns ``False``."""
        memory = self.memory
        self.is_substantial = False
        plain = plain_value(value, quality)
        side = None if plain is None else self._side(plain)
        if at > now + AHEAD:
            return False
        if memory.last_at is not None and at <= memory.last_at:
            return at < memory.last_at and side is not None and self._recall(side, plain, at, now, out)
        self._advance(at, now, out)
        memory.last_at = at
        memory.lag = max(now - at, 0)
        memory.held = side is None
        if side is None:
            return True
        memory.value = plain
        self._judge(side, at, now, out)
        return True

    def _judge(self, side: int, at: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Take on which side the value or figure is from an instant on."""
        memory = self.memory
        if not self.rule.schedule.is_always:
            # What lies beyond while the rule is not in force is substance: it counts from when the rule opens.
            self.is_substantial = True
            if self._edge_at is None or self._edge_at <= at:
                self._edge_at = self.rule.schedule.next_edge(at, self._zone)
            if not self.rule.schedule.holds(at, self._zone):
                side = -1
        # While quiet only "beyond" opposes; while raised only "back" does: the dead band settles nothing.
        opposes = side < 0 if memory.raised else side > 0
        if not opposes:
            memory.since = None
        else:
            if memory.since is None:
                memory.since = at
            self._conclude(at, now, out)

    def _advance(self, upto: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Conclude what time alone settles until an instant, as the value holds."""
        memory = self.memory
        if memory.held:
            return
        if self._edge_at is None and memory.last_at is not None and not self.rule.schedule.is_always:
            self._edge_at = self.rule.schedule.next_edge(memory.last_at, self._zone)
        while (edge := self._edge_at) is not None and edge <= upto:
            self._conclude(edge, now, out)
            side = None if memory.value is None else self._side(memory.value)
            self._judge(side or 0, edge, now, out)
        self._conclude(upto, now, out)

    def _recall(self, side: int, value: Value, at: Instant, now: Instant, out: list[AlarmChange]) -> bool:
        """Take a reading older than the newest: it may disprove an alarm, or tell of one that was not seen."""
        memory = self.memory
        begun, raised = memory.begun_at, memory.raised_at
        if side <= 0 and begun is not None and raised is not None and begun <= at < raised:
            memory.begun_at = None
            if memory.state is not State.NORMAL:
                self._tell(Note.DISPROVE, at, now, value, out)
            return True
        if now - at < self.rule.retrospective or not self.rule.schedule.holds(at, self._zone):
            return False
        past = memory.past
        if past is not None and now - past.heard_at > QUIET:
            self._forget(now, out)
            past = None
        if past is None:
            past = memory.past = Past(at, now)
        elif at <= past.last_at:
            return False
        self.is_substantial = True
        past.last_at, past.heard_at = at, now
        if not past.raised:
            self._recall_beyond(past, side, value, now, out)
        elif side < 0:
            self._forget(now, out)
        return True

    def _recall_beyond(self, past: Past, side: int, value: Value, now: Instant, out: list[AlarmChange]) -> None:
        if past.since is None and side > 0:
            past.since = past.last_at
        if past.since is not None and past.last_at - past.since >= self._on and not self.memory.raised:
            told = len(out)
            self._tell(Event.RAISE, past.since + self._on, now, value, out)
            past.raised = len(out) > told
            if past.raised and side < 0:
                self._forget(now, out)
        elif side <= 0:
            past.since = None

    def _forget(self, now: Instant, out: list[AlarmChange]) -> None:
        """End a run of late readings; what it raised returns, unless it stands by newer ones."""
        memory = self.memory
        past, memory.past = memory.past, None
        self.is_substantial = True
        if past is not None and past.raised and not memory.raised:
            self._tell(self._return, past.last_at, now, None, out)

    def _tell(self, event: Event | Note, at: Instant, now: Instant, value: Value, out: list[AlarmChange]) -> None:
        change = move(self.rule, self.memory, event, at, now, value=value)
        if change is not None:
            out.append(change)

    def _conclude(self, upto: Instant, now: Instant, out: list[AlarmChange]) -> None:
        memory = self.memory
        if memory.since is None:
            return
        at = memory.since + (self._off if memory.raised else self._on)
        if at > upto:
            return
        event = self._return if memory.raised else Event.RAISE
        if not memory.raised:
            memory.begun_at, memory.raised_at = memory.since, at
        memory.raised = not memory.raised
        memory.since = None
        self._tell(event, at, now, memory.value, out)

    def tick(self, now: Instant, listening_since: Instant, out: list[AlarmChange]) -> None:  # noqa: ARG002
        """Conclude what has lasted long enough by now, less the subject's lag."""
        past = self.memory.past
        if past is not None and past.raised and now - past.heard_at >= QUIET:
            self._forget(now, out)
        self._advance(now - self.memory.lag, now, out)

    def due(self, listening_since: Instant) -> Instant | None:  # noqa: ARG002
        """Return when the running delay ends, the schedule turns, or a run of late readings is over."""
        memory = self.memory
        past = memory.past
        due = past.heard_at + QUIET if past is not None and past.raised else None
        if memory.held:
            return due
        if memory.since is not None:
            due = earlier(due, memory.since + (self._off if memory.raised else self._on) + memory.lag)
        edge = self._edge_at
        return due if edge is None else earlier(due, edge + memory.lag)


class EveryWatch(LevelWatch):
    """A watch to which every reading matters."""

    __slots__ = ()

    @property
    def calm_range(self) -> tuple[float, float]:
        """No value settles nothing."""
        return -_LEAST, _LEAST

    def is_at_rest(self, at: Instant) -> bool:  # noqa: ARG002
        """Tell that every reading is to be observed."""
        return False

    def calm(self, value: Value, quality: Quality, at: Instant, now: Instant) -> bool:  # noqa: ARG002
        """Leave every reading to :meth:`observe`."""
        return False


def earlier(one: Instant | None, other: Instant) -> Instant:
    """Return the earlier of two instants, where the first may be none."""
    return other if one is None else min(one, other)


def plain_value(value: Value, quality: Quality) -> bool | float | str | None:
    """Return what a reading says; ``None`` where it is missing or BAD."""
    if value is None or quality is Quality.BAD:
        return None
    return value if isinstance(value, bool | float | int | str) else float(value)
