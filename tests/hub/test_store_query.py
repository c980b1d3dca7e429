"""Many series asked at once: by SQL and by hand it is the same."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Measure, TooManyReadings, Windows, steps_of

GOOD = quality_code(Quality.GOOD)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
Reading = tuple[int, int, float | None, int]


def batch_of(readings: list[Reading], texts: dict[int, str] | None = None) -> Batch:
    return Batch(
        series=np.array([reading[0] for reading in readings], np.int32),
        time=np.array([reading[1] for reading in readings], np.int64),
        value=np.array([np.nan if reading[2] is None else reading[2] for reading in readings], np.float64),
        quality=np.array([reading[3] for reading in readings], np.uint8),
        received_at=0,
        texts=texts or {},
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "store.duckdb") as opened:
        for number in range(1, 5):
            opened.series("gw", f"meter-{number}/voltage")
        yield opened


def test_a_scan_is_by_series_as_asked_then_by_time(store: DuckDBStore) -> None:
    store.append(batch_of([(1, 5, 1.0, GOOD), (1, 3, 2.0, GOOD), (2, 4, None, BAD), (3, 4, 9.0, GOOD)]), {})
    found = store.scan([2, 1], 0, 10)
    assert found.series.tolist() == [2, 1, 1]
    assert found.time.tolist() == [4, 3, 5]
    assert np.isnan(found.value[0])
    assert found.value[1:].tolist() == [2.0, 1.0]
    assert found.quality.tolist() == [BAD, GOOD, GOOD]
    assert found.texts == {}


def test_the_end_of_a_scan_is_outside_and_texts_are_found(store: DuckDBStore) -> None:
    store.append(batch_of([(1, 1, None, GOOD), (1, 2, 7.0, GOOD), (1, 3, 8.0, GOOD)], {0: "open"}), {})
    found = store.scan([1], 1, 3)
    assert found.time.tolist() == [1, 2]
    assert found.texts == {0: "open"}
    assert store.scan([1], 1, 3, texts=False).texts == {}


def test_nothing_asked_is_nothing_found(store: DuckDBStore) -> None:
    assert len(store.scan([], 0, 10)) == 0
    assert len(store.scan([1], 0, 10)) == 0
    found = store.steps({}, Windows(np.array([0, 10], np.int64)), frozenset({Measure.SUM}))
    assert len(found.group) == 0


def test_a_scan_beyond_its_limit_is_refused(store: DuckDBStore) -> None:
    store.append(batch_of([(1, time, 1.0, GOOD) for time in range(5)]), {})
    assert len(store.scan([1], 0, 10, limit=5)) == 5
    with pytest.raises(TooManyReadings, match="more than 4 readings"):
        store.scan([1], 0, 10, limit=4)


def test_windows_ascend() -> None:
    with pytest.raises(ValueError, match="ascending"):
        Windows(np.array([0, 0], np.int64))
    with pytest.raises(ValueError, match="two edges"):
        Windows(np.array([0], np.int64))


@pytest.mark.parametrize(
    ("edges", "step", "origin"),
    [
        ([0, 10], 10, 0),
        ([0, 10, 20, 30], 10, 0),
        ([7, 10, 20, 23], 10, 0),
        ([7, 10, 20], 10, 0),
        ([0, 10, 13], 10, 0),
        ([0, 10, 21, 31, 41], 0, 10),
        ([0, 10, 20, 31], 0, 10),
    ],
)
def test_windows_cut_short_at_the_ends_have_a_step_all_the_same(edges: list[int], step: int, origin: int) -> None:
    windows = Windows(np.array(edges, np.int64))
    assert windows.step == step
    assert windows.origin == origin or not step


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4),
            st.integers(-5, 40),
            st.one_of(st.none(), st.integers(-3, 3).map(float)),
            st.sampled_from([GOOD, BAD, quality_code(Quality.UNCERTAIN)]),
        ),
        max_size=60,
        unique_by=lambda reading: reading[:2],
    ),
    st.dictionaries(st.integers(1, 4), st.integers(0, 2), min_size=1),
    st.lists(st.integers(-5, 40), min_size=2, max_size=8, unique=True).map(sorted),
    st.sets(st.sampled_from(list(Measure)), min_size=1),
)
def test_steps_are_what_a_scan_comes_to(
    tmp_path: Path, readings: list[Reading], groups: dict[int, int], edges: list[int], wanted: set[Measure]
) -> None:
    with DuckDBStore(tmp_path / "steps.duckdb") as store:
        for number in range(1, 5):
            store.series("gw", f"meter-{number}/voltage")
        store.append(batch_of(readings), {})
        windows = Windows(np.array(edges, np.int64))
        # Of two series of one group the first and last value of an instant is either's.
        asked = frozenset(
            wanted if len(set(groups.values())) == len(groups) else wanted - {Measure.FIRST, Measure.LAST}
        )
        found = store.steps(groups, windows, asked)
        by_hand = steps_of(store.scan(sorted(groups), -10, 50), groups, windows, asked, BAD)
    (tmp_path / "steps.duckdb").unlink()
    assert found.group.tolist() == by_hand.group.tolist()
    assert found.window.tolist() == by_hand.window.tolist()
    assert {measure: values.tolist() for measure, values in found.measures.items()} == {
        measure: values.tolist() for measure, values in by_hand.measures.items()
    }
