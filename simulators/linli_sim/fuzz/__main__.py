"""``python -m linli_sim.fuzz`` (``make fuzz``): each codec for some minutes; one JSON line each, and what was found.

Exit status: 0 nothing found; 1 something was; 2 there is nothing to begin with.
"""

import argparse
import json
import random
import secrets
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from linli_core.codecs.explain import covers
from linli_edge.decode import DECODERS, dialect_of
from linli_edge.telegrams.dialect import Dialect
from linli_edge.telegrams.keys import Keys
from linli_sim.fuzz.checksums import wmbus_format_a
from linli_sim.fuzz.damage import REPAIRS, damaged
from linli_sim.fuzz.structures import made
from linli_sim.vectors.judging import folder

_FOLDERS: Final = {"p1": "dsmr-p1"}
_SHOWN: Final = 5
_LONGEST: Final = 600


def main() -> int:
    """Fuzz what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="linli_sim.fuzz", description="Damaged and made-up telegrams; only named errors may come."
    )
    parser.add_argument("--only", choices=sorted(DECODERS), nargs="+", default=sorted(DECODERS), metavar="PROTOCOL")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each protocol (10)")
    parser.add_argument("--seed", type=int, help="repeat a run")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else secrets.randbelow(1_000_000)
    worst = 0
    for protocol in args.only:
        telegrams = sorted(set(recorded(folder() / _FOLDERS.get(protocol, protocol))))
        if not telegrams:
            print(f"linli_sim.fuzz: no recordings of {protocol} under {folder()}: set LINLI_VECTORS", file=sys.stderr)
            worst = max(worst, 2)
            continue
        if protocol == "wmbus":
            telegrams += [wmbus_format_a(telegram) for telegram in telegrams]
        worst = max(worst, _fuzz(protocol, telegrams, seed, args.minutes * 60))
    return worst


def _fuzz(protocol: str, telegrams: list[bytes], seed: int, seconds: float) -> int:
    dialect = dialect_of(protocol, "fuzz")
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    keys = Keys({"": chance.randbytes(16)}, {"": chance.randbytes(16)})
    rounds = found = values = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        rounds += 1
        from_recording = chance.random() < 0.5
        data = damaged(chance, telegrams, REPAIRS[protocol]) if from_recording else made(chance, protocol)
        try:
            values += _try(dialect, data, keys)
        except Exception:  # noqa: BLE001 - whatever comes is what is looked for
            found += 1
            if found <= _SHOWN:
                print(f"{protocol}: {data.hex()}\n{traceback.format_exc()}", file=sys.stderr)
    result = {"fuzz": protocol, "seed": seed, "rounds": rounds, "values": values, "found": found}
    print(json.dumps(result), flush=True)
    return int(found > 0)


def _try(dialect: Dialect, data: bytes, keys: Keys) -> int:
    """Decode, explain and recognise; return how many telegrams were whole. Raises whatever must not be raised."""
    whole = sum(isinstance(outcome, dict) for outcome in dialect.decode(data, keys))
    assert covers(dialect.explain(data, keys), data), "the parts do not cover the telegram"
    dialect.recognise(data)
    return whole


def recorded(path: Path) -> Iterator[bytes]:
    """Yield every telegram in a folder of recordings."""
    for file in sorted(path.glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        for data in _inputs(document.get("input")):
            if 4 <= len(data) <= _LONGEST * 8:
                yield data[: _LONGEST * 8]


def _inputs(given: Any) -> Iterator[bytes]:
    if isinstance(given, list):
        for one in given:
            yield from _inputs(one)
    elif isinstance(given, dict):
        data = given.get("data")
        if isinstance(data, list):
            for one in data:
                yield from _inputs({**given, "data": one})
        elif isinstance(data, str):
            try:
                yield bytes.fromhex(data) if given.get("encoding") == "hex" else data.encode("latin-1", "replace")
            except ValueError:
                return


if __name__ == "__main__":
    sys.exit(main())
