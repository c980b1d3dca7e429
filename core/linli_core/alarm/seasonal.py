"""What is usual: the same hour of earlier weeks, and the least flow of a night."""

from abc import abstractmethod
from datetime import datetime, tzinfo
from statistics import median
from typing import Final

from linli_core.alarm.conditions import Baseline, Direction, Limit, NightFlow
from linli_core.alarm.journal import JournalWatch
from linli_core.alarm.memory import AlarmChange, Entry, Memory, Segment, Side
from linli_core.alarm.rule import Rule
from linli_core.instant import DAY, HOUR, Instant, from_datetime, to_datetime

_ROBUST: Final = 1.4826
"""Makes the median of distances a standard deviation where values are spread as a bell."""

_HOURS_OF_DAY: Final = 24


class _SeasonalWatch(JournalWatch):
    """Takes the readings of one point in order, and what each adds to the time before it.

    Args:
        rule: The rule.
        memory: What it remembers.
        level: The limit on the figure.
        zone: The community's.
        counts: Whether the point counts: what lies between two of its readings is then their difference.
    """

    __slots__ = ("_counts",)

    def __init__(self, rule: Rule, memory: Memory, level: Limit, zone: tzinfo, *, counts: bool) -> None:
        super().__init__(rule, memory, level, zone)
        self._counts = counts

    def _take(self, entry: Entry, now: Instant, out: list[AlarmChange]) -> None:
        kept, at = self._kept, entry.at
        number = entry.value if isinstance(entry.value, float) else None
        self.memory.last_at = at
        self._pass(kept.upto, at, number, now, out)
        if number is not None or not self._counts:
            kept.value, kept.upto = number, at

    @abstractmethod
    def _pass(
        self, before: Instant | None, at: Instant, number: float | None, now: Instant, out: list[AlarmChange]
    ) -> None:
        """Take the time from the reading before to this one."""

    def _pass_time(self, upto: Instant, now: Instant, out: list[AlarmChange]) -> None:
        """Settle nothing: the reading after the end of a time does."""

    def _next_look(self, listening_since: Instant) -> Instant | None:  # noqa: ARG002
        return None


class BaselineWatch(_SeasonalWatch):
    """An hour beside the same hour of earlier weeks."""

    __slots__ = ("_condition",)

    def __init__(self, rule: Rule, memory: Memory, condition: Baseline, zone: tzinfo) -> None:
        super().__init__(rule, memory, Limit(high=condition.deviations), zone, counts=condition.cumulative)
        self._condition = condition

    @property
    def unwritten(self) -> Instant:
        """For how long readings may be missing in what is written."""
        return HOUR + self._condition.gap

    def _pass(
        self, before: Instant | None, at: Instant, number: float | None, now: Instant, out: list[AlarmChange]
    ) -> None:
        kept, condition = self._kept, self._condition
        if before is not None and kept.value is not None:
            speaks_until = min(at, before + condition.gap)
            if not condition.cumulative:
                self._add(kept.value, before, speaks_until, now, out)
            elif number is not None and number >= kept.value and at <= speaks_until:
                self._add((number - kept.value) * HOUR / (at - before), before, at, now, out)
        if kept.segments and kept.segments[0].start + HOUR <= at:
            self._close(kept.segments.pop(), now, out)

    def _add(self, value: float, at: Instant, end: Instant, now: Instant, out: list[AlarmChange]) -> None:
        segments = self._kept.segments
        while at < end:
            start = at - at % HOUR
            if segments and segments[0].start != start:
                self._close(segments.pop(), now, out)
            if not segments:
                segments.append(Segment(start))
            until = min(end, start + HOUR)
            segments[0].covered += until - at
            segments[0].total += value * (until - at)
            at = until

    def _close(self, hour: Segment, now: Instant, out: list[AlarmChange]) -> None:
        """Judge an hour that is over, then keep it for those of the weeks to come."""
        condition = self._condition
        self.is_substantial = True
        if hour.covered < condition.coverage * HOUR:
            return
        value = hour.total / hour.covered
        local = to_datetime(hour.start).astimezone(self._zone)
        earlier = self._kept.history.setdefault(local.weekday() * _HOURS_OF_DAY + local.hour, [])
        if 2 * len(earlier) >= condition.weeks:
            usual = median(earlier)
            spread = _ROBUST * median(abs(it - usual) for it in earlier)
            away = value - usual
            if condition.direction is Direction.BELOW:
                away = -away
            elif condition.direction is Direction.EITHER:
                away = abs(away)
            is_amiss = away > condition.deviations * spread and away >= condition.least
            self.memory.value = value
            self._judge(Side.BEYOND if is_amiss else Side.BACK, hour.start + HOUR, now, out)
        earlier.append(value)
        del earlier[: -condition.weeks]


