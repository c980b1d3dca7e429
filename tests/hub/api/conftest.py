"""A small community for the tests of alarms, API and pages: a real registry, a real store, a clock that is moved."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from linli_core.alarm import Rule
from linli_core.errors import RefusalReason
from linli_core.instant import HOUR, MINUTE, SECOND, Instant
from linli_core.model import Quality, Reason, quality_code
from linli_core.wire.messages import ClockState, LinkState, Status, UnitState
from linli_platform.alarms import AlarmService, load_rules
from linli_platform.api import ApiContext, LiveFeed, Part, create_app
from linli_platform.ingest import Committed
from linli_platform.registry import Device, Gateway, Loss, Refusal, Registry, State
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.web.show import shown

T0: Instant = 1_795_000_000 * SECOND
NO_ANSWER = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
ROOM = "cold-room-1/air_temperature"
DOOR = "cold-room-1/door_open"


@dataclass
class Clock:
    """A clock that goes when told."""

    now: Instant = T0

    def __call__(self) -> Instant:
        return self.now

    def forward(self, length: Instant) -> None:
        self.now += length


@dataclass
class Site:
    """The parts of a platform, open."""

    registry: Registry
    store: DuckDBStore
    alarms: AlarmService
    live: LiveFeed
    clock: Callable[[], Instant]
    context: ApiContext
    rules: list[Rule] = field(default_factory=list)

    def commit(
        self,
        gateway: str,
        readings: Iterable[tuple[str, Instant, float | str | None]],
        quality: int | None = None,
        device_times: Mapping[int, Instant] | None = None,
    ) -> None:
        """Store readings as ingest would, and tell the listeners."""
        rows = list(readings)
        infos = [self.store.series(gateway, name) for name, _, _ in rows]
        values = [value if isinstance(value, int | float) else None for _, _, value in rows]
        texts = [value if isinstance(value, str) else None for _, _, value in rows]
        codes = [quality if quality is not None else (NO_ANSWER if row[2] is None else 0) for row in rows]
        now = self.clock()
        batch = Batch(
            series=np.array([info.id for info in infos], np.int32),
            time=np.array([at for _, at, _ in rows], np.int64),
            value=np.array([np.nan if value is None else value for value in values], np.float64),
            quality=np.array(codes, np.uint8),
            received_at=now,
            texts={index: words for index, words in enumerate(texts) if words is not None},
            device_times=device_times or {},
        )
        self.registry.hold(gateway, sorted({info.device for info in infos}), now)
        self.store.append(batch, {})
        committed = Committed(infos, [at for _, at, _ in rows], values, texts, codes, now)
        self.alarms.on_committed(committed)
        self.live.on_committed(committed)

    async def settle(self) -> None:
        """Wait until what was concluded is written."""
        await self.alarms.settled()


@functools.cache
def _as_new() -> dict[str, bytes]:
    """What a platform's files hold when it is started for the first time: made once, as it takes as long as a test."""
    with tempfile.TemporaryDirectory() as folder:
        registry, store = Path(folder, "registry.sqlite"), Path(folder, "store.duckdb")
        with Registry(registry), DuckDBStore(store):
            pass
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def _begin(folder: Path) -> None:
    for name, content in _as_new().items():
        if not (path := folder / name).exists():
            path.write_bytes(content)


def _stand_still(alarms: AlarmService) -> None:
    """Let alarms look at the clock when something comes, or a test says so: no time passes where nobody moves it.

    Of its own accord the service looks every second, which on a slow machine is in the middle of a test.
    """

    async def wait() -> None:
        if not alarms._pending:
            await alarms._wake.wait()
        alarms._wake.clear()

    alarms._nap = wait  # type: ignore[method-assign]


