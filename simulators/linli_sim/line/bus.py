"""A bus that programs open: as a serial port, or through a converter's TCP port. A thread keeps its time.

The event loop's own timers round up to a millisecond, which is a character at 9,600 baud; a thread that waits in
``select`` is right to about a tenth of that. On a loop whose clock jumps (:mod:`linli_sim.jumping_loop`) there is
nothing to round: there the bus lives on the loop, and its time is the loop's.
"""

import asyncio
import contextlib
import os
import select
import socket
import termios
import threading
import time
import tty
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from linli_sim.line.faults import Misbehaviour
from linli_sim.line.stations import ForeignStation, Station
from linli_sim.line.timing import LineTiming
from linli_sim.line.wire import Arrival, Wire

CONNECTIONS: Final = 8
"""Most TCP connections of the converter."""

_CHUNK: Final = 4096

_GRAIN: Final = 1e-6
"""Seconds: what is due so soon is due now. Without it a clock that moves only when asked to would never get there."""


@dataclass
class ConverterFaults:
    """What the converter between TCP and the bus does wrong; may be changed while the bus runs.

    Attributes:
        echo: Heads hear what they have said themselves.
        hang_up: The converter closes the connection behind each answer.
        hang_up_after: It closes within an answer, after so many bytes; 0: it does not.
        only_one: A second connection is closed at once.
        deaf: What heads say never reaches the wire.
    """

    echo: bool = False
    hang_up: bool = False
    hang_up_after: int = 0
    only_one: bool = False
    deaf: bool = False


@dataclass
class _Head:
    """One who may ask: a descriptor, and how to be rid of it."""

    number: int
    descriptor: int
    connection: socket.socket | None = None


@dataclass
class _Hearing:
    """What stations have heard of the frame under way."""

    data: bytearray = field(default_factory=bytearray)
    quiet_since: float = 0.0


