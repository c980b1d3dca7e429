"""Working a meter's relay: only with the maker's declared codes, only by named authority, once, and looked at after."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from linli_core.codecs.dlt645 import Edition, Frame, decode_answer
from linli_core.codecs.dlt645.request import Authority, switch_relay
from linli_core.codecs.mbus.values import MeterTime
from linli_core.errors import LinkClosed, LinkTimeout, LinliError, ProtocolError, WriteRefusal, WriteRefused
from linli_core.instant import MINUTE, Instant, to_datetime
from linli_core.model import Point, parse_point
from linli_edge.driver import Clock, WriteOutcome, WriteRequest
from linli_edge.drivers.dlt645.meter import Meter
from linli_edge.half_duplex import HalfDuplex

RELAY: Final = "relay_state"

_STATE_WORD_3: Final = 0x04000503
_OPEN: Final = 0x10
"""Bit of state word 3: the relay is open (DL/T 645-2007 annex C)."""

_LOOKS: Final = 10
"""How often a relay is looked at after it was told to work: some take seconds."""

_LOOK_EVERY: Final = 1.0


async def work_relay(
    meters: Mapping[str, Meter], line: HalfDuplex[Frame], request: WriteRequest, clock: Clock
) -> WriteOutcome:
    """Work one meter's relay; see :class:`linli_edge.driver.Writing`.

    Raises:
        WriteRefused: Nothing was sent.
        DeviceError: The meter refused.
        LinkError: The line broke.
    """
    meter = _meter(meters, request)
    code, authority = _granted(meter, request)
    wanted = "closed" if request.value else "open"
    if await meter.find_edition(line, patient=True) is not Edition.E2007:
        device = meter.settings.device
        raise WriteRefused(WriteRefusal.NOT_WRITABLE, f"{device} speaks DL/T 645-1997, which has no relay command")
    try:
        await meter.prove(line, Edition.E2007)
    except ProtocolError as exc:
        raise WriteRefused(WriteRefusal.NOT_WRITABLE, str(exc)) from exc
    before = await _state(meter, line)
    until = _local(request.expires_at, meter.settings.utc_offset)
    try:
        # The telegram bears its end itself, by the meter's clock, which may be wrong.
        frame = switch_relay(meter.settings.address, code, authority, until)
        decode_answer(await meter.exchange(line, frame, lambda: request.in_time(clock())))
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
    return WriteOutcome(after == wanted, before, after, "" if after == wanted else "the relay did not move")


def _meter(meters: Mapping[str, Meter], request: WriteRequest) -> Meter:
    meter = meters.get(request.device)
    if meter is None or parse_point(request.point_name) != Point(request.device, RELAY):
        raise WriteRefused(WriteRefusal.UNKNOWN_POINT, f"no point that can be written is called {request.point_name}")
    return meter


def _granted(meter: Meter, request: WriteRequest) -> tuple[int, Authority]:
    """Return the maker's code for what is asked, and by what authority it is asked."""
    settings = meter.settings
    codes, authority = settings.profile.relay, settings.relay
    if codes is None or authority is None:
        raise WriteRefused(WriteRefusal.NOT_WRITABLE, f"the relay of {settings.device} may only be read")
    if not isinstance(request.value, bool):
        raise WriteRefused(WriteRefusal.BAD_VALUE, "a relay is told true (supply flows) or false")
    if not settings.address.isdecimal():
        raise WriteRefused(WriteRefusal.NOT_WRITABLE, "a relay is worked at one meter, never at a wildcard")
    try:
        password = Path(authority.password_file).read_text(encoding="ascii").strip()
        granted = Authority(authority.level, password, authority.operator)
        granted.encode()
    except (OSError, ValueError) as exc:
        message = f"{authority.password_file} does not hold the six digits of the password"
        raise WriteRefused(WriteRefusal.NOT_WRITABLE, message) from exc
    return codes.close if request.value else codes.open, granted


async def _state(meter: Meter, line: HalfDuplex[Frame]) -> str | None:
    """Return what the meter says of its relay; ``None`` where it does not say it."""
    try:
        answer = await meter.read(line, Edition.E2007, _STATE_WORD_3, patient=True)
    except LinkClosed:
        raise
    except LinliError:
        return None
    if len(answer.data) != 2:
        return None
    return "open" if int.from_bytes(answer.data, "little") & _OPEN else "closed"


def _local(moment: Instant, utc_offset: int) -> MeterTime:
    local = to_datetime(moment + utc_offset * MINUTE)
    return MeterTime((local.year, local.month, local.day), (local.hour, local.minute, local.second))
