"""``linli-edge node provision`` on a real MicroPython at the end of a cable: what it writes, and what it refuses."""

import argparse
import dataclasses
import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from linli_core.catalogue import Language
from linli_core.errors import ConfigError
from linli_edge.cli import WRONG, main
from linli_edge.nodes import provisioning, serial_board, serial_command
from linli_edge.nodes.build import read_key
from linli_edge.nodes.configuration import read_configuration, with_wifi, written
from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.provisioning import name_of
from linli_edge.nodes.serial_board import SerialBoard, facts
from linli_edge.nodes.shared import SharedKeys
from linli_edge.nodes.trouble import BoardTrouble
from linli_sim.nodes.plugged import PluggedBoard

pytestmark = pytest.mark.system

FAILED = 1
CONFIG = {"gateway": {"host": "10.0.0.1"}, "sensors": [{"kind": "reed", "pin": 4}]}
SECRET = "the password of the facility"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["node", "keys"]) == 0
    Path("node.json").write_text(json.dumps(CONFIG))
    capsys.readouterr()
    return tmp_path


def _provision(board: PluggedBoard, node: str, *more: str) -> int:
    words = ["node", "provision", node, "--port", str(board.port), "--config", "node.json"]
    return main([*words, *more])


def test_a_board_gets_name_configuration_and_keys_and_starts(
    flashed: PluggedBoard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    before = flashed.said.count(b"started 1")
    assert _provision(flashed, "door-1", "--wifi", "facility", "--gateway", "10.0.0.9", "--lang", "en") == 0
    told = capsys.readouterr()
    assert "door-1: board d0d0 is this node now" in told.out
    assert '[[nodes.boards]]\nid = "door-1"\nboard = "d0d0"\n' in told.out
    assert SECRET not in told.out + told.err
    flashed.until(b"started 1", after=before)
    flashed.pull()
    assert SECRET.encode() not in flashed.said
    held = json.loads(flashed.read("/node.json"))
    assert held == {
        "gateway": {"host": "10.0.0.9"}, "sensors": CONFIG["sensors"], "node": "door-1",
        "wifi": [{"ssid": "facility", "password": SECRET}],
    }  # fmt: skip
    certificate = x509.load_der_x509_certificate(flashed.read("/keys/node.der"))
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(flashed.read("/keys/ca.der")))
    assert certificate.subject.rfc4514_string() == "CN=door-1"
    public = read_key(Path("nodes-pki/updates.key")).public_key().public_bytes_raw()
    assert flashed.read("/keys/update.pub") == public
    assert not [path for path in flashed.files() if path.endswith(".new")]
    # Nothing of it stays here but who has which name.
    assert not list(Path().rglob("*.der"))
    assert GivenNames(Path("nodes-pki")).board_of("door-1") == "d0d0"


