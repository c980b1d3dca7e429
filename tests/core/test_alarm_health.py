"""The figures of the alarm system, each from a story that can be counted by hand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import Event, Priority
from linli_core.alarm.health import FLOOD, Flood, Moment, Standing, health
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
