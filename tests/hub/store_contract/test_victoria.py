"""VictoriaMetrics as it is in the field: killed before it wrote, started with its defaults, a clock that runs ahead."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.write_precision import WritePrecision

from linli_core.instant import DAY, HOUR, SECOND
from linli_core.model import Quality, quality_code
from linli_platform.store import Batch, SeriesInfo, StoreError, StoreUnavailable, served
from linli_platform.store.influx_lines import encode, key
from linli_platform.store.influx_query import Influx
from linli_platform.store.query import Measure, TooManyReadings, Windows
from linli_platform.store.removal import Retention
from linli_platform.store.server import Credentials, Server
from linli_platform.store.victoria import KEPT_S, LOOK_S, VictoriaStore
from linli_platform.store.victoria_api import duration

GOOD = quality_code(Quality.GOOD)
UNCERTAIN = quality_code(Quality.UNCERTAIN)
BAD = quality_code(Quality.BAD)
NOW = 1_764_000_000_000_000
ALWAYS = (-(2**62), 2**62)
Batches: TypeAlias = Callable[..., Batch]


class Watch:
    """A steady clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def settle(store: VictoriaStore, watch: Watch) -> None:
    """Let the first seconds of the server's run pass: from then on what is old is taken out of the file."""
    watch.now += LOOK_S
    store.let_go()


def in_file(store: VictoriaStore) -> int:
    return len(store._in_file([info.id for info in store.all_series()], *ALWAYS, texts=True))


def test_a_server_killed_before_it_wrote_loses_nothing_that_was_acknowledged(
    victoria_alone: Any, tmp_path: Path, batch: Batches
) -> None:
    watch = Watch()
    with (
        victoria_alone() as server,
        VictoriaStore(tmp_path / "beside.duckdb", Server(server.url), "linli", steady=watch) as store,
    ):
        series = store.series("gw", "a/voltage").id
        rows: list[tuple[int, int, float, None, int]] = []

        def lost() -> int:
            return len(rows) - sum(len(samples.time) for samples in store._victoria.export(store.all_series(), *ALWAYS))

        # It writes them within seconds: where its plug was not pulled sooner, again with others.
        while not rows or not lost():
            first = len(rows)
            rows += [(series, NOW + at * SECOND, float(at), None, GOOD) for at in range(first, first + 500)]
            store.append(batch(rows[first:]), {"gw": b"1"})
            server.stop()
            server.start()
        server.stop()
        late = (series, NOW + len(rows) * SECOND, 9.0, None, GOOD)
        with pytest.raises(StoreUnavailable, match="is the server running"):
            store.append(batch([late]), {"gw": b"2"})
        with pytest.raises(StoreUnavailable, match="is the server running"):
            store.read(series, *ALWAYS)
        assert store.marks() == {"gw": b"1"}
        before = store._started
        server.start()
        while store._victoria.started() == before:  # seconds are all that it says of its beginning
            server.stop()
            server.start()
        assert lost() > 0  # or this test shows nothing
        # It is seen that it began anew, however long ago it was: what it may have lost is handed over again.
        watch.now += 2 * KEPT_S
        assert len(store.append(batch([late]), {"gw": b"2"}).new) == 1
        rows.append(late)
        assert in_file(store) == len(rows)
        settle(store, watch)
        assert in_file(store) == len(rows)
        watch.now += KEPT_S
        store.let_go()
        assert in_file(store) == 0
        store._victoria.flush()
        assert [row.value for row in store.read(series, *ALWAYS)] == [row[2] for row in rows]
        assert store.count() == store.count_distinct() == len(rows)


def test_what_is_fresh_stays_in_the_file_for_a_while_and_texts_for_ever(
    victoria: Any, tmp_path: Path, batch: Batches
) -> None:
    watch = Watch()
    path = tmp_path / "beside.duckdb"
    with VictoriaStore(path, Server(victoria.url), "fresh", steady=watch) as store:
        settle(store, watch)
        series, valve = store.series("gw", "a/voltage").id, store.series("gw", "b/voltage").id
        store.append(batch([(series, NOW, 1.0, None, GOOD), (valve, NOW, None, "open", GOOD)]), {})
        watch.now += KEPT_S / 2
        store.append(batch([(series, NOW + SECOND, 2.0, None, GOOD)]), {})
        assert in_file(store) == 3
        watch.now += KEPT_S / 2
        store.let_go()
        assert in_file(store) == 2
        store._victoria.flush()
        assert [row.value for row in store.read(series, *ALWAYS)] == [1.0, 2.0]
    # A platform that is started again does not know how long ago it was: all is handed over again, and nothing doubled.
    with VictoriaStore(path, Server(victoria.url), "fresh", steady=watch) as store:
        assert in_file(store) == 2
        settle(store, watch)
        watch.now += KEPT_S
        store.append(batch([(valve, NOW + SECOND, None, "shut", GOOD)]), {})
        assert in_file(store) == 2
        store._victoria.flush()
        assert [row.value for row in store.read(series, *ALWAYS)] == [1.0, 2.0]
        assert [row.text for row in store.read(valve, *ALWAYS)] == ["open", "shut"]
        assert store.count() == 4


