"""``linli-edge node bench``: boards in a row, good and bad, and what is told and printed of them."""

import json
import re
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from linli_core.cjk_font import FOLDERS, choose
from linli_core.errors import ConfigError
from linli_edge.cli import WRONG, main
from linli_edge.nodes import bench, bench_command
from linli_edge.nodes.bench import Bench, Demands, Failure, Made, MadeFile, arriving, judged
from linli_edge.nodes.build import build, read_key
from linli_edge.nodes.flashing import Image, flash, read_image
from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.keys import KeyFolder
from linli_edge.nodes.node_labels import as_pdf, label_of
from linli_edge.nodes.offers import Manifest
from linli_edge.nodes.planned import Planned, read_list
from linli_edge.nodes.provisioning import misses_shared_key
from linli_edge.nodes.serial_board import Facts, SerialBoard
from linli_edge.nodes.shared import SharedKeys
from linli_sim.nodes.plugged import PluggedBoard
from linli_sim.nodes.vm import NoMachine, unix

FAILED = 1
POWER = ("battery", "mains")
AIR = {"facility": "right"}
DRY, TORN = 40_000, 65_535
LIST = """
[common]
gateway = {{ host = "127.0.0.1", port = 1, tls = false }}
interval = 900

{nodes}
"""
NODE = """
[[nodes]]
id = "door-{number}"
place = "B1 泵房 {number}"
power = "{power}"
sensors = [{{ kind = "leak_rope", pin = 6, power = 7 }}]
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with keys, the real program for boards of the desktop, and the flash of one that has it."""
    try:
        unix()
    except NoMachine as exc:
        pytest.skip(str(exc))
    folder = tmp_path_factory.mktemp("bench")
    assert main(["node", "keys", "--keys", str(folder / "pki")]) == 0
    build("desktop", 5, read_key(folder / "pki" / "updates.key"), folder / "built", "t")
    board = PluggedBoard(folder / "board")
    with board, SerialBoard.connect(str(board.port)) as at:
        flash(at, read_image(folder / "built"), lambda _done, _size: None)
    return folder


def _no_font() -> None:
    """To embed one takes seconds."""
    raise ConfigError("PDF", "no font", "install one")


@pytest.fixture
def place(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "_PAUSES_S", (0.3, 1.0, 2.0))
    monkeypatch.setattr(bench_command, "find_font", _no_font)
    shutil.copytree(prepared / "pki", "nodes-pki")
    Path("password").write_text("right\n")
    return tmp_path


def _bench(prepared: Path, *more: str) -> int:
    words = ["node", "bench", "nodes.toml", "--build", str(prepared / "built"), "--port", "board*/port"]
    return main([*words, "--wifi", "facility", "--password-file", "password", *more])


def _list(count: int) -> None:
    nodes = "".join(NODE.format(number=number, power=POWER[number % 2]) for number in range(1, count + 1))
    Path("nodes.toml").write_text(LIST.format(nodes=nodes))


