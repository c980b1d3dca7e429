"""The driver's own port to Modbus, and its one implementation: pymodbus's frames over a transport of ours.

One exchange at a time; the link sees to that. A unit that stays silent costs its own time and nothing else: the
connection stays, and its late answer is never taken for another's.
"""

import asyncio
from collections import Counter
from typing import Final, Protocol

from linli_core.codec import NEED_DATA
from linli_core.errors import DriverUnavailable, LinkClosed, LinkTimeout, ProtocolError
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
            LinkClosed: The connection is broken or out of step, and stays so.
            DeviceError: The device answered with an exception; ``code`` is the protocol's.
            ProtocolError: What came is no answer to the request.
        """
        ...


def check_version(found: str, where: str) -> None:
    """Refuse any pymodbus but the pinned one: its frames and bit order changed in minor releases before."""
    if found != PYMODBUS:
        raise DriverUnavailable(
            where, f"pymodbus {found} is installed, driver 'modbus' needs {PYMODBUS}", "try: pip install 'linli[edge]'"
        )


class FramedPort:
    """A port over an open byte stream; who opens it again after it broke is the link's business.

    Attributes:
        late: Late answers of each unit.
    """

    def __init__(self, transport: Transport, framing: Framing, *, quiet: float = 0.05) -> None:
        """Store the settings.

        Args:
            transport: The open stream.
            framing: How requests and answers are framed on it.
            quiet: Seconds without a byte after which a line counts as silent.
        """
        self.late: Counter[int] = Counter()
        self._transport = transport
        self._framing = framing
        self._quiet = quiet
        self._waiting: tuple[int, float] | None = None
        self._doubt: dict[int, float] = {}
        self._rest_until = 0.0
        self._broken = ""

    async def read(self, request: Request, *, limit: float, pause: float = 0.0) -> bytes:
        """Carry out one read; see :class:`ModbusPort`."""
        if self._broken:
            raise LinkClosed(f"the connection is of no more use: {self._broken}")
        try:
            await self._settle(request.unit, limit, pause)
            data = self._framing.encode(request)
            self._waiting = request.unit, limit
            try:
                async with asyncio.timeout(limit):
                    await self._transport.write(data)
                    pdu = await self._answer(request)
            except TimeoutError as exc:
                raise LinkTimeout(f"unit {request.unit}: no answer within {limit:g} s") from exc
        except LinkClosed as exc:
            self._broken = str(exc)
            raise
        except ProtocolError as exc:
            self._broken = str(exc)
            raise LinkClosed(f"unit {request.unit}: {exc}") from exc
        self._waiting = None
        self._rest_until = _now()
        return data_of(request, pdu)

    async def _answer(self, request: Request) -> bytes:
        framing = self._framing
        while True:
            framing.receive(await self._some())
            pdu = framing.next_answer()
            self._count_strays(request.unit)
            if pdu is not NEED_DATA:
                return pdu

    async def _settle(self, unit: int, limit: float, pause: float) -> None:
        """Let the device rest, and make sure that what comes next cannot be the answer to a request before.

        With transaction ids the second needs nothing. Without them: after a timeout (or a cancelled poll) listen until
        the line is silent; before asking the *same* unit again, listen for as long as its answer may still come.
        Other units need not wait: a frame of the silent unit is not theirs. Even in quiet times the rest is spent
        listening, for what lies in the buffers by then arrived while nobody asked.
        """
        rest = self._rest_until + pause - _now()
        if self._framing.identified:
            if rest > 0:
                await asyncio.sleep(rest)
            return
        if self._waiting is not None:
            silent, patience = self._waiting
            self._doubt[silent] = _now() + patience
            self._waiting = None
            await self._listen(self._quiet, limit)
        while (left := self._doubt.get(unit, 0.0) - _now()) > 0:
            await self._listen(left, left)
        await self._listen(max(rest, _LEAST_LISTENING), limit)
        self._framing.reset()
        self._count_strays(unit)
        if self._doubt:
            now = _now()
            self._doubt = {other: until for other, until in self._doubt.items() if until > now}

    async def _listen(self, quiet: float, limit: float) -> None:
        """Throw away what comes, until nothing has come for ``quiet`` seconds or ``limit`` seconds are over."""
        end = _now() + limit
        try:
            while _now() <= end:
                async with asyncio.timeout(quiet):
                    data = await self._transport.read()
                if not data:
                    return  # closed while nothing is outstanding: the next write connects again, or says so
                self._framing.receive(data)
        except TimeoutError:
            return

    def _count_strays(self, unit: int) -> None:
        """Book strays on the unit whose answer is overdue, else on the one being asked."""
        strays, self._framing.strays = self._framing.strays, 0
        if strays:
            self.late[next(reversed(self._doubt), unit)] += strays

    async def _some(self) -> bytes:
        data = await self._transport.read()
        if not data:
            raise LinkClosed("the other end closed the connection")
        return data


def _now() -> float:
    return asyncio.get_running_loop().time()
