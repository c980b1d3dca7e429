"""What people may change of the rules that ship: each threshold that is sensible to change, within sensible bounds."""

from itertools import product

import msgspec
import pytest

from linli_core.alarm import Rule, check_rules
from linli_core.alarm.adjusting import adjusted
from linli_core.alarm.parameters import LENGTHS, NUMBERS
from linli_core.catalogue import LANGUAGES, text
from linli_core.instant import SECOND
from linli_platform.alarms import load_rules
from linli_platform.alarms.bundled import pack_names, units
from linli_platform.api.rule_changes import called

RULES = load_rules(packs=pack_names())
THRESHOLDS = ("high", "low", "rise", "fall", "share", "after")
LAXER = {"high": 1, "rise": 1, "fall": 1, "share": 1, "low": -1}
"""In which direction a threshold is laxer."""


def built(rule: Rule) -> dict[str, object]:
    found: dict[str, object] = msgspec.json.decode(rule.source)["condition"]
    return found


def test_every_threshold_may_be_changed_within_bounds() -> None:
    """But for what is no matter of taste: that a reading never changes at all, or that a limit is nought."""
    missing = []
    for rule in RULES:
        condition = built(rule)
        if condition.get("statistic") in {"range", "std"}:
            continue
        known = {one.name for one in rule.parameters}
        missing += [f"{rule.id}.{key}" for key in THRESHOLDS if condition.get(key) and key not in known]
    assert missing == []
    assert sum(bool(rule.parameters) for rule in RULES) >= 90


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.parameters], ids=lambda rule: rule.id)
def test_a_rule_can_be_used_at_all_ends_of_its_bounds(rule: Rule) -> None:
    for ends in product(*((one.least, one.most) for one in rule.parameters)):
        made = adjusted(rule, dict(zip((one.name for one in rule.parameters), ends, strict=True)))
        check_rules([made], units())
        assert [one.value for one in made.parameters] == list(ends)
        condition = made.condition
        back = getattr(getattr(condition, "limit", condition), "hysteresis", 0.0)
        for one in made.parameters:
            # It must be able to be raised, and to return.
            if one.unit.startswith("%") or one.unit == "/100":
                assert 0 < one.value < 100
                assert one.name != "low" or one.value + back <= 100


def test_a_limit_that_a_document_sets_may_be_made_stricter_not_laxer() -> None:
    for rule in RULES:
        for one in rule.parameters:
            if rule.clause and one.name in LAXER:
                edge = one.most if LAXER[one.name] > 0 else one.least
                assert edge == one.default, f"{rule.id}.{one.name}"


def test_each_is_called_something_in_both_languages() -> None:
    for name in NUMBERS | LENGTHS:
        assert text(f"parameter.{name}", "zh") != text(f"parameter.{name}", "en")
    for rule in RULES:
        for one in rule.parameters:
            assert all(called(one)[lang] for lang in LANGUAGES), f"{rule.id}.{one.name}"
            assert one.unit or one.name in NUMBERS or one.title.en, f"{rule.id}.{one.name}"
            if one.is_length:
                assert one.least * SECOND >= SECOND
