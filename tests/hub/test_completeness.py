"""The series of completeness: counted from the store, again when late readings come, by the community's days."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pytest

from linli_core.completeness import Completeness
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant, from_rfc3339
from linli_core.model import Quality, Reason, quality_code
from linli_core.wire.plan import PLAN, to_data
from linli_platform.completeness import CompletenessService
from linli_platform.days import bounds, day_of
from linli_platform.ingest import Committed
from linli_platform.store import Batch, DayCounts, EventRow, StoreError
from linli_platform.store import completeness as notes
from linli_platform.store.duckdb import DuckDBStore

MIDNIGHT = from_rfc3339("2025-11-24T00:00:00+00:00")
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)


class World:
    """A store, and the service on it; what is committed is told to the service as ingest does."""

    def __init__(self, store: DuckDBStore, zone: tzinfo = UTC) -> None:
        self.store = store
        self.now = MIDNIGHT + 12 * HOUR
        self.service = self.started(zone)

    def started(self, zone: tzinfo = UTC) -> CompletenessService:
        return CompletenessService(self.store, zone, lambda: self.now)

    def commit(self, times: Sequence[Instant], *, name: str = "m/voltage", quality: int = 0, tell: bool = True) -> None:
        info = self.store.series("gw", name)
        count = len(times)
        batch = Batch(
            np.full(count, info.id, np.int32),
            np.array(times, np.int64),
            np.full(count, np.nan if quality >= BAD else 230.0),
            np.full(count, quality, np.uint8),
            self.now,
        )
        appended = self.store.append(batch, {})
        if tell:
            new = [times[row] for row in appended.new.tolist()]
            self.service.on_committed(Committed([info] * len(new), new, [], [], [], self.now))

    def plan(self, since: Instant, number: str = "1", **intervals: int | None) -> None:
        named = {f"m/{quantity}": interval for quantity, interval in intervals.items()}
        for data in to_data(named, sorted({name.partition("/")[0] for name in named})):
            row = EventRow("gw", number, since, PLAN, "gw", json.dumps(data), self.now)
            none = np.empty(0, np.int64)
            batch = Batch(none.astype(np.int32), none, none.astype(float), none.astype(np.uint8), self.now)
            self.store.append(batch, {}, events=[row])
            self.service.on_committed(Committed([], [], [], [], [], self.now, (row,)))

    async def day(self, day: date, zone: tzinfo = UTC, name: str = "m/voltage") -> Completeness | None:
        await self.service.refresh()
        info = self.store.series("gw", name)
        start, end = bounds(day, zone)
        found = self.store.completeness([info.id], start, end)
        assert len(found) <= 1
        return found[0].completeness if found else None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "store.duckdb") as opened:
        yield opened


@pytest.fixture
def world(store: DuckDBStore) -> World:
    return World(store)


TODAY = date(2025, 11, 24)


async def test_a_day_is_counted_as_it_goes_on(world: World) -> None:
    world.plan(MIDNIGHT, voltage=MINUTE)
    world.commit([MIDNIGHT + minute * MINUTE for minute in range(700)])
    world.commit([MIDNIGHT + minute * MINUTE for minute in range(700, 710)], quality=BAD)
    assert await world.day(TODAY) == Completeness(719, 710, 700, 710)
    world.now = MIDNIGHT + DAY + HOUR
    assert await world.day(TODAY) == Completeness(1440, 710, 700, 710)
    assert await world.day(date(2025, 11, 25)) == Completeness(59, 0, 0, 0)


async def test_late_readings_are_counted_once_however_often_they_come_and_the_day_again(world: World) -> None:
    world.plan(MIDNIGHT, voltage=HOUR)
    world.now = MIDNIGHT
    for hour in range(12):
        world.now = MIDNIGHT + hour * HOUR
        world.commit([world.now])
    world.now = MIDNIGHT + 3 * DAY
    assert await world.day(TODAY) == Completeness(24, 12, 12, 0)
    backlog = [MIDNIGHT + hour * HOUR for hour in range(12, 20)]
    world.commit(backlog)
    world.commit(backlog)
    assert await world.day(TODAY) == Completeness(24, 20, 20, 8)
    world.commit(backlog)
    assert await world.day(TODAY) == Completeness(24, 20, 20, 8)
    assert world.store.late_days() == []


async def test_a_late_day_is_found_again_after_a_crash(world: World) -> None:
    world.plan(MIDNIGHT, voltage=HOUR)
    await world.service.refresh()
    world.now = MIDNIGHT + 100 * DAY
    await world.service.refresh()
    world.commit([MIDNIGHT + 5 * HOUR, MIDNIGHT + 6 * HOUR], tell=False)
    world.service = world.started()
    await world.service.open()
    assert await world.day(TODAY) == Completeness(24, 2, 2, 2)


async def test_days_without_a_platform_are_counted_when_it_is_back(world: World) -> None:
    world.plan(MIDNIGHT, voltage=HOUR)
    world.commit([MIDNIGHT])
    await world.service.refresh()
    world.now = MIDNIGHT + 4 * DAY + HOUR
    world.service = world.started()
    await world.service.open()
    assert [await world.day(date(2025, 11, day)) for day in (24, 25, 27)] == [
        Completeness(24, 1, 1, 1),
        Completeness(24, 0, 0, 0),
        Completeness(24, 0, 0, 0),
    ]


@pytest.mark.parametrize("is_planned", [False, True])
async def test_where_nobody_can_say_how_many_nothing_is_missing(world: World, is_planned: bool) -> None:
    if is_planned:
        world.plan(MIDNIGHT, voltage=None)
    world.now = MIDNIGHT + HOUR
    world.commit([MIDNIGHT + HOUR])
    found = await world.day(TODAY)
    assert found == Completeness(None, 1, 1, 0)
    assert (found.missing, found.share) == (None, None)


async def test_a_device_that_is_no_longer_read_is_not_missing(world: World) -> None:
    world.plan(MIDNIGHT, "1", voltage=HOUR, current=HOUR)
    world.commit([MIDNIGHT], name="m/current")
    world.plan(MIDNIGHT + 6 * HOUR, "2", voltage=HOUR)
    world.now = MIDNIGHT + 2 * DAY
    assert await world.day(TODAY, name="m/current") == Completeness(6, 1, 1, 1)
    assert await world.day(date(2025, 11, 25), name="m/current") is None


async def test_a_plan_that_an_outage_held_up_holds_for_its_time(world: World) -> None:
    world.commit([MIDNIGHT])
    world.plan(MIDNIGHT + 12 * HOUR, "2", voltage=HOUR)
    world.now = MIDNIGHT + 2 * DAY
    assert await world.day(TODAY) == Completeness(12, 1, 1, 1)
    world.plan(MIDNIGHT, "1", voltage=30 * MINUTE)
    assert await world.day(TODAY) == Completeness(24 + 12, 1, 1, 1)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2025, 3, 30), 23),
        ("Europe/Berlin", date(2025, 10, 26), 25),
        ("Asia/Shanghai", date(2025, 3, 30), 24),
        ("Asia/Kathmandu", date(2025, 3, 30), 24),
        ("America/Santiago", date(2025, 9, 7), 23),
    ],
)
async def test_days_are_the_communitys(store: DuckDBStore, zone: str, day: date, hours: int) -> None:
    place = ZoneInfo(zone)
    world = World(store, place)
    start, end = bounds(day, place)
    assert end - start == hours * HOUR
    assert {day_of(moment, place) for moment in (start, end - SECOND)} == {day}
    assert day_of(start - SECOND, place) < day < day_of(end, place)
    world.now = end + DAY
    world.plan(start - DAY, voltage=15 * MINUTE)
    world.commit([start - 15 * MINUTE, start, end - 15 * MINUTE, end])
    assert await world.day(day, place) == Completeness(4 * hours, 2, 2, 2)


async def test_a_store_that_fails_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.commit([MIDNIGHT])

    def fails(*_: object) -> None:
        raise StoreError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "complete", fails)
        assert await world.day(TODAY) is None
    assert await world.day(TODAY) == Completeness(None, 1, 1, 1)


async def test_readings_that_come_while_a_day_is_counted_are_neither_lost_nor_counted_twice(world: World) -> None:
    world.now = MIDNIGHT + DAY
    world.commit([MIDNIGHT])
    start, end = bounds(TODAY, UTC)
    counts = await asyncio.to_thread(world.store.count_readings, start, end)
    world.commit([MIDNIGHT + HOUR])
    world.store.complete(start, end, {}, counts, world.now)
    series = world.store.series("gw", "m/voltage").id
    assert world.store.completeness([series], start, end)[0].completeness == Completeness(None, 1, 1, 1)
    assert await world.day(TODAY) == Completeness(None, 2, 2, 2)


async def test_late_readings_of_other_days_wait_for_their_own(world: World) -> None:
    world.now = MIDNIGHT + 9 * DAY
    world.commit([MIDNIGHT, MIDNIGHT + DAY, MIDNIGHT + DAY + HOUR], name="m/current")
    world.commit([MIDNIGHT, MIDNIGHT + DAY])
    start, end = bounds(TODAY, UTC)
    world.store.complete(start, end, {}, world.store.count_readings(start, end), world.now)
    assert world.store.late_days() == [MIDNIGHT + DAY, MIDNIGHT + DAY + HOUR]
    assert await world.day(date(2025, 11, 25), name="m/current") == Completeness(None, 2, 2, 2)
    assert await world.day(date(2025, 11, 25)) == Completeness(None, 1, 1, 1)
    assert world.store.late_days() == []


def test_of_a_backlogs_notes_each_day_takes_what_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "_AT_ONCE", 3)
    counted: Counter[tuple[int, int]] = Counter()
    rng = np.random.default_rng(5)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE late_journal (number BIGINT, body BLOB)")
        connection.execute(
            "CREATE TABLE completeness (series INTEGER, day BIGINT, expected BIGINT, received BIGINT, good BIGINT,"
            " late BIGINT, computed BIGINT)"
        )
        for number, most in enumerate((5, 5, 5, 30_000, 5, 5, 30_000), 1):
            series, quarters = rng.integers(1, most, 40), rng.integers(1_000, 1_004, 40)
            counted.update(zip(series.tolist(), quarters.tolist(), strict=True))
            late = notes._summed(series, quarters, np.ones(40, np.int64))
            # Up to version 3 of the file notes were not packed.
            notes.insert_late(connection, number, late.tobytes() if number % 2 else notes._packed(late))
        assert notes.late_days(connection) == sorted({quarter * notes.QUARTER for _, quarter in counted})
        assert notes.late_of_day(connection, 0, 0, 2_000 * notes.QUARTER).spent == []
        for first, last in ((1_000, 1_001), (1_003, 1_003), (1_002, 1_002), (1_000, 1_003)):
            span = (first * notes.QUARTER, (last + 1) * notes.QUARTER)
            found = notes.make_day(connection, *span, {}, DayCounts({}, 7))
            expected: Counter[int] = Counter()
            for series_id, quarter in [place for place in counted if first <= place[1] <= last]:
                expected[series_id] += counted.pop((series_id, quarter))
            assert {one: int(found.late.counts[one]) for one in np.flatnonzero(found.late.counts).tolist()} == expected
            notes.write_day(connection, found, 9)
            assert notes.late_days(connection) == sorted({quarter * notes.QUARTER for _, quarter in counted})
        assert connection.execute("SELECT count(*) FROM late_journal").fetchall() == [(0,)]
        # The last began where the first did, and holds what that held.
        assert connection.execute("SELECT sum(late) FROM completeness").fetchall() == [(280,)]


def test_a_note_of_one_reading_that_an_earlier_version_left_is_read() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE late_journal (number BIGINT, body BLOB)")
        series, quarters = np.array([3], np.int32), np.array([1_000])
        notes.insert_late(connection, 1, notes._summed(series, quarters, np.ones(1, np.int64)).tobytes())
        assert notes.late_days(connection) == [1_000 * notes.QUARTER]
        found = notes.late_of_day(connection, 1, 1_000 * notes.QUARTER, 1_001 * notes.QUARTER)
        assert (found.counts.tolist(), found.spent) == ([0, 0, 0, 1], [1])


async def test_commits_do_not_wait_while_a_backlogs_notes_are_added_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.now = MIDNIGHT + DAY
    world.commit([MIDNIGHT])
    made = notes.make_day

    def slow(*args: Any) -> notes.Day:
        day = made(*args)
        assert not world.store._write.locked()
        world.commit([MIDNIGHT + HOUR])
        return day

    with monkeypatch.context() as patched:
        patched.setattr(notes, "make_day", slow)
        start, end = bounds(TODAY, UTC)
        world.store.complete(start, end, {}, world.store.count_readings(start, end), world.now)
    assert await world.day(TODAY) == Completeness(None, 2, 2, 2)
