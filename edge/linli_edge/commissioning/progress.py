"""Progress of something long, on a terminal as narrow as a phone: one line, rewritten; or a line now and then."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, TextIO

from linli_edge.listing import width

EVERY: Final = 1_000_000
"""Microseconds after which something is said at the latest."""

_OFTEN: Final = 200_000
_WIDEST: Final = 39


class Progress:
    """Says how far something is; the clock's reading is an argument.

    On a terminal one line is rewritten several times a second; elsewhere a line is added every second.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rewrite = stream.isatty()
        self._said_at: int | None = None
        self._shown = 0
        self._said = ""
        self._since = 0

    def say(self, text: str, now: int) -> None:
        """Show a text, unless the last one is too fresh; ``now`` is microseconds on a steady clock."""
        every = _OFTEN if self._rewrite else EVERY
        self._said, self._since = text, now
        if self._said_at is not None and now - self._said_at < every:
            return
        self._said_at = now
        self._write(text)

    def _write(self, text: str) -> None:
        if not self._rewrite:
            self._stream.write(f"{text}\n")
        else:
            shown = clipped(text)
            self._stream.write(f"\r{shown}{' ' * max(0, self._shown - width(shown))}")
            self._shown = width(shown)
        self._stream.flush()

    def tick(self, now: int) -> None:
        """Show that something still goes on, where nothing was said for a second: how long it has been."""
        if self._said_at is not None and self._said and now - self._since >= EVERY:
            self._write(f"{self._said}  {(now - self._since) // 1_000_000} s")

    def clear(self) -> None:
        """Take the line away before something else is printed."""
        self._said = ""
        if self._rewrite and self._shown:
            self._stream.write(f"\r{' ' * self._shown}\r")
            self._stream.flush()
            self._shown = 0


def clipped(text: str, widest: int = _WIDEST) -> str:
    """Return as much of a text as a narrow terminal shows on one line."""
    while width(text) > widest:
        text = text[:-1]
    return text


def bar(done: int, total: int, cells: int = 10) -> str:
    """Return a bar: ``████░░░░░░``."""
    full = min(cells, done * cells // max(total, 1))
    return "█" * full + "░" * (cells - full)


@contextlib.asynccontextmanager
async def ticking(progress: Progress, steady: Callable[[], int]) -> AsyncIterator[None]:
    """Let a progress tick every second while the block runs."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(EVERY / 1_000_000)
            progress.tick(steady())

    task = asyncio.create_task(tick(), name="progress")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