def test_another_boards_name_and_a_board_of_another_name_are_refused(
    flashed: PluggedBoard, tmp_path: Path, flash_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _provision(flashed, "door-1") == 0
    (tmp_path / "second").mkdir()
    shutil.copyfile(flash_file, tmp_path / "second" / "flash.bin")
    with PluggedBoard(tmp_path / "second", uid="c0c0") as second:
        assert _provision(second, "door-1", "--lang", "en") == FAILED
        assert "door-1 was given to board d0d0" in capsys.readouterr().err
        before = flashed.said.count(b"started 1")
        assert _provision(flashed, "door-2", "--lang", "zh") == FAILED
        assert "已经是 door-1" in capsys.readouterr().err
        # It goes on with what it did.
        flashed.until(b"started 1", after=before)
        # The board is gone for good: another takes its name over.
        assert _provision(second, "door-1", "--replace") == 0
        assert GivenNames(Path("nodes-pki")).board_of("door-1") == "c0c0"
    with SerialBoard.connect(str(flashed.port)) as at:
        at.write("/log/0", b"of another node")
        at.write("/other/kept.txt", b"not ours")
    assert _provision(flashed, "door-2", "--replace") == 0
    flashed.pull()
    files = flashed.files()
    assert json.loads(flashed.read("/node.json"))["node"] == "door-2"
    # What it had not delivered as another node must not arrive as this one's.
    assert "/log/0" not in files
    assert "/other/kept.txt" in files


def test_what_a_node_has_not_delivered_stays_where_its_name_stays(flashed: PluggedBoard) -> None:
    assert _provision(flashed, "door-1") == 0
    with SerialBoard.connect(str(flashed.port)) as at:
        at.write("/log/0", b"not delivered yet")
    assert _provision(flashed, "door-1") == 0
    flashed.pull()
    assert flashed.read("/log/0") == b"not delivered yet"


def test_a_cable_that_is_pulled_leaves_the_name_that_it_had(flashed: PluggedBoard) -> None:
    assert _provision(flashed, "door-1") == 0
    flashed.pull()
    before = {path: flashed.read(path) for path in ("/node.json", "/keys/node.key", "/keys/node.der")}
    flashed.plug(pulled_after=3_000)
    assert _provision(flashed, "door-1") == FAILED
    flashed.pull()
    assert {path: flashed.read(path) for path in before} == before
    flashed.plug()
    assert _provision(flashed, "door-1") == 0


def test_a_board_without_a_program_is_told_to_be_flashed_first(
    board: PluggedBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    board.plug()
    assert _provision(board, "door-1", "--lang", "en") == FAILED
    assert f"linli-edge node flash --port {board.port}" in capsys.readouterr().err
    assert GivenNames(Path("nodes-pki")).board_of("door-1") == ""


def test_what_a_phone_brings_is_written_into_a_file_unless_a_board_has_the_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    GivenNames(Path("nodes-pki")).give("door-1", "c0c0")
    words = ["node", "provision", "door-1", "--config", "node.json", "--lang", "en", "--file"]
    assert main([*words, "door-1.linli"]) == FAILED
    assert "door-1.linli: door-1 was given to board c0c0" in capsys.readouterr().err
    assert main([*words, "nowhere/door-1.linli", "--replace"]) == WRONG
    assert "give one that you may write" in capsys.readouterr().err
    assert main([*words, "door-1.linli", "--replace"]) == 0
    assert '[[nodes.boards]]\nid = "door-1"\n\n[access]' in capsys.readouterr().out
    assert Path("door-1.linli").stat().st_mode & 0o077 == 0
    held = json.loads(Path("door-1.linli").read_text())
    assert sorted(held.pop("keys")) == ["ca.der", "node.der", "node.key", "update.pub"]
    assert held == {**CONFIG, "node": "door-1"}


def _pulled(board: SerialBoard) -> None:
    raise BoardTrouble("broke_off", board.port)


ON_BATTERY = json.dumps({**CONFIG, "power": "battery"})


def test_pins_that_would_not_wake_this_board_are_told_before_anything_is_written(
    flashed: PluggedBoard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connected = serial_command.connected

    def posing(args: argparse.Namespace, lang: Language) -> SerialBoard:
        board = connected(args, lang)
        board.facts = dataclasses.replace(board.facts, kind="esp32c3")
        return board

    monkeypatch.setattr(serial_command, "connected", posing)
    Path("node.json").write_text(json.dumps({**CONFIG, "actions": [{"kind": "light", "pin": 12, "when": "door_open"}]}))
    assert _provision(flashed, "door-1", "--lang", "en") == FAILED
    assert "door-1: actions[0].pin (light): pin 12 of the ESP32-C3 is its flash's" in capsys.readouterr().err
    Path("node.json").write_text(ON_BATTERY)
    assert _provision(flashed, "door-1", "--lang", "zh") == FAILED
    told = capsys.readouterr().err
    assert "不能用于电池供电的 ESP32-C3" in told
    assert "door-1: sensors[0]（reed，引脚 4）：触点断开不能唤醒 ESP32-C3" in told
    assert GivenNames(Path("nodes-pki")).board_of("door-1") == ""
    with SerialBoard.connect(str(flashed.port)) as board:
        assert name_of(board) == ""


def test_a_phones_file_tells_what_boards_have_its_pins_and_is_not_written_where_none_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["node", "provision", "door-1", "--config", "node.json", "--lang", "en", "--file", "door-1.linli"]
    Path("node.json").write_text(json.dumps({**CONFIG, "sensors": [{"kind": "reed", "pin": 23}]}))
    assert main(words) == FAILED
    assert "node.json: this configuration is not for this board (ESP32-C3)" in capsys.readouterr().err
    assert not Path("door-1.linli").exists()
    Path("node.json").write_text(json.dumps({**CONFIG, "sensors": [{"kind": "reed", "pin": 40}]}))
    assert main(words) == 0
    assert "This configuration is for: ESP32-S3 only." in capsys.readouterr().out


def test_for_which_boards_a_phones_file_is_stands_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("node.json").write_text(ON_BATTERY)
    words = ["node", "provision", "door-1", "--config", "node.json", "--lang", "en", "--file", "door-1.linli"]
    assert main(words) == 0
    only = "On a battery this configuration is for: ESP32-S3, Raspberry Pi Pico W only."
    assert only in capsys.readouterr().out


def test_a_node_on_a_battery_is_given_a_shared_key_that_goes_where_its_name_goes(
    flashed: PluggedBoard,
    tmp_path: Path,
    flash_file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert main(["node", "keys", "--shared", "--lang", "en"]) == 0
    assert "nodes-pki/shared.keys: the file of shared keys is made" in capsys.readouterr().out
    Path("node.json").write_text(json.dumps({**CONFIG, "power": "battery"}))
    keys = SharedKeys(Path("nodes-pki"))
    others = keys.give("leak-1", fresh=False).decode()
    assert _provision(flashed, "door-1", "--lang", "en") == 0
    assert "door-1: it proves itself by a shared key" in capsys.readouterr().out
    flashed.pull()
    first = flashed.read("/keys/shared.key").decode()
    assert keys.path.read_text().splitlines()[1:] == [first, others]
    # Its board is gone for good: the one that takes its name over has a key of its own, and the old one counts no more.
    (tmp_path / "second").mkdir()
    shutil.copyfile(flash_file, tmp_path / "second" / "flash.bin")
    with PluggedBoard(tmp_path / "second", uid="c0c0") as second:
        second.until(b"started 1")
        with monkeypatch.context() as patch:
            # Its cable is pulled in between; the command is given again, and the name is this board's by then.
            patch.setattr(provisioning, "wipe", _pulled)
            assert _provision(second, "door-1", "--replace") == FAILED
        assert _provision(second, "door-1", "--replace") == 0
        assert first not in keys.path.read_text()
        second.until(b"started 1", after=1)
        assert main(["node", "reset", "door-1", "--port", str(second.port)]) == 0
    assert keys.path.read_text().splitlines()[1:] == [others]
    assert main(["node", "keys", "leak-1", "--off", "--lang", "en"]) == 0
    assert "the shared key of leak-1 is taken off" in capsys.readouterr().out
    assert main(["node", "keys", "leak-1", "--off", "--lang", "zh"]) == 0
    assert "leak-1 没有共享密钥" in capsys.readouterr().out
    assert main(["node", "keys", "--off"]) == WRONG
    assert keys.nodes == ()


def test_a_firmware_that_speaks_no_shared_keys_keeps_certificates_and_it_is_told(
    flashed: PluggedBoard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_board, "facts", lambda *said: dataclasses.replace(facts(*said), shares_keys=False))
    Path("node.json").write_text(json.dumps({**CONFIG, "power": "battery"}))
    keys = SharedKeys(Path("nodes-pki"))
    keys.create()
    for lang, told in (("en", "speaks no TLS with shared keys: it keeps its certificate"), ("zh", "仍用证书")):
        assert _provision(flashed, "door-1", "--lang", lang) == 0
        assert told in capsys.readouterr().out
    flashed.pull()
    assert "/keys/shared.key" not in flashed.files()
    assert keys.nodes == ()


def test_what_a_phone_brings_has_the_shared_key_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("node.json").write_text(json.dumps({**CONFIG, "power": "battery"}))
    keys = SharedKeys(Path("nodes-pki"))
    keys.create()
    words = ["node", "provision", "door-1", "--config", "node.json", "--file", "door-1.linli"]
    for _ in range(2):
        assert main(words) == 0
    line = bytes.fromhex(json.loads(Path("door-1.linli").read_text())["keys"]["shared.key"]).decode()
    assert keys.path.read_text().splitlines()[1:] == [line]
    assert line.partition(":")[2] not in capsys.readouterr().out


def test_keys_that_are_given_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    keys = SharedKeys(tmp_path)
    keys.create()
    names = [f"node-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda name: SharedKeys(tmp_path).give(name, fresh=False), names))
    assert sorted(keys.path.read_bytes().splitlines()[1:]) == sorted(given)
    assert keys.path.stat().st_mode & 0o777 == 0o600
    keys.path.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read or write it; chmod 600"):
        keys.give("node-0", fresh=False)


def test_a_file_of_shared_keys_that_lies_elsewhere_stays_there(tmp_path: Path) -> None:
    broker, folder = tmp_path / "broker", tmp_path / "pki"
    broker.mkdir()
    folder.mkdir()
    # The broker may not look into the folder of the authority's key, so its file is kept where it may.
    (folder / "shared.keys").symlink_to(broker / "shared.keys")
    keys = SharedKeys(folder)
    assert keys.create()
    line = keys.give("leak-1", fresh=False).decode()
    assert (broker / "shared.keys").read_text().splitlines()[1:] == [line]
    assert keys.path.is_symlink()
    assert keys.take_off("leak-1")
    assert line not in (broker / "shared.keys").read_text()


MISTAKES = [
    ({"sensors": []}, "sensors: found []"),
    ({"intervall": 3}, "intervall: unknown key"),
    ({"wifi": [{"ssid": "x", "password": SECRET * 4}]}, "wifi[0].password: write a text of 0 to 63 characters"),
    ({"node": "door-2"}, "take it away, or give 'door-1'"),
]


@pytest.mark.parametrize(("wrong", "told"), MISTAKES, ids=["empty", "unknown", "password", "name"])
def test_a_mistake_is_told_before_a_board_is_touched(
    wrong: dict[str, object], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("node.json").write_text(json.dumps({**CONFIG, **wrong}))
    assert main(["node", "provision", "door-1", "--port", "nowhere", "--config", "node.json"]) == WRONG
    said = capsys.readouterr().err
    assert told in said
    assert SECRET[:20] not in said


def test_shared_keys_that_cannot_be_used_are_told_before_a_board_is_touched(
    capsys: pytest.CaptureFixture[str],
) -> None:
    SharedKeys(Path("nodes-pki")).create()
    Path("nodes-pki/shared.keys").chmod(0o644)
    for words in (["provision", "door-1", "--config", "node.json"], ["reset", "door-1"]):
        assert main(["node", *words, "--port", "nowhere"]) == WRONG
        assert "others may read or write it; chmod 600" in capsys.readouterr().err


def test_what_is_given_wrongly_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["node", "provision", "door-1", "--port", "nowhere", "--config"]
    for path, content in (("a.json", "{"), ("b.json", "[]"), ("c.toml", "="), ("gone.json", None)):
        if content is not None:
            Path(path).write_text(content)
        assert main([*words, path]) == WRONG
        assert path in capsys.readouterr().err
    assert main([*words, "node.json", "--wifi", "x", "--password-file", "gone"]) == WRONG
    assert "--password-file" in capsys.readouterr().err
    assert main(["node", "provision", "Door 1", "--port", "nowhere", "--config", "node.json"]) == WRONG
    Path("nodes-pki/boards.json").write_bytes(b"{")
    assert main([*words, "node.json"]) == WRONG
    assert "boards.json" in capsys.readouterr().err


def test_toml_says_the_same_as_json() -> None:
    Path("node.toml").write_text('[gateway]\nhost = "10.0.0.1"\n[[sensors]]\nkind = "reed"\npin = 4\n')
    assert read_configuration(Path("node.toml")) == CONFIG
    held = json.loads(written(with_wifi({**CONFIG, "wifi": [{"ssid": "x"}, {"ssid": "y"}]}, "y", ""), "a", "f").content)
    assert held["wifi"] == [{"ssid": "y", "password": ""}, {"ssid": "x"}]
    with pytest.raises(ConfigError, match="wifi"):
        written({**CONFIG, "wifi": "x"}, "a", "f")


def test_a_configuration_that_cannot_be_read_is_no_name(flashed: PluggedBoard) -> None:
    with SerialBoard.connect(str(flashed.port)) as at:
        assert name_of(at) == ""
        for content in (b"{", b"[]", b"\xff"):
            at.write("/node.json", content)
            assert name_of(at) == "?"
