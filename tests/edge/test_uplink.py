"""The uplink over a real broker and real sockets, against the platform's half of the log protocol."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import msgspec
import pytest

from linli_core.errors import ConfigError
from linli_core.log import Offer, Receiver, SenderSettings
from linli_core.wire.command import Command, Reply, decode_reply, encode_command
from linli_core.wire.messages import Ack, Status, decode_status, encode_message
from linli_core.wire.topics import Channel, parse_topic, topic
from linli_edge.outbox import Message, Outbox, OutboxLimits, StoredMessage
from linli_edge.outbox.message import URGENT
from linli_edge.uplink import Uplink, UplinkSettings, kernel_clock_state
from linli_sim.processes import free_port
from linli_sim.waiting import eventually

GATEWAY = "gw-test"
EAGER = OutboxLimits(group_delay=0)


def clock() -> int:
    return 1_700_000_000_000_000


def reading(number: int) -> Message:
    return Message("telemetry", b'[{"n":"m/x","v":%d}]' % number, readings=1)


class Broker:
    """A broker process on a port of its own; it can be killed and started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.up = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "import sys; from linli_broker.cli import main; sys.exit(main())", "serve"),
            *("--engine", "embedded", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.data)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        lines = []
        while line := await self._process.stdout.readline():
            lines.append(line)
            if b"ready on" in line:
                self.up.set()
                return
        raise AssertionError(b"".join(lines).decode())

    async def kill(self) -> None:
        self.up.clear()
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.communicate()
            self._process = None


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    yield broker
    await broker.kill()


