"""Readings in files: exported and imported as line protocol, CSV and Parquet, all three of one data model.

=========  ======================================================================================
time       µs in Parquet, RFC 3339 in CSV, the precision asked for in line protocol
gateway    its id
device     its id
point      name below the gateway: ``meter-1/energy_import.t1``
quantity   the vocabulary's name; the measurement in line protocol
unit       the vocabulary's unit (not in line protocol)
value      a number that is usable
raw        the number of a reading that is BAD: told apart, so that nobody adds it up
text       a value that is text
quality    ``good``, ``bad/no_communication``…; its code in line protocol
=========  ======================================================================================
"""

from enum import StrEnum
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError, LinliError


class Format(StrEnum):
    """How readings stand in a file."""

    LINES = "lines"
    CSV = "csv"
    PARQUET = "parquet"


COLUMNS: Final = ("time", "gateway", "device", "point", "quantity", "unit", "value", "raw", "text", "quality")
"""Of CSV and Parquet."""

_SUFFIXES: Final = {
    ".lp": Format.LINES,
    ".line": Format.LINES,
    ".lines": Format.LINES,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
}


class ExchangeError(LinliError):
    """A file that cannot be read or written; the text says where, what was found and what to do."""


def format_of(path: Path, given: str) -> Format:
    """Return the format that was asked for, or that a name ends in."""
    if given:
        return Format(given)
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise ConfigError(
            str(path),
            f"what a name that ends in {path.suffix!r} holds is not known",
            "give --format lines, csv or parquet",
        )
    return found
