"""Typed, strict reading of TOML tables. What every driver's ``parse(table, where)`` is made of.

::

    def parse(table: Mapping[str, object], where: str) -> Config:
        with reading(table, where) as link:
            host = link.text("host")                                  # required
            port = link.integer("port", 502, minimum=1, maximum=65535)
            limit = link.duration("timeout", SECOND, minimum=10_000)  # "200 ms" → 200_000 µs
            parity = link.choice("parity", ("none", "even", "odd"), "none")
            devices = []
            for device in link.tables("devices"):
                unit = device.integer("unit", minimum=1, maximum=247)
                if unit in seen:
                    device.problem("unit", f"unit {unit} is used twice", "give each device its own")
                devices.append(Device(device.ident("id"), unit))
        return Config(host, port, limit, parity, tuple(devices))

A mistake is noted, not raised: the getter returns a placeholder of the right type and reading goes on, so that the
person gets every mistake at once. Leaving the ``with`` block adds the keys nobody asked for (each with the nearest
that somebody did) and raises :class:`ConfigErrors` if anything was noted; a ``ConfigError`` raised inside the block
joins the others. So nothing after the block ever sees a placeholder.

Every text reads ``where: what was found; what to do``, as in
``links[0].devices[2].prot: unknown key; did you mean "port"?``.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, StrEnum
from typing import Final, TypeVar

from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_edge.config.problems import ConfigErrors
from linli_edge.config.units import DURATION_REMEDY, SIZE_REMEDY, parse_duration, parse_size, show_duration, show_size

__all__ = ["LINK_KEYS", "REQUIRED", "ConfigErrors", "Required", "Table", "reading"]

DefaultT = TypeVar("DefaultT")
PlaceholderT = TypeVar("PlaceholderT")
MemberT = TypeVar("MemberT", bound=StrEnum)
NumberT = TypeVar("NumberT", int, float)

LINK_KEYS: Final = ("id", "driver", "schedule")
"""Keys of a link's table that the edge reads itself; a driver may read them too, and need not."""


UNKNOWN_KEY: Final = "unknown key"
"""What is found where a table has a key that nobody asked for."""


class Required(Enum):
    """The type of :data:`REQUIRED`."""

    REQUIRED = "required"


REQUIRED: Final = Required.REQUIRED
"""In place of a default: the key must be there."""


