"""The command ``linli-edge find``: arguments in, text out."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from linli_core.catalogue import text
from linli_core.errors import ConfigError
from linli_core.instant import HOUR
from linli_edge.commissioning import find, scan
from linli_edge.commissioning.command_line import (
    PARITIES,
    add_line_arguments,
    attended,
    language_of,
    ranges,
    with_setting,
)
from linli_edge.commissioning.find_display import parse_display, parse_tolerance
from linli_edge.commissioning.find_sweep import RegisterSweep
from linli_edge.commissioning.progress import Progress
from linli_edge.commissioning.state_file import StateFile, usual_path
from linli_edge.commissioning.target import resolve
from linli_edge.commissioning.wire_time import show_time
from linli_edge.timekeeping import wall_clock

LOOKS_KEPT: Final = 12 * HOUR
"""How long a second look may follow the first: a working day."""


def add_find(subparsers: Any) -> argparse.ArgumentParser:
    """Add the parser of ``find``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "find",
        help="find the register that a display shows",
        description="Read a device's registers and tell which may be what its display shows, the most plausible "
        "first. The same command with what the display shows later narrows it.",
    )
    add_line_arguments(parser)
    parser.add_argument("--unit", metavar="N", type=int, required=True, help="unit id of the device")
    parser.add_argument(
        "--display",
        metavar="[QUANTITY=]NUMBER",
        action="append",
        required=True,
        help='what it shows, such as 1234.5, voltage.l1=231.4 or "energy_import=1234.5 kWh"; several narrow it',
    )
    parser.add_argument("--near", metavar="QUANTITY", help="what a display without a name measures")
    parser.add_argument("--tolerance", metavar="P%", help='how far a value may have moved meanwhile, such as "0.5%%"')
    parser.add_argument(
        "--addresses", metavar="A-B,…", help="addresses to read, from 0 (default: where meters keep values)"
    )
    parser.add_argument("--table", choices=("holding", "input"), help="this table only")
    parser.add_argument("--baud", metavar="N", help="speed, on a serial line")
    parser.add_argument("--parity", choices=PARITIES, help="parity, on a serial line")
    parser.add_argument("--estimate", action="store_true", help="only say how long it would take")
    parser.add_argument("--state", metavar="FILE", type=Path, help="where to keep what was learnt")
    parser.add_argument("--fresh", action="store_true", help="start anew, whatever was kept")
    parser.set_defaults(command=run_find)
    return parser


def run_find(args: argparse.Namespace) -> int:
    """Carry out ``linli-edge find``."""
    lang = language_of(args)
    target = with_setting(resolve(args.line, args.config, args.link), args.baud, args.parity)
    if not 0 <= args.unit <= 255:
        raise ConfigError("--unit", f"found {args.unit}", "write a number from 0 to 255")
    displays = [parse_display(written, args.near) for written in args.display]
    if len({display.label for display in displays}) < len(displays):
        raise ConfigError("--display", "two displays without different names", "name them: voltage.l1=231.4")
    tolerance = parse_tolerance(args.tolerance)
    file = StateFile(args.state or usual_path("find", f"{target.name} {args.unit}"), "find")
    kept = _kept(file, args.unit, fresh=args.fresh)
    tables = (args.table,) if args.table else ("input", "holding")
    only = find.ranges_of(kept, displays)
    wanted = only if only is not None else ranges(args.addresses, "--addresses", 0, 65535)
    try:
        sweep = RegisterSweep(target, args.unit, wanted, tables, kept.sweep or None)
    except (ValueError, msgspec.ValidationError):
        # Kept for other addresses: that sweep is over.
        sweep = RegisterSweep(target, args.unit, wanted, tables)
    report = sys.stderr if args.json else sys.stdout
    estimate = sweep.estimate()
    words = {"link": target.name, "unit": args.unit, "probes": estimate.probes, "time": show_time(estimate.time)}
    print(text("find.estimate", lang, **words), file=report)
    print(text("find.at_most", lang, time=show_time(sweep.at_most())), file=report)
    print(f"  {estimate.parts[0]}\n{text('scan.stoppable', lang)}", file=report, flush=True)
    if only is not None:
        print(text("find.second", lang), file=report)
    if args.estimate:
        return 0

    progress = Progress(sys.stderr)

    async def work() -> None:
        async with scan.Line() as line:
            await find.run_sweep(sweep, kept, line.ask, scan.Shell(progress, file, lang))

    if status := attended(work(), progress, target, lang, file):
        return status
    found = find.conclude(sweep, kept, displays, tolerance)
    if any(found.values()):
        file.save(msgspec.to_builtins(kept))
    print(
        find.as_json(sweep, displays, found)
        if args.json
        else f"\n{find.report(sweep, displays, found, lang, again=only is not None)}"
    )
    return int(not all(found.values()))


def _kept(file: StateFile, unit: int, *, fresh: bool) -> find.Kept:
    """Return what earlier calls of ``find`` kept for a unit."""
    # After that it is perhaps another meter at the same adapter: what fitted the one says nothing of the other.
    state = None if fresh or file.age(wall_clock()) > LOOKS_KEPT else file.load()
    try:
        kept = find.Kept(unit) if state is None else msgspec.convert(state, find.Kept, strict=False)
    except msgspec.ValidationError:
        raise ConfigError(str(file.path), "found another version's file", "start anew with --fresh") from None
    return kept if kept.unit == unit else find.Kept(unit)
