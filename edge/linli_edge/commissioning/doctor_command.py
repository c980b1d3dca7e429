"""The command ``linli-edge doctor``: arguments in, text out."""

import argparse
import sys
from typing import Any, Final

from linli_core.catalogue import text
from linli_core.errors import ConfigError
from linli_edge.commissioning import doctor
from linli_edge.commissioning.command_line import (
    FAILED,
    PARITIES,
    add_line_arguments,
    attended,
    language_of,
    ranges,
    with_setting,
)
from linli_edge.commissioning.diagnosis import HEALTHY, diagnose
from linli_edge.commissioning.examination import Examination
from linli_edge.commissioning.progress import Progress
from linli_edge.commissioning.scan import Line
from linli_edge.commissioning.target import MODBUS, resolve
from linli_edge.commissioning.wire_time import show_time
from linli_edge.timekeeping import steady_clock

ROUNDS: Final = 20


def add_doctor(subparsers: Any) -> argparse.ArgumentParser:
    """Add the parser of ``doctor``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "doctor",
        help="tell what is wrong with a line",
        description="Listen to a line, ask its devices often, try other settings with those that stay silent, and say "
        "in plain words what is wrong and what to do. Exit 1 if anything is.",
    )
    add_line_arguments(parser)
    parser.add_argument("--unit", metavar="N,…", help="unit ids to ask (default: the configuration's devices)")
    parser.add_argument("--rounds", metavar="N", type=int, default=ROUNDS, help=f"questions to each (default {ROUNDS})")
    parser.add_argument("--baud", metavar="N", help="speed, on a serial line")
    parser.add_argument("--parity", choices=PARITIES, help="parity, on a serial line")
    parser.set_defaults(command=run_doctor)
    return parser


def run_doctor(args: argparse.Namespace) -> int:
    """Carry out ``linli-edge doctor``."""
    lang = language_of(args)
    target = with_setting(resolve(args.line, args.config, args.link), args.baud, args.parity)
    if target.protocol != MODBUS:
        raise ConfigError("--link", f'"{target.name}" speaks {target.protocol}', "doctor examines Modbus lines")
    chosen = ranges(args.unit, "--unit", 0, 255)
    units = [unit for first, last in chosen for unit in range(first, last + 1)] or list(target.devices.values())
    if not units:
        raise ConfigError("--unit", "missing", "name the units, such as --unit 1,2; linli-edge scan finds them")
    if not 1 <= args.rounds <= 1000:
        raise ConfigError("--rounds", f"found {args.rounds}", "write a number from 1 to 1000")
    examination = Examination(target, list(dict.fromkeys(units)), args.rounds)
    words = {"link": target.name, "units": len(examination.evidence.units), "rounds": args.rounds}
    times = {"least": show_time(examination.shortest()), "most": show_time(examination.longest())}
    print(text("doctor.estimate", lang, **words, **times), file=sys.stderr if args.json else sys.stdout, flush=True)

    progress = Progress(sys.stderr)

    async def work() -> None:
        async with Line() as line:
            await doctor.run_examination(examination, line.ask, progress, steady_clock, lang)

    status = attended(work(), progress, target, lang)
    evidence = examination.evidence
    if not evidence.asked:
        return status or FAILED
    if args.json:
        print(doctor.as_json(evidence, lang, complete=status == 0))
    else:
        print(f"\n{doctor.report(evidence, lang)}")
    return status or int(diagnose(evidence)[0].kind != HEALTHY)
