"""A TCP connection: a serial-to-Ethernet converter, a Modbus TCP device, a simulator."""

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from linli_core.errors import LinkClosed, LinkError, LinkTimeout

_CHUNK: Final = 4096

_HANGING_UP: Final = 0.1
"""Seconds in which a converter that closes behind its answer has done so."""


@dataclass(slots=True)
class Habits:
    """What was learnt of the other end, beyond one connection.

    Attributes:
        hangs_up: It closes the connection behind each answer, as some converters do.
    """

    hangs_up: bool = False


class TcpTransport:
    """A byte stream over TCP, or over TLS; ``async with`` connects.

    Some converters close the connection behind each answer, or after a while of silence. Nothing is lost by that as
    long as nothing is outstanding, so the next write connects again. Who does so after an error, and when, is the
    link's business.

    Attributes:
        host, port: Where to connect.
        connect_limit: Seconds a connection may take, a TLS handshake included.
        habits: What is known of the other end.
        tls: Whom to trust and what to show; ``None`` for plain TCP.
        server_name: Name the other end's certificate must bear.
    """

    def __init__(
        self,
        host: str,
        port: int,
        connect_limit: float = 5.0,
        habits: Habits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.connect_limit = connect_limit
        self.habits = habits if habits is not None else Habits()
        self.tls = tls
        self.server_name = server_name
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._outstanding = False
        self._was_answered = False
        self._early = b""

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte; ``b""`` once the other end has closed."""
        if self._early:
            early, self._early = self._early, b""
            return early
        data = await self._some()
        if data:
            self._outstanding, self._was_answered = False, True
        elif self._outstanding and self._was_answered:
            # It had closed behind the answer before: this request came too late for that connection.
            self.habits.hangs_up = True
        return data

    async def write(self, data: bytes) -> None:
        """Hand bytes over; return when they are on their way."""
        await self._see_whether_it_hung_up()
        self._outstanding = True
        assert self._writer is not None, "it is connected"
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

    async def _connect(self) -> None:
        place = f"{self.host}:{self.port}"
        try:
            async with asyncio.timeout(self.connect_limit):
                self._reader, self._writer = await asyncio.open_connection(
                    self.host,
                    self.port,
                    limit=_CHUNK * 4,
                    ssl=self.tls,
                    server_hostname=(self.server_name or self.host) if self.tls else None,
                )
        except TimeoutError as exc:
            raise LinkTimeout(f"{place}: no connection within {self.connect_limit:g} s") from exc
        except ssl.SSLError as exc:
            raise LinkError(f"{place}: no TLS connection ({exc.reason or exc})") from exc
        except OSError as exc:
            # asyncio puts the address in place of the reason.
            reason = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else str(exc)
            raise LinkError(f"{place}: no connection ({reason})") from exc
        connection = self._writer.get_extra_info("socket")
        # A converter that lost its power says nothing: without keepalive a dead line looks like a silent device.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._outstanding = self._was_answered = False

    async def _connect_again(self) -> None:
        """Connect anew; the old connection is closed first, for many converters serve one only."""
        await self.close()
        try:
            await self._connect()
        except LinkTimeout as exc:
            # The line is broken: a timeout would be laid at the door of the device that is asked.
            raise LinkClosed(str(exc)) from exc

    async def _see_whether_it_hung_up(self) -> None:
        """Connect again if the other end has closed behind its answer; give one that does so the time to do it."""
        reader = self._reader
        if reader is None:
            raise LinkClosed(f"{self.host}:{self.port}: not connected")
        if self._outstanding or not self._was_answered:
            return
        if self.habits.hangs_up and not reader.at_eof():
            try:
                async with asyncio.timeout(_HANGING_UP):
                    self._early += await self._some()
            except TimeoutError:
                self.habits.hangs_up = False
        if reader.at_eof():
            await self._connect_again()

    async def _some(self) -> bytes:
        if self._reader is None:
            raise LinkClosed(f"{self.host}:{self.port}: not connected")
        try:
            return await self._reader.read(_CHUNK)
        except OSError as exc:
            raise LinkClosed(f"{self.host}:{self.port}: connection lost ({exc.strerror or exc})") from exc
