"""InfluxDB 1.x as a peer: Debian's ``influxd`` in a folder of its own, and the little of its HTTP that is needed."""

import json
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from linli_sim.database_server import READY_S, PeerFailed, find_program, running
from linli_sim.processes import free_ports

_SETTINGS: Final = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
[monitor]
  store-enabled = false
"""


def program() -> str | None:
    """Return the path of ``influxd``; ``None`` where there is none."""
    return find_program("influxd")


class InfluxDB:
    """A running server.

    Attributes:
        url: Where it listens.
        pid: Its process.
    """

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid

    def query(self, text: str, database: str = "", **parameters: str) -> dict[str, Any]:
        """Return the answer to a query, also one of refusal."""
        answer = self.ask(text, database, **parameters)
        found: dict[str, Any] = json.loads(answer) if answer else {}
        return found

    def ask(self, text: str, database: str = "", **parameters: str) -> bytes:
        """Return the answer to a query as it comes."""
        return self._ask("/query", {"q": text, "db": database, "epoch": "ns", **parameters}, None)

    def create(self, database: str) -> None:
        """Make a database, empty."""
        for statement in (f'DROP DATABASE "{database}"', f'CREATE DATABASE "{database}"'):
            self._ask("/query", {"q": statement}, b"")

    def write(self, database: str, lines: bytes) -> None:
        """Write lines with times in ns."""
        if refused := self._ask("/write", {"db": database, "precision": "ns"}, lines):
            raise PeerFailed(f"influxd refused lines: {refused[:300].decode(errors='replace')}")

    def _ask(self, path: str, parameters: dict[str, str], body: bytes | None) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}", data=body)  # noqa: S310 - our own
        try:
            with urllib.request.urlopen(request, timeout=READY_S) as answer:  # noqa: S310 - our own
                found: bytes = answer.read()
        except urllib.error.HTTPError as exc:
            with exc:
                found = exc.read()
        return found


@contextmanager
def influxdb() -> Iterator[InfluxDB]:
    """Run a server of its own on a free port; :class:`PeerFailed` if it cannot be started."""
    path = program()
    if path is None:
        raise PeerFailed("influxd is not installed: apt install influxdb")
    port, rpc = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="linli-influxdb-") as folder:
        settings = Path(folder) / "influxdb.conf"
        settings.write_text(_SETTINGS.format(folder=folder, port=port, rpc=rpc), "utf-8")
        url = f"http://127.0.0.1:{port}"
        with running([path, "-config", str(settings)], Path(folder), f"{url}/ping") as pid:
            yield InfluxDB(url, pid)
