"""The first program of a board: loader, libraries and program, from what ``linli-edge node build`` wrote.

``/main.py`` goes first and comes last: a board whose cable was pulled in between starts nothing, listens, and is
flashed again. What is there already, and right, is not sent again. A board that starts has a passphrase for its own
network, for it may have no configuration yet (:mod:`linli_edge.nodes.passphrase`).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_edge.nodes import passphrase
from linli_edge.nodes.offers import Manifest
from linli_edge.nodes.serial_board import Facts, SerialBoard
from linli_edge.nodes.trouble import BoardTrouble

OLDEST: Final = (1, 25)
"""MicroPython's oldest release that nodes are tried with."""

_MPY: Final = 6
_MAIN: Final = "/main.py"


@dataclass(frozen=True, slots=True)
class Image:
    """A program as it goes onto a board.

    Attributes:
        manifest: What it consists of.
        text: The same, byte for byte as it was signed.
        signature: Of ``text``, in hex.
        files: By path on the board, the loader's too.
    """

    manifest: Manifest
    text: bytes
    signature: str
    files: dict[str, bytes]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))


def read_image(folder: Path) -> Image:
    """Return what was built into a folder.

    Raises:
        ConfigError: Nothing was built there, or it is not what the manifest says.
    """
    try:
        written = (folder / "manifest").read_bytes()
        signature = (folder / "signature").read_text(encoding="ascii").strip()
        manifest = msgspec.json.decode(written, type=Manifest)
        files = {f"/a/{name}": (folder / "files" / name).read_bytes() for name in manifest.files}
        loader = folder / "loader"
        files |= {f"/{path.relative_to(loader)}": path.read_bytes() for path in loader.rglob("*") if path.is_file()}
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as exc:
        raise ConfigError("--build", f"{folder} holds no program: {exc}", "linli-edge node build writes one") from exc
    for name, (size, digest) in manifest.files.items():
        content = files[f"/a/{name}"]
        if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            raise ConfigError("--build", f"{folder / 'files' / name} is not what was built", "build it anew")
    if _MAIN not in files:
        raise ConfigError("--build", f"{folder} holds no loader", "build it anew")
    return Image(manifest, written, signature, files)


def fits(facts: Facts, port: str, image: Image) -> None:
    """Raise :class:`BoardTrouble` if a program is not for such a board."""
    if not facts.kind:
        raise BoardTrouble("unknown_kind", port, machine=facts.machine)
    if facts.version[:2] < OLDEST or facts.mpy != _MPY:
        raise BoardTrouble("old", port, version=facts.release, oldest=".".join(map(str, OLDEST)))
    if not facts.has_radio:
        raise BoardTrouble("no_radio", port, machine=facts.machine)
    if facts.kind != image.manifest.board:
        raise BoardTrouble("wrong_kind", port, kind=facts.kind, built=image.manifest.board)


def flash(board: SerialBoard, image: Image, said: Callable[[int, int], None]) -> int:
    """Put a program onto a board, and return how many files had to be sent; its configuration, log and passphrase stay.

    Args:
        board: The board.
        image: The program.
        said: Called with bytes done and bytes in all.

    Raises:
        BoardTrouble: It is not for this board, there is no room, or the board is gone.
    """
    fits(board.facts, board.port, image)
    board.remove(_MAIN, "/b", "/slot", "/slot.new", "/last_error")
    _clear(board, set(image.files))
    held = board.digests([path for path in image.files if path != _MAIN])
    done, sent = 0, 0
    for path, content in sorted(image.files.items()):
        said(done, image.size)
        done += len(content)
        if path == _MAIN or held[path] == hashlib.sha256(content).hexdigest():
            continue
        board.write(path, content)
        sent += 1
    board.write("/a/manifest", image.text)
    board.run(
        "_w.feed()\nfrom linli_loader import Slots\n"
        f"Slots('').keep({{'active': 'a', 'trial': None, 'tries': 0, 'number': {image.manifest.number}}})"
    )
    passphrase.settled(board)
    board.write(_MAIN, image.files[_MAIN])
    said(image.size, image.size)
    return sent + 1


def _clear(board: SerialBoard, wanted: set[str]) -> None:
    """Remove modules of an earlier program that this one does not have: one of them could be imported in its place."""
    found = board.ask(
        "_w.feed()\ndef _walk(path):\n"
        " for name, kind, *_ in os.ilistdir(path):\n"
        "  yield from _walk(path + '/' + name) if kind == 0x4000 else (path + '/' + name,)\n"
        "try:\n print(repr(list(_walk('/a'))))\nexcept OSError:\n print('[]')"
    )
    board.remove(*(path for path in found if path not in wanted))
