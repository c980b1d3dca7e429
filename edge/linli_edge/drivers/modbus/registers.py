"""What one entry of a register map says: where a value stands in a device and how its bytes become a value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from fractions import Fraction
from typing import Final

from linli_core.model import Phase, Point, Reason, Statistic

ADDRESSES: Final = 65536
"""Addresses of one table (Modbus Application Protocol V1.1b3, §4.4)."""


class RegisterTable(Enum):
    """The four tables of a device (Modbus Application Protocol V1.1b3, §4.3) and the function that reads each.

    Attributes:
        function: Function code of the read request.
        bits: Whether an address holds one bit instead of a register of 16.
        maximum: Most addresses that one request may ask for (§6.1 to §6.4).
    """

    COIL = "coil", 1, True, 2000
    DISCRETE = "discrete", 2, True, 2000
    HOLDING = "holding", 3, False, 125
    INPUT = "input", 4, False, 125

    def __init__(self, label: str, function: int, bits: bool, maximum: int) -> None:
        self.label = label
        self.function = function
        self.bits = bits
        self.maximum = maximum


class WordOrder(StrEnum):
    """In what order a device sends the bytes A (most significant), B, C, D… of a value longer than a register."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class DataType(Enum):
    """How a value is written in registers.

    Attributes:
        label: Its name in a profile.
        code: Format character for :mod:`struct`; empty where the length is the entry's own.
        registers: How many registers it takes; 0 where the entry says it.
        kind: ``int``, ``float``, ``bcd``, ``mod10k``, ``sign`` (sign and magnitude), ``text`` or ``bit``.
    """

    BIT = "bit", "", 0, "bit"
    INT16 = "int16", "h", 1, "int"
    UINT16 = "uint16", "H", 1, "int"
    INT32 = "int32", "i", 2, "int"
    UINT32 = "uint32", "I", 2, "int"
    INT64 = "int64", "q", 4, "int"
    UINT64 = "uint64", "Q", 4, "int"
    FLOAT32 = "float32", "f", 2, "float"
    FLOAT64 = "float64", "d", 4, "float"
    BCD16 = "bcd16", "H", 1, "bcd"
    BCD32 = "bcd32", "I", 2, "bcd"
    BCD64 = "bcd64", "Q", 4, "bcd"
    MOD10K32 = "mod10k32", "I", 2, "mod10k"
    MOD10K64 = "mod10k64", "Q", 4, "mod10k"
    SIGN16 = "sign16", "H", 1, "sign"
    SIGN32 = "sign32", "I", 2, "sign"
    STRING = "string", "", 0, "text"

    def __init__(self, label: str, code: str, registers: int, kind: str) -> None:
        self.label = label
        self.code = code
        self.registers = registers
        self.kind = kind

    @property
    def signed(self) -> bool:
        """Whether the pattern is two's complement."""
        return self.kind == "int" and self.code.islower()


TABLES: Final = {table.label: table for table in RegisterTable}
TYPES: Final = {kind.label: kind for kind in DataType}


@dataclass(frozen=True, slots=True)
class MappedPoint:
    """One entry of a register map, ready to be planned and decoded.

    The value in the vocabulary's unit is ``raw * factor + offset``: scale, unit and transformer ratios are folded
    into the two when the map is read, exactly.

    Attributes:
        where: Place in the profile or the configuration, for errors.
        quantity: Name in the vocabulary.
        table: Which table of the device.
        address: First address as on the wire (from 0).
        count: How many addresses.
        kind: How the value is written.
        order: Byte and word order.
        factor: Vocabulary units per raw unit.
        offset: Vocabulary units to add.
        bits: Lowest and highest bit (0 is the least significant) of a field inside the value; ``None``: all of it.
        states: What each raw number means; a number that is not in it is BAD.
        absent: Raw patterns (unsigned) by which the device says "not implemented".
        nan_is_absent: Whether NaN says "not implemented" rather than "measured nonsense".
        multipliers: Registers of the same device that its value is to be multiplied by.
        writable: Whether the device may be told a value for it.
        lowest, highest: Bounds of what it may be told, in the vocabulary's unit.
        interval: Microseconds from one reading to the next; 0: as often as the device. A profile's is the least.
        phase: Electrical phase.
        channel: Numbered input of the device.
        tariff: Tariff register.
        storage: Storage number.
        statistic: Maximum, minimum… of the device's own period.
        rollover: Raw number at which a cumulative register begins again at zero; ``None`` where nobody says.
    """

    where: str
    quantity: str
    table: RegisterTable
    address: int
    count: int
    kind: DataType
    order: WordOrder = WordOrder.ABCD
    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    bits: tuple[int, int] | None = None
    states: Mapping[int, str | int | bool] | None = None
    absent: frozenset[int] = frozenset()
    nan_is_absent: bool = False
    multipliers: tuple["Multiplier", ...] = ()
    writable: bool = False
    lowest: float | None = None
    highest: float | None = None
    interval: int = 0
    phase: Phase | None = None
    channel: int | None = None
    tariff: int | None = None
    storage: int | None = None
    statistic: Statistic | None = None
    rollover: int | None = None

    @property
    def end(self) -> int:
        """The address behind the last one."""
        return self.address + self.count

    def moved(self, by: int, tables: Mapping[RegisterTable, RegisterTable]) -> "MappedPoint":
        """Return the entry with its addresses moved and its table exchanged, its multipliers' as well."""
        return replace(
            self,
            address=self.address + by,
            table=tables.get(self.table, self.table),
            multipliers=tuple(replace(one, register=one.register.moved(by, tables)) for one in self.multipliers),
        )

    def of(self, device: str) -> Point:
        """Return the point of one device."""
        return Point(device, self.quantity, self.phase, self.channel, self.tariff, self.storage, self.statistic)


MOST_DECIMALS: Final = 10
"""Largest power of ten that a scale-factor register may name (SunSpec: -10 to 10)."""


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A register whose content multiplies another's.

    Attributes:
        register: Where it stands and how it is written; its factor is folded in.
        power: Whether it holds an exponent of ten (a scale factor) rather than the number itself (a ratio).
    """

    register: MappedPoint
    power: bool

    def number(self, exact: Fraction) -> Fraction | Reason:
        """Return what to multiply by, from what the register holds; a reason where that makes no sense."""
        if not self.power:
            return exact if exact > 0 else Reason.OUT_OF_RANGE
        if exact.denominator != 1 or abs(exact) > MOST_DECIMALS:
            return Reason.OUT_OF_RANGE
        return Fraction(10) ** int(exact)
