"""One rule on one subject: the pure interpreter of a condition in event time.

A value holds until the next reading of the same point says otherwise (many points report only changes), so a watch
concludes "beyond for the whole on-delay" either from a later reading or, when none comes, from the clock. The clock is
trusted only as far as the subject's own lag: readings that arrive three hours late move the watch's time three hours
behind ``now``, so a backlog being delivered raises nothing its next reading would have denied.

What is concluded depends on the readings only; ticks decide how early it is learnt.
"""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from itertools import pairwise
from math import isfinite
from typing import Final, NamedTuple

from linli_core.alarm.conditions import Limit, StateIs
from linli_core.alarm.memory import AlarmChange, Memory, Past, Piece, Side, move
from linli_core.alarm.past import FOREVER, UNKNOWN, Around, Episode, episodes, put, silence_around
from linli_core.alarm.rule import Rule
from linli_core.alarm.states import Event, Note, State
from linli_core.instant import MINUTE, SECOND, Instant
from linli_core.model import Quality, Value

AHEAD: Final = 5 * MINUTE
"""A reading further ahead of ``now`` than this is stored but moves no alarm: its clock is wrong."""

QUIET: Final = 10 * MINUTE
"""A run of late readings is over when nothing more of it came for so long."""

_LEAST: Final = float("-inf")
_ALWAYS: Final = (UNKNOWN, FOREVER)
"""Without an on-delay a reading counts by itself, whatever came around it."""

_START: Final = 0
"""Since when nothing came, of a point's first reading."""

_MOST_SILENCES: Final = 16
_MOST_TOLD: Final = 8


class Run(NamedTuple):
    """Good readings of one series in order, each later than the last.

    Attributes:
        value: The last one's.
        first: When it begins.
        last: When it ends.
        length: How many there are.
        gap: The longest time between two of them.
        times: Tells when each was made; it is asked only where that matters.
    """

    value: float
    first: Instant
    last: Instant
    length: int
    gap: Instant
    times: Callable[[], Sequence[Instant]]


