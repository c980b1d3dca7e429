"""Simulated Modbus units on a TCP port or a pseudo-terminal: the thin shell around the pure parts, and its faults."""

import asyncio
import contextlib
import os
import ssl
import tty
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_sim.modbus_frames import Incoming, OutOfStep, RtuFrames, ServerFrames, TcpFrames
from linli_sim.modbus_registers import Unit

CONNECTIONS: Final = 64
"""Most connections at one time; the next one is closed at once."""


@dataclass
class Faults:
    """What goes wrong, by unit id; may be changed while the server runs.

    Attributes:
        silent: Units that do not answer.
        delay: Seconds before a unit answers. The line serves nobody else meanwhile, as on a real bus.
        exception: Exception code that a unit answers to everything.
        drop: Units whose request closes the connection.
        noise: Bytes sent before each answer of a unit.
    """

    silent: set[int] = field(default_factory=set)
    delay: dict[int, float] = field(default_factory=dict)
    exception: dict[int, int] = field(default_factory=dict)
    drop: set[int] = field(default_factory=set)
    noise: dict[int, bytes] = field(default_factory=dict)


class Dropped(Exception):
    """The unit's fault is to close the connection."""


class ModbusServer:
    """Units behind one line.

    Attributes:
        units: The units by id; another id is silent.
        faults: What goes wrong.
        before: Called with the unit id before each answer, so that a model can bring itself up to date.
        connections: How many have been accepted so far.
    """

    def __init__(
        self, units: Mapping[int, Unit], faults: Faults | None = None, before: Callable[[int], None] | None = None
    ) -> None:
        self.units = units
        self.faults = faults if faults is not None else Faults()
        self.before = before
        self.connections = 0
        self._open: set[asyncio.Task[object]] = set()

    @contextlib.asynccontextmanager
    async def listen(
        self, port: int = 0, host: str = "127.0.0.1", *, rtu: bool = False, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[int]:
        """Accept connections; yields the port.

        Args:
            port: 0 for any that is free.
            host: Address to bind.
            rtu: RTU frames over TCP, as simple converters do, instead of Modbus TCP.
            tls: Speak TLS.
        """

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            if len(self._open) >= CONNECTIONS:
                writer.close()
                return
            task = asyncio.current_task()
            assert task is not None
            self._open.add(task)
            try:
                await self._converse(reader, writer, RtuFrames() if rtu else TcpFrames())
            except (ConnectionError, Dropped, OutOfStep):
                pass
            except asyncio.CancelledError:
                # The server closes. asyncio's own callback on this task would log a cancellation as an error.
                pass
            finally:
                self._open.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, host, port, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in (open_now := set(self._open)):
                task.cancel()
            if open_now:
                await asyncio.wait(open_now)
            await server.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: ServerFrames) -> None:
        while data := await reader.read(4096):
            for request in frames.receive(data):
                answer = await self._answer(request, frames)
                if answer:
                    writer.write(answer)
            await writer.drain()

    async def _answer(self, request: Incoming, frames: ServerFrames) -> bytes:
        unit, faults = self.units.get(request.unit), self.faults
        if request.unit in faults.drop:
            raise Dropped
        if delay := faults.delay.get(request.unit):
            await asyncio.sleep(delay)
        if unit is None or request.unit in faults.silent:
            return b""
        noise = faults.noise.get(request.unit, b"")
        if code := faults.exception.get(request.unit):
            return noise + frames.answer(request, bytes((request.pdu[0] | 0x80, code)))
        if self.before is not None:
            self.before(request.unit)
        return noise + frames.answer(request, unit.answer(request.pdu))

    @contextlib.asynccontextmanager
    async def on_terminal(self) -> AsyncIterator[str]:
        """Answer RTU on a new pseudo-terminal; yields the path of the end that a client opens."""
        master, slave = os.openpty()
        tty.setraw(master)
        tty.setraw(slave)
        os.set_blocking(master, False)
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[bytes] = asyncio.Queue(64)

        def ready() -> None:
            with contextlib.suppress(BlockingIOError, asyncio.QueueFull):
                arrived.put_nowait(os.read(master, 4096))

        async def serve() -> None:
            frames = RtuFrames()
            while True:
                for request in frames.receive(await arrived.get()):
                    os.write(master, await self._answer(request, frames))

        loop.add_reader(master, ready)
        task = asyncio.create_task(serve(), name="modbus on a pseudo-terminal")
        try:
            yield os.ttyname(slave)
        finally:
            loop.remove_reader(master)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            os.close(master)
            os.close(slave)
