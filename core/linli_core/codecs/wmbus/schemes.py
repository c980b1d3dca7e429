"""Ciphers and scramblings of private layouts, by the name a layout gives them."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from linli_core.ciphers import Ciphers
from linli_core.codecs.wmbus import prios
from linli_core.codecs.wmbus.security import BLOCK, KeyFault
from linli_core.errors import ProtocolError


class Sealed(msgspec.Struct, frozen=True):
    """A part of a telegram as it was sent, and what may be needed to open it.

    Attributes:
        header: M, A, V, T of the link layer.
        ci: The CI field in front of it.
        data: The part.
        key: The meter's key, if there is one.
    """

    header: bytes
    ci: int
    data: bytes
    key: bytes | None


Scheme = Callable[[Ciphers, Sealed], bytes]


def open_prios(_: Ciphers, sealed: Sealed) -> bytes:
    """Return a PRIOS payload with what is behind its first four bytes in plain.

    The register starts from the key, the link layer's header and the payload's first bytes. A meter's own key is tried
    first, then the two of the factory; the first plain byte proves it.
    """
    if len(sealed.data) < 5:
        raise ProtocolError(f"a PRIOS payload has five bytes at least, there are {len(sealed.data)}", kind="truncated")
    head = sealed.header + bytes((sealed.ci,)) + sealed.data[:3]
    keys = prios.FACTORY_KEYS if sealed.key is None else (sealed.key[:8], *prios.FACTORY_KEYS)
    for key in keys:
        plain = prios.unscramble(prios.register_start(key, head), sealed.data[4:])
        if plain[0] == prios.PROOF:
            return sealed.data[:4] + plain
    raise KeyFault("no key gives the first byte 4B: the meter has a key of its own, or bytes were changed")


def open_apator_na1(ciphers: Ciphers, sealed: Sealed) -> bytes:
    """Return the payload of an Apator NA-1 with its one block in plain.

    AES-CBC as in security mode 5, the payload's first byte in the access number's place. The plain block starts with
    2F and ends with 80.
    """
    data = sealed.data
    if len(data) < 2 + BLOCK:
        raise ProtocolError(f"the payload has {2 + BLOCK} bytes, there are {len(data)}", kind="truncated")
    if sealed.key is None:
        raise KeyFault("the payload is encrypted, and no key is given for this meter")
    plain = ciphers.cbc_decrypt(sealed.key, sealed.header + data[:1] * 8, data[2 : 2 + BLOCK])
    if plain[0] != 0x2F or plain[-1] != 0x80:
        raise KeyFault("what the key decrypts does not start with 2F and end with 80: wrong key, or bytes were changed")
    return data[:2] + plain + data[2 + BLOCK :]


SCHEMES: Final[Mapping[str, Scheme]] = {"prios": open_prios, "apator-na1": open_apator_na1}
"""What a layout may name."""
