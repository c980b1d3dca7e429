"""The running gateway: its links, its pipeline, its log and its uplink in one task group."""

import asyncio
import logging
import signal
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from linli_core.log import SenderSettings
from linli_core.vocabulary import vocabulary
from linli_core.wire import senml
from linli_core.wire.command import Command
from linli_core.wire.messages import MOST_UNITS, LinkState
from linli_edge.clock import ClockKeeper
from linli_edge.commands import CommandDesk
from linli_edge.commands.front import Front
from linli_edge.commands.ledger import Ledger
from linli_edge.commands.local import door
from linli_edge.config.gateway import GatewayConfig
from linli_edge.config.left_out import LeftOut
from linli_edge.link import DeviceLeftOut, Link
from linli_edge.nodes import marks
from linli_edge.nodes.offers import Offers
from linli_edge.nodes.relay import Relay
from linli_edge.outbox import Outbox
from linli_edge.pipeline import Bounds, Pipeline
from linli_edge.plan_teller import Planned, PlanTeller
from linli_edge.registers.book import RegisterBook
from linli_edge.registers.keeper import Keeper
from linli_edge.registers.memory import MemoryFile
from linli_edge.uplink import GatewayHealth, Uplink
from linli_edge.wear import Wear, bytes_written

_LOG: Final = logging.getLogger(__name__)

FLUSH_LIMIT: Final = 5.0
"""Seconds an orderly stop waits for a disk that refuses to write."""

COMMANDS: Final = 64
"""Commands of the platform that may wait to be looked at."""

MOST_ERROR: Final = 2_000
"""Characters of what is wrong that a link's state tells; the log has all of it."""

DRAIN_LIMIT: Final = 5.0
"""Seconds an orderly stop waits for the platform to acknowledge; what it has not by then waits in the log."""


def plausible(quantity: str) -> Bounds:
    """Return the vocabulary's bounds of a quantity; none where it knows none."""
    known = vocabulary().get(quantity)
    return (known.minimum, known.maximum) if known is not None else (None, None)


