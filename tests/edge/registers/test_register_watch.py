"""What may follow what on a register, told as timelines, and for any course that physics allows."""

from decimal import Decimal
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.model import Point, Quality, Reading, Reason
from linli_core.vocabulary import vocabulary
from linli_edge.registers.billing import BillingSettings
from linli_edge.registers.book import RegisterBook, RegisterSettings
from linli_edge.registers.watch import FASTEST, UNKNOWN, Baseline, Happening, RegisterWatch, Told

START: Instant = 1_790_000_000 * SECOND
WH = FASTEST["Wh"]
RESET, DIP, JUMP, UNIT = (
    Reason.REGISTER_RESET,
    Reason.ZERO_DIP,
    Reason.IMPLAUSIBLE_RISE,
    Reason.UNIT_JUMP,
)


class Seen(NamedTuple):
    reasons: list[Reason | None]
    told: list[Told]


def course(*steps: tuple[int, float], moduli: tuple[float, ...] = (), watch: RegisterWatch | None = None) -> Seen:
    """Feed values at minutes from the start; return what each was found to be and what was told."""
    watch = watch or RegisterWatch(WH, moduli)
    found = [watch.judge(value, START + minute * MINUTE) for minute, value in steps]
    return Seen([reason for reason, _ in found], [told for _, told in found if told is not None])


def test_a_register_that_rises_is_left_alone() -> None:
    assert course((0, 1_000), (15, 1_250), (30, 1_250), (45, 9_000)) == ([None] * 4, [])


def test_a_moment_of_zero_is_doubted_and_costs_nothing() -> None:
    seen = course((0, 5e6), (1, 0), (2, 0), (3, 5_000_100))
    assert seen.reasons == [None, DIP, DIP, None]
    (told,) = seen.told
    assert (told.kind, told.before, told.after) == (Happening.ZERO_DIP, 5e6, 0)


def test_a_reset_is_believed_once_it_counts_again() -> None:
    seen = course((0, 5e6), (15, 0), (30, 40), (45, 90), (60, 130))
    assert seen.reasons == [None, DIP, RESET, None, None]
    (told,) = seen.told
    assert (told.kind, told.before, told.after, told.after_at) == (Happening.RESET, 5e6, 0, START + 15 * MINUTE)


def test_a_meter_that_stands_at_zero_for_a_day_was_reset() -> None:
    hourly = [(60 * hour, 0.0) for hour in range(1, 27)]
    seen = course((0, 5e6), *hourly)
    assert seen.reasons[:25] == [None, *[DIP] * 24]
    assert seen.reasons[25:] == [None, None]
    assert [told.kind for told in seen.told] == [Happening.RESET]


def test_a_reset_to_another_value_is_believed_after_three_readings() -> None:
    seen = course((0, 5e6), (15, 700), (30, 760), (45, 830))
    assert seen.reasons == [None, RESET, RESET, None]
    assert [(told.kind, told.after) for told in seen.told] == [(Happening.RESET, 700)]


def test_three_readings_within_seconds_are_too_few() -> None:
    watch = RegisterWatch(WH)
    assert watch.judge(5e6, START) == (None, None)
    reasons = [watch.judge(700.0, START + second * SECOND)[0] for second in range(1, 60)]
    assert set(reasons) == {RESET}
    assert watch.judge(700.0, START + 61 * SECOND)[0] is None


def test_one_garbled_reading_is_a_glitch() -> None:
    seen = course((0, 5e6), (15, 4_294_967_295.0), (30, 5_000_200))
    assert seen.reasons == [None, JUMP, None]
    assert [told.kind for told in seen.told] == [Happening.GLITCH]
    seen = course((0, 5e6), (15, 4_000_000), (30, 5_000_200))
    assert seen.reasons == [None, RESET, None]


def test_garbage_that_does_not_follow_itself_is_never_believed() -> None:
    seen = course((0, 5e6), (15, 4e9), (30, 8e8), (45, 4e9), (60, 3e7), (75, 4e9), (90, 5_000_900))
    assert seen.reasons == [None, JUMP, JUMP, JUMP, JUMP, JUMP, None]


