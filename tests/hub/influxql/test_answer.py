"""Statements over a small store: what is a gap, what is BAD, what a place is, what is too much."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING

import pytest
from tests.hub.influxql.conftest import AREAS, BAD, DEVICES, GATEWAYS, GOOD, T0, put

from linli_core.instant import HOUR, MINUTE
from linli_platform.influxql import answer as answering
from linli_platform.influxql import store_source
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.influxql.execute import execute
from linli_platform.influxql.parse import parse
from linli_platform.influxql.store_source import StoreSource

if TYPE_CHECKING:
    from tests.hub.influxql.conftest import Asked

    from linli_platform.store.duckdb import DuckDBStore

S0 = T0 // 1_000_000


def test_readings_are_rows_with_their_place_as_tags(ask: Asked) -> None:
    (result,) = ask("SELECT value, device, building, unit FROM active_power WHERE device = 'm2'")
    assert result["series"] == [
        {
            "name": "active_power",
            "columns": ["time", "value", "device", "building", "unit"],
            "values": [[S0, 7.0, "m2", "b2", "W"], [S0 + 240, 9.0, "m2", "b2", "W"]],
        }
    ]


def test_what_went_wrong_is_told_apart_from_a_gap(ask: Asked) -> None:
    (result,) = ask("SELECT value, raw, quality FROM temperature")
    assert result["series"][0]["values"] == [
        [S0, 4.0, None, 0],
        [S0 + 60, None, 999.0, BAD],
        [S0 + 120, None, None, BAD],
    ]


def test_a_reading_that_went_wrong_is_in_no_mean(ask: Asked) -> None:
    (result,) = ask(f"SELECT mean(value), max(value), count(value) FROM temperature WHERE time >= {S0}s")
    assert result["series"][0]["values"] == [[S0, 4.0, 4.0, 1]]


def test_a_gap_is_null_unless_something_else_is_asked_for(ask: Asked) -> None:
    reach = f"time >= {S0}s AND time < {S0 + 300}s"
    asked = f"SELECT mean(value) FROM active_power WHERE device = 'm2' AND {reach} GROUP BY time(1m)"
    for fill, expected in (
        ("", [7.0, None, None, None, 9.0]),
        (" fill(previous)", [7.0, 7.0, 7.0, 7.0, 9.0]),
        (" fill(linear)", [7.0, 7.5, 8.0, 8.5, 9.0]),
        (" fill(0)", [7.0, 0.0, 0.0, 0.0, 9.0]),
    ):
        (result,) = ask(asked + fill)
        assert [row[1] for row in result["series"][0]["values"]] == expected
    (result,) = ask(asked + " fill(none)")
    assert result["series"][0]["values"] == [[S0, 7.0], [S0 + 240, 9.0]]


def test_groups_are_by_place(ask: Asked) -> None:
    (result,) = ask(f"SELECT sum(value) FROM active_power WHERE time >= {S0}s GROUP BY building")
    assert [(one["tags"], one["values"]) for one in result["series"]] == [
        ({"building": "b1"}, [[S0, 615.0]]),
        ({"building": "b2"}, [[S0, 16.0]]),
    ]


def test_the_newest_value_comes_with_its_time(ask: Asked) -> None:
    (result,) = ask("SELECT last(value) FROM active_power, temperature GROUP BY device")
    assert [(one["name"], one["tags"]["device"], one["values"]) for one in result["series"]] == [
        ("active_power", "m1", [[S0 + 300, 105.0]]),
        ("active_power", "m2", [[S0 + 240, 9.0]]),
        # What went wrong later is not the newest value.
        ("temperature", "m3", [[S0, 4.0]]),
    ]


def test_texts_are_values_too(ask: Asked) -> None:
    (result,) = ask("SELECT last(text) FROM text_message")
    assert result["series"][0]["values"] == [[S0 + 180, "closed"]]


def test_a_day_has_23_hours_when_the_clock_is_set_forward(ask: Asked) -> None:
    (result,) = ask(
        "SELECT count(value) FROM active_power WHERE time >= '2026-03-28' AND time < '2026-03-31' GROUP BY time(1d)"
        " fill(0) tz('Europe/Berlin')",
        unit=3_600_000_000_000,
    )
    assert result.get("series") is None
    (result,) = ask(
        "SELECT count(value) FROM active_power WHERE time >= '2026-02-28' AND time < '2026-03-31' GROUP BY time(1d)"
        " fill(0) tz('Europe/Berlin')",
        unit=3_600_000_000_000,
    )
    hours = [row[0] for row in result["series"][0]["values"]]
    lengths = [later - sooner for sooner, later in pairwise(hours)]
    assert lengths.count(23) == 1
    assert set(lengths) == {23, 24}


def test_a_pattern_that_keeps_others_busy_for_hours_is_matched_at_once(ask: Asked) -> None:
    (result,) = ask(f"SHOW TAG VALUES WITH KEY = device WHERE device !~ /^({'m?' * 60}{'m' * 60}|(a+)+)$/")
    assert result["series"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT nope(value) FROM active_power", "undefined function nope()"),
        ("SELECT mean(value), value FROM active_power", "mixing aggregate and non-aggregate"),
        ("SELECT max(value) * 4, 00 AS money FROM active_power GROUP BY time(1m)", "at least one variable"),
        ("SELECT last(value), 'x' FROM active_power", "at least one variable"),
        ("SELECT value, abs(5) FROM active_power", "at least one variable"),
        ("SELECT mean(text) FROM text_message", "unsupported mean iterator type: string"),
        ("SELECT percentile(value) FROM active_power", "invalid number of arguments for percentile"),
        ("SELECT value FROM active_power GROUP BY time(1m)", "GROUP BY requires at least one aggregate"),
        ("SELECT value FROM active_power WHERE device =~ /(/", "is no regular expression: missing )"),
        ("SELECT value FROM active_power WHERE time > 'soon'", "'soon' are not compatible"),
        ("SELECT value FROM active_power WHERE time > 0 OR device = 'm1'", "joined to the rest with AND"),
        ("SELECT value FROM active_power tz('Mars/Olympus')", "unable to find time zone Mars/Olympus"),
        ("SELECT mean(value) FROM active_power WHERE time > 0 GROUP BY time(1s)", "more than 2000000 windows"),
        ("SELECT value FROM other..active_power", "database not found: other"),
    ],
)
def test_what_cannot_be_answered_says_why_and_keeps_nothing_else_from_being(ask: Asked, text: str, said: str) -> None:
    refused, answered = ask(f"{text}; SHOW MEASUREMENTS")
    assert said in refused["error"]
    assert answered["statement_id"] == 1
    assert answered["series"]


def test_without_a_database_nothing_is_read(ask: Asked) -> None:
    (refused,) = ask("SELECT value FROM active_power", database="")
    assert "database name required" in refused["error"]


def test_what_is_not_there_has_no_answer(ask: Asked) -> None:
    assert ask("SELECT value FROM nothing") == [{"statement_id": 0}]
    assert ask("SELECT nothing FROM active_power") == [{"statement_id": 0}]


def test_too_much_is_refused_with_what_to_do(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_source, "MOST_READINGS", 5)
    refused, answered = ask("SELECT value FROM active_power; SELECT value FROM active_power WHERE device = 'm2'")
    assert "more than 5 readings: ask for a shorter time" in refused["error"]
    assert answered["series"]
    monkeypatch.setattr(store_source, "MOST_READINGS", 100)
    monkeypatch.setattr(answering, "MOST_VALUES", 5)
    (refused,) = ask("SELECT value FROM active_power")
    assert "more than 5 values: shorten the time" in refused["error"]


def test_windows_of_a_range_that_begins_in_the_middle(ask: Asked) -> None:
    reach = f"time >= {S0 + 30}s AND time < {S0 + 200}s"
    (result,) = ask(f"SELECT sum(value) FROM active_power WHERE device = 'm1' AND {reach} GROUP BY time(2m)")
    assert result["series"][0]["values"] == [[S0, 101.0], [S0 + 120, 205.0]]
    assert T0 % (2 * MINUTE) == 0


def test_differences_made_for_all_groups_at_once_are_those_of_each_alone(store: DuckDBStore) -> None:
    """A condition on the field has every reading looked at: the two ways must say the same."""
    counts = (5.0, 5.0, 7.0, 2.0, 2.5, 9.0)
    put(store, "gw-1", "m4/active_power", [(T0 + place * 2 * MINUTE, x, GOOD) for place, x in enumerate(counts)])
    put(store, "gw-1", "m5/active_power", [(T0 + 3 * MINUTE, 1.0, GOOD)])
    catalogue = Catalogue.of(store.all_series(), Places(AREAS, GATEWAYS, DEVICES), lambda _info: True)
    source = StoreSource(store, catalogue)
    now = (T0 + HOUR) * 1000

    def said(text: str) -> list[object]:
        (result,) = execute(parse(text), source, now, "linli")
        assert not result.error
        return [(one.tags, one.table.times.tolist(), one.table.columns[0].listed()) for one in result.answers]

    ways = (("null", ""), ("none", ""), ("null", " ORDER BY time DESC"), ("null", " LIMIT 2"), ("null", " SLIMIT 1"))
    reaches = (f"time >= {S0}s AND time < {S0 + 700}s", f"time > {S0 + 130}s AND time < {S0 + 420}s")
    for name, inner in product(("non_negative_difference", "difference"), ("last", "max", "sum", "count")):
        for (fill, rest), reach in product(ways, reaches):
            tail = f"GROUP BY time(2m), device fill({fill}){rest}"
            text = f"SELECT {name}({inner}(value)) FROM active_power WHERE {reach}"
            assert said(f"{text} {tail}") == said(f"{text} AND value > -1000 {tail}"), f"{text} {tail}"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("mean(value) + 2 * 3", 108.5),
        ("1 / 2 * mean(value)", 51.25),
        ("max(value) * (2 + 3)", 525.0),
        ("mean(value) + 7 % 4 / 0", 102.5),
        ("mean(value) - (-18)", 120.5),
        ("mean(value) + (5 & 3)", 103.5),
        ("abs(2 - 5) + mean(value)", 105.5),
    ],
)
def test_what_numbers_make_with_each_other_has_no_rows_of_its_own(ask: Asked, column: str, expected: float) -> None:
    (result,) = ask(f"SELECT {column} AS x FROM active_power WHERE device = 'm1' AND time >= {S0}s")
    assert [row[1] for row in result["series"][0]["values"]] == [expected]


def test_a_word_in_the_place_of_a_limit_is_no_limit_that_nothing_exceeds(ask: Asked) -> None:
    """As the board of food asks how long a unit was too warm."""
    text = (
        'SELECT count("over") * 60 AS "out" FROM (SELECT max("value") - ({limit}) AS "over" FROM "temperature"'
        f' WHERE time >= {S0}s GROUP BY time(1m), "device" fill(none)) WHERE time >= {S0}s AND "over" > 0'
    )
    (result,) = ask(text.format(limit=3.5))
    assert result["series"][0]["values"] == [[S0, 60]]
    assert "series" not in ask(text.format(limit=4))[0]
    assert "mixing aggregate" in ask(text.format(limit="mild"))[0]["error"]
