"""What a DLMS meter pushes, made: lists, notifications, frames, wrappers, blocks, ciphered or not."""

from collections.abc import Iterable
from typing import Final

from linli_core.codecs.dlms import HdlcFrame, Item, Wrapped
from linli_core.codecs.dlms.apdu import Block, encode_block
from linli_core.codecs.dlms.axdr import encode_data
from linli_core.codecs.dlms.hdlc import LLC_RESPONSE, Address, encode_hdlc
from linli_core.codecs.dlms.wrapper import encode_wrapper
from linli_core.obis import parse

CLIENT: Final = Address(16)
SERVER: Final = Address(1, 17, 2)

UNSIGNED_32: Final = 0x06
OCTETS: Final = 0x09


def code(text: str) -> Item:
    """Return the logical name of an object."""
    found = parse(text)
    return Item(OCTETS, bytes((found.a or 0, found.b or 0, found.c, found.d, found.e, found.f)))


def described(text: str, value: Item, scaler: int, unit: int) -> Item:
    """Return an entry of a list that says all of itself: code, value, scaler and unit."""
    return Item(2, (code(text), value, Item(2, (Item(0x0F, scaler), Item(0x16, unit)))))


def push(body: Item, time: bytes = b"\0", invoke: int = 1) -> bytes:
    """Return a data-notification; ``time`` is its date-time with the length before it."""
    return b"\x0f" + invoke.to_bytes(4) + time + encode_data(body)


def hdlc(*apdus: bytes, segment: int = 1000, server: Address = SERVER) -> bytes:
    """Return messages as HDLC frames, in segments of so many bytes."""
    out = b""
    for apdu in apdus:
        message = LLC_RESPONSE + apdu
        parts = [message[at : at + segment] for at in range(0, len(message), segment)]
        for number, part in enumerate(parts):
            out += encode_hdlc(HdlcFrame(CLIENT, server, 0x13, part, number < len(parts) - 1))
    return out


def wrapped(*apdus: bytes, source: int = 1) -> bytes:
    """Return messages in the wrapper of TCP and UDP."""
    return b"".join(encode_wrapper(Wrapped(source, 102, apdu)) for apdu in apdus)


def blocks(apdu: bytes, size: int = 60) -> list[bytes]:
    """Return a message as the blocks of a general block transfer."""
    parts = [apdu[at : at + size] for at in range(0, len(apdu), size)]
    return [encode_block(Block(number == len(parts), True, 0, number, 0, part)) for number, part in enumerate(parts, 1)]


def structure(items: Iterable[Item]) -> Item:
    """Return a structure of elements."""
    return Item(2, tuple(items))
