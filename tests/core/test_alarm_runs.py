"""The quick ways through a watch: what they take, what they leave, and that they come to what single readings do."""

from collections.abc import Sequence
from datetime import timedelta, timezone
from itertools import pairwise

import msgspec
import pytest
from tests.core.alarm_story import BAD, GOOD, RAISE, RETURN, T0, D, H, M, S, rule, series

from linli_core.alarm import Engine, Memory, Rule, Run
from linli_core.alarm.inlet import Inlet
from linli_core.alarm.watch import LevelWatch
from linli_core.instant import Instant

POINT = "room/air_temperature"
KEY = ("test.rule", f"gw/{POINT}")
HOT = rule('kind = "limit", high = 8, hysteresis = 1, on_delay = "10 min", off_delay = "5 min"')
COLD = rule('kind = "limit", low = 2')
OPEN = rule('kind = "state", values = [1], on_delay = "10 min"')
BY_DAY = rule('kind = "limit", high = 8', 'schedule = { hours = ["08:00-20:00"] }')
MEAN = rule('kind = "window", statistic = "mean", high = 8, over = "1 h"')
NONE = (float("inf"), float("-inf"))

KINDS: dict[str, Rule] = {
    "limit": HOT,
    "state": OPEN,
    "window": MEAN,
    "change": rule('kind = "change", to = [1]'),
    "pattern": rule('kind = "pattern", form = "count", a = { values = [1] }, count = 2, within = "5 min"'),
    "expression": rule('kind = "expression", when = "t > 8", points = { t = "air_temperature" }'),
    "balance": rule(
        'kind = "balance", bulk = { devices = ["room"] }, subs = { devices = ["flat*"] }, share = 0.2, over = "1 h"'
    ),
    "night flow": rule('kind = "night_flow", high = 0.1, slot = "30 min", cumulative = true'),
    "baseline": rule('kind = "baseline", deviations = 3, least = 2, weeks = 2, gap = "20 min", cumulative = true'),
    "absence": rule('kind = "absence", after = "10 min"'),
}


def point_of(the_rule: Rule) -> str:
    return "room/volume" if the_rule.quantity == "volume" else POINT


class Room:
    """An engine with one rule and one point, told readings minute by minute."""

    def __init__(self, the_rule: Rule) -> None:
        self.engine = Engine([the_rule])
        self.bound = self.engine.bind(series(point_of(the_rule)), T0)
        self.memory: Memory = self.engine.snapshot()[0]

    @property
    def level(self) -> LevelWatch | Inlet:
        return self.bound.levels[0]

    def read(self, *times: Instant, value: float | None = 4.0, late: Instant = 0) -> list[object]:
        return [
            it.event for at in times for it in self.engine.observe(self.bound, value, GOOD, T0 + at, T0 + at + late)
        ]

    def settle(self, *times: Instant, value: float = 4.0, late: Instant = 0) -> bool:
        gap = max((after - before for before, after in pairwise(times)), default=0)
        run = Run(value, T0 + times[0], T0 + times[-1], len(times), gap, lambda: [T0 + at for at in times])
        return self.engine.settle(self.bound.levels, run, T0 + times[-1] + late)


def encoded(engine: Engine) -> bytes:
    return msgspec.json.encode(engine.snapshot())


@pytest.mark.parametrize(
    ("the_rule", "expected"),
    [
        (HOT, (float("-inf"), 8.0)),
        (COLD, (2.0, float("inf"))),
        (OPEN, NONE),
        (BY_DAY, NONE),
        (MEAN, NONE),
    ],
)
def test_which_numbers_settle_nothing(the_rule: Rule, expected: tuple[float, float]) -> None:
    assert Room(the_rule).level.calm_range == expected


