"""The stores that a platform is tried on, each begun empty: its own file, InfluxDB, VictoriaMetrics."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_sim.database_server import PeerFailed, find_program, running
from linli_sim.influxdb import influxdb
from linli_sim.processes import free_port


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
    path = find_program(name)
    if path is None:
        raise PeerFailed(f"{name} is not installed: apt install {name}")
    url = f"http://127.0.0.1:{(port := free_port())}"
    with tempfile.TemporaryDirectory(prefix="linli-victoria-") as folder:
        command = [path, f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}"]
        command += ["-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms"]
        with running(command, Path(folder), f"{url}/health"):
            yield Engine(f'[store]\nengine = "victoriametrics"\nurl = "{url}"\n', url)


ENGINES: Final[dict[str, Callable[[], AbstractContextManager[Engine]]]] = {
    "duckdb": duckdb,
    "influxdb": influx,
    "victoriametrics": victoria,
}
