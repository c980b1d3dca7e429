"""Bad days of a node: a real broker, the real program, the gateway's relay and log, on a clock that is moved."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from linli_broker.mosquitto import find
from linli_core.instant import DAY, HOUR, MINUTE, Instant
from linli_core.vocabulary import vocabulary
from linli_core.wire import senml
from linli_edge.nodes.build import build, create_key, read_key
from linli_edge.nodes.keys import KeyFolder
from linli_edge.nodes.marks import MarksFile
from linli_edge.nodes.offers import Offers
from linli_edge.nodes.receiver import labels
from linli_edge.nodes.relay import Relay
from linli_edge.nodes.settings import NodeSettings
from linli_edge.outbox import Outbox, OutboxLimits
from linli_edge.pipeline import Pipeline
from linli_edge.timekeeping import SYSTEM, Timekeeper, wall_clock
from linli_sim.nodes.local_broker import local_broker
from linli_sim.nodes.node import RESTART, SimNode
from linli_sim.nodes.vm import Machine
from linli_sim.processes import Program, command, free_port, free_ports
from linli_sim.waiting import eventually

pytestmark = pytest.mark.system


class Basement:
    """A local broker, and the gateway's relay over its log; time passes there as it is told to."""

    provisional = undecided = False

    def __init__(self, folder: Path, *boards: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.passed: Instant = 0
        self.boards = boards
        argv = [
            command("linli-broker"),
            "serve",
            "--listen",
            f"127.0.0.1:{self.port}",
            "--data",
            str(folder / "broker"),
        ]
        self.broker = Program("broker", argv, folder / "broker.log", "ready on ")

    def now(self) -> Instant:
        return wall_clock() + self.passed

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run broker and relay."""
        async with self.broker, Outbox.open(self.folder / "outbox.db", OutboxLimits(), self.now) as self.outbox:
            known = vocabulary()
            pipeline = Pipeline(
                "gw-1",
                self.outbox,
                encode_pack=senml.encode,
                bounds=lambda quantity: (known[quantity].minimum, known[quantity].maximum),
                time=Timekeeper(self.now, SYSTEM.steady, SYSTEM.wait),
            )
            settings = NodeSettings(port=self.port, boards=dict.fromkeys(self.boards, ""))
            marks, offers = MarksFile(self.folder / "nodes.json"), Offers(self.folder / "node-updates")
            self.relay = Relay(settings, pipeline, self.outbox, marks, self, offers)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.relay.run(), name="relay")

                async def connected() -> bool:
                    return self.relay.state().state != "down"

                await eventually(connected, "the relay at the broker")
                yield
                running.cancel()

    async def bodies(self) -> list[bytes]:
        """Return what is in the gateway's log."""
        await self.outbox.flush()
        stats = self.outbox.stats()
        return [message.body for message in await self.outbox.read(list(range(stats.first_seq, stats.next_seq)))]

    async def taken(self) -> list[int]:
        """Return the numbers of the node's records in the gateway's log."""
        return [seq for _, _, seq in labels(iter(await self.bodies()))]

    async def until_taken(self, count: int) -> list[int]:
        """Return what was taken, once it is so much."""

        async def enough() -> list[int]:
            taken = await self.taken()
            return taken if len(taken) >= count else []

        return await eventually(enough, f"{count} records of the node in the gateway's log")

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the data of the events of a kind."""
        told = [json.loads(body) for body in await self.bodies() if body.startswith(b"{")]
        return [event["data"] for event in told if event["type"] == kind]

    async def until_told(self, kind: str) -> dict[str, Any]:
        """Return the data of the first event of a kind."""

        async def told() -> dict[str, Any]:
            events = await self.events(kind)
            return events[0] if events else {}

        return await eventually(told, kind)


def _config(port: int, **more: Any) -> dict[str, Any]:
    gateway = {"host": "127.0.0.1", "port": port, "tls": False, "answer_s": 1}
    sensors = [{"kind": "reed", "pin": 4}]
    return {"node": "node-1", "gateway": gateway, "interval": 3600, "sensors": sensors, **more}


def _readings(bodies: list[bytes], quantity: str) -> list[tuple[Instant, Any]]:
    found = []
    for body in bodies:
        if body.startswith(b"["):
            records, _ = senml.resolve(senml.decode(senml.stamp(body, "e", 1)), 0)
            found += [(record.time, record.value) for record in records if record.name.endswith(f"/{quantity}")]
    return found


async def test_a_month_without_the_broker_costs_the_oldest_and_they_are_named(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    basement = Basement(tmp_path, "node-1")
    contacts = [{"kind": "float", "pin": 10 + place, "channel": place} for place in range(15)]
    pulse = {"kind": "pulse", "pin": 5, "quantity": "water_volume", "places": 3, "initial": 1_000, "window": 1}
    node = SimNode(
        tmp_path / "node",
        _config(basement.port, power="battery", interval=8 * 3600, deliver_every=1, sensors=[pulse, *contacts]),
        # A flash that holds less than a month.
        environ={"LOG_BLOCKS": "8"},
    )
    begun = basement.now()
    async with basement.open():
        await node.start()
        await node.tell("pulse 5 1")
        before = await basement.until_taken(1)
    # The broker is away with the gateway, and the month passes for both sides.
    nights = 31 * 3
    await node.tell(f"nights {nights}")
    for _ in range(20):
        await node.tell("pulse 5 3")
        await asyncio.sleep(0)
    await node.until("morning")
    basement.passed = 31 * DAY
    async with basement.open():
        # What cannot wait makes it speak: by itself it would try once in two dozen times awake by now.
        await node.tell("pulse 5 1")
        await node.tell("pin 10 0")

        async def delivered() -> bool:
            status = json.loads((tmp_path / "nodes.json").read_bytes())["nodes"]["node-1"]["marks"]
            return bool(sum(status.values()) > nights)

        await eventually(delivered, "what the node has kept is in the gateway's log")
        end = await node.end()
        taken, (gap,), bodies = await basement.taken(), await basement.events("linli.node.gap"), await basement.bodies()
    # Each number once and in order; those that are missing are the oldest of the month, and are named.
    assert taken == sorted(set(taken))
    missing = sorted(set(range(1, end["acked"] + 1)) - set(taken))
    assert len(missing) > 20
    assert missing == list(range(gap["first"], gap["last"] + 1))
    assert gap["first"] == before[-1] + 1
    assert end["backlog"] == 0
    # Counted is what was pulsed, through sleep and outage.
    volumes = _readings(bodies, "water_volume")
    assert str(volumes[-1][1]) == "1.062"
    # A record of the month has the time at which it was made, not the one at which it came.
    times = [time for time, _ in volumes]
    assert times == sorted(times)
    steps = [after - earlier for earlier, after in pairwise(times[-30:-4])]
    assert all(abs(step - 8 * HOUR) < MINUTE for step in steps)
    assert begun + 31 * DAY <= times[-1] <= basement.now() + HOUR


async def test_a_flash_that_keeps_nothing_any_more_does_not_end_what_the_node_can_do_by_itself(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    basement = Basement(tmp_path, "node-1")
    sensors = [
        {"kind": "leak_switch", "pin": 4, "debounce_ms": 0},
        {"kind": "pulse", "pin": 5, "window": 1, "debounce_ms": 0},
    ]
    actions = [{"kind": "relay", "pin": 8, "when": "water_leak"}]
    node = SimNode(tmp_path / "node", _config(basement.port, interval=1, sensors=sensors, actions=actions))
    async with basement.open():
        await node.start()
        await basement.until_taken(1)
        await node.tell("wear")
        for leak, valve in ((0, 1), (1, 0), (0, 1)):
            await node.tell("pulse 5 3")
            await node.until_like("the log cannot be written")
            known = node.said.count(f"pin 8 {valve}")
            await node.tell(f"pin 4 {leak}")
            await node.until_again(f"pin 8 {valve}", known)
        await node.end()


async def test_what_cannot_wait_is_tried_at_once_however_long_nobody_answered(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    basement = Basement(tmp_path, "node-1")
    contact = {"kind": "button", "pin": 5, "debounce_ms": 0}
    node = SimNode(tmp_path / "node", _config(basement.port, sensors=[{"kind": "reed", "pin": 4}, contact]))
    await node.start()
    refused = "no connection: [Errno 111] ECONNREFUSED"
    # Each attempt makes the next pause longer, up to minutes; they pass at once.
    for attempt in range(8):
        await node.until_again(refused, attempt)
        if attempt < 7:
            await node.tell("pass 500")
    async with basement.open():
        await node.tell("pin 4 0")
        await basement.until_taken(2)
    # A call is tried every ten seconds, as long as it takes.
    await node.tell("pin 5 0")
    known = node.said.count(refused)
    for attempt in range(3):
        await node.tell("pass 10")
        await node.until_again(refused, known + attempt)
    await node.kill()


async def test_a_battery_near_its_end_is_told_once_and_then_the_radio_keeps_still(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    basement = Basement(tmp_path, "node-1")
    node = SimNode(tmp_path / "node", _config(basement.port, power="battery", deliver_every=1))
    async with basement.open():
        await node.start()
        await basement.until_taken(1)
        await node.tell("battery 2900")
        await node.tell("nights 1")
        await basement.until_taken(2)
        await node.tell("battery 2100")
        await node.tell("nights 6")
        await node.until_again("morning", 1)
        end, bodies = await node.end(), await basement.bodies()
    lows = [value for _, value in _readings(bodies, "battery_low")]
    assert lows == [False, False, True]
    assert [str(value) for _, value in _readings(bodies, "battery_voltage")] == ["2.900", "2.100"]
    # What it reads from then on waits on its flash.
    assert end["backlog"] >= 4


async def test_two_boards_with_one_name_are_told_apart_and_the_second_keeps_what_it_has(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    basement = Basement(tmp_path, "node-1")
    first, second = (SimNode(tmp_path / uid, _config(basement.port, interval=1), uid=uid) for uid in ("aaaa", "bbbb"))
    async with basement.open():
        await first.start()
        await basement.until_taken(1)
        await second.start()
        told = await basement.until_told("linli.node.wrong-board")
        assert "board bbbb calls itself node-1, which is board aaaa" in told["error"]
        # The first goes on as if nothing were, and the second hears no answer.
        await basement.until_taken(len(await basement.taken()) + 2)
        theirs, ours = await second.end(), await first.end()
        epochs = {epoch for _, epoch, _ in labels(iter(await basement.bodies()))}
        events = await basement.events("linli.node.wrong-board")
    assert epochs == {ours["epoch"]}
    assert theirs["backlog"] == theirs["next_seq"] - 1 > 0
    assert len(events) == 1


def _built(folder: Path, board: str, number: int) -> Path:
    create_key(folder / "updates.key")
    return build(board, number, read_key(folder / "updates.key"), folder / f"{board}-{number}", "t").folder


async def test_a_battery_node_takes_a_new_program_in_its_times_awake_and_none_of_another_board(
    tmp_path: Path, unix_port: Machine
) -> None:
    del unix_port
    basement = Basement(tmp_path, "node-1")
    node = SimNode(tmp_path / "node", _config(basement.port, power="battery", deliver_every=1))
    shutil.copytree(_built(tmp_path, "desktop", 1) / "files", node.folder / "a")
    (node.folder / "keys").mkdir()
    (node.folder / "keys" / "update.pub").write_bytes(
        read_key(tmp_path / "updates.key").public_key().public_bytes_raw()
    )
    offered = tmp_path / "node-updates" / "node-1"

    def slot() -> dict[str, Any]:
        path = node.folder / "slot"
        found: dict[str, Any] = json.loads(path.read_bytes()[8:]) if path.exists() else {}
        return found

    async def proven() -> bool:
        return (slot().get("active"), slot().get("trial")) == ("b", None)

    async with basement.open():
        shutil.copytree(_built(tmp_path, "esp32c3", 2), offered)
        await node.start()
        told = await basement.until_told("linli.node.update-refused")
        assert told["error"] == "the update is for esp32c3; this is desktop"
        assert slot() == {}
        shutil.rmtree(offered)
        shutil.copytree(_built(tmp_path, "desktop", 3), offered)
        await node.tell("nights 1")
        assert await node.wait() == RESTART
        await node.start()
        await eventually(proven, "the new program has reached the gateway")
        await node.end()
        taken = await basement.taken()
    assert slot()["number"] == 3
    assert taken == sorted(set(taken))


_FAKETIME = sorted(Path("/usr").glob("lib*/**/faketime/libfaketime.so.1"))


@pytest.mark.skipif(find() is None, reason="Mosquitto is not installed here: apt-get install mosquitto")
@pytest.mark.skipif(not _FAKETIME, reason="libfaketime is not installed here: apt-get install faketime")
@pytest.mark.parametrize("begins", ["1970-01-01 00:00:02", "2000-01-01 00:00:02"])
async def test_a_board_that_has_no_clock_finds_the_brokers_certificate_valid_and_gets_the_time_behind_it(
    tmp_path: Path, unix_port: Machine, begins: str
) -> None:
    del unix_port
    basement = Basement(tmp_path, "node-1")
    (secure,) = free_ports(1)
    keys = KeyFolder(tmp_path / "pki")
    keys.create()
    basement.broker = local_broker(tmp_path, basement.port, secure, ("node-1",))
    config = _config(secure)
    config["gateway"]["tls"] = True
    fake = {"LD_PRELOAD": str(_FAKETIME[0]), "FAKETIME": f"@{begins}", "TZ": "UTC", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    node = SimNode(tmp_path / "node", config, environ=fake)
    identity = keys.issue("node-1")
    (node.folder / "keys").mkdir(parents=True)
    (node.folder / "keys" / "ca.der").write_bytes(identity.authority)
    (node.folder / "keys" / "node.der").write_bytes(identity.certificate)
    (node.folder / "keys" / "node.key").write_bytes(identity.key)
    async with basement.open():
        await node.start()
        await basement.until_taken(1)
        await node.end()
        ((time, is_open),) = _readings(await basement.bodies(), "door_open")
    assert is_open is True
    # By the gateway's time, not the board's.
    assert abs(basement.now() - time) < MINUTE
