"""Register maps as TOML writes them: the entries of a profile or of a device's own ``points``, checked."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final

from linli_core.errors import LinliError
from linli_core.instant import DAY
from linli_core.model import Phase, Statistic
from linli_core.vocabulary import Vocabulary, vocabulary
from linli_edge.config.table import Table
from linli_edge.drivers.modbus.registers import (
    ADDRESSES,
    TABLES,
    TYPES,
    DataType,
    MappedPoint,
    Multiplier,
    RegisterTable,
    WordOrder,
)

RATIOS: Final = ("pt", "ct")
"""Transformer ratios that a device's register map may leave to the reader."""

BASES: Final = (0, 1, 10_001, 30_001, 40_001)
"""What a manual may call the first address: 0 as on the wire, 1, or the numbers that name the table as well."""

SUNSPEC_ABSENT: Final = {
    DataType.INT16: 0x8000,
    DataType.UINT16: 0xFFFF,
    DataType.INT32: 0x8000_0000,
    DataType.UINT32: 0xFFFF_FFFF,
    DataType.INT64: 0x8000_0000_0000_0000,
    DataType.UINT64: 0xFFFF_FFFF_FFFF_FFFF,
}
"""What ``absent = "sunspec"`` means for each type."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for an entry that does not say otherwise.

    Attributes:
        table: Table of the device.
        kind: How values are written; ``None``: each entry says it.
        order: Byte and word order.
        base: 1 where the addresses are numbered from one, as many manuals print them.
        absent: ``"sunspec"`` or nothing.
        nan_is_absent: Whether NaN means "not implemented".
        ratios: Registers that hold a transformer ratio, by its name: where the device is not given one.
    """

    table: RegisterTable = RegisterTable.HOLDING
    kind: DataType | None = None
    order: WordOrder = WordOrder.ABCD
    base: int = 0
    absent: str | None = None
    nan_is_absent: bool = False
    ratios: Mapping[str, Multiplier] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quirks:
    """What a make and model needs from whoever asks; a device in the configuration may override each.

    Attributes:
        max_registers: Most registers in one request.
        max_gap: Most unwanted registers read through.
        pause: Microseconds between an answer and the next request.
        timeout: Microseconds to wait for an answer.
        retries: How often a request is repeated before the device counts as silent.
        functions: Function codes that it knows; empty: all.
        even_counts: Whether it only answers to even numbers of registers.
    """

    max_registers: int = 125
    max_gap: int = 8
    pause: int = 0
    timeout: int = 1_000_000
    retries: int = 0
    functions: tuple[int, ...] = ()
    even_counts: bool = False

    def allows(self, function: int) -> bool:
        """Return whether the device knows a function."""
        return not self.functions or function in self.functions

    @property
    def tables(self) -> Mapping[RegisterTable, RegisterTable]:
        """Which table to read in place of one whose function the device does not know."""
        return {
            table: other
            for table, other in _SIBLINGS.items()
            if not self.allows(table.function) and self.allows(other.function)
        }


