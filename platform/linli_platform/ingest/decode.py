"""From a message's bytes to what the batch takes: columns of readings, or one event; refusals beside them."""

from dataclasses import dataclass, field

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant
from linli_core.wire import senml
from linli_platform.ingest.settings import Limits


@dataclass(slots=True)
class Pack:
    """A telemetry message.

    Attributes:
        names, times, values, quality: Its readings, parallel; NaN where the value is missing or text.
        texts: Text values by row.
        refused: Records left out, and why.
    """

    epoch: str
    seq: int
    names: list[str]
    times: list[int]
    values: list[float]
    quality: list[int]
    texts: dict[int, str]
    refused: list[Refused] = field(default_factory=list)

    def keep(self, rows: list[int]) -> None:
        """Leave only these rows, in their order."""
        self.names = [self.names[row] for row in rows]
        self.times = [self.times[row] for row in rows]
        self.values = [self.values[row] for row in rows]
        self.quality = [self.quality[row] for row in rows]
        self.texts = {place: self.texts[row] for place, row in enumerate(rows) if row in self.texts}


def telemetry(payload: bytes, gateway: str, now: Instant, limits: Limits) -> Pack:
    """Return the readings of a pack; raise :class:`Refused` if nothing of it can be taken."""
    columns = senml.decode_columns(payload, gateway)
    if columns is None:
        raise Refused(RefusalReason.MALFORMED, "shim")
    pack = Pack(
        columns.epoch, columns.seq, columns.names, columns.times, columns.values, columns.quality, columns.texts
    )
    _check_times(pack, now, limits)
    return pack


def _check_times(pack: Pack, now: Instant, limits: Limits) -> None:
    latest = now + limits.ahead
    if not pack.times or (min(pack.times) >= limits.earliest and max(pack.times) <= latest):
        return
    kept = []
    for row, time in enumerate(pack.times):
        if limits.earliest <= time <= latest:
            kept.append(row)
        else:
            pack.refused.append(Refused(RefusalReason.TIME_OUT_OF_RANGE, f"{time}", where=f"record[{row}]"))
    pack.keep(kept)


def sequence(payload: bytes) -> tuple[str, int] | None:
    """Return epoch and number of a message that is about to be refused, if they can be found in it."""
    return senml.parse_sequence(payload)
