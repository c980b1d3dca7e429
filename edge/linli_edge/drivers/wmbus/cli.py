"""``linli-edge wmbus listen``: which meters a receiver hears, and lines to copy for those that nobody reads yet."""

import argparse
import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.codecs.mbus import Identity
from linli_core.errors import ConfigError, LinkError
from linli_core.instant import Instant, to_rfc3339
from linli_edge.config.gateway import load_config
from linli_edge.drivers.wmbus.driver import open_link
from linli_edge.drivers.wmbus.hearing import whole_number
from linli_edge.drivers.wmbus.memory import HeardMeter
from linli_edge.drivers.wmbus.settings import LinkSettings
from linli_edge.listing import listing
from linli_edge.telegrams.phrases import translate

DRIVER: Final = "wmbus"
_MINUTES: Final = 5.0
_LONGEST: Final = 24 * 60.0
_JSON: Final = msgspec.json.Encoder()


def add_arguments(subparsers: Any) -> None:
    """Add the command's parser to those of ``linli-edge``."""
    parser = subparsers.add_parser("wmbus", help="radio meters: which ones are heard")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listen = actions.add_parser(
        "listen",
        help="print every meter heard, and lines to copy into the configuration",
        description="Print every meter heard, and lines to copy into the configuration. Takes the receiver from the "
        "configuration.",
    )
    listen.add_argument("config", metavar="CONFIG", type=Path, help="the gateway's TOML file")
    listen.add_argument("--link", metavar="L", help="this link only")
    listen.add_argument(
        "--minutes", type=_minutes, default=_MINUTES, help="how long (default: %(default)g); many meters send rarely"
    )
    listen.add_argument("--json", action="store_true", help="one JSON object a line")
    listen.add_argument("--lang", choices=("zh", "en"), help="language (default: the locale's)")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Listen and print; 1 if nothing was heard."""
    from linli_edge.cli import language  # noqa: PLC0415 - cli imports this module

    lang = language(args.lang)
    links = [
        (link.id, link.config)
        for link in load_config(args.config).links
        if link.spec.name == DRIVER and args.link in {None, link.id}
    ]
    if not links:
        raise ConfigError(str(args.config), "no such link has driver wmbus", 'add one: driver = "wmbus"')
    if not args.json:
        print(text("wmbus.listening", lang, count=len(links), minutes=f"{args.minutes:g}"), flush=True)
    heard = 0
    for (name, settings), trouble in zip(links, asyncio.run(_all(links, args.minutes * 60)), strict=True):
        heard += len(settings.memory.heard)
        if args.json:
            _print_json(name, settings)
            continue
        if trouble:
            print(f"{name}: {trouble}")
        _print(settings, lang)
    return 0 if heard else 1


async def _all(links: Sequence[tuple[str, LinkSettings]], seconds: float) -> list[str]:
    """Listen to all links at once and return what was wrong with each."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(listen(settings, seconds), name=f"listen.{name}") for name, settings in links]
    return [task.result() for task in running]


async def listen(settings: LinkSettings, seconds: float) -> str:
    """Listen for a time, or until the receiver ends; return what was wrong, empty if nothing was.

    What was heard is in the settings' memory.
    """
    try:
        async with open_link(settings, _now) as driver:
            broken = await driver.until_broken(seconds)
    except LinkError as exc:
        return str(exc)
    return str(broken or "")


def _print(settings: LinkSettings, lang: Language) -> None:
    wanted = {device.meter.number.upper(): device.device for device in settings.devices}
    found = sorted(settings.memory.heard.values(), key=lambda meter: -meter.count)
    if found:
        columns = ("number", "maker", "medium", "signal", "telegrams", "protection", "device")
        head = tuple(text(f"wmbus.{column}", lang) for column in columns)
        rows = [
            (
                meter.identity.number,
                meter.identity.manufacturer,
                translate(meter.identity.medium_name, "mbus", lang),
                "" if meter.rssi is None else f"{meter.rssi:g} dBm",
                str(meter.count),
                _protection(meter, lang),
                wanted.get(meter.identity.number, ""),
            )
            for meter in found
        ]
        print(listing(head, rows, right=(3, 4)))
    print(text("wmbus.count", lang, count=len(found)))
    if new := [meter.identity for meter in found if meter.identity.number not in wanted]:
        print(text("wmbus.copy", lang))
        for identity in new:
            print(f'\n[[links.devices]]\nid = "{_suggested(identity)}"\nmeter = "{whole_number(identity)}"')


def _protection(meter: HeardMeter, lang: Language) -> str:
    if meter.key_errors:
        return text("wmbus.needs_key", lang, how=meter.protection or text("wmbus.private", lang))
    if meter.private:
        return text("wmbus.private", lang)
    return meter.protection


def _print_json(name: str, settings: LinkSettings) -> None:
    for meter in settings.memory.heard.values():
        identity = meter.identity
        item = {
            "link": name,
            "meter": whole_number(identity),
            "number": identity.number,
            "manufacturer": identity.manufacturer,
            "version": identity.version,
            "medium": identity.medium_name,
            "telegrams": meter.count,
            "last": to_rfc3339(meter.last),
            "rssi": meter.rssi,
            "protection": meter.protection,
            "key_errors": meter.key_errors,
            "layout": meter.layout,
            "private": meter.private,
        }
        print(_JSON.encode(item).decode())


def _suggested(identity: Identity) -> str:
    kind = identity.medium_name.split("(")[0].strip().replace(" ", "-").replace("/", "-").lower()
    return f"{kind or 'meter'}-{identity.number.lower()}"


def _minutes(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = -1
    if not 0 < number <= _LONGEST:
        raise argparse.ArgumentTypeError(f"write minutes, up to {_LONGEST:g}")
    return number


def _now() -> Instant:
    return time.time_ns() // 1000
