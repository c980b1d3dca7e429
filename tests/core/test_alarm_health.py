"""The figures of the alarm system, each from a story that can be counted by hand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import Event, Priority
from linli_core.alarm.health import FLOOD, Flood, Moment, Standing, health
from linli_core.alarm.hourly import hourly
from linli_core.alarm.states import TRANSITIONS, State
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant

END = 10 * DAY


def moment(
    event: Event, at: Instant, alarm: int = 1, rule: str = "a.b", priority: Priority = Priority.LOW, late: Instant = 0
) -> Moment:
    return Moment(alarm, rule, f"gw/{alarm}", priority, event, at, at + late)


def raised(*times: Instant, alarm: int = 1) -> list[Moment]:
    return [moment(Event.RAISE, at, alarm=alarm + place) for place, at in enumerate(times)]


def test_a_quiet_period_is_all_noughts() -> None:
    found = health([], 0, END)
    assert (found.raised, found.per_hour, found.busiest_hour, found.in_floods) == (0, 0.0, 0, 0.0)
    assert (found.floods, found.chattering, found.standing, found.worst) == ((), (), (), ())
    assert (found.unseen, found.acknowledged, found.seen_after, found.seen_after_p90) == (0, 0, None, None)
    assert set(found.mix.values()) == {0.0}


def test_ten_in_ten_minutes_are_many_and_eleven_are_a_flood() -> None:
    ten = [MINUTE * n for n in range(FLOOD)]
    assert health(raised(*ten), 0, END).floods == ()
    found = health(raised(*ten, 9 * MINUTE + SECOND, 2 * HOUR), 0, END)
    assert found.floods == (Flood(0, 9 * MINUTE + SECOND, 11),)
    assert found.in_floods == pytest.approx(11 / 12)
    assert found.busiest_hour == 11


def test_a_long_flood_is_one() -> None:
    times = [30 * SECOND * n for n in range(60)]
    assert [flood.count for flood in health(raised(*times), 0, END).floods] == [60]
    two = [*times, *(time + 3 * HOUR for time in times)]
    assert [flood.count for flood in health(raised(*two), 0, END).floods] == [60, 60]


@given(st.lists(st.integers(0, 3 * 3600), max_size=60))
def test_floods_are_apart_and_hold_what_a_window_over_the_limit_holds(seconds: list[int]) -> None:
    times = sorted(SECOND * second for second in seconds)
    floods = health(raised(*times), 0, END).floods
    for before, after in pairwise(floods):
        assert before.end <= after.start
    for flood in floods:
        assert flood.count > FLOOD
        assert flood.count <= sum(flood.start <= at <= flood.end for at in times)
    for place in range(len(times) - FLOOD):
        if times[place + FLOOD] - times[place] < 10 * MINUTE:
            assert any(flood.start <= times[place + FLOOD] for flood in floods)


def test_chatter_and_what_would_help() -> None:
    story = []
    for n in range(5):
        story += [moment(Event.RAISE, 2 * MINUTE * n), moment(Event.RETURN, 2 * MINUTE * n + 20 * SECOND)]
    (found,) = health(story, 0, END).chattering
    assert (found.rule, found.subject, found.count) == ("a.b", "gw/1", 5)
    assert (found.on_delay, found.off_delay) == (20 * SECOND, 100 * SECOND)
    rarely = [moment(Event.RAISE, HOUR * n) for n in range(5)]
    assert health(rarely, 0, END).chattering == ()


def test_what_has_stood_for_a_day() -> None:
    story = [
        moment(Event.RAISE, END - 2 * DAY, alarm=1),
        moment(Event.ACKNOWLEDGE, END - DAY, alarm=1),
        moment(Event.RAISE, END - 2 * DAY, alarm=2),
        moment(Event.RETURN, END - DAY, alarm=2),
        moment(Event.RAISE, END - HOUR, alarm=3),
    ]
    assert health(story, 0, END).standing == (Standing(1, "a.b", "gw/1", END - 2 * DAY),)


def test_time_to_acknowledge_counts_from_when_it_was_known() -> None:
    story = [
        moment(Event.RAISE, HOUR, alarm=1, late=30 * MINUTE),
        moment(Event.ACKNOWLEDGE, 2 * HOUR, alarm=1),
        moment(Event.RAISE, HOUR, alarm=2),
        moment(Event.RETURN, HOUR + MINUTE, alarm=2),
        moment(Event.ACKNOWLEDGE, HOUR + 10 * MINUTE, alarm=2),
        moment(Event.RAISE, HOUR, alarm=3),
    ]
    found = health(story, 0, END)
    assert (found.acknowledged, found.unseen) == (2, 1)
    assert (found.seen_after, found.seen_after_p90) == (20 * MINUTE, 30 * MINUTE)
    # An acknowledgement before the period is none of its own.
    assert health(story, 90 * MINUTE, END).acknowledged == 1


def test_the_mix_and_the_worst() -> None:
    story = [moment(Event.RAISE, HOUR * n, alarm=n, rule="a.often") for n in range(8)]
    story += [moment(Event.RAISE, HOUR * n, alarm=20 + n, rule="a.rare", priority=Priority.HIGH) for n in range(2)]
    found = health(story, 0, END)
    assert found.mix == {Priority.LOW: 0.8, Priority.MEDIUM: 0.0, Priority.HIGH: 0.2}
    assert [(it.rule, it.count, it.share) for it in found.worst] == [("a.often", 8, 0.8), ("a.rare", 2, 0.2)]
    assert found.per_hour == pytest.approx(10 / 240)


# Hour by hour


def test_hour_by_hour_a_story_that_can_be_counted() -> None:
    story = [moment(Event.RAISE, 50 * MINUTE, alarm=1, priority=Priority.HIGH, late=MINUTE)]
    story += raised(*(90 * MINUTE + SECOND * n for n in range(12)), alarm=10)
    story += [moment(Event.ACKNOWLEDGE, 130 * MINUTE, alarm=1), moment(Event.RETURN, 26 * HOUR, alarm=1)]
    one, two, three, *_, last = hourly(story, 20 * MINUTE, 2 * DAY)
    assert (one.start, one.raised, one.mix[Priority.HIGH], one.floods, one.unseen) == (0, 1, 1, 0, 1)
    assert (two.start, two.raised, two.floods, two.in_floods, two.unseen) == (HOUR, 12, 1, 12, 13)
    assert (three.acknowledged, three.seen_after, three.unseen, three.raised) == (1, 79 * MINUTE, 12, 0)
    assert [hour.start // HOUR for hour in hourly(story, 0, 2 * DAY) if hour.standing == 1] == [24]
    assert (last.start, last.standing) == (47 * HOUR, 12)
    assert hourly(story, HOUR, HOUR) == []


def test_three_times_in_ten_minutes_is_one_alarm_that_chatters() -> None:
    story = []
    for n in range(4):
        story += [moment(Event.RAISE, 57 * MINUTE + 2 * MINUTE * n), moment(Event.RETURN, 58 * MINUTE + 2 * MINUTE * n)]
    assert [hour.chattering for hour in hourly(story, 0, 3 * HOUR)] == [1, 1, 0]


STEPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 600), st.integers(0, 90)), max_size=60)


@given(STEPS, st.integers(0, 80), st.sampled_from([0, 15 * MINUTE, 30 * MINUTE]))
def test_the_hours_come_to_what_their_ends_say(
    steps: list[tuple[int, int, int, int]], begin: int, phase: Instant
) -> None:
    states, now = dict.fromkeys(range(5), State.NORMAL), 0
    story = []
    for number, choice, wait, late in steps:
        possible = sorted(TRANSITIONS[states[number]])
        event = possible[choice % len(possible)]
        states[number] = TRANSITIONS[states[number]][event]
        now += wait * MINUTE
        story.append(moment(event, now, alarm=number, late=late * MINUTE))
    end = (now // HOUR + 30) * HOUR + phase
    start = min(begin * HOUR + phase, end)
    hours = hourly(story, start, end, phase)
    whole = health(story, start, end)
    assert [hour.start for hour in hours] == list(range(start, end, HOUR))
    assert sum(hour.raised for hour in hours) == whole.raised == sum(sum(hour.mix.values()) for hour in hours)
    assert sum(hour.acknowledged for hour in hours) == whole.acknowledged
    assert sum(hour.floods for hour in hours) == len(whole.floods)
    assert sum(hour.in_floods for hour in hours) == sum(flood.count for flood in whole.floods)
    for hour in hours:
        then = health(story, hour.start, hour.start + HOUR)
        assert (hour.standing, hour.unseen) == (len(then.standing), then.unseen)
        assert (hour.seen_after, hour.seen_after_p90) == (then.seen_after, then.seen_after_p90)
