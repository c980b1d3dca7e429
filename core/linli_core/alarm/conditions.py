"""What may be amiss: every kind of condition a rule can have, as data.

Most kinds are a *figure* made of readings (a rate, a mean, a time outside a range …) and a :class:`Limit` on it.
"""

from enum import StrEnum
from fnmatch import fnmatchcase

import msgspec

from linli_core.alarm.scope import EVERYWHERE, Scope, Series, SubjectKind
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant


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


class Rate(msgspec.Struct, frozen=True, tag="rate"):
    """How fast a value rises or falls, between the oldest and the newest reading of a while.

    Attributes:
        level: The limit on the figure, in the quantity's unit per ``per``.
        over: The while.
        per: The time the limit is written for.
    """

    level: Limit
    over: Instant
    per: Instant = HOUR


class Outside(msgspec.Struct, frozen=True, tag="outside"):
    """The time a value spent outside a range, added up over a while.

    Attributes:
        low, high: The range; one of them may be open.
        longest: So much time outside is borne, more raises.
        over: The while.
        gap: How long a reading speaks for what follows it.
    """

    longest: Instant
    over: Instant
    low: float | None = None
    high: float | None = None
    gap: Instant = 15 * MINUTE


class Integral(msgspec.Struct, frozen=True, tag="integral"):
    """How far and how long a value was beyond an edge: unit-hours, over a while.

    Attributes:
        level: The limit on the figure, in the quantity's unit times hours.
        over: The while.
        above: The edge; what is above it counts.
        below: The edge; what is below it counts.
        gap: How long a reading speaks for what follows it.
    """

    level: Limit
    over: Instant
    above: float | None = None
    below: float | None = None
    gap: Instant = 15 * MINUTE


class MeanKinetic(msgspec.Struct, frozen=True, tag="mean_kinetic_temperature"):
    """The one temperature that would have spoilt as much as those that were.

    Attributes:
        level: The limit on the figure, in the quantity's unit.
        over: The while.
        activation: The activation energy over the gas constant, kelvin.
        offset: From the quantity's unit to kelvin.
        gap: How long a reading speaks for what follows it.
        coverage: The share of the while that readings must speak for.
    """

    level: Limit
    over: Instant
    activation: float = 10_000.0
    offset: float = 273.15
    gap: Instant = 15 * MINUTE
    coverage: float = 0.5


