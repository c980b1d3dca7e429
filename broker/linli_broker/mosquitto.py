"""Mosquitto as the engine: its configuration, rendered from our settings."""

import getpass
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from linli_broker import shared_keys
from linli_broker.access import render_acl
from linli_broker.engine import Plan
from linli_broker.settings import Access, Listener, Settings, Tls
from linli_core.errors import ConfigError

# Debian puts daemons into /usr/sbin, which is on root's path only.
_DAEMON_FOLDERS: Final = ("/usr/sbin", "/usr/local/sbin")
_NO_KEYS: Final = "no.keys"
_PACKET_OVERHEAD: Final = 65_536
_AUTOSAVE_SECONDS: Final = 30
_SHARED_KEY_SUITES: Final = "PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384:PSK-CHACHA20-POLY1305"
"""What authenticates what it encrypts, and nothing else; the first is what a board has hardware for."""


def find() -> str | None:
    """Return the path of the Mosquitto program, or ``None`` where it is not installed."""
    return shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), *_DAEMON_FOLDERS]))


def plan(settings: Settings, program: str, base: Path, *, starts: bool = False) -> Plan:
    """Return how to start Mosquitto, or to have it read again.

    Args:
        settings: Checked settings.
        program: Mosquitto's path.
        base: What relative paths of the files of TLS start from.
        starts: Whether nobody is served yet. A file of shared keys that cannot be used is told then, and lets nobody in
            by itself: weeks after somebody has touched it, it may not keep out whoever comes with a certificate.

    Raises:
        ConfigError: A file cannot be used.
    """
    data, notices, usable = Path(settings.data).absolute(), [], []
    for number, listener in enumerate(settings.listeners):
        used = listener
        if listener.tls:
            _check_files(listener.tls, f"listeners[{number}].tls", base)
        if listener.shared_keys:
            try:
                _check_keys(base / listener.shared_keys, settings.access)
            except ConfigError as exc:
                if not starts:
                    raise
                notices.append(f"{exc}. Nobody is let in at {listener.address} until that is mended")
                used = msgspec.structs.replace(listener, shared_keys=str(data / _NO_KEYS))
        usable.append(used)
    configuration, used_settings = data / "mosquitto.conf", msgspec.structs.replace(settings, listeners=tuple(usable))
    files = {configuration: render(used_settings, data, base, user=getpass.getuser())}
    if notices:
        files[data / _NO_KEYS] = shared_keys.render({})
    if settings.secured:
        files[data / "access.acl"] = render_acl(settings.access)
    return Plan(
        engine="mosquitto",
        argv=(program, "-c", str(configuration)),
        files=files,
        rereads=True,
        notices=tuple(notices),
        followed=tuple(base / listener.shared_keys for listener in settings.listeners if listener.shared_keys),
    )


def _check_files(tls: Tls, where: str, base: Path) -> None:
    for name in ("ca", "certificate", "key"):
        path = base / getattr(tls, name)
        try:
            path.open("rb").close()
        except OSError as exc:
            raise ConfigError(
                f"{where}.{name}", f"{path} cannot be read ({exc.strerror})", "correct the path or its permissions"
            ) from exc


def _check_keys(path: Path, access: Access) -> None:
    """Raise :class:`ConfigError` for keys that are none, and for a name that may do more than a node."""
    for name in shared_keys.read(path):
        if name == access.platform or name in access.gateways:
            raise ConfigError(
                str(path), f"has a key of {name!r}, which is no node", "take its line out: only nodes have shared keys"
            )


def render(settings: Settings, data: Path, base: Path, *, user: str) -> str:
    """Return ``mosquitto.conf``."""
    return "\n".join(_lines(settings, data, base, user)) + "\n"


def _lines(settings: Settings, data: Path, base: Path, user: str) -> Iterator[str]:
    limits = settings.limits
    yield "# Written by linli-broker from its settings at every start; change those."
    yield "per_listener_settings true"
    # Started by root, Mosquitto would become a user that cannot write here: it stays who started it.
    yield f"user {user}"
    yield "persistence true"
    yield f"persistence_location {data}/"
    # A broker that is killed loses retained messages since the last save; both ends say them again on connecting.
    yield f"autosave_interval {_AUTOSAVE_SECONDS}"
    # A larger packet cuts its sender off, as it does with the embedded engine; message_size_limit would
    # acknowledge the message and drop it.
    yield f"max_packet_size {limits.payload_bytes + _PACKET_OVERHEAD}"
    yield f"max_inflight_messages {limits.inflight}"
    yield f"max_queued_messages {limits.queued_messages}"
    yield f"max_queued_bytes {limits.queued_bytes}"
    # Else a message waits for the TCP ACK of the one before, which the receiver may put off for 40 ms.
    yield "set_tcp_nodelay true"
    yield "log_dest stderr"
    for kind in ("error", "warning"):
        yield f"log_type {kind}"
    for listener in settings.listeners:
        yield ""
        yield from _listener_lines(listener, settings, data, base)


def _listener_lines(listener: Listener, settings: Settings, data: Path, base: Path) -> Iterator[str]:
    yield f"listener {listener.port} {listener.host}"
    yield f"max_connections {settings.limits.connections}"
    if listener.is_open:
        yield "allow_anonymous true"
        return
    yield "allow_anonymous false"
    yield "tls_version tlsv1.2"
    yield "use_identity_as_username true"
    yield f"acl_file {data / 'access.acl'}"
    if listener.tls is None:
        # Mosquitto asks for keys where a hint is given. Nodes do not look at it: they have one key.
        yield "psk_hint linli"
        yield f"psk_file {base / str(listener.shared_keys)}"
        yield f"ciphers {_SHARED_KEY_SUITES}"
        return
    yield f"cafile {base / listener.tls.ca}"
    yield f"certfile {base / listener.tls.certificate}"
    yield f"keyfile {base / listener.tls.key}"
    yield "require_certificate true"
