"""What the scheduler promises, in figures: hours of a line with dead, slow and fickle devices, in simulated time."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.model import Point
from linli_edge.breaker import BreakerSettings
from linli_edge.driver import PlannedPoll
from linli_edge.load import fair
from linli_edge.scheduler import DeviceBack, DeviceSilent, Run, Scheduler, ScheduleSettings, Why
from linli_sim.virtual_line import VirtualDevice, VirtualLine

MS = 1000
START: Instant = 1_790_000_000 * SECOND + 123_456


def never(_number: int) -> bool:
    return False


def plan(count: int, interval: int, prefix: str = "m", priority: int = 1) -> list[PlannedPoll]:
    return [PlannedPoll(f"{prefix}{n}", f"{prefix}{n}", interval, (), priority) for n in range(count)]


def line(polls: list[PlannedPoll], cost: int, timeout: int = SECOND, retries: int = 0) -> VirtualLine:
    devices = {planned.device: VirtualDevice(cost, timeout, retries) for planned in polls}
    return VirtualLine(polls, devices, START)


@pytest.mark.parametrize("interval", [100 * MS, SECOND, 15 * MINUTE, HOUR, DAY])
def test_no_interval_drifts(interval: int) -> None:
    bench = line(plan(3, interval), 7 * MS)
    bench.run(50 * interval)
    for dues in bench.dues().values():
        assert len(dues) in {50, 51}
        assert {later - earlier for earlier, later in pairwise(dues[1:])} == {interval}
        assert dues[1] % interval < min(interval, SECOND), "on the wall clock, but for the spread"


@pytest.mark.parametrize(("offset", "hour"), [(0, 0), (8 * HOUR, 16), (-5 * HOUR - HOUR // 2, 5)])
def test_a_day_begins_at_local_midnight(offset: int, hour: int) -> None:
    bench = VirtualLine(plan(1, DAY), {"m0": VirtualDevice(MS)}, START, ScheduleSettings(utc_offset=offset))
    bench.run(3 * DAY)
    for due in bench.dues()["m0"][1:]:
        assert due % DAY // HOUR == hour
        assert (due + offset) % DAY < SECOND


def test_thirty_devices_three_dead_and_nobody_waits_half_an_interval_longer() -> None:
    """9,600 baud: 190 ms a device, 5.7 s for all; a dead one costs 1 s, twice where it is asked again at once."""
    bench = line(plan(30, 7 * SECOND), 190 * MS, retries=1)
    for dead in ("m3", "m14", "m22"):
        bench.devices[dead].answers = never
    bench.run(HOUR)
    for number in range(30):
        if f"m{number}" not in {"m3", "m14", "m22"}:
            assert bench.longest_gap(f"m{number}", since=20 * SECOND) <= 1.5 * 7 * SECOND
            assert len(bench.starts(f"m{number}")) >= 0.99 * HOUR // (7 * SECOND)
    assert bench.lost() <= 0.041 * HOUR
    assert bench.scheduler.load(bench.now).silent == ("m14", "m22", "m3")


def test_three_that_die_while_the_line_runs_are_left_alone_after_two_failures() -> None:
    bench = line(plan(30, 7 * SECOND), 190 * MS, retries=1)
    bench.run(10 * MINUTE)
    for dead in ("m3", "m14", "m22"):
        bench.devices[dead].answers = never
    bench.run(10 * MINUTE)
    before = [one for one in bench.carried if not one.answered and one.run.why is not Why.PROBE]
    assert len(before) == 6, "the first is asked twice at once, the second time once"
    assert sum(one.cost for one in before) == 9 * SECOND
    assert len([one for _, one in bench.transitions if isinstance(one, DeviceSilent)]) == 3


def test_a_line_that_is_full_is_used_to_the_last_even_with_dead_devices() -> None:
    bench = line(plan(30, SECOND), 190 * MS, timeout=SECOND)
    for dead in ("m3", "m14", "m22"):
        bench.devices[dead].answers = never
    bench.run(HOUR)
    assert bench.use() >= 0.95
    cycle = 27 * 190 * MS
    for number in range(30):
        if f"m{number}" not in {"m3", "m14", "m22"}:
            assert bench.longest_gap(f"m{number}", since=20 * SECOND) <= 1.5 * cycle


def test_a_probe_waits_for_a_gap_in_which_nobody_is_late() -> None:
    bench = line(plan(5, 10 * SECOND), 20 * MS, timeout=3 * SECOND)
    bench.devices["m2"].answers = never
    bench.run(HOUR)
    for number in (0, 1, 3, 4):
        assert bench.longest_gap(f"m{number}", since=20 * SECOND) <= 1.02 * 10 * SECOND
    probes = [one for one in bench.carried if one.run.why is Why.PROBE]
    assert 40 <= len(probes) <= 0.04 * HOUR / (3 * SECOND) + 1


def test_where_there_is_no_gap_a_probe_is_run_all_the_same() -> None:
    bench = line(plan(5, SECOND), 20 * MS, timeout=3 * SECOND)
    bench.devices["m2"].answers = never
    bench.run(10 * MINUTE)
    bench.devices["m2"].answers = lambda _number: True
    bench.run(3 * MINUTE)
    assert isinstance(bench.transitions[-1][1], DeviceBack)


def test_five_behind_one_converter_one_silent_three_seconds_and_one_retry() -> None:
    bench = line(plan(5, SECOND), 20 * MS, timeout=3 * SECOND, retries=1)
    bench.devices["m2"].answers = never
    bench.run(75 * SECOND)
    assert sum(len(bench.starts(f"m{number}")) for number in (0, 1, 3, 4)) >= 0.95 * 4 * 75


def test_a_device_that_answers_every_other_time_is_bounded_too() -> None:
    bench = line(plan(5, SECOND), 20 * MS, timeout=3 * SECOND)
    bench.devices["m2"].answers = lambda number: number % 2 == 0
    bench.run(HOUR)
    assert any(isinstance(one, DeviceSilent) for _, one in bench.transitions)
    assert bench.lost("m2", since=MINUTE) <= 0.11 * HOUR
    for number in (0, 1, 3, 4):
        assert len(bench.starts(f"m{number}")) >= 0.85 * 3600


def test_a_lost_answer_now_and_then_silences_nobody() -> None:
    bench = line(plan(5, SECOND), 20 * MS, timeout=300 * MS)
    bench.devices["m2"].answers = lambda number: number % 20 != 19
    bench.run(HOUR)
    assert not bench.transitions


def test_one_slow_device_stretches_itself_and_no_other() -> None:
    bench = line(plan(30, SECOND), 20 * MS)
    bench.devices["m7"].cost = 900 * MS
    bench.run(10 * MINUTE)
    load = bench.scheduler.load(bench.now)
    assert load.planned == pytest.approx(1.48, abs=0.01)
    assert load.stretched == pytest.approx(0.9 / 0.4, rel=0.02)
    assert load.shares["m7"] == pytest.approx(0.4, abs=0.03)
    assert load.shares["m1"] == pytest.approx(0.02, abs=0.002)
    for number in range(30):
        if number != 7:
            assert len(bench.starts(f"m{number}")) >= 0.97 * 600
    assert len(bench.starts("m7")) >= 0.4 * 600


def test_a_slow_poll_does_not_cost_its_device_the_readings_at_the_boundaries() -> None:
    polls = [PlannedPoll("m#1", "m", SECOND), PlannedPoll("m#2", "m", 15 * MINUTE), *plan(1, SECOND, "n")]
    devices = {"m": VirtualDevice(700 * MS), "n0": VirtualDevice(700 * MS)}
    bench = VirtualLine(polls, devices, START)
    bench.run(6 * HOUR)
    boundaries = bench.dues()["m#2"][1:]
    assert {later - earlier for earlier, later in pairwise(boundaries)} == {15 * MINUTE}


def test_the_configuration_says_what_goes_first_when_the_line_is_full() -> None:
    polls = [
        PlannedPoll(key, "m", SECOND, (Point("m", key),)) for key in ("active_power", "voltage", "frequency")
    ] + plan(1, SECOND, "n")
    devices = {"m": VirtualDevice(300 * MS), "n0": VirtualDevice(300 * MS)}
    how = ScheduleSettings(priorities={"m": 3, "m/voltage": 0, "n0": 0})
    bench = VirtualLine(polls, devices, START, how)
    bench.run(10 * MINUTE)
    assert len(bench.starts("voltage")) >= 0.97 * 600
    assert len(bench.starts("n0")) >= 0.97 * 600
    assert 0.3 * 600 <= len(bench.starts("active_power")) <= 0.75 * 600
    assert how.ranked(polls[0]).priority == 3
    assert how.ranked(PlannedPoll("x", "x", SECOND)).priority == 1


def test_only_a_device_in_good_standing_is_asked_again_at_once() -> None:
    scheduler = Scheduler(plan(1, SECOND), ScheduleSettings(), START)
    now = START
    patient: list[bool] = []
    for answered in (True, True, False, True, True):
        while not isinstance(action := scheduler.next(now), Run):
            now += 10 * MS
        patient.append(action.planned.patient)
        now += 10 * MS
        scheduler.finished(now, 10 * MS, answered=answered)
    assert patient == [False, True, True, False, True]


class TestFair:
    @pytest.mark.parametrize(
        ("wanted", "room", "granted"),
        [
            ({}, 1.0, {}),
            ({"a": 0.2, "b": 0.3}, 1.0, {"a": 0.2, "b": 0.3}),
            ({"a": 0.9, "b": 0.2}, 1.0, {"a": 0.8, "b": 0.2}),
            ({"a": 5.0, "b": 5.0, "c": 0.1}, 0.9, {"a": 0.4, "b": 0.4, "c": 0.1}),
        ],
    )
    def test_what_each_gets(self, wanted: dict[str, float], room: float, granted: dict[str, float]) -> None:
        assert fair(wanted, room) == pytest.approx(granted)


DEVICES = 5
SILENT_SHARE = 0.05


class LineMachine(RuleBasedStateMachine):
    """A line that fits its plan, whatever happens to its devices, its clock and its cable."""

    def __init__(self) -> None:
        super().__init__()
        self.bench: VirtualLine
        self.down = False
        self.jumps = 0

    @initialize(
        shapes=st.lists(
            st.tuples(
                st.sampled_from([200 * MS, SECOND, 5 * SECOND, MINUTE, 15 * MINUTE]),
                st.floats(0.01, 0.9),
                st.integers(50, 3000),
                st.integers(0, 2),
            ),
            min_size=2,
            max_size=8,
        ),
        start=st.integers(DAY, 4_000_000_000 * SECOND),
    )
    def open(self, shapes: list[tuple[int, float, int, int]], start: Instant) -> None:
        polls = []
        devices = {}
        for number, (interval, part, timeout, priority) in enumerate(shapes):
            name = f"d{number % DEVICES}"
            polls.append(PlannedPoll(f"{name}#{number}", name, interval, (), priority))
            cost = max(1, int(part * min(shape[0] for shape in shapes) / len(shapes)))
            devices[name] = VirtualDevice(cost, timeout * MS, retries=number % 2)
        how = ScheduleSettings(breaker=BreakerSettings(silent_share=SILENT_SHARE))
        self.bench = VirtualLine(polls, devices, start, how)

    @rule(number=st.integers(0, DEVICES - 1), behaviour=st.sampled_from(["dead", "alive", "fickle"]))
    def behave(self, number: int, behaviour: str) -> None:
        ways: dict[str, Callable[[int], bool]] = {
            "dead": never,
            "alive": lambda _number: True,
            "fickle": lambda count: count % 3 == 0,
        }
        if (device := self.bench.devices.get(f"d{number}")) is not None:
            device.answers = ways[behaviour]

    @rule(seconds=st.integers(1, 120))
    def go_on(self, seconds: int) -> None:
        self.bench.run(seconds * SECOND)

    @rule(by=st.sampled_from([-DAY, -HOUR, -SECOND, 1, SECOND, HOUR, DAY]))
    def set_clock(self, by: int) -> None:
        self.bench.set_clock(by)
        self.jumps += 1

    @precondition(lambda self: not self.down)
    @rule()
    def pull_the_cable(self) -> None:
        self.bench.scheduler.link_down(self.bench.now)
        self.down = True

    @precondition(lambda self: self.down)
    @rule()
    def plug_it_in(self) -> None:
        self.bench.scheduler.link_up(self.bench.now)
        self.down = False

    @invariant()
    def no_two_polls_at_a_time(self) -> None:
        end = 0
        for one in self.bench.carried:
            assert one.steady >= end
            end = one.steady + one.cost

    @invariant()
    def no_due_time_is_served_twice(self) -> None:
        if not self.jumps and not self.down:
            for key, dues in self.bench.dues().items():
                # What was BAD while a device was away is asked for once more when it is back.
                again = sum(isinstance(one, DeviceBack) for _, one in self.bench.transitions)
                assert len(dues) - len(set(dues)) <= again + 1, key

    @invariant()
    def due_times_are_on_the_grid(self) -> None:
        for key, dues in self.bench.dues().items():
            interval = next(planned.interval for planned in self.bench.polls if planned.key == key)
            on_grid = [due for due in dues if due % interval < min(interval, SECOND)]
            # Asked at once: at the start, after an outage, when a device is back, when the clock was set.
            at_once = 1 + self.jumps + len(self.bench.transitions) + sum(1 for _ in self.bench.misses)
            assert len(dues) - len(on_grid) <= at_once

    @invariant()
    def what_the_failing_cost_is_bounded(self) -> None:
        bench = self.bench
        for name, device in bench.devices.items():
            falls = sum(isinstance(one, DeviceSilent) and one.device == name for _, one in bench.transitions)
            dearest = device.timeout * (1 + device.retries)
            # Before it is silent: two failures, or a tenth of the line; then its part of what the silent may cost.
            allowed = (falls + 1) * max(4 * dearest, 6 * SECOND + dearest) + (0.1 + SILENT_SHARE) * bench.steady
            assert bench.lost(name) <= allowed

    def teardown(self) -> None:
        """Whatever has happened: once all is well again, everything is read at its interval again."""
        if not hasattr(self, "bench"):
            return
        bench = self.bench
        for device in bench.devices.values():
            device.answers = lambda _number: True
        bench.scheduler.link_up(bench.now)
        bench.run(15 * MINUTE)
        assert bench.scheduler.load(bench.now).silent == ()
        since = bench.steady
        bench.run(3 * MINUTE)
        for planned in bench.polls:
            due = 3 * MINUTE // planned.interval
            assert len([start for start in bench.starts(planned.key) if start >= since]) >= due * 0.9 - 1, "starved"


LineMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestLineMachine = LineMachine.TestCase
