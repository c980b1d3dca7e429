"""HDLC frames as DLMS/COSEM uses them: format type 3, with length and segmentation, without byte stuffing.

::

    7E | A0 or A8 (segmented), length 11 bits | destination | source | control | HCS | information | FCS | 7E

Addresses have 1, 2 or 4 bytes; the last has bit 0 set. HCS and FCS are CRC-16/X-25, low byte first; without information
there is no HCS. 7E may stand inside: the length counts. After a false start the reader goes on one byte further.
"""

from typing import Final

import msgspec

from linli_core.codec import NeedData
from linli_core.codecs.crc import remainder, table_of
from linli_core.codecs.stream import MISSING, StreamReader, check_end, cut_off
from linli_core.errors import ChecksumError, ProtocolError

FLAG: Final = 0x7E
ESCAPE: Final = 0x7D
SEGMENTED: Final = 0x08
SHORTEST: Final = 7
"""Bytes between the flags: format, two addresses of one byte, control, FCS."""

BUFFER: Final = 8 * 1024
LARGEST_APDU: Final = 64 * 1024

LLC_COMMAND: Final = bytes.fromhex("E6E600")
LLC_RESPONSE: Final = bytes.fromhex("E6E700")


_FLAG: Final = bytes((FLAG,))
_CRC: Final = table_of(0x8408)


def crc16(data: bytes) -> int:
    """Return CRC-16/X-25: polynomial 1021 reflected, start FFFF, final exclusive or FFFF."""
    return remainder(data, _CRC, 0xFFFF) ^ 0xFFFF


class Address(msgspec.Struct, frozen=True):
    """An address: of a client or (with a physical part or not) of a server."""

    logical: int
    physical: int | None = None
    size: int = 1


class HdlcFrame(msgspec.Struct, frozen=True):
    """A frame whose checksums are right.

    Attributes:
        destination, source: Who is spoken to, and who speaks.
        control: What kind of frame it is.
        information: Its content, the LLC header included.
        segmented: More frames of the same message follow.
    """

    destination: Address
    source: Address
    control: int
    information: bytes = b""
    segmented: bool = False

    @property
    def kind(self) -> str:
        """``I``, ``RR``, ``UI``, ``UA``, ``SNRM``, ``DISC``, ``DM``, ``FRMR``, or ``?``."""
        if not self.control & 0x01:
            return "I"
        plain = self.control & ~0x10
        if plain & 0x0F == 0x01:
            return "RR"
        return {0x03: "UI", 0x63: "UA", 0x83: "SNRM", 0x43: "DISC", 0x0F: "DM", 0x87: "FRMR"}.get(plain, "?")

    @property
    def final(self) -> bool:
        """The poll or final bit."""
        return bool(self.control & 0x10)

    @property
    def send_sequence(self) -> int | None:
        """N(S) of an I frame."""
        return self.control >> 1 & 0x07 if self.kind == "I" else None

    @property
    def receive_sequence(self) -> int | None:
        """N(R) of an I or RR frame."""
        return self.control >> 5 if self.kind in {"I", "RR"} else None


class HdlcReader(StreamReader[HdlcFrame]):
    """Finds frames in a stream of bytes.

    Attributes:
        stuffed: Whether 7E and 7D inside a frame are escaped; DLMS does not do that, some converters do.
    """

    def __init__(self, *, stuffed: bool = False) -> None:
        super().__init__(BUFFER)
        self.stuffed = stuffed

    def next_event(self) -> HdlcFrame | NeedData:
        """See :meth:`linli_core.codecs.stream.StreamReader.next_event`. A flag that ended a frame is not skipped."""
        self._skip_to(self._find(self._buffer))
        while self._buffer[1:2] == _FLAG:
            # Two flags in a row: the first ended a frame.
            del self._buffer[0]
        if self._ended and len(self._buffer) == 1:
            del self._buffer[0]
        return super().next_event()

    def _find(self, buffer: bytearray, /) -> int:
        return buffer.find(FLAG)

    def _parse(self, buffer: bytearray, /) -> tuple[HdlcFrame | None, int]:
        found = _parse(bytes(buffer), stuffed=self.stuffed)
        # The end flag may be the start of the next frame.
        return (found[0], found[1] - 1) if found else MISSING


def decode_hdlc(data: bytes, *, stuffed: bool = False) -> HdlcFrame:
    """Return the frame that a byte string is, no byte more or less; ``ProtocolError`` if it is none."""
    if not data:
        raise ProtocolError("there are no bytes", kind="truncated")
    frame, size = _parse(data, stuffed=stuffed) or MISSING
    if frame is None:
        raise cut_off("frame", len(data), size)
    check_end(data, size)
    return frame


def _parse(data: bytes, *, stuffed: bool) -> tuple[HdlcFrame, int] | None:
    """Return the frame at the very start and its size with both flags; ``None`` while bytes are missing."""
    if data[0] != FLAG:
        raise ProtocolError(f"no frame starts with {data[0]:02X}", offset=0)
    if not stuffed:
        return _parse_plain(data)
    end = data.find(FLAG, 1)
    if end < 0:
        if len(data) > 2 * 2050:
            raise ProtocolError("no end within the longest frame", kind="too_long")
        return None
    found = _parse_plain(bytes((FLAG,)) + _unstuffed(data[1:end]) + bytes((FLAG,)))
    if found is None:
        raise ProtocolError("the flag comes before the end of the frame", kind="truncated", offset=end)
    return found[0], end + 1


