"""A store as a source of queries.

A reading is a row of its quantity's measurement. Fields: ``value`` if its number is usable, ``raw`` if a BAD reading
has a number all the same, ``text``, and ``quality``, which every reading has. Where nothing was read there is no row;
where nothing usable was read there is a row without ``value``. ``unusable`` is the quality of BAD readings and of no
other: alone it is asked of the store so that no other reading is brought. ``counted``, of counters, is what the value
would be had no meter been exchanged, set back or in doubt (:mod:`linli_platform.influxql.counted`): its changes are
what was used.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from linli_core.model import Kind as Nature
from linli_core.model import Quality, quality_code
from linli_core.vocabulary import vocabulary
from linli_platform.influxql.catalogue import Catalogue
from linli_platform.influxql.counted import COUNTED, Registers, course, trusted
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Newest, Series
from linli_platform.influxql.syntax import Kind
from linli_platform.influxql.vector import Times, Vector, vector
from linli_platform.influxql.window import MICROSECOND, Range, microseconds
from linli_platform.store import Store
from linli_platform.store.query import Measure, Scan, Steps, Windows

VALUE: Final = "value"
RAW: Final = "raw"
TEXT: Final = "text"
QUALITY: Final = "quality"
UNUSABLE: Final = "unusable"
FIELDS: Final = {
    QUALITY: Kind.INTEGER,
    RAW: Kind.FLOAT,
    TEXT: Kind.STRING,
    UNUSABLE: Kind.INTEGER,
    VALUE: Kind.FLOAT,
}
_OF_COUNTERS: Final = FIELDS | {COUNTED: Kind.FLOAT}

MOST_READINGS: Final = 4_000_000
"""Readings that one statement may bring here: what the store takes together itself does not count."""

_BAD: Final = quality_code(Quality.BAD)


class StoreSource:
    """What a store holds, as far as a catalogue has it.

    Args:
        store: The store.
        catalogue: What the asker may see.
        registers: What is known of registers beside their readings; left out, it is looked up.

    Attributes:
        rollups: Lengths (µs) of the rollups that answers were put together from so far.
    """

    def __init__(self, store: Store, catalogue: Catalogue, registers: Registers | None = None) -> None:
        self.rollups: set[int] = set()
        self._store = store
        self._catalogue = catalogue
        self._registers = registers or Registers(store)

    def measurements(self) -> list[str]:
        """Return the quantities of which there are points."""
        return list(self._catalogue.series)

    def fields(self, measurement: str) -> Mapping[str, Kind]:
        """Return the fields that every quantity has, and those of counters."""
        if measurement not in self._catalogue.series:
            return {}
        quantity = vocabulary().get(measurement)
        return _OF_COUNTERS if quantity is not None and quantity.kind is Nature.COUNTER else FIELDS

    def tags(self, measurement: str) -> frozenset[str]:
        """Return the tags that points of a quantity have."""
        found = self._catalogue.series.get(measurement)
        return frozenset() if found is None else found.tags

    def series(self, measurement: str) -> Sequence[Series]:
        """Return the points of a quantity, by tags."""
        return self._catalogue.series.get(measurement, [])

    def rows(
        self, measurement: str, series: Sequence[Series], reach: Range, fields: AbstractSet[str] | None
    ) -> list[Piece]:
        """Return the readings of points within a range."""
        start, end = microseconds(reach)
        texts = fields is None or TEXT in fields
        least = _BAD if fields is not None and fields <= {UNUSABLE} else 0
        numbers = [one.id for one in series]
        scan = self._store.scan(numbers, start, end, texts=texts, least=least, limit=MOST_READINGS)
        if not len(scan):
            return []
        first = np.flatnonzero(np.r_[True, np.diff(scan.series) != 0])
        last = np.r_[first[1:], len(scan)]
        tags = {one.id: one.tags for one in series}
        columns = _columns(scan, fields)
        if COUNTED in self.fields(measurement) and (fields is None or COUNTED in fields):
            columns[COUNTED] = self._counted(scan, first, last)
        times = scan.time * MICROSECOND
        return [
            Piece(
                measurement,
                tags[int(scan.series[left])],
                times[left:right],
                {name: values.take(slice(left, right)) for name, values in columns.items()},
            )
            for left, right in zip(first.tolist(), last.tolist(), strict=True)
        ]

    def newest(
        self, measurement: str, series: Sequence[Series], reach: Range, field: str
    ) -> tuple[list[Newest], list[Series]]:
        """Return the newest readings that are kept at hand, where they are what is asked for."""
        if field != VALUE or measurement not in self._catalogue.series:
            return [], list(series)
        start, end = microseconds(reach)
        at_hand = {row.series.id: row for row in self._store.latest([one.id for one in series])}
        found, rest = [], []
        for one in series:
            row = at_hand.get(one.id)
            if row is None or row.time < start:
                continue
            if row.time < end and row.value is not None and row.quality < _BAD:
                found.append(Newest(one, row.time * MICROSECOND, row.value))
            else:
                rest.append(one)
        return found, rest

    def steps(
        self, measurement: str, field: str, groups: Mapping[int, int], edges: Times, wanted: frozenset[Measure]
    ) -> Steps | None:
        """Return what numbers come to by groups and windows."""
        if field not in self.fields(measurement) or field not in {COUNTED, VALUE}:
            return None
        # Of each register by itself, and at the end of windows, it is known without a look at all of its readings.
        if field == COUNTED and (wanted != {Measure.LAST} or len(set(groups.values())) < len(groups)):
            return None
        whole = np.clip(-(-edges // MICROSECOND), *microseconds(Range()))
        kept = np.r_[np.diff(whole) > 0, True]
        if kept.sum() < 2:
            nothing = np.empty(0, np.int32)
            return Steps(nothing, nothing, {measure: np.empty(0, np.float64) for measure in wanted})
        windows = Windows(whole[kept])
        if field == COUNTED:
            found = self._registers.steps(groups, windows, MOST_READINGS)
        else:
            found = self._store.steps(groups, windows, wanted)
        if found.rollup:
            self.rollups.add(found.rollup)
        numbers = np.flatnonzero(kept).astype(np.int32)
        return Steps(found.group, numbers[found.window], found.measures)

    def _counted(self, scan: Scan, first: NDArray[np.intp], last: NDArray[np.intp]) -> Vector:
        """Return what registers have counted at each of their readings.

        Args:
            scan: Readings of registers.
            first: Where those of each begin.
            last: Where they end.
        """
        told, data = trusted(scan), np.zeros(len(scan))
        for left, right in zip(first.tolist(), last.tolist(), strict=True):
            rows = left + np.flatnonzero(told[left:right])
            exchanges = self._registers.of(int(scan.series[left])).exchanges
            data[rows] = course(scan.time[rows], scan.value[rows], exchanges)
        return Vector(Kind.FLOAT, data, told)


def _columns(scan: Scan, fields: AbstractSet[str] | None) -> dict[str, Vector]:
    def is_wanted(name: str) -> bool:
        return fields is None or name in fields

    there = ~np.isnan(scan.value)
    usable = scan.quality < _BAD
    numbers = np.where(there, scan.value, 0.0)
    found: dict[str, Vector] = {}
    if is_wanted(QUALITY):
        found[QUALITY] = vector(Kind.INTEGER, scan.quality)
    if is_wanted(RAW):
        found[RAW] = Vector(Kind.FLOAT, numbers, there & ~usable)
    if is_wanted(UNUSABLE):
        found[UNUSABLE] = Vector(Kind.INTEGER, scan.quality.astype(np.int64), ~usable)
    if is_wanted(VALUE):
        found[VALUE] = Vector(Kind.FLOAT, numbers, there & usable)
    if is_wanted(TEXT):
        data: Any = np.empty(len(scan), object)
        data[list(scan.texts)] = list(scan.texts.values())
        valid = np.zeros(len(scan), np.bool_)
        valid[list(scan.texts)] = True
        found[TEXT] = Vector(Kind.STRING, data, valid)
    return found
