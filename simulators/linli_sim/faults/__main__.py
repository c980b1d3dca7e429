"""``python -m linli_sim.faults`` (``make faults``): faults by a seed, and a tally as the last line.

Exit status: 0 nothing lost, nothing doubled, everything explained; 1 something was; 2 it cannot run here.
"""

import argparse
import asyncio
import json
import math
import secrets
import sys
import tempfile
from pathlib import Path

from linli_core.errors import LinliError
from linli_sim.faults.bench import Bench
from linli_sim.faults.plan import Fault, plan
from linli_sim.faults.planted import BUGS


def main() -> int:
    """Run the bench and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="linli_sim.faults", description="Faults by a seed; the last line is the tally."
    )
    parser.add_argument("--seed", type=int, help="repeat the faults of a run; its tally names its seed")
    parser.add_argument("--faults", type=int, default=200, metavar="N", help="how many (200)")
    parser.add_argument("--hours", type=float, default=math.inf, help="begin no fault after so long")
    parser.add_argument("--only", type=Fault, choices=list(Fault), nargs="+", default=list(Fault), metavar="FAULT")
    parser.add_argument(
        "--keep", default="7 d", metavar="AGE", help="how long the log keeps what was acknowledged (7 d)"
    )
    parser.add_argument("--folder", type=Path, help="keep everything there; it must be empty or not there yet")
    parser.add_argument("--plant", choices=sorted(BUGS), default="", help="plant a bug, which the tally must show")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else secrets.randbelow(1_000_000)
    print(f"seed {seed}, {args.faults} faults", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="linli-faults-") as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            bench = Bench(folder, seed, args.keep, args.plant)
            found = asyncio.run(bench.run(plan(seed, args.faults, args.only), args.hours * 3600))
        except LinliError as exc:
            print(f"linli_sim.faults: {exc}", file=sys.stderr)
            return 2
    for example in found.examples:
        print(f"  {example}", file=sys.stderr)
    print(
        f"{found.stored} of {found.readings} readings are stored, {found.evicted} are in the ledger, "
        f"{found.not_durable} were served within the moment before a kill",
        file=sys.stderr,
    )
    result = {
        "seed": seed,
        "faults": bench.done,
        "readings": found.readings,
        "lost": found.lost,
        "doubled": found.doubled,
        "evicted": found.evicted,
        "unexplained": found.unexplained,
    }
    print(json.dumps(result), flush=True)
    return 0 if found.sound else 1


if __name__ == "__main__":
    sys.exit(main())
