"""Many series asked at once: as readings (:class:`Scan`) or taken together by windows (:class:`Steps`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isnan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_platform.store import StoreError

MOST_STEPS: Final = 4_000_000
"""Windows of groups in one answer: they are brought to memory that no engine's limit counts."""


class TooManyReadings(StoreError):
    """An answer would bring more readings, or take more memory, than it may; nothing is answered."""


def refuse_more(windows: int, most: int) -> None:
    """Raise :class:`TooManyReadings` if an answer has more windows of groups than it may."""
    if windows > most:
        raise TooManyReadings(f"more than {most} windows: ask for a shorter time, longer windows or fewer series")


class Measure(StrEnum):
    """What of the usable numbers of a window is wanted; the mean is the sum by the count."""

    COUNT = "count"
    SUM = "sum"
    MINIMUM = "min"
    MAXIMUM = "max"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Scan:
    """Readings of several series, as columns of one length: by series in the order asked, then by time.

    Attributes:
        series: int32.
        time: int64, µs.
        value: float64 of usable and BAD readings alike; NaN where there is no number.
        quality: uint8, ``quality_code``.
        texts: Text values by row.
    """

    series: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    texts: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.series)

    def rows(self) -> Iterator[tuple[int, Instant, float | None, int]]:
        """Yield series, time, value and quality, row by row."""
        columns = (self.series.tolist(), self.time.tolist(), self.value.tolist(), self.quality.tolist())
        for series, time, value, quality in zip(*columns, strict=True):
            yield series, time, None if isnan(value) else value, quality


@dataclass(frozen=True, slots=True)
class Steps:
    """What the usable numbers of each group come to in each window that holds any, by group, then by window.

    Attributes:
        group: int32, as asked.
        window: int32: 0 lies between the first two edges.
        measures: float64 for each that was asked; the count is never 0.
        rollup: Length in µs of the rollup's windows that this was put together from, as far as it was; 0 if it is from
            readings alone, a day for days of the zone.
    """

    group: NDArray[np.int32]
    window: NDArray[np.int32]
    measures: Mapping[Measure, NDArray[np.float64]]
    rollup: int = 0


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows that follow each other.

    Attributes:
        edges: int64, µs, ascending: where each begins, and where the last ends. A day of 23 hours is shorter.
    """

    edges: NDArray[np.int64]

    def __post_init__(self) -> None:
        if len(self.edges) < 2 or not (np.diff(self.edges) > 0).all():
            raise ValueError("windows need two edges and more, in ascending order")

    @property
    def step(self) -> int:
        """Return the length of all of them, of which the first and last may be cut short; 0 if they differ."""
        lengths = np.diff(self.edges)
        longest = int(lengths.max())
        return longest if (lengths[1:-1] == longest).all() else 0

    @property
    def origin(self) -> int:
        """Return where the first window would begin if it were not cut short; only where there is a step."""
        return int(self.edges[1]) - self.step if len(self.edges) > 2 else int(self.edges[0])


def steps_of(scan: Scan, groups: Mapping[int, int], windows: Windows, wanted: frozenset[Measure], bad: int) -> Steps:
    """Return the steps of readings at hand: what a store that cannot take together itself answers with.

    Args:
        scan: Readings of all series of ``groups``.
        groups: Group by series.
        windows: Windows; readings outside of them do not count.
        wanted: What is asked for.
        bad: Quality code from which on a reading is unusable.
    """
    usable = ~np.isnan(scan.value) & (scan.quality < bad)
    group = _group_of(scan.series[usable], groups)
    return taken_together(group, scan.time[usable], scan.value[usable], windows.edges, wanted)


def taken_together(
    group: NDArray[np.int32],
    times: NDArray[np.int64],
    values: NDArray[Any],
    edges: NDArray[np.int64],
    wanted: frozenset[Measure],
) -> Steps:
    """Return what numbers come to by groups and windows.

    Args:
        group: Of each number.
        times: Of each number; of one group those of one instant are taken in the order they come.
        values: The numbers.
        edges: Where each window begins, and where the last one ends; numbers outside of them do not count.
        wanted: What is asked for.
    """
    window = np.searchsorted(edges, times, "right") - 1
    within = (window >= 0) & (window < len(edges) - 1)
    if not within.all():
        group, times, values, window = group[within], times[within], values[within], window[within]
    if not len(times):
        nothing = np.empty(0, np.int32)
        return Steps(nothing, nothing, {measure: np.empty(0, np.float64) for measure in wanted})
    order = np.lexsort((times, group))
    values, window, group = values[order], window[order], group[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(group) != 0) | (np.diff(window) != 0)])
    ends = np.r_[starts[1:], len(values)]
    made: dict[Measure, Any] = {
        Measure.COUNT: lambda: ends - starts,
        Measure.SUM: lambda: np.add.reduceat(values, starts),
        Measure.MINIMUM: lambda: np.minimum.reduceat(values, starts),
        Measure.MAXIMUM: lambda: np.maximum.reduceat(values, starts),
        Measure.FIRST: lambda: values[starts],
        Measure.LAST: lambda: values[ends - 1],
    }
    measures = {measure: np.asarray(made[measure](), np.float64) for measure in wanted}
    return Steps(group[starts].astype(np.int32), window[starts].astype(np.int32), measures)


def _group_of(series: NDArray[np.int32], groups: Mapping[int, int]) -> NDArray[np.int32]:
    known = np.array(sorted(groups), np.int64)
    numbers = np.array([groups[number] for number in known.tolist()], np.int32)
    return numbers[np.searchsorted(known, series)]
