"""What a meter sends, for simulators and tests: replies, replies in pieces, refusals."""

from collections.abc import Iterator
from typing import Final

from linli_core.codecs.dlt645 import control
from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.dlt645.frame import LONGEST, MORE, REFUSED, REPLY, Frame, encode_address

_FIRST: Final = {Edition.E2007: control.READ_2007, Edition.E1997: control.READ_1997}
_NEXT: Final = {Edition.E2007: control.READ_ON_2007, Edition.E1997: control.READ_ON_1997}


def answer(address: str, identifier: int, data: bytes, edition: Edition = Edition.E2007) -> Frame:
    """Return the answer to a read, all of it in one frame."""
    (frame,) = pieces(address, identifier, data, edition)
    return frame


def pieces(
    address: str, identifier: int, data: bytes, edition: Edition = Edition.E2007, *, most: int = LONGEST
) -> Iterator[Frame]:
    """Yield the answer to a read, in as many frames as it takes with ``most`` bytes in each."""
    size = edition.identifier_size
    room = most - size - 1
    chunks = [data[place : place + room] for place in range(0, len(data), room)] or [b""]
    if len(data) + size <= most:
        chunks = [data]
    name = identifier.to_bytes(size, "little")
    for sequence, chunk in enumerate(chunks):
        code = _NEXT[edition] if sequence else _FIRST[edition]
        number = bytes((sequence,)) if sequence and edition is Edition.E2007 else b""
        more = MORE if sequence < len(chunks) - 1 else 0
        yield Frame(address, REPLY | more | code, name + chunk + number)


def address_reply(address: str) -> Frame:
    """Return the answer to the request for the address."""
    return Frame(address, REPLY | control.READ_ADDRESS_2007, encode_address(address))


def acknowledgement(request: Frame, address: str) -> Frame:
    """Return the answer that says: done."""
    return Frame(address, REPLY | request.function)


def refusal(request: Frame, address: str, error: int) -> Frame:
    """Return the answer that says: no; ``error`` is the error byte."""
    return Frame(address, REPLY | REFUSED | request.function, bytes((error,)))
