"""What the pushed lists of a make and model leave out, as a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linli_core.codecs.dlms.layout import Layout, layouts, make_layout
from linli_core.errors import ConfigError
from linli_core.obis import parse as parse_code
from linli_core.units import is_unit
from linli_edge.config.table import Table, reading
from linli_edge.profiles import Shelf


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One profile.

    Attributes:
        name, make, model, manual, verified, title: What it says of itself.
        layout: What its lists leave out; ``None``: they say all of themselves.
    """

    name: str
    make: str
    model: str
    manual: str
    verified: str
    title: Mapping[str, str]
    layout: Layout | None


def parse_profile(name: str, tables: Mapping[str, object], where: str) -> DeviceProfile:
    """Return the profile that a file's tables declare; raise ``ConfigErrors`` with every mistake in it."""
    with reading(tables, where, known=()) as table:
        title = table.table("title", required=True)
        return DeviceProfile(
            name,
            table.text("make"),
            table.text("model"),
            table.text("manual"),
            table.text("verified"),
            {"zh": title.text("zh"), "en": title.text("en")},
            _layout(table, name),
        )


def _layout(table: Table, name: str) -> Layout | None:
    """Return the layout a profile names, or declares itself."""
    if isinstance(table.raw.get("layout"), str):
        return layouts()[table.choice("layout", tuple(layouts()))]
    if "layout" not in table:
        return None
    own = table.table("layout")
    scale = own.table("scale")
    positions = own.texts("positions", ())
    for place, code in enumerate(positions):
        _check_code(own, f"positions[{place}]", code)
    scales = {}
    for code in scale.raw:
        _check_code(scale, code, code)
        entry = scale.table(code)
        unit = entry.text("unit")
        if unit and not is_unit(unit):
            entry.problem("unit", f'found "{unit}"', 'write a unit, such as "Wh"')
        scales[code] = entry.integer("power", 0, minimum=-9, maximum=9), unit
    if own.mistakes():
        return None
    channel = own.integer("channel", None, minimum=1, maximum=255)
    return make_layout(name, own.text("list_id", ""), channel, [positions] if positions else [], scales)


def _check_code(table: Table, key: str, text: str) -> None:
    try:
        parse_code(text)
    except ValueError:
        table.problem(key, f'found "{text}"', 'write an OBIS code, such as "1-0:1.8.0"')


SHELF: Final = Shelf("linli_edge.drivers.dlms", parse_profile)


def profile_of(item: Table) -> DeviceProfile | None:
    """Return the profile that a device's table names; ``None`` if it names none, or one that is wrong."""
    name = item.text("profile", "")
    try:
        return SHELF.load(name, item.at("profile")) if name else None
    except ConfigError as exc:
        item.add(exc)
        return None
