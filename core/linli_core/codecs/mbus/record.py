"""Records of the variable data structure: one header and its data after the other (EN 13757-3)."""

from decimal import Decimal
from typing import Final

import msgspec

from linli_core.codecs.mbus import values
from linli_core.codecs.mbus.record_header import (
    PLAIN_TEXT,
    Function,
    Header,
    RecordValue,
    no_value,
    parse_header,
    scaled,
)
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ProtocolError

__all__ = ["Function", "Header", "Record", "RecordValue", "parse_record", "parse_records"]

FILLER: Final = 0x2F
MANUFACTURER_DATA: Final = 0x0F
MORE_FOLLOW: Final = 0x1F


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record of a telegram.

    Attributes:
        value: Exact, in ``header.unit``; text, binary or a date where that is what was sent; ``None`` if missing.
        data: The data as sent, without an LVAR byte.
        length: The LVAR byte; -1 where the length is fixed.
    """

    header: Header
    value: RecordValue
    data: bytes
    length: int = -1


def parse_records(data: bytes) -> tuple[list[Record], bool]:
    """Return the records of an application layer's data, and whether more telegrams follow.

    Manufacturer data come last, as one record of measurand ``MANUFACTURER_DATA``.

    Raises:
        ProtocolError: The data end within a record (kind ``truncated``), or a code that is not allowed. Then none of
            the records can be trusted: each begins where the one before ends.
    """
    records: list[Record] = []
    at, size = 0, len(data)
    while at < size:
        dif = data[at]
        if dif == FILLER:
            at += 1
        elif dif & 0x0F == 0x0F:
            if dif not in (MANUFACTURER_DATA, MORE_FOLLOW):
                raise ProtocolError(f"DIF {dif:02X} has no place in an answer", kind="unsupported", offset=at)
            content = data[at + 1 :]
            records.append(Record(MANUFACTURER, content, content))
            return records, dif == MORE_FOLLOW
        else:
            record, at = parse_record(data, at)
            records.append(record)
    return records, False


def parse_record(data: bytes, start: int) -> tuple[Record, int]:
    """Return the record at a place, and where the next one starts; ``ProtocolError`` if there is none."""
    length = -1
    try:
        at = _header_end(data, start)
        header = parse_header(data[start:at])
        size = header.size
        if size is None:
            length = data[at]
            at += 1
            size = values.variable_size(length)
            if size is None:
                raise ProtocolError(f"a variable length of {length:02X} is reserved", offset=at - 1)
    except IndexError:
        raise ProtocolError("the data end within a record's header", kind="truncated", offset=start) from None
    end = at + size
    if end > len(data):
        raise ProtocolError(f"a record wants {end - len(data)} bytes more than there are", kind="truncated", offset=at)
    content = data[at:end]
    value = header.decode(content) if length < 0 else _variable(header, length, content)
    return Record(header, value, content, length), end


def _header_end(data: bytes, at: int) -> int:
    """Return where the header that starts at a place ends; ``IndexError`` if the data end before."""
    while data[at] & 0x80:
        at += 1
    at += 1
    vif = data[at]
    if vif & 0x7F == PLAIN_TEXT:
        at += data[at + 1] + 2
        if vif < 0x80:
            if at > len(data):
                raise IndexError
            return at
    while data[at] & 0x80:
        at += 1
    return at + 1


def _variable(header: Header, length: int, data: bytes) -> RecordValue:
    if header.error:
        return None
    value = values.decode_variable(length, data)
    if not isinstance(value, int):
        return value
    return scaled(lambda _: value, header.exponent, header.multiplier, header.offset)(data)


MANUFACTURER: Final = Header(
    dib=b"\x0f",
    vib=b"",
    coding=0x0F,
    size=None,
    function=Function.INSTANTANEOUS,
    storage=0,
    tariff=0,
    subunit=0,
    measurand=Measurand.MANUFACTURER_DATA,
    unit="1",
    exponent=0,
    multiplier=1,
    offset=Decimal(0),
    modifiers=(),
    phase="",
    error="",
    decode=no_value,
)
