"""What people may change of a rule: numbers and lengths of time of its condition, each within bounds of the rule's own.

A parameter is called as the key of the condition that it sets, whose value there is what holds until somebody changes
it. In an expression it is a name that stands for a number::

    condition = { kind = "limit", high = 8.0, on_delay = "30 min" }

    [rules.parameters]
    high = { min = 4.0, max = 8.0, step = 0.5 }
    on_delay = { min = "10 min", max = "1 h", step = "5 min" }
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from linli_core.alarm.rule import Parameter, Text
from linli_core.alarm.table import Table, kind_of, parse_duration
from linli_core.errors import ConfigError
from linli_core.instant import SECOND

NUMBERS: Final = frozenset({"high", "low", "rise", "fall", "hysteresis", "share", "least", "deviations", "intervals"})
LENGTHS: Final = frozenset({"on_delay", "off_delay", "after", "for", "hold", "within"})
"""Keys that may be parameters. Others, as how far a rule looks back, would make what was remembered meaningless."""

UNITLESS: Final = frozenset({"share", "deviations", "intervals"})

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_KEYS: Final = ("title", "value", "min", "max", "step", "unit")
_SLACK: Final = 1e-9


def read_parameters(table: Table, raw: object) -> tuple[Parameter, ...]:
    """Return the parameters of a rule's table.

    Args:
        table: The rule's.
        raw: Its condition.
    """
    told = table.get("parameters")
    if told is None:
        return ()
    where = table.place("parameters")
    if not isinstance(told, Mapping):
        raise ConfigError(where, f"found {kind_of(told)}", "write a table of tables")
    condition = raw if isinstance(raw, Mapping) else {}
    return tuple(_parameter(name, each, f"{where}.{name}", condition, table) for name, each in told.items())


def _parameter(name: str, raw: object, where: str, condition: Mapping[str, Any], rule: Table) -> Parameter:
    table = Table(raw, where, _KEYS)
    is_own = name in condition
    is_of_expression = condition.get("kind") == "expression" and not is_own
    if not is_of_expression and not (is_own and name in NUMBERS | LENGTHS):
        known = ", ".join(sorted((NUMBERS | LENGTHS) & set(condition))) or "none here"
        raise ConfigError(where, f"{name!r} is nothing of the condition that may be changed", f"name one of: {known}")
    if is_own and table.has("value"):
        raise ConfigError(table.place("value"), "found a second value", "write it in the condition alone")
    if is_of_expression:
        _check_named(name, condition, where)
    is_length = is_own and name in LENGTHS
    unit = (
        "s" if is_length else table.text("unit", "" if name in UNITLESS or is_of_expression else rule.text("unit", ""))
    )
    value = _value(condition[name] if is_own else table.get("value"), table.place("value"), is_length=is_length)
    found = Parameter(
        name=name,
        title=_title(table),
        unit=unit,
        is_length=is_length,
        least=_value(table.get("min"), table.place("min"), is_length=is_length),
        most=_value(table.get("max"), table.place("max"), is_length=is_length),
        step=_value(table.get("step"), table.place("step"), is_length=is_length),
        default=value,
        value=value,
    )
    if found.step <= 0 or found.least >= found.most:
        raise ConfigError(
            where, f"found {found.least:g} to {found.most:g} by {found.step:g}", "write min below max, and a step"
        )
    check_value(found, value, where)
    return found


def _check_named(name: str, condition: Mapping[str, Any], where: str) -> None:
    points = condition.get("points")
    if not _NAME.fullmatch(name) or (isinstance(points, Mapping) and name in points):
        raise ConfigError(where, f"{name!r} cannot stand for a number there", "choose a name that no point has")
    if not re.search(rf"\b{name}\b", str(condition.get("when", ""))):
        raise ConfigError(where, f"the expression does not name {name!r}", "write it there, or leave the parameter out")


def _title(table: Table) -> Text:
    if not table.has("title"):
        return Text()
    title = Table(table.get("title"), table.place("title"), ("zh", "en"))
    return Text(zh=title.text("zh"), en=title.text("en"))


def _value(raw: object, where: str, *, is_length: bool) -> float:
    if is_length:
        return parse_duration(raw, where) / SECOND
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise ConfigError(where, f"found {kind_of(raw)}", "write a finite number")
    return float(raw)


def check_value(parameter: Parameter, value: float, where: str) -> None:
    """Raise :class:`ConfigError` where a parameter may not have a value."""
    unit = f" {parameter.unit}" if parameter.unit else ""
    if not math.isfinite(value) or not parameter.least - _SLACK <= value <= parameter.most + _SLACK:
        bounds = f"{parameter.least:g} to {parameter.most:g}{unit}"
        raise ConfigError(where, f"{value:g}{unit} is out of bounds", f"choose from {bounds}")
    steps = (value - parameter.least) / parameter.step
    if abs(steps - round(steps)) > 1e-6:
        lower = parameter.least + math.floor(steps) * parameter.step
        upper = min(lower + parameter.step, parameter.most)
        raise ConfigError(
            where, f"{value:g}{unit} lies between two steps of {parameter.step:g}", f"choose {lower:g} or {upper:g}"
        )


def with_numbers(raw: object, parameters: tuple[Parameter, ...]) -> object:
    """Return a condition's table with the numbers in the place of what stands for them in its expression."""
    if not isinstance(raw, Mapping) or raw.get("kind") != "expression" or not isinstance(raw.get("when"), str):
        return raw
    when = raw["when"]
    for parameter in parameters:
        if parameter.name not in raw:
            when = re.sub(rf"\b{parameter.name}\b", f"({parameter.value!r})", when)
    return {**raw, "when": when}


def written(parameter: Parameter, value: float) -> float | str:
    """Return a value as it is written in a file of rules."""
    if not parameter.is_length:
        return value
    return f"{value:.6f}".rstrip("0").rstrip(".") + " s"
