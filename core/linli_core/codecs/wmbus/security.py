"""How meters protect what they send by radio: AES, by three schemes (EN 13757-4, EN 13757-7, OMS vol. 2).

=========  ========================================================================  =================================
scheme     key and start value                                                       how a wrong key shows
=========  ========================================================================  =================================
mode 5     AES-CBC; start value M A and eight times the access number                 plain text starts with 2F 2F
mode 7     AES-CBC, start value 0; key AES-CMAC of 00, counter, meter number, 07×7    2F 2F; the message's own AES-CMAC
ELL        AES-CTR; first counter M A, CC, session number, 00 00, 00                  checksum of the plain payload
=========  ========================================================================  =================================

Records made of a cipher could pass for values: what does not show its own proof is never decoded.
"""

from typing import Final

import msgspec

from linli_core.ciphers import Ciphers
from linli_core.codecs.mbus.header import UNCOUNTED_MODES, decode_manufacturer
from linli_core.codecs.wmbus.crc import crc16
from linli_core.codecs.wmbus.layers import EXTENDED_MODE, Authentication, ExtendedLink, Transport
from linli_core.errors import ChecksumError, ProtocolError

KEY_SIZE: Final = 16
BLOCK: Final = 16
PROOF: Final = b"\x2f\x2f"
"""What a decrypted text starts with: two fillers."""

CBC_MODE: Final = 5

FACTORY_KEYS: Final = {"DME": (bytes.fromhex("51728910E66D83F8" * 2),), "HYD": (bytes.fromhex("51728910E66D83F8" * 2),)}
"""Manufacturer → keys of the meters that nobody gave another; a meter with a key of its own is read with that alone."""

_DERIVATION_A: Final = 1

_ENCRYPTION: Final = 0x00
_AUTHENTICATION: Final = 0x01
"""First byte of what an ephemeral key of mode 7 is derived from (OMS vol. 2, key derivation A)."""


class KeyFault(ProtocolError):
    """The telegram is encrypted and there is no key for it, or the key is another."""

    kind = "key"


def derived_key(ciphers: Ciphers, key: bytes, use: int, counter: bytes, number: bytes) -> bytes:
    """Return an ephemeral key of mode 7; counter and meter number as they are sent, low byte first."""
    return ciphers.cmac(key, bytes((use,)) + counter + number + b"\x07" * 7)


def encryption_key(ciphers: Ciphers, key: bytes, counter: bytes, number: bytes) -> bytes:
    """Return the ephemeral key that a message of mode 7 is encrypted with."""
    return derived_key(ciphers, key, _ENCRYPTION, counter, number)


def message_code(
    ciphers: Ciphers, key: bytes, layer: Authentication, number: bytes, message: bytes, size: int
) -> bytes:
    """Return the authentication code of a message.

    It covers the layer's control, counter and length fields as far as they are sent, and the message from its CI
    field on as it went over the air (OMS vol. 2, authentication).
    """
    own = derived_key(ciphers, key, _AUTHENTICATION, layer.counter, number)
    covered = bytes((layer.control,)) + layer.counter + layer.length + message
    return ciphers.cmac(own, covered)[:size]


def open_payload(ciphers: Ciphers, key: bytes | None, link: ExtendedLink, sender: bytes, payload: bytes) -> bytes:
    """Return what is behind an extended link layer with session number, in plain and with its checksum proved.

    The cipher covers the checksum too (EN 13757-4, extended link layer). Receivers that decrypt hand both on in plain,
    which the checksum proves as well; with a key only what the key opens is taken.

    Raises:
        KeyFault: The checksum is wrong: no key, the wrong one, or bytes were changed.
    """
    if link.encryption > 1:
        raise ProtocolError(f"encryption {link.encryption} of the extended link layer", kind="unsupported")
    if link.encryption and key is not None:
        start = sender + bytes((link.communication,)) + link.session + b"\x00\x00\x00"
        plain = ciphers.ctr(key, start, link.payload_crc + payload)
        if _checksum(plain[2:]) == plain[:2]:
            return plain[2:]
        raise KeyFault("the payload's checksum is wrong: wrong key, or the bytes were changed")
    if _checksum(payload) == link.payload_crc:
        return payload
    if link.encryption:
        raise KeyFault("the payload is encrypted, and no key is given for this meter")
    raise ChecksumError("the payload's checksum is wrong")


