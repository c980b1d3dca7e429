"""What every store promises, held against real servers: whatever comes, late, doubled or out of order, is held once."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import (
    Aggregate,
    Batch,
    CannotDelete,
    Deletion,
    EventRow,
    Fence,
    Fenced,
    Quarantined,
    Row,
    StoreError,
    StoreUnavailable,
)
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Measure, TooManyReadings, Windows, steps_of
from linli_platform.store.removal import Retention

GOOD = quality_code(Quality.GOOD)
UNCERTAIN = quality_code(Quality.UNCERTAIN, Reason.STALE)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
UNUSABLE = quality_code(Quality.BAD)
NOW = 1_764_000_000_000_000
"""2025-11-24T16:00:00Z"""

KINDS = ["duckdb", "influxdb", "influxdb-given", "victoriametrics", "victoriametrics-alone"]

Reading: TypeAlias = tuple[int, int, float | None, str | None, int]
Batches: TypeAlias = Callable[..., Batch]
ALWAYS = (-(2**62), 2**62)


def at(second: int) -> int:
    return NOW + second * SECOND


def meters(store: DuckDBStore, *names: str) -> list[int]:
    return [store.series("gw-a", name).id for name in names or ("a/energy_import",)]


def held(store: DuckDBStore) -> dict[tuple[int, int], Reading]:
    """Everything in a store, by single reads."""
    return {
        (info.id, row.time): (info.id, row.time, row.value, row.text, row.quality)
        for info in store.all_series()
        for row in store.read(info.id, *ALWAYS)
    }


# One thing in, the same thing out


ONE_OF_EACH: list[tuple[float | None, str | None, int]] = [
    (0.0, None, GOOD),
    (-0.1, None, GOOD),
    (1e300, None, GOOD),
    (2e-300, None, GOOD),
    (123456789.123456, None, UNCERTAIN),
    (None, None, BAD),
    (230.5, None, BAD),
    (None, "", GOOD),
    (None, "open", GOOD),
    (None, 'quote " backslash \\ end\\', GOOD),
    (None, "two\nlines, 逗号,空 格=\t", UNCERTAIN),
    (None, "text that is BAD", BAD),
    (None, None, UNUSABLE),
]


def test_a_reading_comes_back_as_it_was_before_and_after_a_restart(kind: Any, batch: Batches) -> None:
    names = [f"meter-{number}/energy_import" for number in range(len(ONE_OF_EACH))]
    with kind.open() as store:
        series = meters(store, *names)
        rows = [(number, at(0), *reading) for number, reading in zip(series, ONE_OF_EACH, strict=True)]
        store.append(batch(rows), {})
        assert held(store) == {row[:2]: row for row in rows}
    with kind.open() as store:
        assert held(store) == {row[:2]: row for row in rows}
        assert [(row.series.id, row.time, row.value, row.text, row.quality) for row in store.latest()] == rows
        for number, (_, _, quality) in zip(series, ONE_OF_EACH, strict=True):
            (row,) = store.read(number, *ALWAYS)
            assert (row.count, row.bad) == ((1, 0) if quality < UNUSABLE else (0, 1))


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40))
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(store: DuckDBStore, batch: Batches, text: str) -> None:
    (series,) = meters(store)
    time = max((row.time for row in store.latest()), default=at(0)) + SECOND
    store.append(batch([(series, time, None, text, GOOD)]), {})
    assert [row.text for row in store.read(series, time, time + 1)] == [text]


@pytest.mark.parametrize("number", [float("inf"), float("-inf")])
def test_infinity_is_refused_or_kept_and_never_changed(store: DuckDBStore, batch: Batches, number: float) -> None:
    (series,) = meters(store)
    refused = ""
    try:
        store.append(batch([(series, at(0), number, None, GOOD)]), {"gw": b"1"})
    except StoreError as exc:
        refused = str(exc)
    if refused:
        assert "infinite" in refused
        assert store.read(series, *ALWAYS) == []
        assert store.marks() == {}
    else:
        assert store.read(series, *ALWAYS)[0].value == number


# Identity: the same again, late, out of order


class Model:
    """What a store should hold, by the rule of ADR 0007: better quality replaces, otherwise the first stays."""

    def __init__(self, *, replaces: bool) -> None:
        self.held: dict[tuple[int, int], Reading] = {}
        self._replaces = replaces

    def append(self, readings: list[Reading]) -> set[tuple[int, int]]:
        changed = set()
        best: dict[tuple[int, int], Reading] = {}
        for reading in readings:
            before = best.get(reading[:2])
            if before is None or reading[4] // 64 < before[4] // 64:
                best[reading[:2]] = reading
        for key, reading in best.items():
            before = self.held.get(key)
            if before is None or (self._replaces and reading[4] // 64 < before[4] // 64):
                self.held[key] = reading
                changed.add(key)
        return changed


READING = st.one_of(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 12),
        st.sampled_from([None, 0.0, 1.5]),
        st.none(),
        st.sampled_from([GOOD, BAD, UNCERTAIN]),
    ),
    st.tuples(st.integers(1, 3), st.integers(0, 12), st.none(), st.sampled_from(["open", "12"]), st.just(GOOD)),
)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(READING, max_size=12), min_size=1, max_size=5), reopen=st.integers(0, 4))
def test_a_store_holds_what_a_dict_holds(
    tmp_path_factory: pytest.TempPathFactory,
    make_kind: Callable[[str, Path], Any],
    batch: Batches,
    name: str,
    batches: list[list[Reading]],
    reopen: int,
) -> None:
    kind = make_kind(name, tmp_path_factory.mktemp("store"))
    store = kind.open().__enter__()
    model = Model(replaces=store.capabilities.replaces)
    names = ("a/energy_import", "b/energy_import", "c/temperature")
    try:
        for number, coming in enumerate(batches):
            readings: list[Reading] = [(series, at(second), *rest) for series, second, *rest in coming]  # type: ignore[misc]
            if number == reopen:
                store.__exit__(None, None, None)
                store = kind.open().__enter__()
            meters(store, *names)
            changed = model.append(readings)
            appended = store.append(batch(readings), {"gw": b"%d" % number})
            assert {readings[row][:2] for row in appended.new.tolist()} == changed
            assert len(appended.new) + appended.duplicates + appended.conflicts == len(readings)
            assert store.marks() == {"gw": b"%d" % number}
        assert held(store) == model.held
        assert store.count() == store.count_distinct() == len(model.held)
        newest = {series: max(time for other, time in model.held if other == series) for series, _ in model.held}
        assert {(row.series.id, row.time, row.value, row.text, row.quality) for row in store.latest()} == {
            model.held[series, time] for series, time in newest.items()
        }
    finally:
        store.__exit__(None, None, None)


def test_a_backlog_that_fills_an_outage_out_of_order_is_held_once(store: DuckDBStore, batch: Batches) -> None:
    (series,) = meters(store)
    rows: list[Reading] = [(series, at(second), float(second), None, GOOD) for second in range(101)]
    store.append(batch(rows[:11]), {})
    store.append(batch(rows[100:]), {})
    assert len(store.append(batch(rows[11:61]), {}).new) == 50
    assert store.append(batch(rows[11:61]), {}).duplicates == 50
    assert len(store.append(batch(rows[:10:-1]), {}).new) == 39
    assert store.count() == store.count_distinct() == 101
    assert [row.time for row in store.latest()] == [at(100)]
    assert [row.value for row in store.read(series, *ALWAYS)] == [float(second) for second in range(101)]


def test_a_better_reading_leaves_nothing_of_the_worse_one(store: DuckDBStore, batch: Batches) -> None:
    (series,) = meters(store)
    store.append(batch([(series, at(0), 7.0, None, BAD), (series, at(1), 8.0, None, UNCERTAIN)]), {})
    again = store.append(batch([(series, at(0), None, "open", GOOD), (series, at(1), None, None, BAD)]), {})
    if not store.capabilities.replaces:
        assert (len(again.new), again.conflicts) == (0, 2)
        return
    assert (again.new.tolist(), again.conflicts) == ([0], 1)
    assert [(row.value, row.text, row.quality) for row in store.read(series, *ALWAYS)] == [
        (None, "open", GOOD),
        (8.0, None, UNCERTAIN),
    ]
    found = store.scan([series], at(0), at(1))
    assert np.isnan(found.value[0])
    assert found.texts == {0: "open"}


def test_latest_is_by_observation_and_knows_when_it_came(kind: Any, batch: Batches) -> None:
    with kind.open() as store:
        one, other = meters(store, "a/energy_import", "b/energy_import")
        store.append(batch([(one, at(10), 10.0, None, GOOD), (other, at(3), None, None, BAD)], at(11)), {})
        store.append(batch([(one, at(5), 5.0, None, GOOD)], at(99)), {})
        assert [(row.time, row.value, row.received_at) for row in store.latest()] == [
            (at(10), 10.0, at(11)),
            (at(3), None, at(11)),
        ]
    with kind.open() as store:
        assert [(row.series.id, row.time, row.value, row.quality) for row in store.latest()] == [
            (one, at(10), 10.0, GOOD),
            (other, at(3), None, BAD),
        ]
        assert [row.series.id for row in store.latest([other, 99])] == [other]


def test_a_reading_keeps_what_its_devices_clock_said_and_no_others(kind: Any, batch: Batches) -> None:
    with kind.open() as store:
        one, two = meters(store, "a/energy_import", "b/energy_import")
        rows: list[Reading] = [(one, at(second), float(second), None, GOOD) for second in range(3)]
        rows += [(two, at(0), None, None, UNUSABLE), (two, at(1), None, "open", GOOD)]
        store.append(batch(rows, device_times={0: at(-7), 2: -5, 3: 1, 4: 0}), {})
        # Again, as a gateway that missed the ack sends them: what was known stays, what was not is filled in.
        again = store.append(batch(rows, device_times={0: 99, 1: at(-6)}), {})
        assert (len(again.new), again.duplicates, again.conflicts) == (0, 5, 0)
        store.append(batch([(one, at(2), 9.0, None, GOOD)], device_times={0: 99}), {})
        wanted = {(one, at(0)): at(-7), (one, at(1)): at(-6), (one, at(2)): -5, (two, at(0)): 1, (two, at(1)): 0}
        if store.capabilities.replaces:
            store.append(batch([(two, at(0), 4.0, None, GOOD)]), {})
            del wanted[two, at(0)]
        assert said_by_devices(store) == wanted
        assert store.count_device_times() == len(wanted)
        assert [row.device_time for row in store.latest()] == [-5, 0]
        assert [row.device_time for row in store.read(one, at(0), at(3), step=SECOND)] == [None] * 3
    with kind.open() as store:
        assert said_by_devices(store) == wanted
        assert [row.device_time for row in store.latest()] == [-5, 0]
        if store.capabilities.deletion is not Deletion.RANGE:
            return
        assert store.delete([one], at(1), at(3)) == 2
        assert [row.device_time for row in store.latest()] == [at(-7), 0]
        # What comes again after it was taken out has nothing of what was there.
        store.append(batch(rows[:3]), {})
        assert [row.device_time for row in store.read(one, *ALWAYS)] == [at(-7), None, None]


def said_by_devices(store: DuckDBStore) -> dict[tuple[int, int], int]:
    return {
        (info.id, row.time): row.device_time
        for info in store.all_series()
        for row in store.read(info.id, *ALWAYS)
        if row.device_time is not None
    }


def test_times_are_kept_to_the_declared_resolution(store: DuckDBStore, batch: Batches) -> None:
    (series,) = meters(store)
    store.append(batch([(series, at(0) + offset, float(offset), None, GOOD) for offset in (1, 2, 1001)]), {})
    resolution = store.capabilities.resolution
    times = sorted({(at(0) + offset) // resolution * resolution for offset in (1, 2, 1001)})
    assert [row.time for row in store.read(series, *ALWAYS)] == times


# Devices and series


def test_two_gateways_with_one_point_name_are_two_series(kind: Any, batch: Batches) -> None:
    name = "meter-1/energy_import.t1"
    with kind.open() as store:
        first, other = store.series("gw-a", name), store.series("gw-b", name)
        assert first.id != other.id
        store.append(batch([(first.id, at(1), 1.0, None, GOOD), (other.id, at(1), 2.0, None, GOOD)]), {})
        with pytest.raises(ValueError, match="is no point name"):
            store.series("gw-a", "meter 1")
    with kind.open() as store:
        assert store.all_series() == [first, other]
        assert (store.find("gw-b", name), store.find("gw-c", name), store.get(99)) == (other, None, None)
        assert [row.value for row in store.read(other.id, *ALWAYS)] == [2.0]


def test_a_swapped_device_is_a_series_of_its_own_and_the_old_one_stays(store: DuckDBStore, batch: Batches) -> None:
    old, new = meters(store, "meter-1/energy_import", "meter-1b/energy_import")
    store.append(batch([(old, at(minute * 60), 9_000.0 + minute, None, GOOD) for minute in range(5)]), {})
    store.append(batch([(new, at(300 + minute * 60), float(minute), None, GOOD) for minute in range(5)]), {})
    assert [row.value for row in store.read(old, *ALWAYS)] == [9_000.0 + minute for minute in range(5)]
    windows = Windows(np.array([at(0), at(300), at(600)], np.int64))
    found = store.steps({old: 1, new: 2}, windows, frozenset({Measure.FIRST, Measure.LAST}))
    assert found.group.tolist() == [1, 2]
    assert found.window.tolist() == [0, 1]
    use = found.measures[Measure.LAST] - found.measures[Measure.FIRST]
    assert use.tolist() == [4.0, 4.0]


# Asking


def test_bad_readings_are_told_apart_and_never_averaged(store: DuckDBStore, batch: Batches) -> None:
    (series,) = meters(store, "a/temperature")
    store.append(
        batch(
            [
                (series, at(0), 2.0, None, GOOD),
                (series, at(1), 4.0, None, UNCERTAIN),
                (series, at(2), None, None, BAD),
                (series, at(3), 1000.0, None, BAD),
                (series, at(10), None, None, BAD),
                (series, at(20), 7.0, None, GOOD),
            ]
        ),
        {},
    )
    assert store.read(series, at(0), at(30), step=10 * SECOND) == [
        Row(at(0), 3.0, None, GOOD, 2, 2),
        Row(at(10), None, None, BAD, 0, 1),
        Row(at(20), 7.0, None, GOOD, 1, 0),
    ]
    wanted: Mapping[Aggregate, float] = {
        Aggregate.MINIMUM: 2.0,
        Aggregate.MAXIMUM: 4.0,
        Aggregate.SUM: 6.0,
        Aggregate.COUNT: 2.0,
        Aggregate.FIRST: 2.0,
        Aggregate.LAST: 4.0,
    }
    for aggregate, value in wanted.items():
        assert store.read(series, at(0), at(5), step=10 * SECOND, aggregate=aggregate)[0].value == value
    assert store.read(series, at(10), at(11), step=10 * SECOND, aggregate=Aggregate.COUNT)[0].value == 0.0
    assert [row.time for row in store.read(series, at(1), at(20), limit=2)] == [at(1), at(2)]
    assert [row.time for row in store.read(series, at(0), at(30), step=10 * SECOND, limit=2)] == [at(0), at(10)]
    with pytest.raises(ValueError, match="needs a step"):
        store.read(series, at(0), at(5), aggregate=Aggregate.LAST)
    with pytest.raises(ValueError, match="longer than nothing"):
        store.read(series, at(0), at(5), step=0)


def test_a_gap_is_nothing_at_all(store: DuckDBStore, batch: Batches) -> None:
    (series,) = meters(store)
    store.append(batch([(series, at(0), 1.0, None, GOOD), (series, at(3 * 3600), 2.0, None, GOOD)]), {})
    assert [row.time for row in store.read(series, at(0), at(86_400), step=HOUR)] == [at(0), at(3 * 3600)]
    windows = Windows(np.arange(at(0), at(0) + 5 * HOUR, HOUR, dtype=np.int64))
    found = store.steps({series: 0}, windows, frozenset({Measure.SUM}))
    assert (found.window.tolist(), found.measures[Measure.SUM].tolist()) == ([0, 3], [1.0, 2.0])


def test_a_scan_is_by_series_as_asked_then_by_time(store: DuckDBStore, batch: Batches) -> None:
    one, two, three = meters(store, "a/voltage", "b/voltage", "c/temperature")
    store.append(
        batch(
            [
                (one, at(5), 1.0, None, GOOD),
                (one, at(3), 2.0, None, GOOD),
                (two, at(4), None, None, BAD),
                (three, at(4), 9.0, None, GOOD),
                (three, at(6), None, "x", GOOD),
            ]
        ),
        {},
    )
    found = store.scan([three, two, one], at(3), at(6))
    assert found.series.tolist() == [three, two, one, one]
    assert found.time.tolist() == [at(4), at(4), at(3), at(5)]
    assert np.isnan(found.value[1])
    assert found.quality.tolist() == [GOOD, BAD, GOOD, GOOD]
    assert store.scan([three], at(4), at(9)).texts == {1: "x"}
    assert store.scan([three], at(4), at(9), texts=False).texts == {}
    assert (
        len(store.scan([], at(0), at(9))) == len(store.scan([one], at(9), at(9))) == len(store.scan([99], *ALWAYS)) == 0
    )
    assert len(store.scan([one, two, three], *ALWAYS, limit=5)) == 5
    with pytest.raises(TooManyReadings, match="more than 4 readings"):
        store.scan([one, two, three], *ALWAYS, limit=4)
    bad = store.scan([three, two, one], *ALWAYS, least=BAD, limit=1)
    assert (bad.series.tolist(), bad.time.tolist(), bad.quality.tolist()) == ([two], [at(4)], [BAD])
    with pytest.raises(TooManyReadings, match="more than 0 readings"):
        store.scan([two], *ALWAYS, least=BAD, limit=0)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [("Europe/Berlin", "2025-03-30", 23), ("Europe/Berlin", "2025-10-26", 25), ("Asia/Shanghai", "2025-10-26", 24)],
)
def test_days_are_as_long_as_they_are(store: DuckDBStore, batch: Batches, zone: str, day: str, hours: int) -> None:
    (series,) = meters(store)
    middle = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    noon = [middle.replace(day=middle.day + offset) for offset in (-2, -1, 0, 1)]
    edges = np.array([int(moment.timestamp()) * SECOND for moment in noon], np.int64)
    assert int(edges[3] - edges[2]) == hours * HOUR
    times = np.arange(int(edges[0]), int(edges[3]) + 2 * HOUR, HOUR)
    store.append(batch([(series, time, 1.0, None, GOOD) for time in times.tolist()]), {})
    found = store.steps({series: 5}, Windows(edges), frozenset({Measure.SUM, Measure.COUNT}))
    assert found.group.tolist() == [5, 5, 5]
    assert found.window.tolist() == [0, 1, 2]
    assert found.measures[Measure.SUM].tolist() == [24.0, 24.0, float(hours)]


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    readings=st.lists(
        st.tuples(
            st.integers(1, 4),
            st.integers(-5, 40),
            st.one_of(st.none(), st.integers(-3, 3).map(float)),
            st.none(),
            st.sampled_from([GOOD, BAD, UNCERTAIN]),
        ),
        max_size=60,
        unique_by=lambda reading: reading[:2],
    ),
    groups=st.dictionaries(st.integers(1, 4), st.integers(0, 2), min_size=1),
    edges=st.lists(st.integers(-5, 40), min_size=2, max_size=8, unique=True).map(sorted),
    wanted=st.sets(st.sampled_from(list(Measure)), min_size=1),
)
@pytest.mark.parametrize("name", KINDS)
def test_steps_are_what_a_scan_comes_to(
    tmp_path_factory: pytest.TempPathFactory,
    make_kind: Callable[[str, Path], Any],
    batch: Batches,
    name: str,
    readings: list[Reading],
    groups: dict[int, int],
    edges: list[int],
    wanted: set[Measure],
) -> None:
    with make_kind(name, tmp_path_factory.mktemp("steps")).open() as store:
        meters(store, "a/voltage", "b/voltage", "c/voltage", "d/temperature")
        store.append(batch([(series, at(second), *rest) for series, second, *rest in readings]), {})
        windows = Windows(np.array([at(second) for second in edges], np.int64))
        # Of two series of one group the first and last value of an instant is either's.
        asked = frozenset(
            wanted if len(set(groups.values())) == len(groups) else wanted - {Measure.FIRST, Measure.LAST}
        )
        found = store.steps(groups, windows, asked)
        by_hand = steps_of(store.scan(sorted(groups), *ALWAYS), groups, windows, asked, UNUSABLE)
    assert found.group.tolist() == by_hand.group.tolist()
    assert found.window.tolist() == by_hand.window.tolist()
    assert {measure: values.tolist() for measure, values in found.measures.items()} == {
        measure: values.tolist() for measure, values in by_hand.measures.items()
    }


def test_a_day_is_counted_and_late_readings_are_told(store: DuckDBStore, batch: Batches) -> None:
    one, two = meters(store, "a/voltage", "b/temperature")
    day = NOW // DAY * DAY
    store.append(
        batch([(one, day, 1.0, None, GOOD), (one, day + MINUTE, None, None, BAD), (two, day - 1, 1.0, None, GOOD)]), {}
    )
    store.append(batch([(two, day + 2 * MINUTE, 1.0, None, UNCERTAIN)], day + 3 * HOUR), {})
    assert store.late_days() == [day]
    counts = store.count_readings(day, day + DAY)
    assert counts.readings == {one: (2, 1), two: (1, 0)}
    store.complete(day, day + DAY, {one: 4, two: None}, counts, at(0))
    assert store.late_days() == []
    done = store.completeness([one, two], day, day + DAY)
    assert [(item.series, item.completeness.received, item.completeness.late) for item in done] == [
        (one, 2, 0),
        (two, 1, 1),
    ]
    assert store.newest_complete() == day


# Taking out


def test_a_range_of_a_series_is_taken_out_for_good(kind: Any, batch: Batches) -> None:
    with kind.open() as store:
        one, two = meters(store, "a/voltage", "b/voltage")
        rows: list[Reading] = [
            (series, at(second), float(second), None, GOOD) for series in (one, two) for second in range(10)
        ]
        store.append(batch(rows), {})
        if store.capabilities.deletion is not Deletion.RANGE:
            with pytest.raises(CannotDelete):
                store.delete([one], at(4), at(20))
            assert store.count() == 20
            return
        assert store.delete([one, 99], at(4), at(20)) == 6
        assert store.delete([one], at(4), at(20)) == 0
        assert [row.time for row in store.read(one, *ALWAYS)] == [at(second) for second in range(4)]
        assert [(row.series.id, row.time, row.value) for row in store.latest()] == [
            (one, at(3), 3.0),
            (two, at(9), 9.0),
        ]
        assert store.count() == store.count_distinct() == 14
    with kind.open() as store:
        assert [row.time for row in store.latest()] == [at(3), at(9)]
        # What was taken out may come again: it is new, and it is the newest.
        assert store.append(batch([(one, at(6), 6.5, None, GOOD)]), {}).new.tolist() == [0]
        assert store.read(one, at(4), at(9)) == [Row(at(6), 6.5, None, GOOD, 1, 0)]


def test_a_whole_series_is_taken_out(store: DuckDBStore, batch: Batches) -> None:
    one, two = meters(store, "a/voltage", "b/voltage")
    store.append(
        batch([(one, at(0), 1.0, None, GOOD), (one, at(1), None, "x", GOOD), (two, at(0), 2.0, None, GOOD)]), {}
    )
    if store.capabilities.deletion is Deletion.NONE:
        with pytest.raises(CannotDelete):
            store.delete([one], *ALWAYS)
        return
    assert store.delete([one], *ALWAYS) == 2
    assert store.count() == 1
    assert [row.series.id for row in store.latest()] == [two]
    assert store.append(batch([(one, at(0), 5.0, None, GOOD)]), {}).new.tolist() == [0]
    assert [row.value for row in store.read(one, *ALWAYS)] == [5.0]


# What is no reading


def test_what_is_kept_of_days_that_are_over_is_what_is_declared(store: DuckDBStore, batch: Batches) -> None:
    (series,) = meters(store, "a/temperature")
    begin = at(0) // DAY * DAY - 3 * DAY
    rows: list[Reading] = [(series, begin + quarter * 15 * MINUTE, 20.0, None, GOOD) for quarter in range(2 * 96)]
    store.append(batch(rows), {})
    moved = store.compact(at(0)).readings
    gone = store.retain(at(0), Retention(gauge=1))
    windows = Windows(np.array([begin, begin + DAY, begin + 2 * DAY], np.int64))
    found = store.steps({series: 0}, windows, frozenset({Measure.COUNT}))
    assert found.measures[Measure.COUNT].tolist() == [96, 96]
    if store.capabilities.rollups:
        assert (moved, gone.readings, store.count()) == (192, 192, 0)
        assert found.rollup > 0
    else:
        assert (moved, gone.readings, store.count()) == (0, 0, 192)
        assert found.rollup == 0


def test_marks_events_quarantine_and_fences_outlive_the_process(kind: Any, batch: Batches) -> None:
    event = EventRow("gw", "1", at(5), "linli.device.silent", "meter-1", "{}", at(6))
    with kind.open() as store:
        series = meters(store)[0]
        first = store.append(
            batch([(series, at(0), 1.0, None, GOOD)]),
            {"gw": b"one", "account:gw": b"two"},
            events=[event, event],
            quarantined=[Quarantined("gw", "e", 7, "malformed", b"\x00\xff", at(6))],
        )
        assert first.events == (0,)
        store.fence(Fence("all", 4))
        assert store.is_exclusive
    with kind.open() as store:
        assert store.marks() == {"gw": b"one", "account:gw": b"two"}
        assert store.events(at(0), at(9)) == [event]
        (kept,) = store.quarantine()
        assert (kept.seq, kept.payload) == (7, b"\x00\xff")
        assert store.discard(kept.number)
        assert store.fenced("all") == 4
        with pytest.raises(Fenced):
            store.append(batch([(series, at(1), 1.0, None, GOOD)]), {"gw": b"three"}, fence=Fence("all", 3))
        assert store.marks()["gw"] == b"one"
        assert store.count() == 1
        store.probe()
        assert store.count() == 1
        assert store.append(batch([]), {"gw": b"four"}).new.tolist() == []


def test_a_store_that_is_not_open_says_so(kind: Any) -> None:
    with pytest.raises(StoreUnavailable, match="is not open"):
        kind.open().count()
