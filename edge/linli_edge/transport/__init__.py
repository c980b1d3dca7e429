"""How bytes move: a serial line, a TCP socket, or a list of chunks in a test. Knows no protocol."""

import asyncio
from typing import Protocol, TypeVar

from linli_core.codec import NEED_DATA, Codec
from linli_core.errors import LinkClosed, LinkTimeout


class Transport(Protocol):
    """A byte stream."""

    async def read(self) -> bytes:
        """Return what has arrived, at least one byte; ``b""`` once the other end has closed."""
        ...

    async def write(self, data: bytes) -> None:
        """Hand bytes over; return when they are on their way."""
        ...

    async def close(self) -> None:
        """Close; safe to call twice."""
        ...


RequestT = TypeVar("RequestT")
EventT = TypeVar("EventT")


async def exchange(transport: Transport, codec: Codec[RequestT, EventT], request: RequestT, *, limit: float) -> EventT:
    """Send one request and return its answer, within ``limit`` seconds; raise ``LinkError`` or ``ProtocolError``."""
    try:
        async with asyncio.timeout(limit):
            await transport.write(codec.encode(request))
            while (event := codec.next_event()) is NEED_DATA:
                data = await transport.read()
                if not data:
                    raise LinkClosed("the device closed the line in mid-answer")
                codec.receive(data)
            return event
    except TimeoutError as exc:
        raise LinkTimeout(f"no answer within {limit:g} s") from exc
