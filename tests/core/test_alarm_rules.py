"""Rules from TOML: what is written is what is meant, and each mistake says where, what and what to do."""

import re
from pathlib import Path

import msgspec
import pytest

from linli_core.alarm import (
    Absence,
    Balance,
    Baseline,
    Category,
    Change,
    Condition,
    Direction,
    Expression,
    Happening,
    Integral,
    Limit,
    MeanKinetic,
    NightFlow,
    Outside,
    Pattern,
    PatternForm,
    Priority,
    Rate,
    Schedule,
    Scope,
    Series,
    StateIs,
    Statistic,
    SubjectKind,
    Text,
    Window,
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


def test_cause_time_to_respond_and_corrective_action_as_written() -> None:
    (plain,) = parse_rules(RULE, "food.toml")
    assert (plain.cause, plain.respond_within, plain.corrective_action) == (Text(), 0, False)
    more = 'cause = { zh = "门", en = "Door" }\nrespond_within = "30 min"\ncorrective_action = true\n'
    (rule,) = parse_rules(RULE + more, "food.toml")
    assert (rule.cause, rule.respond_within, rule.corrective_action) == (Text("门", "Door"), 30 * MINUTE, True)


def test_the_other_conditions_as_written() -> None:
    state = RULE.replace(LIMIT, 'condition = { kind = "state", values = [true, "open"], on_delay = "3 min" }')
    assert parse_rules(state, "x")[0].condition == StateIs((True, "open"), on_delay=3 * MINUTE)
    absence = RULE.replace(LIMIT, 'condition = { kind = "absence", of = "gateway", bad_counts = true, intervals = 3 }')
    (rule,) = parse_rules(absence, "x")
    assert rule.condition == Absence(SubjectKind.GATEWAY, bad_counts=True, intervals=3.0, until_known=HOUR)
    assert rule.subject_kind is SubjectKind.GATEWAY


KINDS: list[tuple[str, Condition]] = [
    ('kind = "rate", fall = 2, over = "10 min", per = "1 min"', Rate(Limit(low=-2.0), 10 * MINUTE, MINUTE)),
    ('kind = "outside", low = 2, high = 8, for = "1 h", over = "1 d"', Outside(HOUR, 24 * HOUR, 2.0, 8.0)),
    (
        'kind = "integral", below = 2, high = 8, hysteresis = 1, over = "1 h", gap = "5 min"',
        Integral(Limit(high=8.0, hysteresis=1.0), HOUR, below=2.0, gap=5 * MINUTE),
    ),
    (
        'kind = "mean_kinetic_temperature", high = 8, over = "1 h", activation = 9000, coverage = 1',
        MeanKinetic(Limit(high=8.0), HOUR, 9000.0, coverage=1.0),
    ),
    (
        'kind = "window", statistic = "range", low = 2, over = "1 h", on_delay = "1 s", off_delay = "2 s"',
        Window(Statistic.RANGE, Limit(low=2.0, on_delay=SECOND, off_delay=2 * SECOND), HOUR),
    ),
    ('kind = "change", from = ["a"], to = [true], hold = "2 min"', Change(("a",), (True,), 2 * MINUTE)),
    (
        'kind = "pattern", form = "count", a = { values = [1] }, count = 3, within = "1 h"',
        Pattern(PatternForm.COUNT, Happening((1,)), HOUR, count=3),
    ),
    (
        'kind = "pattern", form = "then", within = "1 h", a = { values = [1] }, b = { values = [2], points = ["*/x"] }',
        Pattern(
            PatternForm.THEN, Happening((1,)), HOUR, Happening((2,), Scope(points=("*/x",))), of=SubjectKind.DEVICE
        ),
    ),
    (
        'kind = "baseline", deviations = 3, least = 1, direction = "above", weeks = 6, cumulative = true',
        Baseline(3.0, 1.0, Direction.ABOVE, 6, cumulative=True),
    ),
    (
        'kind = "night_flow", begins = "01:30", ends = "05:00", high = 0.1, slot = "30 min", nights = 3',
        NightFlow(Limit(high=0.1), 90, 300, slot=30 * MINUTE, nights=3),
    ),
    (
        'kind = "balance", bulk = { devices = ["b*"] }, subs = { devices = ["s*"] }, share = 0.1, least = 2',
        Balance(Scope(devices=("b*",)), Scope(devices=("s*",)), 0.1, 2.0),
    ),
    (
        'kind = "expression", when = "a - b < 5", points = { a = "x", b = "y*" }, on_delay = "1 s"',
        Expression("a - b < 5", (("a", "x"), ("b", "y*")), on_delay=SECOND),
    ),
]


@pytest.mark.parametrize(("written", "meant"), KINDS)
def test_every_kind_as_written(written: str, meant: Condition) -> None:
    (rule,) = parse_rules(RULE.replace(LIMIT, f"condition = {{ {written} }}"), "x")
    assert rule.condition == meant
    assert msgspec.convert(msgspec.to_builtins(rule), type(rule)) == rule


def test_a_schedule_as_written() -> None:
    written = 'schedule = { days = ["sun", "mon"], hours = ["22:00-06:00", "12:00-24:00"], seasons = ["11-15/03-15"] }'
    (rule,) = parse_rules(RULE + written, "x")
    assert rule.schedule == Schedule((0, 6), ((1320, 360), (720, 1440)), (((11, 15), (3, 15)),))
    assert rule.retrospective == 15 * MINUTE


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


def test_a_rule_of_an_area_watches_what_stands_in_it() -> None:
    (rule,) = parse_rules(RULE.replace('tags = ["food"]', 'areas = ["house-1"]'), "x")
    room = Series("gw-1", "cold-1", "cold-1/air_temperature", "air_temperature", "cold_room")
    assert not rule.watches(room)
    assert rule.watches(msgspec.structs.replace(room, areas=frozenset({"house-1", "garden"})))
    assert not rule.watches(msgspec.structs.replace(room, areas=frozenset({"house-2", "garden"})))


def test_the_rule_in_the_manual_is_a_rule() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "alarms.md").read_text(encoding="utf-8")
    rules, timelines = re.findall(r"```toml\n(\[\[(?:rules|timelines)]].*?)```", manual, re.DOTALL)
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
    ('kind = "limit"', 'kind = "level"', "found 'level'; write one of limit, state, absence"),
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


