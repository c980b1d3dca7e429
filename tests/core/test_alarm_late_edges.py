"""Stories at the edges of what comes late: at the very moment, in the dead band, one run after another."""

import pytest
from tests.core.alarm_story import DISPROVE, RAISE, RETURN, At, Expect, H, M, S, Story, check, every, play, rule
from tests.core.test_alarm_edges import NIGHTLY
from tests.core.test_alarm_late import LIMIT

HOUR = rule('kind = "limit", high = 8, hysteresis = 1, on_delay = "1 h"')
HALF_HOUR = rule('kind = "limit", high = 8, hysteresis = 1, on_delay = "30 min"')
SLOW_TO_RETURN = rule('kind = "limit", high = 8, hysteresis = 1, on_delay = "20 min", off_delay = "1 h"')
HELD = rule('kind = "limit", high = 8, off_delay = "5 min"')
AT_ONCE = rule('kind = "limit", high = 8, hysteresis = 1')
FROST = rule('kind = "limit", low = 0, hysteresis = 1')


def come(at: int, *readings: At) -> list[At]:
    """Readings that all come at one time."""
    return [At(it.at, it.value, it.point, late=at - it.at) for it in readings]


LATE_EDGES: dict[str, Story] = {
    "limit: a low one of zero degrees, and back by as much as it must": (
        FROST,
        [At(0, 0.0), At(M, -0.1), At(2 * M, 0.9), At(3 * M, 1.0)],
        H,
        [Expect(RAISE, M, M), Expect(RETURN, 3 * M, 3 * M)],
    ),
    "the moment an alarm is raised is none that denies it": (
        LIMIT,
        [At(0, 9.0), At(11 * M, 9.0), *come(15 * M, At(10 * M, 4.0))],
        H,
        [Expect(RAISE, 10 * M, 10 * M)],
    ),
    "a second earlier it is": (
        LIMIT,
        [At(0, 9.0), At(11 * M, 9.0), *come(15 * M, At(10 * M - S, 4.0))],
        H,
        [Expect(RAISE, 10 * M, 10 * M), Expect(DISPROVE, 10 * M - S, 10 * M - S)],
    ),
    "what lies in the dead band denies as well": (
        LIMIT,
        [At(0, 9.0), At(11 * M, 9.0), *come(15 * M, At(5 * M, 7.5))],
        H,
        [Expect(RAISE, 10 * M, 10 * M), Expect(DISPROVE, 5 * M, 5 * M)],
    ),
    "what lies beyond does not, and changes nothing": (
        LIMIT,
        [At(0, 9.0), At(11 * M, 9.0), *come(15 * M, At(5 * M, 8.5)), At(20 * M, 4.0)],
        H,
        [Expect(RAISE, 10 * M, 10 * M), Expect(RETURN, 25 * M, 25 * M)],
    ),
    "a value of the very opening denies what counts from then": (
        NIGHTLY,
        [*every(H, 30 * M, 20 * H, 9.0), *come(15 * H, At(14 * H, 4.0))],
        20 * H,
        [Expect(RAISE, 14 * H + 5 * M, 14 * H + 5 * M), Expect(DISPROVE, 14 * H, 14 * H)],
    ),
    "what lies beyond after a silence counts from the late reading on": (
        HOUR,
        [At(0, 4.0), *every(5 * M, 90 * M, 3 * H, 12.0), *come(91 * M, At(H, 12.0)), At(3 * H, 4.0)],
        4 * H,
        [Expect(RAISE, 2 * H, 2 * H), Expect(RETURN, 3 * H, 3 * H)],
    ),
    "but not from one that was back": (
        HOUR,
        [At(0, 4.0), *every(5 * M, 90 * M, 3 * H, 12.0), *come(91 * M, At(H, 4.0)), At(3 * H, 4.0)],
        4 * H,
        [Expect(RAISE, 150 * M, 150 * M), Expect(RETURN, 3 * H, 3 * H)],
    ),
    "nor from one in a silence before": (
        HOUR,
        [
            At(0, 4.0),
            *every(5 * M, 90 * M, 150 * M, 4.0),
            *every(5 * M, 150 * M, 5 * H, 12.0),
            *come(152 * M, At(H, 12.0)),
            At(5 * H, 4.0),
        ],
        6 * H,
        [Expect(RAISE, 210 * M, 210 * M), Expect(RETURN, 5 * H, 5 * H)],
    ),
    "nor does a late rise put off what returns since": (
        SLOW_TO_RETURN,
        [
            *every(5 * M, 0, 40 * M, 12.0),
            *every(5 * M, 80 * M, 4 * H, 4.0),
            *come(85 * M, At(65 * M, 12.0)),
        ],
        4 * H,
        [Expect(RAISE, 20 * M, 20 * M), Expect(RETURN, 140 * M, 140 * M)],
    ),
    "an alarm of the past goes on as one of now": (
        HALF_HOUR,
        [
            *every(M, 0, 20 * M, 4.0),
            *come(62 * M, *every(M, 22 * M, 61 * M, 12.0)),
            *every(M, 61 * M, 85 * M, 12.0),
            *every(M, 85 * M, 3 * H, 4.0),
            *come(100 * M, At(30 * M + S, 4.0)),
        ],
        3 * H,
        [Expect(RAISE, 52 * M, 52 * M), Expect(RETURN, 85 * M, 85 * M), Expect(DISPROVE, 30 * M + S, 30 * M + S)],
    ),
    "an alarm of the past that is over ends none of now": (
        LIMIT,
        [
            *every(M, 0, 20 * M, 4.0),
            At(H, 4.0),
            *come(62 * M, *every(M, 22 * M, 41 * M, 12.0)),
            *every(M, 61 * M, 80 * M, 12.0),
            *every(M, 80 * M, 2 * H, 4.0),
        ],
        2 * H,
        [Expect(RAISE, 32 * M, 32 * M, retrospective=True), Expect(RETURN, 85 * M, 85 * M)],
    ),
    "an alarm of the past does not end with the one before it": (
        LIMIT,
        [
            At(0, 4.0),
            *every(M, 3 * H, 5 * H, 4.0),
            *come(181 * M, *every(M, 60 * M, 76 * M, 12.0)),
            *come(182 * M, At(55 * M, 4.0), *every(M, 30 * M, 46 * M, 12.0)),
        ],
        5 * H,
        [Expect(RAISE, 70 * M, 70 * M, retrospective=True), Expect(RETURN, 185 * M, 185 * M)],
    ),
    "the end of a late run concludes no more than what always comes late allows": (
        LIMIT,
        [
            *[At(it.at, it.value, late=5 * M) for it in every(M, 0, H, 4.0)],
            *[At(it.at, it.value, late=5 * M) for it in every(M, H, 66 * M, 12.0)],
            *[At(it.at, it.value, late=5 * M) for it in every(M, 66 * M, 2 * H, 4.0)],
            *come(H, At(-5 * M, 4.0)),
        ],
        2 * H,
        [],
    ),
    "a press of the past is over before the alarm after it, and told beside it": (
        HELD,
        [
            *every(M, 0, 20 * M, 4.0),
            At(20 * M, 9.0),
            *every(M, 21 * M, H, 4.0),
            *come(40 * M, At(19 * M + 30 * S, 9.0)),
        ],
        H,
        [
            Expect(RAISE, 20 * M, 20 * M),
            Expect(RETURN, 26 * M, 26 * M),
            Expect(RAISE, 19 * M + 30 * S, 19 * M + 30 * S, retrospective=True),
            Expect(RETURN, 24 * M + 30 * S, 24 * M + 30 * S, retrospective=True),
        ],
    ),
    "a press in the moment an alarm was over is another": (
        HELD,
        [
            *every(M, 0, 20 * M, 4.0),
            At(20 * M, 9.0),
            At(21 * M, 4.0),
            At(24 * M, 4.0),
            *every(M, 27 * M, H, 4.0),
            *come(40 * M, At(26 * M, 9.0)),
        ],
        H,
        [
            Expect(RAISE, 20 * M, 20 * M),
            Expect(RETURN, 26 * M, 26 * M),
            Expect(RAISE, 26 * M, 26 * M),
            Expect(RETURN, 31 * M, 31 * M, retrospective=True),
        ],
    ),
    "a late run that tells of one alarm and then of another": (
        AT_ONCE,
        [
            *every(M, 0, H, 4.0),
            *come(40 * M, At(20 * M + S, 9.0), At(20 * M + 2 * S, 7.5), At(20 * M + 3 * S, 9.0)),
            *come(41 * M, At(20 * M + 4 * S, 4.0)),
        ],
        H,
        [
            Expect(RAISE, 20 * M + S, 20 * M + S, retrospective=True),
            Expect(RETURN, 20 * M + S, 20 * M + 4 * S, retrospective=True),
            Expect(RAISE, 20 * M + 3 * S, 20 * M + 3 * S, retrospective=True),
            Expect(RETURN, 20 * M + 4 * S, 20 * M + 4 * S, retrospective=True),
        ],
    ),
}


@pytest.mark.parametrize("name", LATE_EDGES)
def test_an_edge_of_what_comes_late(name: str) -> None:
    the_rule, readings, until, expected = LATE_EDGES[name]
    check(play(the_rule, readings, until), expected)


@pytest.mark.parametrize("name", LATE_EDGES)
def test_an_edge_of_what_comes_late_with_doubled_readings_and_restarts(name: str) -> None:
    the_rule, readings, until, expected = LATE_EDGES[name]
    doubled = [*readings, *(At(it.at, it.value, it.point, it.late, it.quality) for it in readings)]
    check(play(the_rule, doubled, until, restart=[until // 3, until // 2, until - M]), expected)
