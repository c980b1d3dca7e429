"""An update by the cable: the signed program that goes over MQTT too, verified by the node, into its other slot."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Final

from linli_edge.nodes.flashing import Image, fits
from linli_edge.nodes.offers import PIECE
from linli_edge.nodes.serial_board import SerialBoard
from linli_edge.nodes.trouble import BoardTrouble

# The program of the slot that runs takes the update, by its own rules.
RUNNING: Final = """
_w.feed()
from linli_loader import Slots
_s = Slots("").state()
_s = _s["trial"] if _s["trial"] is not None and _s["tries"] else _s["active"]
if "/" + _s not in sys.path:
    sys.path.insert(0, "/" + _s)
"""
_OPEN: Final = """
from linli_node.taking import Taking
with open("/keys/update.pub", "rb") as _f:
    _key = _f.read()
_m = bytearray()
_t = Taking(Slots(""))
_t.feed = _w.feed
"""
_REFUSED: Final = "UpdateError: "
_VERIFY_S: Final = 120.0


def update(board: SerialBoard, image: Image, folder: Path, said: Callable[[int, int], None]) -> int:
    """Put a program into a board's other slot, and return how many files had to be sent.

    Args:
        board: A board that was flashed and provisioned.
        image: The program.
        folder: Where it was built.
        said: Called with bytes done and bytes in all.

    Raises:
        BoardTrouble: The node refuses it, or the board is gone; what came stays, and is not sent again.
    """
    fits(board.facts, board.port, image)
    if not all(board.digests(["/lib/linli_loader.mpy", "/keys/update.pub"]).values()):
        raise BoardTrouble("not_provisioned", board.port)
    try:
        return _update(board, image, folder, said)
    except BoardTrouble as trouble:
        if trouble.kind == "program" and trouble.said.startswith(_REFUSED):
            raise BoardTrouble("update_refused", board.port, said=trouble.said.removeprefix(_REFUSED)) from None
        raise


def _update(board: SerialBoard, image: Image, folder: Path, said: Callable[[int, int], None]) -> int:
    board.run(RUNNING + _OPEN)
    for start in range(0, len(image.text), PIECE):
        board.run(f"_w.feed()\n_m.extend({_sent(image.text[start : start + PIECE])})")
    missing: list[tuple[str, int]] = board.ask(
        "_w.feed()\nprint(repr(_t.begin(bytes(_m), binascii.unhexlify("
        f"{image.signature!r}), _key, {board.facts.kind!r})))",
        limit_s=_VERIFY_S,
    )
    wanted = {name: (folder / "files" / name).read_bytes() for name, _ in missing}
    size = sum(len(wanted[name]) - held for name, held in missing)
    done = 0
    for name, held in missing:
        content = wanted[name]
        for start in range(held, len(content), PIECE):
            said(done, size)
            piece = content[start : start + PIECE]
            board.run(f"_w.feed()\n_t.chunk({name!r}, {start}, {_sent(piece)})")
            done += len(piece)
    board.run("_w.feed()\n_t.finish()")
    said(size, size)
    return len(missing)


def _sent(data: bytes) -> str:
    return f"binascii.a2b_base64({base64.b64encode(data)!r})"
