"""Writes that wait for their line: few, in order, each until it expires.

A link carries them out before its polls, one between two polls (:mod:`linli_edge.link`). Who may write what is decided
before (:mod:`linli_edge.commands`); here only time and room count.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

from linli_core.errors import WriteRefusal, WriteRefused
from linli_core.instant import Instant
from linli_edge.driver import WriteOutcome, WriteRequest

WAITING: Final = 16
"""Writes that may wait for one line; more is no person's work, and the line is there to be read."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A write and where its outcome is awaited."""

    request: WriteRequest
    outcome: "asyncio.Future[WriteOutcome]"

    def refuse(self, reason: WriteRefusal, message: str) -> None:
        """Tell whoever waits that the write was not begun."""
        if not self.outcome.done():
            self.outcome.set_exception(WriteRefused(reason, message))

    def settle(self, outcome: WriteOutcome) -> None:
        """Tell whoever waits what came of it."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class WriteQueue:
    """The writes of one link."""

    def __init__(self) -> None:
        self._waiting: deque[Pending] = deque()
        self._news: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def submit(self, request: WriteRequest) -> WriteOutcome:
        """Queue a write and return what came of it.

        Raises:
            WriteRefused: It was not begun: too many wait, or it expired in the queue.
        """
        if len(self._waiting) >= WAITING:
            raise WriteRefused(WriteRefusal.TOO_MANY, f"{WAITING} writes wait for this line already; try again later")
        pending = Pending(request, asyncio.get_running_loop().create_future())
        self._waiting.append(pending)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
        return await pending.outcome

    def next(self, now: Instant) -> Pending | None:
        """Take the write to be carried out now; ``None`` if there is none."""
        self.expire(now)
        return self._waiting.popleft() if self._waiting else None

    def expire(self, now: Instant) -> None:
        """Refuse the writes whose time is over; forget those that nobody awaits any more."""
        for pending in [*self._waiting]:
            if now > pending.request.expires_at:
                pending.refuse(WriteRefusal.EXPIRED, "it expired while it waited for the line")
            if pending.outcome.done():
                self._waiting.remove(pending)

    async def interrupt(self, rest: Awaitable[None]) -> None:
        """Await a rest, but only until a write comes."""
        sleeper = asyncio.ensure_future(rest)
        self._news = asyncio.get_running_loop().create_future()
        try:
            if not self._waiting:
                await asyncio.wait((sleeper, self._news), return_when=asyncio.FIRST_COMPLETED)
            if sleeper.done():
                sleeper.result()
        finally:
            sleeper.cancel()
            self._news = None
