"""The meter's side: records and telegrams, for simulators and tests."""

import struct
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from linli_core.codecs.mbus import values
from linli_core.codecs.mbus.frame import LongFrame
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.record import MANUFACTURER_DATA, MORE_FOLLOW
from linli_core.codecs.mbus.record_header import PLAIN_TEXT, Function
from linli_core.codecs.mbus.telegram import ANSWER, Ci
from linli_core.codecs.mbus.values import MeterTime
from linli_core.codecs.mbus.vif import FIRST_EXTENSION, PRIMARY, SECOND_EXTENSION, Measurand, Vif

BCD8: Final = 0xC
"""Data field code of eight BCD digits, what most registers are sent as."""

ROOM: Final = 240
"""Bytes of records that fit into one telegram with a long header."""


def encode_dib(
    coding: int,
    *,
    function: Function = Function.INSTANTANEOUS,
    storage: int = 0,
    tariff: int = 0,
    subunit: int = 0,
) -> bytes:
    """Return DIF and as many DIFE as the numbers need; ``ValueError`` if ten are not enough."""
    dif = coding | function << 4 | (storage & 1) << 6
    storage >>= 1
    extensions = bytearray()
    while storage or tariff or subunit:
        extensions.append(storage & 0x0F | (tariff & 0x03) << 4 | (subunit & 0x01) << 6)
        storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
    if len(extensions) > 10:
        raise ValueError("storage, tariff or subunit needs more than ten DIFE")
    return _chain(bytes((dif,)) + bytes(extensions))


def encode_vib(measurand: Measurand, unit: str = "1", exponent: int = 0, extensions: bytes = b"") -> bytes:
    """Return VIF and VIFE of a measurand at a scale; ``ValueError`` if no code means it.

    Args:
        measurand: What is sent.
        unit: The table's own unit; seconds in steps of minutes, hours or days are not offered.
        exponent: Power of ten of the last digit.
        extensions: Combinable VIFE, without extension bits.
    """
    wanted = Vif(measurand, unit, exponent)
    for prefix, table in ((b"", PRIMARY), (b"\xfb", FIRST_EXTENSION), (b"\xfd", SECOND_EXTENSION)):
        for code, vif in table.items():
            if vif == wanted:
                return prefix + _chain(bytes((code,)) + extensions)
    raise ValueError(f"no VIF means {measurand} in 10^{exponent} {unit}")


def encode_text_unit(unit: str, extensions: bytes = b"") -> bytes:
    """Return a VIF with a unit in plain text, and its VIFE."""
    text = unit.encode("latin-1")[::-1]
    head = bytes((PLAIN_TEXT | (0x80 if extensions else 0), len(text)))
    return head + text + (_chain(extensions) if extensions else b"")


def encode_number(coding: int, number: Decimal | int) -> bytes:
    """Return the data of a number in a data field code; ``ValueError`` if it does not fit or the code is none."""
    if coding == values.REAL:
        return struct.pack("<f", number)
    number = int(number)
    if size := values.INTEGER_SIZE.get(coding):
        try:
            return number.to_bytes(size, "little", signed=True)
        except OverflowError as exc:
            raise ValueError(f"{number} does not fit into {size} bytes") from exc
    if size := values.BCD_SIZE.get(coding):
        digits = f"{abs(number):0{2 * size}d}"
        if number < 0:
            digits = "f" + digits[1:] if digits[0] == "0" else ""
        if len(digits) != 2 * size:
            raise ValueError(f"{number} does not fit into {2 * size} digits")
        return bytes.fromhex(digits)[::-1]
    raise ValueError(f"data field code {coding:X} holds no number of fixed size")


def encode_text(text: str) -> bytes:
    """Return the LVAR byte and the data of a text; ``ValueError`` if it is longer than 191 characters."""
    data = text.encode("latin-1")[::-1]
    if len(data) >= 0xC0:
        raise ValueError(f"{len(data)} characters; a record holds 191")
    return bytes((len(data),)) + data


def encode_time(time: MeterTime) -> tuple[int, bytes]:
    """Return data field code and data of a date (type G), a date and time (F, I with seconds) or a time (J)."""
    hour, minute, second = time.time or (0, 0, 0)
    if time.date is None:
        return 0x3, bytes((second, minute, hour))
    year, month, day = time.date
    low, high = day | (year % 100 & 0x07) << 5, month | (year % 100 & 0x78) << 1
    if time.time is None:
        return 0x2, bytes((low, high))
    if not time.seconds:
        return 0x4, bytes((minute, hour | 0x80 * time.summer, low, high))
    return 0x6, bytes((second | 0x40 * time.summer, minute, hour, low, high, 0))


def encode_answer(
    identity: Identity,
    records: Iterable[bytes],
    *,
    address: int,
    access_number: int = 0,
    status: int = 0,
    more_follow: bool = False,
    manufacturer_data: bytes = b"",
) -> LongFrame:
    """Return a meter's answer with the long header (CI 72).

    Args:
        identity: Who answers.
        records: Each the bytes of header and data.
        address: Primary address; 253 in an answer to a selection is not used, meters name their own.
        access_number: Counts the answers, modulo 256.
        status: The status byte.
        more_follow: Ends the telegram with 1F: there is more to read.
        manufacturer_data: Behind the records, after 0F or 1F.
    """
    body = b"".join(records)
    if more_follow or manufacturer_data:
        body += bytes((MORE_FOLLOW if more_follow else MANUFACTURER_DATA,)) + manufacturer_data
    header = identity.encode() + bytes((access_number & 0xFF, status, 0, 0))
    return LongFrame(ANSWER, address, Ci.LONG_HEADER, header + body)


def _chain(codes: bytes) -> bytes:
    """Return codes with the extension bit set on all but the last."""
    return bytes(code | 0x80 for code in codes[:-1]) + codes[-1:]
