"""Link layer frames: single character, short frame, long frame (EN 13757-2; frame format class FT 1.2).

::

    E5                                   acknowledgement
    10 C A CS 16                         short frame
    68 L L 68 C A CI data… CS 16         long frame; L counts C, A, CI and data; control frame if there is no data

``CS`` is the sum of all bytes from ``C`` to the end of the data, modulo 256.
"""

import re
from typing import Final

import msgspec

from linli_core.codecs.stream import StreamReader, check_end, cut_off
from linli_core.errors import ChecksumError, ProtocolError

ACK: Final = 0xE5
SHORT: Final = 0x10
LONG: Final = 0x68
STOP: Final = 0x16

LONGEST: Final = 261
"""Bytes of the longest frame: ``L`` is one byte and counts what lies between the second 68 and the checksum."""

BUFFER: Final = 8 * 1024
"""Bytes a reader holds: thirty of the longest frames. More comes only from a peer that never makes sense."""

_START: Final = re.compile(rb"[\x10\x68\xe5]")


class Ack(msgspec.Struct, frozen=True):
    """The single character E5: understood, nothing to say."""


class ShortFrame(msgspec.Struct, frozen=True):
    """A frame without data: a request of the master."""

    control: int
    address: int


class LongFrame(msgspec.Struct, frozen=True):
    """A frame with data.

    Attributes:
        control: The C field; 08 and 18, 28, 38 are a meter's answer.
        address: The A field, the meter's primary address.
        ci: The CI field: what the data are.
        data: Everything behind the CI field, without the checksum.
    """

    control: int
    address: int
    ci: int
    data: bytes


Frame = Ack | ShortFrame | LongFrame


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of a frame; ``ValueError`` if the data do not fit into one."""
    if isinstance(frame, Ack):
        return bytes((ACK,))
    if isinstance(frame, ShortFrame):
        return bytes((SHORT, frame.control, frame.address, (frame.control + frame.address) & 0xFF, STOP))
    body = bytes((frame.control, frame.address, frame.ci)) + frame.data
    if len(body) > 0xFF:
        raise ValueError(f"{len(frame.data)} bytes of data do not fit into one frame; 252 do")
    return bytes((LONG, len(body), len(body), LONG)) + body + bytes((sum(body) & 0xFF, STOP))


class FrameReader(StreamReader[Frame]):
    """Finds frames in a stream of bytes; see :class:`linli_core.codecs.stream.StreamReader`."""

    def __init__(self) -> None:
        super().__init__(BUFFER)

    def _find(self, buffer: bytearray, /) -> int:
        start = _START.search(buffer)
        return start.start() if start else -1

    def _parse(self, buffer: bytearray, /) -> tuple[Frame | None, int]:
        return _parse(buffer)


def decode_frame(data: bytes) -> Frame:
    """Return the frame that a byte string is, no byte more or less; ``ProtocolError`` if it is none."""
    if not data:
        raise ProtocolError("there are no bytes", kind="truncated")
    frame, size = _parse(data)
    if frame is None:
        raise cut_off("frame", len(data), size)
    check_end(data, size)
    return frame


def _parse(data: bytes | bytearray) -> tuple[Frame | None, int]:
    """Return the frame at the very start and its size; no frame if bytes are missing, then the size wanted."""
    start = data[0]
    if start == LONG:
        return _parse_long(data)
    if start == ACK:
        return Ack(), 1
    if start == SHORT:
        if len(data) < 5:
            return None, 5
        _check(data[1:3], data[3], data[4], 3)
        return ShortFrame(data[1], data[2]), 5
    raise ProtocolError(f"no frame starts with {start:02X}", offset=0)


def _parse_long(data: bytes | bytearray) -> tuple[Frame | None, int]:
    """Return the long frame at the very start, each byte of its head checked as soon as it is there."""
    have = len(data)
    if have < 2:
        return None, 9
    length = data[1]
    if length < 3:
        raise ProtocolError(f"a length of {length} leaves no room for C, A and CI", offset=1)
    size = length + 6
    if have > 2 and data[2] != length:
        raise ProtocolError(f"the two lengths {length:02X} and {data[2]:02X} differ", offset=2)
    if have > 3 and data[3] != LONG:
        raise ProtocolError(f"found {data[3]:02X} where the second 68 belongs", offset=3)
    if have < size:
        return None, size
    body = bytes(data[4 : size - 2])
    _check(body, data[size - 2], data[size - 1], size - 2)
    return LongFrame(body[0], body[1], body[2], body[3:]), size


def _check(body: bytes | bytearray, checksum: int, stop: int, offset: int) -> None:
    if (wanted := sum(body) & 0xFF) != checksum:
        raise ChecksumError(f"the checksum is {checksum:02X}, the bytes give {wanted:02X}", offset=offset)
    if stop != STOP:
        raise ProtocolError(f"found {stop:02X} where the stop byte 16 belongs", offset=offset + 1)
