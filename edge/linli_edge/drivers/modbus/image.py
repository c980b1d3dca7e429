"""The registers of a line's devices as they were last read, and how old each is. Pure; time is given.

What is kept are whole answers: a value of several registers is of one moment.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

SPANS: Final = 256
"""Answers kept of one table of one unit; a plan has fewer, and one that was split leaves old ones behind."""

_BITS: Final = frozenset({1, 2})


class Absence(Enum):
    """Why registers cannot be given out."""

    STALE = "they were read too long ago, or not yet"
    NEVER = "no request of ours reads them"


@dataclass(frozen=True, slots=True)
class _Span:
    end: int
    data: bytes
    at: float


class Image:
    """What was last read of each unit."""

    def __init__(self) -> None:
        self._tables: dict[tuple[int, int], dict[tuple[int, int], _Span]] = {}

    def store(self, unit: int, function: int, address: int, count: int, data: bytes, at: float) -> None:
        """Take an answer: function 1 to 4, its first address, how many, and its data bytes."""
        spans = self._tables.setdefault((unit, function), {})
        spans[address, count] = _Span(address + count, data, at)
        if len(spans) > SPANS:
            del spans[min(spans, key=lambda key: spans[key].at)]

    def read(self, unit: int, function: int, address: int, count: int, oldest: float) -> bytes | Absence:
        """Return the data bytes of a read, from answers that came at ``oldest`` or later.

        Of several answers that hold a register the newest counts.
        """
        spans = self._tables.get((unit, function), {})
        end = address + count
        meeting = [(key[0], span) for key, span in spans.items() if key[0] < end and span.end > address]
        cells: dict[int, int] = {}
        for first, span in sorted(meeting, key=lambda pair: pair[1].at):
            if span.at < oldest:
                continue
            for place in range(max(first, address), min(span.end, end)):
                cells[place] = _cell(span.data, place - first, bits=function in _BITS)
        if len(cells) == count:
            return _packed([cells[place] for place in range(address, end)], bits=function in _BITS)
        any_fresh = any(span.at >= oldest for span in spans.values())
        known = {place for first, span in meeting for place in range(max(first, address), min(span.end, end))}
        return Absence.NEVER if any_fresh and len(known) < count else Absence.STALE


def _cell(data: bytes, place: int, *, bits: bool) -> int:
    return data[place >> 3] >> (place & 7) & 1 if bits else int.from_bytes(data[2 * place : 2 * place + 2], "big")


def _packed(cells: list[int], *, bits: bool) -> bytes:
    if not bits:
        return b"".join(cell.to_bytes(2, "big") for cell in cells)
    packed = bytearray((len(cells) + 7) // 8)
    for place, cell in enumerate(cells):
        packed[place >> 3] |= cell << (place & 7)
    return bytes(packed)
