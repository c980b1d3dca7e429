"""One association with one meter, by the ``dlms-cosem`` package: blocking, so it runs in a thread.

The package's own TCP transport goes round in circles when the meter hangs up; this one has an end to everything: a time
for each answer, a size, and a meter that hangs up is told as such. What is read is decoded by our own A-XDR.
"""

import socket
import time
from typing import Any, Final, Self

from dlms_cosem import cosem, enumerations, exceptions
from dlms_cosem.clients.dlms_client import DataResultError, DlmsClient, HLSError

from linli_core.codecs.dlms import Item, decode_whole
from linli_core.codecs.dlms.wrapper import Wrapped, encode_wrapper, parse_wrapper
from linli_core.errors import DeviceError, LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_core.obis import Obis
from linli_edge.drivers.dlms_client.settings import CLOCK, IDENTITY, DeviceSettings

_DATA, _REGISTER, _CLOCK = 1, 3, 8

_REFUSALS: Final = (DataResultError, HLSError, exceptions.DlmsClientException)
_FAULTS: Final = (
    exceptions.LocalDlmsProtocolError,
    exceptions.ApplicationAssociationError,
    exceptions.PreEstablishedAssociationError,
    exceptions.ConformanceError,
    exceptions.CipheringError,
    exceptions.CryptographyError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    NotImplementedError,
)
"""What the package raises for bytes that it cannot make sense of."""


class WrappedSocket:
    """The package's way to the meter (its ``DlmsIOInterface``): the wrapper over TCP, with an end to everything."""

    def __init__(self, settings: DeviceSettings, timeout: float) -> None:
        self._settings = settings
        self._timeout = timeout
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """Connect; raise ``LinkError``."""
        place = f"{self._settings.host}:{self._settings.port}"
        try:
            self._socket = socket.create_connection((self._settings.host, self._settings.port), self._timeout)
        except TimeoutError as exc:
            raise LinkTimeout(f"{place}: no connection within {self._timeout:g} s") from exc
        except OSError as exc:
            raise LinkError(f"{place}: no connection ({exc.strerror or exc})") from exc

    def disconnect(self) -> None:
        """Close; safe to call twice."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def send(self, apdu: bytes) -> bytes:
        """Send a request and return its answer."""
        settings = self._settings
        if self._socket is None:
            raise LinkClosed("not connected")
        deadline = time.monotonic() + self._timeout
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(encode_wrapper(Wrapped(settings.client, settings.server, bytes(apdu))))
            return self._receive(self._socket, deadline)
        except TimeoutError as exc:
            raise LinkTimeout(f"no answer within {self._timeout:g} s") from exc
        except OSError as exc:
            raise LinkClosed(f"connection lost ({exc.strerror or exc})") from exc

    def _receive(self, connection: socket.socket, deadline: float) -> bytes:
        data = b""
        while True:
            if data and (found := parse_wrapper(data)) is not None:
                wrapped, size = found
                if len(data) > size:
                    raise ProtocolError("more than one answer came", kind="trailing_bytes")
                if wrapped.source != self._settings.server:
                    raise ProtocolError(f"wPort {wrapped.source} answered, not the one asked", kind="stray")
                return wrapped.apdu
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            chunk = connection.recv(4096)
            if not chunk:
                raise LinkClosed("the meter hung up in mid-conversation")
            data += chunk


class Session:
    """One association; ``with`` opens it."""

    def __init__(self, settings: DeviceSettings, timeout: float) -> None:
        self._io = WrappedSocket(settings, timeout)
        low = enumerations.AuthenticationMechanism.LLS
        self._client = DlmsClient(
            client_logical_address=settings.client,
            server_logical_address=settings.server,
            io_interface=self._io,
            authentication_method=low if settings.password else None,
            password=settings.password.encode("ascii") if settings.password else None,
        )

    def __enter__(self) -> Self:
        self._io.connect()
        try:
            self._call(self._client.associate)
        except (LinkError, ProtocolError, DeviceError):
            self._io.disconnect()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call(self._client.release_association)
        except (LinkError, ProtocolError, DeviceError):
            # The readings are here: how the goodbye went does not matter.
            return
        finally:
            self._io.disconnect()

    def read(self, interface: int, code: Obis, attribute: int) -> Item:
        """Return one attribute's data; raise ``DeviceError`` where the meter refuses it."""
        instance = cosem.Obis(code.a, code.b, code.c, code.d, code.e, code.f)
        wanted = cosem.CosemAttribute(enumerations.CosemInterface(interface), instance, attribute)
        return decode_whole(bytes(self._call(self._client.get, wanted)))

    def identity(self) -> Item:
        """Return the meter's number."""
        return self.read(_DATA, IDENTITY, 2)

    def clock(self) -> Item:
        """Return the meter's time."""
        return self.read(_CLOCK, CLOCK, 2)

    def register(self, code: Obis) -> Item:
        """Return a register's value."""
        return self.read(_REGISTER, code, 2)

    def scaler_unit(self, code: Obis) -> Item:
        """Return a register's scaler and unit."""
        return self.read(_REGISTER, code, 3)

    def _call(self, work: Any, *arguments: object) -> Any:
        try:
            return work(*arguments)
        except _REFUSALS as exc:
            raise DeviceError(f"the meter refuses: {exc}", code=0, kind="refused") from exc
        except _FAULTS as exc:
            raise ProtocolError(f"the answer makes no sense: {exc or type(exc).__name__}") from exc
