"""A TCP connection: a serial-to-Ethernet converter, a Modbus TCP device, a simulator."""

import asyncio
import os
import socket
from types import TracebackType
from typing import Final, Self

from linli_core.errors import LinkClosed, LinkError, LinkTimeout

_CHUNK: Final = 4096


class TcpTransport:
    """A byte stream over TCP; ``async with`` connects.

    Who connects again after an error, and when, is the link's business.

    Attributes:
        host, port: Where to connect.
        connect_limit: Seconds a connection may take.
    """

    def __init__(self, host: str, port: int, connect_limit: float = 5.0) -> None:
        self.host = host
        self.port = port
        self.connect_limit = connect_limit
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        place = f"{self.host}:{self.port}"
        try:
            async with asyncio.timeout(self.connect_limit):
                self._reader, self._writer = await asyncio.open_connection(self.host, self.port, limit=_CHUNK * 4)
        except TimeoutError as exc:
            raise LinkTimeout(f"{place}: no connection within {self.connect_limit:g} s") from exc
        except OSError as exc:
            # asyncio puts the address in place of the reason.
            reason = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else str(exc)
            raise LinkError(f"{place}: no connection ({reason})") from exc
        connection = self._writer.get_extra_info("socket")
        # A converter that lost its power says nothing: without keepalive a dead line looks like a silent device.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte; ``b""`` once the other end has closed."""
        if self._reader is None:
            raise LinkClosed(f"{self.host}:{self.port}: not connected")
        try:
            return await self._reader.read(_CHUNK)
        except OSError as exc:
            raise LinkClosed(f"{self.host}:{self.port}: connection lost ({exc.strerror or exc})") from exc

    async def write(self, data: bytes) -> None:
        """Hand bytes over; return when they are on their way."""
        if self._writer is None:
            raise LinkClosed(f"{self.host}:{self.port}: not connected")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as exc:
            raise LinkClosed(f"{self.host}:{self.port}: connection lost ({exc.strerror or exc})") from exc

    async def close(self) -> None:
        """Close; safe to call twice."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is None:
            return
        writer.close()
        try:
            await writer.wait_closed()
        except OSError:
            # The connection was already broken: closed is what we wanted.
            return
