"""``python -m linli_sim.truth``: live through a month with planted faults; the last line is one of JSON."""

import argparse
import json
import sys
from collections import Counter

from linli_core.alarm.engine import CHINA
from linli_core.instant import MINUTE, to_datetime
from linli_platform.alarms import load_rules
from linli_platform.alarms.bundled import pack_names
from linli_sim.truth.faults import PLANNED, plant
from linli_sim.truth.month import START, run


def main() -> int:
    """Run, print what was found and what was not, and the figures; 1 if a fault was missed or late."""
    parser = argparse.ArgumentParser(prog="python -m linli_sim.truth", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--buildings", type=int, default=5)
    parser.add_argument("--dwellings", type=int, default=60, help="in each building (default 60)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    planted = plant(PLANNED, START, args.days)
    outcome = run(
        load_rules(packs=pack_names()),
        planted,
        days=args.days,
        buildings=args.buildings,
        dwellings=args.dwellings,
        seed=args.seed,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    for fault, change in [*outcome.found, *outcome.late]:
        took, allowed = ((at - fault.begins) / MINUTE for at in (change.learnt_at, fault.truth.by))
        word = "late" if change.learnt_at > fault.truth.by else "found"
        print(f"{word}: {fault.kind} at {fault.where}: {change.rule} after {took:.1f} of {allowed:.0f} min")
    for fault in outcome.missed:
        print(f"missed: {fault.kind} at {fault.where}: {fault.truth.rule}")
    for change in outcome.false:
        at = to_datetime(change.at).astimezone(CHINA)
        print(f"false: {at:%m-%d %H:%M} {change.rule} {change.subject} {change.value}")
    for rule, count in Counter(change.rule for change in outcome.false).most_common():
        print(f"false by rule: {rule} {count}")
    print(
        f"{outcome.readings} readings in {outcome.seconds:.0f} s; {outcome.because} alarms because of what was planted,"
        f" {outcome.hidden} hidden by design"
    )
    print(json.dumps(outcome.as_dict()))
    return 1 if outcome.missed or outcome.late else 0


if __name__ == "__main__":
    sys.exit(main())
