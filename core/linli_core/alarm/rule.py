"""What a rule is: which readings it watches, when it raises, and what a person is told.

Rules are data (TOML, :mod:`linli_core.alarm.rules`); these are the typed values a table becomes.
"""

from enum import StrEnum

import msgspec

from linli_core.alarm.conditions import Absence, Balance, Condition, Expression, Pattern
from linli_core.alarm.schedule import ALWAYS, Schedule
from linli_core.alarm.scope import EVERYWHERE, Scope, Series, SubjectKind
from linli_core.instant import MINUTE, Instant


class Category(StrEnum):
    """Whose day the alarm concerns."""

    FOOD = "food"
    SAFETY = "safety"
    UTILITY = "utility"
    SYSTEM = "system"


class Priority(StrEnum):
    """How soon a person must respond; few alarms may be high."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Text(msgspec.Struct, frozen=True):
    """A sentence in both languages of the house."""

    zh: str = ""
    en: str = ""

    def in_language(self, lang: str) -> str:
        """Return the text in ``zh`` or, for anything else, ``en``."""
        return self.zh if lang == "zh" else self.en


class Parameter(msgspec.Struct, frozen=True):
    """A number of a rule that people may change within bounds.

    Attributes:
        name: The key of the condition that it sets, or the name in its expression that stands for it.
        title: What people call it, empty where it is called as everywhere.
        unit: What it is counted in; ``s`` for a length of time.
        is_length: Whether it is a length of time.
        least, most: Its bounds, both included.
        step: Values are whole steps away from ``least``.
        default: What holds until somebody changes it.
        value: What holds.
    """

    name: str
    title: Text
    unit: str
    is_length: bool
    least: float
    most: float
    step: float
    default: float
    value: float


class Rule(msgspec.Struct, frozen=True):
    """One rule: what it watches, when it raises, what a person is told.

    Attributes:
        id: Stable name, half of an alarm's identity: ``food.cold-room-warm``.
        category: Whose day it concerns.
        priority: How soon a person must respond.
        condition: When it raises and returns.
        quantity: The quantity watched; empty (any) only for an absence.
        unit: The unit the limits are written in, which must be the vocabulary's of the quantity.
        scope: Which series it watches.
        latched: Whether a returned alarm stays until a person resets it.
        title: What is wrong, in a few words.
        cause: What mostly brings it about.
        consequence: What happens if nobody acts.
        response: What to do.
        respond_within: How soon somebody must do it, 0 where nothing is said.
        clause: The document the limit rests on, empty if it is ours.
        corrective_action: Whether it is acknowledged only with a word of what was done about it.
        schedule: When it is in force, in the community's own time; outside it nothing is amiss.
        supersedes: Ids of rules that have nothing to say of a series which this one watches.
        retrospective: What is learnt so long after it was so goes into the record and rings no bell.
        parameters: What of it people may change, and within which bounds.
        source: The table it was read from, as JSON; empty for one that was made otherwise.
    """

    id: str
    category: Category
    priority: Priority
    condition: Condition
    quantity: str = ""
    unit: str = ""
    scope: Scope = EVERYWHERE
    latched: bool = False
    title: Text = Text()
    cause: Text = Text()
    consequence: Text = Text()
    response: Text = Text()
    respond_within: Instant = 0
    clause: str = ""
    corrective_action: bool = False
    schedule: Schedule = ALWAYS
    supersedes: tuple[str, ...] = ()
    retrospective: Instant = 15 * MINUTE
    parameters: tuple[Parameter, ...] = ()
    source: str = ""

    @property
    def subject_kind(self) -> SubjectKind:
        """What an alarm of this rule is about."""
        condition = self.condition
        if isinstance(condition, Absence | Pattern):
            return condition.of
        if isinstance(condition, Balance):
            return SubjectKind.GATEWAY
        return SubjectKind.DEVICE if isinstance(condition, Expression) else SubjectKind.POINT

    def subject(self, series: Series) -> str:
        """Return what an alarm of this rule is about that a series brings about."""
        condition = self.condition
        if isinstance(condition, Balance) and condition.gateway:
            return condition.gateway
        return series.subject(self.subject_kind)

    def watches(self, series: Series) -> bool:
        """Tell whether this rule watches a series."""
        if (self.quantity and self.quantity != series.quantity) or not self.scope.matches(series):
            return False
        condition = self.condition
        return not isinstance(condition, Pattern | Balance | Expression) or bool(condition.inlets(series))
