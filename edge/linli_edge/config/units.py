"""Durations (``"15 min"``) and sizes (``"1 GiB"``) as people write them."""

import re
from decimal import Decimal
from typing import Final

from linli_core.instant import DAY, HOUR, MINUTE, SECOND

DURATION_UNITS: Final = {"us": 1, "ms": 1_000, "s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
SIZE_UNITS: Final = {
    "B": 1,
    "kB": 1_000,
    "MB": 1_000**2,
    "GB": 1_000**3,
    "TB": 1_000**4,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
}

DURATION_REMEDY: Final = 'write a duration with its unit, such as "200 ms", "1 s", "15 min", "24 h" or "7 d"'
SIZE_REMEDY: Final = 'write a size with its unit, such as "512 KiB", "64 MiB" or "1 GiB"'

_AMOUNT: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z]{1,3})", re.ASCII)


def _amount(text: str, units: dict[str, int]) -> int:
    match = _AMOUNT.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(text)
    return round(Decimal(match[1]) * units[match[2]])


def parse_duration(text: str) -> int:
    """Return a duration in microseconds; ``ValueError`` if the text is none."""
    return _amount(text, DURATION_UNITS)


def parse_size(text: str) -> int:
    """Return a size in bytes; ``ValueError`` if the text is none."""
    return _amount(text, SIZE_UNITS)


def show_duration(microseconds: int) -> str:
    """Return a duration in the largest unit that needs no decimals: ``15 min``, ``1500 ms``."""
    for unit, size in sorted(DURATION_UNITS.items(), key=lambda item: -item[1]):
        if microseconds % size == 0 and (microseconds or unit == "s"):
            return f"{microseconds // size} {unit}"
    return f"{microseconds} us"


def show_size(size: int) -> str:
    """Return a size in the largest binary unit that needs no decimals: ``1 GiB``, ``1500 B``."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % SIZE_UNITS[unit] == 0:
            return f"{size // SIZE_UNITS[unit]} {unit}"
    return f"{size} B"
