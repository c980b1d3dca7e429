"""The parts of a telegram for a terminal: side by side where there is room, under each other on a phone."""

from collections.abc import Iterator, Sequence
from typing import Final

from linli_core.codecs.explain import Part
from linli_edge.listing import width

NARROW: Final = 60
"""Columns below which the text goes under the bytes."""

NO_BREAK: Final = "\u00a0"
"""A blank at which no line ends; shown as an ordinary one."""

_OFFSET: Final = 4
_GAP: Final = "  "
_BYTES: Final = 8
"""Bytes in a row where text stands beside them."""

_CLOSING: Final = "，。；：、）】"
"""Punctuation that may not begin a line."""


def wrap(text: str, room: int) -> list[str]:
    """Return a text in lines of a width; Chinese breaks anywhere, other words at blanks unless they are too long."""
    lines: list[str] = [""]
    for word in _words(text):
        line = lines[-1]
        if width(line) + width(word.rstrip()) <= room or (not line and width(word) <= 2) or (word in _CLOSING and line):
            lines[-1] = line + word
        elif width(word) <= room:
            lines.append(word.lstrip())
        else:
            lines += _chopped(lines.pop() + word.rstrip(), room)
            lines[-1] += word[len(word.rstrip()) :]
    return [line.rstrip().replace(NO_BREAK, " ") for line in lines]


def _words(text: str) -> Iterator[str]:
    """Yield words with the blank behind them, and each wide character alone."""
    word = ""
    for char in text:
        if width(char) == 2:
            if word:
                yield word
            yield char
            word = ""
        else:
            word += char
            if char == " ":
                yield word
                word = ""
    if word:
        yield word


def _chopped(text: str, room: int) -> list[str]:
    lines = [""]
    for char in text:
        if width(lines[-1]) + width(char) > room:
            lines.append("")
        lines[-1] += char
    return lines


def lay_out(parts: Sequence[Part], texts: Sequence[str], columns: int) -> list[str]:
    """Return the lines of a telegram.

    Args:
        parts: What it is made of. A part with others inside it is a heading: its bytes are shown by them.
        texts: What each says, in the reader's language, its clause included.
        columns: Width of the terminal.
    """
    lines: list[str] = []
    depths = [part.depth for part in parts[1:]] + [0]
    for part, text, following in zip(parts, texts, depths, strict=True):
        shown = b"" if following > part.depth else part.data
        lines += (_under if columns < NARROW else _beside)(part, shown, text, columns)
    return lines


def _beside(part: Part, shown: bytes, text: str, columns: int) -> Iterator[str]:
    indent = _GAP * part.depth
    left = _OFFSET + len(_GAP) + 3 * _BYTES - 1 + len(_GAP)
    rows = [shown[start : start + _BYTES].hex(" ").upper() for start in range(0, len(shown), _BYTES)]
    said = wrap(text, columns - left - len(indent))
    for number in range(max(len(rows), len(said))):
        place = f"{part.offset:>{_OFFSET}}" if not number else " " * _OFFSET
        row = rows[number] if number < len(rows) else ""
        line = indent + said[number] if number < len(said) else ""
        yield f"{place}{_GAP}{row:<{3 * _BYTES - 1}}{_GAP}{line}".rstrip()


def _under(part: Part, shown: bytes, text: str, columns: int) -> Iterator[str]:
    room = max(1, (columns - _OFFSET - len(_GAP) + 1) // 3)
    for start in range(0, len(shown), room):
        place = f"{part.offset:>{_OFFSET}}" if not start else " " * _OFFSET
        yield f"{place}{_GAP}{shown[start : start + room].hex(' ').upper()}"
    indent = " " * (_OFFSET + len(_GAP)) + _GAP * part.depth if shown else f"{part.offset:>{_OFFSET}}{_GAP}"
    for number, line in enumerate(wrap(text, columns - len(indent))):
        yield (indent if not number else " " * len(indent)) + line
