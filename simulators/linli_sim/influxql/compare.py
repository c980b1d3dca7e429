"""Two answers side by side: equal, different with a reason that is argued in ``docs/influxql.md``, or wrong."""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from linli_platform.influxql.checks import calls_of
from linli_platform.influxql.parse import parse
from linli_platform.influxql.syntax import Fill, Select, walk

_CLOSE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Table:
    """One series of an answer."""

    name: str
    tags: dict[str, str]
    columns: list[str]
    rows: list[list[Any]]


Answer: TypeAlias = list[Table] | str
"""Series, or the text of an error."""


def read(answer: dict[str, Any]) -> Answer:
    """Return an answer's first statement."""
    if "error" in answer:
        return str(answer["error"])
    result = answer["results"][0]
    if "error" in result:
        return str(result["error"])
    return [
        Table(one.get("name", ""), one.get("tags") or {}, one["columns"], one["values"])
        for one in result.get("series", [])
    ]


def difference(text: str, ours: Answer, theirs: Answer) -> str | None:
    """Return ``None`` if two answers are equal, a reason if they may differ, and ``"wrong"`` if not."""
    if isinstance(ours, str) and isinstance(theirs, str):
        return None
    (select,) = parse(text)
    assert isinstance(select, Select)
    if isinstance(ours, str) or isinstance(theirs, str):
        return _LIMITED_RANKS if isinstance(theirs, str) and _ranks(select) and select.limit else "wrong"
    if _equal(ours, theirs):
        return None
    for reason, holds in (
        (_ORDER, _differ_in_order),
        (_FILLED, _differ_in_filled),
        (_JOINED_LIMIT, _differ_in_joined_limit),
        (_TWICE, _ask_twice),
        (_MODE, _differ_in_mode),
        (_LIMITED_RANKS, _differ_in_limited_ranks),
        (_INTEGRAL, _is_integral),
    ):
        if holds(select, ours, theirs):
            return reason
    return "wrong"


_ORDER: Final = "order at one instant"
_FILLED: Final = "tags and texts filled with a number"
_JOINED_LIMIT: Final = "limit of each column"
_TWICE: Final = "one selector twice"
_MODE: Final = "mode of several"
_LIMITED_RANKS: Final = "top or bottom of a limit"
_INTEGRAL: Final = "integral"


def _equal(ours: Sequence[Table], theirs: Sequence[Table]) -> bool:
    return len(ours) == len(theirs) and all(map(_equal_tables, ours, theirs))


def _equal_tables(ours: Table, theirs: Table) -> bool:
    if (ours.name, ours.tags, ours.columns) != (theirs.name, theirs.tags, theirs.columns):
        return False
    return len(ours.rows) == len(theirs.rows) and all(map(_equal_rows, ours.rows, theirs.rows))


def _equal_rows(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    return all(map(_equal_values, ours, theirs))


def _equal_values(ours: Any, theirs: Any) -> bool:
    if _is_number(ours) and _is_number(theirs):
        return math.isclose(ours, theirs, rel_tol=_CLOSE, abs_tol=_CLOSE)
    return bool(ours == theirs)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _differ_in_order(select: Select, ours: Sequence[Table], theirs: Sequence[Table]) -> bool:
    """Rows of several series at one instant have no order; nor have the distinct values of a window."""

    def sorted_rows(tables: Sequence[Table]) -> list[Table]:
        return [
            Table(table.name, table.tags, table.columns, sorted(table.rows, key=lambda row: (row[0], _text(row))))
            for table in tables
        ]

    is_cut = select.limit > 0 and any(c.name == "distinct" for x in select.columns for c in calls_of(x.expression))
    if is_cut:
        return [len(table.rows) for table in ours] == [len(table.rows) for table in theirs]
    return _equal(sorted_rows(ours), sorted_rows(theirs))


def _text(row: Sequence[Any]) -> list[str]:
    return [f"{value:.6e}" if _is_number(value) else str(value) for value in row]


def _differ_in_filled(select: Select, ours: Sequence[Table], theirs: Sequence[Table]) -> bool:
    """Theirs fills a tag beside a selector, and a text, with the number or with nothing: a device is called 0."""
    if select.fill not in {Fill.NUMBER, Fill.PREVIOUS} or len(ours) != len(theirs):
        return False
    tags = {place for place, column in enumerate(select.columns, 1) if not calls_of(column.expression)}
    stand_ins = {"", select.fill_value} if select.fill is Fill.NUMBER else set()

    def fits(our_row: Sequence[Any], their_row: Sequence[Any]) -> bool:
        return all(
            _equal_values(one, other) or (one is None and (other in stand_ins or place in tags))
            for place, (one, other) in enumerate(zip(our_row, their_row, strict=True))
        )

    return all(
        (one.name, one.tags, one.columns, len(one.rows)) == (other.name, other.tags, other.columns, len(other.rows))
        and all(map(fits, one.rows, other.rows))
        for one, other in zip(ours, theirs, strict=True)
    )


def _differ_in_joined_limit(select: Select, ours: Sequence[Table], theirs: Sequence[Table]) -> bool:
    """Theirs limits each column by itself before the columns are brought together: more rows than the limit come."""
    return (
        select.limit > 0
        and len(select.columns) > 1
        and select.fill is Fill.NONE
        and len(ours) == len(theirs)
        and any(len(table.rows) > select.limit for table in theirs)
        and all(len(table.rows) <= select.limit for table in ours)
    )


def _ask_twice(select: Select, _ours: Sequence[Table], _theirs: Sequence[Table]) -> bool:
    """The same selector twice is one to theirs, with the time of its point; to us it is two, without a time."""
    calls = [call for column in select.columns for call in calls_of(column.expression)]
    return len(calls) > 1 and len(set(calls)) == 1


def _differ_in_mode(select: Select, ours: Sequence[Table], theirs: Sequence[Table]) -> bool:
    """Of values that come equally often theirs picks one by the order in which its sort leaves them."""
    modes = {
        place
        for place, column in enumerate(select.columns, 1)
        if any(call.name == "mode" for call in calls_of(column.expression))
    }
    return bool(modes) and _equal(_without(ours, modes), _without(theirs, modes))


def _is_integral(select: Select, _ours: Sequence[Table], _theirs: Sequence[Table]) -> bool:
    """Theirs leaves windows out, turns groups round, and says 0 for the time."""
    return any(call.name == "integral" for column in select.columns for call in calls_of(column.expression))


def _without(tables: Sequence[Table], places: AbstractSet[int]) -> list[Table]:
    """Return tables without some columns."""

    def row(cells: Sequence[Any]) -> list[Any]:
        return [None if place in places else cell for place, cell in enumerate(cells)]

    return [Table(table.name, table.tags, table.columns, [row(cells) for cells in table.rows]) for table in tables]


def _ranks(select: Select) -> bool:
    return any(
        call.name in {"top", "bottom"}
        for column in select.columns
        for item in walk(column.expression)
        for call in calls_of(item)
    )


def _differ_in_limited_ranks(select: Select, _ours: Sequence[Table], _theirs: Sequence[Table]) -> bool:
    """With a limit theirs ranks only the first rows it meets."""
    return _ranks(select) and select.limit > 0
