"""Rollups: whatever was moved, came late or was replaced, an answer from them is what the readings come to."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.model import Quality, Reason, quality_code
from linli_core.wire import event as wire_event
from linli_core.wire.event import Event
from linli_platform.ingest.decode import MessageDecoder
from linli_platform.ingest.intake import event_row
from linli_platform.ingest.settings import Limits
from linli_platform.store import Aggregate, Batch, EventRow, Row, rollup
from linli_platform.store.aside import GaveWay
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Measure, Windows, steps_of

GOOD = quality_code(Quality.GOOD)
UNCERTAIN = quality_code(Quality.UNCERTAIN)
BAD = quality_code(Quality.BAD)
RESET = quality_code(Quality.UNCERTAIN, Reason.REGISTER_RESET)
BERLIN = ZoneInfo("Europe/Berlin")
KOLKATA = ZoneInfo("Asia/Kolkata")
SPRING = 1_774_738_800 * SECOND
"""2026-03-28T23:00Z: a day of 23 hours begins in Berlin."""

Reading = tuple[int, int, float | None, int]


@pytest.fixture(scope="module", autouse=True)
def minutes_of_fewer_readings() -> Iterator[None]:
    """Keep minutes of what is read every 8 s: days that are worth it by right have a hundred thousand readings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rollup.WORTH, MINUTE, 7)
        yield


def batch_of(readings: list[Reading]) -> Batch:
    return Batch(
        series=np.array([reading[0] for reading in readings], np.int32),
        time=np.array([reading[1] for reading in readings], np.int64),
        value=np.array([np.nan if reading[2] is None else reading[2] for reading in readings], np.float64),
        quality=np.array([reading[3] for reading in readings], np.uint8),
        received_at=0,
    )


def course(series: int, start: int, end: int, every: int, *, of: int = 17) -> list[Reading]:
    """A course of whole numbers, now and then doubtful or BAD: sums of them are exact in any order."""
    qualities = (GOOD, GOOD, UNCERTAIN, GOOD, BAD, GOOD, GOOD)
    return [
        (series, time, float(number * 7 % of), qualities[number % len(qualities)])
        for number, time in enumerate(range(start, end, every))
    ]


def opened(path: Path, zone: ZoneInfo = BERLIN) -> DuckDBStore:
    store = DuckDBStore(path, zone=zone).__enter__()
    for name in ("a/voltage", "b/voltage", "c/energy_import", "d/temperature"):
        store.series("gw", name)
    return store


EVERY = st.sampled_from([8 * SECOND, 50 * SECOND, 7 * MINUTE, 3 * HOUR])
EDGES = st.one_of(
    st.tuples(st.sampled_from([MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * SECOND]), st.integers(0, 99)),
    st.tuples(st.just(0), st.integers(0, 99)),
)


