"""``linli-edge meters explain [PROTOCOL] HEX``: one telegram, byte by byte, with the clause of each part."""

import argparse
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.codecs.explain import Part
from linli_core.errors import ConfigError
from linli_edge.decode import DECODERS, add_keys, dialect_of
from linli_edge.telegrams.dialect import Dialect
from linli_edge.telegrams.guess import Guess, guess
from linli_edge.telegrams.hexadecimal import STANDARD_INPUT, Unreadable, inputs
from linli_edge.telegrams.keys import read_keys
from linli_edge.telegrams.layout import NO_BREAK, lay_out, wrap
from linli_edge.telegrams.phrases import translate

WHERE: Final = "meters explain"

_HEX: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f\s:_-]+")
_USUAL_COLUMNS: Final = 80
_FEWEST_COLUMNS: Final = 24


def add_arguments(subparsers: Any) -> None:
    """Add the parser of ``meters``, with this command's, to those of ``linli-edge``."""
    meters = subparsers.add_parser("meters", help="meters and their telegrams")
    parser = meters.add_subparsers(required=True, metavar="WHAT").add_parser(
        "explain",
        help="tell one telegram byte by byte",
        description=(
            "Tell one telegram byte by byte: what each part is, what it says, and the clause it follows. "
            "Exit 1 if the telegram is damaged, 2 if nothing tells which protocol it is of."
        ),
    )
    parser.add_argument(
        "words",
        metavar="[PROTOCOL] HEX",
        nargs="*",
        help=f"one of {', '.join(sorted(DECODERS))}, guessed if left out; then the telegram, blanks or not, or - for "
        "standard input",
    )
    parser.add_argument("--file", metavar="FILE", help="the telegram, raw or as hexadecimal text")
    add_keys(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--lang", choices=("zh", "en"), help="language (default: the locale's)")
    parser.add_argument("--width", metavar="N", type=int, help="columns (default: the terminal's)")
    parser.set_defaults(command=_run)


def _run(args: argparse.Namespace) -> int:
    from linli_edge.cli import language  # noqa: PLC0415 - it imports this

    return run(args, language(args.lang))


def run(args: argparse.Namespace, language: Language) -> int:
    """Explain what the command line names; return the exit code.

    Raises:
        ConfigError: The command line makes no sense, or nothing tells which protocol it is.
    """
    protocol, data = _asked(args.words, args.file)
    keys = read_keys(args.key, args.auth_key)
    known = _named(protocol) if protocol else _guessed(data, language)
    parts = known.dialect.explain(data, keys)
    shown = _json if args.json else _table
    print(shown(known, data, parts, language, args.width))
    return int(any(part.wrong for part in parts))


class _Known(msgspec.Struct, frozen=True):
    """The protocol of a telegram; how it was recognised, empty if it was named."""

    protocol: str
    dialect: Dialect
    reason: str = ""


def _asked(words: Sequence[str], file: str | None) -> tuple[str, bytes]:
    """Return the protocol, empty if it is not named, and the telegram."""
    rest = list(words)
    protocol = ""
    if rest and rest[0] != STANDARD_INPUT and (rest[0] in DECODERS or not _HEX.fullmatch(rest[0])):
        protocol = rest.pop(0)
        dialect_of(protocol, WHERE)
    if bool(rest) == (file is not None):
        raise ConfigError(
            WHERE,
            "there are two telegrams" if rest else "there is no telegram",
            "give its bytes as hexadecimal digits, or --file FILE, or - for standard input",
        )
    if rest == [STANDARD_INPUT]:
        rest = [sys.stdin.read()]
    data = next(inputs([" ".join(rest)] if rest else [], [file] if file is not None else []))
    if isinstance(data, Unreadable):
        raise ConfigError(WHERE, str(data), "give the telegram's bytes as hexadecimal digits")
    return protocol, data


def _named(protocol: str) -> _Known:
    return _Known(protocol, dialect_of(protocol, WHERE))


def _guessed(data: bytes, language: Language) -> _Known:
    found = guess(data, ((protocol, dialect_of(protocol, WHERE)) for protocol in DECODERS))
    if len(found) == 1:
        return _Known(found[0].protocol, found[0].dialect, found[0].recognised.reason)
    known = ", ".join(sorted(DECODERS))
    if not found:
        raise ConfigError(WHERE, text("explain.unknown", language), text("explain.name_it", language, known=known))
    reasons = "; ".join(_told(one, language) for one in found)
    names = " / ".join(one.protocol for one in found)
    raise ConfigError(
        WHERE,
        text("explain.ambiguous", language, reasons=reasons),
        text("explain.name_it", language, known=names),
    )


def _told(one: Guess, language: Language) -> str:
    return f"{one.protocol} ({translate(one.recognised.reason, one.protocol, language)})"


def _table(known: _Known, data: bytes, parts: Sequence[Part], language: Language, columns: int | None) -> str:
    room = max(_FEWEST_COLUMNS, columns or shutil.get_terminal_size((_USUAL_COLUMNS, 24)).columns)
    head = text("explain.head", language, title=known.dialect.title, count=len(data))
    lines = wrap(head, room)
    if known.reason:
        reason = translate(known.reason, known.protocol, language)
        lines += wrap(text("explain.guessed", language, reason=reason), room)
    lines += ["", *lay_out(parts, _texts(known, parts, language), room), ""]
    wrong = [part for part in parts if part.wrong]
    for part in wrong:
        said = translate(part.name, known.protocol, language)
        problem = translate(part.wrong, known.protocol, language)
        lines += wrap(text("explain.wrong", language, offset=part.offset, name=said, problem=problem), room)
    if not wrong:
        lines += wrap(text("explain.sound", language), room)
    return "\n".join(lines)


def _texts(known: _Known, parts: Sequence[Part], language: Language) -> list[str]:
    """Return what each part says; its clause where it is another than that of the part before."""
    texts = []
    clause = ""
    for part in parts:
        name, meaning, wrong = (
            translate(words, known.protocol, language) for words in (part.name, part.meaning, part.wrong)
        )
        joint = "：" if language == "zh" else ": "
        said = f"{name}{joint}{meaning}" if meaning else name
        if wrong:
            said = text("explain.part_wrong", language, said=said, problem=wrong)
        if part.clause and part.clause != clause:
            # A clause is not torn apart where the line ends.
            said += f" [{part.clause}]".replace(" ", NO_BREAK).replace(NO_BREAK, " ", 1)
            clause = part.clause
        texts.append(said)
    return texts


def _json(known: _Known, data: bytes, parts: Sequence[Part], language: Language, _columns: int | None) -> str:
    shown: dict[str, Any] = {"protocol": known.protocol, "title": known.dialect.title}
    if known.reason:
        shown["recognised_by"] = translate(known.reason, known.protocol, language)
    shown["bytes"] = data.hex().upper()
    shown["sound"] = not any(part.wrong for part in parts)
    shown["parts"] = [_part(part, known.protocol, language) for part in parts]
    return msgspec.json.encode(shown).decode()


def _part(part: Part, protocol: str, language: Language) -> Mapping[str, object]:
    return {
        "offset": part.offset,
        "bytes": part.data.hex().upper(),
        "depth": part.depth,
        "name": translate(part.name, protocol, language),
        "meaning": translate(part.meaning, protocol, language),
        "clause": part.clause,
        "wrong": translate(part.wrong, protocol, language),
    }
