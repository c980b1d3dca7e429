"""A ``SELECT`` from its sources to its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from operator import attrgetter
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from linli_platform.influxql.checks import calls_of
from linli_platform.influxql.columns import Chosen, Schema, choose
from linli_platform.influxql.condition import Condition, holding, names_in, take_apart, truth
from linli_platform.influxql.evaluate import Group, Table, starts_of
from linli_platform.influxql.functions import RANKED, TRANSFORMATIONS
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.pattern import matcher
from linli_platform.influxql.piece import Piece, Rows
from linli_platform.influxql.prepared import Prepared, by_group, differences, differing, plan
from linli_platform.influxql.source import Newest, Series, Source
from linli_platform.influxql.syntax import (
    Call,
    Distinct,
    Expression,
    Fill,
    Kind,
    Measurement,
    Measurements,
    Name,
    Number,
    Regex,
    Select,
    Wildcard,
    walk,
)
from linli_platform.influxql.vector import Vector, empty, vector
from linli_platform.influxql.window import LATEST, Range, Windows, zone_of

MOST_VALUES: Final = 4_000_000
"""Values of one answer: what more there is eats the memory of everybody."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One series of an answer.

    Attributes:
        name: Of the measurement.
        tags: By which it was grouped; ``None`` without groups.
        columns: Names, without ``time``.
        table: Rows, in the order asked for.
    """

    name: str
    tags: dict[str, str] | None
    columns: list[str]
    table: Table


@dataclass(frozen=True, slots=True)
class _Frame:
    """The times of a statement.

    Attributes:
        condition: What else must hold.
        reach: Times asked for.
        loaded: Times needed: transformations of aggregates look at windows before.
        windows: ``None`` without windows.
        earlier: Windows needed beside those asked for.
        descending: The latest comes first: windows before are later ones.
    """

    now: int
    zone: ZoneInfo | None
    condition: Condition
    reach: Range
    loaded: Range
    windows: Windows | None
    earlier: int
    descending: bool


@dataclass(frozen=True, slots=True)
class _Sources:
    """What a statement is made of.

    Attributes:
        series: Of each measurement those for which what is said of tags holds.
        pieces: Rows of subqueries.
        schema: Fields and tags of all of them.
        rest: Parts of the condition that have to be asked of each row.
    """

    series: dict[str, list[Series]]
    pieces: list[Piece]
    schema: Schema
    rest: tuple[Expression, ...]


_Key: TypeAlias = tuple[str, ...]


def answer(
    select: Select, source: Source, now: int, *, bounds: Range | None = None, zone: ZoneInfo | None = None
) -> list[Answer]:
    """Return the series of a statement.

    Args:
        select: What is asked.
        source: What there is.
        now: The present instant (ns).
        bounds: Times of the statement around this one.
        zone: Time zone of that.

    Raises:
        QueryError: It asks for what there is not, or for too much.
    """
    frame = _framed(select, now, bounds or Range(), zone)
    if frame.reach.is_empty:
        return []
    sources = _sources(select, source, frame)
    grouped = _dimensions(select, sources.schema)
    chosen = choose(select, sources.schema, grouped)
    if all(column.is_tag for column in chosen):
        return []
    names = [column.name for column in chosen] + _ranked_tags(select)
    found: list[Answer] = []
    values = 0
    groups: Mapping[_Key, Callable[[Select], Group | _AtHand | _Ready]] | None
    groups = _prepared(source, sources, frame, chosen, grouped, fill=select.fill)
    if groups is None:
        groups = _loaded(source, sources, frame, chosen, grouped)
    for key, make in _limited(groups, select):
        table = make(select).table(chosen)
        if table is None:
            continue
        table = _cut(table, select)
        values += len(table.times) * len(names)
        if values > MOST_VALUES:
            raise QueryError(f"more than {MOST_VALUES} values: shorten the time, lengthen the windows, or set a LIMIT")
        if len(table.times):
            tags = dict(zip(grouped, key[1:], strict=True)) if grouped else None
            found.append(Answer(key[0], tags, names, table))
    return found


def _framed(select: Select, now: int, bounds: Range, zone: ZoneInfo | None) -> _Frame:
    zone = zone_of(select.zone) or zone
    condition = take_apart(select.condition, now, zone)
    reach = condition.reach.within(bounds)
    interval = select.grouping.interval
    if interval and reach.end == LATEST:
        reach = Range(reach.start, now)
    windows = Windows(interval, select.grouping.offset, zone) if interval else None
    earlier = _earlier(select) if reach.has_start else 0
    loaded = reach
    if earlier:
        more = earlier * interval
        loaded = Range(reach.start, reach.end + more) if select.descending else Range(reach.start - more, reach.end)
    return _Frame(now, zone, condition, reach, loaded, windows, earlier, select.descending)


def _prepared(
    source: Source, sources: _Sources, frame: _Frame, chosen: Sequence[Chosen], grouped: Sequence[str], *, fill: Fill
) -> dict[_Key, "Callable[[Select], Group | _Ready]"] | None:
    """Return the groups as the store takes them together; ``None`` if rows have to be asked for."""
    planned = plan(chosen, windowed=frame.windows is not None)
    if planned is None or sources.pieces or sources.rest or (frame.windows is not None and not frame.reach.has_start):
        return None
    field, wanted = planned
    edges = np.array([frame.loaded.start, frame.loaded.end + 1], np.int64)
    inner = edges
    found: dict[_Key, Callable[[Select], Group | _Ready]] = {}
    plainly = differing(chosen) if fill in {Fill.NULL, Fill.NONE} and not frame.descending else None
    for measurement, series in sources.series.items():
        keys = sorted({_key(measurement, one.tags, grouped) for one in series})
        numbers = {key: number for number, key in enumerate(keys)}
        groups = {one.id: numbers[_key(measurement, one.tags, grouped)] for one in series}
        if frame.windows is not None:
            _, starts = starts_of(frame.windows, frame.reach, frame.earlier, descending=frame.descending)
            edges = np.append(starts, starts[-1] + frame.windows.interval)
            inner = np.clip(edges, frame.loaded.start, frame.loaded.end + 1)
        steps = source.steps(measurement, field, groups, inner, wanted)
        if steps is None:
            return None
        if plainly is not None and frame.windows is not None:
            measure, rises = plainly
            last = int(edges[-2])
            asked = int(starts_of(frame.windows, frame.reach, 0, descending=False)[0][0])
            for number, (times, values) in differences(steps, edges, asked, last, measure, rises=rises).items():
                found[keys[number]] = partial(_Ready, Table(times, [values]))
            continue
        for number, prepared in by_group(steps, edges).items():
            found[keys[number]] = partial(_group, Rows.of([]), frame, prepared=prepared)
    return found


def _loaded(
    source: Source,
    sources: _Sources,
    frame: _Frame,
    chosen: Sequence[Chosen],
    grouped: Sequence[str],
) -> dict[_Key, Callable[[Select], "Group | _AtHand"]]:
    """Return the groups with their rows."""
    fields = _fields_in(chosen, sources.rest) & set(sources.schema.fields)
    pieces = list(sources.pieces)
    newest = _newest_of(chosen) if frame.windows is None and not sources.rest else None
    at_hand: dict[_Key, list[tuple[str, Newest]]] = {}
    for measurement, series in sources.series.items():
        remaining = series
        if newest is not None:
            known, remaining = source.newest(measurement, series, frame.loaded, newest)
            for one in known:
                at_hand.setdefault(_key(measurement, one.series.tags, grouped), []).append((measurement, one))
        if remaining:
            pieces += source.rows(measurement, remaining, frame.loaded, fields)
    kept = [part for piece in pieces if len(part := _kept(piece, sources.rest, sources.schema))]
    members: dict[_Key, list[Piece]] = {}
    for piece in kept:
        members.setdefault(_key(piece.name, piece.tags, grouped), []).append(piece)
    is_plain = all(isinstance(column.expression, Call) for column in chosen)
    found: dict[_Key, Callable[[Select], Group | _AtHand]] = {}
    for key, known_ones in at_hand.items():
        if key in members or not is_plain:
            rows = members.setdefault(key, [])
            rows += [_piece(measurement, one, newest or "") for measurement, one in known_ones]
        else:
            one = known_ones[0][1] if len(known_ones) == 1 else max((x for _, x in known_ones), key=attrgetter("time"))
            found[key] = partial(_AtHand, one)
    return found | {key: partial(_group, Rows.of(rows), frame) for key, rows in members.items()}


class _Ready:
    """A group whose rows were made with those of all the others."""

    def __init__(self, table: Table, _select: Select) -> None:
        self._table = table

    def table(self, _chosen: Sequence[Chosen]) -> Table:
        """Return its rows."""
        return self._table


class _AtHand:
    """A group of which nothing but the newest value is asked for, and it is at hand."""

    def __init__(self, newest: Newest, _select: Select) -> None:
        self._newest = newest

    def table(self, _chosen: Sequence[Chosen]) -> Table:
        """Return its one row."""
        value = Vector(Kind.FLOAT, np.array([self._newest.value]), _THERE)
        return Table(np.array([self._newest.time], np.int64), [value])


_THERE: Final = np.ones(1, np.bool_)


def _piece(measurement: str, one: Newest, field: str) -> Piece:
    values = {field: vector(Kind.FLOAT, [one.value])}
    return Piece(measurement, one.series.tags, np.array([one.time], np.int64), values)


def _group(rows: Rows, frame: _Frame, select: Select, *, prepared: Prepared | None = None) -> Group:
    return Group(
        rows,
        frame.reach,
        frame.windows,
        earlier=frame.earlier,
        fill=select.fill,
        fill_value=select.fill_value,
        descending=select.descending,
        prepared=prepared,
    )


def _key(measurement: str, tags: Mapping[str, str], grouped: Sequence[str]) -> _Key:
    return (measurement, *(tags.get(tag, "") for tag in grouped))


def _fields_in(chosen: Sequence[Chosen], rest: Sequence[Expression]) -> set[str]:
    distinct = {x.name for column in chosen for x in walk(column.expression) if isinstance(x, Distinct)}
    return names_in([*(column.expression for column in chosen), *rest]) | distinct


def _newest_of(chosen: Sequence[Chosen]) -> str | None:
    """Return the field of which nothing but the newest value is asked for."""
    calls = [call for column in chosen for call in calls_of(column.expression)]
    if (
        len(calls) != 1
        or calls[0].name != "last"
        or not all(column.is_tag or calls_of(column.expression) for column in chosen)
    ):
        return None
    (field,) = calls[0].arguments
    return field.name if isinstance(field, Name) else None


def _limited(
    groups: Mapping[_Key, Callable[[Select], Group | _AtHand | _Ready]], select: Select
) -> list[tuple[_Key, Callable[[Select], Group | _AtHand | _Ready]]]:
    """Return groups in the order asked for; of each measurement as many as are wanted."""
    found = []
    counts: dict[str, int] = {}
    for key in sorted(groups):
        place = counts[key[0]] = counts.get(key[0], -1) + 1
        most = select.series_offset + select.series_limit if select.series_limit else len(groups)
        if select.series_offset <= place < most:
            found.append((key, groups[key]))
    return found[::-1] if select.descending else found


def _earlier(select: Select) -> int:
    """Return how many windows before those asked for transformations of aggregates need."""
    most = 0
    for column in select.columns:
        for call in calls_of(column.expression):
            if call.name in TRANSFORMATIONS and isinstance(call.arguments[:1] and call.arguments[0], Call):
                count = call.arguments[1] if call.name == "moving_average" and len(call.arguments) > 1 else None
                needed = int(count.value) - 1 if isinstance(count, Number) else int(call.name != "cumulative_sum")
                most = max(most, needed)
    return most


def _sources(select: Select, source: Source, frame: _Frame) -> _Sources:
    """Return what is asked of, and what fields and tags there are."""
    series: dict[str, list[Series]] = {}
    pieces: list[Piece] = []
    fields: dict[str, Kind] = {}
    tags: set[str] = set()
    for each in select.sources:
        if isinstance(each, Select):
            inner = _of_subquery(answer(each, source, frame.now, bounds=frame.loaded, zone=frame.zone))
            pieces += inner
            for piece in inner:
                tags.update(piece.tags)
                for name, values in piece.fields.items():
                    fields.setdefault(name, values.kind)
            continue
        for name in named(each, source):
            for field, kind in source.fields(name).items():
                fields.setdefault(field, kind)
            series[name] = list(source.series(name))
            tags |= source.tags(name)
    of_tags = [part for part in frame.condition.rest if _is_of_tags(part, fields)]
    rest = tuple(part for part in frame.condition.rest if pieces or not _is_of_tags(part, fields))
    if of_tags:
        for name, members in series.items():
            series[name] = list(compress(members, holding(of_tags, [one.tags for one in members])))
    wanted = {name: members for name, members in series.items() if members}
    return _Sources(wanted, pieces, Schema(fields, frozenset(tags - set(fields))), rest)


def _is_of_tags(part: Expression, fields: Mapping[str, Kind]) -> bool:
    names = [item for item in walk(part) if isinstance(item, Name)]
    return all(name.name not in fields or name.kind is Kind.TAG for name in names)


def named(each: Measurement | Measurements, source: Source) -> list[str]:
    """Return the measurements that a name or a pattern means."""
    if isinstance(each, Measurement):
        return [each.name]
    return [name for name in source.measurements() if matcher(each.pattern.pattern)(name)]


def _of_subquery(answers: Sequence[Answer]) -> list[Piece]:
    """Return an answer's series as rows to ask again."""
    found = []
    for one in answers:
        order = np.argsort(one.table.times, kind="stable")
        fields = {name: values.take(order) for name, values in zip(one.columns, one.table.columns, strict=True)}
        found.append(Piece(one.name, one.tags or {}, one.table.times[order], fields))
    return found


