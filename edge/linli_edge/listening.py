"""Devices that send unasked (P1, pushes, radio), behind the same polls as those that are asked.

A task of the driver reads the line all the time and puts what each device says into an :class:`Inbox`. A poll of the
link takes out what came since the one before: it costs no line time, so devices that talk never overload a line.

* Of each point the newest reading counts; what a newer one replaced was superseded, and is counted.
* A device that said nothing new is not silent yet: the poll brings no readings. It is silent (:class:`LinkTimeout`)
  when nothing came for its ``patience``. So breaker, BAD readings and the platform's page work as for every other.
* A line that broke is told by the next poll: the link opens it again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from linli_core.errors import ChecksumError, LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_core.instant import SECOND, Instant
from linli_core.model import Reading
from linli_edge.driver import Clock, UnitCounters

_LOG: Final = logging.getLogger(__name__)

MOST_POINTS: Final = 4096
"""Points of one device that wait for a poll; a device with more makes them up."""


UNREADABLE: Final = frozenset({"decryption"})
"""Kinds of error that count as a wrong checksum: changed bytes, or a wrong key."""

FOREIGN: Final = frozenset({"replayed", "wrong_meter", "stranger"})
"""Kinds of error of messages that are whole, and not this device's of now."""


class Inbox:
    """What devices have said since each was last asked.

    Attributes:
        counters: Of each device; a telegram taken counts as an answer.
        superseded: Readings that a newer one of the same point replaced before any poll took them.
        strangers: Telegrams of devices that nobody configured.
    """

    def __init__(self, patience: Mapping[str, int], clock: Clock) -> None:
        """Store after how many microseconds without a word each device counts as silent."""
        self.counters = {device: UnitCounters() for device in patience}
        self.superseded = 0
        self.strangers = 0
        self._patience = dict(patience)
        self._clock = clock
        self._heard: dict[str, Instant] = dict.fromkeys(patience, clock())
        self._waiting: dict[str, dict[str, Reading]] = {device: {} for device in patience}
        self._trouble: dict[str, ProtocolError] = {}
        self._error: LinkError | None = None
        self._news = asyncio.Event()

    def put(self, device: str, readings: list[Reading]) -> None:
        """Take what a device said just now."""
        waiting = self._waiting[device]
        for reading in readings:
            self.superseded += reading.point.name in waiting
            # The newest stands last: readings leave in the order in which they came.
            waiting.pop(reading.point.name, None)
            if len(waiting) < MOST_POINTS:
                waiting[reading.point.name] = reading
        self._heard[device] = self._clock()
        self._trouble.pop(device, None)
        self.counters[device].answers += 1
        self._news.set()

    def refuse(self, device: str, error: ProtocolError) -> None:
        """Note that something of a device came and could not be taken, and count it."""
        counters = self.counters[device]
        if isinstance(error, ChecksumError) or error.kind in UNREADABLE:
            counters.checksum += 1
        elif error.kind in FOREIGN:
            counters.foreign += 1
        else:
            counters.malformed += 1
        # A wrong checksum tells more than the search for the next start that follows it.
        if not isinstance(self._trouble.get(device), ChecksumError) or isinstance(error, ChecksumError):
            self._trouble[device] = error

    def fail(self, error: LinkError) -> None:
        """Note that the line broke; the next poll tells it."""
        self._error = error
        self._news.set()

    def take(self, device: str) -> list[Reading]:
        """Return what a device said since it was last asked; nothing if that is nothing new.

        Raises:
            LinkTimeout: It has been silent for longer than its patience.
            ProtocolError: All that came for so long could not be taken; the text says why.
            LinkError: The line broke, and all that came before was taken.
        """
        waiting = self._waiting[device]
        if waiting:
            readings = list(waiting.values())
            waiting.clear()
            return readings
        if self._error is not None:
            raise self._error
        now, patience = self._clock(), self._patience[device]
        silent = now - self._heard[device]
        if silent < 0:
            # The clock was set back: silence is counted anew.
            self._heard[device] = now
        if silent < patience:
            return []
        self.counters[device].timeouts += 1
        if (trouble := self._trouble.get(device)) is not None:
            # Something does come: what is wrong with it is what the person at the meter must know.
            text = f"nothing that could be taken came for {silent / SECOND:.0f} s; the last: {trouble}"
            raise ProtocolError(text, kind=trouble.kind)
        raise LinkTimeout(f"nothing came for {silent / SECOND:.0f} s")

    async def first(self, device: str, limit: float) -> None:
        """Wait until a device has said something, or the line broke, at most so many seconds."""
        try:
            async with asyncio.timeout(limit):
                while not self._waiting[device] and self._error is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return


@asynccontextmanager
async def listening(work: Callable[[], Awaitable[None]], inbox: Inbox, name: str) -> AsyncIterator[None]:
    """Run a task that listens, as long as the block runs; its end is told to the inbox."""

    async def listen() -> None:
        try:
            await work()
        except LinkError as exc:
            inbox.fail(exc)
        else:
            inbox.fail(LinkClosed("the other end closed the line"))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(listen(), name=name)
        try:
            yield
        finally:
            task.cancel()
