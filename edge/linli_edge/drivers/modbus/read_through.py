"""Serves what was read over Modbus TCP: for a building controller that must not touch the meter itself.

The devices keep their unit ids and their own register addresses. Nothing is asked of them on a client's behalf: what is
given out is what the gateway's own polls brought, and never older than the link allows. A client that asks for
something older gets exception 0B ("target device failed to respond"), not a value.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Final

from linli_core.errors import LinkError
from linli_core.instant import MINUTE, SECOND
from linli_edge.config.table import Table
from linli_edge.drivers.modbus.image import Absence, Image
from linli_edge.drivers.modbus.registers import ADDRESSES

_LOG: Final = logging.getLogger(__name__)

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3
NO_PATH: Final = 10
NO_ANSWER: Final = 11
"""Exception codes (Modbus Application Protocol V1.1b3, §7)."""

MOST: Final = {1: 2000, 2: 2000, 3: 125, 4: 125}
"""Most addresses of one read by its function (V1.1b3, §6.1 to §6.4)."""

_PORT: Final = 1502
_MBAP: Final = struct.Struct(">HHHB")
_READ: Final = struct.Struct(">HH")
_LONGEST: Final = 254
_IDLE: Final = 120.0
"""Seconds a client may say nothing before it is hung up on."""

_GIVES_WAY: Final = 15.0
"""Seconds a client has said nothing for when its place is given to a new one, all places being taken."""

_COMES_BACK: Final = 2.0
"""The same where the new one comes from the same address: it lost its power, and its old connection with it."""

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""When a connection whose other end is gone without a word is noticed: within a minute."""

_AGAIN: Final = 5.0
"""Seconds before a port that could not be bound is tried again."""

