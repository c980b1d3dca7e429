"""Readings at billing boundaries: exact, late, missing, whatever clocks, devices and restarts do."""

from hypothesis import given
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant, from_rfc3339
from linli_core.model import Point, Reading, Reason, missing
from linli_core.vocabulary import vocabulary
from linli_edge.registers.billing import BillingMemory, BillingSettings, BillingWatch, Closed, Stood
from linli_edge.registers.book import RegisterBook, RegisterSettings

NOON = from_rfc3339("2026-11-25T12:00:00Z")
A, B = "meter-1/energy_import", "meter-2/energy_import"


def fresh(settings: BillingSettings | None = None) -> BillingWatch:
    """A watch that has seen one reading of each of two registers a minute before noon."""
    watch = BillingWatch(settings or BillingSettings())
    watch.due(NOON - 2 * MINUTE)
    for name in (A, B):
        watch.take(name, 100.0, NOON - MINUTE)
    assert watch.due(NOON - MINUTE) == []
    return watch


def test_a_boundary_closes_as_soon_as_every_register_was_read() -> None:
    watch = fresh()
    watch.take(A, 101.0, NOON + SECOND)
    assert watch.due(NOON + SECOND) == []
    watch.take(B, 202.0, NOON + 2 * SECOND)
    assert watch.due(NOON + 2 * SECOND) == [
        Closed(NOON, {A: Stood(101.0, NOON + SECOND), B: Stood(202.0, NOON + 2 * SECOND)})
    ]
    assert watch.due(NOON + 3 * SECOND) == []


def test_the_first_reading_after_the_boundary_counts() -> None:
    watch = fresh()
    for second in (1, 11, 21):
        watch.take(A, 100.0 + second, NOON + second * SECOND)
    watch.take(B, 1.0, NOON + SECOND)
    (closed,) = watch.due(NOON + 30 * SECOND)
    assert closed.stood[A] == Stood(101.0, NOON + SECOND)


def test_a_register_that_is_not_read_in_time_is_missing_and_gets_no_other_value() -> None:
    watch = fresh()
    watch.take(A, 101.0, NOON + SECOND)
    assert watch.due(NOON + 10 * MINUTE - 1) == []
    (closed,) = watch.due(NOON + 10 * MINUTE)
    assert closed.stood == {A: Stood(101.0, NOON + SECOND), B: None}
    watch.take(B, 7.0, NOON + 11 * MINUTE)
    assert watch.due(NOON + 12 * MINUTE) == []


def test_a_late_reading_keeps_its_own_time() -> None:
    watch = fresh()
    watch.take(A, 101.0, NOON + 9 * MINUTE)
    watch.take(B, 101.0, NOON + SECOND)
    (closed,) = watch.due(NOON + 9 * MINUTE)
    assert closed.stood[A] == Stood(101.0, NOON + 9 * MINUTE)


def test_a_restart_over_a_boundary_makes_it_late_not_lost() -> None:
    before = fresh()
    after = BillingWatch(BillingSettings(), before.memory())
    for name in (A, B):
        after.take(name, 101.0, NOON + 40 * SECOND)
    (closed,) = after.due(NOON + 40 * SECOND)
    assert closed.boundary == NOON
    assert closed.stood[A] == Stood(101.0, NOON + 40 * SECOND)


def test_boundaries_that_passed_while_the_gateway_was_off_are_missing() -> None:
    after = BillingWatch(BillingSettings(), fresh().memory())
    closed = after.due(NOON + HOUR)
    assert [(item.boundary - NOON) // MINUTE for item in closed] == [0, 15, 30, 45]
    assert all(value is None for item in closed for value in item.stood.values())


def test_after_a_month_off_the_last_day_is_told_and_the_rest_counted() -> None:
    after = BillingWatch(BillingSettings(), fresh().memory())
    closed = after.due(NOON + 30 * DAY)
    assert len(closed) == 95  # the newest is still open
    assert closed[0].before == 30 * 96 + 1 - 96
    assert all(item.before == 0 for item in closed[1:])


def test_a_clock_set_back_a_little_closes_nothing_twice() -> None:
    watch = fresh()
    for name in (A, B):
        watch.take(name, 101.0, NOON + SECOND)
    assert len(watch.due(NOON + SECOND)) == 1
    for name in (A, B):
        watch.take(name, 101.0, NOON - 5 * SECOND)
        watch.take(name, 102.0, NOON + 2 * SECOND)
    assert watch.due(NOON + 2 * SECOND) == []


def test_a_clock_that_ran_ahead_a_day_loses_no_boundary_that_comes_afterwards() -> None:
    watch = fresh()
    watch.due(NOON + DAY)
    for name in (A, B):
        watch.take(name, 101.0, NOON + SECOND)
    assert watch.due(NOON + SECOND) == []
    for name in (A, B):
        watch.take(name, 102.0, NOON + 15 * MINUTE + SECOND)
    (closed,) = watch.due(NOON + 15 * MINUTE + SECOND)
    assert closed.stood[A] == Stood(102.0, NOON + 15 * MINUTE + SECOND)


def test_a_day_begins_at_local_midnight() -> None:
    settings = BillingSettings(every=DAY, late=HOUR, utc_offset=8 * HOUR)
    assert settings.boundary(from_rfc3339("2026-11-25T15:59:59Z")) == from_rfc3339("2026-11-24T16:00:00Z")
    assert settings.boundary(from_rfc3339("2026-11-25T16:00:00Z")) == from_rfc3339("2026-11-25T16:00:00Z")


def test_a_device_that_left_the_configuration_is_missed_no_more() -> None:
    watch = BillingWatch(BillingSettings(), BillingMemory(NOON - 15 * MINUTE, [A, B]))
    watch.keep_only(["meter-2"])
    watch.take(B, 1.0, NOON)
    assert watch.due(NOON) == [Closed(NOON, {B: Stood(1.0, NOON)})]


def test_before_the_first_reading_there_is_nothing_to_miss() -> None:
    watch = BillingWatch(BillingSettings())
    assert watch.due(NOON) == []
    assert watch.due(NOON + DAY) == []


steps = st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 20 * MINUTE)), max_size=80)


