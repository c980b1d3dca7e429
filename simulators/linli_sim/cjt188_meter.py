"""A water, heat or gas meter's side of CJ/T 188. Pure: frames in, frames out.

A hand-written second side of the protocol: it shares the frame layer and the digits with the gateway, but not its
layouts, so that the two check each other.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.bcd import encode_number
from linli_core.codecs.cjt188 import Frame, FrameReader, Order, encode, encode_frame
from linli_core.codecs.cjt188.frame import ANY, ANY_TYPE
from linli_core.errors import ProtocolError
from linli_core.instant import HOUR, Instant
from linli_sim.dlt645_values import clock_188
from linli_sim.mbus_meters import Consumption

_READ: Final = 0x01
_READ_ADDRESS: Final = 0x03
_WRITE: Final = 0x04

_READING: Final = 0x901F
_ADDRESS: Final = 0x810A
_VALVE: Final = 0xA017
_HISTORY: Final = 0xD120

_M3: Final = b"\x2c"
_KWH: Final = b"\x05"
_KW: Final = b"\x17"
_M3_PER_H: Final = b"\x35"


@dataclass
class Cjt188Meter:
    """One meter on a line; a station of :class:`linli_sim.line.bus.SerialBus`.

    Attributes:
        meter_type: 10 cold water, 11 hot water, 20 heat, 30 gas.
        address: Fourteen digits.
        use: What flows: m3, or Wh for heat.
        clock: Tells the time.
        order: In which order it understands and sends identifiers; the other order it does not hear.
        preamble: FE before each answer.
        units: Whether it sends unit bytes (water and gas).
        answers_as: Address it answers under in place of its own.
        valve_open, valve_close: What it takes for these commands; ``None`` where it has no valve.
        is_closed: How its valve stands.
        commands: Valve commands it has carried out.
    """

    meter_type: int
    address: str
    use: Consumption
    clock: Callable[[], Instant]
    order: Order = Order.HIGH_FIRST
    preamble: int = 4
    units: bool = True
    answers_as: str = ""
    valve_open: int | None = None
    valve_close: int | None = None
    is_closed: bool = False
    commands: list[int] = field(default_factory=list)

    def hear(self, frame: bytes) -> bytes:
        """Return what it says to a frame; empty: nothing."""
        reader = FrameReader()
        reader.receive(frame)
        reader.end()
        while True:
            try:
                heard = reader.next_event()
            except ProtocolError:
                continue
            if heard is NEED_DATA:
                return b""
            mine = heard.address in (self.address, ANY) and heard.meter_type in (self.meter_type, ANY_TYPE)
            if not heard.is_reply and mine and len(heard.data) >= 3:
                answer = self._answer(heard)
                return encode_frame(answer, preamble=self.preamble) if answer is not None else b""

    def _answer(self, asked: Frame) -> Frame | None:
        identifier = int.from_bytes(asked.data[:2], "big" if self.order is Order.HIGH_FIRST else "little")
        own = self.answers_as or self.address
        if asked.control == _READ_ADDRESS and identifier == _ADDRESS:
            return encode.answer(asked, self.meter_type, own, identifier, b"", order=self.order)
        if asked.control == _READ and (data := self._data(identifier)) is not None:
            return encode.answer(asked, self.meter_type, own, identifier, data, order=self.order)
        if asked.control == _WRITE and identifier == _VALVE and self._work_valve(asked.data[3:]):
            return encode.answer(asked, self.meter_type, own, identifier, self._status(), order=self.order)
        known = identifier >> 8 in (0x81, 0x90, 0xA0, 0xD1)
        # To an identifier that makes no sense in its order a meter says nothing.
        return encode.refusal(asked, self.meter_type, own, self._status()) if known else None

    def _data(self, identifier: int) -> bytes | None:
        now = self.clock()
        settled = self.use.total(max(self.use.since, now - 24 * HOUR))
        if identifier == _READING and self.meter_type >> 4 == 2:
            return self._heat(now, settled)
        unit = _M3 if self.units else b""
        if identifier == _READING:
            volumes = _hundredths(self.use.total(now)) + unit + _hundredths(settled) + unit
            return volumes + clock_188(now) + self._status()
        if _HISTORY <= identifier < _HISTORY + 12:
            return _hundredths(settled) + unit
        return None

    def _heat(self, now: Instant, settled: float) -> bytes:
        watt = self.use.rate(now)
        total = self.use.total(now)
        drop = 15.0
        flow = Decimal(round(1e4 * watt / (1.163e3 * drop))) / 10_000
        return (
            _hundredths(settled / 1000)
            + _KWH
            + _hundredths(total / 1000)
            + _KWH
            + _hundredths(watt / 1000)
            + _KW
            + encode_number(flow, 4, 4)
            + _M3_PER_H
            + _hundredths(total / (1.163e3 * drop))
            + _M3
            + encode_number(Decimal("55.20"), 3, 2)
            + encode_number(Decimal("40.20"), 3, 2)
            + encode_number((now - self.use.since) // HOUR, 3)
            + clock_188(now)
            + self._status()
        )

    def _work_valve(self, data: bytes) -> bool:
        if len(data) != 1 or data[0] not in (self.valve_open, self.valve_close):
            return False
        self.commands.append(data[0])
        self.is_closed = data[0] == self.valve_close
        return True

    def _status(self) -> bytes:
        return bytes((0x01 if self.is_closed else 0x00, 0x00))


_KINDS: Final = (
    ("water", 0x10, 0.012, 150.0),
    ("hot-water", 0x11, 0.006, 90.0),
    ("heat", 0x20, 900.0, 9.0e6),
    ("gas", 0x30, 0.02, 800.0),
)
"""Name, type, mean consumption an hour (m3, or Wh), typical counter."""


def make_meters(count: int, seed: int, clock: Callable[[], Instant]) -> dict[str, Cjt188Meter]:
    """Return meters by a name of theirs, of each kind in turn; the same seed gives the same ones."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable community, no secret
    since = clock()
    meters: dict[str, Cjt188Meter] = {}
    for number in range(1, count + 1):
        kind, meter_type, mean, start = _KINDS[(number - 1) % len(_KINDS)]
        use = Consumption(mean * chance.uniform(0.5, 1.6), start * chance.uniform(0.2, 1.8), since, chance.gauss(0, 1))
        address = f"1101{20_2600_0000 + seed % 100 * 1_0000 + number:010d}"
        meters[f"{kind}-{number}"] = Cjt188Meter(meter_type, address, use, clock)
    return meters


def _hundredths(amount: float) -> bytes:
    return encode_number(Decimal(round(amount * 100)) / 100, 4, 2)
