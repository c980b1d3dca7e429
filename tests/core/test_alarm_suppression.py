"""What is hidden: by subject and all below it, from a moment until another, by the design where silence explains it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import Hiding, Hidings, Suppression, by_design
from linli_core.alarm.suppression import parents
from linli_core.instant import HOUR, MINUTE

SHELF = Hiding(1, Suppression.SHELVED, "food.warm", "gw/room-1/air_temperature", "valve on order", "li", HOUR, 3 * HOUR)


def test_a_subject_hangs_on_what_stands_above_it() -> None:
    assert parents("gw/room-1/air_temperature") == ["gw/room-1", "gw"]
    assert parents("gw/room-1") == ["gw"]
    assert parents("gw") == []


@pytest.mark.parametrize(
    ("rule", "subject", "now", "hidden"),
    [
        ("food.warm", "gw/room-1/air_temperature", HOUR, True),
        ("food.warm", "gw/room-1/air_temperature", HOUR - 1, False),
        ("food.warm", "gw/room-1/air_temperature", 3 * HOUR, False),
        ("food.cold", "gw/room-1/air_temperature", HOUR, False),
        ("food.warm", "gw/room-1/air_temperature.min", HOUR, False),
        ("food.warm", "gw/room-11/air_temperature", HOUR, False),
    ],
)
def test_a_shelf_hides_one_alarm_for_a_while(rule: str, subject: str, now: int, *, hidden: bool) -> None:
    assert (Hidings([SHELF]).of(rule, subject, now) is not None) is hidden


def test_a_device_out_of_service_hides_all_that_is_about_it_and_no_neighbour() -> None:
    out = Hiding(2, Suppression.OUT_OF_SERVICE, "", "gw/room-1", "rebuilt", "li", 0, 9 * HOUR)
    hidings = Hidings([SHELF, out])
    assert hidings.of("any", "gw/room-1/door_open", 0) == out
    assert hidings.of("any", "gw/room-1", 0) == out
    assert hidings.of("any", "gw/room-11", 0) is None
    assert hidings.of("any", "gw", 0) is None
    # Of two the one that lasts longer: whoever looks must not think that it comes back earlier.
    assert hidings.of("food.warm", "gw/room-1/air_temperature", HOUR) == out


def test_what_was_ended_hides_no_more() -> None:
    ended = Hiding(1, Suppression.SHELVED, "", "gw", "r", "li", 0, HOUR, ended_at=MINUTE, ended_by="wang")
    assert Hidings([ended]).of("a", "gw/x", MINUTE - 1) == ended
    assert Hidings([ended]).of("a", "gw/x", MINUTE) is None


SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.none() | st.integers(0, 60)), max_size=6)


@given(spans=SPANS)
def test_every_turn_is_announced(spans: list[tuple[int, int, int | None]]) -> None:
    hidings = Hidings(
        Hiding(number, Suppression.SHELVED, "", "gw", "r", "li", start, start + length, ended_at=ended)
        for number, (start, length, ended) in enumerate(spans, 1)
    )
    now, turns = 0, set()
    while (turn := hidings.next_turn(now)) is not None:
        assert turn > now
        now = turn
        turns.add(turn)
    for at in range(1, 120):
        if (hidings.of("a", "gw", at) is None) != (hidings.of("a", "gw", at - 1) is None):
            assert at in turns


def test_silence_above_explains_silence_below() -> None:
    silences = {"gw": ("system.gateway-silent", 7)}
    found = by_design("system.device-silent", "gw/meter-1", silences)
    assert found is not None
    assert (found.kind, found.reason) == (Suppression.SUPPRESSED_BY_DESIGN, "system.gateway-silent: gw")
    assert by_design("system.gateway-silent", "gw", silences) is None
    assert by_design("system.device-silent", "gw-2/meter-1", silences) is None
