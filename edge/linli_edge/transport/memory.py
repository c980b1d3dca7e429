"""A transport made of lists, for tests and for replaying a recording without a socket."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from linli_core.errors import LinkClosed


class MemoryTransport:
    """A byte stream whose other end is a script.

    Attributes:
        written: Everything handed over, one item for each ``write``.
        closed: Whether ``close`` was called.
    """

    def __init__(self, answers: Iterable[Sequence[bytes]] = ()) -> None:
        """Store the script: item *n* holds the chunks that arrive after the *n*-th ``write``."""
        self.written: list[bytes] = []
        self.closed = False
        self._answers = deque(tuple(chunks) for chunks in answers)
        self._arrived: deque[bytes] = deque()
        self._ended = False
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def feed(self, *chunks: bytes) -> None:
        """Let chunks arrive now."""
        self._arrived.extend(chunk for chunk in chunks if chunk)
        self._news.set()

    def end(self) -> None:
        """Let the other end close after what has arrived."""
        self._ended = True
        self._news.set()

    async def read(self) -> bytes:
        """Return the next chunk; ``b""`` after :meth:`end`; wait where the script has nothing more."""
        while not self._arrived:
            if self._ended or self.closed:
                return b""
            self._news.clear()
            await self._news.wait()
        return self._arrived.popleft()

    async def write(self, data: bytes) -> None:
        """Note the bytes and let the next answer of the script arrive."""
        if self.closed:
            raise LinkClosed("the transport is closed")
        self.written.append(data)
        if self._answers:
            self.feed(*self._answers.popleft())

    async def close(self) -> None:
        """Close; safe to call twice."""
        self.closed = True
        self._news.set()
