"""Days that are over are packed, and read as just what they were: bit by bit, whatever a reading holds."""

import struct
import tempfile
from math import isnan
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, SECOND
from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import Batch, schema
from linli_platform.store.duckdb import DuckDBStore

GOOD = quality_code(Quality.GOOD)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)

Said = tuple[float | None, str | None, int]
Readings = dict[tuple[int, int], Said]
"""What is said by series and time."""

float32s = st.floats(width=32, allow_nan=False, allow_infinity=False).map(lambda value: float(str(np.float32(value))))
"""As a gateway sends them: the shortest decimal that names the same float32."""
decimals = st.builds(lambda digits, places: digits / 10**places, st.integers(-(10**6), 10**6), st.integers(0, 6))
odd = st.sampled_from([0.0, -0.0, 5e-324, 1e300, -1e300, 2.0**53 + 2, 2.0**43, 1e15, 0.1 + 0.2, 1 / 3, float("inf")])
values = decimals | float32s | odd | st.floats(allow_nan=False, allow_infinity=False)
said = st.one_of(
    st.tuples(values, st.none(), st.just(GOOD)),
    st.tuples(decimals, st.none(), st.just(GOOD)),
    st.just((None, None, BAD)),
    st.tuples(st.none(), st.text(max_size=3).filter(lambda text: "\0" not in text), st.just(GOOD)),
)
times = st.sampled_from(range(0, DAY, DAY // 40)) | st.integers(-DAY, 2 * DAY)
written = st.lists(
    st.dictionaries(st.tuples(st.integers(1, 6), times), said, min_size=1, max_size=40), min_size=1, max_size=2
)


def batch_of(readings: Readings) -> Batch:
    return Batch(
        series=np.array([series for series, _ in readings], np.int32),
        time=np.array([time for _, time in readings], np.int64),
        value=np.array([np.nan if value is None else value for value, _, _ in readings.values()], np.float64),
        quality=np.array([quality for _, _, quality in readings.values()], np.uint8),
        received_at=0,
        texts={row: text for row, (_, text, _) in enumerate(readings.values()) if text is not None},
    )


def opened(path: Path) -> DuckDBStore:
    store = DuckDBStore(path)
    store.__enter__()
    for number in range(1, 7):
        store.series("gw", f"meter-1/voltage.s{number}")
    return store


def told(store: DuckDBStore) -> Readings:
    """What the store says, in the order of series and time."""
    found = store.scan(range(1, 7), -10 * DAY, 10 * DAY)
    identities = zip(found.series.tolist(), found.time.tolist(), strict=True)
    return {
        identity: (None if isnan(value) else value, found.texts.get(row), quality)
        for row, (identity, value, quality) in enumerate(
            zip(identities, found.value.tolist(), found.quality.tolist(), strict=True)
        )
    }


def bits(readings: Readings) -> list[tuple[tuple[int, int], bytes, str | None, int]]:
    return [
        (identity, b"" if value is None else struct.pack("<d", value), text, quality)
        for identity, (value, text, quality) in sorted(readings.items())
    ]


@settings(max_examples=10, deadline=None)
@given(written)
def test_what_is_packed_is_what_was_said(parts: list[Readings]) -> None:
    """Each part comes when the one before has been packed already: late, or again."""
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder) / "store.duckdb")
        try:
            expected: Readings = {}
            for part in parts:
                before = dict(expected)
                store.append(batch_of(part), {})
                for identity, reading in part.items():
                    held = before.get(identity)
                    if held is None or (held[2] == BAD and reading[2] == GOOD):
                        expected[identity] = reading
                store.compact(10 * DAY)
                assert store.count() == len(expected)
                assert bits(told(store)) == bits(expected)
            rows = store.read(1, -10 * DAY, 10 * DAY)
            of_one = {(1, row.time): (row.value, row.text, row.quality) for row in rows}
            assert bits(of_one) == bits({key: reading for key, reading in expected.items() if key[0] == 1})
            assert store._rows("SELECT count(*) FROM packed", {}) == [(len(expected),)]
            assert store._rows("SELECT count(*) FROM reading", {}) == [(0,)]
        finally:
            store.__exit__(None, None, None)


def day(series: int, at: range, value: float = 230.17) -> Readings:
    return {(series, time): (value + time % 7 / 10, None, GOOD) for time in at}


