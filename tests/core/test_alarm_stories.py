"""Every kind of condition, told as stories: what is observed when, and which alarms must come of it and no others."""

from collections.abc import Sequence

import msgspec
import pytest
from tests.core.alarm_story import (
    DOOR,
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
    blips,
    check,
    every,
    line,
    play,
    rule,
    series,
)

from linli_core.alarm import Engine
from linli_core.instant import Instant

RATE = rule('kind = "rate", rise = 6.0, per = "1 h", over = "10 min"')
FALL = rule('kind = "rate", fall = 6.0, per = "1 h", over = "10 min", hysteresis = 1.0')
OUT = rule('kind = "outside", low = 2.0, high = 8.0, for = "30 min", over = "4 h"')
SUM = rule('kind = "integral", above = 8.0, high = 2.0, over = "4 h"')
MKT = rule('kind = "mean_kinetic_temperature", high = 8.0, over = "4 h"')
MEAN = rule('kind = "window", statistic = "mean", high = 8.0, over = "1 h"')
LEAST = rule('kind = "window", statistic = "min", low = 0.0, over = "1 h", coverage = 0')
MOST = rule('kind = "window", statistic = "max", high = 10.0, over = "1 h", coverage = 0')
RANGE = rule('kind = "window", statistic = "range", low = 0.1, over = "1 h"')
STD = rule('kind = "window", statistic = "std", high = 3.0, over = "1 h"')
CHANGED = rule('kind = "change", from = [1], to = [2], hold = "5 min"')
ANY_CHANGE = rule('kind = "change"')

