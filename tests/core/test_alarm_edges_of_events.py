"""Stories at the edges, of events, of several points and of what is usual."""

import pytest
from tests.core.alarm_story import (
    DISPROVE,
    DOOR,
    MOTION,
    RAISE,
    RETURN,
    At,
    D,
    Expect,
    H,
    M,
    S,
    Story,
    blips,
    check,
    play,
    rule,
)
from tests.core.test_alarm_stories import (
    ANY_CHANGE,
    COUNT,
    THEN,
    WITHOUT,
    meter,
    water,
)

TO_TWO = rule('kind = "change", to = [2]')
FROM_ONE = rule('kind = "change", from = [1]')
TRIO = rule('kind = "pattern", form = "count", a = { values = [1] }, count = 3, within = "10 min", of = "device"')
PAIR = rule('kind = "pattern", form = "count", a = { values = [1] }, count = 2, within = "10 min", of = "device"')
IMBALANCE = rule(
    'kind = "expression", when = "abs(l1 - l2) > 5 or l3 > 9", fresh = "10 min", '
    'points = { l1 = "voltage.l1", l2 = "voltage.l2", l3 = "voltage.l3" }'
)
LOSS = rule(
    'kind = "balance", bulk = { devices = ["bulk*"] }, subs = { devices = ["flat*"] }, share = 0.25, least = 2, '
    'over = "1 h", wait = "2 h"'
)
NETWORK = rule(
    'kind = "balance", gateway = "gw-pump", bulk = { gateways = ["gw-pump"] }, subs = { gateways = ["gw-house-*"] }, '
    'share = 0.25, least = 2, over = "1 h", wait = "2 h"'
)
SLOTS = rule(
    'kind = "night_flow", high = 0.1, hysteresis = 0.02, cumulative = true, slot = "30 min", '
    'begins = "01:00", ends = "05:00"'
)
HOURLY = rule('kind = "baseline", deviations = 3, least = 2, weeks = 2, direction = "above", cumulative = true')

L1, L2, L3 = "meter/voltage.l1", "meter/voltage.l2", "meter/voltage.l3"

