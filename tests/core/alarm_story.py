"""How stories of alarms are told: readings at times, and the changes that must come of them and no others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

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
    """The series of a point, ``device/quantity`` of the gateway ``gw``, or ``gateway:device/quantity``."""
    gateway, _, name = point.rpartition(":")
    device, _, quantity = name.partition("/")
    return Series(gateway or "gw", device, name, quantity.split(".", maxsplit=1)[0])


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

DOOR, MOTION = "room/door_open", "room/motion"


def blips(*times: Instant, point: str = "room/air_temperature") -> list[At]:
    """A point that comes to 1 at some times, and is 0 again half a minute later."""
    return [At(0, 0, point), *(At(time + off, value, point) for time in times for off, value in ((0, 1), (30 * S, 0)))]


def check(changes: Sequence[AlarmChange], expected: Sequence[Expect]) -> None:
    seen = [(it.event, (it.at - T0) / M, (it.learnt_at - T0) / M) for it in changes]
    assert [it.event for it in changes] == [want.event for want in expected], seen
    for it, want in zip(changes, expected, strict=True):
        assert want.earliest <= it.at - T0 <= want.latest, seen
        assert it.learnt_at >= it.at, seen
        assert it.retrospective is want.retrospective, seen