def _dimensions(select: Select, schema: Schema) -> list[str]:
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


def _kept(piece: Piece, rest: Sequence[Expression], schema: Schema) -> Piece:
    """Return the rows of a piece for which the condition holds."""
    for part in rest:
        length = len(piece)

        def column(name: Name, piece: Piece = piece, length: int = length) -> Vector:
            if (found := piece.fields.get(name.name)) is not None and name.kind is not Kind.TAG:
                return found
            if name.name in schema.fields and name.kind is not Kind.TAG:
                return empty(schema.fields[name.name], length)
            return vector(Kind.STRING, [piece.tags.get(name.name, "")] * length)

        piece = piece.take(truth(part, column, length))
    return piece


def _ranked_tags(select: Select) -> list[str]:
    """Return the tags that ``top(field, tag, n)`` adds as columns."""
    calls = [call for column in select.columns for call in calls_of(column.expression)]
    if len(calls) == 1 and calls[0].name in RANKED:
        return [tag.name for tag in calls[0].arguments[1:-1] if isinstance(tag, Name)]
    return []


def _cut(table: Table, select: Select) -> Table:
    """Return the rows in the order and number asked for."""
    if not (select.descending or select.limit or select.offset):
        return table
    rows = slice(None, None, -1) if select.descending else slice(None)
    times, columns = table.times[rows], [column.take(rows) for column in table.columns]
    part = slice(select.offset, select.offset + select.limit if select.limit else None)
    return Table(times[part], [column.take(part) for column in columns])
