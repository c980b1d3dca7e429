"""``python -m linli_sim.vectors``: judge every recorded frame; one JSON line for each protocol.

Exit status: 0 all is well; 1 a recording is wrong, or more than three in a hundred are listed; 2 there are no
recordings. A check that could not look at anything has not passed, so absence is no success here, while tests that
need recordings skip.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linli_sim.vectors.judging import MOST_LISTED, Tally, folder, tally
from linli_sim.vectors.protocols import PROTOCOLS, judge_of
from linli_sim.vectors.verdict import Outcome

FAILED: Final = 1
ABSENT: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = _parser().parse_args(argv)
    root: Path = args.vectors
    protocols = args.protocol or list(PROTOCOLS)
    absent = [protocol for protocol in protocols if not (root / protocol).is_dir()]
    for protocol in absent:
        print(f"no recorded frames at {root / protocol}; set LINLI_VECTORS to the folder above", file=sys.stderr)
    tallies = [tally(protocol, judge_of(protocol), root / protocol) for protocol in protocols if protocol not in absent]
    for found in tallies:
        _tell(found, verbose=args.verbose)
    for found in tallies:
        print(found.line())
    if not all(found.sound for found in tallies):
        return FAILED
    return ABSENT if absent else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m linli_sim.vectors",
        description=f"Judge recorded frames of real devices. At most {MOST_LISTED} in a hundred may be listed.",
    )
    parser.add_argument(
        "--protocol", metavar="P", action="append", choices=sorted(PROTOCOLS), help="only this one; may be given again"
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="tell what came of each recording")
    parser.add_argument("--vectors", metavar="DIR", type=Path, default=folder(), help="default: %(default)s")
    return parser


def _tell(found: Tally, *, verbose: bool) -> None:
    """Print what is wrong; with ``verbose``, what came of each."""
    for stem, verdict in found.verdicts.items():
        if verbose or verdict.outcome is Outcome.WRONG:
            why = f": {verdict.why}" if verdict.why else ""
            print(f"{found.protocol} {stem}: {verdict.outcome}{why}", file=sys.stdout if verbose else sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