class Table:
    """One table of a configuration and where it stands.

    Every getter takes the key first, then the default; without a default the key must be there. A default of
    ``None`` makes the result optional.

    Attributes:
        where: Place in the file (``links[0].devices[2]``), empty for the whole file.
        raw: The table as ``tomllib`` gave it.
    """

    def __init__(self, raw: Mapping[str, object], where: str, known: Collection[str] = ()) -> None:
        self.raw = raw
        self.where = where
        self._known = dict.fromkeys(known)
        self._missing: dict[str, ConfigError] = {}
        self._problems: list[ConfigError] = []
        self._children: dict[str, list[Table]] = {}

    def __contains__(self, key: str) -> bool:
        self._known.setdefault(key)
        return key in self.raw

    def at(self, key: str) -> str:
        """Return the place of a key: ``links[0].port``."""
        return f"{self.where}.{key}" if self.where else key

    def problem(self, key: str, found: str, remedy: str) -> None:
        """Note a mistake at a key (``""`` for the table itself)."""
        self._problems.append(ConfigError(self.at(key) if key else self.where, found, remedy))

    def add(self, error: ConfigError) -> None:
        """Note mistakes that somebody else found below this table."""
        self._problems.append(error)

    def known(self, *keys: str) -> None:
        """Say that keys are right although nobody here asks for them."""
        self._known.update(dict.fromkeys(keys))

    def text(self, key: str, default: DefaultT | Required = REQUIRED, *, pattern: str = "") -> str | DefaultT:
        """Return a text that is not empty, and matches a regular expression as a whole if one is given."""
        remedy = f"write a text that matches {pattern}" if pattern else "write a text in quotes"
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, "")
        if not isinstance(value, str) or not value or (pattern and re.fullmatch(pattern, value) is None):
            return self._wrong(key, value, remedy, "")
        return value

    def ident(self, key: str = "id", default: DefaultT | Required = REQUIRED) -> str | DefaultT:
        """Return an id: lower case letters, digits and hyphens, 63 at most, not starting with a hyphen."""
        remedy = 'write lower case letters, digits and hyphens, 63 at most, such as "meter-1"'
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, "")
        if not isinstance(value, str) or not is_id(value):
            return self._wrong(key, value, remedy, "")
        return value

    def boolean(self, key: str, default: DefaultT | Required = REQUIRED) -> bool | DefaultT:
        """Return ``true`` or ``false``."""
        remedy = "write true or false, without quotes"
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, False)
        return value if isinstance(value, bool) else self._wrong(key, value, remedy, False)

    def integer(
        self,
        key: str,
        default: DefaultT | Required = REQUIRED,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> int | DefaultT:
        """Return a whole number within bounds, both included."""
        remedy = f"write a whole number{_between(minimum, maximum, str)}"
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, minimum or 0)
        if not isinstance(value, int) or isinstance(value, bool) or _outside(value, minimum, maximum):
            return self._wrong(key, value, remedy, minimum or 0)
        return value

    def number(
        self,
        key: str,
        default: DefaultT | Required = REQUIRED,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> float | DefaultT:
        """Return a finite number within bounds, both included."""
        remedy = f"write a number{_between(minimum, maximum, '{:g}'.format)}"
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, minimum or 0.0)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return self._wrong(key, value, remedy, minimum or 0.0)
        if not math.isfinite(value) or _outside(value, minimum, maximum):
            return self._wrong(key, value, remedy, minimum or 0.0)
        return float(value)

    def duration(
        self,
        key: str,
        default: DefaultT | Required = REQUIRED,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> int | DefaultT:
        """Return a duration (``"15 min"``) in microseconds, within bounds in microseconds, both included."""
        bounds = _between(minimum, maximum, show_duration)
        return self._amount(key, default, parse_duration, (minimum, maximum), (DURATION_REMEDY, bounds))

    def size(
        self,
        key: str,
        default: DefaultT | Required = REQUIRED,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> int | DefaultT:
        """Return a size (``"1 GiB"``) in bytes, within bounds in bytes, both included."""
        bounds = _between(minimum, maximum, show_size)
        return self._amount(key, default, parse_size, (minimum, maximum), (SIZE_REMEDY, bounds))

    def choice(self, key: str, options: Collection[str], default: DefaultT | Required = REQUIRED) -> str | DefaultT:
        """Return one of several words."""
        remedy = f"choose one of {', '.join(options)}"
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, next(iter(options)))
        if isinstance(value, str):
            if value in options:
                return value
            if near := difflib.get_close_matches(value, options, 1):
                remedy = f'did you mean "{near[0]}"?'
        return self._wrong(key, value, remedy, next(iter(options)))

    def member(self, key: str, kind: type[MemberT], default: DefaultT | Required = REQUIRED) -> MemberT | DefaultT:
        """Return one member of a ``StrEnum``, written by its value."""
        if key not in self and not isinstance(default, Required):
            return default
        return kind(self.choice(key, [member.value for member in kind]))

    def integers(
        self,
        key: str,
        default: DefaultT | Required = REQUIRED,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> tuple[int, ...] | DefaultT:
        """Return a list of whole numbers within bounds, both included."""
        remedy = f"write a list of whole numbers{_between(minimum, maximum, str)}, such as [1, 2]"
        items: list[int] = []
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, ())
        if not isinstance(value, list):
            return self._wrong(key, value, remedy, ())
        for place, item in enumerate(value):
            if not isinstance(item, int) or isinstance(item, bool) or _outside(item, minimum, maximum):
                return self._wrong(f"{key}[{place}]", item, remedy, ())
            items.append(item)
        return tuple(items)

    def texts(self, key: str, default: DefaultT | Required = REQUIRED) -> tuple[str, ...] | DefaultT:
        """Return a list of texts, none of them empty."""
        remedy = 'write a list of texts, such as ["a", "b"]'
        items: list[str] = []
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, ())
        if not isinstance(value, list):
            return self._wrong(key, value, remedy, ())
        for place, item in enumerate(value):
            if not isinstance(item, str) or not item:
                return self._wrong(f"{key}[{place}]", item, remedy, ())
            items.append(item)
        return tuple(items)

    def table(self, key: str, *, required: bool = False) -> "Table":
        """Return the table under a key; an empty one where there is none."""
        if key in self._children:
            return self._children[key][0]
        remedy = f"write a table that starts with [{self._heading(key)}]"
        value = self._take(key)
        if value is None and required:
            self._absent(key, REQUIRED, remedy, None)
        elif value is not None and not isinstance(value, dict):
            self._wrong(key, value, remedy, None)
        child = Table(value if isinstance(value, dict) else {}, self.at(key))
        # What is missing below a table that must be there and is not, is one mistake.
        if isinstance(value, dict) or not required:
            self._children[key] = [child]
        return child

    def tables(self, key: str, *, required: bool = False) -> "list[Table]":
        """Return the tables of a list (``[[links.devices]]``); ``required`` asks for one at least."""
        if key in self._children:
            return self._children[key]
        remedy = f"write one table for each, starting with [[{self._heading(key)}]]"
        if (value := self._take(key)) is None:
            return self._absent(key, REQUIRED, remedy, []) if required else []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value) or (required and not value):
            return self._wrong(key, value, remedy, [])
        children = [Table(item, f"{self.at(key)}[{place}]") for place, item in enumerate(value)]
        self._children[key] = children
        return children

    def mistakes(self) -> list[ConfigError]:
        """Return all that is wrong here and in the tables below: noted, missing, unknown."""
        near = {key: self._nearest(key) for key in self.raw if key not in self._known}
        found = list(self._problems)
        # A misspelt key is one mistake, not a missing one and an unknown one.
        found += [error for key, error in self._missing.items() if key not in near.values()]
        for key, nearest in near.items():
            hint = f'did you mean "{nearest}"?' if nearest else f"known here: {', '.join(self._known) or 'nothing'}"
            found.append(ConfigError(self.at(key), UNKNOWN_KEY, hint))
        for children in self._children.values():
            for child in children:
                found += child.mistakes()
        return found

    def _take(self, key: str) -> object:
        self._known.setdefault(key)
        return self.raw.get(key)

    def _absent(
        self, key: str, default: DefaultT | Required, remedy: str, placeholder: PlaceholderT
    ) -> DefaultT | PlaceholderT:
        if not isinstance(default, Required):
            return default
        self._missing[key] = ConfigError(self.at(key), "missing", remedy)
        return placeholder

    def _wrong(self, key: str, found: object, remedy: str, placeholder: PlaceholderT) -> PlaceholderT:
        self.problem(key, f"found {_show(found)}", remedy)
        return placeholder

    def _amount(
        self,
        key: str,
        default: DefaultT | Required,
        parse: Callable[[str], int],
        bounds: tuple[int | None, int | None],
        remedies: tuple[str, str],
    ) -> int | DefaultT:
        remedy, between = remedies
        placeholder = bounds[0] or 1
        if (value := self._take(key)) is None:
            return self._absent(key, default, remedy, placeholder)
        try:
            amount = parse(value) if isinstance(value, str) else None
        except ValueError:
            amount = None
        if amount is None:
            return self._wrong(key, value, remedy, placeholder)
        if _outside(amount, *bounds):
            return self._wrong(key, value, f"write one{between}", placeholder)
        return amount

    def _heading(self, key: str) -> str:
        return re.sub(r"\[\d+\]", "", self.at(key))

    def _nearest(self, key: str) -> str | None:
        free = [known for known in self._known if known not in self.raw]
        # A key that is still free is the likelier one: a taken one can hardly have been meant.
        near = difflib.get_close_matches(key, free, 1) or difflib.get_close_matches(key, self._known, 1)
        return near[0] if near else None


