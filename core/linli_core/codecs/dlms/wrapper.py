"""The wrapper of DLMS/COSEM over TCP and UDP (port 4059): version 0001, source, destination, length, APDU."""

from typing import Final

import msgspec

from linli_core.codec import NEED_DATA, NeedData
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
        raise ProtocolError(f"the message ends after {len(data)} bytes", kind="truncated")
    wrapped, size = found
    if len(data) > size:
        raise ProtocolError(f"{len(data) - size} bytes follow the end", kind="trailing_bytes", offset=size)
    return wrapped


def encode_wrapper(wrapped: Wrapped) -> bytes:
    """Return the bytes of a message in its wrapper."""
    numbers = (VERSION, wrapped.source, wrapped.destination, len(wrapped.apdu))
    return b"".join(number.to_bytes(2) for number in numbers) + wrapped.apdu


class WrapperReader:
    """Finds wrapped messages in a stream of bytes, in chunks of any size.

    There is no checksum: what guards the content is its own syntax, and a tag where it is ciphered.

    Attributes:
        skipped: Bytes that belonged to no message, since the reader was made.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._buffer = bytearray()
        self._ended = False

    def __len__(self) -> int:
        return len(self._buffer)

    def receive(self, data: bytes, /) -> None:
        """Take bytes off the wire. Of more than the buffer holds the oldest are dropped, and counted as skipped."""
        self._ended = False
        self._buffer += data
        if (excess := len(self._buffer) - BUFFER) > 0:
            self._skip(excess)

    def end(self) -> None:
        """Say that the line fell silent: a message that is not complete by now is a false start."""
        self._ended = True

    def clear(self) -> None:
        """Forget all bytes received; they count as skipped."""
        self._skip(len(self._buffer))

    def next_event(self) -> Wrapped | NeedData:
        """Return the next message, or ``NEED_DATA``; after a ``ProtocolError`` it goes on one byte further."""
        start = self._buffer.find(0)
        self._skip(start if start >= 0 else len(self._buffer))
        if not self._buffer:
            return NEED_DATA
        try:
            found = parse_wrapper(bytes(self._buffer[: HEAD + 0xFFFF]))
        except ProtocolError:
            self._skip(1)
            raise
        if found is None:
            if not self._ended:
                return NEED_DATA
            size = len(self._buffer)
            self._skip(1)
            raise ProtocolError(f"the message ends after {size} bytes", kind="truncated")
        wrapped, size = found
        del self._buffer[:size]
        return wrapped

    def _skip(self, count: int) -> None:
        del self._buffer[:count]
        self.skipped += count
