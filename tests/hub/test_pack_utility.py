"""The utility pack: every story it comes with goes as told, and every rule says in both languages what to do."""

import re
from pathlib import Path
from typing import Final

import pytest

import linli_platform
from linli_core.alarm import Category, Priority, Rule
from linli_core.alarm.timeline import Timeline, judge
from linli_core.instant import DAY
from linli_platform.alarms.bundled import load_rules, load_timelines

PACK: Final = Path(linli_platform.__file__).parent / "packs" / "utility"
RULES: Final = load_rules(PACK)
TIMELINES: Final = load_timelines(PACK)


@pytest.mark.parametrize("timeline", TIMELINES, ids=lambda it: it.title)
def test_a_story_goes_as_told(timeline: Timeline) -> None:
    assert judge(RULES, timeline) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda it: it.id)
def test_a_rule_is_whole(rule: Rule) -> None:
    assert rule.id.startswith("utility.")
    assert rule.category is Category.UTILITY
    for told in (rule.title, rule.cause, rule.consequence, rule.response):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in told.zh), told
        assert told.en.strip(), told
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in told.en), told
    assert 0 < rule.respond_within <= DAY
    about = [timeline for timeline in TIMELINES if rule.id in timeline.rules]
    raised = [it for it in about if any(x.rule == rule.id and x.event == "raise" for x in it.expected)]
    quiet = [it for it in about if not any(x.rule == rule.id for x in it.expected)]
    assert raised, "no timeline shows that it raises"
    assert quiet or len(about) >= 2, "no second timeline"


def test_its_ids_are_not_those_of_the_bundled_rules() -> None:
    assert not {rule.id for rule in RULES} & {rule.id for rule in load_rules()}


def test_few_rules_are_high_and_bad_water_asks_what_was_done() -> None:
    high = [rule.id for rule in RULES if rule.priority is Priority.HIGH]
    assert len(high) * 5 <= len(RULES)
    told = {rule.id for rule in RULES if rule.corrective_action}
    assert told == {rule.id for rule in RULES if rule.clause.startswith("GB 5749")}
    assert len(told) == 5


def test_its_page_names_rules_that_there_are() -> None:
    named = set(
        re.findall(r'["`]((?:food|safety|utility)\.[a-z-]+)["`]', (PACK / "README.md").read_text(encoding="utf-8"))
    )
    known = {rule.id for rule in [*load_rules(), *load_rules(PACK.parent)]}
    assert named
    assert named <= known
