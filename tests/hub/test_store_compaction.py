"""Days that are over move into history: whatever comes, before or after, each identity is held once."""

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import Batch, StoreUnavailable, schema
from linli_platform.store.aside import GaveWay
from linli_platform.store.compaction import SETTLES
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Measure, Windows, steps_of

GOOD = quality_code(Quality.GOOD)
UNCERTAIN = quality_code(Quality.UNCERTAIN)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
SHANGHAI = ZoneInfo("Asia/Shanghai")

Reading = tuple[int, int, float | None, str | None, int]


def batch_of(readings: list[Reading]) -> Batch:
    return Batch(
        series=np.array([reading[0] for reading in readings], np.int32),
        time=np.array([reading[1] for reading in readings], np.int64),
        value=np.array([np.nan if reading[2] is None else reading[2] for reading in readings], np.float64),
        quality=np.array([reading[4] for reading in readings], np.uint8),
        received_at=0,
        texts={number: reading[3] for number, reading in enumerate(readings) if reading[3] is not None},
    )


def fresh(store: DuckDBStore) -> int:
    return int(store._rows("SELECT count(*) FROM reading", {})[0][0])


TIMES = st.integers(0, 40).map(lambda number: number * 2 * HOUR)
READING = st.one_of(
    st.tuples(
        st.integers(1, 3),
        TIMES,
        st.sampled_from([None, 0.0, 1.5]),
        st.none(),
        st.sampled_from([GOOD, BAD, UNCERTAIN]),
    ),
    st.tuples(st.integers(1, 3), TIMES, st.none(), st.sampled_from(["open", "12"]), st.just(GOOD)),
)
NOW = TIMES.map(lambda time: ("now", time))
ACTION = st.one_of(st.lists(READING, min_size=1, max_size=12), NOW, NOW, st.just("reopen"))


