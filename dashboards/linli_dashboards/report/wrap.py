"""Lines of words: Chinese breaks between any two characters, but no line begins with a mark that ends something."""

import re
from collections.abc import Callable, Iterator
from typing import Final

_ENDS: Final = "，。；：、！？）》」』”’％%,.;:!?)…"
_BEGINS: Final = "（《「『“‘("
_PIECE: Final = re.compile(rf"[{re.escape(_BEGINS)}]*(?:[^\s\u2E80-\uFFEF]+|[\u2E80-\uFFEF])[{re.escape(_ENDS)}]*|\s+")


def lines_of(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """Yield the lines of a text, none wider than ``width`` unless one word is.

    Args:
        text: The text, one paragraph.
        width: Of a line.
        measure: Returns how wide words are.
    """
    line = ""
    for piece in _PIECE.findall(text):
        if line and measure(f"{line}{piece}".rstrip()) > width:
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    if line.strip():
        yield line.rstrip()
