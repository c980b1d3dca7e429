"""Devices' own times against a dict: each stays as long as its reading, whatever comes again, late or better."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import Batch, StoreError, device_time, schema, statements
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.snapshot import load

GOOD = quality_code(Quality.GOOD)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
NAMES = ("a/energy_import", "b/energy_import", "c/energy_import")

Said = tuple[float | None, str | None, int]
Told = tuple[int, int, Said, int | None]
"""Series, time, what is said, and what the device's clock says."""


def batch_of(readings: list[Told]) -> Batch:
    return Batch(
        series=np.array([reading[0] for reading in readings], np.int32),
        time=np.array([reading[1] for reading in readings], np.int64),
        value=np.array([np.nan if reading[2][0] is None else reading[2][0] for reading in readings], np.float64),
        quality=np.array([reading[2][2] for reading in readings], np.uint8),
        received_at=DAY,
        texts={row: said[1] for row, (_, _, said, _) in enumerate(readings) if said[1] is not None},
        device_times={row: told for row, (_, _, _, told) in enumerate(readings) if told is not None},
    )


def opened(path: Path) -> DuckDBStore:
    store = DuckDBStore(path)
    store.__enter__()
    for name in NAMES:
        store.series("gw", name)
    return store


def held(store: DuckDBStore) -> dict[tuple[int, int], tuple[Said, int | None]]:
    return {
        (series, row.time): ((row.value, row.text, row.quality), row.device_time)
        for series in (1, 2, 3)
        for row in store.read(series, -(2**62), 2**62)
    }


@dataclass
class Model:
    """What the store should hold: a reading that stays keeps its device time, one that says the same may bring it."""

    held: dict[tuple[int, int], tuple[Said, int | None]] = field(default_factory=dict)

    def append(self, readings: list[Told]) -> None:
        # Of one batch the best comes first: whether it came first decides nothing else.
        for series, time, said, told in readings:
            known = self.held.get((series, time))
            if known is None or said[2] // 64 < known[0][2] // 64:
                self.held[series, time] = (said, told)
        for series, time, said, told in readings:
            known = self.held[series, time]
            if known == (said, None):
                self.held[series, time] = (said, told)

    def delete(self, series: int, start: int, end: int) -> None:
        for key in [key for key in self.held if key[0] == series and start <= key[1] < end]:
            del self.held[key]


