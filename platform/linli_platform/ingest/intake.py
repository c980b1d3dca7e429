"""What happens to a message between the broker and the next commit; runs on the event loop and never waits."""

from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant
from linli_core.log.account import day_of
from linli_core.log.receiver import Offer
from linli_core.wire.messages import decode_status
from linli_core.wire.topics import Address, Channel, parse_topic
from linli_platform.clock import Clock
from linli_platform.ingest.admission import Admission, Sender
from linli_platform.ingest.batch import Booked, Pending, Taken, Unbooked
from linli_platform.ingest.decode import DecodedEvent, MessageDecoder, Pack
from linli_platform.ingest.mqtt import Publish
from linli_platform.ingest.refusals import NOBODY, Refusals
from linli_platform.ingest.settings import Limits
from linli_platform.metrics import Metrics
from linli_platform.registry import Loss
from linli_platform.registry.ledger import REFUSED
from linli_platform.stages import ADMIT, DECODE
from linli_platform.store import EventRow, Quarantined

_CACHED_TOPICS: Final = 50_000
_TOPIC_SHOWN: Final = 200
_NAME_LENGTH: Final = 64


class Intake:
    """Decodes, checks and deduplicates messages into the :class:`Pending` batch.

    Attributes:
        pending: What waits for the next commit.
        seen: When each gateway was last heard of, since the last look.
    """

    def __init__(
        self, admission: Admission, refusals: Refusals, metrics: Metrics, limits: Limits, clock: Clock
    ) -> None:
        self.pending = Pending(clock())
        self.seen: dict[str, Instant] = {}
        self._admission = admission
        self._refusals = refusals
        self._metrics = metrics
        self._limits = limits
        self._decoder = MessageDecoder(limits)
        self._clock = clock
        self._under_way: Unbooked = {}
        self._addresses: dict[bytes, Address] = {}
        self._received = dict.fromkeys(Channel, 0)
        self._doubled = metrics.duplicates.labels(stage="message")
        self._decoding = metrics.stages.stage(DECODE)
        self._admitting = metrics.stages.stage(ADMIT)

    def take_pending(self) -> Pending:
        """Return what waits, and begin anew."""
        self.publish_counts()
        taken = self.pending
        taken.held = self._admission.take_held()
        self.pending = Pending(self._clock())
        self._under_way = taken.unbooked
        return taken

    def unbooked(self, gateway: str) -> list[tuple[str, int, int]]:
        """Return what a gateway gave up and the ledger does not hold yet: the commit under way books it, or the next.

        Until then it may not be acknowledged: the gateway would forget it.
        """
        return [*self._under_way.get(gateway, ()), *self.pending.unbooked.get(gateway, ())]

    def booked(self, pending: Pending) -> None:
        """Note that a commit is done."""
        if pending.unbooked:
            self._under_way = {}

    def publish_counts(self) -> None:
        """Bring the messages counted into the metrics: too dear for each single one."""
        for channel, count in self._received.items():
            if count:
                self._metrics.messages.labels(channel=channel.value).inc(count)
                self._received[channel] = 0

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing waits for a commit."""
        return not self.pending.touched

    def take(self, message: Publish) -> None:
        """Take a message in; whatever is wrong with it is counted here and raises nothing."""
        now = self._clock()
        try:
            address = self._address(message.topic)
        except Refused as refused:
            self._refusals.count(self._named_in(message.topic), refused, now)
            return
        gateway, channel = address.gateway, address.channel
        self._received[channel] += 1
        if channel not in _TAKEN:
            return
        if not self.pending.touched:
            self.pending.received_at = now
        try:
            sender = self._admission.sender(gateway)
            if channel is Channel.STATUS:
                self._status(sender, message, now)
                return
            self.seen[gateway] = now
            if channel is Channel.TELEMETRY:
                self._telemetry(sender, message, now)
            else:
                self._event(sender, message, now)
        except Refused as refused:
            self._refusals.count(gateway, refused, now)

    def _address(self, topic: bytes) -> Address:
        known = self._addresses.get(topic)
        if known is None:
            try:
                text = topic.decode()
            except UnicodeDecodeError as exc:
                raise Refused(RefusalReason.UNKNOWN_TOPIC, f"{topic[:_TOPIC_SHOWN]!r} is no UTF-8") from exc
            known = parse_topic(text)
            if len(self._addresses) >= _CACHED_TOPICS:
                self._addresses.clear()
            self._addresses[topic] = known
        return known

    def _named_in(self, topic: bytes) -> str:
        """Return the gateway that a topic which is none of ours names, if it is a known one: its page shows it."""
        parts = topic[:_TOPIC_SHOWN].decode(errors="replace").split("/")
        return parts[3] if len(parts) > 4 and self._admission.knows(parts[3]) else NOBODY

    def _check_size(self, message: Publish) -> None:
        if message.size > self._limits.payload_bytes:
            raise Refused(
                RefusalReason.TOO_LARGE, f"{message.size} bytes; a message holds at most {self._limits.payload_bytes}"
            )

    def _is_new(self, sender: Sender, epoch: str, seq: int) -> bool:
        offer = sender.receiver.offer(epoch, seq)
        if offer is Offer.NEW:
            return True
        if offer is Offer.DUPLICATE:
            self._doubled.inc()
            self.pending.touched.add(sender.id)  # it has not heard our ack, or not understood it: say it again
        else:
            self._metrics.deferred.inc()
        return False

    def _telemetry(self, sender: Sender, message: Publish, now: Instant) -> None:
        begun = perf_counter()
        try:
            self._check_size(message)
            pack = self._decoder.telemetry(message.payload, sender.id, now)
        except Refused as refused:
            self._decoding.count(0, perf_counter() - begun)
            self._poisoned(sender, message, refused, now, readings=True)
            raise
        decoded = perf_counter()
        self._decoding.count(len(pack.names), decoded - begun)
        if self._is_new(sender, pack.epoch, pack.seq):
            self._admit(sender, pack, message, now)
            self._admitting.count(len(pack.names), perf_counter() - decoded)

    def _admit(self, sender: Sender, pack: Pack, message: Publish, now: Instant) -> None:
        pending = self.pending
        pending.settle(sender.id, pack.epoch, pack.seq)
        if pack.names:
            pending.messages.append(Taken(sender.id, pack.epoch, pack.seq, message.payload, len(pending.rows)))
            add_pack(pending, sender, pack, self._admission)
        day = pack.day if pack.day is not None else day_of(now if pack.oldest is None else pack.oldest)
        pending.booked.append(Booked(sender.id, pack.epoch, pack.seq, day, len(pack.names), len(pack.refused)))
        if pack.refused:
            for reason in pack.refused:
                self._refusals.count(sender.id, reason, now)
            cause = f"{REFUSED}{pack.refused[0].reason}"
            loss = Loss(
                sender.id,
                pack.epoch,
                pack.seq,
                pack.seq,
                cause,
                observed_from=pack.oldest,
                observed_to=pack.oldest,
                readings=len(pack.refused),
            )
            self._book_refused(loss, message, now)

    def _poisoned(
        self, sender: Sender, message: Publish, refused: Refused, now: Instant, *, readings: bool = False
    ) -> None:
        """Settle a message that can never be taken, if it says which one it is: else it would come for ever."""
        sequence = self._decoder.sequence(message.payload)
        if sequence is None:
            return
        epoch, seq = sequence
        if self._is_new(sender, epoch, seq):
            self.pending.settle(sender.id, epoch, seq)
            if readings:
                self.pending.booked.append(Booked(sender.id, epoch, seq, day_of(now), 0, 0, unreadable=1))
            self._book_refused(Loss(sender.id, epoch, seq, seq, f"{REFUSED}{refused.reason}"), message, now)

    def _book_refused(self, loss: Loss, message: Publish, now: Instant) -> None:
        self.pending.losses.append(loss)
        self.pending.quarantined.append(
            Quarantined(loss.gateway, loss.epoch, loss.first, loss.cause, message.payload, now)
        )

    def _event(self, sender: Sender, message: Publish, now: Instant) -> None:
        try:
            self._check_size(message)
            event = self._decoder.event(message.payload, sender.id, now)
        except Refused as refused:
            self._poisoned(sender, message, refused, now)
            raise
        if not self._is_new(sender, event.epoch, event.seq):
            return
        pending = self.pending
        pending.settle(sender.id, event.epoch, event.seq)
        place = len(pending.events)
        pending.messages.append(Taken(sender.id, event.epoch, event.seq, message.payload, len(pending.rows), place))
        pending.events.append(event_row(sender.id, event, now))

    def _status(self, sender: Sender, message: Publish, now: Instant) -> None:
        if not message.size:
            return  # somebody cleared the retained status
        self._check_size(message)
        status = decode_status(message.payload)
        if status.gateway != sender.id:
            raise Refused(
                RefusalReason.FOREIGN_GATEWAY, f"a status of {status.gateway[:80]!r} on the topic of {sender.id!r}"
            )
        if max(len(status.epoch), len(status.boot_id)) > _NAME_LENGTH:
            raise Refused(RefusalReason.MALFORMED, f"status: epoch or boot_id longer than {_NAME_LENGTH}")
        for entry in sender.receiver.status(status, now):
            self.pending.unbooked.setdefault(sender.id, []).append((entry.epoch, entry.first, entry.last))
            self.pending.losses.append(
                Loss(
                    gateway=sender.id,
                    epoch=entry.epoch,
                    first=entry.first,
                    last=entry.last,
                    cause=entry.cause,
                    observed_from=entry.observed_from,
                    observed_to=entry.observed_to,
                    readings=entry.readings,
                    booked_at=entry.booked_at,
                )
            )
        is_news = sender.is_news(status)
        if status.account is not None:
            sender.book.said(status.account, is_news=is_news)
        if is_news:
            # One that the broker had kept was said earlier, and does not mean that the gateway is there now.
            moment = status.sent_at if message.retain and status.sent_at is not None else now
            self.pending.statuses[sender.id] = (status, min(moment, now))
            self._metrics.lines.heard(status)
        if not message.retain and status.state != "lost":  # lost is the broker's word, not the gateway's
            self.seen[sender.id] = now
        # Acknowledged whatever it says: a gateway that has just started sends nothing before the ack to its status.
        self.pending.moved.add(sender.id)
        self.pending.touched.add(sender.id)


def add_pack(pending: Pending, sender: Sender, pack: Pack, admission: Admission) -> None:
    """Append a pack's readings to a batch; records whose series may not be made leave the pack, as refused."""
    series = _series(sender, pack, admission)  # first: it may take records out of the pack
    row = len(pending.rows)
    layout = pack.layout
    pending.rows.add(
        series,
        pack.times if pack.moment is None else pack.moment,
        pack.values,
        0 if layout is not None and layout.is_good else pack.quality,
    )
    for index, text in pack.texts.items():
        pending.rows.texts[row + index] = text
    for index, told in pack.device_times.items():
        pending.rows.device_times[row + index] = told


