"""Bytes of an answer to values, compiled once for each block of a plan.

How digits survive: an integer is multiplied and divided as an integer, so a counter stays an ``int`` where its scale
is whole, and otherwise becomes the float nearest to the exact decimal (whose shortest text *is* that decimal up to 15
digits) or, above 15 digits, a ``Decimal``. A float32 becomes the shortest decimal that names the same float32: a
meter's 230.1 is sent as 230.1, not as 230.10000610351562. A factor is applied to that decimal and rounded at the
digit where the exact product ends.

Speed: one ``struct.unpack`` for each word order in the block; then one small call for each value.
"""

import math
import struct
from array import array
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

from linli_core.instant import Instant
from linli_core.model import Point, Quality, Reading, Reason, Value
from linli_edge.drivers.modbus.registers import DataType, MappedPoint, WordOrder

Converter = Callable[[Any], Value | Reason]
"""One raw value to a value in the vocabulary's unit, or to the reason why there is none."""

_EXACT_FLOAT: Final = 10**15
_WIDE: Final = Context(prec=60)


def decimals(number: Fraction) -> int | None:
    """Return how many decimals a number needs (negative: zeros at its end; 1000 needs -3); ``None``: endlessly many."""
    if not number:
        return -400
    twos = fives = 0
    denominator = number.denominator
    while denominator % 2 == 0:
        denominator //= 2
        twos += 1
    while denominator % 5 == 0:
        denominator //= 5
        fives += 1
    if denominator != 1:
        return None
    places = max(twos, fives)
    whole = abs(int(number * 10**places))
    while whole % 10 == 0:
        whole //= 10
        places -= 1
    return places


def linear_int(factor: Fraction, offset: Fraction) -> Converter | None:
    """Return the converter of an integer; ``None`` where nothing needs doing."""
    factor_places, offset_places = decimals(factor), decimals(offset)
    if factor_places is None or offset_places is None:
        return lambda raw: float(raw * factor + offset)
    power: int = 10 ** max(0, factor_places, offset_places)
    times, plus = int(factor * power), int(offset * power)
    if power == 1:
        if times == 1 and plus == 0:
            return None
        return lambda raw: raw * times + plus

    def divided(raw: int) -> Value:
        scaled = raw * times + plus
        if -_EXACT_FLOAT < scaled < _EXACT_FLOAT:
            return scaled / power  # int / int is correctly rounded
        return _WIDE.divide(Decimal(scaled), Decimal(power))

    return divided


_LOWEST: Final = -149
_HIGHEST: Final = 128


def _power_for(exponent: int) -> int:
    """Return the power of ten that turns a float in [2^(e-1), 2^e) into an integer of seven digits.

    Where a power of ten lies between the bounds, those below it get six: eight would hide a decimal of seven.
    """
    places = 6 - math.floor(exponent * math.log10(2))
    # Below, powers of ten are no exact floats any more; above, a float32 is a whole number of many digits itself.
    return 10 ** max(0, places) if -6 <= places <= 20 else 0


_POWER: Final = tuple(_power_for(exponent) for exponent in range(_LOWEST, _HIGHEST + 1))
_HALF_STEP: Final = tuple(2.0 ** (max(exponent, -125) - 25) for exponent in range(_LOWEST, _HIGHEST + 1))
"""Half of the distance to the next float32, by binary exponent."""


