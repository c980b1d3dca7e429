"""The platform's connection to the broker: connects, subscribes, keeps alive, comes back."""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from linli_core.errors import LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_platform.ingest.mqtt import (
    CONNECT_REFUSALS,
    DISCONNECT,
    PINGREQ,
    Connack,
    Decoder,
    PacketIds,
    Publish,
    Suback,
    connect,
    publish,
    subscribe,
)

_log = logging.getLogger(__name__)

_KEEP_ALIVE_S: Final = 30
_ANSWER_S: Final = 10.0
_BACKOFF_FIRST_S: Final = 0.2
_BACKOFF_LAST_S: Final = 15.0
_WRITE_BOUND: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and how to speak to it.

    Attributes:
        tls: ``None`` for a plain connection.
        client_id: Names the session that the broker keeps while the platform is away; one for each worker.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "linli-platform"
    username: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None


class Connection:
    """One subscriber's connection, made again whenever it breaks.

    Args:
        address: The broker.
        filters: Topic filters to subscribe at QoS 1.
        on_message: Called for every message, on the event loop; must not block.
        on_connected: Called each time the subscription stands.
        max_packet: Longest message kept whole.
    """

    def __init__(
        self,
        address: BrokerAddress,
        filters: list[str],
        on_message: Callable[[Publish], None],
        on_connected: Callable[[], None],
        max_packet: int,
    ) -> None:
        self._address = address
        self._filters = filters
        self._on_message = on_message
        self._on_connected = on_connected
        self._max_packet = max_packet
        self._ids = PacketIds()
        self._wire: _Wire | None = None
        self._paused = False

    @property
    def is_connected(self) -> bool:
        """Tell whether the subscription stands."""
        return self._wire is not None

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> bool:
        """Hand a QoS 1 message over; ``False`` if there is no connection or its queue is full."""
        wire = self._wire
        if wire is None or wire.backlog() > _WRITE_BOUND:
            return False
        wire.write(publish(topic, payload, packet_id=self._ids.take(), retain=retain))
        return True

    def pause(self) -> None:
        """Take no more messages: the broker keeps them, as far as its own bound goes."""
        if not self._paused:
            self._paused = True
            if self._wire is not None:
                self._wire.pause()

    def resume(self) -> None:
        """Take messages again."""
        if self._paused:
            self._paused = False
            if self._wire is not None:
                self._wire.resume()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        delay, was_connected, said_lost = _BACKOFF_FIRST_S, False, False
        where = f"broker {self._address.host}:{self._address.port}"
        while True:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    wire = await self._open()
                if said_lost:
                    _log.warning("%s: connected again", where)
                elif not was_connected:
                    _log.info("%s: connected", where)
                was_connected, said_lost, delay = True, False, _BACKOFF_FIRST_S
                await self._keep(wire)
            except (OSError, TimeoutError, LinkError, ProtocolError, ssl.SSLError) as exc:
                if not said_lost:
                    _log.warning("%s: %s; trying again", where, exc or type(exc).__name__)
                    said_lost = True
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(2 * delay, _BACKOFF_LAST_S)

    async def _open(self) -> "_Wire":
        loop = asyncio.get_running_loop()
        address = self._address
        wire = _Wire(Decoder(self._max_packet), self._on_message)
        await loop.create_connection(lambda: wire, address.host, address.port, ssl=address.tls)
        try:
            await self._greet(wire)
        except BaseException:
            wire.close()
            raise
        return wire

    async def _greet(self, wire: "_Wire") -> None:
        address = self._address
        wire.write(
            connect(
                address.client_id,
                keep_alive=_KEEP_ALIVE_S,
                clean=False,
                username=address.username,
                password=address.password,
            )
        )
        if (code := (await wire.connack).code) != 0:
            raise LinkError(CONNECT_REFUSALS.get(code, f"the broker refused with code {code}"))
        wire.write(subscribe(self._ids.take(), self._filters, 1))
        if 0x80 in (await wire.suback).codes:
            raise LinkError(f"the broker refused the subscription to {', '.join(self._filters)}")

    async def _keep(self, wire: "_Wire") -> None:
        self._wire = wire
        if self._paused:
            wire.pause()
        try:
            self._on_connected()
            while True:
                heard = wire.heard
                wire.write(PINGREQ)
                await asyncio.wait({wire.closed}, timeout=_KEEP_ALIVE_S / 2)
                if wire.closed.done():
                    raise wire.closed.result()
                # While reading is paused nothing can be heard, and that is no sign of a dead broker.
                if wire.heard == heard and not self._paused:
                    raise LinkTimeout(f"silent for {_KEEP_ALIVE_S / 2:g} s")
        finally:
            self._wire = None
            wire.close()


class _Wire(asyncio.Protocol):
    """One TCP or TLS connection."""

    def __init__(self, decoder: Decoder, on_message: Callable[[Publish], None]) -> None:
        loop = asyncio.get_running_loop()
        self.connack: asyncio.Future[Connack] = loop.create_future()
        self.suback: asyncio.Future[Suback] = loop.create_future()
        self.closed: asyncio.Future[LinkError | ProtocolError] = loop.create_future()
        self.heard = 0
        self._decoder = decoder
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += 1
        try:
            packets, answers = self._decoder.receive(data)
        except ProtocolError as exc:
            self._end(exc)
            return
        if answers:
            # Told before it is stored: a PUBACK frees nothing, the platform's own ack does.
            self.write(answers)
        for packet in packets:
            if isinstance(packet, Publish):
                self._on_message(packet)
            elif isinstance(packet, Connack):
                if not self.connack.done():
                    self.connack.set_result(packet)
            elif isinstance(packet, Suback) and not self.suback.done():
                self.suback.set_result(packet)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(LinkClosed(f"the connection broke: {exc}" if exc else "the broker closed the connection"))

    def _end(self, error: LinkError | ProtocolError) -> None:
        if not self.closed.done():
            self.closed.set_result(error)
        for waiting in (self.connack, self.suback):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # seen: nobody need wait for it
        if self._transport is not None:
            self._transport.abort()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def backlog(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(DISCONNECT)
            self._transport.close()
