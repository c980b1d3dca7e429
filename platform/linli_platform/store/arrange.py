"""Putting a batch in order before it meets the store: pure, on columns."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_platform.store import Batch

QUALITY_SPAN: Final = 64
"""``linli_core.model.quality_code`` is ``quality * 64 + reason``: dividing leaves GOOD 0, UNCERTAIN 1, BAD 2."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """Rows of a batch, sorted by series and time, each (series, time) once.

    Attributes:
        rows: Row numbers in the batch.
        duplicates: Rows left out because the same identity with the same value stays.
        conflicts: Rows left out because a better or earlier one of the same identity stays.
    """

    rows: NDArray[np.int64]
    duplicates: int
    conflicts: int


def arrange(batch: Batch) -> Arranged:
    """Sort a batch and leave one row for each identity: the one of better quality, or else the first."""
    order = np.argsort(batch.series, kind="stable").astype(np.int64, copy=False)
    series, time = batch.series[order], batch.time[order]
    same_series = series[1:] == series[:-1]
    if not np.any(same_series & (time[1:] <= time[:-1])):
        return Arranged(order, 0, 0)
    rank = batch.quality // QUALITY_SPAN
    order = np.lexsort((rank, batch.time, batch.series)).astype(np.int64, copy=False)  # stable: the first stays first
    series, time = batch.series[order], batch.time[order]
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (series[1:] == series[:-1]) & (time[1:] == time[:-1])
    if not again.any():
        return Arranged(order, 0, 0)
    kept = np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))
    differing = sum(not same(batch, int(order[row]), int(order[kept[row]])) for row in np.flatnonzero(again))
    return Arranged(order[~again], int(again.sum()) - differing, differing)


def same(batch: Batch, one: int, other: int) -> bool:
    """Tell whether two rows of a batch say the same: value, text and quality."""
    return same_reading(
        (float(batch.value[one]), batch.texts.get(one), int(batch.quality[one])),
        (float(batch.value[other]), batch.texts.get(other), int(batch.quality[other])),
    )


def same_reading(one: tuple[float, str | None, int], other: tuple[float, str | None, int]) -> bool:
    """Tell whether two (value, text, quality) say the same; NaN stands for no number, so it equals itself."""
    equal_values = one[0] == other[0] or (one[0] != one[0] and other[0] != other[0])
    return equal_values and one[1:] == other[1:]


Held = tuple[int, float | None, str | None, int]
"""A row of a batch, and the value, text and quality that the store holds of its identity."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of the rows of a batch whose identity the store holds.

    Attributes:
        dropped: Rows that change nothing.
        replacing: Rows that take the place of a worse reading.
        duplicates: Dropped ones that say the same.
        conflicts: Dropped ones that say otherwise.
    """

    dropped: list[int]
    replacing: list[int]
    duplicates: int
    conflicts: int

    def leave(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of some rows that are to be written."""
        return rows[~np.isin(rows, self.dropped)] if self.dropped else rows


def settle(batch: Batch, held: Iterable[Held], *, replaces: bool = True) -> Settled:
    """Decide by the rule of ADR 0007: the better quality stays, of equal ones the first."""
    dropped, replacing = [], []
    duplicates = conflicts = 0
    for row, value, text, quality in held:
        stored = (np.nan if value is None else value, text, quality)
        offered = (float(batch.value[row]), batch.texts.get(row), int(batch.quality[row]))
        if same_reading(stored, offered):
            duplicates += 1
            dropped.append(row)
        elif replaces and offered[2] // QUALITY_SPAN < quality // QUALITY_SPAN:
            replacing.append(row)
        else:
            conflicts += 1
            dropped.append(row)
    return Settled(dropped, replacing, duplicates, conflicts)
