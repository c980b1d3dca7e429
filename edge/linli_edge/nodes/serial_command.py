"""``linli-edge node flash``: what is done to a board at a cable."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from linli_core.catalogue import Language, text
from linli_edge.commissioning.progress import Progress
from linli_edge.nodes.flashing import flash, read_image
from linli_edge.nodes.serial_board import WAIT_S, Facts, SerialBoard, only_port
from linli_edge.nodes.trouble import BoardTrouble

FAILED: Final = 1
BUILT: Final = Path("build/node")
_KB: Final = 1024


def add_arguments(kinds: Any) -> None:
    """Add what is done to a board at a cable to ``linli-edge node``."""
    flashing = kinds.add_parser(
        "flash",
        help="put the program onto a board at a USB cable",
        description="Put loader, libraries and program onto a board that runs MicroPython, and start it. What is there"
        " already is not sent again; the board's configuration, keys and log stay. Give the same command again if it"
        " broke off.",
    )
    _add_port(flashing)
    flashing.add_argument("--build", type=Path, default=BUILT, metavar="DIR", help="what was built")
    flashing.set_defaults(command=_flash)


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="PORT", help="such as /dev/ttyACM0 (default: the only one there is)")
    parser.add_argument("--wait", type=float, default=WAIT_S, metavar="S", help="seconds to wait for the board")
    parser.add_argument("--lang", choices=("zh", "en"), help="language of what is told (default: the locale's)")


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
        board.restart()
    manifest = image.manifest
    print(
        text(
            "node.cable.flashed", lang, port=board.port, number=manifest.number, version=manifest.version, sent=sent,
            files=len(image.files), seconds=f"{time.monotonic() - begun:.0f}",
        )
    )  # fmt: skip
    print(text("node.cable.next_provision", lang, port=board.port))
    return 0
