"""The second door: what comes as line protocol over HTTP goes the way of every message.

A writer keeps no log of its own, so it is kept one here: each part of a request gets the next number of the log
:data:`LOG`, and from then on is a message like a gateway's: committed with the marks, entered in the book, in the
ledger and the quarantine where something of it is refused. The writer is answered once its readings are on disk; asked
to write the same again it changes nothing.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from linli_core.errors import LinliError, RefusalReason, Refused
from linli_core.instant import Instant
from linli_core.log.account import day_of
from linli_core.log.receiver import Offer
from linli_core.wire.line_protocol import LinePoint, Precision, parse
from linli_core.wire.messages import Status
from linli_core.wire.topics import ShardSet, shard_of
from linli_platform.ingest.admission import Admission, Sender
from linli_platform.ingest.batch import Booked, Taken
from linli_platform.ingest.decode import Pack
from linli_platform.ingest.intake import Intake, add_pack
from linli_platform.ingest.line_mapping import LineMapper, Rules
from linli_platform.ingest.refusals import Refusals
from linli_platform.ingest.settings import Limits
from linli_platform.registry import Loss
from linli_platform.registry.ledger import REFUSED
from linli_platform.store import Quarantined

LOG: Final = "line-protocol"
"""The log of every writer at this door; a gateway's own logs have random names."""

PART: Final = 5_000
"""Points of one message."""

_NAMED: Final = 1_000
"""Refusals of one request that are told one by one."""


class DoorClosed(LinliError):
    """Nothing more is taken now: the store is away, or too much waits for it. To be sent again."""


class NotItsGateway(LinliError):
    """The gateway under whose id this would be kept sends its own readings over MQTT, or is another worker's."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes.

    Attributes:
        name: The token's.
        rules: How its lines are understood.
    """

    name: str
    rules: Rules


@dataclass(slots=True)
class Written:
    """What became of a request.

    Attributes:
        readings: Readings that are on disk.
        refused: What was refused, by line; the first of them.
        unnamed: Refusals beyond those.
    """

    readings: int = 0
    refused: list[tuple[int, Refused]] = field(default_factory=list)
    unnamed: int = 0

    def take(self, part: "Part", *, is_stored: bool) -> None:
        """Note what became of a part."""
        found = part.refused
        if is_stored:
            self.readings += len(part.pack.names)
        else:
            what = "the store cannot take these lines; they are set aside (linli-platform quarantine)"
            line = part.lines[0]
            found = [*found, (line, Refused(RefusalReason.NOT_STORABLE, what, where=f"line {line}"))]
        room = _NAMED - len(self.refused)
        self.refused += found[:room]
        self.unnamed += part.unnamed + max(0, len(found) - room)


@dataclass(slots=True)
class Part:
    """Some lines of a request, understood.

    Attributes:
        pack: Their readings.
        lines: Line of each reading.
        refused: What is left out, by line.
        unnamed: Bad lines that nobody named.
        payload: The lines as they came, to be set aside if the store refuses them.
        bad: Those of them that are refused, to be set aside.
    """

    pack: Pack
    lines: list[int]
    refused: list[tuple[int, Refused]]
    unnamed: int
    payload: bytes
    bad: bytes


def unpack(body: bytes, precision: Precision, writer: Writer, limits: Limits, now: Instant) -> list[Part]:
    """Return what a body comes to, in parts of :data:`PART` points; looks at nothing but its arguments."""
    parsed = parse(body, precision)
    if not parsed.points and not parsed.bad:
        return []
    mapper = LineMapper(writer.rules)
    raw = body.split(b"\n")
    head = _head(writer.name, precision, now)
    parts = []
    for start in range(0, max(1, len(parsed.points)), PART):
        points = parsed.points[start : start + PART]
        is_last = start + PART >= len(parsed.points)
        # A bad line belongs to the part in whose stretch it stands.
        first = points[0].number if start else 1
        beyond = len(raw) + 1 if is_last else parsed.points[start + PART].number
        part = _understood(points, mapper, limits, now)
        part.refused += [(line.number, line.refused) for line in parsed.bad if first <= line.number < beyond]
        part.refused.sort(key=lambda each: each[0])
        part.unnamed = parsed.unnamed if is_last else 0
        part.payload = head + b"\n".join(raw[first - 1 : beyond - 1])
        numbers = sorted({number for number, _ in part.refused})
        part.bad = head + b"\n".join(raw[number - 1] for number in numbers)
        parts.append(part)
    return parts


def _understood(points: list[LinePoint], mapper: LineMapper, limits: Limits, now: Instant) -> Part:
    mapped = mapper.map(points, now, limits.earliest, now + limits.ahead)
    pack = Pack(
        LOG,
        0,
        mapped.names,
        mapped.times,
        mapped.values,
        mapped.quality,
        mapped.texts,
        oldest=min(mapped.times, default=None),
    )
    return Part(pack, mapped.lines, mapped.refused, 0, b"", b"")


