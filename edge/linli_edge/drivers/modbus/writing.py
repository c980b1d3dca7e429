"""A value into the registers (or the coil) that shall hold it: the way back of ``decode``. Pure."""

import struct
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from linli_core.errors import WriteRefusal, WriteRefused
from linli_core.model import Reason, Value
from linli_edge.drivers.modbus.pdu import Command
from linli_edge.drivers.modbus.register_map import Quirks
from linli_edge.drivers.modbus.registers import MappedPoint, RegisterTable, WordOrder


def words_for(entry: MappedPoint, value: Value, factors: Mapping[MappedPoint, Fraction | Reason]) -> tuple[int, ...]:
    """Return the registers (or the one bit) that say a value.

    A number is rounded to the nearest that the register can say: what was written is read back, and told.

    Raises:
        WriteRefused: The value is none for this point, outside its bounds, or does not fit.
    """
    if entry.states is not None:
        raw = next((raw for raw, state in entry.states.items() if state == value and type(state) is type(value)), None)
        if raw is None:
            known = ", ".join(str(state) for state in entry.states.values())
            raise WriteRefused(WriteRefusal.BAD_VALUE, f"{value!r} is no state of it; its states: {known}")
        return (raw,) if entry.table.bits else _ordered(_whole(entry, raw), entry.order)
    if entry.table.bits:
        if not isinstance(value, bool):
            raise WriteRefused(WriteRefusal.BAD_VALUE, f"{value!r} for a coil: write true or false")
        return (int(value),)
    if isinstance(value, bool | str) or value is None:
        raise WriteRefused(WriteRefusal.BAD_VALUE, f"{value!r} is no number")
    return _ordered(_number(entry, value, factors), entry.order)


def _number(entry: MappedPoint, value: Decimal | float, factors: Mapping[MappedPoint, Fraction | Reason]) -> bytes:
    try:
        exact = Fraction(str(value))
    except ValueError:
        raise WriteRefused(WriteRefusal.BAD_VALUE, f"{value!r} is no number") from None
    if (entry.lowest is not None and exact < Fraction(str(entry.lowest))) or (
        entry.highest is not None and exact > Fraction(str(entry.highest))
    ):
        lowest, highest = entry.lowest, entry.highest
        raise WriteRefused(WriteRefusal.BAD_VALUE, f"{value} is outside {_shown(lowest)} to {_shown(highest)}")
    factor = entry.factor
    for one in entry.multipliers:
        held = factors.get(one.register, Reason.NO_COMMUNICATION)
        worth = held if isinstance(held, Reason) else one.number(held)
        if isinstance(worth, Reason):
            raise WriteRefused(WriteRefusal.BAD_VALUE, f"its scale is not known ({worth.label})")
        factor *= worth
    raw = (exact - entry.offset) / factor
    if entry.kind.kind == "float":
        try:
            return struct.pack(">" + entry.kind.code, float(raw))
        except OverflowError:
            raise WriteRefused(WriteRefusal.BAD_VALUE, f"{value} does not fit {entry.kind.label}") from None
    return _whole(entry, round(raw))


def _shown(bound: float | None) -> str:
    return "any" if bound is None else f"{bound:g}"


def _whole(entry: MappedPoint, raw: int) -> bytes:
    """Return a whole number's bytes, the most significant first."""
    kind, size = entry.kind, 2 * entry.count
    bits = 8 * size
    if kind.kind == "bcd":
        lowest, highest = 0, 10 ** (2 * size) - 1
    elif kind.kind == "mod10k":
        lowest, highest = 0, 10_000**entry.count - 1
    elif kind.kind == "sign":
        lowest, highest = 1 - (1 << bits - 1), (1 << bits - 1) - 1
    elif kind.signed:
        lowest, highest = -(1 << bits - 1), (1 << bits - 1) - 1
    else:
        lowest, highest = 0, (1 << bits) - 1
    if not lowest <= raw <= highest:
        raise WriteRefused(WriteRefusal.BAD_VALUE, f"raw {raw} does not fit {kind.label} ({lowest} to {highest})")
    if kind.kind == "bcd":
        return bytes.fromhex(f"{raw:0{2 * size}d}")
    if kind.kind == "mod10k":
        return b"".join((raw // 10_000**place % 10_000).to_bytes(2, "big") for place in reversed(range(entry.count)))
    if kind.kind == "sign":
        return ((1 << bits - 1) - raw if raw < 0 else raw).to_bytes(size, "big")
    return raw.to_bytes(size, "big", signed=kind.signed)


def _ordered(data: bytes, order: WordOrder) -> tuple[int, ...]:
    words = [data[place : place + 2] for place in range(0, len(data), 2)]
    if order in {WordOrder.CDAB, WordOrder.DCBA}:
        words.reverse()
    if order in {WordOrder.BADC, WordOrder.DCBA}:
        words = [word[::-1] for word in words]
    return tuple(int.from_bytes(word, "big") for word in words)


def command_for(unit: int, entry: MappedPoint, words: tuple[int, ...], quirks: Quirks) -> Command:
    """Return the write that sets an entry, by a function the device knows (5, 6, 15 or 16).

    Raises:
        WriteRefused: The device knows none that could.
    """
    single, several = (5, 15) if entry.table is RegisterTable.COIL else (6, 16)
    function = single if len(words) == 1 and quirks.allows(single) else several
    if not quirks.allows(function):
        raise WriteRefused(WriteRefusal.NOT_WRITABLE, f"the device knows neither function {single} nor {several}")
    return Command(unit, function, entry.address, words)
