"""InfluxQL is read, or refused with the place and what was expected; nothing else comes of a text."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_platform.influxql.parse import DEEPEST, LONGEST, QuerySyntaxError, parse, parse_duration
from linli_platform.influxql.syntax import (
    Binary,
    Call,
    Column,
    Duration,
    Fill,
    Grouping,
    Kind,
    Measurement,
    Name,
    Number,
    Regex,
    Select,
    Show,
    Shown,
    Text,
    walk,
)


def test_what_grafana_sends_is_read() -> None:
    (select,) = parse(
        'SELECT mean("value") AS "power" FROM "autogen"."active_power" WHERE ("device" =~ /^m1$/)'
        ' AND time >= now() - 6h and time <= now() GROUP BY time(1m), "device"::tag fill(previous)'
        " ORDER BY time ASC LIMIT 5 tz('Asia/Shanghai')"
    )
    assert isinstance(select, Select)
    assert select.columns == (Column(Call("mean", (Name("value"),)), "power"),)
    assert select.sources == (Measurement("active_power", "", "autogen"),)
    assert select.grouping == Grouping(60_000_000_000, 0, (Name("device", Kind.TAG),))
    assert (select.fill, select.limit, select.zone, select.descending) == (Fill.PREVIOUS, 5, "Asia/Shanghai", False)
    assert select.condition is not None
    assert Binary("=~", Name("device"), Regex("^m1$")) in walk(select.condition)


def test_several_statements_and_a_subquery_are_read() -> None:
    first, second = parse(
        "SELECT max(x) FROM (SELECT mean(value) AS x FROM a GROUP BY time(1h));SHOW MEASUREMENTS LIMIT 3;"
    )
    assert isinstance(first, Select)
    assert isinstance(first.sources[0], Select)
    assert second == Show(Shown.MEASUREMENTS, limit=3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SHOW DATABASES", Show(Shown.DATABASES)),
        ('show retention policies on "linli"', Show(Shown.POLICIES, database="linli")),
        ("SHOW TAG KEYS FROM a", Show(Shown.TAG_KEYS, (Measurement("a"),))),
        ("SHOW FIELD KEYS", Show(Shown.FIELD_KEYS)),
        (
            "SHOW TAG VALUES FROM a WITH KEY = \"device\" WHERE b = 'c'",
            Show(
                Shown.TAG_VALUES,
                (Measurement("a"),),
                Binary("=", Name("b"), Text("c")),
                key=("=", ("device",)),
            ),
        ),
        ("SHOW TAG VALUES WITH KEY IN (a, b)", Show(Shown.TAG_VALUES, key=("=", ("a", "b")))),
        ("SHOW MEASUREMENTS WITH MEASUREMENT =~ /x/", Show(Shown.MEASUREMENTS, measurement=("=~", Regex("x")))),
    ],
)
def test_what_is_shown(text: str, expected: Show) -> None:
    assert parse(text) == [expected]


@pytest.mark.parametrize(
    ("text", "duration"), [("1h30m", 5_400_000_000_000), ("2w", 1_209_600_000_000_000), ("5u", 5_000), ("7ns", 7)]
)
def test_durations(text: str, duration: int) -> None:
    assert parse_duration(text) == duration


def test_signs_and_precedence() -> None:
    (select,) = parse("SELECT -2 + 3 * value, -1h FROM a GROUP BY time(5m, -1m)")
    assert isinstance(select, Select)
    assert select.columns[0].expression == Binary("+", Number(-2), Binary("*", Number(3), Name("value")))
    assert select.columns[1].expression == Duration(-3_600_000_000_000)
    assert select.grouping == Grouping(300_000_000_000, -60_000_000_000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the query is empty"),
        ("SELECT", "error parsing query: found EOF"),
        ("SELECT value FROM", "error parsing query: found EOF"),
        ("SELECT value\nFROM a WHERE ,", "found ,"),
        ("DROP DATABASE linli", "error parsing query: found DROP"),
        ("DELETE FROM a", "error parsing query: found DELETE"),
        ("SELECT value INTO b FROM a", "found INTO"),
        ("SELECT value FROM a ORDER BY device", "only ORDER BY time supported"),
        ("SELECT value FROM a GROUP BY time(1m), time(2m)", "multiple time dimensions"),
        ("SELECT value FROM a GROUP BY time(0s)", "longer than nothing"),
        ("SELECT value FROM a GROUP BY time(5)", "must have duration argument"),
        ("SELECT value FROM a fill(always)", "expected null, none, previous, linear or a number"),
        ("SELECT value FROM a LIMIT 99999999999", "more than can be counted to"),
        (f"SELECT {2**64} FROM a", "is larger than"),
        ("SELECT value FROM a WHERE time > 9999999999d", "longer than 292 years"),
        ("SHOW TAG KEYS FROM (SELECT value FROM a)", "no subquery"),
        ("SELECT 'abc FROM a", "error parsing query"),
    ],
)
def test_what_is_malformed_is_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        parse(text)
    assert said in str(refused.value)


def test_the_place_is_told_by_line_and_character() -> None:
    with pytest.raises(QuerySyntaxError, match=r"at line 2, char 14"):
        parse("SELECT value\nFROM a WHERE ,")


def test_what_is_huge_is_refused_before_it_costs_anything() -> None:
    with pytest.raises(QuerySyntaxError, match=f"{LONGEST} are taken at most"):
        parse("SELECT value FROM a" + " " * LONGEST)
    for text in (
        "SELECT " + "(" * 3000 + "value" + ")" * 3000 + " FROM a",
        "SELECT value FROM " + "(SELECT value FROM " * 3000 + "a" + ")" * 3000,
        "SELECT " + "+".join(["value"] * 3000) + " FROM a",
        "SELECT " + "- " * 3000 + "value FROM a",
    ):
        with pytest.raises(QuerySyntaxError, match=f"more than {DEEPEST}"):
            parse(text)


def test_a_board_may_name_a_thousand_devices() -> None:
    devices = " OR ".join(f"\"device\" = 'm{number}'" for number in range(1000))
    (select,) = parse(f"SELECT value FROM a WHERE ({devices}) AND time > now() - 1h")
    assert isinstance(select, Select)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(QuerySyntaxError):
        parse(text)


WORDS = st.sampled_from(
    "SELECT FROM WHERE GROUP BY time ( ) , ; mean value * d 'x' /r/ = =~ != < 5 1m 1.5 AND OR + - fill LIMIT tz"  # noqa: SIM905 - a list of it is fifty lines
    " SHOW TAG KEYS VALUES WITH KEY ORDER DESC AS :: field . now DISTINCT IN".split()
)


@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_any_words_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(QuerySyntaxError):
        parse(text)
