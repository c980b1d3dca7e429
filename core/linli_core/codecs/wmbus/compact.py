"""Compact frames: the data without their headers, which an earlier full frame told (OMS vol. 2, EN 13757-3 annex).

::

    79   signature 2   checksum 2   data of all records, one behind the other

The signature is the checksum of all DIF and VIF bytes in their order, the checksum that of the full frame's records.
Once a full frame was heard its format is known; that a format fits is proved by both. Both are checksums, which
somebody can make to fit: who listens to strangers keeps the formats of each meter apart.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from linli_core.codecs.mbus.record import Record
from linli_core.codecs.mbus.record_header import parse_header
from linli_core.codecs.wmbus.crc import crc16
from linli_core.errors import ChecksumError, ProtocolError

HEADER: Final = 4
KEPT: Final = 256
"""Formats remembered: a building has meters of a few models, each with a handful of telegrams."""

LONGEST_FORMAT: Final = 255

Format = tuple[bytes, ...]
"""DIF and VIF of each record, in order."""

KNOWN: Final = (
    "02FF20 0413 4413 615B 6167",  # Kamstrup Multical 21: A8ED
    "030E 430E 0313 426C 022D 01FF21",  # Kamstrup Multical 302: 52C2
    "0404 04843C 042B 04AB3C",  # Kamstrup Omnipower: 8C13
    "0306 4306 0314 426C 022D 01FF21",  # Kamstrup Multical 302: F1E7
    "02F9FF15 0406 04EEFF07 04EEFF08 0414 844014 84804014 02FD17 026C 426C 4406 4414 C44014 C4804014 043B 0259 025D",
)
"""Formats known before a full frame is heard, headers in hexadecimal. Meters send full frames every few minutes, but a
receiver at the edge of reach may wait for one for days. Each was proved by signature and checksum of a recorded frame.
"""


class UnknownFormat(ProtocolError):
    """A compact frame whose full frame was not heard yet."""

    kind = "format"


class Formats:
    """The formats of full frames heard, by their signature; the oldest unused one is forgotten first."""

    def __init__(self) -> None:
        self._formats: OrderedDict[int, Format] = OrderedDict()
        for each in KNOWN:
            self.learn_headers(tuple(bytes.fromhex(header) for header in each.split()))

    def __len__(self) -> int:
        return len(self._formats)

    def learn(self, records: Iterable[Record]) -> None:
        """Remember the format of a full frame; one with records of variable length has none."""
        headers: list[bytes] = []
        for record in records:
            if record.header.size is None:
                return
            headers.append(record.header.dib + record.header.vib)
        if headers:
            self.learn_headers(tuple(headers))

    def learn_headers(self, headers: Format) -> None:
        """Remember a format by its records' DIF and VIF."""
        joined = b"".join(headers)
        if len(joined) > LONGEST_FORMAT:
            return
        signature = crc16(joined)
        self._formats[signature] = headers
        self._formats.move_to_end(signature)
        if len(self._formats) > KEPT:
            self._formats.popitem(last=False)

    def get(self, signature: int) -> Format | None:
        """Return the format of a signature."""
        found = self._formats.get(signature)
        if found is not None:
            self._formats.move_to_end(signature)
        return found


def expand(data: bytes, formats: Formats) -> bytes:
    """Return the records of the full frame that the data behind CI 79 stand for.

    Raises:
        UnknownFormat: No full frame with this signature was heard.
        ChecksumError: The records it makes are not those the meter meant.
        ProtocolError: The data are fewer or more than the format's.
    """
    if len(data) < HEADER:
        raise ProtocolError(
            f"a compact frame has {HEADER} bytes before its data, there are {len(data)}", kind="truncated"
        )
    signature, checksum = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
    headers = formats.get(signature)
    if headers is None:
        raise UnknownFormat(f"no full frame with signature {signature:04X} was heard yet")
    full, at = bytearray(), HEADER
    for header in headers:
        size = parse_header(header).size or 0
        full += header + data[at : at + size]
        at += size
    if at != len(data):
        raise ProtocolError(f"format {signature:04X} has {at - HEADER} bytes of data, there are {len(data) - HEADER}")
    if crc16(bytes(full)) != checksum:
        raise ChecksumError(f"the records of format {signature:04X} do not have the checksum {checksum:04X}")
    return bytes(full)
