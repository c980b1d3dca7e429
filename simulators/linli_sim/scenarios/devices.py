"""A story's devices as Modbus units: what a gateway must be told to read them, and what they answer at an instant."""

import math
import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Final

from linli_core.instant import MINUTE, Instant
from linli_core.model import Point, Value, parse_point
from linli_core.vocabulary import vocabulary
from linli_sim.modbus_registers import Unit
from linli_sim.scenarios.story import Story, Told

_WORDS: Final = 4
"""Registers of a point: a ``float64``; a state takes the first."""

_SILENT: Final = 4
"""A device that has told nothing for so many of its own intervals does not answer."""


@dataclass
class TellingPoint:
    """A point of a device.

    Attributes:
        point: Which.
        address: Its first register.
        times: When it tells something.
        values: What it tells; ``None`` where it cannot.
        labels: The texts it may tell, by number, where it tells texts.
    """

    point: Point
    address: int
    times: list[Instant] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    labels: tuple[str, ...] = ()

    @property
    def is_state(self) -> bool:
        """Whether it is yes or no."""
        return all(isinstance(value, bool) for value in self.values if value is not None) and not self.labels

    def at(self, now: Instant) -> tuple[Instant, Value]:
        """Return what it told last, and when; before its first word that one."""
        place = max(bisect_right(self.times, now) - 1, 0)
        return self.times[place], self.values[place]

    def declaration(self) -> str:
        """Return it as a gateway's configuration names it: an inline table."""
        quantity = vocabulary()[self.point.quantity]
        keys = [f'quantity = "{self.point.quantity}"', f"address = {self.address}"]
        if self.point.phase is not None:
            keys.append(f'phase = "{self.point.phase.value}"')
        if self.labels:
            states = ", ".join(f'{number} = "{label}"' for number, label in enumerate(self.labels))
            keys += ['type = "uint16"', f"states = {{ {states} }}"]
        elif self.is_state:
            keys += ['type = "uint16"', "states = { 0 = false, 1 = true }"]
        else:
            keys.append('type = "float64"')
            if quantity.unit:
                keys.append(f'unit = "{quantity.unit}"')
        return f"{{ {', '.join(keys)} }}"

    def registers(self, value: Value) -> list[int]:
        """Return a value's registers; what cannot be told is a number that stands for no state, or no number."""
        if self.labels or self.is_state:
            if value is None:
                return [0xFFFF]
            return [self.labels.index(str(value)) if self.labels else int(bool(value))]
        number = math.nan if value is None or isinstance(value, str) else float(value)
        return list(struct.unpack(">4H", struct.pack(">d", number)))


@dataclass
class TellingDevice:
    """A device of a story.

    Attributes:
        device: Its id.
        kind: Its kind, for the registry.
        tags: Its tags.
        number: Its unit id.
        points: Its points by name.
        unit: Its registers.
        patience: How long it may tell nothing before it is silent.
    """

    device: str
    kind: str
    tags: tuple[str, ...]
    number: int
    points: dict[str, TellingPoint] = field(default_factory=dict)
    unit: Unit = field(default_factory=Unit)
    patience: Instant = 0

    def take(self, told: Told) -> None:
        """Learn one more reading."""
        point = self.points.get(told.name)
        if point is None:
            point = self.points[told.name] = TellingPoint(parse_point(told.name), _WORDS * len(self.points))
        point.times.append(told.at)
        point.values.append(told.value)
        if isinstance(told.value, str) and told.value not in point.labels:
            point.labels = (*point.labels, told.value)

    def settle(self) -> None:
        """Make its registers, once it knows all it will tell."""
        times = sorted({at for point in self.points.values() for at in point.times})
        gaps = [later - earlier for earlier, later in pairwise(times)]
        self.patience = _SILENT * max(round(median(gaps)) if gaps else MINUTE, MINUTE)
        self.unit.put("holding", 0, [0] * (_WORDS * len(self.points)))

    def update(self, now: Instant) -> bool:
        """Bring the registers up to an instant; ``False`` where the device is silent."""
        heard = 0
        for point in self.points.values():
            at, value = point.at(now)
            heard = max(heard, at)
            self.unit.put("holding", point.address, point.registers(value))
        return now - heard <= self.patience

    def settings(self) -> str:
        """Return its lines in a gateway's configuration, beside its id."""
        points = ",\n    ".join(point.declaration() for point in self.points.values())
        return f"unit = {self.number}\npoints = [\n    {points},\n]"


def devices_of(story: Story) -> Mapping[int, TellingDevice]:
    """Return a story's devices by unit id."""
    found = {
        place.device: TellingDevice(place.device, place.kind, tuple(sorted(place.tags)), number + 1)
        for number, place in enumerate(story.places)
    }
    for told in sorted(story.readings, key=lambda told: told.at):
        found[told.name.partition("/")[0]].take(told)
    for device in found.values():
        device.settle()
    return {device.number: device for device in found.values()}


def past(story: Story, until: Instant, most: int) -> Iterator[list[Told]]:
    """Yield what was told before an instant, in order of time and in packs of so many at most."""
    before = sorted((told for told in story.readings if told.at < until), key=lambda told: told.at)
    for first in range(0, len(before), most):
        yield before[first : first + most]
