"""The stores that the contract is held against: each engine's own server, started here, on a free port."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException

from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import Appended, Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.influx import InfluxStore
from linli_platform.store.server import Credentials, Server
from linli_platform.store.victoria import VictoriaStore
from linli_sim.processes import free_port, free_ports

GOOD = quality_code(Quality.GOOD)
UNCERTAIN = quality_code(Quality.UNCERTAIN, Reason.STALE)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)

INFLUX_CONF = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[continuous_queries]
  enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
  auth-enabled = {locked}
"""


@dataclass
class Process:
    """A database server that can be killed and started again."""

    command: Sequence[str]
    url: str
    folder: Path
    health: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)
        while True:
            if self.process.poll() is not None:
                pytest.fail(f"{self.command[0]} did not start: {(self.folder / 'log').read_text()[-2000:]}")
            with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(self.url + self.health):
                return
            time.sleep(0.005)  # a turn for the server: whoever asks without a pause keeps it from starting

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End it; as a power cut does, unless a milder signal is given."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()
            self.process = None


def _program(name: str, package: str) -> str:
    """Return a server's program: the system's, or the one that ``make setup`` unpacked."""
    beside = Path(sys.prefix) / "servers" / "usr" / "bin"
    program = shutil.which(name) or shutil.which(name, path=str(beside))
    if program is None:
        pytest.skip(f"NOTICE: no {name} here, so the contract is not held against it: apt-get install {package}")
    return program


@contextmanager
def influx_server(folder: Path, *, locked: bool = False) -> Iterator[Process]:
    program = _program("influxd", "influxdb")
    port, rpc = free_ports(2)
    settings = INFLUX_CONF.format(folder=folder, port=port, rpc=rpc, locked=str(locked).lower())
    (folder / "influx.conf").write_text(settings)
    server = Process((program, "-config", str(folder / "influx.conf")), f"http://127.0.0.1:{port}", folder, "/ping")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """InfluxDB 1.x, one for all tests; each has a database of its own."""
    with influx_server(tmp_path_factory.mktemp("influxd")) as server:
        yield server


@pytest.fixture
def influx_alone(tmp_path: Path) -> Iterator[Process]:
    """An InfluxDB that a test may kill."""
    (tmp_path / "influxd").mkdir()
    with influx_server(tmp_path / "influxd") as server:
        yield server


@pytest.fixture
def influx_locked(tmp_path: Path) -> Iterator[Process]:
    """An InfluxDB that wants to know who asks."""
    (tmp_path / "influxd").mkdir()
    with influx_server(tmp_path / "influxd", locked=True) as server:
        yield server


@contextmanager
def victoria_server(folder: Path, retention: str = "100y", dedup: str = "1ms") -> Iterator[Process]:
    program = _program("victoria-metrics", "victoria-metrics")
    port = free_port()
    command = (
        program,
        f"-storageDataPath={folder}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-retentionPeriod={retention}",
        f"-dedup.minScrapeInterval={dedup}",
    )
    server = Process(command, f"http://127.0.0.1:{port}", folder, "/health")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """VictoriaMetrics, one for all tests; each has a label of its own."""
    with victoria_server(tmp_path_factory.mktemp("victoria")) as server:
        yield server


@pytest.fixture
def victoria_alone(tmp_path: Path) -> Callable[..., AbstractContextManager[Process]]:
    """Returns a VictoriaMetrics that a test may kill, started with settings of its own."""
    (tmp_path / "victoria").mkdir()
    return partial(victoria_server, tmp_path / "victoria")


Reading = tuple[int, int, float | None, str | None, int]


@dataclass
class Kind:
    """One kind of store, and how to open one: the same one each time, as a platform that is started again does."""

    name: str
    open: Callable[[], DuckDBStore]
    server: Process | None = None


_numbers = iter(range(1, 1_000_000))


def duckdb_kind(_request: pytest.FixtureRequest, folder: Path) -> Kind:
    return Kind("duckdb", lambda: DuckDBStore(folder / "store.duckdb"))


