"""Lines of words: Chinese breaks between any two characters, but no line begins with a mark that ends something."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from linli_dashboards.report.letters import cut

_ENDS: Final = "，。；：、！？）》」』”’％%,.;:!?)…"
_BEGINS: Final = "（《「『“‘("
_PIECE: Final = re.compile(rf"[{re.escape(_BEGINS)}]*(?:[^\s\u2E80-\uFFEF]+|[\u2E80-\uFFEF])[{re.escape(_ENDS)}]*|\s+")


def lines_of(text: str, width: float, measure: Callable[[str], float]) -> Iterator[str]:
    """Yield the lines of a text, none wider than ``width``: a word that is wider is broken.

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
        while len(line) > 1 and measure(line.rstrip()) > width:
            head = line
            while len(head) > 1 and measure(head) > width:
                head = cut(head)
            yield head
            line = line[len(head) :]
    if line.strip():
        yield line.rstrip()
