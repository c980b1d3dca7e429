"""Calculating with columns: + - * / % & | ^ and functions of one row."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from linli_platform.influxql.functions import KEEP_INTEGERS, MATHEMATICS, MATHEMATICS_OF_TWO
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.syntax import Binary, Boolean, Call, Duration, Expression, Kind, Name, Number, Text
from linli_platform.influxql.vector import Vector, vector

_BITS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "&": lambda left, right: left & right,
    "|": lambda left, right: left | right,
    "^": lambda left, right: left ^ right,
}


def calculate(expression: Expression, column: Callable[[Name], Vector], length: int) -> Vector:
    """Return an expression without aggregates, row by row; missing where a value it needs is."""
    if isinstance(expression, Name):
        return column(expression)
    if isinstance(expression, Binary):
        left, right = calculate(expression.left, column, length), calculate(expression.right, column, length)
        return combine(expression.operator, left, right)
    if isinstance(expression, Call):
        return apply(expression, [calculate(item, column, length) for item in expression.arguments])
    return constant(expression, length)


def constant(expression: Expression, length: int) -> Vector:
    """Return a column of one value; :class:`QueryError` if the expression is none."""
    if isinstance(expression, Number):
        kind = Kind.INTEGER if isinstance(expression.value, int) else Kind.FLOAT
        return vector(kind, np.full(length, expression.value))
    if isinstance(expression, Duration):
        return vector(Kind.INTEGER, np.full(length, expression.value))
    if isinstance(expression, Text):
        return vector(Kind.STRING, [expression.value] * length)
    if isinstance(expression, Boolean):
        return vector(Kind.BOOLEAN, np.full(length, expression.value))
    raise QueryError("nothing can be calculated with a pattern or *")


def folded(expression: Expression) -> Expression:
    """Return an expression in which what numbers alone make is one number: it has no rows of its own."""
    if isinstance(expression, Call):
        return Call(expression.name, tuple(folded(item) for item in expression.arguments))
    if not isinstance(expression, Binary):
        return expression
    left, right = folded(expression.left), folded(expression.right)
    if isinstance(left, Number) and isinstance(right, Number):
        (value,) = combine(expression.operator, constant(left, 1), constant(right, 1)).listed()
        return Number(value)
    return Binary(expression.operator, left, right)


def combine(operator: str, left: Vector, right: Vector) -> Vector:
    """Return what two columns make. What is divided by nothing is 0, as InfluxDB has it."""
    both = left.valid & right.valid
    kinds = {left.kind, right.kind}
    if operator in _BITS:
        if kinds in ({Kind.INTEGER}, {Kind.BOOLEAN}):
            return Vector(left.kind, _BITS[operator](left.data, right.data), both)
        raise QueryError(f"{operator} takes two integers or two truths")
    if not kinds <= {Kind.FLOAT, Kind.INTEGER}:
        raise QueryError(f"{operator} takes numbers")
    whole = kinds == {Kind.INTEGER}
    with np.errstate(all="ignore"):
        if operator in "+-*":
            work = {"+": np.add, "-": np.subtract, "*": np.multiply}[operator]
            return Vector(Kind.INTEGER if whole else Kind.FLOAT, work(left.data, right.data), both)
        nothing = right.data == 0
        divisor = np.where(nothing, 1, right.data)
        if operator == "/":
            data = np.where(nothing, 0.0, left.data / divisor)
            return Vector(Kind.FLOAT, data, both)
        # The sign is the dividend's.
        data = np.where(nothing, 0, np.fmod(left.data, divisor))
        return Vector(Kind.INTEGER if whole else Kind.FLOAT, data, both)


def apply(call: Call, arguments: list[Vector]) -> Vector:
    """Return a function of one row."""
    work: Callable[..., Any]
    if call.name in MATHEMATICS and len(arguments) == 1:
        work = MATHEMATICS[call.name]
    elif call.name in MATHEMATICS_OF_TWO and len(arguments) == 2:
        work = MATHEMATICS_OF_TWO[call.name]
    elif call.name in MATHEMATICS or call.name in MATHEMATICS_OF_TWO:
        wanted = 1 if call.name in MATHEMATICS else 2
        raise QueryError(f"invalid number of arguments for {call.name}, expected {wanted}, got {len(arguments)}")
    else:
        raise QueryError(f"undefined function {call.name}()")
    if any(item.kind not in {Kind.FLOAT, Kind.INTEGER} for item in arguments):
        raise QueryError(f"{call.name}() takes numbers")
    valid = arguments[0].valid.copy()
    for item in arguments[1:]:
        valid &= item.valid
    whole = call.name in KEEP_INTEGERS and all(item.kind is Kind.INTEGER for item in arguments)
    with np.errstate(all="ignore"):
        data = work(*(item.data if whole else item.data.astype(np.float64) for item in arguments))
    return Vector(Kind.INTEGER if whole else Kind.FLOAT, data, valid)
