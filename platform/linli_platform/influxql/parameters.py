"""Values that a query names as ``$device``, sent beside it as JSON: nobody's text becomes part of a statement."""

import json
from collections.abc import Callable
from typing import Any, Final

from linli_platform.influxql.parse import QuerySyntaxError, parse_duration
from linli_platform.influxql.syntax import Boolean, Duration, Expression, Name, Number, Parameters, Regex, Text

MOST: Final = 1_000
"""Values of one query."""

_TYPES: Final = "string, integer, float, boolean, duration, regex or identifier"

_TEXTS: Final[dict[str, Callable[[str], Expression]]] = {"string": Text, "regex": Regex, "identifier": Name}


def read_parameters(text: str) -> Parameters:
    """Return the values in a JSON object: ``{"device": "meter-1", "above": 5, "every": {"duration": "15m"}}``.

    A text is a text, never a name or a pattern: what is meant otherwise says so, as ``{"identifier": "value"}`` or
    ``{"regex": "^meter-"}``.

    Raises:
        QuerySyntaxError: It is no such object, or a value has none of the types.
    """
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError) as exc:
        raise QuerySyntaxError(f"params is no JSON: {exc}") from exc
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise QuerySyntaxError("params is no JSON object of names and values")
    if len(found) > MOST:
        raise QuerySyntaxError(f"params has {len(found)} values; {MOST} are taken at most")
    return {name: _literal(name, value) for name, value in found.items()}


def _literal(name: str, value: Any) -> Expression:
    if isinstance(value, dict):
        if len(value) != 1:
            raise QuerySyntaxError(f"params: ${name[:40]} must have one type and its value, such as {{'string': 'a'}}")
        ((kind, inner),) = value.items()
        return _typed(name, kind, inner)
    if isinstance(value, bool):
        return Boolean(value)
    if isinstance(value, int):
        return _integer(name, value)
    if isinstance(value, float):
        return Number(value)
    if isinstance(value, str):
        return Text(value)
    raise QuerySyntaxError(f"params: ${name[:40]} has no type that a query knows: {_TYPES}")


def _typed(name: str, kind: str, value: Any) -> Expression:
    if kind == "duration" and isinstance(value, str):
        return Duration(parse_duration(value))
    if kind == "duration" and isinstance(value, int) and not isinstance(value, bool):
        return Duration(_integer(name, value).value)  # type: ignore[arg-type]
    if kind in _TEXTS and isinstance(value, str):
        return _TEXTS[kind](value)
    if kind == "boolean" and isinstance(value, bool):
        return Boolean(value)
    if kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return _integer(name, value)
    if kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
        return Number(float(value))
    raise QuerySyntaxError(f"params: ${name[:40]} is no {kind[:40]} that a query knows: {_TYPES}")


def _integer(name: str, value: int) -> Number:
    if abs(value) >= 2**63:
        raise QuerySyntaxError(f"params: ${name[:40]} is larger than {2**63 - 1}")
    return Number(value)
