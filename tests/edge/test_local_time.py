"""Where days and hours begin on a clock that is set forward and back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant, from_rfc3339
from linli_edge.driver import PlannedPoll
from linli_edge.local_time import Grid, LocalTime
from linli_edge.registers.billing import BillingSettings, BillingWatch
from linli_edge.scheduler import Rest, Run, Scheduler, ScheduleSettings

BERLIN = ZoneInfo("Europe/Berlin")
SPRING, AUTUMN = from_rfc3339("2026-03-28T23:00:00Z"), from_rfc3339("2026-10-24T22:00:00Z")
"""Local midnights in Berlin before the days on which clocks are set forward (23 hours) and back (25)."""


def grid(zone: str, every: int) -> Grid:
    return Grid(LocalTime(zone=ZoneInfo(zone)), every)


def local(moment: Instant, zone: str) -> str:
    return datetime.fromtimestamp(moment // SECOND, UTC).astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M")


@pytest.mark.parametrize(("midnight", "hours"), [(SPRING, 23), (AUTUMN, 25), (SPRING + 23 * HOUR, 24)])
def test_a_day_is_as_long_as_it_is(midnight: Instant, hours: int) -> None:
    days = grid("Europe/Berlin", DAY)
    assert days.boundary(midnight) == midnight
    assert days.boundary(midnight - 1) < midnight
    assert days.after(midnight) == midnight + hours * HOUR
    assert days.before(midnight + hours * HOUR) == midnight
    assert days.boundary(midnight + hours * HOUR - 1) == midnight


@pytest.mark.parametrize("every", [MINUTE, 15 * MINUTE, HOUR])
@pytest.mark.parametrize("midnight", [SPRING, AUTUMN])
def test_what_divides_the_change_does_not_notice_it(midnight: Instant, every: int) -> None:
    hours = grid("Europe/Berlin", every)
    moment = midnight
    while moment < midnight + 5 * HOUR:
        assert hours.after(moment) == moment + every
        moment = hours.after(moment)


def walk(zone: str, every: int, start: str, count: int) -> list[str]:
    steps, moment = grid(zone, every), from_rfc3339(start) - 1
    found = []
    for _ in range(count):
        moment = steps.after(moment)
        found.append(local(moment, zone))
    return found


@pytest.mark.parametrize(
    ("zone", "every", "start", "expected"),
    [
        # Quarters of a day over a change: one has five hours or seven.
        ("Europe/Berlin", 6 * HOUR, "2026-03-28T23:00:00Z", ["03-29 00:00", "03-29 06:00", "03-29 12:00"]),
        ("Europe/Berlin", 6 * HOUR, "2026-10-24T22:00:00Z", ["10-25 00:00", "10-25 06:00", "10-25 12:00"]),
        # A midnight that is leapt over (Cairo, 24 April 2026): the day begins with the change.
        ("Africa/Cairo", DAY, "2026-04-22T22:00:00Z", ["04-23 00:00", "04-24 01:00", "04-25 00:00"]),
        # One that comes twice (Havana, 1 November 2026): the first counts.
        ("America/Havana", DAY, "2026-10-31T04:00:00Z", ["10-31 00:00", "11-01 00:00", "11-02 00:00"]),
        # A change of half an hour (Lord Howe, 5 April 2026): an hour of ninety minutes.
        ("Australia/Lord_Howe", HOUR, "2026-04-04T14:00:00Z", ["04-05 01:00", "04-05 02:00", "04-05 03:00"]),
    ],
)
def test_over_a_change(zone: str, every: int, start: str, expected: list[str]) -> None:
    assert walk(zone, every, start, len(expected)) == expected


zones = st.sampled_from(["Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "America/St_Johns", "Asia/Shanghai"])


@given(zones, st.sampled_from([30 * MINUTE, HOUR, 4 * HOUR, DAY]), st.integers(0, 400 * DAY))
def test_boundaries_are_in_order_and_none_is_left_out(zone: str, every: int, offset: int) -> None:
    steps, moment = grid(zone, every), from_rfc3339("2026-01-01T00:00:00Z") + offset
    start = steps.boundary(moment)
    assert start <= moment < steps.after(start)
    assert steps.boundary(start) == start
    end = steps.after(start)
    assert steps.boundary(end) == end
    assert Grid(LocalTime(zone=ZoneInfo(zone)), every).before(end) == start
    assert every - HOUR <= end - start <= every + HOUR or (every == 30 * MINUTE and end - start == every)


def test_a_fixed_offset_needs_no_zone() -> None:
    days = Grid(LocalTime(8 * HOUR), DAY)
    assert days.boundary(from_rfc3339("2026-11-25T16:00:00Z")) == from_rfc3339("2026-11-25T16:00:00Z")
    assert days.boundary(from_rfc3339("2026-11-25T15:59:59Z")) == from_rfc3339("2026-11-24T16:00:00Z")
    assert days.after(from_rfc3339("2026-11-25T15:59:59Z")) == from_rfc3339("2026-11-25T16:00:00Z")


@pytest.mark.parametrize(("midnight", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_billing_follows_midnight(midnight: Instant, hours: int) -> None:
    watch = BillingWatch(BillingSettings(every=DAY, late=HOUR, zone=BERLIN))
    watch.due(midnight - HOUR)
    watch.expect(["meter-1/energy_import"])
    boundaries = []
    for hour in range(3 * 24):
        at = midnight + hour * HOUR + SECOND
        watch.take("meter-1/energy_import", float(hour), at)
        boundaries += [closed.boundary for closed in watch.due(at)]
    assert boundaries[:3] == [midnight, midnight + hours * HOUR, midnight + (24 + hours) * HOUR]


@pytest.mark.parametrize(("midnight", "hours"), [(SPRING, 23), (AUTUMN, 25)])
@pytest.mark.parametrize("interval", [DAY, 12 * HOUR])
def test_a_daily_poll_follows_midnight(midnight: Instant, hours: int, interval: int) -> None:
    now = midnight - HOUR
    scheduler = Scheduler([PlannedPoll("m", "m", interval)], ScheduleSettings(spread=0, zone=BERLIN), now)
    ran = []
    while now < midnight + 2 * DAY:
        action = scheduler.next(now)
        if isinstance(action, Run):
            ran.append(now)
            scheduler.finished(now, 1000, answered=True)
        else:
            assert isinstance(action, Rest)
            now = max(now + 1, action.until)
    assert {midnight, midnight + hours * HOUR} <= set(ran)
    # The first is asked at once; from then on it is midnight, or noon.
    assert {local(moment, "Europe/Berlin")[6:] for moment in ran[1:]} <= {"00:00", "12:00"}