@settings(max_examples=20, deadline=None)
@given(st.lists(ACTION, min_size=2, max_size=8), st.sampled_from([2, 1_000]))
def test_what_is_moved_stays_what_it_was(
    tmp_path_factory: pytest.TempPathFactory, actions: list[list[Reading] | tuple[str, int] | str], most: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "store.duckdb"
    held: dict[tuple[int, int], Reading] = {}
    store = DuckDBStore(path, zone=SHANGHAI).__enter__()
    try:
        for action in actions:
            for name in ("a", "b", "c"):
                store.series("gw", f"{name}/energy_import")
            if action == "reopen":
                store.__exit__(None, None, None)
                store = DuckDBStore(path, zone=SHANGHAI).__enter__()
            elif isinstance(action, tuple):
                before = fresh(store)
                done = store.compact(action[1], most=most)
                assert fresh(store) == before - done.readings
                # What is left is of a day that has not settled.
                left = store._rows("SELECT min(time) FROM reading", {})[0][0]
                assert left is None or left >= (action[1] - SETTLES + 8 * HOUR) // DAY * DAY - 8 * HOUR
            elif isinstance(action, list):
                changed = set()
                for reading in action:
                    was = held.get(reading[:2])
                    if was is None or reading[4] // 64 < was[4] // 64:
                        held[reading[:2]] = reading
                        changed.add(reading[:2])
                appended = store.append(batch_of(action), {})
                assert {action[row][:2] for row in appended.new.tolist()} == changed
        rows = {
            (series, row.time): (series, row.time, row.value, row.text, row.quality)
            for series in (1, 2, 3)
            for row in store.read(series, 0, 2**60)
        }
        assert rows == held
        scan = store.scan([3, 1, 2], 0, 2**60)
        assert list(zip(scan.series.tolist(), scan.time.tolist(), strict=True)) == sorted(
            held, key=lambda key: ([3, 1, 2].index(key[0]), key[1])
        )
        assert store.count() == store.count_distinct() == len(held)
        newest = {series: max(time for other, time in held if other == series) for series, _ in held}
        assert {(row.series.id, row.time, row.value, row.text, row.quality) for row in store.latest()} == {
            held[series, time] for series, time in newest.items()
        }
        windows = Windows(np.arange(0, 84, 6, dtype=np.int64) * HOUR)
        groups = {1: 0, 2: 1, 3: 2}
        found = store.steps(groups, windows, frozenset(Measure))
        by_hand = steps_of(store.scan([1, 2, 3], 0, 2**60), groups, windows, frozenset(Measure), BAD // 64 * 64)
        assert found.window.tolist() == by_hand.window.tolist()
        for measure, values in by_hand.measures.items():
            assert found.measures[measure].tolist() == values.tolist()
    finally:
        store.__exit__(None, None, None)


def filled(store: DuckDBStore, days: int = 3, series: int = 4, every: int = MINUTE) -> int:
    """Write days of readings; return how many those are."""
    ids = [store.series("gw", f"meter-{number}/voltage").id for number in range(series)]
    times = np.arange(0, days * DAY, every, dtype=np.int64)
    for number in ids:
        values = 220 + (times // every % 100) / 10
        store.append(Batch(np.full(len(times), number, np.int32), times, values, np.zeros(len(times), np.uint8), 0), {})
    return len(times) * series


def test_a_day_that_has_not_settled_stays(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        readings = filled(store)
        assert store.compact(3 * DAY).readings == readings * 2 // 3
        assert store.compact(3 * DAY + SETTLES - 1).readings == 0
        assert store.compact(3 * DAY + SETTLES).readings == readings // 3
        store.checkpoint()
        ordered = (
            "SELECT bool_and(t > before) FROM (SELECT (day, series, place - back) AS t, lag(t) OVER () AS before,"
            " place FROM packed) WHERE place > 1"
        )
        assert store._rows(ordered, {}) == [(True,)]


def test_days_are_those_of_the_zone(tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    with DuckDBStore(tmp_path / "store.duckdb", zone=berlin) as store:
        series = store.series("gw", "a/voltage").id
        # 2026-03-29 has 23 hours there: from 23:00 to 22:00 UTC.
        start = 1_774_738_800 * SECOND
        store.append(batch_of([(series, start + number * HOUR, 1.0, None, GOOD) for number in range(25)]), {})
        assert store.compact(start + 23 * HOUR + SETTLES).readings == 23
        assert store._rows("SELECT count(*), count(DISTINCT day) FROM past", {}) == [(23, 1)]


def test_the_writer_comes_first(tmp_path: Path) -> None:
    """A better reading of what is being moved is committed at once; the move is undone and made another time."""
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        series = store.series("gw", "a/voltage").id
        store.append(batch_of([(series, 0, None, None, BAD), (series, 1, 1.0, None, GOOD)]), {})
        aside = store._aside
        results: list[object] = []

        def append() -> None:
            results.append(store.append(batch_of([(series, 0, 5.0, None, GOOD)]), {}))

        def move() -> None:
            with aside.transaction(store._connected().cursor(), 0, DAY - 1):
                aside.execute("DELETE FROM reading WHERE time = 0")
                writer = threading.Thread(target=append)
                writer.start()
                writer.join()

        with pytest.raises(GaveWay, match="writer came first"):
            move()
        assert len(results) == 1
        assert store.compact(2 * DAY).readings == 2
        assert [(row.time, row.value) for row in store.read(series, 0, 10)] == [(0, 5.0), (1, 1.0)]


def test_a_writer_elsewhere_does_not_disturb(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        series = store.series("gw", "a/voltage").id
        store.append(batch_of([(series, 0, 1.0, None, GOOD), (series, 2 * DAY, None, None, BAD)]), {})
        with store._aside.transaction(store._connected().cursor(), 0, DAY - 1):
            store._aside.execute("DELETE FROM reading WHERE time = 0")
            store.append(batch_of([(series, 2 * DAY, 7.0, None, GOOD), (series, 3 * DAY, 8.0, None, GOOD)]), {})
        assert [(row.time, row.value) for row in store.read(series, 0, 9 * DAY)] == [(2 * DAY, 7.0), (3 * DAY, 8.0)]


def test_readings_come_in_while_days_are_moved(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        held = filled(store, days=3, every=30 * SECOND)
        done = threading.Event()
        problems: list[object] = []

        def move() -> None:
            try:
                store.compact(5 * DAY, most=2_000)
            finally:
                done.set()

        mover = threading.Thread(target=move)
        mover.start()
        series = store.series("gw", "late/voltage").id
        number = 0
        while not done.is_set() or not number:
            # Late ones of the days that are on the move, one after the other and now and then one again.
            store.append(batch_of([(series, number * MINUTE, 1.0, None, GOOD), (series, 0, 1.0, None, GOOD)]), {})
            number += 1
            if store.count() != held + number:
                problems.append((number, store.count()))
        mover.join()
        store.compact(5 * DAY)
        assert problems == []
        assert fresh(store) == 0
        assert store.count() == store.count_distinct() == held + number


# Moves in small pieces for ever: what a writer wrote, day after day. Says so of each piece.
MOVER = """
import sys, threading
from contextlib import suppress
from pathlib import Path
import numpy as np
from linli_core.instant import DAY, MINUTE
from linli_platform.store import Batch
from linli_platform.store.aside import GaveWay
from linli_platform.store.duckdb import DuckDBStore

with DuckDBStore(Path(sys.argv[1])) as store:
    ids = np.array([store.series("gw", f"meter-{n}/voltage").id for n in range(10)], np.int32)
    number = int(store.marks().get("gw", b"-1")) + 1
    move_piece = store._compactor._move

    def told(*piece):
        move_piece(*piece)
        print("moved", flush=True)

    store._compactor._move = told

    def move():
        while True:
            with suppress(GaveWay):
                store.compact(10**6 * DAY, most=3_000)

    threading.Thread(target=move, daemon=True).start()
    while True:
        time = number * DAY // 4 + np.arange(3_000, dtype=np.int64) // 10 * MINUTE
        store.append(Batch(np.tile(ids, 300), time, time / 1e6, np.zeros(3_000, np.uint8), 0), {"gw": b"%d" % number})
        print(number, flush=True)
        number += 1
        if number % 40 == 0:
            store.checkpoint()
"""


def test_a_mover_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    chance = random.Random(6)
    moved = 0
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", MOVER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(chance.randint(20, 50))]
        while "moved\n" not in said:
            said.append(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with DuckDBStore(path) as store:
            batches = int(store.marks()["gw"]) + 1
            assert store.count() == store.count_distinct() == batches * 3_000
            for series in store.all_series():
                expected = [number * DAY // 4 + minute * MINUTE for number in range(batches) for minute in range(300)]
                rows = store.read(series.id, 0, 2**60, limit=1_000_000)
                assert [row.time for row in rows] == expected
                assert all(row.value == row.time / 1e6 for row in rows)
            newest = (batches - 1) * DAY // 4 + 299 * MINUTE
            assert {row.time for row in store.latest()} == {newest}
            moved = batches * 3_000 - fresh(store)
    assert moved > 0


# Moves under a limit of the size of a file, which stands for a disk that is full.
FULL = """
import resource, sys
from pathlib import Path
from linli_core.instant import DAY
from linli_platform.store import StoreError
from linli_platform.store.duckdb import DuckDBStore

path = Path(sys.argv[1])
with DuckDBStore(path) as store:
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100_000, resource.RLIM_INFINITY))
    try:
        store.compact(100 * DAY)
    except StoreError as exc:
        print("StoreError", exc)
    print(store.count())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    store.probe()
    print(store.count(), store.compact(100 * DAY).readings > 0, store.count_distinct())
"""


def test_a_disk_that_fills_while_days_are_moved_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with DuckDBStore(path) as store:
        held = filled(store, days=2, series=6, every=2 * SECOND)
    answer = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False)
    said = answer.stdout.splitlines()
    assert said[0].startswith("StoreError"), answer
    assert said[1:] == [str(held), f"{held} True {held}"], answer
    with DuckDBStore(path) as store:
        assert store.count() == store.count_distinct() == held
        assert fresh(store) == 0


def as_version_1(path: Path, readings: int) -> None:
    """Write a file as the program of version 1 did."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(schema._FIRST)
        connection.execute("INSERT INTO meta VALUES ('version', '1'), ('installation', 'ab')")
        connection.execute("INSERT INTO series VALUES (1, 'gw', 'a', 'a/voltage', 'voltage')")
        connection.execute(f"INSERT INTO reading SELECT 1, i * {HOUR}, i, NULL, 0 FROM range({readings}) t(i)")


def test_a_file_of_version_1_is_brought_over(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    as_version_1(path, 100)
    with DuckDBStore(path) as store:
        assert (store.count(), store.installation, store.latest()[0].time) == (100, "ab", 99 * HOUR)
        assert store.compact(100 * DAY).readings == 100
    with DuckDBStore(path) as store:
        assert (store.count(), fresh(store), store.latest()[0].time) == (100, 0, 99 * HOUR)
        assert store._rows("SELECT value FROM meta WHERE key = 'version'", {}) == [(str(schema.VERSION),)]


MIGRATOR = """
import os, sys
from pathlib import Path
from linli_platform.store import schema
from linli_platform.store.duckdb import DuckDBStore

steps = list(schema._STEPS)
# The process dies after the statements of a step, before they are committed.
steps[int(sys.argv[2])] += "; SELECT error('dies')"
schema._STEPS = tuple(steps)
try:
    DuckDBStore(Path(sys.argv[1])).__enter__()
finally:
    os.kill(os.getpid(), 9)
"""


def test_a_migration_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    as_version_1(path, 100)
    for step in range(1, schema.VERSION):
        process = subprocess.run([sys.executable, "-c", MIGRATOR, str(path), str(step)], check=False)
        assert process.returncode == -signal.SIGKILL
        with duckdb.connect(str(path), read_only=True) as connection:
            assert connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchall() == [(str(step),)]
    with DuckDBStore(path) as store:
        assert store.count() == 100


def test_a_newer_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR)")
        connection.execute("INSERT INTO meta VALUES ('version', '99')")
    with pytest.raises(StoreUnavailable, match="store version 99, this program knows"):
        DuckDBStore(path).__enter__()
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM information_schema.tables").fetchall() == [(1,)]
