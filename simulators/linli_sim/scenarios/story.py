"""A story: devices, what they read and when it comes, and the truth: what was wrong, and what must say so by when."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from linli_core.alarm import Series
from linli_core.catalogue import Language, text
from linli_core.instant import Instant
from linli_core.model import Quality, Value, parse_point

GATEWAY: Final = "gw-scenario"


class Place(NamedTuple):
    """A device of a story, as the registry knows it."""

    device: str
    kind: str = ""
    tags: frozenset[str] = frozenset()
    gateway: str = GATEWAY


class Told(NamedTuple):
    """One reading.

    Attributes:
        gateway: Its gateway.
        name: The point below the gateway: ``room-1/air_temperature``.
        at: When it was so.
        value: The value, ``None`` where it is missing.
        quality: Its quality.
        comes: When it arrives.
    """

    gateway: str
    name: str
    at: Instant
    value: Value
    quality: Quality
    comes: Instant


class Truth(NamedTuple):
    """What is wrong, and what must come of it.

    Attributes:
        rule: The rule that must raise.
        point: Where it is wrong, ``gateway/device/quantity``: the alarm is about it or about what is above it.
        begins: Since when.
        ends: Until when; an alarm of the rule that is raised until then is no false one.
        by: Until when the alarm must be known.
    """

    rule: str
    point: str
    begins: Instant
    ends: Instant
    by: Instant

    def is_about(self, rule: str, subject: str) -> bool:
        """Tell whether an alarm is about this."""
        return rule == self.rule and (self.point == subject or self.point.startswith(f"{subject}/"))


class Story(NamedTuple):
    """What happened.

    Attributes:
        places: The devices.
        readings: In order of arrival.
        truths: What must be found.
        may: Rules that follow from the faults, and may say so as well.
        begins: Its first instant.
        until: Its last.
    """

    places: tuple[Place, ...]
    readings: tuple[Told, ...]
    truths: tuple[Truth, ...]
    may: frozenset[str]
    begins: Instant
    until: Instant

    def series(self) -> dict[tuple[str, str], Series]:
        """Return the points by gateway and name, in order of appearance."""
        places = {(place.gateway, place.device): place for place in self.places}
        found: dict[tuple[str, str], Series] = {}
        for gateway, name in dict.fromkeys((told.gateway, told.name) for told in self.readings):
            point = parse_point(name)
            place = places[gateway, point.device]
            found[gateway, name] = Series(gateway, point.device, name, point.quantity, place.kind, place.tags)
        return found


class Scenario(NamedTuple):
    """A story that can be told at any time.

    Attributes:
        name: For the command line; its titles are in the catalogue.
        tell: Makes the story of a start and a seed.
        hour: Local hour at which it must start, ``None`` where that does not matter.
        summer: Whether it tells of something that is only amiss outside the heating season.
        dies_after: When the gateway itself loses its power, after the story's start.
    """

    name: str
    tell: Callable[[Instant, int], Story]
    hour: float | None = None
    summer: bool = False
    dies_after: Instant | None = None

    def title(self, lang: Language) -> str:
        """Return what it is, for people."""
        return text(f"scenario.{self.name}", lang)


def seeded(seed: int) -> random.Random:
    """Return repeatable chance."""
    return random.Random(seed)  # noqa: S311 - a repeatable story, no secret


def every(start: Instant, until: Instant, step: Instant) -> Iterator[Instant]:
    """Yield instants from a start on, the end included."""
    yield from range(start, until + 1, step)


class Teller:
    """Collects a story.

    Attributes:
        start: When it begins.
        random: Its chance.
    """

    def __init__(self, start: Instant, seed: int) -> None:
        self.start = start
        self.random = seeded(seed)
        self._places: dict[str, Place] = {}
        self._readings: list[Told] = []
        self._truths: list[Truth] = []

    def device(self, device: str, kind: str = "", *, tags: Sequence[str] = (), gateway: str = GATEWAY) -> str:
        """Add a device; return its id, which is its own in the story."""
        self._places[device] = Place(device, kind, frozenset(tags), gateway)
        return device

    def say(
        self,
        device: str,
        quantity: str,
        at: Instant,
        value: Value,
        *,
        quality: Quality = Quality.GOOD,
        late: Instant = 0,
    ) -> None:
        """Tell one reading."""
        name = f"{device}/{quantity}"
        self._readings.append(Told(self._places[device].gateway, name, at, value, quality, at + late))

    def missing(self, device: str, quantity: str, at: Instant) -> None:
        """Tell that a reading could not be taken."""
        self.say(device, quantity, at, None, quality=Quality.BAD)

    def state(
        self, device: str, quantity: str, until: Instant, *, step: Instant, changes: Sequence[tuple[Instant, Value]]
    ) -> None:
        """Tell a state: every so often, and whenever it changes; the first change says how it begins."""
        instants = {at: at for at in every(self.start, until, step)} | {at: at for at, _ in changes}
        value: Value = None
        left = list(changes)
        for at in sorted(instants):
            while left and left[0][0] <= at:
                value = left.pop(0)[1]
            if value is not None:
                self.say(device, quantity, at, value)

    def must(self, rule: str, device: str, quantity: str, begins: Instant, *, within: Instant, lasts: Instant) -> None:
        """Write down the truth: something is wrong, and this rule must say so in time."""
        point = f"{self._places[device].gateway}/{device}/{quantity}"
        self._truths.append(Truth(rule, point, begins, begins + lasts, begins + within))

    def story(self, until: Instant, may: Sequence[str] = ()) -> Story:
        """Return what was told."""
        self._readings.sort(key=lambda told: (told.comes, told.at))
        return Story(
            tuple(self._places.values()),
            tuple(self._readings),
            tuple(self._truths),
            frozenset(may),
            self.start,
            until,
        )