TIMES = st.integers(0, 5).map(lambda hour: hour * 12 * HOUR)
SAID = st.sampled_from([(1.5, None, GOOD), (2.5, None, GOOD), (1.5, None, BAD), (None, None, BAD), (None, "x", GOOD)])
YEAR_1, YEAR_9999 = -62_135_596_800 * SECOND, 253_402_300_799 * SECOND
CLOCKS = st.one_of(
    st.integers(-5, 5),
    st.integers(-5, 5).map(lambda number: number * MINUTE),
    st.integers(-5, 5).map(lambda number: number * SECOND),
    st.sampled_from([YEAR_1, YEAR_1 + 1, YEAR_9999, YEAR_9999 + 999_999]),
)
READINGS = st.lists(st.tuples(st.integers(1, 3), TIMES, SAID, st.none() | CLOCKS), min_size=1, max_size=12)
STEPS = st.one_of(
    READINGS,
    READINGS,
    st.just("open again"),
    st.just("compact"),
    st.just("bring back"),
    st.tuples(st.integers(1, 3), TIMES, TIMES),
)


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=7))
def test_a_reading_keeps_its_device_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[list[Told] | str | tuple[int, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    path, model = folder / "store.duckdb", Model()
    store = opened(path)
    try:
        for number, step in enumerate(steps):
            if isinstance(step, list):
                store.append(batch_of(step), {"gw": b"%d" % number})
                model.append(step)
            elif isinstance(step, tuple):
                store.delete([step[0]], step[1], step[2])
                model.delete(*step)
            elif step == "compact":
                store.compact(10 * DAY)
            else:
                if step == "bring back":
                    path = brought_back(store, path.parent / str(number))
                store.__exit__(None, None, None)
                store = opened(path)
            assert held(store) == model.held
            newest = {series: max(time for other, time in model.held if other == series) for series, _ in model.held}
            latest = {(row.series.id, row.time): row.device_time for row in store.latest()}
            assert latest == {key: model.held[key][1] for key in newest.items()}
            assert store.count_device_times() == sum(told is not None for _, told in model.held.values())
    finally:
        store.__exit__(None, None, None)


def brought_back(store: DuckDBStore, folder: Path) -> Path:
    folder.mkdir()
    with store.snapshot() as snapshot:
        list(snapshot.export(folder))
    load(folder, folder / "store.duckdb")
    return folder / "store.duckdb"


@pytest.fixture
def store(tmp_path: Path) -> DuckDBStore:
    return opened(tmp_path / "store.duckdb")


def test_steps_have_no_device_time(store: DuckDBStore) -> None:
    store.append(batch_of([(1, 0, (1.0, None, GOOD), 7)]), {})
    assert [row.device_time for row in store.read(1, 0, DAY)] == [7]
    assert [row.device_time for row in store.read(1, 0, DAY, step=HOUR)] == [None]
    store.__exit__(None, None, None)


def test_of_more_readings_than_asked_for_only_the_first_are_looked_up(store: DuckDBStore) -> None:
    store.append(batch_of([(1, at, (1.0, None, GOOD), at + 1) for at in range(20)]), {})
    assert [row.device_time for row in store.read(1, 5, 15, limit=3)] == [6, 7, 8]
    store.__exit__(None, None, None)


def test_a_commit_that_fails_keeps_no_device_time(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[Told] = [(1, SECOND, (1.0, None, GOOD), 7)]

    def fail(*_: object) -> None:
        raise duckdb.IOException("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(statements, "insert_quarantined", fail)
        with pytest.raises(StoreError, match="disk full"):
            store.append(batch_of(readings), {})
    assert (store.count(), store.count_device_times(), store.latest()) == (0, 0, [])
    store.append(batch_of(readings), {})
    assert (store.count_device_times(), store.latest()[0].device_time) == (1, 7)
    store.__exit__(None, None, None)


def test_a_backup_of_the_version_before_has_none(store: DuckDBStore, tmp_path: Path) -> None:
    store.append(batch_of([(1, 0, (1.0, None, GOOD), None)]), {})
    with store.snapshot() as snapshot:
        (tmp_path / "out").mkdir()
        files = [path.relative_to(tmp_path / "out").as_posix() for path in snapshot.export(tmp_path / "out")]
    assert not any(name.startswith("device_time") for name in files)
    store.__exit__(None, None, None)
    meta = tmp_path / "out" / "meta.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE m AS SELECT * FROM '{meta}'")
        connection.execute("UPDATE m SET value = '2' WHERE key = 'version'")
        connection.execute(f"COPY m TO '{meta}' (FORMAT parquet)")
    load(tmp_path / "out", tmp_path / "other.duckdb")
    with DuckDBStore(tmp_path / "other.duckdb") as other:
        assert (other.count(), other.count_device_times()) == (1, 0)
        assert other._rows("SELECT value FROM meta WHERE key = 'version'", {}) == [(str(schema.VERSION),)]


def test_device_times_are_moved_with_their_readings_and_by_what_their_clock_goes(store: DuckDBStore) -> None:
    clocks = {1: MINUTE, 2: SECOND, 3: 1_000}
    told = [
        (series, at * SECOND, (at / 8, None, GOOD), (YEAR_1 + 7 * HOUR + at * (SECOND + 1_000)) // tick * tick)
        for series, tick in clocks.items()
        for at in range(200)
    ]
    # Of one reading it comes when that has been moved already; of another never.
    store.append(batch_of([*told[:-2], (*told[-2][:3], None), (*told[-1][:3], None)]), {})
    assert store.compact(3 * DAY).readings == len(told)
    assert store._rows("SELECT count(*) FROM device_time", {}) == [(0,)]
    assert store._rows("SELECT DISTINCT series, tick FROM packed WHERE told IS NOT NULL ORDER BY 1", {}) == [
        (1, MINUTE),
        (2, SECOND),
        (3, 1000),
    ]
    assert store.append(batch_of([told[-2]]), {}).duplicates == 1
    assert store.append(batch_of([(*told[0][:3], 4711)]), {}).duplicates == 1  # the first stays
    expected: dict[tuple[int, int], tuple[Said, int | None]]
    expected = {reading[:2]: (reading[2], reading[3]) for reading in told}
    expected[told[-1][:2]] = (told[-1][2], None)
    assert held(store) == expected
    assert store.count_device_times() == len(told) - 1
    newest = {row.series.id: row.device_time for row in store.latest()}
    store.__exit__(None, None, None)
    store = opened(store.path)
    assert {row.series.id: row.device_time for row in store.latest()} == newest
    assert newest == {1: told[199][3], 2: told[399][3], 3: None}
    store.__exit__(None, None, None)


def test_a_reading_that_is_moved_while_it_is_read_keeps_its_device_time(
    store: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(batch_of([(1, HOUR, (1.5, None, GOOD), 7)]), {})
    beside = device_time.beside

    def moved(*of: Any) -> Any:
        store.compact(9 * DAY)
        return beside(*of)

    monkeypatch.setattr(device_time, "beside", moved)
    assert [row.device_time for row in store.read(1, 0, DAY)] == [7]
    assert store._rows("SELECT count(*) FROM packed", {}) == [(1,)]


def test_a_backup_of_before_1970_is_brought_back(store: DuckDBStore, tmp_path: Path) -> None:
    store.append(batch_of([(1, day * DAY, (1.5, None, GOOD), 7) for day in (-3, -2, 1)]), {})
    (tmp_path / "copy").mkdir()
    with store.snapshot() as snapshot:
        files = list(snapshot.export(tmp_path / "copy"))
    assert tmp_path / "copy" / "reading" / "-3-00000.parquet" in files
    load(tmp_path / "copy", tmp_path / "back.duckdb")
    back = opened(tmp_path / "back.duckdb")
    assert held(back) == held(store)
    back.__exit__(None, None, None)
