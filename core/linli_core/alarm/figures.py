"""Figures of a while: rates, means, times outside a range, added up in pieces so that a watch keeps little.

A while is kept as at most :data:`PIECES` + 1 segments on a fixed grid. What is added up holds from one reading to the
next, but no longer than the condition's ``gap``: of what lies beyond nothing is known, and nothing is made up. A figure
is judged with every reading, at every edge of the grid, and where a time outside a range reaches its limit; so what is
concluded depends on readings alone, and a restart takes up the segments where they were.
"""

from collections.abc import Iterable
from datetime import tzinfo
from math import exp, log, sqrt
from typing import Final, NamedTuple

from linli_core.alarm.conditions import Figure, Integral, Limit, MeanKinetic, Outside, Rate, Statistic, Window
from linli_core.alarm.journal import JITTER, JournalWatch
from linli_core.alarm.memory import AlarmChange, Entry, Memory, Segment, Side
from linli_core.alarm.rule import Rule
from linli_core.alarm.watch import earlier
from linli_core.instant import HOUR, SECOND, Instant

PIECES: Final = 60
"""Into so many pieces a while is cut: what leaves it leaves by the piece."""

_WRITTEN: Final = 4
"""A memory is written once in so many pieces: what came since, a restart reads again."""


_OFF: Final = 2.0**-51
"""A rate is at its limit where it is closer to it than what its readings, and itself, may be rounded by."""


class _Sums(NamedTuple):
    """What some pieces come to."""

    covered: Instant = 0
    total: float = 0.0
    square: float = 0.0
    low: float | None = None
    high: float | None = None

    def and_(self, segments: Iterable[Segment]) -> "_Sums":
        """Return what they come to with more of them."""
        covered, total, square, low, high = self
        for it in segments:
            covered += it.covered
            total += it.total
            square += it.square
            if it.low is not None and (low is None or it.low < low):
                low = it.low
            if it.high is not None and (high is None or it.high > high):
                high = it.high
        return _Sums(covered, total, square, low, high)


_NOTHING: Final = _Sums()


