"""The engine, told as timelines: what is observed at which second, and what must be heard in which span."""

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from linli_core.alarm import (
    Absence,
    AlarmChange,
    Category,
    Condition,
    Engine,
    Event,
    Limit,
    Note,
    Priority,
    Rule,
    Series,
    State,
    StateIs,
    SubjectKind,
)
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.model import Quality, Value

T0 = 1_800_000_000 * SECOND
ROOM = Series(gateway="gw-1", device="cold-room-1", name="cold-room-1/air_temperature", quantity="air_temperature")
DOOR = Series(gateway="gw-1", device="cold-room-1", name="cold-room-1/door_open", quantity="door_open")


@dataclass(frozen=True)
class At:
    """A reading, ``seconds`` after the start; ``late`` seconds later it is received."""

    seconds: float
    value: Value
    quality: Quality = Quality.GOOD
    late: float = 0.0
    series: Series = ROOM


@dataclass(frozen=True)
class Between:
    start: float
    end: float


@dataclass(frozen=True)
class Expect:
    """A change whose event time is in a span and whose learning is not before it."""

    when: Between
    event: Event | Note
    after: State


def instant(seconds: float) -> Instant:
    return T0 + round(seconds * SECOND)


def rule(condition: Condition, quantity: str = "air_temperature", *, latched: bool = False) -> Rule:
    return Rule(
        id="test.rule",
        category=Category.FOOD,
        priority=Priority.HIGH,
        condition=condition,
        quantity=quantity,
        latched=latched,
    )


def play(engine: Engine, readings: Iterable[At], until: float, step: float = 1.0) -> list[AlarmChange]:
    """Deliver readings in order of receipt, with a tick every ``step`` seconds."""
    bound = {series.name: engine.bind(series, T0) for series in (ROOM, DOOR)}
    arrivals = sorted(readings, key=lambda reading: reading.seconds + reading.late)
    changes: list[AlarmChange] = []
    second = 0.0
    while second <= until:
        while arrivals and arrivals[0].seconds + arrivals[0].late <= second:
            it = arrivals.pop(0)
            now = instant(it.seconds + it.late)
            changes += engine.observe(bound[it.series.name], it.value, it.quality, instant(it.seconds), now)
        changes += engine.tick(instant(second))
        second += step
    return changes


def check(changes: list[AlarmChange], *expected: Expect) -> None:
    assert [(change.event, change.after) for change in changes] == [(want.event, want.after) for want in expected]
    for change, want in zip(changes, expected, strict=True):
        assert instant(want.when.start) <= change.at <= instant(want.when.end)
        assert change.learnt_at >= change.at


WARM = Limit(high=8.0, hysteresis=1.0, on_delay=5 * SECOND, off_delay=3 * SECOND)
UNACK, BACK = State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED
BAD = Quality.BAD

