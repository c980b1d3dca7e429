"""Rules over several points: an expression over those of a device, and the balance of a gateway's meters."""

from collections.abc import Collection
from datetime import tzinfo
from math import isfinite
from typing import Final

from linli_core.alarm.conditions import Balance, Expression, Limit
from linli_core.alarm.expression import parse_expression
from linli_core.alarm.journal import PATIENCE, JournalWatch, ToldWatch
from linli_core.alarm.memory import AlarmChange, Edge, Entry, Journal, Memory, Point, Side, Span
from linli_core.alarm.reconciling import reconcile
from linli_core.alarm.rule import Rule
from linli_core.alarm.scope import lies_in
from linli_core.alarm.watch import AHEAD, earlier, plain_value
from linli_core.instant import DAY, Instant
from linli_core.model import Quality, Value

MOST_METERS: Final = 5_000
"""Meters of one balance."""

GONE: Final = 30 * DAY
"""A meter that was not heard of for so long was taken out: nothing waits for it any more."""

MOST_PERIODS: Final = 4
"""Periods that are judged anew where something comes late, and the edge before them."""

_MOST_EDGES: Final = 2 * MOST_PERIODS
"""Edges that are kept for each meter: beyond them a meter that is late is not waited for."""


class ExpressionWatch(JournalWatch):
    """A condition over several points of one device, each as it was last read."""

    __slots__ = ("_ask", "_condition")

    def __init__(self, rule: Rule, memory: Memory, condition: Expression, zone: tzinfo) -> None:
        level = Limit(high=0.5, on_delay=condition.on_delay, off_delay=condition.off_delay)
        super().__init__(rule, memory, level, zone)
        self._condition = condition
        self._ask = parse_expression(condition.when, [name for name, _ in condition.points], rule.id)

    def _said(self, value: Value, quality: Quality) -> bool | float | str | None:
        plain = plain_value(value, quality)
        return plain if plain is None or isinstance(plain, str) else float(plain) if isfinite(plain) else None

    def _take(self, entry: Entry, now: Instant, out: list[AlarmChange]) -> None:
        memory, points, at = self.memory, self._kept.points, entry.at
        self._advance(at, now, out)
        for name in entry.names:
            known = points.get(name)
            if known is None or known.value != entry.value:
                self.is_substantial = True
            points[name] = Point(at, entry.value)
        memory.last_at = at
        found = self._ask(self._fresh(at))
        memory.held = found is None
        if found is not None:
            memory.value = bool(found)
            self._judge(Side.BEYOND if found else Side.BACK, at, now, out)

    def _fresh(self, at: Instant) -> dict[str, float | str | None]:
        """Return what is known of each point at an instant: what is older than is allowed is not."""
        return {
            name: point.value if isinstance(point.value, str) else float(point.value)
            for name, point in self._kept.points.items()
            if point.value is not None and at - point.at <= self._condition.fresh
        }

    def _counts_until(self) -> Instant | None:
        """Return until when the readings it rests on count, ``None`` while there are none."""
        points = self._kept.points.values()
        known = min((point.at for point in points if point.value is not None), default=None)
        return None if known is None else known + self._condition.fresh

    def _advance(self, upto: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Conclude until an instant, but no further than the readings it rests on count."""
        until = self._counts_until()
        super()._advance(upto if until is None else min(upto, until), now, out)

    def _next_look(self, listening_since: Instant) -> Instant | None:
        """Return when the clock may settle something: nothing beyond what the readings it rests on count for."""
        due, until = super()._next_look(listening_since), self._counts_until()
        return None if due is None or until is None or due - self.memory.lag > until else due


class BalanceWatch(ToldWatch):
    """What bulk meters counted and sub-meters did not, period by period.

    The value at a period's edge is taken on the straight line between the readings around it, in whatever order they
    came. A period is judged when every meter that was heard of before its end has passed it; one that is not read
    within the time that is waited leaves it unjudged, for a missing meter would look like a loss. What comes late still
    has it judged, or judged anew.
    """

    __slots__ = ("_condition", "_waits")

    def __init__(self, rule: Rule, memory: Memory, condition: Balance, zone: tzinfo) -> None:
        super().__init__(rule, memory, Limit(high=condition.share), zone)
        self._condition = condition
        # The next period to be judged, and a meter that it waits for: thousands pass an edge one after the other.
        self._waits: tuple[int, str] | None = None

    def _begin(self) -> Journal:
        """Return a journal of what stands: where no verdict is kept, it stood before all that can be judged anew."""
        if not self._kept.verdicts:
            self._kept.was_amiss = self.memory.raised
        return super()._begin()

    @property
    def unwritten(self) -> Instant:
        """For how long readings may be missing in what is written: it is written at the edges of periods."""
        return self._condition.over

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
        """Take a reading of one meter; a missing or a doubled one says nothing."""
        kept, memory = self._kept, self.memory
        meter = f"{names[0]}:{series}"
        self.is_substantial = False
        if at > now + AHEAD:
            return False
        plain = plain_value(value, quality)
        if plain is None or isinstance(plain, str) or not isfinite(plain):
            return True
        newest, reading = kept.points.get(meter), Point(at, float(plain))
        if newest is None and len(kept.points) >= MOST_METERS:
            return False
        first = kept.firsts.get(meter)
        touched = self._enter(meter, reading)
        if touched is None:
            return False
        if newest is None or at > newest.at:
            kept.points[meter] = reading
            memory.last_at, memory.lag = max(at, memory.last_at or at), max(now - at, 0)
        if first is not kept.firsts.get(meter) and at < kept.count * self._condition.over:
            touched.add(kept.count)  # since then there is a meter that nobody knew of
        if touched:
            self.is_substantial = True
            if min(touched) <= kept.count and self._journal.stale_at is None:
                self._journal.stale_at, self._journal.stale_since = at, now
            if not self._still_waits(touched):
                self._close(now, out)
        return True

    def _enter(self, meter: str, reading: Point) -> set[int] | None:
        """Put a reading to the edges it lies closest to; return these, ``None`` where it is there or too old."""
        kept, over = self._kept, self._condition.over
        at, value = reading.at, float(reading.value or 0.0)
        first, newest = kept.firsts.get(meter) or kept.points.get(meter), kept.points.get(meter)
        if first is None or newest is None:
            kept.firsts[meter] = reading
            return set()
        if at in {first.at, newest.at}:
            return None
        edges = kept.edges.setdefault(meter, {})
        oldest = max(newest.at, at) // over - _MOST_EDGES + 1
        touched: set[int] = set()
        if at > newest.at or at < first.at:
            one, other = sorted((reading, newest if at > newest.at else first), key=lambda it: it.at)
            for number in range(max(one.at // over + 1, oldest), other.at // over + 1):
                last = other if other.at == number * over else one
                edge = Edge(last.at, float(last.value or 0.0), other.at, float(other.value or 0.0))
                touched |= self._narrow(edges, number, edge)
            if at < first.at:
                kept.firsts[meter] = reading
        else:
            for number, edge in edges.items():
                if edge.before_at < at < edge.after_at:
                    before = (at, value) if at <= number * over else (edge.before_at, edge.before)
                    after = (at, value) if at >= number * over else (edge.after_at, edge.after)
                    edges[number] = Edge(*before, *after)
                    touched.add(number)
        for number in [it for it in edges if it <= kept.count - MOST_PERIODS] + sorted(edges)[:-_MOST_EDGES]:
            edges.pop(number, None)
            touched.discard(number)
        return touched

    @staticmethod
    def _narrow(edges: dict[int, Edge], number: int, edge: Edge) -> set[int]:
        """Note what is known of an edge, unless more is known already."""
        known = edges.get(number)
        if known is not None and known.before_at >= edge.before_at and known.after_at <= edge.after_at:
            return set()
        edges[number] = edge
        return {number}

    def let_go(self, places: Collection[str]) -> bool:
        """Wait no more for the meters of gateways and devices that were taken out; tell whether there were any."""
        kept = self._kept
        gone = [meter for meter in kept.points if lies_in(meter.partition(":")[2], places)]
        if gone:
            # What they counted is in the bulk of these periods: without them it would look like a loss.
            last = max(kept.points[meter].at for meter in gone) // self._condition.over + 1
            kept.settled = max(kept.settled, kept.count, last)
            self._waits = None
        for meter in gone:
            for known in (kept.points, kept.firsts, kept.edges):
                known.pop(meter, None)
        return bool(gone)

    def _still_waits(self, touched: set[int]) -> bool:
        """Tell whether what the next period waited for has still not come: then nothing is to be closed."""
        if self._waits is None:
            return False
        (number, meter), kept = self._waits, self._kept
        end = number * self._condition.over
        return (
            not any(kept.count < it < number for it in touched)
            and kept.points[meter].at < end
            and self._counts(meter, number)
            and (self.memory.last_at or 0) < end + self._condition.wait
        )

    def _close(self, now: Instant, out: list[AlarmChange]) -> None:
        """Judge the periods that are complete, and give up those that were waited for too long."""
        kept, condition = self._kept, self._condition
        over, newest = condition.over, self.memory.last_at or 0
        for number in sorted({number for edges in kept.edges.values() for number in edges if number > kept.count}):
            late = self._late(number)
            if late is not None and newest < number * over + condition.wait:
                self._waits = number, late
                return
            self._waits = None
            if self._journal.stale_at is not None:
                self._judge_anew(now, out)
            kept.count = number
            amiss = self._is_amiss(number) if number > kept.settled else None
            if amiss is not None:
                kept.verdicts[number] = amiss
                self._judge(Side.BEYOND if amiss else Side.BACK, number * over, now, out)
            # Of the oldest edge that is kept the period before it is gone.
            for gone in sorted(it for it in kept.verdicts if it <= number - MOST_PERIODS + 1):
                kept.was_amiss = kept.verdicts.pop(gone)

    def _judge_anew(self, now: Instant, out: list[AlarmChange]) -> None:
        """Judge again the periods whose edges may be known better now, and tell what is not so."""
        kept, memory, over, journal = self._kept, self.memory, self._condition.over, self._journal
        late_at, journal.stale_at = journal.stale_at, None
        for number in range(max(kept.count - MOST_PERIODS + 2, kept.settled + 1), kept.count + 1):
            if any(len(edges) >= _MOST_EDGES and min(edges) >= number for edges in kept.edges.values()):
                continue  # the edge before it was forgotten: what was judged of it stays
            amiss = self._is_amiss(number)
            kept.verdicts.pop(number, None)
            if amiss is not None:
                kept.verdicts[number] = amiss
        since = (kept.count - MOST_PERIODS + 1) * over
        stood_since = max((it.begun for it in journal.told if it.begun <= since), default=since)
        found = [Span(stood_since)] if kept.was_amiss else []
        for number, amiss in sorted(kept.verdicts.items()):
            if amiss and not (found and found[-1].over is None):
                found.append(Span(number * over, None, self._missing(number)))
            elif not amiss and found and found[-1].over is None:
                found[-1].over = number * over
        memory.raised = bool(found) and found[-1].over is None
        if memory.raised:
            memory.begun_at = memory.raised_at = found[-1].begun
        memory.since = None
        self._settle(reconcile(found, journal.told, journal.untold, since), late_at or since, now, out)

    def tick(self, now: Instant, listening_since: Instant, out: list[AlarmChange]) -> None:
        """Judge anew what came late: many meters' readings at once, as one of them may be one of thousands."""
        stale = self._journal.stale_at is not None and now >= self._journal.stale_since + PATIENCE
        self.is_substantial = stale
        if stale:
            self._judge_anew(now, out)
        super().tick(now, listening_since, out)

    def due(self, listening_since: Instant) -> Instant | None:
        """Return when what came late is judged, or the schedule turns."""
        due = super().due(listening_since)
        return due if self._journal.stale_at is None else earlier(due, self._journal.stale_since + PATIENCE)

    def _late(self, number: int) -> str | None:
        """Return the last meter that has not passed the end of a period, ``None`` where all have.

        Meters are read in the order in which they were heard of first: until it is read nothing need be counted.
        """
        end, points = number * self._condition.over, self._kept.points
        return next((it for it in reversed(points) if points[it].at < end and self._counts(it, number)), None)

    def _is_amiss(self, number: int) -> bool | None:
        """Tell whether too much of a period is missing, ``None`` where that is not known."""
        share = self._missing(number)
        if share is None:
            return None
        self.memory.value = share
        return share > self._condition.share

    def _counts(self, meter: str, number: int) -> bool:
        """Tell whether a meter is one of a period: not one that came later, or was taken out long before."""
        end, kept = number * self._condition.over, self._kept
        first = kept.firsts.get(meter)
        return kept.points[meter].at >= end - GONE and (first is None or first.at < end)

    def _value(self, meter: str, number: int, *, waited: Instant) -> float | None:
        """Return what a meter counted until an edge; ``None`` where it was not read within a time after it."""
        edge, at = self._kept.edges.get(meter, {}).get(number), number * self._condition.over
        if edge is None or edge.after_at >= at + waited:
            return None
        span = edge.after_at - edge.before_at
        return edge.before + (edge.after - edge.before) * (at - edge.before_at) / span if span else edge.before

    def _missing(self, number: int) -> float | None:
        """Return the share of the bulk that no sub-meter counted; ``None`` where a meter's own share is not known."""
        totals = {"bulk": 0.0, "sub": 0.0}
        counted = [meter for meter in self._kept.points if self._counts(meter, number)]
        if not any(meter.startswith("sub:") for meter in counted):
            return None  # a bulk meter alone: what it counted went to meters of another gateway, or to none
        for meter in counted:
            start = self._value(meter, number - 1, waited=GONE)
            end = self._value(meter, number, waited=self._condition.wait)
            if start is None or end is None or end < start:
                return None
            totals[meter.partition(":")[0]] += end - start
        bulk, missing = totals["bulk"], totals["bulk"] - totals["sub"]
        if bulk <= 0:
            return None
        return missing / bulk if missing >= self._condition.least else 0.0
