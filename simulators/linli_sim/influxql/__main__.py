"""Ask both, and print one JSON line: ``{"statements", "equal", "argued", "wrong"}``.

``python -m linli_sim.influxql [--statements N] [--seed N] [--show N]``; needs ``influxd``. Ends with 1 if anything
is wrong.
"""

import argparse
import json
import sys

from linli_sim.influxql.differential import run


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m linli_sim.influxql", description=__doc__)
    parser.add_argument("--statements", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10, help="differences to print")
    given = parser.parse_args()
    tally = run(given.statements, given.seed)
    for found in tally.differences[: given.show]:
        sys.stdout.write(
            f"{found.reason}: {found.statement}\n  ours   {found.ours[:600]}\n  theirs {found.theirs[:600]}\n"
        )
    for reason, count in tally.argued.most_common():
        sys.stdout.write(f"argued: {count} × {reason}\n")
    for text in tally.unlike:
        sys.stdout.write(f"unlike: {text}\n")
    sys.stdout.write(json.dumps(tally.summary()) + "\n")
    return 1 if tally.wrong or tally.unlike else 0


if __name__ == "__main__":
    sys.exit(main())
