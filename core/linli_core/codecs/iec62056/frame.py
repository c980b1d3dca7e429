r"""Messages of IEC 62056-21 in a stream of bytes.

::

    /?address!\r\n                       request: sign on
    /XXXZ[\W]identification\r\n          identification: maker, speed, what it says of itself
    06 V Z Y \r\n                        acknowledgement with option select; a meter's 06 stands alone
    STX data !\r\n ETX BCC               data message
    SOH C D [STX data] ETX BCC           programming command and its kin: P0, P1, R1, R5, W1, B0…
    STX data ETX BCC                     answer in programming mode; EOT in place of ETX: more follows
    15                                   not understood: send it again

BCC is the exclusive or of all bytes behind the first SOH or STX up to and with ETX (or EOT). After a false start the
reader goes on one byte further.
"""

import re
from functools import reduce
from operator import xor
from typing import Final

import msgspec

from linli_core.codecs.iec62056.dataset import LONGEST_BLOCK
from linli_core.codecs.stream import MISSING, StreamReader, check_end, cut_off
from linli_core.errors import ChecksumError, ProtocolError

SOH: Final = 0x01
STX: Final = 0x02
ETX: Final = 0x03
EOT: Final = 0x04
ACK: Final = 0x06
NAK: Final = 0x15

LONGEST_LINE: Final = 64
"""Characters of a request or an identification; the standard allows 32 and 16 for what is free in them."""

BUFFER: Final = LONGEST_BLOCK + 1024

BAUD: Final = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
"""Mode C: the speed character of an identification → bits per second."""

BAUD_MODE_B: Final = {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200}
"""Mode B: the same, without an acknowledgement: the meter switches by itself."""

_START: Final = re.compile(rb"[/\x01\x02\x06\x15]")
_SIGN_ON: Final = re.compile(rb"/\?(?P<address>[^!\r\n]{0,32})!")
_IDENTIFICATION: Final = re.compile(rb"/(?P<maker>[A-Za-z]{3})(?P<baud>[0-9A-Za-z])(?P<text>[\x20-\x7e]*)")
_ENHANCED: Final = re.compile(r"((?:\\[^/!])*)(.*)", re.DOTALL)
_COMMAND: Final = re.compile(rb"[PRWEB][0-9]", re.ASCII)


class SignOn(msgspec.Struct, frozen=True):
    """The request that wakes a meter; an empty address wakes any."""

    address: str = ""


class Identification(msgspec.Struct, frozen=True):
    r"""Who answers, and how fast it can go on.

    Attributes:
        maker: Three letters; the third in lower case: the meter reacts within 20 ms.
        speed: The speed character.
        text: What the meter says of itself, without the escape sequences before it.
        modes: Characters of the escape sequences ``\W``: ``2`` means that HDLC is offered (mode E).
    """

    maker: str
    speed: str
    text: str
    modes: str = ""

    @property
    def baud(self) -> int | None:
        """Bits per second the meter proposes; ``None`` if it stays as it is (mode A or D)."""
        return BAUD.get(self.speed) or BAUD_MODE_B.get(self.speed)

    @property
    def acknowledged(self) -> bool:
        """Whether the meter waits for an acknowledgement (mode C, E) before it goes on."""
        return self.speed in BAUD


class Acknowledgement(msgspec.Struct, frozen=True):
    """The reader's choice: protocol ``0`` (normal), speed, and mode ``0`` (readout) or ``1`` (programming)."""

    protocol: str
    speed: str
    mode: str


class DataMessage(msgspec.Struct, frozen=True):
    """Data with a checksum that is right.

    Attributes:
        data: Between STX and the end mark, without ``!`` and line end behind it.
        complete: ``False`` where the meter says that more follows (EOT).
        readout: Whether the data ended with ``!``, as those of a readout do.
    """

    data: bytes
    complete: bool = True
    readout: bool = False


class Command(msgspec.Struct, frozen=True):
    """A command of programming mode, of the reader or (``P0``) of the meter; ``data`` behind STX, if there is any."""

    name: str
    data: bytes = b""


class Ack(msgspec.Struct, frozen=True):
    """A meter's 06: understood."""


class Nak(msgspec.Struct, frozen=True):
    """Not understood: repeat."""


Frame = SignOn | Identification | Acknowledgement | DataMessage | Command | Ack | Nak


def checksum(data: bytes) -> int:
    """Return the block check character of bytes: their exclusive or."""
    return reduce(xor, data, 0)


def without_parity(data: bytes) -> bytes:
    """Return bytes without the even parity bit on top; one whose parity is wrong becomes NUL, so no message holds it.

    NUL stands in no message, and a checksum over it fails.
    """
    return bytes(0 if byte.bit_count() & 1 else byte & 0x7F for byte in data)


