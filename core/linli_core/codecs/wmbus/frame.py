"""The radio meters' link layer: block checksums in two formats, and who sends (EN 13757-4, data link layer).

::

    L C M M A A A A A A CI data…

``L`` counts the bytes behind it: without checksums in format A, with them in format B. Most receivers take the
checksums out and hand on the bare telegram, in which ``L`` counts what is there; both are taken, and checksums that
are there are verified before anything is read.

::

    format A   10 bytes CRC, then 16 bytes CRC…, the last block as long as it is
    format B   up to 126 bytes CRC, then the rest CRC; blocks 1 and 2 share the first checksum

Both need the L field right: a telegram is as long as it says, or it is refused.
"""

from enum import StrEnum
from typing import Final

import msgspec

from linli_core.codecs.mbus.header import Identity, decode_identity
from linli_core.codecs.wmbus.crc import crc_bytes
from linli_core.errors import ChecksumError, ProtocolError

SHORTEST: Final = 10
"""The least ``L`` there can be: C, M, A and CI."""

LONGEST: Final = 0xFF
LONGEST_ON_AIR: Final = 1 + LONGEST + 2 * 17
"""Bytes of the longest telegram with the checksums of format A."""

_FIRST_BLOCK: Final = 10
_BLOCK: Final = 16
_B_FIRST: Final = 126
"""Bytes in front of the first checksum of format B, the L field included."""

MANY: Final = 16
"""Telegrams one after the other in one piece; more is nobody's."""


class Checksums(StrEnum):
    """How the block checksums of a telegram are laid out."""

    NONE = "none"
    A = "A"
    B = "B"
    LAST = "last"
    """Of format A the last block's only, which ``L`` counts: some receivers take out all but that one."""


CONTROLS: Final = {
    0x44: "SND_NR: sends, wants no reply",
    0x46: "SND_IR: installation, wants to be adopted",
    0x47: "ACC_NR: alive, no data",
    0x48: "ACC_DMD: wants to be asked",
    0x08: "RSP_UD: answers with data",
    0x18: "RSP_UD: answers with data",
    0x28: "RSP_UD: answers with data",
    0x38: "RSP_UD: answers with data",
}
"""C fields of a meter."""


class LinkFrame(msgspec.Struct, frozen=True):
    """A telegram without its checksums.

    Attributes:
        control: The C field.
        sender: Who sends by radio: the meter, or the module that sends for it.
        ci: The first CI field.
        data: What is behind it.
        header: The bytes M and A as sent: they go into the keys' start values.
        checksums: What was verified.
    """

    control: int
    sender: Identity
    ci: int
    data: bytes
    header: bytes
    checksums: Checksums = Checksums.NONE

    @property
    def sender_bytes(self) -> bytes:
        """M and A as sent: manufacturer 2, number 4, version, medium."""
        return self.header


def decode_frame(data: bytes, checksums: Checksums | None = None) -> LinkFrame:
    """Return one telegram, its checksums verified where it has some.

    Args:
        data: The bytes from the L field on, all of them.
        checksums: What the receiver hands on; ``None`` to tell by the length.

    Raises:
        ChecksumError: A block's checksum is wrong.
        ProtocolError: The bytes are not as many as ``L`` says (``truncated``, ``malformed``).
    """
    bare, found = strip_checksums(data, checksums)
    return LinkFrame(bare[1], decode_sender(bare[2:10]), bare[10], bare[11:], bare[2:10], found)


def decode_sender(header: bytes) -> Identity:
    """Return the identity of the link layer's eight bytes: manufacturer first, as nowhere else."""
    return decode_identity(header[2:6] + header[:2] + header[6:8])


def encode_sender(identity: Identity) -> bytes:
    """Undo :func:`decode_sender`."""
    wired = identity.encode()
    return wired[4:6] + wired[:4] + wired[6:8]


def strip_checksums(data: bytes, checksums: Checksums | None = None) -> tuple[bytes, Checksums]:
    """Return a telegram from L on without checksums, L counting what is left, and which format they had."""
    if not data:
        raise ProtocolError("there are no bytes", kind="truncated")
    if len(data) > LONGEST_ON_AIR:
        raise ProtocolError(f"{len(data)} bytes; the longest telegram has {LONGEST_ON_AIR}", kind="too_long")
    length = data[0]
    if length < SHORTEST:
        raise ProtocolError(f"L is {length}, the least is {SHORTEST}", offset=0)
    match checksums or _told_by_length(data):
        case Checksums.A:
            return _strip_a(data), Checksums.A
        case Checksums.B:
            return _strip_b(data), Checksums.B
        case Checksums.LAST:
            return _strip_last(data), Checksums.LAST
        case _:
            _check_length(data, length + 1)
            return data, Checksums.NONE


def split(data: bytes) -> list[bytes]:
    """Return the telegrams without checksums that stand one behind the other in some bytes.

    Raises:
        ProtocolError: The last one is shorter than it says (``truncated``), or there are too many.
    """
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if len(found) == MANY:
            raise ProtocolError(f"more than {MANY} telegrams in one piece", kind="too_long", offset=at)
        end = at + 1 + data[at]
        if end > len(data):
            raise ProtocolError(f"L wants {end - len(data)} bytes more than there are", kind="truncated", offset=at)
        found.append(data[at:end])
        at = end
    return found