STORIES: dict[str, Story] = {
    "rate: a slow rise is nothing": (RATE, line(M, 0, H, 0.0, 5.0), 2 * H, []),
    "rate: a fast rise is told, and its end": (
        RATE,
        [*every(M, 0, 20 * M, 4.0), *line(M, 20 * M, 40 * M, 4.0, 12.0), *every(M, 40 * M, 80 * M, 12.0)],
        2 * H,
        [Expect(RAISE, 21 * M, 26 * M), Expect(RETURN, 45 * M, 51 * M)],
    ),
    "rate: two readings close together are noise": (RATE, [At(0, 4.0), At(S, 9.0)], M, []),
    "rate: a fall is not a rise": (RATE, line(M, 0, H, 20.0, 0.0), 2 * H, []),
    "rate: a fall is told": (FALL, line(M, 0, H, 20.0, 0.0), H, [Expect(RAISE, 5 * M, 5 * M)]),
    "rate: missing readings are no fall": (
        FALL,
        [*every(M, 0, 20 * M, 4.0), *every(M, 20 * M, 40 * M, None), *every(M, 40 * M, H, 4.0)],
        H,
        [],
    ),
    "outside: short times are added up": (
        OUT,
        [At(at + shift * 10 * M, 9.0 if shift % 2 else 4.0) for at in range(0, 2 * H, 20 * M) for shift in (0, 1)],
        2 * H,
        [Expect(RAISE, H, H)],
    ),
    "outside: below counts as above does": (OUT, every(5 * M, 0, 40 * M, 1.0), 40 * M, [Expect(RAISE, 30 * M, 30 * M)]),
    "outside: at an edge is inside": (OUT, [*every(M, 0, H, 8.0), *every(M, H, 2 * H, 2.0)], 2 * H, []),
    "outside: it returns when the time has left the while": (
        OUT,
        [*every(5 * M, 0, 30 * M, 9.0), *every(5 * M, 30 * M, 6 * H, 4.0)],
        6 * H,
        [Expect(RAISE, 30 * M, 30 * M), Expect(RETURN, 4 * H, 4 * H + 5 * M)],
    ),
    "outside: a silent point is outside for as long as its reading speaks": (OUT, [At(0, 9.0)], 8 * H, []),
    "outside: the clock tells between two readings": (
        OUT,
        [At(0, 9.0), At(10 * M, 9.0), At(20 * M, 9.0)],
        6 * H,
        [Expect(RAISE, 30 * M, 30 * M), Expect(RETURN, 4 * H, 5 * H)],
    ),
    "outside: a missing reading ends what holds": (
        OUT,
        [*every(M, 0, 20 * M, 9.0), *every(M, 20 * M, 2 * H, None)],
        2 * H,
        [],
    ),
    "integral: far for a short time": (
        SUM,
        [*every(M, 0, 10 * M, 16.0), *every(M, 10 * M, 20 * M, 30.0), *every(M, 20 * M, H, 4.0)],
        H,
        [Expect(RAISE, 11 * M, 13 * M)],
    ),
    "integral: a little for long": (SUM, every(5 * M, 0, 3 * H, 9.0), 3 * H, [Expect(RAISE, 2 * H, 2 * H + 5 * M)]),
    "integral: what is below does not pay back": (
        SUM,
        [*every(M, 0, 20 * M, 12.0), *every(M, 20 * M, H, -20.0), *every(M, H, 80 * M, 12.0)],
        80 * M,
        [Expect(RAISE, 68 * M, 72 * M)],
    ),
    "mkt: a constant temperature is its own": (MKT, every(10 * M, 0, 5 * H, 8.0), 5 * H, []),
    "mkt: constantly above is above": (
        MKT,
        every(10 * M, 0, 5 * H, 8.1),
        5 * H,
        [Expect(RAISE, 2 * H, 2 * H + 10 * M)],
    ),
    "mkt: heat weighs more than cold makes good": (
        MKT,
        [*every(5 * M, 0, 2 * H, 1.0), *every(5 * M, 2 * H, 3 * H + 50 * M, 14.0)],
        4 * H,
        [Expect(RAISE, 3 * H + 5 * M, 3 * H + 5 * M)],
    ),
    "mkt: too little is known": (MKT, [At(0, 30.0), At(2 * H, 30.0), At(4 * H, 30.0)], 5 * H, []),
    "mean: one hot reading is borne": (
        MEAN,
        [*every(M, 0, H, 4.0), At(H, 40.0), *every(M, H + M, 2 * H, 4.0)],
        2 * H,
        [],
    ),
    "mean: uneven readings weigh by their time": (
        MEAN,
        [
            At(0, 4.0),
            *[At(10 * M + n * S, 14.0) for n in range(10)],
            *every(10 * M, 20 * M, 2 * H, 4.0),
        ],
        2 * H,
        [],
    ),
    "mean: an hour too warm": (
        MEAN,
        [*every(M, 0, H, 4.0), *every(M, H, 2 * H, 12.0), *every(M, 2 * H, 4 * H, 4.0)],
        4 * H,
        [Expect(RAISE, 90 * M, 92 * M), Expect(RETURN, 149 * M, 152 * M)],
    ),
    "min: one reading below": (
        LEAST,
        [*every(M, 0, H, 4.0), At(H, -1.0), *every(M, H + M, 3 * H, 4.0)],
        3 * H,
        [Expect(RAISE, H, H), Expect(RETURN, 2 * H, 2 * H + 3 * M)],
    ),
    "max: one reading above": (
        MOST,
        [*every(M, 0, H, 4.0), At(H, 11.0), *every(M, H + M, 3 * H, 4.0)],
        3 * H,
        [Expect(RAISE, H, H), Expect(RETURN, 2 * H, 2 * H + 3 * M)],
    ),
    "range: a stuck probe": (
        RANGE,
        [*line(M, 0, H, 4.0, 5.0), *every(M, H, 3 * H, 5.0), *line(M, 3 * H, 4 * H, 5.0, 6.0)],
        4 * H,
        [Expect(RAISE, 2 * H - 10 * M, 2 * H + 2 * M), Expect(RETURN, 3 * H + M, 3 * H + 10 * M)],
    ),
    "std: a restless value": (
        STD,
        [*every(M, 0, H, 4.0), *[At(H + n * M, 14.0 if n % 2 else 4.0) for n in range(60)]],
        2 * H,
        [Expect(RAISE, H + 2 * M, H + 20 * M)],
    ),
    "change: from one state to another": (
        CHANGED,
        [At(0, 1.0), At(M, 1.0), At(2 * M, 2.0), At(3 * M, 2.0)],
        H,
        [Expect(RAISE, 2 * M, 2 * M), Expect(RETURN, 7 * M, 7 * M)],
    ),
    "change: another change is not meant": (CHANGED, [At(0, 1.0), At(M, 3.0), At(2 * M, 2.0)], H, []),
    "change: what it was before a missing reading still counts": (
        CHANGED,
        [At(0, 1.0), At(M, None), At(2 * M, 2.0)],
        H,
        [Expect(RAISE, 2 * M, 2 * M), Expect(RETURN, 7 * M, 7 * M)],
    ),
    "change: the first reading is none": (ANY_CHANGE, [At(0, "on"), At(M, "on")], H, []),
    "change: any": (
        ANY_CHANGE,
        [At(0, "on"), At(M, "off"), At(90 * S, "on")],
        H,
        [Expect(RAISE, M, M), Expect(RETURN, 150 * S, 150 * S)],
    ),
}


