"""Looks after the embedded store every few minutes: moves days that are over to where they take little room."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Final

from linli_platform.clock import Clock
from linli_platform.metrics import Metrics
from linli_platform.store import StoreError
from linli_platform.store.aside import GaveWay
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.removal import Retention

_log = logging.getLogger(__name__)

EVERY_S: Final = 600.0


class Upkeep:
    """Keeps the store small and quick.

    Args:
        store: Open.
        clock: Wall clock.
        metrics: Where it is told what was done.
        retention: For how long what is kept.
    """

    def __init__(self, store: DuckDBStore, clock: Clock, metrics: Metrics, retention: Retention) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._retention = retention
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let :meth:`run` return, soon: what is under way is undone and done another time."""
        self._stopping.set()
        self._store.stop_upkeep()

    async def run(self) -> None:
        """Work now and then until :meth:`stop`."""
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._stopping.wait()
                return
            await self.work()

    async def work(self) -> None:
        """Do what is due. A store that fails is looked after another time."""
        began = time.monotonic()
        try:
            done = await asyncio.to_thread(self._store.compact, self._clock())
            expired = await asyncio.to_thread(self._store.retain, self._clock(), self._retention)
        except GaveWay:
            return
        except StoreError as exc:
            self._metrics.upkeep_failures.inc()
            _log.warning("the store could not be looked after, trying again later: %s", exc)
            return
        self._metrics.compacted.inc(done.readings)
        self._metrics.expired.inc(expired.readings)
        self._metrics.upkeep_seconds.observe(time.monotonic() - began)
        if expired.readings or expired.rollups:
            _log.info("%d readings and %d rollups were over, and are gone", expired.readings, expired.rollups)
        if done.readings:
            _log.info("%d readings of %d days moved to history", done.readings, len(set(done.days)))