class FrameReader(StreamReader[Frame]):
    """Finds messages in a stream of bytes.

    Attributes:
        from_meter: Whether it is a meter that is heard, whose 06 stands alone; a reader's begins an option select.
        parity: Whether bytes come with an even parity bit on top, from a converter set to 8N1 before a meter that
            speaks 7E1; it is checked and taken off.
    """

    def __init__(self, *, from_meter: bool = True, parity: bool = False) -> None:
        super().__init__(BUFFER, "message")
        self.from_meter = from_meter
        self.parity = parity

    def receive(self, data: bytes, /) -> None:
        """See :meth:`linli_core.codecs.stream.ByteBuffer.receive`."""
        super().receive(without_parity(data) if self.parity else data)

    def _find(self, buffer: bytearray, /) -> int:
        start = _START.search(buffer)
        return start.start() if start else -1

    def _parse(self, buffer: bytearray, /) -> tuple[Frame | None, int]:
        return _parse(bytes(buffer), from_meter=self.from_meter) or MISSING


def decode_frame(data: bytes) -> Frame:
    """Return the message that a byte string is, no byte more or less; ``ProtocolError`` if it is none."""
    if not data:
        raise ProtocolError("there are no bytes", kind="truncated")
    message, size = _parse(data, from_meter=len(data) == 1) or MISSING
    if message is None:
        raise cut_off("message", len(data), size)
    check_end(data, size, "message")
    return message


def _parse(data: bytes, *, from_meter: bool) -> tuple[Frame, int] | None:
    """Return the message at the very start and its size; ``None`` while bytes are missing."""
    match data[0]:
        case 0x2F:
            return _parse_line(data)
        case 0x02:
            return _parse_block(data)
        case 0x01:
            return _parse_command(data)
        case 0x06:
            return (Ack(), 1) if from_meter else _parse_acknowledgement(data)
        case 0x15:
            return Nak(), 1
        case other:
            raise ProtocolError(f"no message starts with {other:02X}", offset=0)


def _line(data: bytes) -> tuple[bytes, int] | None:
    """Return the line at the start, without its end, and its size with it."""
    end = data.find(b"\n")
    if end < 0:
        if len(data) > LONGEST_LINE:
            raise ProtocolError(f"no line end within {LONGEST_LINE} characters", offset=LONGEST_LINE)
        return None
    if end > LONGEST_LINE or data[end - 1 : end] != b"\r":
        raise ProtocolError("a line ends with CR LF", offset=end)
    return data[: end - 1], end + 1


def _parse_line(data: bytes) -> tuple[Frame, int] | None:
    if (found := _line(data)) is None:
        return None
    line, size = found
    if match := _SIGN_ON.fullmatch(line):
        return SignOn(match["address"].decode("latin-1")), size
    if match := _IDENTIFICATION.fullmatch(line):
        escaped, text = _split_escapes(match["text"].decode("ascii"))
        return Identification(match["maker"].decode(), match["baud"].decode(), text, escaped), size
    raise ProtocolError("the line is neither a request nor an identification", offset=1)


def _split_escapes(text: str) -> tuple[str, str]:
    match = _ENHANCED.fullmatch(text)
    assert match is not None
    return match[1].replace("\\", ""), match[2]


def _parse_acknowledgement(data: bytes) -> tuple[Frame, int] | None:
    if len(data) < 6:
        if data[1:4].isalnum() or len(data) == 1:
            return None
        raise ProtocolError("an acknowledgement has three characters", offset=1)
    body, end = data[1:4], data[4:6]
    if not body.isalnum() or end != b"\r\n":
        raise ProtocolError("an acknowledgement is three characters and CR LF", offset=1)
    text = body.decode("ascii")
    return Acknowledgement(text[0], text[1], text[2]), 6


def _parse_block(data: bytes) -> tuple[Frame, int] | None:
    found = _checked(data)
    if found is None:
        return None
    body, mark, size = found
    readout = False
    if mark == ETX and (end := body.rstrip(b"\r\n")).endswith(b"!"):
        body, readout = end[:-1], True
    return DataMessage(body, mark == ETX, readout), size


def _parse_command(data: bytes) -> tuple[Frame, int] | None:
    if len(data) >= 3 and _COMMAND.fullmatch(data[1:3]) is None:
        raise ProtocolError(f"{data[1:3]!r} is no command", offset=1)
    found = _checked(data)
    if found is None:
        return None
    body, _, size = found
    name, rest = body[:2].decode("latin-1"), body[2:]
    if rest and rest[0] != STX:
        raise ProtocolError("data of a command begin with STX", offset=3)
    return Command(name, rest[1:]), size


def _checked(data: bytes) -> tuple[bytes, int, int] | None:
    """Return what lies between the first byte and the end mark, the mark, and the size; the checksum is right."""
    ends = [end for mark in (ETX, EOT) if (end := data.find(mark, 1)) > 0]
    if not ends:
        if len(data) > LONGEST_BLOCK:
            raise ProtocolError(f"no end within {LONGEST_BLOCK} bytes", kind="too_long")
        return None
    end = min(ends)
    if len(data) < end + 2:
        return None
    wanted = checksum(data[1 : end + 1])
    # The check character itself may look like anything, an end mark included: it is the byte behind the mark.
    if data[end + 1] != wanted:
        raise ChecksumError(f"the checksum is {data[end + 1]:02X}, the bytes give {wanted:02X}", offset=end + 1)
    return data[1:end], data[end], end + 2
