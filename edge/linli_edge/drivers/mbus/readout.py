"""The readout of one meter: selection, frame count bit, repeats, and as many telegrams as there are."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final, TypeVar

from linli_core.codecs.mbus import Frame, Identity, LongFrame, Telegram, decode_telegram, identity_of
from linli_core.codecs.mbus.request import ANY, SELECTED, Secondary, request_data, reset, select
from linli_core.errors import ChecksumError, DeviceError, LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_core.instant import SECOND
from linli_edge.driver import UnitCounters
from linli_edge.drivers.mbus.bus import Bus
from linli_edge.drivers.mbus.settings import DeviceSettings

ResultT = TypeVar("ResultT")

_LOG: Final = logging.getLogger(__name__)

MOST_TELEGRAMS: Final = 32
"""Telegrams of one readout; a meter that says there are still more is not believed."""


class Readout:
    """One meter and what is known of it between two polls.

    Attributes:
        swaps: How often another meter answered than the time before.
        complete: Whether the last readout has all telegrams.
        counters: What became of each request to it.
    """

    def __init__(self, settings: DeviceSettings, retries: int, known: dict[str, Identity]) -> None:
        """Store the meter's settings, how often to repeat a request, and who answered last, by device."""
        self.settings = settings
        self.swaps = 0
        self.complete = True
        self.counters = UnitCounters()
        self._retries = retries
        self._known = known
        self._frame_count: bool | None = None

    async def read(self, bus: Bus, *, patient: bool = True) -> list[Telegram]:
        """Return the telegrams of one readout.

        When a meter falls silent after its first telegram, what it has said counts; :attr:`complete` tells.

        Args:
            bus: The way to the meter.
            patient: Whether a first request that nothing answers is repeated.

        Raises:
            LinkError: The meter did not answer.
            ProtocolError: What answered is not this meter, or no telegram.
            DeviceError: The meter reports that it cannot answer.
        """
        self.complete = True
        retries = self._retries if patient else 0
        try:
            address = await self._approach(bus, retries)
            telegrams = [await self._next(bus, address, retries)]
        except (LinkError, ProtocolError, DeviceError):
            self._frame_count = None
            raise
        self._notice(telegrams[0].identity)
        await self._follow(bus, address, telegrams)
        return telegrams

    async def _follow(self, bus: Bus, address: int, telegrams: list[Telegram]) -> None:
        """Read what follows the first telegram."""
        wanted = self.settings.telegrams
        while len(telegrams) < wanted if wanted else telegrams[-1].more_follow:
            if len(telegrams) == MOST_TELEGRAMS:
                _LOG.warning("%s: more than %d telegrams; the rest is left", self.settings.device, MOST_TELEGRAMS)
                self.complete, self._frame_count = False, None
                return
            try:
                telegram = await self._next(bus, address, self._retries)
            except LinkClosed:
                raise
            except (LinkTimeout, ProtocolError, DeviceError) as exc:
                _LOG.info("%s: telegram %d: %s", self.settings.device, len(telegrams) + 1, exc)
                self.complete, self._frame_count = False, None
                return
            if not wanted and telegram.records == telegrams[0].records:
                # It says that more follow and begins again: there is nothing behind the first.
                self._frame_count = None
                return
            telegrams.append(telegram)

    async def _approach(self, bus: Bus, retries: int) -> int:
        """Select or reset the meter where it needs it; return the address to ask at."""
        address = self.settings.address
        if isinstance(address, Secondary):
            await self._acknowledged(bus, address, retries)
            self._frame_count = True
            return SELECTED
        # A readout of several telegrams must begin with the first, whichever was read last.
        if self._frame_count is None or self.settings.telegrams not in (None, 1):
            await self._acknowledged(bus, address, retries)
            self._frame_count = True
        return address

    async def _acknowledged(self, bus: Bus, address: int | Secondary, retries: int) -> None:
        request = select(address) if isinstance(address, Secondary) else reset(address)
        for left in range(retries, -1, -1):
            try:
                await self._counted(bus, bus.acknowledged(request))
            except LinkClosed:
                raise
            except (LinkTimeout, ProtocolError):
                if not left:
                    raise
            else:
                return

    async def _next(self, bus: Bus, address: int, retries: int) -> Telegram:
        """Return the next telegram; a repeated request has the same frame count bit, so that none is skipped."""
        request = request_data(address, frame_count=bool(self._frame_count))
        for left in range(retries, -1, -1):
            try:
                telegram = await self._counted(bus, self._answer(bus, request))
            except LinkClosed:
                raise
            except (LinkTimeout, ProtocolError):
                if not left:
                    raise
            else:
                self._check(telegram)
                self._frame_count = not self._frame_count
                return telegram
        raise AssertionError("the last attempt returns or raises")

    async def _answer(self, bus: Bus, request: Frame) -> Telegram:
        return decode_telegram(await bus.answered(request, self._is_answer))

    async def _counted(self, bus: Bus, exchange: Awaitable[ResultT]) -> ResultT:
        """Carry out one exchange and count how it ends."""
        counters, loop = self.counters, asyncio.get_running_loop()
        counters.requests += 1
        started, strays = loop.time(), bus.strays
        try:
            result = await exchange
        except LinkTimeout:
            counters.timeouts += 1
            bus.blame = counters
            raise
        except ChecksumError:
            counters.checksum += 1
            raise
        except ProtocolError as exc:
            # Another meter's answer is no answer of this one; it stayed silent.
            silent = exc.kind == "stray"
            counters.timeouts += silent
            counters.malformed += not silent
            raise
        except DeviceError:
            counters.answered(round((loop.time() - started) * SECOND))
            counters.refused += 1
            raise
        finally:
            counters.foreign += bus.strays - strays
        counters.answered(round((loop.time() - started) * SECOND))
        return result

    def _is_answer(self, frame: LongFrame) -> bool:
        """Tell whether a frame comes from the meter asked; a selected one answers with an address of its own."""
        address = self.settings.address
        if isinstance(address, Secondary):
            identity = identity_of(frame)
            return identity is None or address.matches(identity)
        return address in (ANY, frame.address)

    def _check(self, telegram: Telegram) -> None:
        wanted = self.settings.identity
        if wanted is None or telegram.identity is None:
            return
        if not wanted.matches(telegram.identity):
            raise ProtocolError(
                f"meter {telegram.identity} answered where {wanted.number} {wanted.manufacturer or '(any maker)'} "
                "was expected",
                kind="wrong_meter",
            )

    def _notice(self, identity: Identity | None) -> None:
        device = self.settings.device
        before = self._known.get(device)
        if identity is None or identity == before:
            return
        if before is not None:
            self.swaps += 1
            _LOG.warning("%s: meter %s answers where %s did: it was swapped", device, identity, before)
        self._known[device] = identity
