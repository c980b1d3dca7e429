"""``python -m linli_sim.boards``: check the boards on each store, and end with one line of JSON."""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linli_core.errors import LinliError
from linli_dashboards.asking import Platform
from linli_dashboards.build import made
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
    reports: list[Report] = []
    for name in args.store or ENGINES:
        reports += _of_engine(name, args.folder)
    for report in reports:
        for text in report.failures:
            say(text)
        for text in report.empty if args.empty else ():
            say(f"(may be) {text}")
    line = summary(reports)
    print(json.dumps(line))
    return 1 if line["failed"] else 0


def summary(reports: Sequence[Report]) -> dict[str, Any]:
    """Return the last line: how many queries the boards have, what was asked, how much of it was wrong."""
    whole = max((report for report in reports), key=lambda report: report.boards)
    beside = [report for report in reports if report.boards < whole.boards]
    return whole.as_dict() | {
        "queries": whole.queries + sum(report.queries for report in beside),
        "stores": [name for report in reports for name in report.stores],
        "failed": sum(len(report.failures) for report in reports),
    }


def _of_engine(name: str, folder: Path | None) -> list[Report]:
    """Return what was found of one store; that it cannot be tried is a failure, and the others are tried."""
    began = time.monotonic()
    try:
        with ENGINES[name]() as engine:
            found = asyncio.run(_checked(name, engine, folder))
    except (LinliError, OSError) as exc:
        found = [Report(failures=[f"{name}: cannot be tried: {exc}"])]
    say(f"{name}: {sum(len(report.failures) for report in found)} wrong, {time.monotonic() - began:.0f} s")
    return found


async def _checked(name: str, engine: Engine, folder: Path | None) -> list[Report]:
    with tempfile.TemporaryDirectory(prefix="linli-boards-") as place:
        say(f"{name}: filling a community")
        async with playing(Path(place), engine.settings) as community:
            say(f"{name}: {community.alarms} alarms stand; asking every query")
            platform, now = Platform(community.url, community.token, name), int(time.time())
            found = [await asyncio.to_thread(check, list(made()), folder, [platform], now)]
            if engine.url:
                say(f"{name}: asking the server itself")
                boards = list(made(dialect=DATABASES[name]))
                found.append(await asyncio.to_thread(check_database, boards, name, engine.url, now))
            return found


if __name__ == "__main__":
    sys.exit(main())
