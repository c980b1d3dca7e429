"""The passphrase of the network that a board opens for its first start: made once, on the board and on its label.

It goes over the cable into ``/label`` of the board, and from there onto what is printed: into no command line, no log
and no error. A board that has one keeps it, for a label that says it sticks there already.
"""

import secrets
from typing import Final

from linli_edge.nodes.serial_board import SerialBoard

PATH: Final = "/label"
PAGE: Final = "http://192.168.4.1"
"""Where a board shows its page, for a phone that is not shown it by itself (``linli_app.access_point``)."""
LETTERS: Final = "acdefhjknprtvxy3479"
"""None of them is taken for another, also in small print: no 0 o, 1 l i, 2 z, 5 s, 6 b 8, g q, u, m, w."""
SHORTEST: Final = 8
LONGEST: Final = 63
"""Characters of a passphrase, by WPA2."""

_GROUPS: Final = 5
_GROUP: Final = 4
_READ: Final = f"""
_w.feed()
try:
    with open({PATH!r}, "rb") as _f:
        print(repr(_f.read({4 * LONGEST})))
except OSError:
    print("b''")
"""


def network_of(board: str) -> str:
    """Return what a board calls its network, by the board's own name."""
    return f"linli-{board[-4:]}"


def fresh() -> str:
    """Return a new passphrase, of 84 bits."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def read(content: bytes) -> str:
    """Return the passphrase that a board's file holds; empty where the board would not use it.

    The board itself decides so too: ``linli_app.first_start.passphrase``.
    """
    found = content.strip()
    is_usable = SHORTEST <= len(found) <= LONGEST and all(0x20 <= byte < 0x7F for byte in found)
    return found.decode("ascii") if is_usable else ""


def settled(board: SerialBoard) -> str:
    """Return the passphrase of a board, which gets one if it has none.

    Raises:
        BoardTrouble: There is no room for it, or the board is gone.
    """
    held = read(board.ask(_READ))
    if not held:
        held = fresh()
        board.write(PATH, held.encode())
    return held
