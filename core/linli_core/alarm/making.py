"""Which watch interprets which condition."""

from datetime import tzinfo

from linli_core.alarm.absence import AbsenceWatch
from linli_core.alarm.conditions import (
    Absence,
    Balance,
    Baseline,
    Change,
    Expression,
    Limit,
    NightFlow,
    Pattern,
    StateIs,
)
from linli_core.alarm.figures import FigureWatch
from linli_core.alarm.happenings import ChangeWatch, PatternWatch
from linli_core.alarm.memory import Memory
from linli_core.alarm.rule import Rule
from linli_core.alarm.seasonal import BaselineWatch, NightFlowWatch
from linli_core.alarm.together import BalanceWatch, ExpressionWatch
from linli_core.alarm.watch import LevelWatch


def make_watch(rule: Rule, memory: Memory, zone: tzinfo) -> LevelWatch | AbsenceWatch:  # noqa: PLR0911 - a table
    """Return the interpreter of a rule's condition.

    Args:
        rule: The rule.
        memory: What it remembers.
        zone: The community's, for schedules, nights and hours of the week.
    """
    condition = rule.condition
    match condition:
        case Absence():
            return AbsenceWatch(rule, memory, zone)
        case Limit() | StateIs():
            return LevelWatch(rule, memory, condition, zone)
        case Change():
            return ChangeWatch(rule, memory, condition, zone)
        case Pattern():
            return PatternWatch(rule, memory, condition, zone)
        case Baseline():
            return BaselineWatch(rule, memory, condition, zone)
        case NightFlow():
            return NightFlowWatch(rule, memory, condition, zone)
        case Expression():
            return ExpressionWatch(rule, memory, condition, zone)
        case Balance():
            return BalanceWatch(rule, memory, condition, zone)
        case _:
            return FigureWatch(rule, memory, condition, zone)
