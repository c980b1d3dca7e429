"""Many rules on many subjects: binds series to watches, feeds them readings, and knows when to look again.

Pure: ``now`` is an argument, nothing is read or written. One engine serves a gateway, a platform worker and a replay.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta, timezone, tzinfo
from itertools import count
from typing import Final, NamedTuple

from linli_core.alarm.absence import AbsenceWatch
from linli_core.alarm.conditions import Absence, Balance, Expression, Pattern
from linli_core.alarm.happenings import PatternWatch
from linli_core.alarm.inlet import Inlet
from linli_core.alarm.journal import ToldWatch
from linli_core.alarm.making import make_watch
from linli_core.alarm.memory import AlarmChange, Memory, move
from linli_core.alarm.rule import Rule
from linli_core.alarm.scope import Series, SubjectKind, lies_in
from linli_core.alarm.states import Event, State
from linli_core.alarm.together import BalanceWatch, ExpressionWatch
from linli_core.alarm.watch import LevelWatch, Run
from linli_core.instant import Instant
from linli_core.model import Quality, Value

CHINA: Final = timezone(timedelta(hours=8))
"""China has one time and no summer time."""

Key = tuple[str, str]
"""An alarm's identity: (rule, subject)."""


class Bound(NamedTuple):
    """The watches of one series, as :meth:`Engine.bind` resolved them; empty where no rule watches it."""

    levels: tuple[LevelWatch | Inlet, ...]
    absences: tuple[AbsenceWatch, ...]


