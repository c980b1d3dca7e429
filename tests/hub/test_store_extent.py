"""Queries look only where there is anything, and find what a look everywhere finds, whatever is written meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from linli_core.instant import DAY, HOUR, MINUTE
from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import Aggregate, Batch, duckdb_query
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.extent import EVERYWHERE, Extent
from linli_platform.store.query import Measure, Scan, Steps, Windows

GOOD = quality_code(Quality.GOOD)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
TEXTS = 3
"""The series that says a text now and then."""
SPANS = [(-DAY, 3 * HOUR), (DAY + HOUR, 3 * DAY - 7), (2 * DAY, 7 * DAY)]
EVERY = frozenset(Measure)
ASKED = [({1: 5}, EVERY), ({1: 0, 2: 0}, EVERY - {Measure.FIRST, Measure.LAST}), ({2: 1, TEXTS: 4}, EVERY)]
"""Groups, and what of them: which of two values of one instant comes first nobody says."""


def batch_of(day: int, every: int, quality: int = GOOD, value: float = 0.25) -> Batch:
    """Return a day of three series."""
    times = np.repeat(np.arange(day * DAY, (day + 1) * DAY, every, dtype=np.int64), 3)
    series = np.tile(np.array([1, 2, TEXTS], np.int32), len(times) // 3)
    values = np.arange(len(times), dtype=np.float64) * value
    texts = dict.fromkeys(range(2, len(times), 30), "on")
    values[list(texts)] = np.nan
    return Batch(series, times, values, np.full(len(times), quality, np.uint8), received_at=0, texts=texts)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "store.duckdb") as opened:
        for number in range(1, 4):
            opened.series("gw", f"meter-{number}/voltage")
        yield opened


def plainly(found: Scan | Steps) -> object:
    if isinstance(found, Scan):
        values = np.where(np.isnan(found.value), -1, found.value).tolist()
        return found.series.tolist(), found.time.tolist(), values, found.quality.tolist(), dict(found.texts)
    measures = {measure: values.tolist() for measure, values in found.measures.items()}
    return found.group.tolist(), found.window.tolist(), measures


def look_everywhere(store: DuckDBStore) -> None:
    """Compare what is found with what a look everywhere finds."""
    zone = store._days_of
    with store._reader() as cursor:
        for start, end in SPANS:
            for series in (1, TEXTS):
                for step, aggregate in ((None, None), (HOUR, Aggregate.MEAN)):
                    found = duckdb_query.read(
                        cursor, EVERYWHERE, series, start, end, step, aggregate, limit=10_000, bad=128
                    )
                    assert store.read(series, start, end, step=step, aggregate=aggregate) == found
            everything = duckdb_query.scan(
                cursor, EVERYWHERE, np.array([2, 3, 1], np.int32), start, end, texts=True, limit=10_000
            )
            assert plainly(store.scan([2, 3, 1], start, end)) == plainly(everything)
            for groups, wanted in ASKED:
                for length in (DAY, 15 * MINUTE, end - start):
                    windows = Windows(np.append(np.arange(start, end, length), end))
                    steps = duckdb_query.steps(cursor, EVERYWHERE, groups, windows, wanted, 128, zone)
                    assert plainly(store.steps(groups, windows, wanted)) == plainly(steps)


def test_a_look_where_there_is_anything_finds_all(store: DuckDBStore) -> None:
    for day in (1, 2, 3, 5):
        store.append(batch_of(day, 5 * MINUTE), {})
    store.append(batch_of(4, 40 * MINUTE), {})
    look_everywhere(store)
    assert store.compact(5 * DAY).days == [719_164, 719_165, 719_166]
    assert store._reach.extent == Extent(4 * DAY, DAY, 4 * DAY, frozenset())
    look_everywhere(store)
    store.append(batch_of(2, 40 * MINUTE, value=0.5), {})  # late, of the same instants: nothing new
    store.append(batch_of(0, 6 * HOUR, BAD), {})
    assert store._reach.extent.fresh_from == 0
    look_everywhere(store)
    store.compact(7 * DAY)
    assert store._reach.extent == Extent(2**62, 0, 6 * DAY, frozenset())
    store.append(batch_of(0, 12 * HOUR), {})  # better ones
    assert store._reach.extent.fresh_from == 0
    store.delete([2], 0, 2 * DAY)
    look_everywhere(store)


def test_a_file_that_is_opened_again_says_where_its_readings_are(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        for number in range(1, 4):
            store.series("gw", f"meter-{number}/voltage")
        assert not store._reach.extent.has_fresh(9 * DAY)
        assert not store._reach.extent.has_moved(0, 9 * DAY)
        for day in (1, 2, 3):
            store.append(batch_of(day, HOUR), {})
        store.compact(3 * DAY + 3 * HOUR)
        before = store._reach.extent
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        assert store._reach.extent == before == Extent(3 * DAY, DAY, 3 * DAY, frozenset())
        look_everywhere(store)


def test_where_something_comes_meanwhile_all_is_asked_again(store: DuckDBStore) -> None:
    """A better reading takes the place of one that was moved, between a query's look at the extent and its answer."""
    store.append(batch_of(1, HOUR, BAD), {})
    store.compact(4 * DAY)
    asked: list[Extent] = []

    def ask(cursor: duckdb.DuckDBPyConnection, extent: Extent) -> Scan:
        if not asked:
            store.append(batch_of(1, HOUR), {})
        asked.append(extent)
        numbers = np.array([1], np.int32)
        return duckdb_query.scan(cursor, extent, numbers, 0, 2 * DAY, texts=False, limit=100)

    with store._reader() as cursor:
        found = store._reach.ask(cursor, ask)
    assert len(asked) == 2
    assert not asked[0].has_fresh(2 * DAY)
    assert asked[1] == EVERYWHERE
    assert found.quality.tolist() == [GOOD] * 24


def test_what_is_moved_is_announced_before_anybody_can_see_it(store: DuckDBStore) -> None:
    """The day that upkeep is about to move counts as moved from before its commit on."""
    store.append(batch_of(1, HOUR), {})
    store.append(batch_of(2, HOUR), {})
    seen: list[tuple[bool, int]] = []
    widen = store._compactor._widen

    def watched(wider: object) -> None:
        moved = store._rows("SELECT count(*) FROM packed", {})[0][0]
        widen(wider)  # type: ignore[arg-type]
        seen.append((store._reach.extent.has_moved(DAY, 2 * DAY), moved))

    store._compactor._widen = watched
    store.compact(4 * DAY)
    assert seen[0] == (True, 0)
    assert store._rows("SELECT count(*) > 0 FROM packed", {}) == [(True,)]


def test_cursors_are_used_again_and_a_failed_one_is_not(store: DuckDBStore) -> None:
    store.append(batch_of(1, HOUR), {})
    store.read(1, 0, 2 * DAY)
    ((_, first),) = store._cursors._idle
    store.read(1, 0, 2 * DAY)
    assert [cursor for _, cursor in store._cursors._idle] == [first]
    with pytest.raises(ValueError, match="needs a step"):
        store.read(1, 0, 2 * DAY, aggregate=Aggregate.MEAN)
    assert store._cursors._idle == []
    assert len(store.read(1, 0, 2 * DAY)) == 24


def test_a_cursor_of_before_is_not_asked_of_a_file_opened_again(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "store.duckdb")
    with store:
        store.series("gw", "meter-1/voltage")
        store.append(batch_of(1, HOUR), {})
        with store._reader():
            store._reopen()
        assert len(store.read(1, 0, 2 * DAY)) == 24
