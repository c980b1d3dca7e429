"""What a simulated community measures, gathered as columns before it is sent."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from linli_core.alarm import Series
from linli_core.instant import Instant
from linli_core.model import parse_point

Times = NDArray[np.int64]
Numbers = NDArray[np.float64]


class Rows(NamedTuple):
    """Readings as columns of one length; ``comes`` is when each arrives."""

    series: NDArray[np.int32]
    time: Times
    value: Numbers
    bad: NDArray[np.bool_]
    comes: Times

    def ordered(self) -> "Rows":
        """Return them in order of arrival."""
        return self.pick(np.argsort(self.comes, kind="stable"))

    def pick(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "Rows":
        """Return some of them."""
        return Rows(self.series[rows], self.time[rows], self.value[rows], self.bad[rows], self.comes[rows])


NOTHING: Final = Rows(
    np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_), np.empty(0, np.int64)
)


def joined(parts: Sequence[Rows]) -> Rows:
    """Return several after each other."""
    if not parts:
        return NOTHING
    return Rows(
        np.concatenate([part.series for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.bad for part in parts]),
        np.concatenate([part.comes for part in parts]),
    )


class Ledger:
    """Takes what devices measure.

    Attributes:
        series: Each series by its number.
        labels: The texts of those that tell texts, by number; their values are places in it.
    """

    def __init__(self) -> None:
        self.series: list[Series] = []
        self.labels: dict[int, tuple[str, ...]] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._parts: list[Rows] = []

    def point(
        self,
        gateway: str,
        name: str,
        kind: str = "",
        *,
        tags: Sequence[str] = (),
        labels: Sequence[str] = (),
    ) -> int:
        """Return the number of a point, which is made if it is new."""
        number = self._numbers.get((gateway, name))
        if number is None:
            number = self._numbers[gateway, name] = len(self.series)
            parsed = parse_point(name)
            self.series.append(Series(gateway, parsed.device, name, parsed.quantity, kind, frozenset(tags)))
            if labels:
                self.labels[number] = tuple(labels)
        return number

    def tell(
        self, point: int, times: Times, values: NDArray[np.floating[Any]], bad: NDArray[np.bool_] | None = None
    ) -> None:
        """Take readings of a point."""
        series = np.full(len(times), point, np.int32)
        worse = np.zeros(len(times), np.bool_) if bad is None else bad
        self._parts.append(Rows(series, times, np.where(worse, np.nan, values), worse, times))

    def state(
        self, point: int, start: Instant, end: Instant, step: Instant, spans: Sequence[tuple[Instant, Instant]]
    ) -> None:
        """Take a state: every so often, and whenever it changes; it holds within the spans."""
        edges = [edge for span in spans for edge in span if start <= edge < end]
        times = np.unique(np.array([*range(start, end, step), *edges], np.int64))
        holds = np.zeros(len(times), np.bool_)
        for begins, ends in spans:
            holds |= (times >= begins) & (times < ends)
        self.tell(point, times, holds.astype(np.float64))

    def take(self) -> Rows:
        """Return what was told since the last time."""
        parts, self._parts = self._parts, []
        return joined(parts)


def grid(start: Instant, end: Instant, step: Instant, offset: Instant = 0) -> Times:
    """Return instants from a start on."""
    return np.arange(start + offset, end, step, dtype=np.int64)


def texts_of(rows: Rows, labels: Mapping[int, tuple[str, ...]]) -> dict[int, str]:
    """Return the texts of those rows that tell one, by row."""
    if not labels:
        return {}
    told = np.flatnonzero(np.isin(rows.series, list(labels)) & ~rows.bad)
    return {int(row): labels[int(rows.series[row])][int(rows.value[row])] for row in told}
