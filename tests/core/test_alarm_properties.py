"""What must hold whatever comes: delays, dead bands, restarts, ticks."""

from math import isfinite
from unittest.mock import patch

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import (
    Absence,
    AlarmChange,
    Category,
    Condition,
    Engine,
    Event,
    Limit,
    Memory,
    Priority,
    Rule,
    Series,
    State,
    SubjectKind,
)
from linli_core.alarm.absence import AbsenceWatch
from linli_core.alarm.watch import QUIET, LevelWatch
from linli_core.instant import SECOND, Instant
from linli_core.model import Quality

T0 = 1_800_000_000 * SECOND
SERIES = Series(gateway="gw", device="d", name="d/air_temperature", quantity="air_temperature")
ON, OFF = 5, 3
LIMIT = Limit(high=8.0, hysteresis=1.0, on_delay=ON * SECOND, off_delay=OFF * SECOND)
SILENCE = Absence(of=SubjectKind.POINT, after=4 * SECOND, intervals=2, until_known=9 * SECOND)

Step = tuple[int, float | None, Quality]
values = st.one_of(st.none(), st.sampled_from([6.9, 7.0, 7.1, 8.0, 8.1, 50.0]), st.floats(allow_nan=True))
steps = st.lists(st.tuples(st.integers(0, 8), values, st.sampled_from(Quality)), max_size=40)


def engine_of(*conditions: Condition) -> Engine:
    return Engine(
        Rule(
            id=f"test.rule-{number}",
            category=Category.FOOD,
            priority=Priority.LOW,
            condition=condition,
            quantity="air_temperature",
        )
        for number, condition in enumerate(conditions)
    )


def play(engine: Engine, history: list[Step], *, ticks: bool, end: Instant | None = None) -> list[AlarmChange]:
    now = T0
    changes: list[AlarmChange] = []
    for pause, value, quality in history:
        for _ in range(pause):
            now += SECOND
            if ticks:
                changes += engine.tick(now)
        changes += engine.observe(engine.bind(SERIES, T0), value, quality, now, now)
    return changes + engine.tick(end or now)


def usable(value: float | None, quality: Quality) -> bool:
    return value is not None and isfinite(value) and quality is not Quality.BAD


@given(steps)
def test_no_alarm_is_raised_within_the_on_delay(history: list[Step]) -> None:
    """The last usable value held from ``at - ON`` on, and every usable one since, was beyond the limit."""
    changes = play(engine_of(LIMIT), history, ticks=True)
    times: list[tuple[Instant, float]] = []
    now = T0
    for number, (pause, value, quality) in enumerate(history):
        now += pause * SECOND
        # Of several readings at one instant the first counts, whatever it was worth.
        if usable(value, quality) and value is not None and (pause or not number):
            times.append((now, value))
    for change in changes:
        if change.event is Event.RAISE:
            start = change.at - ON * SECOND
            assert any(at <= start for at, _ in times)
            assert all(value > 8.0 for at, value in times if start < at < change.at)
        elif change.event is Event.RETURN:
            start = change.at - OFF * SECOND
            assert all(value <= 7.0 for at, value in times if start < at < change.at)


@given(st.lists(st.tuples(st.integers(1, 8), st.floats(7.01, 7.99), st.just(Quality.GOOD)), max_size=40))
def test_the_dead_band_never_chatters(history: list[Step]) -> None:
    engine = engine_of(LIMIT)
    raised = play(engine, [(1, 9.0, Quality.GOOD), (ON, 9.0, Quality.GOOD)], ticks=True)
    assert [change.event for change in raised] == [Event.RAISE]
    bound = engine.bind(SERIES, T0)
    now = T0 + (ON + 1) * SECOND
    for pause, value, quality in history:
        now += pause * SECOND
        assert engine.observe(bound, value, quality, now, now) == []
        assert engine.tick(now) == []


