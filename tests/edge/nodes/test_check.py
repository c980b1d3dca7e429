"""``linli-edge check`` of a gateway with nodes: what each reads, and what is wrong before anybody climbs a ladder."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from linli_core.errors import ConfigError
from linli_edge import cli
from linli_edge.nodes.build import create_key
from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.keys import KeyFolder
from linli_edge.nodes.shared import SharedKeys

CONFIG = """
[gateway]
id = "gw-1"
data = "var"
[uplink]
host = "127.0.0.1"
[nodes]
port = {port}
keys = "pki"
[[nodes.boards]]
id = "door-1"
board = "d0d0"
config = "door-1.json"
[[nodes.boards]]
id = "room-1"
config = "room-1.toml"
[[nodes.boards]]
id = "pulse-1"
"""
DOOR: dict[str, Any] = {
    "power": "battery", "battery_pin": 1, "gateway": {"host": "10.0.0.2"},
    "sensors": [{"kind": "reed", "pin": 4}, {"kind": "tilt", "pin": 5}],
}  # fmt: skip
ROOM = """
interval = 60
gateway = {{ host = "10.0.0.2" }}
sensors = [{{ kind = "sht4x", sda = 6, scl = 7, channel = 2 }}, {{ kind = "leak_rope", pin = 3, power = {power} }}]
"""


class Site:
    """A folder with a gateway's configuration, its nodes' and their keys; a local broker answers."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.broker = socket.create_server(("127.0.0.1", 0))
        self.port = self.broker.getsockname()[1]
        (folder / "gw.toml").write_text(CONFIG.format(port=self.port))
        self.write(DOOR)
        (folder / "room-1.toml").write_text(ROOM.format(power=5))
        KeyFolder(folder / "pki").create()
        create_key(folder / "pki" / "updates.key")

    def write(self, door: dict[str, Any]) -> None:
        (self.folder / "door-1.json").write_text(json.dumps(door))

    def check(self) -> list[str]:
        assert cli.main(["check", str(self.folder / "gw.toml")]) == 0
        return self._capsys.readouterr().out.splitlines()

    def warnings(self) -> list[str]:
        return [line.removeprefix("warning: ") for line in self.check() if line.startswith("warning: ")]


@pytest.fixture
def site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    made = Site(tmp_path, capsys)
    with made.broker:
        yield made


def test_nodes_are_summed_up(site: Site) -> None:
    assert site.check()[1:] == [
        "",
        f"nodes: 3, at the local broker 127.0.0.1:{site.port}",
        "node     board      points  interval  power    battery low",
        "-------  ---------  ------  --------  -------  -----------",
        "door-1   d0d0            2  15 min    battery  1 h",
        "room-1   any, once       3  1 min     mains",
        "pulse-1  any, once       ?  ?         ?        ?",
        "battery low: below 2.2 V a node reads so rarely, says so, and sends nothing until its cells are new",
    ]


def test_pins_that_do_not_wake_the_board_that_the_node_is_are_told(site: Site) -> None:
    assert site.warnings() == []  # A door for an S3, as far as anybody knows.
    given = GivenNames(site.folder / "pki")
    given.give("door-1", "d0d0", "esp32c3")
    given.give("room-1", "aaaa")
    given.give("pulse-1", "bbbb")
    assert [warning.partition(": asleep")[0] for warning in site.warnings()] == [
        f"node door-1: sensors[{place}] ({kind}, pin {pin}): opening does not wake an ESP32-C3"
        for place, kind, pin in ((0, "reed", 4), (1, "tilt", 5))
    ]
    site.write({**DOOR, "sensors": [{"kind": "leak_switch", "pin": 40}]})
    given.give("door-1", "d0d0", "esp32s3")
    (told,) = site.warnings()
    assert "pin 40 does not wake an ESP32-S3 from its sleep. Take one of GPIO0 to GPIO21" in told
    given.take_back("d0d0")
    given.give("door-1", "d0d1")
    assert told in site.warnings()


def test_pins_that_the_board_has_not_are_told(site: Site) -> None:
    given = GivenNames(site.folder / "pki")
    for node, board, kind in (("door-1", "d0d0", "esp32s3"), ("room-1", "aaaa", ""), ("pulse-1", "bbbb", "")):
        given.give(node, board, kind)
    site.write({**DOOR, "battery_pin": 12, "sensors": [{"kind": "reed", "pin": 30}]})
    right = "Take one of GPIO0–18, GPIO21, GPIO33–48"
    assert site.warnings() == [
        (
            "node door-1: battery_pin (battery): pin 12 of the ESP32-S3 measures no voltage, or none while the radio"
            " is on. Take one of GPIO1–10"
        ),
        f"node door-1: sensors[0].pin (reed): pin 30 of the ESP32-S3 is its flash's: taken, it stops. {right}",
    ]
    # Whatever board it will be on: none has it.
    given.take_back("d0d0")
    given.give("door-1", "d0d1")
    site.write({"gateway": DOOR["gateway"], "sensors": [{"kind": "ds18b20", "pin": 24}]})
    assert site.warnings()[-1] == f"node door-1: sensors[0].pin (ds18b20): the ESP32-S3 has no pin 24. {right}"


