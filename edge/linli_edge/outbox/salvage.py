"""What to do with a damaged log: set it aside, save what reads, go on under a new name."""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from linli_core.instant import Instant
from linli_core.log import IntervalSet
from linli_core.log.account import copied, day_of, enter
from linli_core.wire.messages import Evicted
from linli_edge.outbox.head import Head, head_of, new_epoch
from linli_edge.outbox.message import OutboxLimits
from linli_edge.outbox.raw_pages import sound_head, sound_rows
from linli_edge.outbox.room import is_full
from linli_edge.outbox.store import (
    ROW_BYTES,
    DamagedMessage,
    LogStore,
    Row,
    gone_of,
    is_sound,
    seal,
    unpack,
)
from linli_edge.outbox.twin import keep_twin, twin_head

BATCH: Final = 1000
ATTEMPTS: Final = 2000
"""Failed reads after which the rest counts as lost: a card that is gone altogether must not hold up the start."""

BLIND: Final = 1_000_000
"""How many numbers are tried where not even the newest one can be read."""

_WITH_CHECKSUMS: Final = (
    "SELECT seq, kind, priority, observed_from, observed_to, readings, body, crc FROM message"
    " WHERE seq BETWEEN ? AND ? ORDER BY seq"
)
_WITHOUT: Final = _WITH_CHECKSUMS.replace("crc", "NULL")

_DAMAGE: Final = frozenset({"SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS", "SQLITE_ERROR"})
"""What is damage among the errors of a busy or full disk: a sector that the card gives back no more; names in the
schema that are not ours any more."""

_BROKEN: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises; SQLite's message may quote what is no text."""

_log = logging.getLogger(__name__)
_decode_evicted = msgspec.msgpack.Decoder(Evicted).decode


def open_or_salvage(path: Path, limits: OutboxLimits, now: Instant, gateway: str = "") -> tuple[LogStore, str]:
    """Open a log; a damaged one is set aside and what reads of it is carried into a new one.

    Returns:
        The log, and one sentence for the operator (empty if all is well).

    Raises:
        OSError: The folder cannot be used.
        LogError: The log is a newer program's, or another gateway's.
        sqlite3.OperationalError: The disk cannot be written, or another process holds the log.
    """
    _finish(path)
    try:
        _look_at_header(path)
        store = LogStore.open(path, limits, gateway=gateway)
        try:
            store.state()
        except BaseException:
            store.close()
            raise
    except _BROKEN as exc:
        if not is_damage(exc):
            raise
        return _go_on(path, limits, now, exc, None, gateway)
    keep_twin(path, store.head)
    return store, ""


def is_damage(error: Exception) -> bool:
    """Tell whether an error is of what the file holds; else it is of the disk as it is now, and to be tried again."""
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorname", "") in _DAMAGE
    return True