def on_air_a(length: int) -> int:
    """Return how many bytes a telegram of format A has with its checksums."""
    rest = length + 1 - _FIRST_BLOCK
    return length + 1 + 2 + 2 * -(-rest // _BLOCK)


def add_checksums(data: bytes, checksums: Checksums) -> bytes:
    """Return a bare telegram as it goes over the air; ``ValueError`` if it has no room for the checksums."""
    if checksums is Checksums.A:
        blocks = [data[:_FIRST_BLOCK]] + [data[at : at + _BLOCK] for at in range(_FIRST_BLOCK, len(data), _BLOCK)]
        return b"".join(block + crc_bytes(block) for block in blocks)
    if checksums is Checksums.B:
        total = len(data) + (2 if len(data) <= _B_FIRST else 4)
        if total - 1 > LONGEST:
            raise ValueError(f"{len(data)} bytes leave no room for checksums in format B")
        data = bytes((total - 1,)) + data[1:]
        first, rest = data[:_B_FIRST], data[_B_FIRST:]
        return first + crc_bytes(first) + (rest + crc_bytes(rest) if rest else b"")
    return data


def blocks_of(data: bytes, checksums: Checksums) -> list[tuple[int, int]]:
    """Return where the blocks of a telegram begin and end; behind each stands its checksum."""
    size = len(data)
    match checksums:
        case Checksums.A:
            starts = [0, *range(_FIRST_BLOCK + 2, size, _BLOCK + 2)]
            return [(start, end - 2) for start, end in zip(starts, [*starts[1:], size], strict=True)]
        case Checksums.B:
            end = min(size - 2, _B_FIRST)
            return [(0, end)] + ([(end + 2, size - 2)] if end + 2 < size else [])
        case Checksums.LAST:
            return [(0, size - 2)]
        case _:
            return [(0, size)]


def _told_by_length(data: bytes) -> Checksums:
    """Return the format of a telegram of unknown making.

    With the checksums of format A there are more bytes than ``L`` counts. A bare telegram is exactly as long as
    ``L`` says, and so is one of format B, or one that was left its last checksum: it is taken for those if the
    checksum is right. By chance that happens to one bare telegram in 30 000, and what is lost then are its last two
    bytes: its records end in the middle, or its encrypted part does not come out even. The other way round a telegram
    of format B with a wrong checksum looks bare: who knows what the receiver hands on says so.
    """
    if len(data) == on_air_a(data[0]):
        return Checksums.A
    if len(data) == data[0] + 1:
        first = data[: _B_FIRST + 2]
        if len(first) > SHORTEST + 2 and crc_bytes(first[:-2]) == first[-2:]:
            return Checksums.B
        if len(data) > SHORTEST + 2 and crc_bytes(data[_last_block(data) : -2]) == data[-2:]:
            return Checksums.LAST
    return Checksums.NONE


def _check_length(data: bytes, wanted: int) -> None:
    if len(data) < wanted:
        raise ProtocolError(f"L wants {wanted} bytes, there are {len(data)}", kind="truncated", offset=0)
    if len(data) > wanted:
        raise ProtocolError(f"L wants {wanted} bytes, there are {len(data)}", offset=0)


def _strip_a(data: bytes) -> bytes:
    _check_length(data, on_air_a(data[0]))
    bare = bytearray()
    at, size = 0, _FIRST_BLOCK
    while at < len(data):
        end = min(at + size, len(data) - 2)
        _verify(data, at, end)
        bare += data[at:end]
        at, size = end + 2, _BLOCK
    return bytes(bare)


def _strip_b(data: bytes) -> bytes:
    _check_length(data, data[0] + 1)
    if len(data) < SHORTEST + 3:
        raise ProtocolError("format B has no room for a checksum", kind="truncated", offset=0)
    end = min(len(data) - 2, _B_FIRST)
    _verify(data, 0, end)
    bare = data[:end]
    rest = data[end + 2 :]
    if rest:
        if len(rest) < 3:
            raise ProtocolError("the second block of format B has no data", kind="truncated", offset=end + 2)
        _verify(data, end + 2, len(data) - 2)
        bare += rest[:-2]
    return bytes((len(bare) - 1,)) + bare[1:]


def _last_block(data: bytes) -> int:
    """Return where the last block of format A begins in a telegram that has only its checksum, at the end."""
    rest = len(data) - 2 - _FIRST_BLOCK
    return len(data) - 2 - ((rest - 1) % _BLOCK + 1) if rest > 0 else 0


def _strip_last(data: bytes) -> bytes:
    _check_length(data, data[0] + 1)
    if len(data) < SHORTEST + 3:
        raise ProtocolError("there is no room for a checksum", kind="truncated", offset=0)
    _verify(data, _last_block(data), len(data) - 2)
    return bytes((data[0] - 2,)) + data[1:-2]


def _verify(data: bytes, start: int, end: int) -> None:
    wanted, found = crc_bytes(data[start:end]), data[end : end + 2]
    if wanted != found:
        raise ChecksumError(
            f"block checksum {found.hex().upper()}, the bytes {start} to {end - 1} give {wanted.hex().upper()}",
            offset=end,
        )