def test_a_battery_that_nobody_measures_is_told(site: Site) -> None:
    site.write({key: value for key, value in DOOR.items() if key != "battery_pin"})
    (told,) = site.warnings()
    assert told.startswith(
        "node door-1: is on a battery that nobody measures: it becomes silent without a word. Put two"
    )
    assert told.endswith("and write battery_pin (docs/nodes.md)")


def test_a_broker_that_is_not_there_is_told(site: Site) -> None:
    site.broker.close()
    (told,) = site.warnings()
    assert told.startswith(
        f"nodes: the local broker at 127.0.0.1:{site.port} does not answer (Connection refused): start it"
    )


def test_a_mistake_in_a_nodes_configuration_is_told_without_its_secrets(site: Site) -> None:
    site.write({**DOOR, "interval": 0, "wifi": [{"ssid": "a", "password": 8_765_4321}]})
    (site.folder / "room-1.toml").unlink()
    door, room = site.warnings()
    assert door.startswith(
        f"node door-1: {site.folder}/door-1.json, door-1: this is wrong: interval: found 0; write a whole"
    )
    assert "wifi[0].password: write a text of 0 to 63 characters" in door
    assert "87654321" not in door
    assert room.startswith(f"node room-1: {site.folder}/room-1.toml: no configuration: ")
    assert site.check()[5].split() == ["door-1", "d0d0", "?", "?", "?", "?"]


def test_keys_that_only_their_owner_may_see_are_told_to_whoever_else_checks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = Path.stat

    def refused(path: Path, **how: Any) -> os.stat_result:
        if path.parent == site.folder / "pki":
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", refused)
    (told,) = site.warnings()
    assert told == f"nodes: {site.folder}/pki: may not be looked into; run this as its owner, or with sudo"
    with pytest.raises(ConfigError, match="may not be looked into; run this as its owner"):
        SharedKeys(site.folder / "pki")


def test_another_nodes_file_and_another_gateway_are_told(site: Site) -> None:
    site.write({**DOOR, "node": "door-2"})
    (told,) = site.warnings()
    assert "node: found 'door-2'; take it away, or give 'door-1'" in told
    site.write({**DOOR, "gateway": {"host": "10.0.0.3"}})
    (told,) = site.warnings()
    places = "door-1 at 10.0.0.3:8884; room-1 at 10.0.0.2:8884"
    assert told == f"nodes look for this gateway in different places ({places}): is that meant?"


def test_missing_keys_and_names_that_no_board_has_are_told(site: Site) -> None:
    keys = site.folder / "pki"
    given = GivenNames(keys)
    given.give("door-1", "0bad")
    given.give("hall-9", "9999")
    (keys / "broker.key").unlink()
    assert site.warnings() == [
        f"nodes: {keys} has no broker.key: linli-edge node keys --keys {keys}",
        "node door-1: was given to board 0bad, and [[nodes.boards]] says d0d0",
        "node room-1: no board was given its name yet: linli-edge node provision room-1",
        "node pulse-1: no board was given its name yet: linli-edge node provision pulse-1",
        "node hall-9: is on board 9999, and not listed in [[nodes.boards]]: it is refused",
    ]
    (keys / "boards.json").write_text("{")
    assert f"nodes: {keys}/boards.json: cannot be read" in site.warnings()[1]


def test_who_lacks_a_shared_key_who_has_one_too_many_and_a_listener_that_is_not_there_are_told(site: Site) -> None:
    keys = SharedKeys(site.folder / "pki")
    keys.create()
    given = GivenNames(site.folder / "pki")
    assert not site.warnings()
    for node, board in (("room-1", "aaaa"), ("pulse-1", "bbbb")):
        given.give(node, board)
    given.give("door-1", "d0d0", "rp2")
    site.write({**DOOR, "battery_pin": 26})
    assert not site.warnings()
    site.write(DOOR)
    given.give("door-1", "d0d0", "esp32s3")
    (lacking,) = site.warnings()
    assert lacking.startswith(
        "node door-1: is on a battery and has no shared key; each delivery costs it half a second"
    )
    keys.give("door-1", fresh=False)
    keys.give("hall-9", fresh=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site.write({**DOOR, "gateway": {"host": "10.0.0.2", "shared_port": listener.getsockname()[1]}})
        strange = (
            "node hall-9: has a shared key, and is not listed in [[nodes.boards]]: linli-edge node keys hall-9 --off"
        )
        assert site.warnings() == [strange]
    nowhere = site.warnings()[1]
    assert nowhere.startswith("nodes: nothing takes shared keys at 127.0.0.1:")
    assert "(Connection refused): give the local broker a listener with shared_keys there" in nowhere
    keys.path.chmod(0o640)
    (told,) = site.warnings()
    assert told == f"nodes: {keys.path}: holds keys, and others may read or write it; chmod 600 {keys.path}"
