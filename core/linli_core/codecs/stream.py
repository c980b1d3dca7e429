"""Frames in a stream of bytes: what every reader of ours does alike, whatever its frames look like.

A reader takes chunks of any size and holds a bounded number of bytes. It never trusts a length it has not checked, and
after a false start it goes on one byte further: noise that looks like a start costs that one byte, not the frame behind
it.
"""

from abc import ABC, abstractmethod
from typing import Final, Generic, TypeVar

from linli_core.codec import NEED_DATA, NeedData
from linli_core.errors import ProtocolError

FrameT = TypeVar("FrameT")

MISSING: Final = (None, 0)
"""What a parser says while bytes are missing and it does not know how many."""


class ByteBuffer:
    """The bytes that have come and belong to no frame yet.

    Attributes:
        skipped: Bytes that belonged to no frame, since the reader was made.
    """

    def __init__(self, capacity: int, noun: str = "frame") -> None:
        """Begin empty.

        Args:
            capacity: Bytes it holds. More comes only from a peer that never makes sense.
            noun: What its frames are called, for errors.
        """
        self.skipped = 0
        self._capacity = capacity
        self._noun = noun
        self._buffer = bytearray()
        self._ended = False

    def __len__(self) -> int:
        return len(self._buffer)

    def receive(self, data: bytes, /) -> None:
        """Take bytes off the wire. Of more than the buffer holds the oldest are dropped, and counted as skipped."""
        self._ended = False
        self._buffer += data
        if (excess := len(self._buffer) - self._capacity) > 0:
            self._skip(excess)

    def end(self) -> None:
        """Say that the line fell silent: a frame that is not complete by now is a false start."""
        self._ended = True

    def clear(self) -> None:
        """Forget all bytes received; they count as skipped."""
        self._skip(len(self._buffer))

    def _skip(self, count: int) -> None:
        del self._buffer[:count]
        self.skipped += count

    def _skip_to(self, start: int) -> bool:
        """Skip to where a frame may begin, all if that is nowhere (negative); tell whether there is a start."""
        self._skip(start if start >= 0 else len(self._buffer))
        return start >= 0

    def _cut_off(self, wanted: int = 0) -> ProtocolError:
        """Skip the start of a frame that has not come whole, and return the error that says so."""
        found = len(self._buffer)
        self._skip(1)
        return cut_off(self._noun, found, wanted)


class StreamReader(ByteBuffer, ABC, Generic[FrameT]):
    """Finds frames of one kind; a kind says where one may begin and what stands there."""

    @abstractmethod
    def _find(self, buffer: bytearray, /) -> int:
        """Return where a frame may begin; negative: nowhere."""

    @abstractmethod
    def _parse(self, buffer: bytearray, /) -> tuple[FrameT | None, int]:
        """Return the frame at the very start, and its size; no frame if bytes are missing, then the size wanted or 0.

        Raises:
            ProtocolError: What is there begins no frame.
        """

    def next_event(self) -> FrameT | NeedData:
        """Return the next frame, or ``NEED_DATA``.

        Raises:
            ChecksumError: A frame's checksum does not match.
            ProtocolError: A start that is none (kinds ``malformed``, ``truncated``…). Call again: the reader goes on
                one byte behind the false start.
        """
        buffer = self._buffer
        if not self._skip_to(self._find(buffer)):
            return NEED_DATA
        try:
            frame, size = self._parse(buffer)
        except ProtocolError:
            self._skip(1)
            raise
        if frame is None:
            if not self._ended:
                return NEED_DATA
            raise self._cut_off(size)
        del buffer[:size]
        return frame


def cut_off(noun: str, found: int, wanted: int = 0) -> ProtocolError:
    """Return the error that says how many bytes of a frame there are, and of how many if that is known."""
    of = f" of {wanted}" if wanted else ""
    return ProtocolError(f"the {noun} ends after {found}{of} bytes", kind="truncated")


def check_end(data: bytes, size: int, noun: str = "frame") -> None:
    """Raise ``ProtocolError`` if bytes follow the frame that is the first ``size`` bytes."""
    if (rest := len(data) - size) > 0:
        raise ProtocolError(f"{rest} bytes follow the end of the {noun}", kind="trailing_bytes", offset=size)
