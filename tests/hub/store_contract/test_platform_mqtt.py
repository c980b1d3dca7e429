"""A whole platform on each engine: its server goes away and comes back, nothing is lost, and /query answers alike."""

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.hub.conftest import NOW, BrokerProcess, GatewayStandIn

from linli_core.instant import SECOND, to_rfc3339
from linli_platform.config import Settings, check, parse
from linli_platform.service import Platform
from linli_platform.store import StoreUnavailable
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.engines import store_of
from linli_platform.tokens import make_secret

SECRET, DIGEST = make_secret()
TOKENS = f'[[tokens]]\nname = "board"\nsha256 = "{DIGEST}"\nreads = {{ everything = true }}\n'

ENGINES = ["influxdb", "victoriametrics"]

FROM, TO = (f"'{to_rfc3339(NOW + second * SECOND)}'" for second in (-60, 600))
RANGE = f"time >= {FROM} AND time < {TO}"
ASKED = {
    f"SELECT value FROM energy_import WHERE {RANGE}": [[0, 10.5], [60, 11.5], [180, 14.25]],
    f"SELECT count(value), max(value) FROM energy_import WHERE {RANGE} GROUP BY time(2m) fill(none)": [
        [0, 2, 11.5],
        [120, 1, 14.25],
    ],
    f"SELECT count(quality) FROM energy_import WHERE {RANGE}": [[-60, 4]],
    f"SELECT last(text) FROM text_message WHERE {RANGE}": [[60, "open"]],
    f"SELECT spread(value) FROM energy_import WHERE {RANGE} AND device = 'meter-1'": [[-60, 3.75]],
    "SHOW TAG VALUES FROM energy_import WITH KEY = device": [["device", "meter-1"]],
}


def energy(second: int, value: float | None) -> dict[str, Any]:
    quality = {} if value is not None else {"q": "bad"}
    number = {} if value is None else {"v": value}
    return {"n": "meter-1/energy_import", "u": "Wh", "t": second, **number, **quality}


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The engine's server, which a test may kill; ``None`` for the embedded one."""
    engine = request.getfixturevalue("engine")
    if engine == "influxdb":
        yield request.getfixturevalue("influx_alone")
    elif engine == "victoriametrics":
        with request.getfixturevalue("victoria_alone")() as started:
            yield started
    else:
        yield None


@pytest.fixture
def settings(engine: str, server: Any, tmp_path: Path, broker: BrokerProcess) -> Settings:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(TOKENS, encoding="utf-8")
    tokens.chmod(0o600)
    url = f'url = "{server.url}"' if server else ""
    text = f"""
data = "{tmp_path / "data"}"
[mqtt]
port = {broker.port}
[api]
listen = "127.0.0.1:0"
[influx]
tokens = "{tokens}"
[store]
engine = "{engine}"
{url}
"""
    made = parse(text, "platform.toml")
    check(made)
    return made


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Platform]:
    async with Platform(settings, clock=lambda: NOW + 3600 * SECOND) as platform, asyncio.TaskGroup() as group:
        up = asyncio.Event()
        group.create_task(platform.run(up.set), name="platform")
        await up.wait()
        try:
            yield platform
        finally:
            platform.stop()


def answers(platform: Platform) -> dict[str, list[list[Any]]]:
    found = {}
    for statement in ASKED:
        query = urllib.parse.urlencode({"db": "linli", "epoch": "s", "q": statement})
        request = urllib.request.Request(f"{platform.url}/query?{query}", headers={"authorization": f"Token {SECRET}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            (result,) = json.load(answer)["results"]
        rows = [row for series in result.get("series", []) for row in series["values"]]
        timed = statement.startswith("SELECT")
        found[statement] = [[row[0] - NOW // SECOND, *row[1:]] if timed else row for row in rows]
    return found


def store_health(platform: Platform) -> str:
    with urllib.request.urlopen(f"{platform.url}/api/v1/health", timeout=30) as answer:
        part = json.load(answer)["parts"]["store"]
    return f"{part['state']}: {part['detail']}"


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_server_goes_away_and_comes_back_and_nothing_is_lost(
    settings: Settings, server: Any, gateway: GatewayStandIn
) -> None:
    async with running(settings) as platform:
        await gateway.announce()
        await gateway.send(1, energy(0, 10.5), energy(60, 11.5))
        await gateway.acked(1)
        if server is not None:
            await asyncio.to_thread(server.stop)
        await gateway.send(2, energy(120, None), {"n": "meter-1/text_message", "vs": "open", "t": 60})
        if server is not None:
            while (said := await asyncio.to_thread(store_health, platform)).startswith("ok"):
                pass
            assert f"degraded: {server.url}: no answer" in said
            heard = [gateway.acks.get_nowait() for _ in range(gateway.acks.qsize())]  # the last ack may come again
            assert all(ack.seq < 2 for ack in heard)
            await asyncio.to_thread(server.start)
        await gateway.acked(2)
        await gateway.send(3, energy(180, 14.25))
        await gateway.send(4, energy(60, 11.5))
        await gateway.acked(4)
        assert await asyncio.to_thread(answers, platform) == ASKED
    # After a new start, all of it from the server.
    async with running(settings) as platform:
        assert platform.store.marks().keys() >= {"gw-a"}
        assert await asyncio.to_thread(answers, platform) == ASKED
        assert platform.store.count() == platform.store.count_distinct() == 5


@pytest.mark.parametrize("other", [("victoriametrics", "linli"), ("influxdb", "other")])
def test_a_file_whose_readings_are_kept_elsewhere_is_refused(
    influx: Any, tmp_path: Path, other: tuple[str, str]
) -> None:
    def of(engine: str, database: str) -> DuckDBStore:
        text = f'engine = "{engine}"\nurl = "{influx.url}"\ndatabase = "{database}"'
        return store_of(parse(f'data = "{tmp_path}"\n[store]\n{text}', "platform.toml"))

    with of("influxdb", "linli"):
        pass
    said = (
        f"kept by influxdb 'linli', not by {other[0]} '{other[1]}'; write that into .store. again, or `linli-platform"
    )
    with pytest.raises(StoreUnavailable, match=said):
        of(*other).__enter__()
    with of("influxdb", "linli"):
        pass
