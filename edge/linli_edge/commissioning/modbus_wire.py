"""Whatever Modbus frames stand in a run of bytes, and what else stands there. Pure.

The gateway's client asks "is this my answer?". Who searches or examines a line must know more: whose frame this is,
whether it answers or asks, and which bytes belong to no frame at all.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU

from linli_core.errors import ConfigError
from linli_edge.transport.settings import SerialSettings, TransportSettings

READ_DEVICE_ID: Final = bytes((0x2B, 0x0E, 0x01, 0x00))
"""Read Device Identification, basic, from object 0 (Modbus Application Protocol V1.1b3, §6.21)."""

REPORT_SERVER_ID: Final = bytes((0x11,))
"""Report Server ID (Modbus Application Protocol V1.1b3, §6.13; serial line only)."""

_MBAP: Final = struct.Struct(">HHHB")
_READ: Final = struct.Struct(">BHH")
_SHORTEST: Final = 5
_LONGEST_PDU: Final = 253
_READS: Final = frozenset({1, 2, 3, 4})
_ASCII: Final = re.compile(rb":((?:[0-9A-F]{2}){3,255})\r\n")
_framer: Final = FramerRTU(DecodePDU(is_server=False))


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame with a right checksum, or a right header.

    Attributes:
        unit: Unit id.
        pdu: What it carries.
        start: Where it begins in the bytes.
        end: The place behind it.
        request: Whether it can only be (part of) a request.
        transaction: Transaction id on TCP; ``None`` on a serial line.
    """

    unit: int
    pdu: bytes
    start: int
    end: int
    request: bool = False
    transaction: int | None = None

    @property
    def exception(self) -> int | None:
        """The exception's code; ``None`` where it is none."""
        return self.pdu[1] if self.pdu[0] & 0x80 and len(self.pdu) == 2 else None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A run of bytes, sorted.

    Attributes:
        frames: The frames in their order.
        rest: The runs of bytes between them, none of them empty.
        echoed: Whether our own request stood at the start.
    """

    frames: tuple[Frame, ...]
    rest: tuple[bytes, ...]
    echoed: bool = False

    @property
    def answers(self) -> tuple[Frame, ...]:
        """The frames that may be answers."""
        return tuple(frame for frame in self.frames if not frame.request)


def read_pdu(function: int, address: int, count: int) -> bytes:
    """Return the request to read registers or bits (Modbus Application Protocol V1.1b3, §6.1 to §6.4)."""
    return _READ.pack(function, address, count)


class Wire:
    """One way to frame requests: ``rtu``, ``ascii`` or ``tcp``.

    On TCP the transaction id of a question is its place modulo 65536, given by the caller, so that a search that goes
    on tomorrow writes the same bytes.
    """

    def __init__(self, framing: str) -> None:
        if framing not in _PARSERS:
            raise ConfigError("LINK", f'framing "{framing}" cannot be searched', f"only {', '.join(_PARSERS)} can")
        self.framing = framing

    def encode(self, unit: int, pdu: bytes, transaction: int = 0) -> bytes:
        """Return the bytes of a request."""
        if self.framing == "tcp":
            return _MBAP.pack(transaction & 0xFFFF, 0, len(pdu) + 1, unit) + pdu
        if self.framing == "ascii":
            body = bytes((unit,)) + pdu
            return b":" + (body + bytes((-sum(body) & 0xFF,))).hex().upper().encode() + b"\r\n"
        return _framer.encode(pdu, unit, 0)

    def parse(self, data: bytes, sent: bytes = b"") -> Parsed:
        """Sort what was heard after a request."""
        echoed = bool(sent) and data.startswith(sent)
        body = data[len(sent) :] if echoed else data
        frames, rest = _PARSERS[self.framing](body)
        return Parsed(tuple(frames), tuple(rest), echoed)

    def complete(self, unit: int, sent: bytes) -> Callable[[bytes], bool]:
        """Return what tells whether the answer to a request has come whole."""
        transaction = int.from_bytes(sent[:2], "big") if self.framing == "tcp" else None

        def is_complete(data: bytes) -> bool:
            return any(
                frame.unit == unit and frame.transaction == transaction for frame in self.parse(data, sent).answers
            )

        return is_complete


def wire_of(setting: TransportSettings, framing: str) -> Wire:
    """Return how frames stand on a line; a serial line has RTU frames unless it is said to have others."""
    return Wire(framing or ("rtu" if isinstance(setting, SerialSettings) else "tcp"))


def _parse_tcp(data: bytes) -> tuple[list[Frame], list[bytes]]:
    frames: list[Frame] = []
    place = 0
    while len(data) - place >= _MBAP.size + 1:
        transaction, protocol, length, unit = _MBAP.unpack_from(data, place)
        end = place + 6 + length
        if protocol or not 2 <= length <= _LONGEST_PDU + 1 or end > len(data):
            break
        pdu = data[place + 7 : end]
        frames.append(Frame(unit, pdu, place, end, transaction=transaction))
        place = end
    return frames, [data[place:]] if place < len(data) else []


def _parse_rtu(data: bytes) -> tuple[list[Frame], list[bytes]]:
    frames: list[Frame] = []
    rest: list[bytes] = []
    place = loose = 0
    while place <= len(data) - _SHORTEST:
        frame = _rtu_at(data, place)
        if frame is None:
            place += 1
            continue
        if loose < place:
            rest.append(data[loose:place])
        frames.append(frame)
        place = loose = frame.end
    if loose < len(data):
        rest.append(data[loose:])
    return frames, rest


def _rtu_at(data: bytes, place: int) -> Frame | None:
    for length, request in _lengths(data[place : place + _LONGEST_PDU + 3]):
        candidate = data[place : place + length]
        if len(candidate) == length and _framer.encode(candidate[1:-2], candidate[0], 0) == candidate:
            return Frame(candidate[0], candidate[1:-2], place, place + length, request)
    return None


def _lengths(data: bytes) -> list[tuple[int, bool]]:
    """Return how long a frame that starts here may be, and whether it is a request (V1.1b3, §6 and §7)."""
    function, third = data[1], data[2]
    if function in _READS:
        # Registers come in pairs of bytes; an answer of three data bytes would be as long as a request.
        answer = [(5 + third, False)] if function in {1, 2} or third % 2 == 0 else []
        return [*answer, (8, True)]
    if function == 0x2B:
        # The objects' lengths add up; whatever they say, the checksum decides.
        return [(length, length == 7) for length in range(7, len(data) + 1)]
    if function in {15, 16}:
        return [(8, False), (9 + data[6], True)] if len(data) > 6 else [(8, False)]
    fixed = 5 if function & 0x80 else 5 + third if function == 0x11 else 8 if function in {5, 6} else 0
    return [(fixed, False)] if fixed else []


def _parse_ascii(data: bytes) -> tuple[list[Frame], list[bytes]]:
    """Sort frames of colon, hexadecimal digits, LRC and line end (Modbus over Serial Line V1.02, §2.5.2)."""
    frames: list[Frame] = []
    rest: list[bytes] = []
    loose = 0
    for match in _ASCII.finditer(data):
        body = bytes.fromhex(match[1].decode())
        if sum(body) & 0xFF or len(body) < 3:
            continue
        if loose < match.start():
            rest.append(data[loose : match.start()])
        pdu = body[1:-1]
        is_request = pdu[0] in _READS and len(pdu) == 5 and pdu[1] != 3
        frames.append(Frame(body[0], pdu, match.start(), match.end(), is_request))
        loose = match.end()
    if loose < len(data):
        rest.append(data[loose:])
    return frames, rest


_PARSERS: Final[Mapping[str, Callable[[bytes], tuple[list[Frame], list[bytes]]]]] = {
    "rtu": _parse_rtu,
    "ascii": _parse_ascii,
    "tcp": _parse_tcp,
}


def device_id(pdu: bytes) -> dict[str, str]:
    """Return maker, product code and revision from an answer to :data:`READ_DEVICE_ID`; what does not fit is left out.

    Objects 0, 1 and 2 are VendorName, ProductCode and MajorMinorRevision (V1.1b3, §6.21).
    """
    facts: dict[str, str] = {}
    if len(pdu) < 7 or pdu[:2] != READ_DEVICE_ID[:2]:
        return facts
    place = 7
    for _ in range(pdu[6]):
        if place + 2 > len(pdu):
            break
        number, length = pdu[place], pdu[place + 1]
        value = pdu[place + 2 : place + 2 + length]
        if len(value) < length:
            break
        name = {0: "maker", 1: "model", 2: "version"}.get(number)
        if name and (shown := printable(value)):
            facts[name] = shown
        place += 2 + length
    return facts


def printable(value: bytes) -> str:
    """Return what of a device's text can be shown on a terminal: one line, 60 characters at most, no control codes."""
    text = value.partition(b"\0")[0].decode("utf-8", "replace")
    return "".join(char for char in text if char.isprintable()).strip()[:60]
