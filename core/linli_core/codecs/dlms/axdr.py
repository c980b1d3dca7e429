"""A-XDR: the encoding of COSEM data (IEC 62056-6-2), with bounds on depth and number before anything is made.

Every element takes at least one byte, so a count can never be more than the bytes that are left.
"""

import math
import struct
from decimal import Decimal
from typing import Final

import msgspec

from linli_core.codecs.dlms.ciphering import encode_length, read_length
from linli_core.codecs.dlms.clock import CosemTime, decode_time
from linli_core.errors import ProtocolError

DEEPEST: Final = 16
MOST_ITEMS: Final = 16 * 1024

NULL: Final = 0x00
ARRAY: Final = 0x01
STRUCTURE: Final = 0x02
BOOLEAN: Final = 0x03
BITS: Final = 0x04
OCTETS: Final = 0x09
TEXT: Final = 0x0A
UTF8: Final = 0x0C
BCD: Final = 0x0D
COMPACT_ARRAY: Final = 0x13
ENUM: Final = 0x16
DATE_TIME: Final = 0x19

NAMES: Final = {
    0x00: "null-data",
    0x01: "array",
    0x02: "structure",
    0x03: "boolean",
    0x04: "bit-string",
    0x05: "double-long",
    0x06: "double-long-unsigned",
    0x09: "octet-string",
    0x0A: "visible-string",
    0x0C: "utf8-string",
    0x0D: "bcd",
    0x0F: "integer",
    0x10: "long",
    0x11: "unsigned",
    0x12: "long-unsigned",
    0x14: "long64",
    0x15: "long64-unsigned",
    0x16: "enum",
    0x17: "float32",
    0x18: "float64",
    0x19: "date-time",
    0x1A: "date",
    0x1B: "time",
}

INTEGERS: Final = {
    0x05: (4, True),
    0x06: (4, False),
    0x0F: (1, True),
    0x10: (2, True),
    0x11: (1, False),
    0x12: (2, False),
    0x14: (8, True),
    0x15: (8, False),
    0x16: (1, False),
}
"""Tag → bytes and sign."""

_FIXED: Final = {0x03: 1, 0x0D: 1, 0x17: 4, 0x18: 8, 0x19: 12, 0x1A: 5, 0x1B: 4}


class Item(msgspec.Struct, frozen=True):
    """One element.

    Attributes:
        tag: Its type.
        value: ``None`` for null-data, ``int`` for integers and enums, ``Decimal`` for reals (``None``: not a number),
            ``bytes`` for octets, dates and times, ``str`` for texts and bit strings, a tuple for arrays and structures.
        offset: Where it begins.
        size: Its bytes, tag included.
    """

    tag: int
    value: "bool | int | Decimal | bytes | str | CosemTime | tuple[Item, ...] | None" = None
    offset: int = 0
    size: int = 1

    @property
    def name(self) -> str:
        """Its type's name in the standard."""
        return NAMES[self.tag]

    @property
    def items(self) -> "tuple[Item, ...]":
        """What an array or a structure holds; nothing for any other."""
        return self.value if isinstance(self.value, tuple) else ()


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.count = 0

    def item(self, at: int, depth: int) -> Item:
        if depth > DEEPEST:
            raise ProtocolError(f"nested more than {DEEPEST} deep", kind="too_deep", offset=at)
        self.count += 1
        if self.count > MOST_ITEMS:
            raise ProtocolError(f"more than {MOST_ITEMS} elements", kind="too_many", offset=at)
        if at >= len(self.data):
            raise ProtocolError("the data end where an element belongs", kind="truncated", offset=at)
        tag = self.data[at]
        if tag in {ARRAY, STRUCTURE}:
            return self._container(tag, at, depth)
        value, end = self._scalar(tag, at)
        return Item(tag, value, at, end - at)

    def _container(self, tag: int, at: int, depth: int) -> Item:
        count, start = self._length(at + 1)
        if count > len(self.data) - start:
            left = len(self.data) - start
            raise ProtocolError(f"{count} elements in {left} bytes", kind="lying_length", offset=at + 1)
        items = []
        for _ in range(count):
            item = self.item(start, depth + 1)
            items.append(item)
            start = item.offset + item.size
        return Item(tag, tuple(items), at, start - at)

    def _scalar(self, tag: int, at: int) -> tuple[bool | int | Decimal | bytes | str | CosemTime | None, int]:
        if tag == NULL:
            return None, at + 1
        if tag in INTEGERS:
            size, signed = INTEGERS[tag]
            return int.from_bytes(self._bytes(at + 1, size), signed=signed), at + 1 + size
        if tag in _FIXED:
            size = _FIXED[tag]
            return _fixed(tag, self._bytes(at + 1, size)), at + 1 + size
        if tag not in {BITS, OCTETS, TEXT, UTF8}:
            raise ProtocolError(f"type {tag:02X} is not supported", kind="unsupported", offset=at)
        length, start = self._length(at + 1)
        size = (length + 7) // 8 if tag == BITS else length
        data = self._bytes(start, size)
        if tag == BITS:
            return "".join(f"{byte:08b}" for byte in data)[:length], start + size
        if tag == OCTETS:
            return data, start + size
        return data.decode("utf-8" if tag == UTF8 else "latin-1", "replace"), start + size

    def _length(self, at: int) -> tuple[int, int]:
        found = read_length(self.data, at)
        if found is None:
            raise ProtocolError("the data end within a length", kind="truncated", offset=at)
        return found

    def _bytes(self, at: int, size: int) -> bytes:
        if size > len(self.data) - at:
            left = max(len(self.data) - at, 0)
            raise ProtocolError(f"{size} bytes announced, {left} there", kind="truncated", offset=at)
        return self.data[at : at + size]


