"""The peer beside our gateway: what it is told to read, and how what it delivers is counted."""

import json
from pathlib import Path

import pytest

from linli_sim.bench import CannotRun, thingsboard
from linli_sim.modbus import entries_of


def test_it_is_told_to_read_the_same_points_of_the_same_meters() -> None:
    entries = entries_of("eastron-sdm630")
    files = thingsboard.configuration(5020, 1883, range(1, 29), entries, 100)
    slaves = files["modbus.json"]["master"]["slaves"]
    assert [slave["unitId"] for slave in slaves] == list(range(1, 29))
    series = slaves[0]["timeseries"]
    assert len(series) == len(entries) == len({one["tag"] for one in series})
    assert [one["address"] for one in series] == [entry.address for entry in entries]
    assert {one["functionCode"] for one in series} == {4}
    assert json.loads(json.dumps(files)) == files


def test_each_value_of_each_record_counts_once() -> None:
    message = {
        "meter-1": [{"ts": 1, "values": {"voltage": 230.1, "current": 4}}, {"ts": 2, "values": {"voltage": 230.2}}],
        "meter-2": [{"voltage": 229.9}],
        "meter-3": [],
    }
    assert thingsboard.points_in(message) == 4


async def test_where_it_cannot_be_installed_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINLI_CACHE", str(tmp_path))
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(CannotRun, match=r"ThingsBoard gateway 3\.8\.5 cannot be installed"):
        await thingsboard.installed()
