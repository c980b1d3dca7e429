"""Shared keys against a real Mosquitto: who holds a node's key speaks as that node, and only as it."""

import asyncio
import contextlib
import os
import shutil
import signal
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiomqtt
import pytest

from linli_broker import shared_keys
from linli_broker.choose import choose
from linli_broker.settings import parse
from linli_core.errors import ConfigError
from linli_sim.processes import Program, command
from linli_sim.waiting import eventually

CONFIG = """
engine = "mosquitto"
[[listeners]]
address = "127.0.0.1:{port}"
[[listeners]]
address = "127.0.0.1:{shared}"
shared_keys = "shared.keys"
[access]
gateways = ["gw-1"]
nodes = [{nodes}]
"""
LINES = "write lines of NAME:KEY, the key in hexadecimal; linli-edge node provision writes them"
KEYS = {"leak-1": bytes(range(32)), "door-1": bytes(range(32, 64))}


class Peer:
    """A client that proves with ``openssl`` that it holds a key, and speaks MQTT by hand."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, port: int, name: str, key: bytes, *more: str, user: str = "") -> AsyncIterator["Peer"]:
        """Connect, and say another name in MQTT if one is given; ``IncompleteReadError`` where the broker ends it."""
        process = await asyncio.create_subprocess_exec(
            "openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}",
            "-psk_identity", name, "-psk", key.hex(), *(more or ("-tls1_2",)),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            peer = cls(process)
            body = struct.pack(">H4sBBH", 4, b"MQTT", 4, 0x82 if user else 2, 60) + _text(name)
            body += _text(user) if user else b""
            await peer.send(0x10, body)
            assert await peer.receive(4) == b"\x20\x02\x00\x00"
            yield peer
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def send(self, head: int, body: bytes) -> None:
        """Send a packet of less than 128 bytes."""
        assert self._process.stdin is not None
        self._process.stdin.write(bytes((head, len(body))) + body)
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.drain()

    async def receive(self, count: int) -> bytes:
        """Receive so many bytes."""
        assert self._process.stdout is not None
        return await self._process.stdout.readexactly(count)

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1, and wait until the broker has it."""
        await self.send(0x32, _text(topic) + b"\x00\x01" + payload)
        assert await self.receive(4) == b"\x40\x02\x00\x01"

    async def subscribe(self, topic: str) -> None:
        """Subscribe at QoS 0."""
        await self.send(0x82, b"\x00\x02" + _text(topic) + b"\x00")
        await self.receive(5)


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


async def refused(port: int, name: str, key: bytes, *more: str) -> bool:
    try:
        async with Peer.connect(port, name, key, *more):
            return False
    except asyncio.IncompleteReadError:
        return True


def write(folder: Path, keys: dict[str, bytes]) -> None:
    fresh = folder / "shared.keys.new"
    fresh.touch(mode=0o600)
    fresh.write_text(shared_keys.render(keys))
    fresh.replace(folder / "shared.keys")


@pytest.fixture
def shared(free_port: Callable[[], int]) -> int:
    return free_port()


@contextlib.asynccontextmanager
async def serving(folder: Path, port: int, shared: int) -> AsyncIterator[Program]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    configure(folder, port, shared, *KEYS)
    argv = [command("linli-broker"), "serve", "--config", str(folder / "broker.toml"), "--data", str(folder / "d")]
    log = folder / "broker.log"
    async with Program("linli-broker", argv, log, r"ready on .* with shared keys \(mosquitto\)") as program:
        yield program
    for key in KEYS.values():
        assert key.hex() not in log.read_text().lower()


@pytest.fixture
async def broker(tmp_path: Path, port: int, shared: int, mosquitto_program: str) -> AsyncIterator[Program]:
    assert mosquitto_program
    write(tmp_path, KEYS)
    async with serving(tmp_path, port, shared) as program:
        yield program


def configure(folder: Path, port: int, shared: int, *nodes: str) -> None:
    names = ", ".join(f'"{name}"' for name in nodes)
    (folder / "broker.toml").write_text(CONFIG.format(port=port, shared=shared, nodes=names))


async def test_a_node_speaks_under_the_name_of_its_key_only(broker: Program, port: int, shared: int) -> None:
    assert broker.running
    async with aiomqtt.Client("127.0.0.1", port, identifier="gateway") as gateway:
        await gateway.subscribe("#", qos=1)
        # What it calls itself in MQTT counts for nothing.
        async with Peer.connect(shared, "leak-1", KEYS["leak-1"], user="door-1") as node:
            for topic in ("node/door-1/telemetry", "node/leak-1/ack", "linli/1/00/gw-1/telemetry", "elsewhere"):
                await node.publish(topic, b"forged")
            await node.publish("node/leak-1/telemetry", b"true")
            message = await anext(aiter(gateway.messages))
            # Everything forged was sent before: had any of it passed, it would be here first.
            assert (message.topic.value, message.payload) == ("node/leak-1/telemetry", b"true")
            await node.subscribe("node/leak-1/ack")
            await gateway.publish("node/leak-1/ack", b"{}")
            assert (await node.receive(21)).endswith(b"node/leak-1/ack{}")


async def test_whoever_does_not_hold_the_key_of_a_name_is_not_let_in(broker: Program, shared: int) -> None:
    assert broker.running
    assert await refused(shared, "leak-1", KEYS["door-1"])
    assert await refused(shared, "pump-9", KEYS["leak-1"])
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client("127.0.0.1", shared, identifier="plain", timeout=0.5):
            pass
    # What does not authenticate what it encrypts is not spoken, whoever asks for it.
    assert await refused(shared, "leak-1", KEYS["leak-1"], "-tls1_2", "-cipher", "PSK-AES128-CBC-SHA256")
    for suite in ("PSK-AES128-GCM-SHA256", "PSK-AES256-GCM-SHA384"):
        assert not await refused(shared, "leak-1", KEYS["leak-1"], "-tls1_2", "-cipher", suite)


