"""Who answers on a bus: units of ours, and devices of another make at the end of a pseudo-terminal of their own."""

import contextlib
import os
import tty
from collections.abc import Callable
from typing import Protocol

from linli_sim.line.faults import framed
from linli_sim.modbus_frames import crc
from linli_sim.modbus_registers import Unit


class Station(Protocol):
    """One device on a bus; it hears every frame and answers those that are its own."""

    def hear(self, frame: bytes) -> bytes:
        """Return what it says to a frame; empty: nothing, or nothing yet."""
        ...


class ModbusStation:
    """A unit of ours behind RTU frames.

    Attributes:
        address: Its unit id.
        unit: What it holds.
        before: Called before each answer, so that a model can bring its registers up to date.
    """

    def __init__(self, address: int, unit: Unit, before: Callable[[], None] | None = None) -> None:
        self.address = address
        self.unit = unit
        self.before = before

    def hear(self, frame: bytes) -> bytes:
        """Return the answer's frame; a frame with a wrong checksum is passed over."""
        if frame[0] != self.address or len(frame) < 4 or crc(frame):
            return b""
        if self.before is not None:
            self.before()
        return framed(bytes((self.address,)) + self.unit.answer(frame[1:-2]))


class ForeignStation:
    """A Modbus device that is another program: it opens :attr:`path` as its serial port.

    It is handed the frames to its own unit id alone. libmodbus takes whatever follows a request to another unit for
    that one's answer; where the other is silent, that is the next request, and it would be out of step.

    Attributes:
        address: Its unit id.
        path: Where that program finds its end of the line.
        descriptor: This end.
    """

    def __init__(self, address: int) -> None:
        self.address = address
        self.descriptor, self._other = os.openpty()
        for end in (self.descriptor, self._other):
            tty.setraw(end)
        os.set_blocking(self.descriptor, False)
        self.path = os.ttyname(self._other)

    def hear(self, frame: bytes) -> bytes:
        """Hand the frame on; what the program says arrives at :attr:`descriptor`."""
        if frame[0] in {0, self.address}:
            with contextlib.suppress(BlockingIOError):  # a program that does not read hears no more than fits
                os.write(self.descriptor, frame)
        return b""

    def close(self) -> None:
        """Close both ends."""
        os.close(self.descriptor)
        os.close(self._other)
