"""What is known of a make and model beside what its telegrams say: whose it is, and what its maker means by records.

A profile is found by the meter's own identity, so that most devices name none. Naming one (``profile = "…"``) says
which points are missed while the meter has never answered, and holds for meters whose identity tells nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from linli_core.codecs.mbus import Identity
from linli_core.codecs.mbus.quirks import Quirk
from linli_core.codecs.mbus.values import REAL
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ConfigError
from linli_core.model import Phase, Point, parse_point
from linli_core.vocabulary import vocabulary
from linli_edge.config.table import Table, reading
from linli_edge.profiles import Shelf

_DEVICE: Final = "meter"
_CODES: Final = re.compile(r"(?:[0-7][0-9A-Fa-f]){1,10}")


@dataclass(frozen=True, slots=True)
class MeterProfile:
    """One profile.

    Attributes:
        name, make, model, manual, verified, title: What it says of itself.
        manufacturer, version, medium: Of the meters it is for; an empty list means any.
        points: What their telegrams hold at least, named within the device.
        quirks: What the maker means by records that say something else by the standard.
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
    points: tuple[str, ...]
    quirks: tuple[Quirk, ...]

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


def parse_profile(name: str, tables: Mapping[str, object], where: str) -> MeterProfile:
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
        quirks = [quirk for item in table.tables("quirks") for quirk in _quirks(item)]
        return MeterProfile(
            name,
            table.text("make"),
            table.text("model"),
            table.text("manual"),
            table.text("verified"),
            {"zh": title.text("zh"), "en": title.text("en")},
            manufacturer,
            table.integers("version", (), minimum=0, maximum=255),
            table.integers("medium", (), minimum=0, maximum=255),
            points,
            tuple(quirks),
        )


def _check_point(table: Table, key: str, name: str) -> None:
    try:
        point = parse_point(f"{_DEVICE}/{name}")
    except ValueError:
        table.problem(key, f'found "{name}"', 'write a point\'s name within the device, such as "heat_energy.s1"')
        return
    if point.quantity not in vocabulary():
        table.problem(key, f'no quantity is called "{point.quantity}"', "see docs/vocabulary.md")


def _quirks(item: Table) -> Iterator[Quirk]:
    """Yield the quirks that one table declares: one, or one for each phase."""
    measurand = item.member("measurand", Measurand)
    quantity = item.text("quantity", "")
    if quantity and quantity not in vocabulary():
        item.problem("quantity", f'no quantity is called "{quantity}"', "see docs/vocabulary.md")
    subunit = item.integer("subunit", None, minimum=0, maximum=1023)
    tariff = item.integer("tariff", None, minimum=0, maximum=2**20)
    coding = REAL if item.boolean("real", default=False) else None
    exponent = item.integer("exponent", 0, minimum=-9, maximum=9)
    certain = item.boolean("certain", default=True)
    channel = item.boolean("channel", default=False)
    phases = item.table("phases").raw
    item.table("phases").known(*phases)
    codes = item.text("codes", "")
    if phases and codes:
        item.problem("codes", "stands beside phases", "leave one of the two out")
    for written, phase in phases.items() if phases else ((codes, ""),):
        if written and not _CODES.fullmatch(written):
            item.problem("codes", f'found "{written}"', 'write the codes behind VIFE FF as on the wire, such as "01"')
            continue
        if phase not in ("", *Phase):
            item.problem("phases", f'found "{phase}"', f"choose one of {', '.join(Phase)}")
            continue
        yield Quirk(
            measurand,
            subunit,
            tariff,
            coding,
            bytes.fromhex(written),
            quantity,
            str(phase),
            exponent,
            certain,
            channel,
        )


SHELF: Final = Shelf("linli_edge.drivers.mbus", parse_profile)


@cache
def shipped() -> tuple[MeterProfile, ...]:
    """Return every profile that ships, those for few versions first."""
    found = [SHELF.load(name, f"profile {name}") for name in SHELF.names()]
    return tuple(sorted(found, key=lambda profile: (not profile.version, not profile.medium, profile.name)))


def profile_for(identity: Identity) -> MeterProfile | None:
    """Return the profile of a meter by its identity; ``None`` if none is for it."""
    return next((profile for profile in shipped() if profile.fits(identity)), None)


def quirks_of(identity: Identity) -> Sequence[Quirk]:
    """Return what a meter's maker means by its records, by its identity."""
    profile = profile_for(identity)
    return profile.quirks if profile is not None else ()


def profile_of(item: Table) -> MeterProfile | None:
    """Return the profile that a device's table names; ``None`` if it names none, or one that is wrong."""
    name = item.text("profile", "")
    try:
        return SHELF.load(name, item.at("profile")) if name else None
    except ConfigError as exc:
        item.add(exc)
        return None
