"""What a make and model of meters leaves out or says in its own way, as a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linli_core.codecs.iec62056.meaning import Ways
from linli_core.codecs.iec62056.request import read_register
from linli_core.errors import ConfigError
from linli_core.obis import Obis, unit_of
from linli_core.obis import parse as parse_code
from linli_edge.config.table import Table, reading
from linli_edge.profiles import Shelf


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """One profile.

    Attributes:
        name, make, model, manual, verified, title: What it says of itself.
        registers: Registers to read in programming mode; none: the meter is read out.
        ways: What its data sets leave out.
    """

    name: str
    make: str
    model: str
    manual: str
    verified: str
    title: Mapping[str, str]
    registers: tuple[str, ...]
    ways: Ways


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
            registers_of(table),
            Ways(_codes(table.table("codes")), _units(table.table("units"))),
        )


def registers_of(table: Table) -> tuple[str, ...]:
    """Return the registers that a table names, each of which can be asked for."""
    registers = table.texts("registers", ())
    for place, register in enumerate(registers):
        try:
            read_register(register)
        except ValueError:
            table.problem(f"registers[{place}]", f'found "{register}"', 'write what stands before the bracket: "1.8.0"')
    return registers


def _codes(table: Table) -> dict[str, Obis]:
    codes = {}
    for key in table.raw:
        text = table.text(key)
        try:
            codes[key] = parse_code(text)
        except ValueError:
            table.problem(key, f'found "{text}"', 'write an OBIS code, such as "1-0:1.8.0"')
    return codes


def _units(table: Table) -> dict[str, str]:
    units = {}
    for key in table.raw:
        unit = unit_of(table.text(key))
        if unit is None:
            table.problem(key, f"found {table.raw[key]!r}", 'write a unit, such as "kWh"')
        else:
            units[key] = unit
    return units


SHELF: Final = Shelf("linli_edge.drivers.iec62056", parse_profile)


def profile_of(item: Table) -> DeviceProfile | None:
    """Return the profile that a device's table names; ``None`` if it names none, or one that is wrong."""
    name = item.text("profile", "")
    try:
        return SHELF.load(name, item.at("profile")) if name else None
    except ConfigError as exc:
        item.add(exc)
        return None
