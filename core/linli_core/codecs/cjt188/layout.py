"""What stands in an answer, decided by what is metered and by how many bytes there are.

Makers leave the unit bytes out, and then the answer is shorter: its length says so. What fits no layout is kept raw.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

from linli_core.codecs.bcd import SIGN, clock_of, decode_number, decode_pair, is_blank
from linli_core.codecs.cjt188 import control
from linli_core.codecs.cjt188.answer import Answer
from linli_core.codecs.cjt188.control import UNITS, Unit, is_gas, is_heat, is_water
from linli_core.codecs.mbus.values import MeterTime

CLOCK_SIZE: Final = 7
STATUS_SIZE: Final = 2
_AMOUNT: Final = 4
_CENTURIES: Final = (19, 20)
_VOLUME_UNITS: Final = frozenset(code for code, unit in UNITS.items() if unit.name in ("l", "m3"))


class Part(StrEnum):
    """What a field of an answer is."""

    VOLUME = "volume"
    ENERGY = "energy"
    POWER = "power"
    FLOW = "flow"
    SUPPLY = "supply temperature"
    RETURN = "return temperature"
    HOURS = "working hours"
    CLOCK = "clock"
    STATUS = "status"
    AMOUNT = "amount of last month"
    PRICE = "price"
    STEP = "volume of a price step"
    SETTLEMENT_DAY = "settlement day"
    READING_DAY = "reading day"
    PURCHASE_NUMBER = "number of purchases"
    PURCHASED = "money of this purchase"
    PURCHASED_TOTAL = "money of all purchases"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    Attributes:
        size: Bytes without the unit byte.
        decimals: Of a number.
        has_unit: Whether a unit byte follows.
        unit: What the number is in, where no byte says it; empty for what has no unit.
        settled: It is of the last settlement day, not of now.
        channel: Which of several alike.
    """

    part: Part
    size: int
    decimals: int = 0
    has_unit: bool = False
    unit: str = ""
    settled: bool = False
    channel: int | None = None


VALVE_BITS: Final = {0b00: "open", 0b01: "closed", 0b11: "abnormal"}
"""Bits 0 and 1 of the first status byte."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a maker's meters differ from the standard; a profile declares it.

    Attributes:
        volume_decimals: Of water and gas volumes; some gas meters send three.
        volume_unit: Of a volume without a unit byte.
        energy_first: Which energy a heat meter sends first: ``settlement`` as the standard says, or ``current``.
        year_first: The clock is sent with its year first; without this it is recognised where the standard's order
            gives no time.
        valve: What the two valve bits say; empty where the meter has no valve, so that it is not said to be open.
        battery: Whether bit 2 says that the battery is low.
    """

    volume_decimals: int = 2
    volume_unit: str = "m3"
    energy_first: str = "settlement"
    year_first: bool = False
    valve: dict[int, str] = field(default_factory=lambda: dict(VALVE_BITS))
    battery: bool = True


STANDARD: Final = Dialect()


class Record(msgspec.Struct, frozen=True):
    """One field of an answer as it was sent.

    Attributes:
        field: What it is; ``None`` for bytes that fit no layout.
        value: Exact, in ``unit``; ``None`` where the meter has none.
        unit: Of the number; ``None`` where the unit byte is unknown.
        data: The bytes, the unit byte among them.
        odd: What is unusual about it; empty when all is well.
    """

    field: Field | None
    value: Decimal | MeterTime | str | None
    unit: Unit | None
    data: bytes
    odd: str = ""


def layout(meter_type: int, identifier: int | None, data: bytes, dialect: Dialect = STANDARD) -> tuple[Field, ...]:
    """Return the fields of an answer; none where its length fits none that is known."""
    if identifier == control.READING:
        found = _heat(dialect) if is_heat(meter_type) else _volumes(meter_type, data, dialect)
    elif identifier is not None and control.HISTORY <= identifier < control.HISTORY + control.MONTHS:
        found = _history(meter_type, data, dialect)
    else:
        found = _OTHERS.get(identifier, ()) if identifier is not None else ()
    return found if sum(item.size + item.has_unit for item in found) == len(data) else ()


def _volumes(meter_type: int, data: bytes, dialect: Dialect) -> tuple[Field, ...]:
    """Current and settlement-day volume, clock, status: 19 bytes, 17 without unit bytes, 18 with one of them."""
    if not (is_water(meter_type) or is_gas(meter_type)):
        return ()
    first = second = len(data) == 19
    if len(data) == 18:
        # One unit byte: the first volume's or the second's. Where it may be either, nobody can say.
        first, second = (data[place] in _VOLUME_UNITS for place in (_AMOUNT, 2 * _AMOUNT))
        if first == second:
            return ()
    decimals, unit = dialect.volume_decimals, dialect.volume_unit
    return (
        Field(Part.VOLUME, _AMOUNT, decimals, first, unit),
        Field(Part.VOLUME, _AMOUNT, decimals, second, unit, settled=True),
        Field(Part.CLOCK, CLOCK_SIZE),
        Field(Part.STATUS, STATUS_SIZE),
    )


