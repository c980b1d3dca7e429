"""InfluxDB as it is in the field: away, killed, full of other people's data, behind a password."""

import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from linli_core.instant import DAY, HOUR, SECOND
from linli_core.model import Quality, quality_code
from linli_platform.store import Batch, StoreError, StoreUnavailable, influx_query
from linli_platform.store.influx import InfluxStore
from linli_platform.store.query import Measure, TooManyReadings, Windows
from linli_platform.store.server import Credentials, Server

GOOD = quality_code(Quality.GOOD)
NOW = 1_764_000_000_000_000
ALWAYS = (-(2**62), 2**62)
Batches: TypeAlias = Callable[..., Batch]


def ask(url: str, query: str, **more: str) -> str:
    body = urllib.parse.urlencode({"q": query, **more}).encode()
    with urllib.request.urlopen(url + "/query", body) as answer:
        said: str = answer.read().decode()
    return said


def line(url: str, database: str, text: str) -> None:
    urllib.request.urlopen(f"{url}/write?db={database}&precision=u", text.encode()).close()


def test_a_server_that_is_away_keeps_nothing_and_loses_nothing(
    influx_alone: Any, tmp_path: Path, batch: Batches
) -> None:
    with InfluxStore(tmp_path / "beside.duckdb", Server(influx_alone.url), "linli") as store:
        series = store.series("gw", "a/voltage").id
        store.append(batch([(series, NOW, 1.0, None, GOOD)]), {"gw": b"1"})
        influx_alone.stop()
        with pytest.raises(StoreUnavailable, match=r"no answer \(NewConnectionError\); is the server running\?"):
            store.append(batch([(series, NOW + 1, 2.0, None, GOOD)]), {"gw": b"2"})
        with pytest.raises(StoreUnavailable, match="is the server running"):
            store.read(series, *ALWAYS)
        with pytest.raises(StoreUnavailable, match="is the server running"):
            store.probe()
        assert store.marks() == {"gw": b"1"}
        assert [row.time for row in store.latest()] == [NOW]
        store.mark_broken()  # and now of all times the file beside must be opened again
        with pytest.raises(StoreUnavailable, match="is the server running"):
            store.append(batch([(series, NOW + 1, 2.0, None, GOOD)]), {"gw": b"2"})
        influx_alone.start()
        assert store.append(batch([(series, NOW + 1, 2.0, None, GOOD)]), {"gw": b"2"}).new.tolist() == [0]
        # The server was killed, not stopped: what it had said it had, it has.
        assert [row.value for row in store.read(series, *ALWAYS)] == [1.0, 2.0]


def test_a_server_that_is_away_at_the_start_is_told_and_the_file_is_free_again(tmp_path: Path, free_port: Any) -> None:
    path = tmp_path / "beside.duckdb"
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="is the server running"):
            InfluxStore(path, Server(f"http://127.0.0.1:{free_port()}"), "linli").__enter__()


class Unheard(Server):
    """A server that does as it is told, but whose answers to writes do not arrive."""

    lost = False

    def call(self, method: str, path: str, *more: Any, **named: Any) -> bytes:
        answer = super().call(method, path, *more, **named)
        if self.lost and path == "/write":
            raise StoreUnavailable("no answer")
        return answer


def test_what_an_unheard_write_brought_is_still_new_when_it_is_written_again(
    influx: Any, tmp_path: Path, batch: Batches
) -> None:
    server = Unheard(influx.url)
    with InfluxStore(tmp_path / "beside.duckdb", server, "unheard") as store:
        series = store.series("gw", "a/voltage").id
        store.append(batch([(series, NOW + 9, 9.0, None, GOOD), (series, NOW + 2, 2.0, None, GOOD)]), {})
        mixed = [(series, NOW + time, float(time), None, GOOD) for time in (1, 2, 9, 10)]
        server.lost = True
        with pytest.raises(StoreUnavailable):
            store.append(batch(mixed), {"gw": b"1"})
        assert store.marks() == {}
        server.lost = False
        # Rows 0 and 3 are on the server already, but nobody was told of them.
        appended = store.append(batch(mixed), {"gw": b"1"})
        assert (appended.new.tolist(), appended.duplicates) == ([0, 3], 2)
        assert store.append(batch(mixed), {}).duplicates == 4
        assert store.count() == 4


