"""Broker and platform as real processes, for the benchmarks that need them."""

import asyncio
import re
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from linli_sim.bench import CannotRun
from linli_sim.processes import Program, command, free_port

_CONNECTED: Final = re.compile(r"^linli_broker_connected 1(\.0)?$", re.MULTILINE)
_CONNECTED_LIMIT_S: Final = 30.0
_STORED: Final = re.compile(r"^linli_readings_stored_total (\S+)$", re.MULTILINE)
_HTTP_LIMIT: Final = 30.0


class Counts(msgspec.Struct, frozen=True):
    """What ``/api/v1/counts`` says, as far as it is of interest here."""

    readings: int
    distinct: int
    lost_messages: int


@dataclass(frozen=True, slots=True)
class Installation:
    """A broker and a platform that run.

    Attributes:
        folder: Where everything of this run is kept; gone afterwards.
        broker_port: MQTT, on loopback.
        url: Of the platform.
        platform: Its process.
    """

    folder: Path
    broker_port: int
    url: str
    platform: Program

    async def stored(self) -> int:
        """Return how many readings the platform has committed since it started, without a look at the store."""
        match = _STORED.search((await self.get("/metrics")).decode())
        if match is None:
            raise CannotRun(f"{self.url}/metrics has no linli_readings_stored_total")
        return round(float(match[1]))

    async def until_connected(self) -> None:
        """Return once the platform's subscription stands: what is published before reaches nobody."""
        end = time.monotonic() + _CONNECTED_LIMIT_S
        while _CONNECTED.search((await self.get("/metrics")).decode()) is None:
            if time.monotonic() > end:
                raise CannotRun(f"no subscription within {_CONNECTED_LIMIT_S:g} s:\n{self.platform.tail()}")
            await asyncio.sleep(0.05)

    async def counts(self) -> Counts:
        """Return what the store holds."""
        return msgspec.json.decode(await self.get("/api/v1/counts"), type=Counts)

    async def until_stored(self, readings: int, *, limit: float, every: float) -> None:
        """Return once the platform has committed so many readings; looks ``every`` so many seconds.

        Raises:
            CannotRun: They were not there within ``limit`` seconds.
        """
        end = time.monotonic() + limit
        while True:
            stored = await self.stored()
            if stored >= readings:
                return
            if time.monotonic() > end:
                found = f"{stored} of {readings} readings were stored within {limit:g} s"
                raise CannotRun(f"{found}; the platform's log ends:\n{self.platform.tail()}")
            await asyncio.sleep(every)

    async def audit(self, readings: int) -> None:
        """Refuse a run whose store does not hold exactly so many readings, each once; :class:`CannotRun`."""
        counts = await self.counts()
        if counts != Counts(readings, readings, 0):
            raise CannotRun(f"the figure is void: {readings} readings were sent, the store says {counts}")

    async def get(self, path: str) -> bytes:
        """Return what the platform answers."""

        def ask() -> bytes:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=_HTTP_LIMIT) as answer:  # noqa: S310 - our own
                body: bytes = answer.read()
            return body

        return await asyncio.to_thread(ask)


@asynccontextmanager
async def installation(
    rules: Mapping[str, str] = MappingProxyType({}),
    *,
    settings: str = "",
    prepare: Callable[[Path], None] = lambda _folder: None,
) -> AsyncIterator[Installation]:
    """Start a broker and a platform on an empty folder; stop them and remove it afterwards.

    Args:
        rules: Files of alarm rules, by name; those that ship with the platform if there are none.
        settings: Further settings of the platform, in TOML; ``{folder}`` is where everything is kept.
        prepare: Called with that folder before anything runs.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linli-bench-")))
        prepare(folder)
        broker_port, port = free_port(), free_port()
        address, listen = f"127.0.0.1:{broker_port}", f"127.0.0.1:{port}"
        serve = [command("linli-broker"), "serve", "--listen", address, "--data", str(folder / "broker")]
        await stack.enter_async_context(Program("broker", serve, folder / "broker.log", r"ready on"))
        serve = [
            command("linli-platform"), "serve", "--mqtt", address, "--listen", listen,
            "--data", str(folder / "platform"),
        ]  # fmt: skip
        if rules:
            (folder / "rules").mkdir()
            for name, text in rules.items():
                (folder / "rules" / name).write_text(text, encoding="utf-8")
            text = f'rules = "{folder / "rules"}"\n'
            text += f'[api]\nlisten = "{listen}"\n' + settings.replace("{folder}", str(folder))
            (folder / "platform.toml").write_text(text, encoding="utf-8")
            serve += ["--config", str(folder / "platform.toml")]
        platform = Program("platform", serve, folder / "platform.log", r"ready on")
        await stack.enter_async_context(platform)
        community = Installation(folder, broker_port, f"http://{listen}", platform)
        await community.until_connected()
        yield community
