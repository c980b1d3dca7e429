"""``linli-sim mbus``: M-Bus meters behind a TCP converter, telegrams by our own encoder, counters that rise."""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from typing import Final

from linli_core.codecs.mbus.frame import encode_frame
from linli_core.instant import Instant
from linli_sim.cli import Subparsers
from linli_sim.mbus_meters import SimulatedMeter, make_meters
from linli_sim.mbus_server import MbusServer
from linli_sim.mbus_slave import BusSegment, Slave

PORT: Final = 10001
"""A usual port of serial-to-Ethernet converters."""

Clock = Callable[[], Instant]


def add_arguments(subparsers: Subparsers) -> None:
    """Add the sub-command's parser."""
    parser = subparsers.add_parser("mbus", help="M-Bus meters behind a TCP converter")
    parser.add_argument("--port", type=int, default=PORT, help="TCP port; 0 for a free one (default %(default)s)")
    parser.add_argument("--meters", type=_count, default=6, help="how many, 1 to 250 (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same meters (default %(default)s)")


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    clock = wall_clock
    meters = make_meters(args.meters, args.seed, clock())
    server = MbusServer(BusSegment([slave(meter, clock) for meter in meters]))
    async with server.listen(args.port) as port:
        addresses = {str(meter.address): {"kind": meter.kind, "id": meter.identity.number} for meter in meters}
        print(f"ready on 127.0.0.1:{port}", flush=True)  # noqa: T201 - the command's output
        print(json.dumps(addresses), flush=True)  # noqa: T201
        await asyncio.Event().wait()
    return 0


def slave(meter: SimulatedMeter, clock: Clock) -> Slave:
    """Return a simulated meter's side of the bus."""

    def pages() -> list[bytes]:
        return [encode_frame(frame) for frame in meter.frames(clock(), made.readouts)]

    made = Slave(meter.address, meter.identity, pages)
    return made


def wall_clock() -> Instant:
    """Return the present instant."""
    return time.time_ns() // 1000


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 250:
        raise argparse.ArgumentTypeError("there are primary addresses for 1 to 250 meters")
    return number
