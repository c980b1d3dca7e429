"""``python -m linli_sim.bench.timeline``: what a node's time awake goes into, by ``node.wake_s``'s own measurement.

One line for each module that is found, each access to the flash, each message, and what was waited for before it.
"""

import argparse
import asyncio
import sys

from linli_core.errors import LinliError
from linli_sim.bench.node import awake
from linli_sim.nodes.chip import Awake


def lines(found: Awake) -> list[str]:
    """Return a time awake as lines: when, how long after the line before, what."""
    told, before = [], found.boot_ms
    for at, what in [*found.did, (found.awake_ms, "sleeps")]:
        told.append(f"{at:8.0f} {at - before:+7.0f}  {what}")
        before = at
    return told


def main() -> int:
    """Measure, and print the shortest of what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m linli_sim.bench.timeline", description="One time awake of a node.")
    parser.add_argument("--still", action="store_true", help="one that only reads, not one that delivers")
    parser.add_argument("--readings", type=int, default=4, metavar="N", help="delivered at once (default 4)")
    args = parser.parse_args()
    kind = "still" if args.still else "spoken"
    try:
        found = min(asyncio.run(awake(args.readings))[kind], key=lambda one: one.awake_ms)
    except (LinliError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write("\n".join(lines(found)) + "\n")
    sys.stdout.write(f"{found.loads} modules found, {found.writes} writes, radio on for {found.radio_ms:.0f} ms\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