@given(steps)
def test_each_boundary_is_closed_once_in_order_with_the_first_reading_after_it(events: list[tuple[str, int]]) -> None:
    settings = BillingSettings()
    watch = BillingWatch(settings)
    now: Instant = NOON - 7 * MINUTE
    watch.due(now)
    taken: dict[str, list[Instant]] = {A: [], B: []}
    closed: list[Closed] = []
    for name, pause in events:
        now += pause
        watch.take(name, float(now), now)
        taken[name].append(now)
        closed += watch.due(now)
    closed += watch.due(now + HOUR)
    boundaries = [item.boundary for item in closed]
    assert boundaries == sorted(set(boundaries))
    for item in closed:
        for name, stood in item.stood.items():
            fitting = [at for at in taken[name] if item.boundary <= at <= item.boundary + settings.late]
            # One that came after the boundary was over is too late, whatever its own time.
            if stood is not None:
                assert stood == Stood(float(fitting[0]), fitting[0])
            else:
                assert not fitting


class TestWhatHasNeverAnswered:
    """A meter that is dead since it was mounted is missing like any other, and costs no other its reading."""

    def test_a_planned_register_that_was_never_read_is_missing_with_its_cause(self) -> None:
        watch = BillingWatch(BillingSettings())
        watch.due(NOON - MINUTE)
        watch.expect([A, B])
        watch.take(A, 101.0, NOON + SECOND)
        for second in (1, 61):
            watch.missed(B, Reason.NO_COMMUNICATION, NOON + second * SECOND)
        assert watch.due(NOON + 9 * MINUTE) == []
        assert watch.due(NOON + 10 * MINUTE) == [
            Closed(NOON, {A: Stood(101.0, NOON + SECOND), B: None}, why={B: Reason.NO_COMMUNICATION})
        ]

    def test_at_the_first_start_a_boundary_waits_for_the_second_register(self) -> None:
        watch = BillingWatch(BillingSettings())
        watch.expect([A, B])
        watch.take(A, 101.0, NOON + SECOND)
        assert watch.due(NOON + SECOND) == []
        watch.take(B, 202.0, NOON + 3 * SECOND)
        (closed,) = watch.due(NOON + 3 * SECOND)
        assert closed.stood == {A: Stood(101.0, NOON + SECOND), B: Stood(202.0, NOON + 3 * SECOND)}

    def test_what_is_refused_for_good_is_missing_and_nobody_waits_for_it(self) -> None:
        watch = BillingWatch(BillingSettings())
        watch.due(NOON - MINUTE)
        watch.expect([A, B])
        watch.missed(B, Reason.REFUSED_BY_DEVICE, NOON + SECOND)
        assert watch.due(NOON + SECOND) == []
        watch.take(A, 101.0, NOON + 2 * SECOND)
        assert watch.due(NOON + 2 * SECOND) == [
            Closed(NOON, {A: Stood(101.0, NOON + 2 * SECOND), B: None}, why={B: Reason.REFUSED_BY_DEVICE})
        ]

    def test_what_was_read_before_and_is_refused_now_may_still_come(self) -> None:
        watch = fresh()
        watch.take(A, 101.0, NOON + SECOND)
        watch.missed(B, Reason.REFUSED_BY_DEVICE, NOON + SECOND)
        assert watch.due(NOON + MINUTE) == []
        watch.take(B, 202.0, NOON + 2 * MINUTE)
        assert watch.due(NOON + 2 * MINUTE) == [
            Closed(NOON, {A: Stood(101.0, NOON + SECOND), B: Stood(202.0, NOON + 2 * MINUTE)})
        ]

    def test_a_device_whose_registers_nobody_knows_is_missing_itself_until_it_answers(self) -> None:
        watch = BillingWatch(BillingSettings())
        watch.due(NOON - MINUTE)
        watch.expect([A])
        watch.expect_devices(["heat-1"])
        watch.take(A, 101.0, NOON + SECOND)
        assert watch.due(NOON + 9 * MINUTE) == []
        (closed,) = watch.due(NOON + 10 * MINUTE)
        assert closed.stood["heat-1"] is None
        assert closed.why == {"heat-1": Reason.WAITING_FOR_INITIAL_DATA}
        watch.heard("heat-1")
        watch.take("heat-1/heat_energy", 7.0, NOON + 15 * MINUTE)
        watch.take(A, 101.0, NOON + 15 * MINUTE)
        (closed,) = watch.due(NOON + 15 * MINUTE)
        assert sorted(closed.stood) == ["heat-1/heat_energy", A]

    def test_over_a_restart_it_is_the_registers_of_such_a_device_that_are_missed(self) -> None:
        watch = BillingWatch(BillingSettings(), BillingMemory(NOON - 15 * MINUTE, ["heat-1/heat_energy"]))
        watch.expect_devices(["heat-1"])
        (closed,) = watch.due(NOON + 10 * MINUTE)
        assert closed.stood == {"heat-1/heat_energy": None}

    def test_a_point_that_left_the_configuration_is_missed_no_more_its_device_still_there(self) -> None:
        watch = BillingWatch(BillingSettings(), BillingMemory(NOON - 15 * MINUTE, [A, "meter-1/energy_export", B]))
        watch.forget_others([A], ["meter-1"])
        (closed,) = watch.due(NOON + 10 * MINUTE)
        assert sorted(closed.stood) == [A, B]

    def test_a_reason_after_the_boundary_is_over_is_kept_for_none(self) -> None:
        watch = fresh()
        for name in (A, B):
            watch.take(name, 101.0, NOON + SECOND)
        assert len(watch.due(NOON + SECOND)) == 1
        watch.missed(B, Reason.NO_COMMUNICATION, NOON + 2 * SECOND)
        watch.missed(B, Reason.NO_COMMUNICATION, NOON + 11 * MINUTE)
        for name in (A, B):
            watch.take(name, 102.0, NOON + 15 * MINUTE)
        (closed,) = watch.due(NOON + 15 * MINUTE)
        assert closed.why == {}

    def test_only_what_was_read_is_remembered(self) -> None:
        watch = BillingWatch(BillingSettings())
        watch.expect([A, B])
        watch.take(A, 1.0, NOON)
        assert watch.memory().registers == [A]


