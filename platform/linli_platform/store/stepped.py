"""Readings of one series taken together by steps: what a store answers with whose engine cannot do it by our rules."""

from collections.abc import Callable, Mapping
from math import isnan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from linli_core.model import Quality, quality_code
from linli_platform.store import Aggregate, Row
from linli_platform.store.query import Scan

_BAD: Final = quality_code(Quality.BAD)
_WORST: Final = 255


def stepped(scan: Scan, step: int, aggregate: Aggregate, limit: int) -> list[Row]:
    """Return the first steps of a series' readings, aligned to the epoch, as :meth:`Store.read` does."""
    if not len(scan):
        return []
    begins = scan.time - scan.time % step
    starts = np.flatnonzero(np.r_[True, np.diff(begins) != 0])[: limit + 1]
    end = len(scan) if len(starts) <= limit else int(starts[limit])
    starts = starts[:limit]
    if not len(starts):
        return []
    value, quality = scan.value[:end], scan.quality[:end].astype(np.int64)
    usable = quality < _BAD
    counts = usable & ~np.isnan(value)
    values = _MADE[aggregate](value, counts, starts)
    held = np.add.reduceat(counts.astype(np.int64), starts) > 0
    count = np.add.reduceat(usable.astype(np.int64), starts)
    bad = np.diff(np.r_[starts, end]) - count
    best = np.minimum.reduceat(np.where(usable, quality, _WORST), starts)
    worst = np.maximum.reduceat(quality, starts)
    found = zip(
        begins[starts].tolist(),
        np.where(held | (aggregate is Aggregate.COUNT), values, np.nan).tolist(),
        np.where(count > 0, best, worst).tolist(),
        count.tolist(),
        bad.tolist(),
        strict=True,
    )
    return [Row(begin, None if isnan(made) else made, None, code, of, out) for begin, made, code, of, out in found]


def _sum(value: NDArray[Any], counts: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.add.reduceat(np.where(counts, value, 0.0), starts), np.float64)


def _number(_: NDArray[Any], counts: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.add.reduceat(counts.astype(np.float64), starts))


def _mean(value: NDArray[Any], counts: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(_sum(value, counts, starts) / np.maximum(_number(value, counts, starts), 1.0))


def _minimum(value: NDArray[Any], counts: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.minimum.reduceat(np.where(counts, value, np.inf), starts))


def _maximum(value: NDArray[Any], counts: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum.reduceat(np.where(counts, value, -np.inf), starts))


def _first(value: NDArray[Any], counts: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
    places = np.where(counts, np.arange(len(value)), len(value) - 1)
    return np.asarray(value[np.minimum.reduceat(places, starts)])


def _last(value: NDArray[Any], counts: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
    places = np.where(counts, np.arange(len(value)), 0)
    return np.asarray(value[np.maximum.reduceat(places, starts)])


_MADE: Final[Mapping[Aggregate, Callable[[NDArray[Any], NDArray[Any], NDArray[Any]], NDArray[Any]]]] = {
    Aggregate.MEAN: _mean,
    Aggregate.MINIMUM: _minimum,
    Aggregate.MAXIMUM: _maximum,
    Aggregate.SUM: _sum,
    Aggregate.COUNT: _number,
    Aggregate.FIRST: _first,
    Aggregate.LAST: _last,
}
