"""What a rule is: which readings it watches, when it raises, and what a person is told.

Rules are data (TOML, :mod:`linli_core.alarm.rules`); these are the typed values a table becomes.
"""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from linli_core.instant import HOUR, SECOND, Instant


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


class SubjectKind(StrEnum):
    """What the alarm is about: one point, a whole device, a whole gateway."""

    POINT = "point"
    DEVICE = "device"
    GATEWAY = "gateway"


class Text(msgspec.Struct, frozen=True):
    """A sentence in both languages of the house."""

    zh: str = ""
    en: str = ""

    def in_language(self, lang: str) -> str:
        """Return the text in ``zh`` or, for anything else, ``en``."""
        return self.zh if lang == "zh" else self.en


class Limit(msgspec.Struct, frozen=True, tag="limit"):
    """A value beyond a limit.

    Attributes:
        high: Raise above this value, in the quantity's unit; exactly one of ``high`` and ``low`` is given.
        low: Raise below this value.
        hysteresis: The value must come back by this much before the alarm may return.
        on_delay: How long it must stay beyond before the alarm is raised, µs of event time.
        off_delay: How long it must stay back before the alarm returns, µs of event time.
    """

    high: float | None = None
    low: float | None = None
    hysteresis: float = 0.0
    on_delay: Instant = 0
    off_delay: Instant = 0


class StateIs(msgspec.Struct, frozen=True, tag="state"):
    """A state that lasts: a door that stays open, a valve that stays shut.

    Attributes:
        values: The states that count; ``true`` equals 1, as stores keep booleans as numbers.
        on_delay: How long one of them must last before the alarm is raised, µs of event time.
        off_delay: How long another state must last before the alarm returns, µs of event time.
    """

    values: tuple[bool | float | str, ...]
    on_delay: Instant = 0
    off_delay: Instant = 0


class Absence(msgspec.Struct, frozen=True, tag="absence"):
    """Readings that should have come and did not.

    Attributes:
        of: Whose silence it is: a point's, a device's (all its points), a gateway's (all its devices).
        bad_counts: Whether a BAD reading is a sign of life; a gateway that reports "no answer" lives, the device not.
        after: Silence longer than this raises; with ``intervals`` it is the least.
        intervals: Silence longer than so many of the subject's own intervals raises; 0 for ``after`` alone.
        until_known: What is waited for while the subject's interval is not known yet.
    """

    of: SubjectKind = SubjectKind.POINT
    bad_counts: bool = False
    after: Instant = 60 * SECOND
    intervals: float = 0.0
    until_known: Instant = HOUR


Condition = Limit | StateIs | Absence


class Series(msgspec.Struct, frozen=True):
    """What the engine must know of a series to choose its rules.

    Attributes:
        gateway: Id of the gateway.
        device: Id of the device.
        name: The point's name below the gateway: ``device/quantity[.qualifier…]``.
        quantity: Name in the vocabulary.
        kind: The device's kind or profile, empty if not known.
        tags: The device's tags.
        interval: The point's own interval in µs, ``None`` to learn it.
    """

    gateway: str
    device: str
    name: str
    quantity: str
    kind: str = ""
    tags: frozenset[str] = frozenset()
    interval: Instant | None = None

    def subject(self, of: SubjectKind) -> str:
        """Return the subject this series belongs to: ``gateway``, ``gateway/device`` or ``gateway/device/point``."""
        if of is SubjectKind.GATEWAY:
            return self.gateway
        if of is SubjectKind.DEVICE:
            return f"{self.gateway}/{self.device}"
        return f"{self.gateway}/{self.name}"


class Scope(msgspec.Struct, frozen=True):
    """Which series a rule watches: every list that is not empty must match; patterns are shell globs.

    Attributes:
        gateways: Patterns of gateway ids.
        devices: Patterns of device ids.
        kinds: Patterns of device kinds.
        tags: Tags, one of which the device must bear.
        points: Patterns of point names (``*/voltage.l[123]``).
    """

    gateways: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    points: tuple[str, ...] = ()

    def matches(self, series: Series) -> bool:
        """Tell whether a series is in scope."""
        return (
            _any_match(series.gateway, self.gateways)
            and _any_match(series.device, self.devices)
            and _any_match(series.kind, self.kinds)
            and _any_match(series.name, self.points)
            and (not self.tags or not series.tags.isdisjoint(self.tags))
        )


def _any_match(text: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


EVERYWHERE: Final = Scope()


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
        consequence: What happens if nobody acts.
        response: What to do.
        clause: The document the limit rests on, empty if it is ours.
        corrective_action: Whether it is acknowledged only with a word of what was done about it.
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
    consequence: Text = Text()
    response: Text = Text()
    clause: str = ""
    corrective_action: bool = False

    @property
    def subject_kind(self) -> SubjectKind:
        """What an alarm of this rule is about."""
        return self.condition.of if isinstance(self.condition, Absence) else SubjectKind.POINT

    def watches(self, series: Series) -> bool:
        """Tell whether this rule watches a series."""
        return (not self.quantity or self.quantity == series.quantity) and self.scope.matches(series)
