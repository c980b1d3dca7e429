"""The policy of one P1 port: listen all the time, hand over the newest telegram at each poll."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.p1 import Interpreter, SealedReader, Telegram, TelegramReader, identity_of
from linli_core.errors import ChecksumError, ProtocolError
from linli_core.instant import SECOND
from linli_core.model import Reading
from linli_edge.ciphers import AES
from linli_edge.driver import Clock, PlannedPoll, UnitCounters
from linli_edge.drivers.p1.settings import LinkSettings
from linli_edge.listening import Inbox, listening
from linli_edge.saved_state import SavedState
from linli_edge.transport import Transport

_LOG: Final = logging.getLogger(__name__)


class P1Driver:
    """One P1 port; :func:`open_link` makes it.

    Attributes:
        inbox: What came since the last poll.
        reader: Finds telegrams in what arrives.
        swaps: How often another meter was heard than the time before.
    """

    def __init__(self, settings: LinkSettings, transport: Transport, clock: Clock) -> None:
        self.inbox = Inbox({settings.device: settings.patience}, clock)
        self.reader: TelegramReader | SealedReader
        if settings.keys is not None:
            self.reader = SealedReader(settings.keys, AES, settings.guard)
        else:
            self.reader = TelegramReader(parity=settings.parity)
        self.swaps = 0
        self._settings = settings
        self._transport = transport
        self._clock = clock
        self._interpreter = Interpreter(settings.device, utc_offset=settings.utc_offset)
        self._state = SavedState(settings.state)
        settings.guard.restore(self._state.load())

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The one poll of this link."""
        return plan(self._settings)

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Return what the newest telegram since the last poll says; see :class:`linli_edge.driver.Driver`."""
        if planned.device not in self._settings.known:
            # The very first poll: a telegram is on its way, and who stands at the meter waits for it.
            await self.inbox.first(planned.device, min(self._settings.patience, planned.interval * 0.9) / SECOND)
        # Before a reading leaves, not with each telegram: what nobody was told may come once more, and the card lives.
        self._keep_guard()
        return self.inbox.take(planned.device)

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return what came of the meter's telegrams."""
        return self.inbox.counters

    async def listen(self) -> None:
        """Read the line until it ends."""
        while data := await self._transport.read():
            self.reader.receive(data)
            self._take_all()

    def _take_all(self) -> None:
        while True:
            try:
                telegram = self.reader.next_event()
                if telegram is NEED_DATA:
                    break
                self._take(telegram)
            except ProtocolError as exc:
                self._count(exc)

    def _take(self, telegram: Telegram) -> None:
        settings, identity = self._settings, identity_of(telegram)
        if settings.identity and identity != settings.identity:
            raise ProtocolError(f"meter {identity} sends where {settings.identity} was expected", kind="wrong_meter")
        before = settings.known.get(settings.device)
        if before is not None and before != identity:
            self.swaps += 1
            _LOG.warning("%s: meter %s sends where %s did: it was swapped", settings.device, identity, before)
        settings.known[settings.device] = identity
        self.inbox.put(settings.device, self._interpreter.readings(telegram, self._clock()))

    def _count(self, error: ProtocolError) -> None:
        device = self._settings.device
        self.inbox.refuse(device, error)
        # The first bytes after opening are the rest of a telegram: that is no news.
        begun = bool(self.inbox.counters[device].answers) or isinstance(error, ChecksumError)
        _LOG.log(logging.INFO if begun else logging.DEBUG, "%s: %s", device, error)

    def _keep_guard(self) -> None:
        if self._settings.keys is not None:
            self._state.save(self._settings.guard.kept())


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the poll of a link."""
    return [PlannedPoll(settings.device, settings.device, settings.interval, cost=0, heard=True)]


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[P1Driver]:
    """Open the line and yield the driver, which listens; raise ``LinkError`` where there is no line."""
    async with settings.transport.open() as transport:
        driver = P1Driver(settings, transport, clock)
        async with listening(driver.listen, driver.inbox, f"p1[{settings.device}]"):
            yield driver
