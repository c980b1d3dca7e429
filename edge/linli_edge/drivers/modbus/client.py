"""The driver's own port to Modbus, and its one implementation: pymodbus's frames over a transport of ours.

One exchange at a time; the link sees to that. A unit that stays silent costs its own time and nothing else: the
connection stays, and its late answer is never taken for another's (:mod:`linli_edge.drivers.modbus.doubt`).
"""

import asyncio
import struct
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Final, Protocol

from linli_core.codec import NEED_DATA
from linli_core.errors import ChecksumError, DriverUnavailable, LinkClosed, LinkTimeout, ProtocolError
from linli_edge.driver import UnitCounters
from linli_edge.drivers.modbus.doubt import Doubt, Heard
from linli_edge.drivers.modbus.framing import NOTHING, Asked, Command, Framing, Request, data_of
from linli_edge.drivers.modbus.pdu import check_written
from linli_edge.transport import Transport

PYMODBUS: Final = "3.16.1"
"""The one version that was read and tested; see ``pyproject.toml``."""

QUIET: Final = 0.05
"""Seconds without a byte after which a line counts as silent."""

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
            ChecksumError: What came looks like the answer, and its checksum is wrong.
            ProtocolError: What came is no answer to the request.
        """
        ...

    async def write(
        self, command: Command, *, limit: float, pause: float = 0.0, permit: Callable[[], None] | None = None
    ) -> None:
        """Carry out one write, once; errors as for :meth:`read`.

        On a line that echoes, the echo of functions 5 and 6 is their answer: read back what matters.

        Args:
            command: What to write.
            limit: Seconds for the answer.
            pause: Seconds of rest the device needs after the exchange before.
            permit: Called when the line is ready, just before the write is sent; what it raises stops it. It may take
                seconds until then: for the line to fall silent, and for late answers that could be mistaken.
        """
        ...

    def count(self, unit: int) -> UnitCounters:
        """Return what has been counted of a unit; the object goes on counting."""
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

    def __init__(
        self,
        transport: Transport,
        framing: Framing,
        *,
        quiet: float = QUIET,
        doubt: Doubt | None = None,
    ) -> None:
        """Store the settings.

        Args:
            transport: The open stream.
            framing: How requests and answers are framed on it.
            quiet: Seconds without a byte after which a line counts as silent.
            doubt: What may still come in answer to earlier requests. It belongs to the line, not to the connection:
                a converter delivers a late answer to whoever is connected by then.
        """
        self.late: Counter[int] = Counter()
        self._counts: defaultdict[int, UnitCounters] = defaultdict(UnitCounters)
        self._transport = transport
        self._framing = framing
        self._quiet = quiet
        self._doubt = doubt if doubt is not None else Doubt()
        self._drained = True
        self._asked_last: int | None = None
        self._rest_until = 0.0
        self._heard_anything = False
        self._broken = ""

    def count(self, unit: int) -> UnitCounters:
        """Return what has been counted of a unit."""
        return self._counts[unit]

    async def read(self, request: Request, *, limit: float, pause: float = 0.0) -> bytes:
        """Carry out one read; see :class:`ModbusPort`."""
        pdu = await self._exchange(request, limit, pause)
        try:
            return data_of(request, pdu)
        except ProtocolError:
            self._malformed(request.unit)
            raise

    async def write(
        self, command: Command, *, limit: float, pause: float = 0.0, permit: Callable[[], None] | None = None
    ) -> None:
        """Carry out one write; see :class:`ModbusPort`."""
        pdu = await self._exchange(command, limit, pause, permit)
        try:
            check_written(command, pdu)
        except ProtocolError:
            self._malformed(command.unit)
            raise

    def _malformed(self, unit: int) -> None:
        """Count an answer as what it turned out to be."""
        self._counts[unit].answers -= 1
        self._counts[unit].malformed += 1

    async def _exchange(
        self, asked: Asked, limit: float, pause: float, permit: Callable[[], None] | None = None
    ) -> bytes:
        """Return the PDU of the answer to one request, and certainly to that one."""
        if self._broken:
            raise LinkClosed(f"the connection is of no more use: {self._broken}")
        unit = asked.unit
        try:
            await self._settle(unit, limit, pause)
            for elsewhere in (False, True):
                if not self._doubt.about(asked):
                    break
                await self._sound(asked, limit, elsewhere=elsewhere)
                await self._settle(unit, limit, pause)
            if self._doubt.about(asked):
                raise LinkTimeout(f"unit {unit}: what it says may be the answer to an earlier request")
            if permit is not None:
                permit()
            sent = _now()
            pdu = await self._once(asked, limit)
        except LinkClosed as exc:
            self._broken = str(exc)
            raise
        except ChecksumError:
            raise
        except ProtocolError as exc:
            self._counts[unit].malformed += 1
            if exc.kind == "another_master":
                raise
            # Out of step: nothing on this connection can be trusted any more.
            self._broken = str(exc)
            raise LinkClosed(f"unit {unit}: {exc}") from exc
        self._doubt.settled(unit, sent)
        return pdu

    async def _sound(self, asked: Asked, limit: float, *, elsewhere: bool) -> None:
        """Ask a unit in doubt something whose answer cannot be mistaken for one that is overdue.

        Requests are answered in their order, so that answer says that nothing older can come any more.
        """
        sounding = self._doubt.sounding(asked, elsewhere=elsewhere)
        if sounding is None:
            # Every shape is taken: all that is left is to wait as long as we ever do.
            await self._listen(limit, limit)
            self._framing.reset()
            listened = _now()
            self._note_overheard(asked.unit, limit)
            self._doubt.settled(asked.unit, listened)
            return
        sent = _now()
        pdu = await self._once(sounding, limit)
        if self._doubt.proves(sounding, pdu):
            self._doubt.settled(asked.unit, sent)
        else:
            # An exception, which may be an older request's: that one is settled, this one is not.
            self._doubt.answered(asked.unit, pdu)
            self._doubt.add(sounding, _now(), limit)

    async def _once(self, asked: Asked, limit: float) -> bytes:
        """Send one request and return the PDU that answers it, as far as its form says."""
        count = self._counts[asked.unit]
        self._asked_last = asked.unit
        data = self._framing.encode(asked)
        count.requests += 1
        started, answered = _now(), False
        try:
            async with asyncio.timeout(limit):
                await self._transport.write(data)
                pdu = await self._answer()
            self._note_overheard(asked.unit, limit, asked)
            answered = True
        except TimeoutError as exc:
            raise self._unanswered(asked, limit) from exc
        except LinkClosed:
            count.timeouts += 1
            raise
        finally:
            # Whatever ended it, a cancelled poll included: its answer may still come.
            if not answered and not self._framing.identified:
                self._doubt.add(asked, _now(), limit)
                self._drained = False
        self._rest_until = _now()
        count.answered(round((self._rest_until - started) * 1_000_000))
        count.refused += pdu[0] & 0x80 != 0
        return pdu

    def _unanswered(self, asked: Asked, limit: float) -> LinkTimeout | ChecksumError:
        count = self._counts[asked.unit]
        if self._framing.damaged:
            count.checksum += 1
            return ChecksumError(f"unit {asked.unit}: an answer with a wrong checksum, and no other within {limit:g} s")
        count.timeouts += 1
        return LinkTimeout(f"unit {asked.unit}: no answer within {limit:g} s")

    async def _answer(self) -> bytes:
        framing = self._framing
        while True:
            if framing.damaged:
                # It was the answer, most likely. What else comes, comes soon; the line need not wait for the limit.
                async with asyncio.timeout(self._quiet):
                    data = await self._some()
            else:
                data = await self._some()
            framing.receive(data)
            pdu = framing.next_answer()
            if pdu is not NEED_DATA:
                return pdu

    async def _settle(self, unit: int, limit: float, pause: float) -> None:
        """Let the device rest, and throw away what came while nobody asked.

        With transaction ids the second needs nothing. Without them: after a timeout (or a cancelled poll) listen until
        the line is silent, for what answers the request before may be under way. Even in quiet times the rest is spent
        listening, for what lies in the buffers by then arrived while nobody asked.
        """
        rest = self._rest_until + pause - _now()
        if self._framing.identified:
            if rest > 0:
                await asyncio.sleep(rest)
            return
        # What came since the last exchange is booked on the unit that was asked then.
        before = unit if self._asked_last is None else self._asked_last
        if not self._drained:
            await self._listen(self._quiet, limit)
            self._drained = True
        await self._listen(max(rest, _LEAST_LISTENING), limit)
        self._framing.reset()
        self._note_overheard(before, limit)
        self._doubt.expire(_now())

    async def _listen(self, quiet: float, limit: float) -> None:
        """Take what comes, until nothing has come for ``quiet`` seconds or ``limit`` seconds are over."""
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

    def _note_overheard(self, unit: int, patience: float, asked: Asked | None = None) -> None:
        """Book what came besides the answer.

        What another master asked and was not yet told is overdue like an answer to us: it has the form of one.

        Args:
            unit: The unit that is being asked.
            patience: Seconds that an answer is waited for.
            asked: The request it has just answered, if it has.

        Raises:
            ProtocolError: Another master asked the same unit the same function: whose answer this is nobody knows.
        """
        heard = self._framing.overheard()
        if heard is NOTHING:
            return
        self._counts[unit].noise += heard.noise
        self._counts[unit].foreign += heard.foreign
        doubtful = False
        for other, pdu in heard.frames:
            if self._framing.identified:
                whose = Heard.OVERDUE
            elif _is_read(pdu):
                whose = Heard.FOREIGN
                request = Request(other, pdu[0], *struct.unpack(">HH", pdu[1:]))
                self._doubt.add(request, _now(), patience, ours=False)
                doubtful = doubtful or (asked is not None and other == asked.unit and pdu[0] == asked.function)
            else:
                whose = self._doubt.answered(other, pdu)
            if whose is Heard.OVERDUE:
                self.late[other] += 1
                self._counts[other].late += 1
            else:
                self._counts[unit].foreign += 1
        if doubtful:
            raise ProtocolError(
                f"unit {unit}: another master asked it at the same time; the answer may be to that one",
                kind="another_master",
            )

    async def _some(self) -> bytes:
        data = await self._transport.read()
        if not data:
            if self._heard_anything:
                raise LinkClosed("the other end closed the connection")
            raise LinkClosed(
                "the other end closed the connection before it said anything; "
                "many devices serve one connection only: is another program connected to it?"
            )
        self._heard_anything = True
        return data


def _is_read(pdu: bytes) -> bool:
    """Whether a PDU is a request to read: five bytes, which no answer in registers has."""
    return len(pdu) == 5 and (pdu[0] in {3, 4} or (pdu[0] in {1, 2} and pdu[1] != 3))


def _now() -> float:
    return asyncio.get_running_loop().time()
