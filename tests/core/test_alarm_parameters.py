"""What people may change of a rule: within its bounds, by whole steps, and with the same care as a file is read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import Engine, Event, Expression, Limit, Rule, Series, parse_rules
from linli_core.alarm.adjusting import adjusted
from linli_core.errors import ConfigError
from linli_core.instant import MINUTE, SECOND
from linli_core.model import Quality

HEAD = """
[[rules]]
id = "food.warm"
category = "food"
priority = "high"
quantity = "air_temperature"
unit = "Cel"
title = { zh = "热", en = "Warm" }
consequence = { zh = "变质", en = "It spoils" }
response = { zh = "关门", en = "Shut the door" }
"""
LIMIT = 'condition = { kind = "limit", high = 8.0, hysteresis = 1.0, on_delay = "30 min" }\n'
BOTH = (
    "parameters = { high = { min = 4.0, max = 10.0, step = 0.5 },"
    ' on_delay = { min = "10 min", max = "1 h", step = "5 min", title = { zh = "延时", en = "Grace" } } }\n'
)
EXPRESSION = (
    'condition = { kind = "expression", when = "supply - back < least and flow > 0.1",'
    ' points = { supply = "supply_temperature", back = "return_temperature", flow = "volume_flow" } }\n'
)


def rule(condition: str = LIMIT, parameters: str = BOTH) -> Rule:
    (found,) = parse_rules(HEAD + condition + parameters, "mine.toml")
    return found


def test_a_parameter_is_called_as_the_key_it_sets_and_holds_what_stands_there() -> None:
    high, delay = rule().parameters
    assert (high.name, high.unit, high.is_length, high.value, high.default) == ("high", "Cel", False, 8.0, 8.0)
    assert (high.least, high.most, high.step) == (4.0, 10.0, 0.5)
    assert (delay.unit, delay.is_length, delay.least, delay.most, delay.step) == ("s", True, 600.0, 3_600.0, 300.0)
    assert (delay.value, delay.title.en, high.title.en) == (1_800.0, "Grace", "")
    assert rule(parameters="").parameters == ()


def test_a_rule_with_other_values_is_read_again_and_keeps_what_its_file_says() -> None:
    made = adjusted(rule(), {"high": 6.5, "on_delay": 900.0})
    assert made.condition == Limit(high=6.5, hysteresis=1.0, on_delay=15 * MINUTE)
    assert [(one.value, one.default) for one in made.parameters] == [(6.5, 8.0), (900.0, 1_800.0)]
    assert adjusted(rule(), {}) == rule()
    back = adjusted(made, {"high": 8.0, "on_delay": 1_800.0})
    assert back.condition == rule().condition


def test_in_an_expression_a_name_stands_for_a_number() -> None:
    own = rule(EXPRESSION, "parameters = { least = { value = 5, min = 2, max = 10, step = 1, unit = 'Cel' } }\n")
    assert isinstance(own.condition, Expression)
    assert own.condition.when == "supply - back < (5.0) and flow > 0.1"
    assert adjusted(own, {"least": 5.0}) == own
    other = adjusted(own, {"least": 3.0})
    assert isinstance(other.condition, Expression)
    assert other.condition.when == "supply - back < (3.0) and flow > 0.1"
    assert (other.parameters[0].value, other.parameters[0].default) == (3.0, 5.0)


MISTAKES = {
    "parameters = 3": "mine.toml: rules[0].parameters: found 3; write a table of tables",
    "parameters = { low = { min = 1, max = 2, step = 1 } }": (
        "mine.toml: rules[0].parameters.low: 'low' is nothing of the condition that may be changed;"
        " name one of: high, hysteresis, on_delay"
    ),
    "parameters = { high = { min = 1, max = 7, step = 1 } }": (
        "mine.toml: rules[0].parameters.high: 8 Cel is out of bounds; choose from 1 to 7 Cel"
    ),
    "parameters = { high = { min = 1, max = 9, step = 2 } }": (
        "mine.toml: rules[0].parameters.high: 8 Cel lies between two steps of 2; choose 7 or 9"
    ),
    "parameters = { high = { min = 9, max = 9, step = 2 } }": (
        "mine.toml: rules[0].parameters.high: found 9 to 9 by 2; write min below max, and a step"
    ),
    "parameters = { high = { min = 1, max = 9 } }": (
        "mine.toml: rules[0].parameters.high.step: found nothing; write a finite number"
    ),
    "parameters = { high = { min = 1, max = 9, step = 1, value = 3 } }": (
        "mine.toml: rules[0].parameters.high.value: found a second value; write it in the condition alone"
    ),
    "parameters = { high = { min = 1, max = 9, step = 1, by = 3 } }": (
        "mine.toml: rules[0].parameters.high.by: no such key; known here: title, value, min, max, step, unit"
    ),
    "parameters = { on_delay = { min = 60, max = '1 h', step = '1 min' } }": (
        'mine.toml: rules[0].parameters.on_delay.min: found 60; write a duration such as "90 s" or "15 min"'
    ),
}


@pytest.mark.parametrize(("parameters", "said"), MISTAKES.items())
def test_a_mistake_is_told_with_its_place_and_what_to_do(parameters: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rule(parameters=f"{parameters}\n")
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("supply", "'supply' cannot stand for a number there; choose a name that no point has"),
        ("most", "the expression does not name 'most'; write it there, or leave the parameter out"),
    ],
)
def test_a_name_that_stands_for_nothing_is_told(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rule(EXPRESSION, f"parameters = {{ {name} = {{ value = 5, min = 2, max = 10, step = 1 }} }}\n")
    assert str(caught.value) == f"mine.toml: rules[0].parameters.{name}: {said}"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"high": 10.5}, "rule food.warm.parameters.high: 10.5 Cel is out of bounds; choose from 4 to 10 Cel"),
        ({"high": math.nan}, "rule food.warm.parameters.high: nan Cel is out of bounds; choose from 4 to 10 Cel"),
        ({"high": 6.3}, "rule food.warm.parameters.high: 6.3 Cel lies between two steps of 0.5; choose 6 or 6.5"),
        ({"low": 1.0}, "rule food.warm.parameters.low: there is no such parameter; choose one: high, on_delay"),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_what_would_do(values: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        adjusted(rule(), values)
    assert str(caught.value) == said


@given(st.integers(0, 12), st.integers(0, 10))
def test_every_step_within_the_bounds_is_taken(high: int, delay: int) -> None:
    made = adjusted(rule(), {"high": 4.0 + high * 0.5, "on_delay": 600.0 + delay * 300.0})
    assert made.condition == Limit(high=4.0 + high * 0.5, hysteresis=1.0, on_delay=(10 + 5 * delay) * MINUTE)


def test_an_engine_judges_by_what_a_rule_is_for_a_subject_and_keeps_what_it_remembers() -> None:
    now = 1_764_000_000 * SECOND
    here = {"gw/a/air_temperature": adjusted(rule(), {"high": 6.0, "on_delay": 600.0})}
    engine = Engine([rule()], where=lambda one, subject: here.get(subject, one))
    bounds = {
        device: engine.bind(Series("gw", device, f"{device}/air_temperature", "air_temperature"), now)
        for device in ("a", "b")
    }

    def told(device: str, value: float, minute: int) -> list[Event]:
        at = now + minute * MINUTE
        return [change.event for change in engine.observe(bounds[device], value, Quality.GOOD, at, at)]  # type: ignore[misc]

    for device in bounds:
        assert told(device, 7.0, 0) == []
    assert told("a", 7.0, 10) == [Event.RAISE]
    assert told("b", 7.0, 40) == []
    here["gw/a/air_temperature"] = rule()
    here["gw/b/air_temperature"] = adjusted(rule(), {"high": 6.0, "on_delay": 600.0})
    engine.revise(["food.warm"])
    for device in ("a", "b"):
        bounds[device] = engine.bind(Series("gw", device, f"{device}/air_temperature", "air_temperature"), now)
    assert told("a", 6.0, 41) == [Event.RETURN]
    assert told("b", 7.0, 42) == []
    # Nobody reads it again: the clock says it, once, for the watch that is in force.
    assert [change.event for change in engine.tick(now + 53 * MINUTE)] == [Event.RAISE]
    assert engine.tick(now + 120 * MINUTE) == []
