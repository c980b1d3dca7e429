"""A past: two communities with a month behind them, and the same month a year before, in a platform's folder.

``linli-sim past --data DIR --month 2026-10`` makes it; ``linli-platform serve --data DIR`` then shows it, and reports
can be made of it. The month has what months have: a compressor that fails, a door left open, a meter nobody hears for
two days, one that was swapped, a leak, a gateway that lost messages. Made by a seed: the same each time.
"""

import argparse
import asyncio
import contextlib
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from linli_core.errors import ConfigError
from linli_core.instant import HOUR, MINUTE, Instant, from_datetime
from linli_core.model import Quality, Reason, quality_code
from linli_core.wire.plan import PLAN, to_data
from linli_platform.alarms import AlarmRow, AlarmService, load_rules
from linli_platform.completeness.service import CompletenessService
from linli_platform.ingest import Committed
from linli_platform.registry import Area, Device, Gateway, Loss, Registry, State
from linli_platform.store import Batch, EventRow
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.cli import Subparsers
from linli_sim.loadcurve import HOURLY

ZONE: Final = ZoneInfo("Asia/Shanghai")
_NO_ANSWER: Final = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
_AT_A_TIME: Final = 3 * HOUR
"""Readings come in so much at a time, as after short outages: an alarm is learnt of some time after it was so."""
_EVERY_COLD: Final = 5 * MINUTE
_MEAN_LOAD: Final = sum(HOURLY) / len(HOURLY)


@dataclass(frozen=True, slots=True)
class _Meter:
    """A register that is read each hour.

    Attributes:
        point: Full name below its gateway.
        daily: What it counts on a usual day.
        growth: This year against last.
        silent: Days of the month on which nobody hears it.
        swapped: On this day it is another, that begins at nothing; 0: never.
        leak: From this day on it counts so much an hour more; nothing: none.
    """

    gateway: str
    point: str
    daily: float
    growth: float = 1.0
    silent: frozenset[int] = frozenset()
    swapped: int = 0
    leak: tuple[int, float] = (32, 0.0)


@dataclass(frozen=True, slots=True)
class _ColdRoom:
    """A cold room, read every five minutes; ``failures`` are day, hour, hours, warmest."""

    gateway: str
    device: str
    setpoint: float
    failures: tuple[tuple[int, int, float, float], ...] = ()


@dataclass(slots=True)
class Series:
    """Readings of one point, in their order."""

    gateway: str
    point: str
    times: list[Instant] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)


def _titles(zh: str, en: str) -> dict[str, str]:
    return {"zh": zh, "en": en}


AREAS: Final = (
    Area("district", None, "district", _titles("城东街道", "East District")),
    Area("jasmine-garden", "district", "community", _titles("茉莉花园", "Jasmine Garden")),
    Area("jasmine-1", "jasmine-garden", "building", _titles("茉莉花园 1 号楼", "Jasmine Garden, building 1")),
    Area("jasmine-canteen", "jasmine-garden", "building", _titles("茉莉花园食堂", "Jasmine Garden, canteen")),
    Area("willow-court", "district", "community", _titles("柳荫里", "Willow Court")),
)
GATEWAYS: Final = (
    Gateway("gw-jasmine", State.ACTIVE, _titles("1 号楼网关", "Gateway, building 1"), "jasmine-1"),
    Gateway("gw-canteen", State.ACTIVE, _titles("食堂网关", "Gateway, canteen"), "jasmine-canteen"),
    Gateway("gw-willow", State.ACTIVE, _titles("柳荫里网关", "Gateway, Willow Court"), "willow-court"),
)
_FLATS: Final = 6
_COLD_ROOMS: Final = (
    _ColdRoom("gw-canteen", "cold-room-1", 3.0, ((7, 13, 3.5, 14.0), (21, 2, 1.0, 10.5))),
    _ColdRoom("gw-canteen", "cold-room-2", 4.0),
    _ColdRoom("gw-willow", "cold-room-1", 3.5, ((16, 15, 0.75, 9.5),)),
)


def devices() -> Iterator[Device]:
    """Yield the devices of both communities."""
    yield Device("gw-jasmine", "meter-main", State.ACTIVE, "electricity_meter", _titles("总表", "Main meter"))
    for number in range(101, 101 + _FLATS):
        for kind, zh, en in (
            ("electricity", "电表", "electricity"),
            ("water", "水表", "water"),
            ("gas", "燃气表", "gas"),
        ):
            titles = _titles(f"{number} 室{zh}", f"Flat {number}, {en}")
            yield Device("gw-jasmine", f"flat-{number}-{kind}", State.ACTIVE, f"{kind}_meter", titles)
    yield Device("gw-jasmine", "boiler", State.ACTIVE, "heat_meter", _titles("热力入口", "Heat inlet"))
    for number in (1, 2):
        titles = _titles(f"{number} 号冷库", f"Cold room {number}")
        yield Device("gw-canteen", f"cold-room-{number}", State.ACTIVE, "cold_room", titles)
    yield Device("gw-willow", "cold-room-1", State.ACTIVE, "cold_room", _titles("小超市冷库", "Shop's cold room"))
    for number in (1, 2):
        titles = _titles(f"{number} 单元电表", f"Stair {number}, electricity")
        yield Device("gw-willow", f"stair-{number}", State.ACTIVE, "electricity_meter", titles)
    yield Device("gw-willow", "garden-water", State.ACTIVE, "water_meter", _titles("绿化水表", "Garden, water"))


