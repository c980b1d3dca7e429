"""The states table: complete, reachable, and the same as the diagram people read."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from linli_core.alarm import (
    CONDITION_HOLDS,
    NEEDS_ACKNOWLEDGEMENT,
    TRANSITIONS,
    Event,
    State,
    Suppression,
    advance,
    mermaid,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "alarms.md"


def test_every_state_has_its_row_and_every_event_is_used() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {event for events in TRANSITIONS.values() for event in events} == set(Event)


def test_every_state_can_be_reached_and_left_for_normal() -> None:
    for start in State:
        reached, edge = {start}, [start]
        while edge:
            fresh = set(TRANSITIONS[edge.pop()].values()) - reached
            reached |= fresh
            edge += fresh
        assert reached == set(State)


def test_an_event_that_the_table_does_not_list_is_refused() -> None:
    assert advance(State.NORMAL, Event.RETURN) is None
    assert advance(State.UNACKNOWLEDGED, Event.RAISE) is None
    assert advance(State.LATCHED_UNACKNOWLEDGED, Event.RESET) is None


@given(st.lists(st.sampled_from(Event)))
def test_a_person_is_always_asked_before_an_unseen_alarm_is_normal(events: list[Event]) -> None:
    state, unseen = State.NORMAL, False
    for event in events:
        after = advance(state, event)
        if after is None:
            continue
        unseen = True if event is Event.RAISE else False if event is Event.ACKNOWLEDGE else unseen
        assert (after in NEEDS_ACKNOWLEDGEMENT) == unseen
        assert (after in CONDITION_HOLDS) == (
            event is Event.RAISE or (event is Event.ACKNOWLEDGE and state in CONDITION_HOLDS)
        )
        state = after


def test_suppression_is_an_axis_of_its_own() -> None:
    assert not {item.value for item in Suppression} & {state.value for state in State}


def test_the_diagram_in_the_manual_is_the_table() -> None:
    assert f"```mermaid\n{mermaid()}\n```" in DOCUMENT.read_text(encoding="utf-8")
