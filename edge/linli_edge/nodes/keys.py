"""Keys of nodes: an authority of the gateway's own, a certificate for its broker, one for each node.

The names are the nodes' ids, and the broker lets each write and read its own topics only. A board has no clock of its
own: until the gateway has told it the time, over TLS, it counts from 2000-01-01 or from 1970-01-01. It must find the
certificates valid then, so they begin with the earlier of the two and end far off: what is to be shut out is taken off
the broker's list, not waited for.

The authority and the broker have RSA keys, the nodes have keys on P-256 (ADR 0050): what a board must verify it does in
a tenth of the time so, and what it must sign stays short. An authority of before, on P-256, goes on.
"""

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from linli_core.errors import ConfigError
from linli_edge.durable_file import write_durably

KEYS: Final = Path("nodes-pki")
"""Where keys are if nobody says."""
UPDATE_KEY: Final = "updates.key"
BROKER: Final = "linli-gateway"
"""The name that nodes expect in the broker's certificate, whatever its address is."""

_AUTHORITY: Final = "linli nodes"
_BEGIN: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_END: Final = dt.datetime(2099, 12, 31, tzinfo=dt.UTC)
_SECRET: Final = 0o600
_RSA_BITS: Final = 2048

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Identity:
    """What a node shows the broker, in DER, as boards read it.

    Attributes:
        authority: The certificate that signs the broker's.
        certificate: The node's own.
        key: Its private key.
    """

    authority: bytes
    certificate: bytes
    key: bytes


class KeyFolder:
    """The keys in a folder: ``ca.pem``, ``ca.key``, ``broker.pem``, ``broker.key``. Nodes' keys are not kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self) -> bool:
        """Make the authority and the broker's certificate; tell whether there were none."""
        if (self._folder / "ca.pem").exists() and (self._folder / "broker.key").exists():
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(65537, _RSA_BITS)
        name = _name(_AUTHORITY)
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        broker_key = rsa.generate_private_key(65537, _RSA_BITS)
        broker = _issued(BROKER, broker_key, certificate, key, ExtendedKeyUsageOID.SERVER_AUTH)
        self._write("ca.key", _pem(key), secret=True)
        self._write("broker.key", _pem(broker_key), secret=True)
        self._write("broker.pem", broker.public_bytes(serialization.Encoding.PEM), secret=False)
        # Last: with it the folder is whole.
        self._write("ca.pem", certificate.public_bytes(serialization.Encoding.PEM), secret=False)
        return True

    def issue(self, node: str) -> Identity:
        """Return a new identity for a node.

        Raises:
            ConfigError: There is no authority, or it cannot be read.
        """
        try:
            authority = x509.load_pem_x509_certificate((self._folder / "ca.pem").read_bytes())
            key = serialization.load_pem_private_key((self._folder / "ca.key").read_bytes(), None)
        except (OSError, ValueError) as exc:
            raise ConfigError(
                str(self._folder), f"no authority of nodes: {exc}", "linli-edge node keys makes one"
            ) from exc
        if not isinstance(key, _Key):
            raise ConfigError(str(self._folder / "ca.key"), "is no key of this authority", "linli-edge node keys")
        own = ec.generate_private_key(ec.SECP256R1())
        certificate = _issued(node, own, authority, key, ExtendedKeyUsageOID.CLIENT_AUTH)
        der = serialization.Encoding.DER
        return Identity(
            authority.public_bytes(der),
            certificate.public_bytes(der),
            own.private_bytes(der, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()),
        )

    def _write(self, name: str, content: bytes, *, secret: bool) -> None:
        write_durably(self._folder / name, content, mode=_SECRET if secret else 0o644)
        if secret:
            os.chmod(self._folder / name, _SECRET)  # noqa: PTH101 - the mask of the process may have let more


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
    )


def _issued(
    name: str, own: _Key, authority: x509.Certificate, key: _Key, use: x509.ObjectIdentifier
) -> x509.Certificate:
    return (
        _builder(_name(name), authority.subject, own.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
