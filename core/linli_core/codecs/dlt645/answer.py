"""A meter's answer: what was asked, and the values it holds."""

from typing import Final

import msgspec

from linli_core.codecs.dlt645 import control
from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.dlt645.dictionary import STANDARD, Dictionary, show
from linli_core.codecs.dlt645.frame import Frame, decode_address
from linli_core.codecs.dlt645.identifiers_1997 import END_OF_BLOCK
from linli_core.codecs.dlt645.item import Item, ItemValue, decode_value
from linli_core.codecs.mbus.values import MeterTime
from linli_core.errors import ProtocolError

_READS: Final = {
    control.READ_2007: Edition.E2007,
    control.READ_ON_2007: Edition.E2007,
    control.READ_1997: Edition.E1997,
    control.READ_ON_1997: Edition.E1997,
}
_ADDRESS_SIZE: Final = 6


class Answer(msgspec.Struct, frozen=True):
    """What a meter has answered.

    Attributes:
        address: Whose answer it is. Some meters of 1997 answer with the wildcard they were asked by.
        edition: The standard the meter speaks; ``None`` where its function is one of both.
        function: What was asked for.
        identifier: Of the data; ``None`` where the answer has none (an acknowledgement, an address).
        data: What stands behind the identifier.
        more_follow: Whether there are data that did not fit.
        sequence: Number of a piece that follows the first; ``None`` for the first.
    """

    address: str
    edition: Edition | None
    function: int
    identifier: int | None = None
    data: bytes = b""
    more_follow: bool = False
    sequence: int | None = None

    @property
    def own_address(self) -> str | None:
        """The address a meter has told when it was asked for it."""
        if self.function != control.READ_ADDRESS_2007 or len(self.data) != _ADDRESS_SIZE:
            return None
        return decode_address(self.data)


def decode_answer(frame: Frame) -> Answer:
    """Return what a frame answers.

    Raises:
        ProtocolError: It is a request (kind ``unsupported``), or ends too early (``truncated``).
        DeviceError: The meter refuses; ``code`` is its error byte.
    """
    if not frame.is_reply:
        raise ProtocolError(f"a request to {control.function_name(frame)}, not an answer", kind="unsupported")
    if frame.is_refusal:
        raise control.refusal(frame)
    edition = _READS.get(frame.function)
    if edition is None:
        return Answer(frame.address, control.edition_of(frame), frame.function, None, frame.data, frame.more_follow)
    size = edition.identifier_size
    data, sequence = frame.data, None
    if len(data) < size:
        raise ProtocolError(f"{len(data)} bytes of data hold no identifier of {size}", kind="truncated")
    if frame.function == control.READ_ON_2007:
        if len(data) == size:
            raise ProtocolError("a piece that follows has no number", kind="truncated")
        data, sequence = data[:-1], data[-1]
    identifier = int.from_bytes(data[:size], "little")
    return Answer(frame.address, edition, frame.function, identifier, data[size:], frame.more_follow, sequence)


def decode_request(frame: Frame) -> tuple[Edition, int, int | None] | None:
    """Return edition, identifier and number of the piece that a master's frame asks for; ``None`` if it reads none."""
    edition = _READS.get(frame.function)
    if frame.is_reply or edition is None or len(frame.data) < edition.identifier_size:
        return None
    size = edition.identifier_size
    sequence = frame.data[size] if frame.function == control.READ_ON_2007 and len(frame.data) > size else None
    return edition, int.from_bytes(frame.data[:size], "little"), sequence


class Record(msgspec.Struct, frozen=True):
    """One value of an answer.

    Attributes:
        identifier: By which it was read.
        item: What it is; ``None`` where the tables have no such identifier, or another length than was sent.
        value: Exact; ``None`` if the meter has none, or there is no item.
        time: When it was so, where the meter says it (maximum demand).
        data: The bytes as sent, without the 33.
    """

    identifier: int
    item: Item | None
    value: ItemValue
    time: MeterTime | None
    data: bytes


def decode_records(edition: Edition, identifier: int, data: bytes, words: Dictionary | None = None) -> list[Record]:
    """Return the values of an answer, in the order they were sent.

    What the tables do not know, and what has not the length they say, is one record without an item: its bytes are
    kept, its meaning is not guessed.

    Args:
        edition: The standard the meter speaks.
        identifier: What was asked for.
        data: What stands behind the identifier; of an answer in pieces all of them together.
        words: The identifiers of this kind of meter; the standard's if left out.
    """
    items = (words or STANDARD[edition]).layout(identifier)
    found: list[Record] = []
    at = 0
    for item in items:
        part = data[at : at + item.format.size]
        if not part:
            break
        if len(part) < item.format.size:
            break
        value, time = decode_value(item.format, part)
        found.append(Record(item.identifier, item, value, time, part))
        at += len(part)
    rest = data[at:]
    if found and (not rest or (edition is Edition.E1997 and len(items) > 1 and rest == END_OF_BLOCK)):
        return found
    return [Record(identifier, None, None, None, data)]


def raw_text(edition: Edition, record: Record) -> str:
    """Return a record as it was sent: identifier, a hyphen, the data high byte first, in hexadecimal."""
    return f"{show(edition, record.identifier)}-{record.data[::-1].hex().upper()}"
