"""From a message's bytes to what the batch takes: columns of readings, or one event; refusals beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant, from_datetime, to_rfc3339
from linli_core.model import quality_code
from linli_core.wire import event as events
from linli_core.wire import senml
from linli_platform.ingest.columns import ColumnDecoder
from linli_platform.ingest.layouts import Layout, Layouts, Likeness
from linli_platform.ingest.settings import Limits

_NAN = float("nan")
_FIRST = from_datetime(datetime.min.replace(tzinfo=UTC))
_LAST = from_datetime(datetime.max.replace(tzinfo=UTC))


@dataclass(slots=True)
class Pack:
    """A telemetry message.

    Attributes:
        names, times, values, quality: Its readings, parallel; NaN where the value is missing or text.
        texts: Text values by row.
        device_times: What devices' own clocks said, by row.
        refused: Records left out, and why.
        oldest: Time of the oldest record, whether it is taken or not; ``None`` if there is none.
        day: Under which day the gateway booked it, where that is not the oldest record's.
        moment: The time of all records, where they are known to share it.
        layout: The message's layout, where it is known and every record is taken.
    """

    epoch: str
    seq: int
    names: Sequence[str] = ()
    times: Sequence[int] = ()
    values: Sequence[float] = ()
    quality: Sequence[int] = ()
    texts: Mapping[int, str] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    oldest: Instant | None = None
    day: int | None = None
    moment: Instant | None = None
    layout: Layout | None = None
    device_times: Mapping[int, Instant] = field(default_factory=dict)

    def keep(self, rows: list[int]) -> None:
        """Leave only these rows, in their order."""
        self.layout = self.moment = None
        self.names = [self.names[row] for row in rows]
        self.times = [self.times[row] for row in rows]
        self.values = [self.values[row] for row in rows]
        self.quality = [self.quality[row] for row in rows]
        self.texts = {place: self.texts[row] for place, row in enumerate(rows) if row in self.texts}
        told = self.device_times
        self.device_times = {place: told[row] for place, row in enumerate(rows) if row in told}


@dataclass(frozen=True, slots=True)
class DecodedEvent:
    """An event message; ``body`` is what it tells besides (its data), as JSON."""

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
        self._layouts = Layouts()
        self._columns = ColumnDecoder()

    def telemetry(self, payload: bytes, gateway: str, now: Instant) -> Pack:
        """Return the readings of a pack; raise :class:`Refused` if nothing of it can be taken."""
        known = self._layouts.read(payload, gateway)
        pack = self._parsed(payload, gateway, now) if known is None else _alike(known)
        if len(pack.names) > self._limits.records:
            raise Refused(
                RefusalReason.TOO_MANY_RECORDS, f"{len(pack.names)} records; one pack holds {self._limits.records}"
            )
        if pack.device_times:
            # Whatever a device's clock says is kept, however wrong; what no calendar has is no time.
            pack.device_times = {row: told for row, told in pack.device_times.items() if _FIRST <= told <= _LAST}
        self._check_times(pack, now)
        return pack

    def _parsed(self, payload: bytes, gateway: str, now: Instant) -> Pack:
        """Decode what is like nothing known, and remember what it looks like."""
        columns = self._columns.decode(payload, gateway)
        if columns is None:
            return self._in_full(payload, gateway, now)
        self._layouts.learn(payload, gateway, columns)
        return Pack(
            columns.epoch,
            columns.seq,
            columns.names,
            columns.times,
            columns.values,
            columns.quality,
            columns.texts,
            oldest=min(columns.times, default=None),
            device_times=columns.device_times,
        )

    def _in_full(self, payload: bytes, gateway: str, now: Instant) -> Pack:
        """Decode what is not in the canonical form, record by record."""
        decoded = senml.decode(payload)
        if decoded.epoch is None or decoded.seq is None:
            raise Refused(RefusalReason.NO_SEQUENCE, "a pack without epoch and seq")
        records, refused = senml.resolve(decoded, now)
        names: list[str] = []
        times: list[int] = []
        values: list[float] = []
        quality: list[int] = []
        texts: dict[int, str] = {}
        device_times: dict[int, Instant] = {}
        prefix = f"{gateway}/"
        for record in records:
            if not record.name.startswith(prefix):
                raise Refused(RefusalReason.FOREIGN_GATEWAY, f"{record.name[:80]!r} on the topic of {gateway!r}")
            if isinstance(record.value, str):
                texts[len(names)] = record.value
            if record.device_time is not None:
                device_times[len(names)] = record.device_time
            number = None if isinstance(record.value, str) else record.value
            names.append(record.name[len(prefix) :])
            times.append(record.time)
            values.append(_NAN if number is None else float(number))
            quality.append(quality_code(record.quality, record.reason))
        return Pack(
            decoded.epoch,
            decoded.seq,
            names,
            times,
            values,
            quality,
            texts,
            refused=list(refused),
            oldest=senml.oldest(decoded),
            day=senml.booked_day(decoded),
            device_times=device_times,
        )

    def _check_times(self, pack: Pack, now: Instant) -> None:
        earliest, latest = self._limits.earliest, now + self._limits.ahead
        if pack.moment is not None:
            if earliest <= pack.moment <= latest:
                return
        elif not pack.times or (min(pack.times) >= earliest and max(pack.times) <= latest):
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


def _alike(found: Likeness) -> Pack:
    layout, times = found.layout, found.times
    return Pack(
        layout.epoch,
        found.seq,
        layout.names,
        [times] * len(layout.names) if isinstance(times, int) else times,
        found.values,
        layout.quality,
        layout.texts,
        oldest=times if isinstance(times, int) else min(times),
        moment=times if isinstance(times, int) else None,
        layout=layout,
        device_times=found.device_times,
    )


def _shown(time: Instant) -> str:
    try:
        return to_rfc3339(time)
    except (OverflowError, ValueError):
        return f"{time} µs"
