"""Frames that begin with 68 and end with 16: what DL/T 645 and CJ/T 188 have in common.

::

    FE…  68 head L DATA CS 16

``L`` counts the data. ``CS`` is the sum of all bytes from the first 68 to the end of the data, modulo 256. The FE
before a frame wake the other side; how many arrive says nothing, so any number of them is passed over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from linli_core.codecs.stream import StreamReader, cut_off
from linli_core.errors import ChecksumError, ProtocolError

START: Final = 0x68
STOP: Final = 0x16
PREAMBLE: Final = 0xFE

BUFFER: Final = 4 * 1024
"""Bytes a reader holds: more than fifteen of the longest frames. More comes only from a peer that never makes sense."""

FrameT = TypeVar("FrameT")


@dataclass(frozen=True, slots=True)
class Shape(Generic[FrameT]):
    """What one protocol's frames look like.

    Attributes:
        head: Bytes before the data, ``L`` included; ``L`` is the last of them.
        longest: The largest ``L``.
        second_start: Where a second 68 stands; ``None`` where there is none.
        build: Makes a frame of the head and the data.
    """

    head: int
    longest: int
    second_start: int | None
    build: Callable[[bytes, bytes], FrameT]

    def parse(self, data: bytes | bytearray) -> tuple[FrameT | None, int]:
        """Return the frame at the very start and its size; no frame if bytes are missing, then the size wanted.

        Raises:
            ProtocolError: What is there begins no frame; each byte of the head is checked as soon as it is there.
        """
        have, head = len(data), self.head
        if data[0] != START:
            raise ProtocolError(f"no frame starts with {data[0]:02X}", offset=0)
        second = self.second_start
        if second is not None and have > second and data[second] != START:
            raise ProtocolError(f"found {data[second]:02X} where the second 68 belongs", offset=second)
        if have < head:
            return None, head + 2
        length = data[head - 1]
        if length > self.longest:
            raise ProtocolError(f"a length of {length}; {self.longest} is the longest", offset=head - 1)
        end = head + length
        if have < end + 2:
            return None, end + 2
        if (wanted := sum(data[:end]) & 0xFF) != data[end]:
            raise ChecksumError(f"the checksum is {data[end]:02X}, the bytes give {wanted:02X}", offset=end)
        if data[end + 1] != STOP:
            raise ProtocolError(f"found {data[end + 1]:02X} where the stop byte 16 belongs", offset=end + 1)
        return self.build(bytes(data[:head]), bytes(data[head:end])), end + 2

    def decode(self, data: bytes) -> FrameT:
        """Return the frame that a byte string is, behind FE as it may be; ``ProtocolError`` if it is none."""
        frame_bytes = data.lstrip(bytes((PREAMBLE,)))
        if not frame_bytes:
            raise ProtocolError("there are no bytes", kind="truncated")
        frame, size = self.parse(frame_bytes)
        if frame is None:
            raise cut_off("frame", len(frame_bytes), size)
        if (rest := len(frame_bytes) - size) > 0:
            place = len(data) - rest
            raise ProtocolError(f"{rest} bytes follow the end of the frame", kind="trailing_bytes", offset=place)
        return frame


def seal(head: bytes, data: bytes, *, preamble: int = 0) -> bytes:
    """Return a whole frame: head (which ends with ``L``), data, checksum and stop byte, behind some FE."""
    body = head + data
    return bytes((PREAMBLE,)) * preamble + body + bytes((sum(body) & 0xFF, STOP))


class FrameReader(StreamReader[FrameT]):
    """Finds frames of one shape; the FE before them count as skipped."""

    def __init__(self, shape: Shape[FrameT]) -> None:
        super().__init__(BUFFER)
        self._shape = shape

    def _find(self, buffer: bytearray, /) -> int:
        return buffer.find(START)

    def _parse(self, buffer: bytearray, /) -> tuple[FrameT | None, int]:
        return self._shape.parse(buffer)


@dataclass(frozen=True, slots=True)
class Piece(Generic[FrameT]):
    """A run of bytes: a frame, or what is none.

    Attributes:
        offset: Where it begins.
        data: Its bytes.
        frame: The frame they are; ``None`` for what lies between frames.
        name, meaning: For people, of what is no frame.
        wrong: What the protocol does not allow about it.
    """

    offset: int
    data: bytes
    frame: FrameT | None = None
    name: str = ""
    meaning: str = ""
    wrong: str = ""


def split(shape: Shape[FrameT], data: bytes) -> list[Piece[FrameT]]:
    """Return frames and what lies between them, every byte in one piece, in order."""
    pieces: list[Piece[FrameT]] = []
    idle = 0
    trouble = ""
    at = 0

    def passed_over(end: int) -> None:
        if end > idle:
            run = data[idle:end]
            if run.count(PREAMBLE) == len(run):
                pieces.append(Piece(idle, run, None, "preamble", "wakes the other side; says nothing"))
            else:
                wrong = trouble or "no frame of this kind"
                pieces.append(Piece(idle, run, None, "no frame", run.hex(" ").upper(), wrong))

    while (at := data.find(START, at)) >= 0:
        try:
            frame, size = shape.parse(data[at : at + shape.head + shape.longest + 2])
        except ProtocolError as exc:
            frame, size = None, 0
            trouble = trouble or str(exc)
        if frame is None:
            trouble = trouble or f"the frame ends after {len(data) - at} of {size} bytes"
            at += 1
            continue
        begin = at
        while begin > idle and data[begin - 1] == PREAMBLE:
            begin -= 1
        passed_over(begin)
        idle = begin
        passed_over(at)
        pieces.append(Piece(at, data[at : at + size], frame))
        at = idle = at + size
        trouble = ""
    passed_over(len(data))
    return pieces
