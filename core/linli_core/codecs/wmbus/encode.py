"""The meter's side: telegrams in every protection, for simulators and tests."""

from enum import IntEnum
from typing import Final

import msgspec

from linli_core.ciphers import Ciphers
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.record import FILLER, parse_records
from linli_core.codecs.wmbus.crc import crc16
from linli_core.codecs.wmbus.frame import encode_sender
from linli_core.codecs.wmbus.layers import MAC_SIZE, Authentication, WirelessCi
from linli_core.codecs.wmbus.security import BLOCK, encryption_key, message_code

SEND: Final = 0x44
"""C field: sends, wants no reply."""

_AUTHENTICATION_TYPE: Final = 5
_ENCRYPTED_SESSION: Final = 1 << 29


class Mode(IntEnum):
    """How a telegram's records are protected."""

    NONE = 0
    CBC = 5
    CBC_DERIVED = 7


class Meter(msgspec.Struct, frozen=True):
    """Who sends a telegram, and where it stands in its counting.

    Attributes:
        identity: The meter.
        access_number: Counts the telegrams, modulo 256.
        status: The status byte.
        module: Who sends for the meter by radio; the meter then names itself in a long header.
    """

    identity: Identity
    access_number: int = 0
    status: int = 0
    module: Identity | None = None

    @property
    def sender(self) -> bytes:
        """M, A, V, T of the link layer."""
        return encode_sender(self.module or self.identity)

    @property
    def address(self) -> bytes:
        """M, A, V, T of the meter, which start values are made of."""
        return encode_sender(self.identity)

    def header(self, configuration: int, extension: bytes = b"") -> bytes:
        """Return CI field and transport header."""
        own = self.identity.encode() if self.module else b""
        ci = WirelessCi.LONG_HEADER if self.module else WirelessCi.SHORT_HEADER
        tail = bytes((self.access_number & 0xFF, self.status)) + configuration.to_bytes(2, "little") + extension
        return bytes((ci,)) + own + tail


def encode_frame(sender: bytes, content: bytes, control: int = SEND) -> bytes:
    """Return a telegram without checksums; ``content`` begins with a CI field; ``ValueError`` if it is too long."""
    body = bytes((control,)) + sender + content
    if len(body) > 0xFF:
        raise ValueError(f"{len(body)} bytes do not fit into one telegram; 255 do")
    return bytes((len(body),)) + body


def encode_plain(meter: Meter, records: bytes) -> bytes:
    """Return a telegram that is not protected."""
    return encode_frame(meter.sender, meter.header(0) + records)


def encode_cbc(meter: Meter, records: bytes, ciphers: Ciphers, key: bytes) -> bytes:
    """Return a telegram in security mode 5."""
    padded = pad(records)
    start = meter.address + bytes((meter.access_number & 0xFF,)) * 8
    sealed = ciphers.cbc_encrypt(key, start, padded)
    return encode_frame(meter.sender, meter.header(_configuration(Mode.CBC, padded)) + sealed)


def encode_derived(meter: Meter, records: bytes, ciphers: Ciphers, key: bytes, counter: int) -> bytes:
    """Return a telegram in security mode 7 with the layer that authenticates it."""
    padded = pad(records)
    sent = counter.to_bytes(4, "little")
    number = meter.address[2:6]
    sealed = ciphers.cbc_encrypt(encryption_key(ciphers, key, sent, number), bytes(BLOCK), padded)
    message = meter.header(_configuration(Mode.CBC_DERIVED, padded), b"\x10") + sealed
    size = MAC_SIZE[_AUTHENTICATION_TYPE]
    layer = Authentication(0x20 | _AUTHENTICATION_TYPE, sent)
    code = message_code(ciphers, key, layer, number, message, size)
    fields = b"\x00\x2c" + bytes((layer.control,)) + sent + code
    link = bytes((WirelessCi.ELL_SHORT, 0x20, meter.access_number & 0xFF))
    return encode_frame(meter.sender, link + bytes((WirelessCi.AFL, len(fields))) + fields + message)


def encode_session(meter: Meter, content: bytes, ciphers: Ciphers, key: bytes | None, session: int) -> bytes:
    """Return a telegram with an extended link layer and session number; ``content`` begins with a CI field."""
    number = (session | (_ENCRYPTED_SESSION if key else 0)).to_bytes(4, "little")
    control = 0x20
    sealed = crc16(content).to_bytes(2, "little") + content
    if key is not None:
        sealed = ciphers.ctr(key, meter.sender + bytes((control,)) + number + b"\x00\x00\x00", sealed)
    link = bytes((WirelessCi.ELL_SESSION, control, meter.access_number & 0xFF)) + number
    return encode_frame(meter.sender, link + sealed)


def encode_compact(records: bytes) -> bytes:
    """Return the content, from CI 79 on, of a compact frame that stands for some records."""
    parsed, _ = parse_records(records)
    headers = b"".join(record.header.dib + record.header.vib for record in parsed)
    data = b"".join(record.data for record in parsed)
    signature, checksum = crc16(headers), crc16(records)
    return bytes((WirelessCi.COMPACT,)) + signature.to_bytes(2, "little") + checksum.to_bytes(2, "little") + data


def pad(records: bytes) -> bytes:
    """Return records with two fillers in front, and as many behind as whole blocks need."""
    return (bytes((FILLER, FILLER)) + records).ljust(-(-(len(records) + 2) // BLOCK) * BLOCK, bytes((FILLER,)))


def _configuration(mode: Mode, padded: bytes) -> int:
    blocks = len(padded) // BLOCK
    if blocks > 0x0F:
        raise ValueError(f"{blocks} blocks; the header counts to 15")
    return mode << 8 | blocks << 4
