"""Link layer frames of DL/T 645, the 1997 and the 2007 edition alike (2007: chapter 5, data link layer).

::

    68 A0 … A5 68 C L DATA CS 16

Each byte of the data is sent with 33 added. A frame here holds the data without it. The address is twelve digits,
sent low byte first; ``AA`` stands for any byte, ``999999999999`` for all meters, of which none answers.
"""

import re
from typing import Final

import msgspec

from linli_core.codecs import frame68
from linli_core.codecs.frame68 import Shape, seal

OFFSET: Final = 0x33
LONGEST: Final = 200
"""Bytes of data that a meter may send at once; a master may send 50 (both editions, "data length field")."""

ANY: Final = "AAAAAAAAAAAA"
"""Address that every meter answers; some meters of 1997 answer with it too."""
BROADCAST: Final = "999999999999"
WILD: Final = "AA"

REPLY: Final = 0x80
REFUSED: Final = 0x40
MORE: Final = 0x20
FUNCTION: Final = 0x1F

ADDRESS: Final = re.compile(r"[0-9A-F]{12}")

_ADD: Final = bytes((byte + OFFSET) & 0xFF for byte in range(256))
_SUBTRACT: Final = bytes((byte - OFFSET) & 0xFF for byte in range(256))


class Frame(msgspec.Struct, frozen=True):
    """A frame of either edition.

    Attributes:
        address: Twelve digits, as they are printed on the meter. Hexadecimal digits occur in the field and are kept.
        control: The control code.
        data: The data, without the 33 that is added on the wire.
    """

    address: str
    control: int
    data: bytes = b""

    @property
    def function(self) -> int:
        """What is asked for, or answered."""
        return self.control & FUNCTION

    @property
    def is_reply(self) -> bool:
        """Whether a meter speaks."""
        return bool(self.control & REPLY)

    @property
    def is_refusal(self) -> bool:
        """Whether a meter says that it cannot."""
        return bool(self.control & REFUSED)

    @property
    def more_follow(self) -> bool:
        """Whether there are data that did not fit into this frame."""
        return bool(self.control & MORE)


def _build(head: bytes, data: bytes) -> Frame:
    return Frame(decode_address(head[1:7]), head[8], data.translate(_SUBTRACT))


SHAPE: Final = Shape(head=10, longest=LONGEST, second_start=7, build=_build)


class FrameReader(frame68.FrameReader[Frame]):
    """Finds frames in a stream of bytes; see :class:`linli_core.codecs.frame68.FrameReader`."""

    def __init__(self) -> None:
        super().__init__(SHAPE)


def decode_frame(data: bytes) -> Frame:
    """Return the frame that a byte string is, behind FE as it may be; ``ProtocolError`` if it is none."""
    return SHAPE.decode(data)


def encode_frame(frame: Frame, *, preamble: int = 0) -> bytes:
    """Return the bytes of a frame; ``ValueError`` if the data do not fit or the address is none."""
    if len(frame.data) > LONGEST:
        raise ValueError(f"{len(frame.data)} bytes of data do not fit into one frame; {LONGEST} do")
    head = bytes((frame68.START,)) + encode_address(frame.address)
    head += bytes((frame68.START, frame.control, len(frame.data)))
    return seal(head, frame.data.translate(_ADD), preamble=preamble)


def decode_address(data: bytes) -> str:
    """Return the address in six bytes, low byte first."""
    return data[::-1].hex().upper()


def encode_address(address: str) -> bytes:
    """Return the six bytes of an address; ``ValueError`` if it is not twelve digits."""
    if not ADDRESS.fullmatch(address):
        raise ValueError(f"an address is twelve digits, not {address!r}")
    return bytes.fromhex(address)[::-1]


def matches(wanted: str, address: str) -> bool:
    """Tell whether a meter of this address may answer where ``wanted`` was asked, ``AA`` being any byte."""
    pairs = zip(_bytes_of(wanted), _bytes_of(address), strict=True)
    return all(want in (WILD, have) for want, have in pairs)


def _bytes_of(address: str) -> list[str]:
    return [address[place : place + 2] for place in range(0, len(address), 2)]
