"""One request, one answer, on a line where only one may speak: what the drivers of Chinese meters stand on.

Nothing is left over from one exchange to the next: before each request what came too late is thrown away, and after a
failure the line must be quiet first. An answer of another meter, or to another request, is counted and passed over; it
never stands for the one that was waited for.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from linli_core.codec import NEED_DATA, NeedData
from linli_core.errors import ChecksumError, LinkClosed, LinkTimeout, ProtocolError
from linli_core.instant import SECOND
from linli_edge.driver import UnitCounters
from linli_edge.transport import Transport

_LOG: Final = logging.getLogger(__name__)

QUIET: Final = 0.1
"""Seconds without a byte after which a late answer is over."""

_LEAST_LISTENING: Final = 0.001
"""Seconds: long enough for the loop to look at the line once."""

PATIENCE: Final = 2048
"""Bytes that may arrive in one exchange; more is a babbling device."""

FrameT = TypeVar("FrameT")


class _Reader(Protocol):
    def __len__(self) -> int: ...
    def end(self) -> None: ...
    def clear(self) -> None: ...


class FrameCodec(Protocol[FrameT]):
    """A codec whose requests and answers are frames of one kind."""

    @property
    def reader(self) -> _Reader:
        """Where the bytes received wait."""
        ...

    def encode(self, request: FrameT, /) -> bytes:
        """Return the bytes of a request."""
        ...

    def receive(self, data: bytes, /) -> None:
        """Take bytes off the wire."""
        ...

    def next_event(self) -> FrameT | NeedData:
        """Return the next frame, or ``NEED_DATA``; raise ``ProtocolError``."""
        ...


class HalfDuplex(Generic[FrameT]):
    """The master's side of one line.

    Attributes:
        timeout: Seconds from the end of a request until the first byte of its answer, and between two chunks of it.
        character: Seconds one character takes on the wire; 0 behind a converter, where nobody knows.
        dropped: Bytes that came when nobody waited.
    """

    def __init__(
        self, transport: Transport, codec: FrameCodec[FrameT], *, timeout: float, character: float = 0.0
    ) -> None:
        self.timeout = timeout
        self.character = character
        self.dropped = 0
        self._transport = transport
        self._codec = codec
        self._unsettled = False
        self._last: UnitCounters | None = None

    async def ask(
        self,
        request: FrameT,
        accept: Callable[[FrameT], bool],
        counters: UnitCounters,
        *,
        encode: Callable[[FrameT], bytes] | None = None,
        permit: Callable[[], None] | None = None,
    ) -> FrameT:
        """Send a request and return the first frame that is accepted as its answer.

        Args:
            request: What to ask.
            accept: Tells whether a frame answers it; every other one is foreign.
            counters: Of the device asked.
            encode: In place of the codec's own encoding (another preamble).
            permit: Called when the line is ready, just before the request is sent; what it raises stops it.

        Raises:
            LinkTimeout: Nothing came.
            ProtocolError: Something came, but no whole frame, or only foreign ones.
            LinkClosed: The line is gone.
        """
        await self._settle()
        if permit is not None:
            permit()
        self._unsettled = True
        self._last = counters
        counters.requests += 1
        data = (encode or self._codec.encode)(request)
        began = asyncio.get_running_loop().time()
        await self._transport.write(data)
        try:
            answer = await self._answer(request, accept, counters, len(data) * self.character)
        except LinkTimeout:
            counters.timeouts += 1
            raise
        except ChecksumError:
            counters.checksum += 1
            raise
        except ProtocolError as exc:
            # A frame that was another's is no answer at all.
            if exc.kind == "foreign":
                counters.timeouts += 1
            else:
                counters.malformed += 1
            raise
        self._unsettled = False
        counters.answered(round((asyncio.get_running_loop().time() - began) * SECOND))
        return answer

    async def send(self, request: FrameT) -> None:
        """Send a request that nobody answers (a broadcast)."""
        await self._settle()
        data = self._codec.encode(request)
        await self._transport.write(data)
        await asyncio.sleep(len(data) * self.character)

    async def _answer(
        self, request: FrameT, accept: Callable[[FrameT], bool], counters: UnitCounters, sending: float
    ) -> FrameT:
        trouble: ProtocolError | None = None
        received = 0
        limit = sending + self.timeout
        while received < PATIENCE:
            data = await self._read(limit)
            if data is None:
                self._codec.reader.end()
            else:
                limit = self.timeout
                received += len(data)
                self._codec.receive(data)
            frame, problem = self._next(request, accept, counters)
            if frame is not None:
                return frame
            trouble = trouble or problem
            if data is None:
                break
        if trouble is not None:
            raise trouble
        if received:
            raise ProtocolError(f"{received} bytes came, but no frame", kind="no_frame")
        raise LinkTimeout(f"no answer within {self.timeout:g} s")

    def _next(
        self, request: FrameT, accept: Callable[[FrameT], bool], counters: UnitCounters
    ) -> tuple[FrameT | None, ProtocolError | None]:
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
            if frame == request:  # a converter with echo
                continue
            if accept(frame):
                return frame, None
            counters.foreign += 1
            trouble = trouble or ProtocolError(f"another answered: {_name(frame)}", kind="foreign")

    async def _settle(self) -> None:
        """Throw away what came too late; after a failure wait until the line is quiet."""
        dropped = len(self._codec.reader)
        self._codec.reader.clear()
        quiet = QUIET if self._unsettled else _LEAST_LISTENING
        while dropped < PATIENCE and (data := await self._read(quiet)) is not None:
            dropped += len(data)
        if dropped:
            self.dropped += dropped
            if self._last is not None:
                self._last.late += 1
            _LOG.info("%d bytes came too late for their request and were dropped", dropped)

    async def _read(self, limit: float) -> bytes | None:
        """Return what arrives within a time, ``None`` if nothing does."""
        try:
            async with asyncio.timeout(limit):
                data = await self._transport.read()
        except TimeoutError:
            return None
        if not data:
            raise LinkClosed("the other end closed the line")
        return data


def _name(frame: object) -> str:
    address = getattr(frame, "address", "")
    return f"meter {address}" if address else repr(frame)
