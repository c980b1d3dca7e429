"""What is taken out: by its age, and because somebody asks. What stays is answered as before."""

import signal
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE
from linli_core.model import Quality, quality_code
from linli_platform.store import Batch, rollup
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Measure, Windows, steps_of
from linli_platform.store.removal import Retention
from linli_platform.store.snapshot import load

SHANGHAI = ZoneInfo("Asia/Shanghai")
START = 1_766_966_400_000_000
"""2025-12-29T00:00Z"""
BEGIN = START + 16 * HOUR
"""When the day after it begins in Shanghai."""
BAD = quality_code(Quality.BAD)


def write(store: DuckDBStore, series: int, start: int, end: int, every: int) -> None:
    times = np.arange(start, end, every, dtype=np.int64)
    values = (times // every % 23).astype(np.float64)
    store.append(
        Batch(np.full(len(times), series, np.int32), times, values, np.zeros(len(times), np.uint8), int(start)), {}
    )


def filled(path: Path, days: int = 4) -> DuckDBStore:
    store = DuckDBStore(path, zone=SHANGHAI).__enter__()
    gauge = store.series("gw", "a/temperature").id
    counter = store.series("gw", "b/energy_import").id
    write(store, gauge, BEGIN, BEGIN + days * DAY, MINUTE)
    write(store, counter, BEGIN, BEGIN + days * DAY, HOUR)
    return store


def hours(store: DuckDBStore, series: int, start: int, end: int) -> list[tuple[int, float]]:
    windows = Windows(np.arange(start, end + 1, HOUR, dtype=np.int64))
    found = store.steps({series: 0}, windows, frozenset({Measure.SUM}))
    return list(zip(found.window.tolist(), found.measures[Measure.SUM].tolist(), strict=True))


def test_what_readings_came_to_outlives_them(tmp_path: Path) -> None:
    store = filled(tmp_path / "store.duckdb")
    try:
        now = BEGIN + 4 * DAY + 3 * HOUR
        store.compact(now)
        before = hours(store, 1, BEGIN, BEGIN + 4 * DAY)
        gone = store.retain(now, Retention(gauge=2))
        assert gone.readings == 2 * 1440
        assert store.count() == store.count_distinct() == 2 * 1440 + 4 * 24
        assert store.read(1, 0, 2**60)[0].time == BEGIN + 2 * DAY
        assert hours(store, 1, BEGIN, BEGIN + 4 * DAY) == before
        days = Windows(np.array([BEGIN + day * DAY for day in range(5)], np.int64))
        assert store.steps({1: 0}, days, frozenset({Measure.COUNT})).measures[Measure.COUNT].tolist() == [1440] * 4
        assert store.retain(now, Retention(gauge=2)).readings == 0
    finally:
        store.__exit__(None, None, None)


def test_what_comes_when_its_day_is_over_changes_no_rollup(tmp_path: Path) -> None:
    store = filled(tmp_path / "store.duckdb")
    try:
        now = BEGIN + 4 * DAY + 3 * HOUR
        store.compact(now)
        before = hours(store, 1, BEGIN, BEGIN + DAY)
        counted = hours(store, 2, BEGIN, BEGIN + DAY)
        store.retain(now, Retention(gauge=2))
        write(store, 1, BEGIN + 7, BEGIN + 8, MINUTE)
        write(store, 2, BEGIN + 7, BEGIN + 8, MINUTE)
        assert store.compact(now).readings == 1  # the counter's: its days are kept
        assert store.retain(now, Retention(gauge=2)).readings == 1
        assert hours(store, 1, BEGIN, BEGIN + DAY) == before
        assert len(store.read(2, BEGIN, BEGIN + DAY)) == 25
        assert len(hours(store, 2, BEGIN, BEGIN + DAY)) == len(counted)
        # Longer retention brings nothing back, and is not believed to have.
        write(store, 1, BEGIN + 7, BEGIN + 8, MINUTE)
        assert store.compact(now).readings == 0
        store.retain(now, Retention(gauge=100))
        assert hours(store, 1, BEGIN + HOUR, BEGIN + DAY) == [(number - 1, value) for number, value in before[1:]]
    finally:
        store.__exit__(None, None, None)


def test_rollups_go_in_their_time_and_readings_answer_for_them(tmp_path: Path) -> None:
    store = filled(tmp_path / "store.duckdb")
    try:
        now = BEGIN + 4 * DAY + 3 * HOUR
        store.compact(now)
        before = hours(store, 1, BEGIN, BEGIN + 4 * DAY)
        gone = store.retain(now, Retention(quarter=1, hour=2))
        assert gone.readings == 0
        assert gone.rollups == 3 * 96 + 2 * 24
        assert hours(store, 1, BEGIN, BEGIN + 4 * DAY) == before
        assert store.retain(now, Retention(4, 4, 4, 4, 4, 4, 4)).rollups == 0
        later = now + 4 * DAY
        everything = Retention(gauge=3, counter=3, state=3, minute=3, quarter=3, hour=3, day=4)
        store.retain(later, everything)
        assert (store.count(), [store._rows(f"SELECT count(*) FROM {table}", {}) for table in rollup.ALL]) == (
            0,
            [[(0,)]] * 4,
        )
    finally:
        store.__exit__(None, None, None)


@pytest.mark.parametrize("table", [{"gauge": -1}, {"day": 5}, {"day": 5, "gauge": 9}, {"years": 1}])
def test_what_makes_no_sense_is_refused(table: dict[str, int]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Retention)


@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([[1], [2], [1, 2]]), st.integers(-60, 47 * 60), st.integers(1, 3_000)),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_what_is_left_after_a_deletion_is_answered_as_ever(
    tmp_path_factory: pytest.TempPathFactory, deletions: list[tuple[list[int], int, int]], moved: bool
) -> None:
    store = filled(tmp_path_factory.mktemp("store") / "store.duckdb", days=2)
    try:
        if moved:
            store.compact(BEGIN + DAY + 3 * HOUR)
        for series, first, length in deletions:
            start, end = BEGIN + first * MINUTE, BEGIN + (first + length) * MINUTE
            held = len(store.scan(series, start, end))
            assert store.delete(series, start, end) == held
            assert len(store.scan(series, start, end)) == 0
        assert store.count() == store.count_distinct()
        for edges in (
            np.arange(BEGIN, BEGIN + 2 * DAY + 1, HOUR, dtype=np.int64),
            np.arange(BEGIN, BEGIN + 2 * DAY + 1, DAY, dtype=np.int64),
        ):
            windows, wanted = Windows(edges), frozenset(Measure)
            found = store.steps({1: 0, 2: 1}, windows, wanted)
            scan = store.scan([1, 2], BEGIN, BEGIN + 2 * DAY)
            by_hand = steps_of(scan, {1: 0, 2: 1}, windows, wanted, BAD)
            assert found.window.tolist() == by_hand.window.tolist()
            for measure, values in by_hand.measures.items():
                assert found.measures[measure].tolist() == values.tolist()
        newest = {series: store.read(series, 0, 2**60, limit=10_000)[-1:] for series in (1, 2)}
        assert [(row.series.id, row.time) for row in store.latest()] == [
            (series, rows[0].time) for series, rows in newest.items() if rows
        ]
    finally:
        store.__exit__(None, None, None)