LIMIT_TIMELINES = {
    "above for the whole delay raises": (
        [At(0, 4.0), At(10, 9.0), At(12, 9.5), At(20, 9.0)],
        [Expect(Between(15, 15), Event.RAISE, UNACK)],
    ),
    "above for less than the delay is nothing": ([At(0, 4.0), At(10, 9.0), At(14, 7.9), At(30, 7.0)], []),
    "a dip below the limit starts the delay anew": (
        [At(10, 9.0), At(14, 7.9), At(15, 9.0), At(19, 9.0), At(30, 9.0)],
        [Expect(Between(20, 20), Event.RAISE, UNACK)],
    ),
    "exactly at the limit is not beyond it": ([At(0, 8.0), At(30, 8.0)], []),
    "the last value holds where no other comes": ([At(10, 9.0)], [Expect(Between(15, 15), Event.RAISE, UNACK)]),
    "the dead band does not return": (
        [At(0, 9.0), At(10, 7.5), At(20, 7.1), At(30, 7.9)],
        [Expect(Between(5, 5), Event.RAISE, UNACK)],
    ),
    "back for the whole off-delay returns": (
        [At(0, 9.0), At(10, 7.0), At(12, 6.5), At(20, 6.0)],
        [Expect(Between(5, 5), Event.RAISE, UNACK), Expect(Between(13, 13), Event.RETURN, BACK)],
    ),
    "back for a moment only does not return": (
        [At(0, 9.0), At(10, 7.0), At(12, 7.5), At(14, 9.0), At(30, 9.0)],
        [Expect(Between(5, 5), Event.RAISE, UNACK)],
    ),
    "raised again before anybody saw it": (
        [At(0, 9.0), At(10, 6.0), At(20, 9.0), At(30, 9.0)],
        [
            Expect(Between(5, 5), Event.RAISE, UNACK),
            Expect(Between(13, 13), Event.RETURN, BACK),
            Expect(Between(25, 25), Event.RAISE, UNACK),
        ],
    ),
    "bad readings raise nothing": ([At(s, 99.0, BAD) for s in range(30)], []),
    "missing readings raise nothing": ([At(s, None, BAD) for s in range(30)], []),
    "a bad reading stops the clock": ([At(0, 9.0), At(2, None, BAD)], []),
    "a bad reading does not end an excursion": (
        [At(0, 9.0), At(2, None, BAD), At(20, 9.0)],
        [Expect(Between(5, 5), Event.RAISE, UNACK)],
    ),
    "bad readings do not clear": (
        [At(0, 9.0), At(10, 2.0, BAD), At(11, None, BAD), At(30, None, BAD)],
        [Expect(Between(5, 5), Event.RAISE, UNACK)],
    ),
    "uncertain readings count": (
        [At(0, 9.0, Quality.UNCERTAIN), At(6, 9.0, Quality.UNCERTAIN)],
        [Expect(Between(5, 5), Event.RAISE, UNACK)],
    ),
    "not a number counts as bad": ([At(0, float("nan")), At(30, float("nan"))], []),
    "text where a number is due counts as bad": ([At(0, "warm"), At(30, "warm")], []),
    "an older reading disproves and takes nothing back": (
        [At(0, 9.0), At(4, 4.0, late=10), At(10, 9.0), At(3, 4.0, late=12)],
        [Expect(Between(5, 5), Event.RAISE, UNACK), Expect(Between(4, 4), Note.DISPROVE, UNACK)],
    ),
    "an older reading that says the same, or is of another time, changes nothing": (
        [At(0, 9.0), At(4, 9.5, late=10), At(10, 9.0), At(6, 4.0, late=10), At(4.5, None, late=10)],
        [Expect(Between(5, 5), Event.RAISE, UNACK)],
    ),
    "a doubled reading changes nothing": (
        [At(0, 9.0), At(0, 9.0), At(0, 2.0, late=1), At(10, 9.0)],
        [Expect(Between(5, 5), Event.RAISE, UNACK)],
    ),
    "a reading from the far future moves nothing": ([At(DAY / SECOND, 99.0, late=-DAY / SECOND + 1), At(2, 4.0)], []),
}


@pytest.mark.parametrize("name", LIMIT_TIMELINES)
def test_a_limit(name: str) -> None:
    readings, expected = LIMIT_TIMELINES[name]
    check(play(Engine([rule(WARM)]), readings, until=60), *expected)


def test_without_delays_the_reading_itself_raises_and_returns() -> None:
    changes = play(Engine([rule(Limit(high=8.0))]), [At(1, 9.0), At(2, 8.0)], until=5)
    check(changes, Expect(Between(1, 1), Event.RAISE, UNACK), Expect(Between(2, 2), Event.RETURN, BACK))
    assert changes[0].value == 9.0


def test_a_low_limit_mirrors_a_high_one() -> None:
    low = Limit(low=198.0, hysteresis=2.0, on_delay=5 * SECOND)
    readings = [At(0, 197.0), At(10, 199.0), At(20, 200.0)]
    check(
        play(Engine([rule(low)]), readings, until=30),
        Expect(Between(5, 5), Event.RAISE, UNACK),
        Expect(Between(20, 20), Event.RETURN, BACK),
    )


def test_late_readings_are_judged_by_their_own_time_and_learnt_later() -> None:
    late = 3 * HOUR / SECOND
    readings = [At(0, 9.0, late=late), At(10, 9.0, late=late), At(20, 6.0, late=late), At(30, 6.0, late=late)]
    changes = play(Engine([rule(WARM)]), readings, until=late + 60, step=30)
    check(changes, Expect(Between(5, 5), Event.RAISE, UNACK), Expect(Between(23, 23), Event.RETURN, BACK))
    assert changes[0].learnt_at - changes[0].at >= 2 * HOUR


