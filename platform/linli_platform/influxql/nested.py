"""An aggregate of a subquery that is an aggregate itself: what was consumed by each meter, and all of it together.

Theory of operation. A board asks for hardly anything else, of a thousand meters at a time. Their rows need not be made:
what the source takes together of them stays in columns, and is taken together once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from linli_platform.influxql.columns import Chosen, Schema, choose
from linli_platform.influxql.evaluate import Table
from linli_platform.influxql.frame import Frame, framed
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.prepared import (
    AGGREGATED,
    Points,
    Selecting,
    differing,
    of_groups,
    picked,
    plan,
    reduced,
    selecting,
)
from linli_platform.influxql.source import Source
from linli_platform.influxql.sources import Key, Sources, dimensions, sources_of
from linli_platform.influxql.syntax import Call, Fill, Kind, Select
from linli_platform.influxql.taken import (
    Making,
    Taken,
    differences_of,
    edges_of,
    groups_of,
    has_windows_bound,
    ready,
    taken,
)
from linli_platform.influxql.vector import Vector
from linli_platform.store.query import Measure, taken_together

_ALWAYS: Final = np.array([-(2**63), 2**63 - 1], np.int64)


@dataclass(frozen=True, slots=True)
class Nested:
    """A subquery whose rows need not be made.

    Attributes:
        select, frame, sources: What it asks, when, of what.
        grouped: The tags by which it groups.
        chosen: Its one column.
        planned: Its field, and what is needed of it.
        schema: What the statement around it finds.
    """

    select: Select
    frame: Frame
    sources: Sources
    grouped: Sequence[str]
    chosen: Sequence[Chosen]
    planned: tuple[str, frozenset[Measure]]
    schema: Schema

    def points(self, source: Source, most: int) -> tuple[list[Key], Points] | None:
        """Return the keys of its groups and their values; ``None`` if rows have to be asked for.

        Raises:
            QueryError: There are more than ``most`` values.
        """
        parts = taken(source, self.sources, self.frame, self.grouped, self.planned)
        if parts is None:
            return None
        if sum(len(part.steps.group) for part in parts) > most:
            raise QueryError(f"more than {most} values in a subquery: shorten the time or lengthen the windows")
        keys: list[Key] = []
        found: list[Points] = []
        for part in parts:
            points = self._points_of(part)
            found.append(Points(points.group + np.int32(len(keys)), points.times, points.values, points.kind))
            keys += part.keys
        if not found:
            return None
        group = np.concatenate([each.group for each in found])
        times = np.concatenate([each.times for each in found])
        return keys, Points(group, times, np.concatenate([each.values for each in found]), found[0].kind)

    def _points_of(self, part: Taken) -> Points:
        points = differences_of(part, self.frame, self.chosen, self.select.fill)
        if points is not None:
            return points
        call = self.chosen[0].expression
        assert isinstance(call, Call)
        values = reduced(call.name, part.steps.measures, part.kind)
        if self.frame.windows is None:
            times = np.full(len(values), _moment(self.frame), np.int64)
        else:
            times = part.edges[part.steps.window]
        return Points(part.steps.group, times, values.data, values.kind)


def nested(select: Select, source: Source, frame: Frame) -> Nested | None:
    """Return the subquery that a statement is made of alone, if its rows need not be made."""
    inner = select.sources[0]
    if len(select.sources) != 1 or not isinstance(inner, Select) or frame.condition.rest:
        return None
    if inner.descending or inner.limit or inner.offset or inner.series_limit or inner.series_offset:
        return None
    if inner.fill not in {Fill.NULL, Fill.NONE} or any(isinstance(each, Select) for each in inner.sources):
        return None
    own = framed(inner, frame.now, frame.loaded, frame.zone, frame.local)
    if own.reach.is_empty or not has_windows_bound(own) or not has_windows_bound(frame):
        return None
    sources = sources_of(inner, source, own, lambda _select: [])
    grouped = dimensions(inner, sources.schema)
    chosen = choose(inner, sources.schema, grouped)
    planned = plan(chosen, windowed=own.windows is not None)
    if planned is None or len(chosen) != 1 or not _is_plain(chosen[0], own):
        return None
    call = chosen[0].expression
    assert isinstance(call, Call)
    kind = _kind_of(call, sources.schema.fields.get(planned[0], Kind.FLOAT))
    schema = Schema({chosen[0].name: kind}, frozenset(grouped) - {chosen[0].name})
    return Nested(inner, own, sources, grouped, chosen, planned, schema)


def together(
    select: Select,
    source: Source,
    frame: Frame,
    inner: Nested,
    grouped: Sequence[str],
    chosen: Sequence[Chosen],
    most: int,
) -> dict[Key, Making] | None:
    """Return the groups of a statement around a subquery; ``None`` if rows have to be made after all.

    Args:
        select: What is asked.
        source: Of what.
        frame: When.
        inner: The subquery.
        grouped: The tags by which is grouped.
        chosen: The columns.
        most: Values that the subquery may come to.
    """
    planned = plan(chosen, windowed=frame.windows is not None)
    lone = selecting(chosen) if planned is None else None
    field = planned[0] if planned is not None else lone.field if lone is not None else ""
    if field not in inner.schema.fields or frame.descending:
        return None
    found = inner.points(source, most)
    if found is None:
        return None
    of_inner, points = found
    places = [inner.grouped.index(tag) + 1 if tag in inner.grouped else None for tag in grouped]
    of_each = [(key[0], *("" if place is None else key[place] for place in places)) for key in of_inner]
    keys = sorted(set(of_each))
    numbers = {key: number for number, key in enumerate(keys)}
    number = np.array([numbers[key] for key in of_each], np.int32)
    points = Points(number[points.group], points.times, points.values, points.kind)
    if planned is not None:
        # Rows of a subquery lie where its windows begin, and that may be before the time asked for.
        edges = _ALWAYS if frame.windows is None else edges_of(frame)[0]
        steps = taken_together(points.group, points.times, points.values, edges, planned[1])
        return groups_of(Taken(keys, steps, edges, points.kind), frame, chosen, select)
    assert lone is not None
    if frame.windows is not None:
        return _of_windows(select, frame, keys, points, chosen, lone, most)
    one = picked(lone, points)
    # Whoever has too few values for a percentile has a row all the same, without a value.
    groups = np.unique(points.group)
    place = np.searchsorted(groups, one.group)
    times, data = np.full(len(groups), _moment(frame), np.int64), np.zeros(len(groups), points.values.dtype)
    there = np.zeros(len(groups), np.bool_)
    times[place], data[place], there[place] = one.times, one.values, True
    return ready(keys, groups.tolist(), times, _columns(chosen, Vector(one.kind, data, there)))


def _of_windows(
    select: Select,
    frame: Frame,
    keys: Sequence[Key],
    points: Points,
    chosen: Sequence[Chosen],
    lone: Selecting,
    most: int,
) -> dict[Key, Making] | None:
    """Return groups with a row for each window, where a lone selector picks one value of it at most."""
    if select.fill not in {Fill.NULL, Fill.NONE}:
        return None
    edges = edges_of(frame)[0]
    length = len(edges) - 1
    if len(keys) * length > most:
        return None
    window = np.searchsorted(edges, points.times, "right") - 1
    within = (window >= 0) & (window < length)
    kept = Points(points.group[within], points.times[within], points.values[within], points.kind)
    one = picked(lone, kept, window[within])
    place = one.group * length + np.searchsorted(edges, one.times, "right") - 1
    data, there = np.zeros(len(keys) * length, points.values.dtype), np.zeros(len(keys) * length, np.bool_)
    data[place], there[place] = one.values, True
    columns = _columns(chosen, Vector(one.kind, data, there))
    found: dict[Key, Making] = {}
    for number in np.unique(kept.group).tolist():
        rows = np.arange(number * length, (number + 1) * length)
        rows = rows if select.fill is Fill.NULL else rows[there[rows]]
        if len(rows):
            own = [column.take(rows) for column in columns]
            found[keys[number]] = partial(Table, edges[rows - number * length], own)
    return found


def _columns(chosen: Sequence[Chosen], values: Vector) -> list[Vector]:
    return [of_groups(column.expression, lambda _call: values, len(values)) for column in chosen]


def _moment(frame: Frame) -> int:
    return frame.reach.start if frame.reach.has_start else 0


def _is_plain(column: Chosen, frame: Frame) -> bool:
    """Tell whether a column is an aggregate alone, or by how much one changes."""
    call = column.expression
    if not isinstance(call, Call) or (frame.windows is not None and differing([column], frame.windows.interval)):
        return isinstance(call, Call)
    # A window in which nothing was counted is a row with 0 in it.
    return call.name in AGGREGATED and not (call.name == "count" and frame.windows is not None)


def _kind_of(call: Call, field: Kind) -> Kind:
    if call.name == "count":
        return Kind.INTEGER
    return Kind.FLOAT if call.name == "mean" or "derivative" in call.name else field
