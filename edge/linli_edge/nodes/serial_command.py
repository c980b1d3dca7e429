"""``linli-edge node flash``, ``provision``, ``reset``, ``logs``, ``update --port``: what is done at a cable."""

import argparse
import getpass
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_edge.commissioning.progress import Progress
from linli_edge.durable_file import write_durably
from linli_edge.nodes import node_labels, passphrase, report, updating
from linli_edge.nodes.bench import Made
from linli_edge.nodes.build import read_key
from linli_edge.nodes.configuration import Written, read_configuration, with_wifi, written
from linli_edge.nodes.flashing import flash, read_image
from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.keys import KEYS, UPDATE_KEY, KeyFolder
from linli_edge.nodes.phrases import explained
from linli_edge.nodes.pins import kinds_for, least_unfit, refuse
from linli_edge.nodes.planned import Planned
from linli_edge.nodes.provisioning import KEYS_FOLDER, bundle, name_of, provision, shared_key, wipe
from linli_edge.nodes.serial_board import WAIT_S, Facts, SerialBoard, follow, only_port
from linli_edge.nodes.shared import SharedKeys
from linli_edge.nodes.trouble import BoardTrouble
from linli_edge.nodes.waking import NAMES

FAILED: Final = 1
BUILT: Final = Path("build/node")
LABELS: Final = Path("labels")
_KB: Final = 1024


def add_arguments(kinds: Any) -> None:
    """Add what is done to a board at a cable to ``linli-edge node``."""
    flashing = kinds.add_parser(
        "flash",
        help="put the program onto a board at a USB cable",
        description="Put loader, libraries and program onto a board that runs MicroPython, and start it. What is there"
        " already is not sent again; the board's configuration, keys and log stay. Give the same command again if it"
        " broke off. A board without a configuration opens a Wi-Fi of its own; its passphrase is on the label that is"
        " written into --labels, and is shown nowhere else.",
    )
    _add_labels(flashing)
    _add_port(flashing)
    flashing.add_argument("--build", type=Path, default=BUILT, metavar="DIR", help="what was built")
    flashing.set_defaults(command=_flash)

    provisioning = kinds.add_parser(
        "provision",
        help="give a board its name, its configuration and its keys",
        description="Write a node's configuration and keys onto a board that was flashed, read back what it holds, and"
        " start it. A board that has another name, and a name that another board has, are refused. Passwords and keys"
        " go over the cable only.",
    )
    provisioning.add_argument("node", metavar="NODE", help="the node's id")
    _add_port(provisioning)
    _add_labels(provisioning)
    provisioning.add_argument("--config", type=Path, required=True, metavar="FILE", help="JSON or TOML")
    provisioning.add_argument("--keys", type=Path, default=KEYS, metavar="DIR", help=f"where keys are (default {KEYS})")
    provisioning.add_argument("--gateway", metavar="HOST", help="the address of the gateway")
    provisioning.add_argument("--wifi", metavar="SSID", help="a network to try first; its password is asked for")
    provisioning.add_argument("--password-file", type=Path, metavar="FILE", help="holds the password")
    provisioning.add_argument(
        "--replace", action="store_true", help="take over a board of another name (its log is wiped), or a name"
    )
    provisioning.add_argument(
        "--file", type=Path, metavar="FILE", help="write it for the page that a board shows a phone at its first start"
    )
    provisioning.set_defaults(command=_provision)

    resetting = kinds.add_parser(
        "reset",
        help="take name, configuration and keys off a board",
        description="Make a node a board again that was only flashed: without name, configuration and keys, and without"
        " what it has not delivered yet. It opens its own Wi-Fi, under the passphrase of its label.",
    )
    resetting.add_argument("node", metavar="NODE", help="the name that the board has")
    _add_port(resetting)
    resetting.add_argument("--keys", type=Path, default=KEYS, metavar="DIR", help=f"where keys are (default {KEYS})")
    resetting.set_defaults(command=_reset)

    logs = kinds.add_parser(
        "logs",
        help="tell what a node at a USB cable holds and says",
        description="Tell a node's health, the last error it ended with, and what it has not delivered yet; it is"
        " stopped for some seconds, and starts again. With --follow: what it says by itself, until Ctrl-C.",
    )
    _add_port(logs)
    logs.add_argument("--last", type=int, default=20, metavar="N", help="so many undelivered records (default 20)")
    logs.add_argument("--follow", action="store_true", help="listen to what it says, and explain it")
    logs.set_defaults(command=_logs)


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="PORT", help="such as /dev/ttyACM0 (default: the only one there is)")
    parser.add_argument("--wait", type=float, default=WAIT_S, metavar="S", help="seconds to wait for the board")
    parser.add_argument("--lang", choices=("zh", "en"), help="language of what is told (default: the locale's)")


