"""One outstanding request on one byte stream: frames out, the matching answer in. No I/O.

The frames are pymodbus's (:class:`FramerSocket`, :class:`FramerRTU`, :class:`FramerAscii`); which frame may be an
answer is decided here, because pymodbus's own transaction layer drops the connection of every unit after a few silent
polls of one, unpacks registers one at a time, and throws a whole buffer away for one bad checksum.
"""

import struct
from collections.abc import Iterator
from typing import Final, Protocol

from pymodbus.framer import FramerAscii, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from linli_core.codec import NEED_DATA, NeedData
from linli_core.errors import ProtocolError
from linli_edge.drivers.modbus.overheard import Overheard, rtu_frames
from linli_edge.drivers.modbus.pdu import EXCEPTIONS, Asked, Command, Request, data_of

__all__ = [
    "EXCEPTIONS",
    "MAX_ADU",
    "AsciiFraming",
    "Asked",
    "Command",
    "Framing",
    "Request",
    "RtuFraming",
    "TcpFraming",
    "data_of",
    "transaction_ids",
]

MAX_ADU: Final = 260
"""Longest frame: MBAP 7 + PDU 253 (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, §3.1.2 and V1.1b3, §4.1)."""

MAX_ASCII: Final = 513
"""Longest ASCII frame: two characters for each byte of unit, PDU and LRC, and ``:``, CR, LF (serial line V1.02)."""

NOTHING: Final = Overheard()


class Framing(Protocol):
    """One way to put requests on a stream.

    Attributes:
        identified: Whether an answer names its request, so that a late one cannot be taken for the next.
        damaged: Whether what looks like the outstanding answer has come with a wrong checksum.
    """

    identified: bool
    damaged: bool

    def encode(self, asked: Asked) -> bytes:
        """Return the bytes of a request, which becomes the outstanding one."""
        ...

    def receive(self, data: bytes) -> None:
        """Take bytes off the stream, in chunks of any size."""
        ...

    def next_answer(self) -> bytes | NeedData:
        """Return the PDU of the outstanding request's answer, or ``NEED_DATA``; raise ``ProtocolError``."""
        ...

    def overheard(self) -> Overheard:
        """Return what has come besides the answers, since it was last asked."""
        ...

    def reset(self) -> None:
        """Drop what has arrived so far: it counts as overheard."""
        ...


def transaction_ids() -> Iterator[int]:
    """Yield transaction ids, round and round, without 0."""
    while True:
        yield from range(1, 0x10000)


class TcpFraming:
    """Modbus TCP: an MBAP header with a transaction id before each PDU."""

    identified = True
    damaged = False

    def __init__(self, transactions: Iterator[int] | None = None) -> None:
        """Store.

        Args:
            transactions: Where the ids come from; they begin at 1 if left out. They belong to the line: a connection
                that began anew would take what a converter still delivers of the one before for its own.
        """
        self._framer = FramerSocket(DecodePDU(is_server=False))
        self._buffer = b""
        self._transactions = transactions if transactions is not None else transaction_ids()
        self._transaction = 0
        self._unit = 0
        self._others: list[tuple[int, bytes]] = []
        self._foreign = 0

    def encode(self, asked: Asked) -> bytes:
        """Return the bytes of a request under the next transaction id."""
        self._transaction = next(self._transactions)
        self._unit = asked.unit
        return self._framer.encode(asked.pdu, asked.unit, self._transaction)

    def receive(self, data: bytes) -> None:
        """Take bytes off the stream."""
        self._buffer += data

    def next_answer(self) -> bytes | NeedData:
        """Return the answer's PDU; frames of other transactions or units are skipped and counted.

        Raises:
            ProtocolError: The stream is out of step (no MBAP header where one must be): only a new connection helps.
        """
        while len(self._buffer) >= 8:
            protocol, length = struct.unpack_from(">HH", self._buffer, 2)
            if protocol != 0 or not 2 <= length <= MAX_ADU - 6:
                found = self._buffer[:8].hex()
                self._buffer = b""
                raise ProtocolError(f"no MBAP header: {found}", kind="out_of_step")
            used, unit, transaction, pdu = self._framer.decode(self._buffer)
            if used == 0:
                return NEED_DATA
            self._buffer = self._buffer[used:]
            if transaction == self._transaction and unit == self._unit:
                return pdu
            if transaction == self._transaction:
                self._foreign += 1
            else:
                self._others.append((unit, pdu))
        return NEED_DATA

    def overheard(self) -> Overheard:
        """Return the answers to other transactions, and those of other units."""
        if not self._others and not self._foreign:
            return NOTHING
        heard = Overheard(tuple(self._others), foreign=self._foreign)
        self._others, self._foreign = [], 0
        return heard

    def reset(self) -> None:
        """Do nothing: the stream must stay in step, and a late answer is known by its transaction id."""


