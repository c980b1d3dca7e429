"""The first start of a board without a configuration: its page, on the unix port, asked by a real HTTP client."""

import asyncio
import contextlib
import html
import http.client
import json
import math
import urllib.parse
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from linli_edge.nodes import passphrase
from linli_edge.nodes.configuration import firmware
from linli_sim.nodes.vm import FIRMWARE, Machine, environment, unix
from linli_sim.processes import free_port
from linli_sim.waiting import PATIENCE, eventually

PASSPHRASE = passphrase.fresh()
FILLED = {
    "node": "door-1",
    "ssid": "facility",
    "password": "wifi secret",
    "host": "192.168.1.10",
    "kind": "reed",
    "pin": "4",
}
Asked = tuple[int, dict[str, str], str]


def _ask(port: int, method: str, path: str = "/", fields: dict[str, str] | bytes = b"", lang: str = "en") -> Asked:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    body = fields if isinstance(fields, bytes) else urllib.parse.urlencode(fields).encode()
    connection.request(method, path, body or None, {"Accept-Language": lang})
    answer = connection.getresponse()
    found = answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read().decode()
    connection.close()
    return found


class Board:
    """A board at its first start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.said = b""

    async def start(self, seconds: int = 600) -> None:
        """Switch it on."""
        self.process = await asyncio.create_subprocess_exec(
            *unix().argv, "-X", "heapsize=128k",
            str(FIRMWARE / "desktop" / "first.py"), str(self.folder), str(self.port), str(seconds),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=environment(("lib", "node", "desktop")),
        )  # fmt: skip

    async def ask(self, method: str, path: str = "/", fields: dict[str, str] | bytes = b"", lang: str = "en") -> Asked:
        """Ask for a page."""
        return await asyncio.to_thread(_ask, self.port, method, path, fields, lang)

    async def until_open(self) -> None:
        """Return once the page is there."""

        async def there() -> bool:
            try:
                return (await self.ask("GET"))[0] == 200
            except OSError:
                return False

        await eventually(there, "the page of the first start")

    async def end(self) -> str:
        """Return what it said, once it is over."""
        self.said, _ = await self.process.communicate()
        return self.said.decode()


@pytest_asyncio.fixture
async def board(tmp_path: Path, unix_port: Machine) -> AsyncIterator[Board]:
    """One that waits for its configuration."""
    del unix_port
    label = f"{PASSPHRASE}\n".encode()
    assert passphrase.read(label) == PASSPHRASE
    (tmp_path / "label").write_bytes(label)
    board = Board(tmp_path)
    await board.start()
    try:
        await board.until_open()
        yield board
    finally:
        if board.process.returncode is None:
            board.process.kill()
            await board.process.wait()


async def test_a_phone_makes_it_a_node(board: Board) -> None:
    status, headers, text = await board.ask("GET", lang="zh-CN,zh;q=0.9")
    assert status == 200
    assert "首次启动" in text
    assert headers["cache-control"] == "no-store"
    assert PASSPHRASE not in text
    # What phones ask for to find out whether they are in the Internet leads to the page.
    status, headers, _ = await board.ask("GET", "/generate_204")
    assert (status, headers["location"]) == (302, f"http://127.0.0.1:{board.port}/")
    keys = {"ca.der": b"authority".hex(), "node.key": b"own".hex()}
    bundle = json.dumps({"interval": 60, "gateway": {"port": 8885}, "keys": keys})
    status, _, text = await board.ask("POST", "/", {**FILLED, "bundle": bundle})
    assert status == 200, text
    assert "wifi secret" not in text
    said = await board.end()
    assert said.splitlines()[-2:] == ["closed", "over"]
    found = json.loads((board.folder / "node.json").read_bytes())
    assert found == {
        "interval": 60,
        "gateway": {"port": 8885, "host": "192.168.1.10"},
        "node": "door-1",
        "wifi": [{"ssid": "facility", "password": "wifi secret"}],
        "sensors": [{"kind": "reed", "pin": 4}],
    }
    assert (board.folder / "keys" / "ca.der").read_bytes() == b"authority"
    assert (board.folder / "keys" / "node.key").read_bytes() == b"own"


async def test_mistakes_are_told_and_no_secret_is(board: Board) -> None:
    long = "x" * 64
    status, _, text = await board.ask("POST", "/", {**FILLED, "node": "Door <1>", "password": long, "pin": "four"})
    assert status == 422
    assert "node: found &quot;Door &lt;1>&quot;; write lower case, digits and hyphens, 63 at most" in text
    assert "sensors[0].pin: found &quot;four&quot;" in text
    assert "wifi[0].password: it is kept to yourself here" in text
    assert long not in text
    assert 'value="facility"' in text  # what is no secret need not be written again
    status, _, text = await board.ask("POST", "/", {"node": "a"})
    assert status == 422
    for missing in ("wifi[0].ssid", "gateway", "sensors"):
        assert f"{missing}: missing; add it" in text
    key = b"private key".hex()
    status, _, text = await board.ask("POST", "/", {**FILLED, "bundle": json.dumps({"keys": {"nodekey": key}})})
    assert (status, key in text) == (422, False)
    assert "keys.nodekey: unknown" in text
    assert not (board.folder / "node.json").exists()
    assert not (board.folder / "keys").exists()


async def test_mistakes_are_told_in_chinese_and_what_was_written_stays_as_it_is(board: Board) -> None:
    bundle = json.dumps({
        "power": "solar", "interval": 0, "gateway": {"tls": "one of to"}, "actions": {}, "sensor": 1,
        "sensors": [{"kind": "rope"}, {"pin": 4}, {"kind": "leak_rope", "pin": 3}],
    })  # fmt: skip
    fields = {"node": "a to b", "host": "10.0.0.1", "ssid": "x" * 33, "bundle": bundle}
    status, _, text = await board.ask("POST", "/", fields, "zh")
    assert status == 422
    told = html.unescape(text).split("没有保存。请改正：\n")[1].split("</div>")[0].splitlines()
    for line in (
        'node: 写的是 "a to b"；应写 小写字母、数字和连字符，最多 63 个',
        'power: 写的是 "solar"；应写 其中之一：battery, mains',
        "interval: 写的是 0；应写 整数，范围 1–86400",
        'gateway.tls: 写的是 "one of to"；应写 true 或 false',
        "actions: 写的是 {}；应写 列表，项数 0–16",
        "sensors[2].power: 缺少，请补上",
    ):
        assert line in told
    for begins in (
        "sensor: 没有这一项；可用的有 actions, ",
        'sensors[0].kind: 写的是 "rope"；应写 其中之一：ads1115, ',
        "sensors[1].kind: 没有写；应写 其中之一：ads1115, ",
        'wifi[0].ssid: 写的是 "xxx',
    ):
        assert any(line.startswith(begins) for line in told), begins
    assert any(line.endswith("应写 文本，字符数 1–32") for line in told)
    relay = {"power": "battery", "actions": [{"kind": "relay", "pin": 8, "when": "door_open"}]}
    _, _, text = await board.ask("POST", "/", {**FILLED, "bundle": json.dumps(relay)}, "zh")
    line = 'actions[0].kind: 写的是 "relay"（用电池）；应写 "power": "mains"（节点休眠时继电器会释放）'
    assert line in html.unescape(text)
    for sent, told_of in (
        ({**FILLED, "bundle": "{"}, "the provisioning: 无法读取；请重新生成：linli-edge node provision"),
        (b"%", "发送的内容无法读取"),
    ):
        assert told_of in (await board.ask("POST", "/", sent, "zh"))[2]


async def test_a_pin_that_this_board_has_not_is_told_before_anything_is_written(board: Board) -> None:
    status, _, text = await board.ask("POST", "/", {**FILLED, "pin": "30"})
    assert status == 422
    assert "sensors[0].pin: this board has no pin 30" in text
    actions = [{"kind": "light", "pin": 40, "when": "door_open"}]
    bundle = json.dumps({"battery_pin": 22, "actions": actions, "keys": {"ca.der": b"authority".hex()}})
    status, _, text = await board.ask("POST", "/", {**FILLED, "bundle": bundle})
    assert status == 422
    assert "battery_pin: this board has no pin 22" in text
    assert "actions[0].pin: this board has no pin 40" in text
    assert not (board.folder / "node.json").exists()
    assert not (board.folder / "keys").exists()


async def test_a_pin_that_does_not_wake_this_board_is_told_before_anything_is_written(board: Board) -> None:
    """Its program would end by it at each start, every ten seconds."""
    bundle = json.dumps({"power": "battery", "keys": {"ca.der": b"authority".hex()}})
    sent = {**FILLED, "bundle": bundle, "kind": "leak_switch", "pin": "7"}
    for lang, told in (
        ("en", "sensors[0].pin: pin 7 does not wake this board from its sleep; take one of GPIO0-5, or a charger"),
        ("zh", "sensors[0].pin: 引脚 7 不能唤醒休眠的这块板；请改接 GPIO0-5，或改用电源供电"),
    ):
        status, _, text = await board.ask("POST", "/", sent, lang)
        assert (status, told in text) == (422, True)
    # Nor one that an ESP32-C3 has its flash at: it stops by it; nor one that something else is at.
    for pin, told in (("12", "pin 12 of this board is its flash&#x27;s"), ("4", "pin 4 is at battery_pin already")):
        more = {"bundle": json.dumps({"battery_pin": 4}), "pin": pin}
        status, _, text = await board.ask("POST", "/", {**FILLED, **more})
        assert (status, html.unescape(told) in text) == (422, True)
    assert not (board.folder / "node.json").exists()
    assert not (board.folder / "keys").exists()
    # With a charger it is awake all the time.
    status, _, text = await board.ask("POST", "/", {**sent, "bundle": "{}"})
    assert status == 200, text


def _misfit(folder: Path) -> dict[str, Any]:
    """Put a configuration onto a board that sleeps through what is at its pins: by another program, not by the page."""
    config = {
        "node": "door-1",
        "power": "battery",
        "gateway": {"host": "192.168.1.10"},
        "wifi": [{"ssid": "facility", "password": "wifi secret"}],
        "sensors": [{"kind": "leak_switch", "pin": 9}],
    }
    (folder / "label").write_text(PASSPHRASE)
    (folder / "node.json").write_text(json.dumps(config))
    return config


async def test_a_configuration_that_cannot_be_used_is_told_on_the_page_and_mended_there(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    config = _misfit(tmp_path)
    board = Board(tmp_path)
    await board.start()
    try:
        await board.until_open()
        for lang, heading, told in (
            ("en", "This board has a configuration that it cannot use", "pin 9 does not wake this board"),
            ("zh", "这块板现有的配置不能用", "引脚 9 不能唤醒休眠的这块板"),
        ):
            _, _, text = await board.ask("GET", lang=lang)
            assert heading in text
            assert told in text
            assert "wifi secret" not in text
        # Only what is wrong is to be written: the rest is there.
        status, _, text = await board.ask("POST", "/", {"kind": "leak_switch", "pin": "3"})
        assert status == 200, text
        said = await board.end()
    finally:
        if board.process.returncode is None:
            board.process.kill()
            await board.process.wait()
    assert "its configuration cannot be used: sensors[0].pin: pin 9 does not wake this board" in said
    found = json.loads((tmp_path / "node.json").read_bytes())
    assert found == {**config, "sensors": [{"kind": "leak_switch", "pin": 3}]}


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        ([{"ssid": "facility", "password": "old"}], [{"ssid": "facility", "password": "new secret"}]),
        # Of several it is not known which one it is of.
        ([{"ssid": "facility", "password": "old"}, {"ssid": "hall", "password": "old"}], None),
        ([], None),
    ],
)
def test_a_password_alone_is_that_of_the_wifi_that_the_board_knows(held: list[Any], kept: list[Any] | None) -> None:
    """It was thrown away, and the page said that it was saved."""
    page, refused = firmware("linli_node.first_page"), firmware("linli_node.errors").ConfigError
    there = json.dumps({"node": "door-1", "wifi": held})
    fields = {"node": "", "ssid": "", "password": "new secret"}
    if kept is None:
        with pytest.raises(refused, match=r"^wifi\[0\]\.ssid: missing; add it$"):
            page.read(fields, lambda _: None, "en", there)
    else:
        assert page.read(fields, lambda _: None, "en", there) == ({"node": "door-1", "wifi": kept}, {})


async def test_garbage_is_answered_and_the_page_goes_on(board: Board) -> None:
    for bundle in ("{", "[]", "\x00\xff", '{"keys": 1}', '{"keys": {"ca.der": "xyz"}}', '"text"'):
        status, _, text = await board.ask("POST", "/", {**FILLED, "bundle": bundle})
        assert status == 422, bundle
        assert "the provisioning: cannot be read" in text
    for body in (b"%", b"%zz=1", b"novalue", b"a=%ff%fe"):
        status, _, text = await board.ask("POST", "/", body)
        assert status == 422, body
        assert "what was sent cannot be read" in text
    status, _, text = await board.ask("POST", "/", b"a=" + b"x" * 20_000)
    assert (status, "more than 16384 bytes" in text) == (413, True)
    for raw in (
        b"\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 2_000 + b"\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
        writer.write(raw)
        answer = b""
        with contextlib.suppress(ConnectionError):  # what is too long is not heard to its end
            answer = await reader.read(200)
        writer.close()
        assert not answer or answer.startswith((b"HTTP/1.0 4", b"HTTP/1.0 2")), raw
    assert (await board.ask("GET"))[0] == 200
    assert board.process.returncode is None


async def test_it_closes_after_its_time(tmp_path: Path, unix_port: Machine) -> None:
    del unix_port
    (tmp_path / "label").write_text(PASSPHRASE)
    board = Board(tmp_path)
    await board.start(seconds=1)
    assert (await board.end()).splitlines()[-3:] == ["closed", "rests", "over"]
    assert not (tmp_path / "node.json").exists()


POWER_ON: dict[str, object] = {"cause": 1, "reason": 0}
BY_ITSELF: dict[str, object] = {"cause": 4, "reason": 4}
BY_BOOT: dict[str, object] = {"cause": 4, "reason": 2}


def _rests(machine: Machine, chip: str, *starts: dict[str, object]) -> list[list[object]]:
    found = machine.check("access_point", {"chip": chip, "starts": starts})
    assert isinstance(found, list)
    return found


def test_its_wifi_comes_back_by_itself_ever_more_rarely(unix_port: Machine) -> None:
    told = _rests(unix_port, "c3", POWER_ON, *[BY_ITSELF] * 4)
    assert [(again, slept) for again, slept, *_ in told] == [
        (False, 900), (True, 3_600), (True, 21_600), (True, 86_400), (True, 86_400)
    ]  # fmt: skip
    # RESET, or off and on: whoever did it is there, and it is as at the first time.
    assert _rests(unix_port, "c3", POWER_ON, BY_ITSELF, POWER_ON)[-1] == [False, 900, "asleep", []]
    # What a node's program noted there is none of it.
    (noted,) = _rests(unix_port, "c3", {**BY_ITSELF, "held": list(b"\x02\x05rests")})
    assert noted == [False, 900, "asleep", []]
    # And it is there still when the program goes on with it.
    again, once_more = _rests(unix_port, "c3", {**POWER_ON, "held": []}, BY_ITSELF)
    assert (again[1], once_more[:2]) == (900, [True, 3_600])


def test_a_board_whose_configuration_cannot_be_used_rests_and_does_not_begin_again_and_again(
    tmp_path: Path, unix_port: Machine
) -> None:
    """It may open no network: it listens at its cable for a minute, and sleeps ever longer."""
    asks = {"asks": str(tmp_path)}
    told = _rests(unix_port, "c3", {**POWER_ON, **asks}, *[{**BY_ITSELF, **asks}] * 2)
    assert [(slept, ends) for _, slept, ends, _ in told] == [
        (60 + 900, "asleep"), (60 + 3_600, "asleep"), (60 + 21_600, "asleep")
    ]  # fmt: skip
    # A program on trial that does not take it is given up at once: its loader goes back to the one before.
    state = json.dumps({"active": "a", "trial": "b", "tries": 1, "number": 2}).encode()
    (tmp_path / "slot").write_bytes(b"%08x" % zlib.crc32(state) + state)
    ((_, slept, ends, _),) = _rests(unix_port, "c3", {**POWER_ON, **asks})
    assert (slept, ends) == (0, "wrong")


def test_buttons_that_a_board_has_bring_its_wifi_back(unix_port: Machine) -> None:
    first, by_boot = _rests(unix_port, "s3", POWER_ON, BY_BOOT)
    assert first == by_boot == [False, 900, "asleep", [[0, False]]]
    waited, pressed = _rests(unix_port, "rp2", POWER_ON, {**POWER_ON, "presses": [0, 0, 0, 1]})
    assert (waited[1:3], pressed[1:3]) == ([2_700, "again"], [3, "again"])


async def test_the_page_says_how_it_comes_back(board: Board) -> None:
    for lang, words in (
        ("en", "RESET, or off and on, brings it back at once"),
        ("zh", "按 RESET 或断电再上电即可重新打开"),
    ):
        assert words in (await board.ask("GET", lang=lang))[2]


@pytest.mark.parametrize(
    "label", [None, b"", b" short\n", b"x" * 64, b"with\x00nothing", "窗前明月光".encode(), b"\xff" * 9]
)
async def test_a_board_without_a_passphrase_opens_nothing(
    tmp_path: Path, unix_port: Machine, label: bytes | None
) -> None:
    del unix_port
    if label is not None:
        (tmp_path / "label").write_bytes(label)
        # Whoever flashes it takes that for none as well, and writes one.
        assert not passphrase.read(label)
    board = Board(tmp_path)
    await board.start()
    said = await board.end()
    assert "this board has no configuration yet" in said
    assert "open with" not in said


def test_every_name_is_the_boards(machine: Machine) -> None:
    query = bytes.fromhex("abcd01000001000000000000") + b"\x05hello\x02cn\x00" + bytes.fromhex("00010001")
    other = query[:-3] + b"\x1c\x00\x01"  # AAAA: none
    found = machine.check("vectors", {"dns": [query.hex(), other.hex(), "", query[:14].hex(), "00" * 40]})
    assert isinstance(found, dict)
    answer = bytes.fromhex(found["dns"][0])
    assert answer[:2] == query[:2]
    assert answer[2] & 0x80
    assert answer[12:].startswith(query[12:])
    assert answer[-4:] == bytes([192, 168, 4, 1])
    assert found["dns"][1:] == [None] * 4


def test_a_passphrase_is_long_enough_and_no_letter_is_taken_for_another() -> None:
    letters = set(passphrase.LETTERS)
    assert len(letters) == len(passphrase.LETTERS)
    assert not letters & set("0o1li2z5s6b8gqumw")
    made = {passphrase.fresh() for _ in range(50)}
    assert len(made) == 50
    for each in made:
        drawn = each.replace("-", "")
        assert set(drawn) <= letters
        assert len(drawn) * math.log2(len(letters)) >= 80
        assert passphrase.read(each.encode()) == each


def test_a_chip_is_asked_for_its_pins(unix_port: Machine) -> None:
    start = {"cause": 1, "reason": 0, "pins": [0, 21, 22, 48]}
    assert unix_port.check("access_point", {"chip": "c3", "starts": [start]}) == [[True, True, False, False]]
