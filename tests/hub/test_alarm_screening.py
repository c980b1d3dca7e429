"""Whole columns judged at once come to what judging reading by reading does."""

from typing import Any
from unittest.mock import Mock, patch

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import (
    Absence,
    AlarmChange,
    Bound,
    Category,
    Engine,
    Limit,
    Priority,
    Rule,
    Series,
    StateIs,
    SubjectKind,
)
from linli_core.instant import MINUTE, SECOND
from linli_core.model import Quality, Value, parse_point, quality_code
from linli_platform.alarms.screening import QUALITY, Screening
from linli_platform.ingest import Committed
from linli_platform.store import SeriesInfo

NOW = 1_764_000_000 * SECOND
NAMES = ("a/voltage", "a/active_power", "b/voltage", "b/door_open", "b/air_temperature")


def rule(name: str, condition: Limit | StateIs | Absence, quantity: str = "") -> Rule:
    return Rule(name, Category.UTILITY, Priority.LOW, condition, quantity)


RULES = (
    rule("high", Limit(high=240, hysteresis=2, on_delay=3 * SECOND, off_delay=SECOND), "voltage"),
    rule("low", Limit(low=200, hysteresis=2), "voltage"),
    rule("warm", Limit(high=8), "air_temperature"),
    rule("open", StateIs((True,), on_delay=2 * SECOND), "door_open"),
    rule("device", Absence(SubjectKind.DEVICE, after=3 * SECOND, intervals=3, until_known=MINUTE)),
    rule("gateway", Absence(SubjectKind.GATEWAY, bad_counts=True, after=2 * SECOND)),
    rule("point", Absence(SubjectKind.POINT, after=5 * SECOND), "active_power"),
)
SERIES = [
    SeriesInfo(number, gateway, parse_point(name).device, name, parse_point(name).quantity)
    for number, (gateway, name) in enumerate([(gateway, name) for gateway in ("g", "h") for name in NAMES], 1)
]
Row = tuple[SeriesInfo, int, float | str | None, int]

VALUES: st.SearchStrategy[float | str | None] = st.one_of(
    st.sampled_from([0.0, 1.0, 7.0, 9.0, 190.0, 199.0, 200.0, 220.0, 239.0, 240.0, 240.5, 250.0]),
    st.sampled_from([None, "text"]),
)
CODES = st.sampled_from([0, 0, 0, quality_code(Quality.UNCERTAIN), quality_code(Quality.BAD)])
ROWS = st.lists(st.tuples(st.sampled_from(SERIES), st.integers(-8, 0), VALUES, CODES), max_size=30)
POLLS = st.lists(st.tuples(st.sampled_from(("g", "h")), st.integers(-8, 0), st.lists(VALUES, min_size=5, max_size=5)))


def polled(polls: list[tuple[str, int, list[float | str | None]]]) -> list[Row]:
    return [
        (info, second, value, quality_code(Quality.BAD) if value is None else 0)
        for gateway, second, values in polls
        for info, value in zip([each for each in SERIES if each.gateway == gateway], values, strict=True)
    ]


def bound(engine: Engine, info: SeriesInfo, now: int) -> Bound:
    return engine.bind(Series(info.gateway, info.device, info.name, info.quantity), now)


def judged(engine: Engine, rows: list[Row], now: int) -> list[AlarmChange]:
    bounds = [bound(engine, info, now) for info, _, _, _ in rows]
    values: list[Value] = [value for _, _, value, _ in rows]
    times = [now + second * SECOND for _, second, _, _ in rows]
    return engine.observe_all(bounds, values, [QUALITY[code] for _, _, _, code in rows], times, now)


def screened(screening: Screening, rows: list[Row], now: int) -> list[AlarmChange]:
    committed = Committed(
        [info for info, _, _, _ in rows],
        [now + second * SECOND for _, second, _, _ in rows],
        [None if isinstance(value, str) else value for _, _, value, _ in rows],
        [value if isinstance(value, str) else None for _, _, value, _ in rows],
        [code for _, _, _, code in rows],
        now,
    )
    return screening.observe(committed.columns, now)


def remembered(engine: Engine) -> dict[tuple[str, str], Any]:
    return {(memory.rule, memory.subject): msgspec.to_builtins(memory) for memory in engine.snapshot()}


@given(
    commits=st.lists(st.tuples(st.one_of(ROWS, POLLS.map(polled)), st.integers(0, 20)), max_size=6),
    deaf=st.one_of(st.none(), st.integers(-8, 0)),
)
def test_columns_come_to_what_single_readings_do(commits: list[tuple[list[Row], int]], deaf: int | None) -> None:
    one, other = Engine(RULES), Engine(RULES)
    now = NOW
    if deaf is not None:
        one.resume(NOW + deaf * SECOND)
        other.resume(NOW + deaf * SECOND)
    screening = Screening(other, lambda info: bound(other, info, now))
    for rows, pause in commits:
        assert screened(screening, rows, now) == judged(one, rows, now)
        assert remembered(other) == remembered(one)
        assert {memory.subject for memory in other.take_touched()} == {memory.subject for memory in one.take_touched()}
        now += pause * SECOND
        assert other.tick(now) == one.tick(now)
        assert remembered(other) == remembered(one)


def test_signs_of_life_are_heard_device_by_device_also_those_of_a_backlog() -> None:
    engine = Engine(RULES)
    engine.resume(NOW)
    screening = Screening(engine, lambda info: bound(engine, info, NOW))
    observing = Mock(wraps=engine.observe_all)
    for begin, is_silent in ((-600, False), (-550, False), (-500, True), (-450, True)):
        rows: list[Row] = [
            (info, second, 1.0, 0)
            for second in range(begin, begin + 50)
            for info in SERIES
            if info.quantity == "active_power"
        ]
        now = NOW + 30 * SECOND * is_silent
        assert bool(engine.tick(now)) == (begin == -500)
        with patch.object(engine, "observe_all", observing):
            assert screened(screening, rows, now) == []
        (bounds, *_), _ = observing.call_args
        assert len(bounds) == (100 if begin == -600 else 0)


def test_a_healthy_sites_readings_are_settled_series_by_series() -> None:
    engine = Engine(RULES)
    observing = Mock(wraps=engine.observe_all)
    healthy = {"voltage": 220.0, "active_power": 1_000.0, "air_temperature": 7.0}
    rows: list[Row] = [
        (info, second, healthy[info.quantity], 0)
        for second in range(-60, 0)
        for info in SERIES
        if info.quantity in healthy
    ]
    with patch.object(engine, "observe_all", observing):
        assert screened(Screening(engine, lambda info: bound(engine, info, NOW)), rows, NOW) == []
    (bounds, *_), _ = observing.call_args
    # Nothing of the limits; of each moment one point of each device, and the one whose own silence is watched.
    assert [each.levels for each in bounds] == [()] * (60 * 2 * 3)
    assert engine.evaluations >= 60 * 2 * (2 * 2 + 1)
