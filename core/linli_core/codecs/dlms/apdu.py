"""APDUs of DLMS/COSEM as far as push and common reads need them (IEC 62056-5-3).

A date-time in front of a notification is a length and twelve bytes; Kaifa's meters put an octet-string's tag before it.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final

import msgspec

from linli_core.codecs.dlms.axdr import Item, decode_data, decode_whole
from linli_core.codecs.dlms.ciphering import encode_length, read_length
from linli_core.codecs.dlms.clock import SIZE, CosemTime, decode_time
from linli_core.errors import ProtocolError
from linli_core.obis import Obis, from_bytes


class Tag(IntEnum):
    """The first byte of an APDU."""

    DATA_NOTIFICATION = 0x0F
    INITIATE_RESPONSE = 0x08
    AARQ = 0x60
    AARE = 0x61
    GET_REQUEST = 0xC0
    EVENT_NOTIFICATION = 0xC2
    GET_RESPONSE = 0xC4
    EXCEPTION_RESPONSE = 0xD8
    GENERAL_GLO = 0xDB
    GENERAL_DED = 0xDC
    BLOCK_TRANSFER = 0xE0


ACCESS_RESULTS: Final = {
    0: "success",
    1: "hardware-fault",
    2: "temporary-failure",
    3: "read-write-denied",
    4: "object-undefined",
    9: "object-class-inconsistent",
    11: "object-unavailable",
    12: "type-unmatched",
    13: "scope-of-access-violated",
    14: "data-block-unavailable",
    15: "long-get-aborted",
    16: "no-long-get-in-progress",
    250: "other-reason",
}

ASSOCIATION_RESULTS: Final = {0: "accepted", 1: "rejected-permanent", 2: "rejected-transient"}
DIAGNOSTICS: Final = {
    0: "null",
    1: "no-reason-given",
    2: "application-context-name-not-supported",
    11: "authentication-mechanism-name-not-recognised",
    12: "authentication-mechanism-name-required",
    13: "authentication-failure",
    14: "authentication-required",
}


class Attribute(msgspec.Struct, frozen=True):
    """An attribute of a COSEM object."""

    interface: int
    code: Obis
    attribute: int


class DataNotification(msgspec.Struct, frozen=True):
    """A push: what the meter sends unasked.

    Attributes:
        invoke: Long invoke id and priority.
        time: When it was sent, by the meter's clock; ``None`` where it does not say.
        body: The data.
    """

    invoke: int
    time: CosemTime | None
    body: Item


class EventNotification(msgspec.Struct, frozen=True):
    """One attribute that changed."""

    time: CosemTime | None
    attribute: Attribute
    body: Item


class GetRequest(msgspec.Struct, frozen=True):
    """A request for attributes; ``block`` for the next block of an answer."""

    invoke: int
    attributes: tuple[Attribute, ...] = ()
    block: int | None = None
    with_list: bool = False


class GetResponse(msgspec.Struct, frozen=True):
    """An answer: data or an error code for each attribute asked for; raw bytes and a number for a block of one."""

    invoke: int
    results: tuple[Item | int, ...] = ()
    block: int | None = None
    last: bool = True
    raw: bytes = b""


class Block(msgspec.Struct, frozen=True):
    """A piece of a long APDU (general block transfer)."""

    last: bool
    streaming: bool
    window: int
    number: int
    acknowledged: int
    data: bytes


class Association(msgspec.Struct, frozen=True):
    """The answer to a request for an association."""

    ciphered: bool
    result: int
    diagnostic: int
    mechanism: int | None = None
    challenge: bytes = b""
    version: int | None = None
    conformance: bytes = b""
    largest_pdu: int | None = None


class ServiceException(msgspec.Struct, frozen=True):
    """The peer could not make sense of a request."""

    state: int
    service: int


Apdu = DataNotification | EventNotification | GetRequest | GetResponse | Block | Association | ServiceException


def decode_apdu(data: bytes) -> Apdu:
    """Return what a plain APDU says.

    Raises:
        ProtocolError: It is none; kinds as in :func:`linli_core.codecs.dlms.axdr.decode_data`, ``unsupported`` for an
            unknown tag, ``encrypted`` for a ciphered one.
    """
    if not data:
        raise ProtocolError("there are no bytes", kind="truncated")
    decoder = _DECODERS.get(data[0])
    if decoder is not None:
        return decoder(data)
    if data[0] in {Tag.GENERAL_GLO, Tag.GENERAL_DED}:
        raise ProtocolError("the APDU is ciphered", kind="encrypted", offset=0)
    raise ProtocolError(f"APDU {data[0]:02X} is not supported", kind="unsupported", offset=0)


def _need(data: bytes, size: int) -> None:
    if len(data) < size:
        raise ProtocolError(f"the APDU ends after {len(data)} of {size} bytes", kind="truncated")


def read_time(data: bytes, at: int) -> tuple[CosemTime | None, int]:
    """Return the optional date-time that begins at a place, and where it ends."""
    _need(data, at + 1)
    if data[at] == 0x09 and data[at + 1 : at + 2] == bytes((SIZE,)):
        at += 1
    length = data[at]
    if not length:
        return None, at + 1
    if length != SIZE:
        raise ProtocolError(f"a date-time has 12 bytes, not {length}", offset=at)
    end = at + 1 + SIZE
    _need(data, end)
    return decode_time(data[at + 1 : end]), end


def _data_notification(data: bytes) -> DataNotification:
    _need(data, 6)
    time, at = read_time(data, 5)
    return DataNotification(int.from_bytes(data[1:5]), time, decode_whole(data, at))


def _event_notification(data: bytes) -> EventNotification:
    _need(data, 2)
    time, at = read_time(data, 2) if data[1] else (None, 2)
    attribute, at = _attribute(data, at)
    return EventNotification(time, attribute, decode_whole(data, at))


def _attribute(data: bytes, at: int) -> tuple[Attribute, int]:
    _need(data, at + 9)
    return Attribute(int.from_bytes(data[at : at + 2]), from_bytes(data[at + 2 : at + 8]), data[at + 8]), at + 9


def _selected(data: bytes, at: int) -> tuple[Attribute, int]:
    """Return an attribute and what selects a part of it (which is passed over)."""
    attribute, at = _attribute(data, at)
    _need(data, at + 1)
    if not data[at]:
        return attribute, at + 1
    _need(data, at + 2)
    item = decode_data(data, at + 2)
    return attribute, item.offset + item.size


def _get_request(data: bytes) -> GetRequest:
    _need(data, 3)
    kind, invoke = data[1], data[2]
    if kind == 1:
        attribute, end = _selected(data, 3)
        _ends(data, end)
        return GetRequest(invoke, (attribute,))
    if kind == 2:
        _need(data, 7)
        _ends(data, 7)
        return GetRequest(invoke, block=int.from_bytes(data[3:7]))
    if kind == 3:
        count, at = _count(data, 3)
        attributes = []
        for _ in range(count):
            attribute, at = _selected(data, at)
            attributes.append(attribute)
        _ends(data, at)
        return GetRequest(invoke, tuple(attributes), with_list=True)
    raise ProtocolError(f"request type {kind} does not exist", kind="unsupported", offset=1)


def _get_response(data: bytes) -> GetResponse:
    _need(data, 4)
    kind, invoke = data[1], data[2]
    if kind == 1:
        result, end = _result(data, 3)
        _ends(data, end)
        return GetResponse(invoke, (result,))
    if kind == 2:
        return _data_block(data, invoke)
    if kind == 3:
        count, at = _count(data, 3)
        results = []
        for _ in range(count):
            result, at = _result(data, at)
            results.append(result)
        _ends(data, at)
        return GetResponse(invoke, tuple(results))
    raise ProtocolError(f"response type {kind} does not exist", kind="unsupported", offset=1)


def _data_block(data: bytes, invoke: int) -> GetResponse:
    _need(data, 10)
    last, number = bool(data[3]), int.from_bytes(data[4:8])
    if data[8]:
        _ends(data, 10)
        return GetResponse(invoke, (data[9],), number, last)
    length, start = _count(data, 9)
    _ends(data, start + length)
    return GetResponse(invoke, (), number, last, data[start:])


def _result(data: bytes, at: int) -> tuple[Item | int, int]:
    _need(data, at + 2)
    if data[at]:
        return data[at + 1], at + 2
    item = decode_data(data, at + 1)
    return item, item.offset + item.size


def _count(data: bytes, at: int) -> tuple[int, int]:
    found = read_length(data, at)
    if found is None:
        raise ProtocolError("the APDU ends within a length", kind="truncated", offset=at)
    count, start = found
    if count > len(data) - start:
        raise ProtocolError(f"{count} elements in {len(data) - start} bytes", kind="lying_length", offset=at)
    return count, start


def _ends(data: bytes, end: int) -> None:
    if len(data) > end:
        raise ProtocolError(f"{len(data) - end} bytes follow the APDU", kind="trailing_bytes", offset=end)
    _need(data, end)


def _block(data: bytes) -> Block:
    _need(data, 7)
    control = data[1]
    length, start = _count(data, 6)
    _ends(data, start + length)
    numbers = int.from_bytes(data[2:4]), int.from_bytes(data[4:6])
    return Block(bool(control & 0x80), bool(control & 0x40), control & 0x3F, *numbers, data[start:])


def encode_block(block: Block) -> bytes:
    """Return the bytes of a piece of a long APDU. For tests and simulators."""
    control = block.last << 7 | block.streaming << 6 | block.window
    numbers = block.number.to_bytes(2) + block.acknowledged.to_bytes(2)
    return bytes((Tag.BLOCK_TRANSFER, control)) + numbers + encode_length(len(block.data)) + block.data


def _association(data: bytes) -> Association:
    """Return an AARE: context-tagged fields of BER, lengths of one byte as all meters send them."""
    _need(data, 2)
    _ends(data, 2 + data[1])
    fields: dict[int, bytes] = {}
    at = 2
    while at < len(data):
        _need(data, at + 2)
        end = at + 2 + data[at + 1]
        _need(data, end)
        fields[data[at]] = data[at + 2 : end]
        at = end
    context, result, diagnostic = fields.get(0xA1, b""), fields.get(0xA2, b""), fields.get(0xA3, b"")
    if len(result) != 3 or len(diagnostic) != 5 or not context:
        raise ProtocolError("an association answer needs context, result and diagnostic")
    user = fields.get(0xBE, b"")
    answer = user[2:] if user[:1] == b"\x04" else b""
    whole = len(answer) == 14 and answer[0] == Tag.INITIATE_RESPONSE
    mechanism = fields.get(0x89, b"")
    return Association(
        context[-1] in {3, 4},
        result[-1],
        diagnostic[-1],
        mechanism[-1] if mechanism else None,
        fields.get(0xAA, b"")[2:],
        answer[2] if whole else None,
        answer[7:10] if whole else b"",
        int.from_bytes(answer[10:12]) if whole else None,
    )


def _exception(data: bytes) -> ServiceException:
    _need(data, 3)
    _ends(data, 3)
    return ServiceException(data[1], data[2])


_DECODERS: Final[dict[int, Callable[[bytes], Apdu]]] = {
    Tag.DATA_NOTIFICATION: _data_notification,
    Tag.EVENT_NOTIFICATION: _event_notification,
    Tag.GET_REQUEST: _get_request,
    Tag.GET_RESPONSE: _get_response,
    Tag.BLOCK_TRANSFER: _block,
    Tag.AARE: _association,
    Tag.EXCEPTION_RESPONSE: _exception,
}
