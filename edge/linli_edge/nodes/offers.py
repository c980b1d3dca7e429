"""Programs that nodes are to take: a folder each, filled by ``linli-edge node update``, handed out piece by piece."""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

PIECE: Final = 1024
"""Bytes of a file in one message: what it takes must fit a board's heap twice."""

_KIND: Final = 1


class Wanted(msgspec.Struct, frozen=True):
    """What a node asks for, or why it refuses.

    Attributes:
        name, offset: The piece of which file.
        refused: Why it takes no update.
    """

    name: str = ""
    offset: int = 0
    refused: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What a program consists of.

    Attributes:
        board: Kind of board it is for.
        number: Rises with each.
        files: By name, size and SHA-256 in hex.
        version: For people.
    """

    board: str
    number: int
    files: dict[str, tuple[int, str]]
    version: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One program for one node.

    Attributes:
        manifest: What it consists of.
        text: The same, byte for byte as it was signed.
        signature: Of ``text``.
    """

    manifest: Manifest
    text: str
    signature: str

    def message(self) -> bytes:
        """Return the offer as it goes to the node."""
        return json.dumps({"manifest": self.text, "signature": self.signature}).encode()


class Offers:
    """The folder ``node-updates`` of a gateway: ``{node}/manifest``, ``{node}/signature``, ``{node}/files/…``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, node: str) -> Offer | None:
        """Return what a node is to take; ``None`` where there is nothing, or nothing that can be read."""
        folder = self._folder / node
        try:
            text = (folder / "manifest").read_text(encoding="utf-8")
            signature = (folder / "signature").read_text(encoding="ascii").strip()
            return Offer(msgspec.json.decode(text, type=Manifest), text, signature)
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
            return None

    def piece(self, node: str, wanted: Wanted) -> bytes | None:
        """Return a piece of a file as it goes to the node; ``None`` for one that the offer does not name."""
        offer = self.of(node)
        if offer is None or wanted.name not in offer.manifest.files or wanted.offset < 0:
            return None
        try:
            with (self._folder / node / "files" / wanted.name).open("rb") as file:
                file.seek(wanted.offset)
                data = file.read(PIECE)
        except OSError:
            return None
        name = wanted.name.encode()
        return bytes([_KIND, len(name)]) + name + struct.pack("<I", wanted.offset) + data if data else None