@given(steps)
def test_whatever_happened_it_clears_after_the_return(history: list[Step]) -> None:
    engine = engine_of(LIMIT)
    play(engine, history, ticks=True)
    bound = engine.bind(SERIES, T0)
    now = T0 + sum(step[0] for step in history) * SECOND
    for _ in range(OFF + 2):
        now += SECOND
        engine.observe(bound, 4.0, Quality.GOOD, now, now)
    memory = engine.memory(("test.rule-0", "gw/d/air_temperature"))
    assert memory is not None
    assert not memory.raised
    assert memory.state in {State.NORMAL, State.RETURNED_UNACKNOWLEDGED}


@given(st.lists(st.tuples(st.integers(0, 8), values, st.just(Quality.BAD)), max_size=40))
def test_bad_readings_alone_never_raise_a_limit(history: list[Step]) -> None:
    assert play(engine_of(LIMIT), history, ticks=True) == []


@given(steps)
def test_ticks_decide_when_a_limit_is_learnt_never_what(history: list[Step]) -> None:
    end = T0 + 1000 * SECOND
    with_ticks = play(engine_of(LIMIT), history, ticks=True, end=end)
    without = play(engine_of(LIMIT), history, ticks=False, end=end)
    assert [(change.event, change.at, change.value) for change in with_ticks] == [
        (change.event, change.at, change.value) for change in without
    ]


@given(steps, st.integers(0, 40))
def test_a_restart_at_any_instant_changes_nothing(history: list[Step], cut: int) -> None:
    conditions = (LIMIT, SILENCE, Limit(low=7.0))
    whole = play(engine_of(*conditions), history, ticks=True)
    first = engine_of(*conditions)
    now = T0
    changes: list[AlarmChange] = []
    engine = first
    for number, (pause, value, quality) in enumerate(history):
        for _ in range(pause):
            now += SECOND
            changes += engine.tick(now)
        if number == cut:
            memories = msgspec.json.decode(msgspec.json.encode(engine.snapshot()), type=list[Memory])
            engine = engine_of(*conditions)
            assert engine.restore(memories) == []
        changes += engine.observe(engine.bind(SERIES, T0), value, quality, now, now)
    changes += engine.tick(now)
    # Two alarms that fall due in the same instant may come in either order.
    assert sorted(changes, key=_order) == sorted(whole, key=_order)


def _order(change: AlarmChange) -> tuple[Instant, str, Instant, str]:
    return change.learnt_at, change.rule, change.at, change.event


def episodes(changes: list[AlarmChange], *, by_learning: bool = False) -> list[tuple[Instant, Instant]]:
    """When alarms stood: by the readings, or by what was known."""
    found: list[tuple[Instant, Instant]] = []
    for change in changes:
        at = change.learnt_at if by_learning else change.at
        if change.event is Event.RAISE:
            found.append((at, T0 + 10_000 * SECOND))
        elif change.event is Event.RETURN:
            found[-1] = (found[-1][0], at)
    return found


def deliver(condition: Condition, readings: list[tuple[Instant, float, Instant]]) -> list[AlarmChange]:
    """Feed readings (when it was so, value, when it comes) in order of coming, then wait until all is learnt."""
    engine = engine_of(condition)
    bound = engine.bind(SERIES, T0)
    changes: list[AlarmChange] = []

    def tick(until: Instant) -> None:
        while (due := engine.next_due()) is not None and due <= until:
            changes.extend(engine.tick(due))

    for at, value, comes in sorted(readings, key=lambda it: it[2]):
        tick(comes)
        changes += engine.observe(bound, value, Quality.GOOD, at, comes)
    tick(T0 + 2_000 * SECOND)
    return changes


INSTANT = Limit(high=8.0)
timed = st.lists(
    st.tuples(st.integers(1, 8), st.sampled_from([4.0, 7.5, 9.0]), st.sampled_from([0, 0, 2, 9, 40])), max_size=30
)