class Statistic(StrEnum):
    """What is made of the values of a while."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    RANGE = "range"
    STD = "std"


class Window(msgspec.Struct, frozen=True, tag="window"):
    """A statistic over a while, weighted by time.

    Attributes:
        statistic: Which.
        level: The limit on the figure.
        over: The while.
        gap: How long a reading speaks for what follows it.
        coverage: The share of the while that readings must speak for.
    """

    statistic: Statistic
    level: Limit
    over: Instant
    gap: Instant = 15 * MINUTE
    coverage: float = 0.5


class Change(msgspec.Struct, frozen=True, tag="change"):
    """A state that changes.

    Attributes:
        start: The states it must have had, empty for any.
        to: The states it must come to, empty for any.
        hold: How long the alarm stands when no other change follows.
    """

    start: tuple[bool | float | str, ...] = ()
    to: tuple[bool | float | str, ...] = ()
    hold: Instant = MINUTE


class Happening(msgspec.Struct, frozen=True):
    """A point that comes to one of some states.

    Attributes:
        values: The states.
        scope: Which points of the subject; all that the rule watches where nothing is said.
    """

    values: tuple[bool | float | str, ...]
    scope: Scope = EVERYWHERE
    quantity: str = ""

    def is_of(self, series: Series) -> bool:
        """Tell whether a series may bring it."""
        return (not self.quantity or self.quantity == series.quantity) and self.scope.matches(series)


class PatternForm(StrEnum):
    """Which pattern of events."""

    COUNT = "count"
    THEN = "then"
    WITHOUT = "without"


class Pattern(msgspec.Struct, frozen=True, tag="pattern"):
    """Events in a pattern: so many within a while; one and then another within it; one without the other.

    Attributes:
        form: Which pattern.
        a: The event, or the first of two.
        within: The while.
        b: The other event.
        count: How many raise.
        hold: How long an alarm of ``then`` stands when nothing follows.
        of: Whether the events are those of one point, of a device or of a gateway.
    """

    form: PatternForm
    a: Happening
    within: Instant
    b: Happening | None = None
    count: int = 1
    hold: Instant = MINUTE
    of: SubjectKind = SubjectKind.POINT

    def inlets(self, series: Series) -> tuple[str, ...]:
        """Return which of the events a series may bring."""
        both = (("a", self.a), ("b", self.b))
        return tuple(name for name, happening in both if happening is not None and happening.is_of(series))


class Direction(StrEnum):
    """On which side of what is usual."""

    ABOVE = "above"
    BELOW = "below"
    EITHER = "either"


class Baseline(msgspec.Struct, frozen=True, tag="baseline"):
    """An hour beside the same hour of earlier weeks: their median, and the median of their distances from it.

    Attributes:
        deviations: So many robust standard deviations are borne.
        least: A difference of less than this is never amiss, in the quantity's unit.
        direction: On which side.
        weeks: How many weeks are kept; half of them must be there before anything is said.
        cumulative: Whether the hour's increase is judged, and not its mean.
        gap: How long a reading speaks for what follows it.
        coverage: The share of the hour that readings must speak for.
    """

    deviations: float = 4.0
    least: float = 0.0
    direction: Direction = Direction.EITHER
    weeks: int = 4
    cumulative: bool = False
    gap: Instant = 30 * MINUTE
    coverage: float = 0.5


class NightFlow(msgspec.Struct, frozen=True, tag="night_flow"):
    """The least flow of the night hours: where nobody draws water, what still flows is lost.

    Attributes:
        level: The limit on the figure: of a flow in its unit, of a cumulative quantity in its unit per hour.
        begins, ends: The night hours, minutes after midnight of the community's time.
        cumulative: Whether the point counts, so that its increase is judged.
        slot: The time over which an increase is taken.
        nights: So many nights in a row raise.
    """

    level: Limit
    begins: int = 120
    ends: int = 240
    cumulative: bool = False
    slot: Instant = 15 * MINUTE
    nights: int = 1


class Balance(msgspec.Struct, frozen=True, tag="balance"):
    """What bulk meters counted and their sub-meters did not, of one gateway or of several.

    Attributes:
        bulk, subs: Which points are which; what is both is bulk.
        share: So great a share of the bulk may be missing, 0 … 1.
        least: A difference of less than this is never amiss, in the quantity's unit.
        over: The time over which both are compared.
        wait: How long a meter that is late is waited for; then that time is not judged.
        gateway: The gateway the balance is of, with meters of whichever gateways; each gateway's own where it is empty.
    """

    bulk: Scope
    subs: Scope
    share: float
    least: float = 0.0
    over: Instant = DAY
    wait: Instant = 6 * HOUR
    gateway: str = ""

    def inlets(self, series: Series) -> tuple[str, ...]:
        """Return whether a series is bulk or sub, empty if neither."""
        if self.bulk.matches(series):
            return ("bulk",)
        return ("sub",) if self.subs.matches(series) else ()


class Expression(msgspec.Struct, frozen=True, tag="expression"):
    """A condition over several points of one device.

    Attributes:
        when: What must hold (:mod:`linli_core.alarm.expression`).
        points: Each name in it, and the pattern of the point's name below the device.
        fresh: How long a reading counts; with an older one nothing is concluded.
        on_delay: How long it must hold before the alarm is raised.
        off_delay: How long it must not hold before the alarm returns.
    """

    when: str
    points: tuple[tuple[str, str], ...]
    fresh: Instant = 15 * MINUTE
    on_delay: Instant = 0
    off_delay: Instant = 0

    def inlets(self, series: Series) -> tuple[str, ...]:
        """Return the names a series stands for."""
        below = series.name.removeprefix(f"{series.device}/")
        return tuple(name for name, point in self.points if fnmatchcase(below, point))


Figure = Rate | Outside | Integral | MeanKinetic | Window
Condition = Limit | StateIs | Absence | Figure | Change | Pattern | Baseline | NightFlow | Balance | Expression
