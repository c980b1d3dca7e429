"""``meters.dlt645_2400.use``: thirty electricity meters on a line of 2,400 baud that keeps its time."""

import asyncio
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linli_core.model import Quality, Reading
from linli_edge.config.gateway import parse_config
from linli_edge.link import Link, Report
from linli_edge.timekeeping import SYSTEM
from linli_sim.bench import CannotRun, bench
from linli_sim.dlt645_values import households
from linli_sim.line import LineTiming, SerialBus
from linli_sim.mbus import wall_clock
from linli_sim.meter_line import BURST, TURNAROUND, dlt645_meter

_METERS: Final = 30
_QUANTITIES: Final = 8
_READ: Final = ("00010000", "02010100", "02010200", "02010300", "02020100", "02020200", "02020300", "02030000")
"""Energy, three voltages, three currents, power."""

_WINDOW: Final = 30.0
"""Seconds: a little more than one round of all meters."""

_LEARNING: Final = 115_200
"""Baud of the first round, in which the gateway asks each meter for its number once; it is not measured."""

_PREAMBLE: Final = 4
_FRAME: Final = 12
_IDENTIFIER: Final = 4
_BAUD: Final = 2400
_BITS: Final = 11

_ANSWERS: Final = (4, 3 * 2, 3 * 3, 3)
"""Bytes of the values of each request when voltages and currents are asked for as blocks (0201FF00, 0202FF00)."""


def least_seconds() -> float:
    """Return the least time in which the wire brings eight quantities of one meter.

    Four requests, for three voltages and three currents each are one block. A request has four FE, twelve bytes of
    frame and four of identifier; its answer the same and the values. Every byte is eleven bits (8E1). The meter waits
    at least 20 ms before it answers; the master need not wait at all.
    """
    characters = sum(2 * (_PREAMBLE + _FRAME + _IDENTIFIER) + answer for answer in _ANSWERS)
    return characters * _BITS / _BAUD + len(_ANSWERS) * TURNAROUND


@dataclass
class _Tally:
    """When all eight quantities of a meter came, good."""

    whole: list[float] = field(default_factory=list)
    devices: set[str] = field(default_factory=set)
    partial: int = 0
    everyone: asyncio.Event = field(default_factory=asyncio.Event)
    another: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, readings: list[Reading]) -> None:
        """Take the readings of one poll."""
        if sum(reading.quality is Quality.GOOD for reading in readings) == _QUANTITIES:
            self.whole.append(time.monotonic())
            self.devices.add(readings[0].point.device)
            self.another.set()
        else:
            self.partial += 1
        if len(self.devices) == _METERS:
            self.everyone.set()

    def report(self, link: str, report: Report) -> None:
        """Take a report: it changes no figure."""


@bench("meters.dlt645_2400.use", unit="of the wire's limit", target=0.95)
async def use() -> float:
    """Thirty meters with eight quantities each, polled as fast as the line carries them: how much of its limit is used.

    The limit is :func:`least_seconds`: the same quantities with block identifiers and no pause but the meters' own.
    Asked for one by one they would take eight requests in place of four, and the figure would stay below 0.6.
    """
    meters = [dlt645_meter(household, wall_clock) for household in households(_METERS, 1, wall_clock())]
    with SerialBus(dict(enumerate(meters)), LineTiming(_LEARNING, _BITS, TURNAROUND, BURST)) as bus:
        tally = _Tally()
        settings = parse_config(tomllib.loads(_config(bus.path, [meter.address for meter in meters])), Path()).links[0]
        link = asyncio.create_task(Link(settings, tally, SYSTEM).run(), name="link")
        try:
            async with asyncio.timeout(60):
                await tally.everyone.wait()
            bus.wire.timing = LineTiming(_BAUD, _BITS, TURNAROUND, BURST)
            # The poll under way began at another speed.
            first = await _next(tally)
            await asyncio.sleep(_WINDOW)
            last = await _next(tally)
        except TimeoutError as exc:
            raise CannotRun(f"only {len(tally.devices)} of {_METERS} meters answered") from exc
        finally:
            link.cancel()
            await asyncio.wait([link])
        if tally.partial:
            raise CannotRun(f"the figure is void: {tally.partial} polls were not whole")
        polls = len([moment for moment in tally.whole if first < moment <= last])
        return polls * least_seconds() / (last - first)


async def _next(tally: _Tally) -> float:
    """Return when the next meter's quantities came."""
    tally.another.clear()
    async with asyncio.timeout(10):
        await tally.another.wait()
    return tally.whole[-1]


def _config(path: str, addresses: list[str]) -> str:
    tables = [
        '[gateway]\nid = "gw-bench"\ndata = "."\n[uplink]\nhost = "127.0.0.1"',
        f'[[links]]\nid = "line"\ndriver = "dlt645"\ntransport = "serial"\npath = "{path}"',
    ]
    read = ", ".join(f'"{identifier}"' for identifier in _READ)
    tables += [
        f'[[links.devices]]\nid = "meter-{number}"\naddress = "{address}"\nedition = "2007"\ninterval = "1 s"\n'
        f"read = [{read}]"
        for number, address in enumerate(addresses)
    ]
    return "\n".join(tables)
