"""The live feed: newest readings and alarm changes, pushed to every listening client.

Readings are joined for a quarter of a second, so a fast site costs a client four messages a second, and every message
is encoded once per language. A client that does not keep up loses its oldest messages: they are counted, and it is told
to fetch afresh (``resync``), for which it needs no history here.

What came late is history, not live: two hundred gateways that bring a day each would hold up everybody's alarms. And of
ten thousand points that change every second each is told in its turn, its newest reading: later, never not at all.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable
from itertools import islice
from typing import Final

import msgspec
import numpy as np

from linli_core.catalogue import LANGUAGES, Language
from linli_core.instant import to_rfc3339
from linli_core.model import quality_from_code, quality_label
from linli_platform.alarms.rows import AlarmRow
from linli_platform.clock import Clock, wall_clock
from linli_platform.ingest import Committed
from linli_platform.store import LATE, SeriesInfo

JOIN_S: Final = 0.25
HEARTBEAT_S: Final = 15.0
QUEUE: Final = 64
MOST: Final = 1_000
"""Readings of one message."""

_Newest = tuple[SeriesInfo, int, float | None, str | None, int]
Shown = Callable[[SeriesInfo, float | None, str | None, Language], str]
"""Makes the text a person sees of a value."""

_HEARTBEAT: Final = b": still here\n\n"
_encode = msgspec.json.Encoder().encode


def message(event: str, data: object) -> bytes:
    """Return one server-sent event."""
    return b"event: " + event.encode() + b"\ndata: " + _encode(data) + b"\n\n"


class Client:
    """One listener's bounded queue; the oldest message gives way, and the client is told to fetch afresh."""

    def __init__(self, lang: Language, size: int, resync: Callable[[], bytes]) -> None:
        self.lang = lang
        self._resync = resync
        self.dropped = 0
        self._size = size
        self._messages: deque[bytes] = deque()
        self._ready = asyncio.Event()

    def put(self, data: bytes) -> int:
        """Queue a message; return how many were dropped for it."""
        dropped = 0
        if len(self._messages) >= self._size:
            dropped = len(self._messages)
            self._messages.clear()
            self._messages.append(self._resync())
        self._messages.append(data)
        self.dropped += dropped
        self._ready.set()
        return dropped

    async def next(self, timeout: float) -> bytes:  # noqa: ASYNC109 - the heartbeat is this queue's business
        """Return everything queued, or a heartbeat if nothing comes in time."""
        if not self._messages:
            try:
                async with asyncio.timeout(timeout):
                    await self._ready.wait()
            except TimeoutError:
                return _HEARTBEAT
        data = b"".join(self._messages)
        self._messages.clear()
        self._ready.clear()
        return data


class LiveFeed:
    """Fan-out of readings and alarms to clients; lives on the event loop.

    Attributes:
        dropped: Messages dropped for slow clients.
        limit: Most clients at a time.
    """

    def __init__(
        self, shown: Shown, clock: Clock = wall_clock, *, limit: int = 200, queue: int = QUEUE, join: float = JOIN_S
    ) -> None:
        self.dropped = 0
        self.limit = limit
        self._shown = shown
        self._clock = clock
        self._queue = queue
        self._join = join
        self._clients: set[Client] = set()
        self._newest: dict[int, _Newest] = {}
        self._flush_at: asyncio.TimerHandle | None = None

    @property
    def clients(self) -> int:
        """How many clients listen."""
        return len(self._clients)

    def on_committed(self, committed: Committed) -> None:
        """Take new readings; nobody listening costs nothing."""
        if not self._clients:
            return
        columns, newest = committed.columns, self._newest
        live = np.flatnonzero(columns.time > committed.received_at - LATE)
        if len(live):
            rows = live[np.lexsort((columns.time[live], columns.series[live]))]
            series = columns.series[rows]
            rows = rows[np.concatenate((series[1:] != series[:-1], [True]))]
            for row, number, at, value, code in zip(
                rows.tolist(),
                columns.series[rows].tolist(),
                columns.time[rows].tolist(),
                columns.value[rows].tolist(),
                columns.quality[rows].tolist(),
                strict=True,
            ):
                known = newest.get(number)
                if known is None or at >= known[1]:
                    shown = None if math.isnan(value) else value
                    newest[number] = (columns.info(number), at, shown, columns.texts.get(row), code)
        if newest and self._flush_at is None:
            self._flush_at = asyncio.get_running_loop().call_later(self._join, self._flush)

    def on_alarm(self, alarm: AlarmRow) -> None:
        """Tell of a changed alarm."""
        self._send(
            message(
                "alarm",
                {"id": alarm.id, "rule": alarm.rule, "subject": alarm.subject, "state": alarm.state.value},
            )
        )

    def on_gateway(self, gateway: str) -> None:
        """Tell that a gateway's state, refusals or ledger changed."""
        self._send(message("gateway", {"id": gateway}))

    def _resync(self) -> bytes:
        """Tell a client to fetch afresh, and what time it is here: a phone's clock may be anything."""
        return message("resync", {"time": to_rfc3339(self._clock())})

    def _flush(self) -> None:
        self._flush_at = None
        rows = [self._newest.pop(number) for number in list(islice(self._newest, MOST))]
        if self._newest:
            self._flush_at = asyncio.get_running_loop().call_later(self._join, self._flush)
        wanted = {client.lang for client in self._clients}
        for lang in LANGUAGES:
            if lang in wanted:
                self._send(message("readings", {"readings": [self._reading(row, lang) for row in rows]}), lang)

    def _reading(self, row: _Newest, lang: Language) -> dict[str, object]:
        series, at, value, text, code = row
        return {
            "series": series.id,
            "point": f"{series.gateway}/{series.name}",
            "time": to_rfc3339(at),
            "value": value,
            "text": text,
            "quality": quality_label(*quality_from_code(code)),
            "shown": self._shown(series, value, text, lang),
        }

    def _send(self, data: bytes, lang: Language | None = None) -> None:
        for client in self._clients:
            if lang is None or client.lang == lang:
                self.dropped += client.put(data)

    def join(self, lang: Language) -> Client | None:
        """Return a new client's queue, which must :meth:`leave`; ``None`` if there are too many."""
        if len(self._clients) >= self.limit:
            return None
        client = Client(lang, self._queue, self._resync)
        self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self._clients.discard(client)

    async def stream(self, client: Client) -> AsyncGenerator[bytes]:
        """Yield a client's messages, with heartbeats, until it goes away; it leaves the feed then."""
        try:
            yield b"retry: 2000\n\n" + self._resync()
            while True:
                yield await client.next(HEARTBEAT_S)
        finally:
            self.leave(client)
