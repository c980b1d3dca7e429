"""A wired telegram told byte by byte: frame, header, records (see :mod:`linli_core.codecs.explain`).

Behind a wrong checksum the parts keep their names, but nothing of what they would say is told: neither who sent it nor
a value.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

from linli_core.codecs.explain import Part
from linli_core.codecs.mbus import fixed
from linli_core.codecs.mbus.explain_records import NO_DIGITS, UNTOLD, explain_records, problem
from linli_core.codecs.mbus.frame import ACK, LONG, LONGEST, SHORT, STOP, decode_frame
from linli_core.codecs.mbus.header import decode_identity, medium_name
from linli_core.codecs.mbus.request import ANY, BROADCAST, HIGHEST_ADDRESS, SELECTED, decode_selection
from linli_core.codecs.mbus.telegram import APPLICATION_ERRORS, DIRECTION, Ci
from linli_core.errors import ProtocolError

LINK: Final = "EN 13757-2"
APPLICATION: Final = "EN 13757-3"
CI_CLAUSE: Final = "M-Bus documentation §6.1"
ALARM_CLAUSE: Final = "M-Bus documentation §8.1"

_PURPOSES: Final = {
    0x40: "SND_NKE, reset the link",
    0x53: "SND_UD, send data",
    0x5A: "REQ_UD1, request alarm data",
    0x5B: "REQ_UD2, request data",
    0x08: "RSP_UD, answer with data",
}
"""C field without FCB, or ACD and DFC → what the frame is for."""

_CI: Final = {
    0x50: "application reset",
    0x51: "data to the meter",
    0x52: "selection by identity",
    0x54: "synchronise action",
    0x70: "application error",
    0x71: "alarm",
    0x72: "long header, variable structure",
    0x73: "fixed structure",
    0x76: "long header, variable structure, high byte first",
    0x77: "fixed structure, high byte first",
    0x78: "no header, variable structure",
    0x7A: "short header, variable structure",
    **{0xB8 + step: f"switch to {300 * 2**step} baud" for step in range(8)},
}


def explain(data: bytes) -> list[Part]:
    """Return the parts of some bytes: frames, and between them bytes of no frame."""
    parts: list[Part] = []
    at = 0
    while at < len(data):
        start, size = _find(data, at)
        if start > at:
            parts.append(Part(at, data[at:start], "bytes of no frame"))
        if size:
            parts += [replace(part, offset=part.offset + start) for part in _frame(data[start : start + size])]
        at = start + size
    return parts


def is_sound(data: bytes) -> bool:
    """Tell whether some bytes are one whole frame with the right checksum, no byte more or less."""
    try:
        decode_frame(data)
    except ProtocolError:
        return False
    return True


def _find(data: bytes, begin: int) -> tuple[int, int]:
    """Return where the next frame begins, and its size; the end and 0 if there is none.

    A damaged frame counts unless a whole one begins within it: then it was no start.
    """
    damaged = claimed = -1
    for at in range(begin, len(data)):
        if damaged >= 0 and at >= damaged + claimed:
            break
        if size := _whole(data, at):
            return at, size
        if damaged < 0 and (size := _claim(data, at)):
            damaged, claimed = at, size
    return (damaged, claimed) if damaged >= 0 else (len(data), 0)


def _whole(data: bytes, at: int) -> int:
    """Return the size of the sound frame at a place; 0 if there is none."""
    size = {ACK: 1, SHORT: 5}.get(data[at], 0)
    if data[at] == LONG and at + 1 < len(data):
        size = data[at + 1] + 6
    return size if size and is_sound(data[at : at + size]) else 0


def looks_damaged(data: bytes) -> bool:
    """Tell whether a long frame begins somewhere in some bytes, whether or not it is whole and right."""
    return any(byte == LONG and len(data) - at >= 4 and _claim(data, at) for at, byte in enumerate(data))


def _claim(data: bytes, at: int) -> int:
    """Return how many bytes a damaged or cut frame takes that begins at a place; 0 if it does not look like one."""
    rest = data[at : at + LONGEST]
    if rest[0] == SHORT:
        return min(5, len(rest)) if len(rest) < 5 or rest[4] == STOP else 0
    if rest[0] != LONG or (len(rest) > 1 and rest[1] < 3):
        return 0
    if (len(rest) > 2 and rest[1] != rest[2]) or (len(rest) > 3 and rest[3] != LONG):
        return 0
    return min(rest[1] + 6 if len(rest) > 1 else 9, len(rest))


def _frame(data: bytes) -> list[Part]:
    if data[0] == ACK:
        return [Part(0, data, "acknowledgement", "understood, nothing to say", LINK)]
    short = data[0] == SHORT
    first = 1 if short else 4
    size = 5 if short else data[1] + 6 if len(data) > 1 else 9
    told = is_sound(data)
    body = data[first : size - 2]
    parts = [Part(0, data[:1], "start", "short frame" if short else "long frame", LINK)]
    if not short:
        length = f"{data[1]} bytes from the C field on" if len(data) > 1 else ""
        parts += [
            Part(1, data[1:2], "length", length, LINK),
            Part(2, data[2:3], "length", "the same again", LINK),
            Part(3, data[3:4], "start", "the same again", LINK),
        ]
    parts += [
        Part(first, body[:1], "C field", _control(body[0]) if told else UNTOLD, LINK),
        Part(first + 1, body[1:2], "A field", _address(body[1]) if told else UNTOLD, LINK),
    ]
    if len(body) > 2:
        parts.append(Part(first + 2, body[2:3], "CI field", _CI.get(body[2], "unknown"), CI_CLAUSE))
        parts += _user_data(body, first + 3, told=told)
    parts += _end(data, sum(body) & 0xFF, size)
    parts = [part for part in parts if part.data]
    if len(data) < size:
        parts[-1] = replace(parts[-1], wrong=f"the frame ends after {len(data)} of {size} bytes")
    return parts


def _end(data: bytes, wanted: int, size: int) -> Iterator[Part]:
    checksum, stop = data[size - 2 : size - 1], data[size - 1 : size]
    if checksum:
        right = checksum[0] == wanted
        wrong = "" if right else f"the bytes give {wanted:02X}"
        yield Part(size - 2, checksum, "checksum", "right" if right else "", LINK, wrong=wrong)
    if stop:
        yield Part(size - 1, stop, "stop", "", LINK, wrong="" if stop[0] == STOP else "16 belongs here")


def _control(code: int) -> str:
    if code & DIRECTION:
        purpose = _PURPOSES.get(code & ~0x20 if code != 0x40 else code, "unknown")
        # In a master's frame bit 4 says whether the frame count bit counts at all.
        return f"{purpose}, FCB {code >> 5 & 1}" if code & 0x10 else purpose
    purpose = _PURPOSES.get(code & ~0x30, "unknown")
    alarm = ", ACD: alarm data wait" if code & 0x20 else ""
    return purpose + alarm + (", DFC: the meter takes no more data" if code & 0x10 else "")


def _address(code: int) -> str:
    if 1 <= code <= HIGHEST_ADDRESS:
        return f"primary address {code}"
    special = {
        0: "address 0, as delivered",
        SELECTED: "the meter selected by its identity",
        ANY: "every meter answers",
        BROADCAST: "every meter, none answers",
    }
    return special.get(code, "reserved")


def _user_data(body: bytes, base: int, *, told: bool) -> Iterator[Part]:
    """Yield the parts of what lies behind the CI field."""
    control, ci, data = body[0], body[2], body[3:]
    if control & DIRECTION:
        yield from _request_data(ci, data, base, told=told)
        return
    match ci:
        case Ci.LONG_HEADER:
            yield from _long_header(data, base, told=told)
            yield from explain_records(data[12:], base + 12, told=told)
        case Ci.SHORT_HEADER:
            yield from _counters(data[:4], base, told=told)
            yield from explain_records(data[4:], base + 4, told=told)
        case Ci.NO_HEADER:
            yield from explain_records(data, base, told=told)
        case Ci.FIXED:
            yield from _fixed(data, base, told=told)
        case Ci.ERROR:
            text = APPLICATION_ERRORS.get(data[0], "reserved") if data else ""
            yield Part(base, data[:1], "error code", text if told else UNTOLD, APPLICATION)
            yield Part(base + 1, data[1:], "rest")
        case Ci.ALARM:
            text = f"{data.hex().upper()}, the maker's bits"
            yield Part(base, data, "alarm state", text if told else UNTOLD, ALARM_CLAUSE)
        case _:
            yield Part(base, data, "data")


def _request_data(ci: int, data: bytes, base: int, *, told: bool) -> list[Part]:
    if ci == 0x52 and len(data) >= 8:
        wanted = decode_selection(data)
        texts = (
            ("identification number", 0, 4, f"{wanted.number}, F is any digit"),
            ("manufacturer", 4, 6, wanted.manufacturer or "any"),
            ("version", 6, 7, "any" if wanted.version is None else str(wanted.version)),
            ("medium", 7, 8, "any" if wanted.medium is None else medium_name(wanted.medium)),
        )
        parts = [Part(base + a, data[a:b], name, text if told else UNTOLD, APPLICATION) for name, a, b, text in texts]
        return [*parts, Part(base + 8, data[8:], "rest")]
    if ci == 0x51:
        return list(explain_records(data, base, told=told))
    return [Part(base, data, "data")]


def _long_header(data: bytes, base: int, *, told: bool) -> list[Part]:
    texts = ("", "", "", "")
    if told and len(data) >= 8:
        identity = decode_identity(data)
        texts = (identity.number, identity.manufacturer, str(identity.version), identity.medium_name)
    places = (("identification number", 0, 4), ("manufacturer", 4, 6), ("version", 6, 7), ("medium", 7, 8))
    parts = [
        Part(base + start, data[start:end], name, text if told else UNTOLD, APPLICATION)
        for (name, start, end), text in zip(places, texts, strict=True)
    ]
    return parts + _counters(data[8:12], base + 8, told=told)


def _counters(data: bytes, base: int, *, told: bool) -> list[Part]:
    """Return the parts of access number, status and signature."""
    status = _status(data[1]) if len(data) > 1 else ""
    signature = int.from_bytes(data[2:4], "little")
    word = "none" if not signature else f"{signature:04X}, a signature or the way of encryption"
    texts = (str(data[0]) if data else "", status, word)
    places = (("access number", 0, 1), ("status", 1, 2), ("signature", 2, 4))
    return [
        Part(base + start, data[start:end], name, text if told else UNTOLD, APPLICATION)
        for (name, start, end), text in zip(places, texts, strict=True)
    ]


def _status(code: int) -> str:
    said = [("", "application busy", "application error", "abnormal condition")[code & 0x03]]
    said += [
        text for bit, text in ((2, "power low"), (3, "permanent error"), (4, "temporary error")) if code >> bit & 1
    ]
    if code & 0xE0:
        said.append(f"maker's bits {code >> 5:03b}")
    return ", ".join(text for text in said if text) or "all well"


def _fixed(data: bytes, base: int, *, told: bool) -> list[Part]:
    places = (
        ("identification number", 0, 4),
        ("access number", 4, 5),
        ("status", 5, 6),
        ("medium and unit 1", 6, 7),
        ("medium and unit 2", 7, 8),
        ("counter 1", 8, 12),
        ("counter 2", 12, 16),
        ("rest", 16, len(data)),
    )
    texts = [""] * len(places)
    if told and len(data) == fixed.SIZE:
        try:
            texts = _fixed_texts(data)
        except ProtocolError as exc:
            whole = Part(base, data, "fixed structure", "", APPLICATION, wrong=problem(exc))
            return [whole]
    return [
        Part(base + start, data[start:end], name, text if told else UNTOLD, APPLICATION)
        for (name, start, end), text in zip(places, texts, strict=True)
    ]


def _fixed_texts(data: bytes) -> list[str]:
    identity, records = fixed.decode_fixed(data)
    names = [record.header.measurand.value.replace("_", " ") for record in records]
    units = [f"{identity.medium_name}, {name}" for name in names]
    counters = [
        f"{record.value:f} {record.header.unit}" if isinstance(record.value, Decimal) else NO_DIGITS
        for record in records
    ]
    status = "binary counters" if data[5] & fixed.BINARY else "BCD counters"
    stored = ", of a fixed date" if data[5] & fixed.STORED else ", present"
    return [identity.number, str(data[4]), status + stored, *units, *counters, ""]
