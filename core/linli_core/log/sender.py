"""The gateway's half of the log protocol: which message to send next, and which never need be sent again.

The shell around it (``linli_edge.uplink``) tells it what became durable, what came from the platform and what time it
is (by a clock that is never set back); it answers with numbers. It holds ranges, never messages: a backlog of a million
costs what a backlog of one does.

Four rules it rests on:

1. Only what is durable is offered, and only what an ``ack`` covers is done. A PUBACK is not even an input.
2. An ``ack`` is a full picture, not an increment: an older one (a platform restored from its backup) rewinds.
3. Every start of the gateway is a new epoch that carries the numbers before it on (``Status.carried``). So no number is
   ever given twice, even where an old copy of the card is put back: what two copies number differently has two epochs.
   Nothing is sent before the platform has acknowledged the epoch, that is, has seen the status that announces it.
4. Whatever is neither on disk nor acknowledged stands in :meth:`Sender.evicted`, until an ack covers it.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from linli_core.instant import SECOND, Instant
from linli_core.log.intervals import IntervalSet, Range
from linli_core.log.pace import Pace
from linli_core.wire.messages import Ack, Evicted

RETENTION: Final = "retention"
"""Cause of an eviction: acknowledged once, so it was let go; needed again after the platform was restored."""

DECLARED: Final = 1024
"""Evictions remembered at most after the platform has booked them."""


class AckOutcome(Enum):
    """What an ack meant."""

    PROGRESS = "progress"
    """It covers more than the one before."""
    UNCHANGED = "unchanged"
    REWOUND = "rewound"
    """It covers less: what it no longer covers is sent again."""
    FOREIGN = "foreign"
    """It is of another epoch: nothing changed."""
    BEYOND = "beyond"
    """It covers numbers this log never gave: another gateway uses the same name. What is ours in it counts."""


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """How a sender behaves.

    Attributes:
        window: Messages offered and not yet acknowledged.
        live_reserve: Places of the window that the backlog leaves to live messages.
        urgent_reserve: Places beyond the window that only urgent messages may take.
        backlog_every: While live messages wait, one message in this many comes from the backlog.
        retry_after: Microseconds without an answer after which a message is offered again.
        retry_limit: The longest such time; it doubles from ``retry_after`` while no ack brings progress.
        evicted_shown: Ranges listed in one status; the rest follows as the platform acknowledges them.
        pressure_lasts: Microseconds for which the platform's word on the backlog holds.
        newest_first: Of the backlog the newest goes first: a board is up to date before its past is whole. Urgent
            messages (alarms, billing boundaries) go in their order all the same.
        gaps: Ranges above the unbroken beginning up to which urgent messages go ahead in their order. An ack lists 64
            ranges: were there more, the platform's word on what came would not reach back, and the window would be
            full of messages that have long been stored.
        backlog_delay: Microseconds that a new message may wait behind the backlog on its way; see :class:`Pace`.
    """

    window: int = 512
    live_reserve: int = 64
    urgent_reserve: int = 32
    backlog_every: int = 4
    retry_after: int = 10 * SECOND
    retry_limit: int = 60 * SECOND
    evicted_shown: int = 64
    pressure_lasts: int = 60 * SECOND
    newest_first: bool = False
    gaps: int = 32
    backlog_delay: int = SECOND // 2


@dataclass(frozen=True, slots=True)
class LogState:
    """What a log holds when it is opened; everything here is durable.

    Attributes:
        epoch: The log's name.
        next_seq: The number the next message gets; numbers begin at 1.
        gone: Ranges below ``next_seq`` that are no longer on disk.
        acked: Ranges acknowledged, as last written down (an older picture does no harm).
        evicted: What was evicted without acknowledgement.
        urgent: Urgent messages that may still have to be sent, in order.
    """

    epoch: str
    next_seq: int = 1
    gone: tuple[Range, ...] = ()
    acked: tuple[Range, ...] = ()
    evicted: tuple[Evicted, ...] = ()
    urgent: tuple[int, ...] = ()


class Sender:
    """Decides what a gateway's log sends."""

    def __init__(self, state: LogState, settings: SenderSettings | None = None) -> None:
        self._settings = settings or SenderSettings()
        self._epoch = state.epoch
        self._next_seq = state.next_seq
        self._acked = IntervalSet(state.acked)
        self._held = IntervalSet(IntervalSet(state.gone).missing(1, state.next_seq - 1))
        self._urgent = IntervalSet((seq, seq) for seq in state.urgent)
        self._declared = list(state.evicted)
        self._declare_missing()
        self._in_flight: dict[int, Instant] = {}
        self._ahead: set[int] = set()
        self._under_way = 0
        self._todo = IntervalSet()
        self._urgent_todo = IntervalSet()
        self._connected = False
        self._resumed = False
        self._answered = False
        self._live_from = state.next_seq
        self._newest_urgent = state.next_seq - 1
        self._since_backlog = 0
        self._retry_delay = self._settings.retry_after
        self._foreign_acks = 0
        self._offered_again = 0
        self._pressure: int | None = None
        self._pressure_until: Instant = 0
        self._pace = Pace(self._settings.backlog_delay, self._settings.window - self._settings.live_reserve)
        self._plan()

    @property
    def epoch(self) -> str:
        """Name of the log."""
        return self._epoch

    @property
    def next_seq(self) -> int:
        """The number after the newest durable message."""
        return self._next_seq

    @property
    def first_seq(self) -> int:
        """The oldest message still on disk; ``next_seq`` when there is none."""
        return self._held.first or self._next_seq

    @property
    def in_flight(self) -> int:
        """How many messages are offered and not acknowledged."""
        return len(self._in_flight)

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands."""
        return self._connected

    @property
    def resumed(self) -> bool:
        """Whether the platform has said, on this connection, what it holds."""
        return self._resumed

    @property
    def answered(self) -> bool:
        """Whether the platform has ever answered to this epoch: it knows the log by this name then."""
        return self._answered

    @property
    def foreign_acks(self) -> int:
        """How many acks were of another epoch."""
        return self._foreign_acks

    @property
    def offered_again(self) -> int:
        """How many messages were offered once more because no ack came."""
        return self._offered_again

    @property
    def acked(self) -> IntervalSet:
        """What the last ack covered; not to be changed."""
        return self._acked

    @property
    def pressure(self) -> int | None:
        """How many messages of the backlog the platform wants under way at most; ``None`` if it does not say."""
        return self._pressure

    def backlog(self) -> int:
        """Return how many durable messages are not acknowledged."""
        return self._held.difference(self._acked).count()

    def evicted(self) -> tuple[Evicted, ...]:
        """Return what is neither on disk nor acknowledged, oldest first, at most ``evicted_shown`` ranges."""
        waiting = (entry for entry in self._declared if self._acked.missing(entry.first, entry.last))
        return tuple(entry for entry, _ in zip(waiting, range(self._settings.evicted_shown), strict=False))

    def appended(self, first: int, last: int, urgent: Iterable[int] = ()) -> None:
        """Take note of messages that are now durable.

        Args:
            first: The first one's number, ``next_seq`` until now.
            last: The last one's.
            urgent: Those that go before all others.
        """
        self._held.add(first, last)
        self._todo.add(first, last)
        self._next_seq = last + 1
        for seq in urgent:
            self._urgent.add(seq)
            self._urgent_todo.add(seq)

    def connected(self, now: Instant) -> None:  # noqa: ARG002 - every input carries its time
        """A connection stands: resume at what the platform acknowledges next; forget what was in flight."""
        self._connected = True
        self._resumed = False
        self._live_from = self._next_seq
        self._newest_urgent = self._next_seq - 1
        self._since_backlog = 0  # live messages sent before the outage do not count: what is new goes first
        self._retry_delay = self._settings.retry_after
        self._forget_in_flight()
        self._pace.begin()
        self._plan()

    def disconnected(self) -> None:
        """The connection is gone."""
        self._connected = False
        self._resumed = False
        self._forget_in_flight()
        self._plan()

    def ack(self, ack: Ack, now: Instant) -> AckOutcome:
        """Take the platform's picture of this log."""
        if ack.epoch != self._epoch:
            self._foreign_acks += 1
            return AckOutcome.FOREIGN
        self._answered = True
        self._pressure = None if ack.window is None else max(0, ack.window)
        self._pressure_until = now + self._settings.pressure_lasts
        covered = IntervalSet([(1, ack.seq), *ack.ranges])
        beyond = covered.next_from(self._next_seq) is not None
        if beyond:
            covered.remove(self._next_seq, covered.last)
        gained = covered.difference(self._acked).ranges()
        rewound = bool(self._acked.difference(covered))
        self._acked = covered
        self._resumed = self._connected
        if gained:
            self._retry_delay = self._settings.retry_after
            self._arrived(covered, now)
            for first, last in gained:
                for waiting in (self._todo, self._urgent, self._urgent_todo):
                    waiting.remove(first, last)
        if rewound:
            self._declare_missing()
            self._plan()
        if beyond:
            return AckOutcome.BEYOND
        if rewound:
            return AckOutcome.REWOUND
        return AckOutcome.PROGRESS if gained else AckOutcome.UNCHANGED

    def _arrived(self, covered: IntervalSet, now: Instant) -> None:
        """Take off those in flight what an ack covers."""
        arrived = [seq for seq in self._in_flight if seq in covered]
        moments = [self._in_flight[seq] for seq in arrived if seq < self._live_from]
        if moments:
            full = self._under_way >= self._pace.allowed
            self._pace.arrived(len(moments), moments[-1], now, full=full)
        for seq in arrived:
            self._land(seq)

    def evict(self, entry: Evicted) -> None:
        """Take note of messages that left the disk without acknowledgement (the log has written that down)."""
        self._leave(entry.first, entry.last)
        declare(self._declared, entry, self._acked)
        if len(self._declared) > DECLARED:
            self._declared = [one for one in self._declared if self._acked.missing(one.first, one.last)]

    def removed(self, first: int, last: int) -> None:
        """Take note of acknowledged messages that left the disk to make room."""
        self._leave(first, last)
        # An ack may have rewound between the log's choice and now.
        if self._acked.missing(first, last):
            self._declare_missing()

    def next_to_send(self, now: Instant) -> int | None:
        """Return the message to offer now, urgent before live before backlog; ``None``: nothing may be offered."""
        if not self._resumed:
            return None
        self._offer_again(now)
        if self._pressure is not None and now >= self._pressure_until:
            self._pressure = None
        seq = self._choose()
        if seq is not None:
            self._todo.remove(seq)
            self._urgent_todo.remove(seq)
            self._in_flight[seq] = now
            self._under_way += seq < self._live_from
        return seq

    def next_retry(self) -> Instant | None:
        """Return when :meth:`next_to_send` is to be asked again even if nothing happens."""
        oldest = next(iter(self._in_flight.values()), None)
        moments = [] if oldest is None else [oldest + self._retry_delay]
        if self._pressure is not None and self._todo:
            moments.append(self._pressure_until)
        return min(moments, default=None)

    def _choose(self) -> int | None:
        used, limit = len(self._in_flight), self._settings.window
        if used < limit + self._settings.urgent_reserve and (urgent := self._next_urgent()) is not None:
            return urgent
        if self._pressure == 0:
            limit = min(limit, self._settings.live_reserve)
        if used >= limit:
            return None
        live = self._todo.next_from(self._live_from)
        backlog = self._next_of_backlog()
        if live is None:
            return backlog if used < limit - self._settings.live_reserve else None
        if backlog is not None and self._since_backlog >= self._settings.backlog_every - 1:
            self._since_backlog = 0
            return backlog
        self._since_backlog += 1
        return live

    def _next_of_backlog(self) -> int | None:
        """Return the message of the backlog that is next; ``None``: there is none, or the platform wants no more."""
        if self._settings.newest_first:
            backlog = self._todo.last_before(self._live_from)
        else:
            backlog = self._todo.first
            if backlog is not None and backlog >= self._live_from:
                return None
        return backlog if backlog is not None and self._under_way < self._wanted() else None

    def _wanted(self) -> int:
        """Return how much of the backlog may be under way: what the line carries, or what the platform wants."""
        return self._pace.allowed if self._pressure is None else min(self._pace.allowed, self._pressure)

    def _next_urgent(self) -> int | None:
        """Return the urgent message that is next: of those raised since the connection stood, then of the backlog.

        They go in their order, as far as gaps are left to be made. Where none are, the newest goes before those that
        piled up, and one newer than any offered always goes: an alarm that is raised now waits for nobody.
        """
        waiting = self._urgent_todo
        seq = waiting.next_from(self._live_from)
        if seq is None and self._under_way < max(1, self._wanted()):
            seq = waiting.first
        if seq is None:
            return None
        if seq - 1 in self._acked or seq - 1 in self._in_flight:
            return seq  # it makes no gap
        gaps = self._acked.range_count + len(self._ahead)
        if gaps >= self._settings.gaps and seq >= self._live_from:
            seq = waiting.last
            assert seq is not None
        limit = self._settings.gaps * 3 // 2 if seq >= self._live_from else self._settings.gaps
        if gaps >= limit and seq <= self._newest_urgent:
            return None
        self._newest_urgent = max(self._newest_urgent, seq)
        self._ahead.add(seq)
        return seq

    def _offer_again(self, now: Instant) -> None:
        """Put back what waited too long; oldest offers stand first in the dict."""
        due = now - self._retry_delay
        late = []
        for seq, offered_at in self._in_flight.items():
            if offered_at > due:
                break
            late.append(seq)
        if not late:
            return
        self._retry_delay = min(self._retry_delay * 2, self._settings.retry_limit)
        self._offered_again += len(late)
        if any(seq < self._live_from for seq in late):
            self._pace.overdue(now)
        for seq in late:
            self._land(seq)
            self._todo.add(seq)
            if seq in self._urgent:
                self._urgent_todo.add(seq)

    def _leave(self, first: int, last: int) -> None:
        self._held.remove(first, last)
        self._todo.remove(first, last)
        self._urgent.remove(first, last)
        self._urgent_todo.remove(first, last)
        for seq in [seq for seq in self._in_flight if first <= seq <= last]:
            self._land(seq)

    def _land(self, seq: int) -> None:
        """Take a message off those in flight."""
        del self._in_flight[seq]
        self._ahead.discard(seq)
        self._under_way -= seq < self._live_from

    def _forget_in_flight(self) -> None:
        self._in_flight.clear()
        self._ahead.clear()
        self._under_way = 0

    def _plan(self) -> None:
        """Work out anew what is still to be offered: on disk, not acknowledged, not in flight."""
        self._todo = self._held.difference(self._acked)
        for seq in self._in_flight:
            self._todo.remove(seq)
        self._urgent_todo = self._todo.intersection(self._urgent)

    def _declare_missing(self) -> None:
        """Declare what is neither on disk, nor acknowledged, nor declared yet."""
        known = self._held.union(self._acked)
        declared = IntervalSet((entry.first, entry.last) for entry in self._declared)
        for first, last in known.union(declared).missing(1, self._next_seq - 1):
            declare(self._declared, Evicted(first, last, RETENTION), self._acked)


