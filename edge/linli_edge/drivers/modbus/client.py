"""The driver's own port to Modbus, and its one implementation: pymodbus's frames over a transport of ours.

One exchange at a time; the link sees to that. A unit that stays silent costs its own time and nothing else: the
connection stays, and its late answer is never taken for another's.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from linli_core.codec import NEED_DATA
from linli_core.errors import DriverUnavailable, LinkClosed, LinkError, LinkTimeout, ProtocolError
from linli_edge.drivers.modbus.framing import Framing, Request, data_of
from linli_edge.transport import Transport

PYMODBUS: Final = "3.16.1"
"""The one version that was read and tested; see ``pyproject.toml``."""

_LEAST_LISTENING: Final = 0.001
"""Seconds: long enough for the loop to look at the line once, shorter than the silence RTU asks for anyway."""


class ModbusPort(Protocol):
    """What the driver needs of a Modbus client; replace it to run on another stack.

    Attributes:
        late: For each unit, answers (or pieces of them) that came when nobody waited any more.
    """

    late: Counter[int]

    async def read(self, request: Request, *, limit: float, pause: float = 0.0) -> bytes:
        """Carry out one read and return its data bytes: registers big-endian, or bits packed from the lowest up.

        Args:
            request: What to read.
            limit: Seconds for the answer.
            pause: Seconds of rest the device needs after the exchange before.

        Raises:
            LinkTimeout: No answer within the limit.
            LinkClosed: There is no connection.
            DeviceError: The device answered with an exception; ``code`` is the protocol's.
            ProtocolError: What came is no answer to the request.
        """
        ...

    async def close(self) -> None:
        """Close the connection; safe to call twice."""
        ...


def check_version(found: str, where: str) -> None:
    """Refuse any pymodbus but the pinned one: its frames and bit order changed in minor releases before."""
    if found != PYMODBUS:
        raise DriverUnavailable(
            where, f"pymodbus {found} is installed, driver 'modbus' needs {PYMODBUS}", "try: pip install 'linli[edge]'"
        )


class FramedPort:
    """A port over a byte stream.

    :meth:`open` connects, and so does a read after the connection was lost. After a failed attempt reads wait, longer
    each time, and answer :class:`LinkClosed` at once meanwhile: a host that is away does not cost every device behind
    it a full connection timeout.

    Attributes:
        late: Late answers of each unit.
    """

    _FIRST_DELAY: Final = 0.5
    _LONGEST_DELAY: Final = 30.0

    def __init__(
        self,
        connect: Callable[[], Awaitable[Transport]],
        framing: Callable[[], Framing],
        *,
        quiet: float = 0.05,
        now: Callable[[], float] | None = None,
    ) -> None:
        """Store the settings.

        Args:
            connect: Opens the stream; raises ``LinkError``.
            framing: Makes the framing of a fresh connection.
            quiet: Seconds without a byte after which a line counts as silent.
            now: Monotonic seconds; the running loop's time by default.
        """
        self.late: Counter[int] = Counter()
        self._connect = connect
        self._make_framing = framing
        self._quiet = quiet
        self._now = now
        self._transport: Transport | None = None
        self._framing: Framing = framing()
        self._waiting: Request | None = None
        self._doubt: dict[int, float] = {}
        self._rest_until = 0.0
        self._attempt_at = 0.0
        self._delay = 0.0

    async def read(self, request: Request, *, limit: float, pause: float = 0.0) -> bytes:
        """Carry out one read; see :class:`ModbusPort`."""
        now = self._time()
        transport = self._transport or await self._reconnect(now)
        try:
            await self._settle(transport, request.unit, limit, pause)
            data = self._framing.encode(request)
            self._waiting = request
            try:
                async with asyncio.timeout(limit):
                    await transport.write(data)
                    pdu = await self._answer(transport, request)
            except TimeoutError as exc:
                raise LinkTimeout(f"unit {request.unit}: no answer within {limit:g} s") from exc
        except LinkClosed:
            await self.close()
            raise
        except ProtocolError as exc:
            if exc.kind == "out_of_step":
                await self.close()
            raise
        self._waiting = None
        self._rest_until = self._time()
        return data_of(request, pdu)

    async def _answer(self, transport: Transport, request: Request) -> bytes:
        framing = self._framing
        while True:
            framing.receive(await _some(transport))
            pdu = framing.next_answer()
            self._count_strays(request.unit)
            if pdu is not NEED_DATA:
                return pdu

    async def _settle(self, transport: Transport, unit: int, limit: float, pause: float) -> None:
        """Let the device rest, and make sure that what comes next cannot be the answer to a request before.

        With transaction ids the second needs nothing. Without them: after a timeout (or a cancelled poll) listen until
        the line is silent; before asking the *same* unit again, listen for as long as its answer may still come.
        Other units need not wait: a frame of the silent unit is not theirs. Even in quiet times the rest is spent
        listening, for what lies in the buffers by then arrived while nobody asked.
        """
        rest = self._rest_until + pause - self._time()
        if self._framing.identified:
            if rest > 0:
                await asyncio.sleep(rest)
            return
        if self._waiting is not None:
            self._doubt[self._waiting.unit] = self._time() + limit
            self._waiting = None
            await self._listen(transport, self._quiet, limit)
        until = self._doubt.get(unit, 0.0)
        while (left := until - self._time()) > 0:
            await self._listen(transport, left, left)
        await self._listen(transport, max(rest, _LEAST_LISTENING), limit)
        self._framing.reset()
        self._count_strays(unit)
        self._doubt.pop(unit, None)

    async def _listen(self, transport: Transport, quiet: float, limit: float) -> None:
        """Throw away what comes, until nothing has come for ``quiet`` seconds or ``limit`` seconds are over."""
        end = self._time() + limit
        try:
            while self._time() <= end:
                async with asyncio.timeout(quiet):
                    data = await _some(transport)
                self._framing.receive(data)
        except TimeoutError:
            return

    def _count_strays(self, unit: int) -> None:
        """Book strays on the unit whose answer is overdue, else on the one being asked."""
        strays, self._framing.strays = self._framing.strays, 0
        if strays:
            self.late[next(reversed(self._doubt), unit)] += strays

    async def open(self) -> None:
        """Connect; raise ``LinkError``."""
        await self._reconnect(self._time())

    async def _reconnect(self, now: float) -> Transport:
        if now < self._attempt_at:
            raise LinkClosed(f"not connected; the next attempt is in {self._attempt_at - now:.1f} s")
        try:
            transport = await self._connect()
        except LinkError:
            self._delay = min(max(2 * self._delay, self._FIRST_DELAY), self._LONGEST_DELAY)
            self._attempt_at = self._time() + self._delay
            raise
        self._delay = 0.0
        self._transport, self._framing, self._waiting = transport, self._make_framing(), None
        self._doubt.clear()
        return transport

    def _time(self) -> float:
        return self._now() if self._now is not None else asyncio.get_running_loop().time()

    async def close(self) -> None:
        """Close the connection; the next read opens it again."""
        transport, self._transport = self._transport, None
        self._waiting = None
        if transport is not None:
            await transport.close()


async def _some(transport: Transport) -> bytes:
    data = await transport.read()
    if not data:
        raise LinkClosed("the other end closed the connection")
    return data
