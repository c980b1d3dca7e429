"""Rules over several points: an expression over those of a device, and the balance of a gateway's meters."""

from datetime import tzinfo
from math import isfinite
from typing import Final

from linli_core.alarm.conditions import Balance, Expression, Limit
from linli_core.alarm.expression import parse_expression
from linli_core.alarm.journal import JournalWatch
from linli_core.alarm.memory import AlarmChange, Entry, Memory, Point, Side
from linli_core.alarm.rule import Rule
from linli_core.alarm.watch import AHEAD, EveryWatch, plain_value
from linli_core.instant import DAY, Instant
from linli_core.model import Quality, Value

MOST_METERS: Final = 5_000
"""Meters of one balance."""

GONE: Final = 30 * DAY
"""A meter that was not heard of for so long was taken out: nothing waits for it any more."""

MOST_PERIODS: Final = 4
"""Edges of periods that are kept for each meter: beyond them a meter that is late is not waited for."""


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


class BalanceWatch(EveryWatch):
    """What bulk meters counted and sub-meters did not, period by period.

    The value at a period's edge is taken on the straight line between the readings around it. A period is judged when
    every meter that was heard of before it has passed its end; one that is late for longer than is waited leaves the
    period unjudged, for a missing meter would look like a loss.
    """

    __slots__ = ("_condition", "_kept")

    def __init__(self, rule: Rule, memory: Memory, condition: Balance, zone: tzinfo) -> None:
        super().__init__(rule, memory, Limit(high=condition.share), zone)
        self._condition = condition
        self._kept = memory.keep()

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
        """Take a reading of one meter; a missing one says nothing, one older than the meter's newest neither."""
        kept, over = self._kept, self._condition.over
        meter = f"{names[0]}:{series}"
        self.is_substantial = False
        known = kept.points.get(meter)
        if at > now + AHEAD or (known is not None and at <= known.at):
            return False
        plain = plain_value(value, quality)
        if plain is None or isinstance(plain, str) or not isfinite(plain):
            return True
        if known is None and len(kept.points) >= MOST_METERS:
            return False
        kept.points[meter] = Point(at, float(plain))
        memory = self.memory
        memory.last_at, memory.lag = max(at, memory.last_at or at), max(now - at, 0)
        first = at // over if known is None else known.at // over
        if known is not None and known.value is not None and at // over > first:
            edges = kept.periods.setdefault(meter, {})
            start = float(known.value)
            for number in range(max(first + 1, at // over - MOST_PERIODS + 1), at // over + 1):
                edges[number] = start + (float(plain) - start) * (number * over - known.at) / (at - known.at)
            for number in sorted(edges)[:-MOST_PERIODS]:
                del edges[number]
            self.is_substantial = True
            self._settle(at, now, out)
        return True

    def _settle(self, at: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Judge the periods that are complete, and give up those that were waited for too long."""
        kept, condition = self._kept, self._condition
        over, newest = condition.over, max(at, self.memory.last_at or at)
        ends = sorted({number for edges in kept.periods.values() for number in edges if number > kept.count})
        for number in ends:
            late = any(point.at < number * over for point in kept.points.values() if self._counts(point, number))
            if late and newest < number * over + condition.wait:
                return
            kept.count = number
            share = None if late else self._missing(number)
            if share is not None:
                self.memory.value = share
                self._judge(Side.BEYOND if share > condition.share else Side.BACK, number * over, now, out)

    def _counts(self, point: Point, number: int) -> bool:
        """Tell whether a meter is one of those that are waited for: not one that was taken out long ago."""
        return point.at >= number * self._condition.over - GONE

    def _missing(self, number: int) -> float | None:
        """Return the share of the bulk that no sub-meter counted; ``None`` where a meter's own share is not known."""
        totals = {"bulk": 0.0, "sub": 0.0}
        if not any(meter.startswith("sub:") for meter in self._kept.points):
            return None  # a bulk meter alone: what it counted went to meters of another gateway, or to none
        for meter, point in self._kept.points.items():
            if not self._counts(point, number):
                continue
            edges = self._kept.periods.get(meter, {})
            start, end = edges.get(number - 1), edges.get(number)
            if start is None or end is None or end < start:
                return None
            totals[meter.partition(":")[0]] += end - start
        bulk, missing = totals["bulk"], totals["bulk"] - totals["sub"]
        if bulk <= 0:
            return None
        return missing / bulk if missing >= self._condition.least else 0.0
