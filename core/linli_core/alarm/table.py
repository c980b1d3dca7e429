"""A TOML table read key by key: every mistake says where it is, what was found and what to do."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from linli_core.errors import ConfigError
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant

_UNITS: Final = {"ms": SECOND // 1000, "s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
_DURATION: Final = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,6})?) ?(?P<unit>ms|s|min|h|d)", re.ASCII)

EnumT = TypeVar("EnumT", bound=StrEnum)


class Table:
    """A TOML table that is read key by key and must be used up."""

    def __init__(self, table: object, where: str, known: Iterable[str]) -> None:
        if not isinstance(table, Mapping):
            raise ConfigError(where, f"found {kind_of(table)}", "write a table")
        self._table = table
        self.where = where
        names = tuple(known)
        for key in table:
            if key not in names:
                near = difflib.get_close_matches(str(key), names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}"
                raise ConfigError(f"{where}.{key}", "no such key", hint)

    def has(self, key: str) -> bool:
        """Tell whether a key is there."""
        return key in self._table

    def get(self, key: str) -> object:
        """Return what stands at a key, ``None`` if nothing."""
        return self._table.get(key)

    def place(self, key: str) -> str:
        """Return what errors call a key."""
        return f"{self.where}.{key}"

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there and not be empty."""
        value = self._table.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise ConfigError(self.place(key), f"found {kind_of(value)}", "write a text")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number."""
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(self.place(key), f"found {kind_of(value)}", "write a finite number")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return true or false, false where nothing is said."""
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            raise ConfigError(self.place(key), f"found {kind_of(value)}", "write true or false")
        return value

    def duration(self, key: str, default: Instant) -> Instant:
        """Return a duration in µs."""
        if key not in self._table:
            return default
        return parse_duration(self._table[key], self.place(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, empty where nothing is said."""
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise ConfigError(self.place(key), f"found {kind_of(value)}", "write a list of texts")
        return tuple(value)

    def choice(self, key: str, choices: type[EnumT], default: EnumT | None = None) -> EnumT:
        """Return one of some choices."""
        value = self._table.get(key, default)
        try:
            return choices(value)
        except ValueError:
            known = ", ".join(choices)
            raise ConfigError(self.place(key), f"found {kind_of(value)}", f"write one of {known}") from None


_REMEDY: Final = 'write a duration such as "90 s" or "15 min"'


def parse_duration(value: object, where: str, remedy: str = _REMEDY) -> Instant:
    """Return a duration such as ``90 s`` in µs; raise :class:`ConfigError` if it is none."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigError(where, f"found {kind_of(value)}", remedy)
    return round(float(match["number"]) * _UNITS[match["unit"]])


def kind_of(value: object) -> str:
    """Return what was found, for an error."""
    return "nothing" if value is None else repr(value)[:80]
