"""A simulated unit's memory: four tables of addresses, with holes, and how it answers a request. Pure.

Written from the Modbus Application Protocol V1.1b3 on its own: it shares no code with the gateway's client, so that a
mistake in one is not confirmed by the other.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3

_TABLE_OF_READ: Final = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_BIT_TABLES: Final = frozenset({"coil", "discrete"})


class Denied(Exception):
    """The unit answers with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Unit:
    """One unit behind a line.

    Attributes:
        tables: For each of ``coil``, ``discrete``, ``holding``, ``input``: value by address. An address that is not
            there is a hole: asking across it is refused, as many devices do.
        most: Most registers the unit gives in one answer.
        on_write: Called with table, address and value before a value is written; may raise :class:`Denied`.
            ``None``: nothing can be written.
        requests: How many requests have been answered.
    """

    tables: dict[str, dict[int, int]] = field(
        default_factory=lambda: {"coil": {}, "discrete": {}, "holding": {}, "input": {}}
    )
    most: int = 125
    on_write: Callable[[str, int, int], None] | None = None
    requests: int = 0

    def put(self, table: str, address: int, words: Iterable[int]) -> None:
        """Store registers (or bits) from an address on."""
        memory = self.tables[table]
        for place, word in enumerate(words):
            memory[address + place] = word

    def answer(self, pdu: bytes) -> bytes:
        """Return the answer's PDU to a request's PDU."""
        self.requests += 1
        try:
            return self._answer(pdu)
        except Denied as exc:
            return bytes((pdu[0] | 0x80, exc.code))
        except struct.error:
            return bytes((pdu[0] | 0x80, ILLEGAL_VALUE))

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if function in _TABLE_OF_READ:
            address, count = struct.unpack(">HH", pdu[1:5])
            return bytes((function,)) + self._read(_TABLE_OF_READ[function], address, count)
        if function == 5:
            address, value = struct.unpack(">HH", pdu[1:5])
            if value not in {0, 0xFF00}:
                raise Denied(ILLEGAL_VALUE)
            self._write("coil", address, int(value != 0))
            return pdu[:5]
        if function == 6:
            address, value = struct.unpack(">HH", pdu[1:5])
            self._write("holding", address, value)
            return pdu[:5]
        raise Denied(ILLEGAL_FUNCTION)

    def _read(self, table: str, address: int, count: int) -> bytes:
        bits = table in _BIT_TABLES
        if not 1 <= count <= (2000 if bits else self.most):
            raise Denied(ILLEGAL_VALUE)
        memory = self.tables[table]
        try:
            words = [memory[place] for place in range(address, address + count)]
        except KeyError:
            raise Denied(ILLEGAL_ADDRESS) from None
        if not bits:
            return bytes((2 * count,)) + struct.pack(f">{count}H", *words)
        packed = bytearray((count + 7) // 8)
        for place, bit in enumerate(words):
            packed[place // 8] |= bit << place % 8
        return bytes((len(packed),)) + bytes(packed)

    def _write(self, table: str, address: int, value: int) -> None:
        if self.on_write is None:
            raise Denied(ILLEGAL_FUNCTION)
        if address not in self.tables[table]:
            raise Denied(ILLEGAL_ADDRESS)
        self.on_write(table, address, value)
        self.tables[table][address] = value
