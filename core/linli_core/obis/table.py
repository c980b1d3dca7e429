"""What a code means, from ``obis.toml`` beside this module and the vocabulary's own codes."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_core.model import Phase
from linli_core.obis.identifier import Obis, parse
from linli_core.vocabulary import vocabulary

_FILE: Final = "obis.toml"
_ANY: Final = "x"
_PHASE_STEP: Final = 20
_PHASES: Final = (Phase.L1, Phase.L2, Phase.L3)

_NEUTRAL: Final = {91: 11, 92: 12}
"""Group C of the neutral's current and voltage → group C of any phase's."""

_BY_TARIFF: Final = frozenset({4, 6, 8})
"""Values of group D whose group E is the tariff: demand of the running period, maximum demand, registers."""

ELECTRICITY: Final = 1
ABSTRACT: Final = 0


class _Family(msgspec.Struct, forbid_unknown_fields=True):
    d: list[int]
    c: dict[int, str]
    e: list[int] | None = None
    tariff: bool = False
    phases: bool = False


class _Code(msgspec.Struct, forbid_unknown_fields=True):
    obis: list[str]
    quantity: list[str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    electricity: list[_Family]
    code: list[_Code]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code names.

    Attributes:
        quantities: Names in the vocabulary; the first whose unit fits the value's is meant.
        phase: Electrical phase.
        tariff: Tariff register; ``None`` for the total.
        channel: Channel out of group B; ``None`` for the only one.
        storage: Billing period out of group F; ``None`` for the current value.
    """

    quantities: tuple[str, ...]
    phase: Phase | None = None
    tariff: int | None = None
    channel: int | None = None
    storage: int | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    quantities: tuple[str, ...]
    phase: Phase | None = None
    tariff: bool = False


@dataclass(frozen=True, slots=True)
class _Table:
    electricity: dict[tuple[int, int, int | None], _Entry]
    codes: dict[tuple[int, int, int, int | None], _Entry]


def meaning_of(code: Obis) -> Meaning | None:
    """Return what a code means; ``None`` where it has no quantity of its own."""
    table = _table()
    entry = _electrical(code, table) if code.a in (None, ELECTRICITY) else None
    media = (ELECTRICITY, ABSTRACT) if code.a is None else (code.a,)
    for medium in media:
        for group_e in (code.e, None):
            entry = entry or table.codes.get((medium, code.c, code.d, group_e))
    if entry is None:
        return None
    tariff = code.e or None if entry.tariff else None
    return Meaning(entry.quantities, entry.phase, tariff, code.channel, code.period)


def _electrical(code: Obis, table: _Table) -> _Entry | None:
    for group_e in (code.e, None):
        if (entry := table.electricity.get((code.d, code.c, group_e))) is not None:
            return entry
    return None


@cache
def _table() -> _Table:
    text = files("linli_core.obis").joinpath(_FILE).read_text(encoding="utf-8")
    try:
        # Keys of TOML are texts; those of group C are numbers.
        file = msgspec.convert(tomllib.loads(text), _File, strict=False)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(_FILE, str(exc), "see the head of the file for the fields") from exc
    table = _Table({}, {})
    for family in file.electricity:
        _add_family(table, family)
    for row in file.code:
        for code in row.obis:
            table.codes[_key(code)] = _Entry(_known(row.quantity, code))
    for name, quantity in vocabulary().items():
        own = parse(quantity.obis) if quantity.obis is not None else None
        if own is None or own.a is None:
            continue
        if own.a == ELECTRICITY and own.d in _BY_TARIFF:
            table.electricity.setdefault((own.d, own.c, None), _Entry((name,), None, tariff=True))
        else:
            table.codes.setdefault((own.a, own.c, own.d, own.e), _Entry((name,)))
    return table


def _add_family(table: _Table, family: _Family) -> None:
    for d in family.d:
        for e in family.e or (None,):
            for c, name in family.c.items():
                quantities = _known([name], f"{c}.{d}")
                table.electricity[d, c, e] = _Entry(quantities, None, family.tariff)
                for number, phase in enumerate(_PHASES, 1):
                    if family.phases:
                        entry = _Entry(quantities, phase, family.tariff)
                        table.electricity[d, c + number * _PHASE_STEP, e] = entry
            for c, plain in _NEUTRAL.items():
                if plain in family.c and family.phases:
                    table.electricity[d, c, e] = _Entry((family.c[plain],), Phase.N, family.tariff)


def _key(text: str) -> tuple[int, int, int, int | None]:
    medium, _, rest = text.partition(":")
    c, d, e = rest.split(".")
    return int(medium), int(c), int(d), None if e == _ANY else int(e)


def _known(names: list[str], where: str) -> tuple[str, ...]:
    for name in names:
        if name not in vocabulary():
            raise ConfigError(f"{_FILE}: {where}", f"no quantity is called {name!r}", "add it to vocabulary.toml")
    return tuple(names)