def declare(entries: list[Evicted], entry: Evicted, acked: IntervalSet) -> Evicted:
    """Put an eviction into a sorted list and return the entry it became part of: neighbours of one cause are joined.

    What the platform has booked stays as it is: of the rest of a range it could not tell how many readings it held.
    """
    at = bisect_left(entries, entry.first, key=lambda one: one.first)
    if at < len(entries) and _continues(entry, entries[at]) and _is_open(entries[at], acked):
        entry = _joined(entry, entries.pop(at))
    if at and _continues(entries[at - 1], entry) and _is_open(entries[at - 1], acked):
        entries[at - 1] = _joined(entries[at - 1], entry)
        return entries[at - 1]
    entries.insert(at, entry)
    return entry


def _is_open(entry: Evicted, acked: IntervalSet) -> bool:
    """Tell whether the platform may still be told of an eviction."""
    return bool(acked.missing(entry.first, entry.last))


def _continues(before: Evicted, after: Evicted) -> bool:
    return before.cause == after.cause and before.last + 1 == after.first


def _joined(before: Evicted, after: Evicted) -> Evicted:
    starts = [moment for moment in (before.observed_from, after.observed_from) if moment is not None]
    ends = [moment for moment in (before.observed_to, after.observed_to) if moment is not None]
    known = before.readings is not None and after.readings is not None
    return Evicted(
        before.first,
        after.last,
        before.cause,
        observed_from=min(starts, default=None),
        observed_to=max(ends, default=None),
        readings=(before.readings or 0) + (after.readings or 0) if known else None,
    )
