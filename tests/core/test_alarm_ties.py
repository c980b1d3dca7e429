"""Stories of ties and bounds: at the same instant, exactly as long, exactly as much; and how much is remembered."""

import msgspec
import pytest
from tests.core.alarm_story import (
    DISPROVE,
    DOOR,
    GOOD,
    MOTION,
    RAISE,
    RETURN,
    T0,
    At,
    D,
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
from tests.core.test_alarm_edges_of_events import HOURLY, L1, L2, L3, LOSS, SLOTS
from tests.core.test_alarm_stories import MKT, THEN, WITHOUT, meter, water, weeks

from linli_core.alarm import Category, Condition, Engine, Memory, Priority, Rule, SubjectKind
from linli_core.alarm.conditions import Absence, Limit
from linli_core.alarm.memory import Point

UNANSWERED = rule(
    'kind = "pattern", form = "without", within = "5 min", '
    'a = { values = [1], points = ["*/door_open"] }, b = { values = [1], points = ["*/motion"] }'
)
HIGH_L3 = 'when = "abs(l1 - l2) > 5 or l3 > 9", points = { l1 = "voltage.l1", l2 = "voltage.l2", l3 = "voltage.l3" }'
AT_NIGHT = rule(f'kind = "expression", fresh = "2 d", {HIGH_L3}', 'schedule = { hours = ["22:00-06:00"] }')
LASTING = rule(f'kind = "expression", fresh = "10 min", on_delay = "15 min", {HIGH_L3}')
BELOW_ZERO = rule('kind = "integral", below = 0.0, high = 1.0, over = "4 h"')
THREE_WEEKS = rule('kind = "baseline", deviations = 3, least = 2, weeks = 3')
ODD = rule('kind = "baseline", deviations = 3, least = 2, weeks = 2')
ODD_AT_ALL = rule('kind = "baseline", deviations = 3, least = 0, weeks = 2')
TWO_NIGHTS = rule(
    'kind = "night_flow", high = 0.1, hysteresis = 0.02, cumulative = true, slot = "30 min", '
    'begins = "01:00", ends = "05:00", nights = 2'
)


def event(at: int, point: str, late: int = 0) -> list[At]:
    """A point that comes to 1."""
    return [At(0, 0, point), At(at, 1, point, late=late)]


TIES: dict[str, Story] = {
    "then: a moment after is after": (
        THEN,
        [*event(M, DOOR), *event(M + 1, MOTION)],
        H,
        [Expect(RAISE, M + 1, M + 1), Expect(RETURN, 3 * M + 1, 3 * M + 1)],
    ),
    "then: at the same time is not after, whichever comes first": (THEN, [*event(M, MOTION), *event(M, DOOR)], H, []),
    "then: the first comes after the second, which was exactly at the end of the while": (
        THEN,
        [*event(M, DOOR, late=5 * M + 30 * S), *event(6 * M, MOTION)],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(RETURN, 8 * M, 8 * M)],
    ),
    "then: or a second later": (THEN, [*event(M, DOOR, late=5 * M + 30 * S), *event(6 * M + S, MOTION)], H, []),
    "without: answered in the same moment": (UNANSWERED, [*event(M, DOOR), *event(M, MOTION)], H, []),
    "without: answered in the same moment, and the answer comes first": (
        UNANSWERED,
        [*event(3 * M, MOTION), *event(3 * M, DOOR, late=M)],
        H,
        [],
    ),
    "without: answered at the last moment, and the answer comes first": (
        UNANSWERED,
        [*event(8 * M, MOTION), *event(3 * M, DOOR, late=6 * M)],
        H,
        [],
    ),
    "without: the answer of the same moment comes when it was told": (
        UNANSWERED,
        [*event(M, DOOR), *event(M, MOTION, late=15 * M)],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(DISPROVE, M, M), Expect(RETURN, 6 * M, 6 * M)],
    ),
    "without: what is asked again while it stands is answered with it": (
        WITHOUT,
        [At(0, 0, DOOR), *[At((1 + 3 * it) * M, 1 + it % 2, DOOR) for it in range(5)], At(20 * M, 0, DOOR)],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(RETURN, 20 * M, 20 * M)],
    ),
    "expression: what was true before the hours of a rule is told when they begin": (
        AT_NIGHT,
        [At(13 * H, 230.0, L1), At(13 * H, 230.0, L2), At(13 * H, 10.0, L3)],
        23 * H,
        [Expect(RAISE, 14 * H, 14 * H), Expect(RETURN, 22 * H, 22 * H)],
    ),
    "expression: what is too old to count does not last": (
        LASTING,
        [At(0, 230.0, L1), At(0, 220.0, L2), At(0, 1.0, L3)],
        H,
        [],
    ),
    "expression: what is said again lasts": (
        LASTING,
        [it for at in (0, 8 * M) for it in (At(at, 230.0, L1), At(at, 220.0, L2), At(at, 1.0, L3))],
        H,
        [Expect(RAISE, 15 * M, 15 * M)],
    ),
    "balance: what was read once is not read anew by another pace": (
        LOSS,
        [
            *[
                At(at, at / H * 8 if at <= 90 * M else 12 + 16 * (at - 90 * M) / H, "bulk/volume")
                for at in (0, 90 * M, 150 * M)
            ],
            *[
                At(at, at / H * 8 if at <= H else 8 + 9.6 * (at - H) / H, "flat-1/volume")
                for at in range(0, 160 * M, 10 * M)
            ],
        ],
        160 * M,
        [],
    ),
    "balance: a meter is waited for exactly as long as is said": (
        LOSS,
        [
            *meter("bulk/volume", 0, 6 * H, 16.0),
            *meter("flat-1/volume", 0, 110 * M + 1, 16.0),
            At(5 * H + 5 * M, 16.0 * 11 / 6 + 4.0, "flat-1/volume"),
        ],
        5 * H + 30 * M,
        [Expect(RAISE, 4 * H, 4 * H, retrospective=True)],
    ),
    "balance: a meter that was taken out is waited for thirty days": (
        LOSS,
        [
            *meter("bulk/volume", 0, 31 * D, 16.0, H),
            *meter("flat-1/volume", 0, 31 * D, 8.0, H),
            *meter("flat-2/volume", 0, 2 * H + 1, 8.0, H),
        ],
        31 * D,
        [Expect(RAISE, 30 * D + 3 * H, 30 * D + 3 * H, retrospective=True)],
    ),
    "integral: below zero": (
        BELOW_ZERO,
        [*every(5 * M, 0, 4 * H, 0.5), *every(5 * M, 4 * H, 6 * H, -1.0)],
        6 * H,
        [Expect(RAISE, 5 * H + 4 * M, 5 * H + 4 * M)],
    ),
    "mkt: absolute zero is no heat at all": (MKT, every(10 * M, 0, 4 * H, -273.15), 4 * H, []),
    "baseline: of three weeks two must be known": (THREE_WEEKS, weeks(2, 40.0), 14 * D, []),
    "baseline: of a counter that stood still for weeks": (
        HOURLY,
        [At(at, 5.0 if at >= 20 * D + 11 * H else 0.0, "flat/volume") for at in range(0, 21 * D, 15 * M)],
        21 * D,
        [Expect(RAISE, 20 * D + 11 * H, 20 * D + 11 * H), Expect(RETURN, 20 * D + 12 * H, 20 * D + 12 * H)],
    ),
    "baseline: exactly the least away": (
        ODD,
        [At(at, 6.0 if 20 * D + 10 * H <= at < 20 * D + 11 * H else 4.0) for at in range(0, 21 * D, 15 * M)],
        21 * D,
        [Expect(RAISE, 20 * D + 11 * H, 20 * D + 11 * H), Expect(RETURN, 20 * D + 12 * H, 20 * D + 12 * H)],
    ),
    "baseline: what is always the same is never odd": (ODD_AT_ALL, every(15 * M, 0, 21 * D, 4.0), 21 * D, []),
    "night: two nights in a row, and a quiet one between": (
        TWO_NIGHTS,
        water([0.2, 0.0, 0.2, 0.2, 0.0]),
        5 * D,
        [Expect(RAISE, 3 * D + 21 * H, 3 * D + 21 * H), Expect(RETURN, 4 * D + 21 * H, 4 * D + 21 * H)],
    ),
    "night: half of it is enough to know": (
        SLOTS,
        [it for it in water([0.2]) if not 17 * H + M < it.at < 19 * H],
        D,
        [Expect(RAISE, 21 * H, 21 * H)],
    ),
    "night: less than half of it is not": (
        SLOTS,
        [it for it in water([0.2]) if not 17 * H + M < it.at < 19 * H + 30 * M],
        D,
        [],
    ),
}


