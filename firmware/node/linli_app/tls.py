"""What a node needs to be known to the gateway and to know it: loaded for a start, and let go after it."""

import ssl

from linli_node.errors import LinkError


def context(folder):
    """Return what TLS needs: the gateway's authority, this node's certificate and key.

    Raises:
        LinkError: They are not there.
    """
    held = []
    for name in ("ca.der", "node.der", "node.key"):
        try:
            with open(folder + name, "rb") as file:
                held.append(file.read())
        except OSError:
            raise LinkError("no " + folder + name + ": linli-edge node provision writes it") from None
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    found.verify_mode = ssl.CERT_REQUIRED
    found.load_verify_locations(cadata=held[0])
    found.load_cert_chain(held[1], held[2])
    return found
