"""The fixed data structure (CI 73) of old meters: two counters, no DIF and no VIF (EN 13757-3).

::

    identification 4   access number 1   status 1   medium and unit 2   counter 1: 4   counter 2: 4
"""

from decimal import Decimal
from typing import Final

from linli_core.codecs.mbus import values
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.record import Function, Header, Record
from linli_core.codecs.mbus.vif import UNKNOWN, Measurand, Vif
from linli_core.errors import ProtocolError

SIZE: Final = 16

BINARY: Final = 0x01
"""Bit of the status: the counters are binary; BCD otherwise."""

STORED: Final = 0x02
"""Bit of the status: the counters are those of a fixed date; the present ones otherwise."""

HISTORIC: Final = 0x3E
"""Unit of a counter that is the other one's, of a fixed date."""

_M = Measurand


def _units() -> dict[int, Vif]:
    table: dict[int, Vif] = {}
    for first, count, measurand, unit, exponent in (
        (0x02, 9, _M.ENERGY, "Wh", 0),
        (0x0B, 9, _M.ENERGY, "J", 3),
        (0x14, 9, _M.POWER, "W", 0),
        (0x1D, 9, _M.POWER, "J/h", 3),
        (0x26, 9, _M.VOLUME, "m3", -6),
        (0x2F, 9, _M.VOLUME_FLOW, "m3/h", -6),
    ):
        for step in range(count):
            table[first + step] = Vif(measurand, unit, exponent + step)
    table[0x38] = Vif(_M.EXTERNAL_TEMPERATURE, "Cel", -3)
    table[0x39] = Vif(_M.HEAT_COST)
    table[0x3F] = Vif(_M.DIMENSIONLESS)
    return table


UNITS: Final = _units()
"""Unit code of a counter → what it counts. Times of day (00, 01) and reserved codes are left out: kept raw."""

_UNKNOWN_MEDIUM: Final = 0x0F

OTHER_BYTE_ORDER: Final = range(0x0A, 0x0F)
"""Media that repeat others for meters sending the high byte first ("mode 2")."""


def decode_fixed(data: bytes) -> tuple[Identity, tuple[Record, Record]]:
    """Return identity and the two counters of the structure's 16 bytes.

    ``ProtocolError`` (kind ``unsupported``) if the meter sends the high byte first: read low byte first its counters
    would be plausible and wrong.
    """
    status, first, second = data[5], data[6], data[7]
    medium = first >> 6 | second >> 6 << 2
    if medium in OTHER_BYTE_ORDER:
        raise ProtocolError(f"medium {medium:X} of the fixed structure: high byte first", kind="unsupported", offset=6)
    if medium > 0x08:
        medium = _UNKNOWN_MEDIUM
    identity = Identity(data[3::-1].hex().upper(), "", 0, medium)
    unit = UNITS.get(first & 0x3F, UNKNOWN)
    stored = int(bool(status & STORED))
    code = second & 0x3F
    other, history = (unit, 1) if code == HISTORIC else (UNITS.get(code, UNKNOWN), stored)
    binary = bool(status & BINARY)
    return identity, (
        _record(data[8:12], unit, stored, binary, bytes((first,))),
        _record(data[12:16], other, history, binary, bytes((second,))),
    )


def _record(data: bytes, vif: Vif, storage: int, binary: bool, code: bytes) -> Record:
    number = int.from_bytes(data, "little") if binary else values.decode_bcd(data)
    value = None if number is None else Decimal(f"{number}e{vif.exponent}")
    header = Header(
        dib=b"",
        vib=code,
        coding=0x4 if binary else 0xC,
        size=4,
        function=Function.INSTANTANEOUS,
        storage=storage,
        tariff=0,
        subunit=0,
        measurand=vif.measurand,
        unit=vif.unit,
        exponent=vif.exponent,
        multiplier=1,
        offset=Decimal(0),
        modifiers=(),
        phase="",
        error="",
        decode=lambda _: value,
    )
    return Record(header, value, data)
