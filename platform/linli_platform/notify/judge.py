"""Whether an alarm is told over a route now, and if not, why; pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum
from typing import Final

from linli_core.alarm import Category, Hiding, Priority, State
from linli_core.instant import Instant, to_datetime
from linli_platform.notify.routes import Inhibition, Route, matches
from linli_platform.registry.areas import line_of

HAUNTS: Final = frozenset({State.UNACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED})
"""States in which people are to be told, again if need be: it holds or is held, and nobody has said "I see to it"."""


class Reason(StrEnum):
    """Why somebody is not told."""

    NO_ROUTE = "no_route"
    HIDDEN = "hidden"
    SILENCED = "silenced"
    INHIBITED = "inhibited"
    HOURS = "hours"
    OVER = "over"
    ACKNOWLEDGED = "acknowledged"
    RETROSPECTIVE = "retrospective"
    ROUTE_GONE = "route_gone"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True)
class Alarm:
    """What of an alarm decides who is told."""

    id: int
    rule: str
    subject: str
    gateway: str
    device: str
    category: Category
    priority: Priority
    state: State


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of what matches, for a while; it is seen on every page all the same.

    Attributes:
        id: Its number.
        rule, gateway, device, area, route: What it is about; empty for any. ``rule`` is a glob.
        reason, actor: Why, and who said so.
        starts_at, until: When.
        ended_at, ended_by: When a person ended it earlier, and who.
    """

    id: int
    rule: str
    gateway: str
    device: str
    area: str
    route: str
    reason: str
    actor: str
    starts_at: Instant
    until: Instant
    ended_at: Instant | None = None
    ended_by: str = ""

    def is_active(self, now: Instant) -> bool:
        """Tell whether it silences anything now."""
        return self.starts_at <= now < (self.until if self.ended_at is None else min(self.until, self.ended_at))


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are, by the registry's tree.

    Attributes:
        parents: Each area's parent.
        devices, gateways: The area of each that has one.
    """

    parents: Mapping[str, str | None] = field(default_factory=dict)
    devices: Mapping[tuple[str, str], str] = field(default_factory=dict)
    gateways: Mapping[str, str] = field(default_factory=dict)

    def of(self, gateway: str, device: str) -> tuple[str, ...]:
        """Return the area of a device, or else of its gateway, and every area around it, the nearest first."""
        return line_of(self.devices.get((gateway, device)) or self.gateways.get(gateway), self.parents)


@dataclass(frozen=True, slots=True)
class Scene:
    """What else there is at the moment of judging.

    Attributes:
        now: The moment.
        zone: The community's.
        places: Where things are.
        silences: Those that may silence something.
        inhibitions: Of the file of routes.
        standing: Alarms that hold now and may inhibit others.
        hiding: Says what hides an alarm from people now.
    """

    now: Instant
    zone: tzinfo
    places: Places = Places()
    silences: tuple[Silence, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    standing: tuple[Alarm, ...] = ()
    hiding: Callable[[str, str, Instant], Hiding | None] = lambda _rule, _subject, _now: None

    def judge(self, route: Route, alarm: Alarm) -> tuple[Reason, str] | None:
        """Return why an alarm that is a route's is not told over it now, ``None`` if it is told."""
        if (hiding := self.hiding(alarm.rule, alarm.subject, self.now)) is not None:
            return Reason.HIDDEN, f"{hiding.kind}: {hiding.reason}"
        for silence in self.silences:
            if silence.is_active(self.now) and self._silences(silence, route, alarm):
                return Reason.SILENCED, f"silence {silence.id}: {silence.reason}"
        for inhibition in self.inhibitions:
            if matches(alarm.rule, inhibition.of):
                for other in self.standing:
                    if other.id != alarm.id and self._inhibits(inhibition, other, alarm):
                        return Reason.INHIBITED, f"alarm {other.id}: {other.rule} on {other.subject}"
        if not route.is_open(to_datetime(self.now).astimezone(self.zone)):
            return Reason.HOURS, " ".join(filter(None, ("/".join(route.days), route.hours)))
        return None

    def concerns(self, route: Route, alarm: Alarm) -> bool:
        """Tell whether an alarm is a route's, whatever the time."""
        return (
            (not route.categories or alarm.category in route.categories)
            and (not route.priorities or alarm.priority in route.priorities)
            and matches(alarm.rule, route.rules)
            and matches(alarm.gateway, route.gateways)
            and matches(alarm.device, route.devices)
            and (not route.areas or not set(route.areas).isdisjoint(self.places.of(alarm.gateway, alarm.device)))
        )

    def _silences(self, silence: Silence, route: Route, alarm: Alarm) -> bool:
        return (
            (not silence.rule or matches(alarm.rule, (silence.rule,)))
            and silence.gateway in {"", alarm.gateway}
            and silence.device in {"", alarm.device}
            and silence.route in {"", route.id}
            and (not silence.area or silence.area in self.places.of(alarm.gateway, alarm.device))
        )

    def _inhibits(self, inhibition: Inhibition, other: Alarm, alarm: Alarm) -> bool:
        if not matches(other.rule, inhibition.by):
            return False
        if inhibition.within == "area":
            around = self.places.of(other.gateway, other.device)
            return bool(around) and around[0] in self.places.of(alarm.gateway, alarm.device)
        return other.gateway == alarm.gateway and (inhibition.within == "gateway" or other.device == alarm.device)


def ranked(priorities: Iterable[Priority]) -> Priority:
    """Return the highest of some priorities."""
    order = list(Priority)
    return min(priorities, key=order.index)
