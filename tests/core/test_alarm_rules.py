"""Rules from TOML: what is written is what is meant, and each mistake says where, what and what to do."""

import re
from pathlib import Path

import msgspec
import pytest

from linli_core.alarm import (
    Absence,
    Category,
    Limit,
    Priority,
    Scope,
    Series,
    StateIs,
    SubjectKind,
    Text,
    check_rules,
    parse_rules,
)
from linli_core.alarm.timeline import parse_timelines
from linli_core.errors import ConfigError
from linli_core.instant import HOUR, MINUTE, SECOND

RULE = """
[[rules]]
id = "food.warm"
category = "food"
priority = "high"
quantity = "air_temperature"
unit = "Cel"
clause = "ours"
scope = { gateways = ["gw-*"], devices = ["cold-*"], kinds = ["cold_room"], tags = ["food"], points = ["*/air*"] }
condition = { kind = "limit", high = 8, hysteresis = 1.5, on_delay = "90 s", off_delay = "1.5 min" }
title = { zh = "温", en = "Warm" }
consequence = { zh = "坏", en = "Spoils" }
response = { zh = "关", en = "Shut" }
"""
LIMIT = 'condition = { kind = "limit", high = 8, hysteresis = 1.5, on_delay = "90 s", off_delay = "1.5 min" }'


def test_a_rule_as_written() -> None:
    (rule,) = parse_rules(RULE, "food.toml")
    assert (rule.id, rule.category, rule.priority) == ("food.warm", Category.FOOD, Priority.HIGH)
    assert rule.condition == Limit(high=8.0, hysteresis=1.5, on_delay=90 * SECOND, off_delay=90 * SECOND)
    assert rule.scope == Scope(("gw-*",), ("cold-*",), ("cold_room",), ("food",), ("*/air*",))
    assert rule.title == Text("温", "Warm")
    assert rule.title.in_language("zh") == "温"
    assert rule.title.in_language("fr") == "Warm"
    assert rule.subject_kind is SubjectKind.POINT


def test_the_other_conditions_as_written() -> None:
    state = RULE.replace(LIMIT, 'condition = { kind = "state", values = [true, "open"], on_delay = "3 min" }')
    assert parse_rules(state, "x")[0].condition == StateIs((True, "open"), on_delay=3 * MINUTE)
    absence = RULE.replace(LIMIT, 'condition = { kind = "absence", of = "gateway", bad_counts = true, intervals = 3 }')
    (rule,) = parse_rules(absence, "x")
    assert rule.condition == Absence(SubjectKind.GATEWAY, bad_counts=True, intervals=3.0, until_known=HOUR)
    assert rule.subject_kind is SubjectKind.GATEWAY


def test_a_rule_watches_what_is_in_every_part_of_its_scope() -> None:
    (rule,) = parse_rules(RULE, "x")
    room = Series("gw-1", "cold-1", "cold-1/air_temperature", "air_temperature", "cold_room", frozenset({"food"}))
    assert rule.watches(room)
    others: tuple[dict[str, object], ...] = (
        {"gateway": "xx-1"},
        {"device": "warm-1"},
        {"name": "cold-1/x"},
        {"quantity": "temperature"},
        {"kind": "meter"},
        {"tags": frozenset()},
    )
    for other in others:
        changed = {name: getattr(room, name) for name in room.__struct_fields__} | other
        assert not rule.watches(msgspec.convert(changed, Series, strict=False))


def test_the_rule_in_the_manual_is_a_rule() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "alarms.md").read_text(encoding="utf-8")
    rules, timelines = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)
    (rule,) = parse_rules(rules, "alarms.md")
    assert rule.id == "food.cold-room-warm"
    (timeline,) = parse_timelines(timelines, "alarms.md")
    assert timeline.rules == (rule.id,)


def test_subjects_are_named_from_the_gateway_down() -> None:
    series = Series("gw", "d", "d/voltage.l1", "voltage")
    assert [series.subject(kind) for kind in SubjectKind] == ["gw/d/voltage.l1", "gw/d", "gw"]


