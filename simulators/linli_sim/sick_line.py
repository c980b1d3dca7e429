"""An RS-485 line with byte timing and with what goes wrong on one, on a pseudo-terminal or behind a TCP converter.

It shares no code with the gateway's client. Speed and parity of the client are read from the pseudo-terminal's
settings, as an adapter would be set: devices that run at another speed hear nothing they understand.

What a pseudo-terminal cannot tell apart is parity "none" from "even" (the kernel drops the bit); "odd" it can.
"""

import asyncio
import contextlib
import os
import random
import termios
import tty
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_sim.modbus_frames import Incoming, RtuFrames, ServerFrames, TcpFrames, rtu
from linli_sim.modbus_registers import Unit

_BITS: Final = 11
_SLICE: Final = 0.005
"""Seconds of line time handed over at once: finer than any client's timeouts, coarse enough for a small machine."""

_SPEEDS: Final = {getattr(termios, f"B{baud}"): baud for baud in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)}


@dataclass
class Sickness:
    """What is wrong with the line; may be changed while it runs. A healthy line is ``Sickness()``.

    Attributes:
        delay: Seconds before a unit answers, by unit id; :attr:`turnaround` for the others.
        turnaround: Seconds before a unit answers.
        speed: Bits per second that the devices run at; ``None``: whatever the client sets.
        odd: Whether the devices expect odd parity.
        echo: Whether the client hears its own request.
        twins: Unit ids that two devices have: their answers overlap, each delayed a little differently.
        doubles: Unit ids that two devices have which answer one after the other.
        errors: Share of answers of which a bit is turned over.
        noise: Seconds between runs of stray bytes on the idle line; 0: none.
        edges: Whether each answer has stray bytes before and behind it (no bias resistors, no terminator).
        master: Seconds between the requests of another master on the line; 0: there is none.
        close_after: Answers after which a converter closes the connection; 0: never.
        close_on_silence: Whether a converter closes the connection when a unit does not answer.
        vanish_after: Answers after which the port is gone (unplugged); 0: never.
    """

    delay: dict[int, float] = field(default_factory=dict)
    turnaround: float = 0.02
    speed: int | None = None
    odd: bool = False
    echo: bool = False
    twins: set[int] = field(default_factory=set)
    doubles: set[int] = field(default_factory=set)
    errors: float = 0.0
    noise: float = 0.0
    edges: bool = False
    master: float = 0.0
    close_after: int = 0
    close_on_silence: bool = False
    vanish_after: int = 0


