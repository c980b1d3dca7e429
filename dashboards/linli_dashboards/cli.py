"""``linli-boards``: the Grafana boards of this release."""

import argparse
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

BOARDS: Final[Mapping[str, str]] = {}
"""Title of each board, by its name."""


def main(argv: Sequence[str] | None = None, boards: Mapping[str, str] = BOARDS) -> int:
    """Run ``linli-boards`` and return its exit code."""
    parser = argparse.ArgumentParser(prog="linli-boards", description="The Grafana boards of this release.")
    parser.add_argument("--version", action="version", version=f"linli-boards {version('linli')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    commands.add_parser("list", help="print the boards in this release", description="Print the boards' names.")
    parser.parse_args(argv)
    if not boards:
        print("No boards in this release.")
    for name, title in boards.items():
        print(f"{name:<24} {title}")
    return 0