WRITER = """
import os, sys
from pathlib import Path
import numpy as np
from linli_platform.store import Batch
from linli_platform.store.influx import InfluxStore
from linli_platform.store.server import Server

class Mortal(InfluxStore):
    def _send(self, connection, batch, rows):
        super()._send(connection, batch, rows)
        if batch.received_at == int(sys.argv[3]):
            os._exit(9)

with Mortal(Path(sys.argv[1]), Server(sys.argv[2]), "killed") as store:
    series = store.series("gw", "a/voltage").id
    for number in range(int(store.marks().get("gw", b"-1")) + 1, 9):
        time = number * 10 + np.arange(10, dtype=np.int64)
        ids, good = np.full(10, series, np.int32), np.zeros(10, np.uint8)
        store.append(Batch(ids, time, time.astype(np.float64), good, number), {"gw": b"%d" % number})
"""


def test_a_platform_killed_between_store_and_mark_writes_again_and_doubles_nothing(influx: Any, tmp_path: Path) -> None:
    path = tmp_path / "beside.duckdb"
    for fatal in (0, 3, 8, 99):
        done = subprocess.run([sys.executable, "-c", WRITER, path, influx.url, str(fatal)], check=False)
        assert done.returncode == (9 if fatal < 9 else 0)
        with InfluxStore(path, Server(influx.url), "killed") as store:
            if fatal == 0:
                assert store.marks() == {}  # nor is the series known; the next start knows it under the same name
                assert store.latest() == []
            else:
                assert store.marks() == {"gw": b"%d" % min(8, fatal - 1)}
                assert [row.time for row in store.latest()] == [min(8, fatal) * 10 + 9]
                assert store.count() == min(9, fatal + 1) * 10


def test_what_is_older_than_the_server_keeps_is_stored_and_gone(influx: Any, tmp_path: Path, batch: Batches) -> None:
    now = int(time.time()) * SECOND
    with InfluxStore(tmp_path / "beside.duckdb", Server(influx.url), "short", retention=30 * DAY) as store:
        assert store.capabilities.expires
        series = store.series("gw", "a/voltage").id
        rows = [(series, now - 60 * DAY, 1.0, None, GOOD), (series, now - HOUR, 2.0, None, GOOD)]
        assert len(store.append(batch(rows), {"gw": b"1"}).new) == 2
        assert [row.value for row in store.read(series, *ALWAYS)] == [2.0]
    with InfluxStore(tmp_path / "other.duckdb", Server(influx.url), "short") as store:
        assert not store.capabilities.expires
    assert '"autogen","0s","168h0m0s",1,true' in ask(influx.url, "SHOW RETENTION POLICIES ON short")


def test_a_field_of_another_type_is_named(influx: Any, tmp_path: Path, batch: Batches) -> None:
    with InfluxStore(tmp_path / "beside.duckdb", Server(influx.url), "foreign") as store:
        line(influx.url, "foreign", f"voltage,gateway=x,point=y value=1i,quality=0i {NOW}")
        series = store.series("gw", "a/voltage").id
        with pytest.raises(
            StoreError, match=r'it refuses .400: .*input field "value" on measurement "voltage" is type'
        ):
            store.append(batch([(series, NOW, 1.0, None, GOOD)]), {"gw": b"1"})
        assert store.marks() == {}
        other = store.series("gw", "a/temperature").id
        assert len(store.append(batch([(other, NOW, 1.0, None, GOOD)]), {"gw": b"1"}).new) == 1


