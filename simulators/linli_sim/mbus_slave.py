"""The meter's side of the bus: addresses, selection, frame count bit, pages. Pure: bytes in, bytes out.

A hand-written second side of the protocol: it shares the frame layer and the record encoder with the gateway, but not
the order of things, so that the two check each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus import Frame, FrameReader, Identity, LongFrame, ShortFrame
from linli_core.codecs.mbus.frame import ACK
from linli_core.codecs.mbus.request import (
    ANY,
    APPLICATION_RESET,
    BROADCAST,
    SELECT,
    SELECTED,
    decode_selection,
)
from linli_core.errors import ProtocolError

Pages = Callable[[], Sequence[bytes]]
"""Returns the telegrams of one readout as they go over the wire."""

_FCV: Final = 0x10
_FCB: Final = 0x20
_SND_NKE: Final = 0x40
_REQ_UD2: Final = 0x4B
_SND_UD: Final = 0x43


@dataclass
class Slave:
    """One meter on the bus.

    Attributes:
        address: Primary address, 0 to 250.
        identity: Answers to a selection; ``None``: cannot be selected.
        pages: Makes the telegrams when a readout begins.
        silent: Says nothing at all, as if it were not there.
        selected: Answers at 253.
        readouts: How many readouts began.
        repeats: How many telegrams were sent again because the frame count bit stood still.
    """

    address: int
    identity: Identity | None
    pages: Pages
    silent: bool = False
    selected: bool = False
    readouts: int = 0
    repeats: int = 0
    _frame_count: int | None = field(default=None, init=False)
    _current: Sequence[bytes] = field(default=(), init=False)
    _page: int = field(default=-1, init=False)

    def answer(self, frame: Frame) -> bytes:
        """Return the answer to a master's frame, empty if the meter keeps silent."""
        if self.silent:
            return b""
        if isinstance(frame, ShortFrame):
            return self._short(frame)
        return self._long(frame) if isinstance(frame, LongFrame) else b""

    def _short(self, frame: ShortFrame) -> bytes:
        if not self._is_meant(frame.address):
            return b""
        if frame.control == _SND_NKE:
            self._rewind()
            if frame.address == SELECTED:
                self.selected = False
            return b"" if frame.address == BROADCAST else bytes((ACK,))
        if frame.control & ~(_FCV | _FCB) == _REQ_UD2 and frame.address != BROADCAST:
            return self._read(frame.control)
        return b""

    def _long(self, frame: LongFrame) -> bytes:
        if frame.control & ~(_FCV | _FCB) != _SND_UD:
            return b""
        if frame.address == SELECTED and frame.ci == SELECT:
            return self._select(frame.data)
        if self._is_meant(frame.address) and frame.ci == APPLICATION_RESET:
            self._page = -1
            return b"" if frame.address == BROADCAST else bytes((ACK,))
        return b""

    def _select(self, data: bytes) -> bytes:
        wanted = decode_selection(data[:8]) if len(data) >= 8 else None
        self.selected = wanted is not None and self.identity is not None and wanted.matches(self.identity)
        if not self.selected:
            return b""
        self._rewind()
        return bytes((ACK,))

    def _read(self, control: int) -> bytes:
        bit = control & _FCB
        if control & _FCV and bit == self._frame_count and self._page >= 0:
            self.repeats += 1
            return self._current[self._page]
        self._frame_count = bit
        self._page += 1
        if not 0 < self._page < len(self._current):
            self._current = self.pages()
            self._page = 0
            self.readouts += 1
        return self._current[self._page]

    def _rewind(self) -> None:
        self._frame_count = None
        self._page = -1

    def _is_meant(self, address: int) -> bool:
        return address in (self.address, ANY, BROADCAST) or (address == SELECTED and self.selected)


class BusSegment:
    """Meters on one pair of wires.

    Attributes:
        slaves: Every meter hears every frame.
        collisions: How often several meters answered at once.
    """

    def __init__(self, slaves: Sequence[Slave]) -> None:
        self.slaves = slaves
        self.collisions = 0
        self._reader = FrameReader()

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes of the master and return what comes back, one item for each frame that was answered."""
        self._reader.receive(data)
        answers: list[bytes] = []
        while True:
            try:
                frame = self._reader.next_event()
            except ProtocolError:
                continue
            if frame is NEED_DATA:
                return answers
            if said := [answer for slave in self.slaves if (answer := slave.answer(frame))]:
                answers.append(self._merge(said))

    def _merge(self, said: Sequence[bytes]) -> bytes:
        """Return what is heard when meters speak at once: a meter sends a 0 by drawing current, and a 0 wins."""
        if len(said) == 1:
            return said[0]
        self.collisions += 1
        heard = bytearray(max(said, key=len))
        for answer in said:
            for place, byte in enumerate(answer):
                heard[place] &= byte
        return bytes(heard)
