"""The real program on the unix port, a real gateway, broker and platform: what a node reads arrives, once."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import pytest_asyncio

from linli_broker.mosquitto import find
from linli_edge.config.gateway import load_config
from linli_edge.nodes.build import build, create_key, read_key
from linli_edge.nodes.keys import Identity, KeyFolder
from linli_edge.nodes.receiver import labels
from linli_edge.outbox import Outbox
from linli_edge.timekeeping import wall_clock
from linli_sim.nodes.local_broker import local_broker
from linli_sim.nodes.node import CUT, RESTART, SimNode
from linli_sim.nodes.vm import FIRMWARE, CheckFailed, Machine, NoMachine, unix
from linli_sim.processes import free_ports
from linli_sim.rig import Rig
from linli_sim.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

SENSORS = [
    {"kind": "reed", "pin": 4},
    {"kind": "pulse", "pin": 5, "quantity": "water_volume", "places": 3, "initial": 12345, "window": 1},
]


def _config(port: int, *, tls: bool = False, **more: object) -> dict[str, Any]:
    gateway = {"host": "127.0.0.1", "port": port, "tls": tls, "answer_s": 1}
    return {"node": "door-1", "gateway": gateway, "interval": 1, "sensors": SENSORS, **more}


def _marks(rig: Rig, node: str = "door-1") -> dict[str, int]:
    path = rig.outbox.parent / "nodes.json"
    if not path.exists():
        return {}
    nodes: dict[str, Any] = json.loads(path.read_bytes())["nodes"]
    return dict(nodes.get(node, {"marks": {}})["marks"])


async def _until_taken(rig: Rig, count: int, node: str = "door-1") -> None:
    before = sum(_marks(rig, node).values())

    async def grown() -> bool:
        return sum(_marks(rig, node).values()) >= before + count

    await eventually(grown, f"{count} more packs of the node in the gateway's log")


async def _taken(rig: Rig) -> list[tuple[str, str, int]]:
    """Return where each message of the gateway's log came from."""
    config = load_config(rig.config)
    async with Outbox.open(rig.outbox, config.outbox, wall_clock, gateway=config.id) as outbox:
        stats = outbox.stats()
        messages = await outbox.read(list(range(stats.first_seq, stats.next_seq)))
    return list(labels(message.body for message in messages))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """One installation for all tests here: the last of them draws up its account."""
    try:
        unix()
    except NoMachine as exc:
        pytest.skip(str(exc))
    rig = Rig(tmp_path_factory.mktemp("rig"))
    try:
        await rig.broker.start()
        await rig.start_platform()
        await rig.until_connected()
        rig.configure(
            "",
            f'\n[nodes]\nport = {rig.port}\n[[nodes.boards]]\nid = "door-1"\nboard = "d0d0"\n'
            '[[nodes.boards]]\nid = "leak-1"\n[[nodes.boards]]\nid = "update-1"\n',
        )
        await rig.gateway.start()
        yield rig
    finally:
        await rig.stop()


def _give(folder: Path, identity: Identity) -> None:
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "ca.der").write_bytes(identity.authority)
    (folder / "keys" / "node.der").write_bytes(identity.certificate)
    (folder / "keys" / "node.key").write_bytes(identity.key)


@pytest.mark.skipif(find() is None, reason="Mosquitto is not installed here: apt-get install mosquitto")
async def test_a_node_speaks_with_its_own_key_and_no_other(tmp_path: Path, unix_port: Machine) -> None:
    del unix_port
    port, secure = free_ports(2)
    keys, others = KeyFolder(tmp_path / "pki"), KeyFolder(tmp_path / "others")
    assert keys.create()
    assert not keys.create()
    others.create()
    heard: asyncio.Queue[str] = asyncio.Queue()
    broker = local_broker(tmp_path, port, secure, ("door-1", "door-2"))
    right = SimNode(tmp_path / "right", _config(secure, tls=True))
    _give(right.folder, keys.issue("door-1"))
    # Another gateway's authority; and a key of this one, under another node's name.
    wrong = SimNode(tmp_path / "wrong", _config(secure, tls=True), uid="c0c0")
    _give(wrong.folder, replace(others.issue("door-1"), authority=keys.issue("door-1").authority))
    posing = SimNode(tmp_path / "posing", {**_config(secure, tls=True), "node": "door-2"}, uid="e0e0")
    _give(posing.folder, keys.issue("door-1"))
    async with broker, aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("node/#", qos=1)

        async def listen() -> None:
            async for message in client.messages:
                heard.put_nowait(str(message.topic))

        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen(), name="listen")
            for node, said in ((wrong, "^the broker ends the handshake: "), (posing, "^the gateway does not answer$")):
                await node.start()
                await node.until_like(said)
                await node.end()
            await right.start()
            assert await heard.get() == "node/door-1/status"
            await right.end()
            listening.cancel()
    topics = set()
    while not heard.empty():
        topics.add(heard.get_nowait())
    assert topics <= {"node/door-1/status", "node/door-1/telemetry"}