class SickLine:
    """Units on one line.

    Attributes:
        units: The units by id; another id is silent.
        sickness: What is wrong.
        baud: Speed of the line behind a TCP converter; on a pseudo-terminal the client sets it.
        answers: How many answers have been sent.
        asked: The unit ids of all requests, in their order.
        answered: Set by the first answer.
    """

    def __init__(self, units: Mapping[int, Unit], sickness: Sickness | None = None, *, baud: int = 9600) -> None:
        self.units = units
        self.sickness = sickness if sickness is not None else Sickness()
        self.baud = baud
        self.answers = 0
        self.asked: list[int] = []
        self.answered = asyncio.Event()
        # The same faults in every run; nothing here is a secret.
        self._random = random.Random(485)  # noqa: S311

    @contextlib.asynccontextmanager
    async def on_terminal(self) -> AsyncIterator[str]:
        """Answer RTU on a new pseudo-terminal; yields the path of the end that a client opens."""
        master, slave = os.openpty()
        tty.setraw(slave)
        _mark(slave)
        os.set_blocking(master, False)
        path = os.ttyname(slave)
        arrived: asyncio.Queue[bytes] = asyncio.Queue(256)
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()

        def ready() -> None:
            with contextlib.suppress(OSError, asyncio.QueueFull):
                arrived.put_nowait(os.read(master, 4096))

        def send(data: bytes) -> None:
            with contextlib.suppress(OSError):
                os.write(master, data)

        async def serve() -> None:
            frames = RtuFrames()
            while True:
                data = await arrived.get()
                heard = self._understood(master)
                for request in frames.receive(data):
                    if heard:
                        await self._converse(request, data, frames, send)
                    elif self.sickness.speed:
                        await self._mumble(send)
                if self.sickness.vanish_after and self.answers >= self.sickness.vanish_after:
                    gone.set()
                    return

        loop.add_reader(master, ready)
        tasks = [asyncio.create_task(serve(), name="line"), asyncio.create_task(self._others(send), name="others")]
        vanishing = asyncio.create_task(self._vanish(gone, master, slave))
        try:
            yield path
        finally:
            await _end([*tasks, vanishing])
            if not gone.is_set():
                loop.remove_reader(master)
                os.close(master)
                os.close(slave)

    @contextlib.asynccontextmanager
    async def listen(self, *, rtu_frames: bool = True) -> AsyncIterator[int]:
        """Answer behind a TCP converter on a free port; yields it."""
        conversations: set[asyncio.Task[object]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            conversations.add(task)
            others = asyncio.create_task(self._others(writer.write), name="others")
            frames: ServerFrames = RtuFrames() if rtu_frames else TcpFrames()
            try:
                await self._connection(reader, writer, frames)
            except (ConnectionError, asyncio.CancelledError):
                pass
            finally:
                await _end([others])
                conversations.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await _end(list(conversations))
            await server.wait_closed()

    async def _connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: ServerFrames
    ) -> None:
        answered = 0
        while data := await reader.read(4096):
            for request in frames.receive(data):
                before = self.answers
                await self._converse(request, data, frames, writer.write)
                await writer.drain()
                answered += self.answers - before
                silent = self.answers == before
                if silent and self.sickness.close_on_silence:
                    return
                if self.sickness.close_after and answered >= self.sickness.close_after:
                    return

    async def _converse(
        self, request: Incoming, data: bytes, frames: ServerFrames, send: Callable[[bytes], None]
    ) -> None:
        sick = self.sickness
        if sick.echo:
            send(data)
        self.asked.append(request.unit)
        unit = self.units.get(request.unit)
        if unit is None:
            return
        answer = frames.answer(request, unit.answer(request.pdu))
        await asyncio.sleep(self._time(len(data)) + sick.delay.get(request.unit, sick.turnaround))
        if request.unit in sick.twins:
            answer = self._overlapped(answer)
        elif self._random.random() < sick.errors:
            answer = self._damaged(answer)
        if sick.edges:
            answer = b"\x00" + answer + b"\xff\x00"
        await self._paced(answer, send)
        if request.unit in sick.doubles:
            await asyncio.sleep(0.01)
            await self._paced(frames.answer(request, unit.answer(request.pdu)), send)
        self.answers += 1
        self.answered.set()

    async def _paced(self, data: bytes, send: Callable[[bytes], None]) -> None:
        """Send bytes as fast as the line carries them."""
        loop = asyncio.get_running_loop()
        each = max(1, int(_SLICE / self._time(1)))
        due = loop.time()
        for start in range(0, len(data), each):
            part = data[start : start + each]
            due += self._time(len(part))
            await asyncio.sleep(max(0.0, due - loop.time()))
            send(part)

    async def _mumble(self, send: Callable[[bytes], None]) -> None:
        """Devices at another speed hear no frame; sometimes one answers a broadcast that was none: a few odd bytes."""
        await asyncio.sleep(self.sickness.turnaround)
        if self._random.random() < 0.2:
            send(self._random.randbytes(3))

    async def _others(self, send: Callable[[bytes], None]) -> None:
        """Let noise and another master disturb the line."""
        number = 0
        while True:
            sick = self.sickness
            await asyncio.sleep(sick.noise or sick.master or 0.05)
            number += 1
            if sick.noise:
                send(self._random.randbytes(self._random.randint(1, 4)))
            elif sick.master:
                # Its request, and the answer of a unit that we never ask.
                send(rtu(99, b"\x03\x00\x10\x00\x02"))
                await asyncio.sleep(0.02)
                send(rtu(99, b"\x03\x04" + number.to_bytes(4, "big")))

    def _overlapped(self, answer: bytes) -> bytes:
        """Return what two devices that drive the line at once leave on it: some bits of each, some bytes more."""
        other = bytes(byte ^ self._random.randrange(1, 256) if place % 2 else byte for place, byte in enumerate(answer))
        shift = self._random.randrange(1, 4)
        return (b"\x00" * shift + bytes(a & b for a, b in zip(answer, other, strict=True)))[: len(answer) + shift]

    def _damaged(self, answer: bytes) -> bytes:
        place = self._random.randrange(len(answer))
        flipped = answer[place] ^ (1 << self._random.randrange(8))
        return answer[:place] + bytes((flipped,)) + answer[place + 1 :]

    def _time(self, count: int) -> float:
        return count * _BITS / self.baud

    def _understood(self, master: int) -> bool:
        """Tell whether the client's settings are the devices' own; take its speed."""
        flags, speed = termios.tcgetattr(master)[2], termios.tcgetattr(master)[4]
        _mark(master)
        self.baud = _SPEEDS.get(speed, self.baud)
        odd = bool(flags & termios.PARODD)
        return (self.sickness.speed in {None, self.baud}) and odd == self.sickness.odd

    async def _vanish(self, gone: asyncio.Event, master: int, slave: int) -> None:
        await gone.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(slave)
        os.close(master)


def _mark(descriptor: int) -> None:
    """Set a flag that does nothing (output is not processed) and that every client clears.

    The C library calls it an error when a setting changes nothing but the parity, which a pseudo-terminal has not.
    """
    settings = termios.tcgetattr(descriptor)
    settings[1] |= termios.ONLCR
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)


async def _end(tasks: list[asyncio.Task[object]] | list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