def test_a_rise_that_stays_is_believed_and_told() -> None:
    seen = course((0, 5e6), (15, 4e8), (30, 4e8 + 100), (45, 4e8 + 200))
    assert seen.reasons == [None, JUMP, JUMP, None]
    assert [(told.kind, told.before, told.after) for told in seen.told] == [(Happening.JUMP, 5e6, 4e8)]


@pytest.mark.parametrize("factor", [1000.0, 0.001, 10.0, 0.1])
def test_a_unit_that_jumps_is_named_and_never_believed_by_itself(factor: float) -> None:
    values = [5e9 * factor + 10 * step for step in range(40)]
    seen = course((0, 5e9), *[(15 * step, value) for step, value in enumerate(values, 1)])
    assert seen.reasons == [None, *[UNIT] * 40]
    (told,) = seen.told
    assert (told.kind, told.factor) == (Happening.UNIT_JUMP, factor)


def test_a_unit_that_comes_back_goes_on_where_it_was() -> None:
    seen = course((0, 5e9), (15, 5e6), (30, 5e6), (45, 5e6), (60, 5_000_000_100))
    assert seen.reasons == [None, UNIT, UNIT, UNIT, None]
    assert [told.kind for told in seen.told] == [Happening.UNIT_JUMP, Happening.GLITCH]


HOME = UNKNOWN["Wh"]


def small(*steps: tuple[int, float], watch: RegisterWatch | None = None) -> Seen:
    """As :func:`course`, for a register whose own pace counts."""
    return course(*steps, watch=watch or RegisterWatch(WH, unknown=HOME))


class TestAUnitThatJumpsWithinWhatPhysicsAllows:
    """Twenty megawatts are a wide limit: to most meters a tenfold is nothing, least of all after a week off."""

    def test_a_small_meter_times_ten_is_named_and_stays_doubtful(self) -> None:
        seen = small((0, 500e3), *[(15 * step, 5e6 + 2e3 * step) for step in range(1, 400)])
        assert set(seen.reasons[1:]) == {UNIT}
        (told,) = seen.told
        assert (told.kind, told.factor) == (Happening.UNIT_JUMP, 10.0)

    @pytest.mark.parametrize("factor", [10.0, 1000.0])
    def test_a_big_meter_after_a_week_off(self, factor: float) -> None:
        week = 7 * 24 * 60
        seen = small((0, 100e6), (week, 100e6 * factor + 2e6), (week + 15, 100e6 * factor + 2.01e6))
        assert seen.reasons == [None, UNIT, UNIT]

    def test_a_household_after_a_week_off_once_its_pace_is_known(self) -> None:
        day = [(15 * step, 10e6 + 300.0 * step) for step in range(100)]
        week = 7 * 24 * 60
        seen = small(*day, (1485 + week, 101e6), (1500 + week, 101e6))
        assert seen.reasons[100:] == [UNIT, UNIT]

    def test_a_tenth_of_a_small_meter_is_a_unit_too_and_no_reset(self) -> None:
        seen = small((0, 500e3), *[(15 * step, 50e3 + 20.0 * step) for step in range(1, 40)])
        assert set(seen.reasons[1:]) == {UNIT}

    @pytest.mark.parametrize("strange", [5e6, 50e3])
    def test_it_comes_back(self, strange: float) -> None:
        seen = small((0, 500e3), (15, strange), (30, strange), (45, 501e3), (60, 501e3))
        assert seen.reasons == [None, UNIT, UNIT, None, None]
        assert [told.kind for told in seen.told][-1] is Happening.GLITCH

    def test_the_feeder_that_is_switched_on_is_a_rise_after_all(self) -> None:
        """It happens to come to ten times of what it was, and goes on as fast."""
        seen = small((0, 1e6), (60, 10.1e6), (75, 12.4e6), (90, 14.7e6), (105, 17e6))
        assert seen.reasons == [None, UNIT, UNIT, None, None]
        (told,) = seen.told
        assert (told.kind, told.factor) == (Happening.JUMP, None)

    def test_a_fast_rise_to_no_power_of_ten_is_not_doubted(self) -> None:
        assert small((0, 500e3), (15, 4.4e6), (30, 8e6)).reasons == [None] * 3

    def test_what_it_did_before_is_no_jump(self) -> None:
        """Four windows at a megawatt, then a long outage over which it rose tenfold."""
        hour = [(15 * step, 1e6 + 250e3 * step) for step in range(5)]
        assert set(small(*hour, (60 + 20 * 60, 21e6)).reasons) == {None}

    def test_the_pace_is_remembered_and_a_swap_forgets_it(self) -> None:
        watch = RegisterWatch(WH, unknown=HOME)
        small(*[(15 * step, 1e6 + 250e3 * step) for step in range(5)], watch=watch)
        assert watch.baseline is not None
        kept = msgspec.json.decode(msgspec.json.encode(watch.baseline), type=Baseline)
        again = RegisterWatch(WH, baseline=kept, unknown=HOME)
        assert again.judge(21e6, START + 21 * HOUR) == (None, None)
        again.begin_at(2e6, START + 22 * HOUR)
        assert again.judge(21e6, START + 42 * HOUR)[0] is None, "no tenfold"
        assert again.baseline is not None
        assert again.baseline.pace is not None
        assert again.baseline.pace.watched == HOUR