@given(timed, st.sampled_from([LIMIT, INSTANT]))
def test_nothing_is_lost_because_it_came_late(history: list[tuple[int, float, int]], condition: Limit) -> None:
    """Each alarm that readings in order would have raised stands at that time, in whatever order they come.

    Or one stands while it is waited for more: somebody is told of that, and another of the same rule would say no more.
    """
    readings = []
    at = T0
    for pause, value, late in history:
        at += pause * SECOND
        readings.append((at, value, at + late * SECOND))
    changes = deliver(condition, readings)
    told, known = episodes(changes), episodes(changes, by_learning=True)
    for raised, returned in episodes(deliver(condition, [(at, value, at) for at, value, _ in readings])):
        came = [comes for at, _, comes in readings if raised - ON * SECOND <= at <= returned]
        assert any(begun - ON * SECOND <= returned and raised <= over for begun, over in told) or any(
            begun <= comes + QUIET and comes <= over for begun, over in known for comes in came
        ), changes


backlog = st.lists(st.tuples(st.integers(1, 8), st.sampled_from([4.0, 9.0])), max_size=12)


@given(backlog, backlog)
def test_a_backlog_tells_what_it_would_have_told_in_time(
    before: list[tuple[int, float]], outage: list[tuple[int, float]]
) -> None:
    """What was read while the line was down, delivered after it is back.

    Each alarm lies in one that readings in order would have raised, and none is lost.
    """
    readings = []
    at = T0
    for part, late in (([*before, (1, 4.0)], 0), (outage, 1), ([(1, 4.0), (OFF + 1, 4.0)], 0)):
        for number, (pause, value) in enumerate(part):
            at += pause * SECOND
            readings.append((at, value, T0 + 1_000 * SECOND + number if late else at))
    in_time = deliver(LIMIT, [(at, value, at) for at, value, _ in readings])
    told = deliver(LIMIT, readings)
    expected, found = episodes(in_time), episodes(told)
    # An alarm that late readings show not to have been over yet is raised again, as it was told to be over.
    assert all(any(raised <= it[0] <= returned for raised, returned in expected) for it in found), found
    assert all(any(it[0] <= returned and raised <= it[1] for it in found) for raised, returned in expected), found


@given(steps, st.lists(st.integers(0, 60), max_size=20))
def test_the_same_readings_again_change_nothing(history: list[Step], back: list[int]) -> None:
    engine = engine_of(LIMIT)
    whole = [(1, 4.0, Quality.GOOD), *[(max(pause, 1), value, quality) for pause, value, quality in history]]
    play(engine, whole, ticks=True)
    bound = engine.bind(SERIES, T0)
    now = T0 + sum(step[0] for step in whole) * SECOND
    times = [T0 + sum(step[0] for step in whole[: number + 1]) * SECOND for number in range(len(whole))]
    before = msgspec.json.encode(engine.snapshot())
    for place in back:
        number = place % len(whole)
        assert engine.observe(bound, *whole[number][1:], times[number], now) == []
    assert msgspec.json.encode(engine.snapshot()) == before


@given(steps, st.booleans(), st.sampled_from([SILENCE, Absence(of=SubjectKind.POINT, bad_counts=True, after=SECOND)]))
def test_the_quick_way_through_a_watch_changes_nothing(history: list[Step], ticks: bool, silence: Absence) -> None:
    quick, slow = engine_of(LIMIT, silence), engine_of(LIMIT, silence)
    with patch.object(LevelWatch, "calm", return_value=False), patch.object(AbsenceWatch, "calm", return_value=False):
        expected = play(slow, history, ticks=ticks)
    assert play(quick, history, ticks=ticks) == expected
    assert quick.snapshot() == slow.snapshot()
    assert (quick.evaluations, quick.out_of_order) == (slow.evaluations, slow.out_of_order)
    end = T0 + 1_000 * SECOND
    assert quick.tick(end) == slow.tick(end)