EVENT_EDGES: dict[str, Story] = {
    "change: to a state from any": (
        TO_TWO,
        [At(0, 1.0), At(M, 2.0), At(5 * M, 1.0), At(6 * M, 2.0)],
        H,
        [Expect(RAISE, M, M), Expect(RETURN, 2 * M, 2 * M), Expect(RAISE, 6 * M, 6 * M), Expect(RETURN, 7 * M, 7 * M)],
    ),
    "change: from a state to any": (
        FROM_ONE,
        [At(0, 1.0), At(M, 2.0), At(5 * M, 3.0), At(6 * M, 1.0)],
        H,
        [Expect(RAISE, M, M), Expect(RETURN, 2 * M, 2 * M)],
    ),
    "change: late, doubled and far ahead": (
        ANY_CHANGE,
        [At(0, 1.0), At(5 * M, 2.0), At(3 * M, 3.0, late=5 * M), At(20 * M, 5.0, late=-10 * M), At(30 * M, 3.0)],
        H,
        [
            Expect(RAISE, 5 * M, 5 * M),
            Expect(RETURN, 6 * M, 6 * M),
            Expect(RAISE, 3 * M, 3 * M),
            Expect(RETURN, 4 * M, 4 * M),
            Expect(RAISE, 30 * M, 30 * M),
            Expect(RETURN, 31 * M, 31 * M),
        ],
    ),
    "change: held by another at the last moment": (
        ANY_CHANGE,
        [At(0, 1.0), At(M, 2.0), At(2 * M, 3.0), At(3 * M + S, 4.0)],
        H,
        [
            Expect(RAISE, M, M),
            Expect(RETURN, 2 * M, 2 * M),
            Expect(RAISE, 2 * M, 2 * M),
            Expect(RETURN, 3 * M, 3 * M),
            Expect(RAISE, 3 * M + S, 3 * M + S),
            Expect(RETURN, 4 * M + S, 4 * M + S),
        ],
    ),
    "count: exactly within the while": (
        COUNT,
        blips(M, 6 * M, 11 * M),
        H,
        [Expect(RAISE, 11 * M, 11 * M), Expect(RETURN, 11 * M, 11 * M)],
    ),
    "count: a second more": (COUNT, blips(M, 6 * M, 11 * M + S), H, []),
    "count: two points of a device": (
        PAIR,
        [*blips(M, point=DOOR), *blips(5 * M, point=MOTION)],
        H,
        [Expect(RAISE, 5 * M, 5 * M), Expect(RETURN, 11 * M, 11 * M)],
    ),
    "count: a missing reading is no coming back": (
        COUNT,
        [At(0, 0), At(M, 1), At(2 * M, None), At(3 * M, 1), At(4 * M, 0), At(5 * M, 1)],
        H,
        [],
    ),
    "count: one that comes late fills it": (
        TRIO,
        [*blips(M, 8 * M, point=DOOR), *[At(it.at, it.value, MOTION, late=5 * M) for it in blips(4 * M)]],
        H,
        [Expect(RAISE, 8 * M, 8 * M), Expect(RETURN, 11 * M, 11 * M)],
    ),
    "count: a clock far ahead brings none": (
        COUNT,
        [At(0, 0), At(M, 1), At(2 * M, 0), At(3 * M, 1), At(4 * M, 0), At(20 * M, 1, late=-6 * M)],
        H,
        [],
    ),
    "then: at the same time is not after": (THEN, [*blips(M, point=DOOR), *blips(M, point=MOTION)], H, []),
    "then: exactly at the end of the while": (
        THEN,
        [*blips(M, point=DOOR), *blips(6 * M, point=MOTION)],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(RETURN, 8 * M, 8 * M)],
    ),
    "then: a second later": (THEN, [*blips(M, point=DOOR), *blips(6 * M + S, point=MOTION)], H, []),
    "then: twice holds it": (
        THEN,
        [*blips(M, point=DOOR), *blips(2 * M, 3 * M, point=MOTION)],
        H,
        [Expect(RAISE, 2 * M, 2 * M), Expect(RETURN, 5 * M, 5 * M)],
    ),
    "then: the first comes late, between two others": (
        THEN,
        [*[At(it.at, it.value, DOOR, late=9 * M) for it in blips(4 * M)], *blips(2 * M, 6 * M, point=MOTION)],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(RETURN, 8 * M, 8 * M)],
    ),
    "without: shut exactly at the end of the while": (
        WITHOUT,
        [At(0, 0, DOOR), At(M, 1, DOOR), At(6 * M, 0, DOOR)],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(DISPROVE, 6 * M, 6 * M), Expect(RETURN, 6 * M, 6 * M)],
    ),
    "without: shut a second too late": (
        WITHOUT,
        [At(0, 0, DOOR), At(M, 1, DOOR), At(6 * M + S, 0, DOOR)],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(RETURN, 6 * M + S, 6 * M + S)],
    ),
    "without: opened again while it is told": (
        WITHOUT,
        [
            At(0, 0, DOOR),
            At(M, 1, DOOR),
            At(10 * M, None, DOOR),
            At(11 * M, 1, DOOR),
            At(20 * M, 0, DOOR),
            At(30 * M, 1, DOOR),
        ],
        H,
        [Expect(RAISE, 6 * M, 6 * M), Expect(RETURN, 20 * M, 20 * M), Expect(RAISE, 35 * M, 35 * M)],
    ),
    "expression: either is enough": (
        IMBALANCE,
        [At(0, 230.0, L1), At(0, 226.0, L2), At(M, 10.0, L3), At(2 * M, 9.0, L3), At(3 * M, 224.0, L2)],
        10 * M,
        [Expect(RAISE, M, M), Expect(RETURN, 2 * M, 2 * M), Expect(RAISE, 3 * M, 3 * M)],
    ),
    "expression: exactly as old as is allowed": (
        IMBALANCE,
        [At(0, 230.0, L1), At(0, 220.0, L2), At(10 * M, 1.0, L3)],
        12 * M,
        [Expect(RAISE, 0, 0)],
    ),
    "expression: a second older": (
        IMBALANCE,
        [At(0, 230.0, L1), At(10 * M + S, 220.0, L2), At(10 * M + 2 * S, 1.0, L3)],
        12 * M,
        [],
    ),
    "expression: late and far ahead": (
        IMBALANCE,
        [
            At(0, 230.0, L1),
            At(5 * M, 230.0, L2),
            At(5 * M, 1.0, L3),
            At(3 * M, 200.0, L2, late=4 * M),
            At(20 * M, 200.0, L2, late=-10 * M),
            At(11 * M, 200.0, L2, late=M),
        ],
        15 * M,
        [Expect(RAISE, 3 * M, 3 * M), Expect(RETURN, 5 * M, 5 * M)],
    ),
    "expression: what was true is not known any more": (
        IMBALANCE,
        [
            At(0, 230.0, L1),
            At(0, 220.0, L2),
            At(0, 1.0, L3),
            At(5 * M, None, L1),
            At(20 * M, 230.0, L1),
            At(21 * M, 230.0, L2),
            At(21 * M, 1.0, L3),
        ],
        H,
        [Expect(RAISE, 0, 0), Expect(RETURN, 21 * M, 21 * M)],
    ),
    "balance: exactly the share is borne": (
        LOSS,
        [*meter("bulk/volume", 0, 5 * H, 16.0), *meter("flat-1/volume", 0, 5 * H, 12.0)],
        5 * H,
        [],
    ),
    "balance: of meters on several gateways": (
        NETWORK,
        [
            *meter("gw-pump:main/volume", 0, 5 * H, 16.0),
            *meter("gw-house-1:flat/volume", 0, 5 * H, 8.0),
            *meter("gw-house-2:flat/volume", 0, 5 * H, 7.0),
        ],
        5 * H,
        [],
    ),
    "balance: of meters on several gateways, where a third of it is lost": (
        NETWORK,
        [
            *meter("gw-pump:main/volume", 0, 5 * H, 16.0),
            *meter("gw-house-1:flat/volume", 0, 5 * H, 8.0),
            *[At(it.at, it.value, it.point, late=20 * M) for it in meter("gw-house-2:flat/volume", 0, 5 * H, 3.0)],
        ],
        5 * H,
        [Expect(RAISE, 2 * H, 2 * H, retrospective=True)],
    ),
    "balance: a meter that comes later than is waited has what was not judged judged": (
        LOSS,
        [
            *meter("bulk/volume", 0, 5 * H, 16.0),
            *[
                At(it.at, it.value, it.point, late=max(0, 4 * H + 30 * M - it.at))
                for it in meter("flat-1/volume", 0, 5 * H, 8.0)
            ],
        ],
        5 * H,
        [Expect(RAISE, 2 * H, 2 * H, retrospective=True)],
    ),
    "balance: a little more is not": (
        LOSS,
        [*meter("bulk/volume", 0, 5 * H, 16.0), *meter("flat-1/volume", 0, 5 * H, 11.0)],
        5 * H,
        [Expect(RAISE, 2 * H, 2 * H)],
    ),
    "balance: exactly the least counts": (
        LOSS,
        [*meter("bulk/volume", 0, 5 * H, 4.0), *meter("flat-1/volume", 0, 5 * H, 2.0)],
        5 * H,
        [Expect(RAISE, 2 * H, 2 * H)],
    ),
    "balance: nothing drawn at all": (
        LOSS,
        [*meter("bulk/volume", 0, 5 * H, 0.0), *meter("flat-1/volume", 0, 5 * H, 0.0)],
        5 * H,
        [],
    ),
    "balance: a meter that comes an hour late is waited for": (
        LOSS,
        [
            *meter("bulk/volume", 0, 5 * H, 16.0),
            *[At(it.at, it.value, it.point, late=H) for it in meter("flat-1/volume", 0, 5 * H, 8.0)],
        ],
        7 * H,
        [Expect(RAISE, 2 * H, 2 * H, retrospective=True)],
    ),
    "balance: sparse readings are taken in a straight line": (
        LOSS,
        [*meter("bulk/volume", 0, 9 * H, 16.0, 25 * M), *meter("flat-1/volume", 0, 9 * H, 8.0, 50 * M)],
        9 * H,
        [Expect(RAISE, 2 * H, 2 * H, retrospective=True)],
    ),
    "balance: it returns": (
        LOSS,
        [
            *meter("bulk/volume", 0, 9 * H, 16.0),
            *[
                At(at, 8.0 * min(at, 4 * H) / H + 16.0 * max(at - 4 * H, 0) / H, "flat-1/volume")
                for at in range(0, 9 * H, 10 * M)
            ],
        ],
        9 * H,
        [Expect(RAISE, 2 * H, 2 * H), Expect(RETURN, 5 * H, 5 * H)],
    ),
    "night: at the limit is not above it": (
        SLOTS,
        [At(at, 0.1 * at / H, "flat/volume") for at in range(0, 2 * D, 15 * M)],
        2 * D,
        [],
    ),
    "night: above it, and into the dead band": (
        SLOTS,
        water([0.0, 0.2, 0.09, 0.05]),
        4 * D,
        [Expect(RAISE, D + 21 * H, D + 21 * H), Expect(RETURN, 3 * D + 21 * H, 3 * D + 21 * H)],
    ),
    "night: a counter that was set back": (
        SLOTS,
        [
            At(it.at, (it.value if isinstance(it.value, float) else 0.0) - (100.0 if it.at > 18 * H else 0.0), it.point)
            for it in water([0.2, 0.2])
        ],
        2 * D,
        [Expect(RAISE, 21 * H, 21 * H)],
    ),
    "night: hourly readings are near enough": (SLOTS, water([0.2, 0.2], H), 2 * D, [Expect(RAISE, 21 * H, 21 * H)]),
    "baseline: of a counter": (
        HOURLY,
        [
            At(at, 2.0 * at / H + (5.0 if at >= 20 * D + 11 * H else 0.0), "flat/volume")
            for at in range(0, 21 * D, 15 * M)
        ],
        21 * D,
        [Expect(RAISE, 20 * D + 11 * H, 20 * D + 11 * H), Expect(RETURN, 20 * D + 12 * H, 20 * D + 12 * H)],
    ),
    "baseline: of a counter, less than the least": (
        HOURLY,
        [
            At(at, 2.0 * at / H + (1.9 if at >= 20 * D + 11 * H else 0.0), "flat/volume")
            for at in range(0, 21 * D, 15 * M)
        ],
        21 * D,
        [],
    ),
    "baseline: of a counter that was silent": (
        HOURLY,
        [
            At(at, 2.0 * at / H + (5.0 if at >= 20 * D + 11 * H else 0.0), "flat/volume")
            for at in range(0, 21 * D, 15 * M)
            if not 20 * D + 10 * H < at < 20 * D + 12 * H
        ],
        21 * D,
        [],
    ),
}


def test_a_balance_over_gateways_is_an_alarm_of_the_gateway_it_names() -> None:
    the_rule, readings, until, _ = EVENT_EDGES["balance: of meters on several gateways, where a third of it is lost"]
    assert {change.subject for change in play(the_rule, readings, until)} == {"gw-pump"}


@pytest.mark.parametrize("name", EVENT_EDGES)
def test_an_edge_of_events(name: str) -> None:
    the_rule, readings, until, expected = EVENT_EDGES[name]
    check(play(the_rule, readings, until), expected)


@pytest.mark.parametrize("name", EVENT_EDGES)
def test_an_edge_of_events_with_doubled_readings_and_restarts(name: str) -> None:
    the_rule, readings, until, expected = EVENT_EDGES[name]
    doubled = [*readings, *(At(it.at, it.value, it.point, it.late, it.quality) for it in readings)]
    check(play(the_rule, doubled, until, restart=[until // 3, until // 2, until - M]), expected)
