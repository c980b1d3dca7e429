"""``linli-platform accounts``: where every reading went, for people and for scripts."""

import argparse
import json
from typing import Any, Final

from linli_core.catalogue import catalogue, text
from linli_platform.asking import ask
from linli_platform.config import Settings

UNEXPLAINED: Final = 1
"""Exit status where a reading is accounted for nowhere."""

_COLUMNS: Final = (
    "polled",
    "filtered",
    "refused_by_log",
    "logged",
    "accepted",
    "refused",
    "evicted",
    "under_way",
    "unexplained",
)


def add_arguments(commands: Any, common: Any) -> None:
    """Add the command to those of ``linli-platform``; ``common`` adds what every command has."""
    parser = commands.add_parser(
        "accounts",
        help="where every reading went, by gateway and day",
        description="Hold each gateway's book of readings against the platform's, to the reading. Exit 1 if one is "
        "accounted for nowhere.",
    )
    parser.add_argument("--gateway", metavar="G", default="", help="of this gateway only")
    parser.add_argument("--day", metavar="YYYY-MM-DD", default="", help="of this UTC day only")
    parser.add_argument("--json", action="store_true", help="as the API gives it")
    parser.add_argument("--lang", choices=("zh", "en"), default="en", help="language of the table")
    common(parser)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Ask the running platform, print, and return the exit status."""
    query = {name: value for name, value in (("gateway", args.gateway), ("day", args.day)) if value}
    found: list[dict[str, Any]] = ask(settings, "/accounts", **query)
    print(json.dumps(found) if args.json else table(found, args.lang))  # noqa: T201
    return UNEXPLAINED if any(line["unexplained"] for account in found for line in account["lines"]) else 0


def table(accounts: list[dict[str, Any]], lang: Any) -> str:
    """Return the accounts as a table with a line for each gateway and day."""
    if not accounts:
        return text("accounts.none", lang)
    head = [text("accounts.gateway", lang), text("accounts.day", lang)]
    head += [text(f"accounts.{name}", lang) for name in _COLUMNS]
    rows = [
        [account["gateway"], _day(line["day"], lang), *(str(line[name]) for name in _COLUMNS)]
        for account in accounts
        for line in account["lines"]
    ]
    widths = [max(_width(row[place]) for row in [head, *rows]) for place in range(len(head))]
    lines = [
        "  ".join(_padded(cell, widths[place], right=place > 1) for place, cell in enumerate(row)).rstrip()
        for row in [head, *rows]
    ]
    named = [name for account in accounts for line in account["lines"] for name in _named(account, line, lang)]
    return "\n".join([*lines, *([""] if named else []), *named])


def _named(account: dict[str, Any], line: dict[str, Any], lang: Any) -> list[str]:
    """Return in words why readings of one day are not stored."""
    words = catalogue(lang)
    said = {
        **{words.get(f"refusal.{name}", name): count for name, count in line["refused_by"].items()},
        **{words.get(f"accounts.cause.{name}", name): count for name, count in line["evicted_by"].items()},
        words["accounts.uncounted"]: line["evicted_uncounted"],
        words["accounts.later"]: line["later"],
    }
    where = f"{account['gateway']}  {_day(line['day'], lang)}"
    return [f"{where}  {name}: {count}" for name, count in said.items() if count]


def _day(day: str, lang: Any) -> str:
    return text(f"accounts.{day}", lang) if day in {"all", "earlier"} else day


def _width(cell: str) -> int:
    """Return columns of a terminal: a Chinese character takes two."""
    return sum(2 if ord(char) > 0x2E7F else 1 for char in cell)


def _padded(cell: str, width: int, *, right: bool) -> str:
    blank = " " * (width - _width(cell))
    return blank + cell if right else cell + blank
