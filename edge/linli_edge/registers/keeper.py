"""The shell around the register book: swaps that were handed over, boundaries that pass, memory that is written."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

from linli_core.instant import SECOND
from linli_edge.registers.book import RegisterBook
from linli_edge.registers.memory import MemoryFile
from linli_edge.registers.swap import HandedOver, waiting
from linli_edge.timekeeping import Timekeeper

_log = logging.getLogger(__name__)

LOOK_EVERY: Final = 2 * SECOND
"""How long whoever enters a swap waits for it to be recorded, at most."""


class Teller(Protocol):
    """Where events go: the pipeline."""

    def tell(self, name: str, subject: str, data: dict[str, object], number: str = "") -> bool:
        """Send an event; tell whether the log took it."""
        ...

    def tell_of_registers(self) -> bool:
        """Send what has become of registers; tell whether the log took it all."""
        ...


class Keeper:
    """Looks after a gateway's registers while it runs.

    Args:
        book: Judges them.
        teller: Where events go.
        data: The gateway's data folder.
        memory: What is remembered.
        durable: Returns once everything told is on disk.
        time: Moves it.
    """

    def __init__(
        self,
        book: RegisterBook,
        teller: Teller,
        data: Path,
        memory: MemoryFile,
        durable: Callable[[], Awaitable[None]],
        time: Timekeeper,
    ) -> None:
        self._book = book
        self._teller = teller
        self._data = data
        self._memory = memory
        self._durable = durable
        self._time = time
        self._closed = book.closed

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            await self.look()
            await self._time.wait(LOOK_EVERY)

    async def look(self) -> None:
        """Record the swaps that wait, tell what there is to tell, write what is to be remembered."""
        swaps, wrong = waiting(self._data)
        for text in wrong:
            _log.warning("%s", text)
        for handed in swaps:
            await self._record(handed)
        if not self._teller.tell_of_registers():
            # What is not in the log is not to be remembered as told.
            return
        passed = self._book.closed != self._closed
        if passed:
            # Forgotten, a boundary would be told again as missing after a power cut; remembered before the log has
            # it, never.
            await self._durable()
        if swaps or passed or self._memory.is_due(self._time.clock()):
            self.remember()

    def remember(self) -> None:
        """Write what is to be remembered."""
        self._closed = self._book.closed
        self._memory.write(self._book.memory(), self._time.clock())

    async def _record(self, handed: HandedOver) -> None:
        data = self._book.swap(handed.swap, self._time.clock())
        if not self._teller.tell("linli.device.swapped", handed.swap.device, data, handed.id):
            return  # the log is full: it stays in the folder, and is tried again
        # The file goes only when the log has it: a crash between records it twice, under one id.
        await self._durable()
        handed.path.unlink(missing_ok=True)
        _log.info("device %s was swapped, says %s", handed.swap.device, handed.swap.by)
