"""A rule that supersedes another: of what both watch, one of them speaks."""

from linli_core.alarm import Engine, Event, Series, parse_rules
from linli_core.instant import MINUTE, SECOND
from linli_core.model import Quality

T0 = 1_800_000_000 * SECOND
TEXTS = 'title = { zh = "题", en = "T" }\nconsequence = { zh = "果", en = "C" }\nresponse = { zh = "应", en = "R" }\n'


def rule(name: str, more: str) -> str:
    return (
        f'[[rules]]\nid = "{name}"\ncategory = "food"\npriority = "low"\nquantity = "air_temperature"\nunit = "Cel"\n'
        f'condition = {{ kind = "limit", high = 8.0 }}\n{TEXTS}{more}\n'
    )


OLD = rule("food.old", "")
NEW = rule("food.new", 'supersedes = ["food.old"]\nscope = { kinds = ["cold_room"] }')
KNOWN = Series("gw", "room-1", "room-1/air_temperature", "air_temperature", kind="cold_room")
UNKNOWN = Series("gw", "room-2", "room-2/air_temperature", "air_temperature")


def raised(engine: Engine, series: Series) -> list[str]:
    bound = engine.bind(series, T0)
    changes = engine.observe(bound, 9.0, Quality.GOOD, T0 + MINUTE, T0 + MINUTE)
    return [change.rule for change in changes if change.event is Event.RAISE]


def test_only_the_new_rule_speaks_of_what_both_watch() -> None:
    engine = Engine(parse_rules(OLD + NEW, "x"))
    assert raised(engine, KNOWN) == ["food.new"]
    assert raised(engine, UNKNOWN) == ["food.old"]


def test_a_rule_judged_elsewhere_supersedes_as_well() -> None:
    engine = Engine(parse_rules(OLD, "x"), beside=parse_rules(OLD + NEW, "x"))
    assert raised(engine, KNOWN) == []
    assert raised(engine, UNKNOWN) == ["food.old"]


def test_an_alarm_that_stands_is_settled_by_the_rule_that_raised_it() -> None:
    before = Engine(parse_rules(OLD, "x"))
    assert raised(before, KNOWN) == ["food.old"]
    after = Engine(parse_rules(OLD + NEW, "x"))
    assert after.restore(before.snapshot()) == []
    bound = after.bind(KNOWN, T0 + 2 * MINUTE)
    changes = after.observe(bound, 3.0, Quality.GOOD, T0 + 3 * MINUTE, T0 + 3 * MINUTE)
    assert [(it.rule, it.event) for it in changes] == [("food.old", Event.RETURN)]
