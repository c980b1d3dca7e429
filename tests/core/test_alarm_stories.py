"""Every kind of condition, told as stories: what is observed when, and which alarms must come of it and no others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import pytest

from linli_core.alarm import AlarmChange, Engine, Event, Memory, Note, Rule, Series, parse_rules
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.model import Quality, Value

T0: Instant = 1_798_761_600 * SECOND
"""Midnight UTC of a Friday, 2027-01-01: eight in the morning by the community's time."""

GOOD, BAD = Quality.GOOD, Quality.BAD


@dataclass(frozen=True)
class At:
    """A reading so long after the start; it comes ``late`` after that."""

    at: Instant
    value: Value
    point: str = "room/air_temperature"
    late: Instant = 0
    quality: Quality = GOOD


@dataclass(frozen=True)
class Expect:
    """A change between two times after the start; nothing else must come."""

    event: Event | Note
    earliest: Instant
    latest: Instant
    retrospective: bool = False


RAISE, RETURN, DISPROVE = Event.RAISE, Event.RETURN, Note.DISPROVE


def every(
    step: Instant, start: Instant, end: Instant, value: float | str | None, point: str = "room/air_temperature"
) -> list[At]:
    """Readings in equal steps, the end not included."""
    return [At(at, value, point) for at in range(start, end, step)]


def line(
    step: Instant, start: Instant, end: Instant, first: float, last: float, point: str = "room/air_temperature"
) -> list[At]:
    """Readings on a straight line."""
    return [At(at, first + (last - first) * (at - start) / (end - start), point) for at in range(start, end, step)]


def rule(condition: str, extra: str = "") -> Rule:
    quantity = "" if "expression" in condition or "pattern" in condition else 'quantity = "air_temperature"'
    if "night_flow" in condition or "cumulative" in condition or "balance" in condition:
        quantity = 'quantity = "volume"'
    text = f"""
    [[rules]]
    id = "test.rule"
    category = "food"
    priority = "high"
    {quantity}
    unit = "Cel"
    condition = {{ {condition} }}
    {extra}
    title = {{ zh = "题", en = "Title" }}
    consequence = {{ zh = "果", en = "Bad" }}
    response = {{ zh = "应", en = "Do" }}
    """
    return parse_rules(text, "test")[0]


def series(point: str) -> Series:
    device = point.split("/", maxsplit=1)[0]
    return Series("gw", device, point, point.split("/")[1].split(".", maxsplit=1)[0])


def play(
    the_rule: Rule,
    readings: Iterable[At],
    until: Instant,
    *,
    step: Instant | None = None,
    restart: Sequence[Instant] = (),
) -> list[AlarmChange]:
    """Deliver readings in order of coming; between them the engine looks when it wants to, and every ``step``."""
    coming = sorted(readings, key=lambda it: it.at + it.late)
    engine = Engine([the_rule])
    points = {it.point for it in coming}
    bound = {point: engine.bind(series(point), T0) for point in sorted(points)}
    changes: list[AlarmChange] = []
    restarts = list(restart)
    now = 0

    def tick(end: Instant) -> None:
        nonlocal now, engine, bound
        while True:
            due = engine.next_due()
            wanted = [] if due is None else [max(due - T0, now)]
            wanted += [now + step] if step else []
            wanted += restarts[:1]
            if not wanted or min(wanted) > end:
                break
            now = max(min(wanted), now)
            if restarts and now >= restarts[0]:
                restarts.pop(0)
                memories = msgspec.json.decode(msgspec.json.encode(engine.snapshot()), type=list[Memory])
                engine = Engine([the_rule])
                assert engine.restore(memories) == []
                bound = {point: engine.bind(series(point), T0 + now) for point in sorted(points)}
            changes.extend(engine.tick(T0 + now))
        now = max(now, end)

    for it in coming:
        tick(it.at + it.late)
        changes.extend(engine.observe(bound[it.point], it.value, it.quality, T0 + it.at, T0 + it.at + it.late))
    tick(until)
    changes.extend(engine.tick(T0 + until))
    return changes


M, H, D, S = MINUTE, HOUR, DAY, SECOND
Story = tuple[Rule, list[At], Instant, list[Expect]]

RATE = rule('kind = "rate", rise = 6.0, per = "1 h", over = "10 min"')
FALL = rule('kind = "rate", fall = 6.0, per = "1 h", over = "10 min", hysteresis = 1.0')
OUT = rule('kind = "outside", low = 2.0, high = 8.0, for = "30 min", over = "4 h"')
SUM = rule('kind = "integral", above = 8.0, high = 2.0, over = "4 h"')
MKT = rule('kind = "mean_kinetic_temperature", high = 8.0, over = "4 h"')
MEAN = rule('kind = "window", statistic = "mean", high = 8.0, over = "1 h"')
LEAST = rule('kind = "window", statistic = "min", low = 0.0, over = "1 h", coverage = 0')
MOST = rule('kind = "window", statistic = "max", high = 10.0, over = "1 h", coverage = 0')
RANGE = rule('kind = "window", statistic = "range", low = 0.1, over = "1 h"')
STD = rule('kind = "window", statistic = "std", high = 3.0, over = "1 h"')
CHANGED = rule('kind = "change", from = [1], to = [2], hold = "5 min"')
ANY_CHANGE = rule('kind = "change"')