class LevelWatch:
    """A limit or a lasting state: two delays and a dead band between beyond and back."""

    __slots__ = (
        "_back",
        "_limit",
        "_lull",
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
        if memory.edge_at is not None and not self._turns(memory.edge_at):
            memory.edge_at = None  # of a schedule that the rule had once
        self._on = level.on_delay
        # So long a silence is worth remembering: what comes late may have lasted long enough in it.
        self._lull = level.on_delay or FOREVER
        self._off = level.off_delay
        self._return = Event.RETURN_LATCHED if rule.latched else Event.RETURN
        self._values = level.values if isinstance(level, StateIs) else None
        # Of a state no number is known to settle nothing: nothing is at most this.
        limit = level if isinstance(level, Limit) else Limit(high=_LEAST)
        # A low limit is a high limit of the negated value.
        self._sign, edge = (1.0, limit.high) if limit.high is not None else (-1.0, limit.low or 0.0)
        self._limit = self._sign * edge
        self._back = self._limit - limit.hysteresis

    def _turns(self, at: Instant) -> bool:
        """Tell whether the rule's schedule opens or closes at an instant."""
        schedule = self.rule.schedule
        return schedule.holds(at, self._zone) is not schedule.holds(at - SECOND, self._zone)

    def _side(self, value: bool | float | str) -> Side | None:
        """Return on which side a value is, ``None`` where it cannot be judged."""
        if self._values is not None:
            return Side.BEYOND if value in self._values else Side.BACK
        if isinstance(value, str) or not isfinite(value):
            return None
        level = self._sign * value
        if level > self._limit:
            return Side.BEYOND
        return Side.BACK if level <= self._back else Side.BETWEEN

    @property
    def calm_range(self) -> tuple[float, float]:
        """The numbers that settle nothing while nothing is amiss: from, to, both included; none for a state."""
        if self._values is not None or not self.rule.schedule.is_always:
            return -_LEAST, _LEAST
        ends = self._sign * _LEAST, self._sign * self._limit
        return min(ends), max(ends)

    @property
    def unwritten(self) -> Instant:
        """For how long readings may be missing in what is written: memories are not written with each."""
        return 0

    def is_at_rest(self, at: Instant) -> bool:
        """Tell whether good readings from an instant on that lie within :attr:`calm_range` would settle nothing."""
        memory = self.memory
        return (
            not (memory.raised or memory.held)
            and memory.since is None
            and memory.past is None
            and (memory.last_at is None or at > memory.last_at)
        )

    def rest(self, run: Run, now: Instant) -> None:
        """Take a run of readings that settle nothing."""
        memory = self.memory
        self._listen(run.first)
        if run.gap > self._lull:
            for before, at in pairwise(run.times()):
                if at - before > self._lull:
                    self._keep_silence(before, at)
        memory.last_at, memory.lag, memory.value = run.last, now - run.last, run.value

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
            or memory.edge_at is not None
            or not _LEAST < self._sign * value <= self._limit
            or at > now
            or memory.held
            or memory.past is not None
            or (memory.last_at is not None and at <= memory.last_at)
        ):
            return False
        before = memory.last_at or _START
        if at - before > self._lull:
            self._keep_silence(before, at)
        memory.last_at, memory.lag, memory.value = at, now - at, value
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
        self._forget_stale(now, out)
        self._advance(at, now, out)
        if side is not None:
            self._listen(at)
        elif not memory.held:
            memory.usable_at = memory.last_at
        memory.last_at = at
        memory.lag = max(now - at, 0)
        memory.held = side is None
        if side is None:
            return True
        memory.value = plain
        self._judge(side, at, now, out)
        return True

    def _judge(self, side: Side, at: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Take on which side the value or figure is from an instant on."""
        memory = self.memory
        if not self.rule.schedule.is_always:
            # What lies beyond while the rule is not in force is substance: it counts from when the rule opens.
            self.is_substantial = True
            if self.memory.edge_at is None or self.memory.edge_at <= at:
                self.memory.edge_at = self.rule.schedule.next_edge(at, self._zone)
            if not self.rule.schedule.holds(at, self._zone):
                side = Side.BACK
        # While quiet only "beyond" opposes; while raised only "back" does: the dead band settles nothing.
        if side is not (Side.BACK if memory.raised else Side.BEYOND):
            if memory.since is not None and not memory.raised:
                memory.excursions.append((memory.since, at))
                del memory.excursions[:-_MOST_TOLD]
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
        if self.memory.edge_at is None and memory.last_at is not None and not self.rule.schedule.is_always:
            self.memory.edge_at = self.rule.schedule.next_edge(memory.last_at, self._zone)
        while (edge := self.memory.edge_at) is not None and edge <= upto:
            self._conclude(edge, now, out)
            side = None if memory.value is None else self._side(memory.value)
            self._judge(side or Side.BETWEEN, edge, now, out)
        self._conclude(upto, now, out)

    def _recall(self, side: Side, value: Value, at: Instant, now: Instant, out: list[AlarmChange]) -> bool:
        """Take a reading older than the newest: it may deny an alarm, or tell of one that was not seen."""
        memory = self.memory
        begun, raised = memory.begun_at, memory.raised_at
        if side is not Side.BEYOND and begun is not None and raised is not None and begun <= at < raised:
            memory.begun_at = None
            if memory.state is not State.NORMAL:
                self._tell(Note.DISPROVE, at, now, value, out)
            return True
        if not self.rule.schedule.holds(at, self._zone):
            return False
        if memory.since is not None and at >= memory.since:
            return self._deny(side, at)
        around = silence_around(memory.silences, at) if self._on else _ALWAYS
        if around is None:
            return False
        self._forget_stale(now, out)
        past = memory.past or Past(now)
        pieces = len(past.pieces)
        told_upto = max((over for _, over in memory.told if over <= at), default=UNKNOWN)
        if not put(past.pieces, Piece(at, at, side, plain_value(value, Quality.GOOD)), around, told_upto):
            return False
        memory.past, past.heard_at = past, now
        # That what was quiet stays so is worth no write.
        self.is_substantial = side is Side.BEYOND or len(past.pieces) != pieces
        self._tell_past(past, at, now, out)
        return True

    def _deny(self, side: Side, at: Instant) -> bool:
        """Take a late reading from while those that came in time oppose what stands.

        Where it does not they have not opposed all along: what lasts counts from it at the earliest.
        """
        memory = self.memory
        if side is (Side.BACK if memory.raised else Side.BEYOND):
            return False
        memory.since = at
        self.is_substantial = True
        return True

    def _tell_past(
        self, past: Past, at: Instant, now: Instant, out: list[AlarmChange], *, is_over: bool = False
    ) -> None:
        """Tell of the alarms that late readings show, each once."""
        known = Around(self.memory.silences, self.memory.excursions) if self._on else Around()
        found = episodes(past.pieces, known, self._on, self._off, is_over=is_over)
        standing = next((it for it in found if self._stands_by(past, it)), None)
        if standing is not None and standing.over_at is not None:
            self._end_past(past, standing.over_at, now, out)
        elif standing is None and past.begun_at is not None:
            self._tell(Note.DISPROVE, at, now, None, out)
            self._end_past(past, at, now, out)
        for it in found:
            # While one alarm stands, another of the past says no more; it is told when that is over.
            if past.begun_at is None and not self.memory.raised and self._is_news(it):
                self._tell(Event.RAISE, it.raised_at, now, it.value, out)
                past.begun_at = it.begun
                if it.over_at is not None:
                    self._end_past(past, it.over_at, now, out)

    @staticmethod
    def _stands_by(past: Past, episode: Episode) -> bool:
        begun, over_at = past.begun_at, episode.over_at
        return (
            begun is not None
            and episode.begun <= begun
            and (over_at is None or begun < over_at or begun == episode.begun)
        )

    def _is_news(self, episode: Episode) -> bool:
        """Tell whether no alarm stood yet at the time of one of the past, and its rule was in force."""
        until = episode.over_at if episode.over_at is not None and self._on else episode.raised_at
        for begun, over in self.memory.told:
            if begun <= until and (episode.begun < over or episode.begun == begun):
                return False
        return self.rule.schedule.holds(episode.raised_at, self._zone)

    def _end_past(self, past: Past, at: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """End an alarm that stands by late readings, unless it stands by newer ones."""
        memory = self.memory
        begun, past.begun_at = past.begun_at, None
        if begun is None or memory.raised:
            return
        if memory.since is not None and at >= memory.since:
            # It has lasted ever since: the alarm stands by what came in time from now on.
            memory.begun_at, memory.raised_at = begun, begun + self._on
            memory.raised, memory.since = True, None
            return
        self._remember(begun, at)
        self._tell(self._return, at, now, None, out)

    def _remember(self, begun: Instant, over: Instant) -> None:
        """Keep from when to when an alarm stood: what comes late and lies there tells nothing new."""
        told = self.memory.told
        told.append((begun, over))
        told.sort()
        del told[:-_MOST_TOLD]

    def _forget_stale(self, now: Instant, out: list[AlarmChange]) -> None:
        """End a run of late readings of which nothing more came for a while."""
        memory = self.memory
        past = memory.past
        if past is not None and now - past.heard_at >= QUIET:
            self._advance(past.heard_at + QUIET - memory.lag, now, out)
            self._join(past)
            self._tell_past(past, past.heard_at, now, out, is_over=True)
            memory.past = None
            self.is_substantial = True

    def _join(self, past: Past) -> None:
        """Let what lies beyond now have begun with the late readings just before it."""
        memory, last = self.memory, past.pieces[-1]
        if memory.raised or last.side is not Side.BEYOND:
            return
        around = silence_around(memory.silences, last.first)
        if around is None or around[1] != memory.since:
            return
        if past.begun_at is None or past.begun_at < last.first:
            memory.since = last.first
            del past.pieces[-1]

    def _listen(self, at: Instant) -> None:
        """Note how long no usable reading came before this one."""
        memory = self.memory
        before = (memory.usable_at if memory.held else memory.last_at) or _START
        memory.usable_at = None
        if at - before > self._lull:
            self._keep_silence(before, at)

    def _keep_silence(self, begun: Instant, over: Instant) -> None:
        silences = self.memory.silences
        silences.append((begun, over))
        del silences[:-_MOST_SILENCES]

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
        elif memory.raised_at is not None:
            self._remember(memory.begun_at or memory.raised_at, at)
            if memory.past is not None:
                memory.past.begun_at = None  # whatever it stood by
        memory.raised = not memory.raised
        memory.since = None
        self._tell(event, at, now, memory.value, out)

    def tick(self, now: Instant, listening_since: Instant, out: list[AlarmChange]) -> None:  # noqa: ARG002
        """Conclude what has lasted long enough by now, less the subject's lag."""
        self._forget_stale(now, out)
        self._advance(now - self.memory.lag, now, out)

    def due(self, listening_since: Instant) -> Instant | None:  # noqa: ARG002
        """Return when the running delay ends, the schedule turns, or a run of late readings is over."""
        memory = self.memory
        due = None if memory.past is None else memory.past.heard_at + QUIET
        if memory.held:
            return due
        if memory.since is not None:
            due = earlier(due, memory.since + (self._off if memory.raised else self._on) + memory.lag)
        edge = self.memory.edge_at
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
