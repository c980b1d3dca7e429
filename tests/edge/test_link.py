"""A link against a driver made of a script, in time that the test moves."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import pytest

from linli_core.errors import (
    ChecksumError,
    DeviceError,
    LinkClosed,
    LinkError,
    LinkTimeout,
    ProtocolError,
    WriteRefusal,
    WriteRefused,
)
from linli_core.instant import MINUTE, SECOND, Instant
from linli_core.model import Point, Quality, Reading, Reason
from linli_core.wire.messages import MOST_UNITS
from linli_edge.driver import (
    Clock,
    Driver,
    DriverSpec,
    PlannedPoll,
    UnitCounters,
    WriteOutcome,
    WriteRequest,
)
from linli_edge.link import WRITES_IN_A_ROW, Link, LinkDown, LinkOverloaded, LinkRelieved, LinkSettings, LinkUp, Report
from linli_edge.scheduler import DeviceBack, DeviceSilent
from linli_edge.timekeeping import Timekeeper

MS = 1000


class Time(Protocol):
    now: Instant
    elapsed: int

    @property
    def timekeeper(self) -> Timekeeper: ...
    async def wait(self, microseconds: int) -> None: ...
    async def advance(self, microseconds: int) -> None: ...


def planned(device: str, interval: int = SECOND) -> PlannedPoll:
    return PlannedPoll(device, device, interval, (Point(device, "energy_import"), Point(device, "active_power")))


@dataclass
class World:
    """The devices of one link: what each does when it is polled, and whether the line opens."""

    time: Time
    polls: list[PlannedPoll]
    errors: dict[str, BaseException] = field(default_factory=dict)
    open_error: Exception | None = None
    opened: int = 0
    asked: list[str] = field(default_factory=list)
    cost: int = 20 * MS
    after: Callable[[str], None] | None = None
    write_error: BaseException | None = None
    held: dict[str, object] = field(default_factory=dict)

    async def write(self, request: WriteRequest) -> WriteOutcome:
        self.asked.append(f"write {request.id}")
        await self.time.wait(self.cost)
        if self.write_error is not None:
            raise self.write_error
        self.held[request.point_name] = request.value
        return WriteOutcome(ok=True, before=1.0, after=request.value)

    @property
    def plan(self) -> Sequence[PlannedPoll]:
        return self.polls

    async def poll(self, planned: PlannedPoll) -> list[Reading]:
        self.asked.append(planned.key)
        error = self.errors.get(planned.device)
        if isinstance(error, LinkTimeout):
            await self.time.wait(300 * MS)
        else:
            await self.time.wait(self.cost)
        if error is not None:
            raise error
        if self.after is not None:
            self.after(planned.key)
        points = planned.points or (Point(planned.device, "volume"),)
        return [Reading(point, 1.0, self.time.now) for point in points]

    def spec(self, *, with_plan: bool = True) -> DriverSpec:
        @asynccontextmanager
        async def opened(_config: Any, _clock: Clock) -> AsyncIterator[Driver]:
            self.opened += 1
            if self.open_error is not None:
                raise self.open_error
            yield self

        def open_link(config: Any, clock: Clock) -> AbstractAsyncContextManager[Driver]:
            return opened(config, clock)

        plan = (lambda _config: self.polls) if with_plan else None
        return DriverSpec("world", lambda table, where: (table, where), open_link, plan)


@dataclass
class Collected:
    readings: list[Reading] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    def take(self, readings: list[Reading]) -> None:
        self.readings += readings

    def report(self, link: str, report: Report) -> None:
        assert link == "bus-1"
        self.reports.append(report)

    def of(self, device: str) -> list[Reading]:
        return [reading for reading in self.readings if reading.point.device == device]


class Bench:
    """A link running in a task."""

    def __init__(self, time: Time, *devices: PlannedPoll, with_plan: bool = True) -> None:
        self.time = time
        self.world = World(time, list(devices))
        self.sink = Collected()
        spec = self.world.spec(with_plan=with_plan)
        self.link = Link(LinkSettings("bus-1", spec, None), self.sink, time.timekeeper)

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.link.run(), name="link")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


async def test_readings_flow(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1"), planned("m2")) as bench:
        await fake_time.advance(10 * SECOND)
        assert {reading.quality for reading in bench.sink.readings} == {Quality.GOOD}
        assert 40 <= len(bench.sink.readings) <= 48
        assert bench.link.state().state == "up"
        assert bench.link.state().devices == 2
        assert not bench.sink.reports


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LinkTimeout("no answer within 0.3 s"), Reason.NO_COMMUNICATION),
        (ProtocolError("not a frame"), Reason.MALFORMED_ANSWER),
        (DeviceError("refused", code=2), Reason.REFUSED_BY_DEVICE),
    ],
)
async def test_an_error_becomes_bad_readings_of_that_device(fake_time: Time, error: Exception, reason: Reason) -> None:
    async with Bench(fake_time, planned("m1"), planned("m2")) as bench:
        bench.world.errors["m1"] = error
        await fake_time.advance(SECOND // 2)
        first = bench.sink.of("m1")[:2]
        assert [(reading.value, reading.quality, reading.reason) for reading in first] == [
            (None, Quality.BAD, reason)
        ] * 2
        await fake_time.advance(10 * SECOND)
        assert {reading.quality for reading in bench.sink.of("m2")} == {Quality.GOOD}
        assert len(bench.sink.of("m2")) >= 20


async def test_a_silent_device_is_reported_once_and_bad_at_each_due_time(
    fake_time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    async with Bench(fake_time, planned("m1"), planned("m2")) as bench:
        await fake_time.advance(5 * SECOND)
        bench.world.errors["m1"] = LinkTimeout("no answer within 0.3 s")
        with caplog.at_level(logging.WARNING):
            await fake_time.advance(60 * SECOND)
        (silent,) = bench.sink.reports
        assert isinstance(silent, DeviceSilent)
        assert caplog.text.count("device m1 is silent: no answer within 0.3 s") == 1
        assert bench.link.state().state == "degraded"
        assert bench.link.state().silent == ("m1",)
        bad = [reading for reading in bench.sink.of("m1") if reading.quality is Quality.BAD]
        assert 118 <= len(bad) <= 122
        assert len({(reading.point.name, reading.observed_at) for reading in bad}) == len(bad)
        assert all(reading.value is None for reading in bad)
        bench.world.errors.clear()
        with caplog.at_level(logging.WARNING):
            await fake_time.advance(70 * SECOND)
        assert isinstance(bench.sink.reports[1], DeviceBack)
        assert caplog.text.count("device m1 answers again") == 1
        assert bench.sink.of("m1")[-1].quality is Quality.GOOD
        assert bench.link.state().state == "up"


async def test_a_line_that_does_not_open_is_told_once_and_its_points_are_bad(
    fake_time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with Bench(fake_time, planned("m1")) as bench:
            bench.world.open_error = LinkError("127.0.0.1:502: no connection (refused)")
            await fake_time.advance(60 * SECOND)
            assert bench.sink.reports == [LinkDown("127.0.0.1:502: no connection (refused)", bug=False)]
            assert caplog.text.count("down: 127.0.0.1:502: no connection (refused)") == 1
            assert {reading.reason for reading in bench.sink.readings} == {Reason.NO_COMMUNICATION}
            assert len(bench.sink.readings) >= 118
            assert 5 <= bench.world.opened <= 10, "the pauses grow"
            assert bench.link.state().state == "down"
            assert "refused" in bench.link.state().error
            bench.world.open_error = None
            await fake_time.advance(40 * SECOND)
            assert isinstance(bench.sink.reports[1], LinkUp)
            assert bench.sink.readings[-1].quality is Quality.GOOD
            assert bench.link.state().error == ""


async def test_without_a_plan_from_the_configuration_a_line_that_does_not_open_says_so(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1"), with_plan=False) as bench:
        bench.world.open_error = LinkError("no")
        await fake_time.advance(5 * SECOND)
        assert bench.sink.readings == []
        assert bench.link.load() is None
        assert bench.link.state().state == "down"
        bench.world.open_error = None
        await fake_time.advance(30 * SECOND)
        assert bench.sink.readings


async def test_points_that_only_the_answers_tell_are_bad_when_they_stay_away(fake_time: Time) -> None:
    async with Bench(fake_time, PlannedPoll("m1", "m1", SECOND)) as bench:
        await fake_time.advance(3 * SECOND)
        bench.world.errors["m1"] = LinkTimeout("silent")
        await fake_time.advance(5 * SECOND)
        bad = [reading for reading in bench.sink.readings if reading.quality is Quality.BAD]
        assert {reading.point.name for reading in bad} == {"m1/volume"}
        assert len(bad) >= 4


async def test_a_converter_that_hangs_up_after_each_answer_loses_nothing(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1"), planned("m2")) as bench:
        world = bench.world

        def hang_up(_key: str) -> None:
            world.errors = {device: LinkClosed("hung up") for device in ("m1", "m2")}
            world.open_error = None

        world.after = hang_up
        spec = world.spec()

        @asynccontextmanager
        async def opened(config: Any, clock: Clock) -> AsyncIterator[Driver]:
            world.errors = {}
            async with spec.open(config, clock) as driver:
                yield driver

        bench.link.settings = LinkSettings("bus-1", DriverSpec("world", spec.parse, opened, spec.plan), None)
        await fake_time.advance(20 * SECOND)
        assert {reading.quality for reading in bench.sink.readings} == {Quality.GOOD}
        assert len(bench.sink.readings) >= 80
        assert not bench.sink.reports


async def test_a_dead_unit_that_makes_the_converter_hang_up_takes_nobody_with_it(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1"), planned("m2"), planned("m3")) as bench:
        bench.world.errors["m2"] = LinkClosed("hung up")
        await fake_time.advance(60 * SECOND)
        for device in ("m1", "m3"):
            assert {reading.quality for reading in bench.sink.of(device)} == {Quality.GOOD}
            assert len(bench.sink.of(device)) >= 118
        assert [type(report) for report in bench.sink.reports] == [DeviceSilent]


async def test_a_line_that_breaks_whoever_is_asked_is_down(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1"), planned("m2")) as bench:
        await fake_time.advance(3 * SECOND)
        bench.world.errors = {device: LinkClosed("cable pulled") for device in ("m1", "m2")}
        await fake_time.advance(10 * SECOND)
        assert any(isinstance(report, LinkDown) for report in bench.sink.reports)
        bench.world.errors = {}
        await fake_time.advance(60 * SECOND)
        assert bench.link.state().state == "up"
        assert bench.sink.of("m1")[-1].quality is Quality.GOOD


async def test_when_all_devices_are_silent_the_line_is_opened_anew(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1")) as bench:
        await fake_time.advance(3 * SECOND)
        assert bench.world.opened == 1
        bench.world.errors["m1"] = LinkTimeout("silent")
        await fake_time.advance(20 * SECOND)
        assert 2 <= bench.world.opened <= 5


async def test_a_bug_in_a_driver_stops_its_link_is_reported_and_retried(
    fake_time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with Bench(fake_time, planned("m1"), planned("m2")) as bench:
            await fake_time.advance(3 * SECOND)
            bench.world.errors["m1"] = ZeroDivisionError("division by zero")
            await fake_time.advance(60 * SECOND)
            down = next(report for report in bench.sink.reports if isinstance(report, LinkDown))
            assert down == LinkDown("ZeroDivisionError: division by zero", bug=True)
            assert "Traceback" in caplog.text
            assert bench.sink.of("m1")[-1].reason is Reason.NO_COMMUNICATION
            assert len([r for r in bench.sink.of("m2") if r.quality is Quality.GOOD]) >= 100
            bench.world.errors.clear()
            await fake_time.advance(90 * SECOND)
            assert bench.sink.of("m1")[-1].quality is Quality.GOOD
            assert bench.link.state().state == "up"


async def test_an_error_in_a_group_is_still_a_broken_line(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1")) as bench:
        bench.world.open_error = ExceptionGroup("tasks", [ExceptionGroup("inner", [LinkError("gone")])])
        await fake_time.advance(SECOND)
        assert bench.sink.reports == [LinkDown("gone", bug=False)]


async def test_a_changed_plan_is_taken_up_when_the_line_is_opened_again(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1", MINUTE), with_plan=False) as bench:
        await fake_time.advance(2 * SECOND)
        bench.world.errors["m1"] = LinkClosed("gone")
        bench.world.polls = [planned("m2"), planned("m3")]
        await fake_time.advance(MINUTE)
        assert {reading.quality for reading in bench.sink.of("m2")} == {Quality.GOOD}
        assert bench.link.state().devices == 2


async def test_an_overloaded_line_is_told_once_and_so_is_its_relief(
    fake_time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    fast = [planned(f"m{number}", SECOND // 10) for number in range(6)]
    async with Bench(fake_time, *fast) as bench:
        with caplog.at_level(logging.WARNING):
            await fake_time.advance(30 * SECOND)
        (overloaded,) = bench.sink.reports
        assert isinstance(overloaded, LinkOverloaded)
        assert overloaded.planned == pytest.approx(1.2, rel=0.01)
        assert caplog.text.count("link bus-1: overloaded: the plan takes 120% of the line") == 1
        assert bench.link.state().stretched == pytest.approx(1.22, abs=0.02)
        bench.world.cost = 5 * MS
        await fake_time.advance(30 * SECOND)
        (relieved,) = bench.sink.reports[1:]
        assert isinstance(relieved, LinkRelieved)
        assert relieved.planned < 0.9
        assert bench.link.state().stretched is None


@pytest.mark.parametrize("by", [86_400 * SECOND, -86_400 * SECOND])
async def test_a_clock_set_while_a_poll_runs_splits_no_reading_from_its_time(fake_time: Time, by: int) -> None:
    async with Bench(fake_time, planned("m1", 10 * SECOND)) as bench:
        stamped: list[Instant] = []

        def set_clock(_: str) -> None:
            stamped.append(fake_time.now)

        bench.world.after = set_clock
        poll = bench.world.poll

        async def stepping(plan: PlannedPoll) -> list[Reading]:
            found = await poll(plan)
            if len(stamped) == 1:
                fake_time.now += by  # the driver has stamped them, and has more to do
            return found

        bench.world.poll = stepping  # type: ignore[method-assign, assignment]
        await fake_time.advance(SECOND)
        assert [reading.observed_at for reading in bench.sink.readings[:2]] == [stamped[0] + by] * 2
        await fake_time.advance(20 * SECOND)
        # The step called in no turn of the day that never was.
        assert len(bench.world.asked) in range(2, 5)
        assert bench.link.load() is not None
        assert {reading.quality for reading in bench.sink.readings} == {Quality.GOOD}


async def test_a_clock_set_back_by_an_hour_does_not_stop_the_readings(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1")) as bench:
        await fake_time.advance(3 * SECOND)
        fake_time.now -= 60 * MINUTE
        before = len(bench.sink.readings)
        await fake_time.advance(15 * SECOND)
        assert len(bench.sink.readings) - before >= 18


def write(time: Time, number: int = 1, lifetime: int = MINUTE) -> WriteRequest:
    return WriteRequest(f"w{number}", "m1/temperature_setpoint", 2.5, time.now + lifetime, "li")


async def test_a_write_goes_before_every_read_that_waits(fake_time: Time) -> None:
    async with Bench(fake_time, *(planned(f"m{number}", 10 * SECOND) for number in range(20))) as bench:
        await fake_time.advance(50 * MS)
        before = len(bench.world.asked)
        assert before <= 4, "there are reads left to do"
        written = asyncio.create_task(bench.link.submit(write(fake_time)))
        await fake_time.advance(2 * SECOND)
        assert "write w1" in bench.world.asked[before : before + 2]
        assert await written == WriteOutcome(ok=True, before=1.0, after=2.5)


async def test_a_write_does_not_wait_for_the_next_read(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1", 60 * MINUTE)) as bench:
        await fake_time.advance(10 * SECOND)
        written = asyncio.create_task(bench.link.submit(write(fake_time)))
        await fake_time.advance(bench.world.cost)
        assert written.done()
        assert (await written).ok


async def test_writes_keep_their_order_and_only_so_many_wait(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1")) as bench:
        await fake_time.advance(5 * SECOND)
        bench.world.asked.clear()
        tasks = [asyncio.create_task(bench.link.submit(write(fake_time, number))) for number in range(17)]
        await fake_time.advance(2 * SECOND)
        assert [asked for asked in bench.world.asked if asked.startswith("write")] == [f"write w{n}" for n in range(16)]
        with pytest.raises(WriteRefused, match="16 writes wait") as caught:
            await tasks[16]
        assert caught.value.reason is WriteRefusal.TOO_MANY


async def test_a_flood_of_writes_does_not_silence_the_line(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1", SECOND // 10)) as bench:
        await fake_time.advance(2 * SECOND)

        async def flood() -> None:
            while True:
                await bench.link.submit(write(fake_time))

        floods = [asyncio.create_task(flood()) for _ in range(12)]
        bench.world.asked.clear()
        await fake_time.advance(10 * SECOND)
        for task in floods:
            task.cancel()
        asked = bench.world.asked
        assert asked.count("m1") == pytest.approx(len(asked) / (WRITES_IN_A_ROW + 1), abs=2)


async def test_a_write_waits_for_a_line_that_is_down_until_it_expires(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1")) as bench:
        bench.world.open_error = LinkError("no")
        await fake_time.advance(5 * SECOND)
        late = asyncio.create_task(bench.link.submit(write(fake_time, 1, 3 * SECOND)))
        patient = asyncio.create_task(bench.link.submit(write(fake_time, 2, 10 * MINUTE)))
        await fake_time.advance(MINUTE)
        with pytest.raises(WriteRefused, match="expired") as caught:
            await late
        assert caught.value.reason is WriteRefusal.EXPIRED
        assert not patient.done()
        bench.world.open_error = None
        await fake_time.advance(MINUTE)
        assert (await patient).ok
        assert "write w1" not in bench.world.asked


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DeviceError("exception 2", code=2), "the device refused: exception 2"),
        (LinkTimeout("no answer"), "no answer: whether the device took the value is unknown"),
        (LinkClosed("hung up"), "hung up: whether the device took the value is unknown"),
        (ZeroDivisionError("oh"), "the driver broke off: whether the device took the value is unknown"),
    ],
)
async def test_a_write_that_fails_is_never_repeated(fake_time: Time, error: Exception, text: str) -> None:
    async with Bench(fake_time, planned("m1")) as bench:
        await fake_time.advance(2 * SECOND)
        bench.world.write_error = error
        written = asyncio.create_task(bench.link.submit(write(fake_time)))
        await fake_time.advance(10 * SECOND)
        assert await written == WriteOutcome(ok=False, error=text)
        assert bench.world.asked.count("write w1") == 1
        assert bench.sink.of("m1")[-1].quality is Quality.GOOD, "reading goes on"


async def test_a_driver_that_does_not_write_says_so(fake_time: Time) -> None:
    class ReadOnly:
        def __init__(self, world: World) -> None:
            self.plan, self.poll = world.plan, world.poll

    async with Bench(fake_time, planned("m1")) as bench:

        @asynccontextmanager
        async def opened(_config: Any, _clock: Clock) -> AsyncIterator[Driver]:
            yield ReadOnly(bench.world)

        bench.link.settings = LinkSettings("bus-1", DriverSpec("deaf", lambda *_: None, opened, None), None)
        await fake_time.advance(2 * SECOND)
        written = asyncio.create_task(bench.link.submit(write(fake_time)))
        await fake_time.advance(SECOND)
        with pytest.raises(WriteRefused, match="driver 'deaf' does not write"):
            await written


async def test_whoever_stops_waiting_for_a_write_stops_it(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1", 10 * SECOND), planned("m2", 10 * SECOND)) as bench:
        await fake_time.advance(MS)
        written = asyncio.create_task(bench.link.submit(write(fake_time)))
        await fake_time.advance(MS)
        written.cancel()
        await fake_time.advance(5 * SECOND)
        assert "write w1" not in bench.world.asked


async def test_whole_polls_are_counted_where_the_driver_does_not_count(fake_time: Time) -> None:
    async with Bench(fake_time, planned("m1"), planned("m2"), planned("m3"), planned("m4")) as bench:
        bench.world.errors = {
            "m2": LinkTimeout("silent"),
            "m3": DeviceError("no", code=2),
            "m4": ChecksumError("wrong checksum"),
        }
        await fake_time.advance(3 * SECOND)
        counters = bench.link.counters()
        asked = {device: bench.world.asked.count(device) for device in counters}
        assert {device: counted.requests for device, counted in counters.items()} == asked
        assert counters["m1"].as_dict() == UnitCounters(requests=asked["m1"], answers=asked["m1"]).as_dict()
        assert counters["m1"].median == bench.world.cost
        assert (counters["m2"].timeouts, counters["m2"].answers) == (1, 0), "never heard: one failure tells"
        assert counters["m3"].refused == counters["m3"].answers == asked["m3"] >= 2
        assert counters["m4"].checksum == 1


async def test_what_a_driver_counts_outlives_its_connection(fake_time: Time) -> None:
    class Counted:
        def __init__(self, world: World) -> None:
            self.plan, self.world = world.plan, world
            self.own = UnitCounters()

        def counters(self) -> dict[str, UnitCounters]:
            return {"m1": self.own}

        async def poll(self, planned: PlannedPoll) -> list[Reading]:
            self.own.requests += 1
            readings = await self.world.poll(planned)
            self.own.answered(20 * MS)
            return readings

    async with Bench(fake_time, planned("m1")) as bench:

        @asynccontextmanager
        async def opened(_config: Any, _clock: Clock) -> AsyncIterator[Driver]:
            yield Counted(bench.world)

        bench.link.settings = LinkSettings("bus-1", DriverSpec("counted", lambda *_: None, opened, None), None)
        await fake_time.advance(3 * SECOND)
        bench.world.errors["m1"] = LinkClosed("hung up")
        await fake_time.advance(10 * SECOND)
        bench.world.errors.clear()
        await fake_time.advance(60 * SECOND)
        counters = bench.link.counters()["m1"]
        assert counters.requests > counters.answers >= 50
        assert counters.requests == len(bench.world.asked)


async def test_a_status_lists_those_in_trouble_first_and_only_so_many(fake_time: Time) -> None:
    async with Bench(fake_time, *(planned(f"m{number}", 10 * SECOND) for number in range(40))) as bench:
        bench.world.errors = {"m17": LinkTimeout("silent"), "m31": DeviceError("no", code=2)}
        await fake_time.advance(30 * SECOND)
        state = bench.link.state()
        assert len(state.units) == MOST_UNITS
        assert state.unlisted == 40 - MOST_UNITS
        assert [unit.device for unit in state.units[:2]] == ["m17", "m31"]
        silent, refusing, other = state.units[:3]
        assert (silent.answers, silent.timeouts) == (0, silent.requests)
        assert silent.median is None
        assert refusing.refused == refusing.answers == refusing.requests >= 3
        assert other.median == pytest.approx(0.02)
        assert other.share == pytest.approx(0.002, abs=0.001)
