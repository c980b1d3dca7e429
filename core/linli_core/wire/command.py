"""``command/{id}`` (platform → gateway) and ``reply/{id}`` (gateway → platform): small JSON, QoS 1, never retained.

The id stands in the topic and names one attempt: whatever a broker doubles and whoever restarts, it runs once at most.
"""

import math
from typing import Final, TypeVar

import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant

MAX_BYTES: Final = 1 << 14
"""Longest command or reply."""
MAX_TEXT: Final = 256
"""Longest name, and longest text among the arguments."""
MAX_ARGS: Final = 16
MAX_BITS: Final = 63
"""Bits of a whole number besides its sign: no device holds a greater one, and no record of it could be written."""

HEARD: Final = "heard"
"""Name of the command by which a node learns that somebody has heard its call."""

MessageT = TypeVar("MessageT")


Argument = str | bool | int | float
"""What a command's argument may be."""


class Command(msgspec.Struct, frozen=True):
    """Something a gateway is asked to do.

    Attributes:
        name: ``write`` (``args``: ``point``, ``value``), ``confirm`` (``args``: ``code``), or ``heard``: somebody has
            heard the call of a node (``args``: ``node``, ``until``: when the call began, at the latest).
        args: What it takes.
        expires_at: When it is too late to begin.
        by: Who asks, for the gateway's record.
    """

    name: str
    args: dict[str, Argument]
    expires_at: Instant
    by: str = ""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a command.

    Attributes:
        ok: Whether it was carried out, or (``result`` holds a ``code``) waits to be confirmed.
        result: ``state``: ``done``, ``failed``, ``refused`` or ``to_be_confirmed``; ``before`` and ``after`` of a
            write; ``reason``, a stable code, where it was refused; ``code`` and ``expires_at`` where it is to be
            confirmed.
        error: What went wrong, for people.
    """

    ok: bool
    result: dict[str, Argument | None] = {}
    error: str = ""


_encoder: Final = msgspec.json.Encoder()
_command_decoder: Final = msgspec.json.Decoder(Command)
_reply_decoder: Final = msgspec.json.Decoder(Reply)


def encode_command(message: Command | Reply) -> bytes:
    """Return a command or a reply as JSON."""
    return _encoder.encode(message)


def decode_command(payload: bytes) -> Command:
    """Return a command; raise :class:`Refused` if it is malformed or too large."""
    command = _decoded(payload, _command_decoder, "command")
    check_command(command)
    return command


def check_command(command: Command) -> None:
    """Raise :class:`Refused` if a command is too large in any part, whichever way it came."""
    if len(command.args) > MAX_ARGS:
        raise Refused(RefusalReason.TOO_LARGE, f"command: {len(command.args)} arguments; {MAX_ARGS} at most")
    for text in (command.name, command.by, *command.args, *command.args.values()):
        if isinstance(text, str) and len(text) > MAX_TEXT:
            raise Refused(RefusalReason.TOO_LARGE, f"command: a text of {len(text)} characters; {MAX_TEXT} at most")
    for number in (command.expires_at, *command.args.values()):
        if isinstance(number, int) and not -(1 << MAX_BITS) <= number < 1 << MAX_BITS:
            bits = number.bit_length()
            raise Refused(RefusalReason.TOO_LARGE, f"command: a whole number of {bits} bits; {MAX_BITS} at most")


def decode_reply(payload: bytes) -> Reply:
    """Return a reply; raise :class:`Refused` if it is malformed or too large."""
    return _decoded(payload, _reply_decoder, "reply")


def _decoded(payload: bytes, decoder: "msgspec.json.Decoder[MessageT]", what: str) -> MessageT:
    if len(payload) > MAX_BYTES:
        raise Refused(RefusalReason.TOO_LARGE, f"{what}: {len(payload)} bytes; {MAX_BYTES} at most")
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise Refused(RefusalReason.MALFORMED, f"{what}: {exc}") from exc


_WORDS: Final = {"true": True, "on": True, "false": False, "off": False}


def value_of(word: str) -> Argument:
    """Return what a word that a person typed means: a truth value, a number, or the text itself."""
    if (truth := _WORDS.get(word.lower())) is not None:
        return truth
    for kind in (int, float):
        try:
            number = kind(word)
        except ValueError:
            continue
        return number if math.isfinite(number) else word
    return word
