"""Where windows begin, in zones that change their clocks and in those that do not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from tests.hub.influxql.conftest import Asked

from linli_platform.influxql.window import DAY, HOUR, SECOND, Range, Windows


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize("interval", [HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY])
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"])
@pytest.mark.parametrize("first", ["2026-01-05T03:10", "2026-03-20T03:10", "2026-10-01T22:59"])
def test_windows_begin_where_the_one_before_ends_whatever_the_clock_does(interval: int, zone: str, first: str) -> None:
    windows = Windows(interval, zone=ZoneInfo(zone))
    reach = Range(_at(first), _at(first) + 20 * DAY)
    starts = windows.starts(reach).tolist()
    assert starts[0] <= reach.start < starts[1]
    assert starts[-1] <= reach.end
    for start, following in pairwise(starts):
        assert windows.start_of(start) == windows.start_of(following - 1) == start
        # A clock is changed by an hour at most.
        assert abs(following - start - interval) <= HOUR


def test_a_day_of_the_place_begins_at_its_midnight(ask: Asked) -> None:
    text = (
        "SELECT count(value) FROM active_power WHERE time >= '2026-02-27T16:00:00Z' AND time < '2026-03-02T16:00:00Z'"
        " GROUP BY time(1d) fill(0) tz('Local')"
    )
    (found,) = ask(text, unit=HOUR, local=ZoneInfo("Asia/Shanghai"))
    # Until then it is still 28 February in Shanghai; the readings are of eight o'clock on 1 March.
    assert [row[1] for row in found["series"][0]["values"]] == [0, 8, 0]
    assert [row[0] % 24 for row in found["series"][0]["values"]] == [16, 16, 16]
    assert ask(text) == ask(text.replace("Local", "UTC"))


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Shanghai", "America/New_York"])
def test_weeks_that_are_shifted_by_four_days_begin_on_mondays(name: str) -> None:
    """As boards ask for them, over changes of the clocks too."""
    zone = ZoneInfo(name)
    windows = Windows(7 * DAY, 4 * DAY, zone)
    start = int(datetime(2026, 3, 1, 12, tzinfo=zone).timestamp()) * SECOND
    found = windows.starts(Range(start, start + 300 * DAY))
    begins = [datetime.fromtimestamp(each // SECOND, zone) for each in found.tolist()]
    assert begins[0].date() == date(2026, 2, 23)
    assert {(it.weekday(), it.hour) for it in begins} == {(0, 0)}
    assert len(begins) == 44


@pytest.mark.parametrize(("interval", "many"), [(7 * DAY, 43), (DAY, 365), (HOUR, 9_000), (SECOND, 1_999_999)])
def test_the_last_of_many_windows_is_there(interval: int, many: int) -> None:
    windows = Windows(interval, zone=ZoneInfo("Asia/Shanghai"))
    start = windows.start_of(_at("2026-01-01T00:00"))
    found = windows.starts(Range(start, start + many * interval))
    assert found.tolist() == [start + number * interval for number in range(many + 1)]
