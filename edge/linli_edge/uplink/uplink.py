"""The asynchronous shell around sender and outbox: one connection at a time, opened again for ever.

Messages are handed to the MQTT client without waiting for each PUBACK, because a PUBACK frees nothing here: what is
in flight is bounded by the sender's window, and only the platform's ``ack`` empties it.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS

from linli_core.errors import ConfigError, LogError, Refused
from linli_core.instant import SECOND, Instant
from linli_core.log import AckOutcome
from linli_core.wire.command import Command, Reply, decode_command, encode_command
from linli_core.wire.messages import Ack, Status, decode_ack, encode_message
from linli_core.wire.topics import Channel, parse_topic, topic
from linli_edge.driver import Clock
from linli_edge.outbox import Outbox, StoredMessage
from linli_edge.stopping import Stop
from linli_edge.uplink.settings import GatewayHealth, StatusSource, UplinkSettings
from linli_edge.uplink.stamping import stamp

BATCH: Final = 64
"""Messages read and handed over before the other tasks get their turn."""
BROKER_TIMEOUT: Final = 10.0
"""Seconds the broker may take to answer a connect, a subscribe, a status."""
GOODBYE_TIMEOUT: Final = 2.0
"""Seconds for the last status of an orderly stop."""
REPLIES: Final = 64
"""Replies that wait for a connection; the oldest gives way."""
STATUSES: Final = 8
"""Statuses of which it is remembered when they were said."""
STATUS_SPACING: Final = 0.2
"""Least seconds between two statuses: a log that evicts all the time must not drown its own messages."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class UplinkStats:
    """Running totals of this start."""

    connected: bool = False
    connections: int = 0
    sent: int = 0
    acks: int = 0
    malformed_acks: int = 0
    acks_beyond: int = 0
    commands: int = 0
    malformed_commands: int = 0
    replies_dropped: int = 0
    rewinds: int = 0
    error: str = ""


def _monotonic() -> Instant:
    return time.monotonic_ns() // 1000


def _nothing() -> GatewayHealth:
    return GatewayHealth()


def _hand_over(client: aiomqtt.Client, topic_: str, payload: bytes, *, retain: bool = False) -> None:
    """Publish without waiting for the PUBACK: aiomqtt's own ``publish`` costs a round trip or a task each."""
    info = client._client.publish(topic_, payload, qos=1, retain=retain)  # noqa: SLF001
    if info.rc != MQTT_ERR_SUCCESS:
        raise aiomqtt.MqttCodeError(info.rc, "could not publish")


class Times(Protocol):
    """Who keeps the gateway's time."""

    def heard(self, sent_at: Instant | None, round_trip: int) -> None:
        """Take in that the platform answered within ``round_trip``, with its time where it says it."""
        ...

    def ready(self) -> bool:
        """Tell whether the times of what is in the log are known; asked while the platform listens."""
        ...

    def outgoing(self, message: StoredMessage) -> StoredMessage:
        """Return a message with its times put right."""
        ...


