"""Alarms: rules as data, states as a table, a pure engine in event time (``docs/alarms.md``)."""

from linli_core.alarm.engine import Bound, Engine, Key
from linli_core.alarm.rule import (
    Absence,
    Category,
    Condition,
    Limit,
    Priority,
    Rule,
    Scope,
    Series,
    StateIs,
    SubjectKind,
    Text,
)
from linli_core.alarm.rules import check_rules, find_mistakes, parse_rules
from linli_core.alarm.states import (
    CONDITION_HOLDS,
    NEEDS_ACKNOWLEDGEMENT,
    TRANSITIONS,
    Event,
    Note,
    State,
    Suppression,
    advance,
    mermaid,
)
from linli_core.alarm.suppression import Hiding, Hidings, by_design
from linli_core.alarm.watch import AlarmChange, Memory

__all__ = [
    "CONDITION_HOLDS",
    "NEEDS_ACKNOWLEDGEMENT",
    "TRANSITIONS",
    "Absence",
    "AlarmChange",
    "Bound",
    "Category",
    "Condition",
    "Engine",
    "Event",
    "Hiding",
    "Hidings",
    "Key",
    "Limit",
    "Memory",
    "Note",
    "Priority",
    "Rule",
    "Scope",
    "Series",
    "State",
    "StateIs",
    "SubjectKind",
    "Suppression",
    "Text",
    "advance",
    "by_design",
    "check_rules",
    "find_mistakes",
    "mermaid",
    "parse_rules",
]
