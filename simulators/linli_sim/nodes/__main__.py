"""``python -m linli_sim.nodes``: power cuts in what nodes keep on flash; the last line is their sum, as JSON."""

import argparse
import json
import sys
from typing import Final

from linli_core.errors import LinliError
from linli_sim.nodes.vm import unix

_PARTS: Final = (("ring", "raw"), ("ring", "folder"), ("counter", "raw"), ("counter", "folder"), ("update", "folder"))
SUMMED: Final = ("cuts", "lost", "doubled", "bricked")


def cut(cuts: int, seed: int) -> dict[str, int]:
    """Cut the power so often, spread over all that is kept on flash, and return what came of it."""
    total = dict.fromkeys(SUMMED, 0)
    for place, (part, kind) in enumerate(_PARTS):
        share = cuts // len(_PARTS) + (place < cuts % len(_PARTS))
        found = unix().check("cuts", {"seed": seed, "parts": [[part, kind, share]]})
        assert isinstance(found, list)
        sys.stderr.write(f"{part} on {kind}: {json.dumps(found[0])}\n")
        for name in SUMMED:
            total[name] += found[0][name]
    return total


def main() -> int:
    """Cut, print the sum, and return 1 if anything was lost, doubled or did not start again."""
    parser = argparse.ArgumentParser(prog="python -m linli_sim.nodes", description="Power cuts in what nodes keep.")
    parser.add_argument("--cuts", type=int, default=500, metavar="N", help="how many (default 500)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same cuts")
    args = parser.parse_args()
    try:
        total = cut(args.cuts, args.seed)
    except LinliError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    sys.stdout.write(json.dumps(total) + "\n")
    return 1 if total["lost"] or total["doubled"] or total["bricked"] else 0


if __name__ == "__main__":
    sys.exit(main())
