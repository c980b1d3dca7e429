"""The log in a SQLite file: blocking, one thread at a time, every change one transaction.

What is durable here is durable: write-ahead log with ``synchronous=FULL``, so a committed transaction survives a
power cut (as far as the disk keeps its own promise). Totals and ranges are kept in rows of their own, so that opening
a log of a million messages reads a few pages.

Bodies are compressed, for a card's life is counted in bytes written. SQLite notices pages that make no sense, but a
flipped bit in a body makes sense to it: each row has a checksum of its own, and so have the totals. A row that should
be there and is not counts as damage as well.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self

import msgspec

from linli_core.errors import LogError
from linli_core.instant import MINUTE, Instant
from linli_core.log import IntervalSet, LogState
from linli_core.log.account import copied, day_of, enter
from linli_core.log.intervals import Range
from linli_core.log.sender import declare
from linli_core.wire.messages import Evicted
from linli_edge.outbox.head import Head, head_of, new_epoch
from linli_edge.outbox.message import KINDS, NORMAL, URGENT, Message, OutboxLimits, StoredMessage
from linli_edge.outbox.room import AHEAD, MOST_TAKEN, OVERHEAD, NoRoom, Room, is_full

SCHEMA: Final = """
CREATE TABLE message (
    seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, priority INTEGER NOT NULL, observed_from INTEGER NOT NULL,
    observed_to INTEGER NOT NULL, readings INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER);
