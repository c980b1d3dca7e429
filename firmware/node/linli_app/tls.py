"""What a node needs to be known to the gateway and to know it: loaded for a start, and let go after it.

Where there is a key that both hold (``shared.key``) and the firmware can use it, nothing is computed but AES and
SHA-256. If nobody answered that way, certificates are shown for a while: a gateway that was restored, and knows the key
no more, is reached all the same.
"""

import binascii
import socket

import tls

from linli_node.errors import LinkError

_SUITE = "TLS-PSK-WITH-AES-128-GCM-SHA256"


class Prompt:
    """A context whose connections send at once what is written to them.

    A handshake is written in pieces. Each would wait until the one before it is acknowledged, which the other end puts
    off for 40 ms in case that it has something to say.
    """

    def __init__(self, found):
        self._found = found

    def wrap_socket(self, wrapped, **how):
        """Return a socket with TLS over it."""
        # The names are not on every port, and lwIP's number for it is its own.
        wrapped.setsockopt(6, getattr(socket, "TCP_NODELAY", 1), 1)
        return self._found.wrap_socket(wrapped, **how)


def context(folder, gateway, memory):
    """Return what TLS needs, the port at which that is asked for, and whether it is the shared key.

    Args:
        folder: Of the keys.
        gateway: Of the configuration.
        memory: Holds how many attempts are to be made with certificates, if any.

    Raises:
        LinkError: What is needed is not there, or damaged.
    """
    left = memory.get()
    if left:
        memory.set(bytes((left[0] - 1,)) if left[0] > 1 else b"")
    found = None if left else _shared(folder)
    if found is None:
        try:
            return Prompt(_certified(folder)), gateway["port"], False
        except LinkError:
            # Where certificates cannot be shown only the key is left, answered or not.
            found = _shared(folder) if left else None
            if found is None:
                raise
    return Prompt(found), gateway["shared_port"], True


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        raise LinkError("no " + path + ": linli-edge node provision writes it") from None


def _shared(folder):
    """Return the context of the shared key; ``None`` without one, or with a MicroPython before 1.29."""
    try:
        name, _, key = _read(folder + "shared.key").partition(b":")
        found = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        # Nothing is offered that would need a certificate: the other end can be nobody but who holds the key.
        found.set_ciphers([_SUITE])
        found.psk_identity, found.psk_key = name, binascii.unhexlify(key.strip())
    except (LinkError, AttributeError, ValueError, OSError):
        return None
    return found


def _certified(folder):
    authority, certificate, key = [_read(folder + name) for name in ("ca.der", "node.der", "node.key")]
    found = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    found.verify_mode = tls.CERT_REQUIRED
    try:
        found.load_verify_locations(authority)
        found.load_cert_chain(certificate, key)
    except (ValueError, OSError) as exc:
        # What a node does by itself goes on.
        damaged = "the keys of this node are damaged (" + str(exc) + "): linli-edge node provision writes them"
        raise LinkError(damaged) from None
    return found
