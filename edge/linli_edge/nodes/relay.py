"""The shell around the receiver: one MQTT client at the gateway's local broker, and the gateway's log behind it.

A node is acknowledged after its record is durable in the gateway's log and the mark is on the disk, never before. Of
records that came together the last is answered, for all of them: to note each mark would wear the card, and keep a node
on a battery awake. The answer to a node's status tells it the time. A node of which no record comes for three of its
intervals is silent, also if it says its status all the while: that is reported, and its points become BAD. One whose
battery is near its end says so as its last word: it is silent from then on, and its points say why.

Whoever hears a node's call says so through :meth:`Relay.heard`. The node is told at once, and again with each answer to
a status that says that it still calls, so that one which was asleep, off or out of reach hears it too.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import aiomqtt
import msgspec

from linli_core.errors import RefusalReason, Refused, WriteRefusal
from linli_core.instant import MINUTE, SECOND, Instant
from linli_core.model import Point, Quality, Reading, Reason, missing, parse_point
from linli_core.wire.command import Reply
from linli_core.wire.messages import Ack, LinkState, encode_message
from linli_edge.link import Report
from linli_edge.nodes.marks import Kept, MarksFile
from linli_edge.nodes.offers import Offers, Wanted
from linli_edge.nodes.receiver import Receiver, Status, Trouble, Verdict, WrongBoard, label, patience, points_of
from linli_edge.nodes.settings import NodeSettings
from linli_edge.outbox import Outbox
from linli_edge.scheduler import DeviceBack, DeviceSilent
from linli_edge.stopping import Stop

LINK: Final = "nodes"
"""What the nodes are called among the gateway's links."""

LOOK_EVERY: Final = 5.0
"""Seconds between two looks at who is silent."""
_FIRST_PATIENCE: Final = 15 * MINUTE
_RECONNECT: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_PAYLOAD: Final = 64 * 1024
_TOGETHER: Final = 64
"""Messages that are looked at together, at most."""
_NOT_HEARD: Final = "it has not been heard of for three of its intervals"
_MUTE: Final = "it says its status, and none of its readings has come for three of its intervals"
_LAST_WORD: Final = "its battery is near its end: this was its last word"
_WORN: Final = (
    "its flash does not hold all that is written to it any more: give its name to another board before it forgets"
)
_LOG: Final = logging.getLogger(__name__)


class Pipe(Protocol):
    """The way into the gateway's log."""

    def relay(self, readings: list[Reading], label: bytes, /) -> bool:
        """Take the readings of one pack; tell whether the log took them."""
        ...

    def take(self, readings: list[Reading], /) -> None:
        """Take readings of the gateway's own."""
        ...

    def tell(self, name: str, subject: str, data: dict[str, object], /) -> bool:
        """Send an event."""
        ...

    def report(self, link: str, report: Report, /) -> None:
        """Send what became of a device."""
        ...


class Clocks(Protocol):
    """The gateway's time."""

    @property
    def provisional(self) -> bool:
        """Whether nobody has told the time."""
        ...

    @property
    def undecided(self) -> bool:
        """Whether it is still waited for."""
        ...

    def now(self) -> Instant:
        """Return the time."""
        ...


@dataclass(slots=True)
class _Heard:
    """When readings of a node came last, and which; and whether what it says is its last word."""

    at: Instant
    patience: int = _FIRST_PATIENCE
    silent: bool = False
    is_last: bool = False
    points: dict[str, Point] = field(default_factory=dict)


