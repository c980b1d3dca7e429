"""The wrapper of DLMS/COSEM over TCP and UDP (port 4059): version 0001, source, destination, length, APDU."""

from typing import Final

import msgspec

from linli_core.codecs.stream import MISSING, StreamReader, cut_off
from linli_core.errors import ProtocolError

VERSION: Final = 1
HEAD: Final = 8
PORT: Final = 4059
BUFFER: Final = 2 * (HEAD + 0xFFFF)


class Wrapped(msgspec.Struct, frozen=True):
    """A message in its wrapper; ``source`` and ``destination`` are wPorts."""

    source: int
    destination: int
    apdu: bytes


def parse_wrapper(data: bytes) -> tuple[Wrapped, int] | None:
    """Return the message at the very start and its size; ``None`` while bytes are missing."""
    if data[:2] != b"\0\1"[: len(data)]:
        raise ProtocolError(f"a wrapper begins with 0001, not {data[:2].hex().upper()}", offset=0)
    if len(data) < HEAD:
        return None
    source, destination, length = (int.from_bytes(data[at : at + 2]) for at in (2, 4, 6))
    if not length:
        raise ProtocolError("a wrapper without content", offset=6)
    size = HEAD + length
    if len(data) < size:
        return None
    return Wrapped(source, destination, data[HEAD:size]), size


def decode_wrapper(data: bytes) -> Wrapped:
    """Return the message that a datagram is, no byte more or less; ``ProtocolError`` if it is none."""
    found = parse_wrapper(data) if data else None
    if found is None:
        raise cut_off("message", len(data))
    wrapped, size = found
    if len(data) > size:
        raise ProtocolError(f"{len(data) - size} bytes follow the end", kind="trailing_bytes", offset=size)
    return wrapped


def encode_wrapper(wrapped: Wrapped) -> bytes:
    """Return the bytes of a message in its wrapper."""
    numbers = (VERSION, wrapped.source, wrapped.destination, len(wrapped.apdu))
    return b"".join(number.to_bytes(2) for number in numbers) + wrapped.apdu


class WrapperReader(StreamReader[Wrapped]):
    """Finds wrapped messages in a stream of bytes.

    There is no checksum: what guards the content is its own syntax, and a tag where it is ciphered.
    """

    def __init__(self) -> None:
        super().__init__(BUFFER, "message")

    def _find(self, buffer: bytearray, /) -> int:
        return buffer.find(0)

    def _parse(self, buffer: bytearray, /) -> tuple[Wrapped | None, int]:
        return parse_wrapper(bytes(buffer[: HEAD + 0xFFFF])) or MISSING