def _add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--labels", type=Path, default=LABELS, metavar="DIR", help=f"where the board's label goes (default {LABELS})"
    )


def named(node: str) -> str:
    """Return a node's id; raise :class:`ConfigError` for what is none."""
    if not is_id(node):
        raise ConfigError("NODE", f"{node!r} is no id of a node", "write lower case, digits and hyphens, 63 at most")
    return node


def at_board(work: Callable[[argparse.Namespace, Language], int]) -> Callable[[argparse.Namespace], int]:
    """Return a command that tells what is wrong with a board in the reader's language."""

    def command(args: argparse.Namespace) -> int:
        from linli_edge.cli import language  # noqa: PLC0415 - it imports this

        lang = language(args.lang)
        try:
            return work(args, lang)
        except BoardTrouble as trouble:
            print(trouble.told(lang), file=sys.stderr)
            return FAILED

    return command


def connected(args: argparse.Namespace, lang: Language) -> SerialBoard:
    """Return the board that a command is about, and tell which it is."""
    board = SerialBoard.connect(args.port or only_port(), args.wait)
    print(introduced(board.port, board.facts, lang))
    return board


def introduced(port: str, facts: Facts, lang: Language) -> str:
    """Return what a board is, for people."""
    return text("node.cable.flashing", lang, port=port, machine=facts.machine, release=facts.release, uid=facts.uid)