_ANY_UNIT: Final = frozenset({0, 255})
"""Unit ids by which clients of Modbus TCP mean the only device there is."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ReadThroughSettings:
    """Table ``read_through`` of a link.

    Attributes:
        host, port: Where to listen.
        max_age: Microseconds; nothing older is given out.
        clients: Most connections at one time; the next one takes the place of the one that has said nothing for
            longest, if that is long enough, and is closed at once if not.
        allow: Networks that may connect; empty: any that reach the port.
    """

    host: str = "127.0.0.1"
    port: int = _PORT
    max_age: int = MINUTE
    clients: int = 4
    allow: tuple[Network, ...] = ()


def read_settings(table: Table) -> ReadThroughSettings:
    """Return what a link's ``read_through`` table says."""
    listen = table.text("listen", f"127.0.0.1:{_PORT}")
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        table.problem("listen", f'found "{listen}"', f'write ADDRESS:PORT, such as "127.0.0.1:{_PORT}"')
        port = "0"
    allow: list[Network] = []
    for text in table.texts("allow", ()):
        try:
            allow.append(ipaddress.ip_network(text))
        except ValueError as exc:
            table.problem("allow", str(exc), 'write networks or addresses, such as "192.168.5.0/24"')
    return ReadThroughSettings(
        host,
        int(port),
        table.duration("max_age", MINUTE, minimum=SECOND // 10),
        table.integer("clients", 4, minimum=1, maximum=64),
        tuple(allow),
    )


class _Refused(Exception):
    """The answer is an exception; confined to this module."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class _Seat:
    """A client's place: where it comes from, and when it last said something."""

    host: str
    spoke_at: float


class ReadThrough:
    """The server of one link.

    Attributes:
        port: Where it listens, once :meth:`run` has bound it; 0 before.
        counts: ``served``, ``stale``, ``refused`` (requests); ``turned_away``, ``gave_way`` (connections).
    """

    def __init__(self, settings: ReadThroughSettings, units: frozenset[int], image: Image) -> None:
        self.port = 0
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._units = units
        self._image = image
        self._open: dict[asyncio.Task[object], _Seat] = {}
        self._bound = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled; a port that is taken is tried again."""
        settings = self._settings
        place = f"{settings.host}:{settings.port}"
        told = False
        while True:
            try:
                await self._listen()
            except OSError as exc:
                if not told:
                    _LOG.error("read-through: %s cannot be listened on (%s); tried again", place, exc.strerror or exc)
                told = True
                await asyncio.sleep(_AGAIN)

    async def bound(self) -> int:
        """Wait until it listens; return the port."""
        await self._bound.wait()
        return self.port

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._serve, self._settings.host, self._settings.port, limit=4096)
        self.port = server.sockets[0].getsockname()[1]
        self._bound.set()
        _LOG.info("read-through: listening on %s:%d", self._settings.host, self.port)
        try:
            await server.serve_forever()
        finally:
            for task in (open_now := set(self._open)):
                task.cancel()
            if open_now:
                await asyncio.wait(open_now)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        host, now = str(peer[0]), asyncio.get_running_loop().time()
        if not self._allowed(host) or not self._has_room(host, now):
            self.counts["turned_away"] += 1
            _LOG.warning("read-through: %s is turned away", peer[0])
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        seat = self._open[task] = _Seat(host, now)
        _watch_over(writer)
        try:
            await self._converse(reader, writer, seat)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, LinkError):
            pass  # it is gone, or says nothing, or speaks something else
        except asyncio.CancelledError:
            pass  # the server closes, or it gave way; asyncio's own callback would log it as an error
        finally:
            self._open.pop(task, None)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _has_room(self, host: str, now: float) -> bool:
        """Tell whether there is a place for one more; make it at the cost of one that is not there any more."""
        if len(self._open) < self._settings.clients:
            return True
        task, seat = min(self._open.items(), key=lambda item: (item[1].host != host, item[1].spoke_at))
        if seat.host != host or now - seat.spoke_at < _COMES_BACK:
            task, seat = min(self._open.items(), key=lambda item: item[1].spoke_at)
            if now - seat.spoke_at < _GIVES_WAY:
                return False
        self.counts["gave_way"] += 1
        _LOG.warning(
            "read-through: %s said nothing for %.0f s: its place goes to %s", seat.host, now - seat.spoke_at, host
        )
        del self._open[task]
        task.cancel()
        return True

    def _allowed(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        return not self._settings.allow or any(address in network for network in self._settings.allow)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seat: _Seat) -> None:
        now = asyncio.get_running_loop().time
        while True:
            async with asyncio.timeout(_IDLE):
                head = await reader.readexactly(_MBAP.size)
                transaction, protocol, length, unit = _MBAP.unpack(head)
                if protocol or not 2 <= length <= _LONGEST:
                    raise LinkError("no MBAP header")
                pdu = await reader.readexactly(length - 1)
            seat.spoke_at = now()
            answer = self.answer(unit, pdu, seat.spoke_at)
            writer.write(_MBAP.pack(transaction, 0, len(answer) + 1, unit) + answer)
            async with asyncio.timeout(_IDLE):
                await writer.drain()

    def answer(self, unit: int, pdu: bytes, now: float) -> bytes:
        """Return the answer's PDU to a request's PDU."""
        function = pdu[0]
        try:
            found = self._find(unit, pdu, now - self._settings.max_age / SECOND)
        except _Refused as exc:
            self.counts["stale" if exc.code == NO_ANSWER else "refused"] += 1
            return bytes((function & 0x7F | 0x80, exc.code))
        self.counts["served"] += 1
        return bytes((function, len(found))) + found

    def _find(self, unit: int, pdu: bytes, oldest: float) -> bytes:
        function = pdu[0]
        if function not in MOST:
            raise _Refused(ILLEGAL_FUNCTION)
        if unit in _ANY_UNIT and unit not in self._units and len(self._units) == 1:
            (unit,) = self._units
        if unit not in self._units:
            raise _Refused(NO_PATH)
        address, count = _READ.unpack_from(pdu, 1) if len(pdu) == 5 else (0, 0)
        if not 1 <= count <= MOST[function]:
            raise _Refused(ILLEGAL_VALUE)
        if address + count > ADDRESSES:
            raise _Refused(ILLEGAL_ADDRESS)
        found = self._image.read(unit, function, address, count, oldest)
        if isinstance(found, Absence):
            raise _Refused(NO_ANSWER if found is Absence.STALE else ILLEGAL_ADDRESS)
        return found


def _watch_over(writer: asyncio.StreamWriter) -> None:
    """Have the system notice when the other end is gone without a word."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, seconds in _KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, seconds)
