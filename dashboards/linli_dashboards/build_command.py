"""``linli-boards build`` and ``list``: the boards as files."""

import argparse
from pathlib import Path
from typing import Final

from linli_core.catalogue import LANGUAGES, text
from linli_dashboards.errors import BoardError

CONSOLE: Final = "http://127.0.0.1:8080"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to a parser."""
    listed = commands.add_parser("list", help="print the boards", description="Print the boards' names and titles.")
    listed.add_argument("--lang", choices=LANGUAGES, default="en", help="language of the titles (default en)")
    listed.set_defaults(run=run_list)
    build = commands.add_parser(
        "build",
        help="write the boards as Grafana's JSON",
        description="Write every board in Chinese and English as Grafana's JSON: FOLDER/{zh,en}/<uid>.json.",
    )
    build.add_argument("folder", type=Path, help="where to")
    build.add_argument(
        "--console", metavar="URL", default=CONSOLE, help=f"where links to the console lead (default {CONSOLE})"
    )
    build.add_argument(
        "--for",
        dest="database",
        choices=("influxdb", "victoriametrics"),
        help="ask this database itself, with no platform in between: no areas, alarms or books, and no caller's sight",
    )
    build.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the boards."""
    # Grafana's SDK takes half a second to import: not for --help.
    from linli_dashboards.build import made, write  # noqa: PLC0415
    from linli_dashboards.direct import DATABASES  # noqa: PLC0415

    console = args.console.rstrip("/")
    if not console.startswith(("http://", "https://")):
        raise BoardError("--console", f"found {args.console!r}", "give an address that begins with http:// or https://")
    try:
        count = write(made(console=console, dialect=DATABASES.get(args.database)), args.folder)
    except OSError as exc:
        raise BoardError(str(args.folder), f"it cannot be written ({exc})", "name a folder of yours") from exc
    print(f"{count} boards in {args.folder}")
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Print names and titles."""
    from linli_dashboards.boards import BOARDS  # noqa: PLC0415

    for board in BOARDS:
        print(f"{board.name:<16} {text(f'board.{board.name}.title', args.lang)}")
    return 0
