"""Waiting until something outside this process has come true."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from linli_core.errors import LinliError

_EVERY: Final = 0.1
"""Seconds from one look to the next."""

PATIENCE: Final = 240.0
"""Seconds after which what is still waited for will not come: on the busiest machine it takes less."""

AnswerT = TypeVar("AnswerT")


class NeverCame(LinliError):
    """What was waited for did not come true in time; the text holds what was seen last."""


async def eventually(ask: Callable[[], Awaitable[AnswerT]], what: str, limit: float = PATIENCE) -> AnswerT:
    """Ask again and again until the answer is true, and return it.

    Args:
        ask: What to ask; it may raise ``OSError`` while the one asked is away.
        what: What is waited for, for the error.
        limit: Seconds.

    Raises:
        NeverCame: The answer was false, or none came, for ``limit`` seconds.
    """
    seen: object = None
    try:
        async with asyncio.timeout(limit):
            while True:
                try:
                    answer = await ask()
                except OSError as exc:
                    seen = exc
                else:
                    if answer:
                        return answer
                    seen = answer
                await asyncio.sleep(_EVERY)
    except TimeoutError as exc:
        raise NeverCame(f"{what}: not within {limit:g} s; seen last: {seen!r}") from exc