def windows_of(kind: tuple[int, int]) -> Windows:
    step, ragged = kind
    start, end = SPRING - DAY + ragged * 13 * SECOND * (ragged % 3), SPRING + 2 * DAY + ragged * 11 * SECOND
    if step:
        step = max(step, 10 * MINUTE) if ragged % 2 and step > 7 * SECOND else step
        if step < MINUTE:
            end = start + 2 * HOUR
        inner = np.arange(-(-(start + 1) // step) * step, end, step, dtype=np.int64)
    else:
        # Days by the clock of Berlin, one of them of 23 hours.
        inner = np.array([SPRING, SPRING + 23 * HOUR, SPRING + 47 * HOUR], np.int64)
    return Windows(np.unique(np.r_[start, inner, end]))


def compare(store: DuckDBStore, groups: dict[int, int], windows: Windows) -> int:
    wanted = frozenset(Measure)
    found = store.steps(groups, windows, wanted)
    scan = store.scan(sorted(groups), int(windows.edges[0]), int(windows.edges[-1]))
    by_hand = steps_of(scan, groups, windows, wanted, BAD)
    assert found.group.tolist() == by_hand.group.tolist()
    assert found.window.tolist() == by_hand.window.tolist()
    for measure, values in by_hand.measures.items():
        assert found.measures[measure].tolist() == values.tolist(), measure
    return found.rollup


@settings(max_examples=8, deadline=None)
@given(
    every=st.tuples(EVERY, EVERY, EVERY),
    late=st.lists(
        st.tuples(st.integers(1, 3), st.integers(-24 * 60, 48 * 60), st.sampled_from([GOOD, BAD])), max_size=9
    ),
    replaced=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), max_size=4),
    kinds=st.lists(EDGES, min_size=1, max_size=4),
    zone=st.sampled_from([BERLIN, KOLKATA]),
)
def test_steps_from_rollups_are_what_the_readings_come_to(
    tmp_path_factory: pytest.TempPathFactory,
    every: tuple[int, int, int],
    late: list[tuple[int, int, int]],
    replaced: list[tuple[int, int]],
    kinds: list[tuple[int, int]],
    zone: ZoneInfo,
) -> None:
    store = opened(tmp_path_factory.mktemp("store") / "store.duckdb", zone)
    try:
        for series, interval in enumerate(every, 1):
            store.append(batch_of(course(series, SPRING - DAY, SPRING + 2 * DAY, interval)), {})
        store.compact(SPRING + DAY + 12 * HOUR)
        if late:
            store.append(batch_of([(series, SPRING + at * MINUTE + 1, 3.0, code) for series, at, code in late]), {})
        if replaced:
            # The fifth of each seven is BAD: a better one of the same instant takes its place in history.
            places = [(series, SPRING - DAY + every[series - 1] * (4 + 7 * number)) for series, number in replaced]
            store.append(batch_of([(series, at, 100.0, GOOD) for series, at in sorted(set(places))]), {})
        for kind in kinds:
            compare(store, {1: 0, 2: 1, 3: 2}, windows_of(kind))
        store.compact(SPRING + 2 * DAY)
        for kind in kinds:
            compare(store, {1: 0, 2: 1, 3: 2}, windows_of(kind))
    finally:
        store.__exit__(None, None, None)


