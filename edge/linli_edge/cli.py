"""The command ``linli-edge``.

Exit status: 0 all is well; 1 something could not be read or the gateway broke; 2 the configuration or the command is
wrong. What a command found goes to stdout, logs and errors go to stderr.
"""

import argparse
import asyncio
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from linli_core.errors import ConfigError, LogError

if TYPE_CHECKING:
    from linli_edge.config.gateway import GatewayConfig

FAILED: Final = 1
WRONG: Final = 2


_FURTHER: Final = {
    "profiles": "linli_edge.profiles.cli",
    "swap": "linli_edge.registers.cli",
    "scan": "linli_edge.commissioning.cli",
    "find": "linli_edge.commissioning.cli",
    "doctor": "linli_edge.commissioning.cli",
    "commission": "linli_edge.commissioning.cli",
    "wmbus": "linli_edge.drivers.wmbus.cli",
    "node": "linli_edge.nodes.command_line",
    "decode": "linli_edge.decode",
    "meters": "linli_edge.telegrams.explain",
}
"""The modules of the commands that a running gateway does without. Each is imported for itself alone, and all of them
only to list them: that takes twice as long, on a small machine for seconds."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    args = _parser(words[0] if words else "").parse_args(words)
    try:
        return int(args.command(args))
    except ConfigError as exc:
        print(exc, file=sys.stderr)
        return WRONG
    except BrokenPipeError:
        # The reader of our output has seen enough (head, less): not an error, and nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def language(wanted: str | None = None) -> Literal["zh", "en"]:
    """Return the language for people: the one asked for, else the locale's."""
    name = wanted or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if name.startswith("zh") else "en"


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="linli-edge", description="Linli's gateway: read devices, log, forward.")
    parser.add_argument("--version", action="version", version=f"linli-edge {version('linli')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="read, log and forward until told to stop",
        description="Read, log and forward until told to stop (Ctrl-C). Devices that the configuration says wrongly are"
        " left out, and named; exit 2 if it is wrong in anything else: linli-edge check tells why.",
    )
    _add_config(run)
    run.add_argument("--verbose", "-v", action="store_true", help="log what each part does")
    run.set_defaults(command=_run)

    check = commands.add_parser(
        "check",
        help="tell every mistake in a configuration, or what it would do",
        description="Tell every mistake in a configuration at once, or what it would do and how busy each line would"
        " be. Opens no port of a device.",
    )
    _add_config(check)
    check.set_defaults(command=_check)

    read = commands.add_parser(
        "read",
        help="poll once and print a table",
        description="Poll every device once and print a table. A serial line has one master: stop the gateway first.",
    )
    _add_config(read)
    read.add_argument("--device", metavar="D", help="this device only")
    read.add_argument("--lang", choices=("zh", "en"), help="language of titles (default: the locale's)")
    read.add_argument("--verbose", "-v", action="store_true", help="log what each part does")
    read.set_defaults(command=_read)

    write = commands.add_parser(
        "write",
        help="have the running gateway write a value into a device",
        description="Have the running gateway write a value into a device, and print what was read back. Off until "
        "[commands] in its configuration allows it. Exit 1 if it was not done, or nobody knows.",
    )
    _add_config(write)
    write.add_argument("point", metavar="POINT", help="such as cold-room-1/temperature_setpoint")
    write.add_argument("value", metavar="VALUE", help="a number, true, false, on, off, or a text")
    write.add_argument("--by", default="", metavar="NAME", help="who asks, for the record")
    write.add_argument("--wait", type=float, default=60.0, metavar="S", help="how long it may wait for the line")
    write.add_argument("--confirm", action="store_true", help="do not ask: confirm at once (for scripts)")
    write.add_argument("--lang", choices=("zh", "en"), help="language of what is told (default: the locale's)")
    write.set_defaults(command=_write)

    if command not in commands.choices:
        for module in [_FURTHER[command]] if command in _FURTHER else dict.fromkeys(_FURTHER.values()):
            importlib.import_module(module).add_arguments(commands)
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", type=Path, help="the gateway's TOML file")


def _config(args: argparse.Namespace) -> "GatewayConfig":
    from linli_edge.config.gateway import load_config  # noqa: PLC0415 - decode does without it

    return load_config(args.config)


def _log_to_stderr(level: int) -> None:
    # The journal stamps each line itself.
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(stream=sys.stderr, level=level, format=f"{stamp}%(levelname)s %(name)s: %(message)s")


def _run(args: argparse.Namespace) -> int:
    from linli_edge.config.gateway import load_config  # noqa: PLC0415 - decode does without it

    config = load_config(args.config, leave_out=True)
    from linli_edge import gateway  # noqa: PLC0415 - a wrong configuration is told before the rest is imported

    _log_to_stderr(logging.DEBUG if args.verbose else logging.INFO)
    try:
        asyncio.run(gateway.run(config))
    except LogError as exc:
        print(exc, file=sys.stderr)
        return FAILED
    return 0


def _check(args: argparse.Namespace) -> int:
    config = _config(args)
    from linli_edge.check import summary  # noqa: PLC0415 - only this command needs it

    print(summary(config))
    return 0


def _write(args: argparse.Namespace) -> int:
    config = _config(args)
    from linli_edge.commands import write  # noqa: PLC0415 - only this command needs it

    return write.run(config, args, language(args.lang))


def _read(args: argparse.Namespace) -> int:
    config = _config(args)
    from linli_edge import read  # noqa: PLC0415 - only this command needs it

    _log_to_stderr(logging.DEBUG if args.verbose else logging.ERROR)
    return read.run(config, args.device, language(args.lang))
