"""One message, one answer, at the speed that was agreed; nothing left over from the one before."""

import asyncio
import logging
from dataclasses import replace
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.iec62056 import Frame, FrameReader
from linli_core.codecs.iec62056.request import encode_frame
from linli_core.errors import LinkClosed, LinkTimeout, ProtocolError
from linli_edge.transport import Transport
from linli_edge.transport.serial_line import Line, SerialTransport

_LOG: Final = logging.getLogger(__name__)

PATIENCE: Final = 128 * 1024
"""Bytes that may arrive in one exchange; two of the longest data messages. More is a babbling device."""

TURNAROUND: Final = 0.02
"""Seconds a reader leaves before it speaks (the shortest reaction time of IEC 62056-21 is 20 ms in fast meters)."""


class Conversation:
    """The reader's side of one line.

    Attributes:
        timeout: Seconds until the first byte of an answer, and between two chunks of it.
        heard: Frames seen that answered nothing that was asked: the echo of an optical head, another meter.
    """

    def __init__(self, transport: Transport, timeout: float, *, parity: bool) -> None:
        self.timeout = timeout
        self.heard = 0
        self._transport = transport
        self._reader = FrameReader(parity=parity)
        self._start: Line | None = transport.line if isinstance(transport, SerialTransport) else None

    async def begin(self) -> None:
        """Go back to the first speed, and throw away what came too late."""
        await self.switch(None)
        self._reader.clear()
        await self._drain()

    async def send(self, *frames: Frame, before: bytes = b"") -> None:
        """Send messages; return when they are out on the wire."""
        data = before + b"".join(encode_frame(frame) for frame in frames)
        await self._transport.write(data)
        if isinstance(self._transport, SerialTransport):
            await asyncio.sleep(len(data) * self._transport.line.character_time)

    async def switch(self, baud: int | None) -> None:
        """Set the line to a speed (``None``: the first one), where it is a serial line."""
        if self._start is None or not isinstance(self._transport, SerialTransport):
            return
        line = self._start if baud is None else replace(self._start, baud=baud)
        if line != self._transport.line:
            self._transport.set_line(line)

    async def answer(self, *ignored: Frame) -> Frame:
        """Return the next message, those of our own (echo) left out.

        Raises:
            LinkTimeout: Nothing came.
            ProtocolError: Something came, but no message that is whole.
            LinkClosed: The line is gone.
        """
        trouble: ProtocolError | None = None
        received = len(self._reader)
        silent = False
        while received < PATIENCE:
            try:
                frame = self._reader.next_event()
            except ProtocolError as exc:
                trouble = trouble or exc
                continue
            if frame is NEED_DATA:
                if silent:
                    break
                data = await self._read(self.timeout)
                if data is None:
                    self._reader.end()
                    silent = True
                else:
                    received += len(data)
                    self._reader.receive(data)
            elif frame in ignored:
                self.heard += 1
            else:
                return frame
        if trouble is not None:
            raise trouble
        if received:
            raise ProtocolError(f"{received} bytes came, but no message", kind="no_frame")
        raise LinkTimeout(f"no answer within {self.timeout:g} s")

    async def _drain(self) -> None:
        dropped = 0
        while dropped < PATIENCE and (data := await self._read(TURNAROUND)) is not None:
            dropped += len(data)
        if dropped:
            _LOG.info("%d bytes came when nothing was asked and were dropped", dropped)

    async def _read(self, limit: float) -> bytes | None:
        try:
            async with asyncio.timeout(limit):
                data = await self._transport.read()
        except TimeoutError:
            return None
        if not data:
            raise LinkClosed("the other end closed the line")
        return data
