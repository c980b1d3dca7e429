"""Pulses: running over, loggers that lose their count, bouncing contacts; a register that never falls."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import ProtocolError
from linli_core.instant import SECOND
from linli_core.pulses import PulseCounter, PulseScale, PulseState

SCALE = PulseScale(Decimal("0.01"), Decimal("1234.5"), 1 << 16, 50_000, 2.0)


def test_the_first_count_is_where_counting_begins() -> None:
    counter = PulseCounter(SCALE)
    assert counter.count(65_530, 0) == 0
    assert counter.register == Decimal("1234.5")
    assert counter.count(65_535, 10 * SECOND) == 5
    assert counter.count(3, 20 * SECOND) == 4
    assert counter.register == Decimal("1234.59")
    assert not counter.doubtful


def test_a_logger_that_lost_its_count_leaves_a_doubt() -> None:
    counter = PulseCounter(SCALE, PulseState(100, 30_000, 0, 0))
    assert counter.count(7, 60 * SECOND) == 7
    assert (counter.state.pulses, counter.state.resets, counter.doubtful) == (107, 1, True)
    plain = PulseCounter(PulseScale(Decimal(1)), PulseState(100, 50, 0, 0))
    assert plain.count(49, 3600 * SECOND) == 49
    assert plain.doubtful


def test_a_long_absence_may_have_run_over() -> None:
    counter = PulseCounter(SCALE, PulseState(100, 30_000, 0, 0))
    assert counter.count(7, 86_400 * SECOND) == 65_536 - 30_000 + 7
    assert not counter.doubtful


@pytest.mark.parametrize("count", [-1, 65_536, 10**30])
def test_a_count_that_cannot_be_changes_nothing(count: int) -> None:
    counter = PulseCounter(SCALE, PulseState(100, 30_000, 0, 0))
    with pytest.raises(ProtocolError) as caught:
        counter.count(count, 0)
    assert caught.value.kind == "out_of_range"
    assert counter.state == PulseState(100, 30_000, 0, 0)


def test_a_digit_that_changed_on_the_way_is_no_use() -> None:
    counter = PulseCounter(PulseScale(Decimal(10)), PulseState(0, 12_345, 0, 0))
    with pytest.raises(ProtocolError) as caught:
        counter.count(912_346, 60 * SECOND)
    assert caught.value.kind == "out_of_range"
    assert counter.count(12_347, 120 * SECOND) == 2
    assert not counter.doubtful


def test_lines_that_waited_on_the_way_come_all_at_once() -> None:
    counter = PulseCounter(SCALE, PulseState(0, 100, 0, 0))
    assert [counter.count(count, 600 * SECOND) for count in (200, 300, 400)] == [100, 100, 100]


def test_bouncing_is_one_pulse() -> None:
    counter = PulseCounter(SCALE)
    # Each bounce prolongs the wait: a contact that rings for long is still one pulse.
    assert [counter.pulse(at) for at in (0, 10_000, 40_000, 80_000, 140_000, 139_000)] == [
        True, False, False, False, True, True,
    ]  # fmt: skip
    assert (counter.state.pulses, counter.bounced) == (3, 3)


@given(st.lists(st.tuples(st.integers(0, 65_535), st.integers(-5, 10_000)), max_size=30))
def test_a_register_never_falls_and_a_restart_changes_nothing(steps: list[tuple[int, int]]) -> None:
    counter, restarted, now = PulseCounter(SCALE), PulseCounter(SCALE), 0
    for count, seconds in steps:
        now += seconds * SECOND
        before = counter.register
        restarted = PulseCounter(SCALE, restarted.state)
        for each in (counter, restarted):
            with suppress(ProtocolError):  # faster than the meter can be
                each.count(count, now)
        assert counter.register >= before
        assert restarted.state == counter.state
