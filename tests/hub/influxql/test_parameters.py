"""Bound parameters: what they may be, and that no text in them is ever more than a text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_platform.influxql.parameters import MOST, read_parameters
from linli_platform.influxql.parse import QuerySyntaxError, parse
from linli_platform.influxql.syntax import Binary, Boolean, Duration, Expression, Name, Number, Regex, Select, Text


def condition(text: str, **values: Any) -> Expression:
    (select,) = parse(f"SELECT value FROM a WHERE {text}", read_parameters(json.dumps(values)))
    assert isinstance(select, Select)
    assert select.condition is not None
    return select.condition


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("meter-1", Text("meter-1")),
        (5, Number(5)),
        (-5, Number(-5)),
        (2.5, Number(2.5)),
        (True, Boolean(value=True)),
        ({"string": "a"}, Text("a")),
        ({"integer": 7}, Number(7)),
        ({"float": 7}, Number(7.0)),
        ({"boolean": False}, Boolean(value=False)),
        ({"duration": "1h30m"}, Duration(5_400_000_000_000)),
        ({"duration": 60_000_000_000}, Duration(60_000_000_000)),
        ({"identifier": "value"}, Name("value")),
    ],
)
def test_what_a_value_may_be(value: object, meant: Expression) -> None:
    assert condition("b = $it", it=value) == Binary("=", Name("b"), meant)


def test_a_pattern_and_a_name_in_quotes() -> None:
    assert condition("b =~ $it", it={"regex": "^m/1"}) == Binary("=~", Name("b"), Regex("^m/1"))
    assert condition('b = $"the it"', **{"the it": 1}) == Binary("=", Name("b"), Number(1))


def test_windows_and_arguments() -> None:
    text = "SELECT percentile(value, $p) FROM a WHERE time > now() - $back GROUP BY time($every), $tag"
    values = {"p": 90, "back": {"duration": "1d"}, "every": {"duration": "15m"}, "tag": {"identifier": "device"}}
    (bound,) = parse(text, read_parameters(json.dumps(values)))
    assert [bound] == parse("SELECT percentile(value, 90) FROM a WHERE time > now() - 1d GROUP BY time(15m), device")


@given(st.text())
def test_a_text_is_never_more_than_a_text(value: str) -> None:
    assert condition("b = $it", it=value) == Binary("=", Name("b"), Text(value))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ('{"a"', "params is no JSON"),
        ("[" * 100_000, "params is no JSON"),
        ("3", "no JSON object"),
        (json.dumps({str(n): n for n in range(MOST + 1)}), f"{MOST} are taken at most"),
        ('{"a": null}', r"\$a has no type"),
        ('{"a": [1]}', r"\$a has no type"),
        ('{"a": {}}', r"\$a must have one type"),
        ('{"a": {"string": "a", "integer": 1}}', r"\$a must have one type"),
        ('{"a": {"integer": "1"}}', r"\$a is no integer"),
        ('{"a": {"integer": true}}', r"\$a is no integer"),
        ('{"a": {"flux": "1"}}', r"\$a is no flux"),
        ('{"a": {"duration": "soon"}}', "the duration 'soon' is none"),
        ('{"a": {"duration": "1h, 2"}}', "is none"),
        ('{"a": 99999999999999999999}', r"\$a is larger than"),
        ('{"a": {"duration": 99999999999999999999}}', r"\$a is larger than"),
    ],
)
def test_what_is_no_value_is_refused(params: str, said: str) -> None:
    with pytest.raises(QuerySyntaxError, match=said):
        read_parameters(params)


def test_what_is_not_there_or_stands_where_it_cannot() -> None:
    with pytest.raises(QuerySyntaxError, match="missing parameter: b"):
        condition("a = $b", a=1)
    with pytest.raises(QuerySyntaxError, match="a pattern is expected"):
        condition("a =~ $b", b="text")
    with pytest.raises(QuerySyntaxError, match="only time"):
        parse("SELECT value FROM a GROUP BY $b", read_parameters('{"b": "device"}'))
    assert read_parameters("null") == read_parameters("") == {}
    with pytest.raises(QuerySyntaxError, match="missing parameter"):
        parse("SELECT value FROM a WHERE a = $b")
