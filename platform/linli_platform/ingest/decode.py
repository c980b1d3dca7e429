"""From a message's bytes to what the batch takes: columns of readings, or one event; refusals beside them."""

from dataclasses import dataclass, field

import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant, to_rfc3339
from linli_core.model import quality_code
from linli_core.wire import event as events
from linli_core.wire import senml
from linli_platform.ingest.columns import ColumnDecoder
from linli_platform.ingest.settings import Limits

_NAN = float("nan")


@dataclass(slots=True)
class Pack:
    """A telemetry message.

    Attributes:
        names, times, values, quality: Its readings, parallel; NaN where the value is missing or text.
        texts: Text values by row.
        refused: Records left out, and why.
        oldest: Time of the oldest record, whether it is taken or not; ``None`` if there is none.
        day: Under which day the gateway booked it, where that is not the oldest record's.
    """

    epoch: str
    seq: int
    names: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    oldest: Instant | None = None
    day: int | None = None

    def keep(self, rows: list[int]) -> None:
        """Leave only these rows, in their order."""
        self.names = [self.names[row] for row in rows]
        self.times = [self.times[row] for row in rows]
        self.values = [self.values[row] for row in rows]
        self.quality = [self.quality[row] for row in rows]
        self.texts = {place: self.texts[row] for place, row in enumerate(rows) if row in self.texts}


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """An event message; ``body`` is the whole event as JSON, less its place in the gateway's log."""

    epoch: str
    seq: int
    id: str
    type: str
    subject: str
    time: Instant
    body: str


class MessageDecoder:
    """Decodes and checks what one gateway says."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._columns = ColumnDecoder()

    def telemetry(self, payload: bytes, gateway: str, now: Instant) -> Pack:
        """Return the readings of a pack; raise :class:`Refused` if nothing of it can be taken."""
        columns = self._columns.decode(payload, gateway)
        if columns is None:
            pack = self._in_full(payload, gateway, now)
        else:
            pack = Pack(
                columns.epoch,
                columns.seq,
                columns.names,
                columns.times,
                columns.values,
                columns.quality,
                columns.texts,
                oldest=min(columns.times, default=None),
            )
        if len(pack.names) > self._limits.records:
            raise Refused(
                RefusalReason.TOO_MANY_RECORDS, f"{len(pack.names)} records; one pack holds {self._limits.records}"
            )
        self._check_times(pack, now)
        return pack

    def _in_full(self, payload: bytes, gateway: str, now: Instant) -> Pack:
        """Decode what is not in the canonical form, record by record."""
        decoded = senml.decode(payload)
        if decoded.epoch is None or decoded.seq is None:
            raise Refused(RefusalReason.NO_SEQUENCE, "a pack without epoch and seq")
        records, refused = senml.resolve(decoded, now)
        pack = Pack(
            decoded.epoch,
            decoded.seq,
            refused=list(refused),
            oldest=senml.oldest(decoded),
            day=senml.booked_day(decoded),
        )
        prefix = f"{gateway}/"
        for record in records:
            if not record.name.startswith(prefix):
                raise Refused(RefusalReason.FOREIGN_GATEWAY, f"{record.name[:80]!r} on the topic of {gateway!r}")
            if isinstance(record.value, str):
                pack.texts[len(pack.names)] = record.value
            number = None if isinstance(record.value, str) else record.value
            pack.names.append(record.name[len(prefix) :])
            pack.times.append(record.time)
            pack.values.append(_NAN if number is None else float(number))
            pack.quality.append(quality_code(record.quality, record.reason))
        return pack

    def _check_times(self, pack: Pack, now: Instant) -> None:
        earliest, latest = self._limits.earliest, now + self._limits.ahead
        if not pack.times or (min(pack.times) >= earliest and max(pack.times) <= latest):
            return
        kept = []
        for row, time in enumerate(pack.times):
            if earliest <= time <= latest:
                kept.append(row)
            else:
                pack.refused.append(
                    Refused(
                        RefusalReason.TIME_OUT_OF_RANGE, f"{_shown(time)}: {pack.names[row]}", where=f"record[{row}]"
                    )
                )
        pack.keep(kept)

    def event(self, payload: bytes, gateway: str, now: Instant) -> DecodedEvent:
        """Return an event; raise :class:`Refused` if it cannot be taken."""
        event, epoch, seq = events.decode(payload)
        if event.source != f"linli/{gateway}":
            raise Refused(
                RefusalReason.FOREIGN_GATEWAY, f"an event of {event.source[:80]!r} on the topic of {gateway!r}"
            )
        if not self._limits.earliest <= event.time <= now + self._limits.ahead:
            raise Refused(RefusalReason.TIME_OUT_OF_RANGE, f"{_shown(event.time)}: event {event.id[:80]}")
        body = msgspec.json.encode(event.data).decode()
        return DecodedEvent(epoch, seq, event.id, event.type, event.subject, event.time, body)

    @staticmethod
    def sequence(payload: bytes) -> tuple[str, int] | None:
        """Return epoch and number of a message that is about to be refused, if they can be found in it."""
        found = senml.parse_sequence(payload)
        return None if found is None else (found[0], found[1])


def _shown(time: Instant) -> str:
    try:
        return to_rfc3339(time)
    except (OverflowError, ValueError):
        return f"{time} µs"
