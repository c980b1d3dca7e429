"""What waits for the next commit: readings as growing columns, and everything that must be committed with them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_core.errors import RefusalReason
from linli_core.instant import Instant
from linli_core.wire.messages import Status
from linli_platform.registry import Loss
from linli_platform.registry.ledger import REFUSED
from linli_platform.store import Batch, EventRow, Quarantined

_LARGE: Final = 200


class Taken(msgspec.Struct, frozen=True, gc=False):
    """One message in a batch, so that it can be told from its neighbours.

    Attributes:
        gateway, epoch, seq: Which message.
        payload: As it came.
        row: Its first row in the columns; the last one stands before the next message's.
        event: Its place among the events; ``None`` for readings.
    """

    gateway: str
    epoch: str
    seq: int
    payload: bytes
    row: int
    event: int | None = None


class Booked(msgspec.Struct, frozen=True, gc=False):
    """What one telemetry message adds to its gateway's book; hundreds of thousands of them are held.

    Attributes:
        gateway, epoch, seq: Which message.
        day: Of its oldest reading.
        accepted, refused: Readings.
        unreadable: 1 if nobody knows how many it held.
    """

    gateway: str
    epoch: str
    seq: int
    day: int
    accepted: int
    refused: int
    unreadable: int = 0


class Rows:
    """Readings as growing columns; runs of one time or one quality are held as one.

    Attributes:
        texts: Text values by row number.
        device_times: What devices' own clocks said, by row number.
    """

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.device_times: dict[int, Instant] = {}
        self._count = 0
        self._series: list[NDArray[np.int32]] = []
        self._values: list[float] = []
        self._times: list[int] = []
        self._time_runs: list[int] = []
        self._quality: list[int] = []
        self._quality_runs: list[int] = []

    def __len__(self) -> int:
        return self._count

    def add(
        self,
        series: NDArray[np.int32],
        times: Instant | Sequence[Instant],
        values: Sequence[float],
        quality: int | Sequence[int],
    ) -> None:
        """Append rows; times and quality may be one for all of them."""
        count = len(series)
        self._count += count
        self._series.append(series)
        self._values += values
        if isinstance(times, int):
            self._times.append(times)
            self._time_runs.append(count)
        else:
            self._times += times
            self._time_runs += [1] * count
        if isinstance(quality, int):
            self._quality.append(quality)
            self._quality_runs.append(count)
        else:
            self._quality += quality
            self._quality_runs += [1] * count

    def since(self, row: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return series and values of the rows from one on that one pack brought."""
        return self._series[-1], np.array(self._values[row:], np.float64)

    def batch(self, received_at: Instant) -> Batch:
        """Return the rows as the store takes them."""
        return Batch(
            series=np.concatenate(self._series) if self._series else np.empty(0, np.int32),
            time=np.repeat(np.array(self._times, np.int64), self._time_runs),
            value=np.array(self._values, np.float64),
            quality=np.repeat(np.array(self._quality, np.uint8), self._quality_runs),
            received_at=received_at,
            texts=self.texts,
            device_times=self.device_times,
        )


def part_of(batch: Batch, first: int, end: int) -> Rows:
    """Return some rows of a batch as rows that can grow."""
    rows = Rows()
    part = slice(first, end)
    rows.add(batch.series[part], batch.time[part].tolist(), batch.value[part].tolist(), batch.quality[part].tolist())
    rows.texts = {row - first: text for row, text in batch.texts.items() if first <= row < end}
    rows.device_times = {row - first: told for row, told in batch.device_times.items() if first <= row < end}
    return rows


Unbooked = dict[str, list[tuple[str, int, int]]]
"""By gateway, which messages it will not send: epoch, first, last."""