class FigureWatch(JournalWatch):
    """A figure of a while, judged as a level."""

    __slots__ = ("_condition", "_gap", "_over", "_past", "_step")

    def __init__(self, rule: Rule, memory: Memory, condition: Figure, zone: tzinfo) -> None:
        # A time outside is judged by itself, not by a limit.
        super().__init__(rule, memory, Limit(high=0.0) if isinstance(condition, Outside) else condition.level, zone)
        self._condition = condition
        self._over = condition.over
        self._step = max(condition.over // PIECES, 1)
        self._gap = condition.over if isinstance(condition, Rate) else condition.gap
        self._past: tuple[tuple[Instant, int], _Sums] = ((0, 0), _NOTHING)

    def _take(self, entry: Entry, now: Instant, out: list[AlarmChange]) -> None:
        memory, kept, at = self.memory, self._kept, entry.at
        number = entry.value if isinstance(entry.value, float) else None
        self._advance(at, now, out, is_read=True)
        memory.last_at = at
        memory.held = number is None
        kept.value = number
        if number is None:
            self.is_substantial = True  # a missing reading ends what holds
            return
        segment = self._segment(at)
        if segment.first_at is None:
            segment.first_at, segment.first = at, number
        segment.low = number if segment.low is None else min(segment.low, number)
        segment.high = number if segment.high is None else max(segment.high, number)
        self._assess(at, now, out)

    def _unpack(self, packed: bytes) -> None:
        super()._unpack(packed)
        self._past = ((0, 0), _NOTHING)

    @property
    def _writes_every(self) -> Instant:
        # What was added up is worth a write once in a while.
        return _WRITTEN * self._step

    @property
    def _slack(self) -> Instant:
        return JITTER

    @property
    def unwritten(self) -> Instant:
        """For how long readings may be missing in what is written."""
        return (_WRITTEN + 1) * self._step

    def _segment(self, at: Instant) -> Segment:
        """Return the piece an instant lies in; it is the newest."""
        segments = self._kept.segments
        start = at - at % self._step
        if not segments or segments[-1].start < start:
            value = self._kept.value
            segments.append(Segment(start, low=value, high=value))
        return segments[-1]

    def _advance(self, upto: Instant, now: Instant, out: list[AlarmChange], *, is_read: bool = False) -> None:
        """Add up what holds until an instant, and judge at every edge on the way.

        Of an instant at which there is a reading the figure is judged with it: without, it would be one of a while
        whose oldest reading is gone and whose newest is not there yet.
        """
        memory, kept, step = self.memory, self._kept, self._step
        at = kept.upto
        if at is None or memory.last_at is None:
            kept.upto = upto
            return
        speaks_until = memory.last_at + self._gap
        while at < upto:
            if at >= speaks_until + self._over + step:
                at = upto  # nothing is left in the while, and nothing comes into it
                break
            end = min(self._edge_after(at), upto)
            if kept.value is not None and at < speaks_until and not isinstance(self._condition, Rate):
                self._add(kept.value, at, min(end, speaks_until), now, out)
            at = end
            if at % step == 0:
                self._trim(at)
                if not memory.held:
                    super()._advance(at, now, out)
                    if not (is_read and at == upto):
                        self._assess(at, now, out)
        kept.upto = max(at, kept.upto or at)
        if upto >= speaks_until + self._over + step:
            self._trim(upto)
        super()._advance(upto, now, out)

    def _edge_after(self, at: Instant) -> Instant:
        """Return the next edge of the grid at which the figure may settle something.

        Between two readings a rate only fades, but where its first reading leaves the while, or where the two are far
        enough apart to say something; so while nothing is amiss the other edges are passed over.
        """
        step, memory, condition = self._step, self.memory, self._condition
        edge = at - at % step + step
        if not isinstance(condition, Rate) or memory.raised or memory.since is not None:
            return edge
        if not self.rule.schedule.is_always:
            return edge
        first = self._first()
        if first is None or first.first_at is None:
            return edge
        speaks = first.first_at + (self._over + 1) // 2
        turns = [turn + -turn % step for turn in (speaks, first.start + step + self._over)]
        return min((turn for turn in turns if turn > edge), default=edge) if edge not in turns else edge

    def _first(self) -> Segment | None:
        """Return the oldest piece in which there is a reading."""
        return next((it for it in self._kept.segments if it.first_at is not None and it.first is not None), None)

    def _sums(self) -> "_Sums":
        """Return what the pieces come to. All but the newest are as they were: their part is kept."""
        segments = self._kept.segments
        if not segments:
            return _NOTHING
        key = (segments[0].start, len(segments))
        known, past = self._past
        if known != key:
            # Added anew and not subtracted: a watch that was restarted must come to the same to the last bit.
            past = _NOTHING.and_(segments[:-1])
            self._past = (key, past)
        return past.and_(segments[-1:])

    def _trim(self, at: Instant) -> None:
        segments = self._kept.segments
        gone = 0
        while gone < len(segments) and segments[gone].start + self._step <= at - self._over:
            gone += 1
        del segments[:gone]

    def _add(self, value: float, at: Instant, end: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Add up a value that holds from one instant to another within a piece."""
        segment, span, condition = self._segment(at), end - at, self._condition
        if segment.low is not None and segment.high is not None:
            segment.low, segment.high = min(segment.low, value), max(segment.high, value)
        amount = self._weight(value)
        if isinstance(condition, Outside) and amount and not self.memory.raised:
            left = condition.longest - round(self._total())
            if 0 < left <= span:
                segment.covered, segment.total = segment.covered + left, segment.total + left
                self._assess(at + left, now, out)
                span -= left
        segment.covered += span
        segment.total += amount * span
        segment.square += amount * amount * span

    def _weight(self, value: float) -> float:
        """Return what of a value is added up."""
        condition = self._condition
        if isinstance(condition, Outside):
            below = condition.low is not None and value < condition.low
            above = condition.high is not None and value > condition.high
            return float(below or above)
        if isinstance(condition, Integral):
            beyond = value - condition.above if condition.above is not None else (condition.below or 0.0) - value
            return max(beyond, 0.0)
        if isinstance(condition, MeanKinetic):
            kelvin = value + condition.offset
            return exp(-condition.activation / kelvin) if kelvin > 0 else 0.0
        return value

    def _total(self) -> float:
        return self._sums().total

    def _assess(self, at: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Judge the figure as it is at an instant."""
        figure = self._figure(at)
        if figure is None:
            return
        self.memory.value = figure
        self._judge(self._side(figure), at, now, out)

    def _side(self, value: bool | float | str) -> Side:
        condition = self._condition
        if isinstance(condition, Outside):
            return Side.BEYOND if float(value) * SECOND >= condition.longest else Side.BACK
        return super()._side(value) or Side.BETWEEN

    def _figure(self, at: Instant) -> float | None:
        """Return the figure in the unit of its limit, ``None`` while too little is known."""
        condition = self._condition
        if isinstance(condition, Outside):
            return self._total() / SECOND
        if isinstance(condition, Integral):
            return self._total() / HOUR
        if isinstance(condition, Rate):
            return self._rate(at, condition)
        sums = self._sums()
        if not sums.covered or sums.covered < condition.coverage * condition.over:
            return None
        mean = sums.total / sums.covered
        if isinstance(condition, MeanKinetic):
            return condition.activation / -log(mean) - condition.offset if 0 < mean < 1 else None
        return self._statistic(condition, mean, sums)

    def _rate(self, at: Instant, condition: Rate) -> float | None:
        value = self._kept.value
        first = self._first()
        if value is None or first is None or first.first_at is None or first.first is None:
            return None
        span = at - first.first_at
        # Two readings close together say nothing of a while, only of the sensor's noise.
        if 2 * span < condition.over:
            return None
        rate = (value - first.first) * condition.per / span
        # A difference of binary numbers is a little off: 0.1 more each minute, for ever, is not now and then too much.
        off = _OFF * (max(abs(value), abs(first.first)) * condition.per / span + abs(rate))
        edges = (self._sign * self._limit, self._sign * self._back)
        return next((edge for edge in edges if abs(rate - edge) <= off), rate)

    def _statistic(self, condition: Window, mean: float, sums: "_Sums") -> float | None:
        if condition.statistic is Statistic.MEAN:
            return mean
        if condition.statistic is Statistic.STD:
            return sqrt(max(sums.square / sums.covered - mean * mean, 0.0))
        low, high = sums.low, sums.high
        if low is None or high is None:
            return None
        return {Statistic.MIN: low, Statistic.MAX: high}.get(condition.statistic, high - low)

    def _next_look(self, listening_since: Instant) -> Instant | None:
        """Return when the figure is to be looked at next: at an edge of the grid, or where it reaches its limit."""
        due = super()._next_look(listening_since)
        memory, kept = self.memory, self._kept
        if memory.held or kept.upto is None or memory.last_at is None:
            return due
        if kept.upto >= memory.last_at + self._gap + self._over + self._step:
            return due  # the while is empty: time alone changes nothing any more
        due = earlier(due, self._edge_after(kept.upto) + memory.lag)
        condition = self._condition
        if isinstance(condition, Outside) and kept.value is not None and self._weight(kept.value) and not memory.raised:
            left = condition.longest - round(self._total())
            if left > 0:
                due = earlier(due, kept.upto + left + memory.lag)
        return due