def sending(progress: Progress, lang: Language) -> Callable[[int, int], None]:
    """Return what tells how much of a program is on the board."""

    def said(done: int, size: int) -> None:
        words = text("node.cable.sending", lang, done=done // _KB, size=size // _KB)
        progress.say(words, time.monotonic_ns() // 1000)

    return said


@at_board
def _flash(args: argparse.Namespace, lang: Language) -> int:
    image = read_image(args.build)
    begun, progress = time.monotonic(), Progress(sys.stderr)
    with connected(args, lang) as board:
        try:
            sent = flash(board, image, sending(progress, lang))
        finally:
            progress.clear()
        node, secret = name_of(board), passphrase.settled(board)
        board.restart()
    manifest = image.manifest
    print(
        text(
            "node.cable.flashed", lang, port=board.port, number=manifest.number, version=manifest.version, sent=sent,
            files=len(image.files), seconds=f"{time.monotonic() - begun:.0f}",
        )
    )  # fmt: skip
    _write_label(args.labels, Planned(node if is_id(node) else "", "", (), b""), board.facts, secret, lang)
    print(text("node.cable.next_provision", lang, port=board.port))
    return 0


@at_board
def _provision(args: argparse.Namespace, lang: Language) -> int:
    node, config = named(args.node), read_configuration(args.config)
    if args.gateway:
        config = {**config, "gateway": {**_table(config, "gateway"), "host": args.gateway}}
    if args.wifi:
        config = with_wifi(config, args.wifi, password(args.wifi, args.password_file, lang))
    whole = written(config, node, str(args.config))
    shared = SharedKeys(args.keys)
    public = read_key(args.keys / UPDATE_KEY).public_key().public_bytes_raw()
    identity, given = KeyFolder(args.keys).issue(node), GivenNames(args.keys)
    if args.file is not None:
        _refuse_given(args, given)
        _tell_kinds(whole, str(args.config), lang)
        key = shared_key(shared, node, whole.content, fresh=args.replace)
        return _write_bundle(args, bundle(whole.content, identity, public, key), lang)
    with connected(args, lang) as board:
        refuse(str(args.config), whole.pins, whole.waking, board.facts.kind)
        digest = provision(board, node, whole.content, identity, public, given, shared, replace=args.replace)
        secret = passphrase.settled(board)
        board.restart()
    print(text("node.cable.provisioned", lang, node=node, uid=board.facts.uid, digest=digest[:16]))
    if shared.exists and whole.power == "battery":
        way = "shared" if board.facts.shares_keys else "not_shared"
        print(text(f"node.cable.{way}", lang, node=node, release=board.facts.release, file=shared.path))
    kinds = tuple(str(sensor["kind"]) for sensor in config["sensors"])
    _write_label(args.labels, Planned(node, "", kinds, whole.content), board.facts, secret, lang)
    print(text("node.cable.declare", lang))
    print(declared({node: board.facts.uid}))
    return 0


@at_board
def _reset(args: argparse.Namespace, lang: Language) -> int:
    node, given, shared = named(args.node), GivenNames(args.keys), SharedKeys(args.keys)
    with connected(args, lang) as board:
        held = name_of(board)
        # Without a name it was cut off in the middle of this.
        if held not in {node, "", "?"}:
            raise BoardTrouble("not_this", board.port, node=held, wanted=node)
        wipe(board)
        board.remove(KEYS_FOLDER)
        if given.board_of(node) in {"", board.facts.uid}:
            shared.take_off(node)
        given.take_back(board.facts.uid)
        board.restart()
    print(text("node.cable.reset", lang, node=node, uid=board.facts.uid))
    return 0


def _tell_kinds(whole: Written, where: str, lang: Language) -> None:
    """Tell for which kinds of boards a file is; refuse what is for none."""
    if not (able := kinds_for(whole.pins)):
        refuse(where, whole.pins, whole.waking, least_unfit(whole.pins))
    for told, kinds in (("node.unfit.only", able), ("node.deaf.only", kinds_for(waking=whole.waking))):
        if len(kinds) < len(NAMES):
            print(text(told, lang, boards=", ".join(NAMES[kind] for kind in kinds)))


def _refuse_given(args: argparse.Namespace, given: GivenNames) -> None:
    if not args.replace and (holder := given.board_of(args.node)):
        raise BoardTrouble("name_given", str(args.file), node=args.node, board=holder)


def _write_bundle(args: argparse.Namespace, content: bytes, lang: Language) -> int:
    try:
        write_durably(args.file, content, mode=0o600)
    except OSError as exc:
        raise ConfigError("--file", f"{args.file} cannot be written: {exc}", "give one that you may write") from exc
    print(text("node.cable.bundle", lang, node=args.node, file=args.file))
    print(text("node.cable.declare", lang))
    print(declared({args.node: ""}))
    return 0


def _write_label(folder: Path, planned: Planned, facts: Facts, secret: str, lang: Language) -> None:
    """Write the label of one board, to be printed: nobody but who made it may read what is on it."""
    made = Made(facts.uid, planned.node, facts.kind, passphrase=secret)
    file = folder / f"{facts.uid}.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(file, node_labels.as_html([node_labels.label_of(planned, made, lang)], lang).encode(), mode=0o600)
    except OSError as exc:
        raise ConfigError(str(file), f"cannot be written: {exc}", "give --labels that you may write") from exc
    print(text("node.cable.label", lang, file=file))


def _table(config: dict[str, Any], key: str) -> dict[str, Any]:
    found = config.get(key)
    return found if isinstance(found, dict) else {}


def declared(boards: dict[str, str]) -> str:
    """Return what the gateway's configuration and its broker's must say of nodes."""
    lines = [f'[[nodes.boards]]\nid = "{node}"\n' + f'board = "{uid}"\n' * bool(uid) for node, uid in boards.items()]
    names = ", ".join(f'"{node}"' for node in boards)
    return "\n".join([*lines, f"[access]\nnodes = [{names}]"])


def password(ssid: str, file: Path | None, lang: Language) -> str:
    """Return the password of a network: of a file, of whoever sits there, or of what is piped in.

    Raises:
        ConfigError: The file cannot be read.
    """
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as exc:
            raise ConfigError("--password-file", f"{file} holds none: {exc}", "write it on the first line") from exc
    asked = text("node.cable.password", lang, ssid=ssid)
    return getpass.getpass(asked) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")


@at_board
def update(args: argparse.Namespace, lang: Language) -> int:
    """Bring a program to the node at a port."""
    if len(args.nodes) != 1:
        raise ConfigError("NODE", "several nodes, and one cable", "name the one that is plugged in")
    node, image, progress = named(args.nodes[0]), read_image(args.build), Progress(sys.stderr)
    with connected(args, lang) as board:
        held = name_of(board)
        if held != node:
            raise BoardTrouble("not_this", board.port, node=held or "–", wanted=node)
        try:
            sent = updating.update(board, image, args.build, sending(progress, lang))
        finally:
            progress.clear()
        board.restart()
    print(text("node.cable.updated", lang, node=node, number=image.manifest.number, sent=sent))
    return 0


@at_board
def _logs(args: argparse.Namespace, lang: Language) -> int:
    if args.follow:
        return _follow(args.port or only_port(), args.wait, lang)
    with connected(args, lang) as board:
        try:
            facts = report.report(board, max(0, args.last))
        finally:
            report.let_go(board)
    for line in report.told(facts, lang):
        print(line)
    return 0


def _follow(port: str, wait_s: float, lang: Language) -> int:
    try:
        for line in follow(port, wait_s):
            print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
            if meaning := explained(line, lang):
                print(f"         → {meaning}", flush=True)
    except KeyboardInterrupt:
        print()
    return 0
