"""``linli-edge decode PROTOCOL``: recorded telegrams as JSON, one object a line; nothing is opened but the files named.

A protocol joins by one line in :data:`DECODERS`.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from linli_core.errors import ConfigError, DeviceError, ProtocolError
from linli_edge.drivers.mbus import telegram_json as mbus

Outcome = dict[str, Any] | ProtocolError | DeviceError
Decoder = Callable[[bytes, bytes | None], Iterable[Outcome]]
"""Yields, for the bytes of one input and the key if there is one, each telegram as an object, or what is wrong."""

DECODERS: Final[dict[str, Decoder]] = {"mbus": mbus.decode}
"""Protocols by the name the command takes."""

LARGEST: Final = 1024 * 1024
"""Bytes of the largest file read; a telegram has a few hundred."""

STANDARD_INPUT: Final = "-"
_VALUED: Final = ("--key", "--hex")
_KEY_SIZES: Final = (16, 24, 32)
_HEX: Final = re.compile(rb"(?:0[xX])?[0-9A-Fa-f\s:_-]*")
_SEPARATORS: Final = re.compile(r"[\s:_-]+")

_encoder = msgspec.json.Encoder()


class Unreadable(ProtocolError):
    """A file that cannot be read, or a text that is no hexadecimal."""

    kind = "unreadable"


def add_arguments(subparsers: Any) -> None:
    """Add the command's parser to those of ``linli-edge``."""
    parser = subparsers.add_parser(
        "decode",
        help="decode recorded telegrams",
        description="Decode recorded telegrams: one JSON object a line for each; exit 1 if any was bad.",
    )
    parser.add_argument("protocol", metavar="PROTOCOL", help=f"one of: {', '.join(sorted(DECODERS))}")
    parser.add_argument("--key", metavar="HEX", help="the meter's key, for telegrams that are encrypted")
    parser.add_argument("--hex", metavar="HEX", action="append", default=[], help="a telegram; may be given again")
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        help='a telegram, raw or as hexadecimal text; "-": one hexadecimal telegram a line from standard input',
    )
    plain = parser.parse_known_args
    parser.parse_known_args = lambda args=None, namespace=None: plain(_options_first(args or ()), namespace)


def _options_first(words: Iterable[str]) -> list[str]:
    """Return words with the options before the rest.

    argparse of Python 3.11 takes the empty list for ``FILE…`` as soon as an option follows PROTOCOL, and then has no
    place for the files behind it.
    """
    options: list[str] = []
    rest: list[str] = []
    queue = iter(words)
    for word in queue:
        if word in _VALUED:
            options += [word, *islice(queue, 1)]
        else:
            (options if word.startswith("-") and word != STANDARD_INPUT else rest).append(word)
    return options + rest


def run(args: argparse.Namespace) -> int:
    """Decode what the command line names; return the exit code.

    Raises:
        ConfigError: The command line makes no sense.
    """
    decoder = _decoder(args.protocol)
    key = _key(args.key)
    if not args.hex and not args.files:
        raise ConfigError("decode", "there is nothing to decode", "give --hex HEX, a FILE, or - for standard input")
    bad = False
    for data in _inputs(args.hex, args.files):
        outcomes = [data] if isinstance(data, Unreadable) else decoder(data, key)
        for outcome in outcomes:
            bad = bad or not isinstance(outcome, dict)
            print(line(outcome))
    return int(bad)


def line(outcome: Outcome) -> str:
    """Return an outcome as one line of JSON."""
    shown = outcome if isinstance(outcome, dict) else {"error": {"kind": outcome.kind, "message": str(outcome)}}
    return _encoder.encode(shown).decode()


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


def _inputs(texts: Iterable[str], files: Iterable[str]) -> Iterator[bytes | Unreadable]:
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
    # No frame of any protocol here is all hexadecimal digits: each begins or ends with a byte that is none.
    return _from_text(data.decode("ascii")) if _HEX.fullmatch(data) else data


def _decoder(protocol: str) -> Decoder:
    try:
        return DECODERS[protocol]
    except KeyError:
        near = difflib.get_close_matches(protocol, DECODERS, 1)
        known = f"known: {', '.join(sorted(DECODERS))}"
        remedy = f'did you mean "{near[0]}"? {known}' if near else known
        raise ConfigError("decode", f'no protocol is called "{protocol}"', remedy) from None


def _key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        key = parse_hex(text)
    except Unreadable as exc:
        raise ConfigError("--key", str(exc), "give the key as hexadecimal digits") from exc
    if len(key) not in _KEY_SIZES:
        raise ConfigError("--key", f"found {len(key)} bytes", "give 16, 24 or 32 bytes as hexadecimal digits")
    return key