def _heat(dialect: Dialect) -> tuple[Field, ...]:
    """Two energies, power, flow, volume, two temperatures, hours, clock, status: 43 bytes."""
    settled_first = dialect.energy_first == "settlement"
    return (
        Field(Part.ENERGY, _AMOUNT, 2, has_unit=True, unit="kWh", settled=settled_first),
        Field(Part.ENERGY, _AMOUNT, 2, has_unit=True, unit="kWh", settled=not settled_first),
        Field(Part.POWER, _AMOUNT, 2, has_unit=True, unit="kW"),
        Field(Part.FLOW, _AMOUNT, 4, has_unit=True, unit="m3/h"),
        Field(Part.VOLUME, _AMOUNT, 2, has_unit=True, unit="m3"),
        Field(Part.SUPPLY, 3, 2, unit="Cel"),
        Field(Part.RETURN, 3, 2, unit="Cel"),
        Field(Part.HOURS, 3, unit="h"),
        Field(Part.CLOCK, CLOCK_SIZE),
        Field(Part.STATUS, STATUS_SIZE),
    )


def _history(meter_type: int, data: bytes, dialect: Dialect) -> tuple[Field, ...]:
    heat = is_heat(meter_type)
    unit, decimals = ("kWh", 2) if heat else (dialect.volume_unit, dialect.volume_decimals)
    return (Field(Part.AMOUNT, _AMOUNT, decimals, has_unit=len(data) == _AMOUNT + 1, unit=unit),)


_OTHERS: Final = {
    control.PRICES: (
        Field(Part.PRICE, 3, 2, channel=1),
        Field(Part.STEP, 3, unit="m3", channel=1),
        Field(Part.PRICE, 3, 2, channel=2),
        Field(Part.STEP, 3, unit="m3", channel=2),
        Field(Part.PRICE, 3, 2, channel=3),
    ),
    control.SETTLEMENT_DAY: (Field(Part.SETTLEMENT_DAY, 1),),
    control.READING_DAY: (Field(Part.READING_DAY, 1),),
    control.PURCHASE: (
        Field(Part.PURCHASE_NUMBER, 1),
        Field(Part.PURCHASED, _AMOUNT, 2),
        Field(Part.PURCHASED_TOTAL, _AMOUNT, 2),
        Field(Part.BALANCE, _AMOUNT, 2),
        Field(Part.STATUS, STATUS_SIZE),
    ),
    control.VALVE: (Field(Part.STATUS, STATUS_SIZE),),
}


def decode_records(answer: Answer, dialect: Dialect = STANDARD) -> list[Record]:
    """Return the fields of an answer, in the order they were sent; one raw record where it fits no layout.

    Args:
        answer: What the meter said.
        dialect: How this maker's meters differ.
    """
    data = answer.data
    found: list[Record] = []
    at = 0
    for item in layout(answer.meter_type, answer.identifier, data, dialect):
        size = item.size + item.has_unit
        found.append(_record(item, data[at : at + size], dialect))
        at += size
    return found or ([Record(None, None, None, data)] if data else [])


def _record(item: Field, data: bytes, dialect: Dialect) -> Record:
    if item.part is Part.STATUS:
        return Record(item, data.hex().upper(), None, data)
    if item.part is Part.CLOCK:
        return _clock(item, data, dialect)
    if _is_signed(item, data[: item.size]):
        return Record(item, None, Unit(item.unit), data, "a sign, which the standard does not have")
    value = decode_number(data[: item.size], item.decimals)
    unit = UNITS.get(data[item.size]) if item.has_unit else Unit(item.unit)
    if unit is None and value is not None:
        return Record(item, value, None, data, f"no unit has the code {data[item.size]:02X}")
    return Record(item, value, unit, data)


def _is_signed(item: Field, data: bytes) -> bool:
    """Tell whether a meter means a minus by the highest bit, as those of DL/T 645 do.

    By the standard's digits minus zero would be 800000.00 on a bill, and half a degree of frost 8000.50.
    """
    if item.part in (Part.SUPPLY, Part.RETURN):
        return not is_blank(data) and bool(data[-1] & SIGN)
    return len(data) == _AMOUNT and data == bytes(_AMOUNT - 1) + bytes((SIGN,))


def _clock(item: Field, data: bytes, dialect: Dialect) -> Record:
    if is_blank(data) or not any(data):
        return Record(item, None, None, data, "the clock was never set")
    backward = _clock_of(data[::-1])
    forward = _clock_of(data)
    value = forward if dialect.year_first else backward
    if value is not None:
        return Record(item, value, None, data)
    value = backward or forward
    return Record(item, value, None, data, "the year stands first" if value and value is forward else "no such time")


def _clock_of(high_first: bytes) -> MeterTime | None:
    """Return the time of century, year, month, day, hour, minute, second."""
    century, *parts = [decode_pair(byte) for byte in high_first]
    return clock_of(tuple(parts), 100 * century) if century in _CENTURIES else None
