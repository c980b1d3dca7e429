"""A rule as somebody made it: its parameters at other values, read again like any rule, with the same care."""

import json
from collections.abc import Mapping

import msgspec

from linli_core.alarm.parameters import check_value, written
from linli_core.alarm.rule import Rule
from linli_core.alarm.rules import read_rule
from linli_core.errors import ConfigError


def adjusted(rule: Rule, values: Mapping[str, float]) -> Rule:
    """Return a rule with other values of some parameters.

    Args:
        rule: As its file has it.
        values: By parameter; lengths of time in seconds.

    Raises:
        ConfigError: It has no such parameter, a value is out of bounds, or with these the rule cannot be used.
    """
    where = f"rule {rule.id}"
    if not values:
        return rule
    known = {parameter.name: parameter for parameter in rule.parameters}
    raw = json.loads(rule.source) if rule.source else {}
    for name, value in values.items():
        parameter = known.get(name)
        if parameter is None:
            names = ", ".join(known) or "it has none"
            raise ConfigError(f"{where}.parameters.{name}", "there is no such parameter", f"choose one: {names}")
        check_value(parameter, value, f"{where}.parameters.{name}")
        table, key = (raw["condition"], name) if name in raw["condition"] else (raw["parameters"][name], "value")
        if value != parameter.value:
            table[key] = written(parameter, value)
    found = read_rule(raw, where)
    kept = [msgspec.structs.replace(one, default=known[one.name].default) for one in found.parameters]
    return msgspec.structs.replace(found, parameters=tuple(kept))
