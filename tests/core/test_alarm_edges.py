"""Stories at the edges: exactly at a limit, at the last moment, a second later; late, doubled and missing readings."""

import pytest
from tests.core.alarm_story import (
    BAD,
    DOOR,
    RAISE,
    RETURN,
    At,
    D,
    Expect,
    H,
    M,
    S,
    Story,
    check,
    every,
    line,
    play,
    rule,
)
from tests.core.test_alarm_stories import (
    MEAN,
    MKT,
    OUT,
    RATE,
    SUM,
)

SILENT = rule('kind = "absence", after = "10 min"')
OWN = rule('kind = "absence", after = "1 min", intervals = 3, until_known = "30 min"')
ANY_SIGN = rule('kind = "absence", after = "10 min", bad_counts = true')
DEVICE = rule('kind = "absence", after = "10 min", of = "device"')
HOT = rule('kind = "limit", high = 8, hysteresis = 1, on_delay = "10 min", off_delay = "5 min"')
COLD = rule('kind = "limit", low = 2, hysteresis = 1, on_delay = "10 min"')
NIGHTLY = rule('kind = "limit", high = 8, on_delay = "5 min"', 'schedule = { hours = ["22:00-06:00"] }')
FRIDAY_NIGHT = rule('kind = "limit", high = 8', 'schedule = { days = ["fri"], hours = ["22:00-06:00"] }')
TWICE_A_DAY = rule('kind = "limit", high = 8', 'schedule = { hours = ["09:00-10:00", "11:00-12:00"] }')
NEW_YEAR = rule('kind = "limit", high = 8', 'schedule = { seasons = ["12-20/01-02"] }')
SECOND_OF_JANUARY = rule('kind = "limit", high = 8', 'schedule = { seasons = ["01-02/01-02"] }')
MORNING_CHANGE = rule('kind = "change", hold = "5 min"', 'schedule = { hours = ["09:00-10:00"] }')
BRIEF = rule('kind = "outside", low = 2.0, high = 8.0, for = "30 min", over = "4 h", gap = "10 min"')
DEGREE_HOURS_BELOW = rule('kind = "integral", below = 2.0, high = 1.0, over = "4 h"')
COOL_MKT = rule('kind = "mean_kinetic_temperature", low = 2.0, over = "2 h"')
MEAN_DELAYED = rule(
    'kind = "window", statistic = "mean", high = 8.0, hysteresis = 1.0, over = "1 h", on_delay = "10 min"'
)
LOW_MEAN = rule('kind = "window", statistic = "mean", low = 2.0, over = "1 h"')
SPREAD = rule('kind = "window", statistic = "range", high = 5.0, over = "1 h", coverage = 0')
CALM_STD = rule('kind = "window", statistic = "std", low = 1.0, over = "1 h"')
RISE_PER_MINUTE = rule('kind = "rate", rise = 1.0, per = "1 min", over = "10 min", on_delay = "2 min"')
IMBALANCE = rule(
    'kind = "expression", when = "abs(l1 - l2) > 5 or l3 > 9", fresh = "10 min", '
    'points = { l1 = "voltage.l1", l2 = "voltage.l2", l3 = "voltage.l3" }'
)


