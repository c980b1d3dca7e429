"""Data sets: an identifier and one or more values in brackets (IEC 62056-21, syntax of a data message).

::

    1.8.0(0012345.678*kWh)
    0-1:24.2.1(161129200000W)(00981.443*m3)
    12(12*kWh)13(13*kWh)                       several in one line

Meters in the field leave out the asterisk, the line ends, or the identifier; a value may stand on the next line. A
value without an identifier belongs to the data set before it.
"""

import re
from decimal import Decimal
from typing import Final

import msgspec

from linli_core.errors import ProtocolError
from linli_core.obis import unit_of

LONGEST_BLOCK: Final = 64 * 1024
"""Bytes of one data message; profiles are read in pieces, registers are a few hundred lines."""

LONGEST_IDENTIFIER: Final = 48
LONGEST_VALUE: Final = 2304
"""Characters; a P1 message shows 1024 characters as 2048 hexadecimal digits."""

MOST_SETS: Final = 4096
MOST_VALUES: Final = 1024
"""Values of one data set: a power failure log or a line of a load profile."""

_TOKEN: Final = re.compile(r"(?P<identifier>[^()\r\n]*)\((?P<value>[^()]*)\)|(?P<blank>[ \t\r\n]+)")
_NUMBER: Final = re.compile(
    r"(?P<number>[+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?: ?\*? ?(?P<unit>[^\d\s*][^\s*]{0,15}))?", re.ASCII
)
_NOTHING: Final = re.compile(r"[\sFf\-_?#.,*]*(?:\*\s?[^\s\d*]{1,16})?")
"""What a meter shows in place of digits it has none for: ``FFFFFF.FF``, ``------*kWh``, ``******``, or nothing."""

_STAMP: Final = re.compile(r"\d{10,14}[SW]?", re.ASCII)


class DataSet(msgspec.Struct, frozen=True):
    """An identifier and its values.

    Attributes:
        identifier: As it was sent: ``1-0:1.8.0``, ``C.1.0``, ``12``; may be empty.
        values: What stands in the brackets, as it was sent.
        offset: Where the identifier begins in the block.
        size: Bytes from the identifier to the last bracket.
    """

    identifier: str
    values: tuple[str, ...]
    offset: int = 0
    size: int = 0

    @property
    def raw(self) -> str:
        """The data set as it was sent, without line ends between its values."""
        return self.identifier + "".join(f"({value})" for value in self.values)


def parse_data(data: bytes) -> list[DataSet]:
    """Return the data sets of a block, an exclamation mark and what follows it left out by the caller.

    Raises:
        ProtocolError: Something in it is no data set, or there is more than a meter sends.
    """
    if len(data) > LONGEST_BLOCK:
        raise ProtocolError(f"the block has {len(data)} bytes; {LONGEST_BLOCK} are the most", kind="too_long")
    text = data.decode("latin-1")
    found: list[tuple[str, list[str], int, int]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ProtocolError(f"found {_shown(text[at:])} where a data set belongs", offset=at)
        if match["blank"] is None:
            _take(found, match)
        at = match.end()
    return [DataSet(name, tuple(values), start, end - start) for name, values, start, end in found]


def _take(found: list[tuple[str, list[str], int, int]], match: re.Match[str]) -> None:
    name, value = match["identifier"].strip(), match["value"]
    if len(name) > LONGEST_IDENTIFIER or len(value) > LONGEST_VALUE:
        raise ProtocolError(
            f"{_shown(match[0])} is longer than a data set may be", kind="too_long", offset=match.start()
        )
    if not name and found:
        last_name, values, start, _ = found[-1]
        if len(values) == MOST_VALUES:
            raise ProtocolError(
                f"more than {MOST_VALUES} values in one data set", kind="too_many", offset=match.start()
            )
        values.append(value)
        found[-1] = last_name, values, start, match.end()
        return
    if len(found) == MOST_SETS:
        raise ProtocolError(f"more than {MOST_SETS} data sets", kind="too_many", offset=match.start())
    found.append((name, [value], match.start(), match.end()))


def split_value(value: str) -> tuple[Decimal | None, str]:
    """Return a value's number and unit as they were sent; no number for a text or a time stamp.

    Without an asterisk a unit is only taken where the digits are no time stamp: ``210222161900W`` is none of 210 GW.
    """
    value = value.strip()
    match = _NUMBER.fullmatch(value)
    if match is None or ("*" not in value and match["unit"] is not None and not _is_unit(value, match["unit"])):
        return None, ""
    number = match["number"]
    # A register has ten digits, not a thousand: what is longer is a text that happens to be all digits.
    if len(number) > 24:
        return None, ""
    found = Decimal(number)
    # A register at nothing may be sent as -0.00: it is 0.
    return found or found.copy_abs(), match["unit"] or ""


def says_nothing(value: str) -> bool:
    """Tell whether a value stands for none: blank, or filled with what is no digit."""
    return _NOTHING.fullmatch(value) is not None


def _is_unit(value: str, unit: str) -> bool:
    return unit_of(unit) is not None and _STAMP.fullmatch(value) is None


def _shown(text: str) -> str:
    return repr(text[:24] + ("…" if len(text) > 24 else ""))
