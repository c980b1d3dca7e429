"""The board's own part, over stand-ins for what MicroPython has on boards: how it joins, measures, sleeps and wakes."""

import json
from pathlib import Path
from typing import Any

from linli_sim.nodes.vm import FIRMWARE, Machine
from linli_sim.processes import free_port

POWER_ON, OUT_OF_SLEEP = 1, 4


def _live(machine: Machine, folder: Path, chip: str, lives: list[list[Any]]) -> dict[str, Any]:
    config = {
        "node": "leak-1",
        "gateway": {"host": "127.0.0.1", "port": free_port(), "tls": False},
        "wifi": [{"ssid": "wrong"}, {"ssid": "right", "password": "secret"}],
        "power": "battery",
        "battery_pin": 1,
        "interval": 900,
        "sensors": [{"kind": "leak_switch", "pin": 6}, {"kind": "reed", "pin": 4}, {"kind": "pulse", "pin": 5}],
    }
    (folder / "node.json").write_text(json.dumps(config), encoding="utf-8")
    found = machine.check("boards", {"chip": chip, "root": str(folder), "lives": lives})
    assert isinstance(found, dict)
    return found


def test_an_esp32_reads_logs_and_sleeps_and_is_woken_by_a_pin(tmp_path: Path, unix_port: Machine) -> None:
    found = _live(unix_port, tmp_path, "c3", [[POWER_ON, {"4": 0}], [OUT_OF_SLEEP, {"4": 0, "5": 0, "6": 0}]])
    first, second = found["lives"]
    assert (first["uid"], first["woke"], first["pins"]) == ("7c2c6701", False, [])
    # The leak pin and the pulse were waited for low; the door, shut, for high.
    assert (second["woke"], sorted(second["pins"])) == (True, [5, 6])
    assert second["state"]["epoch"] == first["state"]["epoch"]
    assert second["state"]["next_seq"] > first["state"]["next_seq"] > 1
    said = found["said"]
    assert [entry for entry in said if entry[0] == "gpio"][:2] == [["gpio", [4], True], ["gpio", [6, 5], False]]
    sleeps = [entry[1] for entry in said if entry[0] == "deepsleep"]
    assert len(sleeps) == 2
    assert all(800 < seconds <= 900 for seconds in sleeps)
    # The radio is off before it sleeps.
    assert [entry for entry in said if entry[0] in {"wlan", "deepsleep"}][-2:] == [
        ["wlan", False],
        ["deepsleep", sleeps[1]],
    ]
    assert found["fed"] > 0


def test_an_esp32_s3_is_woken_by_its_two_ways(tmp_path: Path, unix_port: Machine) -> None:
    said = _live(unix_port, tmp_path, "s3", [[POWER_ON, {"4": 0}]])["said"]
    assert ["ext1", [4], True] in said
    assert ["ext0", 6, False] in said
    assert ["say", "only one pin can wake this chip by going low"] in said


def test_a_pico_sleeps_lightly_and_begins_a_new_era_after_a_reset(tmp_path: Path, unix_port: Machine) -> None:
    found = _live(unix_port, tmp_path, "rp2", [[POWER_ON, {}], [POWER_ON, {}]])
    assert [entry[0] for entry in found["said"]].count("lightsleep") == 2
    assert found["lives"][1]["woke"] is True


def test_a_pico_without_a_radio_says_that_it_can_be_no_node(tmp_path: Path, unix_port: Machine) -> None:
    (life,) = _live(unix_port, tmp_path, "pico", [[POWER_ON, {}]])["lives"]
    assert life == {"refused": "this board has no radio: of the Raspberry Pi Picos only those with a W can be a node"}


SOUND = "import sys\ndef main():\n    sys.modules['checks_ran'].append('{name}')\n"
BROKEN = "raise ValueError('broken')\n"


def _start(machine: Machine, programs: dict[str, str], state: dict[str, Any] | None, starts: int) -> dict[str, Any]:
    main = str(FIRMWARE / "board" / "main.py")
    found = machine.check("loader", {"main": main, "programs": programs, "state": state, "starts": starts})
    assert isinstance(found, dict)
    return found


def test_the_loader_starts_the_slot_and_begins_again_when_it_ends(unix_port: Machine) -> None:
    found = _start(unix_port, {"a": SOUND.format(name="a")}, None, 2)
    assert found["ran"] == ["a", "reset", "a", "reset"]
    assert found["error"] == ""


def test_the_loader_gives_up_a_program_that_does_not_start(unix_port: Machine) -> None:
    trial = {"active": "a", "trial": "b", "tries": 0, "number": 2}
    found = _start(unix_port, {"a": SOUND.format(name="a"), "b": BROKEN}, trial, 5)
    # Ten seconds each time, in which somebody at the serial line can interrupt.
    assert found["ran"] == [10, "reset", 10, "reset", 10, "reset", "a", "reset", "a", "reset"]
    assert "broken" in found["error"]
    assert found["state"] == {"active": "a", "trial": None, "tries": 0, "number": 2}
