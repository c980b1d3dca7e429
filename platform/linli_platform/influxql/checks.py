"""What cannot stand together in a ``SELECT``, and what a function does not take."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from linli_platform.influxql.functions import (
    AGGREGATES,
    MATHEMATICS,
    MATHEMATICS_OF_TWO,
    OF_ANYTHING,
    RANKED,
    SELECTORS,
    TRANSFORMATIONS,
)
from linli_platform.influxql.parse import QueryError
from linli_platform.influxql.syntax import (
    Binary,
    Call,
    Distinct,
    Duration,
    Expression,
    Kind,
    Name,
    Number,
    Select,
    walk,
)

REDUCING: Final = AGGREGATES | SELECTORS | RANKED
"""Functions that make few values of many."""

_TAKES: Final = {
    "percentile": (2, 2),
    "integral": (1, 2),
    "derivative": (1, 2),
    "non_negative_derivative": (1, 2),
    "elapsed": (1, 2),
    "moving_average": (2, 2),
}
"""How many arguments a function takes at least and at most, where it is not one."""


def calls_of(expression: Expression) -> list[Call]:
    """Return the functions of an expression that are no mathematics, outermost only."""
    if isinstance(expression, Call):
        if expression.name in MATHEMATICS or expression.name in MATHEMATICS_OF_TWO:
            return [call for argument in expression.arguments for call in calls_of(argument)]
        return [expression]
    if isinstance(expression, Distinct):
        return [Call("distinct", (Name(expression.name),))]
    if isinstance(expression, Binary):
        return calls_of(expression.left) + calls_of(expression.right)
    return []


def reduces(expression: Expression) -> bool:
    """Tell whether an expression makes few values of many."""
    return any(
        isinstance(item, Distinct) or (isinstance(item, Call) and item.name in REDUCING) for item in walk(expression)
    )


def check(select: Select, expressions: Sequence[Expression], fields: Mapping[str, Kind]) -> None:
    """Raise :class:`QueryError` for columns that cannot stand together, or a function given what it does not take."""
    calls = [call for expression in expressions for call in calls_of(expression)]
    plain = [expression for expression in expressions if not calls_of(expression)]
    if not all(any(isinstance(x, Name) for x in walk(expression)) for expression in plain):
        raise QueryError("field must contain at least one variable")
    for call in calls:
        _check_call(select, call, fields)
    mixed = any(calls_of(expression) and _names_outside(expression) for expression in expressions)
    if calls and (plain or mixed):
        lone = len(calls) == 1 and calls[0].name in SELECTORS | RANKED and not mixed
        if not lone or not all(isinstance(expression, Name) for expression in plain):
            raise QueryError("mixing aggregate and non-aggregate queries is not supported")
    ranked = [call for call in calls if call.name in RANKED | {"distinct"}]
    if ranked and len(calls) > 1:
        raise QueryError(f"{ranked[0].name}() cannot be combined with other functions")
    if select.grouping.interval and not any(reduces(expression) for expression in expressions):
        raise QueryError("GROUP BY requires at least one aggregate function")


def _names_outside(expression: Expression) -> bool:
    """Tell whether a name stands beside functions, not in one."""
    if isinstance(expression, Binary):
        return _names_outside(expression.left) or _names_outside(expression.right)
    if isinstance(expression, Call) and (expression.name in MATHEMATICS or expression.name in MATHEMATICS_OF_TWO):
        return any(map(_names_outside, expression.arguments))
    return isinstance(expression, Name)


def _check_call(select: Select, call: Call, fields: Mapping[str, Kind]) -> None:
    name, arguments = call.name, call.arguments
    if name not in REDUCING | TRANSFORMATIONS:
        raise QueryError(f"undefined function {name}()")
    least, most = (2, len(arguments)) if name in RANKED else _TAKES.get(name, (1, 1))
    if not least <= len(arguments) <= most:
        raise QueryError(f"invalid number of arguments for {name}, expected {least}, got {len(arguments)}")
    if name in TRANSFORMATIONS:
        _check_transformation(select, call, fields)
        return
    inner = arguments[0]
    if name == "count" and isinstance(inner, Distinct):
        return
    if name == "count" and isinstance(inner, Call) and inner.name == "distinct":
        _check_call(select, inner, fields)
        return
    _check_field(call, fields)
    if (further := _FURTHER.get(name)) is not None:
        further(call)


def _check_field(call: Call, fields: Mapping[str, Kind]) -> None:
    inner = call.arguments[0]
    if not isinstance(inner, Name):
        raise QueryError(f"expected field argument in {call.name}()")
    if fields.get(inner.name) is Kind.STRING and call.name not in OF_ANYTHING:
        raise QueryError(f"unsupported {call.name} iterator type: string")


def _check_percentile(call: Call) -> None:
    if not isinstance(call.arguments[1], Number):
        raise QueryError("expected float argument in percentile()")


def _check_integral(call: Call) -> None:
    if len(call.arguments) > 1 and not isinstance(call.arguments[1], Duration):
        raise QueryError("second argument must be a duration")


def _check_ranked(call: Call) -> None:
    *tags, count = call.arguments[1:]
    if not isinstance(count, Number) or not isinstance(count.value, int) or count.value < 1:
        raise QueryError(f"limit in {call.name}() must be a number of 1 or more")
    if not all(isinstance(each, Name) for each in tags):
        raise QueryError(f"only fields or tags are allowed in {call.name}()")


_FURTHER: Final[dict[str, Callable[[Call], None]]] = {
    "percentile": _check_percentile,
    "integral": _check_integral,
    "top": _check_ranked,
    "bottom": _check_ranked,
}


def _check_transformation(select: Select, call: Call, fields: Mapping[str, Kind]) -> None:
    _check_unit(call)
    inner = call.arguments[0]
    if isinstance(inner, Call):
        if not select.grouping.interval:
            raise QueryError(f"{call.name} aggregate requires a GROUP BY interval")
        if inner.name not in REDUCING - RANKED - {"distinct"}:
            raise QueryError(f"{call.name}() takes an aggregate, not {inner.name}()")
        _check_call(select, inner, fields)
        return
    if select.grouping.interval:
        raise QueryError(f"aggregate function required inside the call to {call.name}")
    _check_field(call, fields)


def _check_unit(call: Call) -> None:
    if len(call.arguments) == 1:
        return
    further = call.arguments[1]
    if call.name == "moving_average":
        if not isinstance(further, Number) or not isinstance(further.value, int) or further.value <= 1:
            raise QueryError("moving_average window must be greater than 1")
    elif not isinstance(further, Duration) or further.value <= 0:
        raise QueryError(f"second argument to {call.name} must be a duration")
