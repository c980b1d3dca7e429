"""``python -m linli_sim.mutants [--sample N] [--seed S…] [--tests GLOB] [MODULE…]``: makes mutants and tries them."""

import argparse
import importlib
import os
import random
import sys
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Final

import pytest

from linli_sim.mutants.faults import Mutant, mutants
from linli_sim.mutants.trial import Trial

ROOT: Final = Path(__file__).parents[3]
PACKAGE: Final = "linli_core.alarm"
MODULES: Final = (
    "states", "memory", "watch", "past", "absence", "figures", "happenings", "seasonal", "together", "journal",
    "reconciling", "expression", "schedule", "scope", "inlet", "engine",
)  # fmt: skip
TESTS_BESIDE: Final = (ROOT / "tests" / "hub" / "test_alarm_screening.py",)
"""Of the quick ways through the engine, which take whole columns."""

ENOUGH: Final = 0.9


def main() -> int:
    """Make mutants and try them; return 1 if fewer than nine in ten were noticed."""
    parser = argparse.ArgumentParser(description="Small faults in the alarm engine, and whether the tests notice.")
    parser.add_argument("modules", nargs="*", default=MODULES)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth of them")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only so many of them, by lot")
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="of the lot, or of several")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="so many at a time")
    parser.add_argument("--longest", type=float, default=inf, metavar="S", help="ask no test that takes longer")
    parser.add_argument("--again", type=Path, metavar="FILE", help="only those that survived when FILE was written")
    parser.add_argument("--tests", default="test_alarm_*.py", metavar="GLOB", help="only the tests of these files")
    args = parser.parse_args()
    made: list[Mutant] = []
    for name in args.modules:
        path = importlib.import_module(f"{PACKAGE}.{name}").__file__ or ""
        made += mutants(name, Path(path).read_text(encoding="utf-8"), path)
    everything = len(made)
    if args.again is not None:
        survived = {line.removeprefix("survived: ") for line in args.again.read_text(encoding="utf-8").splitlines()}
        made = [mutant for mutant in made if str(mutant) in survived]
    made = made[:: args.every]
    lots: dict[str, Sequence[int]] = {"all": range(len(made))}
    if 0 < args.sample < len(made):
        lots = {
            f"lot {seed}": random.Random(seed).sample(range(len(made)), args.sample)  # noqa: S311 - no secret
            for seed in args.seed
        }
    tried = sorted({place for lot in lots.values() for place in lot})
    tests = [it for it in [*sorted((ROOT / "tests" / "core").glob("*.py")), *TESTS_BESIDE] if it.match(args.tests)]
    trial = Trial(
        PACKAGE,
        [made[place] for place in tried],
        at_once=args.jobs,
        longest=args.longest,
        say=lambda line: print(line, flush=True),
    )
    command = ["-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--rootdir={ROOT}", *map(str, tests)]
    pytest.main(command, plugins=[trial])
    if not trial.is_sound:
        return 2
    survivors = set(map(id, trial.survivors))
    shares = []
    for name, lot in lots.items():
        killed = sum(id(made[place]) not in survivors for place in lot)
        shares.append(killed / max(len(lot), 1))
        print(
            f'{{"{name}": {len(lot)}, "of": {everything}, "killed": {killed}, "share": {shares[-1]:.3f}}}', flush=True
        )
    return 0 if min(shares) >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