def test_lines_of_others_in_the_database_are_not_ours(influx: Any, tmp_path: Path, batch: Batches) -> None:
    path = tmp_path / "beside.duckdb"
    with InfluxStore(path, Server(influx.url), "shared") as store:
        series = store.series("gw", "a/voltage").id
        store.append(batch([(series, NOW, 1.0, None, GOOD)]), {})
        line(influx.url, "shared", f"cpu,host=x usage=1 {NOW}\nvoltage,gateway=gw,point=a/voltage value=7 {NOW + 5}")
    with InfluxStore(path, Server(influx.url), "shared") as store:
        assert [(row.time, row.value) for row in store.latest()] == [(NOW, 1.0)]
        assert [row.value for row in store.read(series, *ALWAYS)] == [1.0]
        assert store.count_readings(NOW, NOW + 10).readings == {series: (1, 1)}


def test_a_password_lets_us_in_and_is_never_shown(influx_locked: Any, tmp_path: Path) -> None:
    path = tmp_path / "beside.duckdb"
    ask(influx_locked.url, "CREATE USER ming WITH PASSWORD 's3cret' WITH ALL PRIVILEGES")
    for credentials in (Credentials(), Credentials("ming", "guessed")):
        with pytest.raises(StoreUnavailable, match=r"it does not let us in .401.*; correct the user or token") as told:
            InfluxStore(path, Server(influx_locked.url, credentials), "linli").__enter__()
        assert "guessed" not in str(told.value) + repr(credentials)
    with InfluxStore(path, Server(influx_locked.url, Credentials("ming", "s3cret")), "linli") as store:
        assert store.count() == 0


def test_a_database_that_was_there_and_is_gone_is_not_made_anew_in_silence(
    influx: Any, tmp_path: Path, batch: Batches
) -> None:
    path = tmp_path / "beside.duckdb"
    with InfluxStore(path, Server(influx.url), "gone") as store:
        series = store.series("gw", "a/voltage").id
        store.append(batch([(series, NOW, 1.0, None, GOOD)]), {"gw": b"1"})
    ask(influx.url, "DROP DATABASE gone")
    said = 'database "gone" is not there any more; correct .store. url, .* make it: CREATE DATABASE "gone"'
    with pytest.raises(StoreUnavailable, match=said):
        InfluxStore(path, Server(influx.url), "gone").__enter__()
    ask(influx.url, "CREATE DATABASE gone")
    with InfluxStore(path, Server(influx.url), "gone") as store:
        assert (store.latest(), store.marks()) == ([], {"gw": b"1"})


def test_a_name_that_would_break_out_of_a_query_does_not(influx: Any, tmp_path: Path, batch: Batches) -> None:
    with InfluxStore(tmp_path / "beside.duckdb", Server(influx.url), "names") as store:
        series = [store.series(gateway, "a/voltage").id for gateway in ("x", "x' OR 'a' = 'a", "x, y=z")]
        store.append(batch([(number, NOW, float(number), None, GOOD) for number in series]), {})
        for number in series:
            assert [row.value for row in store.read(number, *ALWAYS)] == [float(number)]
        assert {row.series.id for row in store.latest()} == set(series)
        with pytest.raises(StoreError, match="a backslash or a line break"):
            store.append(batch([(store.series("x\\", "a/voltage").id, NOW, 1.0, None, GOOD)]), {})


def test_more_windows_than_may_be_are_not_brought_to_memory(influx: Any, tmp_path: Path, batch: Batches) -> None:
    server = Server(influx.url)
    with InfluxStore(tmp_path / "beside.duckdb", server, "windows") as store:
        infos = {info.id: info for info in (store.series("gw", f"{name}/voltage") for name in "ab")}
        rows = [(number, NOW + second * SECOND, 1.5, None, GOOD) for number in infos for second in range(3)]
        store.append(batch(rows), {})
        windows = Windows(np.arange(NOW, NOW + 5 * SECOND, SECOND))
        asked = (influx_query.Influx(server, "windows"), infos, {1: 0, 2: 4}, windows, frozenset({Measure.SUM}))
        found = influx_query.steps(*asked, most=6)
        assert found is not None
        assert (found.group.tolist(), found.window.tolist()) == ([0, 0, 0, 4, 4, 4], [0, 1, 2, 0, 1, 2])
        assert found.measures[Measure.SUM].tolist() == [1.5] * 6
        with pytest.raises(TooManyReadings, match="more than 5 windows: ask for a shorter time"):
            influx_query.steps(*asked, most=5)