def _meters() -> Iterator[_Meter]:
    yield _Meter("gw-jasmine", "meter-main/energy_import", 66_000.0, 1.03)
    for place, number in enumerate(range(101, 101 + _FLATS)):
        usual = 7_000.0 + 1_200.0 * place
        silent = frozenset({12, 13}) if number == 103 else frozenset()
        yield _Meter("gw-jasmine", f"flat-{number}-electricity/energy_import", usual, 1.02 + 0.02 * place, silent)
        leak = (19, 0.012) if number == 105 else (32, 0.0)
        yield _Meter("gw-jasmine", f"flat-{number}-water/water_volume", 0.24 + 0.03 * place, 0.97, leak=leak)
        swapped = 10 if number == 102 else 0
        yield _Meter("gw-jasmine", f"flat-{number}-gas/gas_volume", 0.5 + 0.1 * place, 1.0, swapped=swapped)
    yield _Meter("gw-jasmine", "boiler/heat_energy", 140_000.0, 0.91)
    yield _Meter("gw-willow", "stair-1/energy_import", 31_000.0, 0.94)
    yield _Meter("gw-willow", "stair-2/energy_import", 28_000.0, 1.06, frozenset(range(1, 32)))
    yield _Meter("gw-willow", "garden-water/water_volume", 1.4, 0.8)


def _registers(meter: _Meter, first: Instant, hours: int, *, this_year: bool, chance: random.Random) -> Series:
    """Return hourly readings of a register, from the hour before the month to the one after it."""
    series = Series(meter.gateway, meter.point)
    stood = round(meter.daily * 400, 3)
    daily = meter.daily * (meter.growth if this_year else 1.0)
    mood = 1.0
    for hour in range(-1, hours + 1):
        day = hour // 24 + 1
        if hour % 24 == 0:
            mood = chance.uniform(0.82, 1.18)
        stood += daily / 24 * HOURLY[hour % 24] / _MEAN_LOAD * mood
        if this_year and day >= meter.leak[0]:
            stood += meter.leak[1]
        if this_year and meter.swapped and hour == (meter.swapped - 1) * 24 + 10:
            stood = 0.0
        heard = not (this_year and day in meter.silent)
        series.times.append(first + hour * HOUR + chance.randrange(1, 30) * 1_000_000)
        series.values.append(round(stood, 3) if heard else None)
    return series


def _temperatures(room: _ColdRoom, first: Instant, hours: int, chance: random.Random) -> Series:
    series = Series(room.gateway, f"{room.device}/air_temperature")
    for step in range(hours * 12):
        hour = step / 12
        value = room.setpoint + 0.9 * math.sin(hour * math.tau * 1.5) + chance.gauss(0, 0.12)
        for day, begin, length, warmest in room.failures:
            since = hour - ((day - 1) * 24 + begin)
            if 0 <= since <= length:
                value += (warmest - room.setpoint) * since / length
            elif length < since <= 2 * length:
                value += (warmest - room.setpoint) * (2 - since / length)
        series.times.append(first + step * _EVERY_COLD)
        series.values.append(round(value, 2))
    return series


