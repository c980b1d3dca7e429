"""A telegram told byte by byte: what each part is, what it says, and the clause it follows.

Every codec offers ``explain(data) -> list[Part]`` whose parts cover all its bytes in order, so that
``linli-edge meters explain`` can print any of them; bytes that mean nothing are a part too.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """A run of bytes of a telegram.

    Attributes:
        offset: Where it begins.
        data: Its bytes, as they were on the wire.
        name: What it is, in the standard's words: ``control code``, ``DIF``, ``checksum``.
        meaning: What it says here: ``read data, reply``; ``123.456 m3``. Never empty for a part that is understood.
        clause: Document, version and clause: ``DL/T 645-2007 §5.2.1``; empty where none is known.
        depth: 0 for a part of the frame, 1 for what lies inside it, and so on.
        wrong: What the protocol does not allow about it; empty when all is well.
    """

    offset: int
    data: bytes
    name: str
    meaning: str = ""
    clause: str = ""
    depth: int = 0
    wrong: str = ""


def covers(parts: list[Part], data: bytes) -> bool:
    """Tell whether the parts without children are exactly the bytes of a telegram, in order."""
    depths = [part.depth for part in parts[1:]] + [0]
    leaves = [part for part, following in zip(parts, depths, strict=False) if following <= part.depth]
    at = 0
    for part in leaves:
        if part.offset != at or data[at : at + len(part.data)] != part.data:
            return False
        at += len(part.data)
    return at == len(data)
