"""Whether a board's JSON is of the shape that Grafana's schema says.

The SDK's classes are generated from that schema, with the type of each field. A board is read into them and written
again: what the schema does not know gets lost on the way, and what is of another type than it says is found by its
annotation. So nothing but Python is needed.
"""

import json
import types
import typing
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import Dashboard

_OPEN: Final = (".annotations.list[].target",)
"""Where the schema has the form of one data source, and says itself that any query's belongs there."""


def mistakes(board: dict[str, Any]) -> list[str]:
    """Return what is wrong with a board's shape, each with its place."""
    register_default_plugins()
    try:
        read = Dashboard.from_json(board)
        again = json.loads(json.dumps(read, cls=JSONEncoder))
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        return [f"it cannot be read as a board: {type(exc).__name__}: {exc}"]
    return [*_typed(read, ""), *_lost(board, again, "")]


def _lost(before: object, after: object, place: str) -> Iterator[str]:
    """Yield where something is not the same after it was read and written."""
    if any(place.endswith(open_) for open_ in _OPEN):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                yield f"{place}.{key}: the schema has no such field"
            else:
                yield from _lost(value, after[key], f"{place}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        for one, other in zip(before, after, strict=True):
            yield from _lost(one, other, f"{place}[]")
    elif before != after:
        yield f"{place}: {before!r} is read as {after!r}"


def _typed(value: Any, place: str) -> Iterator[str]:
    """Yield where an object's field is of another type than its class says."""
    for name, wanted in _fields(value.__class__).items():
        found = getattr(value, name, None)
        here = f"{place}.{name}"
        if not _is(found, wanted):
            yield f"{here}: {found!r} is no {wanted}"
        else:
            for each in found if isinstance(found, list) else [found]:
                if not isinstance(each, Dataquery):
                    yield from _typed(each, here)


@cache
def _fields(kind: type[Any]) -> dict[str, Any]:
    if not kind.__module__.startswith("grafana_foundation_sdk.models"):
        return {}
    return {} if issubclass(kind, Enum) else typing.get_type_hints(kind)


def _is(value: object, wanted: Any) -> bool:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in {typing.Union, types.UnionType}:
        return any(_is(value, each) for each in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(_is(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_is(each, arguments[1]) for each in value.values())
    return not isinstance(wanted, type) or _is_a(value, wanted)


def _is_a(value: object, wanted: type[Any]) -> bool:
    if wanted in {int, float}:
        return isinstance(value, (int, wanted)) and not isinstance(value, bool)
    if issubclass(wanted, Enum):
        return value in {each.value for each in wanted}
    if isinstance(value, dict) and hasattr(wanted, "from_json"):
        # The SDK leaves some lists of objects as they came.
        read = wanted.from_json(value)
        again = json.loads(json.dumps(read, cls=JSONEncoder))
        return not [*_typed(read, ""), *_lost(value, again, "")]
    return isinstance(value, wanted)