CREATE INDEX message_urgent ON message (priority, seq) WHERE priority < 1;
CREATE INDEX message_expendable ON message (priority, seq) WHERE priority > 1;
CREATE TABLE gone (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE evicted (first INTEGER PRIMARY KEY, entry BLOB NOT NULL);
CREATE TABLE log (id INTEGER PRIMARY KEY CHECK (id = 1), head BLOB NOT NULL, crc INTEGER);
PRAGMA user_version = 3;
"""

VERSION: Final = 3
"""Of the file's form. Version 1 had no checksums, and no compressed bodies; version 2 none over the totals."""

_MIGRATIONS: Final = {
    1: "ALTER TABLE message ADD COLUMN crc INTEGER;",
    2: "ALTER TABLE log ADD COLUMN crc INTEGER;",
}
"""What makes the next version of each; all that is needed goes into one transaction."""

ROW_BYTES: Final = 40
"""What a message costs on disk beside its body, near enough."""
CHUNK: Final = 500
"""Messages evicted at a time."""
AT_ONCE: Final = 256 * 1024
"""Bytes of acknowledged messages that leave a full log together, at most."""
EVICTED: Final = 1024
"""Evicted ranges remembered after the platform has booked them, should it be restored from a backup."""
URGENT_AT_OPEN: Final = 10_000
"""Urgent messages that keep their precedence over a restart; more than that go in their order."""

PAGE: Final = 512
"""Bytes of a page: what one small transaction writes at least, twice. No less is possible. Set when a file is made."""

PAGES: Final = (PAGE, 1024, 4096)
"""Every size of page that a log was ever made with."""

COMPRESSED: Final = 2
"""Bit of a row's kind: its body is compressed."""

_LEVEL: Final = 1
"""zlib's fastest: half of what its best saves, for a tenth of the time."""

_WORTH_IT: Final = 64
"""Bytes of a body from which on compressing is tried."""

_QUERY_EVICTION: Final = "SELECT seq, length(body), observed_from, observed_to, readings FROM message WHERE "


@dataclass(slots=True)
class Changes:
    """What one transaction changed, for the sender to take over."""

    removed: list[Range] = field(default_factory=list)
    evicted: list[Evicted] = field(default_factory=list)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode_evicted: Final = msgspec.msgpack.Decoder(Evicted).decode


Row = tuple[int, int, int, int, int, int, bytes, int | None]
"""A row of ``message``; no checksum in one that a version 1 wrote."""


class DamagedMessage(sqlite3.DatabaseError):
    """A message is not what was written."""


def pack(seq: int, message: Message) -> Row:
    """Return the row of a message."""
    kind, body = KINDS.index(message.kind), message.body
    if len(body) >= _WORTH_IT and len(small := zlib.compress(body, _LEVEL)) < len(body):
        kind, body = kind | COMPRESSED, small
    return seal((seq, kind, message.priority, message.observed_from, message.observed_to, message.readings, body, None))


def seal(row: Row) -> Row:
    """Return a row with its checksum."""
    return (*row[:7], _check(row[0], row[1], row[6]))


def is_sound(row: Row) -> bool:
    """Tell whether a row is what was written, as far as anything tells."""
    return row[7] is None or row[7] == _check(row[0], row[1], row[6])


def unpack(seq: int, kind: int, body: bytes, crc: int | None) -> StoredMessage:
    """Return the message of a row; :class:`DamagedMessage` if its checksum does not match."""
    numbers_of((seq, kind, 0 if crc is None else crc))
    if not isinstance(body, bytes):
        raise DamagedMessage(f"message {seq} has no body")
    if crc is not None and crc != _check(seq, kind, body):
        raise DamagedMessage(f"message {seq} does not match its checksum")
    try:
        whole = zlib.decompress(body) if kind & COMPRESSED else body
        return StoredMessage(seq, KINDS[kind & ~COMPRESSED], whole)
    except (zlib.error, IndexError) as exc:
        raise DamagedMessage(f"message {seq}: {exc}") from exc


def numbers_of(row: tuple[int, ...]) -> tuple[int, ...]:
    """Return a row of numbers; :class:`DamagedMessage` if damage made something else of one."""
    if not all(isinstance(cell, int) for cell in row):
        raise DamagedMessage(f"no row of numbers: {row!r}")
    return row


def _version_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of a log's form, 0 for a new file; :class:`LogError` for one of a newer program."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        if _head_says_ours(connection):
            raise sqlite3.DatabaseError("the file's header and the log's head are not of one version")
        raise LogError(
            f"{path}: written as version {version} of the log, this program knows {VERSION}; "
            "install the newer linli again, or move the file away: what it holds is not sent then"
        )
    return version


def _head_says_ours(connection: sqlite3.Connection) -> bool:
    """Tell whether the totals, which have a checksum, are of a version that this program knows."""
    try:
        row = connection.execute("SELECT * FROM log").fetchone()
        return row is not None and 0 < head_of(row).version <= VERSION
    except sqlite3.DatabaseError:
        return False


def _check(seq: int, kind: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(seq.to_bytes(8) + bytes((kind & 0xFF,))))


def gone_of(connection: sqlite3.Connection) -> IntervalSet:
    """Return the numbers no longer in a log; :class:`sqlite3.DatabaseError` if they cannot be told."""
    gone = IntervalSet()
    for row in connection.execute("SELECT first, last FROM gone ORDER BY first"):
        first, last = numbers_of(row)
        if not 0 < first <= last:
            raise DamagedMessage(f"no range of numbers: {first} to {last}")
        gone.add(first, last)
    return gone


def _enough(rows: Sequence[tuple[int, ...]], excess: int) -> list[tuple[int, ...]]:
    """Return as many rows as come to so many bytes: one at least, all if they do not."""
    rows = [numbers_of(row) for row in rows]
    for count, row in enumerate(rows, 1):
        excess -= row[1] + ROW_BYTES
        if excess <= 0:
            return rows[:count]
    return rows


class LogStore:
    """An open log file.

    Attributes:
        head: The durable totals; changed only after the transaction that wrote them.
        gone: Numbers no longer on disk.
        evicted: What left without acknowledgement.
    """

    def __init__(self, connection: sqlite3.Connection, limits: OutboxLimits) -> None:
        self._connection = connection
        self._room = Room(connection)
        self._limits = limits
        self.head = Head("")
        self.gone = IntervalSet()
        self.evicted: list[Evicted] = []
        self._aged_at: Instant | None = None
        self._may_take = limits.max_bytes

    @classmethod
    def open(cls, path: Path, limits: OutboxLimits, *, gateway: str = "", first: Head | None = None) -> Self:
        """Open a log, or create it.

        Args:
            path: The file; its folder is there.
            limits: Bounds.
            gateway: Whose it is; empty to take it as it is.
            first: Head of a log that is created.

        Raises:
            LogError: A newer program wrote it, or another gateway; it stays as it is.
            sqlite3.Error: The file cannot be read or written (``DatabaseError``: it is damaged).
        """
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.text_factory = bytes  # there is no text: what damage makes to look like it must not fail to decode
        try:
            connection.execute(f"PRAGMA page_size = {PAGE}")
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -1024", "temp_store = MEMORY"):
                connection.execute(f"PRAGMA {pragma}")
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA wal_autocheckpoint = {AHEAD // (page + 24)}")
            store = cls(connection, limits)
            version = _version_of(connection, path)
            if version == 0:
                store._create(first or Head(new_epoch(), gateway=gateway))
            elif version < VERSION:
                steps = "".join(_MIGRATIONS[step] for step in range(version, VERSION))
                connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
            store._load()
            store.head = store.head.of(gateway, path)
            # A file does not shrink: of a log that once took more of the disk, nothing is gained by what leaves it.
            store._may_take = max(limits.max_bytes, store._room.taken())
            if version:
                store.begin_epoch()
            store._room.open(path)
        except BaseException:
            connection.close()
            raise
        return store

    def close(self) -> None:
        """Close the file."""
        # In this order: to close any descriptor of a file takes the locks away that SQLite has on it.
        self._connection.close()
        self._room.close()

    def state(self) -> LogState:
        """Return what the sender starts from."""
        urgent = self._connection.execute(
            "SELECT seq FROM message WHERE priority < 1 ORDER BY priority DESC, seq DESC LIMIT ?", (URGENT_AT_OPEN,)
        )
        acked = IntervalSet(self.head.acked)
        return LogState(
            self.head.epoch,
            self.head.next_seq,
            tuple(self.gone.ranges()),
            tuple(self.head.acked),
            tuple(self.evicted),
            tuple(sorted(seq for (seq,) in urgent if seq not in acked)),
        )

    def commit(
        self,
        messages: Sequence[Message],
        now: Instant,
        *,
        acked: list[Range] | None = None,
        heard: str = "",
        pressed: bool = False,
    ) -> Changes:
        """Make messages durable under the next numbers, and make room; all in one transaction.

        A disk that others have filled takes them in the place of what was acknowledged.

        Args:
            messages: What to append.
            now: For the age of what is kept.
            acked: What the platform has acknowledged, to be written down and to be evicted first.
            heard: The epoch to which the platform answered last, to be written down.
            pressed: On a full disk, give up what was not acknowledged too, in the order of its priority.

        Raises:
            sqlite3.Error: Nothing was changed.
        """
        try:
            return self._commit(messages, now, acked, heard=heard)
        except sqlite3.OperationalError as exc:
            if not is_full(exc) or not messages:
                raise
        with suppress(sqlite3.Error):
            # The write-ahead file begins anew in the room it has.
            self._connection.execute("PRAGMA wal_checkpoint").fetchall()
        return self._commit(messages, now, acked, "all" if pressed else "acknowledged", heard=heard)

    def _commit(
        self,
        messages: Sequence[Message],
        now: Instant,
        acked: list[Range] | None,
        instead: Literal["", "acknowledged", "all"] = "",
        *,
        heard: str,
    ) -> Changes:
        """Commit in the room there is, or in the place of others."""
        head = msgspec.structs.replace(self.head)
        if acked is not None:
            head.acked = acked
        head.heard = heard or head.heard
        seq = head.next_seq
        rows = []
        for message in messages:
            row = pack(seq, message)
            rows.append(row)
            seq += 1
            head.bytes += len(row[6]) + ROW_BYTES
            head.readings += message.readings
        head.messages += len(rows)
        head.next_seq = seq
        head.book = copied(self.head.book)
        for message in messages:
            if message.kind == "telemetry":
                counts = (message.polled, message.filtered, message.refused, message.readings, 1)
                enter(head.book, day_of(message.observed_from), counts)
        changes = Changes()
        gone, evicted = self.gone, self.evicted
        aged_at = self._aged_at
        need = round((head.bytes - self.head.bytes) * MOST_TAKEN) + OVERHEAD
        if not instead:
            self._room.reserve(need)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            if instead:
                self.gone, self.evicted = gone.copy(), evicted.copy()
                self._free(need, head, changes, acked_only=instead == "acknowledged")
            self._connection.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            if aged_at is None or now - aged_at >= MINUTE or now < aged_at or self._excess(head) > 0:
                self.gone, self.evicted = self.gone.copy(), self.evicted.copy()
                self._let_age(head, changes, now - self._limits.max_age)
                self._aged_at = now
                while (excess := self._excess(head)) > 0 and self._make_room(excess, head, changes):
                    pass
            self._write_head(head)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            self.gone, self.evicted, self._aged_at = gone, evicted, aged_at
            raise
        self.head = head
        return changes

    def begin_epoch(self) -> None:
        """Give the log a new name for this start; what it holds is carried on.

        An epoch under which nothing was appended is not carried: what it held, its forerunners hold.
        """
        head = msgspec.structs.replace(self.head)
        if head.next_seq > head.began_at:
            head.carried = head.carrying(head.next_seq - 1)
        elif head.heard == head.epoch and head.carried:
            head.heard = head.carried[-1].epoch
        head.epoch, head.began_at = new_epoch(), head.next_seq
        self._write_head(head)
        self.head = head

    def read(self, seqs: Iterable[int]) -> list[StoredMessage]:
        """Return messages by number, in order; those that have left the log are left out.

        Raises:
            sqlite3.Error: The file cannot be read (:class:`DamagedMessage`: what it holds is not what was written).
        """
        found: list[StoredMessage] = []
        wanted = IntervalSet((seq, seq) for seq in sorted(seqs) if seq < self.head.next_seq).difference(self.gone)
        for first, last in wanted.ranges():
            rows = self._connection.execute(
                "SELECT seq, kind, body, crc FROM message WHERE seq BETWEEN ? AND ? ORDER BY seq", (first, last)
            )
            found += [unpack(*row) for row in rows]
        if len(found) < wanted.count():
            # A flipped bit in a page's count of cells hides rows, and SQLite finds nothing wrong with it.
            there = {message.seq for message in found}
            lost = next(seq for first, last in wanted.ranges() for seq in range(first, last + 1) if seq not in there)
            raise DamagedMessage(f"message {lost} is not there")
        return found

    def counts(self, first: int) -> Iterator[tuple[str, Instant, int]]:
        """Yield kind, oldest reading's instant and number of readings of each message from a number on."""
        rows = self._connection.execute("SELECT kind, observed_from, readings FROM message WHERE seq >= ?", (first,))
        for kind, observed_from, readings in rows:
            yield KINDS[kind & ~COMPRESSED], observed_from, readings

    def adopt(self, head: Head, gone: IntervalSet, evicted: Iterable[Evicted]) -> None:
        """Write down totals worked out by a salvage."""
        self.gone = gone
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.executemany("INSERT INTO gone VALUES (?, ?)", gone.ranges())
            acked = IntervalSet(head.acked)
            for entry in evicted:
                self._declare(entry, acked)
            self._write_head(head)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise
        self.head = head

    def insert(self, rows: Sequence[Row]) -> None:
        """Copy whole rows of ``message`` from a damaged log."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR IGNORE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._connection.execute("COMMIT")

    def _create(self, head: Head) -> None:
        self._connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA}")
        self._connection.execute("INSERT INTO log VALUES (1, ?, NULL)", (_encode(head),))
        self._write_head(head)
        self._connection.execute("COMMIT")

    def _write_head(self, head: Head) -> None:
        head.version = VERSION
        encoded = _encode(head)
        self._connection.execute("UPDATE log SET head = ?, crc = ?", (encoded, zlib.crc32(encoded)))

    def _load(self) -> None:
        row = self._connection.execute("SELECT * FROM log").fetchone()
        if row is None:
            raise sqlite3.DatabaseError("the log's head is gone")
        self.head = head_of(row)
        try:
            self.evicted = [
                _decode_evicted(entry)
                for (entry,) in self._connection.execute("SELECT entry FROM evicted ORDER BY first")
            ]
        except (msgspec.MsgspecError, TypeError) as exc:
            raise sqlite3.DatabaseError(f"an eviction cannot be read: {exc}") from exc
        self.gone = gone_of(self._connection)

    def _let_age(self, head: Head, changes: Changes, before: Instant) -> None:
        """Let acknowledged messages go that are older than ``before``."""
        for first, last in IntervalSet(head.acked).difference(self.gone).ranges():
            rows = self._connection.execute(
                f"{_QUERY_EVICTION} seq BETWEEN ? AND ? ORDER BY seq LIMIT ?", (first, last, CHUNK)
            ).fetchall()
            rows = [numbers_of(row) for row in rows]
            old = [row for row in rows if row[3] < before]
            self._remove(old, head, changes)
            if len(old) < len(rows):
                return

    def _free(self, need: int, head: Head, changes: Changes, *, acked_only: bool) -> None:
        """Have so many bytes of the file free.

        Raises:
            sqlite3.OperationalError: What may go does not give them.
        """
        while (short := need - self._room.free()) > 0:
            if not self._make_room(short, head, changes, acked_only=acked_only):
                raise NoRoom("the disk has no room, and nothing in the log may go for it")

    def _make_room(self, excess: int, head: Head, changes: Changes, *, acked_only: bool = False) -> bool:
        """Let one chunk go: acknowledged first, then by lowest priority, then the oldest; ``False``: nothing left."""
        for first, last in IntervalSet(head.acked).difference(self.gone).ranges():
            rows = self._connection.execute(
                f"{_QUERY_EVICTION} seq BETWEEN ? AND ? ORDER BY seq LIMIT ?", (first, last, CHUNK)
            ).fetchall()
            if rows:
                # Some more than is needed at the moment: each deletion writes pages, however little it deletes.
                more = min(self._limits.max_bytes // 16, AT_ONCE)
                self._remove(_enough(rows, excess + more), head, changes)
                return True
        if acked_only:
            return False
        for condition in (
            f"priority > {NORMAL} ORDER BY priority DESC, seq LIMIT ?",
            f"priority = {NORMAL} ORDER BY seq LIMIT ?",
            f"priority <= {URGENT} ORDER BY priority DESC, seq LIMIT ?",
        ):
            rows = self._connection.execute(_QUERY_EVICTION + condition, (CHUNK,)).fetchall()
            if rows:
                self._evict(_enough(rows, excess), head, changes)
                return True
        return False

    def _excess(self, head: Head) -> int:
        """Return by how many bytes the log is too large: by what its messages count, or by the pages they take."""
        taken = min(self._room.taken(), int(head.bytes * MOST_TAKEN))
        return max(head.bytes - self._limits.max_bytes, taken - self._may_take)

    def _remove(self, rows: Sequence[tuple[int, ...]], head: Head, changes: Changes) -> None:
        for first, last in IntervalSet((row[0], row[0]) for row in rows).ranges():
            self._delete(first, last)
            changes.removed.append((first, last))
        head.bytes -= sum(row[1] + ROW_BYTES for row in rows)

    def _evict(self, rows: Sequence[tuple[int, ...]], head: Head, changes: Changes) -> None:
        by_seq = {row[0]: row for row in rows}
        acked = IntervalSet(head.acked)
        for first, last in IntervalSet((seq, seq) for seq in sorted(by_seq)).ranges():
            lost = [by_seq[seq] for seq in range(first, last + 1)]
            entry = Evicted(
                first,
                last,
                "space",
                observed_from=min(row[2] for row in lost),
                observed_to=max(row[3] for row in lost),
                readings=sum(row[4] for row in lost),
            )
            self._delete(first, last)
            self._declare(entry, acked)
            changes.evicted.append(entry)
            head.evicted_messages += len(lost)
            head.evicted_readings += entry.readings or 0
        head.bytes -= sum(row[1] + ROW_BYTES for row in rows)
        self._forget_booked(head)

    def _delete(self, first: int, last: int) -> None:
        self._connection.execute("DELETE FROM message WHERE seq BETWEEN ? AND ?", (first, last))
        self.gone.add(first, last)
        start, end = self.gone.run_start(first), self.gone.run_end(first)
        self._connection.execute("DELETE FROM gone WHERE first BETWEEN ? AND ?", (start, end))
        self._connection.execute("INSERT INTO gone VALUES (?, ?)", (start, end))

    def _declare(self, entry: Evicted, acked: IntervalSet) -> None:
        joined = declare(self.evicted, entry, acked)
        self._connection.execute("DELETE FROM evicted WHERE first BETWEEN ? AND ?", (joined.first, joined.last))
        self._connection.execute("INSERT INTO evicted VALUES (?, ?)", (joined.first, _encode(joined)))

    def _forget_booked(self, head: Head) -> None:
        if len(self.evicted) <= EVICTED:
            return
        acked = IntervalSet(head.acked)
        booked = [entry for entry in self.evicted if not acked.missing(entry.first, entry.last)]
        for entry in booked[: len(self.evicted) - EVICTED]:
            self.evicted.remove(entry)
            self._connection.execute("DELETE FROM evicted WHERE first = ?", (entry.first,))
