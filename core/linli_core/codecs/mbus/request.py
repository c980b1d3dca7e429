"""What a master sends: reset, request for data, selection by identity (EN 13757-2, EN 13757-3)."""

import re
from typing import Final

import msgspec

from linli_core.codecs.mbus.frame import LongFrame, ShortFrame
from linli_core.codecs.mbus.header import Identity, encode_manufacturer

SND_NKE: Final = 0x40
REQ_UD2: Final = 0x5B
SND_UD: Final = 0x53
FRAME_COUNT: Final = 0x20
"""The FCB in the C field: toggled for a new answer, unchanged to have the last one repeated."""

SELECT: Final = 0x52
APPLICATION_RESET: Final = 0x50

HIGHEST_ADDRESS: Final = 250
SELECTED: Final = 253
"""Primary address by which the meter selected by its identity is reached."""
ANY: Final = 254
"""Primary address that every meter answers; for a bus with one meter."""
BROADCAST: Final = 255

WILD_BYTE: Final = 0xFF
SECONDARY: Final = re.compile(r"([0-9A-Fa-f]{8})(?:([0-9A-Fa-f]{4})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2}))?")


class Secondary(msgspec.Struct, frozen=True):
    """An identity to select on the bus; parts may be left open.

    Attributes:
        number: Eight digits; ``F`` stands for any digit.
        manufacturer: Three letters, or empty for any.
        version, medium: ``None`` for any.
    """

    number: str
    manufacturer: str = ""
    version: int | None = None
    medium: int | None = None

    def encode(self) -> bytes:
        """Return the eight bytes of the selection."""
        maker = encode_manufacturer(self.manufacturer) if self.manufacturer else bytes((WILD_BYTE, WILD_BYTE))
        version = WILD_BYTE if self.version is None else self.version
        medium = WILD_BYTE if self.medium is None else self.medium
        return bytes.fromhex(self.number)[::-1] + maker + bytes((version, medium))

    def matches(self, identity: Identity) -> bool:
        """Tell whether a meter of this identity may answer the selection."""
        return (
            all(want in ("F", have) for want, have in zip(self.number.upper(), identity.number, strict=True))
            and self.manufacturer in ("", identity.manufacturer)
            and self.version in (None, identity.version)
            and self.medium in (None, identity.medium)
        )


def parse_secondary(text: str) -> Secondary:
    """Return a secondary address: eight digits (``11490378``, ``F`` for any), or all sixteen as sent on the bus.

    The long form is number, manufacturer, version and medium in hexadecimal: ``1149037877040E16``, manufacturer low
    byte first. ``ValueError`` if the text is neither.
    """
    match = SECONDARY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no secondary address; it is 8 or 16 hexadecimal digits")
    number, maker, version, medium = match.groups()
    if maker is None:
        return Secondary(number.upper())
    return decode_selection(bytes.fromhex(number)[::-1] + bytes.fromhex(maker + version + medium))


def decode_selection(data: bytes) -> Secondary:
    """Return the secondary address in the eight bytes of a selection."""
    code = int.from_bytes(data[4:6], "little")
    letters = "" if code == 0xFFFF else "".join(chr((code >> shift & 0x1F) + 64) for shift in (10, 5, 0))
    return Secondary(
        data[3::-1].hex().upper(),
        letters,
        None if data[6] == WILD_BYTE else data[6],
        None if data[7] == WILD_BYTE else data[7],
    )


def reset(address: int) -> ShortFrame:
    """Return the request to start over: the meter forgets its frame count bit; at 253 it is deselected."""
    return ShortFrame(SND_NKE, address)


def request_data(address: int, *, frame_count: bool) -> ShortFrame:
    """Return the request for the next telegram; with the frame count bit of last time, for the last one again."""
    return ShortFrame(REQ_UD2 | FRAME_COUNT if frame_count else REQ_UD2, address)


def select(secondary: Secondary) -> LongFrame:
    """Return the request that makes the meter of an identity answer at 253."""
    return LongFrame(SND_UD, SELECTED, SELECT, secondary.encode())


def application_reset(address: int) -> LongFrame:
    """Return the request to begin the readout with its first telegram again."""
    return LongFrame(SND_UD, address, APPLICATION_RESET, b"")
