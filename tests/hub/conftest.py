"""A real broker for the tests of the platform, and a gateway's side of the wire made with another MQTT client."""

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from linli_core.errors import RefusalReason
from linli_core.wire.messages import Ack, Status, decode_ack, encode_message
from linli_core.wire.topics import Channel, topic
from linli_platform.ingest import Committed
from linli_platform.ingest.connection import BrokerAddress
from linli_platform.ingest.settings import Grouping, Limits
from linli_platform.ingest.worker import Ingest
from linli_platform.metrics import Metrics
from linli_platform.registry import Registry
from linli_platform.store import Appended, Batch, EventRow, Fence, Quarantined, StoreError
from linli_platform.store.duckdb import DuckDBStore

EPOCH = "e1"
NOW = 1_764_000_000_000_000
"""The platform's clock stands still in tests: 2025-11-24T16:00:00Z."""


@dataclass
class BrokerProcess:
    """``linli-broker serve`` on a loopback port."""

    port: int
    data: Path
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and return once it accepts connections."""
        self.process = subprocess.Popen(
            [
                *(str(Path(sys.executable).parent / "linli-broker"), "serve", "--engine", "embedded"),
                *("--listen", f"127.0.0.1:{self.port}", "--data", str(self.data)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "ready on" in line:
                return
        self.stop()
        pytest.fail(f"the broker did not start: {''.join(said)}")

    def stop(self) -> None:
        """End it, and its children."""
        if self.process is not None:
            self.process.terminate()
            self.process.communicate()
            self.process = None


@pytest.fixture
def broker(free_port: Callable[[], int], tmp_path: Path) -> Iterator[BrokerProcess]:
    process = BrokerProcess(free_port(), tmp_path / "broker")
    process.start()
    try:
        yield process
    finally:
        process.stop()


@dataclass
class GatewayStandIn:
    """Publishes what a test wants and listens for acks."""

    id: str
    client: aiomqtt.Client
    epoch: str = EPOCH
    acks: asyncio.Queue[Ack] = field(default_factory=asyncio.Queue)
    statuses: int = 0

    async def announce(self, next_seq: int = 1, **more: Any) -> Ack:
        """Publish a status and return the ack made for it."""
        status = await self.say(next_seq, **more)
        while True:
            ack = await self.acks.get()
            # One that answers an earlier status may still be on its way.
            if (ack.boot_id, ack.epoch) == (status.boot_id, self.epoch) and (ack.number or 0) >= status.number:
                return ack

    async def say(self, next_seq: int = 1, **more: Any) -> Status:
        """Publish a status and return it."""
        self.statuses += 1
        known: dict[str, Any] = {"state": "online", "boot_id": "boot-1", "number": self.statuses}
        status = Status(self.id, epoch=self.epoch, next_seq=next_seq, **known | more)
        await self.publish(Channel.STATUS, encode_message(status), retain=True)
        return status

    async def publish(self, channel: Channel, payload: bytes, *, retain: bool = False) -> None:
        await self.client.publish(topic(self.id, channel), payload, qos=1, retain=retain)

    async def send(self, seq: int, *records: dict[str, Any], **base: Any) -> None:
        await self.publish(Channel.TELEMETRY, pack(self.id, seq, *records, epoch=self.epoch, **base))

    async def acked(self, seq: int) -> Ack:
        """Wait for an ack that covers everything up to a number."""
        while True:
            ack = await self.acks.get()
            if ack.epoch == self.epoch and ack.seq >= seq:
                return ack


@asynccontextmanager
async def gateway_stand_in(broker: BrokerProcess, gateway: str) -> AsyncIterator[GatewayStandIn]:
    """Connect a gateway stand-in whose acks arrive in its queue."""
    async with aiomqtt.Client("127.0.0.1", broker.port, identifier=f"test-{gateway}", timeout=math.inf) as client:
        await client.subscribe(topic(gateway, Channel.ACK), qos=1)
        stand_in = GatewayStandIn(gateway, client)

        async def listen() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                stand_in.acks.put_nowait(decode_ack(message.payload))

        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen(), name="acks")
            yield stand_in
            listening.cancel()


@pytest.fixture
def stand_in(broker: BrokerProcess) -> Callable[[str], AbstractAsyncContextManager[GatewayStandIn]]:
    """Returns a context in which a gateway of a given id stands at the broker."""
    return lambda gateway: gateway_stand_in(broker, gateway)


@pytest.fixture
async def gateway(broker: BrokerProcess) -> AsyncIterator[GatewayStandIn]:
    """``gw-a`` at the broker; a plain client, so that nothing of the gateway's own code proves itself."""
    async with gateway_stand_in(broker, "gw-a") as connected:
        yield connected


