"""Which registers may be what a display shows: every type, order and scale, ranked by how plausible each is. Pure.

A candidate's score is, in bits, how unlikely its agreement is by chance, less what makes its layout unusual, plus what
the registers beside it say. Only the order matters; nothing is thrown away for its score.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from linli_core.model import Kind
from linli_core.vocabulary import vocabulary
from linli_edge.commissioning.find_display import Display
from linli_edge.drivers.modbus.decode import from_bcd
from linli_edge.drivers.modbus.registers import DataType, WordOrder

Image = Mapping[str, Mapping[int, int]]
"""Registers by table (``holding``, ``input``) and address."""

EXPONENTS: Final = range(-6, 7)

_WHOLE: Final = (DataType.UINT16, DataType.INT16, DataType.BCD16)
_LONG: Final = (DataType.UINT32, DataType.INT32, DataType.FLOAT32, DataType.BCD32)
_LONGEST: Final = (DataType.UINT64, DataType.INT64, DataType.FLOAT64, DataType.BCD64)
_ORDERS: Final = (WordOrder.ABCD, WordOrder.CDAB, WordOrder.DCBA, WordOrder.BADC)
_ORDER_COST: Final = {WordOrder.ABCD: 0.0, WordOrder.CDAB: 1.0, WordOrder.DCBA: 3.5, WordOrder.BADC: 3.5}
_TYPE_COST: Final = {
    DataType.INT16: 0.5, DataType.BCD16: 3.0,
    DataType.UINT32: 0.5, DataType.INT32: 0.6, DataType.BCD32: 3.0,
    DataType.UINT64: 2.0, DataType.INT64: 1.8, DataType.FLOAT64: 2.0, DataType.BCD64: 4.0,
}  # fmt: skip
_SCALE_COST: Final = {0: 0.0, -1: 0.2, -2: 0.3, -3: 0.4, 1: 1.5, 2: 2.0, 3: 2.0}
_FLOAT_SCALE_COST: Final = {0: 0.0, -3: 1.0, 3: 1.5}
_UNUSUAL_SCALE: Final = 5.0
_SANE: Final = (1e-4, 1e9)
_NEIGHBOUR: Final = 2.5
_AGREEMENT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reading of the registers that agrees with a display.

    Attributes:
        table: ``holding`` or ``input``.
        address: First address, from 0.
        kind: Type.
        order: Byte and word order.
        exponent: The value is the raw number times ten to this power.
        value: What the registers say so, in the display's unit.
        score: How plausible, in bits.
    """

    table: str
    address: int
    kind: DataType
    order: WordOrder
    exponent: int
    value: Fraction
    score: float = 0.0

    @property
    def key(self) -> tuple[str, int, str, str, int]:
        """What stays the same from one reading to the next."""
        return self.table, self.address, self.kind.label, self.order.value, self.exponent

    @property
    def layout(self) -> tuple[str, str, str]:
        """What the points of one device have in common: table, type, order."""
        return self.table, self.kind.label, self.order.value


def raw_value(words: Sequence[int], kind: DataType, order: WordOrder) -> Fraction | None:
    """Return the raw number that registers hold; ``None`` where they hold none (no digit, not a number)."""
    if order in {WordOrder.CDAB, WordOrder.DCBA}:
        words = words[::-1]
    packed = struct.pack(f">{len(words)}H", *words)
    if order in {WordOrder.BADC, WordOrder.DCBA}:
        packed = b"".join(
            packed[place + 1 : place + 2] + packed[place : place + 1] for place in range(0, len(packed), 2)
        )
    raw = struct.unpack(f">{kind.code}", packed)[0]
    if kind.kind == "bcd":
        digits = from_bcd(raw)
        return None if digits is None else Fraction(digits)
    if kind.kind == "float":
        return Fraction(raw) if math.isfinite(raw) else None
    return Fraction(raw)


def matches(image: Image, display: Display, tolerance: Fraction = Fraction(0)) -> list[Candidate]:
    """Return every candidate for a display, the most plausible first."""
    low, high = display.bounds(tolerance)
    found: list[Candidate] = []
    for table, words in image.items():
        for address in words:
            found += _at(table, address, words, low, high)
    ranked = [replace(candidate, score=_score(candidate, display, image)) for candidate in _distinct(found)]
    return sorted(ranked, key=_rank)


def confirmed(
    earlier: Iterable[Candidate], image: Image, display: Display, tolerance: Fraction = Fraction(0)
) -> list[Candidate]:
    """Return those of earlier candidates that agree with a second look at the display, too."""
    low, high = display.bounds(tolerance)
    kept = []
    for candidate in earlier:
        value = value_of(candidate, image)
        if value is not None and low < value < high:
            kept.append(replace(candidate, value=value))
    return sorted(kept, key=_rank)


def value_of(candidate: Candidate, image: Image) -> Fraction | None:
    """Return what an image says at a candidate's place; ``None`` where it holds nothing there."""
    words = image.get(candidate.table, {})
    places = range(candidate.address, candidate.address + candidate.kind.registers)
    if any(place not in words for place in places):
        return None
    raw = raw_value([words[place] for place in places], candidate.kind, candidate.order)
    return None if raw is None else raw * Fraction(10) ** candidate.exponent


