"""The life of an alarm as a table, after the alarm state model of ISA-18.2 / IEC 62682.

Theory of operation: an alarm is identified by (rule, subject). Its condition (is the room too warm?) and its handling
(has a person seen it?) are joined in one state. Rule 1: every transition is in :data:`TRANSITIONS`; nothing else
changes a state. Rule 2: an event the table does not list for a state is refused (:func:`advance` returns ``None``),
so a doubled event changes nothing. Suppression is another axis and never touches the state: a shelved alarm lives on.

The diagram in ``docs/alarms.md`` is :func:`mermaid`; a test compares.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Where an alarm stands: its condition and its handling in one."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"


class Event(StrEnum):
    """What moves an alarm."""

    RAISE = "raise"
    RETURN = "return"
    RETURN_LATCHED = "return_latched"
    ACKNOWLEDGE = "acknowledge"
    RESET = "reset"


class Note(StrEnum):
    """What is written down of an alarm and does not move it."""

    COMMENT = "comment"
    ASSIGN = "assign"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    DISPROVE = "disprove"


class Suppression(StrEnum):
    """Why an alarm is kept from people's eyes for a while; its own axis, never a state."""

    SHELVED = "shelved"
    SUPPRESSED_BY_DESIGN = "suppressed_by_design"
    OUT_OF_SERVICE = "out_of_service"


TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        State.NORMAL: MappingProxyType({Event.RAISE: State.UNACKNOWLEDGED}),
        State.UNACKNOWLEDGED: MappingProxyType(
            {
                Event.ACKNOWLEDGE: State.ACKNOWLEDGED,
                Event.RETURN: State.RETURNED_UNACKNOWLEDGED,
                Event.RETURN_LATCHED: State.LATCHED_UNACKNOWLEDGED,
            }
        ),
        State.ACKNOWLEDGED: MappingProxyType(
            {
                Event.RETURN: State.NORMAL,
                Event.RETURN_LATCHED: State.LATCHED_ACKNOWLEDGED,
            }
        ),
        State.RETURNED_UNACKNOWLEDGED: MappingProxyType(
            {
                Event.RAISE: State.UNACKNOWLEDGED,
                Event.ACKNOWLEDGE: State.NORMAL,
            }
        ),
        State.LATCHED_UNACKNOWLEDGED: MappingProxyType(
            {
                Event.RAISE: State.UNACKNOWLEDGED,
                Event.ACKNOWLEDGE: State.LATCHED_ACKNOWLEDGED,
            }
        ),
        State.LATCHED_ACKNOWLEDGED: MappingProxyType(
            {
                Event.RAISE: State.UNACKNOWLEDGED,
                Event.RESET: State.NORMAL,
            }
        ),
    }
)

CONDITION_HOLDS: Final = frozenset({State.UNACKNOWLEDGED, State.ACKNOWLEDGED})
"""States in which the condition itself is true right now."""

NEEDS_ACKNOWLEDGEMENT: Final = frozenset(
    {State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED}
)
"""States that wait for a person to say "seen"."""


def advance(state: State, event: Event) -> State | None:
    """Return the state after an event, or ``None`` where the table does not allow the event."""
    return TRANSITIONS[state].get(event)


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, one transition a line, without the fence."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.NORMAL.name}"]
    lines += [
        f"    {state.name} --> {after.name}: {event.value}"
        for state, events in TRANSITIONS.items()
        for event, after in events.items()
    ]
    return "\n".join(lines)