async def test_a_key_that_is_given_or_taken_off_counts_without_anybody_saying_so(
    broker: Program, tmp_path: Path, shared: int
) -> None:
    key = bytes(range(64, 96))
    assert await refused(shared, "late-1", key)
    write(tmp_path, {"late-1": key, "door-1": KEYS["door-1"]})
    while await refused(shared, "late-1", key):
        assert broker.running
    # One file holds both changes.
    assert await refused(shared, "leak-1", KEYS["leak-1"])
    assert not await refused(shared, "door-1", KEYS["door-1"])


async def test_a_node_taken_off_the_list_is_not_heard_any_more(
    broker: Program, tmp_path: Path, port: int, shared: int
) -> None:
    async with (
        aiomqtt.Client("127.0.0.1", port, identifier="gateway") as gateway,
        Peer.connect(shared, "leak-1", KEYS["leak-1"]) as node,
        Peer.connect(shared, "door-1", KEYS["door-1"]) as other,
    ):
        await gateway.subscribe("#", qos=1)
        configure(tmp_path, port, shared, "door-1")
        os.kill(broker.pid, signal.SIGHUP)
        heard: list[object] = [b"taken off"]
        while b"taken off" in heard:
            await node.publish("node/leak-1/telemetry", b"taken off")
            await other.publish("node/door-1/telemetry", b"last")
            heard = []
            while b"last" not in heard:
                heard.append((await anext(aiter(gateway.messages))).payload)


async def test_keys_that_are_none_leave_those_of_before(broker: Program, tmp_path: Path, shared: int) -> None:
    file = tmp_path / "shared.keys"
    file.write_text(f"leak-1:{KEYS['leak-1'].hex()}\ndoor-1:short\n")

    async def is_said() -> bool:
        assert broker.running
        return "the settings stay as they were" in (tmp_path / "broker.log").read_text()

    await eventually(is_said, "the broker to say that it keeps its settings")
    assert not await refused(shared, "leak-1", KEYS["leak-1"])
    assert not await refused(shared, "door-1", KEYS["door-1"])


@pytest.mark.parametrize("is_there", [True, False], ids=["others may read it", "it is gone"])
async def test_a_file_that_cannot_be_used_at_the_start_shuts_out_nobody_else(
    tmp_path: Path, port: int, shared: int, mosquitto_program: str, is_there: bool
) -> None:
    """A gateway that starts after a restoration, at night: its nodes must get in with their certificates."""
    assert mosquitto_program
    if is_there:
        write(tmp_path, KEYS)
        (tmp_path / "shared.keys").chmod(0o644)
    async with serving(tmp_path, port, shared) as broker:
        said = (tmp_path / "broker.log").read_text()
        assert f"{tmp_path}/shared.keys: " in said
        assert f"Nobody is let in at 127.0.0.1:{shared} until that is mended" in said
        async with aiomqtt.Client("127.0.0.1", port, identifier="gateway"):
            assert await refused(shared, "leak-1", KEYS["leak-1"])
        write(tmp_path, KEYS)
        while await refused(shared, "leak-1", KEYS["leak-1"]):
            assert broker.running


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a:00", "line 1: the key of 'a' has 1 bytes; give it 16 to 48; linli-edge node provision makes one of 32"),
        (f"# x\n\na:{'00' * 49}",
         "line 3: the key of 'a' has 49 bytes; give it 16 to 48; linli-edge node provision makes one of 32"),
        (f"a:{'0' * 33}", f"line 1: the key of 'a' is no hexadecimal; {LINES}"),
        (f"a:{'00' * 32}\na:{'11' * 32}", "line 2: 'a' is listed twice; keep one of its lines"),
        (f"a:{'00' * 32}\r\n", f"line 1: the key of 'a' is no hexadecimal; {LINES}"),
        ("00" * 32, f"line 1: begins with no id of a node; {LINES}"),
        (f"A b:{'00' * 32}", f"line 1: begins with no id of a node; {LINES}"),
    ],
)  # fmt: skip
def test_a_line_that_is_no_key_is_named_and_not_shown(content: str, expected: str) -> None:
    with pytest.raises(ConfigError) as found:
        shared_keys.parse(content, "shared.keys")
    assert str(found.value) == f"shared.keys: {expected}"


def test_what_is_written_is_read_again() -> None:
    assert shared_keys.parse(shared_keys.render(KEYS), "-") == KEYS
    assert shared_keys.parse("", "-") == {}


def test_a_file_that_others_can_read_or_that_gives_too_much_is_refused(tmp_path: Path) -> None:
    settings = parse(CONFIG.format(port=1, shared=2, nodes=""), "-")

    def complaint() -> str:
        with pytest.raises(ConfigError) as found:
            choose(settings, tmp_path, find_mosquitto=lambda: "/sbin/mosquitto")
        return str(found.value)

    file = tmp_path / "shared.keys"
    assert complaint() == (
        f"{file}: cannot be read (No such file or directory); linli-edge node keys --shared makes it"
    )
    write(tmp_path, {"gw-1": bytes(32)})
    assert (
        complaint() == f"{file}: has a key of 'gw-1', which is no node; take its line out: only nodes have shared keys"
    )
    write(tmp_path, {"linli-platform": bytes(32)})
    assert "'linli-platform', which is no node" in complaint()
    file.chmod(0o640)
    assert complaint() == f"{file}: holds keys, and others may read or write it; chmod 600 {file}"
    file.write_bytes(b"\xff")
    file.chmod(0o600)
    assert complaint().startswith(f"{file}: found bytes that are no text")