def agreeing(found: Mapping[str, Sequence[Candidate]]) -> dict[str, list[Candidate]]:
    """Rank the candidates of several displays together: a device writes all its values in one way."""
    if len(found) < 2:
        return {label: list(candidates) for label, candidates in found.items()}
    layouts = {label: {candidate.layout for candidate in candidates} for label, candidates in found.items()}
    ranked: dict[str, list[Candidate]] = {}
    for label, candidates in found.items():
        others = [layouts[other] for other in found if other != label]
        scored = [
            replace(item, score=item.score + _AGREEMENT * sum(item.layout in layout for layout in others))
            for item in candidates
        ]
        ranked[label] = sorted(scored, key=_rank)
    return ranked


def _rank(candidate: Candidate) -> tuple[float, str, int]:
    return -candidate.score, candidate.table, candidate.address


def _at(table: str, address: int, words: Mapping[int, int], low: Fraction, high: Fraction) -> Iterator[Candidate]:
    for count, kinds in ((1, _WHOLE), (2, _LONG), (4, _LONGEST)):
        values = [words.get(address + place) for place in range(count)]
        if any(value is None for value in values):
            return
        whole = [value for value in values if value is not None]
        for kind in kinds:
            for order in _ORDERS if count > 1 else _ORDERS[:1]:
                raw = raw_value(whole, kind, order)
                if raw is None:
                    continue
                for exponent in _fitting(raw, low, high):
                    yield Candidate(table, address, kind, order, exponent, raw * Fraction(10) ** exponent)


def _fitting(raw: Fraction, low: Fraction, high: Fraction) -> list[int]:
    """Return the powers of ten that bring a raw number between the bounds, both excluded."""
    if raw == 0:
        return [0] if low < 0 < high else []
    sign = raw > 0
    if (high <= 0) if sign else (low >= 0):
        return []
    # A first guess by logarithm, so that thirteen multiplications are not needed for each of a million tries.
    middle = (low + high) / 2
    if middle == 0:
        return [exponent for exponent in EXPONENTS if low < raw * Fraction(10) ** exponent < high]
    guess = round(math.log10(abs(middle)) - _log10(raw))
    return [
        exponent
        for exponent in range(guess - 1, guess + 2)
        if exponent in EXPONENTS and low < raw * Fraction(10) ** exponent < high
    ]


def _log10(number: Fraction) -> float:
    return math.log10(abs(number.numerator)) - math.log10(number.denominator)


def _distinct(found: Iterable[Candidate]) -> list[Candidate]:
    """Leave out a signed type where the unsigned one says the same: the registers cannot tell."""
    kept: dict[tuple[object, ...], Candidate] = {}
    for candidate in found:
        kind = {DataType.INT16: DataType.UINT16, DataType.INT32: DataType.UINT32, DataType.INT64: DataType.UINT64}
        family = kind.get(candidate.kind, candidate.kind) if candidate.value >= 0 else candidate.kind
        kept.setdefault((candidate.table, candidate.address, family, candidate.order, candidate.exponent), candidate)
    return list(kept.values())


def _score(candidate: Candidate, display: Display, image: Image) -> float:
    kind = candidate.kind
    # As many bits as the display has told: a single digit fits everywhere.
    digits = abs(display.value) * 10**display.decimals
    score = math.log2(float(digits) + 1)
    score -= _ORDER_COST[candidate.order] + _TYPE_COST.get(kind, 0.0)
    if kind.kind == "float":
        score -= _FLOAT_SCALE_COST.get(candidate.exponent, _UNUSUAL_SCALE)
        score += _beside(candidate, image)
    else:
        score -= _SCALE_COST.get(candidate.exponent, _UNUSUAL_SCALE)
        score -= _idle_words(candidate, image)
        # A scale that is finer or coarser than the display's own last digit is less likely than that one.
        score -= 0.3 * abs(candidate.exponent + display.decimals)
    # Where a share is allowed, what agrees to the digit is likelier than what is merely near.
    off = abs(candidate.value - display.value) * 10**display.decimals
    return score + _fitness(kind, display) - min(2.0, 0.3 * float(off))


def _beside(candidate: Candidate, image: Image) -> float:
    """Return what the neighbours say: floats stand among floats."""
    words = image[candidate.table]
    support = 0.0
    for step in (-candidate.kind.registers, candidate.kind.registers):
        places = range(candidate.address + step, candidate.address + step + candidate.kind.registers)
        if all(place in words for place in places):
            raw = raw_value([words[place] for place in places], candidate.kind, candidate.order)
            if raw is not None and _SANE[0] < abs(raw) < _SANE[1]:
                support += _NEIGHBOUR / 2
    return support


def _idle_words(candidate: Candidate, image: Image) -> float:
    """Return what it costs that the upper registers of a long number are 0: a shorter number says the same."""
    words = image[candidate.table]
    places = range(candidate.address, candidate.address + candidate.kind.registers)
    idle = sum(words[place] == 0 for place in places)
    return 0.4 * idle if candidate.kind.registers == 2 else 0.8 * idle


def _fitness(kind: DataType, display: Display) -> float:
    """Return what the quantity says about the type: counters are long, a voltage fits a register."""
    if display.point is None:
        return 0.0
    quantity = vocabulary()[display.point.quantity]
    if quantity.kind is Kind.COUNTER:
        return 1.5 if kind.registers > 1 else 0.0
    return 0.5 if kind.registers == 1 or kind is DataType.FLOAT32 else 0.0