def _look_at_header(path: Path) -> None:
    """Raise ``DatabaseError`` for a header that SQLite takes for a file it may only read, or is bound to refuse."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file:
        head = file.read(100)
    known = head.startswith(b"SQLite format 3\0") and set(head[18:20]) <= {1, 2} and head[20:24] == b"\0\x40\x20\x20"
    if not known:
        raise sqlite3.DatabaseError("the file's header is damaged")


def replace_damaged(
    store: LogStore, path: Path, limits: OutboxLimits, now: Instant, error: Exception
) -> tuple[LogStore, str]:
    """Set a log aside that proved damaged while open; return its successor and a sentence for the operator.

    Raises:
        OSError, sqlite3.OperationalError: The disk cannot be written now; call it again with the same store later.
    """
    store.close()
    return _go_on(path, limits, now, error, store.head, store.head.gateway)


def _go_on(
    path: Path, limits: OutboxLimits, now: Instant, error: Exception, head: Head | None, gateway: str
) -> tuple[LogStore, str]:
    # The successor is whole before the damaged file gives way: a disk that fills up meanwhile costs nothing.
    store, saved, short = _succeed(path, limits, head, gateway)
    store.close()
    aside = _set_aside(path, now)
    _finish(path)
    _drop_older(path, None if short else aside)
    store = LogStore.open(path, limits, gateway=gateway)
    keep_twin(path, store.head)
    kept = "there was no room to keep the damaged file" if short else f"the damaged file is kept as {aside.name}"
    detail = f"{path}: damaged ({error}); {saved} messages were saved, {kept}"
    _log.error("%s", detail)
    return store, detail


def _succeed(path: Path, limits: OutboxLimits, head: Head | None, gateway: str) -> tuple[LogStore, int, bool]:
    """Return a successor, how many messages it holds, and whether room for it was short.

    Where the disk has no room for a second copy, older damaged files go, and what is acknowledged is left out.
    """
    try:
        return *_salvage(path, limits, head, gateway, unacked_only=False), False
    except (sqlite3.OperationalError, OSError) as exc:
        if not is_full(exc):
            raise
        _log.warning("%s: no room for a whole copy (%s); what is acknowledged is left out", path, exc)
    _drop_older(path, None)
    return *_salvage(path, limits, head, gateway, unacked_only=True), True


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Keep other processes from writing to the same log while this one does.

    Raises:
        OSError: Another process holds it, or the folder cannot be used.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _successor(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _finish(path: Path) -> None:
    """Put a successor in the place of a log that has been set aside."""
    if not path.exists() and _successor(path).exists():
        # A power cut may have left the old log's write-ahead file: SQLite would play it into the new log.
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        _successor(path).rename(path)


def _drop_older(path: Path, aside: Path | None) -> None:
    """Keep the latest damaged file only: a card that decays must not fill up with copies of what was saved."""
    for old in path.parent.glob(f"{path.name}.damaged-*"):
        if aside is None or not old.name.startswith(aside.name):
            old.unlink(missing_ok=True)


def _set_aside(path: Path, now: Instant) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{now}")
    for suffix in ("", "-wal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            os.replace(part, aside.with_name(aside.name + suffix))  # noqa: PTH105 - atomic, and replaces
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return aside


def _salvage(
    damaged: Path, limits: OutboxLimits, head: Head | None, gateway: str, *, unacked_only: bool
) -> tuple[LogStore, int]:
    path = _successor(damaged)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    old = sqlite3.connect(damaged, isolation_level=None, check_same_thread=False)
    old.text_factory = bytes
    try:
        store = LogStore.open(path, limits)
    except BaseException:
        old.close()
        raise
    try:
        return store, _carry_over(old, damaged, store, head, gateway, unacked_only=unacked_only)
    except BaseException:
        store.close()
        raise
    finally:
        old.close()


def _carry_over(
    old: sqlite3.Connection, damaged: Path, store: LogStore, head: Head | None, gateway: str, *, unacked_only: bool
) -> int:
    """Copy what reads into a new log and declare what does not; return how many messages were saved.

    Raises:
        LogError: The damaged log is another gateway's.
    """
    head = head or _read_head(old, damaged)
    if head is not None:
        head = head.of(gateway, damaged)
    unwanted = IntervalSet(head.acked if head is not None and unacked_only else ())
    saved = _copy(old, store, unwanted, keep_numbers=head is not None)
    if head is not None:
        _copy_hidden(old, damaged, store, saved, unwanted)
    if head is None:
        # Which log it was is lost, so its numbers mean nothing any more: what reads is a new log from 1 on. The
        # platform drops what it has by the readings' own identity (series and time).
        fresh = Head(new_epoch(), readings=saved.readings, messages=saved.seqs.count(), gateway=gateway)
    else:
        # Totals that are as old as the start know less than what was saved.
        readings, messages = max(head.readings, saved.readings), max(head.messages, saved.seqs.count())
        fresh = msgspec.structs.replace(head, epoch=new_epoch(), readings=readings, messages=messages)
    known_to = fresh.next_seq
    fresh.next_seq = max(fresh.next_seq, (saved.seqs.last or 0) + 1)
    fresh.bytes = saved.bytes
    last = fresh.next_seq - 1
    _enter_saved(fresh, store, known_to, saved.seqs)
    if head is not None:
        fresh.began_at = fresh.next_seq
        fresh.carried = head.carrying(last)
    gone = IntervalSet(saved.seqs.missing(1, last))
    # What had left before keeps its own cause; what had left acknowledged needs none.
    known = [entry for entry in _read_evicted(old) if not gone.missing(entry.first, entry.last)] if head else []
    named = IntervalSet((entry.first, entry.last) for entry in known).union(IntervalSet(fresh.acked))
    lost = [Evicted(*span, "corruption") for span in gone.difference(named).ranges()]
    fresh.evicted_messages += sum(entry.last - entry.first + 1 for entry in lost)
    store.adopt(fresh, gone, [*known, *lost])
    return saved.seqs.count()


def _enter_saved(head: Head, store: LogStore, known_to: int, saved: IntervalSet) -> None:
    """Enter into totals that are as old as the start what was saved of the messages after it.

    What was polled for them and left out stood in the totals only.
    """
    head.book = copied(head.book)
    for kind, observed_from, readings in store.counts(known_to):
        if kind == "telemetry":
            enter(head.book, day_of(observed_from), (readings, 0, 0, readings, 1))
    head.unbooked += IntervalSet(saved.missing(known_to, head.next_seq - 1)).count()


@dataclass(slots=True)
class _Saved:
    """What was copied."""

    seqs: IntervalSet
    bytes: int = 0
    readings: int = 0


def _read_head(old: sqlite3.Connection, damaged: Path) -> Head | None:
    try:
        row = old.execute("SELECT * FROM log").fetchone()
        if row:
            return head_of(row)
    except _BROKEN:
        pass
    try:
        found = sound_head(damaged)
    except OSError as exc:
        _log.warning("%s: cannot be searched: %s", damaged, exc)
        found = None
    return found or twin_head(damaged)


def _read_evicted(old: sqlite3.Connection) -> list[Evicted]:
    """Return what the damaged log knew to be evicted, as far as it reads."""
    entries = []
    try:
        for (entry,) in old.execute("SELECT entry FROM evicted ORDER BY first"):
            entries.append(_decode_evicted(entry))
    except (*_BROKEN, msgspec.MsgspecError, TypeError) as exc:
        _log.warning("of what had been evicted, not all reads: %s", exc)
    return entries


def _copy(old: sqlite3.Connection, store: LogStore, unwanted: IntervalSet, *, keep_numbers: bool) -> _Saved:
    """Copy every message that reads; where reading fails, feel the way past the damage."""
    saved = _Saved(IntervalSet())
    position, step, failures = _bound(old, "SELECT min(seq) FROM message"), BATCH, 0
    last = _bound(old, "SELECT max(seq) FROM message") or position + BLIND
    # A log of version 1 has no checksums.
    query = _WITH_CHECKSUMS if _has_checksums(old) else _WITHOUT
    while position <= last and failures < ATTEMPTS:
        try:
            rows = old.execute(query, (position, position + step - 1)).fetchall()
        except _BROKEN:
            failures += 1
            if step == 1:
                position += 1
            step = max(1, step // 2)
            continue
        position += step
        step = min(step * 2, BATCH)
        sound = [row for row in rows if _is_sound(row) and row[0] not in unwanted]
        if not keep_numbers:
            start = saved.seqs.count() + 1
            sound = [seal((start + place, *row[1:])) for place, row in enumerate(sound)]
        store.insert(sound)
        for row in sound:
            saved.seqs.add(row[0])
            saved.bytes += len(row[6]) + ROW_BYTES
            saved.readings += row[5]
    return saved


def _copy_hidden(old: sqlite3.Connection, damaged: Path, store: LogStore, saved: _Saved, unwanted: IntervalSet) -> None:
    """Copy what no query finds any more, for a damaged page above it; what had left the log stays away."""
    try:
        gone = gone_of(old)
    except _BROKEN:
        # Then some of it comes back: the platform has it, or takes it out of its ledger.
        gone = IntervalSet()
    gone = gone.union(unwanted)
    rows: list[Row] = []
    try:
        for row in sound_rows(damaged):
            if row[0] not in saved.seqs and row[0] not in gone:
                saved.seqs.add(row[0])
                saved.bytes += len(row[6]) + ROW_BYTES
                saved.readings += row[5]
                rows.append(row)
            if len(rows) == BATCH:
                store.insert(rows)
                rows = []
    except OSError as exc:
        _log.warning("%s: not all of it can be searched: %s", damaged, exc)
    store.insert(rows)


def _bound(old: sqlite3.Connection, query: str) -> int:
    try:
        found = old.execute(query).fetchone()[0]
    except _BROKEN:
        return 0
    return found if isinstance(found, int) else 0


def _has_checksums(old: sqlite3.Connection) -> bool:
    try:
        return any(column[1] == b"crc" for column in old.execute("PRAGMA table_info(message)"))
    except _BROKEN:
        return False


def _is_sound(row: Row) -> bool:
    """Tell whether a row is what was written; each cell of a damaged page may be anything."""
    cells: tuple[object, ...] = row
    has_shape = all(isinstance(cell, int) for cell in cells[:6]) and isinstance(cells[6], bytes)
    if not has_shape or not isinstance(cells[7], int | None) or not is_sound(row):
        return False
    try:
        unpack(row[0], row[1], row[6], row[7])
    except DamagedMessage:
        return False
    return True
