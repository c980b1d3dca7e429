"""``linli-boards list``: which boards there are."""

import argparse
from collections.abc import Mapping
from typing import Final

BOARDS: Final[Mapping[str, str]] = {}
"""Title of each board, by its name."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "list", help="print the boards in this release", description="Print the boards' names."
    )
    parser.set_defaults(run=run)


def run(_args: argparse.Namespace, boards: Mapping[str, str] = BOARDS) -> int:
    """Print the boards' names."""
    if not boards:
        print("No boards in this release.")
    for name, title in boards.items():
        print(f"{name:<24} {title}")
    return 0
