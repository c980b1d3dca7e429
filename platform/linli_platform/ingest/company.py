"""How long a commit waits for company: longer where commits are dear, and not at all where somebody waits."""

import asyncio
from typing import Final

from linli_platform.ingest.settings import Grouping

_DEAR: Final = 4
"""A commit waits so many times as long as the last one took: when all is quiet a fifth of the time goes into them."""


class Company:
    """What the next commit waits for.

    Attributes:
        took_s: How long the last commit took.
    """

    def __init__(self, grouping: Grouping) -> None:
        self.took_s = 0.0
        self._linger_s = grouping.linger_s
        self._begun = 0.0
        self._done = 0.0
        self._there = asyncio.Event()
        self._pressed = asyncio.Event()
        self._full = asyncio.Event()

    def begins(self) -> None:
        """Note that the first message of a commit was taken in."""
        self._begun = asyncio.get_running_loop().time()
        self._there.set()

    @property
    def is_pressed(self) -> bool:
        """Tell whether the next commit goes without company already."""
        return self._pressed.is_set()

    def press(self) -> None:
        """Let the next commit go without company."""
        self._pressed.set()

    def fill(self) -> None:
        """Let the next commit go: it is as large as one may be."""
        self._pressed.set()
        self._full.set()

    def end(self) -> None:
        """Wait for nothing more: there is no next message."""
        self._there.set()
        self.fill()

    def worked(self, begun: float, done: float) -> None:
        """Note when a commit began and was done."""
        self.took_s = done - begun
        self._done = done

    async def gather(self) -> None:
        """Wait for a message, and then for its company."""
        await self._there.wait()
        usual = self._begun + min(self._linger_s, _DEAR * self.took_s)
        await _heard(self._pressed, usual)
        # Whatever presses, half of the time at most goes into commits: in a storm they grow instead.
        await _heard(self._full, min(usual, self._done + self.took_s))
        for event in (self._there, self._pressed, self._full):
            event.clear()


async def _heard(event: asyncio.Event, until: float) -> None:
    """Wait for an event, until a moment of the loop's clock at most."""
    if until <= asyncio.get_running_loop().time() or event.is_set():
        return
    try:
        async with asyncio.timeout_at(until):
            await event.wait()
    except TimeoutError:
        pass
