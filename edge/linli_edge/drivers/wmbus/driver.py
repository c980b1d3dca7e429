"""The policy of one receiver: each meter's poll collects what has come from it since the last one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from linli_core.errors import LinkError, Unheard
from linli_core.instant import MINUTE, SECOND
from linli_core.model import Reading
from linli_edge.driver import Clock, PlannedPoll, UnitCounters
from linli_edge.drivers.wmbus.hearing import Hearing, Meter
from linli_edge.drivers.wmbus.settings import LinkSettings, MqttSource
from linli_edge.drivers.wmbus.source import Texts, open_source
from linli_edge.saved_state import SavedState

_COST: Final = SECOND // 1000
"""A collection takes no line time; the scheduler wants a number."""

_KEEP_EVERY: Final = MINUTE
"""How often message counters are written, if they changed."""


class WmbusDriver:
    """One receiver; :func:`open_link` makes it.

    Attributes:
        hearing: What is heard, and from whom.
    """

    def __init__(self, settings: LinkSettings, clock: Clock) -> None:
        field = settings.source.field if isinstance(settings.source, MqttSource) else ""
        self.hearing = Hearing(settings.devices, settings.memory, field)
        self._clock = clock
        self._broken: LinkError | None = None
        self._ended = asyncio.Event()
        self._news = asyncio.Event()
        self._memory = settings.memory
        self._state = SavedState(settings.state)
        self._kept_at = 0
        now = clock()
        self._restore(self._state.load())
        for meter in self.hearing.meters.values():
            if meter.state.heard_at is None:
                meter.state.heard_at = now

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        """The polls of this link; their points are all that each meter ever gave, none before its first telegram."""
        return [_planned(meter) for meter in self.hearing.meters.values()]

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        """Collect what one meter sent since the last time; see :class:`linli_edge.driver.Driver`.

        Each reading is stamped when its telegram came, not when it was collected.
        """
        if self._broken is not None:
            raise self._broken
        meter = self.hearing.meters[planned.key]
        state, settings = meter.state, meter.settings
        if self._memory.first_wait and not state.counters.requests:
            await self._first_words(meter)
        if state.fresh:
            readings, state.fresh, state.fault = list(state.fresh.values()), {}, None
            return readings
        age = self._clock() - (state.heard_at or 0)
        silent = age > settings.max_age
        if state.fault is not None and (silent or not state.counters.answers):
            # One spoilt telegram among good ones is no fault of the meter; a key that fits none is.
            raise state.fault
        if silent:
            state.counters.requests += 1
            state.counters.timeouts += 1
            raise Unheard(f"no telegram for {age // SECOND} s (max_age {settings.max_age // SECOND} s)")
        return []

    async def _first_words(self, meter: Meter) -> None:
        """Wait for a meter that was never heard: all such meters together, and in all, a while.

        Who reads once (``linli-edge read``) or has just begun sees values, not silence.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(self._memory.first_wait, meter.settings.max_age / SECOND)):
                while not meter.state.counters.requests and self._broken is None:
                    self._news.clear()
                    await self._news.wait()
        self._memory.first_wait = max(0.0, self._memory.first_wait - (loop.time() - started))

    def counters(self) -> Mapping[str, UnitCounters]:
        """Return what became of each meter's telegrams (:class:`linli_edge.driver.Counting`)."""
        return {device: meter.state.counters for device, meter in self.hearing.meters.items()}

    async def listen(self, texts: Texts) -> None:
        """Take in what the receiver writes until it ends; the next poll tells that it did."""
        try:
            async for text in texts:
                self.hearing.hear(text, self._clock())
                self._news.set()
                if self._clock() - self._kept_at >= _KEEP_EVERY or self._clock() < self._kept_at:
                    self._keep()
        except LinkError as exc:
            self._broken = exc
            self._ended.set()
            self._news.set()
        finally:
            self._keep()

    def _keep(self) -> None:
        """Keep the counters over a restart.

        Not with each telegram: hundreds of meters would wear a card out within months, and each write holds up the
        rest. A power cut forgets a minute, of which a recording says again what was said a minute before it.
        """
        self._kept_at = self._clock()
        self._state.save(
            {
                f"{device}/{number}": message
                for device, meter in self.hearing.meters.items()
                for number, message in meter.state.messages.items()
            }
        )

    def _restore(self, kept: Mapping[str, int]) -> None:
        for name, message in kept.items():
            device, _, number = name.rpartition("/")
            if device in self.hearing.meters:
                messages = self.hearing.meters[device].state.messages
                messages[number] = max(messages.get(number, -1), message)

    async def until_broken(self, seconds: float) -> LinkError | None:
        """Wait some seconds; return why the receiver ended, as soon as it does before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        return self._broken


def plan(settings: LinkSettings) -> Sequence[PlannedPoll]:
    """Return the polls of a link as far as configuration and memory tell."""
    hearing = Hearing(settings.devices, settings.memory)
    return [_planned(meter) for meter in hearing.meters.values()]


def _planned(meter: Meter) -> PlannedPoll:
    settings = meter.settings
    points = tuple(meter.state.points)
    return PlannedPoll(settings.device, settings.device, settings.interval, points, cost=_COST, heard=True)


@asynccontextmanager
async def open_link(settings: LinkSettings, clock: Clock) -> AsyncIterator[WmbusDriver]:
    """Open the receiver, listen, and yield the driver; raise ``LinkError`` where there is none."""
    async with open_source(settings.source, settings.memory) as texts, asyncio.TaskGroup() as tasks:
        driver = WmbusDriver(settings, clock)
        listening = tasks.create_task(driver.listen(texts), name="wmbus.listen")
        try:
            yield driver
        finally:
            listening.cancel()
