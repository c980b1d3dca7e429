"""``linli-sim line``: electricity meters on a serial bus whose characters take their time.

The meters are ours, or units on libmodbus (``--libmodbus``) that hold the same. When it ends it prints one JSON line:
how long somebody spoke, how often two spoke at once.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError
from linli_sim.cli import Subparsers
from linli_sim.libmodbus import LibmodbusSlave
from linli_sim.line.bus import SerialBus
from linli_sim.line.stations import ForeignStation, ModbusStation, Station
from linli_sim.line.timing import LineTiming
from linli_sim.modbus import add_fault_arguments, faults_of, meters, wall_clock
from linli_sim.modbus_registers import Unit

_BITS: Final = {"none": 10, "even": 11, "odd": 11}


def add_arguments(subparsers: Subparsers) -> None:
    """Add ``linli-sim line``."""
    parser = subparsers.add_parser("line", help="electricity meters on a serial bus with a speed")
    parser.add_argument("--meters", type=int, default=3, help="how many, as units 1, 2, 3… (default 3)")
    parser.add_argument("--profile", default="eastron-sdm630", help="device profile (default eastron-sdm630)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same households (default 1)")
    parser.add_argument("--baud", type=int, default=9600, help="bits per second (default 9600)")
    parser.add_argument("--parity", choices=sorted(_BITS), default="even", help="as on the wire (default even)")
    parser.add_argument("--turnaround", type=float, default=0.005, metavar="SECONDS", help="default 0.005")
    parser.add_argument("--libmodbus", action="store_true", help="units on libmodbus instead of our own")
    parser.add_argument("--link", type=Path, help="put a link to the serial port here, as /dev/serial/by-id has them")
    parser.add_argument("--tcp", type=int, help="also a converter that passes bytes through, on this port; 0 for any")
    parser.add_argument("--echo", action="store_true", help="whoever asks hears himself")
    add_fault_arguments(parser)


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    if not 1 <= args.meters <= 247:
        raise ConfigError("--meters", f"found {args.meters}", "choose 1 to 247: a line has no more unit ids")
    units, update = meters(args.profile, args.meters, args.seed, wall_clock)
    timing = LineTiming(args.baud, _BITS[args.parity], args.turnaround)
    faults = faults_of(args)

    def station(number: int, unit: Unit) -> Station:
        return ModbusStation(number, unit, lambda: update(number))

    async with stations_for(units, foreign=args.libmodbus) as foreign:
        answering = foreign.stations or {number: station(number, unit) for number, unit in units.items()}
        with SerialBus(answering, timing, link=args.link, tcp=args.tcp) as bus:
            bus.converter.echo = args.echo
            for number, misbehaviour in bus.faults.items():
                misbehaviour.silent = number in faults.silent
                misbehaviour.delay = faults.delay.get(number, 0.0)
                misbehaviour.exception = faults.exception.get(number, 0)
            if bus.port:
                print(f"linli-sim line: converter on 127.0.0.1:{bus.port}", flush=True)  # noqa: T201
            print(f"ready on {bus.path}", flush=True)  # noqa: T201
            started = time.monotonic()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                told = {
                    "seconds": round(time.monotonic() - started, 3),
                    "busy": round(bus.wire.busy, 3),
                    "collisions": bus.wire.collisions,
                }
                print(json.dumps(told), flush=True)  # noqa: T201
    return 0


@dataclass(frozen=True)
class ForeignUnits:
    """Units on libmodbus, each at a line's end of its own; none where our own answer."""

    stations: dict[int, Station]


@asynccontextmanager
async def stations_for(units: dict[int, Unit], *, foreign: bool = True) -> AsyncIterator[ForeignUnits]:
    """Start a libmodbus slave that holds what units of ours hold; yield its stations for a :class:`SerialBus`."""
    if not foreign:
        yield ForeignUnits({})
        return
    ends = {number: ForeignStation(number) for number in units}
    async with LibmodbusSlave(units, {number: end.path for number, end in ends.items()}):
        yield ForeignUnits(dict(ends))
