"""``storm.*``: two hundred gateways come back from an outage at once, and alarms are raised meanwhile.

Each gateway is the real sender of the log protocol over an MQTT connection of its own. Broker and platform are real
processes. One more gateway reports a cold room getting warm, a new room every quarter of a second; what is measured is
the time from its publishing to the alarm's message on the live feed.

By default each brings three hours (3.6 million readings); ``STORM=full`` brings the whole day (28.8 million), and there
memory must be flat too: the last quarter of the time at most a tenth above the second.
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from linli_sim.bench import bench
from linli_sim.bench.gateway import Gateway
from linli_sim.bench.installation import installation
from linli_sim.bench.live import EPOCH, RULE, Alarms
from linli_sim.bench.process import Watch, cpu_seconds, peak_rss_bytes

_GATEWAYS: Final = 200
_POINTS: Final = 100
_FULL: Final = 24 * 60
_SHORT: Final = 3 * 60
_ALARM_EVERY_S: Final = 0.25
_LIMIT_S: Final = 900.0
_KNOWN_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class _Storm:
    """What a storm came to."""

    readings: int
    seconds: float
    cpu: float
    rss_before: int
    sent_again: int
    watch: Watch
    alarms: Alarms


_kept: list[_Storm] = []
"""The storm of this run, for both figures."""


@bench("storm.live_alarm_p99_ms", unit="ms", target=1_000)
async def live_alarm_p99_ms() -> float:
    """From a reading's publishing to its alarm on the live feed, while the backlogs of 200 gateways drain."""
    return (await _storm()).alarms.p99_ms


@bench("storm.drain_readings_per_s", unit="readings/s")
async def drain_readings_per_s() -> float:
    """Readings of the backlogs stored per second of wall clock, generator and broker on the same machine."""
    storm = await _storm()
    return storm.readings / storm.seconds


async def _storm() -> _Storm:
    if not _kept:
        minutes = _FULL if os.environ.get("STORM") == "full" else _SHORT
        _kept.append(await _run(minutes))
        storm = _kept[0]
        print(  # noqa: T201 - the bench's detail
            f"  {_GATEWAYS} gateways, {minutes / 60:g} h each: {storm.readings:,} readings in {storm.seconds:.1f} s, "
            f"platform CPU {storm.cpu:.1f} s, at most {storm.watch.peak_mb:.0f} MB ({storm.rss_before} MB before; "
            f"{storm.watch.told()}), {storm.sent_again} messages sent again, {len(storm.alarms.latencies)} alarms, "
            f"median {storm.alarms.median_ms:.0f} ms",
            file=sys.stderr,
        )
        if minutes == _FULL:
            storm.watch.refuse_growth()
    return _kept[0]


async def _run(minutes: int) -> _Storm:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * _GATEWAYS)), hard))
    async with installation({"storm.toml": RULE}) as community:
        names = [f"gw-{number:03}" for number in range(_GATEWAYS)]
        gateways = [_gateway(name) for name in names]
        # Before the outage each said something: its devices and series are known.
        async with asyncio.timeout(_KNOWN_S):
            for start in range(0, _GATEWAYS, 20):
                await asyncio.gather(*(_bring(each, community.broker_port, 1) for each in gateways[start : start + 20]))
        alarms = Alarms(community, _ALARM_EVERY_S)
        async with asyncio.TaskGroup() as group:
            raising = group.create_task(alarms.raise_all(), name="storm.alarms")
            listening = group.create_task(alarms.listen(), name="storm.live")
            await alarms.first()
            rss = peak_rss_bytes(community.platform.pid) // 1_000_000
            cpu, started = cpu_seconds(community.platform.pid), time.monotonic()
            watch = Watch(community.platform.pid)
            watching = group.create_task(watch.run(), name="storm.memory")
            tasks = [
                group.create_task(_bring(each, community.broker_port, minutes), name=each.name) for each in gateways
            ]
            async with asyncio.timeout(_LIMIT_S):
                await asyncio.gather(*tasks)
            seconds, used = time.monotonic() - started, cpu_seconds(community.platform.pid) - cpu
            watching.cancel()
            raising.cancel()
            await alarms.settled()
            listening.cancel()
        readings = _GATEWAYS * minutes * _POINTS
        await community.audit(readings + _GATEWAYS * _POINTS + alarms.sent)
        return _Storm(readings, seconds, used, rss, sum(each.sent_again for each in gateways), watch, alarms)


def _gateway(name: str) -> Gateway:
    """Return a gateway that was cut off for a while: a message a minute."""
    start = int(time.time()) - 86_400 - 600
    rest = "".join(_records())

    def body(name: str, seq: int, moment: int) -> bytes:
        head = f'[{{"bn":"{name}/","bt":{moment},"epoch":"{EPOCH}","seq":{seq},'
        return (head + rest % (seq % 97 / 10) + "]").encode()

    return Gateway(name, _POINTS, lambda seq: start + 60 * seq, body)


async def _bring(gateway: Gateway, port: int, minutes: int) -> None:
    """Keep a log for so many minutes more, then connect and send it until all is acknowledged."""
    gateway.log(minutes)
    await gateway.open(port)
    await gateway.until_acknowledged()
    gateway.close()


def _records() -> Iterator[str]:
    """Yield a hundred records of twenty meters; the first value is to be filled in."""
    for place in range(_POINTS):
        quantity, unit = (("active_power", "W"), ("voltage", "V"), ("current", "A"), ("frequency", "Hz"))[place % 4]
        value = "%.1f" if place == 0 else f"{100 + place * 1.7:.1f}"
        name = f'"n":"meter-{place // 4}/{quantity}","u":"{unit}","v":{value}}}'
        yield name if place == 0 else f",{{{name}"
