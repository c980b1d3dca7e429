"""The relay with a real log: acknowledged is what is durable, and a gateway that dies takes nothing twice."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linli_core.instant import MINUTE, SECOND, Instant
from linli_core.vocabulary import vocabulary
from linli_core.wire import senml
from linli_core.wire.command import HEARD, Argument, Command
from linli_core.wire.messages import decode_ack
from linli_edge.commands.front import Front
from linli_edge.link import Report
from linli_edge.nodes.marks import Kept, MarksFile
from linli_edge.nodes.receiver import labels
from linli_edge.nodes.relay import Relay, goes_on
from linli_edge.nodes.settings import NodeSettings
from linli_edge.outbox import Message, Outbox, OutboxFull, OutboxLimits
from linli_edge.pipeline import Pipeline
from linli_edge.plan_teller import PlanTeller
from linli_edge.scheduler import DeviceBack, DeviceSilent
from linli_edge.timekeeping import SYSTEM, Timekeeper

EPOCH = "0123abcd"
START = 1_760_000_000 * SECOND


class Clock:
    provisional = False
    undecided = False
    instant: Instant = START

    def now(self) -> Instant:
        return self.instant


class Bench:
    """A relay over a log in a folder; what it publishes and tells is noted."""

    def __init__(self, folder: Path, boards: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.boards = boards or {"door-1": "b0b0"}
        self.clock = Clock()
        self.acks: list[tuple[str, int, Instant | None]] = []
        self.confirmed: list[int] = []
        self.full = False
        self.reports: list[Report] = []

    async def opened(self) -> AsyncIterator["Bench"]:
        async with Outbox.open(self.folder / "outbox.db", OutboxLimits(), self.clock.now) as outbox:
            self.outbox = outbox
            self.pipeline = Pipeline(
                "gw-1",
                self,
                encode_pack=senml.encode,
                bounds=lambda quantity: (vocabulary()[quantity].minimum, vocabulary()[quantity].maximum),
                time=Timekeeper(self.clock.now, SYSTEM.steady, SYSTEM.wait),
            )
            report = self.pipeline.report

            def noted(link: str, what: Report) -> None:
                self.reports.append(what)
                report(link, what)

            self.pipeline.report = noted  # type: ignore[method-assign, assignment]
            self.marks = MarksFile(self.folder / "nodes.json")
            settings = NodeSettings(boards=self.boards)
            self.relay = Relay(settings, self.pipeline, outbox, self.marks, self.clock)
            await self.relay.open()
            yield self

    def append(self, message: Message) -> int:
        if self.full:
            raise OutboxFull("the disk is full")
        return self.outbox.append(message)

    async def publish(self, topic: str, payload: bytes, qos: int) -> None:
        if topic == "node/door-1/confirm":
            self.confirmed.append(json.loads(payload)["call"])
            return
        assert (topic.endswith("/ack"), qos) == (True, 1)
        ack = decode_ack(payload)
        self.acks.append((ack.epoch, ack.seq, ack.sent_at))

    async def say(self, channel: str, payload: bytes, node: str = "door-1", *, more: bool = False) -> None:
        await self.relay.take(node, channel, payload, self.publish, more=more)

    async def messages(self) -> list[bytes]:
        await self.outbox.flush()
        stats = self.outbox.stats()
        found = await self.outbox.read(list(range(stats.first_seq, stats.next_seq)))
        return [message.body for message in found]


def pack(seq: int, value: str = '"vb":true', *, since: int | None = None, board: str = "b0b0") -> bytes:
    place = f'"epoch":"{EPOCH}","seq":{seq},"since":{since or seq},"board":"{board}",'
    return f'[{{{place}"bver":26,"bn":"door-1/","bt":{1_760_000_000 + seq},"n":"door_open",{value}}}]'.encode()


def status(state: str = "online", board: str = "b0b0", interval: int = 900, **more: object) -> bytes:
    said = {"state": state, "board": board, "epoch": EPOCH, "interval": interval, "extra": 1}
    return json.dumps(said | more).encode()


def called(seq: int, call: int) -> bytes:
    return pack(seq).replace(b'"board"', b'"call":%d,"board"' % call, 1)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async for opened in Bench(tmp_path).opened():
        yield opened


async def test_a_status_is_answered_with_where_the_log_stands_and_with_the_time(bench: Bench) -> None:
    await bench.say("status", status())
    assert bench.acks == [(EPOCH, 0, START)]
    await bench.say("status", status("asleep"))
    await bench.say("status", status("lost"))
    assert len(bench.acks) == 1


async def test_a_pack_is_in_the_log_before_it_is_acknowledged_and_only_once(bench: Bench) -> None:
    await bench.say("telemetry", pack(1))
    stats = bench.outbox.stats()
    assert (bench.acks, stats.messages, stats.queued) == ([(EPOCH, 1, START)], 1, 0)
    await bench.say("telemetry", pack(1))
    await bench.say("telemetry", pack(2))
    await bench.say("telemetry", pack(4, since=4))  # early: what was before it is not there
    assert [seq for _, seq, _ in bench.acks] == [1, 1, 2, 2]
    bodies = await bench.messages()
    assert list(labels(iter(bodies))) == [("door-1", EPOCH, 1), ("door-1", EPOCH, 2)]
    (record,), refused = senml.resolve(senml.decode(senml.stamp(bodies[0], "e", 1)), 0)
    assert refused == []
    assert (record.name, record.value, record.time) == ("gw-1/door-1/door_open", True, START + SECOND)
    assert bench.relay.counters == {"taken": 2, "known": 1, "early": 1, "refused": 0}


async def test_a_gateway_that_died_between_log_and_mark_takes_nothing_twice(tmp_path: Path) -> None:
    async for bench in Bench(tmp_path).opened():
        await bench.say("telemetry", pack(1))
        kept = (tmp_path / "nodes.json").read_bytes()
        await bench.say("telemetry", pack(2))
    (tmp_path / "nodes.json").write_bytes(kept)
    async for bench in Bench(tmp_path).opened():
        await bench.say("telemetry", pack(2))
        assert [seq for _, seq, _ in bench.acks] == [2]
        assert len(await bench.messages()) == 2
    # A file that is gone or damaged: the log itself knows.
    for content in (b"", b"{", b'{"through":"x"}'):
        (tmp_path / "nodes.json").write_bytes(content)
        async for bench in Bench(tmp_path).opened():
            await bench.say("telemetry", pack(2))
            assert len(await bench.messages()) == 2


async def test_what_the_log_does_not_take_is_not_acknowledged(bench: Bench) -> None:
    bench.full = True
    await bench.say("telemetry", pack(1))
    assert bench.acks == []
    bench.full = False
    await bench.say("telemetry", pack(1))
    assert [seq for _, seq, _ in bench.acks] == [1]
    assert len(await bench.messages()) == 1


async def test_a_mark_that_cannot_be_written_is_not_acknowledged(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "nodes.json").mkdir()
    await bench.say("telemetry", pack(1))
    assert bench.acks == []
    (tmp_path / "nodes.json").rmdir()
    # It is in the log already: sent again, it is known, and acknowledged once the disk takes the mark of another.
    await bench.say("telemetry", pack(1))
    assert [seq for _, seq, _ in bench.acks] == [1]
    assert len(await bench.messages()) == 1


async def test_what_is_known_is_not_acknowledged_either_before_its_mark_is_on_the_disk(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "nodes.json").mkdir()
    for _ in range(2):
        await bench.say("telemetry", pack(1))
        await bench.say("status", status())
    assert bench.acks == []
    (tmp_path / "nodes.json").rmdir()
    await bench.say("status", status())
    assert [seq for _, seq, _ in bench.acks] == [1]
    assert json.loads((tmp_path / "nodes.json").read_bytes())["nodes"]["door-1"]["marks"] == {EPOCH: 1}


async def test_records_that_came_together_are_answered_once_and_noted_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[dict[str, int]] = []
    save = bench.marks.save

    def counted(kept: Kept) -> bool:
        saved.append(dict(kept.nodes["door-1"].marks))
        return save(kept)

    monkeypatch.setattr(bench.marks, "save", counted)
    for seq in (1, 2, 2, 3):
        await bench.say("telemetry", pack(seq), more=True)
    assert (bench.acks, saved, bench.outbox.stats().queued) == ([], [], 0)
    await bench.say("telemetry", pack(4))
    assert ([seq for _, seq, _ in bench.acks], saved) == ([4], [{EPOCH: 4}])
    assert bench.relay.counters == {"taken": 4, "known": 1, "early": 0, "refused": 0}
    # What another record of it was to answer for, and did not: the status does.
    await bench.say("telemetry", pack(5), more=True)
    await bench.say("telemetry", b"garbage")
    await bench.say("status", status())
    assert [seq for _, seq, _ in bench.acks] == [4, 5]
    assert json.loads((tmp_path / "nodes.json").read_bytes())["nodes"]["door-1"]["marks"] == {EPOCH: 5}


async def test_whoever_is_noted_notes_those_that_wait_for_it_too(tmp_path: Path) -> None:
    boards = {"door-1": "b0b0", "leak-1": "b0b0"}
    async for bench in Bench(tmp_path, boards).opened():
        await bench.say("telemetry", pack(1), more=True)
        await bench.say("telemetry", pack(1).replace(b"door-1", b"leak-1"), "leak-1")
    # The gateway died before the next record of the first one came.
    async for bench in Bench(tmp_path, boards).opened():
        await bench.say("telemetry", pack(1))
        assert bench.relay.counters["known"] == 1
        assert len(await bench.messages()) == 2


@pytest.mark.parametrize(
    ("topics", "place", "expected"),
    [
        (["node/a/telemetry", "node/b/telemetry", "node/a/telemetry"], 0, True),
        (["node/a/telemetry", "node/b/telemetry", "node/a/telemetry"], 1, False),
        (["node/a/telemetry", "node/b/telemetry", "node/a/telemetry"], 2, False),
        (["node/a/status", "node/a/status"], 0, False),
        (["node/a/telemetry", "node/a/status"], 0, False),
    ],
)
def test_a_record_waits_for_another_one_of_its_node_alone(topics: list[str], place: int, *, expected: bool) -> None:
    assert goes_on(topics, place) is expected


async def test_while_the_gateway_waits_for_the_time_nodes_wait_too(bench: Bench) -> None:
    bench.clock.undecided = bench.clock.provisional = True
    await bench.say("status", status())
    await bench.say("telemetry", pack(1))
    assert (bench.acks, await bench.messages()) == ([], [])
    # Nobody will tell it: what is stamped by such a gateway is doubtful.
    bench.clock.undecided = False
    await bench.say("telemetry", pack(1))
    (body,) = await bench.messages()
    assert b'"q":"uncertain/clock_doubt"' in body
    assert [seq for _, seq, _ in bench.acks] == [1]


async def test_two_boards_of_one_name_are_reported_and_the_second_is_not_answered(bench: Bench) -> None:
    await bench.say("telemetry", pack(1))
    await bench.say("status", status(board="c0c0"))
    await bench.say("telemetry", pack(7, since=1, board="c0c0"))
    await bench.say("telemetry", pack(7, since=1, board="c0c0"))
    assert [seq for _, seq, _ in bench.acks] == [1]
    events = [json.loads(body) for body in await bench.messages() if body.startswith(b"{")]
    assert [event["type"] for event in events] == ["linli.node.wrong-board"]
    assert "board c0c0 calls itself door-1, which is board b0b0" in events[0]["data"]["error"]
    assert bench.relay.counters["refused"] == 3


async def test_a_low_battery_and_a_time_awake_that_was_ended_are_told_once(bench: Bench) -> None:
    for _ in range(2):
        await bench.say("status", status(low=False, overruns=0))
    said = b"".join(await bench.messages())
    assert b"battery-low" not in said
    assert b"overrun" not in said
    for _ in range(3):
        await bench.say("status", status(low=True, overruns=2, unmade=1))
    said = b"".join(await bench.messages())
    assert said.count(b"linli.node.battery-low") == 1
    assert said.count(b"linli.node.overrun") == said.count(b"linli.node.unmade") == 1


@pytest.mark.parametrize("payload", [b"", b"garbage", b"[" * 200, b'[{"n":1}]', b"\xff\xfe", pack(1)[:-3]])
async def test_garbage_is_refused_and_said_once(bench: Bench, payload: bytes) -> None:
    for channel in ("telemetry", "status"):
        for _ in range(2):
            await bench.say(channel, payload)
    await bench.say("telemetry", payload, node="stranger")
    assert bench.acks == []
    events = [json.loads(body) for body in await bench.messages() if body.startswith(b"{")]
    assert len(events) <= 3
    assert {event["type"] for event in events} == {"linli.node.refused"}


async def test_a_silent_node_is_reported_once_and_its_points_are_bad(bench: Bench) -> None:
    await bench.say("status", status(interval=10))
    await bench.say("telemetry", pack(1))
    bench.clock.instant += 59 * SECOND
    bench.relay.look()
    assert bench.relay.state().silent == ()
    bench.clock.instant += 2 * SECOND
    for _ in range(3):
        bench.relay.look()
    assert bench.relay.state().silent == ("door-1",)
    bench.pipeline.flush()
    bodies = b"\n".join(await bench.messages())
    assert len(re.findall(b"bad/no_communication", bodies)) == 1
    await bench.say("telemetry", pack(2))
    assert bench.relay.state().silent == ()
    assert [type(report) for report in bench.reports] == [DeviceSilent, DeviceBack]


async def test_a_node_that_says_its_status_and_nothing_that_it_reads_is_silent_until_it_does(bench: Bench) -> None:
    """Its flash takes nothing any more: what it read last stood there as if it were so, for ever."""
    await bench.say("status", status(interval=900))
    await bench.say("telemetry", pack(1))
    for _ in range(8):
        bench.clock.instant += 900 * SECOND
        await bench.say("status", status(interval=900, worn=9))
        bench.relay.look()
    (silent,) = bench.reports
    assert isinstance(silent, DeviceSilent)
    assert (silent.since, silent.error) == (
        START,
        "it says its status, and none of its readings has come for three of its intervals",
    )
    bench.pipeline.flush()
    assert len(re.findall(b"bad/device_failure", b"\n".join(await bench.messages()))) == 1
    assert set(bench.relay._receiver.nodes["door-1"].troubles) == {"worn", "mute"}
    # One that comes twice, or early, is of a node that reads.
    await bench.say("telemetry", pack(1))
    assert [type(report) for report in bench.reports] == [DeviceSilent, DeviceBack]
    assert set(bench.relay._receiver.nodes["door-1"].troubles) == {"worn"}


async def test_a_node_that_does_not_wake_again_is_none_whose_flash_is_at_its_end(bench: Bench) -> None:
    """A node on a battery says that it sleeps after its last reading, and its status once more when its cells end."""
    await bench.say("status", status(interval=900))
    await bench.say("telemetry", pack(1))
    bench.clock.instant += SECOND
    await bench.say("status", status("asleep"))
    bench.clock.instant += 900 * SECOND
    await bench.say("status", status(interval=900))
    bench.clock.instant += 1_900 * SECOND
    bench.relay.look()
    (silent,) = bench.reports
    assert isinstance(silent, DeviceSilent)
    assert silent.error == "it has not been heard of for three of its intervals"
    bench.pipeline.flush()
    assert b"bad/no_communication" in b"\n".join(await bench.messages())
    assert bench.relay._receiver.nodes["door-1"].troubles == {}


async def test_nodes_that_the_gateway_lets_wait_for_the_time_are_not_silent(bench: Bench) -> None:
    bench.clock.undecided = bench.clock.provisional = True
    for _ in range(8):
        await bench.say("status", status(interval=900))
        bench.clock.instant += 900 * SECOND
        bench.relay.look()
    assert (bench.reports, bench.relay.state().silent) == ([], ())


async def test_the_last_word_of_a_node_is_over_when_it_sleeps(bench: Bench) -> None:
    """What it says of its sleep is its state and its board, and no more."""
    await bench.say("status", status(low=True, points=["door_open"]))
    await bench.say("telemetry", pack(1))
    await bench.say("status", status("asleep"))
    assert bench.relay.state().silent == ("door-1",)
    bench.pipeline.flush()
    assert b"bad/saving_power" in b"\n".join(await bench.messages())
    # New cells.
    await bench.say("status", status())
    await bench.say("telemetry", pack(2))
    await bench.say("status", status("asleep"))
    assert bench.relay.state().silent == ()
    # One that calls with the last of them is waited for.
    await bench.say("status", status(low=True, call=3))
    await bench.say("status", status("asleep"))
    assert bench.relay.state().silent == ()


async def test_a_node_that_saves_its_battery_is_silent_with_its_last_word_and_its_points_say_why(bench: Bench) -> None:
    await bench.say("status", status(low=True, interval=14_400, reads=3_600, points=["door_open"]))
    await bench.say("telemetry", pack(1))
    assert bench.relay.intervals() == {"door-1/door_open": 3_600 * SECOND}
    assert bench.relay.state().silent == ()
    await bench.say("status", status("asleep", low=True))
    assert bench.relay.state().silent == ("door-1",)
    bench.clock.instant += 3_600 * MINUTE
    bench.relay.look()
    (silent,) = bench.reports
    assert isinstance(silent, DeviceSilent)
    assert silent.error == "its battery is near its end: this was its last word"
    bench.pipeline.flush()
    assert len(re.findall(b"bad/saving_power", b"\n".join(await bench.messages()))) == 1
    # New cells; a year later they are at their end too, and that is told again.
    await bench.say("status", status())
    await bench.say("telemetry", pack(2))
    assert bench.relay.state().silent == ()
    await bench.say("status", status(low=True))
    events = [json.loads(body)["type"] for body in await bench.messages() if body.startswith(b"{")]
    assert events.count("linli.node.battery-low") == 2


async def test_a_node_that_saves_its_battery_and_calls_is_not_silent(bench: Bench) -> None:
    await bench.say("status", status(low=True, call=3))
    await bench.say("status", status("asleep", low=True, call=3))
    assert bench.relay.state().silent == ()


async def test_a_gateway_that_starts_anew_knows_which_node_saves_its_battery(tmp_path: Path) -> None:
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status(low=True, points=["door_open"]))
    async for bench in Bench(tmp_path).opened():
        bench.clock.instant += 3_600 * MINUTE
        bench.relay.look()
        bench.pipeline.flush()
        assert b"bad/saving_power" in b"\n".join(await bench.messages())


async def test_numbers_that_never_came_are_told(bench: Bench) -> None:
    await bench.say("telemetry", pack(1))
    await bench.say("telemetry", pack(9, since=1))
    events = [json.loads(body) for body in await bench.messages() if body.startswith(b"{")]
    assert [(event["type"], event["data"]) for event in events] == [
        ("linli.node.gap", {"log": EPOCH, "first": 2, "last": 8})
    ]


async def test_a_call_is_confirmed_with_each_status_once_somebody_has_heard_it(tmp_path: Path) -> None:
    began = START + SECOND
    async for bench in Bench(tmp_path).opened():
        await bench.say("telemetry", called(1, 1))
        await bench.say("status", status(call=1))
        assert bench.confirmed == []
        refusals = [
            await bench.relay.heard(*whom, by="li", via="platform") for whom in (("door-9", began), ("door-1", 5))
        ]
        assert [reply.result["reason"] for reply in refusals] == ["unknown_point", "not_allowed"]
        for _ in range(2):
            assert (await bench.relay.heard("door-1", began, "li", "platform")).ok
        events = [json.loads(body) for body in await bench.messages() if body.startswith(b"{")]
        assert [(event["type"], event["data"]) for event in events] == [
            ("linli.node.heard", {"log": EPOCH, "call": 1, "by": "li", "via": "platform"})
        ]
    # The node was off, and the gateway starts anew.
    async for bench in Bench(tmp_path).opened():
        await bench.say("status", status(call=1))
        assert bench.confirmed == [1]
        await bench.say("status", status("asleep", call=1))
        await bench.say("status", status())
        await bench.say("telemetry", called(2, 2))
        await bench.say("status", status(call=2))
        assert bench.confirmed == [1]


async def test_a_call_is_not_confirmed_where_the_disk_does_not_keep_that(bench: Bench, tmp_path: Path) -> None:
    await bench.say("telemetry", called(1, 1))
    (tmp_path / "nodes.json").unlink()
    (tmp_path / "nodes.json").mkdir()
    reply = await bench.relay.heard("door-1", None, "li", "local")
    assert (reply.ok, reply.error) == (False, "the gateway's disk does not keep it")


async def test_the_front_gives_each_command_to_whoever_carries_it_out(bench: Bench) -> None:
    await bench.say("telemetry", called(1, 1))
    front, nobody = Front(None, bench.relay), Front(None, None)

    async def ask(at: Front, via: str, name: str = HEARD, **args: Argument) -> object:
        reply = await at.handle("a1", Command(name, args, START), via)
        assert reply is not None
        return reply.result.get("reason", reply.result["state"])

    assert await ask(nobody, "platform", node="door-1", until=START) == "unknown_point"
    assert await ask(nobody, "platform", "write", point="a/b", value=1) == "disabled"
    # From afar a call is named by when it began; who stands there means the one that is.
    assert await ask(front, "platform", node="door-1") == "bad_value"
    assert await ask(front, "platform", node="door-1", until=True) == "bad_value"
    assert await ask(front, "local", node=7) == "bad_value"
    assert await ask(front, "platform", node="door-1", until=START) == "not_allowed"
    assert await ask(front, "local", node="door-1") == "done"


async def test_what_a_node_reads_is_planned_and_missed_like_any_devices_points(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []

    class Teller:
        def tell(self, _name: str, _subject: str, data: dict[str, object], _number: str = "") -> bool:
            told.append(data)
            return True

        def reports_by_exception(self, point: str) -> bool:
            return point == "door-1/tamper"

    async for bench in Bench(tmp_path).opened():
        time = Timekeeper(bench.clock.now, SYSTEM.steady, SYSTEM.wait)
        plans = PlanTeller("gw-1", [bench.relay].copy, Teller(), time)
        plans.look()
        await bench.say(
            "status", status(interval=600, reads=60, points=["door_open", "temperature.c2", "tamper", "../x", ""])
        )
        plans.look()
        plans.look()
        points = {"door_open": 60.0, "temperature.c2": 60.0, "tamper": None}
        assert told == [{"points": {}, "devices": ["door-1"]}, {"points": {"door-1": points}, "devices": ["door-1"]}]
        # Another configuration: what it reads no more is expected no more.
        await bench.say("status", status(interval=900, points=["door_open"]))
        plans.look()
        assert told[2:] == [{"points": {"door-1": {"door_open": 900.0}}, "devices": ["door-1"]}]
    # The gateway starts anew, and the node is never heard of again.
    async for bench in Bench(tmp_path).opened():
        assert bench.relay.intervals() == {"door-1/door_open": 900 * SECOND}
        bench.clock.instant += 46 * MINUTE
        bench.relay.look()
        bench.pipeline.flush()
        bodies = b"\n".join(await bench.messages())
        assert re.findall(rb'"n":"door-1/([a-z_.0-9]+)","q":"bad/no_communication"', bodies) == [b"door_open"]


@pytest.mark.parametrize(
    "more", [{"interval": 0}, {"interval": 10**7}, {"reads": 0}, {"points": ["x"] * 129}, {"points": [1]}]
)
async def test_a_status_that_cannot_be_is_refused(bench: Bench, more: dict[str, Any]) -> None:
    await bench.say("status", status(**more))
    assert bench.acks == []
    assert bench.relay.counters["refused"] == 1