@given(st.floats(0, 1e12), st.lists(st.tuples(st.integers(0, 30 * DAY), st.floats(0, 1)), min_size=1, max_size=60))
def test_no_course_of_a_house_is_ever_doubted(start: float, rises: list[tuple[int, float]]) -> None:
    watch = RegisterWatch(WH, unknown=HOME)
    value, at = start, START
    watch.judge(value, at)
    for pause, share in rises:
        # As slow as a house that is known may be, however long it was slower.
        value += share * HOME / 10 * pause / HOUR
        at += pause
        assert watch.judge(value, at) == (None, None)


@given(st.floats(0, 1e12), st.lists(st.tuples(st.integers(0, 3 * HOUR), st.floats(0, 1)), min_size=1, max_size=60))
def test_a_course_that_physics_allows_is_doubted_for_nothing_but_its_unit(
    start: float, rises: list[tuple[int, float]]
) -> None:
    watch = RegisterWatch(WH, unknown=HOME)
    value, at = start, START
    watch.judge(value, at)
    for pause, share in rises:
        value += share * WH * pause / HOUR
        at += pause
        assert watch.judge(value, at)[0] in {None, UNIT}


def test_a_rollover_at_a_known_range_is_taken_at_once() -> None:
    seen = course((0, 42_949_672_900.0), (15, 120), moduli=(42_949_672_960.0,))
    assert seen.reasons == [None, None]
    (told,) = seen.told
    assert (told.kind, told.modulus, told.assumed) == (Happening.ROLLOVER, 42_949_672_960.0, False)


def test_a_rollover_at_a_power_of_ten_is_taken_with_caution() -> None:
    seen = course((0, 999_999_990.0), (15, 400), (30, 800))
    assert seen.reasons == [None, RESET, None]
    (told,) = seen.told
    assert (told.kind, told.modulus, told.assumed) == (Happening.ROLLOVER, 1e9, True)


@pytest.mark.parametrize(("full", "moduli"), [(65_536e3, (65_536e3,)), (100e6, ())], ids=["known", "power-of-ten"])
def test_a_moment_of_zero_near_the_end_of_the_range_is_no_rollover(full: float, moduli: tuple[float, ...]) -> None:
    seen = course((0, full - 50e3), (15, 0.0), (30, full - 49e3), moduli=moduli)
    assert seen.reasons == [None, DIP, None]
    assert [told.kind for told in seen.told] == [Happening.ZERO_DIP]


def test_a_rollover_to_exactly_zero_is_one_as_soon_as_it_counts_again() -> None:
    seen = course((0, 65_500e3), (15, 0.0), (30, 0.0), (45, 10e3), moduli=(65_536e3,))
    assert seen.reasons == [None, DIP, DIP, None]
    (told,) = seen.told
    assert (told.kind, told.before, told.after, told.assumed) == (Happening.ROLLOVER, 65_500e3, 10e3, False)


