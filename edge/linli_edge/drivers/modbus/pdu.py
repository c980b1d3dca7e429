"""What is asked of a unit and what its answer must look like: the part of a frame that every framing shares. Pure."""

import struct
from dataclasses import dataclass
from typing import Final, Protocol

from linli_core.errors import DeviceError, ProtocolError

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

_HEAD: Final = struct.Struct(">BHH")
_ON: Final = 0xFF00


class Asked(Protocol):
    """One request, as far as framing goes."""

    @property
    def unit(self) -> int:
        """Unit id."""
        ...

    @property
    def function(self) -> int:
        """Function code."""
        ...

    @property
    def pdu(self) -> bytes:
        """The request without its frame."""
        ...

    @property
    def answer_prefix(self) -> bytes:
        """How the PDU of an answer that is no exception begins."""
        ...

    @property
    def answer_length(self) -> int:
        """How long that PDU is."""
        ...


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
        return _HEAD.pack(self.function, self.address, self.count)

    @property
    def answer_bytes(self) -> int:
        """How many data bytes the answer must hold."""
        return 2 * self.count if self.function in {3, 4} else (self.count + 7) // 8

    @property
    def answer_prefix(self) -> bytes:
        """Function and length byte."""
        return bytes((self.function, self.answer_bytes))

    @property
    def answer_length(self) -> int:
        """Bytes of the answer's PDU."""
        return 2 + self.answer_bytes


@dataclass(frozen=True, slots=True)
class Command:
    """A write: unit id, function 5, 6, 15 or 16, first address, and the values (bits as 0 and 1, or registers)."""

    unit: int
    function: int
    address: int
    values: tuple[int, ...]

    def __str__(self) -> str:
        return f"unit {self.unit}, function {self.function}, {len(self.values)} to address {self.address}"

    @property
    def pdu(self) -> bytes:
        """The request without its frame (Modbus Application Protocol V1.1b3, §6.5, §6.6, §6.11, §6.12)."""
        if self.function == 5:
            return _HEAD.pack(5, self.address, _ON if self.values[0] else 0)
        if self.function == 6:
            return _HEAD.pack(6, self.address, self.values[0])
        head = _HEAD.pack(self.function, self.address, len(self.values))
        if self.function == 15:
            packed = bytearray((len(self.values) + 7) // 8)
            for place, bit in enumerate(self.values):
                packed[place // 8] |= bool(bit) << place % 8
            return head + bytes((len(packed),)) + packed
        return head + struct.pack(f">B{len(self.values)}H", 2 * len(self.values), *self.values)

    @property
    def answer_prefix(self) -> bytes:
        """The whole answer: functions 5 and 6 repeat the request, 15 and 16 name address and number."""
        return self.pdu[:5]

    @property
    def answer_length(self) -> int:
        """Bytes of the answer's PDU."""
        return 5


def raise_exception(asked: Asked, pdu: bytes) -> None:
    """Raise what an answer says if it is an exception, or an answer to another function.

    Raises:
        DeviceError: The answer is an exception; ``code`` is the protocol's.
        ProtocolError: The answer is to something else.
    """
    if len(pdu) == 2 and pdu[0] == asked.function | 0x80:
        code = pdu[1]
        kind = EXCEPTIONS.get(code, "unknown_exception")
        raise DeviceError(f"{asked}: exception {code} ({kind.replace('_', ' ')})", code=code, kind=kind)
    if len(pdu) < 2 or pdu[0] != asked.function:
        raise ProtocolError(f"{asked}: answered with {pdu[:8].hex() or 'nothing'}", kind="wrong_function")


def data_of(request: Request, pdu: bytes) -> bytes:
    """Return the data bytes of an answer.

    Raises:
        DeviceError: The answer is an exception; ``code`` is the protocol's.
        ProtocolError: The answer is to something else, or of another length than was asked for.
    """
    raise_exception(request, pdu)
    if pdu[1] != request.answer_bytes or len(pdu) != 2 + request.answer_bytes:
        raise ProtocolError(
            f"{request}: {len(pdu) - 2} data bytes (its length byte says {pdu[1]}), not {request.answer_bytes}",
            kind="wrong_length",
        )
    return pdu[2:]


def check_written(command: Command, pdu: bytes) -> None:
    """Check the answer to a write.

    Raises:
        DeviceError: The device refuses.
        ProtocolError: The answer confirms something else than was written.
    """
    raise_exception(command, pdu)
    if pdu != command.answer_prefix:
        raise ProtocolError(f"{command}: confirmed as {pdu[:8].hex()}", kind="wrong_confirmation")