def _checksum(data: bytes) -> bytes:
    """Return the checksum as this layer sends it: low byte first, other than those of the blocks."""
    return crc16(data).to_bytes(2, "little")


class Protected(msgspec.Struct, frozen=True):
    """What a transport header is followed by, and what is needed to open it.

    Attributes:
        header: The transport header.
        address: M, A, V, T of the meter: the long header's own, else the link layer's.
        data: Everything behind the header.
        message: From the header's CI field on, as it went over the air.
        layer: The authentication layer in front, if there is one.
    """

    header: Transport
    address: bytes
    data: bytes
    message: bytes
    layer: Authentication | None = None


def open_records(ciphers: Ciphers, key: bytes | None, sealed: Protected, at: int) -> tuple[bytes, bool]:
    """Return the records behind a transport header in plain, and whether the meter's own key opened them.

    Receivers that decrypt hand on text that starts with the proof: without a key it is taken, with one only what the
    key opens.

    Raises:
        KeyFault: No key, the wrong one, or bytes were changed.
        ProtocolError: A mode that is not known here (``unsupported``), or fewer blocks than the header says.
    """
    header, data = sealed.header, sealed.data
    size = header.blocks * BLOCK
    if header.mode == 0 or not (size or header.mode in UNCOUNTED_MODES):
        return data, False
    if header.mode in (CBC_MODE, EXTENDED_MODE) and size > len(data):
        raise ProtocolError(f"{size} bytes are encrypted, there are {len(data)}", kind="truncated", offset=at)
    if key is None and data[:2] == PROOF:
        return data, False
    if header.mode in (CBC_MODE, EXTENDED_MODE):
        for each in _keys(key, sealed):
            plain = _decrypt(ciphers, each, sealed, data[:size])
            if plain[:2] == PROOF:
                return plain + data[size:], key is not None
    if header.mode not in (CBC_MODE, EXTENDED_MODE):
        raise ProtocolError(f"security mode {header.mode} is not known", kind="unsupported", offset=at)
    if key is None:
        raise KeyFault(f"{size} bytes are encrypted (mode {header.mode}), and no key is given for this meter")
    raise KeyFault("what the key decrypts does not start with 2F 2F: wrong key, or the bytes were changed")


def _decrypt(ciphers: Ciphers, key: bytes, sealed: Protected, data: bytes) -> bytes:
    if sealed.header.mode == CBC_MODE:
        start = sealed.address + bytes((sealed.header.access_number,)) * 8
        return ciphers.cbc_decrypt(key, start, data)
    layer = sealed.layer
    if layer is None or not layer.counter or not layer.mac:
        raise ProtocolError("mode 7 without counter and code of the message", kind="unsupported")
    if sealed.header.extension >> 4 & 0x03 != _DERIVATION_A:
        raise ProtocolError(f"key derivation of extension {sealed.header.extension:02X}", kind="unsupported")
    number = sealed.address[2:6]
    if message_code(ciphers, key, layer, number, sealed.message, len(layer.mac)) != layer.mac:
        raise KeyFault("the message's authentication code is wrong: wrong key, or the bytes were changed")
    return ciphers.cbc_decrypt(encryption_key(ciphers, key, layer.counter, number), bytes(BLOCK), data)


def _keys(key: bytes | None, sealed: Protected) -> tuple[bytes, ...]:
    """Return the keys to try: the meter's own, or those it may have left the factory with."""
    if key is not None:
        return (key,)
    return FACTORY_KEYS.get(_maker(sealed.address), ()) if sealed.header.mode == CBC_MODE else ()


def _maker(address: bytes) -> str:
    return decode_manufacturer(address[:2])
