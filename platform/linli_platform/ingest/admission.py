"""Who is let in: gateways, their devices and series, known or held as pending, within bounds."""

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from linli_core.errors import LogError, RefusalReason, Refused
from linli_core.log.receiver import LateArrival, Receiver
from linli_core.model import parse_point
from linli_core.wire.messages import Status
from linli_platform.ingest.accounts import GatewayBook, stored_books
from linli_platform.ingest.settings import Limits
from linli_platform.registry import Device, Gateway, State
from linli_platform.store import Store

_log = logging.getLogger(__name__)

_FORMER_BOOTS: Final = 16
_REMEDY: Final = "accept or retire some, or look for a sender that makes up names"


class Sender:
    """One gateway, as ingest knows it.

    Attributes:
        id: The gateway.
        receiver: Its log's marks.
        pending: True until somebody accepted it.
        devices: Devices known of it, whatever their state.
        pending_devices: Those held as pending.
        series: Ids of its series, by point name.
        book: Its readings, counted.
    """

    def __init__(self, gateway: str, receiver: Receiver, *, pending: bool) -> None:
        self.id = gateway
        self.receiver = receiver
        self.pending = pending
        self.devices: set[str] = set()
        self.pending_devices: set[str] = set()
        self.series: dict[str, int] = {}
        self.book = GatewayBook()
        self._boot_id = ""
        self._number = 0
        self._former_boots: dict[str, None] = {}

    def is_news(self, status: Status) -> bool:
        """Tell whether a status says how the gateway fares now, and note it.

        A broker may hand out the status it kept after a newer one that came live. The last will was written when the
        connection began, so its number says nothing; it counts unless the gateway has started anew since.
        """
        boot = status.boot_id
        if not boot:
            return True
        if boot == self._boot_id:
            if status.number < self._number and status.state != "lost":
                return False
            self._number = max(self._number, status.number)
            return True
        if boot in self._former_boots:
            return False
        self._former_boots[self._boot_id] = None
        while len(self._former_boots) > _FORMER_BOOTS:
            del self._former_boots[next(iter(self._former_boots))]
        self._boot_id, self._number = boot, status.number
        return True


class Admission:
    """Lets senders, devices and series in.

    What is new is noted until :meth:`take_held`, to be written to the registry before the data that needs it.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._senders: dict[str, Sender] = {}
        self._pending = 0
        self._held: dict[str, set[str]] = {}

    def restore(
        self,
        gateways: Iterable[Gateway],
        devices: Iterable[Device],
        marks: Mapping[str, bytes],
        booked: Mapping[str, Iterable[tuple[str, int, int]]],
    ) -> dict[str, list[LateArrival]]:
        """Take in what registry and store know; return by gateway what the ledger holds as lost and the store has."""
        late = {}
        self.refresh(gateways, devices)
        for gateway, mark in marks.items():
            if ":" in gateway:  # a book, a place in a file: no gateway
                continue
            sender = self._known(gateway)
            try:
                sender.receiver = Receiver.restore(mark)
            except LogError as exc:
                # Without marks the gateway sends its whole log again, and the store tells what it has.
                _log.error("marks of gateway %s: %s; it is asked for its whole log", gateway, exc)
        for gateway, book in stored_books(marks).items():
            sender = self._known(gateway)
            try:
                sender.book.restore(book, sender.receiver.known)
            except LogError as exc:
                _log.error("the book of gateway %s: %s; it begins anew", gateway, exc)
        for gateway, ranges in booked.items():
            if found := self._known(gateway).receiver.reconcile(ranges):
                late[gateway] = found
        for info in self._store.all_series():
            sender = self._known(info.gateway)
            sender.series[info.name] = info.id
            if info.device not in sender.devices:
                # The registry was put back from an older copy than the store: hold the device again.
                self._hold(sender, info.device)
        return late

    def refresh(self, gateways: Iterable[Gateway], devices: Iterable[Device]) -> None:
        """Take in what an operator may have changed in the registry."""
        for gateway in gateways:
            sender = self._senders.get(gateway.id)
            if sender is None:
                sender = self._senders[gateway.id] = Sender(gateway.id, Receiver(), pending=False)
                if gateway.status is not None:
                    sender.is_news(gateway.status)
                    if gateway.status.account is not None:
                        sender.book.said(gateway.status.account)
            sender.pending = gateway.state is State.PENDING
        for device in devices:
            sender = self._senders[device.gateway]
            sender.devices.add(device.id)
            if device.state is State.PENDING:
                sender.pending_devices.add(device.id)
            else:
                sender.pending_devices.discard(device.id)
        self._pending = sum(sender.pending for sender in self._senders.values())

    def _known(self, gateway: str) -> Sender:
        """Return a sender of which store or ledger hold something: it is let in whatever the bounds say."""
        sender = self._senders.get(gateway)
        if sender is None:
            sender = self._senders[gateway] = Sender(gateway, Receiver(), pending=True)
            self._pending += 1
            self._held.setdefault(gateway, set())
        return sender

    def senders(self) -> list[Sender]:
        """Return every sender known."""
        return list(self._senders.values())

    def knows(self, gateway: str) -> bool:
        """Tell whether a sender is let in already, as pending or as one accepted."""
        return gateway in self._senders

    def sender(self, gateway: str) -> Sender:
        """Return the sender of a topic's gateway, held as pending if new.

        Raises:
            Refused: Too many gateways are pending.
        """
        sender = self._senders.get(gateway)
        if sender is not None:
            return sender
        if self._pending >= self._limits.pending_gateways:
            raise Refused(RefusalReason.TOO_MANY_PENDING, f"{self._pending} gateways are pending; {_REMEDY}")
        return self._known(gateway)

    def room(self, sender: Sender) -> int:
        """Return how many more series a sender may have."""
        bound = self._limits.pending_series if sender.pending else self._limits.series
        return max(0, bound - len(sender.series))

    def declared(self, sender: Sender, devices: Iterable[str]) -> None:
        """Note devices that stand in the registry as accepted, before the next :meth:`refresh` would tell."""
        sender.devices.update(devices)
        sender.pending_devices.difference_update(devices)

    def series(self, sender: Sender, name: str) -> int:
        """Return the id of a point's series, made if new.

        Raises:
            Refused: The name is no point name, or the gateway has too many devices pending, or too many series.
        """
        known = sender.series.get(name)
        if known is not None:
            return known
        try:
            device = parse_point(name).device
        except ValueError as exc:
            raise Refused(RefusalReason.BAD_NAME, str(exc)) from exc
        if not self.room(sender):
            bound = self._limits.pending_series if sender.pending else self._limits.series
            state = "pending gateway" if sender.pending else "gateway"
            raise Refused(
                RefusalReason.TOO_MANY_PENDING, f"{bound} series are all that one {state} may have; {_REMEDY}"
            )
        if device not in sender.devices:
            if len(sender.pending_devices) >= self._limits.pending_devices:
                raise Refused(
                    RefusalReason.TOO_MANY_PENDING,
                    f"{len(sender.pending_devices)} devices of {sender.id} are pending; {_REMEDY}",
                )
            self._hold(sender, device)
        info = self._store.series(sender.id, name)
        sender.series[name] = info.id
        return info.id

    def _hold(self, sender: Sender, device: str) -> None:
        sender.devices.add(device)
        sender.pending_devices.add(device)
        self._held.setdefault(sender.id, set()).add(device)

    def take_held(self) -> dict[str, set[str]]:
        """Return gateways and devices heard of for the first time since the last call."""
        held, self._held = self._held, {}
        return held
