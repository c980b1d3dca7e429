"""Where pushes come in: a line or a converter we open, or a socket that meters connect to or send to."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from linli_core.errors import LinkClosed, LinkError
from linli_edge.drivers.dlms.settings import ListenSettings
from linli_edge.transport import Transport
from linli_edge.transport.settings import TransportSettings

_LOG: Final = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 256
IDLE: Final = 3600.0
"""Seconds after which a connection that says nothing is given up: its modem lost its power."""

_CHUNK: Final = 4096

Take = Callable[[bytes], None]
"""Takes a chunk of one stream, ``b""`` at its end."""

NewStream = Callable[[], Take]
"""Begins a stream of its own: one for a line, one for each connection, one for each datagram."""


class Entrance:
    """An open way in; :meth:`listen` carries what comes until it ends."""

    def __init__(self, new_stream: NewStream) -> None:
        self._new_stream = new_stream
        self._transport: Transport | None = None
        self._server: asyncio.Server | None = None
        self._ended = asyncio.Event()
        self._connections = 0
        self.port = 0

    async def listen(self) -> None:
        """Carry what comes until the line ends; a socket never does."""
        if self._transport is None:
            await self._ended.wait()
            return
        take = self._new_stream()
        while data := await self._transport.read():
            take(data)
        take(b"")

    def on_line(self, transport: Transport) -> None:
        """Listen to a transport that is open."""
        self._transport = transport

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        peer = writer.get_extra_info("peername")
        if self._connections >= MOST_CONNECTIONS:
            _LOG.warning("%s: refused, there are %d connections", peer, self._connections)
            writer.close()
            return
        self._connections += 1
        take = self._new_stream()
        try:
            while True:
                async with asyncio.timeout(IDLE):
                    data = await reader.read(_CHUNK)
                if not data:
                    break
                take(data)
        except (OSError, TimeoutError) as exc:
            _LOG.info("%s: %s", peer, exc or "nothing for an hour")
        finally:
            take(b"")
            self._connections -= 1
            writer.close()

    def datagram(self, data: bytes) -> None:
        """Carry one datagram."""
        take = self._new_stream()
        take(data)
        take(b"")

    def stop(self) -> None:
        """Let :meth:`listen` of a socket end."""
        self._ended.set()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        del addr
        self._entrance.datagram(data)

    def error_received(self, exc: Exception) -> None:
        _LOG.info("datagram: %s", exc)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._entrance.stop()


@asynccontextmanager
async def open_entrance(settings: TransportSettings | ListenSettings, new_stream: NewStream) -> AsyncIterator[Entrance]:
    """Open the way in; raise ``LinkError`` where that cannot be."""
    entrance = Entrance(new_stream)
    if not isinstance(settings, ListenSettings):
        async with settings.open() as transport:
            entrance.on_line(transport)
            yield entrance
        return
    try:
        if settings.datagrams:
            async with _datagrams(settings, entrance):
                yield entrance
        else:
            server = await asyncio.start_server(entrance.serve, settings.host, settings.port, limit=_CHUNK * 4)
            entrance.port = server.sockets[0].getsockname()[1]
            try:
                yield entrance
            finally:
                server.close()
    except LinkError:
        raise
    except OSError as exc:
        raise LinkClosed(f"{settings.place}: cannot listen ({exc.strerror or exc})") from exc


@asynccontextmanager
async def _datagrams(settings: ListenSettings, entrance: Entrance) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(entrance), local_addr=(settings.host, settings.port)
    )
    entrance.port = transport.get_extra_info("sockname")[1]
    try:
        yield
    finally:
        transport.close()