STORIES: dict[str, Story] = {
    "rate: a slow rise is nothing": (RATE, line(M, 0, H, 0.0, 5.0), 2 * H, []),
    "rate: a fast rise is told, and its end": (
        RATE,
        [*every(M, 0, 20 * M, 4.0), *line(M, 20 * M, 40 * M, 4.0, 12.0), *every(M, 40 * M, 80 * M, 12.0)],
        2 * H,
        [Expect(RAISE, 21 * M, 26 * M), Expect(RETURN, 45 * M, 51 * M)],
    ),
    "rate: two readings close together are noise": (RATE, [At(0, 4.0), At(S, 9.0)], M, []),
    "rate: a fall is not a rise": (RATE, line(M, 0, H, 20.0, 0.0), 2 * H, []),
    "rate: a fall is told": (FALL, line(M, 0, H, 20.0, 0.0), H, [Expect(RAISE, 5 * M, 5 * M)]),
    "rate: missing readings are no fall": (
        FALL,
        [*every(M, 0, 20 * M, 4.0), *every(M, 20 * M, 40 * M, None), *every(M, 40 * M, H, 4.0)],
        H,
        [],
    ),
    "outside: short times are added up": (
        OUT,
        [At(at + shift * 10 * M, 9.0 if shift % 2 else 4.0) for at in range(0, 2 * H, 20 * M) for shift in (0, 1)],
        2 * H,
        [Expect(RAISE, H, H)],
    ),
    "outside: below counts as above does": (OUT, every(5 * M, 0, 40 * M, 1.0), 40 * M, [Expect(RAISE, 30 * M, 30 * M)]),
    "outside: at an edge is inside": (OUT, [*every(M, 0, H, 8.0), *every(M, H, 2 * H, 2.0)], 2 * H, []),
    "outside: it returns when the time has left the while": (
        OUT,
        [*every(5 * M, 0, 30 * M, 9.0), *every(5 * M, 30 * M, 6 * H, 4.0)],
        6 * H,
        [Expect(RAISE, 30 * M, 30 * M), Expect(RETURN, 4 * H, 4 * H + 5 * M)],
    ),
    "outside: a silent point is outside for as long as its reading speaks": (OUT, [At(0, 9.0)], 8 * H, []),
    "outside: the clock tells between two readings": (
        OUT,
        [At(0, 9.0), At(10 * M, 9.0), At(20 * M, 9.0)],
        6 * H,
        [Expect(RAISE, 30 * M, 30 * M), Expect(RETURN, 4 * H, 5 * H)],
    ),
    "outside: a missing reading ends what holds": (
        OUT,
        [*every(M, 0, 20 * M, 9.0), *every(M, 20 * M, 2 * H, None)],
        2 * H,
        [],
    ),
    "integral: far for a short time": (
        SUM,
        [*every(M, 0, 10 * M, 16.0), *every(M, 10 * M, 20 * M, 30.0), *every(M, 20 * M, H, 4.0)],
        H,
        [Expect(RAISE, 11 * M, 13 * M)],
    ),
    "integral: a little for long": (SUM, every(5 * M, 0, 3 * H, 9.0), 3 * H, [Expect(RAISE, 2 * H, 2 * H + 5 * M)]),
    "integral: what is below does not pay back": (
        SUM,
        [*every(M, 0, 20 * M, 12.0), *every(M, 20 * M, H, -20.0), *every(M, H, 80 * M, 12.0)],
        80 * M,
        [Expect(RAISE, 68 * M, 72 * M)],
    ),
    "mkt: a constant temperature is its own": (MKT, every(10 * M, 0, 5 * H, 8.0), 5 * H, []),
    "mkt: constantly above is above": (
        MKT,
        every(10 * M, 0, 5 * H, 8.1),
        5 * H,
        [Expect(RAISE, 2 * H, 2 * H + 10 * M)],
    ),
    "mkt: heat weighs more than cold makes good": (
        MKT,
        [*every(5 * M, 0, 2 * H, 1.0), *every(5 * M, 2 * H, 3 * H + 50 * M, 14.0)],
        4 * H,
        [Expect(RAISE, 3 * H + 5 * M, 3 * H + 5 * M)],
    ),
    "mkt: too little is known": (MKT, [At(0, 30.0), At(2 * H, 30.0), At(4 * H, 30.0)], 5 * H, []),
    "mean: one hot reading is borne": (
        MEAN,
        [*every(M, 0, H, 4.0), At(H, 40.0), *every(M, H + M, 2 * H, 4.0)],
        2 * H,
        [],
    ),
    "mean: uneven readings weigh by their time": (
        MEAN,
        [
            At(0, 4.0),
            *[At(10 * M + n * S, 14.0) for n in range(10)],
            *every(10 * M, 20 * M, 2 * H, 4.0),
        ],
        2 * H,
        [],
    ),
    "mean: an hour too warm": (
        MEAN,
        [*every(M, 0, H, 4.0), *every(M, H, 2 * H, 12.0), *every(M, 2 * H, 4 * H, 4.0)],
        4 * H,
        [Expect(RAISE, 90 * M, 92 * M), Expect(RETURN, 149 * M, 152 * M)],
    ),
    "min: one reading below": (
        LEAST,
        [*every(M, 0, H, 4.0), At(H, -1.0), *every(M, H + M, 3 * H, 4.0)],
        3 * H,
        [Expect(RAISE, H, H), Expect(RETURN, 2 * H, 2 * H + 3 * M)],
    ),
    "max: one reading above": (
        MOST,
        [*every(M, 0, H, 4.0), At(H, 11.0), *every(M, H + M, 3 * H, 4.0)],
        3 * H,
        [Expect(RAISE, H, H), Expect(RETURN, 2 * H, 2 * H + 3 * M)],
    ),
    "range: a stuck probe": (
        RANGE,
        [*line(M, 0, H, 4.0, 5.0), *every(M, H, 3 * H, 5.0), *line(M, 3 * H, 4 * H, 5.0, 6.0)],
        4 * H,
        [Expect(RAISE, 2 * H - 10 * M, 2 * H + 2 * M), Expect(RETURN, 3 * H + M, 3 * H + 10 * M)],
    ),
    "std: a restless value": (
        STD,
        [*every(M, 0, H, 4.0), *[At(H + n * M, 14.0 if n % 2 else 4.0) for n in range(60)]],
        2 * H,
        [Expect(RAISE, H + 2 * M, H + 20 * M)],
    ),
    "change: from one state to another": (
        CHANGED,
        [At(0, 1.0), At(M, 1.0), At(2 * M, 2.0), At(3 * M, 2.0)],
        H,
        [Expect(RAISE, 2 * M, 2 * M), Expect(RETURN, 7 * M, 7 * M)],
    ),
    "change: another change is not meant": (CHANGED, [At(0, 1.0), At(M, 3.0), At(2 * M, 2.0)], H, []),
    "change: what it was before a missing reading still counts": (
        CHANGED,
        [At(0, 1.0), At(M, None), At(2 * M, 2.0)],
        H,
        [Expect(RAISE, 2 * M, 2 * M), Expect(RETURN, 7 * M, 7 * M)],
    ),
    "change: the first reading is none": (ANY_CHANGE, [At(0, "on"), At(M, "on")], H, []),
    "change: any": (
        ANY_CHANGE,
        [At(0, "on"), At(M, "off"), At(90 * S, "on")],
        H,
        [Expect(RAISE, M, M), Expect(RETURN, 150 * S, 150 * S)],
    ),
}