def test_the_digits_that_the_server_cuts_off_make_no_conflict(victoria: Any, tmp_path: Path, batch: Batches) -> None:
    watch = Watch()
    with VictoriaStore(tmp_path / "beside.duckdb", Server(victoria.url), "digits", steady=watch) as store:
        settle(store, watch)
        series = store.series("gw", "a/voltage").id
        rows = [(series, NOW + second * SECOND, 100 / (second + 3), None, GOOD) for second in range(200)]
        store.append(batch(rows), {})
        watch.now += KEPT_S + LOOK_S
        store.let_go()
        store._victoria.flush()
        kept = [row.value for row in store.read(series, *ALWAYS)]
        offered = [row[2] for row in rows]
        assert kept != offered  # or this test shows nothing
        assert kept == pytest.approx(offered, rel=10.0 ** -(store.capabilities.digits - 1), abs=0)
        again = store.append(batch(rows), {})
        assert (len(again.new), again.duplicates, again.conflicts) == (0, 200, 0)
        assert store.append(batch([(series, NOW, 33.4, None, GOOD)]), {}).conflicts == 1


@pytest.mark.parametrize(
    ("retention", "days", "said"),
    [
        (
            "1",
            0,
            r"after -retentionPeriod=1 .a bare number is months. .* start it with -retentionPeriod=3650d",
        ),
        ("6d", 7, r"start it with -retentionPeriod=7d, or write fewer days in store.retention_days"),
    ],
)
def test_a_server_that_would_forget_too_soon_is_refused(
    victoria_alone: Any, tmp_path: Path, retention: str, days: int, said: str
) -> None:
    path = tmp_path / "beside.duckdb"
    with victoria_alone(retention) as server:
        with pytest.raises(StoreUnavailable, match=said):
            VictoriaStore(path, Server(server.url), "linli", retention=days * DAY).__enter__()
        with VictoriaStore(path, Server(server.url), "linli", retention=DAY) as store:
            assert store.capabilities.expires


def test_a_server_that_would_count_twice_is_refused(victoria_alone: Any, tmp_path: Path) -> None:
    with (
        victoria_alone(dedup="0s") as server,
        pytest.raises(StoreUnavailable, match=r"start it with -dedup\.minScrapeInterval=1ms"),
    ):
        VictoriaStore(tmp_path / "beside.duckdb", Server(server.url), "linli").__enter__()


def test_another_kind_of_server_is_refused(influx: Any, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="is it VictoriaMetrics, single node"):
        VictoriaStore(tmp_path / "beside.duckdb", Server(influx.url), "linli").__enter__()


def test_what_the_server_would_drop_unsaid_is_refused(victoria: Any, tmp_path: Path, batch: Batches) -> None:
    with VictoriaStore(tmp_path / "beside.duckdb", Server(victoria.url), "ahead", clock=lambda: NOW) as store:
        series = store.series("gw", "a/voltage").id
        with pytest.raises(StoreError, match="more than two days ahead"):
            store.append(batch([(series, NOW + 2 * DAY, 1.0, None, GOOD)]), {"gw": b"1"})
        assert store.marks() == {}
        assert len(store.append(batch([(series, NOW + DAY, 1.0, None, GOOD)]), {"gw": b"1"}).new) == 1