COUNT = rule('kind = "pattern", form = "count", a = { values = [1] }, count = 3, within = "10 min"')
THEN = rule(
    'kind = "pattern", form = "then", within = "5 min", hold = "2 min", '
    'a = { values = [1], points = ["*/door_open"] }, b = { values = [1], points = ["*/motion"] }'
)
WITHOUT = rule(
    'kind = "pattern", form = "without", within = "5 min", '
    'a = { values = [1], points = ["*/door_open"] }, b = { values = [0], points = ["*/door_open"] }'
)
EXPRESSION = rule(
    'kind = "expression", when = "supply - back < 5 and flow > 0", on_delay = "5 min", off_delay = "1 min", '
    'points = { supply = "supply_temperature", back = "return_temperature", flow = "flow*" }'
)
WORDS = rule(
    'kind = "expression", when = "valve is closed and flow > 0", on_delay = "5 min", off_delay = "1 min", '
    'points = { valve = "gas_valve_state", flow = "flow*" }'
)
BALANCE = rule(
    'kind = "balance", bulk = { devices = ["bulk*"] }, subs = { devices = ["flat*"] }, share = 0.1, least = 1, '
    'over = "1 h", wait = "2 h"'
)
NIGHT = rule('kind = "night_flow", high = 0.05, cumulative = true')
NIGHTS = rule('kind = "night_flow", high = 0.05, nights = 2, cumulative = true')
FLOW = rule('kind = "night_flow", high = 0.05')
NIGHT_SHIFT = rule(
    'kind = "limit", high = 8, hysteresis = 1, on_delay = "5 min"', 'schedule = { hours = ["18:00-19:00"] }'
)
SUNDAY = rule('kind = "limit", high = 8', 'schedule = { days = ["sun"] }')
NIGHT_SILENCE = rule('kind = "absence", after = "10 min"', 'schedule = { hours = ["12:00-13:00"] }')
BASE = rule('kind = "baseline", deviations = 4, least = 1, weeks = 4')
BASE_BELOW = rule('kind = "baseline", deviations = 4, least = 1, weeks = 4, direction = "below"')

SUPPLY, BACK, FLOWS = "heat/supply_temperature", "heat/return_temperature", "heat/flow.1"
VALVE = "heat/gas_valve_state"


def heat(start: Instant, end: Instant, supply: float, back: float, flow: float | None) -> list[At]:
    return [
        At(at + shift, value, point)
        for at in range(start, end, M)
        for shift, (point, value) in enumerate(((SUPPLY, supply), (BACK, back), (FLOWS, flow)))
    ]


def meter(point: str, start: Instant, end: Instant, per_hour: float, step: Instant = 10 * M) -> list[At]:
    return [At(at, per_hour * at / H, point) for at in range(start, end, step)]


