"""Values of a model into the registers that a profile's map gives them: what a device's firmware does. Pure.

The map says where and how; putting the bytes there is written here on its own, not by turning the gateway's decoder
round.
"""

import struct
from collections.abc import Iterable, Mapping
from fractions import Fraction

from linli_core.model import Phase
from linli_edge.drivers.modbus.registers import MappedPoint, WordOrder
from linli_sim.modbus_registers import Unit

Values = Mapping[tuple[str, Phase | None], float]
"""Quantity and phase to value, in the vocabulary's unit."""


def words_of(entry: MappedPoint, value: float | str) -> list[int]:
    """Return the registers that hold a value.

    Args:
        entry: Where and how, from a profile.
        value: In the vocabulary's unit; a text for a string. A number that does not fit saturates, as in a meter.
    """
    kind = entry.kind
    if isinstance(value, str):
        data = value.encode("latin-1").ljust(2 * entry.count, b"\0")[: 2 * entry.count]
        return _ordered(data, entry.order)
    exact = (Fraction(value) - entry.offset) / entry.factor
    if kind.kind == "float":
        return _ordered(struct.pack(">" + kind.code, float(exact)), entry.order)
    number = round(exact)
    span = 16 * entry.count
    if kind.kind == "bcd":
        digits = f"{min(max(number, 0), 10 ** (span // 4) - 1):0{span // 4}d}"
        return _ordered(bytes.fromhex(digits), entry.order)
    lowest, highest = (-(1 << span - 1), (1 << span - 1) - 1) if kind.signed else (0, (1 << span) - 1)
    number = min(max(number, lowest), highest)
    return _ordered(number.to_bytes(span // 8, "big", signed=kind.signed), entry.order)


def _ordered(data: bytes, order: WordOrder) -> list[int]:
    """Cut bytes ABCD… into registers in a device's order."""
    words = [data[place : place + 2] for place in range(0, len(data), 2)]
    if order in {WordOrder.CDAB, WordOrder.DCBA}:
        words.reverse()
    if order in {WordOrder.BADC, WordOrder.DCBA}:
        words = [word[::-1] for word in words]
    return [int.from_bytes(word, "big") for word in words]


def fill(unit: Unit, entries: Iterable[MappedPoint]) -> None:
    """Give a unit every address from the lowest to the highest of a map; those between the values hold 0."""
    spans: dict[str, list[MappedPoint]] = {}
    for entry in entries:
        spans.setdefault(entry.table.label, []).append(entry)
    for table, members in spans.items():
        first, end = min(entry.address for entry in members), max(entry.end for entry in members)
        if end - first <= 4096:
            unit.put(table, first, [0] * (end - first))
        for entry in members:
            unit.put(table, entry.address, [0] * entry.count)


def store(unit: Unit, entries: Iterable[MappedPoint], values: Values) -> None:
    """Write a model's values into a unit; bits of one register are set one by one."""
    for entry in entries:
        value = values.get((entry.quantity, entry.phase))
        if value is None:
            continue
        memory = unit.tables[entry.table.label]
        if entry.table.bits:
            memory[entry.address] = int(bool(value))
        elif entry.bits is not None:
            low, high = entry.bits
            mask = ((1 << (high - low + 1)) - 1) << low
            memory[entry.address] = (memory[entry.address] & ~mask) | (int(value) << low & mask)
        else:
            unit.put(entry.table.label, entry.address, words_of(entry, value))
