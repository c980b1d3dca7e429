"""The real program on a board at a cable: started by its own loader, reported on, tried out, updated."""

import asyncio
import functools
import hashlib
import json
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from linli_broker.mosquitto import find
from linli_edge.cli import main
from linli_edge.nodes.bench import Demands, judged
from linli_edge.nodes.build import build, read_key, sources
from linli_edge.nodes.flashing import flash, read_image
from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.keys import Identity
from linli_edge.nodes.phrases import explained
from linli_edge.nodes.provisioning import provision
from linli_edge.nodes.report import Fact, let_go, report, selftest, told
from linli_edge.nodes.serial_board import SerialBoard, follow
from linli_edge.nodes.shared import SharedKeys
from linli_sim.nodes.local_broker import local_broker
from linli_sim.nodes.plugged import PluggedBoard, impatient
from linli_sim.nodes.vm import NoMachine, unix
from linli_sim.processes import free_port, free_ports
from linli_sim.waiting import PATIENCE, eventually

pytestmark = pytest.mark.system

FAILED = 1
AIR = {"facility": "right"}


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    with impatient():
        yield


LISTENS, SHORTER = "_LISTEN_MS = 3000", "_LISTEN_MS = 300"
"""How long a node on a battery waits for a cable after it was switched on, and how long here."""


def _hasty(firmware: Path) -> Path:
    """Copy the real program into a folder; it listens a tenth as long before it sleeps."""
    for part in ("lib", "node", "board"):
        shutil.copytree(sources() / part, firmware / part, ignore=shutil.ignore_patterns("__pycache__"))
    start = firmware / "node" / "linli_app" / "start.py"
    text = start.read_text()
    assert text.count(LISTENS) == 1
    start.write_text(text.replace(LISTENS, SHORTER))
    return firmware


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with keys, two builds of the real program, and the flash of a board that got the first."""
    try:
        unix()
    except NoMachine as exc:
        pytest.skip(str(exc))
    folder = tmp_path_factory.mktemp("prepared")
    assert main(["node", "keys", "--keys", str(folder / "pki")]) == 0
    key, firmware = read_key(folder / "pki" / "updates.key"), _hasty(folder / "firmware")
    for number in (5, 6):
        build("desktop", number, key, folder / f"build-{number}", "t", firmware)
    board = PluggedBoard(folder / "board")
    with board, SerialBoard.connect(str(board.port)) as at:
        flash(at, read_image(folder / "build-5"), lambda _done, _size: None)
    return folder


@pytest.fixture
def board(prepared: Path, tmp_path: Path) -> Iterator[PluggedBoard]:
    board = PluggedBoard(tmp_path / "board", wifi=AIR, pins={4: 0, 6: 2_000})
    board.folder.mkdir()
    shutil.copyfile(prepared / "board" / "flash.bin", board.folder / "flash.bin")
    board.plug()
    yield board
    board.pull()


def _provision(board: PluggedBoard, prepared: Path, **more: Any) -> None:
    config = {
        "gateway": {"host": "127.0.0.1", "port": free_port(), "tls": False, "answer_s": 1},
        "interval": 1,
        "wifi": [{"ssid": "facility", "password": "right"}],
        "sensors": [{"kind": "reed", "pin": 4}, {"kind": "sht4x", "sda": 1, "scl": 2}],
        **more,
    }
    file = board.folder / "node.json"
    file.write_text(json.dumps(config))
    keys = str(prepared / "pki")
    (prepared / "pki" / "boards.json").unlink(missing_ok=True)
    words = ["--config", str(file), "--keys", keys, "--labels", str(board.folder)]
    assert main(["node", "provision", "door-1", "--port", str(board.port), *words]) == 0


def _of(facts: list[Fact], what: str) -> list[Fact]:
    return [fact for fact in facts if fact["what"] == what]


def test_a_node_tells_its_health_its_log_and_what_it_could_not_deliver(
    board: PluggedBoard, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # One that was flashed before boards had labels, or whose label is damaged.
    with SerialBoard.connect(str(board.port)) as at:
        at.remove("/label")
        at.restart()
    board.until(b"this board has no configuration yet")
    words = ["node", "logs", "--port", str(board.port)]
    assert main([*words, "--lang", "zh"]) == 0
    said = capsys.readouterr().out
    assert "尚无配置：linli-edge node provision" in said
    assert "请写入配置" in said  # what it ended with last, explained
    _provision(board, prepared)
    board.until(b"no connection: ", after=1)
    capsys.readouterr()
    assert main([*words, "--lang", "en", "--last", "2"]) == 0
    said = capsys.readouterr().out
    assert "Board d0d0 (desktop): program 5, Linli" in said
    assert "Node door-1: on mains, every 1 s, to 127.0.0.1; networks: facility; sensors: reed, sht4x" in said
    assert "right" not in said
    assert "Starts: 1. Free memory: " in said
    lines = [line for line in said.splitlines() if "(time not known yet)" in line]
    assert any("Door open" in line for line in lines)
    assert any("✗ " in line for line in lines)
    # It was interrupted, started again, and lost nothing of its log.
    board.until(b"no connection: ", after=board.said.count(b"no connection: "))
    with SerialBoard.connect(str(board.port)) as at:
        facts = report(at, 1000)
    (log,) = _of(facts, "log")
    seqs = [fact["seq"] for fact in _of(facts, "record")]
    assert seqs == list(range(1, log["next_seq"]))
    assert log["damaged"] == 0


def test_a_node_that_cannot_use_its_configuration_says_so_and_asks_for_another(
    board: PluggedBoard, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It began anew every ten seconds, and whoever came by found a board that does nothing."""
    _provision(board, prepared)
    wrong = json.dumps(
        {"node": "door-1", "gateway": {"host": "10.0.0.1"}, "sensors": [{"kind": "reed", "pin": "four"}]}
    )
    with SerialBoard.connect(str(board.port)) as at:
        at.write("/node.json", wrong.encode())
        at.restart()
    mistake = 'sensors[0].pin: found "four"; write a whole number from 0 to 48'
    board.until(b"its configuration cannot be used: " + mistake.encode())
    board.until(b"radio: linli-d0d0 WPA2 ")
    assert main(["node", "logs", "--port", str(board.port), "--lang", "zh"]) == 0
    said = capsys.readouterr().out
    assert "现有配置不能用" in said
    assert mistake in said
    _provision(board, prepared)
    board.until(b"no connection: ", after=board.said.count(b"no connection: "))


