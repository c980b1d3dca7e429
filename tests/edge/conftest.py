"""Time that a test moves: everything that waits on it wakes in order, and nobody sleeps."""

import asyncio
import heapq
from itertools import count

import pytest

from linli_core.instant import SECOND, Instant
from linli_edge.timekeeping import Timekeeper

START: Instant = 1_790_000_000 * SECOND

_ROUNDS = 50
"""Turns of the event loop after which everything that can go on without time has gone on."""


class FakeTime:
    """A clock, and those who wait on it.

    Attributes:
        now: What the wall clock says; a test may set it.
        elapsed: Microseconds that have really passed.
    """

    def __init__(self) -> None:
        self.now = START
        self.elapsed = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._serial = count()

    @property
    def timekeeper(self) -> Timekeeper:
        return Timekeeper(lambda: self.now, lambda: self.elapsed, self.wait)

    async def wait(self, microseconds: int) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.elapsed + microseconds, next(self._serial), woken))
        await woken

    async def advance(self, microseconds: int) -> None:
        """Let time pass; return when everything that falls into it has happened."""
        end = self.elapsed + microseconds
        await settle()
        while self._waiting and self._waiting[0][0] <= end:
            at, _, woken = heapq.heappop(self._waiting)
            if woken.done():
                continue
            self._move(at)
            woken.set_result(None)
            await settle()
        self._move(end)

    def _move(self, at: int) -> None:
        self.now += max(0, at - self.elapsed)
        self.elapsed = max(self.elapsed, at)


async def settle() -> None:
    """Let everything go on that needs no time."""
    loop = asyncio.get_running_loop()
    for _ in range(_ROUNDS):
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()