def check(changes: Sequence[AlarmChange], expected: Sequence[Expect]) -> None:
    seen = [(it.event, (it.at - T0) / M, (it.learnt_at - T0) / M) for it in changes]
    assert [it.event for it in changes] == [want.event for want in expected], seen
    for it, want in zip(changes, expected, strict=True):
        assert want.earliest <= it.at - T0 <= want.latest, seen
        assert it.learnt_at >= it.at, seen
        assert it.retrospective is want.retrospective, seen


@pytest.mark.parametrize("name", STORIES)
def test_a_story(name: str) -> None:
    the_rule, readings, until, expected = STORIES[name]
    check(play(the_rule, readings, until), expected)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_with_doubled_readings_and_restarts(name: str) -> None:
    the_rule, readings, until, expected = STORIES[name]
    doubled = [*readings, *(At(it.at, it.value, it.point, it.late + S, it.quality) for it in readings)]
    check(play(the_rule, doubled, until, restart=[until // 3, until // 2, until - M]), expected)


@pytest.mark.parametrize("name", STORIES)
def test_a_story_that_comes_hours_late(name: str) -> None:
    the_rule, readings, until, expected = STORIES[name]
    late = [At(it.at, it.value, it.point, 6 * H, it.quality) for it in readings]
    wanted = [Expect(want.event, want.earliest, want.latest, retrospective=True) for want in expected]
    check(play(the_rule, late, until + 6 * H), wanted)
