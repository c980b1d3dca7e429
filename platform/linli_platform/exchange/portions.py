"""What a file that is imported comes to, piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant
from linli_platform.store import Batch

NAMED: Final = 1_000
"""Refusals of one portion that are told one by one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file.

    Attributes:
        at: Bytes before it; rows, in a file of columns.
        line: Lines before it.
    """

    at: int = 0
    line: int = 0


@dataclass(slots=True)
class Portion:
    """Readings of a stretch of a file.

    Attributes:
        series, times, values, quality: Parallel; NaN where the value is missing or text.
        texts: Text values by row.
        refused: What is left out, by line; the first of them.
        unnamed: What is left out beyond those.
        until: Where the stretch ends.
    """

    series: NDArray[np.int32]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]
    texts: dict[int, str] = field(default_factory=dict)
    refused: list[tuple[int, Refused]] = field(default_factory=list)
    unnamed: int = 0
    until: Place = Place()

    def __len__(self) -> int:
        return len(self.series)

    def batch(self, now: Instant) -> Batch:
        """Return the readings as the store takes them."""
        return Batch(self.series, self.times, self.values, self.quality, now, self.texts)

    @classmethod
    def joined(cls, portions: "list[Self]") -> Self:
        """Return portions that follow each other as one."""
        texts: dict[int, str] = {}
        row = 0
        for portion in portions:
            texts |= {row + place: text for place, text in portion.texts.items()}
            row += len(portion)
        return cls(
            np.concatenate([portion.series for portion in portions]),
            np.concatenate([portion.times for portion in portions]),
            np.concatenate([portion.values for portion in portions]),
            np.concatenate([portion.quality for portion in portions]),
            texts,
            [each for portion in portions for each in portion.refused],
            sum(portion.unnamed for portion in portions),
            portions[-1].until,
        )


class Source(Protocol):
    """A file that is imported."""

    @property
    def size(self) -> int:
        """What :attr:`Place.at` comes to at its end."""
        ...

    def portions(self, start: Place) -> Iterator[Portion]:
        """Return what stands from a place on, in order."""
        ...


class Rows:
    """Readings that come one by one, on their way into a portion."""

    def __init__(self) -> None:
        self.series: list[int] = []
        self.times: list[int] = []
        self.values: list[float] = []
        self.quality: list[int] = []
        self.texts: dict[int, str] = {}
        self.refused: list[tuple[int, Refused]] = []
        self.unnamed = 0

    def add(self, series: int, time: Instant, value: float, text: str | None, quality: int) -> None:
        """Add a reading; NaN stands for no number."""
        if text is not None:
            self.texts[len(self.series)] = text
        self.series.append(series)
        self.times.append(time)
        self.values.append(value)
        self.quality.append(quality)

    def refuse(self, line: int, refused: Refused) -> None:
        """Leave something out."""
        if len(self.refused) < NAMED:
            self.refused.append((line, refused))
        else:
            self.unnamed += 1

    def take(self, until: Place) -> Portion:
        """Return what came, and begin anew."""
        portion = Portion(
            np.array(self.series, np.int32),
            np.array(self.times, np.int64),
            np.array(self.values, np.float64),
            np.array(self.quality, np.uint8),
            self.texts,
            self.refused,
            self.unnamed,
            until,
        )
        self.series, self.times, self.values, self.quality = [], [], [], []
        self.texts, self.refused, self.unnamed = {}, [], 0
        return portion


def out_of_range(time: Instant, where: str) -> Refused:
    """Return why a reading of no time that can be is left out."""
    return Refused(
        RefusalReason.TIME_OUT_OF_RANGE,
        f"{time} µs since 1970: before 2000, or ahead of the present (is the precision right?)",
        where=where,
    )
