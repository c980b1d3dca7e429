"""Chinese meters on a line of 2,400 baud, and behind a converter: what ``linli-sim dlt645`` and ``cjt188`` serve.

Characters take their time, and meters that answer a wildcard at once collide.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from linli_core.codecs.dlt645 import Edition
from linli_sim.dlt645_meter import Dlt645Meter
from linli_sim.dlt645_values import Household, households
from linli_sim.line.bus import SerialBus
from linli_sim.line.stations import Station
from linli_sim.line.timing import LineTiming
from linli_sim.mbus import Clock

BAUD: Final = 2400
TURNAROUND: Final = 0.02
"""Seconds: the least a meter waits before it answers (DL/T 645: 20 ms to 500 ms)."""

BURST: Final = 3
"""Characters that arrive together: fewer than the silence by which the line knows the end of a frame."""


def add_arguments_for(parser: argparse.ArgumentParser, port: int) -> None:
    """Add the options that both commands have."""
    parser.add_argument(
        "--port", type=int, default=port, help="TCP port of the converter; 0: free (default %(default)s)"
    )
    parser.add_argument("--meters", type=_count, default=3, help="how many (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same meters (default %(default)s)")
    parser.add_argument("--baud", type=int, default=BAUD, help="bits per second (default %(default)s)")
    parser.add_argument("--link", type=Path, help="put a link to the serial port here, as /dev/serial/by-id has them")


async def serve(args: argparse.Namespace, stations: Mapping[int, Station], addresses: Mapping[str, object]) -> int:
    """Let the meters answer until cancelled."""
    timing = LineTiming(args.baud, 11, TURNAROUND, BURST)
    with SerialBus(stations, timing, link=args.link, tcp=args.port) as bus:
        print(f"ready on 127.0.0.1:{bus.port}", flush=True)  # noqa: T201 - the command's output
        print(json.dumps({"serial": bus.path, "meters": dict(addresses)}), flush=True)  # noqa: T201
        await asyncio.Event().wait()
    return 0


def dlt645_meters(count: int, seed: int, clock: Clock) -> dict[str, Dlt645Meter]:
    """Return meters by a name of theirs; every fourth one speaks the edition of 1997."""
    found: dict[str, Dlt645Meter] = {}
    for number, household in enumerate(households(count, seed, clock()), start=1):
        edition = Edition.E1997 if number % 4 == 0 else Edition.E2007
        found[f"electricity-{number}"] = dlt645_meter(household, clock, edition)
    return found


def dlt645_meter(household: Household, clock: Clock, edition: Edition = Edition.E2007) -> Dlt645Meter:
    """Return a dwelling's meter."""

    def values() -> Mapping[int, bytes]:
        if edition is Edition.E1997:
            return household.of_1997(clock())
        return household.of_2007(clock(), is_open=meter.is_open)

    meter = Dlt645Meter(household.address, values, edition)
    return meter


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 200:
        raise argparse.ArgumentTypeError("choose 1 to 200 meters")
    return number
