"""The fast way through line protocol: lines of the form that is exported, as columns, without an object for each.

Such a line has two spaces, ``value=`` with a decimal number, perhaps ``,quality=`` with a code, and a timestamp as long
as its neighbours'. What is in another form is not judged here: :func:`read` says which lines those are, and the parser
of :mod:`linli_core.wire.line_protocol` decides. Both ways give the same reading, to the last bit of its value.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_core.model import Quality, Reason, quality_code

_SPACE: Final = 32
_NEWLINE: Final = 10
_QUOTE: Final = 34
_DOT: Final = 46
_MINUS: Final = 45
_ZERO: Final = 48
_VALUE: Final = b"value="
_QUALITY: Final = b",quality="
_PADDING: Final = bytes(32)
"""Looking past the end of the last line is looking at these."""

_DIGITS: Final = 15
"""A number of so many digits is whole in a float, and so is the power of ten under it: their quotient is rounded once,
like the number that is read digit by digit."""
_POWERS: Final = np.power(10.0, np.arange(_DIGITS + 2))
_FLOAT: Final = re.compile(rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_LONGEST_STAMP: Final = 19
_INT64: Final = np.uint64(1 << 63)
_USABLE: Final = np.zeros(1000, bool)
_USABLE[[quality_code(Quality.GOOD), quality_code(Quality.UNCERTAIN)]] = True
for _reason in Reason:
    _USABLE[[quality_code(Quality.GOOD, _reason), quality_code(Quality.UNCERTAIN, _reason)]] = True

_Bytes = NDArray[np.uint8]
_Places = NDArray[np.int64]
_Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Canonical:
    """Readings of the lines that could be read the fast way, in their order; and which lines could not.

    Attributes:
        ids: What ``number_of`` said of each head.
        stamps: As they stand.
        values, quality: Of each reading; all are usable.
        lines: Which line each is, from 0.
        others: The lines that are not in the form.
        count: Lines in all.
    """

    ids: NDArray[np.int32]
    stamps: NDArray[np.int64]
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]
    lines: NDArray[np.int64]
    others: NDArray[np.int64]
    count: int


def read(block: bytes, number_of: Callable[[bytes], int | None]) -> Canonical | None:
    """Return the readings of whole lines, each with its end; ``None`` where a text may go on over several of them.

    Args:
        block: Lines, the last one with its end too.
        number_of: Returns the number of a head (measurement and tags), ``None`` if it must be looked at more closely.
    """
    bytes_ = np.frombuffer(block + _PADDING, np.uint8)
    marks = np.flatnonzero(bytes_[: len(block)] <= _SPACE)
    kinds = bytes_[marks]
    ends = marks[kinds == _NEWLINE]
    if b'"' in block and _texts_run_on(block, bytes_, ends):
        return None
    lines, first, second, end = _separated(marks, kinds, len(ends))
    starts = np.concatenate(([0], ends + 1))[lines]
    value = first + (1 + len(_VALUE))
    stamps, good = _stamps(bytes_, second + 1, end)
    good &= _stands_at(bytes_, first + 1, _VALUE) & (value < second)
    quality, beyond = _qualities(bytes_, value, second)
    good &= _USABLE[quality]
    values, exact = _numbers(bytes_, value, beyond, good)
    for row in np.flatnonzero(good & ~exact).tolist():
        text = block[value[row] : beyond[row]]
        number = float(text) if _FLOAT.fullmatch(text) else np.inf
        good[row] = np.isfinite(number)
        values[row] = number
    ids = _ids(block, starts, first, number_of)
    good &= ids > 0
    others = np.ones(len(ends), bool)
    others[lines[good]] = False
    return Canonical(
        ids[good],
        stamps[good],
        values[good],
        quality[good].astype(np.uint8),
        lines[good],
        np.flatnonzero(others),
        len(ends),
    )


def _texts_run_on(block: bytes, bytes_: _Bytes, ends: _Places) -> bool:
    """Tell whether a text may go on in the line after it: then what looks like a line may be within one."""
    if b'\\"' in block:
        return True
    quotes = np.flatnonzero(bytes_ == _QUOTE)
    return bool((np.bincount(np.searchsorted(ends, quotes)) % 2).any())


def _separated(marks: _Places, kinds: _Bytes, count: int) -> tuple[_Places, _Places, _Places, _Places]:
    """Return of lines with two spaces, and nothing else below one, which they are, where those stand and their end."""
    if len(marks) == 3 * count:
        of_three = kinds.reshape(-1, 3)
        if (of_three[:, 0] == _SPACE).all() and (of_three[:, 1] == _SPACE).all() and (of_three[:, 2] == _NEWLINE).all():
            three = marks.reshape(-1, 3)
            return np.arange(count), three[:, 0], three[:, 1], three[:, 2]
    is_end = kinds == _NEWLINE
    line = np.cumsum(is_end) - is_end
    sound = np.bincount(line, minlength=count) == 3
    sound &= np.bincount(line, (kinds != _SPACE) & ~is_end, minlength=count) == 0
    three = marks[sound[line]].reshape(-1, 3)
    return np.flatnonzero(sound), three[:, 0], three[:, 1], three[:, 2]


def _stamps(bytes_: _Bytes, start: _Places, end: _Places) -> tuple[NDArray[np.int64], _Flags]:
    """Return timestamps of the length that most have, and which rows have it."""
    if not len(start):
        return np.empty(0, np.int64), np.empty(0, bool)
    lengths = end - start
    length = int(np.bincount(np.minimum(lengths, _LONGEST_STAMP + 1)).argmax())
    good = lengths == length
    if not 1 <= length <= _LONGEST_STAMP:
        return np.zeros(len(start), np.int64), np.zeros(len(start), bool)
    found = np.zeros(len(start), np.uint64)
    for place in range(length):
        digit = bytes_[start + place] - np.uint8(_ZERO)  # what is below 0 is above 9 then
        good &= digit <= 9
        found *= np.uint64(10)
        found += digit
    good &= found < _INT64
    return found.astype(np.int64), good


def _stands_at(bytes_: _Bytes, start: _Places, text: bytes) -> _Flags:
    """Tell of each place whether a text begins there."""
    found: _Flags = bytes_[start] == text[0]
    for place, byte in enumerate(text[1:], 1):
        found &= bytes_[start + place] == byte
    return found


def _qualities(bytes_: _Bytes, value: _Places, end: _Places) -> tuple[NDArray[np.int64], _Places]:
    """Return the code of each row, 0 where none is said, and where the value before it ends."""
    quality = np.zeros(len(end), np.int64)
    beyond = end
    for digits in (1, 2, 3):
        start = end - (len(_QUALITY) + digits + 1)
        found = (start > value) & (bytes_[end - 1] == ord("i")) & _stands_at(bytes_, np.maximum(start, 0), _QUALITY)
        code = np.zeros(len(end), np.int64)
        for place in range(digits):
            digit = bytes_[end - (1 + digits - place)] - np.uint8(_ZERO)
            found &= digit <= 9
            code = code * 10 + digit
        quality = np.where(found, code, quality)
        beyond = np.where(found, start, beyond)
        if found.all():
            break
    return quality, beyond


def _numbers(bytes_: _Bytes, start: _Places, end: _Places, wanted: _Flags) -> tuple[NDArray[np.float64], _Flags]:
    """Return decimal numbers, and which rows hold one that could be read so."""
    lengths = end - start
    exact = wanted & (lengths > 0) & (lengths <= _DIGITS + 1)
    whole = np.zeros(len(start), np.int64)
    digits = np.zeros(len(start), np.int8)
    below = np.zeros(len(start), np.int8)
    dots = np.zeros(len(start), np.int8)
    negative = bytes_[start] == _MINUS
    for place in range(int(lengths[exact].max(initial=0))):
        byte = bytes_[start + place]
        inside = lengths > place
        digit = byte - np.uint8(_ZERO)
        is_digit = inside & (digit <= 9)
        is_dot = inside & (byte == _DOT)
        exact &= ~inside | is_digit | is_dot | (negative if place == 0 else False)
        whole = np.where(is_digit, whole * 10 + digit, whole)
        digits += is_digit
        below += is_digit & (dots > 0)
        dots += is_dot
    exact &= (digits > 0) & (digits <= _DIGITS) & (dots <= 1)
    values = whole / _POWERS[np.where(exact, below, 0)]
    return np.where(negative, -values, values), exact


def _ids(block: bytes, starts: _Places, ends: _Places, number_of: Callable[[bytes], int | None]) -> NDArray[np.int32]:
    """Return the number of each row's head, 0 where it has none."""
    heads = [block[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
    known: dict[bytes, int] = {head: number_of(head) or 0 for head in set(heads)}
    return np.fromiter(map(known.__getitem__, heads), np.int32, len(heads))