_SIBLINGS: Final = {
    RegisterTable.HOLDING: RegisterTable.INPUT,
    RegisterTable.INPUT: RegisterTable.HOLDING,
    RegisterTable.COIL: RegisterTable.DISCRETE,
    RegisterTable.DISCRETE: RegisterTable.COIL,
}


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One entry of a register map with the ratios still open.

    Attributes:
        mapped: The entry as if every ratio were 1.
        ratios: Ratios its value is to be multiplied by.
        ordered: Whether the entry itself names its byte and word order, so that a device cannot change it.
        registers: Where the device itself holds a ratio.
    """

    mapped: MappedPoint
    ratios: tuple[str, ...]
    ordered: bool
    registers: Mapping[str, Multiplier] = field(default_factory=dict)

    def resolved(self, ratios: Mapping[str, Fraction], order: WordOrder | None) -> MappedPoint:
        """Return the entry with a device's ratios folded in, and in the device's word order.

        A ratio that is not given is read from the device where its map says how, and is 1 where it does not.
        """
        factor, multipliers = self.mapped.factor, self.mapped.multipliers
        for name in self.ratios:
            if name not in ratios and name in self.registers:
                multipliers += (self.registers[name],)
            factor *= ratios.get(name, 1)
        keep = self.ordered or self.mapped.kind.registers < 2
        wanted = self.mapped.order if order is None or keep else order
        return replace(self.mapped, factor=factor, order=wanted, multipliers=multipliers)


def read_quirks(table: Table, base: Quirks) -> Quirks:
    """Return how to ask a device, from the keys of its profile or of its place in the configuration."""
    return Quirks(
        table.integer("max_registers", base.max_registers, minimum=1, maximum=125),
        table.integer("max_gap", base.max_gap, minimum=0, maximum=124),
        table.duration("pause", base.pause, maximum=10_000_000),
        table.duration("timeout", base.timeout, minimum=10_000, maximum=60_000_000),
        table.integer("retries", base.retries, minimum=0, maximum=10),
        table.integers("functions", base.functions, minimum=1, maximum=127),
        table.boolean("even_counts", base.even_counts),
    )


def read_defaults(table: Table) -> Defaults:
    """Return what a ``[defaults]`` table says."""
    kind = table.choice("type", list(TYPES), None)
    base = table.integer("address_base", 0, minimum=0, maximum=ADDRESSES)
    if base not in BASES:
        table.problem("address_base", f"found {base}", f"choose one of {', '.join(map(str, BASES))}")
    read = Defaults(
        TABLES[table.choice("table", list(TABLES), "holding")],
        TYPES[kind] if kind else None,
        table.member("order", WordOrder, WordOrder.ABCD),
        base,
        table.choice("absent", ["sunspec"], None),
        table.boolean("nan_is_absent", False),
    )
    registers = {
        name: Multiplier(_multiplying(table.table(f"{name}_register"), read), power=False)
        for name in RATIOS
        if f"{name}_register" in table
    }
    return replace(read, ratios=registers)


def _multiplying(table: Table, defaults: Defaults) -> MappedPoint:
    """Return a register that holds a ratio: ``{ address = 142, type = "uint16", scale = 0.1 }``."""
    kind = TYPES[table.choice("type", [label for label, kind in TYPES.items() if kind.registers], "uint16")]
    source = TABLES[table.choice("table", ["holding", "input"], _registers(defaults.table).label)]
    return MappedPoint(
        where=table.where,
        quantity="multiplier",
        table=source,
        address=_address(table, "address", defaults.base, kind.registers),
        count=kind.registers,
        kind=kind,
        order=table.member("order", WordOrder, defaults.order if kind.registers > 1 else WordOrder.ABCD),
        factor=_exact(table.number("scale", 1.0)),
    )


def _registers(table: RegisterTable) -> RegisterTable:
    """Return a table of registers: the given one, unless it is one of bits."""
    return RegisterTable.HOLDING if table.bits else table


def _address(table: Table, key: str, base: int, count: int) -> int:
    """Return an address as on the wire, from a key that counts from ``base``."""
    address = table.integer(key, minimum=base, maximum=ADDRESSES - 1 + base) - base
    if address + count > ADDRESSES:
        table.problem(key, f"the value ends behind address {ADDRESSES - 1}", "correct the address or the type")
    return address


def read_entries(tables: Sequence[Table], defaults: Defaults, quirks: Quirks) -> tuple[RawEntry, ...]:
    """Return the entries of a register map; mistakes are noted in their tables."""
    words = vocabulary()
    read = [(table, _entry(table, defaults, quirks, words)) for table in tables]
    _refuse_doubles(read)
    return tuple(entry for _, entry in read)


def _refuse_doubles(read: Sequence[tuple[Table, RawEntry]]) -> None:
    """Note points that are declared twice, and values that share some of their registers but not all."""
    seen: dict[str, Table] = {}
    for table, entry in read:
        name = entry.mapped.of("device").local_name
        if (first := seen.setdefault(name, table)) is not table:
            remedy = f"see {first.where}; tell them apart by phase, channel, tariff, storage or statistic"
            table.problem("quantity", f'point "{name}" is declared twice', remedy)
    spans = sorted(read, key=lambda pair: (pair[1].mapped.table.function, pair[1].mapped.address, pair[1].mapped.end))
    for (first, one), (table, two) in pairwise(spans):
        a, b = one.mapped, two.mapped
        same = (a.address, a.end) == (b.address, b.end)
        if a.table is b.table and a.end > b.address and not (same and (a.bits or a.states or a.kind is not b.kind)):
            table.problem(
                "address",
                f"the value shares registers with {first.where} (from address {a.address} to {a.end - 1})",
                "correct the address or the type of one of the two",
            )


def _entry(table: Table, defaults: Defaults, quirks: Quirks, words: Vocabulary) -> RawEntry:
    kind = TYPES[table.choice("type", list(TYPES), defaults.kind.label if defaults.kind else "int16")]
    if defaults.kind is None and "type" not in table.raw:
        kind = DataType.BIT if table.raw.get("table") in {"coil", "discrete"} else kind
        if kind is not DataType.BIT:
            table.problem("type", "missing", f"choose one of {', '.join(TYPES)}")
    source = TABLES[table.choice("table", list(TABLES), defaults.table.label)]
    count = kind.registers or 1
    if kind is DataType.STRING:
        count = table.integer("length", minimum=1, maximum=quirks.max_registers)
    elif count > quirks.max_registers:
        table.problem("type", f"{kind.label} takes {count} registers", f"raise max_registers to {count} or more")
    if source.bits != (kind is DataType.BIT) and table.raw.get("type", kind.label) in TYPES:
        table.problem(
            "type", f"{kind.label} in table {source.label}", "a coil or a discrete input is a bit, nothing else"
        )
    order = table.member("order", WordOrder, defaults.order if kind.registers > 1 else WordOrder.ABCD)
    if kind is DataType.STRING and order in {WordOrder.CDAB, WordOrder.DCBA}:
        table.problem("order", f"{order} for a string", "choose ABCD, or BADC where each two characters are swapped")
    address = _address(table, "address", defaults.base, count)
    factor, offset = _scale(table, kind, words)
    lowest, highest = table.number("minimum", None), table.number("maximum", None)
    if lowest is not None and highest is not None and lowest > highest:
        table.problem("minimum", f"{lowest:g} is above maximum, {highest:g}", "exchange the two")
    mapped = MappedPoint(
        where=table.where,
        quantity=table.text("quantity"),
        table=source,
        address=address,
        count=count,
        kind=kind,
        order=order,
        factor=factor,
        offset=offset,
        bits=_bits(table, kind, count),
        states=_states(table),
        absent=_absent(table, kind, defaults),
        nan_is_absent=table.boolean("nan_is_absent", defaults.nan_is_absent),
        multipliers=_scale_register(table, source, kind, defaults.base),
        writable=_writable(table, source, kind),
        lowest=lowest,
        highest=highest,
        interval=table.duration("interval", 0, minimum=100_000, maximum=DAY),
        phase=table.member("phase", Phase, None),
        channel=table.integer("channel", None, minimum=0, maximum=999_999_999),
        tariff=table.integer("tariff", None, minimum=0, maximum=999_999_999),
        storage=table.integer("storage", None, minimum=0),
        statistic=table.member("statistic", Statistic, None),
        rollover=table.integer("rollover", None, minimum=2),
    )
    ratios = table.texts("ratios", ())
    for name in ratios:
        if name not in RATIOS:
            table.problem("ratios", f'no ratio is called "{name}"', f"known: {', '.join(RATIOS)}")
    return RawEntry(mapped, ratios, "order" in table.raw, defaults.ratios)


def _scale_register(table: Table, source: RegisterTable, kind: DataType, base: int) -> tuple[Multiplier, ...]:
    """Return the register that holds the exponent of ten of an entry's scale: ``scale_register = 40210``."""
    if "scale_register" not in table:
        return ()
    address = _address(table, "scale_register", base, 1)
    if kind.kind in {"text", "bit"}:
        table.problem("scale_register", f"a scale for {kind.label}", "drop the key: there is no number to scale")
    elif "states" in table or "bit" in table or "bits" in table:
        table.problem("scale_register", "a scale for a state or a bit field", "drop the key, or what makes it a state")
    return (scale_factor(address, source, f"{table.where}.scale_register"),)


