"""``linli-edge write``: have the running gateway write one value, see what the device held and holds, confirm."""

import argparse
import asyncio
import sys
import uuid
from pathlib import Path
from typing import Final

from linli_core.catalogue import Language, text
from linli_core.errors import LinkError
from linli_core.instant import SECOND
from linli_core.wire.command import Argument, Command, Reply, value_of
from linli_edge.commands.local import ask
from linli_edge.config.gateway import GatewayConfig
from linli_edge.timekeeping import wall_clock

_FAILED: Final = 1


def run(config: GatewayConfig, args: argparse.Namespace, language: Language) -> int:
    """Write, ask whoever is there to confirm where that is wanted, and return the exit status.

    Raises:
        ConfigError: No running gateway takes commands here.
    """
    first = {"point": args.point, "value": value_of(args.value)}
    lifetime = round(args.wait * SECOND)
    try:
        reply = _said(config.data, "write", first, lifetime, args.by)
        if reply.result.get("state") == "to_be_confirmed":
            if not args.confirm and not _confirmed(args.point, first["value"], language):
                print(text("write.left", language))
                return _FAILED
            reply = _said(config.data, "confirm", {"code": str(reply.result["code"])}, lifetime, args.by)
    except LinkError as exc:
        print(exc, file=sys.stderr)
        return _FAILED
    print(show(args.point, reply, language))
    return 0 if reply.ok else _FAILED


def show(point: str, reply: Reply, language: Language) -> str:
    """Return what became of a write, for people."""
    unknown = text("write.unknown", language)
    before, after = (_shown(reply.result.get(key), unknown) for key in ("before", "after"))
    state = reply.result.get("state")
    if state == "done":
        return text("write.done", language, point=point, before=before, after=after)
    if state == "failed":
        return text("write.failed", language, point=point, before=before, after=after, error=reply.error)
    return text("write.refused", language, point=point, error=reply.error)


def _said(folder: Path, name: str, args: dict[str, Argument], lifetime: int, by: str) -> Reply:
    command = Command(name, args, wall_clock() + lifetime, by)
    return asyncio.run(ask(folder, uuid.uuid4().hex, command))


def _confirmed(point: str, value: Argument, language: Language) -> bool:
    """Ask whoever is at the terminal; nobody there, or an end of input, is a no."""
    word = text("write.yes", language)
    try:
        said = input(text("write.sure", language, point=point, value=_shown(value, ""), word=word))
    except EOFError:
        return False
    return said.strip().lower() in {word, "yes"}


def _shown(value: Argument | None, unknown: str) -> str:
    if value is None:
        return unknown
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
