"""The demo as a person starts it: real processes, real sockets, and books that balance."""

import json
import subprocess
from typing import Any

import pytest

from linli_sim.processes import command


@pytest.fixture(scope="module")
def ended() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command("linli-sim"), "demo", "--for", "25", "--json"], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def books(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    (line,) = ended.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.timeout(120)
def test_every_reading_polled_is_stored_once(books: dict[str, Any]) -> None:
    readings = books["readings"]
    assert readings["polled"] > 1000
    assert (readings["lost"], readings["doubled"]) == (0, 0)
    assert readings["stored"] == readings["polled"]
    assert books["loss_ledger"] == []


@pytest.mark.timeout(120)
def test_the_cold_room_warms_and_cools(books: dict[str, Any]) -> None:
    assert books["alarms"]["raised"] >= 1
    assert books["alarms"]["cleared"] >= 1


@pytest.mark.timeout(120)
def test_it_says_what_ran_and_where(books: dict[str, Any], ended: subprocess.CompletedProcess[str]) -> None:
    assert set(books) == {"seconds", "url", "gateways", "devices", "readings", "alarms", "loss_ledger"}
    assert books["gateways"] == 2
    assert books["url"].startswith("http://127.0.0.1:")
    assert f"{books['url']}/" in ended.stderr
    assert "M-Bus: " in ended.stderr
