"""``backup.live_alarm_p99_ms``: alarms while a big store is being backed up and readings go on coming.

By default the store holds ten million readings; ``BACKUP=full`` fills it with a hundred million.
"""

import asyncio
import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

import numpy as np
from pyrage import x25519

from linli_core.instant import MINUTE, Instant
from linli_core.wire.messages import Status, encode_message
from linli_core.wire.topics import Channel, topic
from linli_platform.registry import Registry
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.bench import CannotRun, bench
from linli_sim.bench.flood import packs
from linli_sim.bench.installation import installation
from linli_sim.bench.live import RULE, Alarms, Connection

_SERIES: Final = 5_000
_FULL: Final = 100_000_000
_SHORT: Final = 10_000_000
_AT_ONCE: Final = 100
_GATEWAYS: Final = 10
_PACK: Final = 100
_LOOK_EVERY_S: Final = 0.5
_EVERY_S: Final = 0.1
"""Ten gateways with a pack of a hundred each: 10,000 readings a second."""


@bench("backup.live_alarm_p99_ms", unit="ms", target=200)
async def live_alarm_p99_ms() -> float:
    """From a reading's publishing to its alarm on the live feed, from the backup's beginning to its end."""
    count = _FULL if os.environ.get("BACKUP") == "full" else _SHORT
    recipient = x25519.Identity.generate().to_public()
    settings = f'[backup]\ntarget = "{{folder}}/target"\nrecipient = "{recipient}"\nat = ""\n'

    def prepare(folder: Path) -> None:
        (folder / "target").mkdir()
        _fill(folder / "platform", count)

    async with installation({"live.toml": RULE}, settings=settings, prepare=prepare) as community:
        alarms = Alarms(community, _EVERY_S)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(alarms.raise_all(), name="alarms"),
                group.create_task(alarms.listen(), name="live"),
                group.create_task(_steady(community.broker_port), name="steady"),
            ]
            await alarms.first()
            await asyncio.sleep(2)  # series and devices are known by then
            alarms.latencies.clear()
            begun = time.monotonic()
            await asyncio.to_thread(_back_up, f"{community.url}/api/v1/backups", count)
            took = time.monotonic() - begun
            for task in tasks:
                task.cancel()
    print(  # noqa: T201 - the bench's detail
        f"  {count:,} readings backed up in {took:.1f} s at 10,000 a second; {len(alarms.latencies)} alarms, "
        f"median {alarms.median_ms:.0f} ms",
        file=sys.stderr,
    )
    return alarms.p99_ms


def _back_up(url: str, readings: int) -> None:
    """Have the platform make a backup, as its schedule does, and wait for it; refuse one that holds too little."""
    state = _asked(url, "POST")
    while state["running"] or not (state["made_at"] or state["error"]):
        time.sleep(_LOOK_EVERY_S)
        state = _asked(url, "GET")
    if state["error"] or state["readings"] < readings:
        raise CannotRun(f"the figure is void: the platform says of the backup: {state}")


def _asked(url: str, method: str) -> dict[str, Any]:
    request = urllib.request.Request(url, method=method)  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        state: dict[str, Any] = json.loads(answer.read())
    return state


def _fill(data: Path, count: int) -> None:
    """Fill a platform's store."""
    data.mkdir()
    chance = np.random.default_rng(1)
    minutes = count // _SERIES
    now: Instant = time.time_ns() // 1000
    with Registry(data / "registry.sqlite"), DuckDBStore(data / "store.duckdb") as store:
        names = [(f"gw-{one // 100}", f"m-{one}/active_power") for one in range(_SERIES)]
        ids = np.array([store.series(*name).id for name in names], np.int32)
        level = chance.normal(1000, 200, _SERIES)
        for first in range(0, minutes, _AT_ONCE):
            steps = np.arange(first, first + _AT_ONCE, dtype=np.int64)
            value = np.round(np.tile(level, _AT_ONCE) + chance.normal(0, 5, _AT_ONCE * _SERIES), 1)
            times = np.repeat(now - (minutes + 60 - steps) * MINUTE, _SERIES)
            store.append(Batch(np.tile(ids, _AT_ONCE), times, value, np.zeros(len(value), np.uint8), now), {})


async def _steady(port: int) -> None:
    """Bring 10,000 readings a second until cancelled."""
    connection = Connection("steady")
    await connection.open(port, [])
    names = [f"steady-{number}" for number in range(_GATEWAYS)]
    streams = [packs(name, 100_000, _PACK) for name in names]
    for name in names:
        status = Status(name, "online", epoch="bench", next_seq=1, boot_id="bench", number=1)
        connection.publish(topic(name, Channel.STATUS), encode_message(status), retain=True)
    while True:
        for name, stream in zip(names, streams, strict=True):
            connection.publish(topic(name, Channel.TELEMETRY), next(stream))
        await connection.writer.drain()
        await asyncio.sleep(_EVERY_S)
