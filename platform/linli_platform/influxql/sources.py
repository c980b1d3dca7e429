"""What a statement is made of: the series of its measurements, the rows of its subqueries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from linli_platform.influxql.columns import Schema
from linli_platform.influxql.frame import Frame
from linli_platform.influxql.members import Members
from linli_platform.influxql.pattern import matcher
from linli_platform.influxql.piece import Piece
from linli_platform.influxql.source import Source
from linli_platform.influxql.syntax import (
    Expression,
    Kind,
    Measurement,
    Measurements,
    Name,
    Regex,
    Select,
    Wildcard,
    walk,
)

Key: TypeAlias = tuple[str, ...]
"""Of a group: its measurement, and the values of the tags by which is grouped."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a statement is made of.

    Attributes:
        series: Of each measurement those for which what is said of tags holds.
        pieces: Rows of subqueries.
        schema: Fields and tags of all of them.
        rest: Parts of the condition that have to be asked of each row.
    """

    series: dict[str, Members]
    pieces: list[Piece]
    schema: Schema
    rest: tuple[Expression, ...]


def sources_of(select: Select, source: Source, frame: Frame, rows_of: Callable[[Select], list[Piece]]) -> Sources:
    """Return what is asked of, and what fields and tags there are; ``rows_of`` answers a subquery."""
    series: dict[str, Members] = {}
    pieces: list[Piece] = []
    fields: dict[str, Kind] = {}
    tags: set[str] = set()
    for each in select.sources:
        if isinstance(each, Select):
            inner = rows_of(each)
            pieces += inner
            for piece in inner:
                tags.update(piece.tags)
                for name, values in piece.fields.items():
                    fields.setdefault(name, values.kind)
            continue
        for name in named(each, source):
            for field, kind in source.fields(name).items():
                fields.setdefault(field, kind)
            series[name] = Members.of(source.series(name))
            tags |= source.tags(name)
    of_tags = [part for part in frame.condition.rest if _is_of_tags(part, fields)]
    rest = tuple(part for part in frame.condition.rest if pieces or not _is_of_tags(part, fields))
    wanted = {name: kept for name, members in series.items() if (kept := members.holding(of_tags))}
    return Sources(wanted, pieces, Schema(fields, frozenset(tags - set(fields))), rest)


def named(each: Measurement | Measurements, source: Source) -> list[str]:
    """Return the measurements that a name or a pattern means."""
    if isinstance(each, Measurement):
        return [each.name]
    return [name for name in source.measurements() if matcher(each.pattern.pattern)(name)]


def dimensions(select: Select, schema: Schema) -> list[str]:
    """Return the tags by which is grouped."""
    found: dict[str, None] = {}
    for tag in select.grouping.tags:
        if isinstance(tag, Name):
            found[tag.name] = None
        elif isinstance(tag, Wildcard):
            found.update(dict.fromkeys(sorted(schema.tags)))
        elif isinstance(tag, Regex):
            found.update(dict.fromkeys(name for name in sorted(schema.tags) if matcher(tag.pattern)(name)))
    return sorted(found)


def key_of(measurement: str, tags: Mapping[str, str], grouped: Sequence[str]) -> Key:
    """Return the group that rows with these tags are in."""
    return (measurement, *(tags.get(tag, "") for tag in grouped))


def _is_of_tags(part: Expression, fields: Mapping[str, Kind]) -> bool:
    names = [item for item in walk(part) if isinstance(item, Name)]
    return all(name.name not in fields or name.kind is Kind.TAG for name in names)
