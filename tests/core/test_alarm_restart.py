"""Restarts: at every step, from what the engine remembers; after a kill, from what was written and what is stored."""

from collections.abc import Sequence

import msgspec
import pytest
from tests.core.alarm_story import T0, At, H, M, Story, play, rule, series
from tests.core.test_alarm_edges import EDGES
from tests.core.test_alarm_edges_of_events import EVENT_EDGES
from tests.core.test_alarm_late import RETROSPECTIVE
from tests.core.test_alarm_late_edges import LATE_EDGES
from tests.core.test_alarm_stories import STORIES

from linli_core.alarm import AlarmChange, Bound, Engine, Event, Key, Memory, Note, Rule
from linli_core.instant import Instant

EVERY: dict[str, Story] = {**STORIES, **RETROSPECTIVE, **EDGES, **EVENT_EDGES, **LATE_EDGES}
COMES_WITHIN = 15 * M
MOST_STEPS = 120


def encoded(memories: Sequence[Memory]) -> list[Memory]:
    """What is left of memories once they were written."""
    return msgspec.json.decode(msgspec.json.encode(memories), type=list[Memory])


def restored(
    the_rule: Rule, memories: Sequence[Memory], points: Sequence[str], now: Instant
) -> tuple[Engine, dict[str, Bound]]:
    """An engine in a new process: all it has is what was written."""
    engine = Engine([the_rule])
    assert engine.restore(encoded(memories)) == []
    return engine, {point: engine.bind(series(point), now) for point in points}


def told(changes: Sequence[AlarmChange]) -> list[tuple[Event | Note, Instant]]:
    return [(it.event, it.at) for it in changes]