def test_a_fall_from_far_below_the_range_is_no_rollover() -> None:
    assert [told.kind for told in course((0, 5e8), (15, 400), (30, 800), (45, 900)).told] == [Happening.RESET]


def test_a_rollover_that_would_be_too_fast_is_none() -> None:
    seen = course((0, 999_999_990.0), (1, 90_000_000.0))
    assert seen.reasons == [None, RESET]
    assert seen.told == []


def test_a_clock_that_is_set_back_gives_no_reason_to_doubt() -> None:
    watch = RegisterWatch(WH)
    watch.judge(1_000.0, START + DAY)
    assert watch.judge(1_010.0, START) == (None, None)
    assert watch.judge(1_020.0, START + MINUTE) == (None, None)


@pytest.mark.parametrize("by", [2 * DAY, -2 * DAY])
def test_a_clock_that_is_set_confirms_no_zero_and_delays_none(by: int) -> None:
    watch = RegisterWatch(WH)
    course((0, 1_000), (15, 0), (30, 0), (45, 0), watch=watch)
    watch.moved(by, START)
    at = START + by
    assert watch.judge(0, at + HOUR) == (DIP, None)
    reason, told = watch.judge(0, at + DAY + 15 * MINUTE)
    assert reason is None
    assert told is not None
    assert (told.kind, told.before_at, told.after_at) == (Happening.RESET, at, at + 15 * MINUTE)


def test_what_was_known_before_an_era_keeps_its_time() -> None:
    watch = RegisterWatch(WH, baseline=Baseline(1_000, START))
    watch.judge(0, START + HOUR)
    watch.moved(DAY, START + MINUTE)
    assert watch.baseline is not None
    assert watch.baseline.at == START
    assert watch.baseline.suspect is not None
    assert watch.baseline.suspect.first_at == START + HOUR + DAY
    watch.forget()
    watch.moved(DAY, START)
    assert watch.baseline is None


def test_no_boundary_passes_while_nobody_knows_what_time_it_is() -> None:
    registers = RegisterBook(RegisterSettings(billing=BillingSettings()), vocabulary())
    registers.provisional = True
    follow = registers.follower(Point("meter-1", "energy_import"))
    assert follow is not None
    noon = START // DAY * DAY + DAY // 2
    for minute in range(0, 60, 5):
        follow(Reading(Point("meter-1", "energy_import"), 1_000.0 + minute, noon + minute * MINUTE))
        assert registers.take_events(noon + minute * MINUTE) == []
    assert registers.closed is None
    registers.moved(30 * DAY, noon)
    follow(Reading(Point("meter-1", "energy_import"), 1_060.0, noon + 30 * DAY + HOUR))
    (told,) = registers.take_events(noon + 30 * DAY + HOUR)
    assert told[0] == "linli.billing"


def test_what_is_remembered_judges_after_a_restart() -> None:
    watch = RegisterWatch(WH, baseline=Baseline(5e6, START))
    assert watch.judge(0.0, START + HOUR) == (DIP, None)
    again = RegisterWatch(WH, baseline=watch.baseline)
    reason, told = again.judge(5_000_010.0, START + 2 * HOUR)
    assert reason is None
    assert told is not None
    assert told.kind is Happening.ZERO_DIP


steps = st.lists(st.tuples(st.integers(0, 3 * HOUR), st.floats(0, 1)), min_size=1, max_size=60)


@given(st.floats(0, 1e12), steps)
def test_no_course_that_physics_allows_is_ever_doubted(start: float, rises: list[tuple[int, float]]) -> None:
    watch = RegisterWatch(WH)
    value, at = start, START
    watch.judge(value, at)
    for pause, share in rises:
        value += share * WH * pause / HOUR
        at += pause
        assert watch.judge(value, at) == (None, None)


