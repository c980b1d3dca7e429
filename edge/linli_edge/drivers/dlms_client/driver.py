"""The policy of meters that are asked: one association for each poll, in a thread."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from linli_core.codecs.dlms import DataNotification, Interpreter, Item
from linli_core.codecs.dlms.axdr import ENUM, OCTETS, STRUCTURE
from linli_core.codecs.dlms.meaning import shown_value
from linli_core.errors import ChecksumError, DeviceError, LinkError, ProtocolError
from linli_core.instant import SECOND
from linli_core.model import Reading, Reason, missing
from linli_core.obis import Obis
from linli_edge.driver import Clock, PlannedPoll, UnitCounters
from linli_edge.drivers.dlms_client.settings import CLOCK, IDENTITY, DeviceSettings, LinkSettings

if TYPE_CHECKING:
    from linli_edge.drivers.dlms_client.session import Session

_LOG: Final = logging.getLogger(__name__)


class DlmsClientDriver:
    """Meters that are asked; :func:`open_link` makes it.

    Attributes:
        swaps: How often another meter answered than the time before.
    """

    def __init__(self, settings: LinkSettings, clock: Clock) -> None:
        self.swaps = 0
        self._settings = settings
        self._clock = clock
        self._devices = {device.device: device for device in settings.devices}
        self._counters = {device: UnitCounters() for device in self._devices}

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """One poll for each meter."""
        return plan(self._settings)

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Read one meter; see :class:`linli_edge.driver.Driver`."""
        device = self._devices[planned.key]
        counters = self._counters[planned.key]
        counters.requests += 1
        try:
            items, refused = await asyncio.to_thread(self._read, device)
        except LinkError:
            counters.timeouts += 1
            raise
        except ProtocolError as exc:
            counters.checksum += isinstance(exc, ChecksumError)
            counters.malformed += not isinstance(exc, ChecksumError)
            raise
        except DeviceError:
            counters.answers += 1
            counters.refused += 1
            raise
        counters.answers += 1
        counters.refused += len(refused)
        now = self._clock()
        interpreter = Interpreter(device.device, utc_offset=device.utc_offset)
        readings = interpreter.readings(DataNotification(0, None, Item(STRUCTURE, tuple(items))), now)
        for code in refused:
            (would_be, *_) = Interpreter(device.device).readings(
                DataNotification(0, None, Item(STRUCTURE, (_named(code), Item(0)))), now
            )
            readings.append(missing(would_be.point, now, Reason.REFUSED_BY_DEVICE))
        return readings

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return what came of the polls of each meter."""
        return self._counters

    def _read(self, device: DeviceSettings) -> tuple[list[Item], list[Obis]]:
        """Return code, value and scaler of everything wanted, as one list, and what was refused. Runs in a thread."""
        # Imported here: a gateway that asks no DLMS meter does without the package.
        from linli_edge.drivers.dlms_client.session import Session  # noqa: PLC0415

        items: list[Item] = []
        refused: list[Obis] = []
        with Session(device, self._settings.timeout / SECOND) as session:
            self._identify(session, device, items)
            if device.clock:
                try:
                    items += (_named(CLOCK), session.clock())
                except DeviceError:
                    refused.append(CLOCK)
            for code in device.registers:
                try:
                    power, unit = self._scaler(session, device, code)
                    value = session.register(code)
                except DeviceError:
                    refused.append(code)
                    continue
                items += (_named(code), value, Item(STRUCTURE, (Item(0x0F, power), Item(ENUM, unit))))
        return items, refused

    def _identify(self, session: "Session", device: DeviceSettings, items: list[Item]) -> None:
        try:
            item = session.identity()
        except DeviceError:
            if device.identity:
                raise
            return
        number, before = shown_value(item), self._settings.known.get(device.device)
        if device.identity and number != device.identity:
            raise ProtocolError(f"meter {number} answered where {device.identity} was expected", kind="wrong_meter")
        if before is not None and before != number:
            self.swaps += 1
            self._settings.scalers.clear()
            _LOG.warning("%s: meter %s answers where %s did: it was swapped", device.device, number, before)
        self._settings.known[device.device] = number
        items += (_named(IDENTITY), item)

    def _scaler(self, session: "Session", device: DeviceSettings, code: Obis) -> tuple[int, int]:
        known = self._settings.scalers.get((device.device, code))
        if known is not None:
            return known
        found = session.scaler_unit(code).items
        values = [item.value for item in found]
        if len(values) != 2 or not isinstance(values[0], int) or not isinstance(values[1], int):
            raise ProtocolError(f"{code}: scaler and unit are not two numbers")
        self._settings.scalers[device.device, code] = values[0], values[1]
        return values[0], values[1]


def _named(code: Obis) -> Item:
    return Item(OCTETS, bytes((code.a or 0, code.b or 0, code.c, code.d, code.e, code.f)))


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link."""
    return [PlannedPoll(device.device, device.device, device.interval) for device in settings.devices]


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[DlmsClientDriver]:
    """Yield the driver; each poll makes a connection of its own."""
    yield DlmsClientDriver(settings, clock)
