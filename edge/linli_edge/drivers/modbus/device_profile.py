"""Device profiles: a make and model as data. A new meter adds a file, no code.

A profile is a TOML file in ``profiles/`` (its name is the profile's), or any file a device names by its path. The
same tables may stand in the configuration itself (``[[links.devices.points]]``), see ``README.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linli_edge.config.table import reading
from linli_edge.drivers.modbus.register_map import Quirks, RawEntry, read_defaults, read_entries, read_quirks
from linli_edge.profiles import Shelf


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """The declaration for a make and model.

    Attributes:
        name: What a device's ``profile = "…"`` says.
        make: Manufacturer.
        model: Model or family.
        manual: The document the register map was taken from.
        verified: What was checked against a device or a recording, and what is from the manual only.
        title: For people, in ``zh`` and ``en``.
        quirks: How to ask.
        entries: The register map.
    """

    name: str
    make: str
    model: str
    manual: str
    verified: str
    title: Mapping[str, str]
    quirks: Quirks
    entries: tuple[RawEntry, ...]

    @property
    def ratios(self) -> frozenset[str]:
        """The transformer ratios that a device of this profile can be given."""
        return frozenset(name for entry in self.entries for name in entry.ratios)


def parse(name: str, table: Mapping[str, object], where: str) -> DeviceProfile:
    """Return the profile that a file's tables declare; raise ``ConfigErrors`` with all that is wrong."""
    with reading(table, where, known=()) as profile:
        title = profile.table("title", required=True)
        titles = {language: title.text(language) for language in ("zh", "en")}
        defaults = read_defaults(profile.table("defaults"))
        quirks = read_quirks(profile, Quirks())
        entries = read_entries(profile.tables("points", required=True), defaults, quirks)
        return DeviceProfile(
            name,
            profile.text("make"),
            profile.text("model"),
            profile.text("manual"),
            profile.text("verified"),
            titles,
            quirks,
            entries,
        )


SHELF: Final = Shelf("linli_edge.drivers.modbus", parse)
"""The profiles of this driver."""
