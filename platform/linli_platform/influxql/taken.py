"""Groups as the source takes them together, and the tables that come of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from linli_platform.influxql.columns import Chosen
from linli_platform.influxql.evaluate import Group, Table, starts_of
from linli_platform.influxql.frame import Frame
from linli_platform.influxql.piece import Rows
from linli_platform.influxql.prepared import (
    Points,
    Prepared,
    by_group,
    differences,
    differing,
    of_groups,
    parted,
    reduced,
)
from linli_platform.influxql.source import Source
from linli_platform.influxql.sources import Key, Sources
from linli_platform.influxql.syntax import Fill, Kind, Select
from linli_platform.influxql.vector import Times, Vector
from linli_platform.store.query import Measure, Steps

Making: TypeAlias = Callable[[], Table | None]
"""Makes the rows of a group; ``None`` if it has none."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What groups come to.

    Attributes:
        keys: Of the groups, by number.
        steps: What they come to.
        edges: Where each window begins, and where the last one ends (ns).
        kind: Of the field.
    """

    keys: Sequence[Key]
    steps: Steps
    edges: Times
    kind: Kind


def taken(
    source: Source, sources: Sources, frame: Frame, grouped: Sequence[str], planned: tuple[str, frozenset[Measure]]
) -> list[Taken] | None:
    """Return what groups of each measurement come to; ``None`` if rows have to be asked for."""
    if sources.pieces or sources.rest or not has_windows_bound(frame):
        return None
    field, wanted = planned
    edges, inner = edges_of(frame)
    found = []
    for measurement, members in sources.series.items():
        by = members.grouped(grouped)
        steps = source.steps(measurement, field, by.groups, inner, wanted)
        if steps is None:
            return None
        kind = sources.schema.fields.get(field, Kind.FLOAT)
        found.append(Taken([(measurement, *key) for key in by.keys], steps, edges, kind))
    return found


def has_windows_bound(frame: Frame) -> bool:
    """Tell whether it is known where the first window begins, if there are windows."""
    return frame.windows is None or frame.reach.has_start


def edges_of(frame: Frame) -> tuple[Times, Times]:
    """Return where each window begins, and where the last one ends; and the same within the times that are needed."""
    loaded = frame.loaded
    if frame.windows is None:
        edges = np.array([loaded.start, loaded.end + 1], np.int64)
        return edges, edges
    _, starts = starts_of(frame.windows, frame.reach, frame.earlier, descending=frame.descending)
    edges = np.append(starts, starts[-1] + frame.windows.interval)
    return edges, np.clip(edges, loaded.start, loaded.end + 1)


def groups_of(each: Taken, frame: Frame, chosen: Sequence[Chosen], select: Select) -> dict[Key, Making]:
    """Return the groups of what was taken together."""
    if frame.windows is None:
        calls = partial(reduced, measures=each.steps.measures, kind=each.kind)
        length = len(each.steps.group)
        columns = [of_groups(column.expression, lambda call: calls(call.name), length) for column in chosen]
        moment = np.array([frame.reach.start if frame.reach.has_start else 0], np.int64)
        return ready(each.keys, each.steps.group.tolist(), np.repeat(moment, length), columns)
    points = differences_of(each, frame, chosen, select.fill)
    if points is not None:
        return {
            each.keys[number]: partial(Table, times, [values]) for number, (times, values) in parted(points).items()
        }
    return {
        each.keys[number]: partial(_table, frame, select, chosen, prepared)
        for number, prepared in by_group(each.steps, each.edges, each.kind).items()
    }


def differences_of(each: Taken, frame: Frame, chosen: Sequence[Chosen], fill: Fill) -> Points | None:
    """Return the changes from window to window, if those are all that is asked for."""
    if frame.windows is None or frame.descending or fill not in {Fill.NULL, Fill.NONE}:
        return None
    plainly = differing(chosen, frame.windows.interval)
    if plainly is None:
        return None
    asked = int(starts_of(frame.windows, frame.reach, 0, descending=False)[0][0])
    return differences(each.steps, each.edges, asked, int(each.edges[-2]), plainly, each.kind)


def ready(keys: Sequence[Key], numbers: Sequence[int], times: Times, columns: Sequence[Vector]) -> dict[Key, Making]:
    """Return groups of one row each.

    Args:
        keys: Of all groups there may be, by number.
        numbers: Of those that have a row.
        times: Of their rows.
        columns: What is in them.
    """
    return {
        keys[number]: partial(
            Table, times[place : place + 1], [column.take(slice(place, place + 1)) for column in columns]
        )
        for place, number in enumerate(numbers)
    }


def group_of(rows: Rows, frame: Frame, select: Select, prepared: Prepared | None = None) -> Group:
    """Return a group of rows, or of what was taken together of it."""
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


def _table(frame: Frame, select: Select, chosen: Sequence[Chosen], prepared: Prepared) -> Table | None:
    return group_of(Rows.of([]), frame, select, prepared).table(chosen)
