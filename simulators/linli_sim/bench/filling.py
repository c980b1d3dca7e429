"""A store filled at once, for benches that ask."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, Instant
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore

_SETTLED: Final = 2 * DAY


def fill(
    store: DuckDBStore,
    series: NDArray[np.int32],
    readings: Iterable[tuple[NDArray[np.int64], NDArray[np.float64]]],
    end: Instant,
) -> None:
    """Store readings and move them where they stay.

    Args:
        store: Empty.
        series: The series' numbers.
        readings: Times, and the values of all series at each: a row a time.
        end: Before it lie all times.
    """
    for times, values in readings:
        store.append(
            Batch(
                series=np.tile(series, len(times)),
                time=np.repeat(times, len(series)),
                value=values.ravel(),
                quality=np.zeros(values.size, np.uint8),
                received_at=int(times[0]),  # none of them is late: that would be noted with each
            ),
            {},
        )
    store.compact(end + _SETTLED)
    store.checkpoint()