class Door:
    """Takes parts into the batch that waits for the next commit, on the event loop."""

    def __init__(self, admission: Admission, intake: Intake, refusals: Refusals, shards: ShardSet) -> None:
        self._admission = admission
        self._shards = shards
        self._intake = intake
        self._refusals = refusals
        self._numbers: dict[str, int] = {}

    def sender(self, writer: Writer) -> Sender:
        """Return the gateway under whose id a writer's readings are kept; raises as :meth:`take` does."""
        gateway = writer.rules.writes_as
        if not self._shards.holds(gateway):
            found = f"gateway {gateway} is in shard {shard_of(gateway)}, which is not of {self._shards}"
            raise NotItsGateway(f"{found}: write to the worker that has it")
        sender = self._admission.sender(gateway)
        if sender.receiver.epoch not in {"", LOG}:
            raise NotItsGateway(f"gateway {gateway} sends its own readings over MQTT; give the token another writes_as")
        return sender

    async def let_in(self, writer: Writer, devices: Sequence[str], declare: Callable[[Sequence[str]], None]) -> None:
        """Have devices of a writer declared before their first readings come, as many as there is room for.

        Held as pending they would wait for a person, and be refused where many come at once.

        Args:
            writer: Who writes.
            devices: They, each of which will have a point.
            declare: Puts devices into the registry as accepted; called in a thread, or not at all.

        Raises:
            NotItsGateway, Refused: As of :meth:`take`; nothing was declared.
        """
        sender = self.sender(writer)
        known = sender.devices - sender.pending_devices
        new = [device for device in devices if device not in known][: self._admission.room(sender)]
        if new:
            await asyncio.to_thread(declare, new)
            self._admission.declared(sender, new)

    def take(self, writer: Writer, part: Part, now: Instant) -> "asyncio.Future[bool]":
        """Take a part in; the future tells whether it was stored or, being more than the store can take, set aside.

        Raises:
            NotItsGateway: Another speaks under this id, or it is another worker's.
            Refused: Too many gateways are pending.
        """
        sender = self.sender(writer)
        seq = self._number(sender, now)
        self._admit(sender, part)
        intake, pack = self._intake, part.pack
        pending = intake.pending
        if not pending.touched:
            pending.received_at = now
        intake.seen[sender.id] = now
        pending.settle(sender.id, LOG, seq)
        count = len(part.refused) + part.unnamed
        day = day_of(now if pack.oldest is None else pack.oldest)
        pending.booked.append(Booked(sender.id, LOG, seq, day, len(pack.names), count))
        if pack.names:
            pending.messages.append(Taken(sender.id, LOG, seq, part.payload, len(pending.rows)))
            add_pack(pending, sender, pack, self._admission)
        if part.refused:
            for _, refused in part.refused:
                self._refusals.count(sender.id, refused, now)
            cause = f"{REFUSED}{part.refused[0][1].reason}"
            loss = Loss(sender.id, LOG, seq, seq, cause, pack.oldest, pack.oldest, readings=count)
            pending.losses.append(loss)
            pending.quarantined.append(Quarantined(sender.id, LOG, seq, cause, part.bad, now))
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        pending.waiters[sender.id, LOG, seq] = done
        return done

    def _number(self, sender: Sender, now: Instant) -> int:
        """Return the next number of a writer's log, which is begun if need be."""
        receiver = sender.receiver
        if receiver.epoch != LOG:
            receiver.status(Status(sender.id, "online", epoch=LOG), now)
        seq = max(receiver.known, self._numbers.get(sender.id, 0)) + 1
        self._numbers[sender.id] = seq
        offered = receiver.offer(LOG, seq)
        assert offered is Offer.NEW
        return seq

    def _admit(self, sender: Sender, part: Part) -> None:
        """Have the series of a part made where they are new; what may not have one is refused, and its line named."""
        pack = part.pack
        shut: dict[str, Refused] = {}
        for name in dict.fromkeys(pack.names):
            if name not in sender.series:
                try:
                    self._admission.series(sender, name)
                except Refused as refused:
                    shut[name] = refused
        if not shut:
            return
        kept = [row for row, name in enumerate(pack.names) if name not in shut]
        out = [(part.lines[row], shut[name]) for row, name in enumerate(pack.names) if name in shut]
        part.refused += [(line, Refused(refused.reason, str(refused), where=f"line {line}")) for line, refused in out]
        part.lines = [part.lines[row] for row in kept]
        pack.keep(kept)


_HEAD: Final = re.compile(rb"# linli door=([a-z0-9-]{1,63}) precision=([a-z]{1,2}) at=(\d{1,16})\n")


def _head(name: str, precision: Precision, now: Instant) -> bytes:
    """Return the comment that says of lines set aside who wrote them, how their times are meant, and when they came."""
    return f"# linli door={name} precision={precision} at={now}\n".encode()


@dataclass(frozen=True, slots=True)
class SetAside:
    """Lines in the quarantine, as they were sent.

    Attributes:
        writer: Name of the token.
        precision: Of their timestamps.
        at: When they came.
        lines: They themselves.
    """

    writer: str
    precision: Precision
    at: Instant
    lines: bytes


def read_aside(payload: bytes) -> SetAside | None:
    """Return what a quarantined message holds if it came through this door."""
    found = _HEAD.match(payload)
    if found is None:
        return None
    return SetAside(found[1].decode(), Precision.of(found[2].decode()), int(found[3]), payload[found.end() :])


def again(aside: SetAside, rules: Rules, limits: Limits, now: Instant) -> Pack:
    """Return the readings of lines set aside, by today's rules."""
    parsed = parse(aside.lines, aside.precision)
    mapped = LineMapper(rules).map(parsed.points, aside.at, limits.earliest, now + limits.ahead)
    refused = [line.refused for line in parsed.bad] + [refused for _, refused in mapped.refused]
    if parsed.unnamed:
        refused.append(Refused(RefusalReason.MALFORMED, f"{parsed.unnamed} more lines"))
    return Pack(LOG, 0, mapped.names, mapped.times, mapped.values, mapped.quality, mapped.texts, refused)
