"""Watches that judge what comes late in its place: they go back to where they stood before it, and judge anew.

A watch of this kind remembers its newest readings and, every :data:`EACH` of them, where it stood. A late reading is
put among them; then all after it is judged again, in silence, and what comes of it is held against what people were
told (:mod:`linli_core.alarm.reconciling`). So the same readings come to the same conclusions in whatever order they
come, as far as the journal goes back. How far that is depends on how many readings came since, never on the clock.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from datetime import tzinfo
from math import isfinite
from typing import Final
from zlib import compress, decompress

import msgspec

from linli_core.alarm.conditions import Limit
from linli_core.alarm.memory import AlarmChange, Checkpoint, Entry, Journal, Judged, Memory, Span, move
from linli_core.alarm.reconciling import MOST_TOLD, Reconciled, reconcile
from linli_core.alarm.rule import Rule
from linli_core.alarm.states import Event, Note
from linli_core.alarm.watch import AHEAD, EveryWatch, earlier, plain_value
from linli_core.instant import HOUR, SECOND, Instant
from linli_core.model import Quality, Value

EACH: Final = 32
"""Readings between two checkpoints."""

CLOSE: Final = 2 * EACH
"""Readings that are remembered where none seems to be missing: a reading may be overtaken by so many."""

MOST: Final = 512
"""Readings that are remembered since a long silence: what it held back counts until so many newer ones have come."""

PATIENCE: Final = 30 * SECOND
"""What comes late among many newer readings is judged together with what comes within this time."""

JITTER: Final = SECOND
"""The clock concludes so much later than the newest reading's own lag allows: the next may be a little slower."""

_ROUNDS: Final = 4
"""Of a watch of many points so many readings of each are remembered, as far as :data:`MOST` allows."""

_NEAR: Final = 8
"""A late reading that so few overtook is judged at once."""

_LONG: Final = 4
"""A silence of so many times what is usual is a long one."""

_START: Final = -(2**62)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Judged)