MISTAKES = [
    ('id = "food.warm"', 'id = "Warm"', "rules[0].id: found 'Warm'; write category.name in lower case with hyphens"),
    ('id = "food.warm"', "", "rules[0].id: found nothing; write a text"),
    ('category = "food"', 'category = "fire"', "found 'fire'; write one of food, safety, utility, system"),
    ('priority = "high"', 'priorty = "high"', "rules[0].priorty: no such key; did you mean 'priority'?"),
    ('quantity = "air_temperature"', "", "rules[0].quantity: found nothing; name the quantity that is watched"),
    ('unit = "Cel"', "", "rules[0].unit: found nothing; write the unit the limit is in"),
    ("high = 8,", "", "found neither high nor low; write one of them"),
    ("high = 8,", "high = 8, low = 2,", "found both high and low"),
    ("high = 8,", "high = true,", "condition.high: found True; write a finite number"),
    ("high = 8,", "high = nan,", "condition.high: found nan; write a finite number"),
    ("hysteresis = 1.5", "hysteresis = -1", "condition.hysteresis: found -1; write 0 or more"),
    ('"90 s"', '"90"', 'condition.on_delay: found \'90\'; write a duration such as "90 s" or "15 min"'),
    ('"90 s"', "90", "condition.on_delay: found 90; write a duration"),
    ('kind = "limit"', 'kind = "rate"', "found 'rate'; write one of limit, state, absence"),
    ('kind = "limit"', 'kind = "state"', "rules[0].condition.high: no such key; known here: kind, values"),
    (LIMIT, "condition = 8", "rules[0].condition: found 8; write a table"),
    (
        LIMIT,
        'condition = { kind = "state" }',
        "condition.values: found nothing; write a list of states, such as [true]",
    ),
    (LIMIT, 'condition = { kind = "absence", intervals = 0.5 }', "found 0.5; wait for at least one interval"),
    (LIMIT, 'condition = { kind = "absence", after = "0 s" }', "found no time at all"),
    ('gateways = ["gw-*"]', 'gateways = "gw-*"', "scope.gateways: found 'gw-*'; write a list of texts"),
    ('title = { zh = "温", en = "Warm" }', 'title = { zh = "温" }', "rules[0].title.en: found nothing; write a text"),
    ('clause = "ours"', "latched = 1", "rules[0].latched: found 1; write true or false"),
]


@pytest.mark.parametrize(("right", "wrong", "complaint"), MISTAKES)
def test_a_mistake_says_where_what_and_what_to_do(right: str, wrong: str, complaint: str) -> None:
    assert right in RULE
    with pytest.raises(ConfigError) as caught:
        parse_rules(RULE.replace(right, wrong), "food.toml")
    assert str(caught.value).startswith("food.toml: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[[rules]", "food.toml: no TOML:"),
        ("", "food.toml.rules: found nothing; write [[rules]] tables"),
        ("rule = []", "food.toml.rule: no such key; did you mean 'rules'?"),
        ("rules = [1]", "food.toml: rules[0]: found 1; write a table"),
        (RULE + RULE, "rules[1].id: 'food.warm' is there twice; give each rule its own id"),
    ],
)
def test_a_file_that_holds_no_rules_says_so(content: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(content, "food.toml")
    assert complaint in str(caught.value)


def test_rules_are_held_to_the_vocabulary() -> None:
    rules = parse_rules(RULE, "x")
    check_rules(rules, {"air_temperature": "Cel"})
    with pytest.raises(ConfigError, match=r"food\.warm\.quantity: .* did you mean 'air_temperatures'"):
        check_rules(rules, {"air_temperatures": "Cel"})
    with pytest.raises(ConfigError, match=r"food\.warm\.unit: 'Cel' is not the unit .* write the limit in 'K'"):
        check_rules(rules, {"air_temperature": "K"})
