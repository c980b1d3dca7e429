"""The log's file against a model: whatever is appended, acknowledged, evicted, cut off at any byte or damaged.

Every number the log ever made durable is one of four things: on disk as it was written, acknowledged, named with its
cause, or, where even the totals were damaged, in a log that says it is another one. A power cut keeps what had been
synced, and of what had not any sectors it likes.
"""

import random
import shutil
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from linli_core.instant import DAY
from linli_core.log import IntervalSet, Sender, SenderSettings
from linli_core.wire.messages import Ack
from linli_edge.outbox import Message, OutboxLimits
from linli_edge.outbox.message import NORMAL, URGENT
from linli_edge.outbox.salvage import open_or_salvage, replace_damaged

SECTOR = 512
_ALL = SenderSettings(evicted_shown=1_000_000)
_WAL_HEADER = 32
_LIMITS = OutboxLimits(max_bytes=12_000)
_GATEWAY = "gw-1"
_MOST_SALVAGES = 3


class LogMachine(RuleBasedStateMachine):
    """One card: its files, what was promised of it, and a gateway that starts again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="linli-log-"))
        self.path = self.folder / "outbox.db"
        self.now = 1_700_000_000_000_000
        self.bodies: dict[int, bytes] = {}
        self.next_seq = 1
        self.given = 0
        self.damaged = False
        self.ever_acked = IntervalSet()
        self.begun()

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def begun(self) -> None:
        """A gateway starts."""
        self.store, self.detail = open_or_salvage(self.path, _LIMITS, self.now, _GATEWAY)
        # Checkpoints after every few pages: so that they too are cut off.
        self.store._connection.execute("PRAGMA wal_autocheckpoint = 6")
        self.sender = Sender(self.store.state(), _ALL)

    def files(self) -> tuple[bytes, bytes]:
        ahead = self.path.with_name("outbox.db-wal")
        return self.path.read_bytes(), ahead.read_bytes() if ahead.exists() else b""

    def commit(self, messages: list[Message]) -> None:
        """What the outbox does with a group, again in the successor of a log that proves damaged."""
        acked = self.sender.acked.ranges()
        try:
            changes = self.store.commit(messages, self.now, acked=acked)
        except sqlite3.DatabaseError as exc:
            assert self.damaged, "nothing was damaged"
            self.replaced(exc)
            changes = self.store.commit(messages, self.now, acked=self.sender.acked.ranges())
        if messages:
            first = self.sender.next_seq
            urgent = [seq for seq, one in enumerate(messages, first) if one.priority <= URGENT]
            self.sender.appended(first, first + len(messages) - 1, urgent)
        for entry in changes.evicted:
            self.sender.evict(entry)
        for low, high in changes.removed:
            self.sender.removed(low, high)

    def make(self, count: int, size: int, priority: int) -> list[Message]:
        """Return messages that there were never before."""
        made = []
        for _ in range(count):
            self.given += 1
            body = b"[%d]" % self.given + random.Random(self.given).randbytes(size)
            made.append(Message("telemetry", body, priority, self.now, self.now, self.given % 5))
        return made

    def promised(self, messages: list[Message]) -> None:
        for message in messages:
            self.bodies[self.next_seq] = message.body
            self.next_seq += 1

    @rule(
        count=st.integers(1, 12), size=st.sampled_from([0, 40, 200, 900, 3000]), priority=st.sampled_from([0, 1, 1, 2])
    )
    def append(self, count: int, size: int, priority: int) -> None:
        messages = self.make(count, size, priority)
        self.commit(messages)
        self.promised(messages)

    @rule(share=st.floats(0, 1), beside=st.integers(0, 8))
    def acknowledge(self, share: float, beside: int) -> None:
        """The platform says what it has, perhaps less than before, perhaps with a hole in it."""
        last = self.next_seq - 1
        upto = round(share * last)
        ranges = [(upto + 2, min(last, upto + 1 + beside))] if beside and upto + 2 <= last else []
        self.sender.ack(Ack(self.sender.epoch, upto, tuple(ranges)), 0)
        self.ever_acked = self.ever_acked.union(self.sender.acked)

    @rule(days=st.integers(1, 9))
    def grow_older(self, days: int) -> None:
        self.now += days * DAY
        self.commit([])

    @rule()
    def start_again(self) -> None:
        epoch, grew = self.store.head.epoch, self.store.head.next_seq > self.store.head.began_at
        self.commit([])
        self.store.close()
        self.begun()
        assert self.detail == "" or self.damaged
        if not self.damaged:
            assert self.store.head.epoch != epoch
            last = self.store.head.carried[-1] if self.store.head.carried else None
            assert not grew or (last is not None and (last.epoch, last.last) == (epoch, self.next_seq - 1))

    @rule(
        count=st.integers(1, 12),
        size=st.sampled_from([10, 900]),
        kept=st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]),
        whole=st.booleans(),
        # A seed, and not each number: a write-ahead file has two thousand sectors.
        chance=st.integers(0, 2**32 - 1).map(random.Random),
    )
    def cut_power(self, count: int, size: int, kept: float, *, whole: bool, chance: random.Random) -> None:
        """While a group is written, or while what was written before is brought to its place."""
        before = self.files()
        messages = self.make(count, size, NORMAL)
        self.commit(messages)
        after = self.files()
        self.store.close()
        database, ahead = before
        written = whole and before[0] != after[0]
        if written:
            database, ahead = torn(before[0], after[0], kept, chance), after[1]
        elif kept:
            # The header of a log begun anew is synced before anything behind it is written.
            header = after[1][:_WAL_HEADER]
            ahead = header + torn(ahead[_WAL_HEADER:], after[1][_WAL_HEADER:], kept, chance)
        for name in ("outbox.db", "outbox.db-wal", "outbox.db-shm"):
            self.path.with_name(name).unlink(missing_ok=True)
        self.path.write_bytes(database)
        self.path.with_name("outbox.db-wal").write_bytes(ahead)
        self.begun()
        assert self.detail == "" or self.damaged
        if self.store.head.next_seq != self.next_seq:
            self.promised(messages)
        assert not written or self.store.head.next_seq == self.next_seq

    @precondition(lambda self: self.next_seq > 1)
    @rule(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), bytes_=st.sampled_from([0, 0, 0, 300]))
    def decay(self, place: float, bit: int, bytes_: int) -> None:
        """A bit flips, or a few hundred bytes are noise."""
        self.commit([])
        epoch = self.store.head.epoch
        if self.store.head.next_seq == self.store.head.began_at:
            epoch = self.store.head.carried[-1].epoch
        self.store.close()
        content = bytearray(self.path.read_bytes())
        at = int(place * len(content))
        content[at] ^= 1 << bit
        content[at : at + bytes_] = random.Random(at).randbytes(len(content[at : at + bytes_]))
        self.path.write_bytes(content)
        self.damaged = True
        self.now += 1
        self.begun()
        self.salvaged(epoch)

    def replaced(self, error: sqlite3.DatabaseError) -> None:
        self.now += 1
        self.store, self.detail = replace_damaged(self.store, self.path, _LIMITS, self.now, error)
        self.sender = Sender(self.store.state(), _ALL)

    def salvaged(self, epoch: str) -> None:
        """Read everything, as a sender would; go on in the successor where damage is found."""
        for _ in range(_MOST_SALVAGES):
            try:
                self.store.read(range(1, self.store.head.next_seq))
            except sqlite3.DatabaseError as exc:
                self.replaced(exc)
            else:
                break
        else:
            raise AssertionError(f"salvaged {_MOST_SALVAGES} times, and still damaged: {self.detail}")
        if epoch not in {one.epoch for one in self.store.head.carried}:
            # Another log: its numbers are its own, what it holds was promised all the same.
            found = self.store.read(range(1, self.store.head.next_seq))
            assert {one.body for one in found} <= set(self.bodies.values())
            assert len({one.body for one in found}) == len(found)
            self.bodies = {one.seq: one.body for one in found}
            self.next_seq = self.store.head.next_seq
            self.ever_acked = IntervalSet()

    @invariant()
    def every_number_is_accounted_for(self) -> None:
        head = self.store.head
        assert head.next_seq == self.sender.next_seq == self.next_seq
        found = {one.seq: one.body for one in self.store.read(range(1, self.next_seq))}
        assert all(self.bodies[seq] == body for seq, body in found.items()), "read as it never was"
        named = IntervalSet((entry.first, entry.last) for entry in self.sender.evicted())
        known = IntervalSet((seq, seq) for seq in sorted(found)).union(self.sender.acked).union(named)
        assert known.missing(1, self.next_seq - 1) == [], "neither on disk nor acknowledged nor named"
        both = [seq for seq in found if seq in named]
        assert not both, f"named as lost, and on disk: {both}"
        causes = {entry.cause for entry in self.sender.evicted()}
        assert causes <= {"space", "retention"} | ({"corruption"} if self.damaged else set())
        let_go = IntervalSet((one.first, one.last) for one in self.sender.evicted() if one.cause == "retention")
        assert not let_go.difference(self.ever_acked), "let go as acknowledged, and never was"
        assert head.bytes <= _LIMITS.max_bytes


def torn(before: bytes, after: bytes, kept: float, chance: random.Random) -> bytes:
    """Return a file of which some sectors are written and others are not."""
    size = max(len(before), len(after)) if kept < 1 else len(after)
    old, new = before.ljust(size, b"\0"), after.ljust(size, b"\0")
    parts = ((new if chance.random() < kept else old)[at : at + SECTOR] for at in range(0, size, SECTOR))
    return b"".join(parts)


# Not shrunk: a single step is a file system's, and shrinking takes many thousand.
LogMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, phases=[Phase.generate, Phase.reuse]
)
TestLogMachine = LogMachine.TestCase
