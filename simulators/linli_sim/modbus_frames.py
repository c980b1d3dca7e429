"""The server's side of Modbus TCP and Modbus RTU frames, written by hand. Pure: bytes in, requests out."""

import struct
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came off the wire; ``transaction`` is 0 on RTU."""

    transaction: int
    unit: int
    pdu: bytes


class ServerFrames(Protocol):
    """One way to frame requests and answers."""

    def receive(self, data: bytes) -> list[Incoming]:
        """Take bytes and return the requests that are complete now."""
        ...

    def answer(self, to: Incoming, pdu: bytes) -> bytes:
        """Return the bytes of an answer."""
        ...


class OutOfStep(Exception):
    """What came is no MBAP header; the connection is of no more use."""


class TcpFrames:
    """Modbus TCP: transaction, protocol 0, length, unit, PDU."""

    def __init__(self) -> None:
        self._buffer = b""

    def receive(self, data: bytes) -> list[Incoming]:
        """Return the requests that are complete now; raise :class:`OutOfStep`."""
        self._buffer += data
        requests = []
        while len(self._buffer) >= 7:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", self._buffer)
            if protocol or not 2 <= length <= 254:
                raise OutOfStep
            if len(self._buffer) < 6 + length:
                break
            requests.append(Incoming(transaction, unit, self._buffer[7 : 6 + length]))
            self._buffer = self._buffer[6 + length :]
        return requests

    def answer(self, to: Incoming, pdu: bytes) -> bytes:
        """Return the answer's frame."""
        return struct.pack(">HHHB", to.transaction, 0, len(pdu) + 1, to.unit) + pdu


def crc(data: bytes) -> int:
    """Return the CRC of an RTU frame (Modbus over Serial Line V1.02, §6.2.2): polynomial A001, from FFFF."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


def rtu(unit: int, pdu: bytes) -> bytes:
    """Return an RTU frame."""
    body = bytes((unit,)) + pdu
    return body + struct.pack("<H", crc(body))


class RtuFrames:
    """Modbus RTU: unit, PDU, CRC with the low byte first."""

    def __init__(self) -> None:
        self._buffer = b""

    def receive(self, data: bytes) -> list[Incoming]:
        """Return the requests that are complete now; a byte that starts none is skipped."""
        self._buffer = (self._buffer + data)[-1024:]
        requests = []
        while len(self._buffer) >= 8:
            length = 8 if self._buffer[1] <= 6 else 9 + self._buffer[6]
            if self._buffer[1] in {15, 16} and len(self._buffer) < length:
                break
            if self._buffer[1] not in {1, 2, 3, 4, 5, 6, 15, 16}:
                length = 8
            frame = self._buffer[:length]
            if crc(frame) != 0:
                self._buffer = self._buffer[1:]
                continue
            requests.append(Incoming(0, frame[0], frame[1:-2]))
            self._buffer = self._buffer[length:]
        return requests

    def answer(self, to: Incoming, pdu: bytes) -> bytes:
        """Return the answer's frame."""
        return rtu(to.unit, pdu)