@dataclass(slots=True)
class Pending:
    """Messages taken in and not committed yet.

    Attributes:
        received_at: When the first of them came.
        rows: Readings; NaN where the value is missing or text.
        seqs: By gateway and epoch, the messages whose fate this commit settles.
        touched: Gateways that are owed an ack afterwards.
        moved: Gateways whose marks may differ from the stored ones.
        held: Gateways and devices heard of for the first time.
        statuses: Newest status of each gateway, and when it came.
        losses: New lines of the ledger.
        unbooked: What of those lines gateways gave up.
        messages: The messages that brought readings and events, in order.
        booked: What each telemetry message adds to its gateway's book.
        waiters: Of messages whose senders wait for an answer: told whether they were stored, or set aside.
        is_aside: It stands for a message that the store cannot take.
    """

    received_at: Instant
    rows: Rows = field(default_factory=Rows)
    seqs: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    held: dict[str, set[str]] = field(default_factory=dict)
    statuses: dict[str, tuple[Status, Instant]] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    unbooked: Unbooked = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    messages: list[Taken] = field(default_factory=list)
    booked: list[Booked] = field(default_factory=list)
    waiters: "dict[tuple[str, str, int], asyncio.Future[bool]]" = field(default_factory=dict)
    is_aside: bool = False

    def settle(self, gateway: str, epoch: str, seq: int) -> None:
        """Note that this commit settles a message's fate."""
        self.seqs.setdefault(gateway, {}).setdefault(epoch, []).append(seq)
        self.touched.add(gateway)
        self.moved.add(gateway)

    def each(self, do: Callable[[str, str, list[int]], object]) -> None:
        """Call with each gateway, epoch, and the messages of it that are settled here."""
        for gateway, epochs in self.seqs.items():
            for epoch, seqs in epochs.items():
                do(gateway, epoch, seqs)

    def answer(self) -> None:
        """Tell those who wait that all this is committed."""
        for waiter in self.waiters.values():
            if not waiter.done():  # who no longer waits has cancelled it
                waiter.set_result(not self.is_aside)

    def weight(self) -> int:
        """Return how much waits, in readings: events and quarantined messages count for as many."""
        return len(self.rows) + _LARGE * (len(self.events) + len(self.quarantined))

    def columns(self) -> Batch:
        """Return the readings as the store takes them."""
        return self.rows.batch(self.received_at)

    def apart(self) -> "tuple[Pending, list[Pending]]":
        """Return what belongs to no message that can be stored, and each such message alone, in order."""
        rest = Pending(
            self.received_at,
            touched=set(self.touched),
            moved=set(self.moved),
            held=self.held,
            statuses=self.statuses,
            losses=self.losses,
            unbooked=self.unbooked,
            quarantined=self.quarantined,
            waiters=dict(self.waiters),
        )
        books = {(booked.gateway, booked.epoch, booked.seq): booked for booked in self.booked}
        alone = []
        batch = self.columns()
        ends = [message.row for message in self.messages[1:]] + [len(batch)]
        for message, end in zip(self.messages, ends, strict=True):
            part = Pending(self.received_at)
            part.settle(message.gateway, message.epoch, message.seq)
            part.rows = part_of(batch, message.row, end)
            if message.event is not None:
                part.events.append(self.events[message.event])
            part.messages.append(message)
            if (waiter := rest.waiters.pop((message.gateway, message.epoch, message.seq), None)) is not None:
                part.waiters[message.gateway, message.epoch, message.seq] = waiter
            if (book := books.pop((message.gateway, message.epoch, message.seq), None)) is not None:
                part.booked.append(book)
            alone.append(part)
        rest.booked += books.values()
        settled = {(message.gateway, message.epoch, message.seq) for message in self.messages}
        for gateway, epochs in self.seqs.items():
            for epoch, seqs in epochs.items():
                for seq in seqs:
                    if (gateway, epoch, seq) not in settled:
                        rest.settle(gateway, epoch, seq)
        return rest, alone

    def set_aside(self) -> "Pending":
        """Return what stands for the one message in this batch if the store cannot take it: itself, whole."""
        (message,) = self.messages
        cause = f"{REFUSED}{RefusalReason.NOT_STORABLE}"
        aside = Pending(self.received_at, waiters=self.waiters, is_aside=True)
        aside.settle(message.gateway, message.epoch, message.seq)
        readings = len(self.rows) or None
        aside.booked += [
            msgspec.structs.replace(book, accepted=0, refused=book.accepted + book.refused) for book in self.booked
        ]
        aside.losses.append(Loss(message.gateway, message.epoch, message.seq, message.seq, cause, readings=readings))
        aside.quarantined.append(
            Quarantined(message.gateway, message.epoch, message.seq, cause, message.payload, self.received_at)
        )
        return aside
