"""Is an address free? Asked before the engine starts, for its own message would not say what to do."""

import errno
import socket

from linli_broker.settings import Listener
from linli_core.errors import ConfigError


def check_free(listener: Listener, where: str) -> None:
    """Raise :class:`ConfigError` if the listener's address cannot be bound."""
    try:
        resolved = socket.getaddrinfo(listener.host, listener.port, type=socket.SOCK_STREAM)
    except socket.gaierror as exc:
        raise ConfigError(where, f"{listener.host!r} is no address ({exc.strerror})", "write an IP address") from exc
    for family, kind, protocol, _, address in resolved:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as exc:
                raise _explained(listener, where, exc) from exc


def _explained(listener: Listener, where: str, exc: OSError) -> ConfigError:
    port = listener.port
    if exc.errno == errno.EADDRINUSE:
        return ConfigError(
            where,
            f"port {port} of {listener.host} is taken by another program",
            f"stop it (ss -ltnp 'sport = :{port}' names it), or choose another port with --listen HOST:PORT",
        )
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return ConfigError(where, f"this user may not open port {port}", "choose a port from 1024 up")
    if exc.errno == errno.EADDRNOTAVAIL:
        return ConfigError(where, f"{listener.host} is no address of this machine", "see: ip address")
    return ConfigError(where, f"{listener.address} cannot be opened ({exc.strerror})", "choose another address")
