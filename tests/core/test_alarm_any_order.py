"""The same readings come to the same in whatever order they come, for every kind of condition that adds up."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.alarm_story import DOOR, MOTION, T0, H, M, S, rule, series

from linli_core.alarm import AlarmChange, Engine, Event, Memory, Note, Rule
from linli_core.alarm.memory import Journal
from linli_core.instant import Instant
from linli_core.model import Quality

AIR, VOLUME = "room/air_temperature", "room/volume"
L1, L2 = "meter/voltage.l1", "meter/voltage.l2"
BULK, FLAT = "gw-pump:bulk/volume", "gw-house:flat/volume"
EVENTS = 'a = { values = [1], points = ["*/door_open"] }, b = { values = [1], points = ["*/motion"] }, of = "device"'

KINDS: dict[str, tuple[Rule, tuple[str, ...], Instant]] = {
    "rate": (rule('kind = "rate", rise = 30, per = "1 h", over = "20 min"'), (AIR,), M),
    "rate with delays": (
        rule('kind = "rate", fall = 20, hysteresis = 5, over = "30 min", on_delay = "3 min", off_delay = "2 min"'),
        (AIR,),
        M,
    ),
    "outside": (rule('kind = "outside", high = 8, for = "9 min", over = "1 h", gap = "5 min"'), (AIR,), M),
    "integral": (rule('kind = "integral", above = 8, high = 0.5, over = "1 h", gap = "5 min"'), (AIR,), M),
    "mean": (rule('kind = "window", statistic = "mean", high = 8, over = "1 h", coverage = 0.1'), (AIR,), M),
    "max": (rule('kind = "window", statistic = "max", high = 11, over = "20 min", coverage = 0'), (AIR,), M),
    "range": (rule('kind = "window", statistic = "range", low = 2, over = "20 min", coverage = 0.3'), (AIR,), M),
    "std": (rule('kind = "window", statistic = "std", high = 3, over = "30 min", coverage = 0.3'), (AIR,), M),
    "mean kinetic temperature": (
        rule('kind = "mean_kinetic_temperature", high = 9, over = "1 h", coverage = 0.2'),
        (AIR,),
        M,
    ),
    "baseline": (
        rule('kind = "baseline", deviations = 2, least = 1, weeks = 2, coverage = 0.1, gap = "3 d"'),
        (AIR,),
        37 * H,
    ),
    "night flow": (
        rule('kind = "night_flow", high = 8, cumulative = true, slot = "30 min", begins = "08:00", ends = "18:00"'),
        (VOLUME,),
        17 * M,
    ),
    "change": (rule('kind = "change", to = [9, 12], hold = "2 min"'), (AIR,), M),
    "count": (rule('kind = "pattern", form = "count", a = { values = [12] }, count = 3, within = "20 min"'), (AIR,), M),
    "then": (rule(f'kind = "pattern", form = "then", within = "5 min", hold = "2 min", {EVENTS}'), (DOOR, MOTION), M),
    "without": (rule(f'kind = "pattern", form = "without", within = "5 min", {EVENTS}'), (DOOR, MOTION), M),
    "expression": (
        rule(
            'kind = "expression", when = "a - b > 3", points = { a = "voltage.l1", b = "voltage.l2" }, '
            'on_delay = "3 min", off_delay = "1 min"'
        ),
        (L1, L2),
        M,
    ),
}

BALANCE = (
    rule(
        'kind = "balance", gateway = "gw-pump", bulk = { devices = ["bulk"] }, subs = { devices = ["flat"] }, '
        'share = 0.3, over = "1 h", wait = "30 min"'
    ),
    (BULK, FLAT),
    M,
)

Told = tuple[Instant, Instant | None]
Reading = tuple[Instant, str, float | None, Instant]
"""When it was so, of which point, its value, when it comes."""

VALUES = (4.0, 8.5, 9.0, 12.0, 12.0, None)
STEPS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(0, 1), st.sampled_from(VALUES), st.sampled_from([0, 0, 0, 1, 3, 20, 90])),
    min_size=1,
    max_size=40,
)


def readings_of(kind: str, steps: list[tuple[int, int, float | None, int]]) -> list[Reading]:
    the_rule, points, unit = KINDS[kind]
    found: list[Reading] = []
    at, level = 0, 0.0
    for pause, point, value, late in steps:
        at += pause * unit
        said = value
        if the_rule.condition.__class__.__name__ == "Pattern" and len(points) > 1 and value is not None:
            said = float(value > 8)
        if points == (VOLUME,) and value is not None:
            said = level = level + value
        found.append((at, points[point % len(points)], said, at + late * unit))
    return found


def deliver(
    played: tuple[Rule, tuple[str, ...], Instant], readings: list[Reading], restarts: int = 0
) -> tuple[list[AlarmChange], Memory]:
    """Feed readings in order of coming, look whenever the engine wants to, and wait until all is learnt."""
    the_rule, points, unit = played
    engine = Engine([the_rule])
    bound = {point: engine.bind(series(point), T0) for point in points}
    changes: list[AlarmChange] = []
    end = max(at for at, *_ in readings) + 160 * unit

    def tick(until: Instant) -> None:
        while (due := engine.next_due()) is not None and due <= until:
            changes.extend(engine.tick(due))

    for number, (at, point, value, comes) in enumerate(sorted(readings, key=lambda it: it[3])):
        tick(T0 + comes)
        changes.extend(engine.observe(bound[point], value, Quality.GOOD, T0 + at, T0 + comes))
        if restarts and number % restarts == 0:
            memories = msgspec.json.decode(msgspec.json.encode(engine.snapshot()), type=list[Memory])
            engine = Engine([the_rule])
            assert engine.restore(memories) == []
            bound = {name: engine.bind(series(name), T0) for name in points}
    tick(T0 + end)
    for point in points:
        changes.extend(engine.observe(bound[point], 4.0, Quality.GOOD, T0 + end, T0 + end))
        end += S
    tick(T0 + end + M)
    (memory,) = engine.snapshot()
    return changes, memory


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_readings_in_any_order_come_to_the_same(kind: str) -> None:
    @settings(max_examples=40)
    @given(STEPS, st.sampled_from([0, 1, 7]))
    def check(steps: list[tuple[int, int, float | None, int]], restarts: int) -> None:
        readings = readings_of(kind, steps)
        in_order, ordered = deliver(KINDS[kind], [(at, point, value, at) for at, point, value, _ in readings])
        changes, memory = deliver(KINDS[kind], readings, restarts)
        # Where the watch stands in the end is the same to the last bit.
        for name in ("raised", "since", "last_at", "held", "value", "kept"):
            assert getattr(memory, name) == getattr(ordered, name), name
        assert memory.journal is not None
        assert ordered.journal is not None
        waiting = memory.journal.untold  # told when the alarm that stands is over
        assert memory.raised or not waiting
        assert memory.journal.entries == ordered.journal.entries
        known = agree(ordered.journal, memory.journal)
        raised = sum(it.event is Event.RAISE for it in changes)
        denied = sum(it.event is Note.DISPROVE for it in changes)
        assert len(known) == raised - denied + len(waiting), (changes, known)
        # In order nothing is denied, but where the clock was asked in the instant of the event that was waited for.
        assert kind == "without" or not any(isinstance(it.event, Note) for it in in_order)

    check()


def agree(ordered: Journal, journal: Journal) -> list[Told]:
    """What people know in the end: each alarm that was so, and none that was not and is not denied."""
    truth = [(it.begun, it.over) for it in ordered.told]
    known = [(it.begun, it.over) for it in (*journal.untold, *journal.told)]
    for one, other in ((truth, known), (known, truth)):
        assert all(any(_overlap(a, b) for b in other) for a in one), (truth, known)
    return known


METERED = st.lists(
    st.tuples(
        st.integers(3, 40), st.sampled_from([FLAT, FLAT, BULK]), st.integers(0, 9), st.sampled_from([0, 0, 5, 40, 110])
    ),
    min_size=4,
    max_size=40,
)


@settings(max_examples=100)
@given(METERED, st.sampled_from([0, 1, 7]))
def test_a_balance_comes_to_the_same_in_any_order(steps: list[tuple[int, str, int, int]], restarts: int) -> None:
    """As far as the edges of periods are remembered: three of them."""
    counted = {BULK: 0.0, FLAT: 0.0}
    readings: list[Reading] = []
    at = 0
    for pause, point, more, late in steps:
        at += pause * M
        counted[point] += more
        readings.append((at, point, counted[point], at + late * M))
    for number, (moment, point, value, comes) in enumerate(readings):
        if number < len(readings) // 2 and point == FLAT:
            readings[number] = (moment, point, value, max(comes, moment + 90 * M))
    _, ordered = deliver(BALANCE, [(at, point, value, at) for at, point, value, _ in readings])
    _, memory = deliver(BALANCE, readings, restarts)
    assert (memory.raised, memory.last_at) == (ordered.raised, ordered.last_at)
    for name in ("points", "firsts", "verdicts", "was_amiss", "count"):
        assert getattr(memory.kept, name) == getattr(ordered.kept, name), name
    assert ordered.journal is not None
    assert memory.journal is not None
    agree(ordered.journal, memory.journal)


def _overlap(one: Told, other: Told) -> bool:
    return one[0] <= (other[1] or 2**62) and other[0] <= (one[1] or 2**62)