def condition(text: str) -> str:
    return f"condition = {{ {text} }}"


CONDITION_MISTAKES = [
    ('kind = "rate", rise = 2', "condition.over: found nothing; write a duration"),
    ('kind = "rate", rise = -2, over = "1 h"', "condition.rise: found -2; write 0 or more"),
    ('kind = "rate", over = "1 h"', "found neither rise nor fall"),
    ('kind = "rate", rise = 2, over = "1 ms"', "condition.over: found '1 ms'; write one between 1 s and 400 d"),
    ('kind = "outside", for = "1 h", over = "1 d"', "found neither low nor high; write the range, or one end of it"),
    ('kind = "outside", low = 8, high = 8, for = "1 h", over = "1 d"', "condition.low: found 8, not below high"),
    ('kind = "outside", low = 8, for = "1 d", over = "1 d"', "condition.for: found a time not shorter than over"),
    ('kind = "integral", high = 1, over = "1 h"', "found neither above nor below; write the edge"),
    ('kind = "integral", above = 1, high = -1, over = "1 h"', "condition.high: found -1; write 0 or more"),
    ('kind = "mean_kinetic_temperature", high = 1, over = "1 h", activation = 0', "activation: found 0; write kelvins"),
    ('kind = "window", statistic = "mode", high = 1, over = "1 h"', "found 'mode'; write one of mean, min, max"),
    (
        'kind = "window", statistic = "mean", high = 1, over = "1 h", coverage = 2',
        "found 2; write a share between 0 and 1",
    ),
    (
        'kind = "window", statistic = "mean", high = 1, over = "1 s", gap = "2 min"',
        "condition.gap: found one much longer",
    ),
    ('kind = "change", to = []', "condition.to: found []; write a list of states"),
    (
        'kind = "pattern", form = "count", a = { values = [1] }, within = "1 h"',
        "condition.count: found it at the wrong",
    ),
    ('kind = "pattern", form = "then", a = { values = [1] }, within = "1 h"', "condition.b: found nothing"),
    (
        'kind = "pattern", form = "count", count = 0, a = { values = [1] }, within = "1 h"',
        "write a number from 1 to 1000",
    ),
    ('kind = "baseline", deviations = 0', "condition.deviations: found 0; write more than 0"),
    ('kind = "baseline", weeks = 1', "condition.weeks: found 1; write a number from 2 to 12"),
    ('kind = "night_flow", high = 1, begins = "25:00"', "condition.begins: found '25:00'; write a time such as"),
    ('kind = "night_flow", high = 1, begins = "04:00"', "condition.ends: the night ends before it begins"),
    ('kind = "night_flow", high = 1, slot = "3 h"', "condition.slot: found a slot longer than the night"),
    ('kind = "balance", bulk = {}, subs = {}, share = 1.5', "condition.share: found 1.5; write a share"),
    (
        'kind = "balance", bulk = {}, subs = {}, share = 0.5, over = "1 s"',
        "condition.over: found '1 s'; compare at least",
    ),
    ('kind = "expression", when = "a > 1", points = {}', "condition.points: found 0 points; name from 1 to 16"),
    (
        'kind = "expression", when = "a > 1", points = { A = "x" }',
        "condition.points.A: found 'A'; name it in lower case",
    ),
    ('kind = "expression", when = "a > ", points = { a = "x" }', "condition.when: it ends too early"),
]


