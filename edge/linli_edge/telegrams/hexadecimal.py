"""Bytes as people paste them, from the command line, a file or standard input."""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from linli_core.errors import ProtocolError

LARGEST: Final = 1024 * 1024
"""Bytes of the largest file read; a telegram has a few hundred."""

STANDARD_INPUT: Final = "-"
_HEX: Final = re.compile(rb"(?:0[xX])?[0-9A-Fa-f\s:_-]*")
_SEPARATORS: Final = re.compile(r"[\s:_-]+")


class Unreadable(ProtocolError):
    """A file that cannot be read, or a text that is no hexadecimal."""

    kind = "unreadable"


def parse_hex(text: str) -> bytes:
    """Return the bytes of a hexadecimal text; blanks, line ends, colons and hyphens may separate them."""
    digits = _SEPARATORS.sub("", text).removeprefix("0x").removeprefix("0X")
    if not digits:
        raise Unreadable("there are no digits")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        wrong = next((digit for digit in digits if digit not in "0123456789abcdefABCDEF"), "")
        problem = f"{wrong!r} is no hexadecimal digit" if wrong else f"{len(digits)} digits are no whole bytes"
        raise Unreadable(problem) from None


def inputs(texts: Iterable[str], files: Iterable[str]) -> Iterator[bytes | Unreadable]:
    """Yield the bytes of each text and each file; of standard input those of each line."""
    for text in texts:
        yield _from_text(text)
    for name in files:
        if name == STANDARD_INPUT:
            yield from (_from_text(text) for text in sys.stdin if text.strip())
        else:
            yield _from_file(Path(name))


def _from_text(text: str) -> bytes | Unreadable:
    try:
        return parse_hex(text)
    except Unreadable as exc:
        return exc


def _from_file(path: Path) -> bytes | Unreadable:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as exc:
        return Unreadable(f"{path}: {exc.strerror}")
    if len(data) > LARGEST:
        return Unreadable(f"{path}: more than {LARGEST} bytes; a file holds one telegram")
    # No frame of any binary protocol here is all hexadecimal digits: each begins or ends with a byte that is none.
    return _from_text(data.decode("ascii")) if _HEX.fullmatch(data) else data