def test_a_node_is_tried_out(board: PluggedBoard, prepared: Path) -> None:
    _provision(board, prepared)
    with SerialBoard.connect(str(board.port)) as at:
        facts = selftest(at)
    reed, sht4x = _of(facts, "sensor")
    assert reed["readings"] == [["door_open", "", False]]
    assert (sht4x["kind"], sht4x["reason"]) == ("sht4x", "no_communication")
    assert _of(facts, "wifi") == [{"what": "wifi", "signal": -61}]
    (broker,) = _of(facts, "broker")
    assert broker["error"].startswith("no connection: ")


@pytest.mark.skipif(find() is None, reason="Mosquitto is not installed here: apt-get install mosquitto")
async def test_what_was_provisioned_reaches_the_gateways_broker_with_its_own_key(
    board: PluggedBoard, prepared: Path, tmp_path: Path
) -> None:
    port, secure = free_ports(2)
    gateway = {"host": "127.0.0.1", "port": secure, "answer_s": 1}
    async with (
        local_broker(tmp_path, port, secure, ("door-1",), pki=prepared / "pki"),
        aiomqtt.Client("127.0.0.1", port) as heard,
    ):
        await heard.subscribe("node/#", qos=1)
        await asyncio.to_thread(_provision, board, prepared, gateway=gateway)
        # Its loader has started the program, by itself.
        message = await anext(aiter(heard.messages))
        assert str(message.topic) == "node/door-1/status"
        assert json.loads(bytes(message.payload))["board"] == "d0d0"

        def tried() -> list[Fact]:
            with SerialBoard.connect(str(board.port)) as at:
                return selftest(at)

        assert _of(await asyncio.to_thread(tried), "broker") == [{"what": "broker"}]
        # With the keys of another gateway it is not let in, and says so otherwise than where nobody is.
        strangers = shutil.copytree(prepared, tmp_path / "strangers", ignore=shutil.ignore_patterns("pki"))
        assert main(["node", "keys", "--keys", str(strangers / "pki")]) == 0
        await asyncio.to_thread(_provision, board, strangers, gateway=gateway)
        (broker,) = _of(await asyncio.to_thread(tried), "broker")
        assert explained(broker["error"], "en").startswith(
            "What answers at this address shows a certificate of another"
        )
        assert [failure.kind for failure in judged([broker, {"what": "wifi", "signal": -61}], Demands())[1]] == [
            "bench.broker"
        ]