EDGES: dict[str, Story] = {
    "absence: as long as is allowed, and no longer": (
        SILENT,
        [At(0, 4.0), At(10 * M - S, 4.0)],
        20 * M - S,
        [Expect(RAISE, 19 * M + 59 * S, 19 * M + 59 * S)],
    ),
    "absence: a sign in the very moment comes too late": (
        SILENT,
        [At(0, 4.0), At(10 * M, 4.0)],
        15 * M,
        [Expect(RAISE, 10 * M, 10 * M), Expect(RETURN, 10 * M, 10 * M)],
    ),
    "absence: an old sign is none of now": (
        SILENT,
        [At(0, 4.0), At(5 * M, 4.0, late=20 * M), At(40 * M, 4.0)],
        45 * M,
        [Expect(RAISE, 10 * M, 10 * M), Expect(RETURN, 40 * M, 40 * M)],
    ),
    "absence: a sign a little late is one": (
        SILENT,
        [At(0, 4.0), At(20 * M, 4.0, late=5 * M)],
        35 * M,
        [Expect(RAISE, 10 * M, 10 * M), Expect(RETURN, 20 * M, 20 * M), Expect(RAISE, 30 * M, 30 * M)],
    ),
    "absence: a sign just too old is none": (
        SILENT,
        [At(0, 4.0), At(15 * M, 4.0, late=10 * M)],
        35 * M,
        [Expect(RAISE, 10 * M, 10 * M)],
    ),
    "absence: signs out of turn put nothing off": (
        SILENT,
        [At(0, 4.0), At(5 * M, 4.0), At(3 * M, 4.0, late=4 * M)],
        16 * M,
        [Expect(RAISE, 15 * M, 15 * M)],
    ),
    "absence: a clock that is a little fast speaks of now": (
        SILENT,
        [At(0, 4.0), At(13 * M, 4.0, late=-4 * M)],
        25 * M,
        [Expect(RAISE, 19 * M, 19 * M)],
    ),
    "absence: a clock that is far ahead says nothing": (
        SILENT,
        [At(0, 4.0), At(15 * M, 4.0, late=-6 * M)],
        25 * M,
        [Expect(RAISE, 10 * M, 10 * M)],
    ),
    "absence: what cannot be used is no sign": (
        SILENT,
        [At(0, 4.0), At(5 * M, None), At(6 * M, 4.0, quality=BAD)],
        12 * M,
        [Expect(RAISE, 10 * M, 10 * M)],
    ),
    "absence: what cannot be used is a sign where it counts": (
        ANY_SIGN,
        [At(0, 4.0), At(5 * M, None), At(6 * M, 4.0, quality=BAD)],
        20 * M,
        [Expect(RAISE, 16 * M, 16 * M)],
    ),
    "absence: one point speaks for its device": (
        DEVICE,
        [At(0, 4.0), *every(5 * M, 0, 30 * M, 1.0, DOOR)],
        40 * M,
        [Expect(RAISE, 10 * M, 10 * M)],
    ),
    "absence: three times its own interval": (
        OWN,
        every(5 * M, 0, 20 * M, 4.0),
        40 * M,
        [Expect(RAISE, 30 * M, 30 * M)],
    ),
    "absence: before its interval is known": (
        OWN,
        [At(0, 4.0), At(5 * M, 4.0)],
        40 * M,
        [Expect(RAISE, 35 * M, 35 * M)],
    ),
    "absence: a longer gap is learnt": (
        OWN,
        [*every(5 * M, 0, 20 * M, 4.0), At(25 * M, 4.0)],
        60 * M,
        [Expect(RAISE, 55 * M, 55 * M)],
    ),
    "absence: a longer gap is forgotten": (
        OWN,
        [At(0, 4.0), At(9 * M, 4.0), *every(M, 10 * M, 10 * H, 4.0)],
        11 * H,
        [Expect(RAISE, 10 * H + 2 * M, 10 * H + 2 * M)],
    ),
    "absence: an outage is not learnt": (
        OWN,
        [*every(M, 0, 10 * M, 4.0), *every(M, 30 * M, 40 * M, 4.0)],
        50 * M,
        [Expect(RAISE, 12 * M, 12 * M), Expect(RETURN, 30 * M, 30 * M), Expect(RAISE, 42 * M, 42 * M)],
    ),
    "absence: points of one poll are one sign": (
        DEVICE,
        [it for at in range(0, 30 * M, 5 * M) for it in (At(at, 4.0), At(at, 1.0, DOOR))],
        50 * M,
        [Expect(RAISE, 35 * M, 35 * M)],
    ),
    "limit: beyond for exactly the delay": (
        HOT,
        [At(0, 9.0), At(10 * M, 4.0)],
        30 * M,
        [Expect(RAISE, 10 * M, 10 * M), Expect(RETURN, 15 * M, 15 * M)],
    ),
    "limit: beyond for a second less": (HOT, [At(0, 9.0), At(10 * M - S, 4.0)], 30 * M, []),
    "limit: back for exactly the delay": (
        HOT,
        [At(0, 9.0), At(20 * M, 7.0), At(25 * M, 9.0)],
        30 * M,
        [Expect(RAISE, 10 * M, 10 * M), Expect(RETURN, 25 * M, 25 * M)],
    ),
    "limit: back for a second less": (
        HOT,
        [At(0, 9.0), At(20 * M, 7.0), At(25 * M - S, 9.0)],
        30 * M,
        [Expect(RAISE, 10 * M, 10 * M)],
    ),
    "limit: a low one, at it and beyond": (
        COLD,
        [At(0, 2.0), At(20 * M, 1.9), At(40 * M, 2.9), At(50 * M, 3.0)],
        H,
        [Expect(RAISE, 30 * M, 30 * M), Expect(RETURN, 50 * M, 50 * M)],
    ),
    "limit: missing in between stops the clock": (
        HOT,
        [At(0, 9.0), At(5 * M, None), At(20 * M, 9.0)],
        25 * M,
        [Expect(RAISE, 10 * M, 10 * M)],
    ),
    "limit: two missing in between and a late one before them": (
        HOT,
        [At(0, 4.0), At(5 * M, None), At(6 * M, None), At(2 * M, 9.0, late=6 * M), At(30 * M, 4.0)],
        H,
        [],
    ),
    "schedule: past midnight": (
        NIGHTLY,
        every(H, 0, 2 * D, 9.0),
        2 * D,
        [
            Expect(RAISE, 14 * H + 5 * M, 14 * H + 5 * M),
            Expect(RETURN, 22 * H, 22 * H),
            Expect(RAISE, D + 14 * H + 5 * M, D + 14 * H + 5 * M),
            Expect(RETURN, D + 22 * H, D + 22 * H),
        ],
    ),
    "schedule: past midnight, of one day": (
        FRIDAY_NIGHT,
        every(H, 0, 2 * D, 9.0),
        2 * D,
        [Expect(RAISE, 14 * H, 14 * H), Expect(RETURN, 22 * H, 22 * H)],
    ),
    "schedule: twice a day": (
        TWICE_A_DAY,
        every(10 * M, 0, D, 9.0),
        D,
        [Expect(RAISE, H, H), Expect(RETURN, 2 * H, 2 * H), Expect(RAISE, 3 * H, 3 * H), Expect(RETURN, 4 * H, 4 * H)],
    ),
    "schedule: past New Year": (
        NEW_YEAR,
        every(H, 0, 3 * D, 9.0),
        3 * D,
        [Expect(RAISE, 0, 0), Expect(RETURN, D + 16 * H, D + 16 * H)],
    ),
    "schedule: one day of the year": (
        SECOND_OF_JANUARY,
        every(H, 0, 4 * D, 9.0),
        4 * D,
        [Expect(RAISE, 16 * H, 16 * H), Expect(RETURN, D + 16 * H, D + 16 * H)],
    ),
    "schedule: the value holds while nothing comes": (
        NIGHTLY,
        [At(0, 9.0)],
        2 * D,
        [
            Expect(RAISE, 14 * H + 5 * M, 14 * H + 5 * M),
            Expect(RETURN, 22 * H, 22 * H),
            Expect(RAISE, D + 14 * H + 5 * M, D + 14 * H + 5 * M),
            Expect(RETURN, D + 22 * H, D + 22 * H),
        ],
    ),
    "schedule: a change while it is closed": (
        MORNING_CHANGE,
        [At(0, 1.0), At(30 * M, 2.0), At(90 * M, 3.0), At(2 * H + M, 4.0)],
        4 * H,
        [Expect(RAISE, H + 30 * M, H + 30 * M), Expect(RETURN, H + 35 * M, H + 35 * M)],
    ),
    "schedule: an hour late, over the opening": (
        NIGHTLY,
        [
            *every(H, 0, 14 * H, 4.0),
            At(15 * H, 4.0),
            *[At(at, 9.0, late=H) for at in range(13 * H + 10 * M, 13 * H + 50 * M, 5 * M)],
        ],
        20 * H,
        [Expect(RAISE, 14 * H + 5 * M, 14 * H + 5 * M, retrospective=True), Expect(RETURN, 15 * H, 15 * H)],
    ),
    "outside: to the second": (
        OUT,
        [At(0, 9.0), At(10 * M, 9.0), At(20 * M, 9.0), At(30 * M - S, 4.0), At(H, 9.0)],
        H + 5 * M,
        [Expect(RAISE, H + S, H + S)],
    ),
    "outside: a reading speaks no longer than the gap": (
        BRIEF,
        [At(0, 9.0), At(20 * M, 9.0), At(40 * M, 9.0)],
        2 * H,
        [Expect(RAISE, 50 * M, 50 * M)],
    ),
    "outside: words and infinities say nothing": (
        OUT,
        [At(0, 9.0), At(5 * M, "warm"), At(10 * M, float("inf")), At(20 * M, 9.0)],
        2 * H,
        [],
    ),
    "outside: it leaves by the piece": (
        OUT,
        [*every(5 * M, 0, 20 * M, 9.0), *every(5 * M, 20 * M, 4 * H, 4.0), *every(5 * M, 4 * H, 4 * H + 40 * M, 9.0)],
        5 * H,
        [Expect(RAISE, 4 * H + 30 * M, 4 * H + 30 * M)],
    ),
    "integral: below": (
        DEGREE_HOURS_BELOW,
        [*every(5 * M, 0, H, 0.0), *every(5 * M, H, 6 * H, 4.0)],
        6 * H,
        [Expect(RAISE, 32 * M, 32 * M), Expect(RETURN, 4 * H + 32 * M, 4 * H + 32 * M)],
    ),
    "integral: exactly as much": (SUM, [*every(5 * M, 0, H, 10.0), *every(5 * M, H, 2 * H, 4.0)], 2 * H, []),
    "mkt: too cold": (COOL_MKT, every(10 * M, 0, 3 * H, 1.9), 3 * H, [Expect(RAISE, H, H)]),
    "mkt: exactly half is known": (
        MKT,
        [*every(5 * M, 0, 105 * M, 9.0), At(105 * M, 9.0)],
        4 * H,
        [Expect(RAISE, 2 * H, 2 * H)],
    ),
    "mkt: below absolute zero is no temperature": (MKT, every(10 * M, 0, 4 * H, -300.0), 4 * H, []),
    "mean: its delays count in time of readings": (
        MEAN_DELAYED,
        [*every(M, 0, H, 4.0), *every(M, H, 3 * H, 12.0), *every(M, 3 * H, 5 * H, 4.0)],
        5 * H,
        [Expect(RAISE, H + 41 * M, H + 41 * M), Expect(RETURN, 3 * H + 38 * M, 3 * H + 38 * M)],
    ),
    "mean: exactly half is known": (LOW_MEAN, [At(0, 1.0), At(15 * M, 1.0)], H, [Expect(RAISE, 30 * M, 30 * M)]),
    "mean: a second less than half is known": (LOW_MEAN, [At(0, 1.0), At(15 * M - S, 1.0)], H, []),
    "mean: truths are ones and noughts": (MEAN, every(M, 0, 2 * H, True), 2 * H, []),
    "range: what held before the while counts": (
        SPREAD,
        [*every(5 * M, 0, H, 4.0), At(H, 9.5), *every(5 * M, H + 5 * M, 3 * H, 9.5)],
        3 * H,
        [Expect(RAISE, H, H), Expect(RETURN, 2 * H, 2 * H)],
    ),
    "range: exactly as far apart": (SPREAD, [At(0, 4.0), At(5 * M, 9.0)], 2 * H, []),
    "std: too calm": (
        CALM_STD,
        [*[At(at, 4.0 + 3.0 * (at // M % 2)) for at in range(0, H, M)], *every(M, H, 3 * H, 4.0)],
        3 * H,
        [Expect(RAISE, H + 46 * M, H + 46 * M)],
    ),
    "rate: by the minute, and for a while": (
        RISE_PER_MINUTE,
        [*every(M, 0, 20 * M, 4.0), *line(M, 20 * M, 40 * M, 4.0, 44.0), *every(M, 40 * M, 70 * M, 44.0)],
        70 * M,
        [Expect(RAISE, 27 * M + 10 * S, 27 * M + 10 * S), Expect(RETURN, 45 * M, 45 * M)],
    ),
    "rate: exactly as fast": (RISE_PER_MINUTE, line(M, 0, H, 0.0, 60.0), H, []),
    "rate: readings half the while apart": (
        RATE,
        [At(0, 4.0), At(5 * M, 9.0)],
        H,
        [Expect(RAISE, 5 * M, 5 * M), Expect(RETURN, 10 * M + 10 * S, 10 * M + 10 * S)],
    ),
    "rate: readings a second less apart": (
        RATE,
        [At(0, 4.0), At(5 * M - S, 9.0)],
        6 * M,
        [Expect(RAISE, 5 * M, 5 * M)],
    ),
    "rate: the oldest leaves the while": (
        RATE,
        [At(0, 4.0), At(6 * M, 4.0), At(12 * M, 9.0), At(18 * M, 9.0), At(24 * M, 9.0)],
        H,
        [Expect(RAISE, 12 * M, 12 * M), Expect(RETURN, 17 * M, 17 * M)],
    ),
}


@pytest.mark.parametrize("name", EDGES)
def test_an_edge(name: str) -> None:
    the_rule, readings, until, expected = EDGES[name]
    check(play(the_rule, readings, until), expected)


@pytest.mark.parametrize("name", EDGES)
def test_an_edge_with_doubled_readings_and_restarts(name: str) -> None:
    the_rule, readings, until, expected = EDGES[name]
    doubled = [*readings, *(At(it.at, it.value, it.point, it.late, it.quality) for it in readings)]
    check(play(the_rule, doubled, until, restart=[until // 3, until // 2, until - M]), expected)
