"""The times of a statement: which it asks for, which windows it has, which it needs besides."""

from dataclasses import dataclass
from datetime import tzinfo

from linli_platform.influxql.checks import calls_of
from linli_platform.influxql.condition import Condition, take_apart
from linli_platform.influxql.functions import TRANSFORMATIONS
from linli_platform.influxql.syntax import Call, Number, Select
from linli_platform.influxql.window import LATEST, Range, Windows, zone_of


@dataclass(frozen=True, slots=True)
class Frame:
    """The times of a statement.

    Attributes:
        now: The present instant (ns).
        zone: Whose days and midnights count; ``None`` for UTC.
        local: The zone that a statement may call :data:`~linli_platform.influxql.window.LOCAL`.
        condition: What else must hold.
        reach: Times asked for.
        loaded: Times needed: transformations of aggregates look at windows before.
        windows: ``None`` without windows.
        earlier: Windows needed beside those asked for.
        descending: The latest comes first: windows before are later ones.
    """

    now: int
    zone: tzinfo | None
    local: tzinfo | None
    condition: Condition
    reach: Range
    loaded: Range
    windows: Windows | None
    earlier: int
    descending: bool


def framed(select: Select, now: int, bounds: Range, zone: tzinfo | None, local: tzinfo | None) -> Frame:
    """Return a statement's times.

    Args:
        select: What is asked.
        now: The present instant (ns).
        bounds: Times of the statement around this one.
        zone: Time zone of that.
        local: The community's.

    Raises:
        QueryError: A time or a time zone that is none.
    """
    zone = zone_of(select.zone, local) or zone
    condition = take_apart(select.condition, now, zone)
    reach = condition.reach.within(bounds)
    interval = select.grouping.interval
    if interval and reach.end == LATEST:
        reach = Range(reach.start, now)
    windows = Windows(interval, select.grouping.offset, zone) if interval else None
    earlier = _earlier(select) if reach.has_start else 0
    loaded = reach
    if earlier:
        more = earlier * interval
        loaded = Range(reach.start, reach.end + more) if select.descending else Range(reach.start - more, reach.end)
    return Frame(now, zone, local, condition, reach, loaded, windows, earlier, select.descending)


def _earlier(select: Select) -> int:
    """Return how many windows before those asked for transformations of aggregates need."""
    most = 0
    for column in select.columns:
        for call in calls_of(column.expression):
            if call.name in TRANSFORMATIONS and isinstance(call.arguments[:1] and call.arguments[0], Call):
                count = call.arguments[1] if call.name == "moving_average" and len(call.arguments) > 1 else None
                needed = int(count.value) - 1 if isinstance(count, Number) else int(call.name != "cumulative_sum")
                most = max(most, needed)
    return most
