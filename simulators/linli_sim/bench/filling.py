"""A store filled at once, for benches that ask: 30 days by the hour, with ``QUERY=full`` in the environment a year.

Of 5,000 series that is 3.6 million readings, and 10^8.
"""

import os
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, HOUR
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore

START: Final = 1_750_000_000_000_000 // DAY * DAY
FULL: Final = os.environ.get("QUERY") == "full"
DAYS: Final = 365 if FULL else 30
INTERVAL: Final = 365 * DAY // 20_000 if FULL else HOUR
READINGS: Final = DAYS * DAY // INTERVAL
"""Of each series."""
END: Final = START + DAYS * DAY
ROWS: Final = 1_000_000
"""Readings that are made and stored at a time."""

_SETTLED: Final = 2 * DAY


def fill(
    store: DuckDBStore,
    series: NDArray[np.int32],
    readings: Iterable[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> None:
    """Store readings and move them where they stay.

    Args:
        store: Empty.
        series: The series' numbers.
        readings: Times before :data:`END`, and the values of all series at each: a row a time.
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
    store.compact(END + _SETTLED)
    store.checkpoint()
