"""``linli-edge swap``: enter a meter that was exchanged."""

import argparse
import getpass
import re
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_core.model import Kind, parse_point
from linli_core.units import UnitError
from linli_core.vocabulary import vocabulary
from linli_edge.registers.swap import Swap, hand_over
from linli_edge.timekeeping import wall_clock

if TYPE_CHECKING:
    from linli_edge.config.gateway import GatewayConfig

_PATIENCE_S: Final = 10.0
_LOOK_S: Final = 0.2
_VALUE: Final = re.compile(r"(?P<name>[a-z0-9_.]+)=(?P<number>-?\d+(?:\.\d+)?) ?(?P<unit>[A-Za-z]\w*)?", re.ASCII)
_EXAMPLE: Final = "write one such as energy_import=1234.5kWh"


def add_arguments(subparsers: Any) -> None:
    """Add the command's parser to those of ``linli-edge``."""
    parser = subparsers.add_parser(
        "swap",
        help="enter a meter that was exchanged",
        description="Enter a meter that was exchanged. Values are in the vocabulary's unit (Wh, m3), or say theirs: "
        "energy_import=1234.5kWh.",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="the gateway's TOML file")
    parser.add_argument("device", metavar="DEVICE", help="its id, which the new meter takes over")
    for option, what in (("--old-final", "what the old one showed last"), ("--new-start", "what the new one shows")):
        parser.add_argument(
            option, metavar="POINT=VALUE", action="append", default=[], help=f"{what}; for each register"
        )
    parser.add_argument("--old-serial", metavar="NUMBER", default="", help="printed on the old one")
    parser.add_argument("--new-serial", metavar="NUMBER", default="", help="printed on the new one")
    parser.add_argument("--by", metavar="NAME", default="", help="who did it (default: the user)")
    parser.add_argument("--lang", choices=("zh", "en"), help="language (default: the locale's)")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Hand the swap to the gateway and wait until it is recorded; return the exit code."""
    from linli_edge.cli import language  # noqa: PLC0415 - cli imports this module
    from linli_edge.config.gateway import load_config  # noqa: PLC0415 - a heavy import, for this command only

    lang = language(args.lang)
    config = load_config(args.config)
    swap = swap_of(args, config)
    print(_shown(swap, lang))
    path = hand_over(config.data, swap)
    end = time.monotonic() + _PATIENCE_S
    while path.exists() and time.monotonic() < end:
        time.sleep(_LOOK_S)
    print(text("swap.waits" if path.exists() else "swap.recorded", lang))
    return 0


def swap_of(args: argparse.Namespace, config: "GatewayConfig") -> Swap:
    """Return the swap a command line tells; raise :class:`ConfigError` where it makes no sense."""
    if args.device not in config.registers.devices:
        known = ", ".join(sorted(config.registers.devices))
        raise ConfigError("DEVICE", f'no device is called "{args.device}"', f"known: {known}")
    if not args.old_final and not args.new_start:
        raise ConfigError("swap", "no value of either meter", "give --old-final and --new-start for each register")
    return Swap(
        args.device,
        wall_clock(),
        args.by or getpass.getuser(),
        dict(_value(word, args.device, "--old-final") for word in args.old_final),
        dict(_value(word, args.device, "--new-start") for word in args.new_start),
        args.old_serial,
        args.new_serial,
    )


def _value(word: str, device: str, where: str) -> tuple[str, float]:
    match = _VALUE.fullmatch(word)
    if match is None:
        raise ConfigError(where, f'"{word}" is no register and its value', _EXAMPLE)
    name, number, unit = match["name"], Decimal(match["number"]), match["unit"]
    words = vocabulary()
    try:
        quantity = words[parse_point(f"{device}/{name}").quantity]
    except (ValueError, KeyError):
        raise ConfigError(where, f'"{name}" is no point', _EXAMPLE) from None
    if quantity.kind is not Kind.COUNTER:
        raise ConfigError(where, f"{name} is no cumulative register", "leave it out")
    try:
        return name, float(words.convert(quantity.name, number, unit) if unit else number)
    except UnitError as exc:
        raise ConfigError(where, f'"{unit}" is no unit of {name} ({exc})', f"such as {quantity.unit}") from exc


def _shown(swap: Swap, lang: Language) -> str:
    lines = [text("swap.title", lang, device=swap.device, by=swap.by)]
    for key, serial, values in (
        ("swap.old", swap.old_serial, swap.old_final),
        ("swap.new", swap.new_serial, swap.new_start),
    ):
        lines.append(text(key, lang, serial=serial or text("swap.no_serial", lang)))
        for name, value in values.items():
            quantity = vocabulary()[parse_point(f"{swap.device}/{name}").quantity]
            lines.append(f"  {quantity.titles[lang]} ({name}): {value:.10g} {quantity.unit or ''}".rstrip())
    return "\n".join(lines)
