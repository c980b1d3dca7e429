"""What meter codecs need of cryptography, as an interface: core itself imports no cryptography.

The gateway hands codecs an implementation (:mod:`linli_edge.ciphers`). Keys are 16 bytes throughout (AES-128).
"""

from typing import Protocol


class WrongTag(ValueError):
    """An authentication tag does not match: wrong key, or bytes that were changed on the way."""


class Ciphers(Protocol):
    """AES-128 in the modes that meters use."""

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        """Return the plain text of whole blocks; nothing is unpadded. ``ValueError`` for other lengths."""
        ...

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        """Undo :meth:`cbc_decrypt`."""
        ...

    def ctr(self, key: bytes, counter: bytes, data: bytes) -> bytes:
        """Encrypt or decrypt (the same) in counter mode from a first counter block of 16 bytes."""
        ...

    def cmac(self, key: bytes, data: bytes) -> bytes:
        """Return the 16 bytes of AES-CMAC (RFC 4493)."""
        ...

    def gcm_decrypt(self, key: bytes, iv: bytes, data: bytes, aad: bytes, tag: bytes) -> bytes:
        """Return the plain text of AES-GCM; a tag may be cut to 12 bytes; raise :class:`WrongTag` if it is another."""
        ...

    def gcm_encrypt(self, key: bytes, iv: bytes, data: bytes, aad: bytes, tag_length: int = 12) -> tuple[bytes, bytes]:
        """Return cipher text and tag."""
        ...
