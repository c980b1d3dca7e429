"""The packs of food and utility: every story goes as told, every rule says in both languages what to do."""

import re
from pathlib import Path
from typing import Final

import pytest

import linli_platform
from linli_core.alarm import Category, Priority, Rule, SubjectKind
from linli_core.alarm.timeline import Timeline, judge
from linli_core.instant import DAY
from linli_platform.alarms.bundled import load_rules, load_timelines

PACKS: Final = Path(linli_platform.__file__).parent / "packs"
CATEGORIES: Final = {"food": Category.FOOD, "utility": Category.UTILITY}
RULES: Final = {pack: load_rules(PACKS / pack) for pack in CATEGORIES}
TIMELINES: Final = {pack: load_timelines(PACKS / pack) for pack in CATEGORIES}

each_pack = pytest.mark.parametrize("pack", CATEGORIES)


@pytest.mark.parametrize(
    ("pack", "timeline"),
    [(pack, it) for pack, timelines in TIMELINES.items() for it in timelines],
    ids=lambda it: it if isinstance(it, str) else it.title,
)
def test_a_story_goes_as_told(pack: str, timeline: Timeline) -> None:
    assert judge(RULES[pack], timeline) == []


@pytest.mark.parametrize(
    ("pack", "rule"),
    [(pack, it) for pack, rules in RULES.items() for it in rules],
    ids=lambda it: it if isinstance(it, str) else it.id,
)
def test_a_rule_is_whole(pack: str, rule: Rule) -> None:
    assert rule.id.startswith(f"{pack}.")
    assert rule.category is CATEGORIES[pack]
    for told in (rule.title, rule.cause, rule.consequence, rule.response):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in told.zh), told
        assert told.en.strip(), told
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in told.en), told
    assert 0 < rule.respond_within <= DAY
    about = [timeline for timeline in TIMELINES[pack] if rule.id in timeline.rules]
    raised = [it for it in about if any(x.rule == rule.id and x.event == "raise" for x in it.expected)]
    quiet = [it for it in about if not any(x.rule == rule.id for x in it.expected)]
    assert raised, "no timeline shows that it raises"
    assert quiet or len(about) >= 2, "no second timeline"


@each_pack
def test_its_ids_are_not_those_of_the_bundled_rules(pack: str) -> None:
    assert not {rule.id for rule in RULES[pack]} & {rule.id for rule in load_rules()}


@each_pack
def test_few_rules_are_high(pack: str) -> None:
    high = [rule.id for rule in RULES[pack] if rule.priority is Priority.HIGH]
    assert len(high) * 5 <= len(RULES[pack])


def test_every_excursion_of_food_asks_what_was_done() -> None:
    told = {rule.id for rule in RULES["food"] if rule.corrective_action}
    assert {"food.chilled-warm", "food.chilled-hot", "food.frozen-warm", "food.frozen-thawing"} <= told
    assert {"food.cooling-slow", "food.cooling-unfinished", "food.hot-holding-cold"} <= told
    assert "food.product-time-out-of-range" in told
    assert all(rule.subject_kind is not SubjectKind.GATEWAY for rule in RULES["food"])


def test_bad_water_asks_what_was_done() -> None:
    told = {rule.id for rule in RULES["utility"] if rule.corrective_action}
    assert told == {rule.id for rule in RULES["utility"] if rule.clause.startswith("GB 5749")}
    assert len(told) == 5


@each_pack
def test_its_page_names_rules_that_there_are(pack: str) -> None:
    page = (PACKS / pack / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r'["`]((?:food|safety|utility)\.[a-z-]+)["`]', page))
    known = {rule.id for rule in [*load_rules(), *load_rules(PACKS)]}
    assert named
    assert named <= known
