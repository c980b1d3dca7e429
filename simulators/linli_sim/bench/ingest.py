"""``ingest.*``: MQTT to durable in the store, alarms evaluated, by a platform that runs as it always does."""

import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_sim.bench import Result, bench
from linli_sim.bench.bridge import DATABASE
from linli_sim.bench.flood import publishes, send
from linli_sim.bench.installation import installation
from linli_sim.bench.process import cpu_seconds
from linli_sim.database_server import PeerFailed
from linli_sim.influxdb import influxdb
from linli_sim.processes import Program, command, free_port

_GATEWAYS: Final = tuple(f"gw-{number}" for number in range(8))
_LIMIT: Final = 90.0
_LOOK_EVERY: Final = 0.1
_PEERS_PACKS: Final = 250


@dataclass(frozen=True, slots=True)
class _Run:
    """A flood that was stored: readings, seconds of wall clock, seconds of the platform's CPU."""

    readings: int
    wall: float
    cpu: float


@bench("ingest.pack100.readings_per_cpu_second", unit="readings/s", target=500_000)
async def pack100() -> Result:
    """A million readings in packs of 100; per second of the platform's CPU time.

    The peer writes the same packs to InfluxDB by way of paho-mqtt, without checks, duplicates, alarms or acks; its CPU
    time is the bridge's and the server's. Where InfluxDB is not installed there is no peer.
    """
    run = await _flood(packs=1_250, records=100)
    own = run.readings / run.cpu
    try:
        peer = await _bridge(_PEERS_PACKS, 100)
    except PeerFailed as exc:
        print(f"  no peer: {exc}", file=sys.stderr)  # noqa: T201 - the bench's detail
        return Result(own)
    return Result(own, "paho-mqtt 2, json and InfluxDB 1.6", peer.readings / peer.cpu)


@bench("ingest.pack5.readings_per_second", unit="readings/s", target=50_000)
async def pack5() -> float:
    """200,000 readings in packs of 5; wall clock, with generator and broker on the same machine."""
    run = await _flood(packs=5_000, records=5)
    return run.readings / run.wall


async def _flood(packs: int, records: int) -> _Run:
    readings = packs * records * len(_GATEWAYS)
    packets = publishes(_GATEWAYS, packs, records)
    async with installation() as community:
        cpu, started = cpu_seconds(community.platform.pid), time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(send(community.broker_port, packets), name="flood")
            group.create_task(community.until_stored(readings, limit=_LIMIT, every=_LOOK_EVERY), name="stored")
        wall, used = time.monotonic() - started, cpu_seconds(community.platform.pid) - cpu
        await community.audit(readings)
    return _Run(readings, wall, used)


async def _bridge(packs: int, records: int) -> _Run:
    """Send packs to a broker from which the peer takes them; :class:`PeerFailed` if it cannot be had."""
    readings = packs * records * len(_GATEWAYS)
    packets = publishes(_GATEWAYS, packs, records)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linli-bench-")))
        server = stack.enter_context(influxdb())
        server.create(DATABASE)
        port = free_port()
        address = f"127.0.0.1:{port}"
        serve = [command("linli-broker"), "serve", "--listen", address, "--data", str(folder / "broker")]
        await stack.enter_async_context(Program("broker", serve, folder / "broker.log", r"ready on"))
        argv = [sys.executable, "-m", "linli_sim.bench.bridge", address, server.url, str(readings)]
        bridge = await stack.enter_async_context(Program("bridge", argv, folder / "bridge.log", r"^ready$"))
        cpu, started = cpu_seconds(server.pid), time.monotonic()
        await send(port, packets)
        end = started + _LIMIT
        while bridge.running:
            if time.monotonic() > end:
                raise PeerFailed(f"the bridge was not done within {_LIMIT:g} s:\n{bridge.tail()}")
            await asyncio.sleep(_LOOK_EVERY)
        used = cpu_seconds(server.pid) - cpu + _last_number(bridge.tail())
        stored = server.query('SELECT count(value) FROM "active_power"', DATABASE)
        found = stored["results"][0]["series"][0]["values"][0][1]
        if found != readings // 5:
            raise PeerFailed(f"the peer stored {found} of {readings // 5} readings of one quantity")
        return _Run(readings, time.monotonic() - started, used)


def _last_number(text: str) -> float:
    line = text.strip().rpartition("\n")[2]
    try:
        return float(line)
    except ValueError as exc:
        raise PeerFailed(f"the bridge ended with {line!r}") from exc
