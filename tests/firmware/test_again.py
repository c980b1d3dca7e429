"""Sensors of a node that never sleeps: one that fails is opened again, and is good again by itself."""

import json
from pathlib import Path
from typing import Any

from linli_core.catalogue import LANGUAGES
from linli_edge.nodes.phrases import explained
from linli_sim.nodes.vm import Machine

FIRST, SECOND = 0x44, 0x45
AT_25 = 0x6666
GOOD = [2500, 2]
WELL = {str(FIRST): AT_25, str(SECOND): AT_25}


def _live(machine: Machine, folder: Path, steps: list[Any], **begins: Any) -> dict[str, Any]:
    sensors = [
        {"kind": "sht4x", "sda": 6, "scl": 7},
        {"kind": "sht4x", "sda": 6, "scl": 7, "address": SECOND, "channel": 2},
        {"kind": "reed", "pin": 4},
    ]
    config = {"node": "cold-1", "gateway": {"host": "10.0.0.2"}, "sensors": sensors}
    (folder / "node.json").write_text(json.dumps(config), encoding="utf-8")
    given = {"root": str(folder), "begins": {"answers": WELL, **begins}, "steps": steps}
    found = machine.check("again", given)
    assert isinstance(found, dict)
    return found


def _first(told: list[Any]) -> list[Any]:
    """Return what was said of the first sensor's temperature: its value, or why there is none."""
    return [records[0][1] or records[0][2].removeprefix("bad/") for records, _ in told]


def test_a_sensor_that_answers_again_is_good_again_and_until_then_it_is_missing(
    tmp_path: Path, unix_port: Machine
) -> None:
    gone, back = {"answers": {str(SECOND): AT_25}}, {"answers": WELL}
    garbled = {"answers": {**WELL, str(FIRST): "garbage"}}
    steps = [[900, {}], [900, gone], [900, {}], [900, garbled], [900, back], [1, {}]]
    found = _live(unix_port, tmp_path, steps)
    told = found["told"]
    assert _first(told) == [GOOD, "no_communication", "no_communication", "malformed_answer", GOOD, GOOD]
    # The others go on; a contact is not looked at as a bus is, and is never opened again.
    assert all([records[2][1], records[4][1]] == [GOOD, True] for records, _ in told)
    # Nothing is opened again that is well.
    assert [opened for _, opened in told] == [0, 1, 1, 1, 0, 0]
    # Whoever is at the cable hears why, in words that are explained to him.
    silence, garbage = (
        "sht4x does not answer rightly: nothing answers at address 0x44",
        "sht4x does not answer rightly: an answer with",
    )
    assert [found["said"].count(silence), sum(said.startswith(garbage) for said in found["said"])] == [2, 1]
    assert all("0x44" in explained(silence, lang) for lang in LANGUAGES)


def test_a_reading_that_one_glitch_spoiled_is_not_lost(tmp_path: Path, unix_port: Machine) -> None:
    glitch = {"answers": {**WELL, str(FIRST): "glitch"}}
    found = _live(unix_port, tmp_path, [[900, {}], [900, glitch], [900, {}]])
    assert (_first(found["told"]), [opened for _, opened in found["told"]]) == ([GOOD] * 3, [0, 1, 0])


def test_one_that_hangs_is_told_too(tmp_path: Path, unix_port: Machine) -> None:
    found = _live(unix_port, tmp_path, [[1, {"answers": {**WELL, str(FIRST): "hangs"}}]])
    assert _first(found["told"]) == ["no_communication"]
    assert "sht4x does not answer rightly: nothing in time" in found["said"]


def test_one_that_fails_for_long_is_opened_ever_more_rarely(tmp_path: Path, unix_port: Machine) -> None:
    short = {"answers": {str(FIRST): "short", str(SECOND): AT_25}}
    pauses = (30, 60, 120, 300, 600, 600)
    steps = [[900, short], *([seconds, {}] for pause in pauses for seconds in (pause - 1, 1))]
    # Well for once, and it is tried at once again.
    steps += [[1, {"answers": WELL}], [1, short], [29, {}], [1, {}]]
    found = _live(unix_port, tmp_path, steps)
    told = found["told"]
    assert "sht4x does not answer rightly: the I2C bus is held low" in found["said"]
    assert [place for place, said in enumerate(_first(told)) if said == GOOD] == [len(told) - 4]
    assert [opened for _, opened in told] == [1, *[0, 1] * len(pauses), 0, 1, 0, 1]


def test_one_that_could_not_be_opened_at_the_start_is_there_once_its_bus_is(tmp_path: Path, unix_port: Machine) -> None:
    steps = [[900, {}], [900, {}], [900, {"held": False}], [900, {}]]
    found = _live(unix_port, tmp_path, steps, held=True)
    assert _first(found["told"]) == ["no_communication", "no_communication", GOOD, GOOD]
    assert "sht4x cannot be made: [Errno 5] EIO" in found["said"]
