"""What is known of a make and model before its first telegram: whose it is, what it gives, how often it sends."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linli_core.codecs.mbus import Identity
from linli_core.errors import ConfigError
from linli_core.instant import DAY, SECOND
from linli_core.model import Point, parse_point
from linli_core.vocabulary import vocabulary
from linli_edge.config.table import Table, reading
from linli_edge.profiles import Shelf

_DEVICE: Final = "meter"


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One profile.

    Attributes:
        name, make, model, manual, verified, title: What it says of itself.
        manufacturer, version, medium: Of the meters it is for; an empty list means any.
        encrypted: Their telegrams are: a key is needed.
        max_age: Microseconds without a telegram after which they are silent.
        points: What they give, named within the device: BAD from the start if nothing is heard.
    """

    name: str
    make: str
    model: str
    manual: str
    verified: str
    title: Mapping[str, str]
    manufacturer: tuple[str, ...]
    version: tuple[int, ...]
    medium: tuple[int, ...]
    encrypted: bool
    max_age: int
    points: tuple[str, ...]

    def fits(self, identity: Identity) -> bool:
        """Tell whether a meter is of this make and model."""
        return (
            identity.manufacturer in self.manufacturer
            and (not self.version or identity.version in self.version)
            and (not self.medium or identity.medium in self.medium)
        )

    def points_of(self, device: str) -> tuple[Point, ...]:
        """Return the points of a device of this make and model."""
        return tuple(parse_point(f"{device}/{name}") for name in self.points)


def parse_profile(name: str, tables: Mapping[str, object], where: str) -> DeviceProfile:
    """Return the profile that a file's tables declare; raise ``ConfigErrors`` with every mistake in it."""
    with reading(tables, where, known=()) as table:
        title = table.table("title", required=True)
        manufacturer = table.texts("manufacturer")
        for letters in manufacturer:
            if len(letters) != 3 or not all("A" <= letter <= "Z" for letter in letters):
                table.problem("manufacturer", f'found "{letters}"', 'write three capital letters, such as "KAM"')
        points = table.texts("points")
        for number, point in enumerate(points):
            _check_point(table, f"points[{number}]", point)
        return DeviceProfile(
            name,
            table.text("make"),
            table.text("model"),
            table.text("manual"),
            table.text("verified"),
            {"zh": title.text("zh"), "en": title.text("en")},
            manufacturer,
            table.integers("version", (), minimum=0, maximum=255),
            table.integers("medium", (), minimum=0, maximum=255),
            table.boolean("encrypted"),
            table.duration("max_age", minimum=SECOND, maximum=366 * DAY),
            points,
        )


def _check_point(table: Table, key: str, name: str) -> None:
    try:
        point = parse_point(f"{_DEVICE}/{name}")
    except ValueError:
        table.problem(key, f'found "{name}"', 'write a point\'s name within the device, such as "water_volume.s1"')
        return
    if point.quantity not in vocabulary():
        table.problem(key, f'no quantity is called "{point.quantity}"', "see docs/vocabulary.md")


SHELF: Final = Shelf("linli_edge.drivers.wmbus", parse_profile)


def profile_of(item: Table) -> DeviceProfile | None:
    """Return the profile that a device's table names; ``None`` if it names none, or one that is wrong."""
    name = item.text("profile", "")
    try:
        return SHELF.load(name, item.at("profile")) if name else None
    except ConfigError as exc:
        item.add(exc)
        return None