def scale_factor(address: int, table: RegisterTable, where: str) -> Multiplier:
    """Return a SunSpec scale factor: an int16 exponent of ten, 8000 hex where there is none."""
    absent = frozenset({SUNSPEC_ABSENT[DataType.INT16]})
    register = MappedPoint(where, "multiplier", table, address, 1, DataType.INT16, absent=absent)
    return Multiplier(register, power=True)


def _writable(table: Table, source: RegisterTable, kind: DataType) -> bool:
    """Return whether a point may be written: ``writable = true``, only where one write sets all of it."""
    wanted = table.boolean("writable", False)
    if wanted and source in {RegisterTable.INPUT, RegisterTable.DISCRETE}:
        table.problem("writable", f"table {source.label} cannot be written", "only coil and holding can")
    elif wanted and ("bit" in table or "bits" in table or kind.kind == "text"):
        table.problem("writable", "a bit field or a text", "only whole numbers, states and coils can be written")
    return wanted and source in {RegisterTable.COIL, RegisterTable.HOLDING}


def _scale(table: Table, kind: DataType, words: Vocabulary) -> tuple[Fraction, Fraction]:
    """Return factor and offset from the raw number to the vocabulary's unit; note an unknown quantity or unit."""
    scale = _exact(table.number("scale", 1.0))
    shift = _exact(table.number("offset", 0.0))
    if scale == 0:
        table.problem("scale", "found 0", "write what one raw unit is worth, such as 0.1")
    name, unit = table.text("quantity", ""), table.text("unit", "")
    if not name:
        return scale, shift
    quantity = words.get(name)
    if quantity is None:
        near = difflib.get_close_matches(name, words, 1)
        remedy = f'did you mean "{near[0]}"?' if near else "see the vocabulary (core/linli_core/vocabulary.toml)"
        table.problem("quantity", f'no quantity is called "{name}"', remedy)
        return scale, shift
    if kind.kind in {"text", "bit"} or "states" in table.raw:
        return scale, shift
    if not unit:
        if quantity.unit:
            table.problem("unit", "missing", f'write the unit of the scaled value, such as "{quantity.unit}"')
        return scale, shift
    try:
        zero, one = (Fraction(words.convert(name, Decimal(number), unit)) for number in (0, 1))
    except (ValueError, LinliError) as exc:
        table.problem("unit", f'"{unit}" is no unit of {name} ({exc})', f'such as "{quantity.unit}"')
        return scale, shift
    return scale * (one - zero), shift * (one - zero) + zero