@pytest.mark.parametrize(
    "times",
    [
        [M, 2 * M, 3 * M],
        [10 * M],
        [10 * M + S],
        [M, 11 * M, 20 * M],
        [M, 11 * M + S, 12 * M, 13 * M],
        [M, 11 * M, 21 * M + S, 31 * M + 2 * S],
        [12 * M, 40 * M, 41 * M, H],
    ],
)
@pytest.mark.parametrize("late", [0, 3 * M])
@pytest.mark.parametrize("began", [[], [0]])
def test_a_run_comes_to_what_its_readings_do(began: list[Instant], times: list[Instant], late: Instant) -> None:
    """Also of where nothing came for longer than the delay: only there can what comes late have lasted long enough."""
    at_once, quickly, slowly = Room(HOT), Room(HOT), Room(HOT)
    for room in (at_once, quickly, slowly):
        assert room.read(*began) == []
    assert at_once.settle(*times, late=late)
    for at in times:
        now = T0 + times[-1] + late
        assert quickly.level.calm(4.0, GOOD, T0 + at, now)
        assert slowly.level.observe(4.0, GOOD, T0 + at, now, [])
    assert encoded(at_once.engine) == encoded(quickly.engine) == encoded(slowly.engine)
    known = [*([T0 + at for at in began] or [0]), *(T0 + at for at in times)]
    silences = [(one, other) for one, other in pairwise(known) if other - one > 10 * M]
    assert at_once.memory.silences == [*([] if not began else [(0, T0)]), *silences]
    assert at_once.engine.evaluations == len(began) + len(times)


def test_a_run_is_counted_for_each_rule_that_judges_it() -> None:
    room, other = Room(HOT), Room(COLD)
    run = Run(4.0, T0, T0 + 2 * M, 3, M, list)
    assert room.engine.settle((room.level, other.level), run, T0 + 2 * M)
    assert (room.engine.evaluations, room.memory.last_at, other.memory.last_at) == (6, T0 + 2 * M, T0 + 2 * M)


def test_a_late_reading_between_those_of_a_run_tells_nothing() -> None:
    """The run has a gap, but elsewhere."""
    room = Room(HOT)
    assert room.settle(0, 15 * M, *range(16 * M, H, M))
    assert room.engine.observe(room.bound, 12.0, GOOD, T0 + 40 * M + S, T0 + H) == []
    assert room.engine.tick(T0 + 2 * H) == []
    assert room.memory.past is None


def test_of_many_silences_the_newest_are_known() -> None:
    at_once, slowly = Room(HOT), Room(HOT)
    times = list(range(0, 40 * H, H))
    assert at_once.settle(*times)
    assert slowly.read(*times) == []
    assert at_once.memory.silences == slowly.memory.silences
    assert at_once.memory.silences == [(T0 + at - H, T0 + at) for at in times[-16:]]


@pytest.mark.parametrize(
    ("before", "why"),
    [
        ([(0, 9.0), (10 * M, 9.0)], "an alarm stands"),
        ([(0, 9.0)], "one may come"),
        ([(0, 9.0), (10 * M, 9.0), (12 * M, 4.0)], "one may end"),
        ([(0, 4.0), (M, None)], "the newest reading was missing"),
        ([(0, 4.0), (20 * M, 4.0), (10 * M, 9.0)], "what came late may go on"),
        ([(30 * M, 4.0)], "others are as new"),
    ],
)
def test_a_run_is_not_taken_where_it_may_settle_something(before: list[tuple[Instant, float | None]], why: str) -> None:
    room = Room(HOT)
    for at, value in before:
        room.read(at, value=value, late=20 * M - at if at == 10 * M and len(before) == 3 and value == 9.0 else 0)
    known = encoded(room.engine)
    assert not room.settle(30 * M, 31 * M), why
    assert encoded(room.engine) == known
    assert not room.level.calm(4.0, GOOD, T0 + 30 * M, T0 + 30 * M), why
    assert encoded(room.engine) == known


def test_a_run_from_the_future_is_not_taken() -> None:
    room = Room(HOT)
    assert not room.settle(M, 2 * M, late=-S)
    assert room.settle(M, 2 * M)
    assert not room.level.calm(4.0, GOOD, T0 + 3 * M + S, T0 + 3 * M)
    assert room.level.calm(4.0, GOOD, T0 + 3 * M, T0 + 3 * M)


@pytest.mark.parametrize(
    ("value", "is_calm"),
    [(8.0, True), (8.0 + 1e-9, False), (float("-inf"), False), (float("nan"), False), (4, False), (True, False)],
)
def test_what_is_taken_quickly(value: float, is_calm: bool) -> None:
    assert Room(HOT).level.calm(value, GOOD, T0, T0) is is_calm


def test_nothing_is_taken_quickly_that_is_doubted_or_a_state() -> None:
    assert not Room(HOT).level.calm(4.0, BAD, T0, T0)
    assert not Room(OPEN).level.calm(0.0, GOOD, T0, T0)
    assert not Room(OPEN).level.calm(float("-inf"), GOOD, T0, T0)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"limit", "state", "absence"}))
