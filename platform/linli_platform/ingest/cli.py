"""``linli-platform quarantine``: messages that could not be stored; look at them, try them again, or let them go."""

import argparse
import base64
from typing import Any

from linli_core.errors import ConfigError
from linli_platform.asking import ask
from linli_platform.config import Settings


def add_arguments(commands: Any, common: Any) -> None:
    """Add the command to those of ``linli-platform``; ``common`` adds what every command has."""
    quarantine = commands.add_parser("quarantine", help="messages that could not be stored")
    actions = quarantine.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="print them, newest first")
    listing.add_argument("--gateway", metavar="G", help="of this gateway only")
    show = actions.add_parser("show", help="print one whole")
    replay = actions.add_parser("replay", help="try one again, or all of them, by today's rules")
    replay.add_argument("--all", action="store_true", help="all of them, oldest first")
    discard = actions.add_parser("discard", help="let one go; its line in the loss ledger stays")
    show.add_argument("number", type=int, metavar="N")
    replay.add_argument("number", type=int, metavar="N", nargs="?")
    discard.add_argument("number", type=int, metavar="N")
    for action in (listing, show, replay, discard):
        common(action)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Ask the running platform; return the exit code: 1 where something is still refused."""
    if args.action == "list":
        for item in _list(settings, args.gateway):
            print(f"{item['number']}  {item['received_at']}  {item['gateway']}  {item['reason']}  {item['size']} bytes")
        return 0
    if args.action == "show":
        item = ask(settings, f"/quarantine/{args.number}")
        payload = base64.b64decode(item["payload"])
        print(f"{item['gateway']} {item['epoch']}/{item['seq']}: {item['reason']}, received {item['received_at']}")
        print(payload.decode() if _is_text(payload) else payload.hex())
        return 0
    if args.action == "discard":
        ask(settings, f"/quarantine/{args.number}", method="DELETE")
        print(f"{args.number} is let go; the loss ledger keeps its line")
        return 0
    return _replay(args, settings)


def _replay(args: argparse.Namespace, settings: Settings) -> int:
    if (args.number is None) is not args.all:
        raise ConfigError("quarantine replay", "neither or both of N and --all", "give the number of one, or --all")
    numbers = [args.number]
    if args.all:
        numbers = sorted(item["number"] for item in _list(settings, None))
    left = 0
    for number in numbers:
        done = ask(settings, f"/quarantine/{number}/replay", method="POST")
        said = f"{number}: {done['readings']} readings and {done['events']} events stored, {done['known']} known"
        if done["refused"]:
            left += 1
            said += f"; still refused: {done['refused'][0]}"
        print(said)
    return 1 if left else 0


def _list(settings: Settings, gateway: str | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(settings, "/quarantine", gateway=gateway or "", limit=1_000)
    return found


def _is_text(payload: bytes) -> bool:
    try:
        return payload.decode().isprintable()
    except UnicodeDecodeError:
        return False
