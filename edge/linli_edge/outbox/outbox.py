"""The asynchronous shell around the log file: group commit in one worker thread, the sender kept in step.

Everything the event loop sees (the sender, the numbers, the queue) is touched on the loop's thread only; the worker
thread has the file to itself. :meth:`Outbox.append` never waits and never blocks.
"""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

from linli_core.errors import LogError
from linli_core.instant import SECOND, Instant
from linli_core.log import Sender, SenderSettings
from linli_core.wire.messages import Account, Carried
from linli_edge.driver import Clock
from linli_edge.outbox.message import (
    URGENT,
    Message,
    MessageTooLarge,
    OutboxFull,
    OutboxLimits,
    OutboxStats,
    StoredMessage,
)
from linli_edge.outbox.room import is_full, lay_by, spend
from linli_edge.outbox.salvage import hold, is_damage, open_or_salvage, replace_damaged
from linli_edge.outbox.store import LogStore

RECENT_BYTES: Final = 1024**2
"""Messages just written that stay in memory, so that live ones are not read back from disk."""
COMMIT_MESSAGES: Final = 2000
"""Largest transaction: bounds how long an urgent message waits behind a burst."""

ResultT = TypeVar("ResultT")

_log = logging.getLogger(__name__)


class _CannotReplace(sqlite3.OperationalError):
    """The log is damaged, and the disk takes no successor now."""


def _no_one() -> None:
    """Nobody listens."""


def _open(path: Path, limits: OutboxLimits, now: Instant, gateway: str) -> tuple[LogStore, str]:
    """Open a log; on a disk that others have filled, in the room that was laid by for it."""
    try:
        opened = open_or_salvage(path, limits, now, gateway)
    except (OSError, sqlite3.Error) as exc:
        if not (is_full(exc) and spend(path)):
            raise
        _log.warning("%s: the disk is full (%s); the room that was laid by for the start is used", path, exc)
        opened = open_or_salvage(path, limits, now, gateway)
    lay_by(path)
    return opened