@asynccontextmanager
async def open_site(
    folder: Path, clock: Callable[[], Instant], *, token: str | None = None, rules: list[Rule] | None = None
) -> AsyncIterator[Site]:
    """Open a platform's parts on a folder, with the alarm service running."""
    chosen = load_rules() if rules is None else rules
    _begin(folder)
    with Registry(folder / "registry.sqlite") as registry, DuckDBStore(folder / "store.duckdb") as store:
        async with AlarmService(registry, store, chosen, clock) as alarms:
            _stand_still(alarms)
            live = LiveFeed(shown, clock, join=0.01)
            alarms.listen(live.on_alarm)
            context = ApiContext(
                registry=registry,
                store=store,
                alarms=alarms,
                live=live,
                clock=clock,
                version="0.1.0",
                parts=lambda: {"broker": Part("ok"), "store": Part("ok")},
                token=token,
            )
            task = asyncio.create_task(alarms.run(), name="alarms")
            try:
                yield Site(registry, store, alarms, live, clock, context, chosen)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


def furnish(site: Site, now: Instant) -> None:
    """Give the community a past hour: two gateways, meters, a cold room, refusals and a loss."""
    site.registry.declare(
        [],
        [Gateway("gw-kitchen", State.ACTIVE, {"zh": "一号楼厨房", "en": "Kitchen, building 1"})],
        [Device("gw-kitchen", "cold-room-1", State.ACTIVE, "cold_room", {"zh": "一号冷库", "en": "Cold room 1"})],
    )
    kitchen: list[tuple[str, Instant, float | str | None]] = []
    electric: list[tuple[str, Instant, float | str | None]] = []
    for minute in range(60, 0, -1):
        at = now - minute * MINUTE
        wave = (minute % 12) / 4
        kitchen += [(ROOM, at, 3.1 + wave), (DOOR, at, 0.0)]
        electric += [
            ("meter-1/voltage.l1", at, 219.0 + wave),
            ("meter-1/voltage.l2", at, 220.5),
            ("meter-1/active_power", at, 900.0 + 400 * wave),
            ("meter-1/energy_import", at, 1_234_500.0 + (60 - minute) * 20),
            ("meter-1/current.l1", at, 4.1 + wave / 3),
            ("meter-1/frequency", at, 50.01),
            ("meter-2/active_power", at, None if minute < 20 else 310.0),
        ]
    site.commit("gw-kitchen", kitchen)
    site.commit("gw-electric", electric)
    status = Status(
        gateway="gw-electric",
        state="online",
        epoch="e1",
        next_seq=130,
        version="0.1.0",
        backlog=12,
        clock=ClockState("doubtful", "none", 1_767_225_600_000_000),
        links=(
            LinkState(
                "bus-1",
                "modbus",
                "degraded",
                2,
                ("meter-2",),
                0.31,
                1.4,
                "meter-2: no answer within 1 s",
                units=(
                    UnitState("meter-2", 0.04, None, 12, timeouts=9, checksum=3, late=2),
                    UnitState("meter-1", 0.27, 0.042, 1204, 1204, refused=1),
                ),
                unlisted=7,
            ),
        ),
    )
    site.registry.set_status("gw-electric", status, now)
    site.registry.set_status(
        "gw-kitchen", Status(gateway="gw-kitchen", state="online", clock=ClockState("trusted", "ntp")), now
    )
    refusal = Refusal("gw-electric", RefusalReason.UNKNOWN_UNIT, 3, now - HOUR, now - MINUTE, "record[3].u: 'furlong'")
    site.registry.count_refusals([refusal])
    site.registry.book([Loss("gw-electric", "e1", 7, 9, "space", now - 2 * HOUR, now - HOUR, 40)], now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def site(tmp_path: Path, clock: Clock) -> AsyncIterator[Site]:
    async with open_site(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
async def furnished(site: Site) -> Site:
    furnish(site, site.clock())
    await site.settle()
    return site


@pytest.fixture
async def client(furnished: Site) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(furnished.context))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as opened:
        yield opened


@pytest.fixture
def open_community() -> object:
    """Return what opens a furnished community on a folder and a clock."""

    @asynccontextmanager
    async def opened(folder: Path, clock: Callable[[], Instant]) -> AsyncIterator[Site]:
        async with open_site(folder, clock) as site:
            furnish(site, clock())
            await site.settle()
            yield site

    return opened
