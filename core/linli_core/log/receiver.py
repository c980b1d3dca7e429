"""The platform's half of the log protocol: what of one gateway's log is committed, lost, or still to come.

How the platform drives it, for each gateway::

    receiver = Receiver.restore(snapshot) if snapshot else Receiver()
    late = receiver.reconcile(ledger ranges)     # only where ledger and snapshot are in two databases

    on telemetry/event:  receiver.offer(epoch, seq) is Offer.NEW → into the batch; else drop it (it is safe to)
                         A message that is *refused* (malformed, unknown unit …) is committed all the same, with no
                         rows: otherwise the gateway would offer it for ever.
    on the batch:        one transaction: rows + receiver.snapshot({epoch: seqs}); then
                         late = receiver.committed(epoch, seqs), amend the ledger, publish receiver.ack()
                         (where the commit failed: receiver.rolled_back(epoch, seqs))
    on status:           entries = receiver.status(status, now): write them to the ledger, then receiver.snapshot(),
                         then publish receiver.ack(), and until then, whenever one is due, receiver.ack(entries):
                         it covers none of them — **after every status**, also when nothing changed: a gateway
                         that has just started has a new epoch, and sends nothing until that epoch is acknowledged.

Nothing here allocates by a number a client chose: marks are ranges, epochs and ranges are bounded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

import msgspec

from linli_core.errors import LogError
from linli_core.instant import Instant
from linli_core.log.intervals import IntervalSet, Range
from linli_core.wire.messages import Ack, Evicted, Status

MAX_SEQ: Final = 2**53 - 1
"""Largest sequence number taken: what every JSON reader keeps exact."""

LOG_REPLACED: Final = "log_replaced"
"""Cause of a loss that no gateway declared: its log was replaced before these messages came."""


class Offer(Enum):
    """What to do with a message."""

    NEW = "new"
    """Store it and report :meth:`Receiver.committed`."""
    DUPLICATE = "duplicate"
    """It is stored, or in a batch on its way to be: drop it."""
    REFUSED = "refused"
    """Not now: its log is not announced by a status, or its number is absurd. Drop it; a sound gateway sends again."""


@dataclass(frozen=True, slots=True)
class LossEntry:
    """One line of the loss ledger: messages ``first … last`` of ``epoch`` will not come.

    Attributes:
        epoch, first, last: Which messages, both ends included.
        cause: ``space``, ``age``, ``corruption``, ``retention``, ``log_replaced`` …
        booked_at: When the platform learnt it.
        observed_from, observed_to: Times of the readings in them, as far as known (bounds, where it is a part of what
            the gateway declared).
        readings: How many readings they held; ``None`` where nobody can know.
    """

    epoch: str
    first: int
    last: int
    cause: str
    booked_at: Instant
    observed_from: Instant | None = None
    observed_to: Instant | None = None
    readings: int | None = None


@dataclass(frozen=True, slots=True)
class LateArrival:
    """Messages that stand in the ledger as lost, and came after all: the ledger's line is to be amended."""

    epoch: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ReceiverLimits:
    """Bounds against a gateway gone mad.

    Attributes:
        epochs: Logs remembered; the oldest is forgotten first.
        ranges: Ranges of marks in one log. A message that would begin one more is refused; the gateway offers it
            again when the holes are filled.
        ack_ranges: Ranges in one ack.
        ahead: How far above the highest number known a message may lie.
        boots: Former starts of the gateway remembered, to know a late status of theirs.
    """

    epochs: int = 64
    ranges: int = 4096
    ack_ranges: int = 64
    ahead: int = 1_000_000_000
    boots: int = 16


@dataclass(slots=True)
class _Marks:
    """What is known of one log.

    ``lost`` is accounted for (the ack covers it); ``booked`` has a line in the ledger under this log's name.
    """

    received: IntervalSet = field(default_factory=IntervalSet)
    lost: IntervalSet = field(default_factory=IntervalSet)
    booked: IntervalSet = field(default_factory=IntervalSet)
    pending: IntervalSet = field(default_factory=IntervalSet)
    known: int = 0
    successor: str = ""
    carried_to: int = 0

    def raise_known(self, seq: int) -> None:
        self.known = max(self.known, min(seq, MAX_SEQ))

    def is_fragment_too_many(self, seq: int, limit: int) -> bool:
        if self.received.range_count + self.pending.range_count < limit:
            return False
        return not (self.received.touches(seq) or self.pending.touches(seq))


class _StoredMarks(msgspec.Struct, frozen=True, omit_defaults=True):
    received: list[Range]
    lost: list[Range] = []
    booked: list[Range] = []
    known: int = 0
    successor: str = ""
    carried_to: int = 0


