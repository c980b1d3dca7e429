"""The policy of one line: one poll for each meter."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from linli_core.codecs.iec62056 import Interpreter
from linli_core.codecs.iec62056.dataset import DataSet
from linli_core.instant import SECOND
from linli_core.model import Reading, Reason, missing
from linli_edge.driver import Clock, PlannedPoll, UnitCounters
from linli_edge.drivers.iec62056.conversation import Conversation
from linli_edge.drivers.iec62056.readout import Readout
from linli_edge.drivers.iec62056.settings import DeviceSettings, LinkSettings
from linli_edge.transport import Transport


class _Meter:
    """One meter: its readout and what its data sets mean."""

    __slots__ = ("interpreter", "planned", "readout")

    def __init__(self, settings: DeviceSettings, link: LinkSettings) -> None:
        self.readout = Readout(settings, link)
        self.interpreter = Interpreter(settings.device, utc_offset=settings.utc_offset, ways=settings.ways)
        self.planned = _planned(settings)


class Iec62056Driver:
    """One line; :func:`open_link` makes it.

    Attributes:
        line: The way to the meters.
    """

    def __init__(self, settings: LinkSettings, line: Conversation, clock: Clock) -> None:
        self.line = line
        self._clock = clock
        self._meters = {device.device: _Meter(device, settings) for device in settings.devices}

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The polls of this link; what a meter offers is learnt from its first readout."""
        return [meter.planned for meter in self._meters.values()]

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Read one meter; see :class:`linli_edge.driver.Driver`."""
        meter = self._meters[planned.key]
        datasets = await meter.readout.read(self.line, patient=planned.patient)
        now = self._clock()
        readings = meter.interpreter.readings(datasets, now)
        for register in meter.readout.refused:
            # What it would be is what the same register means with a number.
            (would_be, *_) = Interpreter(planned.device).readings([DataSet(register, ("",))], now)
            readings.append(missing(would_be.point, now, Reason.REFUSED_BY_DEVICE))
        return readings

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return what came of the requests to each meter."""
        return {device: meter.readout.counters for device, meter in self._meters.items()}


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link as far as the configuration alone tells."""
    return [_planned(device) for device in settings.devices]


def _planned(device: DeviceSettings) -> PlannedPoll:
    return PlannedPoll(device.device, device.device, device.interval)


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[Iec62056Driver]:
    """Open the line and yield the driver; raise ``LinkError`` where there is none."""
    async with settings.transport.open() as transport:
        yield on_line(settings, transport, clock)


def on_line(settings: LinkSettings, transport: Transport, clock: Clock) -> Iec62056Driver:
    """Return the driver on a line that is open."""
    return Iec62056Driver(settings, Conversation(transport, settings.timeout / SECOND, parity=settings.parity), clock)