class Uplink:
    """Carries one outbox to the platform.

    Attributes:
        stats: Running totals.
    """

    def __init__(
        self,
        settings: UplinkSettings,
        gateway_id: str,
        outbox: Outbox,
        clock: Clock,
        status_source: StatusSource = _nothing,
        *,
        on_command: Callable[[str, Command], None] | None = None,
        times: Times | None = None,
        monotonic: Clock = _monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._gateway = gateway_id
        self._outbox = outbox
        self._clock = clock
        self._status_source = status_source
        self._monotonic = monotonic
        self._pause = pause
        self._jitter = jitter
        self._topics = {
            "telemetry": topic(gateway_id, Channel.TELEMETRY),
            "event": topic(gateway_id, Channel.EVENT),
        }
        self._on_command = on_command
        self._times = times
        self._asked: dict[int, Instant] = {}
        self._replies: deque[tuple[str, bytes]] = deque()
        self._replies_due = asyncio.Event()
        self._status_topic = topic(gateway_id, Channel.STATUS)
        self._ack_topic = topic(gateway_id, Channel.ACK)
        self._work_to_do = asyncio.Event()
        self._status_due = asyncio.Event()
        self._acknowledged = asyncio.Condition()
        self._status_number = 0
        self._boot_id = secrets.token_hex(8)
        self._said: tuple[object, ...] = ()
        self.stats = UplinkStats()

    async def run(self) -> None:
        """Connect, carry, and connect again, until cancelled; cancelled in order, it says goodbye first."""
        self._outbox.on_change = self._log_changed
        attempt = 0
        while True:
            before = self.stats.connections
            # A task of its own: a broker that goes at the moment of a stop has its loss raised in place of the stop.
            connection = asyncio.create_task(self._connection(), name="uplink.connection")
            try:
                await asyncio.wait([connection])
            except asyncio.CancelledError:
                connection.cancel()
                await asyncio.wait([connection])
                if not connection.cancelled() and (error := connection.exception()) is not None:
                    self._note_loss(error)
                raise
            finally:
                self.stats.connected = False
                self._outbox.sender.disconnected()
            try:
                connection.result()
            except* (aiomqtt.MqttError, ConfigError, LogError) as group:
                self._note_loss(group)
            attempt = 1 if self.stats.connections > before else attempt + 1
            await self._pause(self._reconnect_delay(attempt))

    def reply(self, command: str, reply: Reply) -> None:
        """Answer a command, now or when there is a connection again; the oldest of too many answers gives way."""
        if len(self._replies) >= REPLIES:
            self._replies.popleft()
            self.stats.replies_dropped += 1
        self._replies.append((topic(self._gateway, Channel.REPLY, command), encode_command(reply)))
        self._replies_due.set()

    async def drained(self) -> None:
        """Return once the platform has acknowledged everything that was durable at some moment since the call."""
        async with self._acknowledged:
            await self._acknowledged.wait_for(lambda: not self._outbox.sender.backlog())

    def _reconnect_delay(self, attempt: int) -> float:
        """Return seconds: doubling, and spread over its upper half so that gateways do not come back all at once."""
        longest = min(self._settings.reconnect_first << min(attempt - 1, 20), self._settings.reconnect_limit)
        return longest * (0.5 + 0.5 * self._jitter()) / SECOND

    def _note_loss(self, group: BaseException) -> None:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        cause = error.__cause__
        text = f"{error} ({cause})" if cause else str(error)
        if self.stats.connected or text != self.stats.error:
            _log.warning("uplink to %s:%s lost: %s", self._settings.host, self._settings.port, text)
        self.stats.error = text

    async def _connection(self) -> None:
        settings = self._settings
        stop = Stop()
        client = aiomqtt.Client(
            settings.host,
            settings.port,
            identifier=f"linli-{self._gateway}",
            username=settings.username,
            password=await asyncio.to_thread(settings.password),
            tls_context=await asyncio.to_thread(settings.tls_context),
            keepalive=settings.keepalive,
            clean_session=True,
            will=aiomqtt.Will(self._status_topic, encode_message(self._last_will()), qos=1, retain=True),
            timeout=BROKER_TIMEOUT,
            max_queued_incoming_messages=64,
            max_inflight_messages=1024,
            # Without it a small packet waits for the other side's delayed acknowledgement, 40 ms each way.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )
        async with client:
            self.stats.connections += 1
            self.stats.connected = True
            _log.info("uplink to %s:%s stands", settings.host, settings.port)
            self.stats.error = ""
            self._outbox.sender.connected(self._monotonic())
            await client.subscribe(self._ack_topic, qos=1)
            if self._on_command is not None:
                await client.subscribe(topic(self._gateway, Channel.COMMAND, "+"), qos=1)
            stop.heed()
            self._status_due.set()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._receive(client), name="uplink.receive")
                    group.create_task(self._say_status(client), name="uplink.status")
                    group.create_task(self._send(client), name="uplink.send")
                    group.create_task(self._say_replies(client), name="uplink.replies")
            except asyncio.CancelledError:
                await self._say_goodbye(client)
                raise

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = message.payload
            if not isinstance(payload, bytes) or not payload:
                continue
            if message.topic.value != self._ack_topic:
                self._take_command(message.topic.value, payload)
                continue
            try:
                ack = decode_ack(payload)
            except Refused as exc:
                self.stats.malformed_acks += 1
                _log.warning("uplink: an ack that cannot be read: %s", exc)
                continue
            if not message.retain:
                self._take_time(ack)
            await self._take_ack(ack)

    def _take_command(self, name: str, payload: bytes) -> None:
        """Hand a command on; one that cannot be read is refused in a reply if its topic names it."""
        try:
            address = parse_topic(name)
        except Refused as exc:
            _log.warning("uplink: a message on a topic that is none of ours: %s", exc)
            return
        if self._on_command is None or address.channel is not Channel.COMMAND or address.gateway != self._gateway:
            return
        try:
            command = decode_command(payload)
        except Refused as exc:
            self.stats.malformed_commands += 1
            _log.warning("uplink: command %s cannot be read: %s", address.command, exc)
            self.reply(address.command, Reply(ok=False, result={"state": "refused"}, error=str(exc)))
            return
        self.stats.commands += 1
        self._on_command(address.command, command)

    async def _say_replies(self, client: aiomqtt.Client) -> None:
        stop = Stop()
        while True:
            await self._replies_due.wait()
            self._replies_due.clear()
            while self._replies:
                name, payload = self._replies[0]
                await client.publish(name, payload, qos=1, timeout=BROKER_TIMEOUT)
                # Left in its place until the broker has it: what a lost connection cut off is said again.
                self._replies.popleft()
                stop.heed()

    def _take_time(self, ack: Ack) -> None:
        """Tell whoever keeps the time what the platform's is; an ack the broker had kept says nothing of it."""
        if self._times is None or ack.boot_id != self._boot_id:
            return
        asked = self._asked.get(ack.number) if ack.number is not None else None
        if ack.sent_at is None:
            self._times.heard(None, 0)
        elif asked is not None:
            self._times.heard(ack.sent_at, self._monotonic() - asked)

    async def _take_ack(self, ack: Ack) -> None:
        self.stats.acks += 1
        sender = self._outbox.sender
        outcome = sender.ack(ack, self._monotonic())
        if outcome is AckOutcome.BEYOND:
            self.stats.acks_beyond += 1
            if self.stats.acks_beyond == 1:
                _log.warning("the platform acknowledges what this gateway never sent: is %s used twice?", self._gateway)
        elif outcome is AckOutcome.REWOUND:
            self.stats.rewinds += 1
            self._log_changed()
        self._work_to_do.set()
        async with self._acknowledged:
            self._acknowledged.notify_all()

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            self._work_to_do.clear()
            sender = self._outbox.sender
            now = self._monotonic()
            if self._times is not None and sender.resumed and not self._times.ready():
                await self._wait_for_work(now + SECOND)
                continue
            seqs: list[int] = []
            while len(seqs) < BATCH and (seq := sender.next_to_send(now)) is not None:
                seqs.append(seq)
            if not seqs:
                await self._wait_for_work(sender.next_retry())
                continue
            epoch = sender.epoch
            for message in await self._outbox.read(seqs):
                self._publish(client, epoch, message)
            await asyncio.sleep(0)

    async def _wait_for_work(self, until: Instant | None) -> None:
        limit = None if until is None else max(0.0, (until - self._monotonic()) / SECOND)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._work_to_do.wait()

    def _publish(self, client: aiomqtt.Client, epoch: str, message: StoredMessage) -> None:
        if self._times is not None:
            message = self._times.outgoing(message)
        _hand_over(client, self._topics[message.kind], stamp(epoch, message))
        self.stats.sent += 1

    async def _say_status(self, client: aiomqtt.Client) -> None:
        """Say the status at once, when the log's name or losses change, and now and then; ask until answered."""
        while True:
            self._status_due.clear()
            self._publish_status(client, self._status("online"))
            sender = self._outbox.sender
            interval = self._settings.status_interval if sender.resumed else self._settings.ask_interval
            await asyncio.sleep(STATUS_SPACING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval / SECOND):
                    await self._status_due.wait()

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            payload = encode_message(self._status("offline"))
            await client.publish(self._status_topic, payload, qos=1, retain=True, timeout=GOODBYE_TIMEOUT)

    def _publish_status(self, client: aiomqtt.Client, status: Status) -> None:
        self._said = (status.epoch, status.evicted)
        self._asked[status.number] = self._monotonic()
        while len(self._asked) > STATUSES:
            del self._asked[next(iter(self._asked))]
        _hand_over(client, self._status_topic, encode_message(status), retain=True)

    def _log_changed(self) -> None:
        sender = self._outbox.sender
        self._work_to_do.set()
        if (sender.epoch, sender.evicted()) != self._said:
            self._status_due.set()

    def _last_will(self) -> Status:
        # Number 0: whenever it comes, it says nothing new of the log.
        sender = self._outbox.sender
        return Status(
            self._gateway,
            "lost",
            sender.epoch,
            sender.first_seq,
            sender.next_seq,
            boot_id=self._boot_id,
            carried=self._outbox.carried,
        )

    def _status(self, state: str) -> Status:
        self._status_number += 1
        outbox, sender, health = self._outbox, self._outbox.sender, self._status_source()
        stats = outbox.stats()
        return Status(
            gateway=self._gateway,
            state="online" if state == "online" else "offline",
            epoch=sender.epoch,
            first_seq=sender.first_seq,
            next_seq=sender.next_seq,
            version=health.version,
            boot_id=self._boot_id,
            number=self._status_number,
            carried=outbox.carried,
            backlog=stats.backlog,
            clock=health.clock,
            evicted=sender.evicted(),
            counters={
                **health.counters,
                "messages_logged": stats.messages,
                "readings_logged": stats.readings,
                "messages_evicted": stats.evicted_messages,
                "messages_refused": stats.refused_messages,
                "readings_refused": stats.refused_readings,
                "messages_sent": self.stats.sent,
                "messages_sent_again": sender.offered_again,
                "acks_malformed": self.stats.malformed_acks,
                "acks_of_other_logs": sender.foreign_acks,
                "acks_beyond_the_log": self.stats.acks_beyond,
                "acks_that_rewound": self.stats.rewinds,
                "log_bytes": stats.bytes,
            },
            links=health.links,
            disk=health.disk,
            account=outbox.account,
            sent_at=self._clock(),
        )
