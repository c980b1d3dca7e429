"""A server's clock that jumps: alarms are told by the times of readings, none is doubled, and all come right again."""

from collections.abc import Sequence

import pytest
from tests.core.alarm_story import GOOD, RAISE, RETURN, T0, H, M, rule, series

from linli_core.alarm import Engine, Event, Note, Rule
from linli_core.instant import Instant

POINT = "room/air_temperature"
HOT = rule('kind = "limit", high = 8, hysteresis = 1, on_delay = "10 min", off_delay = "5 min"')
MEAN = rule('kind = "window", statistic = "mean", high = 8, over = "1 h", coverage = 0.1')
SILENT = rule('kind = "absence", after = "10 min"')

Change = tuple[Event | Note, Instant]


class Server:
    """An engine by a clock that is now and then wrong; a point is read every minute all the while."""

    def __init__(self, the_rule: Rule) -> None:
        self.engine = Engine([the_rule])
        self.bound = self.engine.bind(series(POINT), T0)
        self.told: list[Change] = []

    def run(self, minutes: Sequence[int], value: float, wrong_by: Instant = 0) -> None:
        for minute in minutes:
            at = T0 + minute * M
            changes = self.engine.tick(at + wrong_by)
            changes += self.engine.observe(self.bound, value, GOOD, at, at + wrong_by)
            self.told += [(it.event, (it.at - T0) // M) for it in changes]


@pytest.mark.parametrize("jump", [H, 24 * H, 400 * 24 * H])
def test_a_clock_that_jumps_ahead_while_it_is_warm_raises_what_would_be_raised(jump: Instant) -> None:
    """It is learnt too early, but said of the time it is so of; when the clock is right again nothing is told twice."""
    server = Server(HOT)
    server.run(range(6), 9.0)
    server.run(range(6, 8), 9.0, jump)
    server.run(range(8, 30), 9.0)
    server.run(range(30, 60), 4.0)
    assert server.told == [(RAISE, 10), (RETURN, 35)]


def test_a_clock_that_jumped_ahead_does_not_hide_that_it_was_cold_again() -> None:
    server = Server(HOT)
    server.run(range(6), 9.0)
    server.run([6], 9.0, H)
    server.run(range(7, 60), 4.0)
    assert server.told == [(RAISE, 10), (RETURN, 12)]


def test_whoever_was_called_silent_by_a_clock_that_jumped_is_heard_again_at_once() -> None:
    server = Server(SILENT)
    server.run(range(30), 4.0)
    server.run(range(30, 32), 4.0, 24 * H)
    server.run(range(32, 60), 4.0)
    assert server.told == [(RAISE, 39), (RETURN, 32)]


@pytest.mark.parametrize("jump", [-H, -24 * H])
def test_a_clock_that_is_set_back_takes_what_it_cannot_have_seen_yet_for_nothing(jump: Instant) -> None:
    """What comes from the future moves no alarm and is counted; once the clock is right, all is judged again."""
    server = Server(HOT)
    server.run(range(5), 4.0)
    server.run(range(5, 20), 9.0, jump)
    assert server.told == []
    assert server.engine.out_of_order == 15
    server.run(range(20, 40), 9.0)
    assert server.told == [(RAISE, 30)]


@pytest.mark.parametrize(("jump", "later"), [(-4 * M, 0), (4 * M, 0), (-H, 0), (H, 60)])
def test_what_is_added_up_is_added_up_by_the_times_of_readings(jump: Instant, later: int) -> None:
    """A window over the jump comes to what it would have without, or later, but by no more than the jump."""
    steady, jumping = Server(MEAN), Server(MEAN)
    for server, wrong_by in ((steady, 0), (jumping, jump)):
        server.run(range(60), 4.0)
        server.run(range(60, 65), 4.0, wrong_by)
        server.run(range(65, 200), 12.0)
        server.run(range(200, 400), 4.0)
    (raised, returned) = steady.told
    assert (raised[0], returned[0]) == (RAISE, RETURN)
    assert jumping.told[1:] == [returned]
    assert raised[1] <= jumping.told[0][1] <= raised[1] + later
