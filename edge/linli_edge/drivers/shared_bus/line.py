"""The line that several protocols share: set as the one whose turn it is wants it, and quiet in between."""

import asyncio
import logging
from typing import Final

from linli_core.errors import LinkClosed, LinkTimeout
from linli_edge.transport import Transport
from linli_edge.transport.serial_line import Line, SerialTransport

_LOG: Final = logging.getLogger(__name__)

PATIENCE: Final = 4096
"""Bytes that may come while quiet is waited for. More is a device that never stops; on such a line nothing can be
read."""


class SharedLine:
    """An open line and how it is set at present.

    Attributes:
        switches: How often it was set in another way.
        dropped: Bytes that came while the line changed hands: late answers, and noise.
    """

    def __init__(self, transport: Transport, quiet: float) -> None:
        """Store the open transport and the seconds of silence before a change."""
        self.switches = 0
        self.dropped = 0
        self._transport = transport
        self._quiet = quiet
        self._sent_until = 0.0

    async def turn(self, line: Line | None) -> None:
        """Give the line to a protocol that wants it set in a way (``None``: as it is).

        Raises:
            LinkError: The line is gone, or cannot be set so.
        """
        transport = self._transport
        if line is None or not isinstance(transport, SerialTransport) or transport.line == line:
            return
        await self._settle()
        transport.set_line(line)
        self.switches += 1
        # A receiver that was set differently saw the last bits as something else: let it find the idle line.
        await self._settle()

    async def read(self) -> bytes:
        """Return what has arrived."""
        return await self._transport.read()

    async def write(self, data: bytes) -> None:
        """Hand bytes over, and note until when they take the wire."""
        await self._transport.write(data)
        if isinstance(self._transport, SerialTransport):
            begin = max(self._sent_until, asyncio.get_running_loop().time())
            self._sent_until = begin + len(data) * self._transport.line.character_time

    async def close(self) -> None:
        """Do nothing: the line is its opener's to close, and a protocol's end is not the others'."""

    async def _settle(self) -> None:
        """Wait until all is sent and nothing came for a while."""
        await asyncio.sleep(max(0.0, self._sent_until - asyncio.get_running_loop().time()))
        dropped = 0
        while dropped < PATIENCE:
            try:
                async with asyncio.timeout(self._quiet):
                    data = await self._transport.read()
            except TimeoutError:
                break
            if not data:
                raise LinkClosed("the other end closed the line")
            dropped += len(data)
        else:
            raise LinkTimeout(f"the line does not fall quiet: {dropped} bytes came while nothing was asked")
        if dropped:
            self.dropped += dropped
            _LOG.info("%d bytes came when the line changed hands and were dropped", dropped)
