"""Telegrams that come encrypted, each as one general-glo-ciphering APDU (Luxembourg, parts of Austria)."""

from typing import Final

from linli_core.ciphers import Ciphers
from linli_core.codec import NEED_DATA, NeedData
from linli_core.codecs.dlms.ciphering import GENERAL_GLO, Keys, ReplayGuard, Sealed, open_sealed, parse_sealed
from linli_core.codecs.p1.frame import LONGEST, Telegram, decode_telegram
from linli_core.codecs.stream import ByteBuffer
from linli_core.errors import ProtocolError

AUTHENTICATION_KEY: Final = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
"""The authentication key that Luxembourg's grid operators publish for the customer interface: the same for all."""

BUFFER: Final = 2 * LONGEST


class SealedReader(ByteBuffer):
    """Finds encrypted telegrams in a stream of bytes and opens them.

    Attributes:
        guard: Knows the counters; refuses replayed telegrams.
    """

    def __init__(self, keys: Keys, ciphers: Ciphers, guard: ReplayGuard | None = None) -> None:
        super().__init__(BUFFER, "telegram")
        self.guard = guard or ReplayGuard()
        self._keys = keys
        self._ciphers = ciphers

    def next_event(self) -> Telegram | NeedData:
        """Return the next telegram, or ``NEED_DATA``.

        Raises:
            ProtocolError: Kinds ``decryption`` (wrong key, or damage on the way), ``replayed``, those of
                :func:`linli_core.codecs.p1.decode_telegram` for what was inside, and a start that is none. Call again.
        """
        if not self._skip_to(self._buffer.find(GENERAL_GLO)):
            return NEED_DATA
        try:
            sealed = parse_sealed(bytes(self._buffer), LONGEST)
        except ProtocolError:
            self._skip(1)
            raise
        if sealed is None:
            if not self._ended:
                return NEED_DATA
            raise self._cut_off()
        if sealed.size > LONGEST:
            self._skip(1)
            raise ProtocolError(f"{sealed.size} bytes are more than a telegram", kind="too_long")
        try:
            plain = open_sealed(sealed, self._keys, self._ciphers)
        except ProtocolError:
            # What claims to be a telegram may be two bytes of another's cipher text: only the start is given up.
            self._skip(1)
            raise
        return self._opened(sealed, plain)

    def _opened(self, sealed: Sealed, plain: bytes) -> Telegram:
        if not sealed.authenticated and (telegram := self._whole(plain)).crc is None:
            self._skip(1)
            raise ProtocolError("neither a tag nor a CRC protects the telegram", kind="not_authenticated")
        del self._buffer[: sealed.size]
        self.guard.check(sealed)
        telegram = decode_telegram(plain)
        self.guard.accept(sealed)
        return telegram

    def _whole(self, plain: bytes) -> Telegram:
        """Return what a message without a tag holds; a wrong key or damage shows in what is no telegram."""
        try:
            return decode_telegram(plain)
        except ProtocolError as exc:
            self._skip(1)
            raise ProtocolError(f"what was decrypted is no telegram: {exc}", kind="decryption") from exc
