"""Silences: which signs of life are taken quickly, one or many, and what is learnt of a subject's habit."""

from collections.abc import Sequence

import msgspec
import pytest
from tests.core.alarm_story import (
    BAD,
    GOOD,
    RAISE,
    RETURN,
    T0,
    At,
    Expect,
    H,
    M,
    S,
    Story,
    check,
    every,
    play,
    rule,
    series,
)

from linli_core.alarm import Engine, Memory, Rule
from linli_core.alarm.absence import AbsenceWatch
from linli_core.instant import Instant
from linli_core.model import Quality, Value

POINT = "room/air_temperature"
OWN = rule('kind = "absence", after = "1 min", intervals = 3, until_known = "30 min"')
ANY_SIGN = rule('kind = "absence", after = "1 min", intervals = 3, until_known = "30 min", bad_counts = true')
STEADY = rule('kind = "absence", after = "1 min", intervals = 20, until_known = "30 min"')
LONG = rule('kind = "absence", after = "1 min", intervals = 40, until_known = "30 min"')
SILENT = rule('kind = "absence", after = "10 min"')


class Subject:
    """An engine with one rule, told signs of life by the minute; it looks when it wants to."""

    def __init__(self, the_rule: Rule, *signs: Instant) -> None:
        self.engine = Engine([the_rule])
        self.bound = self.engine.bind(series(POINT), T0)
        self.watch: AbsenceWatch = self.bound.absences[0]
        self.memory: Memory = self.watch.memory
        for at in signs:
            self.engine.observe(self.bound, 4.0, GOOD, T0 + at, T0 + at)

    def calm(
        self, at: Instant, value: Value = 4.0, quality: Quality = GOOD, late: Instant = 0, deaf: Instant = 0
    ) -> bool:
        return self.watch.calm(value, quality, T0 + at, T0 + at + late, T0 + deaf)

    def hear(self, times: Sequence[Instant], now: Instant, *, came_in_time: bool = True) -> bool:
        return self.engine.hear(self.watch, [T0 + at for at in times], T0 + now, came_in_time=came_in_time)

    @property
    def known(self) -> bytes:
        return msgspec.json.encode(self.memory)

    def learnt(self) -> tuple[Instant | None, Instant | None]:
        last = self.memory.last_at
        return None if last is None else last - T0, self.memory.interval


@pytest.mark.parametrize(
    ("at", "interval"), [(15 * M, 5 * M), (12 * M, 5 * M - 6 * S), (10 * M + 1, 5 * M), (10 * M + 20 * S, 5 * M - S)]
)
def test_a_sign_that_only_puts_the_look_off_is_taken_quickly(at: Instant, interval: Instant) -> None:
    """It comes to what it does one by one."""
    quick, slow, many = (Subject(OWN, 0, 5 * M, 10 * M) for _ in range(3))
    assert quick.calm(at)
    assert slow.watch.observe(4.0, GOOD, T0 + at, T0 + at, [])
    assert many.hear([10 * M, at], at)
    assert quick.learnt() == slow.learnt() == many.learnt() == (at, interval)


@pytest.mark.parametrize("at", [5 * M, 10 * M, 15 * M + 1, 20 * M])
def test_a_longer_gap_than_any_and_what_is_not_new_are_left(at: Instant) -> None:
    subject = Subject(OWN, 0, 5 * M, 10 * M)
    known = subject.known
    assert not subject.calm(at)
    assert subject.known == known


def test_a_sign_before_its_time_is_left() -> None:
    subject = Subject(OWN, 0, 5 * M, 10 * M)
    assert not subject.calm(12 * M, late=-1)
    assert subject.calm(12 * M)


@pytest.mark.parametrize("signs", [[], [0], [0, 5 * M]])
def test_nothing_is_taken_quickly_before_the_interval_is_known(signs: list[Instant]) -> None:
    subject = Subject(OWN, *signs)
    known = subject.known
    assert not subject.calm(6 * M)
    assert not subject.hear([6 * M], 6 * M)
    assert subject.known == known


def test_what_cannot_be_used_is_left_unless_it_counts() -> None:
    for value, quality in ((None, GOOD), (4.0, BAD)):
        subject, counting = Subject(OWN, 0, 5 * M, 10 * M), Subject(ANY_SIGN, 0, 5 * M, 10 * M)
        assert not subject.calm(12 * M, value, quality)
        assert counting.calm(12 * M, value, quality)


def test_a_look_that_must_come_earlier_than_planned_is_planned() -> None:
    """Of twenty intervals a short gap takes off as long as it puts off, of forty twice as long."""
    steady, long = Subject(STEADY, 0, 5 * M, 10 * M), Subject(LONG, 0, 5 * M, 10 * M)
    for subject in (steady, long):
        # Of the time before anything was known another look is planned; it finds out.
        subject.engine.tick(T0 + 30 * M)
    assert steady.watch.queued_at == T0 + 110 * M
    assert steady.calm(11 * M)
    assert steady.hear([12 * M], 40 * M)
    known = long.known
    assert not long.calm(11 * M)
    assert not long.hear([11 * M], 40 * M)
    assert long.known == known
    # Whoever was deaf until later counts from then.
    assert long.calm(11 * M, deaf=12 * M)


