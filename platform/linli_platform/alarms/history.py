"""What is stored, in order of time and a part at a time, as the engine takes it."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from linli_core.instant import DAY, HOUR, SECOND, Instant
from linli_platform.ingest import Columns
from linli_platform.store import SeriesInfo, Store
from linli_platform.store.query import Scan, TooManyReadings

AT_ONCE: Final = 2_000_000
"""Readings that are held at one time."""


def chunks(
    store: Store, watched: Mapping[int, SeriesInfo], first: Instant, end: Instant
) -> Iterator[tuple[Columns, Instant, Instant]]:
    """Yield what was observed in order of time, and from when to when; chunks without readings too."""
    series = sorted(watched)
    at, span = first, HOUR
    while at < end:
        until = min(at + span, end)
        try:
            scan = store.scan(series, at, until, limit=AT_ONCE)
        except TooManyReadings:
            if span <= SECOND:
                raise
            span = max(SECOND, span // 4)
            continue
        yield _by_time(scan, watched), at, until
        at = until
        if len(scan) < AT_ONCE // 4:
            span = min(2 * span, 7 * DAY)


def _by_time(scan: Scan, watched: Mapping[int, SeriesInfo]) -> Columns:
    order = np.argsort(scan.time, kind="stable")
    texts: dict[int, str] = {}
    if scan.texts:
        places = np.empty(len(order), np.intp)
        places[order] = np.arange(len(order))
        texts = {int(places[row]): text for row, text in scan.texts.items()}
    return Columns(
        scan.series[order],
        scan.time[order],
        scan.value[order],
        scan.quality[order],
        dict(sorted(texts.items())),
        watched.__getitem__,
    )
