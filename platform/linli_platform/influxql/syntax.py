"""What a statement says: the tree that :mod:`linli_platform.influxql.parse` makes and everything else reads.

Durations are nanoseconds as InfluxQL has them; the stores' microseconds begin in :mod:`linli_platform.influxql.window`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

COMPARISONS: Final = frozenset({"=", "!=", "<", "<=", ">", ">=", "=~", "!~"})
TIME: Final = "time"


class Kind(StrEnum):
    """What ``name::kind`` insists on."""

    FIELD = "field"
    TAG = "tag"
    FLOAT = "float"
    INTEGER = "integer"
    STRING = "string"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Number:
    """A number; whole ones are ``int``."""

    value: float | int


@dataclass(frozen=True, slots=True)
class Text:
    """A text in single quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Boolean:
    """``true`` or ``false``."""

    value: bool


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time in nanoseconds."""

    value: int


@dataclass(frozen=True, slots=True)
class Regex:
    """A pattern between slashes."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Name:
    """A field, a tag or ``time``."""

    name: str
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``*``, or only the fields or tags of it."""

    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A function and what it is given; the function's name is in small letters."""

    name: str
    arguments: tuple["Expression", ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """Two expressions and what stands between them; ``AND`` and ``OR`` in capitals."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Distinct:
    """``DISTINCT name`` without parentheses."""

    name: str


Expression: TypeAlias = Number | Text | Boolean | Duration | Regex | Name | Wildcard | Call | Binary | Distinct

Parameters: TypeAlias = Mapping[str, Expression]
"""What ``$name`` stands for."""


@dataclass(frozen=True, slots=True)
class Column:
    """One thing that is selected, and the name it is to have."""

    expression: Expression
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A source by name, with the database and retention policy it may be said to be in."""

    name: str
    database: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Measurements:
    """Sources by pattern."""

    pattern: Regex


@dataclass(frozen=True, slots=True)
class Grouping:
    """``GROUP BY``.

    Attributes:
        interval: Nanoseconds of a window; 0 without windows.
        offset: Nanoseconds by which windows are shifted.
        tags: Names of tags, patterns for them, or a wildcard.
    """

    interval: int = 0
    offset: int = 0
    tags: tuple[Name | Regex | Wildcard, ...] = ()


class Fill(StrEnum):
    """What stands in a window without readings."""

    NULL = "null"
    NONE = "none"
    PREVIOUS = "previous"
    LINEAR = "linear"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Select:
    """``SELECT``.

    Attributes:
        fill_value: What to fill with, where ``fill`` is a number.
        limit, offset: Rows of each series; 0 is no limit.
        series_limit, series_offset: Series.
        zone: Name of a time zone; empty is UTC.
    """

    columns: tuple[Column, ...]
    sources: tuple["Source", ...]
    condition: Expression | None = None
    grouping: Grouping = field(default_factory=Grouping)
    fill: Fill = Fill.NULL
    fill_value: float = 0.0
    descending: bool = False
    limit: int = 0
    offset: int = 0
    series_limit: int = 0
    series_offset: int = 0
    zone: str = ""


Source: TypeAlias = Measurement | Measurements | Select


class Shown(StrEnum):
    """What ``SHOW`` shows."""

    DATABASES = "databases"
    MEASUREMENTS = "measurements"
    TAG_KEYS = "tag keys"
    TAG_VALUES = "tag values"
    FIELD_KEYS = "field keys"
    SERIES = "series"
    POLICIES = "retention policies"


@dataclass(frozen=True, slots=True)
class Show:
    """``SHOW``.

    Attributes:
        key: ``WITH KEY``: operator and names or pattern; ``WITH MEASUREMENT`` likewise in ``measurement``.
    """

    what: Shown
    sources: tuple[Measurement | Measurements, ...] = ()
    condition: Expression | None = None
    key: tuple[str, tuple[str, ...] | Regex] | None = None
    measurement: tuple[str, str | Regex] | None = None
    limit: int = 0
    offset: int = 0
    database: str = ""


@dataclass(frozen=True, slots=True)
class CreateDatabase:
    """``CREATE DATABASE``: clients say it before they write."""

    name: str


Statement: TypeAlias = Select | Show | CreateDatabase


def parts_of(expression: Expression) -> tuple[Expression, ...]:
    """Return what an expression is made of."""
    if isinstance(expression, Binary):
        return expression.left, expression.right
    return expression.arguments if isinstance(expression, Call) else ()


def walk(expression: Expression) -> "list[Expression]":
    """Return an expression and all within it, outside first."""
    found: list[Expression] = []
    waiting = [expression]
    while waiting:
        item = waiting.pop()
        found.append(item)
        waiting += reversed(parts_of(item))
    return found