@given(st.floats(1e3, 1e12), steps, st.data())
def test_a_single_strange_value_never_disturbs_what_comes_after_it(
    start: float, rises: list[tuple[int, float]], data: st.DataObject
) -> None:
    watch = RegisterWatch(WH)
    value, at = start, START
    watch.judge(value, at)
    strange = data.draw(st.integers(0, len(rises) - 1))
    for number, (pause, share) in enumerate(rises):
        value += share * 0.001 * WH * pause / HOUR
        at += pause
        if number == strange:
            reason, told = watch.judge(data.draw(st.floats(0, 1e15)), at)
            if reason is None and told is None and watch.baseline is not None and watch.baseline.value > value:
                return  # a small rise too much is no different from a reading that was late
            if told is not None:
                return  # a rollover that was assumed
        else:
            reason, _ = watch.judge(value, at)
            assert reason is None


@given(st.lists(st.tuples(st.floats(0, 1e13), st.integers(-DAY, DAY)), max_size=80))
def test_whatever_comes_it_is_judged(values: list[tuple[float, int]]) -> None:
    watch = RegisterWatch(WH, (1e9, 2.0**32))
    at = START
    for value, pause in values:
        at += pause
        watch.judge(value, at)
        assert watch.baseline is not None


def book(**more: object) -> RegisterBook:
    return RegisterBook(RegisterSettings(**more), vocabulary())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("point", "watched"),
    [
        (Point("m", "energy_import"), True),
        (Point("m", "energy_import", tariff=1), True),
        (Point("m", "water_volume"), True),
        (Point("m", "energy_import", storage=1), False),  # frozen: it moves when the month ends
        (Point("m", "energy_combined"), False),  # a difference of two directions may fall
        (Point("m", "voltage"), False),
        (Point("m", "heat_cost_units"), True),
        (Point("m", "heat_cost_units", storage=1), False),  # of the due date
        (Point("m", "people_in"), False),  # counts by the day
    ],
)
def test_what_counts_as_a_register(point: Point, watched: bool) -> None:
    assert (book().follower(point) is not None) is watched


def test_the_value_goes_on_as_it_came_whatever_is_thought_of_it() -> None:
    registers = book()
    point = Point("m", "energy_import")
    follow = registers.follower(point)
    assert follow is not None
    first = Reading(point, Decimal("5000000.10"), START)
    assert follow(first) is first
    doubted = follow(Reading(point, Decimal("0.00"), START + MINUTE, device_time=START))
    assert (doubted.value, doubted.quality, doubted.reason) == (Decimal("0.00"), Quality.UNCERTAIN, DIP)
    assert doubted.device_time == START


def test_another_serial_number_is_another_meter() -> None:
    registers = book()
    energy, serial = Point("m", "energy_import"), Point("m", "serial_number")
    judge, identify = registers.follower(energy), registers.follower(serial)
    assert judge is not None
    assert identify is not None
    judge(Reading(energy, 5e6, START))
    identify(Reading(serial, "111", START))
    identify(Reading(serial, "222", START + MINUTE))
    ((name, subject, data),) = registers.take_events(START + MINUTE)
    assert (name, subject) == ("linli.device.swapped", "m")
    assert data == {
        "old_serial": "111",
        "new_serial": "222",
        "noticed_by": "identity",
        "final": {"energy_import": 5e6},
    }
    assert judge(Reading(energy, 12.0, START + MINUTE)).quality is Quality.GOOD


def test_a_meter_that_starts_up_and_shows_zeros_is_not_another_meter() -> None:
    registers = book()
    energy, serial = Point("m", "energy_import"), Point("m", "serial_number")
    judge, identify = registers.follower(energy), registers.follower(serial)
    assert judge is not None
    assert identify is not None
    identify(Reading(serial, "12345678", START))
    judge(Reading(energy, 5e6, START))
    for nobody in ("00000000", 0, "0"):
        identify(Reading(serial, nobody, START + MINUTE))
        assert judge(Reading(energy, 0.0, START + MINUTE)).reason is DIP
    identify(Reading(serial, "12345678", START + 2 * MINUTE))
    assert judge(Reading(energy, 5e6, START + 2 * MINUTE)).quality is Quality.GOOD
    assert [name for name, _, _ in registers.take_events(START + 2 * MINUTE)] == ["linli.register.zero_dip"]
