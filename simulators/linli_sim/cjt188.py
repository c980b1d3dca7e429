"""``linli-sim cjt188``: water, hot water, heat and gas meters that answer CJ/T 188, in turn."""

import argparse
from typing import Final

from linli_sim.cjt188_meter import make_meters
from linli_sim.cli import Subparsers
from linli_sim.mbus import wall_clock
from linli_sim.meter_line import add_arguments_for, serve

PORT: Final = 10188


def add_arguments(subparsers: Subparsers) -> None:
    """Add the sub-command's parser."""
    add_arguments_for(subparsers.add_parser("cjt188", help="CJ/T 188 water, heat and gas meters on a line"), PORT)


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    meters = make_meters(args.meters, args.seed, wall_clock)
    addresses = {name: {"address": meter.address, "type": f"{meter.meter_type:02X}"} for name, meter in meters.items()}
    return await serve(args, dict(enumerate(meters.values())), addresses)
