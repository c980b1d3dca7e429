"""``python -m linli_sim.boards``: check the boards on each store, and end with one line of JSON."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from linli_core.errors import LinliError
from linli_dashboards.build import made
from linli_dashboards.check.asking import Platform
from linli_dashboards.check.checking import Report, check
from linli_dashboards.check.databases import check_database
from linli_dashboards.direct import DATABASES
from linli_sim.boards.engines import ENGINES, Engine
from linli_sim.boards.playing import playing, say


def main() -> int:
    """Check; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m linli_sim.boards", description=__doc__)
    parser.add_argument("--folder", type=Path, help="check the files there")
    parser.add_argument("--store", action="append", choices=ENGINES, help="only this store; may be given several times")
    parser.add_argument("--empty", action="store_true", help="print too what came empty, and may")
    args = parser.parse_args()
    reports = []
    try:
        for name in args.store or ENGINES:
            with ENGINES[name]() as engine:
                reports += asyncio.run(_checked(name, engine, args.folder))
    except LinliError as exc:
        say(f"linli_sim.boards: {exc}")
        return 2
    for report in reports:
        for text in report.failures:
            say(text)
        for text in report.empty if args.empty else ():
            say(f"(may be) {text}")
    whole = reports[0].as_dict() | {
        "queries": reports[0].queries
        + sum(report.queries for report in reports[1:] if report.boards < reports[0].boards),
        "stores": [name for report in reports for name in report.stores],
        "failed": sum(len(report.failures) for report in reports),
    }
    print(json.dumps(whole))
    return 1 if whole["failed"] else 0


async def _checked(name: str, engine: Engine, folder: Path | None) -> list[Report]:
    with tempfile.TemporaryDirectory(prefix="linli-boards-") as place:
        say(f"{name}: filling a community")
        async with playing(Path(place), engine.settings) as community:
            say(f"{name}: {community.alarms} alarms stand; asking every query")
            platform, now = Platform(name, community.url, community.token), int(time.time())
            found = [await asyncio.to_thread(check, list(made()), folder, [platform], now)]
            if engine.url:
                say(f"{name}: asking the server itself")
                boards = list(made(dialect=DATABASES[name]))
                found.append(await asyncio.to_thread(check_database, boards, name, engine.url, now))
            return found


if __name__ == "__main__":
    sys.exit(main())
