"""A serial line (RS-232, RS-485, an M-Bus level converter, a pty): pyserial sets it up, the loop moves the bytes."""

import asyncio
import errno
import os
import termios
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Self

import serial
import serial.rs485

from linli_core.errors import LinkClosed, LinkError
from linli_edge.transport.port_name import find_port, is_counted, what_there_is

Parity = Literal["none", "even", "odd"]
_PARITY: Final = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
_CHUNK: Final = 4096


@dataclass(frozen=True, slots=True)
class Line:
    """How bits stand on the wire.

    Attributes:
        baud: Bits per second.
        parity: ``none``, ``even`` or ``odd``.
        data_bits: 7 or 8.
        stop_bits: 1 or 2.
        rs485: Let the kernel switch the transmitter by RTS (only for ports whose hardware does not do it itself).
    """

    baud: int = 9600
    parity: Parity = "none"
    data_bits: Literal[7, 8] = 8
    stop_bits: Literal[1, 2] = 1
    rs485: bool = False

    @property
    def character_time(self) -> float:
        """Seconds one character takes: start bit, data bits, parity bit, stop bits."""
        return (1 + self.data_bits + (self.parity != "none") + self.stop_bits) / self.baud


class SerialTransport:
    """A byte stream over a serial port; ``async with`` finds it (:mod:`port_name`) and opens it for this process alone.

    The port is in non-blocking mode and watched by the event loop: no thread, and no byte is read before somebody
    asks, so what a driver must throw away (a late answer) is still there to be thrown away.
    """

    def __init__(self, path: str, line: Line) -> None:
        self.path = path
        self.line = line
        self._port: serial.Serial | None = None

    async def __aenter__(self) -> Self:
        path = find_port(self.path)
        try:
            port = serial.Serial(
                port=path,
                baudrate=self.line.baud,
                bytesize=self.line.data_bits,
                parity=_PARITY[self.line.parity],
                stopbits=self.line.stop_bits,
                timeout=0,
                exclusive=True,
            )
        except (serial.SerialException, termios.error, OSError, ValueError) as exc:
            absent = isinstance(exc, OSError) and exc.errno == errno.ENOENT
            hint = f"; there is {what_there_is()}" if absent and is_counted(path) else ""
            raise LinkError(f"{self.path}: cannot be opened ({exc}){hint}") from exc
        if self.line.rs485:
            try:
                port.rs485_mode = serial.rs485.RS485Settings()
            except (OSError, ValueError) as exc:
                port.close()
                raise LinkError(f"{self.path}: the port has no RS-485 mode ({exc}); set rs485 = false") from exc
        self._port = port
        try:
            port.reset_input_buffer()
        except (termios.error, OSError) as exc:
            await self.close()
            raise LinkError(f"{self.path}: cannot be opened ({exc})") from exc
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def set_line(self, line: Line) -> None:
        """Let bits stand on the wire in another way from now on; raise ``LinkError`` if the port cannot.

        The caller waits until what was written is out, and throws away what comes meanwhile.
        """
        port = self._port
        if port is None:
            raise LinkClosed(f"{self.path}: the port is not open")
        try:
            _set(port.fileno(), line)
        except (termios.error, OSError, ValueError) as exc:
            raise LinkError(f"{self.path}: cannot be set to {line.baud} baud ({exc})") from exc
        self.line = line

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte; ``b""`` once the port is gone (unplugged)."""
        descriptor = self._descriptor()
        loop = asyncio.get_running_loop()
        await _until_ready(loop.add_reader, loop.remove_reader, descriptor)
        try:
            return os.read(descriptor, _CHUNK)
        except OSError as exc:
            raise LinkClosed(f"{self.path}: the port is gone ({exc.strerror})") from exc

    async def write(self, data: bytes) -> None:
        """Hand bytes over; return when the kernel has them all."""
        descriptor = self._descriptor()
        loop = asyncio.get_running_loop()
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                await _until_ready(loop.add_writer, loop.remove_writer, descriptor)
            except OSError as exc:
                raise LinkClosed(f"{self.path}: the port is gone ({exc.strerror})") from exc

    async def close(self) -> None:
        """Close; safe to call twice."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _descriptor(self) -> int:
        if self._port is None:
            raise LinkClosed(f"{self.path}: the port is not open")
        return self._port.fileno()


def _set(descriptor: int, line: Line) -> None:
    """Set a terminal in one go.

    Attribute by attribute, as pyserial does it, a terminal that cannot do one of them (a pseudo-terminal has no parity)
    fails in the middle and is left half set.
    """
    speed = getattr(termios, f"B{line.baud}", None)
    if speed is None:
        raise ValueError("no speed that can be changed while the port is open")
    flags = {7: termios.CS7, 8: termios.CS8}[line.data_bits]
    flags |= termios.CSTOPB if line.stop_bits == 2 else 0
    flags |= {"none": 0, "even": termios.PARENB, "odd": termios.PARENB | termios.PARODD}[line.parity]
    attributes = termios.tcgetattr(descriptor)
    kept = termios.CSIZE | termios.CSTOPB | termios.PARENB | termios.PARODD
    attributes[2] = attributes[2] & ~kept | flags
    attributes[4] = attributes[5] = speed
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    except termios.error:
        # Refused where nothing at all could be changed: a pseudo-terminal asked for another parity alone.
        if not os.ttyname(descriptor).startswith("/dev/pts/") or termios.tcgetattr(descriptor)[4] != speed:
            raise


async def _until_ready(
    watch: Callable[[int, Callable[[], None]], None], unwatch: Callable[[int], bool], descriptor: int
) -> None:
    ready = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    watch(descriptor, wake)
    try:
        await ready
    finally:
        unwatch(descriptor)
