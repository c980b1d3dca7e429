"""Device profiles of CJ/T 188 meters: what a make and model is asked for, and where it differs from the standard.

A profile is a TOML file in ``profiles/`` (its name is the profile's), or any file a device names by its path.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linli_core.codecs.cjt188 import Dialect, Order
from linli_core.codecs.cjt188.control import IDENTIFIERS
from linli_core.codecs.cjt188.layout import VALVE_BITS
from linli_core.instant import DAY, SECOND
from linli_edge.config.table import Table, reading
from linli_edge.profiles import Shelf

TYPES: Final = {
    "cold_water": 0x10,
    "hot_water": 0x11,
    "drinking_water": 0x12,
    "reclaimed_water": 0x13,
    "heat": 0x20,
    "cold": 0x21,
    "heat_and_cold": 0x22,
    "gas": 0x30,
}
"""``type = "…"`` → the frame's ``T``; two hexadecimal digits name any other."""

_BYTE: Final = "[0-9A-F]{2}"
_READABLE: Final = ("90", "D1", "81")


@dataclass(frozen=True, slots=True)
class Reads:
    """Identifiers that are read at one interval, in microseconds; 0: as often as the device."""

    identifiers: tuple[int, ...]
    interval: int


@dataclass(frozen=True, slots=True)
class ValveCodes:
    """What a meter is told to open and to close its valve; some makers use the two the other way round.

    Attributes:
        order: In which order the valve's identifier is sent; ``None``: as the others.
    """

    open: int
    close: int
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """The declaration for a make and model.

    Attributes:
        name: What a device's ``profile = "…"`` says.
        make, model: Of the meter.
        manual: The document the layout was taken from.
        verified: What was checked against a meter or a recording, and what is from documents only.
        title: For people, in ``zh`` and ``en``.
        meter_type: The ``T`` it is asked by.
        order: In which order it hears identifiers; ``None``: found out.
        preamble: How many FE go before a request.
        reads: What it is asked for.
        dialect: How its answers differ.
        valve: How its valve is worked; ``None`` where nobody declared it.
    """

    name: str
    make: str
    model: str
    manual: str
    verified: str
    title: Mapping[str, str]
    meter_type: int
    order: Order | None
    preamble: int
    reads: tuple[Reads, ...]
    dialect: Dialect
    valve: ValveCodes | None


def parse(name: str, table: Mapping[str, object], where: str) -> DeviceProfile:
    """Return the profile that a file's tables declare; raise ``ConfigErrors`` with all that is wrong."""
    with reading(table, where, known=()) as profile:
        title = profile.table("title", required=True)
        return DeviceProfile(
            name,
            profile.text("make"),
            profile.text("model"),
            profile.text("manual"),
            profile.text("verified"),
            {language: title.text(language) for language in ("zh", "en")},
            read_type(profile),
            read_order(profile, None),
            profile.integer("preamble", 4, minimum=0, maximum=16),
            tuple(read_group(item) for item in profile.tables("reads", required=True)),
            _dialect(profile),
            _valve(profile.table("valve_codes")) if "valve_codes" in profile else None,
        )


def read_type(table: Table) -> int:
    """Return the ``T`` that a table names."""
    text = table.text("type")
    if text in TYPES:
        return TYPES[text]
    digits = text.upper()
    if len(digits) == 2 and all(digit in "0123456789ABCDEF" for digit in digits):
        return int(digits, 16)
    if text:
        near = difflib.get_close_matches(text, TYPES, 1)
        remedy = (
            f'did you mean "{near[0]}"?' if near else f"choose one of {', '.join(TYPES)}, or two hexadecimal digits"
        )
        table.problem("type", f'found "{text}"', remedy)
    return 0


def read_order(table: Table, default: Order | None) -> Order | None:
    """Return in which order a meter hears identifiers; ``None`` for ``auto``."""
    if "order" not in table:
        return default
    word = table.choice("order", ("2004", "2018", "auto"))
    return None if word == "auto" else Order(word)


def read_identifiers(table: Table, key: str) -> tuple[int, ...]:
    """Return the identifiers of a list."""
    found: list[int] = []
    for place, text in enumerate(table.texts(key)):
        digits = text.upper()
        known = len(digits) == 4 and digits[:2] in _READABLE and all(digit in "0123456789ABCDEF" for digit in digits)
        if known and int(digits, 16) in IDENTIFIERS:
            found.append(int(digits, 16))
        else:
            remedy = 'write one that is read, such as "901F" (the reading) or "D120" (last month)'
            table.problem(f"{key}[{place}]", f'found "{text}"', remedy)
    return tuple(found)


def read_group(item: Table) -> Reads:
    """Return identifiers that are read together, and how often; 0 is as often as the device."""
    return Reads(read_identifiers(item, "identifiers"), item.duration("interval", 0, minimum=SECOND // 10, maximum=DAY))


def _dialect(profile: Table) -> Dialect:
    has_valve = profile.boolean("has_valve", default=True)
    valve = dict(VALVE_BITS) if has_valve else {}
    if "valve_bits" in profile:
        bits = profile.table("valve_bits")
        words = {word: bits.integer(word, None, minimum=0, maximum=3) for word in ("open", "closed", "abnormal")}
        valve = {value: word for word, value in words.items() if value is not None}
    return Dialect(
        volume_decimals=profile.integer("volume_decimals", 2, minimum=0, maximum=4),
        volume_unit=profile.choice("volume_unit", ("m3", "l"), "m3"),
        energy_first=profile.choice("energy_first", ("settlement", "current"), "settlement"),
        year_first=profile.boolean("year_first", default=False),
        valve=valve,
        battery=profile.boolean("has_battery", default=True),
    )


def _valve(table: Table) -> ValveCodes:
    opening, closing = (int(table.text(key, pattern=_BYTE) or "0", 16) for key in ("open", "close"))
    return ValveCodes(opening, closing, read_order(table, None))


SHELF: Final = Shelf("linli_edge.drivers.cjt188", parse)
"""The profiles of this driver."""
