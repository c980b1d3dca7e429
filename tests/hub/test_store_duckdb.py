"""The store against a dict: whatever comes, late, doubled or out of order, each identity is held once."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY
from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import (
    QUARANTINE_BYTES,
    Aggregate,
    Batch,
    EventRow,
    Quarantined,
    Row,
    StoreUnavailable,
    schema,
)
from linli_platform.store.duckdb import DuckDBStore

GOOD = quality_code(Quality.GOOD)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
NOW = 1_700_000_000_000_000

Reading = tuple[int, int, float | None, str | None, int]


def batch_of(readings: list[Reading]) -> Batch:
    return Batch(
        series=np.array([reading[0] for reading in readings], np.int32),
        time=np.array([reading[1] for reading in readings], np.int64),
        value=np.array([np.nan if reading[2] is None else reading[2] for reading in readings], np.float64),
        quality=np.array([reading[4] for reading in readings], np.uint8),
        received_at=NOW,
        texts={number: reading[3] for number, reading in enumerate(readings) if reading[3] is not None},
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "store.duckdb") as opened:
        yield opened


READING = st.one_of(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 12),
        st.sampled_from([None, 0.0, 1.5]),
        st.none(),
        st.sampled_from([GOOD, BAD, quality_code(Quality.UNCERTAIN)]),
    ),
    st.tuples(st.integers(1, 3), st.integers(0, 12), st.none(), st.sampled_from(["open", "12"]), st.just(GOOD)),
)


class Model:
    """What the store should hold, by the rule of docs/adr/0007: better quality replaces, otherwise the first stays."""

    def __init__(self) -> None:
        self.held: dict[tuple[int, int], Reading] = {}

    def append(self, readings: list[Reading]) -> set[tuple[int, int]]:
        changed = set()
        for reading in readings:
            key = reading[:2]
            held = self.held.get(key)
            if held is None or reading[4] // 64 < held[4] // 64:
                self.held[key] = reading
                changed.add(key)
        return changed


@settings(max_examples=60, deadline=None)
@given(batches=st.lists(st.lists(READING, max_size=12), min_size=1, max_size=6), reopen=st.integers(0, 5))
def test_the_store_holds_what_a_dict_holds(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Reading]], reopen: int
) -> None:
    path = tmp_path_factory.mktemp("store") / "store.duckdb"
    model = Model()
    store = DuckDBStore(path)
    store.__enter__()
    try:
        for name in ("a", "b", "c"):
            store.series("gw", f"{name}/energy_import")
        for number, readings in enumerate(batches):
            if number == reopen:
                store.__exit__(None, None, None)
                store = DuckDBStore(path)
                store.__enter__()
                for name in ("a", "b", "c"):
                    store.series("gw", f"{name}/energy_import")
            changed = model.append(readings)
            appended = store.append(batch_of(readings), {"gw": b"%d" % number})
            assert {readings[row][:2] for row in appended.new.tolist()} == changed
            assert len(appended.new) + appended.duplicates + appended.conflicts == len(readings)
            assert store.marks() == {"gw": b"%d" % number}
        rows = {
            (series, row.time): (series, row.time, row.value, row.text, row.quality)
            for series in (1, 2, 3)
            for row in store.read(series, 0, 100)
        }
        assert rows == model.held
        assert store.count() == store.count_distinct() == len(model.held)
        newest = {series: max(time for other, time in model.held if other == series) for series, _ in model.held}
        assert {(row.series.id, row.time, row.value, row.text, row.quality) for row in store.latest()} == {
            model.held[series, time] for series, time in newest.items()
        }
    finally:
        store.__exit__(None, None, None)


def test_late_readings_that_fill_an_outage_are_told_from_doubles(store: DuckDBStore) -> None:
    series = store.series("gw", "a/energy_import").id
    backlog: list[Reading] = [(series, time, float(time), None, GOOD) for time in range(11, 100)]
    store.append(batch_of([(series, time, float(time), None, GOOD) for time in range(11)]), {})
    store.append(batch_of([(series, 100, 100.0, None, GOOD)]), {})
    assert len(store.append(batch_of(backlog[:50]), {}).new) == 50
    assert store.append(batch_of(backlog[:50]), {}).duplicates == 50
    assert len(store.append(batch_of(backlog), {}).new) == 39
    assert store.count() == store.count_distinct() == 101
    assert [row.time for row in store.latest()] == [100]


def test_series_are_numbered_once_and_survive(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with DuckDBStore(path) as store:
        first = store.series("gw-a", "meter-1/energy_import.t1")
        assert store.series("gw-a", "meter-1/energy_import.t1") is first
        assert (first.device, first.quantity) == ("meter-1", "energy_import")
        other = store.series("gw-b", "meter-1/energy_import.t1")
        assert other.id != first.id
        store.append(batch_of([(first.id, 1, 1.0, None, GOOD), (other.id, 1, 2.0, None, GOOD)]), {})
        with pytest.raises(ValueError, match="is no point name"):
            store.series("gw-a", "meter 1")
    with DuckDBStore(path) as store:
        assert store.all_series() == [first, other]
        assert store.find("gw-b", "meter-1/energy_import.t1") == other
        assert store.find("gw-c", "meter-1/energy_import.t1") is None
        assert store.get(99) is None
        latest = store.latest([other.id, 99])
        assert [(row.series, row.value, row.received_at) for row in latest] == [(other, 2.0, None)]


def test_bad_readings_are_told_apart_and_never_averaged(store: DuckDBStore) -> None:
    series = store.series("gw", "a/temperature").id
    store.append(
        batch_of(
            [
                (series, 0, 2.0, None, GOOD),
                (series, 1, 4.0, None, quality_code(Quality.UNCERTAIN, Reason.STALE)),
                (series, 2, None, None, BAD),
                (series, 3, 1000.0, None, BAD),
                (series, 10, None, None, BAD),
                (series, 20, 7.0, None, GOOD),
            ]
        ),
        {},
    )
    assert store.read(series, 0, 30, step=10) == [
        Row(0, 3.0, None, GOOD, 2, 2),
        Row(10, None, None, BAD, 0, 1),
        Row(20, 7.0, None, GOOD, 1, 0),
    ]
    wanted: dict[Aggregate, Any] = {
        Aggregate.MINIMUM: 2.0,
        Aggregate.MAXIMUM: 4.0,
        Aggregate.SUM: 6.0,
        Aggregate.COUNT: 2.0,
        Aggregate.FIRST: 2.0,
        Aggregate.LAST: 4.0,
    }
    for aggregate, value in wanted.items():
        assert store.read(series, 0, 5, step=10, aggregate=aggregate)[0].value == value
    assert [row.time for row in store.read(series, 1, 20, limit=2)] == [1, 2]
    with pytest.raises(ValueError, match="needs a step"):
        store.read(series, 0, 5, aggregate=Aggregate.LAST)
    with pytest.raises(ValueError, match="longer than nothing"):
        store.read(series, 0, 5, step=0)


def test_events_are_stored_once(store: DuckDBStore) -> None:
    event = EventRow("gw", "1", 5, "linli.device.silent", "meter-1", "{}", NOW)
    nothing = batch_of([])
    assert store.append(nothing, {}, events=[event]).events == (0,)
    other = EventRow("gw", "2", 6, "linli.device.back", "meter-1", "{}", NOW)
    assert store.append(nothing, {"gw": b"2"}, events=[event, other, other]).events == (1,)
    assert store.events(0, 10) == [other, event]
    assert store.events(0, 6, gateways=["gw"]) == [event]
    assert store.events(0, 6, gateways=["gx", "gz"]) == []
    assert store.events(0, 10, types=["linli.device.b", "linli.link."]) == [other]
    assert store.events(0, 10, types=["linli.device.", "linli.device.silent"], gateways=["gx", "gw"]) == [other, event]
    assert store.events(0, 10, types=[]) == []
    assert sorted(store.event_sorts()) == [
        ("gw", "linli.device.back", "meter-1"),
        ("gw", "linli.device.silent", "meter-1"),
    ]


def test_the_quarantine_is_bounded(store: DuckDBStore) -> None:
    items = [Quarantined("gw", "e", number, "malformed", b"x" * 20_000, NOW) for number in range(600)]
    for _ in range(2):
        store.append(batch_of([]), {}, quarantined=items)
    kept = store.quarantine(limit=5_000)
    assert len(kept) == 1000
    assert kept[0].seq == 599
    assert len(kept[0].payload) == 20_000
    large = Quarantined("gw", "e", 1, "malformed", b"x" * (QUARANTINE_BYTES // 3), NOW)
    for _ in range(4):
        store.append(batch_of([]), {}, quarantined=[large])
    assert len(store.quarantine()) == 3
    assert store.quarantine(gateway="gx") == []


def test_a_second_process_is_told_why(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    program = (
        "import sys; from pathlib import Path; from linli_platform.store.duckdb import DuckDBStore\n"
        "from linli_platform.store import StoreUnavailable\n"
        "try:\n    DuckDBStore(Path(sys.argv[1])).__enter__()\nexcept StoreUnavailable as exc:\n    print(exc)\n"
    )
    with DuckDBStore(path):
        answer = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert "is another linli-platform running on this data folder?" in answer.stdout


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with DuckDBStore(path) as store:
        store._connected().execute("UPDATE meta SET value = ? WHERE key = 'version'", [str(schema.VERSION + 1)])
    with pytest.raises(StoreUnavailable, match="install the newer linli"):
        DuckDBStore(path).__enter__()


def test_marks_are_folded_and_the_newest_stays(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_platform.store.duckdb._FOLD_AFTER", 3)
    for number in range(10):
        store.append(batch_of([]), {"gw": b"%d" % number, f"gw-{number % 2}": b"x%d" % number})
    assert store.marks() == {"gw": b"9", "gw-0": b"x8", "gw-1": b"x9"}
    assert store._connected().execute("SELECT count(*) FROM mark_journal").fetchall()[0][0] < 3


def test_marks_are_folded_before_they_come_to_much(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_platform.store.duckdb._FOLD_BYTES", 300)
    for number in range(10):
        store.append(batch_of([]), {f"gw-{number % 2}": b"%d" % number * 100})
    assert store.marks() == {"gw-0": b"8" * 100, "gw-1": b"9" * 100}
    assert store._connected().execute("SELECT count(*) FROM mark_journal").fetchall()[0][0] < 3


def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "store.duckdb")
    with pytest.raises(StoreUnavailable, match="is not open"):
        store.count()


@pytest.mark.parametrize("left", [0, 3])
def test_what_is_deleted_of_days_that_were_moved_is_gone_after_a_restart_too(tmp_path: Path, left: int) -> None:
    path = tmp_path / "store.duckdb"
    with DuckDBStore(path) as store:
        series = store.series("gw", "a/voltage").id
        store.append(batch_of([(series, NOW + time, float(time), None, GOOD) for time in range(6)]), {})
        assert store.compact(NOW + 3 * DAY).readings == 6
        store.append(batch_of([(series, NOW + 6, 6.0, None, GOOD)]), {})
        assert store.delete([series], NOW + left, NOW + 99) == 7 - left
        assert [row.time for row in store.latest()] == ([NOW + left - 1] if left else [])
    with DuckDBStore(path) as store:
        assert store.count() == left
        assert [row.time for row in store.latest()] == ([NOW + left - 1] if left else [])