def water(nights: Sequence[float], step: Instant = 15 * M) -> list[At]:
    """A dwelling's meter: 0.3 m³/h by day, in the nights' small hours what is said; it begins at eight."""
    total, readings = 0.0, []
    for at in range(0, len(nights) * D, step):
        readings.append(At(at, total, "flat/volume"))
        hour = (at + 8 * H) % D
        total += (nights[at // D] if hour < 6 * H else 0.3) * step / H
    return readings


def weeks(count: int, odd: float | None = None, *, hour: int = 10) -> list[At]:
    """Weeks of a value that follows the hour, a little restless; in the last an hour that is odd."""
    readings = []
    for at in range(0, count * 7 * D, 20 * M):
        value = 20.0 + (at % D) // H + 0.1 * (at // (7 * D) % 3)
        if odd is not None and (count * 7 - 1) * D + hour * H <= at < (count * 7 - 1) * D + (hour + 1) * H:
            value += odd
        readings.append(At(at, value))
    return readings


STORIES |= {
    "count: three within the while": (
        COUNT,
        blips(M, 4 * M, 8 * M),
        H,
        [Expect(RAISE, 8 * M, 8 * M), Expect(RETURN, 11 * M, 11 * M)],
    ),
    "count: too far apart": (COUNT, blips(M, 7 * M, 13 * M, 19 * M), H, []),
    "count: a point that is first heard of in that state brings none": (
        COUNT,
        [At(0, 1), *blips(4 * M, 8 * M)[1:]],
        H,
        [],
    ),
    "count: more of them hold it": (
        COUNT,
        blips(M, 4 * M, 8 * M, 10 * M, 12 * M),
        H,
        [Expect(RAISE, 8 * M, 8 * M), Expect(RETURN, 18 * M, 18 * M)],
    ),
    "then: one and the other": (
        THEN,
        [*blips(M, point=DOOR), *blips(3 * M, point=MOTION)],
        H,
        [Expect(RAISE, 3 * M, 3 * M), Expect(RETURN, 5 * M, 5 * M)],
    ),
    "then: the other way round": (THEN, [*blips(3 * M, point=DOOR), *blips(M, point=MOTION)], H, []),
    "then: too late": (THEN, [*blips(M, point=DOOR), *blips(7 * M, point=MOTION)], H, []),
    "without: a door that nobody shuts": (
        WITHOUT,
        [At(0, 0, DOOR), At(M, 1, DOOR), At(20 * M, 0, DOOR)],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(RETURN, 20 * M, 20 * M)],
    ),
    "without: a door that is shut in time": (WITHOUT, blips(M, 3 * M, 9 * M, point=DOOR), H, []),
    "expression: it must last": (
        EXPRESSION,
        [*heat(0, 20 * M, 60.0, 40.0, 1.0), *heat(20 * M, 40 * M, 60.0, 58.0, 1.0), *heat(40 * M, H, 60.0, 40.0, 1.0)],
        H,
        [Expect(RAISE, 25 * M, 25 * M + S), Expect(RETURN, 41 * M, 41 * M + S)],
    ),
    "expression: a state in words": (
        WORDS,
        [
            *every(M, 0, 20 * M, "open", VALVE),
            *every(M, 20 * M, 40 * M, "closed", VALVE),
            *every(M, 40 * M, H, "open", VALVE),
            *every(M, S, H, 1.0, FLOWS),
        ],
        H,
        [Expect(RAISE, 25 * M, 25 * M), Expect(RETURN, 41 * M, 41 * M)],
    ),
    "expression: without flow it does not matter": (EXPRESSION, heat(0, H, 60.0, 58.0, 0.0), H, []),
    "expression: what is not known concludes nothing": (EXPRESSION, heat(0, H, 60.0, 58.0, None), H, []),
    "expression: an old reading counts no more": (
        EXPRESSION,
        [At(0, 60.0, SUPPLY), At(0, 58.0, BACK), *every(M, 16 * M, H, 1.0, FLOWS)],
        H,
        [],
    ),
    "balance: what is drawn is counted": (
        BALANCE,
        [
            *meter("bulk/volume", 0, 5 * H, 10.0),
            *meter("flat-1/volume", 0, 5 * H, 6.0),
            *meter("flat-2/volume", 0, 5 * H, 4.0),
        ],
        6 * H,
        [],
    ),
    "balance: a third is lost": (
        BALANCE,
        [*meter("bulk/volume", 0, 5 * H, 10.0), *meter("flat-1/volume", 0, 5 * H, 6.5)],
        6 * H,
        [Expect(RAISE, 2 * H, 2 * H)],
    ),
    "balance: a little lost of little is nothing": (
        BALANCE,
        [*meter("bulk/volume", 0, 5 * H, 2.0), *meter("flat-1/volume", 0, 5 * H, 1.2)],
        6 * H,
        [],
    ),
    "balance: a bulk meter alone is no loss": (BALANCE, meter("bulk/volume", 0, 5 * H, 10.0), 6 * H, []),
    "balance: a meter that is silent is no loss": (
        BALANCE,
        [
            *meter("bulk/volume", 0, 9 * H, 10.0),
            *meter("flat-1/volume", 0, 9 * H, 6.0),
            *meter("flat-2/volume", 0, 2 * H, 4.0),
            *meter("flat-2/volume", 8 * H, 9 * H, 4.0),
        ],
        9 * H,
        [],
    ),
    "balance: a counter that was set back is not judged": (
        BALANCE,
        [
            *meter("bulk/volume", 0, 3 * H, 10.0),
            *meter("flat-1/volume", 0, H, 10.0),
            *[
                At(it.at, (it.value or 0) - 10, it.point)
                for it in meter("flat-1/volume", H, 3 * H, 10.0)
                if isinstance(it.value, float)
            ],
        ],
        4 * H,
        [],
    ),
    "night: nobody draws": (NIGHT, water([0.0, 0.0, 0.0]), 3 * D, []),
    "night: it leaks": (
        NIGHT,
        water([0.0, 0.1, 0.1, 0.0]),
        4 * D,
        [Expect(RAISE, 44 * H, 44 * H), Expect(RETURN, 92 * H, 92 * H)],
    ),
    "night: one night is not two": (NIGHTS, water([0.0, 0.1, 0.0, 0.1, 0.1]), 5 * D, [Expect(RAISE, 116 * H, 116 * H)]),
    "night: readings a night apart say nothing": (NIGHT, water([0.1, 0.1, 0.1], 6 * H), 3 * D, []),
    "night: a flow that never ends": (
        FLOW,
        every(5 * M, 0, 2 * D, 0.1, "flat/volume"),
        2 * D,
        [Expect(RAISE, 20 * H, 20 * H)],
    ),
    "night: a flow that pauses": (
        FLOW,
        [At(at, 0.0 if 19 * H <= at % D < 19 * H + 20 * M else 0.1, "flat/volume") for at in range(0, 2 * D, 5 * M)],
        2 * D,
        [],
    ),
    "schedule: what is amiss before counts from the opening": (
        NIGHT_SHIFT,
        [At(0, 4.0), At(9 * H, 9.0)],
        12 * H,
        [Expect(RAISE, 10 * H + 5 * M, 10 * H + 5 * M), Expect(RETURN, 11 * H, 11 * H)],
    ),
    "schedule: outside it nothing is amiss": (NIGHT_SHIFT, [At(0, 4.0), At(H, 9.0), At(2 * H, 4.0)], 12 * H, []),
    "schedule: over before it opens": (NIGHT_SHIFT, [At(9 * H, 9.0), At(9 * H + 59 * M, 4.0)], 12 * H, []),
    "schedule: only on Sundays": (
        SUNDAY,
        every(H, 0, 4 * D, 9.0),
        4 * D,
        [Expect(RAISE, 40 * H, 40 * H), Expect(RETURN, 64 * H, 64 * H)],
    ),
    "baseline: a value that follows the hour": (BASE, weeks(4), 28 * D, []),
    "baseline: an hour that is odd": (
        BASE,
        weeks(4, 5.0),
        28 * D,
        [Expect(RAISE, 27 * D + 11 * H, 27 * D + 11 * H), Expect(RETURN, 27 * D + 12 * H, 27 * D + 12 * H)],
    ),
    "baseline: less than matters": (BASE, weeks(4, 0.9), 28 * D, []),
    "baseline: above is not below": (BASE_BELOW, weeks(4, 5.0), 28 * D, []),
    "baseline: below": (
        BASE_BELOW,
        weeks(4, -5.0),
        28 * D,
        [Expect(RAISE, 27 * D + 11 * H, 27 * D + 11 * H), Expect(RETURN, 27 * D + 12 * H, 27 * D + 12 * H)],
    ),
    "baseline: one week is not enough": (BASE, weeks(2, 5.0), 14 * D, []),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_story(name: str) -> None:
    the_rule, readings, until, expected = STORIES[name]
    check(play(the_rule, readings, until), expected)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_with_doubled_readings_and_restarts(name: str) -> None:
    the_rule, readings, until, expected = STORIES[name]
    doubled = [*readings, *(At(it.at, it.value, it.point, it.late + S, it.quality) for it in readings)]
    check(play(the_rule, doubled, until, restart=[until // 3, until // 2, until - M]), expected)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_comes_hours_late(name: str) -> None:
    the_rule, readings, until, expected = STORIES[name]
    late = [At(it.at, it.value, it.point, 6 * H, it.quality) for it in readings]
    wanted = [Expect(want.event, want.earliest, want.latest, retrospective=True) for want in expected]
    check(play(the_rule, late, until + 6 * H), wanted)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_looked_at_more_often_says_the_same(name: str) -> None:
    """Ticks decide how early something is learnt, never what is concluded."""
    the_rule, readings, until, expected = STORIES[name]
    plain = play(the_rule, readings, until)
    often = play(the_rule, readings, until, step=max(until // 50, 7 * S + 1))
    assert [(it.event, it.at) for it in often] == [(it.event, it.at) for it in plain]
    check(often, expected)


def test_silence_is_told_when_its_schedule_opens() -> None:
    """Eight o'clock is the beginning; the rule is in force from twelve to one."""
    (raised,) = play(NIGHT_SILENCE, [At(0, 4.0)], 12 * H)
    assert (raised.event, raised.at - T0) == (RAISE, 4 * H)


def test_what_is_remembered_stays_small() -> None:
    """Whatever comes, for however long: a memory is written often and held for every instance."""
    for name, (the_rule, readings, _, _) in STORIES.items():
        engine = Engine([the_rule])
        bound = {point: engine.bind(series(point), T0) for point in {it.point for it in readings}}
        for it in readings:
            engine.observe(bound[it.point], it.value, it.quality, T0 + it.at, T0 + it.at)
        for memory in engine.snapshot():
            assert len(msgspec.json.encode(memory)) < 16_384, name
