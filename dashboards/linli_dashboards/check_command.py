"""``linli-boards check``: boards against Grafana's schema, and their queries against running platforms."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from linli_dashboards.errors import BoardError

FAILED: Final = 1


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "check",
        help="hold the boards against Grafana's schema, and ask every query",
        description="Hold every board against Grafana's schema, and ask every query of every panel, in both languages,"
        " of each platform given. Says what is wrong, and ends with one line of JSON. Exit 1 if anything is.",
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="check the files there (default: what is made now)")
    parser.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a running platform, by the name of its store; may be given several times",
    )
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds the token with which to ask (never on a command line)"
    )
    parser.add_argument("--empty", action="store_true", help="print too what came empty, and may")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, and return 1 if anything is wrong."""
    from linli_dashboards.asking import Platform  # noqa: PLC0415
    from linli_dashboards.build import made  # noqa: PLC0415 - Grafana's SDK takes half a second: not for --help
    from linli_dashboards.check.checking import check  # noqa: PLC0415

    token = _token(args.token_file)
    platforms = [Platform(url, token, name) for name, url in map(_place, args.at)]
    report = check(list(made()), args.folder, platforms, int(time.time()))
    for failure in report.failures:
        print(failure, file=sys.stderr)
    if args.empty:
        for line in report.empty:
            print(f"(may be) {line}", file=sys.stderr)
    print(json.dumps(report.as_dict()))
    return FAILED if report.failures else 0


def _place(given: str) -> tuple[str, str]:
    name, sign, url = given.partition("=")
    parts = urlsplit(url)
    if not (name and sign and parts.scheme in {"http", "https"} and parts.hostname):
        raise BoardError("--at", f"found {given!r}", "write NAME=URL, as in duckdb=http://127.0.0.1:8080")
    return name, url


def _token(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise BoardError(
            f"--token-file {path}", f"it cannot be read ({exc})", "name a file that holds a token"
        ) from exc