@pytest.mark.parametrize("name", TIES)
def test_a_tie(name: str) -> None:
    the_rule, readings, until, expected = TIES[name]
    check(play(the_rule, readings, until), expected)


def only(engine: Engine) -> Memory:
    (memory,) = engine.snapshot()
    return memory


def test_of_a_pattern_so_many_points_are_remembered_and_no_more() -> None:
    """What is said of another brings no event."""
    often = rule('kind = "pattern", form = "count", a = { values = [1] }, count = 1, within = "5 min", of = "gateway"')
    engine = Engine([often])
    bound = [engine.bind(series(f"door-{number}/door_open"), T0) for number in range(258)]
    for it in bound:
        assert engine.observe(it, 0, GOOD, T0, T0) == []
    kept = only(engine).kept
    assert kept is not None
    assert len(kept.points) == 256
    assert engine.observe(bound[256], 1, GOOD, T0 + M, T0 + M) == []
    assert [it.event for it in engine.observe(bound[255], 1, GOOD, T0 + M, T0 + M)] == [RAISE]


def test_of_a_pattern_so_many_events_are_remembered_and_no_more() -> None:
    engine = Engine([THEN])
    bound = engine.bind(series(DOOR), T0)
    for number in range(40):
        for off, value in ((0, 0), (30 * S, 1)):
            engine.observe(bound, value, GOOD, T0 + number * M + off, T0 + number * M + off)
    kept = only(engine).kept
    assert kept is not None
    assert [(at - T0) // M for at in kept.times["a"]] == list(range(8, 40))


def test_of_a_balance_so_many_meters_are_remembered_and_no_more() -> None:
    engine = Engine([LOSS])
    first = engine.bind(series("flat-0/volume"), T0)
    engine.observe(first, 0.0, GOOD, T0, T0)
    kept = only(engine).kept
    assert kept is not None
    kept.points |= {f"sub:{number}": Point(T0, 0.0) for number in range(4998)}
    last, none = (engine.bind(series(f"flat-{number}/volume"), T0) for number in (1, 2))
    for it in (last, none):
        engine.observe(it, 0.0, GOOD, T0, T0)
    assert len(kept.points) == 5000
    assert engine.out_of_order == 1
    engine.observe(first, 1.0, GOOD, T0 + M, T0 + M)
    assert engine.out_of_order == 1


def test_of_a_meter_that_was_silent_for_long_the_newest_edges_are_remembered() -> None:
    engine = Engine([LOSS])
    bound = engine.bind(series("flat-1/volume"), T0)
    for at in (0, 90 * M, 12 * H + 30 * M):
        engine.observe(bound, 8.0 * at / H, GOOD, T0 + at, T0 + at)
    kept = only(engine).kept
    assert kept is not None
    ((_, edges),) = kept.edges.items()
    assert sorted((number * H - T0) // H for number in edges) == [5, 6, 7, 8, 9, 10, 11, 12]
    assert {(it.before_at - T0, it.after_at - T0) for it in edges.values()} == {(90 * M, 12 * H + 30 * M)}


def test_an_engine_listens_from_the_beginning() -> None:
    engine = Engine([rule('kind = "absence", after = "10 min"')])
    engine.bind(series(DOOR.replace("door_open", "air_temperature")), 0)
    assert engine.next_due() == 10 * M


def test_a_reading_is_counted_for_each_rule_that_judges_it() -> None:
    conditions: list[Condition] = [Limit(high=8.0), Limit(low=2.0), Absence(SubjectKind.POINT)]
    engine = Engine(
        Rule(f"test.{number}", Category.FOOD, Priority.LOW, condition, "air_temperature")
        for number, condition in enumerate(conditions)
    )
    bound = engine.bind(series("room/air_temperature"), T0)
    engine.observe(bound, 4.0, GOOD, T0, T0)
    assert (engine.evaluations, engine.out_of_order) == (3, 0)
    engine.observe(bound, 4.0, GOOD, T0, T0)
    assert engine.out_of_order == 2
    assert msgspec.json.encode(engine.snapshot())