class Relay:
    """Takes what nodes say into the gateway's log.

    Attributes:
        counters: Running totals of this start: packs taken, known already, early, refused.
    """

    def __init__(
        self,
        settings: NodeSettings,
        pipe: Pipe,
        outbox: Outbox,
        marks: MarksFile,
        clock: Clocks,
        offers: Offers | None = None,
    ) -> None:
        """Store; :meth:`open` reads.

        Args:
            settings: Which nodes there are.
            pipe: The way into the log.
            outbox: The log.
            marks: What was taken before.
            clock: The gateway's time.
            offers: Programs that nodes are to take; ``None``: there are none.
        """
        self._settings = settings
        self._pipe = pipe
        self._outbox = outbox
        self._marks = marks
        self._clock = clock
        self._offers = offers
        self._receiver = Receiver(settings.boards, {})
        self._heard: dict[str, _Heard] = {}
        self._told: set[tuple[str, str]] = set()
        self._kept = Kept()
        self._keeping = asyncio.Lock()
        self._unkept: set[str] = set()
        self._client: aiomqtt.Client | None = None
        self._error = "not connected yet"
        self.counters = {"taken": 0, "known": 0, "early": 0, "refused": 0}

    async def open(self) -> None:
        """Read what was taken before."""
        outbox = self._outbox.stats()
        self._kept = await self._marks.load(self._outbox, outbox.first_seq, outbox.next_seq)
        self._receiver = Receiver(self._settings.boards, self._kept.nodes)
        self._heard = {node: _Heard(self._clock.now()) for node in self._settings.boards}
        for node, known in self._receiver.nodes.items():
            if known.interval:
                self._expect(node)

    async def run(self) -> None:
        """Take what nodes say, and look who is silent, for ever."""
        await self.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._looking(), name="nodes: who is silent")
            group.create_task(self._connecting(), name="nodes: the local broker")

    def state(self) -> LinkState:
        """Return how the nodes fare, as a link."""
        silent = tuple(sorted(node for node, heard in self._heard.items() if heard.silent))
        state = LinkState(LINK, "nodes", "up", len(self._settings.boards), silent)
        if self._error:
            return LinkState(LINK, "nodes", "down", len(self._settings.boards), silent, error=self._error)
        return LinkState(LINK, "nodes", "degraded", state.devices, silent) if silent else state

    async def _connecting(self) -> None:
        failures, stop = 0, Stop()
        while True:
            try:
                async with aiomqtt.Client(self._settings.host, self._settings.port, identifier="linli-edge") as client:
                    failures = 0
                    await client.subscribe([("node/+/status", 1), ("node/+/telemetry", 1), ("node/+/wants", 1)])
                    stop.heed()
                    if self._error:
                        _LOG.info("the local broker is there: nodes are heard")
                    self._error = ""
                    self._client = client
                    async for message in client.messages:
                        came = [message]
                        while len(client.messages) and len(came) < _TOGETHER:
                            came.append(await anext(client.messages))
                        topics = [str(each.topic) for each in came]
                        for place, each in enumerate(came):
                            await self._take(client, each, more=goes_on(topics, place))
                            stop.heed()
            except aiomqtt.MqttError as exc:
                text = f"the local broker at {self._settings.host}:{self._settings.port}: {exc}"
                if text != self._error:
                    _LOG.warning("%s; nodes keep what they have", text)
                self._error = text
            finally:
                self._client = None
            # A broker that goes at the moment of a stop has its loss raised in place of the stop.
            stop.heed()
            await asyncio.sleep(_RECONNECT[min(failures, len(_RECONNECT) - 1)])
            failures += 1

    async def _take(self, client: aiomqtt.Client, message: aiomqtt.Message, *, more: bool) -> None:
        _, node, channel = str(message.topic).split("/")
        payload = message.payload
        if not isinstance(payload, bytes | bytearray) or len(payload) > _PAYLOAD:
            return
        await self.take(node, channel, bytes(payload), client.publish, more=more)

    async def take(
        self,
        node: str,
        channel: str,
        payload: bytes,
        publish: Callable[[str, bytes, int], Awaitable[object]],
        *,
        more: bool = False,
    ) -> None:
        """Take one message of a node; answer it where it is one that is answered.

        Args:
            node: Which.
            channel: What it is: ``status``, ``telemetry``, ``wants``.
            payload: Of it.
            publish: Sends an answer.
            more: Whether another record of the node is here already: its answer is one for both.
        """
        offer, call = None, 0
        try:
            if channel == "wants":
                if (piece := await self._wanted(node, payload)) is not None:
                    await publish(f"node/{node}/update", piece, 1)
                return
            if channel == "status":
                epoch, offer, call = await self._status(node, payload)
            else:
                epoch = await self._pack(node, payload)
                if more:
                    return
        except Refused as exc:
            # What is wrong is told in the basement, too, where nobody may answer this board again.
            if self._refuse(node, exc) and node in self._receiver.nodes:
                await self._remember(node)
            return
        if call and self._receiver.calling(node, epoch, call):
            # Before the answer: a node on a battery that has delivered everything sleeps after that.
            await publish(f"node/{node}/confirm", _confirmation(epoch, call), 1)
        # A gateway that waits for the time itself lets nodes wait: what they keep is stamped better later.
        if epoch and not self._clock.undecided and (node not in self._unkept or await self._remember(node)):
            ack = Ack(epoch, self._receiver.mark(node, epoch), sent_at=self._clock.now())
            await publish(f"node/{node}/ack", encode_message(ack), 1)
        if offer is not None:
            await publish(f"node/{node}/update", offer, 1)

    async def _status(self, node: str, payload: bytes) -> tuple[str, bytes | None, int]:
        """Return the epoch to be answered, the program the node is offered, and the call it makes."""
        status = self._receiver.status(node, payload)
        if status.state == "lost":
            return "", None, 0
        heard = self._heard[node]
        self._receiver.nodes[node].heard = self._clock.now()
        if self._clock.undecided:
            # More than that it cannot say: it waits for this gateway.
            self._hear(node)
        is_last = status.low and not status.call
        if status.state != "online":
            # What a node says of its sleep is no more than that.
            if (is_last or heard.is_last) and not heard.silent:
                self._silent(node)
            return "", None, 0
        heard.is_last = is_last
        if self._receiver.planned(node, status):
            await self._remember(node)
        self._expect(node)
        self._told_of(node, status)
        if status.low:
            self._once(node, "linli.node.battery-low", _LAST_WORD)
        else:
            # The next pair of cells has its own last word.
            self._told.discard((node, _LAST_WORD))
        offer = None if self._offers is None else await asyncio.to_thread(self._offers.of, node)
        newer = offer is not None and offer.manifest.number > status.number
        return status.epoch, offer.message() if offer is not None and newer else None, status.call

    def _told_of(self, node: str, status: Status) -> None:
        """Report what a node says is wrong with it; what is over is none of its troubles any more."""
        is_back = status.running < status.number and status.trial is None
        for kind, is_so, told in (
            ("rolled-back", is_back, f"update {status.number} did not prove itself: {status.running} runs"),
            ("overrun", status.overruns, "it was awake for longer than it may, which was ended"),
            (
                "unmade",
                status.unmade,
                f"{status.unmade} of its actions cannot be made, and do nothing: has its board their pins?",
            ),
            ("worn", status.worn, _WORN),
        ):
            if is_so:
                self._once(node, f"linli.node.{kind}", told)
            else:
                self._receiver.nodes[node].troubles.pop(kind, None)

    async def _wanted(self, node: str, payload: bytes) -> bytes | None:
        """Return the piece of a program that a node asks for."""
        if node not in self._settings.boards or self._offers is None:
            return None
        try:
            wanted = msgspec.json.decode(payload, type=Wanted)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise Refused(RefusalReason.MALFORMED, f"what {node} wants: {exc}") from exc
        if wanted.refused:
            self._once(node, "linli.node.update-refused", wanted.refused)
            return None
        return await asyncio.to_thread(self._offers.piece, node, wanted)

    async def _pack(self, node: str, payload: bytes) -> str:
        taken = self._receiver.pack(node, payload)
        heard = self._hear(node)
        if taken.verdict is not Verdict.TAKE:
            self.counters[taken.verdict.value if taken.verdict is Verdict.EARLY else "known"] += 1
            return taken.epoch
        if self._clock.undecided:
            return ""
        readings = [_doubted(reading) for reading in taken.readings] if self._clock.provisional else taken.readings
        if not self._pipe.relay(readings, label(node, taken.epoch, taken.seq)):
            return ""
        await self._outbox.flush()
        self._receiver.took(node, taken)
        # Whoever is noted next notes this node too: what is in the log up to there is not looked at again.
        self._kept.nodes[node] = self._receiver.nodes[node]
        self._kept.through = self._outbox.sender.next_seq - 1
        self._unkept.add(node)
        self.counters["taken"] += 1
        heard.points |= points_of(readings)
        for refused in taken.refused:
            self._refuse(node, refused)
        if taken.missing is not None:
            first, last = taken.missing
            self._pipe.tell("linli.node.gap", node, {"log": taken.epoch, "first": first, "last": last})
        return taken.epoch

    async def _remember(self, node: str) -> bool:
        """Bring what is known of a node to the disk; tell whether it took that."""
        self._kept.nodes[node] = self._receiver.nodes[node]
        async with self._keeping:
            self._unkept.discard(node)
            is_kept = await asyncio.to_thread(self._marks.save, self._kept)
            if not is_kept:
                self._unkept.add(node)
            return is_kept

    async def heard(self, node: str, until: Instant | None, by: str, via: str) -> Reply:
        """Take in that somebody has heard a node's call, and tell the node.

        Args:
            node: Which.
            until: When the call that they heard began, at the latest; ``None``: whichever the node makes.
            by: Who says so, for the record.
            via: Through which door.
        """
        if node not in self._settings.boards:
            return _refused(WriteRefusal.UNKNOWN_POINT, f"no node of this gateway is called {node[:80]!r}")
        before = self._receiver.nodes[node].call
        call = self._receiver.hear(node, until)
        if call is None:
            return _refused(WriteRefusal.NOT_ALLOWED, f"{node} has made no call that could have been heard then")
        if before is not None and not before.heard:
            _LOG.warning("node %s: %s has heard its call", node, by or "somebody")
            self._pipe.tell("linli.node.heard", node, {"log": call.epoch, "call": call.number, "by": by, "via": via})
        if not await self._remember(node):
            return Reply(ok=False, result={"state": "failed"}, error="the gateway's disk does not keep it")
        client = self._client
        if client is not None:
            with contextlib.suppress(aiomqtt.MqttError):
                # Where it is lost, the node's next status is answered with it.
                await client.publish(f"node/{node}/confirm", _confirmation(call.epoch, call.number), 1)
        return Reply(ok=True, result={"state": "done"})

    def _expect(self, node: str) -> None:
        """Wait for a node as long as its interval asks for, and for the points that it says it reads."""
        known, heard = self._receiver.nodes[node], self._heard[node]
        heard.patience = patience(known)
        heard.points |= {name: parse_point(name) for name in self._names(node)}

    def _names(self, node: str) -> list[str]:
        return [f"{node}/{point}" for point in self._receiver.nodes[node].points]

    @property
    def devices(self) -> frozenset[str]:
        """Ids of the nodes."""
        return frozenset(self._settings.boards)

    def intervals(self) -> dict[str, int | None]:
        """Return by point how often it is read, as far as the nodes have said; how they fare is said now and then."""
        nodes = self._receiver.nodes
        return {name: nodes[node].reads * SECOND for node in nodes for name in self._names(node)}

    def _hear(self, node: str) -> _Heard:
        now, known = self._clock.now(), self._receiver.nodes[node]
        heard = self._heard[node]
        known.troubles.pop("mute", None)
        if heard.silent:
            heard.silent = False
            self._pipe.report(LINK, DeviceBack(node, heard.at))
        heard.at = known.heard = now
        return heard

    def _refuse(self, node: str, error: Refused) -> bool:
        """Report what is refused; tell whether that is news."""
        self.counters["refused"] += 1
        kind = "linli.node.wrong-board" if isinstance(error, WrongBoard) else "linli.node.refused"
        return self._once(node, kind, str(error))

    def _once(self, node: str, kind: str, text: str) -> bool:
        """Tell something once in each start of the gateway, not with each message: a node repeats itself.

        Returns:
            Whether it was told now.
        """
        known = self._receiver.nodes.get(node)
        if known is not None and text != _LAST_WORD:
            known.troubles[kind.rpartition(".")[2]] = Trouble(self._clock.now(), text)
        if (node, text) in self._told:
            return False
        if known is not None:
            # To the disk with its next answer: one whose flash is at its end has no readings left to bring it there.
            self._unkept.add(node)
        if len(self._told) < 1_000:
            self._told.add((node, text))
        _LOG.warning("node %s: %s", node, text)
        self._pipe.tell(kind, node, {"error": text})
        return True

    async def _looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.look()

    def look(self) -> None:
        """Report who has become silent; the points of one that has are BAD from now on."""
        now = self._clock.now()
        for node, heard in self._heard.items():
            # Where the clock was set back, silence is counted anew.
            heard.at = min(heard.at, now)
            if heard.silent or now - heard.at < heard.patience:
                continue
            self._silent(node)

    def _silent(self, node: str) -> None:
        """Report that a node is silent, and why if it said so; its points are BAD from now on."""
        heard, now, reason, why = self._heard[node], self._clock.now(), Reason.NO_COMMUNICATION, _NOT_HEARD
        known = self._receiver.nodes[node]
        if known.low:
            reason, why = Reason.SAVING_POWER, _LAST_WORD
        elif 0 <= now - known.heard < known.heard - heard.at:
            # It goes on saying its status: its log takes nothing any more. One that is gone said its own soon after its
            # last reading, as each does that sleeps.
            reason, why = Reason.DEVICE_FAILURE, _MUTE
            known.troubles["mute"] = Trouble(now, _MUTE)
            # No reading will bring that to the disk: the answer to its next status does.
            self._unkept.add(node)
        heard.silent = True
        self._pipe.report(LINK, DeviceSilent(node, heard.at, why))
        self._pipe.take([missing(point, now, reason) for point in heard.points.values()])


def goes_on(topics: Sequence[str], place: int) -> bool:
    """Tell whether a message is a record after which another one of the same node came."""
    return topics[place].endswith("/telemetry") and topics[place] in topics[place + 1 :]


def _confirmation(epoch: str, call: int) -> bytes:
    """Return what a node is told of a call that somebody has heard; it names the call, for no other is meant."""
    return json.dumps({"epoch": epoch, "call": call}).encode()


def _refused(reason: WriteRefusal, error: str) -> Reply:
    return Reply(ok=False, result={"state": "refused", "reason": reason.value}, error=error)


def _doubted(reading: Reading) -> Reading:
    """Return a reading whose time rests on a gateway that nobody has told the time."""
    if reading.quality is not Quality.GOOD:
        return reading
    return Reading(
        reading.point, reading.value, reading.observed_at, Quality.UNCERTAIN, Reason.CLOCK_DOUBT, reading.device_time
    )
