"""The backlog on lines from slow to fast: it fills them, and what is new gets through."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.instant import SECOND
from linli_core.log import LogState, Sender
from linli_core.log.pace import FIRST, Pace
from linli_core.wire.messages import Ack

MILLISECOND: Final = SECOND // 1000
STEP: Final = 10 * MILLISECOND
EVERY: Final = 2 * SECOND
HELD: Final = 100_000


def play(per_message: int, way: int, seconds: int) -> tuple[int, list[int]]:
    """Send a backlog over a line; return how many arrived and how long each alarm, one every two seconds, took.

    Args:
        per_message: Microseconds that each message takes of the line.
        way: Microseconds from its arrival to its ack.
        seconds: How long.
    """
    sender = Sender(LogState("e", HELD + 1))
    sender.connected(0)
    sender.ack(Ack("e", 0), 0)
    line: list[tuple[int, int]] = []
    free_at, next_alarm, done, arrived = 0, EVERY, set[int](), 0
    raised: dict[int, int] = {}
    took: list[int] = []
    for now in range(0, seconds * SECOND, STEP):
        if now >= next_alarm:
            seq = sender.next_seq
            sender.appended(seq, seq, [seq])
            raised[seq] = now
            next_alarm += EVERY
        while (offered := sender.next_to_send(now)) is not None:
            free_at = max(free_at, now) + per_message
            line.append((free_at, offered))
        while line and line[0][0] <= now and line[0][0] + way <= now:
            at, seq = line.pop(0)
            arrived += seq not in done
            done.add(seq)
            if seq in raised:
                took.append(at - raised.pop(seq))
        if now % (100 * MILLISECOND) == 0 and done:
            low = next(seq for seq in range(max(1, sender.acked.run_end(1)), HELD + 2) if seq not in done) - 1
            sender.ack(Ack("e", low, tuple((seq, seq) for seq in sorted(done) if seq > HELD)[-60:]), now)
    return arrived, took


@pytest.mark.parametrize(
    ("per_message", "way"),
    [
        pytest.param(50 * MILLISECOND, 200 * MILLISECOND, id="mobile"),
        pytest.param(50 * MILLISECOND, 1500 * MILLISECOND, id="far away"),
        pytest.param(400 * MILLISECOND, 300 * MILLISECOND, id="very slow"),
        pytest.param(2 * MILLISECOND, 50 * MILLISECOND, id="fast"),
    ],
)
def test_a_slow_line_is_kept_full_and_an_alarm_gets_through(per_message: int, way: int) -> None:
    arrived, took = play(per_message, way, 60)
    assert arrived >= 0.75 * 60 * SECOND / per_message
    assert len(took) >= 25
    # The first ones find the line while it is being measured.
    assert max(took[:6]) <= way + SECOND + 9 * per_message
    assert max(took[6:]) <= SECOND + 2 * per_message


def test_a_connection_begins_with_little_and_doubles_until_the_line_is_full() -> None:
    pace = Pace(500, 448)
    given = []
    for round_ in range(7):
        given.append(pace.allowed)
        pace.arrived(pace.allowed, round_ * 100, round_ * 100 + 50, full=True)
    assert given == [8, 16, 32, 64, 128, 256, 448]
    pace.arrived(448, 1_000, 2_100, full=True)
    assert pace.allowed == 448 * 550 // 1_100, "it took 1,100 where 50 and 500 are allowed"
    pace.arrived(100, 1_500, 3_000, full=True)
    assert pace.allowed == 224, "offered before the cut"
    pace.arrived(40, 2_100, 2_200, full=True)
    assert pace.allowed == 234
    pace.overdue(5_000)
    assert pace.allowed == 117
    for _ in range(10):
        pace.overdue(6_000)
    assert pace.allowed == FIRST, "no news is no measure of the line"


def test_what_does_not_fill_its_allowance_proves_nothing() -> None:
    pace = Pace(500, 448)
    pace.arrived(4, 0, 10, full=False)
    assert pace.allowed == FIRST


def test_a_line_that_became_slow_for_good_is_measured_anew() -> None:
    pace = Pace(500, 448)
    pace.arrived(8, 0, 10, full=True)
    now = 1_000
    for _ in range(20):
        pace.arrived(pace.allowed, now, now + 20_000, full=True)
        now += 20_000
    assert pace.allowed > 1, "alone under way it takes as long: that is the line"


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(-100, 10**8), st.booleans(), st.booleans())),
    st.integers(-5, 600),
)
def test_there_is_always_room_for_one_and_never_for_more_than_the_window(
    steps: list[tuple[int, int, bool, bool]], most: int
) -> None:
    pace = Pace(500_000, most)
    now = 0
    for count, took, full, late in steps:
        now += 1_000
        if late:
            pace.overdue(now)
        pace.arrived(count, now - took, now, full=full)
        assert 1 <= pace.allowed <= max(1, most)
