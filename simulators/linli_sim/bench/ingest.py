"""``ingest.*``: MQTT to durable in the store, alarms evaluated, by a platform that runs as it always does."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from linli_sim.bench import bench
from linli_sim.bench.flood import publishes, send
from linli_sim.bench.installation import installation
from linli_sim.bench.process import cpu_seconds

_GATEWAYS: Final = tuple(f"gw-{number}" for number in range(8))
_LIMIT: Final = 90.0
_LOOK_EVERY: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Run:
    """A flood that was stored: readings, seconds of wall clock, seconds of the platform's CPU."""

    readings: int
    wall: float
    cpu: float


@bench("ingest.pack100.readings_per_cpu_second", unit="readings/s", target=500_000)
async def pack100() -> float:
    """A million readings in packs of 100; per second of the platform's CPU time."""
    run = await _flood(packs=1_250, records=100)
    return run.readings / run.cpu


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