def linear_float32(factor: Fraction, offset: Fraction, nan: Reason) -> Converter:
    """Return the converter of a float32.

    It looks for the shortest decimal that names the same float32: seven digits, else eight, else nine (which are
    enough for any). Factor and offset are applied to that decimal in integers, with one rounding at the end.
    """
    plain = factor == 1 and not offset
    common = math.lcm(factor.denominator, offset.denominator)
    times, plus = int(factor * common), int(offset * common)
    rough_times, rough_plus = float(factor), float(offset)
    frexp, powers, half_steps = math.frexp, _POWER, _HALF_STEP

    def convert(raw: float) -> Value | Reason:
        if raw - raw != 0.0:  # NaN and the infinities, in one comparison
            return nan
        mantissa, exponent = frexp(raw)
        power = powers[exponent - _LOWEST]
        if not power:
            return raw * rough_times + rough_plus
        whole = round(raw * power)
        # At a power of two the next float32 below is only half as far: nine digits, without looking.
        step = half_steps[exponent - _LOWEST] if mantissa not in {0.5, -0.5} else 0.0
        if abs(whole / power - raw) >= step:
            power *= 10
            whole = round(raw * power)
            if abs(whole / power - raw) >= step:
                power *= 10
                whole = round(raw * power)
                if abs(whole / power - raw) >= step:
                    power *= 10
                    whole = round(raw * power)
        if plain:
            return whole / power  # int / int is correctly rounded: this is the decimal's own float
        return (whole * times + plus * power) / (power * common)

    return convert


def linear_float64(factor: Fraction, offset: Fraction, nan: Reason) -> Converter:
    """Return the converter of a float64."""
    times, plus = float(factor), float(offset)
    plain = factor == 1 and not offset

    def convert(raw: float) -> Value | Reason:
        if raw - raw != 0.0:
            return nan
        return raw if plain else raw * times + plus

    return convert


def from_bcd(raw: int) -> int | None:
    """Return the number whose decimal digits are the nibbles; ``None`` if a nibble is no digit."""
    try:
        return int(f"{raw:x}")
    except ValueError:
        return None


def from_mod10k(raw: int, count: int) -> int | None:
    """Return the number whose digits stand four to a register, each -9999 to 9999; ``None`` if one does not."""
    total = 0
    for place in reversed(range(count)):
        word = raw >> 16 * place & 0xFFFF
        digits = word - 0x10000 if word >= 0x8000 else word
        if not -9999 <= digits <= 9999:
            return None
        total = total * 10_000 + digits
    return total


def from_sign(raw: int, count: int) -> int:
    """Return the number whose highest bit is its sign and the rest its magnitude."""
    sign = 1 << (16 * count - 1)
    return -(raw & sign - 1) if raw & sign else raw


_SPELT: Final[dict[str, Callable[[int, int], int | None]]] = {
    "bcd": lambda raw, _count: from_bcd(raw),
    "mod10k": from_mod10k,
    "sign": from_sign,
}
"""Kinds whose bits are read as an unsigned number first, and what that number spells."""


def text(raw: bytes) -> Value | Reason:
    """Return a device's text without its padding; all padding is "not implemented"."""
    kept = raw.partition(b"\0")[0].rstrip(b" \xff")
    if not kept:
        return Reason.NOT_IMPLEMENTED
    try:
        return kept.decode("utf-8")
    except UnicodeDecodeError:
        return kept.decode("latin-1")


def converter(entry: MappedPoint) -> Converter | None:
    """Return what turns one raw value of an entry into a value; ``None`` where the raw value is the value."""
    nan = Reason.NOT_IMPLEMENTED if entry.nan_is_absent else Reason.NOT_A_NUMBER
    inner: Converter | None
    if entry.states is not None:
        states = dict(entry.states)
        inner = lambda raw: states.get(raw, Reason.OUT_OF_RANGE)  # noqa: E731
    elif entry.kind is DataType.FLOAT32:
        inner = linear_float32(entry.factor, entry.offset, nan)
    elif entry.kind is DataType.FLOAT64:
        inner = linear_float64(entry.factor, entry.offset, nan)
    elif entry.kind.kind == "text":
        inner = text
    elif entry.kind.kind == "bit" or (entry.bits is not None and entry.bits[0] == entry.bits[1]):
        inner = bool
    else:
        inner = linear_int(entry.factor, entry.offset)
    if entry.bits is not None:
        inner = _field(entry.bits, inner)
    elif entry.kind.kind in _SPELT:
        inner = _spelt(_SPELT[entry.kind.kind], entry.count, inner)
    return _absent(entry, inner) if entry.absent else inner


