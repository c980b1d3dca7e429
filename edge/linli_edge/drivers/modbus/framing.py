"""One outstanding request on one byte stream: frames out, the matching answer in. No I/O.

The frames are pymodbus's (:class:`FramerSocket`, :class:`FramerRTU`); which frame may be an answer is decided here,
because pymodbus's own transaction layer drops the connection of every unit after a few silent polls of one, unpacks
registers one at a time, and throws a whole buffer away for one bad checksum.
"""

import struct
from dataclasses import dataclass
from typing import Final, Protocol

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from linli_core.codec import NEED_DATA, NeedData
from linli_core.errors import DeviceError, ProtocolError

MAX_ADU: Final = 260
"""Longest frame: MBAP 7 + PDU 253 (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, §3.1.2 and V1.1b3, §4.1)."""

EXCEPTIONS: Final = {
    1: "illegal_function",
    2: "illegal_address",
    3: "illegal_value",
    4: "device_failure",
    5: "acknowledged",
    6: "busy",
    8: "memory_parity",
    10: "gateway_path_unavailable",
    11: "gateway_target_silent",
}
"""Exception codes (Modbus Application Protocol V1.1b3, §7)."""

_READ: Final = struct.Struct(">BHH")


@dataclass(frozen=True, slots=True)
class Request:
    """A read: unit id, function 1 to 4, first address, number of addresses."""

    unit: int
    function: int
    address: int
    count: int

    def __str__(self) -> str:
        return f"unit {self.unit}, function {self.function}, {self.count} from address {self.address}"

    @property
    def pdu(self) -> bytes:
        """The request without its frame."""
        return _READ.pack(self.function, self.address, self.count)

    @property
    def answer_bytes(self) -> int:
        """How many data bytes the answer must hold."""
        return 2 * self.count if self.function in {3, 4} else (self.count + 7) // 8


def data_of(request: Request, pdu: bytes) -> bytes:
    """Return the data bytes of an answer.

    Raises:
        DeviceError: The answer is an exception; ``code`` is the protocol's.
        ProtocolError: The answer is to something else, or of another length than was asked for.
    """
    if len(pdu) == 2 and pdu[0] == request.function | 0x80:
        code = pdu[1]
        kind = EXCEPTIONS.get(code, "unknown_exception")
        raise DeviceError(f"{request}: exception {code} ({kind.replace('_', ' ')})", code=code, kind=kind)
    if len(pdu) < 2 or pdu[0] != request.function:
        raise ProtocolError(f"{request}: answered with {pdu[:8].hex() or 'nothing'}", kind="wrong_function")
    if pdu[1] != request.answer_bytes or len(pdu) != 2 + request.answer_bytes:
        raise ProtocolError(
            f"{request}: {len(pdu) - 2} data bytes (its length byte says {pdu[1]}), not {request.answer_bytes}",
            kind="wrong_length",
        )
    return pdu[2:]


class Framing(Protocol):
    """One way to put requests on a stream.

    Attributes:
        strays: Frames or runs of bytes that were no answer to the request: late answers, noise.
        identified: Whether an answer names its request, so that a late one cannot be taken for the next.
    """

    strays: int
    identified: bool

    def encode(self, request: Request) -> bytes:
        """Return the bytes of a request, which becomes the outstanding one."""
        ...

    def receive(self, data: bytes) -> None:
        """Take bytes off the stream, in chunks of any size."""
        ...

    def next_answer(self) -> bytes | NeedData:
        """Return the PDU of the outstanding request's answer, or ``NEED_DATA``; raise ``ProtocolError``."""
        ...

    def reset(self) -> None:
        """Drop what has arrived so far."""
        ...


class TcpFraming:
    """Modbus TCP: an MBAP header with a transaction id before each PDU."""

    identified = True

    def __init__(self) -> None:
        self.strays = 0
        self._framer = FramerSocket(DecodePDU(is_server=False))
        self._buffer = b""
        self._transaction = 0
        self._unit = 0

    def encode(self, request: Request) -> bytes:
        """Return the bytes of a request under the next transaction id."""
        self._transaction = self._transaction % 0xFFFF + 1
        self._unit = request.unit
        return self._framer.encode(request.pdu, request.unit, self._transaction)

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
            self.strays += 1
        return NEED_DATA

    def reset(self) -> None:
        """Do nothing: the stream must stay in step, and a late answer is known by its transaction id."""


class RtuFraming:
    """Modbus RTU: unit, PDU, CRC; nothing says which request a frame answers.

    The length of the answer is known, so it is looked for at every byte: noise before, between or behind, and a false
    start that claims a long frame, cannot hide it.
    """

    identified = False

    def __init__(self) -> None:
        self.strays = 0
        self._framer = FramerRTU(DecodePDU(is_server=False))
        self._buffer = b""
        self._request = Request(0, 3, 0, 1)

    def encode(self, request: Request) -> bytes:
        """Return the bytes of a request."""
        self._request = request
        return self._framer.encode(request.pdu, request.unit, 0)

    def receive(self, data: bytes) -> None:
        """Take bytes off the stream; more than two frames' length of noise falls off at the front."""
        self._buffer = (self._buffer + data)[-2 * MAX_ADU :]

    def next_answer(self) -> bytes | NeedData:
        """Return the answer's PDU; whatever else has arrived before it is skipped and counted."""
        buffer, request = self._buffer, self._request
        start = buffer.find(request.unit)
        while start >= 0:
            if buffer[start + 1 : start + 3] == bytes((request.function, request.answer_bytes)):
                length = request.answer_bytes + 5
            elif buffer[start + 1 : start + 2] == bytes((request.function | 0x80,)):
                length = 5
            else:
                length = 0
            if length and len(buffer) >= start + length:
                frame = buffer[start : start + length]
                _, unit, _, pdu = self._framer.decode(frame)
                if unit == request.unit and len(pdu) == length - 3:
                    self.strays += start > 0
                    self._buffer = buffer[start + length :]
                    return pdu
            start = buffer.find(request.unit, start + 1)
        return NEED_DATA

    def reset(self) -> None:
        """Drop what has arrived so far."""
        self.strays += bool(self._buffer)
        self._buffer = b""
