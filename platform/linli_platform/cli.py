"""``linli-platform``: the central half of one installation."""

import argparse
import asyncio
import gc
import logging
import re
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import ConfigError, LinliError
from linli_core.settings import parse_toml
from linli_platform import accounts, command, new_token
from linli_platform.alarms import cli as rules
from linli_platform.backup import cli as backup
from linli_platform.config import (
    DEFAULT_DATA,
    DEFAULT_LISTEN,
    ApiSettings,
    MqttSettings,
    Settings,
    check,
    convert,
    load,
    split_address,
)
from linli_platform.exchange import cli as exchange
from linli_platform.ingest import cli as quarantine
from linli_platform.registry import Registry
from linli_platform.registry.declaration import Declaration, apply

_COLLECTED_AFTER: Final = 20_000
"""Objects made, and not gone by themselves, after which cycles are looked for. A batch holds thousands of them for a
moment: with Python's own 700 all that lives was gone through again every few seconds."""

_log = logging.getLogger("linli_platform")


_BACK: Final = re.compile(r"-\d+[a-z]+", re.ASCII)
"""So long back from now, as an option's value; argparse would take it for an option."""


def _joined(argv: Sequence[str]) -> list[str]:
    """Return arguments with times back from now, such as ``-30d``, in one with the option they are the value of."""
    found: list[str] = []
    for argument in argv:
        if _BACK.fullmatch(argument) and found and found[-1] in {"--from", "--to"}:
            found[-1] = f"{found[-1]}={argument}"
        else:
            found.append(argument)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``linli-platform`` and return its exit code: 0 done, 1 a fault, 2 something to correct."""
    args = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        if args.command == "token":
            return new_token.run(args)
        settings = _settings(args)
        actions = {
            "registry": _registry,
            "command": command.run,
            "quarantine": quarantine.run,
            "accounts": accounts.run,
            "rules": rules.run,
            "export": exchange.run,
            "import": exchange.run,
        }
        if (action := actions.get(args.command)) is not None:
            return action(args, settings)
        if args.command in backup.COMMANDS:
            return backup.run(args, settings)
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        for noisy in ("alembic", "uvicorn"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        return asyncio.run(_serve(settings))
    except LinliError as exc:
        print(f"linli-platform: {exc}", file=sys.stderr)
        return 2
    except Exception:  # noqa: BLE001
        # The one place: a fault ends the process with its trace, and whoever supervises it starts it again.
        _log.exception("the platform ends: a fault in it")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linli-platform", description="Stores readings, raises alarms, serves API and pages."
    )
    parser.add_argument("--version", action="version", version=f"linli-platform {version('linli')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve = commands.add_parser("serve", help="run the platform until told to stop", description="Run the platform.")
    _common(serve)
    serve.add_argument("--mqtt", metavar="HOST:PORT", help="the broker (default 127.0.0.1:1883)")
    share = "take one share of the gateways: 3/8 is the third of eight workers"
    serve.add_argument("--shard", metavar="N/OF", help=share)
    serve.add_argument("--listen", metavar="HOST:PORT", help=f"API and pages (default {DEFAULT_LISTEN})")
    registry = commands.add_parser("registry", help="declare, accept, retire and list gateways and devices")
    actions = registry.add_subparsers(dest="action", metavar="ACTION", required=True)
    load_file = actions.add_parser(
        "import",
        help="write what a registry.toml declares",
        description="Write what a registry.toml declares into the registry.",
    )
    load_file.add_argument("file", type=Path, metavar="FILE")
    listing = actions.add_parser(
        "list",
        help="print gateways and devices with their state",
        description="Print gateways and devices with their state: pending, active or retired.",
    )
    accept = actions.add_parser(
        "accept",
        help="put a pending gateway with its devices, or one device, to work",
        description="Put a pending gateway with its devices, or one device, to work.",
    )
    retire = actions.add_parser(
        "retire",
        help="take a gateway, or one device, out",
        description="Take a gateway, or one device, out: its alarms are settled; what it still sends is judged.",
    )
    for action in (accept, retire):
        action.add_argument("gateway", metavar="GATEWAY")
        action.add_argument("device", metavar="DEVICE", nargs="?")
    for action in (load_file, listing, accept, retire):
        _common(action)
    write = commands.add_parser(
        "command",
        help="have a gateway write a value into a device",
        description="Have a gateway write a value into a device, and wait for what was read back. The gateway must "
        "allow it (docs/operator.md). Exit 1 if it was not done, or nobody knows.",
    )
    command.add_arguments(write)
    _common(write)
    token = commands.add_parser(
        "token",
        help="make a token for who writes or asks as at InfluxDB",
        description="Make a token for a program that writes line protocol or asks as at InfluxDB (Telegraf, Grafana).",
    )
    new_token.add_arguments(token)
    quarantine.add_arguments(commands, _common)
    accounts.add_arguments(commands, _common)
    rules.add_arguments(commands, _common)
    exchange.add_arguments(commands, _common)
    backup.add_arguments(commands, _common)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML (docs/operator.md)")
    parser.add_argument("--data", metavar="DIR", help=f"folder of store and registry (default {DEFAULT_DATA})")


def _settings(args: argparse.Namespace) -> Settings:
    """Return the file's settings with the command line's over them."""
    settings = load(args.config) if args.config else Settings()
    if args.data:
        settings = msgspec.structs.replace(settings, data=args.data)
    if getattr(args, "mqtt", None):
        host, port = split_address(args.mqtt, "--mqtt")
        mqtt: MqttSettings = msgspec.structs.replace(settings.mqtt, host=host, port=port)
        settings = msgspec.structs.replace(settings, mqtt=mqtt)
    if getattr(args, "listen", None):
        api: ApiSettings = msgspec.structs.replace(settings.api, listen=args.listen)
        settings = msgspec.structs.replace(settings, api=api)
    if getattr(args, "shard", None):
        ingest = msgspec.structs.replace(settings.ingest, shard=args.shard)
        settings = msgspec.structs.replace(settings, ingest=ingest)
    check(settings)
    return settings


async def _serve(settings: Settings) -> int:
    # Half of the start-up time is the web framework's, which the registry's commands need not wait for.
    from linli_platform.service import Platform  # noqa: PLC0415

    async with Platform(settings) as platform:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, platform.stop)
        # Programs and tables that stay for good: gone through again and again, they held up each alarm of that moment.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_COLLECTED_AFTER, 10, 10)
        await platform.run(ready=lambda: print(f"linli-platform: ready on {platform.url}", flush=True))
    return 0


def _registry(args: argparse.Namespace, settings: Settings) -> int:
    settings.registry_path.parent.mkdir(parents=True, exist_ok=True)
    with Registry(settings.registry_path) as registry:
        if args.action == "import":
            declaration = _declaration(args.file)
            apply(declaration, registry)
            devices = sum(len(gateway.devices) for gateway in declaration.gateways)
            print(f"{len(declaration.areas)} areas, {len(declaration.gateways)} gateways, {devices} devices")
        elif args.action == "accept":
            registry.accept(args.gateway, args.device)
        elif args.action == "retire":
            registry.retire(args.gateway, args.device)
        else:
            gateways = registry.gateways()
            if not gateways:
                place = settings.registry_path
                print(
                    f"linli-platform: {place} knows no gateway yet; is --data right? One appears when it connects",
                    file=sys.stderr,
                )
            for gateway in gateways:
                print(f"{gateway.id}  {gateway.state}")
                for device in registry.devices(gateway.id):
                    print("  ".join(("", device.id, device.state, device.kind, *device.tags)).rstrip())
    return 0


def _declaration(path: Path) -> Declaration:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            str(path), f"cannot be read ({getattr(exc, 'strerror', None) or exc})", "check the path and its permissions"
        ) from exc
    return convert(parse_toml(text, str(path)), Declaration)


if __name__ == "__main__":
    sys.exit(main())
