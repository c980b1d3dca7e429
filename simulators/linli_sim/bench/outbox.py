"""``outbox.*``: what the gateway's log costs in CPU, in bytes on the card, and at start."""

import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from linli_core.instant import SECOND, Instant
from linli_core.model import Point, Quality, Reading
from linli_core.wire import senml
from linli_core.wire.messages import Ack
from linli_edge.outbox import Message, Outbox, OutboxLimits
from linli_edge.outbox.store import LogStore
from linli_sim.bench import CannotRun, bench

_START: Final[Instant] = 1_790_000_000 * SECOND
_POINTS: Final = 1_000
_PACK: Final = 100
_ROUNDS: Final = 60
_SECONDS: Final = 1_800
_LONG: Final = 1_000_000
_MOST_RSS_MB: Final = 64


def pack(number: int, count: int = _PACK) -> Message:
    """Return a message of a hundred readings of ten meters, as one second of polls makes them; their values change."""
    at = _START + number * SECOND
    readings = [
        Reading(
            Point(f"meter-{place // 10}", "active_power", channel=place % 10),
            round(1500.5 + place + 37.31 * math.sin(number * 1.7 + place * 0.9), 1),
            at,
            Quality.GOOD,
        )
        for place in range(count)
    ]
    return Message("telemetry", senml.encode("gw-bench", readings), observed_from=at, observed_to=at, readings=count)


@bench("outbox.append_us", unit="us of CPU per reading", target=25)
async def append_us() -> float:
    """1,000 points once a second, packs of 100: from readings to a durable log, group by group."""
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as folder:
        async with Outbox.open(Path(folder) / "outbox.db", OutboxLimits(group_delay=0), _clock) as outbox:
            started, count = time.process_time(), 0
            for second in range(_ROUNDS):
                for _ in range(_POINTS // _PACK):
                    outbox.append(pack(second))
                    count += _PACK
                await outbox.flush()
            return (time.process_time() - started) / count * 1e6


@dataclass(frozen=True, slots=True)
class _Load:
    """How a gateway writes: packs in one transaction, readings in each, and whether its log is full."""

    packs: int
    readings: int = _PACK
    full: bool = False


_LOADS: Final = {
    "1,000 points a second": _Load(10),
    "100 points a second": _Load(1),
    "1,000 points a second, log full": _Load(10, full=True),
    "100 points a second, log full": _Load(1, full=True),
    "10 points a second": _Load(1, 10),
}
"""What is measured. The last no file can do within the target: 4 KiB are written at least, ten readings have 800."""

_LEAST_ROOM: Final = 1024 * 1024
"""The least a gateway may be given: of a full log, the smaller the fewer messages leave together."""

_WITHIN: Final = 4
"""How many of them the target holds for."""


@bench("outbox.write_amplification", unit="bytes written per byte of payload", target=2)
async def write_amplification() -> float:
    """On line, every second's packs durable within it and acknowledged at once: the worst of several loads.

    What the process had written to its disk, by the kernel's count, over what was in the messages.
    """
    found = {name: await _amplification(load) for name, load in _LOADS.items()}
    for name, figure in found.items():
        print(f"  {name}: {figure:.2f}", file=sys.stderr)  # noqa: T201 - the bench's detail
    return max(list(found.values())[:_WITHIN])


async def _amplification(load: _Load) -> float:
    with tempfile.TemporaryDirectory(prefix="linli-bench-", dir=Path.cwd()) as folder:
        limits = OutboxLimits(group_delay=0, max_bytes=_LEAST_ROOM if load.full else 1 << 30)
        async with Outbox.open(Path(folder) / "outbox.db", limits, _clock) as outbox:
            while load.full and outbox.stats().first_seq == 1:
                await _second(outbox, load, 0)
            before, payload = _written(), 0
            for second in range(_SECONDS):
                payload += await _second(outbox, load, second)
        return (_written() - before) / payload


async def _second(outbox: Outbox, load: _Load, second: int) -> int:
    """Write down what one second brings, and have it acknowledged; return how many bytes it was."""
    payload = 0
    for _ in range(load.packs):
        message = pack(second, load.readings)
        payload += len(message.body)
        outbox.append(message)
    await outbox.flush()
    outbox.sender.ack(Ack(outbox.sender.epoch, outbox.sender.next_seq - 1), second)
    return payload


@bench("outbox.open_1m_s", unit="s", target=1)
def open_1m_s() -> float:
    """A log of a million messages without an acknowledgement, not in the disk's cache: until a process has it open."""
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as folder:
        path = Path(folder) / "outbox.db"
        store = LogStore.open(path, OutboxLimits(max_bytes=1 << 40))
        message = Message("telemetry", b"x" * 100, readings=1)
        for _ in range(_LONG // 10_000):
            store.commit([message] * 10_000, _START)
        store.close()
        _cool(path)
        done = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-c", _OPEN, str(path)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise CannotRun(done.stderr.strip()[-300:])
    opened = msgspec.json.decode(done.stdout, type=_Opened)
    if opened.backlog != _LONG:
        raise CannotRun(f"the figure is void: {opened.backlog} messages of {_LONG} are there")
    if opened.rss_mb > _MOST_RSS_MB:
        raise CannotRun(f"the figure is void: it took {opened.rss_mb:.0f} MB, more than {_MOST_RSS_MB}")
    print(f"  memory: {opened.rss_mb:.0f} MB", file=sys.stderr)  # noqa: T201 - the bench's detail
    return opened.seconds


class _Opened(msgspec.Struct):
    seconds: float
    rss_mb: float
    backlog: int


_OPEN: Final = """
import asyncio, json, resource, sys, time
from pathlib import Path
from linli_edge.outbox import Outbox, OutboxLimits

async def main():
    begun = time.monotonic()
    limits = OutboxLimits(max_bytes=1 << 40)
    async with Outbox.open(Path(sys.argv[1]), limits, lambda: time.time_ns() // 1000) as outbox:
        seconds = time.monotonic() - begun
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "rss_mb": rss, "backlog": outbox.sender.backlog()}))

asyncio.run(main())
"""


def _clock() -> Instant:
    return _START


def _cool(path: Path) -> None:
    """Have the kernel forget a file's pages, as after a start of the machine."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)


def _written() -> int:
    """Return the bytes this process has caused to be written to disks so far."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError as exc:
        raise CannotRun(f"the kernel does not say what was written ({exc}); Linux is needed") from exc
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))