def test_whoever_was_deaf_hears_many_signs_from_then_on() -> None:
    subject = Subject(LONG, 0, 5 * M, 10 * M)
    subject.engine.tick(T0 + 30 * M)
    subject.engine.resume(T0 + 15 * M)
    assert subject.hear([11 * M, 12 * M], 40 * M)


@pytest.mark.parametrize(
    ("times", "now", "is_taken"),
    [
        ([10 * M, 15 * M], 15 * M, True),
        ([12 * M, 12 * M, 15 * M], 15 * M, True),
        ([10 * M - S, 15 * M], 15 * M, False),
        ([12 * M, 11 * M], 15 * M, False),
        ([10 * M, 15 * M], 15 * M - S, False),
        ([12 * M, 17 * M + S], 20 * M, False),
    ],
)
def test_which_signs_are_taken_at_once(times: list[Instant], now: Instant, is_taken: bool) -> None:
    subject = Subject(OWN, 0, 5 * M, 10 * M)
    known, judged = subject.known, subject.engine.evaluations
    assert subject.hear(times, now) is is_taken
    assert (subject.known != known) is is_taken
    assert subject.engine.evaluations - judged == (len(times) if is_taken else 0)


def test_a_gap_that_the_rule_calls_a_silence_is_not_taken_at_once() -> None:
    """Though the subject says that it is its interval."""
    subject = Subject(SILENT, 0)
    subject.watch.meet(msgspec.structs.replace(series(POINT), interval=20 * M), T0)
    known = subject.known
    assert not subject.hear([10 * M + S], 30 * M)
    assert subject.known == known
    assert subject.hear([10 * M], 30 * M)


def test_a_backlog_is_history_and_no_sign_of_now() -> None:
    subject = Subject(SILENT, 0)
    assert [it.event for it in subject.engine.tick(T0 + 10 * M)] == [RAISE]
    # Each came when it was made: the alarm is over with the first.
    assert not subject.hear([11 * M, 12 * M], 40 * M)
    assert not subject.hear([11 * M, 30 * M + 1], 40 * M, came_in_time=False)
    assert subject.learnt() == (0, None)
    assert subject.hear([11 * M, 30 * M], 40 * M, came_in_time=False)
    assert subject.learnt() == (30 * M, None)
    assert subject.memory.raised


def test_a_second_point_of_a_poll_is_in_order_and_says_nothing_new() -> None:
    subject = Subject(OWN, 0, 5 * M)
    known = subject.known
    assert subject.watch.observe(4.0, GOOD, T0 + 5 * M, T0 + 5 * M, [])
    assert subject.known == known
    assert not subject.watch.observe(4.0, GOOD, T0 + 5 * M - 1, T0 + 5 * M, [])
    assert subject.known == known


def test_a_gap_as_long_as_is_allowed_is_a_habit_and_a_longer_one_is_none() -> None:
    habit, outage = Subject(OWN, 0, 30 * M), Subject(OWN, 0, 30 * M + 1)
    assert (habit.memory.interval, habit.memory.gaps) == (30 * M, 1)
    assert (outage.memory.interval, outage.memory.gaps) == (None, 0)


def test_of_a_device_that_says_its_interval_nothing_is_to_be_learnt() -> None:
    engine = Engine([OWN])
    declared = msgspec.structs.replace(series(POINT), interval=2 * M)
    engine.bind(declared, T0)
    assert [it.at - T0 for it in engine.tick(T0 + H)] == [6 * M]


LONE: dict[str, Story] = {
    "single signs, always half an hour too late for the rule": (
        OWN,
        every(H, 0, 6 * H, 4.0),
        9 * H,
        [
            Expect(RAISE, 30 * M, 30 * M),
            Expect(RETURN, H, H),
            Expect(RAISE, 90 * M, 90 * M),
            Expect(RETURN, 2 * H, 2 * H),
            Expect(RAISE, 8 * H, 8 * H),
        ],
    ),
    "heard for as long as it is silent": (
        OWN,
        [*every(10 * M, 0, H, 4.0), *every(10 * M, 2 * H, 3 * H + M, 4.0), At(4 * H, 4.0)],
        5 * H,
        [
            Expect(RAISE, 80 * M, 80 * M),
            Expect(RETURN, 2 * H, 2 * H),
            Expect(RAISE, 3 * H + 30 * M, 3 * H + 30 * M),
            Expect(RETURN, 4 * H, 4 * H),
            Expect(RAISE, 4 * H + 30 * M, 4 * H + 30 * M),
        ],
    ),
    "heard for a little less": (
        OWN,
        [*every(10 * M, 0, H, 4.0), *every(10 * M, 2 * H, 3 * H + M, 4.0), At(4 * H + S, 4.0)],
        8 * H,
        [
            Expect(RAISE, 80 * M, 80 * M),
            Expect(RETURN, 2 * H, 2 * H),
            Expect(RAISE, 3 * H + 30 * M, 3 * H + 30 * M),
            Expect(RETURN, 4 * H + S, 4 * H + S),
            Expect(RAISE, 7 * H + 4 * S, 7 * H + 4 * S),
        ],
    ),
}


@pytest.mark.parametrize("name", LONE)
def test_a_habit(name: str) -> None:
    the_rule, readings, until, expected = LONE[name]
    check(play(the_rule, readings, until), expected)
    check(play(the_rule, readings, until, restart=range(7 * M, until, 20 * M)), expected)
