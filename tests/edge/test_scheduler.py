"""The scheduler in simulated time: a line that takes as long as it is told, and a clock that jumps ahead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import MINUTE, SECOND, Instant
from linli_edge.breaker import BreakerSettings
from linli_edge.driver import PlannedPoll
from linli_edge.load import RESERVE, UseMeter, plan_load, stretches
from linli_edge.scheduler import (
    DeviceBack,
    DeviceSilent,
    Miss,
    Rest,
    Run,
    Scheduler,
    ScheduleSettings,
    Transition,
    Why,
)

MS = 1000
START: Instant = 1_790_000_000 * SECOND + 123_456


@dataclass
class Line:
    """Runs a scheduler against devices whose answer takes ``cost``, or ``timeout`` when they are dead."""

    scheduler: Scheduler
    now: Instant
    cost: Callable[[PlannedPoll], int]
    timeout: int = SECOND
    dead: set[str] = field(default_factory=set)
    runs: list[tuple[Instant, Run, bool]] = field(default_factory=list)
    misses: list[tuple[Instant, Miss]] = field(default_factory=list)
    transitions: list[tuple[Instant, Transition]] = field(default_factory=list)
    dead_time: int = 0

    def until(self, end: Instant) -> "Line":
        while self.now < end:
            action = self.scheduler.next(self.now)
            if isinstance(action, Rest):
                assert action.until > self.now, "a rest must lead forward"
                self.now = min(end, action.until)
            elif isinstance(action, Miss):
                self.misses.append((self.now, action))
            else:
                self._run(action)
        return self

    def _run(self, run: Run) -> None:
        answered = run.planned.device not in self.dead
        cost = self.cost(run.planned) if answered else self.timeout
        self.runs.append((self.now, run, answered))
        self.dead_time += 0 if answered else cost
        self.now += cost
        if transition := self.scheduler.finished(self.now, cost, answered=answered):
            self.transitions.append((self.now, transition))

    def starts(self, key: str) -> list[Instant]:
        return [at for at, run, answered in self.runs if run.planned.key == key and answered]


def polls(count: int, interval: int, prefix: str = "meter", priority: int = 1) -> list[PlannedPoll]:
    return [PlannedPoll(f"{prefix}-{n}", f"{prefix}-{n}", interval, (), priority) for n in range(count)]


def line(plan: Sequence[PlannedPoll], cost: int, timeout: int = SECOND) -> Line:
    return Line(Scheduler(plan, ScheduleSettings(), START), START, lambda _planned: cost, timeout)


def test_every_poll_runs_at_once_and_then_on_the_wall_clock_grid() -> None:
    bench = line(polls(3, 15 * MINUTE), 50 * MS).until(START + 60 * MINUTE)
    for number in range(3):
        starts = bench.starts(f"meter-{number}")
        assert starts[0] - START < SECOND
        for start in starts[1:]:
            assert start % (15 * MINUTE) < SECOND + 150 * MS, "a quarter-hour poll runs at the quarter hour"
        assert len(starts) == 5


def test_due_times_do_not_drift_although_polls_take_time() -> None:
    bench = line(polls(1, SECOND), 30 * MS).until(START + 3600 * SECOND)
    starts = bench.starts("meter-0")[1:]
    assert {start % SECOND for start in starts} == {starts[0] % SECOND}
    assert 3599 <= len(starts) <= 3601


def test_a_restart_finds_the_same_grid() -> None:
    first = line(polls(4, SECOND), 10 * MS).until(START + 10 * SECOND)
    later = Scheduler(polls(4, SECOND), ScheduleSettings(), START + 777_777)
    second = Line(later, START + 777_777, lambda _: 10 * MS).until(START + 10 * SECOND)
    due = {(run.planned.key, run.due) for _, run, _ in first.runs}
    assert {(run.planned.key, run.due) for _, run, _ in second.runs[8:]} <= due


def test_phases_spread_over_a_short_interval() -> None:
    bench = line(polls(20, SECOND), MS).until(START + 3 * SECOND)
    phases = sorted({run.due % SECOND for _, run, _ in bench.runs[20:]})
    assert len(phases) >= 19
    assert phases[-1] - phases[0] > SECOND // 2


def test_equal_deadlines_go_by_priority() -> None:
    plan = [
        PlannedPoll("b", "b", MINUTE, (), 5),
        PlannedPoll("a", "a", MINUTE, (), 1),
        PlannedPoll("c", "c", MINUTE, (), 3),
    ]
    bench = line(plan, MS).until(START + SECOND)
    assert [run.planned.key for _, run, _ in bench.runs] == ["a", "c", "b"]


def test_a_poll_in_flight_forbids_the_next() -> None:
    scheduler = Scheduler(polls(2, SECOND), ScheduleSettings(), START)
    assert isinstance(scheduler.next(START), Run)
    with pytest.raises(RuntimeError, match="never overlap"):
        scheduler.next(START)
    with pytest.raises(RuntimeError, match="no poll is running"):
        Scheduler([], ScheduleSettings(), START).finished(START, 0, answered=True)


def test_a_line_without_polls_rests() -> None:
    assert isinstance(Scheduler([], ScheduleSettings(), START).next(START), Rest)


def test_a_dead_device_costs_a_bounded_share_and_the_others_keep_their_plan() -> None:
    plan = polls(5, SECOND)
    bench = line(plan, 20 * MS, timeout=3 * SECOND)
    bench.dead.add("meter-3")
    bench.until(START + 600 * SECOND)
    first_failures = 2 * 3 * SECOND
    assert bench.dead_time <= first_failures + 600 * SECOND * 0.04 + 3 * SECOND
    for number in (0, 1, 2, 4):
        assert len(bench.starts(f"meter-{number}")) >= 0.95 * 600
    assert [type(transition) for _, transition in bench.transitions] == [DeviceSilent]
    assert bench.scheduler.load(bench.now).silent == ("meter-3",)


def test_a_silent_device_yields_a_miss_at_each_due_time_and_no_line_time() -> None:
    bench = line(polls(1, SECOND), 20 * MS, timeout=200 * MS)
    bench.dead.add("meter-0")
    bench.until(START + 60 * SECOND)
    due = [miss.due for _, miss in bench.misses]
    assert len(due) == len(set(due))
    assert 55 <= len(due) <= 60
    assert {moment % SECOND for moment in due} == {due[0] % SECOND}
    assert {run.why for _, run, _ in bench.runs[2:]} == {Why.PROBE}


def test_a_device_that_comes_back_is_noticed_by_a_probe_and_polled_at_once() -> None:
    plan = [PlannedPoll("m#1", "m", SECOND), PlannedPoll("m#2", "m", 15 * MINUTE)]
    bench = line(plan, 20 * MS, timeout=200 * MS)
    bench.dead.add("m")
    bench.until(START + 100 * SECOND)
    bench.dead.clear()
    bench.until(START + 170 * SECOND)
    (_, silent), (back_at, back) = bench.transitions
    assert isinstance(silent, DeviceSilent)
    assert back == DeviceBack("m", silent.since)
    assert START + 100 * SECOND < back_at <= START + 100 * SECOND + 61 * SECOND
    (slow,) = [at for at in bench.starts("m#2") if at >= back_at]
    assert slow - back_at < SECOND, "what was missed is asked for at once, not a quarter of an hour later"


def test_probes_wait_twice_as_long_each_time_up_to_the_limit() -> None:
    bench = line(polls(1, SECOND), MS, timeout=MS)
    bench.dead.add("meter-0")
    bench.until(START + 400 * SECOND)
    probes = [at for at, run, _ in bench.runs if run.why is Why.PROBE]
    waits = [(later - earlier) // SECOND for earlier, later in pairwise(probes)]
    assert waits[:5] == [10, 20, 40, 60, 60]


class FickleLine(Line):
    """Its dead devices answer every probe, and nothing else."""

    def _run(self, run: Run) -> None:
        dead = self.dead
        if run.why is Why.PROBE:
            self.dead = set()
        super()._run(run)
        self.dead = dead


def test_a_device_that_answers_only_probes_is_not_trusted_for_it() -> None:
    scheduler = Scheduler(polls(2, SECOND), ScheduleSettings(), START)
    bench = FickleLine(scheduler, START, lambda _planned: 20 * MS, 2 * SECOND, {"meter-0"})
    bench.until(START + 1200 * SECOND)
    assert bench.dead_time <= 4 * SECOND + 0.05 * 1200 * SECOND + 2 * SECOND
    assert len(bench.starts("meter-1")) > 0.9 * 1200


def test_a_failed_poll_with_a_long_interval_is_tried_once_more_soon() -> None:
    bench = line(polls(1, 15 * MINUTE), 20 * MS, timeout=200 * MS).until(START + SECOND)
    bench.dead.add("meter-0")
    while bench.runs[-1][2]:
        bench.until(bench.now + SECOND)
    before = len(bench.runs)
    bench.dead.clear()
    bench.until(bench.now + 10 * SECOND)
    assert [(run.why, answered) for _, run, answered in bench.runs[before:]] == [(Why.RETRY, True)]
    assert not bench.transitions


def test_overload_stretches_the_lower_priority_and_says_so() -> None:
    plan = polls(6, SECOND, "high", 1) + polls(10, SECOND, "low", 2)
    bench = line(plan, 100 * MS).until(START + 300 * SECOND)
    load = bench.scheduler.load(bench.now)
    assert load.planned == pytest.approx(1.6, rel=0.01)
    assert load.stretched > 2
    assert load.use is not None
    assert load.use >= 0.98, "who is paced leaves nothing idle that was granted"
    assert load.missed > 0
    for number in range(6):
        assert len(bench.starts(f"high-{number}")) >= 0.97 * 300
    low = [len(bench.starts(f"low-{number}")) for number in range(10)]
    assert min(low) >= 0.25 * 300
    assert max(low) - min(low) <= 3, "what is left is shared evenly"


def test_a_plan_that_fits_is_not_stretched() -> None:
    bench = line(polls(9, SECOND), 100 * MS).until(START + 120 * SECOND)
    load = bench.scheduler.load(bench.now)
    assert load.stretched == 1.0
    assert load.missed <= 9, "only while everything falls due at once at the start"
    assert load.use == pytest.approx(0.9, abs=0.02)


def test_while_the_link_is_down_due_times_are_misses() -> None:
    bench = line(polls(2, SECOND), 10 * MS).until(START + 10 * SECOND)
    count = len(bench.runs)
    bench.scheduler.link_down(bench.now)
    bench.until(START + 20 * SECOND)
    assert len(bench.runs) == count
    assert len(bench.misses) in {19, 20, 21}
    bench.scheduler.link_up(bench.now)
    bench.until(START + 20 * SECOND + 50 * MS)
    assert {run.planned.key for _, run, _ in bench.runs[count:]} == {"meter-0", "meter-1"}


def test_after_a_longer_outage_silent_devices_are_probed_at_once() -> None:
    bench = line(polls(1, SECOND), 10 * MS, timeout=10 * MS)
    bench.dead.add("meter-0")
    bench.until(START + 100 * SECOND)
    bench.scheduler.link_down(bench.now)
    bench.until(START + 120 * SECOND)
    bench.dead.clear()
    bench.scheduler.link_up(bench.now)
    bench.until(START + 121 * SECOND)
    assert isinstance(bench.transitions[-1][1], DeviceBack)


def test_a_converter_that_hangs_up_on_a_dead_unit_does_not_buy_it_probes() -> None:
    bench = line(polls(1, SECOND), 10 * MS, timeout=MS)
    bench.dead.add("meter-0")
    for _ in range(200):
        bench.until(bench.now + SECOND // 2)
        bench.scheduler.link_down(bench.now)
        bench.scheduler.link_up(bench.now + MS)
    assert len([run for _, run, _ in bench.runs if run.why is Why.PROBE]) < 20


def test_a_clock_set_back_does_not_silence_the_line() -> None:
    bench = line(polls(2, SECOND), 10 * MS).until(START + 10 * SECOND)
    bench.now -= 3600 * SECOND
    runs = len(bench.runs)
    bench.until(bench.now + 10 * SECOND)
    assert len(bench.runs) - runs in range(18, 24)


def test_a_clock_set_forward_does_not_make_up_for_the_hour() -> None:
    bench = line(polls(2, SECOND), 10 * MS).until(START + 10 * SECOND)
    bench.now += 3600 * SECOND
    runs = len(bench.runs)
    bench.until(bench.now + 10 * SECOND)
    assert len(bench.runs) - runs in range(18, 25)
    assert bench.scheduler.load(bench.now).missed >= 7190


@pytest.mark.parametrize("by", [86_400 * SECOND, -86_400 * SECOND, 7 * SECOND])
def test_a_clock_that_was_set_is_no_time_that_passed(by: int) -> None:
    bench = line(polls(3, SECOND), 10 * MS)
    bench.dead.add("meter-2")
    bench.until(START + 10 * SECOND)
    before, use = len(bench.runs), bench.scheduler.load(bench.now).use
    silent = [moment for moment, told in bench.transitions if isinstance(told, DeviceSilent)]
    bench.now += by
    bench.scheduler.clock_was_set(bench.now, by)
    load = bench.scheduler.load(bench.now)
    assert load.use == pytest.approx(use)
    bench.until(bench.now + 10 * SECOND)
    living = [run for _, run, _ in bench.runs[before:] if run.planned.device != "meter-2"]
    assert len(living) in range(19, 22)
    assert bench.scheduler.load(bench.now).missed == 0
    bench.dead.clear()
    bench.until(bench.now + 120 * SECOND)
    (back,) = (told for _, told in bench.transitions if isinstance(told, DeviceBack))
    assert back.since == silent[0] + by


def test_a_clock_set_while_a_poll_runs_costs_no_turn() -> None:
    scheduler = Scheduler(polls(1, SECOND), ScheduleSettings(), START)
    assert isinstance(scheduler.next(START), Run)
    now = START + 86_400 * SECOND
    scheduler.clock_was_set(now, 86_400 * SECOND)
    scheduler.finished(now, 10 * MS, answered=True)
    action = scheduler.next(now)
    assert isinstance(action, Rest)
    assert action.until - now <= SECOND


def test_one_baud_too_few_thirty_devices_three_dead() -> None:
    plan = polls(30, 5 * SECOND)
    bench = line(plan, 150 * MS, timeout=300 * MS)
    bench.dead |= {"meter-3", "meter-14", "meter-22"}
    bench.until(START + 600 * SECOND)
    for planned in plan:
        if planned.device in bench.dead:
            continue
        starts = bench.starts(planned.key)
        gaps = [later - earlier for earlier, later in pairwise(starts[2:])]
        assert max(gaps) <= 1.5 * planned.interval


class TestLoad:
    def test_a_plan_that_fits_is_left_alone(self) -> None:
        assert stretches({1: 0.4, 2: 0.5}, 0.98) == {1: 1.0, 2: 1.0}

    def test_the_lower_priority_gives_way(self) -> None:
        assert stretches({1: 0.6, 2: 1.0}, 1.0) == {1: 1.0, 2: pytest.approx(2.5)}

    def test_the_higher_priority_leaves_the_reserve(self) -> None:
        factors = stretches({1: 2.0, 2: 1.0}, 1.0)
        assert factors == {1: pytest.approx(2.0 / (1 - RESERVE)), 2: pytest.approx(1 / RESERVE)}

    def test_nothing_measured_is_no_use(self) -> None:
        assert UseMeter(START).use(START) is None
        assert plan_load([(None, SECOND)]) is None
        assert plan_load([(100 * MS, SECOND), (None, SECOND)]) == pytest.approx(0.1)

    def test_a_clock_set_back_does_not_make_a_line_look_full(self) -> None:
        meter = UseMeter(START)
        for second in range(1, 41):
            meter.add(START + second * SECOND, 100 * MS)
        assert meter.use(START + 40 * SECOND) == pytest.approx(0.1)
        back = START - 3600 * SECOND
        for second in range(10):
            meter.add(back + second * SECOND, 100 * MS)
        assert meter.use(back + 9 * SECOND) == pytest.approx(0.1, abs=0.02)

    @given(
        wanted=st.dictionaries(st.integers(0, 5), st.floats(0, 10), max_size=6),
        capacity=st.floats(0.1, 1),
    )
    def test_what_is_granted_fits_and_nothing_starves(self, wanted: dict[int, float], capacity: float) -> None:
        factors = stretches(wanted, capacity)
        granted = {priority: want / factors[priority] for priority, want in wanted.items()}
        assert sum(granted.values()) <= capacity * (1 + 1e-6)
        assert all(factor >= 1 for factor in factors.values())
        assert all(granted[priority] > 0 for priority, want in wanted.items() if want > 0)


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[PlannedPoll], dict[str, int], set[str]]:
    """Draw a plan that a line can carry, the polls' costs, and which of its devices are dead."""
    count = draw(st.integers(1, 8))
    plan = []
    costs = {}
    for number in range(count):
        interval = draw(st.sampled_from([200 * MS, SECOND, 5 * SECOND, MINUTE]))
        key = f"d{number % 4}#{number}"
        plan.append(PlannedPoll(key, f"d{number % 4}", interval, (), draw(st.integers(0, 2))))
        costs[key] = max(1, int(draw(st.floats(0.01, 0.7)) * interval / count))
    dead = set(draw(st.lists(st.sampled_from([f"d{n}" for n in range(4)]), max_size=2)))
    return plan, costs, dead


