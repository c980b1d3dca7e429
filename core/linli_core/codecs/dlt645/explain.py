"""A telegram told byte by byte; every byte is in one part, whatever the bytes are."""

from collections.abc import Iterator
from typing import Final

from linli_core.codecs.dlt645 import control
from linli_core.codecs.dlt645.answer import decode_records
from linli_core.codecs.dlt645.control import Edition, edition_of, error_text, function_name
from linli_core.codecs.dlt645.dictionary import STANDARD, Dictionary, show
from linli_core.codecs.dlt645.frame import ANY, BROADCAST, FUNCTION, MORE, REFUSED, REPLY, SHAPE, WILD, Frame
from linli_core.codecs.dlt645.meaning import value_of
from linli_core.codecs.explain import Part
from linli_core.codecs.frame68 import split
from linli_core.vocabulary import vocabulary

_FRAME: Final = "DL/T 645-2007 §5; DL/T 645-1997"
_IDENTIFIERS: Final = "DL/T 645-2007 §6, annex A"
_READS: Final = {
    control.READ_2007: Edition.E2007,
    control.READ_ON_2007: Edition.E2007,
    control.READ_1997: Edition.E1997,
    control.READ_ON_1997: Edition.E1997,
}


def explain(data: bytes, words: Dictionary | None = None) -> list[Part]:
    """Return the parts of a telegram; ``words`` are the identifiers of this kind of meter."""
    parts: list[Part] = []
    for piece in split(SHAPE, data):
        if piece.frame is None:
            parts.append(Part(piece.offset, piece.data, piece.name, piece.meaning, _FRAME, wrong=piece.wrong))
        else:
            parts += _frame(piece.offset, piece.data, piece.frame, words)
    return parts


def _frame(at: int, raw: bytes, frame: Frame, words: Dictionary | None) -> Iterator[Part]:
    end = SHAPE.head + len(frame.data)
    yield Part(at, raw[:1], "start", "a frame begins", _FRAME)
    yield Part(at + 1, raw[1:7], "address", _address(frame.address), _FRAME)
    yield Part(at + 7, raw[7:8], "start", "the address is over", _FRAME)
    yield Part(at + 8, raw[8:9], "control code", _control(frame), "DL/T 645-2007 §5, §7; DL/T 645-1997")
    yield Part(at + 9, raw[9:10], "length", f"{len(frame.data)} bytes of data, each sent with 33 added", _FRAME)
    if frame.data:
        yield Part(at + SHAPE.head, raw[SHAPE.head : end], "data", f"less 33: {frame.data.hex(' ').upper()}", _FRAME)
        yield from _data(at + SHAPE.head, raw[SHAPE.head : end], frame, words)
    yield Part(at + end, raw[end : end + 1], "checksum", "the sum of all bytes before it", _FRAME)
    yield Part(at + end + 1, raw[end + 1 :], "stop", "the frame ends", _FRAME)


def _address(address: str) -> str:
    if address == ANY:
        return f"{address}: any meter"
    if address == BROADCAST:
        return f"{address}: all meters, none answers"
    wild = any(address[place : place + 2] == WILD for place in range(0, len(address), 2))
    return f"{address}: every meter that fits, AA being any byte" if wild else f"of meter {address}"


def _control(frame: Frame) -> str:
    edition = edition_of(frame)
    words = [function_name(frame) + (f" ({edition.document})" if edition else "")]
    words.append("reply" if frame.control & REPLY else "request")
    if frame.control & REFUSED:
        words.append("refused")
    if frame.control & MORE:
        words.append("more follows")
    return ", ".join(words)


def _data(at: int, raw: bytes, frame: Frame, words: Dictionary | None) -> Iterator[Part]:
    edition = _READS.get(frame.control & FUNCTION)
    if frame.is_refusal:
        byte = frame.data[0]
        text = error_text(edition_of(frame) or Edition.E2007, byte)
        yield Part(at, raw[:1], "error", text, "DL/T 645-2007 annex C; DL/T 645-1997", depth=1)
        if raw[1:]:
            yield Part(at + 1, raw[1:], "rest", "no part of an error reply", depth=1, wrong="behind the error byte")
        return
    if edition is None or len(frame.data) < edition.identifier_size:
        yield Part(at, raw, "content", _content(frame), depth=1)
        return
    size = edition.identifier_size
    identifier = int.from_bytes(frame.data[:size], "little")
    words = words if words is not None and words.edition is edition else STANDARD[edition]
    items = words.layout(identifier)
    name = items[0].en if len(items) == 1 else "a block of values" if items else "not in the standard's tables"
    clause = items[0].clause if items else _IDENTIFIERS
    yield Part(at, raw[:size], "data identifier", f"{show(edition, identifier)}: {name}", clause, depth=1)
    content, numbered = frame.data[size:], frame.control & FUNCTION == control.READ_ON_2007
    body = content[:-1] if numbered and content else content
    at, raw = at + size, raw[size:]
    if body and frame.is_reply and not frame.more_follow and not numbered:
        for record in decode_records(edition, identifier, body, words):
            length = len(record.data)
            item = record.item
            if item is None:
                yield Part(at, raw[:length], "value", f"raw {record.data[::-1].hex().upper()}", depth=1)
            else:
                value = value_of(record)
                unit = vocabulary()[item.quantity].unit
                told = "none: the meter has no such value" if value is None else f"{value} {unit}".strip()
                moment = f", at {record.time}" if record.time else ""
                yield Part(at, raw[:length], item.en, told + moment, item.clause, depth=1)
            at, raw, body = at + length, raw[length:], body[length:]
        if body:
            yield Part(at, raw[: len(body)], "end of block", "AA", "DL/T 645-1997", depth=1)
            at, raw = at + len(body), raw[len(body) :]
    elif body:
        meaning = "a piece of an answer; its values are told together" if frame.is_reply else body.hex(" ").upper()
        yield Part(at, raw[: len(body)], "content", meaning, depth=1)
        at, raw = at + len(body), raw[len(body) :]
    if raw:
        yield Part(at, raw, "sequence", f"piece {frame.data[-1]}", "DL/T 645-2007 §7", depth=1)


def _content(frame: Frame) -> str:
    if frame.is_reply and frame.function == control.READ_ADDRESS_2007 and len(frame.data) == 6:
        return f"the address: {frame.data[::-1].hex().upper()}"
    return frame.data.hex(" ").upper()
