"""Telegrams out of what receivers write: one a line, or one a message.

====================  ==================================================================================
rtl-wmbus             ``T1;1;1;2026-11-25 08:00:00.000;97;148;12345678;0x2E44…``: mode, checksums right, 3-of-6 right,
                      time, level, level, number, telegram; a telegram whose checksums are wrong is dropped
CUL                   ``b2E44…``, ``bY…`` in format B: with checksums, and perhaps two bytes of link quality behind
hexadecimal           ``2E44…``, ``0x2E44…``, blanks or colons between bytes
JSON                  ``{"telegram": "2E44…", "rssi": -71}``: as many gateways publish by MQTT
====================  ==================================================================================

A telegram may have its checksums or not; what stands behind it (one or two bytes of signal strength) is cut off if
the telegram's own length says that it ends before.
"""

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from linli_core.codecs.wmbus.frame import LONGEST_ON_AIR, SHORTEST, Checksums, on_air_a
from linli_core.errors import ChecksumError, ProtocolError

LONGEST: Final = 4096
"""Characters of a line or a message; the longest telegram takes 580."""

TELEGRAM_FIELDS: Final = ("telegram", "data", "payload", "hex", "frame", "raw")
"""Names under which a JSON message may have the telegram, where the settings name none."""

_RSSI_FIELDS: Final = ("rssi", "rssi_dbm", "RSSI")
_SEPARATORS: Final = re.compile(r"[\s:_-]+")
_HEX: Final = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")
_TRAILING: Final = 2
_WEAKEST, _STRONGEST = -200, 50


@dataclass(frozen=True, slots=True)
class Heard:
    """A telegram as a receiver handed it on.

    Attributes:
        data: From the L field on.
        rssi: Signal strength in dBm, if the receiver tells.
        checksums: What it has of those, where the receiver says; ``None`` to tell by the length.
    """

    data: bytes
    rssi: float | None = None
    checksums: Checksums | None = None


class NoTelegram(ProtocolError):
    """A line that is none of those that are known."""

    kind = "no_telegram"


def parse_text(text: str, field: str = "") -> Heard | None:
    """Return the telegram in a line or message; ``None`` for an empty one and for a comment.

    Args:
        text: The line.
        field: Name of a JSON message's field that has the telegram; several are tried if empty.

    Raises:
        ChecksumError: The receiver says that the telegram's checksums are wrong.
        ProtocolError: Nothing that is known (``no_telegram``), or more than a telegram can be (``too_long``).
    """
    text = text.strip()
    if not text or text.startswith("#"):
        return None
    if len(text) > LONGEST:
        raise ProtocolError(f"{len(text)} characters; no telegram takes more than {LONGEST}", kind="too_long")
    if text.startswith("{"):
        return _json(text, field)
    if ";" in text:
        return _rtl_wmbus(text)
    if text.startswith("b") and len(text) % 2:
        return Heard(_cut(_hex(text[1:])))
    if text.startswith("bY"):
        return Heard(_cut(_hex(text[2:])), checksums=Checksums.B)
    return Heard(_cut(_hex(text)))


def _rtl_wmbus(text: str) -> Heard:
    fields = text.split(";")
    if len(fields) < 8 or not fields[-1].strip().startswith("0x"):
        raise NoTelegram("the line has semicolons, but no telegram in its last field")
    if fields[1] != "1":
        raise ChecksumError("the receiver says that the telegram's checksums are wrong")
    # Its levels are the demodulator's, not dBm.
    return Heard(_cut(_hex(fields[-1])), checksums=Checksums.NONE)


def _json(text: str, field: str) -> Heard:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise NoTelegram(f"the message is no JSON: {exc}") from None
    names = (field,) if field else TELEGRAM_FIELDS
    if not isinstance(message, dict):
        raise NoTelegram("the message is no JSON object")
    digits = next((message[name] for name in names if isinstance(message.get(name), str)), None)
    if digits is None:
        raise NoTelegram(f"the message has no text in {' or '.join(names)}")
    return Heard(_cut(_hex(digits)), next(filter(None, (_dbm(message.get(name)) for name in _RSSI_FIELDS)), None))


def _dbm(value: object) -> float | None:
    """Return a signal strength that can be one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if _WEAKEST <= value <= _STRONGEST else None


def _hex(text: str) -> bytes:
    digits = _SEPARATORS.sub("", text)
    if not _HEX.fullmatch(digits) or len(digits) % 2:
        raise NoTelegram("the line is no whole hexadecimal bytes")
    data = bytes.fromhex(digits.removeprefix("0x").removeprefix("0X"))
    if len(data) > LONGEST_ON_AIR + _TRAILING:
        raise ProtocolError(f"{len(data)} bytes; the longest telegram has {LONGEST_ON_AIR}", kind="too_long")
    return data


def _cut(data: bytes) -> bytes:
    """Return a telegram without the byte or two of signal strength that some receivers put behind it."""
    if not data or data[0] < SHORTEST:
        return data
    for size in (on_air_a(data[0]), data[0] + 1):
        if size <= len(data) <= size + _TRAILING:
            return data[:size]
    return data
