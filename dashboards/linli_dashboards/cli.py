"""``linli-boards``: the Grafana boards of a community, made, checked and brought to a Grafana.

Exit status: 0 all is well; 1 something was found; 2 the command or what it was given is wrong.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

from linli_core.errors import LinliError
from linli_dashboards import build_command, check_command, provisioning_command, push_command, report_command

WRONG: Final = 2

COMMANDS: Final[tuple[Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None], ...]] = (
    build_command.add,
    check_command.add,
    push_command.add,
    provisioning_command.add,
    report_command.add,
)
"""What adds each command to the parser; it sets the default ``run`` to what the command does."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``linli-boards`` and return its exit code."""
    args = _parser().parse_args(argv)
    try:
        return int(args.run(args))
    except LinliError as exc:
        print(f"linli-boards: {exc}", file=sys.stderr)
        return WRONG


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="linli-boards", description="A community's Grafana boards.")
    parser.add_argument("--version", action="version", version=f"linli-boards {version('linli')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser
