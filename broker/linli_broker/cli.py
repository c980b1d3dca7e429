"""``linli-broker``: the MQTT broker of one installation."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import msgspec

from linli_broker.choose import choose
from linli_broker.engine import Plan
from linli_broker.serve import Broker
from linli_broker.settings import DEFAULT_ADDRESS, DEFAULT_DATA, EngineName, Listener, Settings, check, load
from linli_core.errors import LinliError


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``linli-broker`` and return its exit code."""
    args = _parser().parse_args(argv)
    try:
        if args.command == "render":
            return _render(args)
        return asyncio.run(_serve(args))
    except LinliError as exc:
        print(f"linli-broker: {exc}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="linli-broker", description="The MQTT broker between gateways and platform.")
    parser.add_argument("--version", action="version", version=f"linli-broker {version('linli')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    summaries = {
        "serve": "run a broker until told to stop: Mosquitto where it is installed, else the embedded one",
        "render": "print the files that serve would write for the engine, and start nothing",
    }
    for name, summary in summaries.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML (docs/operator.md)")
        command.add_argument(
            "--listen", action="append", metavar="HOST:PORT",
            help=f"address, instead of the file's listeners; may be repeated (default {DEFAULT_ADDRESS})",
        )  # fmt: skip
        command.add_argument(
            "--listen-v5", action="append", metavar="HOST:PORT",
            help="one more port, where the embedded broker speaks MQTT 5 (Mosquitto speaks both on every port)",
        )  # fmt: skip
        command.add_argument("--data", metavar="DIR", help=f"what the broker keeps (default {DEFAULT_DATA})")
        command.add_argument("--engine", choices=get_args(EngineName), help="default auto: Mosquitto if installed")
    return parser


def _settings(args: argparse.Namespace) -> Settings:
    """Return the file's settings with the command line's over them."""
    settings = load(args.config) if args.config else Settings()
    listeners = [Listener(address) for address in args.listen or ()] or list(settings.listeners)
    listeners += [Listener(address, mqtt="5") for address in args.listen_v5 or ()]
    settings = msgspec.structs.replace(
        settings,
        listeners=tuple(listeners),
        data=args.data or settings.data,
        engine=args.engine or settings.engine,
    )
    check(settings)
    return settings


def _plan(args: argparse.Namespace, settings: Settings, *, starts: bool = False) -> Plan:
    return choose(settings, args.config.absolute().parent if args.config else Path.cwd(), starts=starts)


def _render(args: argparse.Namespace) -> int:
    for path, text in _plan(args, _settings(args)).files.items():
        print(f"# {path}\n{text}")
    return 0


async def _serve(args: argparse.Namespace) -> int:
    settings = _settings(args)

    def say(line: str) -> None:
        print(f"linli-broker: {line}", file=sys.stderr, flush=True)

    plan = _plan(args, settings, starts=True)
    return await Broker(settings, plan, say, reread=lambda: _plan(args, _settings(args))).run()