@pytest.mark.system
def test_boards_in_a_row_become_nodes_and_a_bad_one_is_put_aside(
    place: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _list(2)
    keys = SharedKeys(Path("nodes-pki"))
    keys.create()
    with ExitStack() as stack:
        # Two good ones; the rope of one is torn.
        boards = [
            PluggedBoard(place / f"board{number}", uid=f"d0d{number}", wifi=AIR, pins={6: rope})
            for number, rope in enumerate((DRY, TORN, DRY))
        ]
        for board in boards:
            board.folder.mkdir()
            shutil.copyfile(prepared / "board" / "flash.bin", board.folder / "flash.bin")
            stack.enter_context(board)
        assert _bench(prepared, "--lang", "en", "--boards", "2") == FAILED
        said = capsys.readouterr().out
        told = [said]
        assert "door-1 is ready" in said
        assert "✗ Board d0d1 failed" in said
        assert "A sensor does not answer: leak_rope[0]: the rope is broken" in said
        assert re.search(r"^door-1 +d0d0 +desktop +\d+ +✓ passed$", said, re.MULTILINE)
        assert re.search(r"^door-2 +to be made$", said, re.MULTILINE)
        assert '[[nodes.boards]]\nid = "door-1"\nboard = "d0d0"' in said
        # The name of the bad one is free, and is not on it any more.
        assert GivenNames(Path("nodes-pki")).nodes == ("door-1",)
        assert not keys.nodes
        assert "right" not in said
        # Somebody goes on where it was: nothing is made twice.
        boards[1].pull()
        # A node from somewhere else, plugged in by mistake, is left as it is.
        with SerialBoard.connect(str(boards[2].port)) as at:
            at.write("/node.json", b'{"node": "elsewhere"}')
            at.write("/log/0", b"not delivered yet")
        assert _bench(prepared, "--lang", "en", "--boards", "1") == FAILED
        assert "this board is elsewhere already" in capsys.readouterr().out
        boards[2].pull()
        assert boards[2].read("/log/0") == b"not delivered yet"
        boards[2].plug()
        assert _bench(prepared, "--lang", "zh", "--replace") == 0
        said = capsys.readouterr().out
        assert "door-2 已就绪" in said
        assert said.count("已就绪") == 1
        assert f"电池节点的共享密钥在 {keys.path}" in said
        assert keys.nodes == ("door-2",)
        told.append(said)
    held = [json.loads(boards[number].read("/node.json"))["node"] for number in (0, 2)]
    assert held == ["door-1", "door-2"]
    assert "/node.json" not in boards[1].files()
    page = Path("bench/labels.html").read_text()
    assert page.count("<svg") == 4
    for board in (boards[0], boards[2]):
        secret = board.read("/label").decode()
        assert f"<b>{secret}</b>" in page
        assert secret not in "".join(told)
    assert {file.stat().st_mode & 0o077 for file in Path("bench").iterdir()} == {0}
    for words in ("door-2", "B1 泵房 2", "漏水绳", "d0d2"):
        assert words in page
    assert not list(Path("bench").glob("*.new"))
    # All are made: the table and the labels again, and nobody waits for a board.
    assert _bench(prepared, "--lang", "en") == 0
    assert "passed" in capsys.readouterr().out


def _facts(**more: Any) -> list[dict[str, Any]]:
    facts: dict[str, dict[str, Any]] = {
        "sensor": {"place": 0, "kind": "ds18b20", "readings": [["temperature", "Cel", [2143, 2]]]},
        "wifi": {"signal": -61},
        "broker": {},
    }
    return [{"what": what, **(more.get(what) or fact)} for what, fact in facts.items()]


JUDGED = [
    ({}, Demands(), []),
    ({"sensor": {"place": 0, "kind": "sht4x", "error": "x"}}, Demands(), ["sensor"]),
    ({"sensor": {"place": 0, "kind": "sht4x", "error": "x"}}, Demands(sensors=False), []),
    ({"wifi": {"error": "no network lets this node in: a, b", "seen": ["c"]}}, Demands(), ["no_network"]),
    ({"wifi": {"error": "no network lets this node in: a, b", "seen": ["b"]}}, Demands(), ["refused"]),
    ({"wifi": {"error": "no network lets this node in: a, b", "seen": ["b"]}}, Demands(network=False), []),
    ({"broker": {"error": "no connection: [Errno 111] ECONNREFUSED"}}, Demands(), []),
    ({"broker": {"error": "no connection: [addrinfo error -2]"}}, Demands(), []),
    ({"broker": {"error": "the broker does not answer within 10 s"}}, Demands(), []),
    ({"broker": {"error": "no connection: not correctly signed by the trusted CA"}}, Demands(), ["broker"]),
    ({"broker": {"error": "the broker refuses this node (code 5)"}}, Demands(), ["broker"]),
    ({"broker": {"shared": "the broker ends the handshake: does it take this node's key?"}}, Demands(), []),
    (
        {"broker": {"shared": "x", "error": "the broker ends the handshake: does it take this node's key?"}},
        Demands(),
        ["broker"],
    ),
]


@pytest.mark.parametrize(("more", "demands", "failures"), JUDGED)
def test_what_is_a_failure_and_what_is_not(more: dict[str, Any], demands: Demands, failures: list[str]) -> None:
    checks, found = judged(_facts(**more), demands)
    assert [failure.kind for failure in found] == [f"bench.{kind}" for kind in failures]
    assert len(checks) == 3
    if not more:
        assert checks == [("ds18b20[0]", "temperature=21.43"), ("wifi", "-61 dBm"), ("broker", "ok")]


def test_a_board_that_misses_a_shared_key_is_known(tmp_path: Path) -> None:
    keys, facts = SharedKeys(tmp_path), Facts("aa", "esp32c3", "", (1, 28, 0), 6, has_radio=True)
    assert not misses_shared_key(keys, b'{"power": "battery"}', facts)
    keys.create()
    assert misses_shared_key(keys, b'{"power": "battery"}', facts)
    assert not misses_shared_key(keys, b"{}", facts)
    assert not misses_shared_key(keys, b'{"power": "battery"}', replace(facts, shares_keys=True))


def test_checks_that_did_not_come_to_their_end_are_a_failure() -> None:
    assert judged([], Demands())[1] == [Failure.of("not_tried")]


def test_what_was_made_is_kept_and_a_board_that_comes_again_counts_once(tmp_path: Path) -> None:
    made = MadeFile(tmp_path)
    made.add(Made("aa", "door-1", failures=[Failure.of("sensor", "x")]))
    made.add(Made("", failures=[Failure("trouble.blank", {"port": "p"})]))
    made.add(Made("aa", "door-1"))
    made.add(Made("bb", "door-1"))
    assert {node: each.board for node, each in MadeFile(tmp_path).passed.items()} == {"door-1": "bb"}
    assert [each.board for each in made.all] == ["", "bb"]
    (tmp_path / "made.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match=r"made\.json"):
        MadeFile(tmp_path)


def test_what_cannot_be_kept_is_told(tmp_path: Path) -> None:
    made = MadeFile(tmp_path / "out")
    # Something else of that name has come meanwhile.
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(ConfigError, match="--out"):
        made.add(Made("aa"))
    with pytest.raises(ConfigError, match="--keys"):
        GivenNames(tmp_path / "gone").give("a", "aa")


def test_a_name_that_a_board_has_waits_for_that_board(tmp_path: Path) -> None:
    planned = [Planned(node, "", (), b"") for node in ("a", "b", "c")]
    given, made = GivenNames(tmp_path), MadeFile(tmp_path)
    image = Image(Manifest("desktop", 1, {}), b"", "", {})
    at = Bench(planned, image, KeyFolder(tmp_path), b"", given, made, Demands())
    given.give("a", "aa")
    given.give("elsewhere", "ee")

    def becomes(uid: str) -> str:
        found = at._next(uid)
        return "" if found is None else found.node

    # Whoever pulled it out half made plugs it in again; the others go on with what is free.
    assert (becomes("aa"), becomes("bb"), becomes("ee")) == ("a", "b", "b")
    assert at.taken() == {"a": "aa"}
    made.add(Made("bb", "b"))
    made.add(Made("cc", "c"))
    assert (becomes("aa"), becomes("dd")) == ("a", "")
    at.replace = True
    assert becomes("dd") == "a"


STEPS: list[tuple[float, dict[str, str]]] = [
    (0.1, {"a": ""}),
    (0.1, {"a": "", "b": "chip-1"}),
    # Away for a second they started again; away for four somebody plugged in another.
    (1.0, {}),
    (0.1, {"a": "", "b": "chip-1"}),
    (4.0, {}),
    (0.1, {"a": ""}),
    # However quickly: it is another chip.
    (0.1, {"a": "", "b": "chip-1"}),
    (0.1, {"a": "", "b": "chip-2"}),
    (0.1, {"a": "", "b": "chip-2"}),
]


def test_a_board_is_met_once_until_it_was_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    now, there, steps = [0.0], [dict[str, str]()], iter(STEPS)
    over: list[bool] = []

    def sleep(_seconds: float) -> None:
        passes, found = next(steps, (0.0, None))
        now[0] += passes
        if found is None:
            over.append(True)
        else:
            there[0] = found

    monkeypatch.setattr(bench, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    monkeypatch.setattr(bench, "ports", lambda _patterns: there[0])
    assert list(arriving([], lambda: bool(over))) == ["a", "b", "a", "b", "b"]


MISTAKES = [
    ("[common]\n", "no list of nodes"),
    ("common = 1\n[[nodes]]\n", "no list of nodes"),
    ("[[node]]\n", "unknown: node"),
    ("[[nodes]]\nid = 'Door'\n", r"nodes\[0\].id"),
    (f"[[nodes]]\nid = 'a'\nplace = '{'x' * 61}'\n", r"nodes\[0\].place"),
    ("[[nodes]]\nid = 'a'\n", "sensors: missing"),
    (LIST.format(nodes=NODE.format(number=1, power="mains") * 2), "listed twice"),
]


@pytest.mark.parametrize(("written", "told"), MISTAKES)
def test_a_mistake_in_the_list_is_told_before_anybody_plugs_in(written: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "nodes.toml").write_text(written)
    with pytest.raises(ConfigError, match=told):
        read_list(tmp_path / "nodes.toml", {})


def test_what_is_common_and_what_is_ones_own_go_together(tmp_path: Path) -> None:
    (tmp_path / "nodes.toml").write_text(
        "[common]\ngateway = { host = 'a', port = 1 }\nwifi = [{ ssid = 'x' }]\ninterval = 60\n"
        "[[nodes]]\nid = 'n'\ninterval = 5\ngateway = { port = 2 }\nsensors = [{ kind = 'reed', pin = 4 }]\n"
    )
    (planned,) = read_list(tmp_path / "nodes.toml", {"gateway": {"host": "b"}, "wifi": [{"ssid": "y"}]})
    held = json.loads(planned.configuration)
    assert held["gateway"] == {"host": "b", "port": 2}
    assert held["wifi"] == [{"ssid": "y"}, {"ssid": "x"}]
    assert held["interval"] == 5


def test_a_label_says_which_node_where_what_and_which_board() -> None:
    planned = Planned("cold-1", "冷库 2", ("ds18b20", "ds18b20", "reed"), b"")
    label = label_of(planned, Made("7c2c67", "cold-1", "esp32c3"), "zh")
    assert label.title == "cold-1"
    assert label.lines == ("冷库 2", "温度探头, 门磁", "esp32c3 · 7c2c67")
    assert label.code == "LINLI/1 node/cold-1 board=7c2c67 kind=esp32c3 sensors=ds18b20+ds18b20+reed place=冷库 2"
    # Of one that was made before boards had passphrases there is nothing more to say.
    assert label.inside is None


def test_the_other_half_of_a_label_says_what_a_phone_needs_for_the_first_start() -> None:
    made = Made("7c2c67aabbcc", "cold-1", "esp32c3", passphrase="acde-fhjk")
    half = label_of(Planned("cold-1", "", (), b""), made, "en").inside
    assert half is not None
    assert half.title == "acde-fhjk"
    assert half.code == "WIFI:T:WPA;S:linli-bbcc;P:acde-fhjk;;"
    assert half.lines == (
        "passphrase of Wi-Fi linli-bbcc", "then open http://192.168.4.1", "cold-1 · first start with a phone",
        "Wi-Fi gone? RESET, or off and on",
    )  # fmt: skip
    # Somebody wrote one of their own onto the board, with signs that mean something in the code.
    own = label_of(Planned("", "", (), b""), Made("7c2c67aabbcc", passphrase='a;b:c"d\\e'), "zh")
    assert own.title == "linli-bbcc"
    assert own.inside is not None
    assert own.inside.code == 'WIFI:T:WPA;S:linli-bbcc;P:a\\;b\\:c\\"d\\\\e;;'


def test_labels_are_a_pdf_where_there_is_a_font() -> None:
    found = sorted(path for folder in FOLDERS for path in folder.rglob("wqy-microhei.ttc"))
    if not found:
        pytest.skip("no font with Chinese characters: apt-get install fonts-wqy-microhei")
    planned, made = Planned("cold-1", "冷库", ("ds18b20",), b""), Made("7c2c67", "cold-1", "esp32c3", passphrase="acde")
    # More than go onto one page.
    paper = as_pdf([label_of(planned, made, "zh")] * 11, "zh", choose(found))
    assert paper[:5] == b"%PDF-"
    assert len(re.findall(rb"/Type /Page\b", paper)) == 2


def test_a_list_without_keys_is_told(place: Path, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del place
    _list(1)
    assert _bench(prepared, "--keys", "nowhere") == WRONG
    assert "linli-edge node keys makes one" in capsys.readouterr().err


def _built_for(board: str, prepared: Path, place: Path) -> Path:
    """Return the folder of a program that says that it is for a kind of board."""
    built = place / board
    shutil.copytree(prepared / "built", built)
    manifest = json.loads((built / "manifest").read_bytes())
    (built / "manifest").write_text(json.dumps({**manifest, "board": board}))
    return built


def test_pins_that_do_not_wake_the_boards_that_are_to_be_made_are_told_before_anybody_plugs_in(
    place: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = _built_for("esp32c3", prepared, place)
    listed = '[common]\npower = "battery"\ngateway = { host = "10.0.0.2" }\n'
    for number, sensor in enumerate(
        ('kind = "reed", pin = 3', 'kind = "leak_switch", pin = 9', 'kind = "button", pin = 5')
    ):
        listed += f'[[nodes]]\nid = "n-{number}"\nsensors = [{{ {sensor} }}]\n'
    Path("nodes.toml").write_text(listed)
    words = ["node", "bench", "nodes.toml", "--build", str(built), "--boards", "1", "--lang", "en"]
    assert main(words) == FAILED
    told = capsys.readouterr().err
    assert "nodes.toml: this configuration is not for an ESP32-C3 on a battery" in told
    assert "n-0: sensors[0] (reed, pin 3): opening does not wake" in told
    assert (
        "n-1: sensors[0] (leak_switch): pin 9 does not wake an ESP32-C3 from its sleep. Take one of GPIO0 to GPIO5"
        in told
    )
    assert "n-2" not in told


def test_pins_that_the_boards_have_not_are_told_before_anybody_plugs_in(
    place: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = _built_for("rp2", prepared, place)
    listed = '[common]\ngateway = { host = "10.0.0.2" }\n'
    listed += '[[nodes]]\nid = "n-0"\nsensors = [{ kind = "leak_rope", pin = 4, power = 25 }]\n'
    Path("nodes.toml").write_text(listed)
    words = ["node", "bench", "nodes.toml", "--build", str(built), "--boards", "1", "--lang", "en"]
    assert main(words) == FAILED
    told = capsys.readouterr().err
    assert "n-0: sensors[0].pin (leak_rope): pin 4 of the Raspberry Pi Pico W measures no voltage" in told
    assert "n-0: sensors[0].power (leak_rope): pin 25 of the Raspberry Pi Pico W is its radio's" in told
