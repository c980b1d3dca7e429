"""Counts days that changed, every few minutes: today always, others when late readings came."""

import asyncio
import logging
from datetime import date, timedelta, tzinfo
from typing import Final

import numpy as np

from linli_core.completeness import expected
from linli_core.instant import DAY, HOUR, MINUTE, Instant
from linli_core.wire.plan import PLAN
from linli_platform.clock import Clock
from linli_platform.completeness.plans import Plans
from linli_platform.days import bounds, day_of
from linli_platform.ingest import Committed
from linli_platform.store import Store, StoreError

_log = logging.getLogger(__name__)

EVERY_S: Final = 300.0
_BACK: Final = 400
"""Days that are counted anew at most after a time without this."""
_EVENTS: Final = 1_000_000
_SHORT: Final = 3 * DAY
_QUARTER: Final = HOUR // 4
_ON_THE_WAY: Final = MINUTE
"""What was due less long ago than this is not called missing yet."""


class CompletenessService:
    """Keeps the series of completeness.

    Args:
        store: Open.
        zone: The community's.
        clock: Wall clock.
    """

    def __init__(self, store: Store, zone: tzinfo, clock: Clock) -> None:
        self.zone = zone
        self._store = store
        self._clock = clock
        self._plans = Plans()
        self._changed: set[date] = set()
        self._counted: date | None = None
        self._one_at_a_time = asyncio.Lock()

    async def open(self) -> None:
        """Take in the plans that were said, and find the days that must be counted."""
        await asyncio.to_thread(self._recall)

    def _recall(self) -> None:
        now = self._clock()
        for row in reversed(self._store.events(0, now + 366 * DAY, types=[PLAN], limit=_EVENTS)):
            self._plans.take(row)
        self._changed.update(day_of(moment, self.zone) for moment in self._store.late_days())
        newest = self._store.newest_complete()
        today = day_of(now, self.zone)
        self._counted = today - timedelta(days=1) if newest is None else min(today, day_of(newest, self.zone))

    def on_committed(self, committed: Committed) -> None:
        """Note which days have changed. On the event loop, after each commit."""
        for row in committed.events:
            if row.type == PLAN:
                self._plans.take(row)
                # What it says holds from then on, and may have come late.
                self._touch(row.time, self._clock())
        times = committed.columns.time
        if len(times):
            first, last = int(times.min()), int(times.max())
            if last - first < _SHORT:
                self._touch(first, last)
            else:
                quarters = np.unique(times // _QUARTER).tolist()
                self._changed.update(day_of(quarter * _QUARTER, self.zone) for quarter in quarters)

    def _touch(self, first: Instant, last: Instant) -> None:
        day, end = day_of(first, self.zone), day_of(last, self.zone)
        day = max(day, end - timedelta(days=_BACK))
        while day <= end:
            self._changed.add(day)
            day += timedelta(days=1)

    async def run(self) -> None:
        """Count now and then, for ever."""
        while True:
            await self.refresh()
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Count the days that changed since the last time, and today. A store that fails is asked again later."""
        async with self._one_at_a_time:
            now = self._clock()
            today = day_of(now, self.zone)
            changed, self._changed = self._changed, set()
            # A day of which nothing comes any more changes too: by what is missing of it.
            day = max(self._counted or today, today - timedelta(days=_BACK))
            while day <= today:
                changed.add(day)
                day += timedelta(days=1)
            for day in sorted(changed):
                if day > today:
                    continue  # counted when it has come
                try:
                    await asyncio.to_thread(self._count, day, now)
                except StoreError as exc:
                    _log.warning("completeness of %s could not be counted, trying again later: %s", day, exc)
                    self._changed.update(changed)
                    return
            self._counted = today

    def _count(self, day: date, now: Instant) -> None:
        start, end = bounds(day, self.zone)
        due: dict[int, int | None] = {}
        for gateway in self._plans.gateways():
            for name, steps in list(self._plans.steps(gateway).items()):
                series = self._store.find(gateway, name)
                number = expected(tuple(steps), start, min(end, now - _ON_THE_WAY))
                if series is not None and number is not None:
                    due[series.id] = number
        counts = self._store.count_readings(start, end)
        self._store.complete(start, end, due, counts, now)