def test_where_every_reading_matters_none_is_taken_quickly(kind: str) -> None:
    room = Room(KINDS[kind])
    assert room.level.calm_range == NONE
    assert not room.settle(M, 2 * M)
    assert not room.level.calm(4.0, GOOD, T0 + M, T0 + M)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clock_five_minutes_fast_is_believed_and_no_more(kind: str) -> None:
    ahead, too_far = Room(KINDS[kind]), Room(KINDS[kind])
    known = encoded(too_far.engine)
    too_far.read(10 * M, late=-5 * M - 1)
    assert (too_far.engine.out_of_order, encoded(too_far.engine)) == (1, known)
    ahead.read(10 * M, late=-5 * M)
    assert (ahead.engine.out_of_order, ahead.memory.last_at) == (0, T0 + (5 if kind == "absence" else 10) * M)
    # It has not come late, for all that: what time settles is not put off.
    assert ahead.memory.lag == 0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_worth_a_write_before_something_came(kind: str) -> None:
    room = Room(KINDS[kind])
    assert not getattr(room.level if room.bound.levels else None, "is_substantial", False)
    assert room.engine.take_touched() == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("limit", 0),
        ("state", 0),
        ("change", H),
        ("pattern", H),
        ("expression", H),
        ("window", 5 * M),
        ("balance", H),
        ("night flow", 90 * M),
        ("baseline", 80 * M),
    ],
)
def test_how_far_back_a_restart_reads(kind: str, expected: Instant) -> None:
    assert Engine.unwritten(Room(KINDS[kind]).bound) == expected


def test_the_end_of_a_late_run_is_worth_a_write() -> None:
    room = Room(rule('kind = "limit", high = 8, on_delay = "10 min"'))
    room.read(0, 20 * M)
    room.engine.observe(room.bound, 4.0, GOOD, T0 + 10 * M, T0 + 25 * M)
    assert room.engine.snapshot()[0].past is not None
    room.engine.take_touched()
    room.engine.observe(room.bound, 4.0, GOOD, T0 + 35 * M, T0 + 35 * M)
    assert room.engine.snapshot()[0].past is None
    assert room.engine.take_touched() == [room.memory]


def test_which_readings_are_worth_a_write() -> None:
    """The newest time alone is none; what a restart could not learn from the store is."""
    room, scheduled = Room(HOT), Room(BY_DAY)
    for at, value in ((0, 4), (M, 4), (2 * M, None), (20 * M, "warm"), (30 * M, 4)):
        assert room.engine.observe(room.bound, value, GOOD, T0 + at, T0 + at) == []
        assert room.engine.take_touched() == []
    assert room.memory.value == 4
    assert scheduled.read(-2 * H, value=9.0) == []
    assert scheduled.engine.take_touched() == [scheduled.memory]
    late = [
        (5 * M, 4.0, True),
        (5 * M, 4.0, False),
        (10 * M, 4.0, False),  # that what was quiet stayed so is not
        (11 * M, 4.0, False),
        (12 * M, 9.0, True),
        (13 * M, 9.0, True),
    ]
    for at, said, is_worth in late:
        room.engine.observe(room.bound, said, GOOD, T0 + at, T0 + 31 * M)
        assert bool(room.engine.take_touched()) is is_worth, at


@pytest.mark.parametrize("value", ["warm", float("inf"), float("nan"), None])
def test_what_cannot_be_judged_stops_the_clock_and_is_in_order(value: float | str | None) -> None:
    room = Room(HOT)
    room.read(0, value=9.0)
    assert room.engine.observe(room.bound, value, GOOD, T0 + M, T0 + M) == []
    assert room.engine.out_of_order == 0
    assert room.engine.tick(T0 + H) == []


def test_what_comes_late_among_others_moves_nothing_and_is_counted() -> None:
    """Among close ones, outside the hours of the rule, or twice."""
    room, scheduled = Room(HOT), Room(BY_DAY)
    room.read(0, 5 * M, 10 * M, 30 * M)
    room.read(7 * M, value=9.0, late=H)
    assert room.engine.out_of_order == 1
    room.read(15 * M, 15 * M, value=9.0, late=H)
    assert room.engine.out_of_order == 2
    scheduled.read(0)
    scheduled.read(-M, value=9.0, late=H)
    assert scheduled.engine.out_of_order == 1


