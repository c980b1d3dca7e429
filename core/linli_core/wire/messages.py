"""The small JSON messages of the log protocol: ``status`` (gateway → platform) and ``ack`` (platform → gateway)."""

from typing import Final, Literal

import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant

SeqRange = tuple[int, int]
"""First and last sequence number, both included."""


class Evicted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A range of messages that left the gateway's log without the platform's acknowledgement.

    Attributes:
        first, last: Sequence numbers, both included, of ``epoch``.
        epoch: The log they were in; the current one if empty.
        cause: ``space``, ``age``, ``corruption``, ``retention`` (acknowledged once, needed again after a restore)…
        observed_from, observed_to: The readings' times, as far as known.
        readings: How many readings they held, as far as known.
    """

    first: int
    last: int
    cause: str
    epoch: str = ""
    observed_from: Instant | None = None
    observed_to: Instant | None = None
    readings: int | None = None


class Carried(msgspec.Struct, frozen=True):
    """Messages that live on in a new epoch under their old numbers.

    ``(epoch, n)`` and ``(the status's epoch, n)`` are the same message for every ``n`` up to ``last``; above it the
    numbers of the two logs have nothing to do with each other.
    """

    epoch: str
    last: int


class ClockState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the gateway's clock can be trusted.

    Attributes:
        state: ``trusted`` (NTP, RTC or the platform's time) or ``doubtful``.
        source: ``ntp``, ``rtc``, ``platform``, ``none``: what the time was taken from last.
        since: Since when the state is what it is, by the gateway's own clock.
    """

    state: Literal["trusted", "doubtful"] = "doubtful"
    source: str = "none"
    since: Instant | None = None


class Account(msgspec.Struct, frozen=True):
    """A gateway's book of its readings (:mod:`linli_core.log.account`).

    Attributes:
        through: The last message that is in it.
        days: By day, since 1970: readings polled, filtered, refused by the log and logged, and messages.
        unbooked: Messages up to there of which the book says nothing: damage took what it said of them.
    """

    through: int
    days: dict[int, tuple[int, int, int, int, int]]
    unbooked: int = 0


class DiskState(msgspec.Struct, frozen=True):
    """What the gateway writes to its card.

    Attributes:
        bytes_per_day: At the rate of the last day, or since its start.
        life_days: How long the card lasts at that rate, a century at most.
    """

    bytes_per_day: int
    life_days: int


MOST_UNITS: Final = 32
"""Devices of one link that a status lists: those in trouble first."""


class UnitState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one device on a link did with the requests to it since the gateway's start.

    Attributes:
        device: Its id.
        share: Share of the line it takes, 0 to 1.
        median: Seconds from a request to its answer, the median of the latest.
        requests: Requests sent, repetitions included. Each ends as one of ``answers``, ``timeouts``, ``checksum`` or
            ``malformed``.
        answers: Answers, those ``refused`` included.
        refused: Answers by which the device said no.
        timeouts: Requests that nothing usable answered.
        checksum: Answers with a wrong checksum.
        malformed: Answers that the protocol does not allow.
        late: Answers, or pieces of them, that came when nobody waited any more.
        foreign: Frames of another device, or to another request, while this one was asked.
        noise: Runs of bytes that belong to no frame, while this one was asked.
    """

    device: str
    share: float | None = None
    median: float | None = None
    requests: int = 0
    answers: int = 0
    refused: int = 0
    timeouts: int = 0
    checksum: int = 0
    malformed: int = 0
    late: int = 0
    foreign: int = 0
    noise: int = 0


class LinkState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one link fares: devices answering, the share of the line in use, polls late against the plan.

    Attributes:
        id: The link.
        driver: Its driver.
        state: ``degraded`` while some device is silent, fruitless or left out.
        devices: How many there are.
        silent: Those that do not answer.
        use: Share of the line in use, measured.
        stretched: By how much the most stretched interval is longer than planned; none where the plan fits.
        error: Why the line is down, or devices are left out.
        units: Its devices one by one, :data:`MOST_UNITS` at most: those in trouble before the others.
        unlisted: How many devices are not among ``units``.
        fruitless: Those that answer and give not one value: they refuse everything, or say that all has failed.
        left_out: Those that the gateway's configuration says wrongly, so that they are not read; ``error`` says why.
    """

    id: str
    driver: str = ""
    state: Literal["up", "degraded", "down"] = "up"
    devices: int = 0
    silent: tuple[str, ...] = ()
    use: float | None = None
    stretched: float | None = None
    error: str = ""
    units: tuple[UnitState, ...] = ()
    unlisted: int = 0
    fruitless: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """``status``: who the gateway is, what its log holds, how it fares. Retained; the last will has the same shape.

    Attributes:
        gateway: The sender's id, which must be the topic's.
        state: ``online``, ``offline`` (said by the gateway) or ``lost`` (said by the broker: last will).
        epoch: Name of the log since the gateway's last start; random, so that no number is ever given twice.
        first_seq: Oldest message still in the log.
        next_seq: The next message's number: the log holds ``first_seq … next_seq - 1`` less what is evicted.
        boot_id: Random name of the gateway's running process; the platform's ``ack`` repeats it.
        number: Counts the statuses of one ``boot_id``: a late or doubled one is known by it.
        carried: Epochs that this one goes on from, oldest first.
        evicted: What the platform will never get, until its ``ack`` covers the range.
        counters: Running totals since the log began: polled, refused, logged, sent…
        disk: What it writes to its card; ``None`` while that is not known.
        account: Its book of readings; ``None`` from a gateway that keeps none.
    """

    gateway: str
    state: Literal["online", "offline", "lost"]
    epoch: str = ""
    first_seq: int = 1
    next_seq: int = 1
    version: str = ""
    boot_id: str = ""
    number: int = 0
    carried: tuple[Carried, ...] = ()
    backlog: int = 0
    clock: ClockState = ClockState()
    evicted: tuple[Evicted, ...] = ()
    counters: dict[str, int] = {}
    links: tuple[LinkState, ...] = ()
    sent_at: Instant | None = None
    disk: DiskState | None = None
    account: Account | None = None


class Ack(msgspec.Struct, frozen=True):
    """``ack``: everything of ``epoch`` up to ``seq`` is committed, and the listed ranges above it. Retained.

    ``boot_id`` repeats the latest status's: which start of the gateway it answers. ``window`` is how many messages of
    its backlog the gateway may have under way at present: 0 stops the backlog and slows the rest, ``None`` leaves it to
    the gateway. It holds for a minute, so that a platform that falls silent stops nobody for good.

    ``number`` repeats the number of the latest status of ``boot_id``, and ``sent_at`` is the platform's time when this
    was said: from both a gateway without a clock learns what time it is, to within the time between the two.
    """

    epoch: str
    seq: int
    ranges: tuple[SeqRange, ...] = ()
    boot_id: str = ""
    window: int | None = None
    number: int | None = None
    sent_at: Instant | None = None


_encoder = msgspec.json.Encoder()
_status_decoder = msgspec.json.Decoder(Status)
_ack_decoder = msgspec.json.Decoder(Ack)


def encode_message(message: Status | Ack) -> bytes:
    """Return a message as JSON."""
    return _encoder.encode(message)


def decode_status(payload: bytes) -> Status:
    """Return a ``status``; raise :class:`Refused` if it is malformed."""
    try:
        return _status_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise Refused(RefusalReason.MALFORMED, f"status: {exc}") from exc


def decode_ack(payload: bytes) -> Ack:
    """Return an ``ack``; raise :class:`Refused` if it is malformed."""
    try:
        return _ack_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise Refused(RefusalReason.MALFORMED, f"ack: {exc}") from exc
