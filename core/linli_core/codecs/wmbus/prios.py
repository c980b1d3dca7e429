"""PRIOS: how Diehl, Sappel and Hydrometer meters scramble and address what they send.

A shift register of 32 bits, fed back from bits 1, 2, 11 and 31, gives one byte of key stream after each eight steps.
It starts from the key, folded to 32 bits, and the telegram's head, so each telegram has a stream of its own; the first
byte in plain is 4B. It is obfuscation, not protection: the keys are printed in public and the stream has 32 bits.

Their link layer's address stands in another order: version and medium first, then the number.
"""

from collections.abc import Iterator
from typing import Final

from linli_core.codecs.mbus.header import Identity, decode_identity
from linli_core.codecs.wmbus.frame import LinkFrame
from linli_core.codecs.wmbus.layers import WirelessCi

MAKERS: Final = ("HYD", "SAP", "DME")

SCRAMBLED_CI: Final = range(0xA0, 0xA8)
"""CI fields of PRIOS payloads."""

_LAST_MEDIUM: Final = 0x3F
"""Media beyond are nobody's (EN 13757-7): the byte is the number's then."""

FACTORY_KEYS: Final = (bytes.fromhex("39BC8A10E66D83F8"), bytes.fromhex("51728910E66D83F8"))
"""The keys of meters that nobody gave another, as published by several who read their own meters."""

PROOF: Final = 0x4B
"""The first byte in plain."""

_MASK: Final = 0xFFFF_FFFF


def has_own_order(frame: LinkFrame) -> bool:
    """Tell whether a frame's address has version and medium in front of the number."""
    if frame.sender.manufacturer not in MAKERS:
        return False
    return frame.ci in SCRAMBLED_CI or (frame.ci == WirelessCi.SHORT_HEADER and frame.header[7] > _LAST_MEDIUM)


def own_identity(frame: LinkFrame) -> Identity:
    """Return the identity of an address in that order."""
    return decode_identity(frame.header[4:8] + frame.header[:4])


def register_start(key: bytes, head: bytes) -> int:
    """Return what the register starts from: the folded key and the telegram's twelve bytes behind C."""
    start = fold(key)
    for at in range(0, 12, 4):
        start ^= int.from_bytes(head[at : at + 4], "big")
    return start


def open_summed(head: bytes, configuration: int, data: bytes) -> bytes | None:
    """Return records in plain that such a meter sends behind a standard header; ``None`` if no key fits.

    The high byte of the configuration word is the sum of the plain text. Some meters scramble and some do not.
    """
    proof = configuration >> 8
    for plain in (data, *(unscramble(register_start(key, head), data) for key in FACTORY_KEYS)):
        if sum(plain) & 0xFF == proof:
            return plain
    return None


def fold(key: bytes) -> int:
    """Return a key's eight bytes as the 32 bits the register starts from."""
    return int.from_bytes(key[:4], "big") ^ int.from_bytes(key[4:8], "big")


def stream(start: int) -> Iterator[int]:
    """Yield the key stream's bytes from the register's start."""
    register = start
    while True:
        for _ in range(8):
            bit = register >> 1 ^ register >> 2 ^ register >> 11 ^ register >> 31
            register = (register << 1 | bit & 1) & _MASK
        yield register & 0xFF


def unscramble(start: int, data: bytes) -> bytes:
    """Return data in plain (or scrambled: it is the same)."""
    return bytes(byte ^ key for byte, key in zip(data, stream(start), strict=False))