def test_a_better_reading_counts_once_with_both_on_the_server(victoria: Any, tmp_path: Path, batch: Batches) -> None:
    watch = Watch()
    path = tmp_path / "beside.duckdb"
    with VictoriaStore(path, Server(victoria.url), "better", steady=watch) as store:
        settle(store, watch)
        series = store.series("gw", "a/voltage").id
        for value, quality in ((7.0, UNCERTAIN), (8.0, GOOD)):
            store.append(batch([(series, NOW, value, None, quality)]), {})
            watch.now += KEPT_S + LOOK_S
            store.let_go()
            store._victoria.flush()
        assert in_file(store) == 0
        assert sum(len(samples.time) for samples in store._victoria.export(store.all_series(), *ALWAYS)) == 2
        assert [(row.value, row.quality) for row in store.read(series, *ALWAYS)] == [(8.0, GOOD)]
        windows = Windows(np.array([NOW, NOW + HOUR], np.int64))
        found = store.steps({series: 0}, windows, frozenset({Measure.COUNT, Measure.SUM}))
        assert found.measures[Measure.SUM].tolist() == [8.0]
        assert store.count_readings(NOW, NOW + 1).readings == {series: (1, 1)}
        assert store.count() == 1
    with VictoriaStore(path, Server(victoria.url), "better", steady=watch) as store:
        assert [(row.value, row.quality) for row in store.latest()] == [(8.0, GOOD)]


def test_texts_go_when_the_time_of_their_server_is_over(victoria: Any, tmp_path: Path, batch: Batches) -> None:
    with VictoriaStore(tmp_path / "beside.duckdb", Server(victoria.url), "texts", retention=30 * DAY) as store:
        series = store.series("gw", "a/text_message").id
        rows = [(series, NOW - 31 * DAY, None, "old", GOOD), (series, NOW, None, "new", GOOD)]
        store.append(batch(rows, device_times={0: 1, 1: 2}), {})
        assert store.retain(NOW, Retention()).readings == 1
        assert [(row.text, row.device_time) for row in store.read(series, *ALWAYS)] == [("new", 2)]
        assert store.count_device_times() == 1


def test_lines_written_by_version_2s_door_arrive_whole(victoria: Any, batch: Batches) -> None:
    """By our own hand and by the unmodified client, which is handed the same lines."""
    infos = {number: SeriesInfo(number, f"door-{number}", "a", "a/voltage", "voltage") for number in (1, 2)}
    for number, info in infos.items():
        rows = [(number, NOW + second * SECOND, 230.5 + second, None, GOOD) for second in range(3)]
        rows.append((number, NOW + 3 * SECOND, 7.0, None, BAD))
        (lines,) = encode(batch(rows), np.arange(4), {number: key(info)})
        with Server(victoria.url, Credentials(token="any")) as server:
            if number == 1:
                Influx(server, "doors", "linli").write(lines)
            else:
                with InfluxDBClient(victoria.url, "any", org="linli") as client:
                    api = client.write_api(write_options=SYNCHRONOUS)
                    api.write("doors", record=lines, write_precision=WritePrecision.US)
            server.call("GET", "/internal/force_flush")
            query = {"match[]": f'{{gateway="door-{number}"}}'}
            found = [json.loads(line) for line in server.lines("GET", "/api/v1/export", query)]
        held = {each["metric"]["__name__"]: (each["values"], each["timestamps"]) for each in found}
        times = [(NOW + second * SECOND) // 1000 for second in range(4)]
        assert held == {
            "voltage_value": ([230.5, 231.5, 232.5], times[:3]),
            "voltage_raw": ([7], times[3:]),
            "voltage_quality": ([GOOD, GOOD, GOOD, BAD], times),
        }
        assert {each["metric"]["point"] for each in found} == {"a/voltage"}


def test_more_windows_than_may_be_are_refused(
    victoria: Any, tmp_path: Path, batch: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VictoriaStore(tmp_path / "beside.duckdb", Server(victoria.url), "windows") as store:
        series = store.series("gw", "a/voltage").id
        store.append(batch([(series, NOW + second * SECOND, 1.5, None, GOOD) for second in range(3)]), {})
        asked = ({series: 0}, Windows(np.arange(NOW, NOW + 5 * SECOND, SECOND)), frozenset({Measure.SUM}))
        monkeypatch.setattr(served, "MOST_STEPS", 3)
        assert store.steps(*asked).window.tolist() == [0, 1, 2]
        monkeypatch.setattr(served, "MOST_STEPS", 2)
        with pytest.raises(TooManyReadings, match="more than 2 windows: ask for a shorter time"):
            store.steps(*asked)


@pytest.mark.parametrize(
    ("text", "days"), [("1", 31), ("100y", 36_500), ("36h", 1.5), ("2w", 14), ("1.5d", 1.5), ("", 0), ("1x", 0)]
)
def test_a_retention_is_read_as_the_server_reads_it(text: str, days: float) -> None:
    assert duration(text) == days * DAY
