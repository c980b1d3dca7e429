"""The vocabulary: what can be measured, in which unit, what kind of quantity it is, and what people call it.

The data is ``vocabulary.toml`` beside this module; ``docs/vocabulary.md`` is made from it.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_core.model import Kind
from linli_core.units import UnitError, alike, convert, is_unit

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OBIS: Final = re.compile(r"\d{1,3}-\d{1,3}:\d{1,3}\.\d{1,3}\.\d{1,3}")

DOMAINS: Final = (
    "electricity",
    "water",
    "gas",
    "heat",
    "environment",
    "cold-chain",
    "safety",
    "camera",
    "meter",
    "gateway",
)


class Espi(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The quantity in Green Button's codes (NAESB ESPI ReadingType)."""

    commodity: int | None = None
    uom: int | None = None
    flow_direction: int | None = None
    accumulation: int | None = None


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    kind: Kind
    domain: str
    zh: str
    en: str
    unit: str = ""
    obis: str | None = None
    espi: Espi | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that can be measured.

    Attributes:
        name: On the wire, in the store, in rules.
        unit: SenML unit of every stored value; empty for a state or a bare number.
        kind: How it behaves over time.
        domain: One of :data:`DOMAINS`.
        titles: What people call it, by language (``zh``, ``en``).
        obis: OBIS code of the total, ``A-B:C.D.E``.
        espi: Green Button's codes.
        minimum, maximum: In ``unit``; beyond them a reading is UNCERTAIN.
    """

    name: str
    unit: str
    kind: Kind
    domain: str
    titles: Mapping[str, str]
    obis: str | None = None
    espi: Espi | None = None
    minimum: float | None = None
    maximum: float | None = None


class Vocabulary(Mapping[str, Quantity]):
    """The quantities by name."""

    def __init__(self, quantities: Mapping[str, Quantity]) -> None:
        self._quantities = dict(quantities)

    def __getitem__(self, name: str) -> Quantity:
        return self._quantities[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._quantities)

    def __len__(self) -> int:
        return len(self._quantities)

    def convert(self, quantity: str, value: Decimal, unit: str) -> Decimal:
        """Return a value given in ``unit`` in the quantity's own unit.

        Raises:
            KeyError: No quantity has this name.
            UnitError: The unit is unknown or measures something else.
        """
        own = self._quantities[quantity].unit
        if unit == own:
            return value
        if not own:
            raise UnitError(f"{quantity} has no unit, but {unit!r} was given")
        return convert(value, unit, own)

    def units_of(self, quantity: str) -> tuple[str, ...]:
        """Return the units a quantity's values may be given in."""
        return alike(self._quantities[quantity].unit)


def parse(text: str, where: str = "vocabulary.toml") -> Vocabulary:
    """Read a vocabulary; raise ``ConfigError`` naming the quantity that is wrong."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(where, str(exc), "correct the TOML") from exc
    return Vocabulary({name: _quantity(name, table, f"{where}: [{name}]") for name, table in tables.items()})


def _quantity(name: str, table: object, where: str) -> Quantity:
    try:
        row = msgspec.convert(table, _Row)
    except msgspec.ValidationError as exc:
        raise ConfigError(where, str(exc), "see the head of the file for the fields") from exc
    if not _NAME.fullmatch(name):
        raise ConfigError(where, "the name is no lower-case word", "use a-z, 0-9 and _")
    if row.domain not in DOMAINS:
        raise ConfigError(where, f"unknown domain {row.domain!r}", f"choose one of {', '.join(DOMAINS)}")
    if row.unit and not is_unit(row.unit):
        raise ConfigError(where, f"unknown unit {row.unit!r}", "add it to linli_core.units or choose another")
    if row.obis is not None and not _OBIS.fullmatch(row.obis):
        raise ConfigError(where, f"{row.obis!r} is no OBIS code", "write A-B:C.D.E")
    return Quantity(
        name,
        row.unit,
        row.kind,
        row.domain,
        {"zh": row.zh, "en": row.en},
        row.obis,
        row.espi,
        row.minimum,
        row.maximum,
    )


@cache
def vocabulary() -> Vocabulary:
    """Return the vocabulary that ships with Linli; read once."""
    return parse(files("linli_core").joinpath("vocabulary.toml").read_text(encoding="utf-8"))


def as_markdown(words: Vocabulary) -> str:
    """Return the vocabulary as the table of ``docs/vocabulary.md``."""
    lines = [
        "# Vocabulary 词汇表",
        "",
        "Made from `core/linli_core/vocabulary.toml` by `linli_core.vocabulary.as_markdown`; a test compares them.",
        "",
    ]
    for domain in DOMAINS:
        lines += [f"## {domain}", "", "| Quantity | Unit | Kind | 中文 | English | OBIS |", "|---|---|---|---|---|---|"]
        for word in words.values():
            if word.domain == domain:
                cells = (f"`{word.name}`", word.unit, word.kind, word.titles["zh"], word.titles["en"], word.obis or "")
                lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)