def influx_kind(request: pytest.FixtureRequest, folder: Path) -> Kind:
    server: Process = request.getfixturevalue("influx")
    database = f"linli-{next(_numbers)}"
    return Kind("influxdb", lambda: InfluxStore(folder / "beside.duckdb", Server(server.url), database), server)


def victoria_kind(request: pytest.FixtureRequest, folder: Path) -> Kind:
    server: Process = request.getfixturevalue("victoria")
    database = f"linli-{next(_numbers)}"
    return Kind(
        "victoriametrics", lambda: VictoriaStore(folder / "beside.duckdb", Server(server.url), database), server
    )


def victoria_kept(request: pytest.FixtureRequest, folder: Path) -> Kind:
    """The same, nothing being left in the file: what is read is what the server has."""
    server: Process = request.getfixturevalue("victoria")
    database = f"linli-{next(_numbers)}"

    class Emptied(VictoriaStore):
        def append(self, *arguments: Any, **named: Any) -> Appended:
            appended = super().append(*arguments, **named)
            self._settled = True
            self._sent = deque(replace(item, at=float("-inf")) for item in self._sent)
            self.let_go()
            self._victoria.flush()
            return appended

    return Kind("victoriametrics", lambda: Emptied(folder / "beside.duckdb", Server(server.url), database), server)


def influx_given(_request: pytest.FixtureRequest, folder: Path) -> Kind:
    """An InfluxDB of version 2 or 3 that somebody lends; each test has a bucket of its own, which stays there."""
    url, token, database = (os.environ.get(f"LINLI_TEST_INFLUX_{name}", "") for name in ("URL", "TOKEN", "DATABASE"))
    if not url:
        pytest.skip("NOTICE: no LINLI_TEST_INFLUX_URL, _TOKEN, _DATABASE: not held against InfluxDB 2 or 3")
    org = os.environ.get("LINLI_TEST_INFLUX_ORG", "linli")
    bucket = f"{database}-{os.getpid()}-{next(_numbers)}"
    with InfluxDBClient(url, token, org=org) as client, suppress(ApiException):  # version 3 makes it by itself
        client.buckets_api().create_bucket(bucket_name=bucket, org=org)
    server = Server(url, Credentials(token=token))
    return Kind("influxdb-given", lambda: InfluxStore(folder / "beside.duckdb", server, bucket, org=org))


KINDS: Mapping[str, Callable[[pytest.FixtureRequest, Path], Kind]] = {
    "duckdb": duckdb_kind,
    "influxdb": influx_kind,
    "influxdb-given": influx_given,
    "victoriametrics": victoria_kind,
    "victoriametrics-alone": victoria_kept,
}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    """Each kind of store in turn."""
    return KINDS[request.param](request, tmp_path)


@pytest.fixture
def make_kind(request: pytest.FixtureRequest) -> Callable[[str, Path], Kind]:
    """Returns a new, empty store of a kind."""
    return lambda name, folder: KINDS[name](request, folder)


@pytest.fixture
def store(kind: Kind) -> Iterator[DuckDBStore]:
    """An open store of each kind in turn."""
    with kind.open() as opened:
        yield opened


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """Returns readings (series, time, value, text, quality) as a batch, received at once unless told otherwise."""

    def of(
        readings: Sequence[Reading], received_at: int | None = None, *, device_times: Mapping[int, int] | None = None
    ) -> Batch:
        times = [reading[1] for reading in readings]
        return Batch(
            series=np.array([reading[0] for reading in readings], np.int32),
            time=np.array(times, np.int64),
            value=np.array([np.nan if reading[2] is None else reading[2] for reading in readings], np.float64),
            quality=np.array([reading[4] for reading in readings], np.uint8),
            received_at=max(times, default=0) if received_at is None else received_at,
            texts={number: reading[3] for number, reading in enumerate(readings) if reading[3] is not None},
            device_times=device_times or {},
        )

    return of