def _field(bits: tuple[int, int], inner: Converter | None) -> Converter:
    low, mask = bits[0], (1 << (bits[1] - bits[0] + 1)) - 1
    if inner is None:
        return lambda raw: (raw >> low) & mask
    return lambda raw: inner((raw >> low) & mask)


def _spelt(read: Callable[[int, int], int | None], count: int, inner: Converter | None) -> Converter:
    def convert(raw: int) -> Value | Reason:
        number = read(raw, count)
        if number is None:
            return Reason.MALFORMED_ANSWER
        return number if inner is None else inner(number)

    return convert


def _absent(entry: MappedPoint, inner: Converter | None) -> Converter:
    span = 1 << (16 * entry.count)
    half = span >> 1 if entry.kind.signed else span
    absent = frozenset(code - span if code >= half else code for code in entry.absent)

    def convert(raw: int) -> Value | Reason:
        if raw in absent:
            return Reason.NOT_IMPLEMENTED
        return raw if inner is None else inner(raw)

    return convert


class BlockDecoder:
    """Turns the data bytes of one answer into readings.

    A *lane* is one ``struct`` format over the whole block; values of one word order that do not overlap share it.
    CDAB and BADC are read from a copy whose bytes are swapped within each register.
    """

    def __init__(self, first: int, entries: Sequence[tuple[MappedPoint, Point]]) -> None:
        self._bits = [(entry.address - first, converter(entry), point) for entry, point in entries if entry.table.bits]
        self._lanes: list[tuple[bool, struct.Struct, list[tuple[Converter | None, Point]]]] = []
        orders: dict[WordOrder, list[tuple[MappedPoint, Point]]] = {}
        for entry, point in sorted(
            (pair for pair in entries if not pair[0].table.bits), key=lambda pair: pair[0].address
        ):
            orders.setdefault(entry.order, []).append((entry, point))
        for order, ordered in orders.items():
            rest = ordered
            while rest:
                rest = self._add_lane(first, order, rest)

    def _add_lane(
        self, first: int, order: WordOrder, entries: list[tuple[MappedPoint, Point]]
    ) -> list[tuple[MappedPoint, Point]]:
        """Put what fits without overlap into one lane; return the rest."""
        position, layout = first, ""
        taken: list[tuple[Converter | None, Point]] = []
        left: list[tuple[MappedPoint, Point]] = []
        for entry, point in entries:
            if entry.address < position:
                left.append((entry, point))
                continue
            layout += f"{2 * (entry.address - position)}x" if entry.address > position else ""
            layout += entry.kind.code or f"{2 * entry.count}s"
            taken.append((converter(entry), point))
            position = entry.end
        swapped = order in {WordOrder.CDAB, WordOrder.BADC}
        little = order in {WordOrder.CDAB, WordOrder.DCBA}
        self._lanes.append((swapped, struct.Struct(("<" if little else ">") + layout), taken))
        return left

    def decode(self, data: bytes, observed_at: Instant) -> list[Reading]:
        """Return one reading for each point.

        Args:
            data: The data bytes of the answer: registers big-endian, or bits packed from the lowest bit up
                (Modbus Application Protocol V1.1b3, §6.1). As long as the request asked for.
            observed_at: When the answer came.
        """
        readings: list[Reading] = []
        add = readings.append
        swapped_data = b""
        for swapped, layout, wanted in self._lanes:
            if swapped and not swapped_data:
                words = array("H", data)
                words.byteswap()
                swapped_data = words.tobytes()
            raws = layout.unpack_from(swapped_data if swapped else data)
            for raw, (convert, point) in zip(raws, wanted, strict=True):
                value = raw if convert is None else convert(raw)
                if isinstance(value, Reason):
                    add(Reading(point, None, observed_at, Quality.BAD, value))
                else:
                    add(Reading(point, value, observed_at))
        for offset, convert, point in self._bits:
            bit = data[offset >> 3] >> (offset & 7) & 1
            value = bit if convert is None else convert(bit)
            if isinstance(value, Reason):
                add(Reading(point, None, observed_at, Quality.BAD, value))
            else:
                add(Reading(point, value, observed_at))
        return readings
