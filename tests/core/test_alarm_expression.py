"""The language of conditions over several points: what it says, what it does not know, and that it always ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm.expression import DEEPEST, LONGEST, parse_expression
from linli_core.errors import ConfigError

NAMES = {"a": 2.0, "b": 3.0, "zero": 0.0, "gone": None, "valve": "closed"}


def ask(text: str) -> float | None:
    return parse_expression(text, NAMES, "when")(NAMES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("10 - 2 - 3", 5.0),
        ("12 / 2 / 3", 2.0),
        ("2 - -3", 5.0),
        ("--a", 2.0),
        ("a < b", 1.0),
        ("b < a", 0.0),
        ("a <= 2", 1.0),
        ("a >= 2.5", 0.0),
        ("a == 2 and b != 2", 1.0),
        ("a > 5 or b > 2", 1.0),
        ("a > 5 or b > 5", 0.0),
        ("not a > 5", 1.0),
        ("not not a > 5", 0.0),
        ("a > 1 and not b > 5 or false", 1.0),
        ("true and a", 1.0),
        ("abs(a - b)", 1.0),
        ("min(a, b, 1)", 1.0),
        ("max(a, b) - a", 1.0),
        ("a / zero", None),
        ("a / zero > 1", None),
        ("gone", None),
        ("gone + 1 > 0", None),
        ("not gone", None),
        ("gone > 1 and false", 0.0),
        ("false and gone", 0.0),
        ("gone and true", None),
        ("gone or a", 1.0),
        ("a or gone", 1.0),
        ("gone or false", None),
        ("max(a, gone)", None),
        ("valve is closed", 1.0),
        ("valve is open", 0.0),
        ("not valve is open and a > 1", 1.0),
        ("valve", None),
        ("valve > 1", None),
        ("valve + 1", None),
        ("gone is closed", None),
        ("a is closed", None),
    ],
)
def test_what_it_says(text: str, value: float | None) -> None:
    assert ask(text) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it ends too early"),
        ("a >", "it ends too early"),
        ("a > 1 b", "at character 7, found 'b'"),
        ("a = 1", "at character 3, found '='"),
        ("a < b < 3", "found '<'"),
        ("c > 1", "no point is called 'c'; known here: a, b"),
        ("abs(a, b)", "abs has 2 values; give it one"),
        ("max(a)", "max has 1 values; give it two or more"),
        ("max a", "found 'a'"),
        ("(a", "it ends too early"),
        ("and a", "found 'and'"),
        ("valve is", "it ends too early"),
        ("valve is 1", "found '1'"),
        ("valve is not", "found 'not'"),
        ("1 is closed", "found 'is'"),
        ("(valve) is closed", "found 'is'"),
        ("is closed", "found 'is'"),
        ("__import__('os')", "found '_'"),
        ("a.b", "found '.'"),
        ("a ** 2", "found '*'"),
        ("(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1), "more than 24 deep"),
        ("1+" * LONGEST + "1", "write at most 300"),
    ],
)
def test_what_is_none_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_expression(text, NAMES, "food.toml: when")
    assert str(caught.value).startswith("food.toml: when: ")
    assert complaint in str(caught.value)


def test_a_point_must_not_bear_a_word_of_the_language() -> None:
    with pytest.raises(ConfigError, match="'max' is a word of the language"):
        parse_expression("1 > 0", ["max"], "when")


def test_the_longest_chain_can_be_asked() -> None:
    assert ask("+".join("1" for _ in range(LONGEST // 2))) == LONGEST // 2


@given(st.text("ab()+-*/<>=!,. andortmixs0123", max_size=60))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        compiled = parse_expression(text, NAMES, "when")
    except ConfigError:
        return
    value = compiled(NAMES)
    assert value is None or isinstance(value, float | bool | int)


def brackets(deep: int) -> str:
    return "(" * deep + "1" + ")" * deep


def test_it_may_be_as_deep_and_as_long_as_is_said() -> None:
    assert ask(brackets(DEEPEST - 1)) == 1.0
    assert ask(f"{brackets(DEEPEST - 1)} + {brackets(DEEPEST - 1)}") == 2.0
    assert ask("1".ljust(LONGEST)) == 1.0
    for text in (brackets(DEEPEST), f"(1) + {brackets(DEEPEST)}", f"(1) + (1) + {brackets(DEEPEST)}"):
        with pytest.raises(ConfigError, match="deep"):
            ask(text)
    with pytest.raises(ConfigError, match="characters"):
        ask("1".ljust(LONGEST + 1))
