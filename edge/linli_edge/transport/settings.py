"""The keys by which every driver's link says how its bytes move.

::

    transport = "tcp"            # the default
    host = "192.168.1.7"
    port = 502
    connect_timeout = "5 s"

    transport = "tls"            # where the driver offers it
    host = "192.168.1.7"
    port = 802
    ca = "/etc/linli/plant-ca.pem"           # who may have signed the device's certificate
    certificate = "/etc/linli/gateway.pem"   # the gateway's own, for devices that ask who calls
    key = "/etc/linli/gateway.key"
    server_name = "plc-7"        # where the certificate bears another name than host

    transport = "serial"
    path = "/dev/serial/by-id/usb-FTDI_…"    # the name that survives a reboot; other ones: port_name.py
    baud = 9600
    parity = "even"              # none | even | odd
    data_bits = 8
    stop_bits = 1
    rs485 = false                # true only where the kernel must switch the transmitter
"""

import ssl
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from linli_core.errors import LinkError
from linli_core.instant import MINUTE, SECOND
from linli_edge.config.table import Table
from linli_edge.transport import Transport
from linli_edge.transport.port_name import is_port_name
from linli_edge.transport.tcp import Habits, TcpTransport

if TYPE_CHECKING:
    from linli_edge.transport.serial_line import Line

Parity = Literal["none", "even", "odd"]


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """A TCP transport to be opened; ``connect_timeout`` in microseconds.

    What is learnt of the other end's ``habits`` outlives a connection.
    """

    host: str
    port: int
    connect_timeout: int = 5 * SECOND
    habits: Habits = field(default_factory=Habits, compare=False, repr=False)

    @property
    def place(self) -> str:
        """Where it leads, for people: ``tcp 192.168.1.7:502``."""
        return f"tcp {self.host}:{self.port}"

    def open(self) -> AbstractAsyncContextManager[Transport]:
        """Return the transport; ``async with`` connects it, or raises ``LinkError``."""
        return TcpTransport(self.host, self.port, self.connect_timeout / SECOND, self.habits)


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """A serial transport to be opened."""

    path: str
    baud: int = 9600
    parity: Parity = "none"
    data_bits: Literal[7, 8] = 8
    stop_bits: Literal[1, 2] = 1
    rs485: bool = False

    @property
    def place(self) -> str:
        """Where it leads, for people: ``/dev/ttyUSB0 9600 8E1``."""
        return f"{self.path} {self.baud} {self.data_bits}{self.parity[0].upper()}{self.stop_bits}"

    @property
    def line(self) -> "Line":
        """How bits stand on the wire."""
        # Imported here: a gateway without a serial line does without pyserial.
        from linli_edge.transport.serial_line import Line  # noqa: PLC0415

        return Line(self.baud, self.parity, self.data_bits, self.stop_bits, self.rs485)

    def open(self) -> AbstractAsyncContextManager[Transport]:
        """Return the transport; ``async with`` opens the port, or raises ``LinkError``."""
        from linli_edge.transport.serial_line import SerialTransport  # noqa: PLC0415 - see above

        return SerialTransport(self.path, self.line)


@dataclass(frozen=True, slots=True)
class TlsSettings(TcpSettings):
    """A TCP transport under TLS.

    Attributes:
        ca: PEM file with the certificates that may have signed the other end's.
        certificate, key: PEM files with the gateway's own certificate and its private key.
        server_name: Name the other end's certificate must bear, if not the host's.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""

    @property
    def place(self) -> str:
        """Where it leads, for people: ``tls 192.168.1.7:802``."""
        return f"tls {self.host}:{self.port}"

    def open(self) -> AbstractAsyncContextManager[Transport]:
        """Return the transport; the files are read each time, so that a renewed certificate is taken up.

        Raises:
            LinkError: A file cannot be read or holds no certificate.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as exc:
            files = ", ".join(filter(None, (self.ca, self.certificate, self.key)))
            raise LinkError(f"{self.place}: no TLS with {files} ({exc.strerror or exc})") from exc
        name = self.server_name or None
        limit = self.connect_timeout / SECOND
        return TcpTransport(self.host, self.port, limit, self.habits, tls=context, server_name=name)


TransportSettings = TcpSettings | SerialSettings
"""A :class:`TlsSettings` is a :class:`TcpSettings` too."""


def read_transport(
    link: Table,
    *,
    port: int | None = None,
    baud: int = 9600,
    parity: Parity = "none",
    data_bits: int = 8,
    tls_port: int | None = None,
) -> TransportSettings:
    """Return how a link's bytes move.

    Args:
        link: The link's table.
        port: The protocol's usual TCP port; ``None`` where it has none, and the key must be there.
        baud: The protocol's usual speed on a serial line.
        parity: The protocol's usual parity on a serial line.
        data_bits: The protocol's usual character on a serial line.
        tls_port: The port of the protocol's form over TLS; ``None`` where it has none.
    """
    kinds = ("tcp", "serial") if tls_port is None else ("tcp", "serial", "tls")
    kind = link.choice("transport", kinds, "tcp")
    if kind == "tls" and tls_port is not None:
        return _read_tls(link, tls_port)
    if kind == "serial":
        path = link.text("path")
        if not is_port_name(path):
            link.problem("path", f'found "{path}"', 'write vendor, product and serial number: "usb:0403:6001:A50285BI"')
        return SerialSettings(
            path=path,
            baud=link.integer("baud", baud, minimum=50, maximum=4_000_000),
            parity=cast("Parity", link.choice("parity", ("none", "even", "odd"), parity)),
            data_bits=cast("Literal[7, 8]", link.integer("data_bits", data_bits, minimum=7, maximum=8)),
            stop_bits=cast("Literal[1, 2]", link.integer("stop_bits", 1, minimum=1, maximum=2)),
            rs485=link.boolean("rs485", default=False),
        )
    number = (
        link.integer("port", minimum=1, maximum=65535)
        if port is None
        else link.integer("port", port, minimum=1, maximum=65535)
    )
    return TcpSettings(
        link.text("host"), number, link.duration("connect_timeout", 5 * SECOND, minimum=1000, maximum=MINUTE)
    )


def _read_tls(link: Table, port: int) -> TlsSettings:
    certificate, key = link.text("certificate", ""), link.text("key", "")
    if bool(certificate) != bool(key):
        missing = "key" if certificate else "certificate"
        link.problem(missing, "missing", "give the gateway's certificate and its private key, or neither")
    return TlsSettings(
        link.text("host"),
        link.integer("port", port, minimum=1, maximum=65535),
        link.duration("connect_timeout", 5 * SECOND, minimum=1000, maximum=MINUTE),
        ca=link.text("ca"),
        certificate=certificate,
        key=key,
        server_name=link.text("server_name", ""),
    )
