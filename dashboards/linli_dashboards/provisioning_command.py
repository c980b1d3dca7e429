"""``linli-boards provisioning``: files for a Grafana that is run from files."""

import argparse
from pathlib import Path

from linli_core.errors import ConfigError
from linli_dashboards.provisioning import write


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "provisioning",
        help="write files for Grafana's own provisioning",
        description="Write files for Grafana's own provisioning: FOLDER/{zh,en}/{datasources,dashboards}/.",
    )
    parser.add_argument("folder", type=Path, help="where to")
    parser.add_argument(
        "--for",
        dest="database",
        choices=("influxdb", "victoriametrics"),
        default="",
        help="for boards that ask this database itself: linli-boards build --for",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files."""
    try:
        count = write(args.folder, args.database)
    except OSError as exc:
        raise ConfigError(str(args.folder), f"cannot be written ({exc.strerror})", "name a folder of yours") from exc
    print(f"{count} files in {args.folder}")
    return 0