@pytest.mark.parametrize(("written", "complaint"), CONDITION_MISTAKES)
def test_a_mistake_in_a_condition(written: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(RULE.replace(LIMIT, condition(written)), "food.toml")
    assert str(caught.value).startswith("food.toml: rules[0].condition")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ('{ days = ["monday"] }', "schedule.days: found 'monday'; write some of mon, tue"),
        ('{ hours = ["22-6"] }', "schedule.hours: found '22-6'; write hours such as"),
        ('{ hours = ["06:00-06:00"] }', "let them begin and end at different times"),
        ('{ seasons = ["02-30/03-01"] }', "schedule.seasons: found '02-30/03-01'; write months and days"),
        ("{}", "schedule: found no days, hours or seasons"),
    ],
)
def test_a_mistake_in_a_schedule(written: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules(f"{RULE}schedule = {written}", "food.toml")
    assert complaint in str(caught.value)


def test_quantities_and_units_of_every_kind_are_held_to_the_vocabulary() -> None:
    units = {"air_temperature": "Cel", "pressure": "Pa"}
    pattern = 'kind = "pattern", form = "count", count = 2, within = "1 h", a = { values = [1], quantity = "presure" }'
    with pytest.raises(ConfigError, match=r"condition\.a\.quantity: .*did you mean 'pressure'"):
        check_rules(parse_rules(RULE.replace(LIMIT, condition(pattern)), "x"), units)
    warm = RULE.replace(LIMIT, condition('kind = "mean_kinetic_temperature", high = 8, over = "1 h"'))
    check_rules(parse_rules(warm, "x"), units)
    with pytest.raises(ConfigError, match=r"'Pa' is no temperature"):
        check_rules(parse_rules(warm.replace("air_temperature", "pressure").replace('"Cel"', '"Pa"'), "x"), units)
    with pytest.raises(ConfigError, match=r"write the limit in 'Pa'"):
        check_rules(parse_rules(warm.replace("air_temperature", "pressure"), "x"), units)


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