@pytest.mark.skipif(find() is None, reason="Mosquitto is not installed here: apt-get install mosquitto")
async def test_a_node_on_a_battery_is_given_a_shared_key_and_let_in_with_it(
    board: PluggedBoard, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port, secure, shared, nowhere = free_ports(4)
    own = tmp_path / "own"
    shutil.copytree(prepared / "pki", own / "pki")
    keys = SharedKeys(own / "pki")
    assert main(["node", "keys", "--shared", "--keys", str(own / "pki")]) == 0
    refusal = "the broker ends the handshake: does it take this node's key?"
    # With certificates it gets in nowhere.
    gateway = {"host": "127.0.0.1", "port": nowhere, "shared_port": shared, "answer_s": 1}
    async with (
        local_broker(tmp_path, port, secure, ("door-1",), pki=own / "pki", shared=shared) as broker,
        aiomqtt.Client("127.0.0.1", port) as heard,
    ):
        await heard.subscribe("node/#", qos=1)
        await asyncio.to_thread(_provision, board, own, gateway=gateway, power="battery")
        message = await anext(aiter(heard.messages))
        assert str(message.topic) == "node/door-1/status"

        def tried() -> list[Fact]:
            with SerialBoard.connect(str(board.port)) as at:
                return selftest(at)

        assert _of(await asyncio.to_thread(tried), "broker") == [{"what": "broker"}]

        def told(words: str, known: int) -> bool:
            return broker.log.read_text().count(words) > known

        async def forgotten() -> None:
            reread = "reads its access rules again"
            known = broker.log.read_text().count(reread)
            # What was given is read by now, or with it.
            assert keys.take_off("door-1")
            await eventually(functools.partial(asyncio.to_thread, told, reread, known), "the keys are read again")
            # Who is answered now is so after the signal was heard.
            async with aiomqtt.Client("127.0.0.1", port):
                pass

        # The same board again keeps its key: the command may have been broken off.
        line = keys.path.read_text().splitlines()[-1]
        await asyncio.to_thread(_provision, board, own, gateway=gateway, power="battery")
        assert keys.path.read_text().splitlines()[-1] == line
        assert keys.path.stat().st_mode & 0o777 == 0o600
        # A gateway that was restored knows the key no more: the certificate lets it in.
        await forgotten()
        (refused,) = _of(await asyncio.to_thread(tried), "broker")
        assert refused["shared"] == refusal
        assert refused["error"].startswith("no connection: ")
    board.pull()
    assert board.read("/keys/shared.key").decode().startswith("door-1:")
    # On mains it has none, here and there.
    board.plug()
    await asyncio.to_thread(_provision, board, own, gateway=gateway, power="mains")
    board.pull()
    assert "/keys/shared.key" not in board.files()
    assert "door-1" not in keys.nodes
    out = capsys.readouterr()
    assert line.partition(":")[2] not in out.out + out.err + board.said.decode(errors="replace")


def test_a_network_that_does_not_let_it_in_is_told_from_one_that_is_not_there(
    board: PluggedBoard, prepared: Path
) -> None:
    _provision(board, prepared, wifi=[{"ssid": "facility", "password": "wrong"}])
    with SerialBoard.connect(str(board.port)) as at:
        at.run("import sys\nsys.path.insert(0, '/a')\nimport linli_app.board\nlinli_app.board._JOIN_MS = 100")
        facts = selftest(at)
    (wifi,) = _of(facts, "wifi")
    assert wifi["error"] == "no network lets this node in: facility"
    assert wifi["seen"] == ["facility"]
    assert not _of(facts, "broker")


def test_an_update_comes_by_the_cable_and_goes_on_where_it_was_cut_off(
    board: PluggedBoard, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _provision(board, prepared)
    words = ["node", "update", "door-1", "--port", str(board.port), "--lang", "en", "--build"]
    assert main([*words, str(prepared / "build-5")]) == FAILED
    said = capsys.readouterr().err
    assert "update 5 is no newer than 5" in said
    assert "→ The board has had program 5" in said
    # Signed by somebody else.
    strange = shutil.copytree(prepared / "build-6", tmp_path / "strange")
    (strange / "signature").write_text("00" * 64)
    assert main([*words, str(strange)]) == FAILED
    assert "signed with another key" in capsys.readouterr().err
    assert main(["node", "update", "door-2", *words[3:], str(prepared / "build-6")]) == FAILED
    assert "this board is door-1, not door-2" in capsys.readouterr().err
    # A file of the program is another: the rest is copied on the board. The cable is pulled in the middle.
    changed = _changed(prepared, tmp_path)
    board.pull()
    board.plug(pulled_after=7_500)
    assert main([*words, str(changed)]) == FAILED
    assert "the board broke off" in capsys.readouterr().err
    board.pull()
    board.plug()
    with SerialBoard.connect(str(board.port)) as at:
        (about,) = _of(report(at, 0), "board")
    assert (about["running"], about["trial"]) == (5, None)
    assert main([*words, str(changed)]) == 0
    assert "program 7 is in its other slot (1 files were sent)" in capsys.readouterr().out
    # Whoever looks at it, and be it four times, has not let it fail.
    for times in range(4):
        # Said once by each start, and once by each look.
        board.until(b"seven", after=2 * times)
        with SerialBoard.connect(str(board.port)) as at:
            facts = report(at, 0)
            let_go(at)
    (about,) = _of(facts, "board")
    assert (about["number"], about["running"], about["trial"]) == (7, 7, "b")
    assert any("on trial" in line for line in told(facts, "en"))


def _changed(prepared: Path, tmp_path: Path) -> Path:
    firmware = shutil.copytree(prepared / "firmware", tmp_path / "firmware")
    source = firmware / "node" / "linli_app" / "__init__.py"
    source.write_text(source.read_text() + "print('seven')\n")
    return build("desktop", 7, read_key(prepared / "pki" / "updates.key"), tmp_path / "seven", "t", firmware).folder


def test_what_a_node_says_is_followed_and_explained(board: PluggedBoard, prepared: Path) -> None:
    _provision(board, prepared)
    lines = follow(str(board.port))
    assert next(line for line in lines if line.startswith("no connection: "))
    lines.close()  # type: ignore[attr-defined]


def test_a_board_that_nobody_listens_to_goes_on_and_answers_later(board: PluggedBoard) -> None:
    with SerialBoard.connect(str(board.port)) as at:
        at.write("/main.py", b"for number in range(600):\n    print('unheard', number)\nimport time\ntime.sleep(600)\n")
        at.restart()
    board.until(b"unheard 599")
    with SerialBoard.connect(str(board.port)) as at:
        assert at.run("print(6 * 7)").strip() == "42"


def _on_paper(page: Path) -> str:
    """Return the passphrase that is printed on a label."""
    found = re.search(r"class=inside>.*?<b>([^<]+)</b>", page.read_text())
    assert found is not None
    return found[1]


def _shown(port: int, sent: bytes | None = None) -> bool:
    """Tell whether a page answers well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", sent, timeout=PATIENCE) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def test_the_radio_of_a_pico_w_which_has_no_name_for_it_opens_wpa2_as_well(board: PluggedBoard) -> None:
    with SerialBoard.connect(str(board.port)) as at:
        said = at.run(
            "sys.path.insert(0, '/a')\nimport network\ndel network.WLAN.SEC_WPA2\n"
            "from linli_app.access_point import AccessPoint\nAccessPoint().open('12345678')"
        )
    assert "radio: linli-d0d0 WPA2 " in said


async def test_a_board_becomes_with_a_phone_and_its_label_what_it_becomes_by_the_cable(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, names = free_ports(2)
    board = PluggedBoard(tmp_path / "board", wifi=AIR, pins={4: 0}, ports={80: page, 53: names})
    board.folder.mkdir()
    shutil.copyfile(prepared / "board" / "flash.bin", board.folder / "flash.bin")
    config = {
        "gateway": {"host": "127.0.0.1", "port": free_port(), "tls": False, "answer_s": 1},
        "wifi": [{"ssid": "facility", "password": "right"}],
        "sensors": [{"kind": "reed", "pin": 4}],
    }
    (tmp_path / "door-1.json").write_text(json.dumps(config))
    provisioning = ["--config", str(tmp_path / "door-1.json"), "--keys", str(prepared / "pki")]
    (prepared / "pki" / "boards.json").unlink(missing_ok=True)
    with board:
        with SerialBoard.connect(str(board.port)) as at:
            at.remove("/label")
        words = ["--port", str(board.port), "--build", str(prepared / "build-5"), "--labels", str(tmp_path)]
        assert main(["node", "flash", *words]) == 0
        secret, asked = _on_paper(tmp_path / "d0d0.html"), len(board.said)
        # What is printed joins what the board opens.
        board.until(f"radio: linli-d0d0 WPA2 {hashlib.sha256(secret.encode()).hexdigest()}".encode())
        board.until(b"first start: Wi-Fi linli-d0d0, its passphrase is on the label")
        assert main(["node", "provision", "door-1", *provisioning, "--file", str(tmp_path / "door-1.linli")]) == 0
        given = (tmp_path / "door-1.linli").read_text()
        sent = urllib.parse.urlencode({"node": "", "ssid": "", "host": "", "bundle": given, "kind": "", "pin": ""})
        await eventually(lambda: asyncio.to_thread(_shown, page), "the page of the first start")
        assert await asyncio.to_thread(_shown, page, sent.encode())
        board.until(b"radio: closed")
        # It has started again, by itself, as a node.
        board.until(b"no connection: ")
        told = capsys.readouterr()
        assert secret not in told.out + told.err
        # It is told to whoever asks for it at the cable, to be printed, and never of the board's own accord.
        assert secret.encode() not in board.said[asked:]
        board.pull()
        by_phone = {path: board.read(path) for path in board.files() if path.startswith(("/node.json", "/keys"))}
        keys = {name: bytes.fromhex(key) for name, key in json.loads(given)["keys"].items()}
        # The same by the cable, onto the same board; which keeps the passphrase of its label.
        board.plug()
        identity = Identity(keys["ca.der"], keys["node.der"], keys["node.key"])
        with SerialBoard.connect(str(board.port)) as at:
            at.remove("/node.json", "/keys")
            content = json.dumps({**config, "node": "door-1"}).encode()
            provision(at, "door-1", content, identity, keys["update.pub"], GivenNames(tmp_path))
        board.pull()
        by_cable = {path: board.read(path) for path in board.files() if path.startswith(("/node.json", "/keys"))}
        board.plug()
        # Back to its first start: the network is the one on the label still.
        at_cable = ["--port", str(board.port), "--keys", str(tmp_path), "--lang", "en"]
        assert main(["node", "reset", "door-2", *at_cable]) == FAILED
        assert "this board is door-1, not door-2" in capsys.readouterr().err
        assert main(["node", "reset", "door-1", *at_cable]) == 0
        assert GivenNames(tmp_path).nodes == ()
        board.until(f"radio: linli-d0d0 WPA2 {hashlib.sha256(secret.encode()).hexdigest()}".encode(), after=1)
        board.pull()
    assert not [path for path in board.files() if path.startswith(("/node", "/keys", "/log", "/0"))]
    assert json.loads(by_phone.pop("/node.json")) == json.loads(by_cable.pop("/node.json"))
    assert by_phone == by_cable
    assert set(by_cable) == {f"/keys/{name}" for name in ("ca.der", "node.der", "node.key", "update.pub")}
    assert board.read("/label") == secret.encode()