class RtuFraming:
    """Modbus RTU: unit, PDU, CRC; nothing says which request a frame answers.

    The length of the answer is known, so it is looked for at every byte: noise before, between or behind, and a false
    start that claims a long frame, cannot hide it. A line that echoes what is sent is seen by its own request coming
    back; a write's answer is its own echo, so a write must be read back by whoever needs to know.
    """

    identified = False

    def __init__(self) -> None:
        self.damaged = False
        self._framer = FramerRTU(DecodePDU(is_server=False))
        self._buffer = b""
        self._sent = b""
        self._echoable = False
        self._asked: Asked = Request(0, 3, 0, 1)
        self._strays: list[bytes] = []

    def encode(self, asked: Asked) -> bytes:
        """Return the bytes of a request."""
        self._asked = asked
        self._sent = self._framer.encode(asked.pdu, asked.unit, 0)
        self._echoable = asked.pdu[:5] != asked.answer_prefix
        self.damaged = False
        return self._sent

    def receive(self, data: bytes) -> None:
        """Take bytes off the stream; more than two frames' length of noise falls off at the front."""
        self._buffer = (self._buffer + data)[-2 * MAX_ADU :]

    def next_answer(self) -> bytes | NeedData:
        """Return the answer's PDU; whatever else has arrived before it is skipped and counted."""
        if self._echoable and (place := self._buffer.find(self._sent)) >= 0:
            self._stray(self._buffer[:place])
            self._buffer = self._buffer[place + len(self._sent) :]
            self._echoable = False
        buffer, asked, prefix = self._buffer, self._asked, self._asked.answer_prefix
        start = buffer.find(asked.unit)
        while start >= 0:
            if buffer[start + 1 : start + 1 + len(prefix)] == prefix:
                length = asked.answer_length + 3
            elif buffer[start + 1 : start + 2] == bytes((asked.function | 0x80,)):
                length = 5
            else:
                length = 0
            if length and len(buffer) >= start + length:
                frame = buffer[start : start + length]
                if self._sound(frame):
                    self._stray(buffer[:start])
                    self._buffer = buffer[start + length :]
                    return frame[1:-2]
                self.damaged = True
            start = buffer.find(asked.unit, start + 1)
        return NEED_DATA

    def _sound(self, frame: bytes) -> bool:
        return bool(self._framer.encode(frame[1:-2], frame[0], 0) == frame)

    def _stray(self, data: bytes) -> None:
        if data:
            self._strays.append(data)

    def overheard(self) -> Overheard:
        """Return the frames and the noise that came besides the answers."""
        if not self._strays:
            return NOTHING
        data, self._strays = b"".join(self._strays), []
        return rtu_frames(data, self._sound)

    def reset(self) -> None:
        """Drop what has arrived so far."""
        self._stray(self._buffer)
        self._buffer = b""


class AsciiFraming:
    """Modbus ASCII: ``:``, two hexadecimal digits for each byte of unit, PDU and LRC, CR LF.

    A ``:`` begins a frame wherever it stands: what came before it and is not finished is lost, nothing more. As on RTU,
    nothing says which request a frame answers, and the length of the answer is known.
    """

    identified = False

    def __init__(self) -> None:
        self.damaged = False
        self._framer = FramerAscii(DecodePDU(is_server=False))
        self._buffer = b""
        self._sent = b""
        self._echoable = False
        self._asked: Asked = Request(0, 3, 0, 1)
        self._frames: list[tuple[int, bytes]] = []
        self._noise = 0

    def encode(self, asked: Asked) -> bytes:
        """Return the characters of a request."""
        self._asked = asked
        self._sent = self._framer.encode(asked.pdu, asked.unit, 0)
        self._echoable = asked.pdu[:5] != asked.answer_prefix
        self.damaged = False
        return self._sent

    def receive(self, data: bytes) -> None:
        """Take characters off the stream; more than two frames' length without an end falls off at the front."""
        self._buffer = (self._buffer + data)[-2 * MAX_ASCII :]

    def next_answer(self) -> bytes | NeedData:
        """Return the answer's PDU; other frames and noise before it are skipped and counted."""
        while (end := self._buffer.find(b"\n")) >= 0:
            line, self._buffer = self._buffer[: end + 1], self._buffer[end + 1 :]
            before, colon, body = line.rpartition(b":")
            self._noise += bool(before)
            frame = self._frame(colon + body)
            if frame is None:
                self._noise += bool(body.strip())
                continue
            unit, pdu = frame
            if self._echoable and colon + body == self._sent:
                self._echoable = False
            elif unit == self._asked.unit and self._fits(pdu):
                return pdu
            else:
                self._frames.append((unit, pdu))
        return NEED_DATA

    def _frame(self, line: bytes) -> tuple[int, bytes] | None:
        """Return unit and PDU of one whole frame; ``None`` if it is none, or its LRC is wrong."""
        digits = line[1:-2]
        if line[:1] != b":" or line[-2:] != b"\r\n" or len(digits) < 6 or len(digits) % 2:
            return None
        try:
            data = bytes.fromhex(digits.decode("ascii"))
        except ValueError:
            return None
        used, _, _, pdu = self._framer.decode(b":" + data.hex().upper().encode() + b"\r\n")
        if used == 0 or not pdu:
            self.damaged = self.damaged or data[0] == self._asked.unit
            return None
        return data[0], bytes(pdu)

    def _fits(self, pdu: bytes) -> bool:
        asked = self._asked
        if len(pdu) == 2:
            return pdu[0] == asked.function | 0x80
        return len(pdu) == asked.answer_length and pdu.startswith(asked.answer_prefix)

    def overheard(self) -> Overheard:
        """Return the frames and the noise that came besides the answers."""
        if not self._frames and not self._noise:
            return NOTHING
        heard = Overheard(tuple(self._frames), self._noise)
        self._frames, self._noise = [], 0
        return heard

    def reset(self) -> None:
        """Drop what has arrived so far; whole frames in it are overheard."""
        self._asked = Request(0, 3, 0, 1)
        self._echoable = False
        self.next_answer()
        self._noise += bool(self._buffer)
        self._buffer = b""
