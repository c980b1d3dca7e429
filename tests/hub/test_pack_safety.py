"""The pack of safety rules: whole texts, and every story beside them goes as it is told."""

from collections import Counter
from pathlib import Path

import pytest

import linli_platform
from linli_core.alarm import Category, Rule
from linli_core.alarm.states import Event
from linli_core.alarm.timeline import Timeline, judge
from linli_platform.alarms.bundled import load_rules, load_timelines

FOLDER = Path(linli_platform.__file__).parent / "packs" / "safety"
RULES = load_rules(FOLDER)
TIMELINES = load_timelines(FOLDER)


@pytest.mark.parametrize("timeline", TIMELINES, ids=lambda timeline: timeline.title)
def test_what_is_told_comes_of_it_and_nothing_else(timeline: Timeline) -> None:
    assert judge(RULES, timeline) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_speaks_both_languages(rule: Rule) -> None:
    texts = [rule.title, rule.cause, rule.consequence, rule.response]
    assert all(text.en.isascii() and len(text.en) >= 4 for text in texts), rule.id
    assert all(any("\u4e00" <= sign <= "\u9fff" for sign in text.zh) for text in texts), rule.id
    assert rule.respond_within > 0, rule.id
    assert rule.category is Category.SAFETY
    assert rule.id.startswith("safety.")


def test_every_rule_has_a_story_in_which_it_raises_and_one_in_which_it_is_quiet() -> None:
    raised: Counter[str] = Counter()
    quiet: Counter[str] = Counter()
    for timeline in TIMELINES:
        wakes = {expected.rule for expected in timeline.expected if expected.event is Event.RAISE}
        raised.update(wakes)
        quiet.update(set(timeline.rules) - wakes)
    ids = {rule.id for rule in RULES}
    assert ids - set(raised) == set()
    assert ids - set(quiet) == set()


def test_the_pack_stands_beside_the_bundled_rules() -> None:
    together = {rule.id for rule in load_rules(packs=["safety"])}
    assert together == {rule.id for rule in RULES} | {rule.id for rule in load_rules()}
