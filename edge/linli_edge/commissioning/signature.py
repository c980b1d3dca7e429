r"""The gateway's own key for hand-over sheets (Ed25519, RFC 8032), made at first use, and what it signs.

Signed are the bytes ``linli hand-over sheet 1\n`` followed by the sheet as JSON with sorted keys and no spaces, UTF-8.
"""

import base64
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from linli_core.errors import ConfigError, LinliError
from linli_edge.durable_file import write_durably

ALGORITHM: Final = "ed25519"
_CONTEXT: Final = b"linli hand-over sheet 1\n"
_KEY_FILE: Final = Path("keys") / "hand-over.pem"


class BadSignature(LinliError):
    """A sheet that was changed (``kind`` is ``changed``), or that is none (``no_sheet``)."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class Signed(msgspec.Struct, frozen=True):
    """What stands beside a sheet.

    Attributes:
        algorithm: :data:`ALGORITHM`.
        public_key: Base64 of its 32 bytes.
        fingerprint: SHA-256 of them, in hexadecimal.
        value: Base64 of the signature.
    """

    algorithm: str
    public_key: str
    fingerprint: str
    value: str


def fingerprint(public: bytes) -> str:
    """Return the fingerprint of a public key: 64 hexadecimal digits."""
    return hashlib.sha256(public).hexdigest()


def short(fingerprint_: str) -> str:
    """Return the half of a fingerprint that people compare: eight groups of four."""
    return " ".join(fingerprint_[place : place + 4] for place in range(0, 32, 4))


class GatewayKey:
    """The private key in a gateway's data folder."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def of(cls, data: Path) -> "GatewayKey":
        """Return the key of a data folder; make it where there is none.

        Raises:
            ConfigError: It cannot be made or read, others may read it, or the file holds none.
        """
        path = data / _KEY_FILE
        try:
            if not path.exists():
                _make(path, data)
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise ConfigError(str(path), "others may read the gateway's key", f"chmod 600 {path}")
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as exc:
            remedy = "run the command as the gateway's user: sudo -u linli linli-edge commission …"
            raise ConfigError(str(path), f"cannot be read or made ({exc.strerror})", remedy) from exc
        except ValueError as exc:
            raise ConfigError(
                str(path), "holds no key", "restore it from a backup, or delete it for a new key"
            ) from exc
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(str(path), "holds a key of another kind", "delete it for a new key")
        return cls(key)

    def sign(self, sheet: Mapping[str, Any]) -> Signed:
        """Return the signature of a sheet."""
        value = self._key.sign(_message(sheet))
        return Signed(ALGORITHM, _text(self.public), fingerprint(self.public), _text(value))


def verify(document: bytes) -> tuple[Mapping[str, Any], Signed]:
    """Return a signed sheet's content and its signature.

    Raises:
        BadSignature: It is no signed sheet, or not what was signed.
    """
    try:
        parts = msgspec.json.decode(document, type=dict[str, Any])
        sheet, signed = parts["sheet"], msgspec.convert(parts["signature"], Signed)
        public, value = (
            base64.b64decode(signed.public_key, validate=True),
            base64.b64decode(signed.value, validate=True),
        )
        if not isinstance(sheet, dict) or signed.algorithm != ALGORITHM:
            raise BadSignature("this is no hand-over sheet with a signature that this version knows", "no_sheet")
        Ed25519PublicKey.from_public_bytes(public).verify(value, _message(sheet))
    except (
        msgspec.DecodeError,
        msgspec.ValidationError,
        UnicodeDecodeError,
        KeyError,
        ValueError,
        RecursionError,
    ) as exc:
        raise BadSignature("this is no signed hand-over sheet", "no_sheet") from exc
    except InvalidSignature as exc:
        raise BadSignature("the sheet is not what was signed: it was changed afterwards", "changed") from exc
    if fingerprint(public) != signed.fingerprint:
        raise BadSignature("the fingerprint is not that of the key", "changed")
    return sheet, signed


def _make(path: Path, data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    owner = None
    if os.geteuid() == 0:
        # Made by root on a visit, read by the gateway's own user afterwards.
        found = data.stat()
        owner = found.st_uid, found.st_gid
        os.chown(path.parent, *owner)
    write_durably(path, pem, mode=0o600, owner=owner)


def _message(sheet: Mapping[str, Any]) -> bytes:
    return _CONTEXT + msgspec.json.encode(sheet, order="sorted")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