class Platform:
    """The least platform there is: it stores, and acknowledges what it has stored."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.receiver = Receiver()
        self.stored: list[tuple[str, int]] = []
        self.bodies: list[object] = []
        self.statuses: list[Status] = []
        self.answering = True
        self.on_message: Callable[[], None] = lambda: None
        self.changed = asyncio.Condition()
        self.client: aiomqtt.Client | None = None
        self._ack_due = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                await self._connection()
            except* aiomqtt.MqttError:
                await self.broker.up.wait()

    async def _connection(self) -> None:
        async with aiomqtt.Client(
            *("127.0.0.1", self.broker.port),
            identifier="platform",
            clean_session=False,
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        ) as client:
            self.client = client
            for channel in (Channel.STATUS, Channel.TELEMETRY, Channel.EVENT):
                await client.subscribe(topic(GATEWAY, channel), qos=1)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._acknowledge(), name="platform.acknowledge")
                group.create_task(self._listen(client), name="platform.listen")

    async def _acknowledge(self) -> None:
        """Acknowledge what has been stored since the last time, as a platform does after each batch."""
        while True:
            await self._ack_due.wait()
            self._ack_due.clear()
            if self.answering and self.receiver.epoch:
                await self.say(self.receiver.ack())

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            if message.topic.value.endswith("/status"):
                status = decode_status(message.payload)
                self.statuses.append(status)
                self.receiver.status(status, clock())
            else:
                self._take(message.payload)
            self._ack_due.set()
            async with self.changed:
                self.changed.notify_all()

    def _take(self, payload: bytes) -> None:
        body = json.loads(payload)
        first = body[0] if isinstance(body, list) else body
        epoch, seq = first["epoch"], first["seq"]
        if self.receiver.offer(epoch, seq) is Offer.NEW:
            self.stored.append((epoch, seq))
            self.bodies.append(first.get("v"))
            self.receiver.committed(epoch, [seq])
        self.on_message()

    async def say(self, ack: Ack) -> None:
        assert self.client is not None
        await self.client.publish(topic(GATEWAY, Channel.ACK), encode_message(ack), qos=1, retain=True)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError  # ``asyncio.wait_for`` inside aiomqtt can swallow it (Python 3.11)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(condition)


@asynccontextmanager
async def running(*runs: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in runs:
            task.cancel()
        await asyncio.wait(runs)
        for task in runs:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error


def settings(port: int) -> UplinkSettings:
    return UplinkSettings(port=port, reconnect_first=10_000, reconnect_limit=50_000, ask_interval=500_000)


@asynccontextmanager
async def platform_on(broker: Broker) -> AsyncIterator[Platform]:
    platform = Platform(broker)
    async with running(asyncio.create_task(platform.run())):
        yield platform


@asynccontextmanager
async def gateway_on(
    broker: Broker, path: Path, sender: SenderSettings | None = None, before: int = 0
) -> AsyncIterator[tuple[Outbox, Uplink]]:
    async with Outbox.open(path, EAGER, clock, sender) as outbox:
        for number in range(before):
            outbox.append(reading(number))
        await outbox.flush()
        uplink = Uplink(settings(broker.port), GATEWAY, outbox, clock)
        async with running(asyncio.create_task(uplink.run())):
            yield outbox, uplink


async def test_everything_arrives_once_and_is_acknowledged(broker: Broker, tmp_path: Path) -> None:
    async with platform_on(broker) as platform, gateway_on(broker, tmp_path / "outbox.db") as (outbox, uplink):
        for number in range(2000):
            outbox.append(reading(number))
        await platform.until(lambda: len(platform.stored) == 2000)
        await uplink.drained()
        assert platform.bodies == list(range(2000))
        assert platform.stored == [(outbox.sender.epoch, seq) for seq in range(1, 2001)]
        assert uplink.stats.sent == 2000


async def test_a_broker_killed_and_started_again_costs_nothing(broker: Broker, tmp_path: Path) -> None:
    async with platform_on(broker) as platform, gateway_on(broker, tmp_path / "outbox.db") as (outbox, uplink):
        for round_ in range(3):
            for number in range(200):
                outbox.append(reading(round_ * 1000 + number))
            await platform.until(lambda round_=round_: len(platform.stored) >= round_ * 400 + 50)  # type: ignore[misc]
            await broker.kill()
            for number in range(200):
                outbox.append(reading(round_ * 1000 + 500 + number))
            await outbox.flush()
            await broker.start()
        await platform.until(lambda: len(platform.stored) >= 1200)
        await uplink.drained()
        assert sorted(seq for _, seq in platform.stored) == list(range(1, 1201))


async def test_a_gateway_started_again_goes_on_where_the_platform_stands(broker: Broker, tmp_path: Path) -> None:
    async with platform_on(broker) as platform:
        async with gateway_on(broker, tmp_path / "outbox.db", before=50) as _:
            await platform.until(lambda: len(platform.stored) == 50)
        async with gateway_on(broker, tmp_path / "outbox.db", before=50) as (_outbox, uplink):
            await platform.until(lambda: len(platform.stored) == 100)
            await uplink.drained()
            assert uplink.stats.sent == 50
        assert [seq for _, seq in platform.stored] == list(range(1, 101))


async def test_live_messages_overtake_the_backlog(broker: Broker, tmp_path: Path) -> None:
    narrow = SenderSettings(window=8, live_reserve=4)
    async with (
        platform_on(broker) as platform,
        gateway_on(broker, tmp_path / "outbox.db", narrow, before=400) as (outbox, _),
    ):

        def go_live() -> None:
            if not live:
                live.append(outbox.append(reading(9999)))
                live.append(outbox.append(Message("event", b'{"v":"door"}', URGENT)))

        live: list[int] = []
        platform.on_message = go_live
        await platform.until(lambda: len(platform.stored) == 402)
        order = [seq for _, seq in platform.stored]
        assert order.index(live[0]) < 200
        assert order.index(live[1]) < 200
        backlog = [seq for seq in order if seq <= 400]
        assert backlog == sorted(backlog)


class Wrong:
    """A gateway's time of which nobody knew anything until the platform said it."""

    def __init__(self) -> None:
        self.heard_at: list[tuple[int | None, int]] = []
        self.asked = 0

    def heard(self, sent_at: int | None, round_trip: int) -> None:
        self.heard_at.append((sent_at, round_trip))

    def ready(self) -> bool:
        self.asked += 1
        return bool(self.heard_at)

    def outgoing(self, message: StoredMessage) -> StoredMessage:
        return StoredMessage(message.seq, message.kind, message.body.replace(b'"v":', b'"w":1,"v":'))


async def test_the_platforms_time_comes_with_its_ack_and_messages_leave_corrected(
    broker: Broker, tmp_path: Path
) -> None:
    wrong = Wrong()
    async with platform_on(broker) as platform, Outbox.open(tmp_path / "outbox.db", EAGER, clock) as outbox:
        outbox.append(reading(7))
        await outbox.flush()
        uplink = Uplink(settings(broker.port), GATEWAY, outbox, clock, times=wrong)
        async with running(asyncio.create_task(uplink.run())):
            platform.answering = False
            await platform.until(lambda: len(platform.statuses) >= 2)
            assert not platform.stored
            status = platform.statuses[-1]
            # Of another start; of a status that was never said; then right.
            ack = msgspec.structs.replace(platform.receiver.ack(), number=status.number, sent_at=clock())
            await platform.say(msgspec.structs.replace(ack, boot_id="another"))
            await platform.say(msgspec.structs.replace(ack, number=4711))
            await platform.say(ack)
            await platform.until(lambda: len(platform.stored) == 1)
            ((sent_at, round_trip),) = wrong.heard_at
            assert sent_at == clock()
            assert 0 < round_trip < 10_000_000
            assert wrong.asked


