"""What manufacturers mean by VIF codes of their own (VIF FF), as data, a file each.

A code stands for a standard one, or for a measurand and a unit; the data field keeps its coding. Only what recorded
telegrams with known values prove is in the files.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from linli_core.codecs.mbus.record import Record
from linli_core.codecs.mbus.record_header import Function, Header, parse_header, plain_header
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ConfigError

_HEADERS_KEPT: Final = 4096


class Meaning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one code of a manufacturer means.

    Attributes:
        vib: VIF and VIFE, hexadecimal.
        tariff, subunit: Only with these; any if not given. A number given is taken up by the meaning.
        means: The standard VIF and VIFE it stands for, hexadecimal.
        measurand, unit, exponent: In place of ``means``, where the standard has no code.
        function: The function field it stands for.
        phase: Place in a three-phase system.
    """

    vib: str
    tariff: int | None = None
    subunit: int | None = None
    means: str = ""
    measurand: Measurand = Measurand.UNKNOWN
    unit: str = "1"
    exponent: int = 0
    function: int | None = None
    phase: str = ""


class Maker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A manufacturer's codes.

    Attributes:
        manufacturer: Three letters.
        models: Where they were met.
        verified: By what they are proved.
        codes: What they mean.
    """

    manufacturer: tuple[str, ...]
    models: str
    verified: str
    codes: tuple[Meaning, ...]


@cache
def bundled() -> Mapping[str, Maker]:
    """Return the manufacturers' codes by the files' names."""
    found: dict[str, Maker] = {}
    for file in sorted(files(__name__).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".toml"):
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8"))
                found[file.name.removesuffix(".toml")] = msgspec.convert(table, Maker)
            except (tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
                raise ConfigError(file.name, str(exc), "correct the TOML") from exc
    return found


@cache
def _codes() -> Mapping[tuple[str, bytes], tuple[Meaning, ...]]:
    found: dict[tuple[str, bytes], tuple[Meaning, ...]] = {}
    for maker in bundled().values():
        for letters in maker.manufacturer:
            for code in maker.codes:
                key = letters, bytes.fromhex(code.vib)
                found[key] = (*found.get(key, ()), code)
    return found


@cache
def _makers() -> frozenset[str]:
    return frozenset(letters for letters, _ in _codes())


def read_codes(manufacturer: str, records: Iterable[Record]) -> list[Record]:
    """Return records with those of the manufacturer's own codes given their meaning, where it is known."""
    if manufacturer not in _makers():
        return list(records)
    return [_read(manufacturer, record) for record in records]


def _read(manufacturer: str, record: Record) -> Record:
    header = record.header
    if header.measurand is not Measurand.MANUFACTURER_SPECIFIC or header.size is None:
        return record
    meant = _header(manufacturer, header)
    return record if meant is None else Record(meant, meant.decode(record.data), record.data)


@lru_cache(maxsize=_HEADERS_KEPT)
def _header(manufacturer: str, header: Header) -> Header | None:
    for code in _codes().get((manufacturer, header.vib), ()):
        if code.tariff in (None, header.tariff) and code.subunit in (None, header.subunit):
            standard = (
                parse_header(header.dib + bytes.fromhex(code.means))
                if code.means
                else plain_header(header.dib, header.vib, code.measurand, code.unit, code.exponent)
            )
            return replace(
                standard,
                vib=header.vib,
                tariff=0 if code.tariff is not None else header.tariff,
                subunit=0 if code.subunit is not None else header.subunit,
                function=header.function if code.function is None else Function(code.function),
                phase=code.phase or standard.phase,
            )
    return None
