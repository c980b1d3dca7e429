"""``linli-platform token``: a new secret, shown once, and what goes into ``tokens.toml``."""

import argparse

from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_platform.tokens import make_secret


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of ``linli-platform token``."""
    command.add_argument("name", metavar="NAME", help="who will bear it; the user, where a client wants one")
    command.add_argument("--writes-as", default="", metavar="GATEWAY", help="keep what it writes under this gateway id")
    command.add_argument(
        "--gateway", action="append", default=[], metavar="ID", help="it may see this gateway's devices"
    )
    command.add_argument("--area", action="append", default=[], metavar="ID", help="it may see this area's devices")
    command.add_argument("--everything", action="store_true", help="it may see whatever there is")


def run(args: argparse.Namespace) -> int:
    """Print secret and entry, and return the exit status."""
    for where, text in (("NAME", args.name), ("--writes-as", args.writes_as or "x")):
        if not is_id(text):
            raise ConfigError(where, f"{text[:80]!r} is no id", "use lower case, digits and hyphens, 63 at most")
    secret, digest = make_secret()
    reads = [f"everything = {str(args.everything).lower()}"] if args.everything else []
    reads += [f"{key} = {_listed(ids)}" for key, ids in (("gateways", args.gateway), ("areas", args.area)) if ids]
    lines = ["[[tokens]]", f'name = "{args.name}"', f'sha256 = "{digest}"']
    lines += [f'writes_as = "{args.writes_as}"'] if args.writes_as else []
    lines += [f"reads = {{ {', '.join(reads)} }}"] if reads else []
    print(f"# The secret, shown this once: {secret}")  # noqa: T201
    print("# Append what follows to the file that influx.tokens names (mode 600), and start the platform anew:")  # noqa: T201
    print("\n".join(lines))  # noqa: T201
    return 0


def _listed(ids: list[str]) -> str:
    for text in ids:
        if not is_id(text):
            raise ConfigError("--gateway, --area", f"{text[:80]!r} is no id", "use lower case, digits and hyphens")
    return "[" + ", ".join(f'"{text}"' for text in ids) + "]"