async def test_an_ack_that_the_broker_had_kept_tells_no_time(broker: Broker, tmp_path: Path) -> None:
    wrong = Wrong()
    async with platform_on(broker) as platform, Outbox.open(tmp_path / "outbox.db", EAGER, clock) as outbox:
        platform.answering = False  # one ack is ever said, and it is this test's: none can be on its way
        uplink = Uplink(settings(broker.port), GATEWAY, outbox, clock, times=wrong)
        async with running(asyncio.create_task(uplink.run())):
            await platform.until(lambda: len(platform.statuses) >= 1)
            number = platform.statuses[-1].number
            await platform.say(msgspec.structs.replace(platform.receiver.ack(), number=number, sent_at=clock()))
            await platform.until(lambda: len(wrong.heard_at) == 1)
            await broker.kill()
            await broker.start()
            before = len(platform.statuses)
            await platform.until(lambda: len(platform.statuses) >= before + 2)
            assert len(wrong.heard_at) == 1


async def test_nothing_is_sent_before_the_platform_answers(broker: Broker, tmp_path: Path) -> None:
    async with platform_on(broker) as platform:
        platform.answering = False
        async with gateway_on(broker, tmp_path / "outbox.db", before=5) as (_outbox, uplink):
            await platform.until(lambda: len(platform.statuses) >= 2)
            assert uplink.stats.sent == 0
            platform.answering = True
            await platform.say(platform.receiver.ack())
            await platform.until(lambda: len(platform.stored) == 5)
            await uplink.drained()


async def test_an_older_picture_rewinds_and_a_broken_one_changes_nothing(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with platform_on(broker) as platform:
        async with gateway_on(broker, tmp_path / "outbox.db", before=20) as (outbox, uplink):
            await platform.until(lambda: len(platform.stored) == 20)
            await uplink.drained()
            assert platform.client is not None
            for payload in (b"{", b'{"epoch":5}', b"\xff\xfe", b'{"epoch":"other","seq":99}'):
                await platform.client.publish(topic(GATEWAY, Channel.ACK), payload, qos=1)
            platform.stored.clear()
            restored = Receiver()
            restored.status(platform.statuses[0], clock())
            restored.offer(outbox.sender.epoch, 1)
            restored.committed(outbox.sender.epoch, [1])
            platform.receiver = restored
            await platform.say(restored.ack())
            await platform.until(lambda: len(platform.stored) == 19)
            await uplink.drained()
            beyond = msgspec.structs.replace(platform.receiver.ack(), seq=99)
            for _ in range(2):
                await platform.say(beyond)

            async def heard() -> bool:
                return uplink.stats.acks_beyond == 2

            await eventually(heard, "both acks were heard")
            assert uplink.stats.connections == 1
        await platform.until(lambda: platform.statuses[-1].state == "offline")
    counted = platform.statuses[-1].counters
    assert {name: count for name, count in counted.items() if name.startswith("acks_")} == {
        "acks_malformed": 3,
        "acks_of_other_logs": 1,
        "acks_beyond_the_log": 2,
        "acks_that_rewound": 1,
    }
    assert caplog.text.count("acknowledges what this gateway never sent") == 1


async def test_status_says_what_the_log_holds_and_ends_with_offline(broker: Broker, tmp_path: Path) -> None:
    async with platform_on(broker) as platform:
        async with gateway_on(broker, tmp_path / "outbox.db", before=7) as (outbox, _):
            await platform.until(lambda: len(platform.stored) == 7)
            epoch = outbox.sender.epoch
        await platform.until(lambda: platform.statuses[-1].state == "offline")
        first, last = platform.statuses[0], platform.statuses[-1]
        assert (first.state, first.gateway, first.epoch, first.first_seq, first.next_seq) == (
            *("online", GATEWAY, epoch),
            *(1, 8),
        )
        assert first.counters["readings_logged"] == 7
        assert (last.boot_id, last.number > first.number) == (first.boot_id, True)


async def test_evictions_are_said_until_they_are_booked(broker: Broker, tmp_path: Path) -> None:
    small = OutboxLimits(group_delay=0, max_bytes=10_000)
    async with Outbox.open(tmp_path / "outbox.db", small, clock) as outbox:
        for number in range(300):
            outbox.append(reading(number))
        await outbox.flush()
        lost = outbox.stats().evicted_messages
        assert lost > 0
        uplink = Uplink(settings(broker.port), GATEWAY, outbox, clock)
        async with platform_on(broker) as platform, running(asyncio.create_task(uplink.run())):
            await platform.until(lambda: len(platform.stored) == 300 - lost)
            await uplink.drained()
            assert platform.receiver.ack().seq == 300
            assert outbox.sender.evicted() == ()


CHILD = """
import asyncio, sys
from pathlib import Path
from linli_edge.outbox import Outbox, OutboxLimits
from linli_edge.uplink import Uplink, UplinkSettings

async def main():
    async with Outbox.open(Path(sys.argv[1]), OutboxLimits(), lambda: 0) as outbox:
        await Uplink(UplinkSettings(port=int(sys.argv[2])), "gw-test", outbox, lambda: 0).run()

asyncio.run(main())
"""


async def test_a_gateway_that_dies_is_said_lost_by_the_broker(broker: Broker, tmp_path: Path) -> None:
    async with platform_on(broker) as platform:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, str(tmp_path / "outbox.db"), str(broker.port)
        )
        await platform.until(lambda: bool(platform.statuses))
        child.kill()
        await child.wait()
        await platform.until(lambda: platform.statuses[-1].state == "lost")
        assert platform.statuses[-1].epoch == platform.statuses[0].epoch