def _unstuffed(data: bytes) -> bytes:
    plain = bytearray()
    escaped = False
    for byte in data:
        if escaped:
            plain.append(byte ^ 0x20)
            escaped = False
        elif byte == ESCAPE:
            escaped = True
        else:
            plain.append(byte)
    if escaped:
        raise ProtocolError("the frame ends with an escape", offset=len(data))
    return bytes(plain)


def _parse_plain(data: bytes) -> tuple[HdlcFrame, int] | None:
    have = len(data)
    if have > 1 and data[1] & 0xF0 != 0xA0:
        raise ProtocolError(f"frame format {data[1]:02X} is not type 3", offset=1)
    if have < 3:
        return None
    length = (data[1] & 0x07) << 8 | data[2]
    if length < SHORTEST:
        raise ProtocolError(f"a length of {length} leaves no room for a frame", offset=2)
    size = length + 2
    if have < size:
        return None
    if data[size - 1] != FLAG:
        raise ProtocolError(f"found {data[size - 1]:02X} where the end flag belongs", offset=size - 1)
    body = data[1 : size - 1]
    _check(body[:-2], body[-2:], "FCS", size - 3)
    return _fields(body), size


def _fields(body: bytes) -> HdlcFrame:
    destination, at = read_address(body, 2)
    source, at = read_address(body, at)
    if at + 3 > len(body):
        raise ProtocolError("the addresses leave no room for the control byte", offset=at + 1)
    control, head = body[at], at + 1
    information = b""
    if head + 2 < len(body):
        if head + 4 > len(body):
            raise ProtocolError("there is no room for HCS and FCS", offset=head + 1)
        _check(body[:head], body[head : head + 2], "HCS", head + 1)
        information = body[head + 2 : -2]
    return HdlcFrame(destination, source, control, information, bool(body[0] & SEGMENTED))


def read_address(body: bytes, at: int) -> tuple[Address, int]:
    """Return the address that begins at a place, and where it ends."""
    size = next((size for size in (1, 2, 3, 4) if at + size <= len(body) and body[at + size - 1] & 1), 0)
    if size not in {1, 2, 4}:
        raise ProtocolError("an address has 1, 2 or 4 bytes", offset=at + 1)
    parts = [byte >> 1 for byte in body[at : at + size]]
    if size == 1:
        return Address(parts[0]), at + 1
    if size == 2:
        return Address(parts[0], parts[1], 2), at + 2
    return Address(parts[0] << 7 | parts[1], parts[2] << 7 | parts[3], 4), at + 4


def _check(data: bytes, sent: bytes, name: str, offset: int) -> None:
    found, wanted = int.from_bytes(sent, "little"), crc16(data)
    if found != wanted:
        raise ChecksumError(f"the {name} is {found:04X}, the bytes give {wanted:04X}", offset=offset)


def encode_hdlc(frame: HdlcFrame) -> bytes:
    """Return the bytes of a frame; ``ValueError`` if its information does not fit into one."""
    head = encode_address(frame.destination) + encode_address(frame.source) + bytes((frame.control,))
    length = 2 + len(head) + 2 + (len(frame.information) + 2 if frame.information else 0)
    if length > 0x7FF:
        raise ValueError(f"{len(frame.information)} bytes of information do not fit into one frame")
    format_field = 0xA000 | (SEGMENTED << 8 if frame.segmented else 0) | length
    body = format_field.to_bytes(2) + head
    if frame.information:
        body += crc16(body).to_bytes(2, "little") + frame.information
    return bytes((FLAG,)) + body + crc16(body).to_bytes(2, "little") + bytes((FLAG,))


def encode_address(address: Address) -> bytes:
    """Return the bytes of an address."""
    logical, physical = address.logical, address.physical or 0
    if address.size == 1:
        parts = [logical]
    elif address.size == 2:
        parts = [logical, physical]
    else:
        parts = [logical >> 7, logical & 0x7F, physical >> 7, physical & 0x7F]
    return bytes(part << 1 for part in parts[:-1]) + bytes((parts[-1] << 1 | 1,))


class Assembler:
    """Puts the segments of messages together, and takes the LLC header off.

    Attributes:
        lost: Messages given up because a segment was missing, since it was made.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._parts = b""
        self._from: tuple[Address, Address] | None = None
        self._next: int | None = None

    def push(self, frame: HdlcFrame) -> bytes | None:
        """Return the message that a frame completes; ``None`` while segments are missing, or it carries none.

        Raises:
            ProtocolError: A segment is missing, or the message is longer than any.
        """
        if frame.kind not in {"I", "UI"}:
            return None
        ends = frame.source, frame.destination
        sequence = frame.send_sequence
        if self._from is not None and (self._from != ends or (sequence is not None and sequence != self._next)):
            self._forget()
            self.lost += 1
            raise ProtocolError("a segment of the message is missing", kind="segment_lost")
        parts = self._parts + frame.information
        if len(parts) > LARGEST_APDU:
            self._forget()
            raise ProtocolError(f"more than {LARGEST_APDU} bytes in one message", kind="too_long")
        if frame.segmented:
            self._parts, self._from = parts, ends
            self._next = (sequence + 1) & 0x07 if sequence is not None else None
            return None
        self._forget()
        return without_llc(parts)

    def _forget(self) -> None:
        self._parts, self._from, self._next = b"", None, None


def without_llc(information: bytes) -> bytes:
    """Return a message without its LLC header; some meters send none."""
    return information[3:] if information[:3] in {LLC_COMMAND, LLC_RESPONSE} else information
