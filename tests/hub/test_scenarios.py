"""Each scenario through the engine, with all packs in force: what it plants is told in time, and nothing else is."""

from datetime import datetime
from functools import cache

import pytest

from linli_core.alarm import Event
from linli_core.alarm.engine import CHINA
from linli_core.catalogue import LANGUAGES
from linli_core.instant import HOUR, MINUTE, Instant, from_datetime
from linli_platform.alarms import load_rules
from linli_platform.alarms.bundled import pack_names
from linli_sim.scenarios.listed import SCENARIOS, last_start
from linli_sim.scenarios.play import judge, play
from linli_sim.scenarios.story import Scenario, Story

RULES = load_rules(packs=pack_names())
NOW = from_datetime(datetime(2026, 7, 2, 15, 10, tzinfo=CHINA))


@cache
def told(name: str) -> Story:
    return SCENARIOS[name].tell(last_start(SCENARIOS[name], NOW), 1)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda it: it.name)
def test_what_it_plants_is_told_in_time_and_nothing_else(scenario: Scenario) -> None:
    story = told(scenario.name)
    verdict = judge(play(RULES, story), story.truths, story.may)
    assert story.truths
    assert (verdict.missed, verdict.late, verdict.false) == ((), (), ())


def test_every_rule_of_the_packs_has_a_scenario_that_must_raise_it() -> None:
    packs = {rule.id for rule in RULES} - {rule.id for rule in load_rules()}
    planted = {truth.rule for name in SCENARIOS for truth in told(name).truths}
    assert packs - planted == set()
    superseded = {"food.cold-room-warm", "food.cold-room-door-open", "system.battery-low"}
    # What others raise is no story of ours.
    outside = {rule.id for rule in load_rules() if rule.id.startswith("system.outside-")}
    assert {rule.id for rule in load_rules()} - planted == superseded | outside


@pytest.mark.parametrize("name", ["cold-room-door", "fire"])
def test_the_same_seed_tells_the_same_story_and_another_one_another(name: str) -> None:
    tell, start = SCENARIOS[name].tell, last_start(SCENARIOS[name], NOW)
    assert tell(start, 1) == tell(start, 1)
    assert tell(start, 2).readings != tell(start, 1).readings


def test_without_its_fault_a_story_has_nothing_to_tell() -> None:
    story = told("cold-room-door")
    quiet = story._replace(readings=tuple(it for it in story.readings if it.at < story.truths[0].begins))
    quiet = quiet._replace(until=story.truths[0].begins)
    verdict = judge(play(RULES, quiet), story.truths)
    assert [it.event for it in play(RULES, quiet)] == []
    assert verdict.missed == story.truths


def test_an_alarm_before_its_fault_is_a_false_one_and_one_after_its_time_a_late_one() -> None:
    story = SCENARIOS["cold-store-power"].tell(NOW, 1)
    (truth,) = story.truths
    changes = [it for it in play(RULES, story) if it.event is Event.RAISE]
    after = truth._replace(begins=truth.begins + HOUR, ends=truth.ends + HOUR, by=truth.by + HOUR)
    assert len(judge(changes, [after]).false) == 1
    assert len(judge(changes, [truth._replace(by=truth.begins + MINUTE)]).late) == 1


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda it: it.name)
def test_it_has_a_title_in_both_languages(scenario: Scenario) -> None:
    assert all(scenario.title(lang) for lang in LANGUAGES)


@pytest.mark.parametrize(("hour", "at"), [(None, 15.0 + 1 / 6), (6.0, 6.0), (15.5, 15.5 - 24.0)])
def test_a_scenario_starts_at_its_hour_and_never_later_than_now(hour: float | None, at: float) -> None:
    scenario = SCENARIOS["fire"]._replace(hour=hour)
    midnight: Instant = NOW - 15 * HOUR - 10 * MINUTE
    assert last_start(scenario, NOW) == midnight + round(at * HOUR)