def pack(gateway: str, seq: int, *records: dict[str, Any], epoch: str = EPOCH, **base: Any) -> bytes:
    """Return a SenML pack as a gateway writes it; keys of ``base`` replace those of the first record."""
    body = [dict(record) for record in records or ({"n": "meter-1/energy_import", "u": "Wh", "v": seq, "t": seq},)]
    body[0] = {"bn": f"{gateway}/", "bt": NOW / 1e6, "epoch": epoch, "seq": seq, **base, **body[0]}
    return json.dumps(body, separators=(",", ":")).encode()


class FailingStore(DuckDBStore):
    """A real store whose disk fails as often as a test says."""

    failures = 0
    poison: float | None = None
    """A value that no batch may hold."""

    def append(
        self,
        batch: Batch,
        marks: Mapping[str, bytes],
        *,
        events: Sequence[EventRow] = (),
        quarantined: Sequence[Quarantined] = (),
        fence: Fence | None = None,
    ) -> Appended:
        if self.failures:
            self.failures -= 1
            raise StoreError("no space left on device")
        if self.poison is not None and self.poison in batch.value:
            raise StoreError(f"value {self.poison:g} breaks the store")
        return super().append(batch, marks, events=events, quarantined=quarantined, fence=fence)


@dataclass
class Hub:
    """The platform's ingest and what it writes to."""

    ingest: Ingest
    store: FailingStore
    registry: Registry
    metrics: Metrics
    committed: list[Committed] = field(default_factory=list)
    heard: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def __post_init__(self) -> None:
        # The housekeeper looks every few seconds of its own accord: who looks meanwhile finds its look done.
        look, one_at_a_time = self.ingest._write_counts, asyncio.Lock()

        async def alone() -> None:
            async with one_at_a_time:
                await look()

        self.ingest._write_counts = alone  # type: ignore[method-assign]

    async def refusals(self) -> dict[tuple[str, RefusalReason], int]:
        await self.ingest._write_counts()
        return {(refusal.gateway, refusal.reason): refusal.count for refusal in self.registry.refusals()}

    def metric(self, line: str) -> float:
        found = [text for text in self.metrics.render().decode().splitlines() if text.startswith(line)]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


@dataclass
class Site:
    """A data folder and a broker; ``run()`` as often as the platform is started."""

    folder: Path
    port: int
    limits: Limits = field(default_factory=Limits)
    grouping: Grouping = field(default_factory=Grouping)
    now: int = NOW

    @asynccontextmanager
    async def run(self, *, failures: int = 0) -> AsyncIterator[Hub]:
        metrics = Metrics()
        with (
            Registry(self.folder / "registry.sqlite") as registry,
            FailingStore(self.folder / "store.duckdb") as store,
        ):
            store.failures = failures
            ingest = Ingest(
                store,
                registry,
                BrokerAddress(port=self.port, client_id="platform-under-test"),
                clock=lambda: self.now,
                metrics=metrics,
                limits=self.limits,
                grouping=self.grouping,
            )
            hub = Hub(ingest, store, registry, metrics)
            ingest.listen(hub.committed.append)
            ingest.listen_to_gateways(hub.heard.put_nowait)
            await ingest.open()
            async with asyncio.TaskGroup() as group:
                group.create_task(ingest.run(), name="ingest")
                try:
                    yield hub
                finally:
                    ingest.stop()


@pytest.fixture
def site(tmp_path: Path, broker: BrokerProcess) -> Site:
    return Site(tmp_path, broker.port)
