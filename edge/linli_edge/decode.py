"""``linli-edge decode PROTOCOL``: recorded telegrams as JSON, one object a line; nothing is opened but the files named.

A protocol joins by one line in :data:`DECODERS`.
"""

import argparse
import difflib
from collections.abc import Iterable
from importlib import import_module
from itertools import islice
from typing import Any, Final

import msgspec

from linli_core.errors import ConfigError
from linli_edge.telegrams.dialect import Dialect, Outcome
from linli_edge.telegrams.hexadecimal import STANDARD_INPUT, Unreadable, inputs
from linli_edge.telegrams.keys import read_keys

DECODERS: Final = {
    "cjt188": "linli_edge.drivers.cjt188.dialect",
    "dlms": "linli_edge.drivers.dlms.dialect",
    "dlt645": "linli_edge.drivers.dlt645.dialect",
    "iec62056-21": "linli_edge.drivers.iec62056.dialect",
    "mbus": "linli_edge.drivers.mbus.dialect",
    "p1": "linli_edge.drivers.p1.dialect",
    "wmbus": "linli_edge.drivers.wmbus.dialect",
}
"""Protocols by the name the command takes → module with its ``DIALECT``; imported when it is needed."""

_VALUED: Final = ("--key", "--auth-key", "--hex")

_encoder = msgspec.json.Encoder()


def add_arguments(subparsers: Any) -> None:
    """Add the command's parser to those of ``linli-edge``."""
    parser = subparsers.add_parser(
        "decode",
        help="decode recorded telegrams",
        description="Decode recorded telegrams: one JSON object a line for each; exit 1 if any was bad.",
    )
    parser.add_argument("protocol", metavar="PROTOCOL", help=f"one of: {', '.join(sorted(DECODERS))}")
    add_keys(parser)
    parser.add_argument("--hex", metavar="HEX", action="append", default=[], help="a telegram; may be given again")
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        help='a telegram, raw or as hexadecimal text; "-": one hexadecimal telegram a line from standard input',
    )
    parser.set_defaults(command=run)
    plain = parser.parse_known_args
    parser.parse_known_args = lambda args=None, namespace=None: plain(_options_first(args or ()), namespace)


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Add the options that name keys."""
    parser.add_argument(
        "--key",
        metavar="[METER=]HEX",
        action="append",
        default=[],
        help="key of encrypted telegrams: of one meter by its number, or of all others; may be given again",
    )
    parser.add_argument(
        "--auth-key",
        metavar="[METER=]HEX",
        action="append",
        default=[],
        help="authentication key, where a protocol has one beside the key (DLMS)",
    )


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
    dialect = dialect_of(args.protocol, "decode")
    keys = read_keys(args.key, args.auth_key)
    if not args.hex and not args.files:
        raise ConfigError("decode", "there is nothing to decode", "give --hex HEX, a FILE, or - for standard input")
    bad = False
    for data in inputs(args.hex, args.files):
        outcomes: Iterable[Outcome] = [data] if isinstance(data, Unreadable) else dialect.decode(data, keys)
        for outcome in outcomes:
            bad = bad or not isinstance(outcome, dict)
            print(line(outcome))
    return int(bad)


def line(outcome: Outcome) -> str:
    """Return an outcome as one line of JSON."""
    shown = outcome if isinstance(outcome, dict) else {"error": {"kind": outcome.kind, "message": str(outcome)}}
    return _encoder.encode(shown).decode()


def dialect_of(protocol: str, where: str) -> Dialect:
    """Return a protocol's dialect; ``ConfigError`` at ``where`` if no protocol has that name."""
    module = DECODERS.get(protocol)
    if module is None:
        near = difflib.get_close_matches(protocol, DECODERS, 1)
        known = f"known: {', '.join(sorted(DECODERS))}"
        remedy = f'did you mean "{near[0]}"? {known}' if near else known
        raise ConfigError(where, f'no protocol is called "{protocol}"', remedy)
    dialect = import_module(module).DIALECT
    assert isinstance(dialect, Dialect)
    return dialect