class _Stored(msgspec.Struct, frozen=True, omit_defaults=True):
    current: str
    epochs: dict[str, _StoredMarks]
    boot_id: str = ""
    number: int = 0
    former_boots: dict[str, int] = {}


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(_Stored)


class Receiver:
    """What the platform knows of one gateway's log."""

    def __init__(self, limits: ReceiverLimits | None = None) -> None:
        self._limits = limits or ReceiverLimits()
        self._epochs: dict[str, _Marks] = {}
        self._current = ""
        self._boot_id = ""
        self._number = 0
        self._former_boots: dict[str, int] = {}

    @property
    def epoch(self) -> str:
        """The log announced last; empty before the first status."""
        return self._current

    @property
    def known(self) -> int:
        """The highest number known to have been given in the current log."""
        marks = self._epochs.get(self._current)
        return marks.known if marks else 0

    @property
    def has_strays(self) -> bool:
        """Whether messages are stored of a log that the current one does not carry on."""
        return any(marks.received for name, marks in self._epochs.items() if name != self._current)

    def missing(self) -> int:
        """Return how many messages of the current log are known to exist and neither stored nor lost (the backlog)."""
        marks = self._epochs.get(self._current)
        if marks is None:
            return 0
        return marks.known - IntervalSet(marks.received.union(marks.lost).within(1, marks.known)).count()

    def offer(self, epoch: str, seq: int) -> Offer:
        """Take note of a message that came; a ``NEW`` one counts as on its way until committed or rolled back."""
        marks = self._resolve(epoch, seq)
        if marks is None:
            return Offer.REFUSED
        if seq in marks.received or seq in marks.pending:
            return Offer.DUPLICATE
        if not 1 <= seq <= min(MAX_SEQ, marks.known + self._limits.ahead):
            return Offer.REFUSED
        if marks.is_fragment_too_many(seq, self._limits.ranges):
            return Offer.REFUSED
        marks.pending.add(seq)
        return Offer.NEW

    def committed(self, epoch: str, seqs: Iterable[int]) -> list[LateArrival]:
        """Count messages as stored; call it after the store's commit, never before.

        Returns:
            Those among them that stand in the ledger as lost.
        """
        late: dict[str, IntervalSet] = {}
        ledger = [(name, other) for name, other in self._epochs.items() if other.booked]
        for seq in seqs:
            marks = self._resolve(epoch, seq)
            if marks is None:
                continue
            marks.pending.remove(seq)
            marks.received.add(seq)
            marks.lost.remove(seq)
            marks.raise_known(seq)
            for name, other in ledger:
                if seq in other.booked and self._resolve(name, seq) is marks:
                    other.booked.remove(seq)
                    late.setdefault(name, IntervalSet()).add(seq)
        return [LateArrival(name, first, last) for name, found in late.items() for first, last in found.ranges()]

    def rolled_back(self, epoch: str, seqs: Iterable[int]) -> None:
        """Forget messages whose commit failed: the gateway will offer them again."""
        for seq in seqs:
            marks = self._resolve(epoch, seq)
            if marks is not None:
                marks.pending.remove(seq)

    def taken_back(self, epoch: str, seqs: Iterable[int]) -> None:
        """Count messages as not stored after all: a batch that should have been one commit becomes several."""
        for seq in seqs:
            marks = self._resolve(epoch, seq)
            if marks is not None:
                marks.received.remove(seq)

    def status(self, status: Status, now: Instant) -> list[LossEntry]:
        """Take what a gateway says of its log.

        A status that is late (an earlier one of the same start, or one of an earlier start) changes nothing.

        Returns:
            New lines for the loss ledger: only what did not arrive, each message once.
        """
        if not status.epoch or self._is_late(status):
            return []
        entries: list[LossEntry] = []
        if status.epoch != self._current:
            entries += self._replace_log(status, now)
        marks = self._epochs[status.epoch]
        marks.raise_known(status.next_seq - 1)
        for evicted in status.evicted:
            entries += self._book(evicted, status.epoch, now)
        return entries

    def ack(self, unbooked: Iterable[tuple[str, int, int]] = ()) -> Ack:
        """Return what is committed, or accounted for in the ledger, of the current log.

        Args:
            unbooked: ``(epoch, first, last)`` of new lines that the ledger does not hold yet. A gateway forgets what
                is acknowledged: should it never be written, nobody would know of it.

        At most ``ack_ranges`` ranges are listed: the oldest, and always the newest. Leaving out the ones between is
        safe: an ack that says less than the truth only makes the gateway send again what is then dropped here. The
        newest is never left out: while a backlog drains, it is the one that live messages lengthen.
        """
        marks = self._epochs.get(self._current)
        if marks is None:
            return Ack(self._current, 0, (), self._boot_id)
        lost = marks.lost
        for epoch, first, last in unbooked:
            lost = marks.lost.copy() if lost is marks.lost else lost
            for _, owner, low, high in self._segments(epoch, first, last):
                if owner is marks:
                    lost.remove(low, high)
        accounted = marks.received.union(lost)
        seq = accounted.run_end(1)
        ranges = accounted.within(seq + 1, MAX_SEQ)
        if len(ranges) > self._limits.ack_ranges:
            ranges = [*ranges[: self._limits.ack_ranges - 1], ranges[-1]]
        return Ack(self._current, seq, tuple(ranges), self._boot_id)

    @property
    def number(self) -> int:
        """Number of the latest status of the start that :meth:`ack` answers."""
        return self._number

    def snapshot(self, adding: Mapping[str, Iterable[int]] | None = None) -> bytes:
        """Return the marks as JSON, to be written in the transaction that stores the data.

        Args:
            adding: By epoch, the messages this transaction stores: they count as received in the snapshot only.
        """
        received = {name: marks.received for name, marks in self._epochs.items()}
        lost = {name: marks.lost for name, marks in self._epochs.items()}
        known = {name: marks.known for name, marks in self._epochs.items()}
        changed: set[str] = set()
        for epoch, seqs in (adding or {}).items():
            for seq in seqs:
                name, marks = self._resolve_named(epoch, seq)
                if marks is None:
                    continue
                if name not in changed:
                    changed.add(name)
                    received[name], lost[name] = marks.received.copy(), marks.lost.copy()
                received[name].add(seq)
                lost[name].remove(seq)
                known[name] = max(known[name], seq)
        return _encoder.encode(
            _Stored(
                self._current,
                {
                    name: _StoredMarks(
                        received[name].ranges(),
                        lost[name].ranges(),
                        marks.booked.ranges(),
                        known[name],
                        marks.successor,
                        marks.carried_to,
                    )
                    for name, marks in self._epochs.items()
                },
                self._boot_id,
                self._number,
                self._former_boots,
            )
        )

    @classmethod
    def restore(cls, snapshot: bytes, limits: ReceiverLimits | None = None) -> Self:
        """Return the receiver of a snapshot; raise :class:`LogError` if it is none."""
        try:
            stored = _decoder.decode(snapshot)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise LogError(f"the stored marks cannot be read: {exc}") from exc
        receiver = cls(limits)
        for name, marks in stored.epochs.items():
            receiver._epochs[name] = _Marks(
                IntervalSet(marks.received),
                IntervalSet(marks.lost),
                IntervalSet(marks.booked),
                known=marks.known,
                successor=marks.successor,
                carried_to=marks.carried_to,
            )
        receiver._current = stored.current
        receiver._boot_id = stored.boot_id
        receiver._number = stored.number
        receiver._former_boots = dict(stored.former_boots)
        return receiver

    def reconcile(self, booked: Iterable[tuple[str, int, int]]) -> list[LateArrival]:
        """Bring the marks in line with a ledger kept in another database, after :meth:`restore`.

        A crash between the two writes leaves a line in the ledger that the marks do not know, or a message stored
        whose line was not amended yet.

        Args:
            booked: ``(epoch, first, last)`` of every line that is not amended.

        Returns:
            What of it is stored: those lines are to be amended.
        """
        late: list[LateArrival] = []
        for marks in self._epochs.values():
            marks.booked = IntervalSet()
        for epoch, first, last in booked:
            for _, marks, start, end in self._segments(epoch, first, last):
                late += [LateArrival(epoch, *found) for found in marks.received.within(start, end)]
                for hole in marks.received.missing(start, end):
                    self._epochs[epoch].booked.add(*hole)
        return late

    def _segments(self, epoch: str, first: int, last: int) -> list[tuple[str, _Marks, int, int]]:
        """Return which log keeps the marks of which part of ``first … last``."""
        marks = self._epochs.get(epoch)
        if marks is None or first > last:
            return []
        if not marks.successor or first > marks.carried_to:
            return [(epoch, marks, first, last)]
        carried = self._segments(marks.successor, first, min(last, marks.carried_to))
        own = [(epoch, marks, marks.carried_to + 1, last)] if last > marks.carried_to else []
        return carried + own

    def _resolve(self, epoch: str, seq: int) -> _Marks | None:
        return self._resolve_named(epoch, seq)[1]

    def _resolve_named(self, epoch: str, seq: int) -> tuple[str, _Marks | None]:
        """Return the log that keeps the marks of a message now: the one its own was carried into, if any."""
        marks = self._epochs.get(epoch)
        while marks is not None and marks.successor and seq <= marks.carried_to:
            epoch = marks.successor
            marks = self._epochs.get(epoch)
        return epoch, marks

    def _is_late(self, status: Status) -> bool:
        """Tell whether a status was overtaken by a later one of the same start; note it if it was not."""
        boot = status.boot_id
        if not boot:
            return False
        seen = self._number if boot == self._boot_id else self._former_boots.get(boot)
        if seen is not None and status.number <= seen:
            return True
        if boot != self._boot_id:
            # A start thought to be over that goes on talking is not over: the one before was the late one.
            self._former_boots.pop(boot, None)
            if self._boot_id:
                self._former_boots[self._boot_id] = self._number
            while len(self._former_boots) > self._limits.boots:
                del self._former_boots[next(iter(self._former_boots))]
        self._boot_id, self._number = boot, status.number
        return False

    def _replace_log(self, status: Status, now: Instant) -> list[LossEntry]:
        """Make another log the current one: move what it carries on, book what is gone for good."""
        fresh = self._epochs.setdefault(status.epoch, _Marks())
        if fresh.successor:
            # An old log that is back: what was carried out of it comes home.
            away, carried_to = fresh.successor, fresh.carried_to
            fresh.successor, fresh.carried_to = "", 0
            self._carry(away, 1, carried_to, status.epoch)
        for carried in status.carried:
            if carried.epoch != status.epoch:
                self._epochs[carried.epoch] = self._epochs.pop(carried.epoch, _Marks())
                self._carry(carried.epoch, 1, min(carried.last, MAX_SEQ), status.epoch)
        # What the gateway still names stands last, so that the others are forgotten first.
        self._epochs[status.epoch] = self._epochs.pop(status.epoch)
        entries: list[LossEntry] = []
        replaced = self._epochs.get(self._current)
        if replaced is not None and replaced is not fresh:
            done = replaced.received.union(replaced.booked)
            for first, last in done.missing(replaced.carried_to + 1, replaced.known):
                replaced.booked.add(first, last)
                entries.append(LossEntry(self._current, first, last, LOG_REPLACED, now))
        self._current = status.epoch
        for name in list(self._epochs):
            if len(self._epochs) <= self._limits.epochs:
                break
            if name != self._current:
                del self._epochs[name]
        return entries

    def _carry(self, source: str, first: int, last: int, target: str) -> None:
        """Hand ``first … last`` of one log on to another, from wherever its marks are kept now."""
        fresh = self._epochs[target]
        for _, marks, _, end in self._segments(source, first, last):
            if marks is not fresh:
                _move(marks, fresh, end)
                marks.successor, marks.carried_to = target, end

    def _book(self, evicted: Evicted, epoch: str, now: Instant) -> list[LossEntry]:
        entries: list[LossEntry] = []
        first, last = max(1, evicted.first), min(evicted.last, MAX_SEQ)
        for name, marks, low, high in self._segments(evicted.epoch or epoch, first, last):
            known = min(high, marks.known) if name == self._current else high
            # What is on its way into the store is booked at the next status, should its commit fail.
            done = marks.received.union(marks.lost).union(marks.pending)
            written = self._written(marks, low, known)
            for start, end in done.missing(low, known):
                if marks.lost.range_count >= self._limits.ranges and not marks.lost.touches(start):
                    return entries  # the gateway keeps saying it; booked when older holes are closed
                marks.lost.add(start, end)
                for gap in written.missing(start, end):
                    marks.booked.add(*gap)
                    whole = gap == (evicted.first, evicted.last)
                    entries.append(
                        LossEntry(
                            name,
                            *gap,
                            evicted.cause,
                            now,
                            evicted.observed_from,
                            evicted.observed_to,
                            evicted.readings if whole else None,
                        )
                    )
        return entries

    def _written(self, marks: _Marks, first: int, last: int) -> IntervalSet:
        """Return what of ``first … last`` has a line in the ledger, under whichever name."""
        written = IntervalSet()
        for name, other in self._epochs.items():
            for start, end in other.booked.within(first, last):
                for _, owner, low, high in self._segments(name, start, end):
                    if owner is marks:
                        written.add(low, high)
        return written


def _move(old: _Marks, new: _Marks, last: int) -> None:
    """Hand the marks up to ``last`` from one log to another that holds the same messages under the same numbers."""
    for source, target in ((old.received, new.received), (old.pending, new.pending)):
        for start, end in source.within(1, last):
            target.add(start, end)
        source.remove(1, last)
    for start, end in old.lost.within(1, last):
        for hole in new.received.missing(start, end):
            new.lost.add(*hole)
    old.lost.remove(1, last)
    for start, end in new.received.ranges():
        new.lost.remove(start, end)
    new.raise_known(min(old.known, last))
