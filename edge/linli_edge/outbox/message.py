"""What goes into the outbox, what bounds it, and what it says of itself."""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from linli_core.errors import LinliError
from linli_core.instant import DAY, Instant

Kind = Literal["telemetry", "event"]
KINDS: Final[tuple[Kind, ...]] = ("telemetry", "event")

URGENT: Final = 0
"""Priority of what must go at once: written to disk without waiting for company, sent before everything else."""
NORMAL: Final = 1
"""Priority of readings. Larger numbers are evicted first when the disk is full."""


class OutboxFull(LinliError):
    """The log could not write for so long that what waits in memory has reached its bound; the message is not taken.

    The outbox counts it (:attr:`OutboxStats.refused_readings`); the gateway goes on.
    """


class MessageTooLarge(LinliError):
    """A message larger than the log takes; make smaller packs."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message for the platform, not yet numbered.

    Attributes:
        kind: Which topic it goes to.
        body: The payload without epoch and seq: the log stamps them when it sends.
        priority: 0 is urgent; the larger, the sooner it is evicted when room runs out.
        observed_from: Time of the oldest reading in it.
        observed_to: Time of the newest.
        readings: How many readings it holds.
        polled, filtered, refused: Readings that came from the lines, were left out, or were not taken by the log, since
            the message before: they are booked with this one.
        own_times: Its times are not the gateway's: they stay when the gateway's are put right.
    """

    kind: Kind
    body: bytes
    priority: int = NORMAL
    observed_from: Instant = 0
    observed_to: Instant = 0
    readings: int = 0
    polled: int = 0
    filtered: int = 0
    refused: int = 0
    own_times: bool = False


class StoredMessage(msgspec.Struct, frozen=True, gc=False):
    """One message out of the log, to be stamped and sent."""

    seq: int
    kind: Kind
    body: bytes


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """Bounds of the outbox; times in microseconds.

    Attributes:
        max_bytes: Room on disk for messages, acknowledged ones included.
        max_age: How long acknowledged messages are kept while there is room; what is not acknowledged has no age.
        group_delay: How long a message waits for others to share its write to disk (what a power cut may take).
        group_messages: How many messages are written without waiting any longer.
        queue_messages: How many messages wait in memory while the disk cannot write.
        queue_bytes: How many bytes wait there.
        message_bytes: Largest message.
        retry_delay: How long to wait after the disk refused a write.
        endurance: Bytes that the card can take in its life: 10 TB is a cheap card's of 32 GB.
    """

    max_bytes: int = 1024**3
    max_age: int = 7 * DAY
    group_delay: int = 200_000
    group_messages: int = 500
    queue_messages: int = 20_000
    queue_bytes: int = 8 * 1024**2
    message_bytes: int = 128 * 1024
    retry_delay: int = 1_000_000
    endurance: int = 10_000_000_000_000


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """How the outbox fares.

    Attributes:
        state: ``ok``; ``waiting`` (the disk refuses to write, messages wait in memory); ``salvaged`` (the file was
            damaged when it was opened).
        detail: One sentence for the operator where the state is not ``ok``.
        epoch: Name of the log.
        first_seq: Oldest message on disk.
        next_seq: Number of the next durable message.
        backlog: Durable messages not acknowledged.
        bytes: Bytes of messages on disk.
        queued: Messages not durable yet.
        messages: Messages made durable since the log began (it survives restarts).
        readings: Readings in them.
        evicted_messages: Messages evicted without acknowledgement since the log began.
        evicted_readings: Readings in them, as far as known.
        refused_messages: Messages not taken since this start (:class:`OutboxFull`).
        refused_readings: Readings in them.
    """

    state: Literal["ok", "waiting", "salvaged"]
    detail: str
    epoch: str
    first_seq: int
    next_seq: int
    backlog: int
    bytes: int
    queued: int
    messages: int
    readings: int
    evicted_messages: int
    evicted_readings: int
    refused_messages: int
    refused_readings: int
