"""A message of IEC 62056-21 told byte by byte."""

from typing import Final

from linli_core.codecs.explain import Part
from linli_core.codecs.iec62056.dataset import DataSet, parse_data, split_value
from linli_core.codecs.iec62056.frame import (
    Ack,
    Acknowledgement,
    Command,
    DataMessage,
    Frame,
    Identification,
    Nak,
    SignOn,
    checksum,
    decode_frame,
)
from linli_core.codecs.iec62056.meaning import code_of
from linli_core.errors import ChecksumError, ProtocolError
from linli_core.obis import meaning_of

STANDARD: Final = "IEC 62056-21"
_CODES: Final = "IEC 62056-6-1"

_COMMANDS: Final = {
    "P0": "the meter asks for a password, with an operand",
    "P1": "password in clear",
    "P2": "password, enciphered",
    "R1": "read a register",
    "R2": "read a register, formatted by the maker",
    "R3": "read a register in blocks",
    "R5": "read, formatted: a profile",
    "R6": "read, formatted, in blocks",
    "W1": "write a register",
    "W2": "write a register, formatted by the maker",
    "W5": "write, formatted",
    "B0": "break: end of programming mode",
}


def explain(data: bytes) -> list[Part]:
    """Return the parts of a message, of bare data sets, or of neither; they cover all bytes."""
    if not data:
        return []
    if data[:1] not in {b"/", b"\x01", b"\x02", b"\x06", b"\x15"}:
        return explain_datasets(data, 0)
    try:
        frame = decode_frame(data)
    except ChecksumError as exc:
        return _block(data, str(exc))
    except ProtocolError as exc:
        return [Part(0, data, "bytes", "no message", STANDARD, wrong=str(exc))]
    return _told(frame, data)


def _told(frame: Frame, data: bytes) -> list[Part]:
    match frame:
        case SignOn(address):
            who = f"meter {address}" if address else "any meter"
            return [
                Part(0, data[:2], "request", "sign on", STANDARD),
                *([Part(2, data[2:-3], "address", who, STANDARD)] if len(data) > 5 else []),
                Part(len(data) - 3, data[-3:], "end", f"sign on of {who}", STANDARD),
            ]
        case Identification():
            return explain_identification(frame, data)
        case Acknowledgement(protocol, speed, mode):
            purpose = {"0": "readout", "1": "programming mode", "2": "HDLC"}.get(mode, "of the maker's own")
            return [
                Part(0, data[:1], "ACK", "acknowledgement", STANDARD),
                Part(1, data[1:2], "protocol control", protocol, STANDARD),
                Part(2, data[2:3], "speed", speed, STANDARD),
                Part(3, data[3:4], "mode", purpose, STANDARD),
                Part(4, data[4:], "end", "CR LF", STANDARD),
            ]
        case Ack() | Nak():
            meaning = "understood" if isinstance(frame, Ack) else "not understood: send it again"
            return [Part(0, data, "ACK" if isinstance(frame, Ack) else "NAK", meaning, STANDARD)]
        case Command() | DataMessage():
            return _block(data, "")


def explain_identification(frame: Identification, data: bytes) -> list[Part]:
    """Return the parts of an identification line."""
    speed = f"{frame.baud} bit/s" if frame.baud else "the speed stays"
    rest = data[5:].rstrip(b"\r\n")
    end = 5 + len(rest)
    parts = [
        Part(0, data[:1], "start", "identification", STANDARD),
        Part(1, data[1:4], "maker", frame.maker, STANDARD),
        Part(4, data[4:5], "speed", speed, STANDARD),
    ]
    if rest:
        modes = f", mode {', '.join(frame.modes)} offered" if frame.modes else ""
        parts.append(Part(5, rest, "identification", frame.text + modes, STANDARD))
    return [*parts, Part(end, data[end:], "end", "CR LF", STANDARD)]


def _block(data: bytes, wrong: str) -> list[Part]:
    """Return the parts of a block with a check character; the last byte is it, the one before the end mark."""
    if len(data) < 4:
        return [Part(0, data, "bytes", "no message", STANDARD, wrong=wrong)]
    start = "SOH" if data[0] == 0x01 else "STX"
    parts = [Part(0, data[:1], start, "start of a command" if start == "SOH" else "start of data", STANDARD)]
    at = 1
    if start == "SOH":
        name = data[1:3].decode("latin-1")
        parts.append(Part(1, data[1:3], "command", _COMMANDS.get(name, "of the maker's own"), STANDARD))
        at = 3
        if data[3] == 0x02 and len(data) > 5:
            parts.append(Part(3, data[3:4], "STX", "start of data", STANDARD))
            at = 4
    end = len(data) - 2
    body = data[at:end]
    mark = body.rstrip(b"\r\n")
    if mark.endswith(b"!"):
        cut = len(mark) - 1
        parts += explain_datasets(body[:cut], at, trusted=not wrong)
        parts.append(Part(at + cut, body[cut:], "end", "end of the readout", STANDARD))
    elif body:
        parts += explain_datasets(body, at, trusted=not wrong)
    parts.append(Part(end, data[end : end + 1], "end mark", "more follows" if data[end] == 4 else "ETX", STANDARD))
    found = "as the bytes give" if not wrong else f"the bytes give {checksum(data[1 : end + 1]):02X}"
    parts.append(Part(end + 1, data[end + 1 :], "BCC", found, STANDARD, wrong=wrong))
    return parts


def explain_datasets(data: bytes, offset: int, *, trusted: bool = True) -> list[Part]:
    """Return the parts of a run of data sets that begins at ``offset``; line ends between them are parts, too.

    Behind a wrong checksum no value is told.
    """
    if not data:
        return []
    if not trusted:
        return [Part(offset, data, "data", "not told", STANDARD)]
    try:
        datasets = parse_data(data)
    except ProtocolError as exc:
        return [Part(offset, data, "data", "no data sets", STANDARD, wrong=str(exc))]
    parts: list[Part] = []
    at = 0
    for dataset in datasets:
        if dataset.offset > at:
            parts.append(Part(offset + at, data[at : dataset.offset], "between", "line end"))
        at = dataset.offset + dataset.size
        code = code_of(dataset)
        clause = _CODES if code is not None else STANDARD
        parts.append(Part(offset + dataset.offset, data[dataset.offset : at], "data set", told(dataset), clause))
    if at < len(data):
        parts.append(Part(offset + at, data[at:], "between", "line end"))
    return parts


def told(dataset: DataSet) -> str:
    """Return what a data set says, for people."""
    code = code_of(dataset)
    meaning = meaning_of(code) if code is not None else None
    what = " or ".join(meaning.quantities) if meaning is not None else dataset.identifier or "value"
    if meaning is not None:
        for sign, part in (("", meaning.phase), ("tariff ", meaning.tariff), ("channel ", meaning.channel)):
            what += f" {sign}{part}" if part is not None else ""
        what += f" period {meaning.storage}" if meaning.storage is not None else ""
    shown = []
    for value in dataset.values:
        number, unit = split_value(value)
        shown.append(f"{number} {unit}".strip() if number is not None else value or "(empty)")
    return f"{what}: {', '.join(shown)}"
