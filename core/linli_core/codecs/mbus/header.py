"""Who speaks: identification, manufacturer, version, medium (EN 13757-3, data header)."""

import re
from enum import IntFlag
from typing import Final

import msgspec

ID_DIGITS: Final = re.compile(r"[0-9A-F]{8}")


UNCOUNTED_MODES: Final = frozenset({8, 9, 10, 13})
"""Security modes whose configuration word counts no blocks: AES-CTR, -GCM, -CCM and TLS (EN 13757-7)."""


class Status(IntFlag):
    """The status byte of the header; bits 5 to 7 are the manufacturer's.

    Bits 0 and 1 are a number, not flags: 1 busy, 2 application error, 3 abnormal condition.
    """

    BUSY = 0x01
    APPLICATION_ERROR = 0x02
    POWER_LOW = 0x04
    PERMANENT_ERROR = 0x08
    TEMPORARY_ERROR = 0x10


class Identity(msgspec.Struct, frozen=True):
    """A meter's own identity; with it the meter is addressed on the bus ("secondary address").

    Attributes:
        number: Identification number, eight digits. Hexadecimal digits occur in the field and are kept.
        manufacturer: Three letters; empty where the meter has none (fixed data structure).
        version: Generation of the meter, by its manufacturer.
        medium: The code of what is metered.
    """

    number: str
    manufacturer: str
    version: int
    medium: int

    @property
    def medium_name(self) -> str:
        """What is metered, in words."""
        return medium_name(self.medium)

    def __str__(self) -> str:
        maker = f" {self.manufacturer}" if self.manufacturer else ""
        return f"{self.number}{maker} version {self.version} ({self.medium_name})"

    def encode(self) -> bytes:
        """Return the eight bytes of the header: number, manufacturer, version, medium."""
        return (
            bytes.fromhex(self.number)[::-1]
            + encode_manufacturer(self.manufacturer)
            + bytes((self.version, self.medium))
        )


def decode_identity(data: bytes) -> Identity:
    """Return the identity in the eight bytes of a header."""
    return Identity(data[3::-1].hex().upper(), decode_manufacturer(data[4:6]), data[6], data[7])


def decode_manufacturer(code: bytes) -> str:
    """Return the three letters in two bytes, low byte first; any 15 bits give some text."""
    number = int.from_bytes(code, "little")
    return "".join(chr((number >> shift & 0x1F) + 64) for shift in (10, 5, 0))


def encode_manufacturer(letters: str) -> bytes:
    """Return the two bytes of three letters; ``ValueError`` if they are not three from ``@`` to ``_``."""
    if len(letters) != 3 or not all(64 <= ord(letter) < 96 for letter in letters):
        raise ValueError(f"a manufacturer is three capital letters, not {letters!r}")
    first, second, third = (ord(letter) - 64 for letter in letters)
    return (first << 10 | second << 5 | third).to_bytes(2, "little")


MEDIA: Final = {
    0x00: "other",
    0x01: "oil",
    0x02: "electricity",
    0x03: "gas",
    0x04: "heat (outlet)",
    0x05: "steam",
    0x06: "warm water",
    0x07: "water",
    0x08: "heat cost allocator",
    0x09: "compressed air",
    0x0A: "cooling (outlet)",
    0x0B: "cooling (inlet)",
    0x0C: "heat (inlet)",
    0x0D: "heat and cooling",
    0x0E: "bus or system",
    0x0F: "unknown",
    0x14: "calorific value",
    0x15: "hot water",
    0x16: "cold water",
    0x17: "hot and cold water",
    0x18: "pressure",
    0x19: "A/D converter",
    0x1A: "smoke detector",
    0x1B: "room sensor",
    0x1C: "gas detector",
    0x20: "breaker (electricity)",
    0x21: "valve (gas or water)",
    0x25: "customer unit (display)",
    0x28: "waste water",
    0x29: "garbage",
    0x31: "communication controller",
    0x32: "unidirectional repeater",
    0x33: "bidirectional repeater",
    0x36: "radio converter (system side)",
    0x37: "radio converter (meter side)",
}


def medium_name(code: int) -> str:
    """Return a medium in words; ``reserved (2A)`` for a code without a name."""
    return MEDIA.get(code) or f"reserved ({code:02X})"
