"""A TCP converter with M-Bus meters behind it: the thin shell around :mod:`linli_sim.mbus_slave`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from linli_sim.mbus_slave import BusSegment

CONNECTIONS: Final = 16
"""Most connections at one time; the next one is closed at once. A real converter often takes one."""

_CHUNK: Final = 4096


class MbusServer:
    """One bus behind a TCP port.

    Attributes:
        bus: The meters.
        connections: How many connections have been accepted so far.
    """

    def __init__(self, bus: BusSegment) -> None:
        self.bus = bus
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def listen(self, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[int]:
        """Serve; yield the port (a free one for 0)."""
        server = await asyncio.start_server(self._serve, host, port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in tuple(self._open):
                writer.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS:
            writer.close()
            return
        self.connections += 1
        self._open.add(writer)
        try:
            while data := await reader.read(_CHUNK):
                for answer in self.bus.receive(data):
                    writer.write(answer)
                await writer.drain()
        except ConnectionError:
            pass  # the client went away in the middle: nothing to tell anybody
        finally:
            self._open.discard(writer)
            writer.close()
