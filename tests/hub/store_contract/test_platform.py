"""A whole platform on each engine: the same lines in, the same answers out; a server that is away loses nothing."""

import hashlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.hub.store_contract.conftest import Process
from tests.hub.test_service import PlatformProcess

from linli_core.errors import ConfigError
from linli_platform.config import check, load

AT = 1_764_000_000
SECRET = "a secret of this test alone"
AUTHORIZED = {"Authorization": f"Token {SECRET}"}
POWER = [
    f"active_power,device=d{device} value={100 * device + minute} {AT + 60 * minute}"
    for device in (1, 2)
    for minute in range(60)
]
WARMTH = [f"temperature,device=d1 value={minute % 7}.5 {AT + 60 * minute}" for minute in range(0, 60, 5)]
LINES = "\n".join([*POWER, *WARMTH]).encode()
HOUR = f"time >= {AT}s AND time < {AT + 3600}s"
ASKED = (
    f"SELECT mean(value), min(value), max(value) FROM active_power WHERE {HOUR} GROUP BY time(15m), device",
    f"SELECT value FROM temperature WHERE {HOUR} AND value > 3",
    "SELECT last(value) FROM active_power GROUP BY device",
    f"SELECT derivative(mean(value), 1m) FROM active_power WHERE {HOUR} AND device = 'd2' GROUP BY time(20m)",
    "SHOW TAG VALUES FROM active_power WITH KEY = device",
    "SELECT count(value) FROM /.*/",
)


@contextmanager
def platform(folder: Path, store: str) -> Iterator[PlatformProcess]:
    folder.mkdir()
    config = folder / "platform.toml"
    tokens = folder / "tokens.toml"
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    token = f'[[tokens]]\nname = "all"\nsha256 = "{digest}"\nwrites_as = "lines"\nreads = {{ everything = true }}\n'
    tokens.write_text(token, encoding="utf-8")
    tokens.chmod(0o600)
    config.write_text(f'[influx]\ntokens = "{tokens}"\n[store]\n{store}', encoding="utf-8")
    process = PlatformProcess(folder / "data", 0, 1)
    process.start("--config", str(config))
    try:
        yield process
    finally:
        process.end()


def write(process: PlatformProcess, body: bytes) -> int:
    request = urllib.request.Request(f"{process.url}/write?precision=s", body, AUTHORIZED, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code


def asked(process: PlatformProcess, text: str) -> Any:
    query = urllib.parse.urlencode({"db": "linli", "epoch": "s", "q": text})
    request = urllib.request.Request(f"{process.url}/query?{query}", headers=AUTHORIZED)
    try:
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())["results"]
    except urllib.error.HTTPError as exc:
        pytest.fail(f"{text}: {exc.code} {exc.read().decode()}")


def test_the_same_answers_on_three_engines(tmp_path: Path, influx: Process, victoria: Process) -> None:
    engines = {
        "duckdb": "",
        "influxdb": f'engine = "influxdb"\nurl = "{influx.url}"\ndatabase = "whole"\n',
        "victoriametrics": f'engine = "victoriametrics"\nurl = "{victoria.url}"\ndatabase = "whole"\n',
    }
    answers = {}
    for name, settings in engines.items():
        with platform(tmp_path / name, settings) as process:
            eventually_written(process, LINES)
            eventually_written(process, LINES)
            answers[name] = [asked(process, text) for text in ASKED]
            counts = json.loads(process.get("/api/v1/counts"))
            assert (counts["readings"], counts["distinct"]) == (132, 132)
    assert answers["influxdb"] == answers["duckdb"]
    assert answers["victoriametrics"] == answers["duckdb"]
    assert all("error" not in result for results in answers["duckdb"] for result in results)


def test_a_server_that_is_away_is_waited_for(
    tmp_path: Path, victoria_alone: Callable[..., AbstractContextManager[Process]]
) -> None:
    with (
        victoria_alone() as server,
        platform(tmp_path / "away", f'engine = "victoriametrics"\nurl = "{server.url}"\n') as process,
    ):
        eventually_written(process, b"voltage,device=d1 value=230 1764000000")
        server.stop()
        assert write(process, b"voltage,device=d1 value=231 1764000060") == 503
        health = json.loads(process.get("/api/v1/health"))
        assert health["parts"]["store"]["state"] == "degraded"
        server.start()
        eventually_written(process, b"voltage,device=d1 value=231 1764000060")
        (result,) = asked(process, "SELECT value FROM voltage")
        assert result["series"][0]["values"] == [[1764000000, 230], [1764000060, 231]]


def eventually_written(process: PlatformProcess, body: bytes) -> None:
    """Write it as a client does: again as long as it is told to, for nothing is doubled."""
    while (status := write(process, body)) != 204:
        assert status == 503


def test_a_server_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    config = tmp_path / "platform.toml"
    config.write_text('[store]\nengine = "influxdb"\nurl = "http://127.0.0.1:1"\n', encoding="utf-8")
    process = PlatformProcess(tmp_path / "data", 0, 1)
    started = process.spawn("--config", str(config))
    try:
        _, error = started.communicate()
    finally:
        process.end()
    assert started.returncode == 2
    assert "http://127.0.0.1:1" in error


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('url = "http://127.0.0.1:1"', "the embedded store is no server"),
        ('engine = "influxdb"', "write where the server is"),
        ('engine = "influxdb"\nurl = "http://u:p@127.0.0.1:1"', "found a secret in it"),
        ('engine = "influxdb"\nurl = "http://db.example:8086"\ntoken_file = "t"', "carry the secret in the clear"),
        ('engine = "influxdb"\nurl = "http://127.0.0.1:1"\nusername = "u"', "come together"),
        ('engine = "influxdb"\nurl = "http://127.0.0.1:1"\ndatabase = "a b"', "use letters, digits"),
        ('engine = "influxdb"\nurl = "http://127.0.0.1:1"\nretention_days = -1', "write 0 to keep all"),
        ('engine = "influxdb"\nurl = "http://127.0.0.1:1"\n[store.retention]\ngauge = 9', "write retention_days"),
        ('engine = "mysql"', "mysql"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, settings: str, said: str) -> None:
    config = tmp_path / "platform.toml"
    config.write_text(f"[store]\n{settings}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as caught:
        check(load(config))
    assert "u:p" not in str(caught.value)
