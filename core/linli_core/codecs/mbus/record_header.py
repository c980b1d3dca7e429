"""The header of a record: DIF, DIFE, VIF and VIFE (EN 13757-3, data information block, value information block).

A meter sends the same headers in every telegram, so a header is taken apart once, together with the function that
decodes its data, and found again by its bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache
from typing import Final

from linli_core.codecs.mbus import values
from linli_core.codecs.mbus.values import MeterTime
from linli_core.codecs.mbus.vif import (
    ABSOLUTE,
    DATES,
    FIRST_EXTENSION,
    MODIFIERS,
    NUMBERS,
    PHASES,
    PRIMARY,
    RECORD_ERRORS,
    SECOND_EXTENSION,
    UNKNOWN,
    Measurand,
    Modifier,
    Vif,
)
from linli_core.errors import ProtocolError

RecordValue = Decimal | str | bytes | MeterTime | None
"""A record's value in its header's unit; ``None`` where the meter has none."""

EXTENSIONS: Final = 10
"""DIFE and VIFE a record may have, each."""

PLAIN_TEXT: Final = 0x7C

SIZES: Final = tuple({values.REAL: 4, **values.INTEGER_SIZE, **values.BCD_SIZE}.get(coding, 0) for coding in range(16))
"""Bytes of data by the data field code; 0 for none, for a selection and for what has a length of its own."""

_HEADERS_KEPT: Final = 4096
"""Headers remembered: some hundred meter models; one header is about half a kilobyte."""


class Function(IntEnum):
    """The function field of the DIF."""

    INSTANTANEOUS = 0
    MAXIMUM = 1
    MINIMUM = 2
    DURING_ERROR = 3


@dataclass(frozen=True, slots=True, eq=False)
class Header:
    """DIF, DIFE, VIF and VIFE of a record, taken apart; one object for all records with the same bytes.

    Attributes:
        dib: DIF and DIFE as sent.
        vib: VIF and VIFE as sent, a plain-text unit included.
        coding: Data field code: the low four bits of the DIF.
        size: Bytes of data; ``None`` for variable length.
        storage, tariff, subunit: 0 if not given.
        measurand, unit: What the value is, in which unit (SenML's name where it has one).
        exponent, multiplier: ``value = raw * 10**exponent * multiplier + offset``.
        modifiers: What else the VIFE say, in their order.
        phase: Place in a three-phase system (``l1``), empty if not given.
        error: Why the meter sends no value, empty if it does.
    """

    dib: bytes
    vib: bytes
    coding: int
    size: int | None
    function: Function
    storage: int
    tariff: int
    subunit: int
    measurand: Measurand
    unit: str
    exponent: int
    multiplier: int
    offset: Decimal
    modifiers: tuple[Modifier, ...]
    phase: str
    error: str
    decode: Callable[[bytes], RecordValue] = field(repr=False)


@lru_cache(maxsize=_HEADERS_KEPT)
def parse_header(data: bytes) -> Header:
    """Return DIF, DIFE, VIF and VIFE taken apart; ``ProtocolError`` if there are too many of them."""
    dib_end = 1
    while data[dib_end - 1] & 0x80:
        dib_end += 1
    dib, vib = data[:dib_end], data[dib_end:]
    if len(dib) > EXTENSIONS + 1:
        raise ProtocolError(f"{len(dib) - 1} DIFE, {EXTENSIONS} are allowed", kind="too_many_dife")
    dif = dib[0]
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    for place, dife in enumerate(dib[1:]):
        storage |= (dife & 0x0F) << (4 * place + 1)
        tariff |= (dife >> 4 & 0x03) << (2 * place)
        subunit |= (dife >> 6 & 0x01) << place
    vif, extensions = _main_vif(vib)
    if len(extensions) > EXTENSIONS:
        raise ProtocolError(f"{len(extensions)} VIFE, {EXTENSIONS} are allowed", kind="too_many_vife")
    said = _read_extensions(vif, extensions)
    coding = dif & 0x0F
    measurand = vif.measurand
    exponent, multiplier = vif.exponent + said.exponent, vif.multiplier
    return Header(
        dib=dib,
        vib=vib,
        coding=coding,
        size=None if coding == values.VARIABLE else SIZES[coding],
        function=Function(dif >> 4 & 0x03),
        storage=storage,
        tariff=tariff,
        subunit=subunit,
        measurand=measurand,
        unit=vif.unit,
        exponent=exponent,
        multiplier=multiplier,
        offset=said.offset,
        modifiers=tuple(said.modifiers),
        phase=said.phase,
        error=said.error,
        decode=no_value if said.error else _decoder(coding, vif, said.dated, exponent, multiplier, said.offset),
    )


def plain_header(dib: bytes, vib: bytes, measurand: Measurand, unit: str, exponent: int) -> Header:
    """Return the header of data whose VIF and VIFE mean something that the standard has no code for."""
    vif = Vif(measurand, unit, exponent)
    header = parse_header(dib + b"\x7e")
    return replace(
        header,
        vib=vib,
        measurand=measurand,
        unit=unit,
        exponent=exponent,
        decode=_decoder(header.coding, vif, False, exponent, 1, Decimal(0)),
    )


@dataclass(slots=True)
class _Extensions:
    """What the combinable VIFE of a header say together."""

    exponent: int = 0
    offset: Decimal = Decimal(0)
    phase: str = ""
    error: str = ""
    modifiers: list[Modifier] = field(default_factory=list)

    @property
    def dated(self) -> bool:
        return Modifier.START_OF in self.modifiers or Modifier.DATE_OF in self.modifiers


def _main_vif(vib: bytes) -> tuple[Vif, bytes]:
    """Return what the VIF means and the combinable VIFE behind it."""
    vif = vib[0]
    if vif & 0x7F == PLAIN_TEXT:
        end = 2 + vib[1]
        return Vif(Measurand.TEXT_UNIT, values.decode_text(vib[2:end])), vib[end:]
    if vif in (0xFB, 0xFD):
        if vib[:2] == b"\xfd\xfd":  # a table behind a table, of which nothing is known here
            return UNKNOWN, b""
        table = FIRST_EXTENSION if vif == 0xFB else SECOND_EXTENSION
        return table.get(vib[1] & 0x7F, UNKNOWN), vib[2:]
    return PRIMARY.get(vif & 0x7F, UNKNOWN), vib[1:]


def _read_extensions(vif: Vif, extensions: bytes) -> _Extensions:
    said = _Extensions()
    if vif.measurand is Measurand.MANUFACTURER_SPECIFIC:
        if extensions:
            said.modifiers.append(Modifier.MANUFACTURER)
        return said
    codes = iter(code & 0x7F for code in extensions)
    for code in codes:
        if _is_scale(code):
            _rescale(said, code)
        elif code == 0x7C:
            _read_second_table(said, next(codes, 0))
        elif code in RECORD_ERRORS:
            said.error = said.error or RECORD_ERRORS[code]
        elif code:
            said.modifiers.append(MODIFIERS.get(code, Modifier.UNKNOWN))
            if code == 0x7F:  # whatever follows is the manufacturer's
                break
    return said


def _is_scale(code: int) -> bool:
    return 0x70 <= code <= 0x7B or code == 0x7D


def _rescale(said: _Extensions, code: int) -> None:
    if code <= 0x77:
        said.exponent += code - 0x76
    elif code == 0x7D:
        said.exponent += 3
    else:
        said.offset += Decimal(1).scaleb(code - 0x7B)


def _read_second_table(said: _Extensions, code: int) -> None:
    if code in PHASES and not said.phase:
        said.phase = PHASES[code]
    else:
        said.modifiers.append(Modifier.ABSOLUTE if code == ABSOLUTE else Modifier.UNKNOWN)


def no_value(_: bytes) -> RecordValue:
    """Return the value of a record that has none."""
    return None


def _decoder(
    coding: int, vif: Vif, dated: bool, exponent: int, multiplier: int, offset: Decimal
) -> Callable[[bytes], RecordValue]:
    """Return the function that decodes the data of one header."""
    if coding in values.INTEGER_SIZE:
        if vif.measurand in DATES or dated:
            return values.decode_time
        if vif.measurand in NUMBERS:
            return lambda data: Decimal(int.from_bytes(data, "little"))
        read: Callable[[bytes], int | Decimal | None] = values.decode_integer
    elif coding in values.BCD_SIZE:
        read = values.decode_bcd
    elif coding == values.REAL:
        read = values.decode_real
    else:
        return no_value
    return scaled(read, exponent, multiplier, offset)


def scaled(
    read: Callable[[bytes], int | Decimal | None], exponent: int, multiplier: int, offset: Decimal
) -> Callable[[bytes], RecordValue]:
    """Return the function that reads raw data and scales the number."""
    # A decimal made from text is exact whatever its digits; arithmetic rounds to the context's 28.
    suffix = f"e{exponent}"

    def decode(data: bytes) -> RecordValue:
        number = read(data)
        if number is None:
            return None
        if multiplier != 1:
            number = number * multiplier
        value = Decimal(f"{number}{suffix}") if type(number) is int else Decimal(number).scaleb(exponent)
        return value + offset if offset else value

    return decode