@pytest.mark.parametrize("name", EVERY)
def test_an_engine_restarted_at_every_step_is_one_that_never_stopped(name: str) -> None:
    the_rule, readings, until, _ = EVERY[name]
    coming = sorted(readings, key=lambda it: it.at + it.late)
    points = sorted({it.point for it in coming})
    lasting, restarting = (restored(the_rule, [], points, T0) for _ in range(2))
    # Of a long story every few steps, and all at its end: that is where it happens.
    stride = max(1, len(coming) // MOST_STEPS)
    for number, it in enumerate(coming):
        now = T0 + it.at + it.late
        for engine, bound in (lasting, restarting):
            engine.tick(now)
            engine.observe(bound[it.point], it.value, it.quality, T0 + it.at, now)
        if number % stride == 0 or number > len(coming) - MOST_STEPS // 4:
            restarting = restored(the_rule, restarting[0].snapshot(), points, T0)
            assert encoded(restarting[0].snapshot()) == encoded(lasting[0].snapshot())
            assert told(restarting[0].tick(now)) == told(lasting[0].tick(now))
    assert told(restarting[0].tick(T0 + until)) == told(lasting[0].tick(T0 + until))
    assert encoded(restarting[0].snapshot()) == encoded(lasting[0].snapshot())


class Killed:
    """A process that writes now and then, is killed at some times, and starts from what it wrote and from the store."""

    def __init__(self, the_rule: Rule, points: Sequence[str]) -> None:
        self._rule = the_rule
        self._points = points
        self._stored: list[At] = []
        self._memories: dict[Key, Memory] = {}
        self._mark: Instant | None = None
        self._unsure: list[AlarmChange] = []
        self.written: list[AlarmChange] = []
        self._engine, self._bound = restored(the_rule, [], points, T0)

    def observe(self, it: At) -> None:
        self._stored.append(it)
        now = T0 + it.at + it.late
        self._unsure += self._engine.observe(self._bound[it.point], it.value, it.quality, T0 + it.at, now)

    def tick(self, until: Instant) -> None:
        while (due := self._engine.next_due()) is not None and due <= until:
            self._unsure += self._engine.tick(due)

    def write(self, now: Instant) -> None:
        for memory in encoded(self._engine.take_touched()):
            self._memories[memory.rule, memory.subject] = memory
        self.written += self._unsure
        self._unsure = []
        self._mark = now

    def kill(self, now: Instant) -> None:
        self._unsure = []
        self._engine, self._bound = restored(self._rule, list(self._memories.values()), self._points, now)
        newest: dict[str, At] = {}
        for it in sorted(self._stored, key=lambda it: it.at):
            newest[it.point] = it
            since = (self._mark or 0) - COMES_WITHIN - self._engine.unwritten(self._bound[it.point])
            if T0 + it.at >= since:
                self._unsure += self._engine.observe(self._bound[it.point], it.value, it.quality, T0 + it.at, now)
        for it in newest.values():
            self._unsure += self._engine.observe(self._bound[it.point], it.value, it.quality, T0 + it.at, now)


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("kills", [3, 17])
def test_a_killed_engine_reads_again_what_it_had_not_written(name: str, kills: int) -> None:
    """What it tells, before and after, is what one that never stopped tells."""
    the_rule, readings, until, _ = STORIES[name]
    coming = sorted(readings, key=lambda it: it.at + it.late)
    process = Killed(the_rule, sorted({it.point for it in coming}))
    for number, it in enumerate(coming):
        now = T0 + it.at + it.late
        process.tick(now)
        process.observe(it)
        if number % 5 == 4:
            process.write(now)
        if number % max(3, len(coming) // kills) == 2:
            process.kill(now)
    process.tick(T0 + until)
    process.write(T0 + until)
    assert told(process.written) == told(play(the_rule, readings, until))


def test_what_a_window_adds_up_survives_a_kill() -> None:
    """Not a sixtieth of it is missing, though it was written long before."""
    the_rule = rule('kind = "outside", high = 8.0, for = "10 h", over = "20 h"')
    process = Killed(the_rule, ["room/air_temperature"])
    coming = [At(at, 9.0) for at in range(0, 9 * 60 * M, M)]
    for it in coming:
        process.tick(T0 + it.at)
        process.observe(it)
        process.write(T0 + it.at)
    process.kill(T0 + coming[-1].at)
    for at in range(9 * 60 * M, 11 * 60 * M, M):
        process.tick(T0 + at)
        process.observe(At(at, 9.0))
    process.write(T0 + 11 * 60 * M)
    (raised,) = process.written
    assert raised.at - T0 == 10 * 60 * M


FORMER: dict[str, tuple[Rule, dict[str, list[float]], dict[str, object], list[At]]] = {
    "balance": (
        rule(
            'kind = "balance", bulk = { devices = ["bulk*"] }, subs = { devices = ["flat*"] }, share = 0.1, '
            'least = 1, over = "1 h", wait = "2 h"'
        ),
        {"bulk:gw/bulk/volume": [13 * H, 130.0], "sub:gw/flat-1/volume": [10 * H - M, 65.0]},
        {"count": 10, "periods": {"bulk:gw/bulk/volume": {"10": 100.0}}},
        [At(13 * H + M, 130.1, "bulk/volume"), At(13 * H + M, 80.0, "flat-1/volume")],
    ),
    "expression": (
        rule('kind = "expression", when = "a > 8", points = { a = "air_temperature" }, on_delay = "5 min"'),
        {"a": [13 * H, 9.0]},
        {},
        [At(13 * H + M, 9.0), At(13 * H + 30_000_000, 9.0)],
    ),
}


@pytest.mark.parametrize("kind", FORMER)
def test_an_alarm_that_stood_before_there_were_journals_stands_on(kind: str) -> None:
    """A memory of the former form: what it knows no more of is not taken for not having been so."""
    the_rule, points, kept, coming = FORMER[kind]
    subject = "gw" if kind == "balance" else "gw/room"
    text = msgspec.json.encode(
        {
            "rule": the_rule.id,
            "subject": subject,
            "state": "unacknowledged",
            "raised": True,
            "last_at": T0 + 13 * H,
            "value": 0.35,
            "begun_at": T0 + 8 * H,
            "raised_at": T0 + 8 * H,
            "kept": {"points": {name: [T0 + at, value] for name, (at, value) in points.items()}, **_dated(kept)},
        }
    )
    memory = msgspec.json.decode(text, type=Memory)
    engine, bound = restored(the_rule, [memory], sorted({it.point for it in coming}), T0 + 13 * H)
    found = []
    for it in coming:
        found += engine.observe(bound[it.point], it.value, it.quality, T0 + it.at, T0 + 13 * H + M)
    found += engine.tick(T0 + 13 * H + 3 * M)
    assert found == []


def _dated(kept: dict[str, object]) -> dict[str, object]:
    """Periods are counted from the beginning of time."""
    count = kept.get("count")
    return {**kept, "count": count + T0 // H} if isinstance(count, int) else kept
