"""The stores that a platform is tried on, each begun empty: its own file, InfluxDB, VictoriaMetrics."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_sim.influxdb import PeerFailed, influxdb
from linli_sim.processes import free_port

_READY_S: Final = 60
_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Engine:
    """A store that is ready.

    Attributes:
        settings: Of the platform that shall keep its readings there.
        url: Of the server; empty where there is none.
    """

    settings: str = ""
    url: str = ""


@contextmanager
def duckdb() -> Iterator[Engine]:
    """The platform's own file: nothing to start, nothing to set."""
    yield Engine()


@contextmanager
def influx() -> Iterator[Engine]:
    """An InfluxDB 1.x."""
    with influxdb() as server:
        server.create("linli")
        yield Engine(f'[store]\nengine = "influxdb"\nurl = "{server.url}"\ndatabase = "linli"\n', server.url)


@contextmanager
def victoria() -> Iterator[Engine]:
    """A VictoriaMetrics."""
    name = "victoria-metrics"
    path = shutil.which(name) or shutil.which(name, path=str(Path(sys.prefix) / "servers" / "usr" / "bin"))
    if path is None:
        raise PeerFailed(f"{name} is not installed: apt install {name}")
    url = f"http://127.0.0.1:{(port := free_port())}"
    with tempfile.TemporaryDirectory(prefix="linli-victoria-") as folder:
        command = [path, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}"]
        command += ["-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms"]
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": folder})  # noqa: S603 - found on PATH
        try:
            _await(server, f"{url}/health")
            yield Engine(f'[store]\nengine = "victoriametrics"\nurl = "{url}"\n', url)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


ENGINES: Final[dict[str, Callable[[], AbstractContextManager[Engine]]]] = {
    "duckdb": duckdb,
    "influxdb": influx,
    "victoriametrics": victoria,
}


def _await(server: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own
                return
        except OSError:
            time.sleep(_LOOK_S)
    raise PeerFailed(f"{url}: not ready within {_READY_S} s")
