"""One meter: the order of its identifiers, its answers, and who answers at its address."""

import logging
from collections.abc import Callable
from itertools import count
from typing import Final

from linli_core.codecs.cjt188 import Answer, Frame, Order, Record, decode_answer, decode_records, encode_frame, request
from linli_core.codecs.cjt188.frame import ANY
from linli_core.errors import DeviceError, LinkClosed, LinkTimeout, ProtocolError
from linli_core.instant import Instant
from linli_edge.driver import UnitCounters
from linli_edge.drivers.cjt188.settings import DeviceSettings, Memory
from linli_edge.half_duplex import HalfDuplex

_LOG: Final = logging.getLogger(__name__)


class Meter:
    """One meter and how it is spoken to.

    Attributes:
        settings: What the configuration says.
        memory: What was learnt.
        counters: What became of single requests.
    """

    def __init__(self, settings: DeviceSettings, memory: Memory, retries: int) -> None:
        self.settings = settings
        self.memory = memory
        self.counters = UnitCounters()
        self._retries = retries
        self._serial = count()

    def forget(self, now: Instant, after: int) -> None:
        """Forget refusals that are too old to be believed."""
        for identifier, when in list(self.memory.refused.items()):
            if not 0 <= now - when < after:
                del self.memory.refused[identifier]

    async def read(self, line: HalfDuplex[Frame], identifier: int, *, patient: bool) -> tuple[Answer, list[Record]]:
        """Read one identifier; where the order of identifiers is not known yet, try both.

        Raises:
            LinkTimeout: The meter answers in neither order.
            ProtocolError: What answered is no answer of this meter.
            DeviceError: It refuses.
        """
        known = self.settings.order or self.memory.order
        orders = [known] if known is not None else list(Order)
        for order in orders:
            try:
                answer = await self._patiently(line, identifier, order, patient=patient and known is not None)
            except LinkTimeout:
                if order is orders[-1]:
                    raise
                continue
            self.memory.order = order
            self._notice(answer.address)
            return answer, decode_records(answer, self.settings.profile.dialect)
        raise AssertionError("the last order answers or raises")

    async def write(self, line: HalfDuplex[Frame], code: int, permit: Callable[[], None]) -> Answer:
        """Send a valve command once, if ``permit`` does not stop it, and return its acknowledgement."""
        settings = self.settings
        declared = settings.profile.valve.order if settings.profile.valve else None
        order = declared or settings.order or self.memory.order or Order.HIGH_FIRST
        frame = request.work_valve(
            settings.meter_type, settings.address, code, serial=next(self._serial) & 0xFF, order=order
        )
        return await self._exchange(line, frame, None, permit)

    async def _patiently(self, line: HalfDuplex[Frame], identifier: int, order: Order, *, patient: bool) -> Answer:
        settings = self.settings
        for left in range(self._retries if patient else 0, -1, -1):
            serial = next(self._serial) & 0xFF
            frame = request.read(settings.meter_type, settings.address, identifier, serial=serial, order=order)
            try:
                return await self._exchange(line, frame, identifier)
            except LinkClosed:
                raise
            except (LinkTimeout, ProtocolError):
                if not left:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _exchange(
        self,
        line: HalfDuplex[Frame],
        frame: Frame,
        identifier: int | None,
        permit: Callable[[], None] | None = None,
    ) -> Answer:
        def accept(heard: Frame) -> bool:
            if not heard.is_reply or heard.function != frame.function or not self._is_mine(heard.address):
                return False
            # A refusal names no identifier; an answer does, and a late one may name another. The serial number is no
            # proof: meters are about that send one of their own.
            return heard.is_refusal or identifier is None or _identifier_of(heard) == identifier

        heard = await line.ask(frame, accept, self.counters, encode=self._encode, permit=permit)
        try:
            return decode_answer(heard)
        except DeviceError:
            self.counters.refused += 1
            raise

    def _is_mine(self, address: str) -> bool:
        return self.settings.address in (address, ANY)

    def _encode(self, frame: Frame) -> bytes:
        return encode_frame(frame, preamble=self.settings.profile.preamble)

    def _notice(self, address: str) -> None:
        memory = self.memory
        if memory.address and memory.address != address:
            memory.swaps += 1
            memory.refused.clear()
            _LOG.warning(
                "%s: meter %s answers where %s did: it was swapped", self.settings.device, address, memory.address
            )
        memory.address = address


def _identifier_of(heard: Frame) -> int | None:
    try:
        return decode_answer(heard).identifier
    except ProtocolError:
        return None
