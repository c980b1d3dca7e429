"""One request, one answer: half duplex, one conversation at a time, and nothing left over from the one before."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus import Ack, Frame, LongFrame, MbusCodec, ShortFrame
from linli_core.errors import LinkClosed, LinkTimeout, ProtocolError
from linli_edge.driver import UnitCounters
from linli_edge.transport import Transport

_LOG: Final = logging.getLogger(__name__)

QUIET: Final = 0.1
"""Seconds without a byte after which a late answer is over."""

LEAST_LISTENING: Final = 0.001
"""Seconds: long enough for the loop to look at the line once."""

PATIENCE: Final = 1024
"""Bytes that may arrive in one exchange; four of the longest frames. More is a babbling device."""


class Bus:
    """The master's side of one bus.

    Attributes:
        timeout: Seconds until the first byte of an answer, and between two chunks of it.
        strays: Frames that answered nothing that was asked, since the bus was opened.
        blame: Who was asked last without an answer: what arrives when nobody waits any more is theirs.
    """

    def __init__(self, transport: Transport, timeout: float) -> None:
        self.timeout = timeout
        self.strays = 0
        self.blame: UnitCounters | None = None
        self._transport = transport
        self._codec = MbusCodec()
        self._unsettled = False

    @property
    def skipped(self) -> int:
        """Bytes that belonged to no frame, or came when nothing was asked."""
        return self._codec.reader.skipped

    async def acknowledged(self, request: Frame) -> None:
        """Send a request that a meter acknowledges; ``LinkTimeout`` if none does."""
        await self._exchange(request, lambda frame: isinstance(frame, Ack))

    async def answered(self, request: Frame, accept: Callable[[LongFrame], bool]) -> LongFrame:
        """Send a request for data and return the first answer that is accepted.

        Raises:
            LinkTimeout: Nothing came.
            ProtocolError: Something came, but no whole frame, or only answers that were not accepted.
            LinkClosed: The line is gone.
        """
        answer = await self._exchange(request, lambda frame: isinstance(frame, LongFrame) and accept(frame))
        assert isinstance(answer, LongFrame)
        return answer

    async def send(self, request: Frame) -> None:
        """Send a request that nobody need answer, and let whatever comes pass."""
        await self._settle()
        await self._transport.write(self._codec.encode(request))
        self._unsettled = True

    async def _exchange(self, request: Frame, accept: Callable[[Frame], bool]) -> Frame:
        await self._settle()
        self._unsettled = True
        await self._transport.write(self._codec.encode(request))
        trouble: ProtocolError | None = None
        received = 0
        while received < PATIENCE:
            data = await self._read(self.timeout)
            if data is None:
                self._codec.reader.end()
            else:
                received += len(data)
                self._codec.receive(data)
            frame, problem = self._next(request, accept)
            if frame is not None:
                self._unsettled = False
                return frame
            trouble = problem or trouble
            if data is None:
                break
        if trouble is not None:
            raise trouble
        if received:
            raise ProtocolError(f"{received} bytes came, but no frame", kind="no_frame")
        raise LinkTimeout(f"no answer within {self.timeout:g} s")

    def _next(self, request: Frame, accept: Callable[[Frame], bool]) -> tuple[Frame | None, ProtocolError | None]:
        """Return the frame that was waited for, if it has arrived, and what was wrong with what came before it."""
        trouble: ProtocolError | None = None
        while True:
            try:
                frame = self._codec.next_event()
            except ProtocolError as exc:
                # The first trouble of an answer tells most; what follows it is the search for the next start.
                trouble = trouble or exc
                continue
            if frame is NEED_DATA:
                return None, trouble
            if frame == request:  # a level converter with echo
                continue
            if accept(frame):
                return frame, None
            if isinstance(frame, Ack):
                trouble = trouble or ProtocolError("the meter acknowledges, but sends no data", kind="no_data")
            elif not isinstance(frame, ShortFrame):
                self.strays += 1
                trouble = ProtocolError(
                    f"the meter at address {frame.address} answered, not the one asked", kind="stray"
                )

    async def _settle(self) -> None:
        """Throw away what came too late; after a failure wait until the line is quiet."""
        dropped = len(self._codec.reader)
        self._codec.reader.clear()
        quiet = QUIET if self._unsettled else LEAST_LISTENING
        while dropped < PATIENCE and (data := await self._heard(quiet)):
            # Nothing more, or closed while nothing is outstanding: the next write connects again, or says so.
            dropped += len(data)
            self._codec.reader.skipped += len(data)
        blamed, self.blame = self.blame, None
        if dropped:
            if blamed is not None:
                blamed.late += 1
            _LOG.info("%d bytes came too late for their request and were dropped", dropped)

    async def _read(self, limit: float) -> bytes | None:
        """Return what arrives within a time, ``None`` if nothing does."""
        data = await self._heard(limit)
        if data == b"":
            raise LinkClosed("the other end closed the line")
        return data

    async def _heard(self, limit: float) -> bytes | None:
        """Return what arrives within a time, ``None`` if nothing does, ``b""`` if the other end has closed."""
        try:
            async with asyncio.timeout(limit):
                return await self._transport.read()
        except TimeoutError:
            return None
