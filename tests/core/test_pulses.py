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


def test_the_first_count_is_where_counting_begins_and_each_is_confirmed_by_the_next() -> None:
    counter = PulseCounter(SCALE)
    assert counter.count(65_530, 0) == 0
    assert counter.register == Decimal("1234.5")
    assert counter.count(65_535, 10 * SECOND) == 0
    assert counter.count(3, 20 * SECOND) == 5
    assert counter.count(3, 30 * SECOND) == 4
    assert (counter.register, counter.state.seen) == (Decimal("1234.59"), 20 * SECOND)
    assert not counter.doubtful


def test_a_logger_that_lost_its_count_leaves_a_doubt() -> None:
    counter = PulseCounter(SCALE, PulseState(100, 30_000, 0, 0))
    assert counter.count(7, 60 * SECOND) is None
    assert counter.count(8, 120 * SECOND) == 7
    assert (counter.state.pulses, counter.state.resets, counter.doubtful) == (107, 1, True)
    plain = PulseCounter(PulseScale(Decimal(1)), PulseState(100, 50, 0, 0))
    assert plain.count(48, 3600 * SECOND) is None
    assert plain.count(49, 3600 * SECOND) == 48
    assert plain.doubtful


def test_a_long_absence_may_have_run_over() -> None:
    counter = PulseCounter(SCALE, PulseState(100, 30_000, 0, 0))
    counter.count(7, 86_400 * SECOND)
    assert counter.count(8, 86_460 * SECOND) == 65_536 - 30_000 + 7
    assert not counter.doubtful


@pytest.mark.parametrize("count", [-1, 65_536, 10**30])
def test_a_count_that_cannot_be_changes_nothing(count: int) -> None:
    counter = PulseCounter(SCALE, PulseState(100, 30_000, 0, 0))
    with pytest.raises(ProtocolError) as caught:
        counter.count(count, 0)
    assert caught.value.kind == "out_of_range"
    assert counter.state == PulseState(100, 30_000, 0, 0)


@pytest.mark.parametrize("damaged", [912_346, 1_234, 12_946, 12_347, 2_346, 0])
def test_a_digit_that_changed_or_was_lost_moves_nothing(damaged: int) -> None:
    counter = PulseCounter(PulseScale(Decimal(10)), PulseState(7, 12_345, 0, 0))
    for minute, count in enumerate([12_345, damaged, 12_346, 12_346, 12_350, 12_350], 1):
        with suppress(ProtocolError):
            counter.count(count, minute * 60 * SECOND)
    assert (counter.state.pulses, counter.doubtful) == (12, False)


def test_a_count_that_was_damaged_is_told() -> None:
    counter = PulseCounter(PulseScale(Decimal(10)), PulseState(0, 12_345, 0, 0))
    counter.count(12_945, 60 * SECOND)
    with pytest.raises(ProtocolError, match="12945 between 12345 and 12346") as caught:
        counter.count(12_346, 120 * SECOND)
    assert caught.value.kind == "unconfirmed"
    assert counter.count(12_346, 180 * SECOND) == 1


def test_a_first_count_that_lost_a_digit_is_not_where_counting_begins() -> None:
    counter = PulseCounter(PulseScale(Decimal(10)))
    for minute, count in enumerate([1_234, 12_346, 12_347, 12_348]):
        counter.count(count, minute * 60 * SECOND)
    assert counter.state.pulses == 1


def test_lines_that_waited_on_the_way_come_all_at_once() -> None:
    counter = PulseCounter(SCALE, PulseState(0, 100, 0, 0))
    assert [counter.count(count, 600 * SECOND) for count in (200, 300, 400, 400)] == [None, 100, 100, 100]


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30),
    st.data(),
)
def test_damage_of_single_lines_moves_the_register_for_no_good(steps: list[int], data: st.DataObject) -> None:
    counter = PulseCounter(PulseScale(Decimal(1)), PulseState(0, 10_000, 0, 0, 10_000, 0))
    count, now, damaged = 10_000, 0, True
    for step in steps:
        now += 60 * SECOND
        count += step
        # Two in a row that happen to agree are a count like any other.
        damaged = not damaged and data.draw(st.booleans())
        said = data.draw(st.integers(0, 10**7)) if damaged else count
        before = counter.register
        with suppress(ProtocolError):
            counter.count(said, now)
        assert before <= counter.register <= count - 10_000
    for _ in range(2):
        now += 60 * SECOND
        with suppress(ProtocolError):
            counter.count(count, now)
    assert counter.register == count - 10_000
    assert not counter.doubtful


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
