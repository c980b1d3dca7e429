"""General ciphering of DLMS/COSEM: security suite 0 (AES-128-GCM), and the counters that make a replay known.

::

    DB | title length 08 | system title (8) | length | SC | invocation counter (4) | cipher text | tag (12)

IV = system title and counter; what is authenticated besides is SC and the authentication key. Luxembourg's and some of
Austria's customer interfaces send a whole P1 telegram so wrapped.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from linli_core.ciphers import Ciphers, WrongTag
from linli_core.errors import ProtocolError

GENERAL_GLO: Final = 0xDB
GENERAL_DED: Final = 0xDC
TITLE: Final = 8
TAG: Final = 12
HEAD: Final = 5
"""Bytes of security control and counter."""

LARGEST: Final = 64 * 1024

AUTHENTICATED: Final = 0x10
ENCRYPTED: Final = 0x20
COMPRESSED: Final = 0x80
_SUITE: Final = 0x0F


class Sealed(msgspec.Struct, frozen=True):
    """An APDU whose content is ciphered.

    Attributes:
        title: System title of the sender.
        control: The security control byte.
        counter: Invocation counter.
        data: What follows the counter: cipher text, and the tag where there is one.
        size: Bytes of the whole APDU.
    """

    title: bytes
    control: int
    counter: int
    data: bytes
    size: int

    @property
    def authenticated(self) -> bool:
        """Whether a tag protects it."""
        return bool(self.control & AUTHENTICATED)


class Keys(msgspec.Struct, frozen=True):
    """What opens a meter's messages.

    Attributes:
        encryption: The global unicast encryption key, 16 bytes.
        authentication: The authentication key, 16 bytes; ``None``: messages without a tag are taken, those with one
            cannot be checked and are refused.
    """

    encryption: bytes
    authentication: bytes | None = None


class ReplayGuard:
    """The highest invocation counter seen of each system title.

    Attributes:
        counters: By system title; hand it over to go on after a restart.
        refused: Messages refused because their counter was not higher, since it was made.
    """

    MOST: Final = 1024

    def __init__(self, counters: Mapping[bytes, int] | None = None) -> None:
        self.counters = dict(counters or {})
        self.refused = 0

    def restore(self, saved: Mapping[str, int]) -> None:
        """Take counters that were kept by title in hexadecimal; a title that is none is passed over."""
        for text, counter in saved.items():
            try:
                title = bytes.fromhex(text)
            except ValueError:
                continue
            self.counters[title] = max(counter, self.counters.get(title, counter))

    def kept(self) -> dict[str, int]:
        """Return the counters by title in hexadecimal, to be kept."""
        return {title.hex(): counter for title, counter in self.counters.items()}

    def check(self, sealed: Sealed) -> None:
        """Refuse a counter that is not higher than the last one (``ProtocolError``, kind ``replayed``)."""
        last = self.counters.get(sealed.title)
        if last is not None and sealed.counter <= last:
            self.refused += 1
            raise ProtocolError(
                f"counter {sealed.counter} of {sealed.title.hex().upper()} is not above {last}: a replayed message",
                kind="replayed",
            )

    def accept(self, sealed: Sealed) -> None:
        """Note the counter of a message that proved right."""
        if sealed.title not in self.counters and len(self.counters) >= self.MOST:
            del self.counters[next(iter(self.counters))]
        self.counters[sealed.title] = sealed.counter


def parse_sealed(data: bytes, longest: int = LARGEST) -> Sealed | None:
    """Return the ciphered APDU at the very start, ``None`` while bytes are missing; ``ProtocolError`` if it is none.

    A length above ``longest`` is refused as soon as it is read: nobody waits for what never comes.
    """
    if data[0] not in {GENERAL_GLO, GENERAL_DED}:
        raise ProtocolError(f"tag {data[0]:02X} is no general ciphering", kind="unsupported", offset=0)
    if len(data) < 2:
        return None
    if data[1] != TITLE:
        raise ProtocolError(f"a system title has 8 bytes, not {data[1]}", offset=1)
    at = 2 + TITLE
    found = read_length(data, at)
    if found is None:
        return None
    length, start = found
    if not HEAD <= length <= longest:
        raise ProtocolError(f"{length} bytes of ciphered content cannot be", offset=at)
    if len(data) < start + length:
        return None
    control = data[start]
    counter = int.from_bytes(data[start + 1 : start + HEAD])
    return Sealed(data[2:at], control, counter, data[start + HEAD : start + length], start + length)


def read_length(data: bytes, at: int) -> tuple[int, int] | None:
    """Return a length of A-XDR (one byte, or 81, 82, 83 and as many bytes) and where its content begins."""
    if at >= len(data):
        return None
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    if not 1 <= count <= 4:
        raise ProtocolError(f"{first:02X} is no length", offset=at)
    if len(data) < at + 1 + count:
        return None
    return int.from_bytes(data[at + 1 : at + 1 + count]), at + 1 + count


def open_sealed(sealed: Sealed, keys: Keys, ciphers: Ciphers) -> bytes:
    """Return the plain content of a ciphered APDU.

    Raises:
        ProtocolError: Kinds ``unsupported`` (another suite, compression), ``not_authenticated`` (no tag although there
            is an authentication key), ``no_key`` (a tag and no authentication key), ``decryption`` (the tag does not
            match: wrong key, or bytes that changed on the way).
    """
    _check_supported(sealed.control)
    if not sealed.authenticated:
        if keys.authentication is not None:
            raise ProtocolError(
                "the message carries no tag, although there is a key to check it", kind="not_authenticated"
            )
        if not sealed.control & ENCRYPTED:
            # Anybody can write this, with the highest counter there is, after which the meter's own would be replays.
            raise ProtocolError("neither a tag nor a cipher protects the message", kind="not_authenticated")
        # GCM without its tag is counter mode from block 2.
        return ciphers.ctr(keys.encryption, _iv(sealed) + (2).to_bytes(4), sealed.data)
    if keys.authentication is None:
        raise ProtocolError("the message carries a tag; the authentication key is needed to check it", kind="no_key")
    if len(sealed.data) < TAG:
        raise ProtocolError(f"{len(sealed.data)} bytes leave no room for a tag of {TAG}", kind="truncated")
    body, tag = sealed.data[:-TAG], sealed.data[-TAG:]
    head = bytes((sealed.control,)) + keys.authentication
    try:
        if sealed.control & ENCRYPTED:
            return ciphers.gcm_decrypt(keys.encryption, _iv(sealed), body, head, tag)
        ciphers.gcm_decrypt(keys.encryption, _iv(sealed), b"", head + body, tag)
    except WrongTag as exc:
        raise ProtocolError(str(exc), kind="decryption") from exc
    return body


def _check_supported(control: int) -> None:
    # Some meters of Austria set bit 0, which names suite 1, and use AES-128 all the same.
    if control & _SUITE > 1:
        raise ProtocolError(f"security suite {control & _SUITE} is not supported", kind="unsupported")
    if control & COMPRESSED:
        raise ProtocolError("compressed content is not supported", kind="unsupported")


def _iv(sealed: Sealed) -> bytes:
    return sealed.title + sealed.counter.to_bytes(4)


def seal(plain: bytes, title: bytes, counter: int, keys: Keys, ciphers: Ciphers) -> bytes:
    """Return a general-glo-ciphering APDU; authenticated where there is a key for that. For tests and simulators."""
    control = ENCRYPTED | (AUTHENTICATED if keys.authentication is not None else 0)
    iv = title + counter.to_bytes(4)
    head = bytes((control,))
    if keys.authentication is not None:
        body, tag = ciphers.gcm_encrypt(keys.encryption, iv, plain, head + keys.authentication, TAG)
    else:
        body, tag = ciphers.ctr(keys.encryption, iv + (2).to_bytes(4), plain), b""
    content = head + counter.to_bytes(4) + body + tag
    return bytes((GENERAL_GLO, TITLE)) + title + encode_length(len(content)) + content


def encode_length(length: int) -> bytes:
    """Return a length of A-XDR."""
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size)
