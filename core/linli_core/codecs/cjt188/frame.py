"""Link layer frames of CJ/T 188, the 2004 and the 2018 edition alike (data link layer).

::

    68 T A0 … A6 C L DATA CS 16

The data are sent as they are: nothing is added, unlike in DL/T 645. ``T`` says what is metered. The address is
fourteen digits, sent low byte first: ten of the meter's number, and before them four of the maker's code. ``AA``
throughout, in ``T`` too, means any meter.
"""

import re
from typing import Final

import msgspec

from linli_core.codecs import frame68
from linli_core.codecs.frame68 import Shape, seal

LONGEST: Final = 200
"""Bytes of data we accept; the standard's answers have fewer than 100, makers' own ones some more."""

ANY: Final = "AA" * 7
ANY_TYPE: Final = 0xAA

REPLY: Final = 0x80
REFUSED: Final = 0x40
MAKERS: Final = 0x20
"""Bit of the control code that says: this code is the maker's own."""
FUNCTION: Final = 0x1F

ADDRESS: Final = re.compile(r"[0-9A-F]{14}")


class Frame(msgspec.Struct, frozen=True):
    """A frame of either edition.

    Attributes:
        meter_type: What is metered: 10 cold water, 20 heat, 30 gas …
        address: Fourteen digits, as they are printed: maker's code, then number. Hexadecimal digits occur and are kept.
        control: The control code.
    """

    meter_type: int
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
    def is_makers(self) -> bool:
        """Whether the control code is the maker's own."""
        return bool(self.control & MAKERS)


def _build(head: bytes, data: bytes) -> Frame:
    return Frame(head[1], decode_address(head[2:9]), head[9], data)


SHAPE: Final = Shape(head=11, longest=LONGEST, second_start=None, build=_build)


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
    head = bytes((frame68.START, frame.meter_type)) + encode_address(frame.address)
    return seal(head + bytes((frame.control, len(frame.data))), frame.data, preamble=preamble)


def decode_address(data: bytes) -> str:
    """Return the address in seven bytes, low byte first."""
    return data[::-1].hex().upper()


def encode_address(address: str) -> bytes:
    """Return the seven bytes of an address; ``ValueError`` if it is not fourteen digits."""
    if not ADDRESS.fullmatch(address):
        raise ValueError(f"an address is fourteen digits, not {address!r}")
    return bytes.fromhex(address)[::-1]