def test_the_book_misses_the_registers_among_the_planned_points() -> None:
    points = (Point("meter-1", "energy_import"), Point("meter-2", "energy_import"), Point("meter-2", "voltage"))
    settings = RegisterSettings(
        frozenset({"meter-1", "meter-2", "heat-1"}), points, frozenset({"heat-1"}), billing=BillingSettings()
    )
    book = RegisterBook(settings, vocabulary())
    assert book.take_events(NOON - MINUTE) == []
    at = NOON + SECOND
    for reading in (
        Reading(points[0], 5e6, at),
        missing(points[1], at, Reason.NO_COMMUNICATION),
        missing(points[2], at, Reason.NO_COMMUNICATION),
    ):
        follow = book.follower(reading.point)
        if follow is not None:
            assert follow(reading) is reading
    ((name, _, data),) = book.take_events(NOON + 10 * MINUTE)
    assert name == "linli.billing"
    assert data["registers"] == [
        {"n": A, "v": 5e6, "mark": "exact", "late_s": 1.0},
        {"n": B, "mark": "missing", "why": "no_communication"},
        {"n": "heat-1", "mark": "missing", "why": "waiting_for_initial_data"},
    ]


def test_a_value_that_is_doubted_is_missing_with_what_is_doubted_of_it() -> None:
    point = Point("meter-1", "energy_import")
    book = RegisterBook(RegisterSettings(expected=(point,), billing=BillingSettings()), vocabulary())
    book.take_events(NOON - 2 * MINUTE)
    follow = book.follower(point)
    assert follow is not None
    follow(Reading(point, 5e6, NOON - MINUTE))
    assert follow(Reading(point, 0.0, NOON + SECOND)).reason is Reason.ZERO_DIP
    ((_, _, data),) = book.take_events(NOON + 10 * MINUTE)
    assert data["registers"] == [{"n": A, "mark": "missing", "why": "zero_dip"}]
