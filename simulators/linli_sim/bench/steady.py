"""``platform.rss_mb``: what the platform holds in memory while readings come as they do every day.

A hundred gateways send a hundred points each every second: 10,000 readings/s, alarms judged, everything durable. A
minute of it by default, ``STEADY=60`` for an hour. What goes on for ten minutes or longer must be flat too: the last
quarter of the time at most a tenth above the second, for in the first one the caches fill.
"""

import asyncio
import os
import sys
import time
from typing import Final

from linli_core.wire.messages import Status, encode_message
from linli_core.wire.topics import Channel, topic
from linli_sim.bench import CannotRun, bench
from linli_sim.bench.flood import pack
from linli_sim.bench.installation import installation
from linli_sim.bench.live import EPOCH, Connection
from linli_sim.bench.process import Watch, cpu_seconds, peak_rss_bytes

_GATEWAYS: Final = 100
_POINTS: Final = 100
_SLICES: Final = 20
"""A second's messages come in so many portions."""

_JUDGED_FROM_S: Final = 600
_GROWTH: Final = 1.1
_BEHIND_S: Final = 5.0
"""A generator that falls behind its plan by more than this measured something else."""


@bench("platform.rss_mb", unit="MB", target=400)
async def rss_mb() -> float:
    """The most the platform held resident at 10,000 readings a second, in a minute (``STEADY`` minutes)."""
    seconds = 60 * int(os.environ.get("STEADY", "1"))
    readings = seconds * _GATEWAYS * _POINTS
    async with installation() as community:
        pid = community.platform.pid
        watch = Watch(pid)
        watching = asyncio.create_task(watch.run(), name="memory")
        cpu = cpu_seconds(pid)
        await _send(community.broker_port, seconds)
        await community.until_stored(readings, limit=60.0, every=0.5)
        used, peak = cpu_seconds(pid) - cpu, peak_rss_bytes(pid) / 1e6
        watching.cancel()
        await community.audit(readings)
    print(  # noqa: T201 - the bench's detail
        f"  {seconds} s at {_GATEWAYS * _POINTS:,} readings/s of {_GATEWAYS * _POINTS:,} points: "
        f"{', '.join(map(str, watch.quarters_mb()))} MB by quarters of the time, "
        f"{100 * used / seconds:.0f} % of one core",
        file=sys.stderr,
    )
    quarters = watch.quarters_mb()
    if seconds >= _JUDGED_FROM_S and quarters[-1] > quarters[1] * _GROWTH:
        raise CannotRun(f"the figure is void, memory grows: {', '.join(map(str, quarters))} MB by quarters of the time")
    return peak


async def _send(port: int, seconds: int) -> None:
    """Publish a pack of each gateway every second, evenly spread."""
    names = [f"gw-{number:03}" for number in range(_GATEWAYS)]
    connection = Connection("linli-bench")
    await connection.open(port, [])
    for name in names:
        status = Status(name, "online", EPOCH, 1, seconds + 1, boot_id="steady", number=1)
        connection.publish(topic(name, Channel.STATUS), encode_message(status), retain=True)
    draining = asyncio.create_task(_drain(connection), name="pubacks")
    share = _GATEWAYS // _SLICES
    begun = time.monotonic()
    for second in range(seconds):
        for part in range(_SLICES):
            for name in names[part * share : (part + 1) * share]:
                body = pack(name, EPOCH, second + 1, int(time.time()), _POINTS)
                connection.publish(topic(name, Channel.TELEMETRY), body)
            await connection.writer.drain()
            late = time.monotonic() - begun - second - (part + 1) / _SLICES
            if late > _BEHIND_S:
                raise CannotRun(f"the generator is {late:.0f} s behind its plan; the machine has other work to do")
            await asyncio.sleep(max(0.0, -late))
    draining.cancel()
    connection.writer.close()


async def _drain(connection: Connection) -> None:
    """Take the broker's answers, or it would stop to take messages."""
    while await connection.reader.read(65_536):
        pass
