"""The policy of one way in for pushes: who sent a message, is it theirs, and what it says at the next poll."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlms import (
    DataNotification,
    Interpreter,
    Keys,
    Opener,
    PushReader,
    Received,
    identity_of,
    values_of,
)
from linli_core.errors import ProtocolError
from linli_core.instant import SECOND
from linli_core.model import Quality, Reading, Reason
from linli_edge.ciphers import AES
from linli_edge.driver import Clock, PlannedPoll, UnitCounters
from linli_edge.drivers.dlms.entrance import Take, open_entrance
from linli_edge.drivers.dlms.settings import DeviceSettings, LinkSettings
from linli_edge.listening import Inbox, listening
from linli_edge.saved_state import SavedState

_LOG: Final = logging.getLogger(__name__)


class DlmsDriver:
    """One way in for pushes; :func:`open_link` makes it.

    Attributes:
        inbox: What came since the last poll of each meter.
        errors: Messages refused, by the kind of error.
        swaps: How often another meter was heard than the time before.
        port: Where a socket listens; 0 for a line.
    """

    def __init__(self, settings: LinkSettings, clock: Clock) -> None:
        self.inbox = Inbox({device.device: device.patience for device in settings.devices}, clock)
        self.errors: dict[str, int] = {}
        self.swaps = 0
        self.port = 0
        self._settings = settings
        self._clock = clock
        self._state = SavedState(settings.state)
        self._unproved: set[str] = set()
        settings.guard.restore(self._state.load())
        by_title = {device.title: device.keys for device in settings.devices if device.title and device.keys}
        others = [device.keys for device in settings.devices if not device.title and device.keys]
        keys: Keys | None = others[0] if others else None
        self._opener = Opener(keys, AES, settings.guard, by_title)
        self._interpreters = {
            device.device: Interpreter(device.device, layout=device.layout, utc_offset=device.utc_offset)
            for device in settings.devices
        }

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """One poll for each meter."""
        return plan(self._settings)

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Return what a meter has sent since the last poll; see :class:`linli_edge.driver.Driver`."""
        if planned.device not in self._settings.known and len(self._settings.devices) == 1:
            await self.inbox.first(planned.device, planned.interval * 0.9 / SECOND)
        # Before a reading leaves, not with each message: what nobody was told may come once more, and the card lives.
        if any(device.keys for device in self._settings.devices):
            self._state.save(self._settings.guard.kept())
        return self.inbox.take(planned.device)

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return what came of each meter's messages."""
        return self.inbox.counters

    def new_stream(self) -> Take:
        """Begin a stream of its own; a piece of a message on one connection is not continued on another."""
        reader = PushReader(self._settings.framing, self._opener, stuffed=self._settings.stuffed)

        def take(data: bytes) -> None:
            if data:
                reader.receive(data)
            else:
                reader.end()
            self._take_all(reader)

        return take

    def _take_all(self, reader: PushReader) -> None:
        while True:
            try:
                received = reader.next_event()
                if received is NEED_DATA:
                    break
                self._take(received)
            except ProtocolError as exc:
                self._count(exc)

    def _take(self, received: Received) -> None:
        notification = received.notification
        identity = ""
        if isinstance(notification, DataNotification):
            identity = identity_of(values_of(notification.body))
        device = self._device(received, identity)
        if device is None:
            self.inbox.strangers += 1
            who = received.title.hex().upper() or identity or f"address {received.source}"
            raise ProtocolError(f"a message of {who}, which no device is", kind="stranger")
        if device.keys is not None and not received.title:
            raise ProtocolError(f"{device.device}: a plain message, although there is a key", kind="not_authenticated")
        self._notice(device, identity)
        readings = self._interpreters[device.device].readings(notification, self._clock())
        if device.keys is not None and not received.authenticated and not device.encrypted_only:
            if device.device not in self._unproved:
                self._unproved.add(device.device)
                _LOG.warning(
                    "%s: its messages are encrypted and carry no tag: who changes a bit on the way changes a value; "
                    "have the meter send tags, or accept that with encrypted_only = true",
                    device.device,
                )
            readings = [doubted(reading) for reading in readings]
        self.inbox.put(device.device, readings)

    def _device(self, received: Received, identity: str) -> DeviceSettings | None:
        for device in self._settings.devices:
            wanted = [
                (device.title, received.title),
                (device.source, received.source),
                # A short list has no number: what else is known of the sender must do.
                (device.identity or None, identity or device.identity),
            ]
            if all(mark is None or mark == found for mark, found in wanted) and self._told_apart(device, identity):
                return device
        return None

    def _told_apart(self, device: DeviceSettings, identity: str) -> bool:
        """Tell whether a message without a number may be this device's, where only the number tells them apart."""
        alone = len(self._settings.devices) == 1
        return alone or device.title is not None or device.source is not None or bool(identity)

    def _notice(self, device: DeviceSettings, identity: str) -> None:
        known = self._settings.known
        before = known.get(device.device)
        if identity and before and before != identity:
            self.swaps += 1
            _LOG.warning("%s: meter %s sends where %s did: it was swapped", device.device, identity, before)
        known[device.device] = identity or before or ""

    def _count(self, error: ProtocolError) -> None:
        self.errors[error.kind] = self.errors.get(error.kind, 0) + 1
        if len(self._settings.devices) == 1:
            self.inbox.refuse(self._settings.devices[0].device, error)
        _LOG.info("%s", error)


def doubted(reading: Reading) -> Reading:
    """Return a reading that nothing proves; what is BAD or UNCERTAIN for another reason stays so."""
    if reading.quality is not Quality.GOOD:
        return reading
    return msgspec.structs.replace(reading, quality=Quality.UNCERTAIN, reason=Reason.CONFIGURATION)


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link."""
    return [
        PlannedPoll(device.device, device.device, device.interval, cost=0, heard=True) for device in settings.devices
    ]


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[DlmsDriver]:
    """Open the way in and yield the driver, which listens; raise ``LinkError`` where there is none."""
    driver = DlmsDriver(settings, clock)
    async with open_entrance(settings.transport, driver.new_stream) as entrance:
        driver.port = entrance.port
        async with listening(entrance.listen, driver.inbox, "dlms"):
            yield driver
