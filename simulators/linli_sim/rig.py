"""The smallest whole installation: a broker, a platform, a gateway and its devices, each a process that can be killed.

What became of every reading is found with :mod:`linli_sim.audit` once all have stopped.
"""

import asyncio
import json
import sqlite3
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from linli_edge.config.gateway import load_config
from linli_edge.outbox import Outbox
from linli_edge.outbox.head import Head
from linli_edge.uplink import Uplink
from linli_sim.audit import Audit, audit
from linli_sim.processes import Program, command, free_port
from linli_sim.waiting import PATIENCE, eventually

GATEWAY: Final = "gw-rig"


@dataclass
class Rig:
    """One installation in a folder.

    Attributes:
        folder: Holds everything: configuration, logs, stores.
        port: The broker's.
        settings: Lines of the platform's settings file.
        uplink_port, platform_port: Where gateway and platform find the broker, if not at its own port.
        broker, platform, gateway: The processes; the gateway's after :meth:`configure`.
        url: Where the platform answers, after :meth:`start_platform`.
        account: What the platform said at last of both books, after :meth:`settle`.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    settings: str = ""
    uplink_port: int = 0
    platform_port: int = 0
    url: str = ""
    account: list[dict[str, Any]] = field(default_factory=list)
    broker: Program = field(init=False)
    platform: Program = field(init=False)
    gateway: Program = field(init=False)
    _devices: list[Program] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.broker = self._broker("broker")
        self.platform = Program(
            "platform",
            [
                *(command("linli-platform"), "serve"),
                *("--config", str(self.platform_config)),
                *("--data", str(self.data)),
                *("--mqtt", f"127.0.0.1:{self.platform_port or self.port}"),
                *("--listen", "127.0.0.1:0"),
            ],
            self.folder / "platform.log",
            ready=r"ready on http://",
        )
        self.gateway = Program(
            "gateway", [command("linli-edge"), "run", str(self.config)], self.folder / "gateway.log", ready=r"gateway "
        )

    @property
    def data(self) -> Path:
        """The platform's data folder."""
        return self.folder / "platform"

    @property
    def platform_config(self) -> Path:
        """The platform's settings file."""
        return self.folder / "platform.toml"

    @property
    def config(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "gateway.toml"

    @property
    def outbox(self) -> Path:
        """The gateway's log."""
        return self.folder / "gateway" / "outbox.db"

    def _broker(self, name: str) -> Program:
        argv = [command("linli-broker"), "serve", "--listen", f"127.0.0.1:{self.port}"]
        return Program(
            "broker",
            [*argv, "--data", str(self.folder / name)],
            self.folder / "broker.log",
            ready=r"ready on 127\.0\.0\.1",
        )

    def forget_broker(self) -> None:
        """Give the stopped broker an empty memory: nothing retained, no session."""
        self.broker = self._broker("broker-anew")

    async def start_device(self, *words: str) -> int:
        """Start a simulated device (``linli-sim`` and these words, on a free port); return its port."""
        name = f"device-{len(self._devices) + 1}"
        argv = [command("linli-sim"), *words, "--port", "0"]
        device = Program(name, argv, self.folder / f"{name}.log", ready=r"ready on 127\.0\.0\.1:\d+")
        self._devices.append(device)
        return int((await device.start()).rpartition(":")[2])

    def configure(self, links: str, packs: str = "") -> None:
        """Write the gateway's configuration: its ``[[links]]``, and more lines of ``[gateway]``."""
        self.config.write_text(
            f'[gateway]\nid = "{GATEWAY}"\ndata = "gateway"\n{packs}\n'
            f'[uplink]\nhost = "127.0.0.1"\nport = {self.uplink_port or self.port}\n{links}\n',
            encoding="utf-8",
        )

    async def start_platform(self) -> None:
        """Start the platform and note where it answers."""
        self.platform_config.write_text(self.settings, encoding="utf-8")
        line = await self.platform.start()
        self.url = line.rpartition("ready on ")[2].strip()

    async def until_connected(self) -> None:
        """Return once the platform's subscription stands: what a client publishes before reaches nobody."""

        async def connected() -> bool:
            return "linli_broker_connected 1.0" in (await self.get_text("/metrics")).splitlines()

        await eventually(connected, "the platform subscribed at the broker")

    async def stop(self) -> None:
        """Stop every process."""
        for program in (self.gateway, *self._devices, self.platform, self.broker):
            await program.stop()

    async def get(self, path: str, **query: str | int) -> Any:
        """Return what the platform's API answers; ``OSError`` if nobody does."""
        return json.loads(await self.get_text(f"/api/v1{path}", **query))

    async def get_text(self, path: str, **query: str | int) -> str:
        """Return the text at a path of the platform; ``OSError`` if nobody answers or the answer is an error."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"

        def ask() -> str:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - our own platform
                body: bytes = answer.read()
            return body.decode()

        return await asyncio.to_thread(ask)

    async def stored(self) -> int:
        """Return how many readings the platform holds."""
        count: int = (await self.get("/counts"))["readings"]
        return count

    async def until_more_stored(self, count: int, limit: float = PATIENCE) -> int:
        """Wait until the platform holds this many readings more than it does now; return how many it holds."""
        before = await eventually(self._answering, "the platform answers", limit)

        async def grown() -> int:
            now = await self.stored()
            return now if now >= before[0] + count else 0

        return await eventually(grown, f"{count} more readings than {before[0]} in the store", limit)

    async def _answering(self) -> tuple[int]:
        return (await self.stored(),)

    def log_head(self) -> Head:
        """Return the totals in the gateway's log, as they are in the file at this moment."""
        connection = sqlite3.connect(f"file:{self.outbox}?mode=ro", uri=True)
        try:
            (head,) = connection.execute("SELECT head FROM log").fetchone()
        finally:
            connection.close()
        return msgspec.msgpack.decode(head, type=Head)

    async def until_logged(self, messages: int, limit: float = PATIENCE) -> Head:
        """Wait until the gateway's log has taken so many messages more than now; return its totals."""
        before = self.log_head().messages

        async def grown() -> Head | None:
            head = self.log_head()
            return head if head.messages >= before + messages else None

        head = await eventually(grown, f"{messages} more messages in the log than {before}", limit)
        assert head is not None
        return head

    async def settle(self) -> Audit:
        """Stop the gateway, carry what its log still holds to the platform, stop that too, and draw up the account."""
        await self.gateway.stop()
        await self.drain()
        self.account = await self.get("/accounts", gateway=GATEWAY)
        await self.platform.stop()
        return await asyncio.to_thread(
            audit, {GATEWAY: self.outbox}, self.data / "store.duckdb", self.data / "registry.sqlite"
        )

    async def drain(self, limit: float = PATIENCE) -> None:
        """Carry what the stopped gateway's log still holds to the platform; ``TimeoutError`` if it does not arrive."""
        config = load_config(self.config)

        def clock() -> int:
            return time.time_ns() // 1000

        async with Outbox.open(config.data / "outbox.db", config.outbox, clock, gateway=config.id) as outbox:
            uplink = Uplink(config.uplink, config.id, outbox, clock)
            carrying = asyncio.create_task(uplink.run(), name="carry the rest")
            try:
                async with asyncio.timeout(limit):
                    await uplink.drained()
            finally:
                carrying.cancel()
                await asyncio.wait([carrying])
