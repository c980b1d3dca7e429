"""An RS-485 line with what goes wrong on one: speed, parity, two devices with one id, noise, another master.

A :class:`~linli_sim.line.SerialBus` with the faults that ``linli-edge scan`` and ``doctor`` must tell apart. Two
devices with one id are two stations, so what they leave on the wire is what the wire makes of it.

A pseudo-terminal cannot tell parity "none" from "even" (the kernel drops the bit); "odd" it can.
"""

import asyncio
import contextlib
import random
import termios
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from linli_sim.line import LineTiming, ModbusStation, SerialBus, Station
from linli_sim.modbus_frames import rtu
from linli_sim.modbus_registers import Unit

_TWIN: Final = 1000
_CFLAG: Final = 2
_ISPEED: Final = 4


@dataclass
class Sickness:
    """What is wrong with the line. A healthy line is ``Sickness()``.

    Attributes:
        delay: Seconds before a unit answers beyond the others' :attr:`turnaround`.
        turnaround: Seconds before a unit answers.
        strict: Whether the devices understand only a client at the line's own speed and parity.
        odd: Whether that parity is odd.
        echo: Whether the client hears its own request.
        twins: Unit ids that two devices have: both answer at the same time.
        doubles: Unit ids that two devices have of which one is slower: it answers behind the other.
        errors: Share of answers of which a bit is turned over.
        noise: Seconds between runs of stray bytes on the idle line; 0: none.
        edges: Whether each answer has stray bytes before and behind it (no bias resistors, no terminator).
        master: Seconds between the requests of another master on the line; 0: there is none.
        hang_up: Whether a converter closes the connection behind each answer.
        vanish_after: Answers after which the port is gone (unplugged); 0: never.
    """

    delay: dict[int, float] = field(default_factory=dict)
    turnaround: float = 0.02
    strict: bool = False
    odd: bool = False
    echo: bool = False
    twins: set[int] = field(default_factory=set)
    doubles: set[int] = field(default_factory=set)
    errors: float = 0.0
    noise: float = 0.0
    edges: bool = False
    master: float = 0.0
    hang_up: bool = False
    vanish_after: int = 0


class SickLine:
    """Units on one line; ``on_loop``: by the event loop's clock, for one that jumps.

    Attributes:
        units: The units by id; another id is silent.
        sickness: What is wrong.
        baud: Speed of the line.
        asked: The unit ids of all requests that were understood, in their order.
        answers: How many answers were given.
        answered: Set by the first answer.
    """

    def __init__(
        self, units: Mapping[int, Unit], sickness: Sickness | None = None, *, baud: int = 9600, on_loop: bool = False
    ) -> None:
        self.units = units
        self._on_loop = on_loop
        self.sickness = sickness if sickness is not None else Sickness()
        self.baud = baud
        self.asked: list[int] = []
        self.answers = 0
        self.answered = asyncio.Event()
        self._gone = asyncio.Event()
        # The same faults in every run; nothing here is a secret.
        self._random = random.Random(485)  # noqa: S311

    @contextlib.asynccontextmanager
    async def on_terminal(self) -> AsyncIterator[str]:
        """Answer on a new pseudo-terminal; yields the path of the end that a client opens."""
        async with self._running(tcp=None) as bus:
            yield bus.path

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[int]:
        """Answer RTU frames behind a TCP converter on a free port; yields it."""
        async with self._running(tcp=0) as bus:
            yield bus.port

    @contextlib.asynccontextmanager
    async def _running(self, tcp: int | None) -> AsyncIterator[SerialBus]:
        sick = self.sickness
        loop = asyncio.get_running_loop()
        bus = SerialBus(
            self._stations(loop), LineTiming(self.baud, turnaround=sick.turnaround), tcp=tcp, on_loop=self._on_loop
        )
        for unit in self.units:
            bus.faults[unit].delay = sick.delay.get(unit, 0.0)
            if sick.edges:
                bus.faults[unit].before, bus.faults[unit].after = b"\x00", b"\xff\x00"
        for unit in sick.doubles:
            # Behind the first one's answer, however long it is here.
            bus.faults[_TWIN + unit].delay = 0.04
        bus.converter.echo = sick.echo
        bus.converter.hang_up = sick.hang_up
        bus.understood = self._understood if sick.strict else None
        with bus:
            others = asyncio.create_task(self._others(bus), name="others on the line")
            vanishing = asyncio.create_task(self._vanish(bus), name="unplugging")
            try:
                yield bus
            finally:
                for task in (others, vanishing):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    def _stations(self, loop: asyncio.AbstractEventLoop) -> dict[int, Station]:
        sick = self.sickness
        stations: dict[int, Station] = {0: _Witness(self)}
        for number, unit in self.units.items():
            stations[number] = _Answering(self, number, unit, loop)
        for number in sick.twins | sick.doubles:
            twin = Unit()
            twin.tables = {
                table: {at: ~word & 0xFFFF for at, word in words.items()} for table, words in _tables(self, number)
            }
            stations[_TWIN + number] = ModbusStation(number, twin)
        return stations

    def _understood(self, settings: list[Any]) -> bool:
        odd = bool(settings[_CFLAG] & termios.PARODD)
        return settings[_ISPEED] == getattr(termios, f"B{self.baud}") and odd == self.sickness.odd

    def spoilt(self, answer: bytes) -> bytes:
        """Return an answer, now and then with one bit turned over."""
        if not answer or self._random.random() >= self.sickness.errors:
            return answer
        place = self._random.randrange(len(answer))
        return answer[:place] + bytes((answer[place] ^ 1 << self._random.randrange(8),)) + answer[place + 1 :]

    def told(self) -> None:
        """Note an answer, on the event loop's side."""
        self.answered.set()
        if self.sickness.vanish_after and self.answers >= self.sickness.vanish_after:
            self._gone.set()

    async def _others(self, bus: SerialBus) -> None:
        """Let noise and another master disturb the line."""
        sick = self.sickness
        number = 0
        while sick.noise or sick.master:
            await asyncio.sleep(sick.noise or sick.master)
            number += 1
            if sick.noise:
                bus.inject(self._random.randbytes(self._random.randint(1, 4)))
                continue
            # Another master's request, and the answer of a unit that is not ours.
            bus.inject(rtu(99, b"\x03\x00\x10\x00\x02"))
            await asyncio.sleep(0.03)
            bus.inject(rtu(99, b"\x03\x04" + number.to_bytes(4, "big")))

    async def _vanish(self, bus: SerialBus) -> None:
        await self._gone.wait()
        # The last answer is still on its way.
        await asyncio.sleep(0.1)
        bus.unplug()


def _tables(line: SickLine, number: int) -> list[tuple[str, dict[int, int]]]:
    return list(line.units[number].tables.items())


class _Witness:
    """Hears everything and says nothing."""

    def __init__(self, line: SickLine) -> None:
        self._line = line

    def hear(self, frame: bytes) -> bytes:
        if len(frame) >= 4 and rtu(frame[0], frame[1:-2]) == frame and frame[0] != 99:
            self._line.asked.append(frame[0])
        return b""


class _Answering(ModbusStation):
    """A unit whose answers are counted, and spoilt now and then."""

    def __init__(self, line: SickLine, address: int, unit: Unit, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(address, unit)
        self._line = line
        self._loop = loop

    def hear(self, frame: bytes) -> bytes:
        answer = super().hear(frame)
        if answer:
            self._line.answers += 1
            self._loop.call_soon_threadsafe(self._line.told)
        return self._line.spoilt(answer)