class NightFlowWatch(_SeasonalWatch):
    """The least flow of the night hours."""

    __slots__ = ("_condition",)

    def __init__(self, rule: Rule, memory: Memory, condition: NightFlow, zone: tzinfo) -> None:
        super().__init__(rule, memory, condition.level, zone, counts=condition.cumulative)
        self._condition = condition

    @property
    def unwritten(self) -> Instant:
        """For how long readings may be missing in what is written."""
        return self._condition.slot + HOUR

    def _pass(
        self, before: Instant | None, at: Instant, number: float | None, now: Instant, out: list[AlarmChange]
    ) -> None:
        kept = self._kept
        if before is not None:
            night = self._night_of(before)
            while night[1] <= before:
                night = self._night_of(before + DAY)
            last, span = kept.value, at - before
            # A reading a whole night apart says nothing of its least flow.
            is_near = self._condition.cumulative and span <= max(self._condition.slot, HOUR)
            if is_near and last is not None and number is not None and number >= last:
                self._add((number - last) * HOUR / span, max(before, night[0]), min(at, night[1]))
            if before < night[1] <= at:
                self._close(night, now, out)
        begins, ends = self._night_of(at)
        if not self._condition.cumulative and number is not None and begins <= at < ends:
            self._add(number, at, at + 1)

    def _night_of(self, at: Instant) -> tuple[Instant, Instant]:
        local = to_datetime(at).astimezone(self._zone)
        begins, ends = self._condition.begins, self._condition.ends
        return from_datetime(_at_minute(local, begins)), from_datetime(_at_minute(local, ends))

    def _add(self, flow: float, at: Instant, end: Instant) -> None:
        """Add a flow to the slots of the night it lies in."""
        segments, slot = self._kept.segments, self._condition.slot
        while at < end:
            start = at - at % slot
            if not segments or segments[-1].start != start:
                segments.append(Segment(start))
                self.is_substantial = True
            until = min(end, start + slot)
            segments[-1].covered += until - at
            segments[-1].total += flow * (until - at)
            at = until

    def _close(self, night: tuple[Instant, Instant], now: Instant, out: list[AlarmChange]) -> None:
        condition, kept, memory = self._condition, self._kept, self.memory
        self.is_substantial = True
        slots, kept.segments[:] = list(kept.segments), []
        whole = [
            it
            for it in slots
            if night[0] <= it.start < night[1] and (not condition.cumulative or 2 * it.covered >= condition.slot)
        ]
        # Half a night must be known, or an hour without a word would pass for the least.
        if 2 * len(whole) * condition.slot < night[1] - night[0]:
            return
        least = min(it.total / it.covered for it in whole)
        memory.value = least
        side = self._side(least) or Side.BETWEEN
        kept.count = kept.count + 1 if side is Side.BEYOND else 0 if side is Side.BACK else kept.count
        if side is Side.BEYOND and kept.count < condition.nights:
            side = Side.BETWEEN
        self._judge(side, night[1], now, out)


def _at_minute(local: datetime, minute: int) -> datetime:
    return local.replace(hour=minute // 60, minute=minute % 60, second=0, microsecond=0)
