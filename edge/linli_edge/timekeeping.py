"""The gateway's three uses of time, together so that a test can move them all: what time is it, how long, and wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from linli_core.instant import SECOND, Instant
from linli_edge.driver import Clock


def wall_clock() -> Instant:
    """Return the present instant by the system's clock, which may be set."""
    return time.time_ns() // 1000


def steady_clock() -> int:
    """Return microseconds on a clock that is never set."""
    return time.monotonic_ns() // 1000


async def wait(microseconds: int) -> None:
    """Return after a time."""
    await asyncio.sleep(microseconds / SECOND)


@dataclass(frozen=True, slots=True)
class Timekeeper:
    """Where a part of the gateway gets its time from.

    Attributes:
        clock: The present instant.
        steady: Microseconds on a clock that is never set, for durations.
        wait: Returns after so many microseconds.
    """

    clock: Clock = wall_clock
    steady: Callable[[], int] = steady_clock
    wait: Callable[[int], Awaitable[None]] = wait


SYSTEM: Final = Timekeeper()
