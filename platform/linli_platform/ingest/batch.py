"""What waits for the next commit: readings as growing columns, and everything that must be committed with them."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from linli_core.instant import Instant
from linli_core.wire.messages import Status
from linli_platform.registry import Loss
from linli_platform.store import Batch, EventRow, Quarantined

_LARGE: Final = 200


@dataclass(slots=True)
class Pending:
    """Messages taken in and not committed yet.

    Attributes:
        received_at: When the first of them came.
        series, times, values, quality: Readings, parallel; NaN where the value is missing or text.
        texts: Text values by row number.
        seqs: By gateway and epoch, the messages whose fate this commit settles.
        touched: Gateways that are owed an ack afterwards.
        moved: Gateways whose marks may differ from the stored ones.
        held: Gateways and devices heard of for the first time.
        statuses: Newest status of each gateway, and when it came.
        losses: New lines of the ledger.
    """

    received_at: Instant
    series: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    seqs: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    held: dict[str, set[str]] = field(default_factory=dict)
    statuses: dict[str, tuple[Status, Instant]] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)

    def settle(self, gateway: str, epoch: str, seq: int) -> None:
        """Note that this commit settles a message's fate."""
        self.seqs.setdefault(gateway, {}).setdefault(epoch, []).append(seq)
        self.touched.add(gateway)
        self.moved.add(gateway)

    def weight(self) -> int:
        """Return how much waits, in readings: events and quarantined messages count for as many."""
        return len(self.series) + _LARGE * (len(self.events) + len(self.quarantined))

    def columns(self) -> Batch:
        """Return the readings as the store takes them."""
        return Batch(
            series=np.array(self.series, np.int32),
            time=np.array(self.times, np.int64),
            value=np.array(self.values, np.float64),
            quality=np.array(self.quality, np.uint8),
            received_at=self.received_at,
            texts=self.texts,
        )
