"""``WHERE``: which times, which series, which rows."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import numpy as np

from linli_platform.influxql.mathematics import calculate
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.pattern import matcher
from linli_platform.influxql.syntax import (
    COMPARISONS,
    TIME,
    Binary,
    Boolean,
    Call,
    Duration,
    Expression,
    Kind,
    Name,
    Number,
    Regex,
    Text,
    walk,
)
from linli_platform.influxql.vector import Mask, Vector
from linli_platform.influxql.window import EARLIEST, LATEST, Range

_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_LOCAL: Final = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Condition:
    """What ``WHERE`` says, taken apart.

    Attributes:
        reach: Which times.
        rest: Everything else that must hold, each part by itself.
    """

    reach: Range
    rest: tuple[Expression, ...]


def take_apart(condition: Expression | None, now: int, zone: tzinfo | None) -> Condition:
    """Return a condition's times apart from its other parts.

    Raises:
        QueryError: A time that is none, or time within ``OR``: what that would mean is no range.
    """
    reach = Range()
    rest: list[Expression] = []
    for part in _conjuncts(condition):
        if not _speaks_of_time(part):
            rest.append(part)
            continue
        if not isinstance(part, Binary) or part.operator not in _MIRRORED:
            raise QueryError("time may be compared, and joined to the rest with AND, not with OR")
        operator, side = part.operator, part.right
        if not _is_time(part.left):
            operator, side = _MIRRORED[operator], part.left
            if not _is_time(part.right):
                raise QueryError("time may be compared with a time, not calculated with")
        reach = reach.within(_bounds(operator, instant(side, now, zone)))
    return Condition(reach, tuple(rest))


def instant(expression: Expression, now: int, zone: tzinfo | None) -> int:
    """Return the instant (ns) that an expression says; :class:`QueryError` if it says none."""
    if isinstance(expression, Number | Duration):
        return int(expression.value)
    if isinstance(expression, Text):
        return _read_instant(expression.value, zone)
    if isinstance(expression, Call) and expression.name == "now" and not expression.arguments:
        return now
    if isinstance(expression, Binary) and expression.operator in "+-" and isinstance(expression.right, Duration):
        shift = expression.right.value
        return instant(expression.left, now, zone) + (shift if expression.operator == "+" else -shift)
    if isinstance(expression, Binary) and expression.operator == "+" and isinstance(expression.left, Duration):
        return instant(expression.right, now, zone) + expression.left.value
    raise QueryError("time can be compared with a time such as now() - 1h, '2026-01-31T12:00:00Z' or 1764000000s")


def names_in(expressions: Iterable[Expression]) -> set[str]:
    """Return the names of fields and tags in expressions."""
    return {item.name for part in expressions for item in walk(part) if isinstance(item, Name)}


def truth(part: Expression, column: Callable[[Name], Vector], length: int) -> Mask:
    """Return where a condition holds; nowhere where a value it needs is missing.

    Args:
        part: The condition.
        column: Returns a field or tag; a tag that is not there is an empty text.
        length: Of the columns.
    """
    if isinstance(part, Boolean):
        return np.full(length, part.value)
    if isinstance(part, Binary) and part.operator in {"AND", "OR"}:
        left, right = truth(part.left, column, length), truth(part.right, column, length)
        return left & right if part.operator == "AND" else left | right
    if isinstance(part, Binary) and part.operator in COMPARISONS:
        return _compare(part, column, length)
    if isinstance(part, Name):
        found = column(part)
        if found.kind is Kind.BOOLEAN:
            return found.data.astype(np.bool_) & found.valid
    raise QueryError("invalid condition expression: expected a comparison")


def _conjuncts(condition: Expression | None) -> list[Expression]:
    if condition is None:
        return []
    if isinstance(condition, Binary) and condition.operator == "AND":
        return _conjuncts(condition.left) + _conjuncts(condition.right)
    return [condition]


def _is_time(expression: Expression) -> bool:
    return isinstance(expression, Name) and expression.name.lower() == TIME and expression.kind is None


def _speaks_of_time(expression: Expression) -> bool:
    return any(_is_time(item) for item in walk(expression))


def _bounds(operator: str, at: int) -> Range:
    if operator == "=":
        return Range(at, at)
    if operator == ">":
        return Range(start=at + 1)
    if operator == ">=":
        return Range(start=at)
    if operator == "<":
        return Range(end=at - 1)
    if operator == "<=":
        return Range(end=at)
    raise QueryError("time != is no range: say before or after")


def _read_instant(text: str, zone: tzinfo | None) -> int:
    """Return ns. A text with a zone of its own is in that one; others are in the query's."""
    whole, digits = text, ""
    if found := re.fullmatch(r"(.*\d\d:\d\d:\d\d)\.(\d{1,9})(\D.*)?", text):
        whole, digits = found[1] + (found[3] or ""), found[2]
    if moment := _moment(whole, zone):
        seconds = round(moment.timestamp())
        return max(EARLIEST, min(LATEST, seconds * 1_000_000_000 + int(digits.ljust(9, "0") or "0")))
    raise QueryError(f"invalid operation: time and {text!r} are not compatible: expected '2026-01-31T12:00:00Z'")


def _moment(text: str, zone: tzinfo | None) -> datetime | None:
    for form in _LOCAL:
        try:
            return datetime.strptime(text, form).replace(tzinfo=zone or UTC)
        except ValueError:
            continue
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone or UTC)


def _compare(part: Binary, column: Callable[[Name], Vector], length: int) -> Mask:
    left = calculate(part.left, column, length)
    if isinstance(part.right, Regex):
        if left.kind is not Kind.STRING:
            return np.zeros(length, np.bool_)
        is_found = matcher(part.right.pattern)
        matches = np.fromiter((text is not None and is_found(text) for text in left.data), np.bool_, length)
        return (matches if part.operator == "=~" else ~matches) & left.valid
    right = calculate(part.right, column, length)
    both = left.valid & right.valid
    numbers = {Kind.FLOAT, Kind.INTEGER}
    if left.kind is not right.kind and not {left.kind, right.kind} <= numbers:
        # A text is no number; InfluxQL lets nothing through rather than complain.
        return np.zeros(length, np.bool_)
    if left.kind is Kind.STRING and part.operator not in {"=", "!="}:
        return np.zeros(length, np.bool_)
    found: Mask = _OPERATORS[part.operator](left.data, right.data).astype(np.bool_) & both
    return found


_OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
