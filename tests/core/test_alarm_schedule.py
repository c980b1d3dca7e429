"""Schedules, held against the plainest reading of what they say, minute by minute."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import Schedule
from linli_core.instant import DAY, MINUTE, SECOND, Instant, from_datetime, to_datetime

CHINA = timezone(timedelta(hours=8))
T0 = 1_798_675_200 * SECOND
"""Thursday, 31 December 2026, eight in the morning by the community's time."""

SPANS = st.lists(
    st.tuples(st.sampled_from([0, 1, 90, 540, 1320, 1439]), st.sampled_from([0, 30, 360, 541, 1440])).filter(
        lambda span: span[0] != span[1]
    ),
    max_size=2,
)
DATES = st.sampled_from([(1, 1), (1, 2), (12, 30), (12, 31), (6, 15)])
SCHEDULES = st.builds(
    Schedule,
    st.lists(st.integers(0, 6), max_size=3).map(tuple),
    SPANS.map(tuple),
    st.lists(st.tuples(DATES, DATES), max_size=2).map(tuple),
)


def is_open(schedule: Schedule, at: Instant) -> bool:
    """Say it plainly: some span that began today or yesterday covers the minute, on a day that is one of its days."""
    local = to_datetime(at).astimezone(CHINA)
    for back in (0, 1):
        day = local.date() - timedelta(days=back)
        if schedule.days and day.weekday() not in schedule.days:
            continue
        date = (day.month, day.day)
        seasons = [
            first <= date <= last if first <= last else not last < date < first for first, last in schedule.seasons
        ]
        if seasons and not any(seasons):
            continue
        midnight = datetime(day.year, day.month, day.day, tzinfo=CHINA)
        for begin, end in schedule.hours or ((0, 1440),):
            begins = midnight + timedelta(minutes=begin)
            ends = midnight + timedelta(minutes=end if begin < end else end + 1440)
            if begins <= local < ends:
                return True
    return False


@given(SCHEDULES, st.integers(0, 3 * 1440))
def test_it_is_open_when_it_says(schedule: Schedule, minute: int) -> None:
    at = T0 + minute * MINUTE
    assert schedule.holds(at, CHINA) is is_open(schedule, at)


@given(SCHEDULES, st.integers(0, 2 * 1440))
def test_its_next_edge_is_the_first_minute_that_is_otherwise(schedule: Schedule, minute: int) -> None:
    at = T0 + minute * MINUTE
    edge = schedule.next_edge(at, CHINA)
    now = is_open(schedule, at)
    days = 3 * 1440
    plain = next((it for it in range(1, days) if is_open(schedule, at + it * MINUTE) is not now), None)
    if plain is not None:
        assert edge == at + plain * MINUTE
    else:
        assert edge is None or edge >= at + days * MINUTE


@pytest.mark.parametrize(
    ("season", "days"), [(((12, 30), (12, 30)), 364), (((12, 31), (12, 31)), 1), (((2, 29), (2, 29)), None)]
)
def test_a_season_comes_again_within_a_year(season: tuple[tuple[int, int], tuple[int, int]], days: int | None) -> None:
    """From the morning of 31 December: how many midnights later it turns; no 29 February comes within 400 days."""
    edge = Schedule(seasons=(season,)).next_edge(T0, CHINA)
    midnight = T0 - 8 * 60 * MINUTE
    assert edge == (None if days is None else midnight + days * DAY)


def test_without_anything_it_is_always() -> None:
    assert Schedule().is_always
    assert Schedule().holds(T0, UTC)
    assert Schedule().next_edge(T0, UTC) is None
    assert not Schedule(days=(1,)).is_always


def test_a_leap_day_is_seen_coming_as_far_as_is_looked() -> None:
    """The 400th day from today, and no further."""
    leap_day = Schedule(seasons=(((2, 29), (2, 29)),))
    edge = from_datetime(datetime(2028, 2, 29, tzinfo=CHINA))
    assert leap_day.next_edge(edge - 399 * DAY, CHINA) == edge
    assert leap_day.next_edge(edge - 400 * DAY, CHINA) is None


def test_a_span_that_ends_when_it_begins_is_a_whole_day() -> None:
    assert all(Schedule(hours=((540, 540),)).holds(T0 + hour * 60 * MINUTE, CHINA) for hour in range(24))


def test_an_edge_lies_on_the_minute_though_it_is_asked_for_in_between() -> None:
    nine = Schedule(hours=((540, 1440),))
    assert nine.next_edge(T0 + 17 * SECOND + 3, CHINA) == T0 + 60 * MINUTE
    assert nine.next_edge(T0 + 60 * MINUTE, CHINA) == T0 + 16 * 60 * MINUTE
    assert nine.next_edge(T0 + 60 * MINUTE - 1, CHINA) == T0 + 60 * MINUTE


def test_where_there_is_a_summer_time_the_clock_on_the_wall_counts() -> None:
    """Two o'clock comes twice in autumn and not at all in spring."""
    berlin = ZoneInfo("Europe/Berlin")
    night = Schedule(hours=((120, 240),))
    spring, autumn = (from_datetime(datetime(2027, month, day, tzinfo=UTC)) for month, day in ((3, 28), (10, 31)))
    hour = 60 * MINUTE
    assert night.next_edge(spring - hour, berlin) == spring + hour
    assert night.next_edge(spring + hour, berlin) == spring + 2 * hour
    assert night.next_edge(autumn - hour, berlin) == autumn
    assert night.next_edge(autumn, berlin) == autumn + 3 * hour
    assert [night.holds(autumn + it * hour, berlin) for it in (-1, 0, 1, 2, 3)] == [False, True, True, True, False]
