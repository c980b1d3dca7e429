"""A rate passes over the edges of its grid at which nothing can be settled: without that it must say the same."""

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.alarm import AlarmChange, Engine, Event, Series, parse_rules
from linli_core.alarm.figures import FigureWatch
from linli_core.instant import HOUR, SECOND
from linli_core.model import Quality

T0 = 1_800_000_000 * SECOND
SERIES = Series("gw", "room-1", "room-1/air_temperature", "air_temperature")
RULE = """
[[rules]]
id = "food.fast"
category = "food"
priority = "low"
quantity = "air_temperature"
unit = "Cel"
condition = { kind = "rate", %s, over = "1 h", hysteresis = 1.0, on_delay = "%d min", off_delay = "%d min" }
title = { zh = "题", en = "T" }
consequence = { zh = "果", en = "C" }
response = { zh = "应", en = "R" }
"""

AT_LIMIT = (
    RULE.replace("%s, over", '%s = %r, per = "1 min", over').replace("%d min", "0 s").replace("= 1.0, on", "= 0, on")
)

STEPS = st.lists(
    st.tuples(st.integers(1, 4000), st.one_of(st.none(), st.integers(-12, 12)), st.booleans()), min_size=2, max_size=30
)


def play(text: str, steps: list[tuple[int, int | None, bool]]) -> list[AlarmChange]:
    engine = Engine(parse_rules(text, "x"))
    bound = engine.bind(SERIES, T0)
    now, changes = T0, []
    for seconds, value, ticks in steps:
        if ticks:
            while (due := engine.next_due()) is not None and due <= now + seconds * SECOND:
                changes += engine.tick(due)
        now += seconds * SECOND
        quality = Quality.BAD if value is None else Quality.GOOD
        changes += engine.observe(bound, value, quality, now, now)
    return [*changes, *engine.tick(now + 3 * HOUR)]


@settings(max_examples=150)
@given(STEPS, st.sampled_from(["rise = 5.0", "fall = 4.0"]), st.sampled_from([0, 7]), st.sampled_from([0, 11]))
def test_edges_that_settle_nothing_are_passed_over(
    steps: list[tuple[int, int | None, bool]], way: str, on_delay: int, off_delay: int
) -> None:
    text = RULE % (way, on_delay, off_delay)

    def every_edge(watch: FigureWatch, at: int) -> int:
        step = watch._step
        return at - at % step + step

    with patch.object(FigureWatch, "_edge_after", every_edge):
        slow = [(it.event, it.at) for it in play(text, steps)]
    assert [(it.event, it.at) for it in play(text, steps)] == slow


@settings(max_examples=40)
@given(
    st.integers(1, 40),
    st.integers(-1_000_000, 1_000_000),
    st.sampled_from(["rise", "fall"]),
    st.sampled_from([10, 100, 1000]),
)
def test_a_rate_exactly_at_its_limit_is_not_beyond_it(tenths: int, start: int, way: str, parts: int) -> None:
    """In decimals, though their binary numbers are a little off; and a thousandth more is beyond it."""
    sign = 1 if way == "rise" else -1
    for more, expected in ((0, []), (1, [Event.RAISE])):
        engine = Engine(parse_rules(AT_LIMIT % (way, tenths / parts), "x"))
        bound = engine.bind(SERIES, T0)
        changes: list[AlarmChange] = []
        for minute in range(90):
            value = (1000 * start + sign * minute * (1000 * tenths + more * tenths)) / (1000 * parts)
            now = T0 + minute * 60 * SECOND
            while (due := engine.next_due()) is not None and due <= now:
                changes += engine.tick(due)
            changes += engine.observe(bound, value, Quality.GOOD, now, now)
        assert [it.event for it in changes] == expected
