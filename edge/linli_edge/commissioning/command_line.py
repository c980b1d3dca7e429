"""What the commands of a basement visit have in common: how they are told their line, and how they may be stopped.

Exit status: 0 all is well; 1 nothing was found, something is wrong with the line, or a point failed; 2 the command or
the configuration is wrong; 130 stopped by the person, what was learnt is kept.
"""

import argparse
import asyncio
import re
import signal
import sys
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError, LinkError
from linli_edge.commissioning.progress import Progress, ticking
from linli_edge.commissioning.state_file import StateFile
from linli_edge.commissioning.target import Target
from linli_edge.commissioning.trouble import line_trouble
from linli_edge.config.units import DURATION_REMEDY, parse_duration
from linli_edge.timekeeping import steady_clock
from linli_edge.transport.settings import Parity, SerialSettings

FAILED: Final = 1
STOPPED: Final = 130

_RANGE: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_SLOWEST: Final = 50
_FASTEST: Final = 4_000_000
PARITIES: Final = ("none", "even", "odd")


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


def attended(
    work: Awaitable[None], progress: Progress, target: Target, lang: Language, kept: StateFile | None = None
) -> int:
    """Run work that a person may stop; say what broke it, and what is kept. Return the exit status so far."""
    try:
        finished = asyncio.run(stoppable(work, progress))
    except LinkError as exc:
        print(line_trouble(exc, target.transport, lang), file=sys.stderr)
        finished, status = True, FAILED
    else:
        status = 0
    if not finished:
        print(f"\n{text('line.stopped', lang)}", file=sys.stderr)
        status = STOPPED
    if status and kept is not None and kept.exists:
        print(text("scan.kept", lang), file=sys.stderr)
    return status


async def stoppable(work: Awaitable[None], progress: Progress) -> bool:
    """Return whether the work came to its end; Ctrl-C and a service's stop end it early, in order."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, task.cancel)
    try:
        async with ticking(progress, steady_clock):
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
        if name not in PARITIES:
            raise ConfigError("--parity", f'found "{name}"', f"write one or more of {','.join(PARITIES)}")
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


def with_setting(target: Target, baud: str | None, parity: str | None) -> Target:
    """Return a line with its speed and parity replaced, where they were given."""
    transport = target.transport
    if not isinstance(transport, SerialSettings):
        if baud or parity:
            raise ConfigError("--baud", f"{transport.place} is no serial line", "set speed and parity at the converter")
        return target
    speeds = bauds(baud)
    if len(speeds) > 1:
        raise ConfigError("--baud", f'found "{baud}"', "write one speed")
    wanted = cast("Parity", parity or transport.parity)
    transport = replace(transport, baud=speeds[0] if speeds else transport.baud, parity=wanted)
    return replace(target, transport=transport)