class ToldWatch(EveryWatch):
    """A watch that knows what people were told, so that it may find out later that it was not so."""

    __slots__ = ("_found", "_journal", "_kept")

    def __init__(self, rule: Rule, memory: Memory, level: Limit, zone: tzinfo) -> None:
        super().__init__(rule, memory, level, zone)
        self._found: list[Span] | None = None
        self._kept = memory.keep()
        if memory.journal is None:
            memory.journal = self._begin()
        self._journal = memory.journal

    def _begin(self) -> Journal:
        """Return the journal of a watch that has none yet."""
        memory = self.memory
        return Journal(told=[Span(memory.raised_at or memory.last_at or 0)] if memory.raised else [])

    def _settle(self, made: Reconciled, late_at: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Tell what was judged anew: what was not so, what was over, and what was not told yet."""
        self._journal.told, self._journal.untold = made.told, made.untold
        for event, at, value in made.moves:
            if event is Note.DISPROVE:
                moved = move(self.rule, self.memory, event, late_at, now, value=value, of=at)
            else:
                named = self._return if event is Event.RETURN else event
                moved = move(self.rule, self.memory, named, at, now, value=value)
            if moved is not None:
                out.append(moved)

    def _tell(self, event: Event | Note, at: Instant, now: Instant, value: Value, out: list[AlarmChange]) -> None:
        if self._found is not None:
            _mark(self._found, event, self._return, at, value)
            return
        before, told = len(out), self._journal.told
        if event is self._return and told:
            at = max(at, told[-1].said_at)
        super()._tell(event, at, now, value, out)
        if len(out) == before:
            return
        _mark(told, event, self._return, at, value)
        del told[:-MOST_TOLD]
        if event is self._return and self._journal.untold:
            self._settle(reconcile((), told, self._journal.untold, at), at, now, out)

    def _remember(self, begun: Instant, over: Instant) -> None:
        """Keep nothing more: the journal knows what was told."""


class JournalWatch(ToldWatch, ABC):
    """A watch whose every reading matters, wherever in time it belongs.

    Args:
        rule: The rule.
        memory: What it remembers.
        level: The limit and delays.
        zone: The community's.
    """

    __slots__ = ()

    def _begin(self) -> Journal:
        """Return a journal that goes back to where the watch stands now: of a new one, to before all readings."""
        memory, journal = self.memory, super()._begin()
        if memory.last_at is None:
            journal.checkpoints.append(Checkpoint(_START, self._pack()))
            return journal
        journal.upto = max(memory.last_at, self._kept.upto or memory.last_at)
        journal.checkpoints.append(Checkpoint(journal.upto, self._pack()))
        return journal

    @property
    def _writes_every(self) -> Instant:
        """For how long readings are not worth a write: a restart reads them again."""
        return HOUR

    @property
    def unwritten(self) -> Instant:
        """For how long readings may be missing in what is written."""
        return self._writes_every

    # Readings

    def observe(self, value: Value, quality: Quality, at: Instant, now: Instant, out: list[AlarmChange]) -> bool:
        """Take a reading; one that is doubled, far ahead, or older than the journal changes nothing."""
        return self.take("", (), value, quality, at, now, out)

    def take(
        self,
        series: str,
        names: tuple[str, ...],
        value: Value,
        quality: Quality,
        at: Instant,
        now: Instant,
        out: list[AlarmChange],
    ) -> bool:
        """Take a reading of one of the points; one that is doubled, far ahead, or older than the journal is none."""
        self.is_substantial = False
        if at > now + AHEAD:
            return False
        journal = self._journal
        entry = Entry(at, self._said(value, quality), series, names)
        newest = journal.entries[-1].at if journal.entries else journal.checkpoints[0].at
        if at > newest and (journal.upto is None or at > journal.upto):
            self._note_hole(newest, at)
            journal.upto = None
            journal.entries.append(entry)
            self._take(entry, now, out)
            self.memory.lag = max(now - at, 0)
            self._keep_up(at)
        elif not self._place(entry):
            return False
        elif journal.stale_at is None and at == newest and (journal.upto is None or at > journal.upto):
            # Another point of the same moment.
            if journal.checkpoints[-1].at == at:
                journal.checkpoints.pop()
            self._take(entry, now, out)
            self.memory.lag = max(now - at, 0)
            self._keep_up(at)
        else:
            self._take_late(entry, now, out)
        if at - journal.written_at >= self._writes_every:
            self.is_substantial = True
        if self.is_substantial:
            journal.written_at = max(at, journal.written_at)
        return True

    def _said(self, value: Value, quality: Quality) -> bool | float | str | None:
        """Return what a reading says to this condition, ``None`` where that is nothing: here, a finite number."""
        plain = plain_value(value, quality)
        return None if plain is None or isinstance(plain, str) or not isfinite(plain) else float(plain)

    @abstractmethod
    def _take(self, entry: Entry, now: Instant, out: list[AlarmChange]) -> None:
        """Judge a reading that is newer than all that were judged, or as new."""

    def _note_hole(self, newest: Instant, at: Instant) -> None:
        """Note a silence before a reading that is longer than is usual."""
        journal = self._journal
        entries = journal.entries
        if len(entries) >= _NEAR and (at - newest) * len(entries) > _LONG * (newest - entries[0].at):
            journal.hole_at = newest

    def _keep_up(self, at: Instant) -> None:
        """Remember where the watch stands now and then, and forget the oldest readings."""
        journal = self._journal
        entries, checkpoints = journal.entries, journal.checkpoints
        if journal.stale_at is None and len(entries) >= EACH and entries[-EACH].at > checkpoints[-1].at:
            checkpoints.append(Checkpoint(at, self._pack()))
            self._make_room()

    def _make_room(self) -> None:
        """Forget the oldest readings: those that nothing can come before any more, and those that are too many."""
        journal = self._journal
        entries, checkpoints = journal.entries, journal.checkpoints
        while len(checkpoints) > 1:
            upto = checkpoints[1].at
            gone = bisect_right(entries, upto, key=_at)
            is_open = journal.hole_at is not None and bool(entries) and journal.hole_at >= entries[0].at
            if len(entries) - gone < (MOST if is_open else self._close_by()) - EACH:
                return
            del entries[:gone], checkpoints[0]

    def _close_by(self) -> int:
        """Return how many readings are remembered where none seems to be missing.

        Hundreds of points bring hundreds of readings in a moment: one that is a little slower is overtaken by them all.
        """
        return min(max(CLOSE, _ROUNDS * len(self._kept.points)), MOST)

    # What comes late

    def _place(self, entry: Entry) -> bool:
        """Put a reading where it belongs; ``False`` where it is there, or belongs before all that is remembered."""
        journal = self._journal
        entries = journal.entries
        if entry.at <= journal.checkpoints[0].at:
            return False
        place = bisect_right(entries, entry.at, key=_at)
        other = place - 1
        while other >= 0 and entries[other].at == entry.at:
            if entries[other].series == entry.series:
                return False
            other -= 1
        entries.insert(place, entry)
        return True

    def _take_late(self, entry: Entry, now: Instant, out: list[AlarmChange]) -> None:
        """Take a reading of the past: what was concluded after it is to be concluded anew."""
        journal, at = self._journal, entry.at
        while journal.checkpoints[-1].at >= at:
            journal.checkpoints.pop()
        if journal.stale_at is None:
            journal.stale_at, journal.stale_since = at, now
        journal.stale_at = min(journal.stale_at, at)
        journal.stale += 1
        if journal.entries[-1] is entry:
            self.memory.lag = max(now - at, 0)
        after = len(journal.entries) - bisect_right(journal.entries, journal.stale_at, key=_at)
        # Judging all after it costs as much as they are many: so many more are waited for, but not for long.
        if after <= _NEAR or journal.stale >= after or len(journal.entries) > MOST:
            self._judge_anew(now, out)

    def _judge_anew(self, now: Instant, out: list[AlarmChange]) -> None:
        """Go back to before what came late, judge in silence all that came after, and tell what is not so."""
        journal, memory = self._journal, self.memory
        # Only now: a backlog of thousands would have all that is remembered written with each of its readings.
        self.is_substantial = True
        late_at, journal.stale_at, journal.stale = journal.stale_at, None, 0
        since = journal.checkpoints[-1]
        lag, upto = memory.lag, journal.upto
        self._unpack(since.judged)
        self._found = [Span(memory.raised_at or since.at, None, memory.value)] if memory.raised else []
        silent: list[AlarmChange] = []
        entries = journal.entries
        first = bisect_right(entries, since.at, key=_at)
        for place in range(first, len(entries)):
            if (place - first) % EACH == EACH - 1 and entries[place].at > entries[place - 1].at:
                journal.checkpoints.append(Checkpoint(entries[place - 1].at, self._pack()))
            self._take(entries[place], now, silent)
        memory.lag = lag
        newest = entries[-1].at
        # What the clock concluded stays concluded, though the newest reading may have come later than it thought.
        journal.upto = None if upto is None or upto <= newest else upto
        if journal.upto is not None:
            self._advance(journal.upto, now, silent)
        found, self._found = self._found, None
        self._settle(reconcile(found, journal.told, journal.untold, since.at), late_at or newest, now, out)
        self._make_room()

    def _pack(self) -> bytes:
        """Return where the watch stands."""
        memory = self.memory
        judged = _encoder.encode(
            Judged(
                memory.raised,
                memory.since,
                memory.last_at,
                memory.held,
                memory.value,
                memory.begun_at,
                memory.raised_at,
                memory.edge_at,
                self._kept,
            )
        )
        return compress(judged, level=1)  # what was added up piece by piece repeats itself: a sixth is left

    def _unpack(self, packed: bytes) -> None:
        """Go back to where the watch stood."""
        memory, judged = self.memory, _decoder.decode(decompress(packed))
        memory.raised, memory.since, memory.last_at, memory.held = (
            judged.raised,
            judged.since,
            judged.last_at,
            judged.held,
        )
        memory.value, memory.begun_at, memory.raised_at = judged.value, judged.begun_at, judged.raised_at
        memory.edge_at = judged.edge_at
        self._kept = memory.kept = judged.kept

    # The clock

    def tick(self, now: Instant, listening_since: Instant, out: list[AlarmChange]) -> None:
        """Conclude what has lasted long enough by now, less the subject's lag."""
        journal, memory = self._journal, self.memory
        self.is_substantial = False
        if (due := self.due(listening_since)) is None or due > now:
            return  # an earlier look was planned than is needed any more
        self.is_substantial = journal.stale_at is not None
        if journal.stale_at is not None:
            self._judge_anew(now, out)
        upto = now - memory.lag - self._slack
        before = (memory.raised, memory.since, memory.edge_at, self._kept.upto)
        self._pass_time(upto, now, out)
        if before != (memory.raised, memory.since, memory.edge_at, self._kept.upto):
            journal.upto = upto if journal.upto is None else max(upto, journal.upto)

    def _pass_time(self, upto: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Conclude what the clock alone settles."""
        self._advance(upto, now, out)

    @property
    def _slack(self) -> Instant:
        """How much later than its lag allows the clock concludes."""
        return 0

    def due(self, listening_since: Instant) -> Instant | None:
        """Return when the watch is to be looked at next."""
        due, journal = self._next_look(listening_since), self._journal
        if due is not None:
            due += self._slack
        return due if journal.stale_at is None else earlier(due, journal.stale_since + PATIENCE)

    def _next_look(self, listening_since: Instant) -> Instant | None:
        """Return when the clock alone may settle something, by the newest reading's lag."""
        return super().due(listening_since)


def _at(entry: Entry) -> Instant:
    return entry.at


def _mark(spans: list[Span], event: Event | Note, over: Event, at: Instant, value: Value) -> None:
    """Note that a condition began to hold, or that it is over."""
    if event is Event.RAISE:
        spans.append(Span(at, None, _plain(value)))
    elif event is over and spans:
        spans[-1].over = at


def _plain(value: Value) -> bool | float | str | None:
    return value if isinstance(value, bool | float | int | str) or value is None else float(value)
