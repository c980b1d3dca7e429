"""Rules tried on stored history: the alarms are those that live readings would have raised, and nothing changes."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linli_core.alarm import (
    Absence,
    Category,
    Condition,
    Engine,
    Event,
    Limit,
    Priority,
    Rule,
    Series,
    StateIs,
    SubjectKind,
    parse_rules,
)
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.model import parse_point
from linli_platform.alarms.bundled import pack_names
from linli_platform.alarms.replay import Episode, Stopped, reach, replay
from linli_platform.alarms.screening import QUALITY
from linli_platform.cli import main
from linli_platform.store import Batch, SeriesInfo, Store
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Scan, TooManyReadings

T0 = 1_795_000_000 * SECOND
Row = tuple[Instant, float | str | None, int]
WARM = Rule(
    "food.warm", Category.FOOD, Priority.HIGH, Limit(high=8, hysteresis=1, on_delay=5 * MINUTE), "air_temperature"
)
LATER = Rule(
    "food.warm", Category.FOOD, Priority.HIGH, Limit(high=8, hysteresis=1, on_delay=30 * MINUTE), "air_temperature"
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "readings.duckdb") as opened:
        yield opened


def columns(rows: Sequence[Row], series: int) -> Scan:
    return Scan(
        np.full(len(rows), series, np.int32),
        np.array([at for at, _, _ in rows], np.int64),
        np.array([value if isinstance(value, int | float) else np.nan for _, value, _ in rows], np.float64),
        np.array([code for _, _, code in rows], np.uint8),
        {row: value for row, (_, value, _) in enumerate(rows) if isinstance(value, str)},
    )


def keep(store: DuckDBStore, name: str, rows: Sequence[Row]) -> None:
    found = columns(rows, store.series("gw", name).id)
    store.append(Batch(found.series, found.time, found.value, found.quality, T0 + DAY, found.texts), {})


class InMemory:
    """What a replay asks of a store, of one series."""

    def __init__(self, name: str, rows: Sequence[Row]) -> None:
        self._info = SeriesInfo(1, "gw", name.partition("/")[0], name, parse_point(name).quantity)
        self._rows = rows

    def all_series(self) -> list[SeriesInfo]:
        return [self._info]

    def scan(self, _series: Sequence[int], start: Instant, end: Instant, *, limit: int) -> Scan:
        found = [row for row in self._rows if start <= row[0] < end]
        if len(found) > limit:
            raise TooManyReadings("too many")
        return columns(found, 1)


def warm_for(store: DuckDBStore, name: str, begin: Instant, length: Instant) -> None:
    steps = range(begin - 10 * MINUTE, begin + length + 20 * MINUTE, MINUTE)
    keep(store, name, [(at, 9.0 if begin <= at < begin + length else 4.0, 0) for at in steps])


def test_what_appears_and_what_vanishes(store: DuckDBStore) -> None:
    warm_for(store, "room-1/air_temperature", T0 + HOUR, 10 * MINUTE)
    warm_for(store, "room-2/air_temperature", T0 + 2 * HOUR, 40 * MINUTE)
    warm_for(store, "room-3/air_temperature", T0 - HOUR, 40 * MINUTE)  # before the span
    found = replay(store, [WARM], [LATER], {}, T0, T0 + DAY, UTC)
    assert found.readings == 40 + 70 + 70
    gone = Episode("food.warm", "gw/room-1/air_temperature", T0 + HOUR + 5 * MINUTE, T0 + HOUR + 10 * MINUTE)
    assert (found.appear, found.vanish, found.same) == ([], [gone], 1)
    assert found.days == {date(2026, 11, 18): (2, 1)}
    back = replay(store, [LATER], [WARM], {}, T0, T0 + DAY, UTC)
    assert (back.appear, back.vanish, back.same) == ([gone], [], 1)


def test_a_new_rule_is_held_against_nothing(store: DuckDBStore) -> None:
    warm_for(store, "room-1/air_temperature", T0 + HOUR, 10 * MINUTE)
    warm_for(store, "room-1/air_temperature", T0 + 3 * HOUR, 10 * MINUTE)
    found = replay(store, [], [WARM], {}, T0, T0 + DAY, UTC)
    assert [(it.raised_at - T0) // MINUTE for it in found.appear] == [65, 185]
    assert (found.vanish, found.same, found.days) == ([], 0, {date(2026, 11, 18): (0, 2)})


def test_what_still_stands_at_the_end(store: DuckDBStore) -> None:
    warm_for(store, "room-1/air_temperature", T0 + HOUR, 10 * MINUTE)
    found = replay(store, [], [WARM], {}, T0, T0 + HOUR + 8 * MINUTE, UTC)
    assert [it.returned_at for it in found.appear] == [None]


def test_nobody_is_silent_before_they_were_there(store: DuckDBStore) -> None:
    silent = Rule("system.silent", Category.SYSTEM, Priority.LOW, Absence(SubjectKind.DEVICE, after=5 * MINUTE))
    keep(store, "meter-1/voltage", [(T0 + HOUR + minute * MINUTE, 230.0, 0) for minute in (0, 1, 2, 20, 21)])
    found = replay(store, [], [silent], {}, T0, T0 + HOUR + 22 * MINUTE, UTC)
    assert [((it.raised_at - T0) // MINUTE, it.subject) for it in found.appear] == [(67, "gw/meter-1")]


def test_nobody_waits_any_more(store: DuckDBStore) -> None:
    warm_for(store, "room-1/air_temperature", T0 + HOUR, 10 * MINUTE)
    with pytest.raises(Stopped):
        replay(store, [], [WARM], {}, T0, T0 + DAY, UTC, go_on=lambda: False)


CONDITIONS: st.SearchStrategy[tuple[str, Condition]] = st.one_of(
    st.tuples(
        st.just("air_temperature"),
        st.builds(
            Limit,
            high=st.sampled_from([6.0, 8.0]),
            hysteresis=st.sampled_from([0.0, 1.0]),
            on_delay=st.sampled_from([0, MINUTE, 7 * MINUTE]),
            off_delay=st.sampled_from([0, 3 * MINUTE]),
        ),
    ),
    st.tuples(st.just("door_open"), st.builds(StateIs, st.just((True,)), st.sampled_from([0, 2 * MINUTE]))),
)
VALUES = st.sampled_from([0.0, 1.0, 5.0, 6.5, 7.5, 8.5, 9.0, None])
MINUTES = st.dictionaries(st.integers(0, 500), st.tuples(VALUES, st.sampled_from([0, 0, 0, 128])), max_size=60)


@settings(max_examples=60)
@given(condition=CONDITIONS, minutes=MINUTES)
def test_it_is_what_live_readings_would_have_raised(
    condition: tuple[str, Condition], minutes: dict[int, tuple[float | None, int]]
) -> None:
    quantity, said = condition
    rule = Rule("a.rule", Category.FOOD, Priority.LOW, said, quantity)
    told = [
        (T0 + minute * MINUTE, value, 128 if value is None else code)
        for minute, (value, code) in sorted(minutes.items())
    ]
    engine = Engine([rule])
    bound = engine.bind(Series("gw", "room-1", f"room-1/{quantity}", quantity), T0)
    changes = []
    for at, value, code in told:
        changes += engine.tick(at)
        changes += engine.observe(bound, value, QUALITY[code], at, at)
    changes += engine.tick(T0 + DAY)
    expected = [(change.at, change.event) for change in changes]
    store = cast("Store", InMemory(f"room-1/{quantity}", told))
    found = replay(store, [], [rule], {}, T0, T0 + DAY, UTC)
    replayed = [(it.raised_at, Event.RAISE) for it in found.appear]
    replayed += [(it.returned_at, Event.RETURN) for it in found.appear if it.returned_at is not None]
    assert sorted(replayed) == sorted(expected)


@settings(max_examples=40)
@example([1, 12, 12, 30, 12], 0.0)  # a habit that is longer than what the rule allows
@given(st.lists(st.sampled_from([1, 1, 1, 1, 3, 7, 12, 30, 90]), min_size=5, max_size=60), st.sampled_from([0.0, 3.0]))
def test_silences_are_those_of_signs_that_came_in_time(pauses: list[int], intervals: float) -> None:
    """A device that speaks up for a minute within an hour of silence was heard, and silent again after it."""
    said = Absence(SubjectKind.DEVICE, after=8 * MINUTE, intervals=intervals, until_known=20 * MINUTE)
    rule = Rule("a.rule", Category.SYSTEM, Priority.LOW, said)
    told: list[Row] = []
    at = T0
    for pause in pauses:
        at += pause * MINUTE
        told.append((at, 4.0, 0))
    engine = Engine([rule])
    bound = engine.bind(Series("gw", "room-1", "room-1/air_temperature", "air_temperature"), told[0][0])
    changes = []
    for at, value, _ in told:
        while (due := engine.next_due()) is not None and due <= at:
            changes += engine.tick(due)
        assert isinstance(value, float)
        changes += engine.observe(bound, value, QUALITY[0], at, at)
    changes += engine.tick(T0 + 2 * DAY)
    store = cast("Store", InMemory("room-1/air_temperature", told))
    found = replay(store, [], [rule], {}, T0, T0 + 2 * DAY, UTC)
    replayed = [(it.raised_at, Event.RAISE) for it in found.appear]
    replayed += [(it.returned_at, Event.RETURN) for it in found.appear if it.returned_at is not None]
    assert sorted(replayed) == sorted((change.at, change.event) for change in changes)


RULES = """
[[rules]]
id = "food.cold-room-warm"
category = "food"
priority = "high"
quantity = "air_temperature"
unit = "Cel"
condition = { kind = "limit", high = 8.0, on_delay = "30 min" }
title = { zh = "过热", en = "Too warm" }
consequence = { zh = "变质", en = "It spoils" }
response = { zh = "关门", en = "Shut the door" }
"""


def test_check_and_test_name_each_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "check"]) == 0
    assert main(["rules", "test"]) == 0
    assert "0 otherwise than expected" in capsys.readouterr().out
    wrong = RULES.replace("air_temperature", "air_temprature") + RULES.replace('"Cel"', '"K"').replace("warm", "hot")
    (tmp_path / "mine.toml").write_text(wrong, encoding="utf-8")
    (tmp_path / "mine.timelines.toml").write_text("[[timelines]]\ntitle = 3", encoding="utf-8")
    assert main(["rules", "check", str(tmp_path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert "did you mean 'air_temperature'" in lines[0]
    assert "write the limit in 'Cel'" in lines[1]
    assert "mine.timelines.toml: timelines[0].title: Expected `str`" in lines[2]
    (tmp_path / "mine.toml").write_text(RULES, encoding="utf-8")
    story = """
