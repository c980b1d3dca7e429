"""``platform.rss_mb``: what the platform holds in memory while readings come as they do every day.

A hundred gateways send a hundred points each every second: 10,000 readings/s, alarms judged, everything durable. A
minute of it by default, ``STEADY=60`` for an hour. What goes on for ten minutes or longer must be flat too: the last
quarter of the time at most a tenth above the second, for in the first one the caches fill. Each gateway is the real
sender of the log protocol: what is held up, or dropped on the way, it sends again.
"""

import asyncio
import os
import sys
import time
from typing import Final

from linli_sim.bench import CannotRun, bench
from linli_sim.bench.flood import pack
from linli_sim.bench.gateway import Gateway
from linli_sim.bench.installation import installation
from linli_sim.bench.live import EPOCH
from linli_sim.bench.process import Watch, cpu_seconds

_GATEWAYS: Final = 100
_POINTS: Final = 100
_SLICES: Final = 20
"""A second's messages come in so many portions."""

_SAID_EVERY_S: Final = 30
"""How often a gateway says its status."""

_JUDGED_FROM_S: Final = 600
_BEHIND_S: Final = 30.0
"""A generator that falls behind its plan by more than this measured something else."""

_DRAINED_S: Final = 60.0
"""How long the last messages may take."""


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
        steady = _Steady()
        await steady.run(community.broker_port, seconds)
        await community.until_stored(readings, limit=60.0, every=0.5)
        used = cpu_seconds(pid) - cpu
        watching.cancel()
        await community.audit(readings)
    print(  # noqa: T201 - the bench's detail
        f"  {seconds} s at {_GATEWAYS * _POINTS:,} readings/s of {_GATEWAYS * _POINTS:,} points: {watch.told()}, "
        f"{100 * used / seconds:.0f} % of one core; {steady.told()}",
        file=sys.stderr,
    )
    if seconds >= _JUDGED_FROM_S:
        watch.refuse_growth()
    return watch.peak_mb


class _Steady:
    """Gateways that log a pack every second, evenly spread, and send it."""

    def __init__(self) -> None:
        self._began = int(time.time())
        self._gateways = [
            Gateway(f"gw-{number:03}", _POINTS, lambda seq: self._began + seq - 1, _body) for number in range(_GATEWAYS)
        ]
        self._latest = 0.0
        self._backlog = 0

    async def run(self, port: int, seconds: int) -> None:
        """Log for so long, and return once all of it is acknowledged."""
        share = _GATEWAYS // _SLICES
        for gateway in self._gateways:
            await gateway.open(port)
        async with asyncio.TaskGroup() as group:
            sending = [group.create_task(_take(gateway), name=gateway.name) for gateway in self._gateways]
            begun = time.monotonic()
            for second in range(seconds):
                for part in range(_SLICES):
                    for gateway in self._gateways[part * share : (part + 1) * share]:
                        gateway.log(1)
                        gateway.send()
                        if second % _SAID_EVERY_S == _SAID_EVERY_S - 1:
                            gateway.say()
                    late = time.monotonic() - begun - second - (part + 1) / _SLICES
                    self._look(late)
                    await asyncio.sleep(max(0.0, -late))
            for task in sending:
                task.cancel()
        async with asyncio.timeout(_DRAINED_S):
            await asyncio.gather(*(gateway.until_acknowledged() for gateway in self._gateways))
        for gateway in self._gateways:
            gateway.close()

    def _look(self, late: float) -> None:
        self._latest = max(self._latest, late)
        self._backlog = max(self._backlog, sum(gateway.backlog for gateway in self._gateways))
        if late > _BEHIND_S:
            raise CannotRun(f"the generator is {late:.0f} s behind its plan; the machine has other work to do")

    def told(self) -> str:
        """Return how even it was, for people."""
        again = sum(gateway.sent_again for gateway in self._gateways)
        return (
            f"the generator at most {1000 * self._latest:.0f} ms late, at most {self._backlog} messages not "
            f"acknowledged, {again} sent again"
        )


def _body(name: str, seq: int, moment: int) -> bytes:
    return pack(name, EPOCH, seq, moment, _POINTS)


async def _take(gateway: Gateway) -> None:
    while True:
        await gateway.take()