def test_times_that_series_share_are_written_once(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    polls, own = range(0, DAY, 60 * SECOND), range(7, DAY, 60 * SECOND)
    readings = {**day(1, polls), **day(2, polls), **day(3, own), **day(4, polls)}
    store.append(batch_of(readings), {})
    # In pieces of one series each.
    store.compact(3 * DAY, most=1500)
    assert store._rows("SELECT grid, count(*) FROM stamp GROUP BY 1 ORDER BY 1", {}) == [(1, 1440), (3, 1440)]
    assert told(store) == readings
    # What nobody shares any more goes with the last who did.
    assert store.delete([1, 3], 0, DAY // 2) == 1440
    assert store._rows("SELECT grid, count(*) FROM stamp GROUP BY 1 ORDER BY 1", {}) == [(1, 1440), (3, 720)]
    assert store.delete([2, 4], 0, DAY // 2) == 1440
    assert store._rows("SELECT grid, count(*) FROM stamp GROUP BY 1 ORDER BY 1", {}) == [(1, 720), (3, 720)]
    assert told(store) == {identity: reading for identity, reading in readings.items() if identity[1] >= DAY // 2}
    store.__exit__(None, None, None)


def test_what_a_better_reading_replaces_leaves_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    doubted: Readings = {(series, time): (None, None, BAD) for series in (1, 2) for time in range(100)}
    store.append(batch_of(doubted), {})
    store.compact(3 * DAY)
    store.append(batch_of(day(1, range(10)) | day(2, range(5))), {})
    assert store._rows("SELECT count(*) FROM packed", {}) == [(185,)]
    # Of 100 times five were shared by nobody then.
    assert store._rows("SELECT count(*) FROM stamp", {}) == [(95,)]
    assert told(store) == doubted | day(1, range(10)) | day(2, range(5))
    store.__exit__(None, None, None)


def test_times_that_only_seem_the_same_cost_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path / "store.duckdb")
    run = store._aside.execute
    monkeypatch.setattr(store._aside, "execute", lambda query, _=None: run(query.replace("hash(time)", "7")))
    readings = {**day(1, range(100)), **day(2, range(50, 150)), **day(3, range(99))}
    store.append(batch_of(readings), {})
    # What found no stamp stayed where it was, and was packed for itself the next time.
    assert store.compact(3 * DAY).readings == len(readings) - 50
    assert store.compact(3 * DAY).readings == 50
    assert store._rows("SELECT grid, count(*) FROM stamp GROUP BY 1 ORDER BY 1", {}) == [(1, 100), (2, 50), (3, 99)]
    assert told(store) == readings
    assert store._rows("SELECT count(*) FROM history", {}) == [(0,)]
    store.__exit__(None, None, None)


@pytest.mark.parametrize(("every", "levels"), [(SECOND // 2, 7), (SECOND, 6), (120 * SECOND, 6), (480 * SECOND, 4)])
def test_a_level_is_kept_where_it_saves_reading(tmp_path: Path, every: int, levels: int) -> None:
    store = opened(tmp_path / "store.duckdb")
    at = np.arange(0, DAY, every)
    store.append(Batch(np.ones(len(at), np.int32), at, at / DAY, np.zeros(len(at), np.uint8), 0), {})
    store.compact(3 * DAY)
    assert store._rows("SELECT levels FROM rollup_1d", {}) == [(levels,)]
    assert store._rows("SELECT count(*) FROM rollup_1m", {}) == [(1440 if levels & 1 else 0,)]
    store.__exit__(None, None, None)


def test_what_an_earlier_version_moved_is_packed(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with duckdb.connect(str(path)) as connection:
        for step in schema._STEPS[:3]:
            connection.execute(step)
        connection.execute("INSERT INTO meta VALUES ('version', '3'), ('installation', 'ab'), ('zone', '0')")
        connection.execute("INSERT INTO series VALUES (1, 'gw', 'meter-1', 'meter-1/voltage.s1', 'voltage')")
        # 1970-01-01, a value each minute, a text in between.
        connection.execute("INSERT INTO history SELECT 1, i * 60000000, i / 10, NULL, 0, 719163 FROM range(1440) t(i)")
        connection.execute("INSERT INTO history VALUES (1, 30000000, NULL, 'aus', 0, 719163)")
        connection.execute("INSERT INTO head VALUES (1, 86340000000, 143.9, NULL, 0)")
    readings: Readings = {(1, number * 60 * SECOND): (number / 10, None, GOOD) for number in range(1440)}
    readings[1, 30 * SECOND] = (None, "aus", GOOD)
    store = opened(path)
    assert bits(told(store)) == bits(readings)
    assert store.compact(3 * DAY).readings == 0
    assert store._rows("SELECT count(*) FROM history", {}) == [(0,)]
    assert bits(told(store)) == bits(readings)
    assert store.latest([1])[0].time == 86_340 * SECOND
    assert store._rows("SELECT count(*) FROM stamp", {}) == [(1441,)]
    store.__exit__(None, None, None)


def test_days_fill_whole_groups_of_rows(tmp_path: Path) -> None:
    """DuckDB writes a group that is whole once, and one that is not takes more room for ever."""
    sizes = (
        "SELECT sum(count) FROM pragma_storage_info('packed') WHERE column_name = 'place' AND segment_type = 'BIGINT'"
        " GROUP BY row_group_id ORDER BY row_group_id"
    )
    store = opened(tmp_path / "store.duckdb")
    for number, readings in enumerate((65_000, 75_000)):
        at = number * DAY + np.arange(readings, dtype=np.int64) * SECOND
        for series in (1, 2):
            store.append(Batch(np.full(readings, series, np.int32), at, at / DAY, np.zeros(readings, np.uint8), 0), {})
        words: Readings = {(3, number * DAY + minute * 60 * SECOND): (None, "aus", GOOD) for minute in range(100)}
        store.append(batch_of(words), {})
        store.compact(10 * DAY)
        store.checkpoint()
    # What lacked in the second group was filled with the second day; texts are the last of each.
    assert [size for (size,) in store._rows(sizes, {})] == [122_880, 122_880, 34_440]
    assert store._rows(
        "SELECT min(place), max(place) FROM packed WHERE text IS NOT NULL GROUP BY day ORDER BY 1", {}
    ) == store._rows("SELECT max(place) - 99, max(place) FROM packed GROUP BY day ORDER BY 1", {})
    assert store.count() == store.count_distinct() == 280_200
    store.__exit__(None, None, None)


def test_a_series_with_gaps_has_the_stamps_of_its_device(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    polls = range(0, DAY, 60 * SECOND)
    readings = {**day(1, polls), **day(2, polls)}
    # They came late, or failed now and then; one is of another time.
    gaps: Readings = {(3, time): (1.5, None, GOOD) for time in polls if time % (7 * 60 * SECOND)}
    alone: Readings = {(4, time + time // DAY): (1.5, None, GOOD) for time in (60 * SECOND, 61 * SECOND)}
    for part in (readings, gaps, alone):
        store.append(batch_of(part), {})
        store.compact(3 * DAY)
    assert store._rows("SELECT grid, count(*) FROM stamp GROUP BY 1 ORDER BY 1", {}) == [(1, 1440), (4, 2)]
    assert told(store) == readings | gaps | alone
    store.__exit__(None, None, None)


def test_what_version_5_packed_is_read_beside_what_is_packed_now(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with duckdb.connect(str(path)) as connection:
        for step in schema._STEPS[:5]:
            connection.execute(step)
        connection.execute("INSERT INTO meta VALUES ('version', '5'), ('installation', 'ab'), ('zone', '0')")
        connection.execute("INSERT INTO meta VALUES ('packed:place', '10')")
        connection.execute("INSERT INTO series VALUES (1, 'gw', 'meter-1', 'meter-1/voltage.s1', 'voltage')")
        # Ten readings of 1970-01-01, a second apart, 23.0 to 23.9; a text; what the device's clock said of two.
        connection.execute("INSERT INTO stamp SELECT 719163, 1, i, -1000000, i * 1000000 FROM range(1, 11) t(i)")
        connection.execute(
            "INSERT INTO packed SELECT 1, 719163, 1, i, 0, 200, 29 + i, 10, NULL, 0 FROM range(1, 11) t(i)"
        )
        connection.execute("INSERT INTO history VALUES (1, 500000, NULL, 'aus', 0, 719163)")
        connection.execute("INSERT INTO device_time VALUES (1, 500000, 7), (1, 9000000, 8)")
        connection.execute("INSERT INTO head VALUES (1, 9000000, 23.9, NULL, 0)")
    readings: Readings = {(1, number * SECOND): ((230 + number) / 10, None, GOOD) for number in range(10)}
    readings[1, SECOND // 2] = (None, "aus", GOOD)
    store = opened(path)
    for _ in range(2):
        assert bits(told(store)) == bits(readings)
        times = {row.time: row.device_time for row in store.read(1, 0, DAY)}
        assert {time: told for time, told in times.items() if told is not None} == {SECOND // 2: 7, 9 * SECOND: 8}
        assert store.latest([1])[0].device_time == 8
        assert store.count_device_times() == 2
        late: Readings = {(2, number * SECOND): (1.5, None, GOOD) for number in range(3)}
        store.append(batch_of(late), {})
        readings |= late
        store.compact(3 * DAY)
        assert store._rows("SELECT count(*) FROM history", {}) == [(0,)]
    assert bits(told(store)) == bits(readings)
    store.__exit__(None, None, None)
