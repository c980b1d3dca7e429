"""What stands between the link layer and the records: extended link layer, fragmentation, transport header.

::

    8C CC ACC                          extended link layer (EN 13757-4)
    8D CC ACC SN SN SN SN CRC CRC      … with session number: what follows may be encrypted, and has a checksum
    8E CC ACC M M A A A A A A          … with the receiver's address
    8F CC ACC M M A A A A A A SN… CRC  … with both
    90 L FCL FCL [MCL] [KI KI] [MCR×4] [MAC×n] [ML ML]      authentication and fragmentation (OMS vol. 2, EN 13757-7)
    7A ACC ST CF CF [CFE]              short transport header (EN 13757-7)
    72 A A A A M M V T ACC ST CF CF [CFE]   long one: the meter's own identity
    78                                 none; 79 compact frame; A0 to B7 the manufacturer's own
"""

from enum import IntEnum
from typing import Final

import msgspec

from linli_core.codecs.mbus.header import Identity, decode_identity
from linli_core.errors import ProtocolError


class WirelessCi(IntEnum):
    """Control information fields met in meters' radio telegrams."""

    ERROR = 0x70
    LONG_HEADER = 0x72
    NO_HEADER = 0x78
    COMPACT = 0x79
    SHORT_HEADER = 0x7A
    ELL_SHORT = 0x8C
    ELL_SESSION = 0x8D
    ELL_ADDRESS = 0x8E
    ELL_BOTH = 0x8F
    AFL = 0x90


MANUFACTURER_CI: Final = range(0xA0, 0xB8)
"""CI fields behind which all is the manufacturer's."""

_ELL_SIZE: Final = {
    WirelessCi.ELL_SHORT: 2,
    WirelessCi.ELL_SESSION: 8,
    WirelessCi.ELL_ADDRESS: 10,
    WirelessCi.ELL_BOTH: 16,
}

_MORE_FRAGMENTS: Final = 0x4000
_HAS_MCL: Final = 0x2000
_HAS_ML: Final = 0x1000
_HAS_MCR: Final = 0x0800
_HAS_MAC: Final = 0x0400
_HAS_KI: Final = 0x0200

EXTENDED_MODE: Final = 7
"""The security mode whose configuration word has a third byte."""

MAC_SIZE: Final = {4: 4, 5: 8, 6: 12, 7: 16}
"""Authentication type, the low four bits of MCL → bytes of the AES-CMAC that are sent."""


class ExtendedLink(msgspec.Struct, frozen=True):
    """The extended link layer.

    Attributes:
        ci: Which of the four.
        communication: The communication control field.
        access_number: Counts the telegrams, modulo 256.
        session: The session number as sent, empty without one; with the checksum's two bytes behind it the payload
            is protected.
        payload_crc: The checksum as sent, of the payload in plain.
    """

    ci: int
    communication: int
    access_number: int
    session: bytes = b""
    payload_crc: bytes = b""

    @property
    def encryption(self) -> int:
        """The encryption field of the session number: 0 none, 1 AES-CTR."""
        return self.session[3] >> 5 if self.session else 0


class Authentication(msgspec.Struct, frozen=True):
    """The authentication and fragmentation layer.

    Attributes:
        control: The message control field, -1 without one.
        counter: The message counter as sent, empty without one.
        mac: The message authentication code as sent, empty without one.
        length: The message length field as sent, empty without one.
        key_information: The key information field as sent, empty without one.
    """

    control: int = -1
    counter: bytes = b""
    mac: bytes = b""
    length: bytes = b""
    key_information: bytes = b""


class Transport(msgspec.Struct, frozen=True):
    """The transport header.

    Attributes:
        ci: 72 or 7A.
        identity: The meter's own, of the long header.
        address: The bytes M, A, V, T that go into start values: of the long header, empty in the short one.
        access_number, status: As in wired meters.
        configuration: The configuration word.
        extension: Its extension byte of mode 7, -1 in others.
    """

    ci: int
    identity: Identity | None
    address: bytes
    access_number: int
    status: int
    configuration: int
    extension: int = -1

    @property
    def mode(self) -> int:
        """How the data are protected: 0 not, 5 and 7 AES-CBC."""
        return self.configuration >> 8 & 0x1F

    @property
    def blocks(self) -> int:
        """How many blocks of 16 bytes are encrypted."""
        return self.configuration >> 4 & 0x0F


def read_extended_link(ci: int, data: bytes, at: int) -> tuple[ExtendedLink, int]:
    """Return the extended link layer behind its CI field and how many bytes it has; ``at`` is the place for errors."""
    size = _ELL_SIZE[WirelessCi(ci)]
    _need(data, size, "the extended link layer", at)
    if ci not in (WirelessCi.ELL_SESSION, WirelessCi.ELL_BOTH):
        return ExtendedLink(ci, data[0], data[1]), size
    return ExtendedLink(ci, data[0], data[1], data[size - 6 : size - 2], data[size - 2 : size]), size


def read_authentication(data: bytes, at: int) -> tuple[Authentication, int]:
    """Return the authentication layer behind its CI field and how many bytes it has; ``at`` is the place for errors.

    A message in several fragments is refused (kind ``unsupported``): none of what is known to be sent by meters has
    more than one.
    """
    _need(data, 3, "the authentication layer", at)
    size = data[0] + 1
    _need(data, size, "the authentication layer", at)
    control = int.from_bytes(data[1:3], "little")
    if control & _MORE_FRAGMENTS or control & 0xFF not in (0, 1):
        raise ProtocolError("a message in several fragments", kind="unsupported", offset=at)
    place = 3
    fields: dict[int, bytes] = {}
    mac_size = 0
    for bit, count in ((_HAS_MCL, 1), (_HAS_KI, 2), (_HAS_MCR, 4), (_HAS_MAC, -1), (_HAS_ML, 2)):
        if not control & bit:
            continue
        end = place + (mac_size if count < 0 else count)
        fields[bit] = data[place:end]
        place = end
        if bit == _HAS_MCL and place <= size:
            mac_size = MAC_SIZE.get(fields[bit][0] & 0x0F, 0)
    if place != size or (control & _HAS_MAC and not mac_size):
        raise ProtocolError(f"the authentication layer says {size} bytes, its fields have {place}", offset=at)
    mcl = fields.get(_HAS_MCL)
    layer = Authentication(
        mcl[0] if mcl else -1,
        fields.get(_HAS_MCR, b""),
        fields.get(_HAS_MAC, b""),
        fields.get(_HAS_ML, b""),
        fields.get(_HAS_KI, b""),
    )
    return layer, size


def read_transport(ci: int, data: bytes, at: int) -> tuple[Transport, int]:
    """Return the transport header behind its CI field and how many bytes it has; ``at`` is the place for errors."""
    own = 8 if ci == WirelessCi.LONG_HEADER else 0
    size = own + 4
    _need(data, size, "the header", at)
    configuration = int.from_bytes(data[own + 2 : size], "little")
    extension = -1
    if configuration >> 8 & 0x1F == EXTENDED_MODE:
        size += 1
        _need(data, size, "the header", at)
        extension = data[size - 1]
    header = Transport(
        ci,
        decode_identity(data) if own else None,
        data[4:6] + data[:4] + data[6:8] if own else b"",
        data[own],
        data[own + 1],
        configuration,
        extension,
    )
    return header, size


def _need(data: bytes, size: int, what: str, at: int) -> None:
    if len(data) < size:
        raise ProtocolError(f"{what} has {size} bytes, there are {len(data)}", kind="truncated", offset=at)
