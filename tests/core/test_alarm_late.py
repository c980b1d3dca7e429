"""What comes late: alarms of the past, alarms that are disproved, events out of turn."""

import pytest
from tests.core.alarm_story import (
    DISPROVE,
    DOOR,
    MOTION,
    RAISE,
    RETURN,
    At,
    Expect,
    H,
    M,
    S,
    Story,
    blips,
    check,
    every,
    play,
    rule,
)

LIMIT = rule('kind = "limit", high = 8, hysteresis = 1, on_delay = "10 min", off_delay = "5 min"')
PRESSED = rule('kind = "state", values = [1]')
OPEN = rule('kind = "state", values = [1], on_delay = "5 min"')
WITHOUT = rule(
    'kind = "pattern", form = "without", within = "5 min", '
    'a = { values = [1], points = ["*/door_open"] }, b = { values = [0], points = ["*/door_open"] }'
)
COUNT = rule('kind = "pattern", form = "count", a = { values = [1] }, count = 3, within = "10 min"')
THEN = rule(
    'kind = "pattern", form = "then", within = "5 min", hold = "2 min", '
    'a = { values = [1], points = ["*/door_open"] }, b = { values = [1], points = ["*/motion"] }'
)

RETROSPECTIVE: dict[str, Story] = {
    "a backlog beside newer readings tells what was": (
        LIMIT,
        [
            *every(M, 0, H, 4.0),
            *[At(at, 12.0, late=5 * H) for at in range(H, 2 * H, M)],
            *[At(at, 4.0, late=5 * H) for at in range(2 * H, 3 * H, M)],
            *every(M, 3 * H, 9 * H, 4.0),
        ],
        9 * H,
        [
            Expect(RAISE, 70 * M, 70 * M, retrospective=True),
            Expect(RETURN, 125 * M, 125 * M, retrospective=True),
        ],
    ),
    "a backlog that ends while beyond is over with the reading that came in time": (
        LIMIT,
        [*[At(at, 12.0, late=5 * H) for at in range(H, 2 * H, M)], *every(M, 3 * H, 9 * H, 4.0)],
        9 * H,
        [
            Expect(RAISE, 70 * M, 70 * M, retrospective=True),
            Expect(RETURN, 3 * H + 5 * M, 3 * H + 5 * M, retrospective=True),
        ],
    ),
    "a backlog too short for the delay tells nothing": (
        LIMIT,
        [
            *[At(at, 12.0, late=5 * H) for at in range(H, H + 9 * M, M)],
            At(H + 9 * M, 4.0, late=5 * H),
            *every(M, 3 * H, 9 * H, 4.0),
        ],
        9 * H,
        [],
    ),
    "a reading a little out of turn tells nothing": (
        LIMIT,
        [*every(M, 0, H, 4.0), *[At(at + S, 12.0, late=10 * M) for at in range(0, 30 * M, M)]],
        H,
        [],
    ),
    "a press that a newer reading overtook is told at once, and is over with its own reading": (
        PRESSED,
        [*every(M, 0, H, 0.0), At(30 * M + S, 1.0, late=2 * M), At(30 * M + 3 * S, 0.0, late=2 * M)],
        H,
        [Expect(RAISE, 30 * M + S, 30 * M + S), Expect(RETURN, 30 * M + 3 * S, 30 * M + 3 * S)],
    ),
    "a press whose end came before it is told all the same": (
        PRESSED,
        [*every(M, 0, H, 0.0), At(30 * M + S, 1.0, late=2 * M), At(30 * M + 3 * S, 0.0, late=M)],
        H,
        [Expect(RAISE, 30 * M + S, 30 * M + S), Expect(RETURN, 30 * M + 3 * S, 30 * M + 3 * S)],
    ),
    "the same press twice is one": (
        PRESSED,
        [
            *every(M, 0, H, 0.0),
            *[At(30 * M + S, 1.0, late=late) for late in (2 * M, 2 * M + S, 20 * M)],
            *[At(30 * M + 3 * S, 0.0, late=late) for late in (2 * M, 2 * M + S, 20 * M)],
        ],
        H,
        [Expect(RAISE, 30 * M + S, 30 * M + S), Expect(RETURN, 30 * M + 3 * S, 30 * M + 3 * S)],
    ),
    "a press without an end is over when nothing more comes": (
        PRESSED,
        [*every(M, 0, H, 0.0), At(30 * M + S, 1.0, late=2 * M)],
        H,
        [Expect(RAISE, 30 * M + S, 30 * M + S), Expect(RETURN, 30 * M + S, 30 * M + S)],
    ),
    "a press of a quarter of an hour ago goes into the record": (
        PRESSED,
        [*every(M, 0, H, 0.0), At(30 * M + S, 1.0, late=16 * M), At(30 * M + 3 * S, 0.0, late=16 * M)],
        H,
        [
            Expect(RAISE, 30 * M + S, 30 * M + S, retrospective=True),
            Expect(RETURN, 30 * M + 3 * S, 30 * M + 3 * S, retrospective=True),
        ],
    ),
    "two presses that come late in the wrong order are two": (
        PRESSED,
        [
            *every(M, 0, H, 0.0),
            *[
                At(at + off, value, late=30 * M - at)
                for at in (20 * M, 10 * M)
                for off, value in ((S, 1.0), (2 * S, 0.0))
            ],
        ],
        H,
        [
            Expect(RAISE, 20 * M + S, 20 * M + S),
            Expect(RETURN, 20 * M + 2 * S, 20 * M + 2 * S),
            Expect(RAISE, 10 * M + S, 10 * M + S, retrospective=True),
            Expect(RETURN, 10 * M + S, 10 * M + 2 * S, retrospective=True),
        ],
    ),
    "a door that stood open in a short outage": (
        OPEN,
        [
            *every(M, 0, 20 * M, 0.0),
            *[At(at, 1.0, late=12 * M) for at in range(20 * M, 26 * M, M)],
            At(26 * M, 0.0, late=9 * M),
            *every(M, 30 * M, H, 0.0),
        ],
        H,
        [Expect(RAISE, 25 * M, 25 * M), Expect(RETURN, 26 * M, 26 * M)],
    ),
    "a door that reports only changes and stood open in an outage": (
        OPEN,
        [At(0, 0.0), At(20 * M, 1.0, late=13 * M), At(32 * M, 0.0), At(50 * M, 0.0)],
        H,
        [Expect(RAISE, 25 * M, 25 * M, retrospective=True), Expect(RETURN, 32 * M, 32 * M)],
    ),
    "a door that stood open in an outage, but too shortly": (
        OPEN,
        [
            *every(M, 0, 20 * M, 0.0),
            At(21 * M, 1.0, late=12 * M),
            At(25 * M, 0.0, late=9 * M),
            *every(M, 30 * M, H, 0.0),
        ],
        H,
        [],
    ),
    "a door that stood open while others said that it was shut did not": (
        OPEN,
        [*every(M, 0, H, 0.0), *[At(at + S, 1.0, late=12 * M) for at in range(20 * M, 40 * M, M)]],
        H,
        [],
    ),
    "what lies beyond now began with what comes late": (
        LIMIT,
        [
            *every(M, 0, 20 * M, 4.0),
            *[At(at, 12.0, late=20 * M) for at in range(22 * M, 30 * M, M)],
            *every(M, 30 * M, 38 * M, 12.0),
            *every(M, 38 * M, 2 * H, 4.0),
        ],
        2 * H,
        [Expect(RAISE, 32 * M, 32 * M, retrospective=True), Expect(RETURN, 43 * M, 43 * M, retrospective=True)],
    ),
    "a dip that comes late starts the delay anew": (
        LIMIT,
        [
            *every(M, 0, 20 * M, 4.0),
            *every(M, 20 * M, 35 * M, 12.0),
            At(28 * M + S, 4.0, late=30 * S),
            *every(M, 35 * M, H, 4.0),
        ],
        H,
        [],
    ),
    "a rise that comes late keeps an alarm from being over": (
        LIMIT,
        [
            *every(M, 0, 20 * M, 12.0),
            *every(M, 20 * M, 24 * M, 4.0),
            At(22 * M + S, 12.0, late=M),
            *every(M, 24 * M, H, 4.0),
        ],
        H,
        [Expect(RAISE, 10 * M, 10 * M), Expect(RETURN, 27 * M + S, 27 * M + S)],
    ),
    "a backlog does not end what stands": (
        LIMIT,
        [
            *every(M, 3 * H, 9 * H, 12.0),
            *[At(at, 12.0, late=5 * H) for at in range(H, 2 * H, M)],
            *[At(at, 4.0, late=5 * H) for at in range(2 * H, 3 * H, M)],
        ],
        9 * H,
        [Expect(RAISE, 3 * H + 10 * M, 3 * H + 10 * M)],
    ),
    "a door that was shut though nobody said so in time": (
        WITHOUT,
        [At(0, 0, DOOR), At(M, 1, DOOR), At(3 * M, 0, DOOR, late=20 * M)],
        H,
        [
            Expect(RAISE, 6 * M, 6 * M),
            Expect(DISPROVE, 3 * M, 3 * M),
            Expect(RETURN, 6 * M, 6 * M, retrospective=True),
        ],
    ),
    "a late reading that denies what was concluded is written beside it": (
        LIMIT,
        [At(0, 9.0), At(11 * M, 9.0), At(5 * M, 4.0, late=10 * M)],
        H,
        [Expect(RAISE, 10 * M, 10 * M), Expect(DISPROVE, 5 * M, 5 * M)],
    ),
    "the near future is a clock that is a little fast": (
        LIMIT,
        [At(10 * M, 12.0, late=-4 * M), At(30 * M, 12.0)],
        H,
        [Expect(RAISE, 20 * M, 20 * M)],
    ),
    "the far future moves nothing": (LIMIT, [At(H, 12.0, late=-50 * M), At(70 * M, 4.0)], 2 * H, []),
    "the events of a pattern may come in any order": (
        COUNT,
        [At(0, 0), At(M, 1), At(90 * S, 0), At(4 * M, 1), At(8 * M, 0), At(9 * M, 1)],
        H,
        [Expect(RAISE, 9 * M, 9 * M), Expect(RETURN, 11 * M, 11 * M)],
    ),
    "one event comes after the other though it was before": (
        THEN,
        [*[At(it.at, it.value, DOOR, late=3 * M) for it in blips(M)], *blips(3 * M, point=MOTION)],
        H,
        [Expect(RAISE, 3 * M, 3 * M), Expect(RETURN, 5 * M, 5 * M)],
    ),
}


@pytest.mark.parametrize("name", RETROSPECTIVE)
def test_what_comes_late(name: str) -> None:
    the_rule, readings, until, expected = RETROSPECTIVE[name]
    check(play(the_rule, readings, until), expected)


@pytest.mark.parametrize("name", RETROSPECTIVE)
def test_what_comes_late_over_restarts(name: str) -> None:
    the_rule, readings, until, expected = RETROSPECTIVE[name]
    check(play(the_rule, readings, until, restart=range(M, until, max(until // 20, M))), expected)