class Gateway:
    """One gateway, made from its configuration; :meth:`run` runs it until it is told to stop.

    Attributes:
        config: What it was made from.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config
        self._clock = ClockKeeper(config.data / "clock.json")
        self._version = version("linli")
        self._links: list[Link] = []
        self._pipeline: Pipeline | None = None
        self._outbox: Outbox | None = None
        self._relay: Relay | None = None
        self._wear = Wear(config.outbox.endurance)

    async def run(self, stop: asyncio.Event) -> None:
        """Read, log and forward until ``stop`` is set; then write what waits, say goodbye, and return.

        Raises:
            LogError: The log cannot be opened.
            ExceptionGroup: A part of the gateway itself broke; the log holds what was taken until then.
        """
        config, clock = self.config, self._clock
        time = clock.time
        sending = SenderSettings(newest_first=config.uplink.newest_first, backlog_delay=config.uplink.backlog_delay)
        path = config.data / "outbox.db"
        async with Outbox.open(path, config.outbox, time.clock, sending, gateway=config.id) as outbox:
            # Before anything is stamped: the name of an era must be on the disk before the first message that bears it.
            clock.look()
            memory = MemoryFile(config.data / "registers.json")
            book = RegisterBook(config.registers, vocabulary(), memory.read())
            pipeline = Pipeline(
                config.id,
                clock.log(outbox.append),
                encode_pack=senml.encode,
                bounds=plausible,
                time=time,
                packs=config.packs,
                rules=config.report,
                eviction=config.eviction,
                registers=book,
            )
            keeper = Keeper(book, pipeline, config.data, memory, outbox.flush, time)
            clock.before_step, clock.after_step = pipeline.flush, book.moved
            book.provisional = clock.provisional
            self._outbox, self._pipeline = outbox, pipeline
            self._links = [Link(settings, pipeline, time) for settings in config.links]
            desk = await self._desk(pipeline, outbox)
            received: asyncio.Queue[tuple[str, Command]] = asyncio.Queue(COMMANDS)
            remote = (desk is not None and config.commands.remote) or config.nodes is not None
            uplink = Uplink(
                config.uplink,
                config.id,
                outbox,
                time.clock,
                self.health,
                on_command=partial(_queued, received) if remote else None,
                times=clock,
            )
            if config.nodes is not None:
                self._relay = Relay(
                    config.nodes,
                    pipeline,
                    outbox,
                    marks.MarksFile(config.data / marks.FILE),
                    clock,
                    Offers(config.data / "node-updates"),
                )
            async with asyncio.TaskGroup() as group:
                carrying = group.create_task(uplink.run(), name="uplink")
                packing = group.create_task(pipeline.run(), name="pipeline")
                keeping = group.create_task(keeper.run(), name="registers")
                plans = PlanTeller(config.id, self._planned, pipeline, time)
                planning = group.create_task(plans.run(), name="plan")
                looking = group.create_task(clock.run(), name="clock")
                reading = [group.create_task(link.run(), name=f"link[{link.settings.id}]") for link in self._links]
                serving = [
                    group.create_task(settings.spec.serve(settings.config), name=f"serve[{settings.id}]")
                    for settings in config.links
                    if settings.spec.serve is not None
                ]
                if self._relay is not None:
                    serving.append(group.create_task(self._relay.run(), name="nodes"))
                if desk is not None or self._relay is not None:
                    front = Front(desk, self._relay)
                    reading.append(group.create_task(_command(front, received, uplink), name="commands"))
                    reading.append(group.create_task(_local(config.data, front), name="local commands"))
                _LOG.info(
                    "gateway %s: %d links, log at %s, uplink to %s:%d",
                    config.id,
                    len(self._links),
                    config.data,
                    config.uplink.host,
                    config.uplink.port,
                )
                for each in config.left_out:
                    _LOG.error("link %s: not read: %s: %s", each.link, ", ".join(each.devices), each.error)
                    for device in each.devices:
                        pipeline.report(each.link, DeviceLeftOut(device, each.error))
                await stop.wait()
                _LOG.info("gateway %s: stopping", config.id)
                for task in (*reading, *serving, packing, keeping, planning):
                    task.cancel()
                await asyncio.wait((*reading, *serving, packing, keeping, planning))
                pipeline.flush()
                keeper.remember()
                await self._written(outbox)
                await self._delivered(uplink, outbox)
                clock.remember()
                looking.cancel()
                carrying.cancel()

    async def _desk(self, pipeline: Pipeline, outbox: Outbox) -> CommandDesk | None:
        """Return who takes commands; ``None`` where they are switched off."""
        settings = self.config.commands
        if not settings.enabled:
            return None
        ledger = Ledger(self.config.data / "commands.jsonl")
        await asyncio.to_thread(ledger.load, self._clock.now())
        desk = CommandDesk(settings, ledger, self._links, pipeline.tell, self._clock.now, outbox.flush)
        desk.tell_unfinished()
        return desk

    def _planned(self) -> list[Planned]:
        return [*self._links, *([] if self._relay is None else [self._relay])]

    def health(self) -> GatewayHealth:
        """Return what the gateway says of itself in its status."""
        counters: dict[str, int] = {}
        if self._pipeline is not None:
            counters |= self._pipeline.counters.as_dict()
        if self._outbox is not None:
            stats = self._outbox.stats()
            counters["log_messages"] = stats.messages
            counters["log_readings"] = stats.readings
            counters["evicted_messages"] = stats.evicted_messages
            counters["evicted_readings"] = stats.evicted_readings
        loads = [load for link in self._links if (load := link.load()) is not None]
        counters["polls"] = sum(link.polls for link in self._links)
        counters["polls_failed"] = sum(link.failed for link in self._links)
        counters["polls_missed"] = sum(load.missed for load in loads)
        states = [link.state() for link in self._links]
        if self._relay is not None:
            states.append(self._relay.state())
            counters |= {f"node_packs_{name}": count for name, count in self._relay.counters.items()}
        links = with_left_out(states, self.config.left_out)
        disk = self._wear.watch(bytes_written(), self._clock.time.steady())
        return GatewayHealth(self._version, self._clock.state(), links, counters, disk)

    async def _written(self, outbox: Outbox) -> None:
        try:
            async with asyncio.timeout(FLUSH_LIMIT):
                await outbox.flush()
        except TimeoutError:
            _LOG.error("the disk did not take %d messages within %g s", outbox.stats().queued, FLUSH_LIMIT)

    async def _delivered(self, uplink: Uplink, outbox: Outbox) -> None:
        """Wait for the last acknowledgements while there is a connection that may bring them."""
        if not uplink.stats.connected:
            return
        try:
            async with asyncio.timeout(DRAIN_LIMIT):
                await uplink.drained()
        except TimeoutError:
            _LOG.warning("%d messages stay in the log until the next start", outbox.stats().backlog)


def with_left_out(states: Sequence[LinkState], left_out: Sequence[LeftOut]) -> tuple[LinkState, ...]:
    """Return how the links fare; with the devices, and the whole links, that the configuration says wrongly."""
    links = {state.id: state for state in states}
    for each in left_out:
        state = links.setdefault(each.link, LinkState(each.link, each.driver, "down"))
        links[each.link] = msgspec.structs.replace(
            state,
            state="degraded" if state.state == "up" else state.state,
            devices=state.devices + len(each.devices),
            left_out=(*state.left_out, *each.devices)[:MOST_UNITS],
            error=(f"{state.error}; {each.error}" if state.error else each.error)[:MOST_ERROR],
        )
    return tuple(links.values())


def _queued(received: "asyncio.Queue[tuple[str, Command]]", name: str, command: Command) -> None:
    try:
        received.put_nowait((name, command))
    except asyncio.QueueFull:
        _LOG.error("command %s: %d commands wait already; it is dropped", name, COMMANDS)


async def _command(front: Front, received: "asyncio.Queue[tuple[str, Command]]", uplink: Uplink) -> None:
    """Have the platform's commands carried out, those for different lines side by side, for ever."""

    async def one(name: str, command: Command) -> None:
        if (reply := await front.handle(name, command, "platform")) is not None:
            uplink.reply(name, reply)

    async with asyncio.TaskGroup() as group:
        while True:
            name, command = await received.get()
            group.create_task(one(name, command), name=f"command[{name}]")


async def _local(folder: Path, front: Front) -> None:
    """Have the commands of the person at the gateway carried out, for ever."""
    async with door(folder, front.handle):
        await asyncio.get_running_loop().create_future()


async def run(config: GatewayConfig) -> None:
    """Run a gateway until SIGTERM or SIGINT; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told_to_stop() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    await Gateway(config).run(stop)