def test_each_level_is_used_where_it_fits(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        store.append(batch_of(course(1, SPRING - DAY, SPRING + 2 * DAY, 5 * SECOND)), {})
        store.compact(SPRING + 9 * DAY)
        groups = {1: 0}
        used = {}
        for step in (7 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR):
            edges = np.arange(SPRING // step * step, SPRING + 12 * HOUR, step, dtype=np.int64)
            used[step] = compare(store, groups, Windows(edges))
        assert used == {
            7 * SECOND: 0,
            MINUTE: MINUTE,
            5 * MINUTE: MINUTE,
            15 * MINUTE: 15 * MINUTE,
            HOUR: HOUR,
            6 * HOUR: HOUR,
        }
        days = np.array([SPRING - DAY, SPRING, SPRING + 23 * HOUR, SPRING + 47 * HOUR], np.int64)
        assert compare(store, groups, Windows(days)) == DAY
        # Days of another zone are put together from hours.
        assert compare(store, groups, Windows(days + HOUR)) == HOUR
        assert compare(store, groups, Windows(days[:-1] + HOUR)) == HOUR
    finally:
        store.__exit__(None, None, None)


def test_what_is_rare_has_days_only(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        store.append(batch_of(course(1, SPRING, SPRING + 2 * DAY, 3 * HOUR)), {})
        store.append(batch_of(course(2, SPRING, SPRING + 2 * DAY, MINUTE)), {})
        store.compact(SPRING + 9 * DAY)
        rows = {table: store._rows(f"SELECT series, count(*) FROM {table} GROUP BY 1", {}) for table in rollup.ALL}
        assert rows["rollup_1m"] == []
        assert [series for series, _ in rows["rollup_15m"]] == [2]
        assert [series for series, _ in rows["rollup_1h"]] == [2]
        assert sorted(series for series, _ in rows["rollup_1d"]) == [1, 2]
        edges = np.arange(SPRING, SPRING + DAY, 15 * MINUTE, dtype=np.int64)
        assert compare(store, {1: 0, 2: 1}, Windows(edges)) == 15 * MINUTE
    finally:
        store.__exit__(None, None, None)


def test_steps_of_one_series_say_what_is_bad(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        readings = course(1, SPRING, SPRING + DAY, 20 * SECOND)
        hour = [(1, time, None, quality_code(Quality.BAD, Reason.STALE)) for _, time, _, _ in readings[180:360]]
        store.append(batch_of(readings[:180] + hour + readings[360:]), {})
        arguments = [
            (step, aggregate, start)
            for step in (MINUTE, 15 * MINUTE, HOUR, 2 * HOUR, 1_234_567)
            for aggregate in Aggregate
            for start in (SPRING, SPRING + 61 * MINUTE + 1)
        ]

        def answers() -> list[list[Row]]:
            return [
                store.read(1, start, SPRING + 20 * HOUR, step=step, aggregate=aggregate)
                for step, aggregate, start in arguments
            ]

        before = answers()
        assert {row.rollup for rows in before for row in rows} == {0}
        assert store.compact(SPRING + 9 * DAY).readings == len(readings)
        after = answers()
        assert [[replace(row, rollup=0) for row in rows] for rows in after] == before
        used = {step: [row.rollup for row in rows] for (step, _, start), rows in zip(arguments, after, strict=True)}
        # From 61 minutes on: what the first window lacks of a whole one comes from readings.
        assert used[HOUR] == [0] + [HOUR] * 18
        assert used[15 * MINUTE][0] == 0
        assert set(used[15 * MINUTE][1:]) == {15 * MINUTE}
        assert set(used[1_234_567]) == {0}
    finally:
        store.__exit__(None, None, None)


def day_row(store: DuckDBStore, series: int, columns: str) -> tuple[object, ...]:
    rows = store._rows(f"SELECT {columns} FROM rollup_1d WHERE series = {series}", {})
    assert len(rows) == 1
    return tuple(rows[0])


def test_use_is_what_a_register_rose_and_no_reset_or_swap(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        doubtful = [(4, 5.0, RESET), (5, 6.0, RESET)]
        values = [(0, 100.0, GOOD), (1, 130.0, GOOD), (2, 150.0, UNCERTAIN), (3, None, BAD), *doubtful]
        # The reset is believed at last: from 7 on, nothing is booked for what lies between 150 and 7.
        values += [(6, 7.0, GOOD), (7, 10.0, GOOD), (8, 12.0, GOOD)]
        # Another meter hangs there from half past eight on: it showed 900 when it came.
        values += [(9, 901.0, GOOD), (10, 905.0, GOOD)]
        store.append(batch_of([(3, SPRING + hour * HOUR, value, code) for hour, value, code in values]), {})
        store.compact(SPRING + 9 * DAY)
        assert day_row(store, 3, "used, count, bad") == (50 + 5 + 889 + 4, 10, 1)
        # Recorded nine days later, as a gateway says it and the platform keeps it.
        data: dict[str, object] = {"noticed_by": "operator", "swapped_at": "2026-03-29T07:30:00Z"}
        said = wire_event.encode(Event("1", rollup.SWAPPED, "linli/gw", SPRING + 9 * DAY, "c", data))
        decoded = MessageDecoder(Limits()).event(wire_event.stamp(said, "e", 1), "gw", SPRING + 9 * DAY)
        event = event_row("gw", decoded, 0)
        store.append(batch_of([]), {}, events=[event])
        assert day_row(store, 3, "used, count, bad") == (50 + 5 + 4, 10, 1)
        # Told first, moved afterwards: it is the same.
        store.append(batch_of([(3, SPRING + 11 * HOUR, 906.0, GOOD)]), {})
        store.compact(SPRING + 9 * DAY)
        assert day_row(store, 3, "used, count, bad") == (50 + 5 + 5, 11, 1)
        assert day_row(store, 3, "first, last, coalesce(trusted_first, first), coalesce(trusted_last, last)") == (
            100,
            906,
            100,
            906,
        )
    finally:
        store.__exit__(None, None, None)


def test_what_is_doubtful_at_an_end_is_no_end_of_use(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        values = [(0, 5.0, RESET), (1, 100.0, GOOD), (2, 110.0, GOOD), (3, 1.0, RESET)]
        store.append(batch_of([(3, SPRING + hour * HOUR, value, code) for hour, value, code in values]), {})
        store.append(batch_of([(1, SPRING, 5.0, GOOD)]), {})
        store.compact(SPRING + 9 * DAY)
        assert day_row(store, 3, "first, last, trusted_first, trusted_last, used") == (5, 1, 100, 110, 10)
        assert day_row(store, 1, "used, trusted_first") == (None, None)
    finally:
        store.__exit__(None, None, None)


def test_a_value_counts_for_as_long_as_it_was_held(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        # 10 for 3 hours, 40 for 1 hour, nothing for 2, 7 for 6 hours.
        values = [(0, 10.0, GOOD), (3, 40.0, GOOD), (4, None, BAD), (6, 7.0, GOOD), (12, 0.0, GOOD)]
        store.append(batch_of([(4, SPRING + hour * HOUR, value, code) for hour, value, code in values]), {})
        store.compact(SPRING + 9 * DAY)
        assert day_row(store, 4, "integral, covered") == ((30 + 40 + 42) * HOUR, 10 * HOUR)
    finally:
        store.__exit__(None, None, None)


def test_the_hours_of_a_day_cover_what_the_day_does(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        store.append(batch_of(course(4, SPRING + 3 * SECOND, SPRING + 23 * HOUR, 61 * SECOND)), {})
        store.compact(SPRING + 9 * DAY)
        day = day_row(store, 4, "integral, covered, count, bad, sum")
        held: dict[str, float] = defaultdict(float)
        for table in ("rollup_15m", "rollup_1h"):
            total = "sum(integral), sum(covered), sum(count), sum(bad), sum(sum)"
            assert store._rows(f"SELECT {total} FROM {table}", {}) == [day]
            held[table] = day[0] / day[1]  # type: ignore[operator]
        assert 0 < held["rollup_1h"] < 17
    finally:
        store.__exit__(None, None, None)


def test_days_are_sorted_by_series_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        for series in (1, 2, 3):
            store.append(batch_of(course(series, SPRING, SPRING + 5 * DAY, HOUR)), {})
        days = Windows(np.arange(SPRING - HOUR, SPRING + 5 * DAY, DAY, dtype=np.int64))
        order = "SELECT series, day FROM rollup_1d ORDER BY rowid"
        store.compact(SPRING + 3 * DAY)
        assert store._rows(order, {}) != sorted(store._rows(order, {}))
        before = store._rows("FROM rollup_1d ORDER BY ALL", {})
        compare(store, {1: 0, 2: 1, 3: 2}, days)
        monkeypatch.setattr(rollup, "SORTS", len(before))
        store.compact(SPRING + 3 * DAY, most=len(before) // 2)
        assert store._rows(order, {}) == sorted(store._rows(order, {}))
        assert store._rows("FROM rollup_1d ORDER BY ALL", {}) == before
        compare(store, {1: 0, 2: 1, 3: 2}, days)
        compare(store, {2: 7}, days)
        # What came since is little: it is not worth it yet.
        store.compact(SPRING + 4 * DAY)
        assert store._rows(order, {}) != sorted(store._rows(order, {}))
        monkeypatch.setattr(rollup, "SORTS", 1)
        store.stop_upkeep()
        store.compact(SPRING + 4 * DAY)
        assert store._rows(order, {}) != sorted(store._rows(order, {}))
    finally:
        store.__exit__(None, None, None)


def test_a_swap_that_is_told_while_its_day_is_moved_is_known_to_what_that_comes_to(tmp_path: Path) -> None:
    store = opened(tmp_path / "store.duckdb")
    try:
        shown = [100.0, 110.0, 900.0, 905.0]
        store.append(batch_of([(3, SPRING + hour * HOUR, value, GOOD) for hour, value in enumerate(shown)]), {})
        run, told = store._aside.execute, False

        def execute(query: str, values: Any = None) -> list[tuple[Any, ...]]:
            nonlocal told
            if "TEMP TABLE kept" in query and not told:  # by now it has looked which meter each reading is of
                told = True
                event = EventRow("gw", "1", SPRING + 2 * HOUR, rollup.SWAPPED, "c", "{}", 0)
                store.append(batch_of([]), {}, events=[event])
            return run(query, values)

        store._aside.execute = execute  # type: ignore[method-assign]
        with pytest.raises(GaveWay):
            store.compact(SPRING + 9 * DAY)
        store.compact(SPRING + 9 * DAY)
        assert day_row(store, 3, "used") == (10 + 5,)
    finally:
        store.__exit__(None, None, None)
