"""Many like devices from one table: ``each`` in a device's table stands for as many tables. Pure.

::

    [[links.devices]]
    each = "1-30, 41"            # n is 1, 2 … 30, 41
    id = "meter-{n}"
    unit = "{n}"                 # alone: the number itself
    profile = "eastron-sdm630"

    [[links.devices]]            # what differs for one of them
    id = "meter-7"
    override = true
    ct = 40

It holds for every driver: what is made here is parsed as if it had been written out. Places in errors are those of the
tables as they were written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from linli_core.errors import ConfigError
from linli_edge.config.problems import ConfigErrors

MOST: Final = 1_000
"""Devices from one table: a slip of the finger must not make a million."""

_EACH: Final = "each"
_OVERRIDE: Final = "override"
_N: Final = "{n}"
_RANGE: Final = re.compile(r"(\d{1,9})(?:\s*-\s*(\d{1,9}))?", re.ASCII)
_REMEDY: Final = 'write numbers and ranges such as "1-30, 41"'
_DEVICE: Final = re.compile(r"(?P<list>.*\.devices)\[(?P<place>\d+)\]")

Origins = Mapping[str, list[tuple[int, str]]]
"""For each list of devices, by its place: where each table that was made was written, and for which n."""


def expand(raw: Mapping[str, object]) -> tuple[dict[str, object], Origins]:
    """Return a configuration's tables with every device written out, and where each came from.

    Raises:
        ConfigErrors: An ``each`` or an ``override`` that makes no sense.
    """
    origins: dict[str, list[tuple[int, str]]] = {}
    mistakes: list[ConfigError] = []
    links = [_expanded(link, f"links[{number}]", origins, mistakes) for number, link in enumerate(_list(raw, "links"))]
    if mistakes:
        raise ConfigErrors(mistakes)
    return ({**raw, "links": links} if "links" in raw and isinstance(raw["links"], list) else dict(raw)), origins


def as_written(error: ConfigError, origins: Origins) -> ConfigError:
    """Return an error with the place at which the device's table was written."""
    match = _DEVICE.match(error.where)
    made = origins.get(match["list"]) if match else None
    if match is None or made is None or int(match["place"]) >= len(made):
        return error
    number, n = made[int(match["place"])]
    where = f"{match['list']}[{number}]{error.where[match.end() :]}"
    return ConfigError(where, f"for n = {n}: {error.found}" if n else error.found, error.remedy)


def _expanded(
    table: object, where: str, origins: dict[str, list[tuple[int, str]]], mistakes: list[ConfigError]
) -> object:
    if not isinstance(table, dict):
        return table
    made = dict(table)
    if isinstance(table.get("protocols"), list):
        made["protocols"] = [
            _expanded(item, f"{where}.protocols[{number}]", origins, mistakes)
            for number, item in enumerate(table["protocols"])
        ]
    if isinstance(table.get("devices"), list):
        place = f"{where}.devices"
        made["devices"] = _devices(table["devices"], place, origins.setdefault(place, []), mistakes)
    return made


def _devices(
    tables: list[object], place: str, origins: list[tuple[int, str]], mistakes: list[ConfigError]
) -> list[object]:
    made: list[object] = []
    for number, table in enumerate(tables):
        where = f"{place}[{number}]"
        if isinstance(table, dict) and _OVERRIDE in table:
            mistakes += _override(table, where, made)
        elif isinstance(table, dict) and _EACH in table:
            for n in _numbers(table[_EACH], f"{where}.{_EACH}", mistakes):
                made.append(_filled({key: value for key, value in table.items() if key != _EACH}, n))
                origins.append((number, str(n)))
        else:
            made.append(table)
            origins.append((number, ""))
    return made


def _override(table: dict[str, Any], where: str, made: list[object]) -> Iterator[ConfigError]:
    """Change the device that was made before under the same id."""
    if table[_OVERRIDE] is not True:
        yield ConfigError(f"{where}.{_OVERRIDE}", f"found {table[_OVERRIDE]!r}", "write true, or leave the key out")
        return
    for place, device in enumerate(made):
        if isinstance(device, dict) and device.get("id") == table.get("id"):
            made[place] = {**device, **{key: value for key, value in table.items() if key != _OVERRIDE}}
            return
    remedy = "write the id of a device that stands above, or leave override out"
    yield ConfigError(f"{where}.id", f"no device above is called {table.get('id')!r}", remedy)


def _numbers(text: object, where: str, mistakes: list[ConfigError]) -> Iterable[int]:
    if not isinstance(text, str):
        mistakes.append(ConfigError(where, f"found {text!r}", _REMEDY))
        return ()
    found: dict[int, None] = {}
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            mistakes.append(ConfigError(where, f'"{part.strip()}" is no number and no range', _REMEDY))
            return ()
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first >= MOST or len(found) + last - first >= MOST:
            mistakes.append(ConfigError(where, f"more than {MOST} devices", "write several tables"))
            return ()
        for n in range(first, last + 1):
            if n in found:
                mistakes.append(ConfigError(where, f"{n} stands there twice", "name each number once"))
                return ()
            found[n] = None
    return found


def _filled(value: Any, n: int) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, n) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, n) for item in value]
    if isinstance(value, str):
        return n if value == _N else value.replace(_N, str(n))
    return value


def _list(raw: Mapping[str, object], key: str) -> list[object]:
    items = raw.get(key)
    return items if isinstance(items, list) else []
