"""From MQTT to the store: decode, check, deduplicate, batch, commit, acknowledge."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_platform.store import EventRow, SeriesInfo


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings of one commit, in order of arrival; the arrays are of one length and nobody writes to them.

    Attributes:
        series: int32, ids.
        time: int64, observation times (µs): not sorted, not all recent.
        value: float64, in the vocabulary's unit; NaN where it is missing or text.
        quality: uint8, ``linli_core.model.quality_code``.
        texts: Text values by row.
        info: Tells which point an id is.
    """

    series: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    texts: Mapping[int, str]
    info: Callable[[int], SeriesInfo]


class Committed:
    """What one commit brought that was not there before: as columns, and, for whoever asks, as lists.

    Attributes:
        columns: The readings.
        received_at: When the platform took the batch in.
        events: New events of the same commit.
    """

    def __init__(
        self,
        series: Sequence[SeriesInfo],
        times: Sequence[Instant],
        values: Sequence[float | None],
        texts: Sequence[str | None],
        quality: Sequence[int],
        received_at: Instant,
        events: tuple[EventRow, ...] = (),
    ) -> None:
        """Take lists of one length; numbers and texts are ``None`` where there is none."""
        self.columns = Columns(
            np.array([info.id for info in series], np.int32),
            np.array(times, np.int64),
            np.array([np.nan if value is None else value for value in values], np.float64),
            np.array(quality, np.uint8),
            {row: text for row, text in enumerate(texts) if text is not None},
            {info.id: info for info in series}.__getitem__,
        )
        self.received_at = received_at
        self.events = events

    @classmethod
    def of(cls, columns: Columns, received_at: Instant, events: tuple[EventRow, ...] = ()) -> "Committed":
        """Return a commit whose readings are columns already."""
        committed = cls([], [], [], [], [], received_at, events)
        committed.columns = columns
        return committed

    @cached_property
    def series(self) -> list[SeriesInfo]:
        """The point of each reading."""
        return [self.columns.info(number) for number in self.columns.series.tolist()]

    @cached_property
    def times(self) -> list[Instant]:
        """Observation times (µs), in order of arrival."""
        times: list[Instant] = self.columns.time.tolist()
        return times

    @cached_property
    def values(self) -> list[float | None]:
        """Numbers in the vocabulary's unit; ``None`` if missing or text."""
        values: list[float | None] = self.columns.value.tolist()
        for row in np.flatnonzero(np.isnan(self.columns.value)).tolist():
            values[row] = None
        return values

    @cached_property
    def texts(self) -> list[str | None]:
        """Text values; ``None`` if missing or a number."""
        texts: list[str | None] = [None] * len(self.columns.series)
        for row, text in self.columns.texts.items():
            texts[row] = text
        return texts

    @cached_property
    def quality(self) -> list[int]:
        """Quality codes."""
        quality: list[int] = self.columns.quality.tolist()
        return quality


Listener = Callable[[Committed], None]
"""Called on the event loop after each commit; must not block and must not raise."""

__all__ = ["Columns", "Committed", "Listener"]
