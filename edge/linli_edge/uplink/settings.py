"""Where the uplink connects, and what the rest of the gateway adds to its status."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from linli_core.errors import ConfigError
from linli_core.instant import SECOND
from linli_core.wire.messages import ClockState, DiskState, LinkState


@dataclass(frozen=True, slots=True)
class UplinkSettings:
    """Table ``[uplink]`` of the gateway's configuration; times in microseconds.

    Attributes:
        host: Name or address of the broker.
        port: Its TCP port.
        tls: Whether to speak TLS; set by itself where a CA or a certificate is given.
        ca: File with the certificates that may sign the broker's; the system's if left out.
        certificate: The gateway's own certificate, with ``key``.
        key: Its private key.
        username: Name for the broker.
        password_file: File whose first line is the password.
        keepalive: Seconds of silence after which broker and gateway ask for each other.
        status_interval: How often the status is said again.
        ask_interval: How often it is said while the platform has not answered.
        reconnect_first: First pause after a lost connection; it doubles, with jitter.
        reconnect_limit: Longest pause.
        newest_first: After an outage the newest readings go first, the oldest last; alarms go in their order.
        backlog_delay: How long a new message may wait behind the backlog on its way through a slow line.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    keepalive: int = 30
    status_interval: int = 30 * SECOND
    ask_interval: int = 5 * SECOND
    reconnect_first: int = SECOND
    reconnect_limit: int = 60 * SECOND
    newest_first: bool = False
    backlog_delay: int = SECOND // 2

    def password(self) -> str | None:
        """Return the password; read anew for each connection, so that it can be changed while the gateway runs."""
        if self.password_file is None:
            return None
        try:
            lines = self.password_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(
                "uplink.password_file", str(exc), "give a text file that the gateway may read, password in line 1"
            ) from exc
        return lines[0] if lines else ""

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the TLS context, ``None`` for plain TCP."""
        if not (self.tls or self.ca or self.certificate):
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except OSError as exc:
            raise ConfigError("uplink.ca", f"{self.ca}: {exc}", "give a PEM file with the broker's CA") from exc
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except OSError as exc:
                raise ConfigError(
                    "uplink.certificate",
                    f"{self.certificate}: {exc}",
                    "give a PEM certificate in 'certificate' and its private key in 'key'",
                ) from exc
        return context


@dataclass(frozen=True, slots=True)
class GatewayHealth:
    """What the rest of the gateway says of itself in a status."""

    version: str = ""
    clock: ClockState = field(default_factory=ClockState)
    links: tuple[LinkState, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    disk: DiskState | None = None


StatusSource = Callable[[], GatewayHealth]
"""Asked for each status; quick, and never raises."""
