"""Shared keys on the real virtual machine, against a real Mosquitto that asks for certificates beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from linli_broker.mosquitto import find
from linli_edge.nodes.keys import KeyFolder
from linli_edge.nodes.shared import ON_BOARD, SharedKeys
from linli_sim.nodes.local_broker import local_broker
from linli_sim.nodes.node import SimNode
from linli_sim.nodes.vm import NoMachine, unix
from linli_sim.processes import free_ports

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(find() is None, reason="Mosquitto is not installed here: apt-get install mosquitto"),
]

REFUSED = "the broker ends the handshake: does it take this node's key?"
NODES = ("door-1", "leak-1", "pump-1", "meter-1")


class Site:
    """A gateway's folder of keys, and its broker with all its listeners."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.secure, self.shared = free_ports(3)
        self.authority, self.keys = KeyFolder(folder / "pki"), SharedKeys(folder / "pki")
        self.authority.create()
        assert self.keys.create()
        assert not self.keys.create()
        self.heard: set[str] = set()
        self._news = asyncio.Condition()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run the broker, and listen at it."""
        broker = local_broker(self.folder, self.port, self.secure, NODES, shared=self.shared)
        async with broker, aiomqtt.Client("127.0.0.1", self.port) as client:
            await client.subscribe("node/#", qos=1)

            async def listen() -> None:
                async for message in client.messages:
                    async with self._news:
                        self.heard.add(str(message.topic))
                        self._news.notify_all()

            async with asyncio.TaskGroup() as group:
                listening = group.create_task(listen(), name="listen")
                yield
                listening.cancel()

    async def until_heard(self, node: str) -> None:
        """Return once a node has said its status."""
        async with self._news:
            await self._news.wait_for(lambda: f"node/{node}/status" in self.heard)

    def node(self, name: str, line: bytes = b"", *, certified: bool = False, uid: str = "d0d0") -> SimNode:
        """Return a node with the keys that are given."""
        gateway = {"host": "127.0.0.1", "port": self.secure, "shared_port": self.shared, "answer_s": 1}
        config: dict[str, Any] = {
            "node": name, "gateway": gateway, "interval": 1, "sensors": [{"kind": "reed", "pin": 4}],
        }  # fmt: skip
        node = SimNode(self.folder / uid, config, uid=uid)
        keys = node.folder / "keys"
        keys.mkdir(parents=True)
        if line:
            (keys / ON_BOARD).write_bytes(line)
        if certified:
            identity = self.authority.issue(name)
            (keys / "ca.der").write_bytes(identity.authority)
            (keys / "node.der").write_bytes(identity.certificate)
            (keys / "node.key").write_bytes(identity.key)
        return node


@pytest.fixture
def site(tmp_path: Path) -> Site:
    try:
        unix()
    except NoMachine as exc:
        pytest.skip(str(exc))
    return Site(tmp_path)


async def test_a_shared_key_lets_its_node_in_and_no_other_beside_those_with_certificates(site: Site) -> None:
    mine, other = (site.keys.give(node, fresh=False) for node in ("door-1", "leak-1"))
    assert mine.partition(b":")[2] != other.partition(b":")[2]
    assert site.keys.give("door-1", fresh=False) == mine
    right = site.node("door-1", mine)
    # Another key under a name that is known; a name that is not; the key of another name than it calls itself by.
    wrong = site.node("leak-1", b"leak-1:" + mine.partition(b":")[2], uid="c0c0")
    unknown = site.node("pump-1", b"pump-1:" + mine.partition(b":")[2], uid="c1c1")
    posing = site.node("leak-1", mine, uid="c2c2")
    plain = site.node("meter-1", certified=True, uid="c3c3")
    async with site.open():
        async with asyncio.TaskGroup() as group:
            for node in (wrong, unknown, posing, plain, right):
                group.create_task(node.start(), name=node.uid)
        await wrong.until(REFUSED)
        await unknown.until(REFUSED)
        await posing.until("the gateway does not answer")
        await site.until_heard("door-1")
        await site.until_heard("meter-1")
        for node in (wrong, unknown, posing, plain, right):
            await node.end()
    assert {topic.split("/")[1] for topic in site.heard} == {"door-1", "meter-1"}
    assert not any(mine.partition(b":")[2].decode() in line for node in (right, wrong) for line in node.said)


async def test_a_node_whose_key_was_lost_by_the_gateway_shows_its_certificate(site: Site) -> None:
    line = site.keys.give("door-1", fresh=False)
    node = site.node("door-1", line, certified=True)
    site.keys.take_off("door-1")
    async with site.open():
        await node.start()
        await node.until(REFUSED)
        await site.until_heard("door-1")
        await node.end()
    assert node.said.count(REFUSED) == 1


async def test_a_damaged_key_and_a_firmware_that_cannot_use_one_leave_the_certificate(site: Site) -> None:
    damaged = site.node("door-1", b"door-1:xyz", certified=True)
    (damaged.folder / "keys" / ON_BOARD).write_bytes(b"door-1")
    bare = site.node("leak-1", b"leak-1:" + b"00" * 49, uid="c0c0")
    async with site.open():
        await damaged.start()
        await site.until_heard("door-1")
        await bare.start()
        await bare.until_like(r"^no .*/keys/ca\.der: linli-edge node provision writes it$")
        await damaged.end()
        await bare.end()
    assert REFUSED not in damaged.said
