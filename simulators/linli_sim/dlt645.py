"""``linli-sim dlt645``: electricity meters that answer DL/T 645; every fourth one speaks the edition of 1997."""

import argparse
from typing import Final

from linli_sim.cli import Subparsers
from linli_sim.mbus import wall_clock
from linli_sim.meter_line import add_arguments_for, dlt645_meters, serve

PORT: Final = 10645


def add_arguments(subparsers: Subparsers) -> None:
    """Add the sub-command's parser."""
    add_arguments_for(subparsers.add_parser("dlt645", help="DL/T 645 electricity meters on a line"), PORT)


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    meters = dlt645_meters(args.meters, args.seed, wall_clock)
    addresses = {name: {"address": meter.address, "edition": meter.edition.value} for name, meter in meters.items()}
    return await serve(args, dict(enumerate(meters.values())), addresses)