class SerialBus:
    """Stations on one wire, and its ends; ``with`` starts the thread.

    Attributes:
        wire: What is said on it.
        stations: Who answers, by a number of the caller's choice (on Modbus the unit id).
        faults: What each station does wrong; may be changed while the bus runs.
        converter: What the converter does wrong.
        path: The serial port that the gateway opens: a link to a pseudo-terminal.
        port: The converter's TCP port; 0 without one.
        connections: How many TCP connections have been accepted.
        understood: Tells from a serial port's settings (as ``termios.tcgetattr`` gives them) whether the stations
            understand what is said there; ``None``: at any setting.
    """

    def __init__(
        self,
        stations: Mapping[int, Station],
        timing: LineTiming | None = None,
        *,
        link: Path | None = None,
        tcp: int | None = None,
        on_loop: bool = False,
    ) -> None:
        """Store what is to be started.

        Args:
            stations: Who answers.
            timing: Speed of the wire.
            link: Where a symbolic link to the serial port is put, as ``/dev/serial/by-id`` has them; ``None``: no
                link, :attr:`path` is the pseudo-terminal itself.
            tcp: Also listen on this TCP port, 0 for any, and pass bytes through as a simple converter does.
            on_loop: Live on the running event loop and by its clock, without a thread.
        """
        self.stations = dict(stations)
        self.wire = Wire(timing if timing is not None else LineTiming())
        self.faults = {key: Misbehaviour() for key in stations}
        self.converter = ConverterFaults()
        self.path = ""
        self.port = 0
        self.connections = 0
        self.understood: Callable[[list[Any]], bool] | None = None
        self._link = link
        self._tcp = tcp
        self._heads: dict[int, _Head] = {}
        self._foreign = {
            station.descriptor: key for key, station in self.stations.items() if isinstance(station, ForeignStation)
        }
        self._hearing = _Hearing()
        self._asked: dict[int, tuple[bytes, float]] = {}
        self._owing: set[int] = set()
        self._last: dict[int, bytes] = {}
        self._numbers = 0
        self._terminal: tuple[int, int] | None = None
        self._listening: socket.socket | None = None
        self._lock = threading.Lock()
        self._spoken: set[str] = set()
        self._news = threading.Condition(self._lock)
        self._wake, self._woken = socket.socketpair()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="serial bus", daemon=True)
        self._loop = asyncio.get_running_loop() if on_loop else None
        self._clock = self._loop.time if self._loop is not None else time.monotonic
        self._timer: asyncio.TimerHandle | None = None
        self._registered: set[int] = set()

    def __enter__(self) -> Self:
        self.plug_in()
        if self._tcp is not None:
            self._listening = socket.create_server(("127.0.0.1", self._tcp))
            self.port = self._listening.getsockname()[1]
        if self._loop is None:
            self._thread.start()
        else:
            self._watch(self._loop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        if self._loop is None:
            self._wake.send(b"\0")
            self._thread.join()
        else:
            self._watch(self._loop)
        self.unplug()
        with self._lock:
            for head in list(self._heads.values()):
                self._hang_up(head)
        for station in self.stations.values():
            if isinstance(station, ForeignStation):
                station.close()
        for end in (self._listening, self._wake, self._woken):
            if end is not None:
                end.close()

    def plug_in(self) -> None:
        """Give the bus a serial port: a new pseudo-terminal, and the link pointing to it."""
        with self._lock:
            assert self._terminal is None, "it is plugged in"
            master, slave = os.openpty()
            tty.setraw(master)
            tty.setraw(slave)
            _mark(slave, termios.tcgetattr(slave))
            os.set_blocking(master, False)
            self._terminal = master, slave
            self._add_head(master, None)
            self.path = os.ttyname(slave)
            if self._link is not None:
                self._link.unlink(missing_ok=True)
                self._link.symlink_to(self.path)
                self.path = str(self._link)
        self._wake.send(b"\0")

    def unplug(self) -> None:
        """Take the serial port away, as when an adapter is pulled: whoever has it open finds it gone."""
        with self._lock:
            if self._terminal is None:
                return
            master, slave = self._terminal
            self._terminal = None
            head = next(head for head in self._heads.values() if head.descriptor == master)
            del self._heads[head.number]
            self._forget(master)
            os.close(master)
            os.close(slave)
            if self._link is not None:
                self._link.unlink(missing_ok=True)
        self._wake.send(b"\0")

    def heard_from(self, kind: str) -> None:
        """Return once something whole has been heard of a ``head``, a ``station`` or as ``noise``; not on the loop."""
        with self._news:
            self._news.wait_for(lambda: kind in self._spoken)

    def inject(self, data: bytes) -> None:
        """Put bytes on the wire now that no station and no head has said: noise, or another master."""
        with self._lock:
            self.wire.say(("noise", 0), data, self._clock())
        self._wake.send(b"\0")

    @property
    def is_owed(self) -> bool:
        """Whether a station that is another program has not answered yet what it was asked."""
        return bool(self._owing)

    def _run(self) -> None:
        while not self._stopping:
            with self._lock:
                watched, left = self._watched(), self._left()
            try:
                ready, _, _ = select.select(watched, [], [], left)
            except (OSError, ValueError):
                continue  # an end was closed meanwhile: look again at what there is
            with self._lock:
                self._turn(ready, self._clock())

    def _on_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do what is to be done now, and see to being called when there is more."""
        if self._stopping:
            return
        with self._lock:
            ready, _, _ = select.select(self._watched(), [], [], 0)
            self._turn(ready, self._clock() + _GRAIN)
        self._watch(loop)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        watched = set() if self._stopping else set(self._watched())
        for descriptor in self._registered - watched:
            loop.remove_reader(descriptor)
        for descriptor in watched - self._registered:
            loop.add_reader(descriptor, self._on_loop, loop)
        self._registered = watched
        if self._timer is not None:
            self._timer.cancel()
        left = None if self._stopping else self._left()
        self._timer = loop.call_later(left, self._on_loop, loop) if left is not None else None

    def _forget(self, descriptor: int) -> None:
        """Watch a descriptor no longer, which is about to be closed."""
        if self._loop is not None and descriptor in self._registered:
            self._registered.remove(descriptor)
            self._loop.remove_reader(descriptor)

    def _turn(self, ready: Sequence[int], now: float) -> None:
        """Take what was said, and let what is over be heard."""
        for descriptor in ready:
            self._take(descriptor, now)
        for arrival in self.wire.arrived(now):
            self._deliver(arrival)
            if arrival.last:
                self._spoken.add(arrival.source[0])
                self._news.notify_all()
        self._end_of_frame(now)

    def _watched(self) -> list[int]:
        watched = [self._woken.fileno(), *self._foreign, *(head.descriptor for head in self._heads.values())]
        return [*watched, self._listening.fileno()] if self._listening is not None else watched

    def _left(self) -> float | None:
        """Return the seconds until something happens by itself."""
        times = [at for at in (self.wire.next_at,) if at is not None]
        if self._hearing.data:
            times.append(self._hearing.quiet_since + self.wire.timing.silence)
        return max(0.0, min(times) - self._clock()) if times else None

    def _take(self, descriptor: int, now: float) -> None:
        if descriptor == self._woken.fileno():
            self._woken.recv(_CHUNK)
        elif self._listening is not None and descriptor == self._listening.fileno():
            self._accept(self._listening)
        elif descriptor in self._foreign:
            self._foreign_answer(descriptor, now)
        else:
            for head in [head for head in self._heads.values() if head.descriptor == descriptor]:
                self._asking(head, now)

    def _accept(self, listening: socket.socket) -> None:
        connection, _ = listening.accept()
        self.connections += 1
        open_now = sum(head.connection is not None for head in self._heads.values())
        if open_now >= (1 if self.converter.only_one else CONNECTIONS):
            connection.close()
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self._add_head(connection.fileno(), connection)

    def _add_head(self, descriptor: int, connection: socket.socket | None) -> None:
        self._numbers += 1
        self._heads[self._numbers] = _Head(self._numbers, descriptor, connection)

    def _hang_up(self, head: _Head) -> None:
        del self._heads[head.number]
        if head.connection is not None:
            self._forget(head.descriptor)
            head.connection.close()

    def _asking(self, head: _Head, now: float) -> None:
        try:
            data = os.read(head.descriptor, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            if head.connection is not None:
                self._hang_up(head)
            return
        if not self.converter.deaf and self._is_understood(head):
            self.wire.say(("head", head.number), data, now)

    def _is_understood(self, head: _Head) -> bool:
        if head.connection is not None:
            return True
        settings = termios.tcgetattr(head.descriptor)
        _mark(head.descriptor, settings)
        return self.understood is None or self.understood(settings)

    def _deliver(self, arrival: Arrival) -> None:
        kind, number = arrival.source
        for head in list(self._heads.values()):
            if kind != "head" or head.number != number or self.converter.echo:
                self._tell(head, arrival)
        if kind != "station":
            # What a station says is no request: the others pass over it, and here they are spared it.
            self._hearing.data += arrival.data
            self._hearing.quiet_since = arrival.at

    def _tell(self, head: _Head, arrival: Arrival) -> None:
        data, answer = arrival.data, arrival.source[0] == "station"
        cut = self.converter.hang_up_after if head.connection is not None and answer else 0
        with contextlib.suppress(OSError):  # a head that does not read, or has gone, loses what it does not take
            os.write(head.descriptor, data[:cut] if cut else data)
        if head.connection is not None and answer and (cut or (self.converter.hang_up and arrival.last)):
            self._hang_up(head)

    def _end_of_frame(self, now: float) -> None:
        """Let the stations hear a frame once the line has been silent behind it."""
        hearing, timing = self._hearing, self.wire.timing
        if not hearing.data or now < hearing.quiet_since + timing.silence:
            return
        frame, ended = bytes(hearing.data), hearing.quiet_since
        self._hearing = _Hearing()
        for key, station in self.stations.items():
            if isinstance(station, ForeignStation):
                if frame[0] == station.address:
                    self._asked[key] = frame, ended
                    self._owing.add(key)
                station.hear(frame)
            elif answer := station.hear(frame):
                self._answer(key, frame, answer, ended + timing.turnaround)

    def _foreign_answer(self, descriptor: int, now: float) -> None:
        key = self._foreign[descriptor]
        try:
            data = os.read(descriptor, _CHUNK)
        except OSError:
            return
        self._owing.discard(key)
        frame, ended = self._asked.get(key, (b"\0\0", now))
        self._answer(key, frame, data, max(now, ended + self.wire.timing.turnaround))

    def _answer(self, key: int, asked: bytes, answer: bytes, at: float) -> None:
        """Put a station's answer on the wire, with what its faults make of it."""
        faults = self.faults[key]
        if faults.repeats > 0 and key in self._last:
            faults.repeats -= 1
            answer = self._last[key]
        self._last[key] = answer
        for pause, part in faults.parts(asked, answer):
            at = self.wire.say(("station", key), part, at + pause)


def _mark(descriptor: int, settings: list[Any]) -> None:
    """Set a flag of a pseudo-terminal that does nothing (output is not processed) and that every client clears.

    A pseudo-terminal has no parity, and the C library calls it an error when a setting changes nothing but what the
    terminal has not: with the flag there is always something to change.
    """
    settings[1] |= termios.ONLCR
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)
