"""``linli-sim``: one sub-command per simulated device, each in a module of its own.

A module offers ``add_arguments(subparsers)``, which adds its parser, and ``async run(args) -> int``. Only the module of
the sub-command that was asked for is imported, so one that is missing or needs a package that is not installed does
not take the others with it.
"""

import argparse
import asyncio
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol, cast

from linli_core.errors import LinliError


class Subparsers(Protocol):
    """What a sub-command adds its parser to: the object that ``ArgumentParser.add_subparsers`` returns."""

    def add_parser(self, name: str, **kwargs: str) -> argparse.ArgumentParser:
        """Add a sub-command and return its parser."""
        ...


class Subcommand(Protocol):
    """What a sub-command's module offers."""

    def add_arguments(self, subparsers: Subparsers, /) -> None:
        """Add the sub-command's parser."""
        ...

    async def run(self, args: argparse.Namespace, /) -> int:
        """Run until cancelled or done; return the exit code."""
        ...


class Entry(NamedTuple):
    """Where a sub-command lives, and its line in ``linli-sim --help``."""

    module: str
    summary: str


COMMANDS: Final = {
    "demo": Entry("linli_sim.demo", "a whole community: broker, platform, gateways and devices"),
    "modbus": Entry("linli_sim.modbus", "electricity meters with daily load curves, over Modbus TCP"),
    "line": Entry("linli_sim.line.command", "electricity meters on a serial bus with a speed, also behind a converter"),
    "scenario": Entry("linli_sim.scenarios.command", "the devices of a scenario that goes wrong, over Modbus TCP"),
    "coldroom": Entry("linli_sim.coldroom", "a cold room with a door and a compressor, over Modbus TCP"),
    "mbus": Entry("linli_sim.mbus", "M-Bus meters behind a TCP converter"),
    "wmbus": Entry("linli_sim.wmbus", "a receiver of radio meters, behind a TCP port"),
    "dlt645": Entry("linli_sim.dlt645", "electricity meters that answer DL/T 645, on a line of 2,400 baud"),
    "cjt188": Entry("linli_sim.cjt188", "water, heat and gas meters that answer CJ/T 188, on a line of 2,400 baud"),
    "p1": Entry("linli_sim.p1", "a customer port (P1) behind a TCP converter, plain or encrypted"),
    "dlms": Entry("linli_sim.dlms", "a DLMS meter that pushes, plain or ciphered"),
    "iec62056": Entry("linli_sim.iec62056", "an IEC 62056-21 meter at a pseudo-terminal, with its change of speed"),
    "past": Entry("linli_sim.past", "two communities with a month behind them, in a platform's folder"),
    "replay": Entry("linli_sim.replay", "recorded frames of real meters, played back"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``linli-sim`` and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="linli-sim", description="Simulated devices that speak the real protocols.")
    subparsers = cast("Subparsers", parser.add_subparsers(dest="command", metavar="COMMAND", required=True))
    chosen: Subcommand | None = None
    for name, entry in COMMANDS.items():
        if words[:1] == [name]:
            try:
                chosen = cast("Subcommand", importlib.import_module(entry.module))
            except ImportError as exc:
                print(f"linli-sim: {name} is not available here: {exc}; try: pip install 'linli[sim]'", file=sys.stderr)
                return 2
            chosen.add_arguments(subparsers)
        else:
            subparsers.add_parser(name, help=entry.summary)
    args = parser.parse_args(words)
    assert chosen is not None
    try:
        return asyncio.run(_until_told(chosen, args))
    except LinliError as exc:
        print(f"linli-sim: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


async def _until_told(command: Subcommand, args: argparse.Namespace) -> int:
    """Run a sub-command; SIGTERM ends it in good order."""
    task = asyncio.create_task(command.run(args), name=f"linli-sim {args.command}")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 0