async def test_pauses_double_up_to_a_limit_and_are_spread(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        pauses: list[float] = []
        enough = asyncio.Event()

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 8:
                enough.set()
                await asyncio.get_running_loop().create_future()

        async with Outbox.open(tmp_path / "outbox.db", EAGER, clock) as outbox:
            uplink = Uplink(
                UplinkSettings(port=port, reconnect_first=1_000_000, reconnect_limit=20_000_000),
                *(GATEWAY, outbox, clock),
                pause=pause,
                jitter=lambda: 0.5,
            )
            async with running(asyncio.create_task(uplink.run())):
                await enough.wait()
        assert pauses == [0.75, 1.5, 3.0, 6.0, 12.0, 15.0, 15.0, 15.0]
        assert "refused" in uplink.stats.error


def test_credentials_and_certificates_that_cannot_be_used_say_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^uplink\.password_file: .*absent.*; give a text file"):
        UplinkSettings(password_file=tmp_path / "absent").password()
    secret = tmp_path / "password"
    secret.write_text("geheim\nsecond line\n", encoding="utf-8")
    assert UplinkSettings(password_file=secret).password() == "geheim"
    assert UplinkSettings().password() is None
    with pytest.raises(ConfigError, match=r"^uplink\.ca: .*; give a PEM file"):
        UplinkSettings(ca=tmp_path / "absent").tls_context()
    with pytest.raises(ConfigError, match=r"^uplink\.certificate: .*; give a PEM certificate"):
        UplinkSettings(certificate=tmp_path / "absent").tls_context()
    assert UplinkSettings().tls_context() is None
    assert UplinkSettings(tls=True).tls_context() is not None


def test_the_clock_state_is_one_the_contract_knows() -> None:
    state = kernel_clock_state()
    assert (state.state, state.source) in {("trusted", "ntp"), ("doubtful", "none")}


async def test_commands_come_and_replies_go(broker: Broker, tmp_path: Path) -> None:
    received: asyncio.Queue[tuple[str, Command]] = asyncio.Queue()
    command = Command("write", {"point": "m/x", "value": 1}, clock(), "li")
    async with (
        Outbox.open(tmp_path / "outbox.db", EAGER, clock) as outbox,
        aiomqtt.Client("127.0.0.1", broker.port) as client,
    ):
        await client.subscribe(topic(GATEWAY, Channel.REPLY, "+"), qos=1)

        async def replied() -> tuple[str, Reply]:
            message = await anext(aiter(client.messages))
            assert isinstance(message.payload, bytes)
            return parse_topic(message.topic.value).command, decode_reply(message.payload)

        uplink = Uplink(
            settings(broker.port),
            GATEWAY,
            outbox,
            clock,
            on_command=lambda name, found: received.put_nowait((name, found)),
        )
        uplink.reply("c-0", Reply(ok=False, error="said before there was a connection"))
        async with running(asyncio.create_task(uplink.run())):
            assert await replied() == ("c-0", Reply(ok=False, error="said before there was a connection"))
            await client.publish(topic(GATEWAY, Channel.COMMAND, "c-1"), b"no command", qos=1)
            name, reply = await replied()
            assert (name, reply.ok, reply.result) == ("c-1", False, {"state": "refused"})
            await client.publish(topic(GATEWAY, Channel.COMMAND, "c-2"), encode_command(command), qos=1)
            assert await received.get() == ("c-2", command)
            uplink.reply("c-2", Reply(ok=True, result={"state": "done"}))
            assert await replied() == ("c-2", Reply(ok=True, result={"state": "done"}))
            assert (uplink.stats.commands, uplink.stats.malformed_commands) == (1, 1)


async def test_replies_that_wait_are_bounded(broker: Broker, tmp_path: Path) -> None:
    async with Outbox.open(tmp_path / "outbox.db", EAGER, clock) as outbox:
        uplink = Uplink(settings(broker.port), GATEWAY, outbox, clock)
        for number in range(70):
            uplink.reply(f"c-{number}", Reply(ok=True))
        assert uplink.stats.replies_dropped == 6
