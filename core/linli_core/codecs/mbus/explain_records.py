"""The records of an application layer told byte by byte; wired and wireless telegrams share them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from linli_core.codecs.explain import Part
from linli_core.codecs.mbus import values
from linli_core.codecs.mbus.explain_vife import (
    PRIMARY_CLAUSE,
    combinable_text,
    primary_text,
    second_combinable_text,
    table_text,
)
from linli_core.codecs.mbus.record import FILLER, MANUFACTURER_DATA, MORE_FOLLOW, Record, parse_record
from linli_core.codecs.mbus.record_header import PLAIN_TEXT, Function
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ProtocolError

RECORDS: Final = "EN 13757-3:2018"
DIF_CLAUSE: Final = "EN 13757-3:2018 §6.3.3 table 4"
LVAR_CLAUSE: Final = "EN 13757-3:2018 §6.3.3 table 5"
VALUE_CLAUSE: Final = "EN 13757-3:2018 annex A"
UNTOLD: Final = "not told: the checksum is wrong"
NO_DIGITS: Final = "no value: the digits mean none"

_CODINGS: Final = {
    0x0: "no data",
    0x5: "32 bit real",
    0x8: "selection for readout",
    0xD: "variable length",
    **{coding: f"{8 * size} bit integer" for coding, size in values.INTEGER_SIZE.items()},
    **{coding: f"{2 * size} digit BCD" for coding, size in values.BCD_SIZE.items()},
}

_FUNCTIONS: Final = {
    Function.INSTANTANEOUS: "",
    Function.MAXIMUM: "maximum",
    Function.MINIMUM: "minimum",
    Function.DURING_ERROR: "during an error",
}


def explain_records(data: bytes, base: int, *, depth: int = 0, told: bool = True) -> Iterator[Part]:
    """Yield the parts of records.

    Args:
        data: The records, from the first DIF to the end.
        base: Where they stand in the telegram.
        depth: How deep the records lie; their own parts lie one deeper.
        told: Whether values are told; not behind a wrong checksum.
    """
    at = 0
    while at < len(data):
        dif = data[at]
        if dif == FILLER:
            end = at
            while end < len(data) and data[end] == FILLER:
                end += 1
            yield Part(base + at, data[at:end], "filler", "means nothing", RECORDS, depth)
            at = end
        elif dif & 0x0F == 0x0F:
            yield from _special(data[at:], base + at, depth)
            return
        else:
            try:
                record, end = parse_record(data, at)
            except ProtocolError as exc:
                yield Part(base + at, data[at:], "rest of the records", "", RECORDS, depth, problem(exc))
                return
            yield from _record(record, data[at:end], base + at, depth, told=told)
            at = end


def problem(error: ProtocolError) -> str:
    """Return what an error says, without the place, which the part has."""
    return str(error) if error.offset is None else str(error).removesuffix(f" (byte {error.offset})")


def _special(data: bytes, base: int, depth: int) -> Iterator[Part]:
    texts = {MANUFACTURER_DATA: "manufacturer data follow", MORE_FOLLOW: "more telegrams follow"}
    text = texts.get(data[0])
    yield Part(base, data[:1], "DIF", text or "", RECORDS, depth, "" if text else "has no place in an answer")
    if len(data) > 1:
        yield Part(base + 1, data[1:], "manufacturer data", "the maker's own layout", RECORDS, depth)


def _record(record: Record, data: bytes, base: int, depth: int, *, told: bool) -> Iterator[Part]:
    yield Part(base, data, "record", _summary(record, told=told), "", depth)
    header = record.header
    at = 0
    for number, code in enumerate(header.dib):
        name, text, clause = ("DIFE", _dife(code), RECORDS) if number else ("DIF", _dif(code), DIF_CLAUSE)
        yield Part(base + at, header.dib[number : number + 1], name, text, clause, depth + 1)
        at += 1
    for name, content, text, clause in _vib(header.vib):
        yield Part(base + at, content, name, text, clause, depth + 1)
        at += len(content)
    if record.length >= 0:
        yield Part(base + at, bytes((record.length,)), "LVAR", _lvar(record.length), LVAR_CLAUSE, depth + 1)
        at += 1
    if record.data:
        yield Part(base + at, record.data, "value", _value(record) if told else UNTOLD, VALUE_CLAUSE, depth + 1)


def _summary(record: Record, *, told: bool) -> str:
    header = record.header
    name = header.unit if header.measurand is Measurand.TEXT_UNIT else header.measurand.value.replace("_", " ")
    places = [
        *([f"sub-unit {header.subunit}"] if header.subunit else ()),
        *([f"tariff {header.tariff}"] if header.tariff else ()),
        *([f"storage {header.storage}"] if header.storage else ()),
        *([_FUNCTIONS[header.function]] if header.function else ()),
        *([f"phase {header.phase.upper()}"] if header.phase else ()),
    ]
    value = f": {_value(record)}" if told else ""
    return ", ".join((name, *places)) + value


def _dif(code: int) -> str:
    parts = [_CODINGS[code & 0x0F], _FUNCTIONS[Function(code >> 4 & 0x03)], "storage bit 0 set" if code & 0x40 else ""]
    return ", ".join(part for part in parts if part)


def _dife(code: int) -> str:
    parts = [
        f"storage bits {code & 0x0F:04b}" if code & 0x0F else "",
        f"tariff bits {code >> 4 & 0x03:02b}" if code & 0x30 else "",
        "sub-unit bit set" if code & 0x40 else "",
    ]
    return ", ".join(part for part in parts if part) or "nothing set"


def _vib(vib: bytes) -> Iterator[tuple[str, bytes, str, str]]:
    """Yield name, bytes, text and clause of VIF, plain text and each VIFE."""
    vif = vib[0]
    text, clause = primary_text(vif & 0x7F)
    yield "VIF", vib[:1], text, clause
    at = 1
    if vif & 0x7F == PLAIN_TEXT:
        size = vib[1]
        yield "length of the unit", vib[1:2], f"{size} characters", PRIMARY_CLAUSE
        if size:
            yield "unit", vib[2 : 2 + size], values.decode_text(vib[2 : 2 + size]), PRIMARY_CLAUSE
        at = 2 + size
    elif vif in (0xFB, 0xFD):
        text, clause = table_text(vif, vib[1] & 0x7F)
        yield "VIFE", vib[1:2], text, clause
        at = 2
    yield from _extensions(vib, at, vif & 0x7F == 0x7F)


def _extensions(vib: bytes, at: int, private: bool) -> Iterator[tuple[str, bytes, str, str]]:
    behind_fc = False
    for place in range(at, len(vib)):
        code = vib[place] & 0x7F
        content = vib[place : place + 1]
        if private:
            yield "VIFE", content, "the manufacturer's", ""
        elif behind_fc:
            text, clause = second_combinable_text(code)
            yield "VIFE", content, text, clause
            behind_fc = False
        else:
            text, clause = combinable_text(code)
            yield "VIFE", content, text, clause
            behind_fc, private = code == 0x7C, code == 0x7F


def _lvar(length: int) -> str:
    size = values.variable_size(length)
    if length < 0xC0:
        return f"text, {size} characters"
    if length < 0xE0:
        return f"{'negative ' if length >= 0xD0 else ''}BCD, {size} bytes"
    return f"binary, {size} bytes"


def _value(record: Record) -> str:
    header, value = record.header, record.value
    if value is None:
        if header.error:
            return f"no value: {header.error}"
        if header.measurand is Measurand.UNKNOWN and not header.size:
            return "no value"
        return NO_DIGITS if record.data else "no value"
    if isinstance(value, Decimal):
        unit = "" if header.unit == "1" or header.measurand is Measurand.TEXT_UNIT else f" {header.unit}"
        return f"{value:f}{unit}"
    return value.hex().upper() if isinstance(value, bytes) else str(value)
