r"""P1 telegrams in a stream of bytes.

::

    /XXX5\2identification\r\n\r\n data sets \r\n!CRC\r\n

CRC is CRC-16 (polynomial A001 reflected, start 0) over ``/`` to ``!``, both included, as four hexadecimal digits; some
meters drop leading zeros, and versions before 4 send none. A telegram without one is only taken where its version
allows that and the line has never carried one. After a false start the reader goes on one byte further.
"""

import re
from typing import Final

import msgspec

from linli_core.codec import NEED_DATA, NeedData
from linli_core.codecs.crc import remainder, table_of
from linli_core.codecs.iec62056.dataset import DataSet, parse_data
from linli_core.codecs.iec62056.frame import without_parity
from linli_core.codecs.stream import MISSING, StreamReader, check_end, cut_off
from linli_core.errors import ChecksumError, ProtocolError

LONGEST: Final = 16 * 1024
"""Bytes of the longest telegram; version 5 has under two thousand, with two messages of 1024 characters six."""

BUFFER: Final = 2 * LONGEST

_VERSION_WITH_CRC: Final = 40
_VERSION: Final = ("1-3:0.2.8", "0-0:96.1.4")
"""Where the version stands: ``50``, or in Belgium ``50217``."""

_START: Final = re.compile(rb"/[A-Za-z0-9]{3}")
_END: Final = re.compile(rb"!(?P<crc>[0-9A-Fa-f]{0,4})(?P<line_end>\r?\n)?")
_AGAIN: Final = re.compile(rb"\n/[A-Za-z0-9]{3}")
_HEAD: Final = re.compile(rb"/(?P<line>[\x20-\x7e]{3,64})\r?\n\r?\n")


_CRC: Final = table_of(0xA001)


def crc16(data: bytes) -> int:
    """Return the CRC-16 of P1: polynomial A001 reflected, start 0, no final exclusive or."""
    return remainder(data, _CRC, 0)


class Telegram(msgspec.Struct, frozen=True):
    """One telegram.

    Attributes:
        identification: The first line without its slash.
        datasets: In the order sent.
        crc: The CRC it was sent with, which is right; ``None``: sent without one.
    """

    identification: str
    datasets: tuple[DataSet, ...]
    crc: int | None = None

    @property
    def maker(self) -> str:
        """Three letters."""
        return self.identification[:3]

    @property
    def version(self) -> str:
        """The version of the interface as the telegram says it; empty if it does not."""
        return _version(self.datasets)


class TelegramReader(StreamReader[Telegram]):
    """Finds telegrams in a stream of bytes.

    Attributes:
        checked: Whether a telegram with a CRC has come; from then on none is taken without.
        parity: Whether bytes carry an even parity bit on top (a converter at 8N1 before a version 2 or 3 meter).
    """

    def __init__(self, *, parity: bool = False) -> None:
        super().__init__(BUFFER, "telegram")
        self.checked = False
        self.parity = parity

    def receive(self, data: bytes, /) -> None:
        """See :meth:`linli_core.codecs.stream.ByteBuffer.receive`."""
        super().receive(without_parity(data) if self.parity else data)

    def next_event(self) -> Telegram | NeedData:
        """See :meth:`linli_core.codecs.stream.StreamReader.next_event`; a missing CRC is a ``ChecksumError``."""
        telegram = super().next_event()
        self.checked = self.checked or (telegram is not NEED_DATA and telegram.crc is not None)
        return telegram

    def _find(self, buffer: bytearray, /) -> int:
        return buffer.find(b"/")

    def _parse(self, buffer: bytearray, /) -> tuple[Telegram | None, int]:
        return _parse(bytes(buffer), ended=self._ended, checked=self.checked) or MISSING


def decode_telegram(data: bytes) -> Telegram:
    """Return the telegram that a byte string is, no byte more or less; ``ProtocolError`` if it is none."""
    if not data:
        raise ProtocolError("there are no bytes", kind="truncated")
    telegram, size = _parse(data, ended=True, checked=False) or MISSING
    if telegram is None:
        raise cut_off("telegram", len(data), size)
    check_end(data, size, "telegram")
    return telegram


def _parse(data: bytes, *, ended: bool, checked: bool) -> tuple[Telegram, int] | None:
    """Return the telegram at the very start and its size; ``None`` while bytes are missing."""
    if len(data) < 4:
        if data[:1] == b"/" and (len(data) == 1 or data[1:].isalnum()):
            return None
        raise ProtocolError("a telegram starts with a slash and three letters", offset=0)
    if _START.match(data) is None:
        raise ProtocolError("a telegram starts with a slash and three letters", offset=0)
    again = _AGAIN.search(data, 1)
    end = _END.search(data)
    if again is not None and (end is None or again.start() < end.start()):
        raise ProtocolError("the next telegram begins before this one ends", kind="truncated", offset=again.start() + 1)
    if end is None:
        if len(data) > LONGEST:
            raise ProtocolError(f"no end within {LONGEST} bytes", kind="too_long")
        return None
    if (crc := _complete(data, end, ended=ended)) is None:
        return None
    return _checked(data[: end.start() + 1], crc, end.end(), checked=checked)


def _complete(data: bytes, end: re.Match[bytes], *, ended: bool) -> bytes | None:
    """Return the digits of the CRC once they are all there; ``None`` while more may come."""
    digits, line_end = end["crc"], end["line_end"]
    after = data[end.end() : end.end() + 2]
    if line_end is None:
        if len(digits) == 4:
            return digits
        if after in {b"", b"\r"}:
            # Fewer than four digits are only known to be all when their line ends.
            return digits if ended and digits and not after else None
        raise ProtocolError("what follows the exclamation mark is no CRC", offset=end.end())
    if not digits and line_end == b"\n" and b"\r\n" in data[: end.start()]:
        raise ProtocolError("the last line does not end as the others do", offset=end.end() - 1)
    return digits


def _checked(body: bytes, digits: bytes, size: int, *, checked: bool) -> tuple[Telegram, int]:
    at = len(body)
    crc = None
    if digits:
        crc, wanted = int(digits, 16), crc16(body)
        if crc != wanted:
            raise ChecksumError(f"the CRC is {digits.decode()}, the bytes give {wanted:04X}", offset=at)
    head = _HEAD.match(body)
    if head is None:
        raise ProtocolError("the identification is a line of its own, with an empty one behind it", offset=1)
    try:
        datasets = tuple(_moved(parse_data(body[head.end() : -1]), head.end()))
    except ProtocolError as exc:
        raise ProtocolError(f"behind the identification: {exc}", kind=exc.kind) from exc
    if crc is None and (checked or _needs_crc(_version(datasets))):
        raise ChecksumError("the telegram carries no CRC", offset=at)
    return Telegram(head["line"].decode("ascii"), datasets, crc), size


def _moved(datasets: list[DataSet], offset: int) -> list[DataSet]:
    return [DataSet(item.identifier, item.values, item.offset + offset, item.size) for item in datasets]


def _version(datasets: tuple[DataSet, ...]) -> str:
    return next((item.values[0].strip() for item in datasets if item.identifier in _VERSION), "")


def _needs_crc(version: str) -> bool:
    return version[:2].isascii() and version[:2].isdigit() and int(version[:2]) >= _VERSION_WITH_CRC