def test_a_backlog_being_delivered_raises_nothing_its_next_reading_denies() -> None:
    engine = Engine([rule(WARM)])
    bound = engine.bind(ROOM, T0)
    now = instant(3 * 3600)
    assert engine.observe(bound, 9.0, Quality.GOOD, instant(0), now) == []
    assert engine.tick(now + SECOND) == []
    assert engine.observe(bound, 5.0, Quality.GOOD, instant(4), now + 2 * SECOND) == []
    assert engine.tick(now + HOUR) == []


def test_a_door_left_open_is_raised_by_the_clock_alone() -> None:
    open_long = StateIs((True,), on_delay=5 * MINUTE)
    for value in (True, 1.0, 1):
        changes = play(
            Engine([rule(open_long, "door_open")]),
            [At(0, False, series=DOOR), At(60, value, series=DOOR), At(600, False, series=DOOR)],
            until=700,
        )
        check(changes, Expect(Between(360, 360), Event.RAISE, UNACK), Expect(Between(600, 600), Event.RETURN, BACK))
        assert changes[0].learnt_at == instant(360)


def test_acknowledged_then_returned_is_normal() -> None:
    engine = Engine([rule(WARM)])
    changes = play(engine, [At(0, 9.0)], until=10)
    key = (changes[0].rule, changes[0].subject)
    seen = engine.acknowledge(key, instant(11), actor="li", comment="door shut")
    assert seen is not None
    assert (seen.before, seen.after, seen.actor, seen.comment) == (UNACK, State.ACKNOWLEDGED, "li", "door shut")
    assert engine.acknowledge(key, instant(12), actor="li") is None
    bound = engine.bind(ROOM, T0)
    engine.observe(bound, 5.0, Quality.GOOD, instant(13), instant(13))
    check(engine.tick(instant(20)), Expect(Between(16, 16), Event.RETURN, State.NORMAL))


def test_a_latched_alarm_waits_for_a_person() -> None:
    engine = Engine([rule(Limit(high=8.0), latched=True)])
    changes = play(engine, [At(0, 9.0), At(1, 5.0)], until=10)
    key = (changes[0].rule, changes[0].subject)
    check(
        changes,
        Expect(Between(0, 0), Event.RAISE, UNACK),
        Expect(Between(1, 1), Event.RETURN_LATCHED, State.LATCHED_UNACKNOWLEDGED),
    )
    assert engine.reset(key, instant(11), actor="li") is None
    acknowledged = engine.acknowledge(key, instant(12), actor="li")
    assert acknowledged is not None
    assert acknowledged.after is State.LATCHED_ACKNOWLEDGED
    reset = engine.reset(key, instant(13), actor="li")
    assert reset is not None
    assert reset.after is State.NORMAL


def test_nobody_acknowledges_what_is_not_there() -> None:
    engine = Engine([rule(WARM)])
    assert engine.acknowledge(("test.rule", "gw-9/none/none"), T0, actor="li") is None
    assert engine.memory(("test.rule", "gw-9/none/none")) is None


SILENT = Absence(of=SubjectKind.DEVICE, after=30 * SECOND)


def test_a_silent_device_is_raised_once_and_returns_with_its_next_good_reading() -> None:
    readings = [At(0, 4.0), At(5, False, series=DOOR), At(20, None, BAD), At(30, None, BAD), At(90, 4.0)]
    check(
        play(Engine([rule(SILENT, "")]), readings, until=100),
        Expect(Between(35, 35), Event.RAISE, UNACK),
        Expect(Between(90, 90), Event.RETURN, BACK),
    )


def test_a_device_that_was_never_heard_is_silent_from_the_moment_it_is_known() -> None:
    check(play(Engine([rule(SILENT, "")]), [], until=60), Expect(Between(30, 30), Event.RAISE, UNACK))


def test_a_bad_reading_is_a_sign_of_life_of_the_gateway() -> None:
    gateway = Absence(of=SubjectKind.GATEWAY, after=30 * SECOND, bad_counts=True)
    readings = [At(second, None, BAD) for second in range(0, 100, 10)]
    check(play(Engine([rule(gateway, "")]), readings, until=100))


def test_old_readings_of_a_backlog_do_not_end_a_silence() -> None:
    readings = [At(0, 4.0), At(10, 4.0, late=80), At(11, 4.0, late=80), At(95, 4.0)]
    check(
        play(Engine([rule(SILENT, "")]), readings, until=100),
        Expect(Between(30, 30), Event.RAISE, UNACK),
        Expect(Between(95, 95), Event.RETURN, BACK),
    )


