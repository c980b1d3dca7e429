"""The command ``linli-edge scan``: arguments in, text out."""

import argparse
import sys
from pathlib import Path
from typing import Any

from linli_core.catalogue import text
from linli_edge.commissioning import scan, scanner
from linli_edge.commissioning.command_line import (
    add_line_arguments,
    attended,
    bauds,
    duration,
    language_of,
    parities,
    ranges,
)
from linli_edge.commissioning.progress import Progress
from linli_edge.commissioning.scanner import Found, Search, Wanted
from linli_edge.commissioning.state_file import StateFile, usual_path
from linli_edge.commissioning.target import MODBUS, resolve
from linli_edge.commissioning.wire_time import show_time
from linli_edge.timekeeping import wall_clock


def add_scan(subparsers: Any) -> argparse.ArgumentParser:
    """Add the parser of ``scan``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "scan",
        help="find out who answers on a line",
        description="Ask every address at every speed and parity; say how long it takes first. Ctrl-C stops, the "
        "same command goes on where it stopped.",
    )
    add_line_arguments(parser)
    parser.add_argument("--protocol", metavar="NAME", help=f"what the line speaks (default: the link's, else {MODBUS})")
    parser.add_argument("--baud", metavar="N,…", help="speeds")
    parser.add_argument("--parity", metavar="P,…", help="none, even, odd")
    parser.add_argument("--ids", metavar="A-B,…", help="addresses, such as 1-32,40")
    parser.add_argument("--timeout", metavar="T", help='patience of the first pass, such as "200 ms"')
    parser.add_argument("--no-identify", action="store_true", help="do not ask devices who they are")
    parser.add_argument("--estimate", action="store_true", help="only say how long it would take")
    parser.add_argument("--state", metavar="FILE", type=Path, help="where to keep what was learnt")
    parser.add_argument("--fresh", action="store_true", help="start anew, whatever was kept")
    parser.set_defaults(command=run_scan)
    return parser


def run_scan(args: argparse.Namespace) -> int:
    """Carry out ``linli-edge scan``."""
    lang = language_of(args)
    target = resolve(args.line, args.config, args.link, args.protocol or MODBUS)
    chosen = scanner.load(args.protocol or target.protocol)
    wanted = Wanted(
        target,
        bauds=bauds(args.baud),
        parities=parities(args.parity),
        addresses=ranges(args.ids, "--ids", 0, 255),
        patience=duration(args.timeout, "--timeout"),
        identify=not args.no_identify,
    )
    kept = StateFile(args.state or usual_path("scan", target.name), "scan")
    age = kept.age(wall_clock())
    search, resumed = _start_or_resume(chosen, wanted, kept, fresh=args.fresh)
    report = sys.stderr if args.json else sys.stdout
    if resumed:
        print(text("scan.resumed", lang, file=kept.path, age=show_time(age)), file=report)
    print(scan.announcement(search, target, lang), file=report, flush=True)
    if args.estimate:
        return 0

    def show(found: Found) -> None:
        if not args.json:
            print(scan.found_lines(found, lang), flush=True)

    progress = Progress(sys.stderr)

    async def work() -> None:
        async with scan.Line() as line:
            await scan.run_search(search, line.ask, scan.Shell(progress, kept, lang), show)

    status = attended(work(), progress, target, lang, kept)
    if args.json:
        print(scan.as_json(search, chosen, target, lang, complete=status == 0))
    elif status == 0 or search.found():
        print(f"\n{scan.summary(search, chosen, target, lang)}")
    return status or int(not search.found())


def _start_or_resume(chosen: scanner.Scanner, wanted: Wanted, kept: StateFile, *, fresh: bool) -> tuple[Search, bool]:
    state = None if fresh else kept.load()
    if state is not None:
        try:
            return chosen.start(wanted, state), True
        except ValueError:
            # Kept for another choice of speeds or addresses: that search is over.
            pass
    return chosen.start(wanted, None), False