def test_a_late_denial_is_worth_a_write() -> None:
    room = Room(HOT)
    room.read(0, 5 * M, value=9.0)
    room.engine.take_touched()
    room.read(3 * M, value=4.0, late=3 * M)
    assert room.engine.take_touched() == [room.memory]


@pytest.mark.parametrize("ticks", [False, True])
def test_the_end_of_a_late_run_is_what_it_is_with_and_without_a_look(ticks: bool) -> None:
    """An hour of what came in time was enough already: what came late before it does not make it begin earlier."""
    room = Room(HOT)
    room.read(0)
    told = room.read(H, H + M, value=9.0)
    told += room.read(55 * M, value=9.0, late=6 * M)
    if ticks:
        told += [it.event for at in range(62, 80) for it in room.engine.tick(T0 + at * M)]
    room.read(80 * M, value=9.0)
    assert told == [RAISE] * ticks
    assert room.memory.raised_at == T0 + 70 * M


def test_a_late_reading_that_agrees_moves_nothing_and_is_counted() -> None:
    room = Room(HOT)
    room.read(0, 4 * M, value=9.0)
    room.read(2 * M, value=9.0, late=3 * M)
    assert room.engine.out_of_order == 1
    room.read(3 * M, value=7.5, late=3 * M)
    assert (room.engine.out_of_order, room.memory.since) == (1, T0 + 3 * M)


@pytest.mark.parametrize("count", [7, 30])
def test_what_is_remembered_of_the_past_is_bounded(count: int) -> None:
    room = Room(HOT)
    begun: list[Instant] = []
    for at in range(0, count * H, H):
        # Shortly beyond, then for long enough.
        room.read(at, at + 5 * M, at + 9 * M, value=9.0)
        room.read(at + 10 * M - S, value=4.0)
        assert room.read(at + 20 * M, at + 29 * M, at + 30 * M, value=9.0, late=S) != []
        assert RETURN in room.read(at + 40 * M, at + 45 * M)
        begun.append(T0 + at)
    assert [one - 20 * M for one, _ in room.memory.told] == begun[-8:]
    assert [one for one, _ in room.memory.excursions] == begun[-8:]
    assert len(room.memory.silences) == min(count * 2, 16)


def test_hours_that_were_changed_count_from_when_they_open_now() -> None:
    """At eight in the morning it is warm; the rule opens at nine since it was changed, not at ten as before."""
    morning = rule('kind = "limit", high = 8', 'schedule = { hours = ["10:00-12:00"] }')
    engine = Engine([morning])
    engine.observe(engine.bind(series(POINT), T0), 9.0, GOOD, T0, T0)
    memories: Sequence[Memory] = engine.snapshot()
    assert memories[0].edge_at == T0 + 2 * H
    earlier = Engine([rule('kind = "limit", high = 8', 'schedule = { hours = ["09:00-12:00"] }')])
    assert earlier.restore(memories) == []
    (raised,) = earlier.observe(earlier.bind(series(POINT), T0), 9.0, GOOD, T0 + 3 * H, T0 + 3 * H)
    assert raised.at == T0 + H


def test_hours_that_were_not_changed_are_followed_as_before() -> None:
    morning = rule('kind = "limit", high = 8', 'schedule = { hours = ["10:00-12:00"] }')
    engine = Engine([morning])
    engine.observe(engine.bind(series(POINT), T0), 9.0, GOOD, T0, T0)
    again = Engine([morning])
    again.restore(engine.snapshot())
    assert again.next_due() == T0 + 2 * H
    assert [it.at for it in again.tick(T0 + D)] == [T0 + 2 * H, T0 + 4 * H]


def test_a_rule_keeps_the_communitys_clock() -> None:
    """Nine o'clock there is eight o'clock in China."""
    nine = rule('kind = "limit", high = 8', 'schedule = { hours = ["09:00-10:00"] }')
    engine = Engine([nine], timezone(timedelta(hours=9)))
    engine.observe(engine.bind(series(POINT), T0), 9.0, GOOD, T0 - H, T0 - H)
    assert [it.at for it in engine.tick(T0 + 2 * H)] == [T0, T0 + H]
