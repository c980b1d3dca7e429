"""Shared keys on the real virtual machine, against a real Mosquitto that asks for certificates beside it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import pytest_asyncio

from linli_broker.mosquitto import find
from linli_edge.nodes.keys import KeyFolder
from linli_edge.nodes.shared import ON_BOARD, SharedKeys
from linli_sim.nodes.local_broker import local_broker
from linli_sim.nodes.node import SimNode
from linli_sim.nodes.vm import NoMachine, unix
from linli_sim.processes import free_port, free_ports

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(find() is None, reason="Mosquitto is not installed here: apt-get install mosquitto"),
]

REFUSED = "the broker ends the handshake: does it take this node's key?"
NODES = ("early", "right", "certified", "wrong", "unknown", "victim", "lost", "damaged", "bare")


class Site:
    """A gateway's folder of keys, its broker with all its listeners, and nodes with all kinds of keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.secure, self.shared = free_ports(3)
        self.authority, self.keys = KeyFolder(folder / "pki"), SharedKeys(folder / "pki")
        self.authority.create()
        assert self.keys.create()
        assert not self.keys.create()
        self.nodes: dict[str, SimNode] = {}
        self.heard: set[str] = set()
        self.tries_before = 0
        self._news = asyncio.Condition()

    async def run(self, until: Callable[[], Awaitable[None]]) -> None:
        """Run the broker and the nodes, listen, and end."""
        broker = local_broker(self.folder, self.port, self.secure, NODES, shared=self.shared)
        # Before anybody is there: neither way leads anywhere, and the right one must be tried again.
        await self.nodes["early"].start()
        await self.nodes["early"].until_like("^no connection: ")
        async with broker, aiomqtt.Client("127.0.0.1", self.port) as client, asyncio.TaskGroup() as group:
            self.tries_before = self.tries()
            await client.subscribe("node/#", qos=1)
            listening = group.create_task(self._listen(client), name="listen")
            await asyncio.gather(*(node.start() for name, node in self.nodes.items() if name != "early"))
            await until()
            await asyncio.gather(*(node.end() for node in self.nodes.values()))
            listening.cancel()

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            async with self._news:
                self.heard.add(str(message.topic))
                self._news.notify_all()

    async def until_heard(self, *names: str) -> None:
        """Return once these nodes have said their status."""
        async with self._news:
            await self._news.wait_for(lambda: {f"node/{name}/status" for name in names} <= self.heard)

    def add(self, name: str, line: bytes, *, certified: bool = False, poses_as: str = "", port: int = 0) -> None:
        """Add a node with the keys that are given; ``port`` is where it shows its certificate."""
        node, uid = poses_as or name, f"{len(self.nodes):04x}"
        config: dict[str, Any] = {
            "node": node,
            "gateway": {"host": "127.0.0.1", "port": port or self.secure, "shared_port": self.shared, "answer_s": 1},
            "interval": 1,
            "sensors": [{"kind": "reed", "pin": 4}],
        }
        self.nodes[name] = SimNode(self.folder / name, config, uid=uid)
        keys = self.nodes[name].folder / "keys"
        keys.mkdir(parents=True)
        if line:
            (keys / ON_BOARD).write_bytes(line)
        if certified:
            identity = self.authority.issue(node)
            (keys / "ca.der").write_bytes(identity.authority)
            (keys / "node.der").write_bytes(identity.certificate)
            (keys / "node.key").write_bytes(identity.key)

    def tries(self) -> int:
        """Return how often the early one has found nobody."""
        return sum(line.startswith("no connection: ") for line in self.said("early"))

    def said(self, name: str) -> list[str]:
        """Return what a node has said."""
        return self.nodes[name].said