class Past:
    """A platform's folder with a month in it.

    Attributes:
        folder: Where.
        month: The first day of the month.
    """

    def __init__(self, folder: Path, month: date, seed: int = 1) -> None:
        self.folder = folder
        self.month = month
        self._seed = seed
        self._now: Instant = 0

    async def make(self) -> None:
        """Make it; the folder must hold no platform yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.glob("*.sqlite")):
            raise ConfigError("--data", f"{self.folder} holds a platform already", "name a new folder")
        async with AsyncExitStack() as stack:
            registry = stack.enter_context(Registry(self.folder / "registry.sqlite"))
            store = stack.enter_context(DuckDBStore(self.folder / "store.duckdb"))
            registry.declare(AREAS, GATEWAYS, list(devices()))
            now = self._series(self.month, this_year=True)
            before = self._series(self.month.replace(year=self.month.year - 1), this_year=False)
            self._now = _begin(self.month)
            _store(store, [*before, *now], self._now, list(_plans(now, self._now)))
            await self._alarms(registry, store, now)
            await self._complete(store, now)
            at = _begin(self.month.replace(day=24)) + 7 * HOUR
            lost = [
                Loss("gw-willow", "e1", 4_101, 4_163, "space", at, at + 2 * HOUR, 512),
                Loss("gw-canteen", "e3", 77, 77, "corruption", at + 30 * HOUR, at + 31 * HOUR, None),
            ]
            registry.book(lost, at + 40 * HOUR)

    def _series(self, month: date, *, this_year: bool) -> list[Series]:
        first = _begin(month)
        hours = (_begin(_next(month)) - first) // HOUR
        chance = random.Random(f"{self._seed} {month}")  # noqa: S311 - a community, no secret
        made = [_registers(meter, first, hours, this_year=this_year, chance=chance) for meter in _meters()]
        if this_year:
            made += [_temperatures(room, first, hours, chance) for room in _COLD_ROOMS]
        return made

    async def _alarms(self, registry: Registry, store: DuckDBStore, series: Sequence[Series]) -> None:
        """Let the alarms see the month go by, and people answer them."""
        rules = [rule for rule in load_rules() if rule.category.value == "food" or rule.id == "system.device-silent"]
        chance = random.Random(f"{self._seed} people")  # noqa: S311
        end = _begin(_next(self.month))
        async with AlarmService(registry, store, rules, lambda: self._now) as alarms:
            watching = asyncio.create_task(alarms.run(), name="alarms")
            waiting: dict[int, Instant] = {}

            def told(row: AlarmRow) -> None:
                waiting.setdefault(row.id, row.learnt_at + _answer(chance))

            alarms.listen(told)
            places = [0] * len(series)
            try:
                while self._now < end:
                    self._now += _AT_A_TIME
                    alarms.on_committed(_until(store, series, places, self._now))
                    await alarms.settled()
                    for alarm, at in [pair for pair in waiting.items() if 0 < pair[1] <= self._now]:
                        waiting[alarm] = 0
                        self._now, reached = at, self._now
                        await alarms.acknowledge(alarm, actor="zhang", comment="seen to")
                        self._now = reached
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching

    async def _complete(self, store: DuckDBStore, series: Sequence[Series]) -> None:
        """Let the platform count what came of what the gateways planned."""
        service = CompletenessService(store, ZONE, lambda: _begin(_next(self.month)) + 2 * HOUR)
        await service.open()
        places = [0] * len(series)
        service.on_committed(_until(store, series, places, _begin(_next(self.month))))
        await service.refresh()


def _plans(series: Sequence[Series], since: Instant) -> Iterator[EventRow]:
    for gateway in GATEWAYS:
        names = [each.point for each in series if each.gateway == gateway.id]
        intervals: dict[str, int | None] = {
            name: _EVERY_COLD if name.endswith("/air_temperature") else HOUR for name in names
        }
        reads = sorted({name.partition("/")[0] for name in names})
        for number, data in enumerate(to_data(intervals, reads)):
            body = msgspec.json.encode(data).decode()
            yield EventRow(gateway.id, f"plan-{number}", since, PLAN, "", body, since)


def _answer(chance: random.Random) -> Instant:
    return round(chance.lognormvariate(2.6, 0.9)) * MINUTE


def _until(store: DuckDBStore, series: Sequence[Series], places: list[int], until: Instant) -> Committed:
    infos, times, values, codes = [], [], [], []
    for number, each in enumerate(series):
        info = store.series(each.gateway, each.point)
        while places[number] < len(each.times) and each.times[places[number]] < until:
            value = each.values[places[number]]
            infos.append(info)
            times.append(each.times[places[number]])
            values.append(value)
            codes.append(_NO_ANSWER if value is None else 0)
            places[number] += 1
    return Committed(infos, times, values, [None] * len(infos), codes, until)


def _store(store: DuckDBStore, series: Sequence[Series], now: Instant, events: Sequence[EventRow]) -> None:
    ids = [store.series(each.gateway, each.point).id for each in series]
    values = [math.nan if value is None else value for each in series for value in each.values]
    batch = Batch(
        series=np.repeat(np.array(ids, np.int32), [len(each.times) for each in series]),
        time=np.array([at for each in series for at in each.times], np.int64),
        value=np.array(values, np.float64),
        quality=np.where(np.isnan(values), _NO_ANSWER, 0).astype(np.uint8),
        received_at=now,
    )
    store.append(batch, {}, events=events)


def _begin(day: date) -> Instant:
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC))


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def add_arguments(subparsers: Subparsers) -> None:
    """Add ``linli-sim past``."""
    parser = subparsers.add_parser("past", help="two communities with a month behind them, in a platform's folder")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder; made")
    parser.add_argument("--month", required=True, metavar="YYYY-MM", help="which month")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same past (default 1)")


async def run(args: argparse.Namespace) -> int:
    """Make the past."""
    try:
        month = date.fromisoformat(f"{args.month}-01")
    except ValueError as exc:
        raise ConfigError("--month", f"{args.month!r} is no month", "write one such as 2026-10") from exc
    await Past(args.data, month, args.seed).make()
    print(f"linli-platform serve --data {args.data}")  # noqa: T201 - the command's output
    return 0
