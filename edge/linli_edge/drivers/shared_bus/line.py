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

_LEAST_LISTENING: Final = 0.001
"""Seconds: long enough for the loop to look at the line once."""


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
        self._holder: object = None

    async def turn(self, holder: object, line: Line | None) -> None:
        """Give the line to a protocol, set as it wants it (``None``: as it is).

        Raises:
            LinkError: The line is gone, does not fall quiet, or cannot be set so.
        """
        if holder is self._holder:
            return
        transport = self._transport
        if line is None or not isinstance(transport, SerialTransport) or transport.line == line:
            # What still comes in is an answer to the other protocol; this one would have to make sense of it.
            await self._settle(_LEAST_LISTENING)
        else:
            await self._settle(self._quiet)
            transport.set_line(line)
            self.switches += 1
            # A device of the other speed saw the last bits as something else: it needs an idle line to begin anew.
            await self._settle(self._quiet)
        self._holder = holder

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

    async def _settle(self, quiet: float) -> None:
        """Wait until all is sent and nothing came for a while."""
        await asyncio.sleep(max(0.0, self._sent_until - asyncio.get_running_loop().time()))
        dropped = 0
        while dropped < PATIENCE:
            try:
                async with asyncio.timeout(max(quiet, _LEAST_LISTENING)):
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