class Outbox:
    """The gateway's log.

    Attributes:
        on_change: Called after each change that may give the uplink something to do; one listener.
    """

    def __init__(
        self,
        path: Path,
        limits: OutboxLimits,
        clock: Clock,
        settings: SenderSettings | None = None,
        *,
        gateway: str = "",
    ) -> None:
        self._path = path
        self._gateway = gateway
        self._limits = limits
        self._clock = clock
        self._settings = settings
        self.on_change: Callable[[], None] = _no_one
        self._stack = AsyncExitStack()
        self._executor: ThreadPoolExecutor | None = None
        self._store: LogStore | None = None
        self._sender: Sender | None = None
        self._sending_from: LogStore | None = None
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._writing = 0
        self._at_once = COMMIT_MESSAGES
        self._written = asyncio.Condition()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._recent: dict[int, StoredMessage] = {}
        self._recent_bytes = 0
        self._salvage = ""
        self._trouble = ""
        self._refused_messages = 0
        self._refused_readings = 0

    @classmethod
    def open(
        cls,
        path: Path,
        limits: OutboxLimits,
        clock: Clock,
        settings: SenderSettings | None = None,
        *,
        gateway: str = "",
    ) -> "Outbox":
        """Return the outbox in a file, to be entered with ``async with``.

        Args:
            path: The log's file; its folder is made.
            limits: Bounds.
            clock: The present instant.
            settings: How the sender behaves.
            gateway: Whose log it is; another gateway's is refused. Empty: anybody's.
        """
        return cls(path, limits, clock, settings, gateway=gateway)

    async def __aenter__(self) -> Self:
        """Open the file; a damaged one is set aside and what reads is kept.

        Raises:
            LogError: The disk cannot be written, another process holds the log, or it is a newer program's or another
                gateway's.
        """
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._stack.callback(self._executor.shutdown)
        try:
            self._stack.enter_context(await self._work(hold, self._path))
            store, self._salvage = await self._work(_open, self._path, self._limits, self._clock(), self._gateway)
            self._store = self._sending_from = store
            self._stack.callback(self._close)
            self._sender = Sender(await self._work(store.state), self._settings)
        except LogError:
            await self._stack.aclose()
            raise
        except (OSError, sqlite3.Error) as exc:
            await self._stack.aclose()
            raise LogError(
                f"{self._path}: the log cannot be opened ({exc}); check the disk's room and who may write there, and "
                "that no other gateway uses it"
            ) from exc
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(self._write(), name="outbox.write")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what waits, and close."""
        self._closing = True
        self._wake_now()
        # What was raised inside the block goes on as it is: only the writer's own error makes a group.
        await self._stack.aclose()

    @property
    def sender(self) -> Sender:
        """What to send next; kept in step with the log."""
        assert self._sender is not None, "the outbox is not open"
        return self._sender

    @property
    def carried(self) -> tuple[Carried, ...]:
        """The logs this one goes on from, for the status."""
        return tuple(self._open_store.head.carried)

    @property
    def account(self) -> Account:
        """The book of what was logged, as durable as the log itself."""
        head = self._open_store.head
        days = {day: (line[0], line[1], line[2], line[3], line[4]) for day, line in head.book.items()}
        return Account(head.next_seq - 1, days, head.unbooked)

    def append(self, message: Message) -> int:
        """Take a message; it is durable within ``group_delay``, an urgent one as soon as the disk can.

        Returns:
            Its number in the log.

        Raises:
            MessageTooLarge: It is larger than ``message_bytes``; not taken.
            OutboxFull: The disk has refused to write for long; not taken, and counted.
        """
        size = len(message.body)
        if size > self._limits.message_bytes:
            self._refuse(message)
            raise MessageTooLarge(
                f"a message of {size} bytes; at most {self._limits.message_bytes} are taken: make smaller packs"
            )
        waiting = len(self._queue)
        if waiting >= self._limits.queue_messages or self._queued_bytes + size > self._limits.queue_bytes:
            self._refuse(message)
            raise OutboxFull(
                f"{waiting} messages ({self._queued_bytes} bytes) wait for the disk: {self._trouble or 'too slow'}"
            )
        seq = self.sender.next_seq + self._writing + waiting
        self._queue.append(message)
        self._queued_bytes += size
        if message.priority <= URGENT or waiting + 1 >= self._limits.group_messages:
            self._wake_now()
        elif self._timer is None:
            self._wake_in(self._limits.group_delay)
        return seq

    async def durable(self, seq: int) -> None:
        """Return once a message is durable."""
        async with self._written:
            await self._written.wait_for(lambda: self.sender.next_seq > seq)

    async def flush(self) -> None:
        """Write what waits now, and return once it is durable."""
        self._wake_now()
        await self.durable(self.sender.next_seq + self._writing + len(self._queue) - 1)

    async def read(self, seqs: list[int]) -> list[StoredMessage]:
        """Return messages by number, in the order asked; those evicted meanwhile are left out.

        Raises:
            LogError: The disk cannot be read.
        """
        found = {seq: self._recent[seq] for seq in seqs if seq in self._recent}
        if len(found) < len(seqs):
            older = [seq for seq in seqs if seq not in found]
            try:
                stored = await self._work(self._use, lambda store: store.read(older))
            except sqlite3.Error as exc:
                with suppress(sqlite3.Error):  # the writer tries it again
                    if await self._takes_over():
                        return []
                raise LogError(f"{self._path}: cannot read ({exc})") from exc
            for message in stored:
                found[message.seq] = message
        return [found[seq] for seq in seqs if seq in found]

    def stats(self) -> OutboxStats:
        """Return how the outbox fares."""
        head, sender = self._open_store.head, self.sender
        state: Literal["ok", "waiting", "salvaged"] = "salvaged" if self._salvage else "ok"
        if self._trouble:
            state = "waiting"
        return OutboxStats(
            state=state,
            detail=self._trouble or self._salvage,
            epoch=sender.epoch,
            first_seq=sender.first_seq,
            next_seq=sender.next_seq,
            backlog=sender.backlog(),
            bytes=head.bytes,
            queued=len(self._queue) + self._writing,
            messages=head.messages,
            readings=head.readings,
            evicted_messages=head.evicted_messages,
            evicted_readings=head.evicted_readings,
            refused_messages=self._refused_messages,
            refused_readings=self._refused_readings,
        )

    @property
    def _open_store(self) -> LogStore:
        assert self._store is not None, "the outbox is not open"
        return self._store

    def _close(self) -> None:
        self._open_store.close()
        # What the write-ahead file gives back now, the next start needs.
        lay_by(self._path)

    def _refuse(self, message: Message) -> None:
        self._refused_messages += 1
        self._refused_readings += message.readings

    def _wake_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake.set()

    def _wake_in(self, delay: int) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay / SECOND, self._wake_now)

    async def _work(self, function: Callable[..., ResultT], *arguments: object) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    async def _write(self) -> None:
        """Write what waits, group by group, until closed; a disk that refuses is asked again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._at_once))]
                self._writing = len(batch)
                try:
                    await self._takes_over()
                    await self._commit(batch)
                except sqlite3.Error as exc:
                    with suppress(sqlite3.Error):  # before the next group it is tried again
                        await self._takes_over()
                    self._queue.extendleft(reversed(batch))
                    self._writing = 0
                    if not self._trouble:
                        _log.error("%s: cannot write (%s); messages wait in memory", self._path, exc)
                    self._trouble = f"{self._path}: {exc}"
                    if is_full(exc):
                        # The write-ahead file, too, has only the room it has: less fits where much does not.
                        self._at_once = max(1, len(batch) // 4)
                    if self._closing and is_full(exc) and len(batch) > 1:
                        continue
                    if self._closing:
                        return
                    self._wake_in(self._limits.retry_delay)
                    break
            if self._closing:
                await self._remember_acks()
                return

    async def _remember_acks(self) -> None:
        """Write down what was acknowledged since the last message: forgotten, it might be evicted as if it were not."""
        head, sender = self._open_store.head, self.sender
        if head.acked != sender.acked.ranges() or (sender.answered and head.heard != head.epoch):
            try:
                await self._commit([])
            except sqlite3.Error as exc:
                _log.warning("%s: what was acknowledged last could not be written (%s)", self._path, exc)

    async def _commit(self, batch: list[Message]) -> None:
        sender = self.sender
        first = sender.next_seq
        acked = sender.acked.ranges()
        # What waits in memory is the newest there is: before it is refused, or forgotten by a stop, the oldest leaves
        # the log, and the ledger says so.
        waiting, limits = len(self._queue) + len(batch), self._limits
        pressed = self._closing or waiting * 2 > limits.queue_messages or self._queued_bytes * 2 > limits.queue_bytes
        heard = sender.epoch if sender.answered else ""
        changes = await self._work(
            self._use, lambda store: store.commit(batch, self._clock(), acked=acked, heard=heard, pressed=pressed)
        )
        # Meanwhile reading may have found damage: then it is another sender that has to know.
        sender = self.sender
        self._at_once = min(self._at_once * 2, COMMIT_MESSAGES)
        if self._trouble:
            _log.info("%s: written again", self._path)
            self._trouble = ""
        if batch:
            self._taken(first, batch)
        for entry in changes.evicted:
            sender.evict(entry)
            self._forget(range(entry.first, entry.last + 1))
        for low, high in changes.removed:
            sender.removed(low, high)
            self._forget(range(low, high + 1))
        async with self._written:
            self._written.notify_all()
        self.on_change()

    def _use(self, use: Callable[[LogStore], ResultT]) -> ResultT:
        """Use the log, in the worker thread; one that proves damaged is replaced before it is used again.

        Raises:
            sqlite3.Error: It could not be used (:class:`_CannotReplace`: for now there is none to use).
        """
        store = self._open_store
        try:
            return use(store)
        except (sqlite3.Error, UnicodeDecodeError) as exc:
            if is_damage(exc):
                try:
                    self._store, self._salvage = replace_damaged(store, self._path, self._limits, self._clock(), exc)
                except (sqlite3.OperationalError, OSError) as trouble:
                    # What waits goes on waiting in memory, until the disk takes a successor.
                    raise _CannotReplace(f"damaged ({exc}), and cannot be replaced ({trouble})") from trouble
            if isinstance(exc, UnicodeDecodeError):
                raise sqlite3.DatabaseError("damaged: SQLite's own message is no text") from exc
            raise

    async def _takes_over(self) -> bool:
        """Go on in the log that took a damaged one's place; ``False``: none did.

        Raises:
            sqlite3.Error: It cannot be read either; then it gets a successor itself, if it is damaged.
        """
        if self._open_store is self._sending_from:
            return False
        store, state = await self._work(self._use, lambda store: (store, store.state()))
        self._sending_from = store
        was_connected = self.sender.is_connected
        self._sender = Sender(state, self._settings)
        if was_connected:
            self._sender.connected(0)
        self._recent.clear()
        self._recent_bytes = 0
        self.on_change()
        return True

    def _taken(self, first: int, batch: list[Message]) -> None:
        """Note a batch that is durable now."""
        urgent = []
        for seq, message in enumerate(batch, first):
            self._queued_bytes -= len(message.body)
            if message.priority <= URGENT:
                urgent.append(seq)
            self._recent[seq] = StoredMessage(seq, message.kind, message.body)
            self._recent_bytes += len(message.body)
        while self._recent_bytes > RECENT_BYTES:
            self._forget([next(iter(self._recent))])
        self._writing = 0
        self.sender.appended(first, first + len(batch) - 1, urgent)

    def _forget(self, seqs: Iterable[int]) -> None:
        for seq in seqs:
            message = self._recent.pop(seq, None)
            if message is not None:
                self._recent_bytes -= len(message.body)
