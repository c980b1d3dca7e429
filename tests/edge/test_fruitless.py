"""Devices that answer and give nothing: what counts as that, and what their link says of them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import pytest

from linli_core.errors import DeviceError, LinkTimeout
from linli_core.instant import SECOND
from linli_core.model import Point, Reading, Reason, missing
from linli_edge.driver import DriverSpec, PlannedPoll
from linli_edge.fruitless import DeviceFruitful, DeviceFruitless, Fruitless, complaint
from linli_edge.link import Link, LinkSettings, Report
from linli_edge.timekeeping import Timekeeper


class Time(Protocol):
    @property
    def timekeeper(self) -> Timekeeper: ...
    async def advance(self, microseconds: int) -> None: ...


class Bench(Protocol):
    errors: dict[str, Exception]

    @property
    def spec(self) -> DriverSpec: ...


class Told:
    """What a link says; readings are let go."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    def take(self, readings: list[Reading]) -> None: ...

    def report(self, link: str, report: Report) -> None:
        assert link == "bus-1"
        self.reports.append(report)


def planned(device: str, interval: int = SECOND) -> PlannedPoll:
    return PlannedPoll(device, device, interval, (Point(device, "active_power"),))


@asynccontextmanager
async def running(time: Time, bench: Bench, *polls: PlannedPoll) -> AsyncIterator[tuple[Link, Told]]:
    told = Told()
    link = Link(LinkSettings("bus-1", bench.spec, polls), told, time.timekeeper)
    task = asyncio.create_task(link.run(), name="link")
    try:
        yield link, told
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_refusing_device_is_not_silent_and_does_not_look_healthy(
    fake_time: Time, bench_driver: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench_driver.errors["m1"] = DeviceError("no marker", code=0)
    with caplog.at_level(logging.WARNING):
        async with running(fake_time, bench_driver, planned("m1"), planned("m2")) as (link, told):
            await fake_time.advance(10 * SECOND)
            (report,) = told.reports
            assert isinstance(report, DeviceFruitless)
            assert (report.device, report.error) == ("m1", "no marker")
            state = link.state()
            assert (state.state, state.silent, state.fruitless) == ("degraded", (), ("m1",))
            assert state.units[0].device == "m1"
            assert caplog.text.count("device m1 gives no value: no marker") == 1
            bench_driver.errors.clear()
            await fake_time.advance(2 * SECOND)
            assert isinstance(told.reports[1], DeviceFruitful)
            assert link.state().state == "up"


async def test_a_refusal_is_in_the_log_once_until_it_changes(
    fake_time: Time, bench_driver: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        async with running(fake_time, bench_driver, planned("m1")):
            for said in ("no marker", "another serial number", "no marker"):
                bench_driver.errors["m1"] = DeviceError(said, code=0)
                await fake_time.advance(10 * SECOND)
            bench_driver.errors.clear()
            await fake_time.advance(SECOND)
            bench_driver.errors["m1"] = DeviceError("no marker", code=0)
            await fake_time.advance(10 * SECOND)
    assert caplog.text.count("m1 refused: no marker") == 3
    assert caplog.text.count("m1 refused: another serial number") == 1


async def test_one_whose_points_only_its_answers_tell_is_told_of_too(fake_time: Time, bench_driver: Bench) -> None:
    """As a SunSpec device without its marker: there is no BAD reading to see it by."""
    bench_driver.errors["m1"] = DeviceError("no marker", code=0)
    async with running(fake_time, bench_driver, PlannedPoll("m1", "m1", SECOND)) as (link, told):
        await fake_time.advance(3 * SECOND)
        assert len(told.reports) == 1
        assert link.state().fruitless == ("m1",)


async def test_a_device_that_gives_nothing_and_then_falls_silent_is_silent(
    fake_time: Time, bench_driver: Bench
) -> None:
    bench_driver.errors["m1"] = DeviceError("busy", code=6)
    async with running(fake_time, bench_driver, planned("m1"), planned("m2")) as (link, _):
        await fake_time.advance(3 * SECOND)
        assert link.state().fruitless == ("m1",)
        bench_driver.errors["m1"] = LinkTimeout("no answer")
        await fake_time.advance(3 * SECOND)
        state = link.state()
        assert (state.silent, state.fruitless) == (("m1",), ())


async def test_a_device_that_is_busy_once_is_told_of_nowhere(fake_time: Time, bench_driver: Bench) -> None:
    async with running(fake_time, bench_driver, planned("m1", 2 * SECOND)) as (_, told):
        await fake_time.advance(SECOND)
        bench_driver.errors["m1"] = DeviceError("busy", code=6)
        await fake_time.advance(2 * SECOND)
        bench_driver.errors.clear()
        await fake_time.advance(10 * SECOND)
        assert not told.reports


@pytest.mark.parametrize(
    ("reasons", "fruitless"),
    [
        ([Reason.REFUSED_BY_DEVICE, Reason.REFUSED_BY_DEVICE], True),
        ([Reason.NOT_IMPLEMENTED, Reason.DEVICE_FAILURE], True),
        ([Reason.REFUSED_BY_DEVICE, None], False),  # one value is a value
        ([Reason.STALE], False),  # a radio meter that is not due yet
        ([], False),  # nothing new
    ],
)
def test_what_counts_as_giving_nothing(reasons: list[Reason | None], fruitless: bool) -> None:
    readings = [
        missing(Point("m", "voltage"), 0, reason) if reason else Reading(Point("m", "current"), 1.0, 0)
        for reason in reasons
    ]
    assert bool(complaint(readings)) is fruitless


def test_a_device_of_two_polls_gives_nothing_only_when_neither_does() -> None:
    watch = Fruitless()
    for now in range(5):
        watch.answered("m", "m", now, "refused")
        change = watch.answered("m", "m#2", now, "")
    assert (change, watch.devices) == (None, ())
    assert watch.answered("m", "m#2", 6, "refused") == DeviceFruitless("m", 6, "refused")
    assert watch.answered("m", "m", 7, "refused") is None
    assert watch.answered("m", "m", 8, "") == DeviceFruitful("m", 6)


def test_a_clock_that_is_set_makes_nobody_fruitless_for_years() -> None:
    watch = Fruitless()
    for now in (1, 2):
        watch.answered("m", "m", now, "refused")
    watch.moved(1000)
    assert watch.answered("m", "m", 1003, "") == DeviceFruitful("m", 1002)
