"""A telegram told byte by byte; every byte is in one part, whatever the bytes are."""

from collections.abc import Iterator
from typing import Final

from linli_core.codecs.cjt188.answer import decode_answer, function_name
from linli_core.codecs.cjt188.control import IDENTIFIERS, decode_identifier, type_name
from linli_core.codecs.cjt188.frame import ANY, SHAPE, Frame
from linli_core.codecs.cjt188.layout import STANDARD, Dialect, Record, decode_records
from linli_core.codecs.cjt188.layout import Part as Kind
from linli_core.codecs.cjt188.meaning import BATTERY_BIT, VALVE_MASK
from linli_core.codecs.explain import Part
from linli_core.codecs.frame68 import split

_DOCUMENT: Final = "CJ/T 188-2004; CJ/T 188-2018"


def explain(data: bytes, dialect: Dialect = STANDARD) -> list[Part]:
    """Return the parts of a telegram; ``dialect`` says how this maker's meters differ."""
    parts: list[Part] = []
    for piece in split(SHAPE, data):
        if piece.frame is None:
            parts.append(Part(piece.offset, piece.data, piece.name, piece.meaning, _DOCUMENT, wrong=piece.wrong))
        else:
            parts += _frame(piece.offset, piece.data, piece.frame, dialect)
    return parts


def _frame(at: int, raw: bytes, frame: Frame, dialect: Dialect) -> Iterator[Part]:
    end = SHAPE.head + len(frame.data)
    yield Part(at, raw[:1], "start", "a frame begins", _DOCUMENT)
    yield Part(at + 1, raw[1:2], "meter type", type_name(frame.meter_type), _DOCUMENT)
    address = "any meter" if frame.address == ANY else f"meter {frame.address[4:]}, maker {frame.address[:4]}"
    yield Part(at + 2, raw[2:9], "address", address, _DOCUMENT)
    who = "reply" if frame.is_reply else "request"
    refused = ", refused" if frame.is_refusal else ""
    yield Part(at + 9, raw[9:10], "control code", f"{function_name(frame)}, {who}{refused}", _DOCUMENT)
    yield Part(at + 10, raw[10:11], "length", f"{len(frame.data)} bytes of data", _DOCUMENT)
    yield from _data(at + SHAPE.head, frame, dialect)
    yield Part(at + end, raw[end : end + 1], "checksum", "the sum of all bytes before it", _DOCUMENT)
    yield Part(at + end + 1, raw[end + 1 :], "stop", "the frame ends", _DOCUMENT)


def _data(at: int, frame: Frame, dialect: Dialect) -> Iterator[Part]:
    data = frame.data
    if frame.is_refusal and data:
        yield Part(at, data[:1], "serial number", str(data[0]), _DOCUMENT)
        if data[1:]:
            yield Part(at + 1, data[1:], "status", data[1:].hex().upper(), _DOCUMENT)
        return
    if len(data) < 3:
        if data:
            yield Part(at, data, "content", data.hex(" ").upper(), _DOCUMENT)
        return
    if frame.is_makers:
        yield Part(at, data, "content", f"the maker's own: {data.hex(' ').upper()}", _DOCUMENT)
        return
    identifier, order = decode_identifier(data[:2])
    named = IDENTIFIERS.get(identifier, "not in the standard")
    sent = f", sent as in {order.value}" if order else ""
    yield Part(at, data[:2], "data identifier", f"{identifier:04X}: {named}{sent}", _DOCUMENT)
    yield Part(at + 2, data[2:3], "serial number", str(data[2]), _DOCUMENT)
    at += 3
    if not frame.is_reply:
        if data[3:]:
            yield Part(at, data[3:], "content", data[3:].hex(" ").upper(), _DOCUMENT)
        return
    for record in decode_records(decode_answer(frame), dialect):
        yield _record(at, record, dialect)
        at += len(record.data)


def _record(at: int, record: Record, dialect: Dialect) -> Part:
    item = record.field
    if item is None:
        return Part(at, record.data, "value", f"raw {record.data.hex(' ').upper()}", _DOCUMENT)
    name = f"{item.part.value}{', settlement day' if item.settled else ''}"
    if item.part is Kind.STATUS:
        return Part(at, record.data, name, _status(record.data, dialect), _DOCUMENT)
    if record.value is None:
        return Part(at, record.data, name, "none: the meter has no such value", _DOCUMENT, wrong=record.odd)
    unit = ""
    if record.unit is not None:
        unit = f" {record.unit.name}" if record.unit.factor == 1 else f" x {record.unit.factor} {record.unit.name}"
    return Part(at, record.data, name, f"{record.value}{unit}".rstrip(), _DOCUMENT, wrong=record.odd)


def _status(data: bytes, dialect: Dialect) -> str:
    words = [data.hex().upper()]
    if dialect.valve:
        words.append(f"valve {dialect.valve.get(data[0] & VALVE_MASK, 'reserved')}")
    if dialect.battery:
        words.append("battery low" if data[0] & BATTERY_BIT else "battery ok")
    return ", ".join(words)
