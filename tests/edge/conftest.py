"""Time that a test moves (everything that waits on it wakes in order, and nobody sleeps), and a driver it commands."""

import asyncio
import heapq
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from itertools import count
from types import ModuleType

import pytest

from linli_core.instant import SECOND, Instant
from linli_core.model import Point, Reading, Value
from linli_edge import driver
from linli_edge.config.table import reading
from linli_edge.driver import Clock, Driver, DriverSpec, PlannedPoll, WriteOutcome, WriteRequest
from linli_edge.timekeeping import Timekeeper

START: Instant = 1_790_000_000 * SECOND

_ROUNDS = 50
"""Turns of the event loop after which everything that can go on without time has gone on."""


class FakeTime:
    """A clock, and those who wait on it.

    Attributes:
        now: What the wall clock says; a test may set it.
        elapsed: Microseconds that have really passed.
    """

    def __init__(self) -> None:
        self.now = START
        self.elapsed = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._serial = count()

    @property
    def timekeeper(self) -> Timekeeper:
        return Timekeeper(lambda: self.now, lambda: self.elapsed, self.wait)

    async def wait(self, microseconds: int) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self.elapsed + microseconds, next(self._serial), woken))
        await woken

    async def advance(self, microseconds: int) -> None:
        """Let time pass; return when everything that falls into it has happened."""
        end = self.elapsed + microseconds
        await settle()
        while self._waiting and self._waiting[0][0] <= end:
            at, _, woken = heapq.heappop(self._waiting)
            if woken.done():
                continue
            self._move(at)
            woken.set_result(None)
            await settle()
        self._move(end)

    def _move(self, at: int) -> None:
        self.now += max(0, at - self.elapsed)
        self.elapsed = max(self.elapsed, at)


async def settle() -> None:
    """Let everything go on that needs no time."""
    loop = asyncio.get_running_loop()
    for _ in range(_ROUNDS):
        turn: asyncio.Future[None] = loop.create_future()
        loop.call_soon(turn.set_result, None)
        await turn


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@dataclass
class BenchDriver:
    """A driver whose devices do what the test says; ``driver = "bench"`` in a configuration.

    Attributes:
        values: Value by device.
        quantity: What the devices measure.
        errors: What polling a device raises.
        open_error: What opening the line raises.
        polls: How many polls there were.
        polled: Set after each poll.
        held: What was written, by point.
        write_error: What writing raises.
    """

    values: dict[str, float] = field(default_factory=dict)
    quantity: str = "active_power"
    errors: dict[str, Exception] = field(default_factory=dict)
    open_error: Exception | None = None
    polls: int = 0
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    held: dict[str, Value] = field(default_factory=dict)
    write_error: Exception | None = None

    def parse(self, table: Mapping[str, object], where: str) -> tuple[PlannedPoll, ...]:
        with reading(table, where) as link:
            polls = [
                PlannedPoll(
                    name := item.ident(),
                    name,
                    item.duration("interval", SECOND, minimum=1000),
                    (Point(name, self.quantity),),
                    cost=item.duration("cost", None),
                )
                for item in link.tables("devices", required=True)
            ]
        return tuple(polls)

    def open(self, config: Sequence[PlannedPoll], clock: Clock) -> AbstractAsyncContextManager[Driver]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Driver]:
            if self.open_error is not None:
                raise self.open_error
            yield _Opened(self, config, clock)

        return opened()

    @property
    def spec(self) -> DriverSpec:
        return DriverSpec("bench", self.parse, self.open, lambda config: config)


class _Opened:
    def __init__(self, bench: BenchDriver, plan: Sequence[PlannedPoll], clock: Clock) -> None:
        self.plan = plan
        self._bench = bench
        self._clock = clock

    async def write(self, request: WriteRequest) -> WriteOutcome:
        bench = self._bench
        if bench.write_error is not None:
            raise bench.write_error
        before = bench.held.get(request.point_name)
        bench.held[request.point_name] = request.value
        return WriteOutcome(ok=True, before=before, after=request.value)

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        bench = self._bench
        bench.polls += 1
        bench.polled.set()
        if (error := bench.errors.get(planned.device)) is not None:
            raise error
        return [Reading(point, bench.values.get(planned.device, 1.0), self._clock()) for point in planned.points]


@pytest.fixture
def bench_driver(monkeypatch: pytest.MonkeyPatch) -> BenchDriver:
    """The bench driver, installed as ``bench`` beside the package's own."""
    bench = BenchDriver()
    module = ModuleType("linli_bench_driver")
    module.__dict__["SPEC"] = bench.spec
    monkeypatch.setitem(sys.modules, module.__name__, module)
    installed = driver.catalogue()
    entry = EntryPoint("bench", f"{module.__name__}:SPEC", driver.GROUP)
    monkeypatch.setattr(driver, "catalogue", lambda: installed | {"bench": entry})
    return bench
