"""Working a meter's valve: only with the maker's declared codes, only where allowed, once, and looked at after."""

import asyncio
from collections.abc import Mapping
from typing import Final

from linli_core.codecs.cjt188 import Frame
from linli_core.codecs.cjt188.control import READING
from linli_core.codecs.cjt188.layout import Part
from linli_core.codecs.cjt188.meaning import VALVE_MASK
from linli_core.errors import LinkClosed, LinkTimeout, LinliError, ProtocolError, WriteRefusal, WriteRefused
from linli_core.model import Point, parse_point
from linli_edge.driver import Clock, WriteOutcome, WriteRequest
from linli_edge.drivers.cjt188.meter import Meter
from linli_edge.half_duplex import HalfDuplex

VALVES: Final = ("water_valve_state", "gas_valve_state")

_LOOKS: Final = 20
"""How often a valve is looked at after it was told to work: a motor takes its time."""

_LOOK_EVERY: Final = 1.0


async def work_valve(
    meters: Mapping[str, Meter], line: HalfDuplex[Frame], request: WriteRequest, clock: Clock
) -> WriteOutcome:
    """Work one meter's valve; see :class:`linli_edge.driver.Writing`.

    Raises:
        WriteRefused: Nothing was sent.
        DeviceError: The meter refused.
        LinkError: The line broke.
    """
    meter = _meter(meters, request)
    code = _code(meter, request)
    wanted = "open" if request.value else "closed"
    before = await _state(meter, line)
    try:
        await meter.write(line, code, lambda: request.in_time(clock()))
    except LinkClosed:
        raise
    except (LinkTimeout, ProtocolError) as exc:
        return WriteOutcome(False, before, await _state(meter, line), f"the meter did not confirm the command: {exc}")
    after = await _state(meter, line)
    for _ in range(_LOOKS):
        if after == wanted:
            return WriteOutcome(True, before, after)
        await asyncio.sleep(_LOOK_EVERY)
        after = await _state(meter, line)
    return WriteOutcome(after == wanted, before, after, "" if after == wanted else "the valve did not move")


def _meter(meters: Mapping[str, Meter], request: WriteRequest) -> Meter:
    meter = meters.get(request.device)
    points = [Point(request.device, quantity) for quantity in VALVES]
    if meter is None or parse_point(request.point_name) not in points:
        raise WriteRefused(WriteRefusal.UNKNOWN_POINT, f"no point that can be written is called {request.point_name}")
    return meter


def _code(meter: Meter, request: WriteRequest) -> int:
    settings = meter.settings
    codes = settings.profile.valve
    if codes is None or not settings.valve:
        raise WriteRefused(WriteRefusal.NOT_WRITABLE, f"the valve of {settings.device} may only be read")
    if not isinstance(request.value, bool):
        raise WriteRefused(WriteRefusal.BAD_VALUE, "a valve is told true (supply flows) or false")
    if not settings.address.isdecimal():
        raise WriteRefused(WriteRefusal.NOT_WRITABLE, "a valve is worked at one meter, never at a wildcard")
    return codes.open if request.value else codes.close


async def _state(meter: Meter, line: HalfDuplex[Frame]) -> str | None:
    """Return what the meter says of its valve; ``None`` where it does not say it."""
    try:
        _, records = await meter.read(line, READING, patient=True)
    except LinkClosed:
        raise
    except LinliError:
        return None
    status = [record.data[0] for record in records if record.field is not None and record.field.part is Part.STATUS]
    return meter.settings.profile.dialect.valve.get(status[0] & VALVE_MASK) if status else None