@settings(max_examples=60, deadline=None)
@given(drawn=plans(), start=st.integers(1, 10**15), timeout=st.integers(1, 1000))
def test_whatever_the_plan_dead_devices_are_bounded_and_nothing_stops(
    drawn: tuple[list[PlannedPoll], dict[str, int], set[str]], start: Instant, timeout: int
) -> None:
    plan, costs, dead = drawn
    how = ScheduleSettings(breaker=BreakerSettings(silent_share=0.05))
    bench = Line(Scheduler(plan, how, start), start, lambda planned: costs[planned.key], timeout * MS, set(dead))
    bench.until(start + 120 * SECOND)
    before_open = sum(2 * timeout * MS for device in {planned.device for planned in plan} & dead)
    assert bench.dead_time <= before_open + 0.05 * 120 * SECOND + timeout * MS
    for (at, run, answered), (later, _, _) in pairwise(bench.runs):
        assert later >= at + (costs[run.planned.key] if answered else timeout * MS), "polls never overlap"
    for planned in plan:
        if planned.device in dead:
            continue
        starts = bench.starts(planned.key)
        assert starts, "a living device is always read"
        longest = max(costs.values()) + timeout * MS * 2
        gaps = [later - earlier for earlier, later in zip(starts, [*starts[1:], bench.now], strict=True)]
        assert max(gaps) <= planned.interval * 2 + longest * (len(plan) + 1)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["run", "down", "up", "back", "forward", "die", "live"]), st.integers(1, 30))
    )
)
def test_whatever_happens_the_line_goes_on(steps: list[tuple[str, int]]) -> None:
    bench = line(polls(3, SECOND), 20 * MS, timeout=200 * MS)
    for what, amount in steps:
        if what == "run":
            bench.until(bench.now + amount * SECOND)
        elif what == "down":
            bench.scheduler.link_down(bench.now)
        elif what == "up":
            bench.scheduler.link_up(bench.now)
        elif what == "back":
            bench.now -= amount * MINUTE
        elif what == "forward":
            bench.now += amount * MINUTE
        elif what == "die":
            bench.dead.add(f"meter-{amount % 3}")
        else:
            bench.dead.clear()
    bench.dead.clear()
    bench.scheduler.link_up(bench.now)
    bench.until(bench.now + 70 * SECOND)
    runs = len(bench.runs)
    bench.until(bench.now + 10 * SECOND)
    assert len(bench.runs) - runs >= 27
    assert bench.scheduler.load(bench.now).silent == ()
