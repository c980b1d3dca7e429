"""Control codes, kinds of meters, units and identifiers of CJ/T 188, as data."""

from enum import StrEnum
from typing import Final, NamedTuple

READ: Final = 0x01
READ_ADDRESS: Final = 0x03
WRITE: Final = 0x04
READ_KEY_VERSION: Final = 0x09
WRITE_ADDRESS: Final = 0x15
SET_VOLUME: Final = 0x16

FUNCTIONS: Final = {
    READ: "read data",
    READ_ADDRESS: "read address",
    WRITE: "write data",
    READ_KEY_VERSION: "read key version",
    WRITE_ADDRESS: "write address",
    SET_VOLUME: "set the volume counted so far",
}

READING: Final = 0x901F
HISTORY: Final = 0xD120
"""Last month's; D121 the month before, up to D12B."""
MONTHS: Final = 12
PRICES: Final = 0x8102
SETTLEMENT_DAY: Final = 0x8103
READING_DAY: Final = 0x8104
PURCHASE: Final = 0x8105
ADDRESS: Final = 0x810A
VALVE: Final = 0xA017

IDENTIFIERS: Final = {
    READING: "reading",
    **{HISTORY + month: f"history, month {month + 1} back" for month in range(MONTHS)},
    PRICES: "prices",
    SETTLEMENT_DAY: "settlement day",
    READING_DAY: "reading day",
    PURCHASE: "purchase",
    0x8106: "key version",
    ADDRESS: "address",
    0xA010: "write prices",
    0xA011: "write settlement day",
    0xA012: "write reading day",
    0xA013: "write purchase",
    0xA014: "write key",
    0xA015: "write time",
    0xA016: "set the volume counted so far",
    VALVE: "valve",
    0xA018: "write address",
    0xA019: "leave the factory",
}
"""What each identifier names."""


class Order(StrEnum):
    """In which order the two bytes of an identifier are sent; both occur whatever the year of the meter."""

    HIGH_FIRST = "2004"
    LOW_FIRST = "2018"

    def pack(self, identifier: int) -> bytes:
        """Return the two bytes of an identifier."""
        return identifier.to_bytes(2, "big" if self is Order.HIGH_FIRST else "little")


def decode_identifier(data: bytes) -> tuple[int, Order | None]:
    """Return the identifier in two bytes, and the order that makes it a known one; ``None`` where neither does."""
    high_first, low_first = int.from_bytes(data, "big"), int.from_bytes(data, "little")
    if high_first not in IDENTIFIERS and low_first in IDENTIFIERS:
        return low_first, Order.LOW_FIRST
    return high_first, Order.HIGH_FIRST if high_first in IDENTIFIERS else None


class Unit(NamedTuple):
    """What a unit byte says: the unit, and how many of it."""

    name: str
    factor: int = 1


UNITS: Final = {
    0x01: Unit("J"),
    0x02: Unit("Wh"),
    0x05: Unit("kWh"),
    0x08: Unit("MWh"),
    0x0A: Unit("MWh", 100),
    0x0B: Unit("kJ"),
    0x0E: Unit("MJ"),
    0x11: Unit("GJ"),
    0x13: Unit("GJ", 100),
    0x14: Unit("W"),
    0x17: Unit("kW"),
    0x1A: Unit("MW"),
    0x29: Unit("l"),
    0x2C: Unit("m3"),
    0x32: Unit("l/h"),
    0x35: Unit("m3/h"),
}
"""Unit byte → unit."""

_TYPES: Final = {
    0x10: "cold water meter",
    0x11: "hot water meter",
    0x12: "drinking water meter",
    0x13: "reclaimed water meter",
    0x20: "heat meter (heat)",
    0x21: "heat meter (cold)",
    0x22: "heat meter (heat and cold)",
    0x30: "gas meter",
    0xAA: "any meter",
}

_GROUPS: Final = {1: "water meter", 2: "heat meter", 3: "gas meter", 4: "another meter"}

VOLUMES: Final = {
    0x10: "water_volume",
    0x11: "hot_water_volume",
    0x12: "drinking_water_volume",
    0x13: "reclaimed_water_volume",
}
"""Kind of water meter → quantity of what it counts."""

COLD: Final = 0x21
HEAT_AND_COLD: Final = 0x22


def type_name(meter_type: int) -> str:
    """Return what a type byte says, in words; makers use the codes between the standard's as well."""
    return _TYPES.get(meter_type) or _GROUPS.get(meter_type >> 4) or f"reserved ({meter_type:02X})"


def is_water(meter_type: int) -> bool:
    """Tell whether a meter meters water."""
    return meter_type >> 4 == 1


def is_heat(meter_type: int) -> bool:
    """Tell whether a meter meters heat or cold."""
    return meter_type >> 4 == 2


def is_gas(meter_type: int) -> bool:
    """Tell whether a meter meters gas."""
    return meter_type >> 4 == 3
