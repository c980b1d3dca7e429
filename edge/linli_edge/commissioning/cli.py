"""The commands of a basement visit: ``linli-edge scan``, ``find``, ``doctor``, ``commission``.

Exit status: 0 all is well; 1 nothing was found, something is wrong with the line, or a point failed; 2 the command or
the configuration is wrong; 130 stopped by the person, what was learnt is kept.
"""

import argparse
import asyncio
import re
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError, LinkError
from linli_edge.commissioning import scan, scanner, state_file
from linli_edge.commissioning.progress import Progress
from linli_edge.commissioning.scanner import Found, Search, Wanted
from linli_edge.commissioning.target import MODBUS, Target, resolve
from linli_edge.commissioning.trouble import line_trouble
from linli_edge.config.units import DURATION_REMEDY, parse_duration

FAILED: Final = 1
STOPPED: Final = 130

_RANGE: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_SLOWEST: Final = 50
_FASTEST: Final = 4_000_000
_PARITIES: Final = ("none", "even", "odd")


def add_line_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments by which a command is told its line and its language."""
    parser.add_argument(
        "line", metavar="LINK", nargs="?", help="/dev/serial/by-id/…, tcp://HOST:502, rtu+tcp://HOST:PORT"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="take the line from a configuration")
    parser.add_argument("--link", metavar="ID", help="which line of the configuration")
    add_output_arguments(parser)


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments by which a command is told how to speak."""
    parser.add_argument("--lang", choices=("zh", "en"), help="language (default: the locale's)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout; progress stays on stderr")


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
    kept = state_file.StateFile(args.state or state_file.usual_path("scan", target.name), "scan")
    search, resumed = _start_or_resume(chosen, wanted, kept, fresh=args.fresh)
    report = sys.stderr if args.json else sys.stdout
    if resumed:
        print(text("scan.resumed", lang, file=kept.path), file=report)
    print(scan.announcement(search, target, lang), file=report, flush=True)
    if args.estimate:
        return 0

    def show(found: Found) -> None:
        if not args.json:
            print(scan.found_lines(found, lang), flush=True)

    async def work() -> None:
        async with scan.Line() as line:
            await scan.run_search(search, line.ask, scan.Shell(Progress(sys.stderr), kept, lang), show)

    status = attended(work(), target, lang, kept)
    if args.json:
        print(scan.as_json(search, chosen, target, lang, complete=status == 0))
    elif status == 0 or search.found():
        print(f"\n{scan.summary(search, chosen, target, lang)}")
    return status or int(not search.found())


def _start_or_resume(
    chosen: scanner.Scanner, wanted: Wanted, kept: state_file.StateFile, *, fresh: bool
) -> tuple[Search, bool]:
    state = None if fresh else kept.load()
    if state is not None:
        try:
            return chosen.start(wanted, state), True
        except ValueError:
            # Kept for another choice of speeds or addresses: that search is over.
            pass
    return chosen.start(wanted, None), False


def attended(work: Awaitable[None], target: Target, lang: Language, kept: state_file.StateFile) -> int:
    """Run work that a person may stop; say what broke it, and what is kept. Return the exit status so far."""
    try:
        finished = asyncio.run(_stoppable(work))
    except LinkError as exc:
        print(line_trouble(exc, target.transport, lang), file=sys.stderr)
        finished, status = True, FAILED
    else:
        status = 0
    if not finished:
        print(f"\n{text('line.stopped', lang)}", file=sys.stderr)
        status = STOPPED
    if status and kept.exists:
        print(text("scan.kept", lang), file=sys.stderr)
    return status


async def _stoppable(work: Awaitable[None]) -> bool:
    """Return whether the work came to its end; Ctrl-C and a service's stop end it early, in order."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return False
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
    return True


def language_of(args: argparse.Namespace) -> Language:
    """Return the language that a command speaks."""
    from linli_edge.cli import language  # noqa: PLC0415 - the command's module imports this one

    return language(args.lang)


def ranges(written: str | None, where: str, lowest: int, highest: int) -> tuple[tuple[int, int], ...]:
    """Return the ranges that ``1-32,40`` names; none where nothing is written."""
    found: list[tuple[int, int]] = []
    for part in written.split(",") if written is not None else ():
        match = _RANGE.fullmatch(part.strip())
        first = int(match[1]) if match else -1
        last = int(match[2] or first) if match else -1
        if not lowest <= first <= last <= highest:
            remedy = f"write numbers from {lowest} to {highest}, such as {max(lowest, 1)}-{min(highest, 32)},40"
            raise ConfigError(where, f'found "{part}"', remedy)
        found.append((first, last))
    return tuple(found)


def bauds(written: str | None) -> tuple[int, ...]:
    """Return the speeds that ``9600,19200`` names."""
    found = tuple(part.strip() for part in written.split(",")) if written is not None else ()
    for part in found:
        if not re.fullmatch(r"\d{2,7}", part, re.ASCII) or not _SLOWEST <= int(part) <= _FASTEST:
            raise ConfigError("--baud", f'found "{part}"', "write speeds in bits a second, such as 9600,19200")
    return tuple(map(int, found))


def parities(written: str | None) -> tuple[str, ...]:
    """Return the parities that ``none,even`` names."""
    names = tuple(part.strip() for part in written.split(",")) if written is not None else ()
    for name in names:
        if name not in _PARITIES:
            raise ConfigError("--parity", f'found "{name}"', f"write one or more of {','.join(_PARITIES)}")
    return names


def duration(written: str | None, where: str) -> int | None:
    """Return a duration in microseconds; ``None`` where none is written."""
    if written is None:
        return None
    try:
        amount = parse_duration(written)
    except ValueError:
        amount = 0
    if not 1000 <= amount <= 60_000_000:
        raise ConfigError(where, f'found "{written}"', f"{DURATION_REMEDY}, from 1 ms to 60 s")
    return amount


_COMMANDS: Final = {"scan": add_scan}


def add_arguments(subparsers: Any) -> None:
    """Add the parsers of all commands of a visit to those of ``linli-edge``."""
    for add in _COMMANDS.values():
        add(subparsers)