@contextmanager
def reading(table: Mapping[str, object], where: str, known: Collection[str] = LINK_KEYS) -> Iterator[Table]:
    """Yield a table to be read strictly, and raise what was wrong with it when the block ends.

    Args:
        table: As ``tomllib`` gave it.
        where: Its place in the file.
        known: Keys that somebody else reads.

    Raises:
        ConfigErrors: On leaving, if anything was wrong; it holds every mistake.
    """
    root = Table(table, where, known)
    try:
        yield root
    except ConfigError as exc:
        raise ConfigErrors([*root.mistakes(), exc]) from exc
    if mistakes := root.mistakes():
        raise ConfigErrors(mistakes)


def _outside(value: NumberT, minimum: NumberT | None, maximum: NumberT | None) -> bool:
    return (minimum is not None and value < minimum) or (maximum is not None and value > maximum)


def _between(minimum: NumberT | None, maximum: NumberT | None, show: Callable[[NumberT], str]) -> str:
    if minimum is not None and maximum is not None:
        return f" from {show(minimum)} to {show(maximum)}"
    if minimum is not None:
        return f" of {show(minimum)} or more"
    return f" of {show(maximum)} or less" if maximum is not None else ""


def _show(value: object) -> str:
    """Return a value as TOML would write it, shortened."""
    if isinstance(value, dict):
        return "a table"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except TypeError:
        text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
