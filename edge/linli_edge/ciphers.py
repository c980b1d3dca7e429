"""AES for meter codecs, by the ``cryptography`` package: the implementation of :class:`linli_core.ciphers.Ciphers`."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR, GCM
from cryptography.hazmat.primitives.cmac import CMAC

from linli_core.ciphers import WrongTag

_TAG: int = 12


def _through(context: CipherContext, data: bytes) -> bytes:
    return context.update(data) + context.finalize()


class Aes:
    """AES-128; stateless."""

    def cbc_decrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        """See :class:`linli_core.ciphers.Ciphers`."""
        return _through(Cipher(AES128(key), CBC(iv)).decryptor(), data)

    def cbc_encrypt(self, key: bytes, iv: bytes, data: bytes) -> bytes:
        """See :class:`linli_core.ciphers.Ciphers`."""
        return _through(Cipher(AES128(key), CBC(iv)).encryptor(), data)

    def ctr(self, key: bytes, counter: bytes, data: bytes) -> bytes:
        """See :class:`linli_core.ciphers.Ciphers`."""
        return _through(Cipher(AES128(key), CTR(counter)).encryptor(), data)

    def cmac(self, key: bytes, data: bytes) -> bytes:
        """See :class:`linli_core.ciphers.Ciphers`."""
        mac = CMAC(AES128(key))
        mac.update(data)
        return mac.finalize()

    def gcm_decrypt(self, key: bytes, iv: bytes, data: bytes, aad: bytes, tag: bytes) -> bytes:
        """See :class:`linli_core.ciphers.Ciphers`."""
        context = Cipher(AES128(key), GCM(iv, tag, min_tag_length=_TAG)).decryptor()
        context.authenticate_additional_data(aad)
        plain = context.update(data)
        try:
            return plain + context.finalize()
        except InvalidTag:
            raise WrongTag("the authentication tag does not match: wrong key, or the bytes were changed") from None

    def gcm_encrypt(
        self, key: bytes, iv: bytes, data: bytes, aad: bytes, tag_length: int = _TAG
    ) -> tuple[bytes, bytes]:
        """See :class:`linli_core.ciphers.Ciphers`."""
        context = Cipher(AES128(key), GCM(iv)).encryptor()
        context.authenticate_additional_data(aad)
        data = context.update(data) + context.finalize()
        return data, context.tag[:tag_length]


AES: Aes = Aes()
"""The one there need be."""
