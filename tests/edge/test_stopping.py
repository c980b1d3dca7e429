"""Whoever is told to stop stops, though a library swallows it or a broker goes at that very moment."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiomqtt
import pytest

from linli_core.wire import senml
from linli_edge.nodes.marks import MarksFile
from linli_edge.nodes.relay import Relay
from linli_edge.nodes.settings import NodeSettings
from linli_edge.outbox import Outbox, OutboxLimits
from linli_edge.pipeline import Pipeline
from linli_edge.stopping import Stop
from linli_edge.timekeeping import SYSTEM, wall_clock
from linli_edge.uplink import Uplink
from linli_edge.uplink.settings import UplinkSettings


class Client:
    """A client of a broker that does something else than to stop when it is told to.

    Attributes:
        swallows: Its calls come to their end at the moment of the stop, and it is swallowed; otherwise the broker goes
            then, and that is what is raised.
    """

    swallows = True
    waiting: asyncio.Event

    def __init__(self, *_: object, **__: object) -> None:
        self.messages: AsyncIterator[object] = self._messages()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.swallows:
            raise aiomqtt.MqttError("the broker is gone")

    async def subscribe(self, *_: object, **__: object) -> None:
        self.waiting.set()
        if self.swallows:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

    async def publish(self, *_: object, **__: object) -> None:
        pass

    async def _messages(self) -> AsyncIterator[object]:
        await asyncio.Event().wait()
        yield b""


class Clock:
    provisional = undecided = False

    def now(self) -> int:
        return wall_clock()


@pytest.fixture(params=[True, False], ids=["swallowed", "the broker goes"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Client]:
    class OfThisTest(Client):
        swallows = request.param
        waiting = asyncio.Event()

    monkeypatch.setattr(aiomqtt, "Client", OfThisTest)
    return OfThisTest


async def stopped(task: asyncio.Task[Any]) -> bool:
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


async def test_the_relay_of_the_nodes_stops(client: type[Client], tmp_path: Path) -> None:
    async with Outbox.open(tmp_path / "outbox.db", OutboxLimits(), wall_clock) as outbox:
        pipeline = Pipeline("gw", outbox, encode_pack=senml.encode, bounds=lambda _: (None, None), time=SYSTEM)
        relay = Relay(
            NodeSettings(boards={"door-1": ""}), pipeline, outbox, MarksFile(tmp_path / "nodes.json"), Clock()
        )
        task = asyncio.create_task(relay.run())
        await client.waiting.wait()
        assert await stopped(task)


async def test_the_uplink_stops(client: type[Client], tmp_path: Path) -> None:
    async with Outbox.open(tmp_path / "outbox.db", OutboxLimits(), wall_clock) as outbox:
        task = asyncio.create_task(Uplink(UplinkSettings(), "gw", outbox, wall_clock).run())
        await client.waiting.wait()
        assert await stopped(task)


async def test_a_stop_from_before_is_none() -> None:
    begun = asyncio.Event()

    async def works() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            Stop().heed()

    task = asyncio.create_task(works())
    await begun.wait()
    assert not await stopped(task)