class Engine:
    """The alarm engine.

    Args:
        rules: The rules it judges by.
        zone: The community's.
        beside: All rules in force where it judges by some of them only: what these supersede is left to them.
        where: A rule as it is for a subject: people may have changed its parameters there.

    Attributes:
        rules: The rules in force by id.
        evaluations: Readings judged by a rule since the start.
        out_of_order: Readings that came late, doubled or from a clock far ahead, and so moved nothing.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        zone: tzinfo = CHINA,
        beside: Iterable[Rule] = (),
        where: Callable[[Rule, str], Rule] = lambda rule, _subject: rule,
    ) -> None:
        self._zone = zone
        self._where = where
        self.rules = {rule.id: rule for rule in rules}
        self._superseding = [rule for rule in (*self.rules.values(), *beside) if rule.supersedes]
        self.evaluations = 0
        self.out_of_order = 0
        self._watches: dict[Key, LevelWatch | AbsenceWatch] = {}
        self._queue: list[tuple[Instant, int, LevelWatch | AbsenceWatch]] = []
        self._turn = count()
        self._listening_since: Instant = 0
        self._touched: set[Key] = set()

    def bind(self, series: Series, now: Instant) -> Bound:
        """Resolve the rules that watch a series, once; feed the result to :meth:`observe`."""
        levels: list[LevelWatch | Inlet] = []
        absences: list[AbsenceWatch] = []
        superseded = {name for rule in self._superseding if rule.watches(series) for name in rule.supersedes}
        for rule in self.rules.values():
            if not rule.watches(series):
                continue
            key = (rule.id, rule.subject(series))
            if rule.id in superseded and not self._stands(key):
                continue
            if isinstance(rule.condition, Absence) and rule.subject_kind in series.retired:
                continue
            watch = self._watches.get(key) or self._add(rule, Memory(*key))
            if isinstance(watch, AbsenceWatch):
                watch.meet(series, now)
                absences.append(watch)
            elif isinstance(watch, PatternWatch | ExpressionWatch | BalanceWatch):
                condition = rule.condition
                names = condition.inlets(series) if isinstance(condition, Pattern | Expression | Balance) else ()
                levels.append(Inlet(watch, series.subject(SubjectKind.POINT), names))
            else:
                levels.append(watch)
            self._plan(watch)
        return Bound(tuple(levels), tuple(absences))

    def _stands(self, key: Key) -> bool:
        """Tell whether an alarm was left by an earlier engine: what superseded it since does not settle it."""
        watch = self._watches.get(key)
        return watch is not None and watch.memory.state is not State.NORMAL

    def _add(self, rule: Rule, memory: Memory) -> LevelWatch | AbsenceWatch:
        watch = make_watch(self._where(rule, memory.subject), memory, self._zone)
        self._watches[rule.id, memory.subject] = watch
        return watch

    def revise(self, names: Iterable[str]) -> None:
        """Judge by some rules as they are now, wherever; what is remembered stays. Series are to be bound anew."""
        revised = set(names)
        for key, watch in list(self._watches.items()):
            if key[0] in revised:
                watch.queued_at = None  # its place in the queue is passed over
                self._plan(self._add(self.rules[key[0]], watch.memory))

    def _plan(self, watch: LevelWatch | AbsenceWatch) -> None:
        """Queue the next look at a watch; a later due time is found out when the queued one comes up."""
        due = watch.due(self._listening_since)
        if due is not None and (watch.queued_at is None or due < watch.queued_at):
            watch.queued_at = due
            heapq.heappush(self._queue, (due, next(self._turn), watch))

    def observe(
        self, bound: Bound, value: Value, quality: Quality, observed_at: Instant, now: Instant
    ) -> list[AlarmChange]:
        """Take one reading of a bound series; return the changes it settles, oldest first.

        Args:
            bound: What :meth:`bind` returned for the series.
            value: The reading's value, ``None`` when missing.
            quality: Its quality; BAD neither raises a limit nor clears it.
            observed_at: Event time.
            now: The time of learning.
        """
        return self.observe_all((bound,), (value,), (quality,), (observed_at,), now)

    def observe_all(
        self,
        bounds: Iterable[Bound],
        values: Iterable[Value],
        qualities: Iterable[Quality],
        times: Iterable[Instant],
        now: Instant,
    ) -> list[AlarmChange]:
        """Take readings as columns of one length, as :meth:`observe` takes one; return the changes in that order."""
        out: list[AlarmChange] = []
        calm = 0
        for (levels, absences), value, quality, at in zip(bounds, values, qualities, times, strict=True):
            for level in levels:
                if level.calm(value, quality, at, now):
                    calm += 1
                else:
                    self._feed(level, value, quality, at, now, out)
            for absence in absences:
                # The points of one poll share their time: the first of them has said all there is to say.
                if absence.memory.last_at != at:
                    if absence.calm(value, quality, at, now, self._listening_since):
                        calm += 1
                    else:
                        self._feed(absence, value, quality, at, now, out)
        self.evaluations += calm
        return out

    def settle(self, levels: Sequence[LevelWatch | Inlet], run: Run, now: Instant) -> bool:
        """Take a run of readings of one series at once: each of them within every watch's range.

        ``False``, and nothing is taken, if they may settle something: they are to be observed one by one then.

        Args:
            levels: The watches.
            run: The readings.
            now: The time of learning.
        """
        if run.last > now:
            return False
        for level in levels:
            if not level.is_at_rest(run.first):
                return False
        for level in levels:
            level.rest(run, now)
        self.evaluations += run.length * len(levels)
        return True

    def hear(
        self, absence: AbsenceWatch, times: Sequence[Instant], now: Instant, *, came_in_time: bool = False
    ) -> bool:
        """Take a run of signs of life of one subject at once.

        ``False``, and nothing is taken, if they may settle something: they are to be observed one by one then.

        Args:
            absence: The watch of its silence.
            times: When the readings were made that count as signs, in order of arrival.
            now: The time of learning.
            came_in_time: Whether each came when it was made, though it is learnt of only now.
        """
        if times != sorted(times):
            return False
        if not absence.hear(times, now, self._listening_since, came_in_time=came_in_time):
            return False
        self.evaluations += len(times)
        return True

    def _feed(
        self,
        watch: LevelWatch | AbsenceWatch | Inlet,
        value: Value,
        quality: Quality,
        at: Instant,
        now: Instant,
        out: list[AlarmChange],
    ) -> None:
        self.evaluations += 1
        memory = watch.memory
        since, gaps, concluded = memory.since, memory.gaps, len(out)
        if not watch.observe(value, quality, at, now, out):
            self.out_of_order += 1
            return
        whole = watch.watch if isinstance(watch, Inlet) else watch
        self._plan(whole)
        # The time of the newest reading alone is not worth a write: a restart learns it from the store.
        is_substantial = isinstance(whole, LevelWatch) and whole.is_substantial
        if is_substantial or memory.since != since or memory.gaps != gaps or len(out) != concluded:
            self._touched.add((whole.rule.id, memory.subject))

    def tick(self, now: Instant) -> list[AlarmChange]:
        """Return the changes that the clock alone settles by ``now``."""
        out: list[AlarmChange] = []
        while self._queue and self._queue[0][0] <= now:
            due, _, watch = heapq.heappop(self._queue)
            if watch.queued_at != due:
                continue  # replaced by an earlier look
            watch.queued_at = None
            before = len(out)
            watch.tick(now, self._listening_since, out)
            # What came late and is judged now is in no other way written.
            is_substantial = isinstance(watch, ToldWatch) and watch.is_substantial
            if is_substantial or len(out) > before:
                self._touched.add((watch.rule.id, watch.memory.subject))
            self._plan(watch)
        return out

    def next_due(self) -> Instant | None:
        """Return when :meth:`tick` may next have something to say, ``None`` if nothing is pending."""
        return self._queue[0][0] if self._queue else None

    def acknowledge(self, key: Key, now: Instant, *, actor: str, comment: str = "") -> AlarmChange | None:
        """Acknowledge an alarm; ``None`` where there is none to acknowledge (unknown, or already done)."""
        return self._act(Event.ACKNOWLEDGE, key, now, actor, comment)

    def reset(self, key: Key, now: Instant, *, actor: str, comment: str = "") -> AlarmChange | None:
        """Reset a latched alarm that was acknowledged; ``None`` where there is none."""
        return self._act(Event.RESET, key, now, actor, comment)

    def _act(self, event: Event, key: Key, now: Instant, actor: str, comment: str) -> AlarmChange | None:
        watch = self._watches.get(key)
        if watch is None:
            return None
        change = move(watch.rule, watch.memory, event, now, now, actor=actor, comment=comment)
        if change is not None:
            self._touched.add(key)
        return change

    def memory(self, key: Key) -> Memory | None:
        """Return what is remembered of one alarm."""
        watch = self._watches.get(key)
        return None if watch is None else watch.memory

    def snapshot(self) -> list[Memory]:
        """Return everything a restart needs; the structures are the engine's own: encode them before going on."""
        return [watch.memory for watch in self._watches.values()]

    def take_touched(self) -> list[Memory]:
        """Return the memories that changed in substance since the last call, and forget which they were."""
        touched = [self._watches[key].memory for key in self._touched]
        self._touched.clear()
        return touched

    def touch(self, keys: Iterable[Key]) -> None:
        """Mark memories as changed again, because writing them failed."""
        self._touched.update(keys)

    def restore(self, memories: Sequence[Memory]) -> list[Memory]:
        """Take over what an earlier engine remembered; return what belongs to no rule in force any more."""
        orphans = []
        for memory in memories:
            rule = self.rules.get(memory.rule)
            if rule is None:
                orphans.append(memory)
                continue
            self._plan(self._add(rule, memory))
        return orphans

    def dismiss(self, subjects: Collection[str], *, silences: bool = False) -> list[Memory]:
        """Forget gateways and devices that were taken out, with all below them; return what was remembered of them.

        Series are to be bound anew: what still comes of them is judged as of one that nobody knows.

        Args:
            subjects: Of gateways and devices.
            silences: Only that they are silent.
        """
        gone = []
        for key, watch in list(self._watches.items()):
            if lies_in(key[1], subjects) and (isinstance(watch, AbsenceWatch) or not silences):
                watch.queued_at = None  # its place in the queue is passed over
                gone.append(self._watches.pop(key).memory)
                self._touched.discard(key)
            elif isinstance(watch, BalanceWatch) and not silences and watch.let_go(subjects):
                self._touched.add(key)
        return gone

    @staticmethod
    def unwritten(bound: Bound) -> Instant:
        """Return how far before the last write of memories a restart must read a series again, so that none is missing.

        What was judged before says nothing new when it comes again.
        """
        return max((level.unwritten for level in bound.levels), default=0)

    def resume(self, now: Instant) -> None:
        """Say that the engine was deaf until ``now``: no silence is counted from before."""
        self._listening_since = now
