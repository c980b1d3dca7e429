"""From MQTT to the store: decode, check, deduplicate, batch, commit, acknowledge."""

from collections.abc import Callable
from dataclasses import dataclass

from linli_core.instant import Instant
from linli_platform.store import EventRow, SeriesInfo


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit brought that was not there before; the lists are parallel.

    Attributes:
        series: The point of each reading.
        times: Observation times (µs), in order of arrival: not sorted, not all recent.
        values: Numbers in the vocabulary's unit; ``None`` if missing or text.
        texts: Text values; ``None`` if missing or a number.
        quality: ``linli_core.model.quality_code``.
        received_at: When the platform took the batch in.
        events: New events of the same commit.
    """

    series: list[SeriesInfo]
    times: list[Instant]
    values: list[float | None]
    texts: list[str | None]
    quality: list[int]
    received_at: Instant
    events: tuple[EventRow, ...] = ()


Listener = Callable[[Committed], None]
"""Called on the event loop after each commit; must not block and must not raise."""

__all__ = ["Committed", "Listener"]
