"""A stretch of network that can be cut, swallow everything, lose one direction, or become slow."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import Final

_BLOCK: Final = 4096
_SLOW_BLOCK: Final = 256


class Way(StrEnum):
    """How the stretch behaves."""

    OPEN = "open"
    CUT = "cut"
    """Connections are reset, new ones refused at once."""
    BLACK_HOLE = "black_hole"
    """Nothing arrives in either direction and nobody is told."""
    HALF_OPEN = "half_open"
    """What the client sends is swallowed; the server's words arrive."""
    SLOW = "slow"
    """A few kilobytes a second."""


class Proxy:
    """Passes connections to a port that may change.

    Attributes:
        port: Where it listens, once started.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        self.port = 0
        self._target = target
        self._way = Way.OPEN
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator["Proxy"]:
        """Listen while the block runs."""
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self._reset()
            await server.wait_closed()

    def become(self, way: Way) -> None:
        """Behave so from now on. What a black hole swallowed stays swallowed, as after a router's restart."""
        if way is Way.CUT or (way is Way.OPEN and self._way in {Way.BLACK_HOLE, Way.HALF_OPEN}):
            self._reset()
        self._way = way
        self._changed.set()
        self._changed = asyncio.Event()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far = None
        try:
            while self._way is Way.BLACK_HOLE:
                await self._changed.wait()
            if self._way is Way.CUT:
                writer.transport.abort()
                return
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target())
            self._writers.add(far)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, far, lost=(Way.BLACK_HOLE, Way.HALF_OPEN)))
                group.create_task(self._carry(far_reader, writer, lost=(Way.BLACK_HOLE,)))
        except (OSError, ExceptionGroup):
            # The group holds only what the carriers raise: connections that broke.
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, lost: tuple[Way, ...]) -> None:
        while data := await source.read(_SLOW_BLOCK if self._way is Way.SLOW else _BLOCK):
            if self._way is Way.SLOW:
                await asyncio.sleep(0.05)
            if self._way in lost:
                continue
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError
