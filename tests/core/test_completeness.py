"""What should have come of a day: by the plan as it was at each moment, and never more than must have been due."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.completeness import Completeness, Step, add_step, expected
from linli_core.errors import RefusalReason, Refused
from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.wire.plan import MOST_POINTS, from_data, to_data

INTERVALS = st.one_of(st.none(), st.sampled_from([SECOND, 7 * SECOND, MINUTE, 15 * MINUTE, HOUR, DAY]))
STEPS = st.lists(st.tuples(st.integers(0, 40).map(lambda hour: hour * HOUR), INTERVALS), max_size=8)


def history(said: list[Step]) -> list[Step]:
    steps: list[Step] = []
    for since, interval in sorted(said, key=lambda step: step[0]):
        add_step(steps, since, interval)
    return steps


def in_force(said: list[Step], moment: int) -> int | None:
    """Return the interval that holds at a moment, by looking at all that was said."""
    found = [(since, place, interval) for place, (since, interval) in enumerate(said) if since <= moment]
    return max(found, key=lambda step: step[:2])[2] if found else None


@given(STEPS, st.integers(0, 40))
def test_the_history_says_what_held_at_each_moment(said: list[Step], hour: int) -> None:
    steps = history(said)
    assert [since for since, _ in steps] == sorted({since for since, _ in steps})
    held = [interval for since, interval in steps if since <= hour * HOUR]
    assert (held[-1] if held else None) == in_force(said, hour * HOUR)


@given(STEPS, st.integers(0, 30), st.integers(1, 25))
def test_what_is_expected_is_what_each_hours_interval_comes_to(said: list[Step], first: int, hours: int) -> None:
    by_hour = [in_force(said, (first + hour) * HOUR) for hour in range(hours)]
    known = [interval for interval in by_hour if interval is not None]
    whole = sum(Fraction(HOUR, interval) for interval in known)
    found = expected(history(said), first * HOUR, (first + hours) * HOUR)
    assert found == (int(whole) if known else None)


@pytest.mark.parametrize(("hours", "readings"), [(23, 92), (24, 96), (25, 100)])
def test_days_have_the_hours_they_have(hours: int, readings: int) -> None:
    assert expected([(0, 15 * MINUTE)], 10 * DAY, 10 * DAY + hours * HOUR) == readings


def test_nothing_is_expected_before_the_first_plan_nor_after_the_last_word_of_a_device() -> None:
    steps = [(6 * HOUR, MINUTE), (18 * HOUR, None)]
    assert expected(steps, 0, DAY) == 12 * 60
    assert expected(steps, 0, 6 * HOUR) is None
    assert expected(steps, DAY, 2 * DAY) is None
    assert expected([], 0, DAY) is None


def test_unknown_is_never_zero() -> None:
    unknown = Completeness(None, 5, 4, 0)
    assert (unknown.missing, unknown.fulfilled, unknown.share) == (None, None, None)
    known = Completeness(10, 7, 6, 2)
    assert (known.missing, known.fulfilled, known.share) == (3, 6, 0.6)
    too_many = Completeness(10, 12, 12, 0)
    assert (too_many.missing, too_many.fulfilled, too_many.share) == (0, 10, 1.0)
    none_due = Completeness(expected=0, received=1, good=1, late=0)
    assert (none_due.missing, none_due.fulfilled, none_due.share) == (0, None, None)


NAMES = st.builds(
    lambda device, quantity: f"meter-{device}/{quantity}",
    st.integers(0, 300),
    st.sampled_from(["voltage.l1", "voltage.l2", "energy_import.t1", "active_power"]),
)


@given(st.dictionaries(NAMES, INTERVALS, max_size=900))
def test_a_plan_comes_back_in_parts_that_fit(intervals: dict[str, int | None]) -> None:
    devices = sorted({name.partition("/")[0] for name in intervals} | {"meter-999"})
    plans = [from_data(data) for data in to_data(intervals, devices)]
    assert plans[0].devices == devices
    assert all(plan.devices is None for plan in plans[1:])
    back: dict[str, int | None] = {}
    for plan in plans:
        assert sum(len(points) for points in plan.points.values()) <= MOST_POINTS
        assert not back.keys() & plan.intervals().keys()
        back |= plan.intervals()
    assert back == intervals


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"points": []},
        {"points": {"m": {"voltage": 0}}},
        {"points": {"m": {"voltage": -1}}},
        {"points": {"m": {"voltage": "1"}}},
        {"points": {"m": {"voltage": 1e9}}},
        {"points": {}, "devices": "m"},
        {"points": {}, "devices": ["m"] * 10_001},
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_name(data: dict[str, object]) -> None:
    with pytest.raises(Refused) as caught:
        from_data(data)
    assert caught.value.reason is RefusalReason.MALFORMED


def test_what_is_no_point_is_left_out_and_what_is_not_known_ignored() -> None:
    plan = from_data({"points": {"m 1": {"voltage": 1}, "m-1": {"Voltage": 1, "voltage": 2}}, "by": "li"})
    assert plan.intervals() == {"m-1/voltage": 2 * SECOND}