def decode_data(data: bytes, at: int = 0) -> Item:
    """Return the element that begins at a place; ``ProtocolError`` if none does.

    Kinds: ``truncated``, ``lying_length`` (more elements than bytes), ``too_deep``, ``too_many``, ``unsupported``.
    """
    return _Decoder(data).item(at, 0)


def decode_whole(data: bytes, at: int = 0) -> Item:
    """Return the element that begins at a place and goes to the end; ``trailing_bytes`` if something follows."""
    item = decode_data(data, at)
    if (end := item.offset + item.size) != len(data):
        raise ProtocolError(f"{len(data) - end} bytes follow the data", kind="trailing_bytes", offset=end)
    return item


def _fixed(tag: int, data: bytes) -> bool | Decimal | bytes | CosemTime | int | None:
    if tag == BOOLEAN:
        return bool(data[0])
    if tag == BCD:
        return int(data.hex()) if data.hex().isdecimal() else None
    if tag in {0x17, 0x18}:
        return _real(data)
    return decode_time(data) if tag == DATE_TIME else data


def _real(data: bytes) -> Decimal | None:
    """Return a real by the shortest decimal that means it; ``None`` for what is no number."""
    code, digits = (">f", range(6, 10)) if len(data) == 4 else (">d", range(15, 18))
    (number,) = struct.unpack(code, data)
    if not math.isfinite(number):
        return None
    if not number:  # a real has two zeros; a register has one
        return Decimal(0)
    for count in digits:
        text = f"{number:.{count}g}"
        if struct.pack(code, float(text)) == data:
            break
    return Decimal(text)


def encode_data(item: Item) -> bytes:
    """Return the bytes of an element; offset and size do not matter. For tests and simulators."""
    value = item.value
    head = bytes((item.tag,))
    if isinstance(value, tuple):
        return head + encode_length(len(value)) + b"".join(encode_data(inner) for inner in value)
    if item.tag in INTEGERS and isinstance(value, int):
        size, signed = INTEGERS[item.tag]
        return head + value.to_bytes(size, signed=signed)
    if item.tag == NULL:
        return head
    if item.tag == BOOLEAN:
        return head + bytes((bool(value),))
    if isinstance(value, bytes) and item.tag in _FIXED:
        return head + value
    if isinstance(value, bytes | str):
        data = value if isinstance(value, bytes) else value.encode("utf-8" if item.tag == UTF8 else "latin-1")
        return head + encode_length(len(data)) + data
    raise ValueError(f"type {item.tag:02X} cannot be encoded")
