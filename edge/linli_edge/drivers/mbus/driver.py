"""The policy of one M-Bus link: one poll for each meter; what a meter offers is learnt from its telegrams."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from linli_core.codecs.mbus import Interpreter
from linli_core.instant import SECOND
from linli_core.model import Reading, Reason, missing
from linli_edge.driver import Clock, PlannedPoll, UnitCounters
from linli_edge.drivers.mbus.bus import Bus
from linli_edge.drivers.mbus.meter_profile import quirks_of
from linli_edge.drivers.mbus.readout import Readout
from linli_edge.drivers.mbus.settings import DeviceSettings, LinkSettings
from linli_edge.transport import Transport

_LOG: Final = logging.getLogger(__name__)


class _Meter:
    """One meter: its readout, what its records mean, and the poll that the link repeats."""

    __slots__ = ("interpreter", "planned", "readout")

    def __init__(self, settings: DeviceSettings, link: LinkSettings) -> None:
        self.readout = Readout(settings, link.retries, link.known)
        profile = settings.profile
        quirks = quirks_of if profile is None else lambda _: profile.quirks
        self.interpreter = Interpreter(settings.device, utc_offset=settings.utc_offset, quirks=quirks)
        self.planned = _planned(settings)


class MbusDriver:
    """One M-Bus link; :func:`open_link` makes it.

    Attributes:
        bus: The way to the meters.
    """

    def __init__(self, settings: LinkSettings, bus: Bus, clock: Clock) -> None:
        self.bus = bus
        self._clock = clock
        self._meters = {device.device: _Meter(device, settings) for device in settings.devices}

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The polls of this link; their points are those of each meter's last readout, none before the first."""
        return [meter.planned for meter in self._meters.values()]

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return the counters of each meter; see :class:`linli_edge.driver.Counting`."""
        return {name: meter.readout.counters for name, meter in self._meters.items()}

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Read one meter out; see :class:`linli_edge.driver.Driver`."""
        meter = self._meters[planned.key]
        telegrams = await meter.readout.read(self.bus, patient=planned.patient)
        now = self._clock()
        readings = meter.interpreter.readings(telegrams, now)
        points = tuple(reading.point for reading in readings)
        if not meter.readout.complete:
            had = set(points)
            readings += [
                missing(point, now, Reason.NO_COMMUNICATION) for point in meter.planned.points if point not in had
            ]
        elif points != meter.planned.points:
            meter.planned = replace(meter.planned, points=points)
        return readings


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link as far as the configuration alone tells."""
    return [_planned(device) for device in settings.devices]


def _planned(device: DeviceSettings) -> PlannedPoll:
    points = device.profile.points_of(device.device) if device.profile is not None else ()
    return PlannedPoll(device.device, device.device, device.interval, points)


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[MbusDriver]:
    """Open the line and yield the driver; raise ``LinkError`` where there is none."""
    async with settings.transport.open() as transport:
        yield on_line(settings, transport, clock)


def on_line(settings: LinkSettings, transport: Transport, clock: Clock) -> MbusDriver:
    """Return the driver on a line that is open, perhaps one that other protocols share."""
    return MbusDriver(settings, Bus(transport, settings.timeout / SECOND), clock)