def _series(sender: Sender, pack: Pack, admission: Admission) -> NDArray[np.int32]:
    layout = pack.layout
    if layout is not None and layout.series is not None:
        return layout.series
    known = sender.series
    try:
        found = np.array([known[name] for name in pack.names], np.int32)
    except KeyError:
        return _meet(sender, pack, admission)
    if layout is not None:
        layout.series = found
    return found


def _meet(sender: Sender, pack: Pack, admission: Admission) -> NDArray[np.int32]:
    """Find each record's series where some are new."""
    ids: list[int | None] = []
    for name in pack.names:
        try:
            ids.append(admission.series(sender, name))
        except Refused as refused:
            pack.refused.append(refused)
            ids.append(None)
    if None in ids:
        pack.keep([number for number, found in enumerate(ids) if found is not None])
    return np.array([found for found in ids if found is not None], np.int32)


def event_row(gateway: str, event: DecodedEvent, now: Instant) -> EventRow:
    """Return an event as the store takes it."""
    return EventRow(
        gateway=gateway,
        id=event.id,
        time=event.time,
        type=event.type,
        subject=event.subject,
        body=event.body,
        received_at=now,
    )


_TAKEN: Final = frozenset({Channel.TELEMETRY, Channel.EVENT, Channel.STATUS})
