"""What is known of each series without asking the disk: its newest reading, and one stretch that is surely empty.

Theory of operation. A reading later than its series' newest is surely new. After an outage live readings overtake the
backlog: the stretch between the newest reading before the outage and the first one after it is surely empty, so the
backlog, which comes in order, needs no look at the disk either. One such stretch is kept for each series, the widest;
what lies outside it is looked up. Both are derived: after a restart the stretches are gone and nothing is wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_platform.store import Batch, LatestRow, SeriesInfo

_Told = TypeVar("_Told", str, Instant)

NEVER: Final = -(2**61)
"""Before any instant; two of them do not overflow int64."""


class Heads:
    """Columns indexed by series id."""

    def __init__(self) -> None:
        self.time = np.full(64, NEVER, np.int64)
        self.value = np.full(64, np.nan, np.float64)
        self.quality = np.zeros(64, np.uint8)
        self.received = np.full(64, NEVER, np.int64)
        self.texts: dict[int, str] = {}
        self.device_times: dict[int, Instant] = {}
        self._empty_from = np.full(64, NEVER, np.int64)
        self._empty_to = np.full(64, NEVER, np.int64)

    def latest(self, known: Sequence[SeriesInfo | None], series: Iterable[int] | None) -> list[LatestRow]:
        """Return the newest reading of the given series, or of all.

        Args:
            known: What is known of each series, by id.
            series: Which, ``None`` for all.
        """
        wanted = range(1, len(known)) if series is None else [one for one in series if 0 < one < len(known)]
        rows = np.fromiter(wanted, np.int64)
        rows = rows[self.time[rows] != NEVER]
        columns = [column[rows].tolist() for column in (self.time, self.value, self.quality, self.received)]
        return [
            LatestRow(
                info,
                time,
                None if isnan(value) else value,
                self.texts.get(number),
                quality,
                None if received == NEVER else received,
                self.device_times.get(number),
            )
            for number, time, value, quality, received in zip(rows.tolist(), *columns, strict=True)
            if (info := known[number]) is not None
        ]

    def reserve(self, series: int) -> None:
        """Make room for a series id."""
        size = len(self.time)
        if series < size:
            return
        grown = max(series + 1, 2 * size)
        for name, fill in (
            ("time", NEVER),
            ("value", np.nan),
            ("quality", 0),
            ("received", NEVER),
            ("_empty_from", NEVER),
            ("_empty_to", NEVER),
        ):
            column = getattr(self, name)
            wider = np.full(grown, fill, column.dtype)
            wider[:size] = column
            setattr(self, name, wider)

    def recover(
        self,
        series: int,
        time: Instant,
        value: float | None,
        text: str | None,
        quality: int,
        told: Instant | None = None,
    ) -> None:
        """Set a series' newest reading as found in the store."""
        self.reserve(series)
        self.time[series] = time
        self.value[series] = np.nan if value is None else value
        self.quality[series] = quality
        if text is not None:
            self.texts[series] = text
        if told is not None:
            self.device_times[series] = told

    def forget(self, series: int) -> None:
        """Take note that nothing is known of a series any more: its newest reading is to be recovered."""
        self.time[series] = self._empty_from[series] = self._empty_to[series] = self.received[series] = NEVER
        self.value[series] = np.nan
        self.texts.pop(series, None)
        self.device_times.pop(series, None)

    def surely_new(self, series: NDArray[np.int32], time: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell for each row whether the store surely holds no reading of that identity."""
        fresh = time > self.time[series]
        if fresh.all():
            return fresh
        return fresh | ((time > self._empty_from[series]) & (time < self._empty_to[series]))

    def take(self, batch: Batch, rows: NDArray[np.int64]) -> None:
        """Take note of committed rows, sorted by series and time."""
        if not len(rows):
            return
        series, time = batch.series[rows], batch.time[rows]
        before = self.time[series]
        if not (time > before).all():
            self._narrow(series, time, before)
            newest = time >= before  # equal: the newest reading was replaced by a better one
            rows, series, time, before = rows[newest], series[newest], time[newest], before[newest]
            if not len(rows):
                return
        border = series[1:] != series[:-1]
        first = np.concatenate(([True], border))
        last = np.concatenate((border, [True]))
        self._widen(series[first], before[first], time[first])
        heads, tips = series[last], rows[last]
        self.time[heads] = time[last]
        self.value[heads] = batch.value[tips]
        self.quality[heads] = batch.quality[tips]
        self.received[heads] = batch.received_at
        if self.texts or batch.texts:
            _carry(self.texts, batch.texts, heads, tips)
        if self.device_times or batch.device_times:
            _carry(self.device_times, batch.device_times, heads, tips)

    def fill(self, batch: Batch, rows: NDArray[np.int64]) -> None:
        """Take note of device times of readings that were known without one."""
        newest = batch.time[rows] == self.time[batch.series[rows]]
        for row in rows[newest].tolist():
            self.device_times.setdefault(int(batch.series[row]), batch.device_times[row])

    def _narrow(self, series: NDArray[np.int32], time: NDArray[np.int64], before: NDArray[np.int64]) -> None:
        """Leave of each empty stretch what lies above the rows that fell into it."""
        inside = (time < before) & (time > self._empty_from[series]) & (time < self._empty_to[series])
        # Rows are sorted: of several in one series the last, the greatest, is written last and stays.
        self._empty_from[series[inside]] = time[inside]

    def _widen(self, series: NDArray[np.int32], before: NDArray[np.int64], time: NDArray[np.int64]) -> None:
        wider = (time - before) >= (self._empty_to[series] - self._empty_from[series])
        self._empty_from[series[wider]] = before[wider]
        self._empty_to[series[wider]] = time[wider]


def _carry(
    held: dict[int, _Told], told: Mapping[int, _Told], heads: NDArray[np.int32], tips: NDArray[np.int64]
) -> None:
    """Note of the newest readings what most have none of."""
    for head in held.keys() & heads.tolist():
        del held[head]
    chosen = np.isin(tips, np.fromiter(told, np.int64, len(told)))
    for head, tip in zip(heads[chosen].tolist(), tips[chosen].tolist(), strict=True):
        held[head] = told[tip]
