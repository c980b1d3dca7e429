"""``edge.*``: a gateway that reads simulated meters over Modbus TCP and forwards to a real broker and platform."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from linli_sim.bench import CannotRun, Result, bench, thingsboard
from linli_sim.bench.installation import Installation, installation
from linli_sim.bench.process import cpu_seconds, peak_rss_bytes
from linli_sim.modbus import entries_of
from linli_sim.processes import Program, command, free_port

_PROFILE: Final = "eastron-sdm630"
_LINKS: Final = 4
_METERS: Final = 28
"""Of 37 points each: a little more than 1,000 points."""

_PERIOD: Final = 100
_FASTEST: Final = f"{_PERIOD} ms"
_USUAL: Final = "1 s"
_WARM_UP: Final = 4.0
_WINDOW: Final = 12.0
_SETTLE: Final = 15.0
_PEER_WINDOW: Final = 12.0
_LIMIT: Final = 60.0
_LOOK_EVERY: Final = 0.02
_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class _Field:
    """Meters, and an installation that waits for their gateway.

    Attributes:
        meters_port: Modbus TCP, on loopback.
        gateway: The gateway's program, not started yet.
        installation: Broker and platform.
    """

    meters_port: int
    gateway: Program
    installation: Installation


@bench("edge.points_per_cpu_second", unit="points/s", target=20_000)
async def points_per_cpu_second() -> Result:
    """Points stored in a window, per second of the gateway's CPU time; 1,000 points, each ten times a second.

    The platform acknowledges what is in its store; the gateway's CPU time holds the log and the acknowledgements.

    The peer reads the same points of the same meters as often as it can and delivers them to a broker of the same kind;
    it keeps them in memory only.
    """
    async with _field(_FASTEST) as field:
        async with field.gateway as gateway:
            await field.installation.until_stored(1, limit=_LIMIT, every=0.1)
            await asyncio.sleep(_WARM_UP)
            cpu, stored = cpu_seconds(gateway.pid), await field.installation.stored()
            await asyncio.sleep(_WINDOW)
            used, points = cpu_seconds(gateway.pid) - cpu, await field.installation.stored() - stored
        counts = await field.installation.counts()
        if counts.lost_messages or counts.distinct != counts.readings:
            raise CannotRun(f"the figure is void: readings were lost or doubled, {counts}")
        units, entries = range(1, _METERS + 1), entries_of(_PROFILE)
        peer = await thingsboard.points_per_cpu_second(
            field.meters_port, units, entries, field.installation.folder / "peer", period=_PERIOD, window=_PEER_WINDOW
        )
    return Result(points / used, f"ThingsBoard gateway {thingsboard.VERSION}, polled to delivered", peer)


@bench("edge.rss_mb", unit="MB", target=64)
async def rss_mb() -> float:
    """The most memory a gateway has held after a while with 1,000 points, each read once a second."""
    async with _field(_USUAL) as field, field.gateway as gateway:
        await field.installation.until_stored(1, limit=_LIMIT, every=0.1)
        await asyncio.sleep(_SETTLE)
        return peak_rss_bytes(gateway.pid) / _MEGABYTE


@bench("edge.cold_start_s", unit="s", target=3)
async def cold_start_s() -> float:
    """From the start of ``linli-edge run`` until the platform's API counts a reading in its store; 1,000 points."""
    async with _field(_USUAL) as field:
        started = time.monotonic()
        async with field.gateway:
            while True:
                counts = await field.installation.counts()
                took = time.monotonic() - started
                if counts.readings:
                    return took
                if took > _LIMIT:
                    raise CannotRun(f"no reading within {_LIMIT:g} s; the gateway's log ends:\n{field.gateway.tail()}")
                await asyncio.sleep(_LOOK_EVERY)


@asynccontextmanager
async def _field(interval: str) -> AsyncIterator[_Field]:
    async with installation() as community:
        folder, port = community.folder, free_port()
        simulate = [
            command("linli-sim"), "modbus", "--port", str(port), "--meters", str(_METERS), "--profile", _PROFILE,
        ]  # fmt: skip
        config = folder / "gateway.toml"
        config.write_text(_config(community.broker_port, port, interval), encoding="utf-8")
        gateway = Program("gateway", [command("linli-edge"), "run", str(config)], folder / "gateway.log")
        async with Program("meters", simulate, folder / "meters.log", r"ready on"):
            yield _Field(port, gateway, community)


def _config(broker_port: int, meters_port: int, interval: str) -> str:
    tables = [
        '[gateway]\nid = "gw-bench"\ndata = "gateway"',
        f'[uplink]\nhost = "127.0.0.1"\nport = {broker_port}',
    ]
    for link in range(_LINKS):
        tables.append(
            f'[[links]]\nid = "link-{link}"\ndriver = "modbus"\ntransport = "tcp"\n'
            f'host = "127.0.0.1"\nport = {meters_port}'
        )
        tables += [
            f'[[links.devices]]\nid = "meter-{unit}"\nunit = {unit}\nprofile = "{_PROFILE}"\ninterval = "{interval}"'
            for unit in range(link + 1, _METERS + 1, _LINKS)
        ]
    return "\n\n".join(tables) + "\n"