def _key(line: bytes) -> str:
    return line.partition(b":")[2].decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Let all of them try at once: who is not let in is known by the time the others are."""
    try:
        unix()
    except NoMachine as exc:
        pytest.skip(str(exc))
    site = Site(tmp_path_factory.mktemp("site"))
    mine, other, lost = (site.keys.give(node, fresh=False) for node in ("right", "wrong", "lost"))
    site.add("early", site.keys.give("early", fresh=False), certified=True, port=free_port())
    site.keys.take_off("lost")
    site.add("right", mine)
    site.add("certified", b"", certified=True)
    # Another key under a name that is known; a name that is not; the key of another name than it calls itself by.
    site.add("wrong", f"wrong:{_key(mine)}".encode())
    site.add("unknown", f"unknown:{_key(mine)}".encode())
    site.add("posing", other, poses_as="victim")
    # The gateway has lost its key; its own is damaged; it is one that no firmware takes.
    site.add("lost", lost, certified=True)
    site.add("damaged", b"damaged", certified=True)
    site.add("bare", f"bare:{'00' * 49}".encode())

    async def others() -> None:
        await site.nodes["posing"].until("the gateway does not answer")
        await site.nodes["wrong"].until(REFUSED)
        await site.nodes["unknown"].until(REFUSED)
        await site.nodes["bare"].until_like("^no ")
        await site.until_heard("early", "right", "certified", "damaged")

    async def until_it_is_let_in() -> None:
        await site.until_heard("lost")
        # Nobody answers here: by and by it would try its key again.
        await site.nodes["lost"].end()

    async def until() -> None:
        await asyncio.gather(others(), until_it_is_let_in())

    await site.run(until)
    return site


async def test_a_shared_key_lets_its_node_in_and_no_other_beside_those_with_certificates(site: Site) -> None:
    assert {topic.split("/")[1] for topic in site.heard} == {"early", "right", "certified", "lost", "damaged"}
    assert REFUSED not in site.said("right") + site.said("certified")


async def test_a_node_whose_key_the_gateway_has_lost_shows_its_certificate_after_one_attempt(site: Site) -> None:
    assert site.said("lost").count(REFUSED) == 1


async def test_a_damaged_key_leaves_the_certificate_and_without_one_it_is_told_what_is_missing(site: Site) -> None:
    assert REFUSED not in site.said("damaged")
    assert any(
        re.fullmatch(r"no .*/keys/ca\.der: linli-edge node provision writes it", line) for line in site.said("bare")
    )


async def test_a_node_that_nobody_answers_either_way_goes_back_to_its_key(site: Site) -> None:
    # The way with certificates led nowhere; as many attempts of it as after an answer would have taken days.
    assert site.said("early")[0] == "ready"
    assert site.tries_before >= 1
    # From when the broker was there: one that was under way, and one with certificates.
    assert site.tries() - site.tries_before <= 2


async def test_damaged_keys_end_an_attempt_and_not_the_program(site: Site, tmp_path: Path) -> None:
    """A cable pulled between two files of a provisioning, a worn block: what a node does by itself goes on."""
    identity, garbage = site.authority.issue("cut"), b"\x00\x01"
    whole = {"ca.der": identity.authority, "node.der": identity.certificate, "node.key": identity.key}
    nodes = []
    for name in whole:
        config = {
            "node": "cut",
            "gateway": {"host": "127.0.0.1", "port": free_port()},
            "interval": 1,
            "sensors": [{"kind": "reed", "pin": 4}],
        }
        node = SimNode(tmp_path / name, config)
        (node.folder / "keys").mkdir(parents=True)
        for each, content in {**whole, name: garbage}.items():
            (node.folder / "keys" / each).write_bytes(content)
        nodes.append(node)

    async def told(node: SimNode) -> None:
        await node.start()
        await node.until_like(r"^the keys of this node are damaged \(.*\): linli-edge node provision writes them$")
        assert int(str((await node.end())["next_seq"])) > 1

    await asyncio.gather(*map(told, nodes))


async def test_no_key_is_said_and_a_name_has_one_that_stays(site: Site) -> None:
    assert site.keys.nodes == ("early", "right", "wrong")
    line = site.keys.give("right", fresh=False)
    assert site.keys.give("right", fresh=False) == line
    assert not any(_key(line) in said for name in site.nodes for said in site.said(name))
    assert _key(line) not in (site.folder / "broker.log").read_text().lower()
    assert site.keys.give("right", fresh=True) != line
