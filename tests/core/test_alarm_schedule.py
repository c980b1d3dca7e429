"""Schedules, held against the plainest reading of what they say, minute by minute."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import Schedule
from linli_core.instant import DAY, MINUTE, SECOND, Instant, to_datetime

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