def _program(folder: Path, number: int, *, broken: bool = False) -> Path:
    """Build a program for the desktop; each says its number, and a broken one cannot be started."""
    firmware = folder / f"firmware-{number}"
    for part in ("lib", "node", "board"):
        shutil.copytree(FIRMWARE / part, firmware / part)
    source = firmware / "node" / "linli_app" / "__init__.py"
    source.write_text(source.read_text() + f"PROGRAM = {number}\n{'broken()' if broken else ''}\n")
    create_key(folder / "updates.key")
    return build("desktop", number, read_key(folder / "updates.key"), folder / f"built-{number}", "t", firmware).folder


async def test_a_program_is_replaced_over_the_air_and_one_that_does_not_start_is_rolled_back(
    rig: Rig, tmp_path: Path
) -> None:
    node = SimNode(tmp_path / "node", {**_config(rig.port), "node": "update-1", "interval": 2}, uid="0dd0")
    first = _program(tmp_path, 1)
    shutil.copytree(first / "files", node.folder / "a")
    key = read_key(tmp_path / "updates.key").public_key().public_bytes_raw()
    (node.folder / "keys").mkdir()
    (node.folder / "keys" / "update.pub").write_bytes(key)
    offered = rig.outbox.parent / "node-updates" / "update-1"
    await node.start()
    await _until_taken(rig, 1, "update-1")
    await node.end()

    shutil.copytree(_program(tmp_path, 2), offered)
    await node.start()
    assert await node.wait() == RESTART
    sent = sum(path.stat().st_size for path in (node.folder / "b").rglob("*.mpy"))
    assert sent == sum(path.stat().st_size for path in (offered / "files").rglob("*.mpy"))
    await node.start()
    await _until_taken(rig, 1, "update-1")
    await node.end()
    assert _slot(node) == {"active": "b", "trial": None, "tries": 0, "number": 2}

    shutil.rmtree(offered)
    shutil.copytree(_program(tmp_path, 3, broken=True), offered)
    await node.start()
    assert await node.wait() == RESTART
    for _ in range(3):
        with pytest.raises(CheckFailed, match="broken"):
            await node.start()
    await node.start()
    await _until_taken(rig, 1, "update-1")
    await node.end()
    assert _slot(node) == {"active": "b", "trial": None, "tries": 0, "number": 3}
    assert "update 3 did not prove itself: 2 runs" in rig.gateway.log.read_text()


def _slot(node: SimNode) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((node.folder / "slot").read_bytes()[8:])
    return found


async def test_kills_and_cuts_anywhere_lose_and_double_nothing(rig: Rig, tmp_path: Path) -> None:
    node = SimNode(tmp_path / "node", _config(rig.port))
    # Beside it one on a battery: it wakes for a leak, and has delivered before it sleeps again.
    battery = {**_config(rig.port), "node": "leak-1", "power": "battery", "interval": 3600}
    leak = SimNode(tmp_path / "leak", {**battery, "sensors": [{"kind": "leak_switch", "pin": 6}]}, uid="1eaf")
    await leak.start()
    await _until_taken(rig, 1, "leak-1")
    await leak.tell("pin 6 0")
    await _until_taken(rig, 1, "leak-1")
    assert (await leak.end())["backlog"] == 0
    assert [line for line in leak.said if "no " in line] == []
    await node.start()
    await node.tell("pulse 5 3")
    await node.tell("pin 4 0")
    await _until_taken(rig, 3)
    # A power cut in mid-write, then one between two bytes.
    await node.tell("cut 300")
    assert await node.wait() == CUT
    await node.start()
    await _until_taken(rig, 2)
    await node.kill()
    # The gateway dies while the node goes on; then the broker.
    await node.start()
    await rig.gateway.kill()
    await node.tell("pin 4 1")
    await rig.gateway.start()
    await _until_taken(rig, 3)
    await rig.broker.kill()
    await rig.broker.start()
    await _until_taken(rig, 3)
    # The last readings are delivered before the account is drawn.
    await node.end()
    node.config["interval"] = 3600
    while True:
        await node.start()
        await _until_taken(rig, 1)
        end = await node.end()
        if not end["backlog"]:
            break
    found = await rig.settle()
    assert (found.lost, found.doubled) == (0, 0)
    assert found.stored > 20
    taken = [seq for node_, epoch, seq in await _taken(rig) if (node_, epoch) == ("door-1", end["epoch"])]
    assert taken == sorted(set(taken))
    # A number that a cut has cost is not used again: no more are missing than there were cuts.
    assert end["acked"] - len(taken) <= 2