def _exact(number: float) -> Fraction:
    """Return the number as it was written: 0.1 is one tenth, not the binary fraction nearest to it."""
    return Fraction(Decimal(repr(number)))


def _bits(table: Table, kind: DataType, count: int) -> tuple[int, int] | None:
    """Return the bit field of an entry: ``bit = 3`` or ``bits = [4, 7]``, 0 the least significant."""
    single = table.integer("bit", None, minimum=0, maximum=16 * count - 1)
    several = table.integers("bits", None, minimum=0, maximum=16 * count - 1)
    if single is None and several is None:
        return None
    if kind.kind != "int" or kind.signed:
        table.problem("type", f"a bit field of {kind.label}", "choose uint16, uint32 or uint64")
    if single is not None:
        if several is not None:
            table.problem("bits", "both bit and bits are given", "keep one of them")
        return single, single
    assert several is not None
    if len(several) != 2 or several[0] > several[1]:
        table.problem("bits", f"found {list(several)}", "write the lowest and the highest bit, such as [4, 7]")
        return None
    return several[0], several[1]


def _states(table: Table) -> Mapping[int, str | int | bool] | None:
    """Return what each raw number means: ``states = { 0 = "off", 1 = "on" }``."""
    if "states" not in table.raw:
        return None
    child = table.table("states")
    states: dict[int, str | int | bool] = {}
    for key, value in child.raw.items():
        child.known(key)
        if not key.isdigit():
            child.problem(key, "the key is no number", "write the raw number on the left, such as 1 = true")
        elif not isinstance(value, str | int):
            child.problem(key, f"found {value!r}", "write a text, a whole number, true or false")
        else:
            states[int(key)] = value
    return states


def _absent(table: Table, kind: DataType, defaults: Defaults) -> frozenset[int]:
    """Return the raw patterns that say "not implemented"."""
    if "absent" in table.raw:
        return frozenset(table.integers("absent", (), minimum=0))
    if defaults.absent == "sunspec" and kind in SUNSPEC_ABSENT:
        return frozenset({SUNSPEC_ABSENT[kind]})
    return frozenset()
