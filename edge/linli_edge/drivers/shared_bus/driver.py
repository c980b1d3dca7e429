"""The policy of a shared line: one plan out of all plans, and each poll on a line set as its protocol wants it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from linli_core.errors import WriteRefusal, WriteRefused
from linli_core.instant import SECOND
from linli_core.model import Reading
from linli_edge.driver import Clock, Counting, Driver, PlannedPoll, UnitCounters, WriteOutcome, WriteRequest, Writing
from linli_edge.drivers.shared_bus.line import SharedLine
from linli_edge.drivers.shared_bus.settings import GuestSettings, LinkSettings, line_of
from linli_edge.transport.serial_line import Line


@dataclass(frozen=True, slots=True)
class Guest:
    """One protocol on the line.

    Attributes:
        driver: Its policy.
        line: How the line is set for it; ``None`` where that cannot be changed.
    """

    driver: Driver
    line: Line | None


class SharedBusDriver:
    """One line with several protocols; :func:`open_link` makes it.

    Attributes:
        line: The line.
        guests: The protocols on it.
    """

    def __init__(self, guests: Sequence[Guest], line: SharedLine) -> None:
        self.line = line
        self.guests = tuple(guests)

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The polls of all protocols."""
        return [planned for guest in self.guests for planned in guest.driver.plan]

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Carry out one poll by its own protocol; see :class:`linli_edge.driver.Driver`."""
        guest = self._host(planned.device)
        assert guest is not None, "what is polled was planned"
        await self.line.turn(guest, guest.line)
        return await guest.driver.poll(planned)

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return what each device did with its requests, where its protocol counts them."""
        counted: dict[str, UnitCounters] = {}
        for guest in self.guests:
            if isinstance(guest.driver, Counting):
                counted |= guest.driver.counters()
        return counted

    async def write(self, request: WriteRequest) -> WriteOutcome:
        """Write one value by the device's own protocol; see :class:`linli_edge.driver.Writing`."""
        guest = self._host(request.device)
        if guest is None:
            raise WriteRefused(WriteRefusal.UNKNOWN_POINT, f"no device is called {request.device}")
        if not isinstance(guest.driver, Writing):
            raise WriteRefused(WriteRefusal.NOT_WRITABLE, f"the protocol of {request.device} writes nothing")
        await self.line.turn(guest, guest.line)
        return await guest.driver.write(request)

    def _host(self, device: str) -> Guest | None:
        for guest in self.guests:
            if any(planned.device == device for planned in guest.driver.plan):
                return guest
        return None


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of all protocols as far as the configuration alone tells."""
    return [
        planned for guest in settings.guests if guest.spec.plan is not None for planned in guest.spec.plan(guest.config)
    ]


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[SharedBusDriver]:
    """Open the line once for all protocols and yield the driver; raise ``LinkError`` where there is no line."""
    async with settings.transport.open() as transport:
        line = SharedLine(transport, settings.quiet / SECOND)
        yield SharedBusDriver([_guest(guest, line, clock) for guest in settings.guests], line)


def _guest(settings: GuestSettings, line: SharedLine, clock: Clock) -> Guest:
    make = settings.spec.guest
    assert make is not None, "parsing refuses a driver that cannot share"
    found = line_of(settings)
    return Guest(make(settings.config, line, clock), found.line if found else None)
