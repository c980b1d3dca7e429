"""Timelines as files: what they say is played, what goes otherwise is told, what cannot be read is refused."""

import pytest

from linli_core.alarm import Category, Limit, Priority, Rule
from linli_core.alarm.timeline import MOST_READINGS, judge, parse_timelines
from linli_core.errors import ConfigError
from linli_core.instant import MINUTE

WARM = Rule(
    "food.warm",
    Category.FOOD,
    Priority.HIGH,
    Limit(high=8, hysteresis=1, on_delay=10 * MINUTE, off_delay=5 * MINUTE),
    "air_temperature",
    "Cel",
)
STORY = """
[[timelines]]
title = "an hour of warmth"
points = { air = { name = "cold-room-1/air_temperature" } }
until = "2 h"
[[timelines.readings]]
point = "air"
from = "0 s"
to = "60 min"
every = "1 min"
value = 9.0
[[timelines.readings]]
point = "air"
from = "61 min"
to = "70 min"
every = "1 min"
value = 9.0
to_value = 0.0
[[timelines.expect]]
rule = "food.warm"
event = "raise"
between = ["10 min", "10 min"]
learnt_by = "10 min"
[[timelines.expect]]
rule = "food.warm"
event = "return"
between = ["68 min", "69 min"]
subject = "gw-1/cold-room-1/air_temperature"
"""


def told(text: str) -> list[str]:
    (timeline,) = parse_timelines(text, "food.timelines.toml")
    return judge([WARM], timeline)


def test_what_is_expected_comes() -> None:
    assert told(STORY) == []


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ('"68 min", "69 min"', '"1 h", "61 min"', ["not expected: return", "did not come: return"]),
        ('learnt_by = "10 min"', 'learnt_by = "9 min"', ["not expected: raise", "did not come: raise of food.warm"]),
        ("value = 9.0\n[[timelines.r", "value = 7.0\n[[timelines.r", ["did not come", "did not come"]),
        ('food.warm"\nevent = "return"', 'food.cold"\nevent = "return"', ["there is no rule food.cold"]),
        ('to = "60 min"', 'to = "60 min"\nlate = "3 h"', ["not expected: raise", "did not come", "did not come"]),
        ('to = "60 min"', 'to = "60 min"\nquality = "bad"', ["did not come", "did not come"]),
    ],
)  # fmt: skip
def test_what_goes_otherwise_is_told(old: str, new: str, wrong: list[str]) -> None:
    lines = told(STORY.replace(old, new))
    assert len(lines) == len(wrong)
    assert all(line.startswith(start) for line, start in zip(lines, wrong, strict=True)), lines


def test_a_rule_that_must_stay_quiet() -> None:
    quiet = STORY[: STORY.index("[[timelines.expect]]")].replace("until", 'rules = ["food.warm"]\nuntil')
    assert told(quiet.replace("9.0", "7.0")) == []
    assert told(quiet) == [
        "not expected: raise of food.warm on gw-1/cold-room-1/air_temperature 00:10:00",
        "not expected: return of food.warm on gw-1/cold-room-1/air_temperature 01:08:00",
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[[timelines]]", "[[timelines", "food.timelines.toml: no TOML"),
        ("[[timelines]]", "[[stories]]", "unknown field `stories`"),
        ('until = "2 h"', "until = 2", r"timelines\[0\]\.until: Expected `str`, got `int`"),
        ('until = "2 h"', 'until = "soon"', r"timelines\[0\]\.until: found 'soon'; write one such as"),
        ('point = "air"', 'point = "water"', r"readings\[0\]\.point: found 'water'; name one of air"),
        ("cold-room-1/air_temperature", "cold room", r"points\.air\.name: .*is no point name"),
        ('event = "raise"', 'event = "explode"', "Invalid enum value 'explode'"),
        ('every = "1 min"', 'every = "0 s"', r"readings\[0\]\.every: found no time at all"),
        ('to = "60 min"', 'from_ = "x"', "unknown field `from_`"),
        ('from = "61 min"', 'from = "99 min"', "to comes before from"),
        ('every = "1 min"', 'every = "1 ms"', f"more than {MOST_READINGS} readings"),
        ('["10 min", "10 min"]', '["10 min", "9 min"]', "it ends before it begins"),
        ("value = 9.0\nto_value", 'value = "warm"\nto_value', "a straight line begins at a number"),
        ('to = "60 min"', 'to = "60 min"\nquality = "splendid"', "found 'splendid'; write one of good"),
        ('until = "2 h"', 'until = "2 h"\nstart = 2026-07-01T00:00:00', "a time without its zone"),
    ],
)
def test_what_cannot_be_read_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_timelines(STORY.replace(old, new), "food.timelines.toml")


def test_a_story_about_no_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="name the rules that must stay quiet"):
        parse_timelines(STORY[: STORY.index("[[timelines.expect]]")], "x")