def test_silence_is_measured_by_the_learnt_interval() -> None:
    own = Absence(of=SubjectKind.POINT, after=10 * SECOND, intervals=3, until_known=HOUR)
    quarter = 15 * 60
    readings = [At(n * quarter, 4.0) for n in range(4)]
    check(
        play(Engine([rule(own)]), readings, until=10 * quarter, step=60),
        Expect(Between(6 * quarter, 6 * quarter), Event.RAISE, UNACK),
    )


def test_silence_is_measured_by_a_declared_interval_from_the_start() -> None:
    own = Absence(of=SubjectKind.POINT, after=SECOND, intervals=3)
    engine = Engine([rule(own)])
    engine.bind(Series("gw-1", "d", "d/air_temperature", "air_temperature", interval=10 * SECOND), T0)
    assert engine.tick(instant(29)) == []
    check(engine.tick(instant(30)), Expect(Between(30, 30), Event.RAISE, UNACK))


def test_an_outage_is_not_learnt_as_a_habit() -> None:
    own = Absence(of=SubjectKind.POINT, after=10 * SECOND, intervals=3, until_known=HOUR)
    readings = [At(s, 4.0) for s in (0, 10, 20, 500, 510, 520)]
    check(
        play(Engine([rule(own)]), readings, until=600),
        Expect(Between(50, 50), Event.RAISE, UNACK),
        Expect(Between(500, 500), Event.RETURN, BACK),
        Expect(Between(550, 550), Event.RAISE, UNACK),
    )


def test_while_the_engine_was_deaf_nobody_was_silent() -> None:
    first = Engine([rule(SILENT, "")])
    first.observe(first.bind(ROOM, T0), 4.0, Quality.GOOD, T0, T0)
    second = Engine([rule(SILENT, "")])
    second.restore(first.snapshot())
    second.resume(instant(7200))
    assert second.tick(instant(7229)) == []
    check(second.tick(instant(7230)), Expect(Between(7230, 7230), Event.RAISE, UNACK))


def test_memories_of_rules_no_longer_in_force_are_returned() -> None:
    first = Engine([rule(WARM)])
    play(first, [At(0, 9.0)], until=10)
    orphans = Engine([]).restore(first.snapshot())
    assert [(memory.rule, memory.state) for memory in orphans] == [("test.rule", UNACK)]


def test_out_of_order_readings_are_counted() -> None:
    engine = Engine([rule(WARM)])
    # Closely before others that were in time: nothing can have lasted there. The first may end a silence.
    play(engine, [At(5, 4.0), At(9, 4.0), At(7, 4.0, late=10), At(3, 4.0, late=20), At(5, 4.0, late=20)], until=40)
    assert (engine.evaluations, engine.out_of_order) == (5, 2)


def test_a_series_no_rule_watches_costs_nothing() -> None:
    engine = Engine([rule(WARM)])
    assert engine.observe(engine.bind(DOOR, T0), True, Quality.GOOD, T0, T0) == []
    assert (engine.evaluations, engine.next_due()) == (0, None)


def test_devices_that_report_in_turn_and_then_rest_are_no_outage_each_time() -> None:
    own = Absence(of=SubjectKind.GATEWAY, after=MINUTE, intervals=3, until_known=HOUR)
    # Three readings within half a minute, then half an hour of nothing, twelve times.
    readings = [At(start + s, 4.0) for start in range(0, 12 * 1800, 1800) for s in (0, 13, 30)]
    found = [it.event for it in play(Engine([rule(own)]), readings, until=12 * 1800)]
    # It is told what it is by its second rest, and a rest is an alarm no more.
    assert found == [Event.RAISE, Event.RETURN, Event.RAISE, Event.RETURN]


def test_what_was_learnt_is_forgotten_with_time_and_not_with_the_number_of_readings() -> None:
    own = Absence(of=SubjectKind.GATEWAY, after=MINUTE, intervals=3, until_known=HOUR)
    # Forty devices within ten seconds, each quarter of an hour.
    readings = [At(0, 4.0), At(900, 4.0), At(1800, 4.0)]
    readings += [At(start + s / 4, 4.0) for start in range(2700, 20 * 900, 900) for s in range(40)]
    assert play(Engine([rule(own)]), readings, until=20 * 900) == []