def test_a_backup_brings_back_what_has_no_readings_any_more(tmp_path: Path) -> None:
    store = filled(tmp_path / "store.duckdb")
    try:
        now = BEGIN + 4 * DAY + 3 * HOUR
        store.compact(now)
        store.retain(now, Retention(gauge=2))
        before = hours(store, 1, BEGIN, BEGIN + 4 * DAY)
        readings = store.count()
        (tmp_path / "copy").mkdir()
        with store.snapshot() as snapshot:
            assert list(snapshot.export(tmp_path / "copy"))
    finally:
        store.__exit__(None, None, None)
    load(tmp_path / "copy", tmp_path / "back.duckdb")
    with DuckDBStore(tmp_path / "back.duckdb") as back:
        for _ in range(2):
            assert hours(back, 1, BEGIN, BEGIN + 4 * DAY) == before
            assert back.count() == readings
            back.compact(now)
        assert back._rows("SELECT count(*) FROM reading", {}) == [(0,)]


def test_what_a_device_said_goes_with_its_reading(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb", zone=SHANGHAI) as store:
        gauge, counter = store.series("gw", "a/temperature").id, store.series("gw", "b/energy_import").id

        def tell(*readings: tuple[int, int]) -> None:
            series, times = np.array(readings, np.int64).T
            told = dict.fromkeys(range(len(readings)), 7)
            qualities = np.zeros(len(readings), np.uint8)
            store.append(Batch(series.astype(np.int32), times, times * 1.0, qualities, int(times[0]), {}, told), {})

        tell(*[(series, BEGIN + number * DAY + 5) for number in range(4) for series in (gauge, counter)])
        now = BEGIN + 4 * DAY + 3 * HOUR
        store.compact(now)
        assert store.retain(now, Retention(gauge=2)).readings == 2
        assert store.count_device_times() == store.count() == 6
        tell((gauge, BEGIN), (counter, BEGIN))  # both late, of one the day is over
        assert store.retain(now, Retention(gauge=2)).readings == 1
        assert store.count_device_times() == store.count() == 7
        assert store.delete([counter], BEGIN, BEGIN + 2 * DAY) == 3
        assert store.count_device_times() == store.count() == 4


def test_the_newest_reading_is_known_when_its_day_is_over(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    store = filled(path, days=2)
    now = BEGIN + 40 * DAY
    store.compact(now)
    store.retain(now, Retention(gauge=10))
    assert store.delete([1], BEGIN, BEGIN + HOUR) == 0  # asked for what is gone already: nothing newer changes
    store.__exit__(None, None, None)
    with DuckDBStore(path) as store:
        assert [(row.series.id, row.time) for row in store.latest()] == [
            (1, BEGIN + 2 * DAY - MINUTE),
            (2, BEGIN + 2 * DAY - HOUR),
        ]
        assert store.delete([1], BEGIN, BEGIN + 2 * DAY) == 0
        assert [row.series.id for row in store.latest()] == [2]


# Takes days out, again and again; dies in the middle.
REMOVER = """
import os, sys, threading, time
from pathlib import Path
from linli_core.instant import DAY
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.removal import Retention

path, now, after = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with DuckDBStore(path) as store:
    run = store._aside.execute
    def execute(query, values=None):
        global after
        after -= query.startswith("DELETE FROM history")
        rows = run(query, values)
        if after < 0:
            os.kill(os.getpid(), 9)
        return rows
    store._aside.execute = execute
    store.retain(now, Retention(gauge=1))
"""


def test_a_retention_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    now = BEGIN + 4 * DAY + 3 * HOUR
    store = filled(path)
    store.compact(now)
    before = hours(store, 1, BEGIN, BEGIN + 4 * DAY)
    store.__exit__(None, None, None)
    for after, left in ((0, 4), (1, 3)):
        killed = subprocess.run([sys.executable, "-c", REMOVER, str(path), str(now), str(after)], check=False)
        assert killed.returncode == -signal.SIGKILL
        with DuckDBStore(path) as store:
            assert store.count() == left * 1440 + 4 * 24
            # What comes late for a day that is half gone is not moved.
            write(store, 1, BEGIN + 7, BEGIN + 8, MINUTE)
            assert store.compact(now).readings == 0
            assert store.delete([1], BEGIN + 7, BEGIN + 8) == 1
    with DuckDBStore(path) as store:
        store.retain(now, Retention(gauge=1))
        assert store.count() == 1440 + 4 * 24
        assert hours(store, 1, BEGIN + DAY, BEGIN + 4 * DAY) == [(number - 24, value) for number, value in before[24:]]
