"""A ``SELECT`` from its sources to its answer."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from functools import partial
from operator import attrgetter
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_platform.influxql.checks import calls_of
from linli_platform.influxql.columns import Chosen, Schema, choose
from linli_platform.influxql.condition import names_in, truth
from linli_platform.influxql.evaluate import Table
from linli_platform.influxql.frame import Frame, framed
from linli_platform.influxql.functions import RANKED
from linli_platform.influxql.nested import nested, together
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.piece import Piece, Rows
from linli_platform.influxql.prepared import plan
from linli_platform.influxql.source import Newest, Series, Source
from linli_platform.influxql.sources import Key, Sources, dimensions, key_of, sources_of
from linli_platform.influxql.syntax import Call, Distinct, Expression, Kind, Name, Select, walk
from linli_platform.influxql.taken import Making, group_of, groups_of, taken
from linli_platform.influxql.vector import Times, Vector, empty, vector
from linli_platform.influxql.window import Range

MOST_VALUES: Final = 4_000_000
"""Values of one answer: what more there is eats the memory of everybody."""


class Answer(msgspec.Struct, frozen=True, gc=False):
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


def answer(
    select: Select,
    source: Source,
    now: int,
    *,
    bounds: Range | None = None,
    zone: tzinfo | None = None,
    local: tzinfo | None = None,
) -> list[Answer]:
    """Return the series of a statement.

    Args:
        select: What is asked.
        source: What there is.
        now: The present instant (ns).
        bounds: Times of the statement around this one.
        zone: Time zone of that.
        local: The community's time zone, ``None`` for UTC.

    Raises:
        QueryError: It asks for what there is not, or for too much.
    """
    frame = framed(select, now, bounds or Range(), zone, local)
    if frame.reach.is_empty:
        return []
    inner = nested(select, source, frame)
    if inner is not None:
        grouped = dimensions(select, inner.schema)
        chosen = choose(select, inner.schema, grouped)
        found = together(select, source, frame, inner, grouped, chosen, MOST_VALUES)
        if found is not None:
            return _answers(select, found, grouped, chosen)
    sources = sources_of(select, source, frame, partial(_rows_of, source=source, frame=frame))
    grouped = dimensions(select, sources.schema)
    chosen = choose(select, sources.schema, grouped)
    if all(column.is_tag for column in chosen):
        return []
    planned = plan(chosen, windowed=frame.windows is not None)
    parts = taken(source, sources, frame, grouped, planned) if planned is not None else None
    groups: dict[Key, Making | Table] = {}
    if parts is None:
        groups = _loaded(select, source, sources, frame, chosen, grouped)
    for part in parts or ():
        groups |= groups_of(part, frame, chosen, select)
    return _answers(select, groups, grouped, chosen)


def _answers(
    select: Select, groups: Mapping[Key, Making | Table], grouped: Sequence[str], chosen: Sequence[Chosen]
) -> list[Answer]:
    """Return the series of an answer."""
    names = [column.name for column in chosen] + _ranked_tags(select)
    found: list[Answer] = []
    values = 0
    for key, make in _limited(groups, select):
        table = make if isinstance(make, Table) else make()
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


def _loaded(
    select: Select,
    source: Source,
    sources: Sources,
    frame: Frame,
    chosen: Sequence[Chosen],
    grouped: Sequence[str],
) -> dict[Key, Making | Table]:
    """Return the groups with their rows."""
    fields = _fields_in(chosen, sources.rest) & set(sources.schema.fields)
    pieces = list(sources.pieces)
    newest = _newest_of(chosen) if frame.windows is None and not sources.rest else None
    is_plain = all(isinstance(column.expression, Call) for column in chosen)
    known: dict[str, tuple[list[Newest], list[Series]]] = {}
    if newest is not None:
        known = {name: source.newest(name, members, frame.loaded, newest) for name, members in sources.series.items()}
        if is_plain and not pieces and not any(remaining for _, remaining in known.values()):
            return _at_hand({name: ones for name, (ones, _) in known.items()}, sources, grouped)
    at_hand: dict[Key, list[tuple[str, Newest]]] = {}
    for measurement, series in sources.series.items():
        ones, remaining = known.get(measurement, ([], series))
        for one in ones:
            at_hand.setdefault(key_of(measurement, one.series.tags, grouped), []).append((measurement, one))
        if remaining:
            pieces += source.rows(measurement, remaining, frame.loaded, fields)
    kept = [part for piece in pieces if len(part := _kept(piece, sources.rest, sources.schema))]
    members: dict[Key, list[Piece]] = {}
    for piece in kept:
        members.setdefault(key_of(piece.name, piece.tags, grouped), []).append(piece)
    found: dict[Key, Making | Table] = {}
    for key, known_ones in at_hand.items():
        if key in members or not is_plain:
            rows = members.setdefault(key, [])
            rows += [_piece(measurement, one, newest or "") for measurement, one in known_ones]
        else:
            one = max((one for _, one in known_ones), key=attrgetter("time"))
            found[key] = _row(np.array([one.time], np.int64), np.array([one.value], np.float64))
    return found | {key: partial(_table, rows, frame, select, chosen) for key, rows in members.items()}


def _table(rows: list[Piece], frame: Frame, select: Select, chosen: Sequence[Chosen]) -> Table | None:
    return group_of(Rows.of(rows), frame, select).table(chosen)


_THERE: Final = np.ones(1, np.bool_)


def _row(time: Times, value: NDArray[np.float64]) -> Table:
    return Table(time, [Vector(Kind.FLOAT, value, _THERE)])


def _at_hand(
    newest: Mapping[str, Sequence[Newest]], sources: Sources, grouped: Sequence[str]
) -> dict[Key, Making | Table]:
    """Return the row of each group, where nothing but newest values is asked for, and all are at hand."""
    found: dict[Key, Making | Table] = {}
    for measurement, known in newest.items():
        by_tags = sources.series[measurement].grouped(grouped)
        group = np.array([by_tags.groups[one.series.id] for one in known], np.int64)
        times = np.array([one.time for one in known], np.int64)
        order = np.lexsort((-times, group))
        rows = order[np.r_[True, np.diff(group[order]) != 0][: len(order)]]
        times, values = times[rows], np.array([one.value for one in known], np.float64)[rows]
        for place, number in enumerate(group[rows].tolist()):
            part = slice(place, place + 1)
            found[measurement, *by_tags.keys[number]] = _row(times[part], values[part])
    return found


def _piece(measurement: str, one: Newest, field: str) -> Piece:
    values = {field: vector(Kind.FLOAT, [one.value])}
    return Piece(measurement, one.series.tags, np.array([one.time], np.int64), values)


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


def _limited(groups: Mapping[Key, Making | Table], select: Select) -> list[tuple[Key, Making | Table]]:
    """Return groups in the order asked for; of each measurement as many as are wanted."""
    found = []
    counts: dict[str, int] = {}
    for key in sorted(groups):
        place = counts[key[0]] = counts.get(key[0], -1) + 1
        most = select.series_offset + select.series_limit if select.series_limit else len(groups)
        if select.series_offset <= place < most:
            found.append((key, groups[key]))
    return found[::-1] if select.descending else found


def _rows_of(select: Select, *, source: Source, frame: Frame) -> list[Piece]:
    """Return a subquery's series as rows to ask again."""
    found = []
    for one in answer(select, source, frame.now, bounds=frame.loaded, zone=frame.zone, local=frame.local):
        order = np.argsort(one.table.times, kind="stable")
        fields = {name: values.take(order) for name, values in zip(one.columns, one.table.columns, strict=True)}
        found.append(Piece(one.name, one.tags or {}, one.table.times[order], fields))
    return found


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