[[timelines]]
title = "it is told at once"
points = { air = { name = "cold-room-1/air_temperature" } }
until = "20 min"
readings = [{ point = "air", from = "0 s", to = "10 min", every = "1 min", value = 9.0 }]
expect = [{ rule = "food.cold-room-warm", event = "raise", between = ["0 s", "1 min"] }]
"""
    (tmp_path / "mine.timelines.toml").write_text(story, encoding="utf-8")
    assert main(["rules", "test", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "it is told at once: did not come: raise of food.cold-room-warm 00:00:00 … 00:01:00" in said.err
    assert "1 timelines, 1 otherwise than expected" in said.out
    assert main(["rules", "list", "--lang", "zh"]) == 0
    assert "冷库温度过高" in capsys.readouterr().out


def test_hours_are_those_of_the_community(store: DuckDBStore) -> None:
    # 11:06 UTC: within the hours in Berlin, in winter an hour ahead, and not in London.
    warm_for(store, "room-1/air_temperature", T0, 10 * MINUTE)
    hours = RULES.replace('on_delay = "30 min" }', 'on_delay = "5 min" }\nschedule = { hours = ["12:00-13:00"] }')
    (rule,) = parse_rules(hours, "mine.toml")
    told = {
        zone: len(replay(store, [], [rule], {}, T0 - HOUR, T0 + DAY, ZoneInfo(zone)).appear)
        for zone in ("Europe/Berlin", "Europe/London")
    }
    assert told == {"Europe/Berlin": 1, "Europe/London": 0}


def test_a_rule_that_looks_back_is_given_what_it_looks_at() -> None:
    assert reach(WARM) == DAY + 5 * MINUTE
    mean = RULES.replace(
        '"limit", high = 8.0, on_delay = "30 min"', '"window", statistic = "mean", high = 8.0, over = "3 d"'
    )
    (rule,) = parse_rules(mean, "mine.toml")
    assert reach(rule) == 4 * DAY


def test_packs_are_in_force_where_the_settings_name_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "platform.toml"
    config.write_text('packs = ["astrology"]\n', encoding="utf-8")
    assert main(["rules", "list", "--config", str(config)]) == 2
    assert "no pack of rules is called 'astrology'; choose among" in capsys.readouterr().err
    config.write_text(f"packs = {json.dumps(pack_names())}\n", encoding="utf-8")
    assert main(["rules", "check", "--config", str(config)]) == 0
    assert main(["rules", "test", "--config", str(config)]) == 0


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "check", str(tmp_path / "none.toml")]) == 2
    assert main(["rules", "replay", "--rule", str(tmp_path / "none.toml")]) == 2
    assert main(["rules", "test", str(tmp_path)]) == 1
    assert "none.toml: cannot be read" in capsys.readouterr().err
