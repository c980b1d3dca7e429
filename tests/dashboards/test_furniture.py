"""What the boards are tried on: a registry that can be declared, readings that can be written, nothing missing."""

import json
import sys
import tomllib
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from linli_core.settings import parse_toml
from linli_core.vocabulary import vocabulary
from linli_dashboards.ask import MAIN, Ask
from linli_dashboards.boards import BOARDS
from linli_dashboards.check.checking import Report
from linli_platform.config import convert
from linli_platform.registry.declaration import Declaration, check
from linli_sim.boards import __main__ as boards_main
from linli_sim.boards.engines import Engine, duckdb
from linli_sim.boards.furniture import AREA, DAYS, DEVICES, STEP, declaration, lines
from linli_sim.database_server import PeerFailed

NOW = 1_764_000_000


def test_its_registry_can_be_declared() -> None:
    text = declaration("yard")
    found = convert(parse_toml(text, "furniture"), Declaration)
    check(found, frozenset({"yard"}))
    devices = tomllib.loads(text)["gateways"][0]["devices"]
    assert len({device["id"] for device in devices}) == len(devices) == len(DEVICES)


def test_its_readings_are_of_the_vocabulary_and_end_now() -> None:
    words = vocabulary()
    found = list(lines(NOW))
    points = sum(len(device.points) for device in DEVICES)
    assert len(found) % points == 0
    times = sorted({int(line.rpartition(" ")[2]) for line in found})
    assert NOW - DAYS - STEP < times[0] < times[-1] < NOW
    for line in found:
        quantity = words[line.partition(",")[0]]
        value = float(line.rpartition("value=")[2].partition(" ")[0])
        assert quantity.minimum is None or value >= quantity.minimum, line
        assert quantity.maximum is None or value <= quantity.maximum, line


@pytest.mark.parametrize("utility", ["electricity", "water"])
def test_a_main_meter_counts_what_is_behind_it_in_dwellings_and_elsewhere(utility: str) -> None:
    """Each is a panel's own: a board asks for the main, for what lies in dwellings, and for the rest."""
    kinds = [(device.kind, device.area) for device in DEVICES if device.kind.endswith(f"{utility}_meter")]
    assert (f"bulk_{utility}_meter", AREA) in kinds
    assert any(area != AREA for kind, area in kinds if not kind.startswith(MAIN))
    assert (f"{utility}_meter", AREA) in kinds


def test_registers_only_rise() -> None:
    words = vocabulary()
    last: dict[str, float] = {}
    for line in lines(NOW):
        head, _, rest = line.partition(" value=")
        if words[head.partition(",")[0]].kind == "counter":
            value = float(rest.partition(" ")[0])
            assert value >= last.get(head, value), line
            last[head] = value


def test_no_board_asks_for_what_is_not_there() -> None:
    there = {quantity for device in DEVICES for quantity in device.points}
    asked = {
        ask.quantity
        for board in BOARDS
        for panel in board.panels
        for ask in panel.asks
        if isinstance(ask, Ask) and not ask.may_be_empty
    }
    assert asked <= there


def test_a_store_that_cannot_be_tried_is_a_failure_and_the_others_are_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of a quarter of an hour ends with its line whatever befell one of the stores."""

    def away() -> AbstractContextManager[Engine]:
        raise PeerFailed("influxd is not installed: apt install influxdb")

    async def checked(name: str, _engine: Engine, _folder: Path | None) -> list[Report]:
        return [Report(boards=24, panels=100, queries=400, stores=[name])]

    monkeypatch.setattr(boards_main, "ENGINES", {"influxdb": away, "duckdb": duckdb})
    monkeypatch.setattr(boards_main, "_checked", checked)
    monkeypatch.setattr(sys, "argv", ["boards"])
    assert boards_main.main() == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"boards": 24, "panels": 100, "queries": 400, "stores": ["duckdb"], "failed": 1}
    assert "influxdb: cannot be tried: influxd is not installed: apt install influxdb" in err


def test_boards_straight_to_a_database_are_queries_besides() -> None:
    reports = [
        Report(boards=24, panels=100, queries=400, stores=["duckdb"]),
        Report(boards=24, panels=100, queries=400, stores=["influxdb"]),
        Report(boards=18, panels=60, queries=90, stores=["influxdb itself"], failures=["wrong"]),
    ]
    line = boards_main.summary(reports)
    assert line == {
        "boards": 24,
        "panels": 100,
        "queries": 490,
        "stores": ["duckdb", "influxdb", "influxdb itself"],
        "failed": 1,
    }
