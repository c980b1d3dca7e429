"""Rules from TOML: every mistake names its place, what was found and what to do.

::

    [[rules]]
    id = "food.cold-room-warm"
    category = "food"
    priority = "high"
    quantity = "air_temperature"
    unit = "Cel"
    scope = { devices = ["cold-room*"] }
    condition = { kind = "limit", high = 8.0, hysteresis = 1.0, on_delay = "5 s" }
    title = { zh = "冷库温度过高", en = "Cold room too warm" }
    ...
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from linli_core.alarm.conditions import (
    Absence,
    Balance,
    Baseline,
    Condition,
    Expression,
    Figure,
    Limit,
    MeanKinetic,
    NightFlow,
    Pattern,
)
from linli_core.alarm.parameters import read_parameters, with_numbers
from linli_core.alarm.parsing import parse_condition, parse_schedule, parse_scope
from linli_core.alarm.rule import Category, Priority, Rule, Text
from linli_core.alarm.schedule import ALWAYS
from linli_core.alarm.scope import EVERYWHERE
from linli_core.alarm.table import Table, kind_of
from linli_core.errors import ConfigError
from linli_core.instant import MINUTE

_RULE_ID: Final = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+", re.ASCII)


def parse_rules(text: str, where: str) -> list[Rule]:
    """Return the rules of a TOML text.

    Args:
        text: The file's content.
        where: What to call it in errors, such as its name.

    Raises:
        ConfigError: A rule cannot be used.
    """
    tables = _tables(text, where)
    rules = [read_rule(table, f"{where}: rules[{number}]") for number, table in enumerate(tables)]
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        if rule.id in seen:
            raise _twice(rule, f"{where}: rules[{number}]")
        seen.add(rule.id)
    return rules


def _tables(text: str, where: str) -> list[object]:
    """Return the tables of the rules in a TOML text, unread."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(where, f"no TOML: {exc}", "mend the syntax there") from exc
    top = Table(document, where, ("rules",))
    tables = top.get("rules")
    if not isinstance(tables, list):
        raise ConfigError(top.place("rules"), f"found {kind_of(tables)}", "write [[rules]] tables")
    return tables


def _twice(rule: Rule, where: str) -> ConfigError:
    return ConfigError(f"{where}.id", f"{rule.id!r} is there twice", "give each rule its own id")


_RULE_KEYS: Final = (
    "id", "category", "priority", "quantity", "unit", "scope", "condition", "latched", "title", "cause",
    "consequence", "response", "respond_within", "clause", "corrective_action", "schedule", "supersedes",
    "retrospective", "parameters",
)  # fmt: skip


def read_rule(raw: object, where: str) -> Rule:
    """Return the rule of a table; raise :class:`ConfigError` where it cannot be used."""
    table = Table(raw, where, _RULE_KEYS)
    rule_id = table.text("id")
    if not _RULE_ID.fullmatch(rule_id):
        raise ConfigError(table.place("id"), f"found {rule_id!r}", "write category.name in lower case with hyphens")
    parameters = read_parameters(table, table.get("condition"))
    condition = parse_condition(with_numbers(table.get("condition"), parameters), table.place("condition"))
    quantity = table.text("quantity", "")
    if not quantity and not isinstance(condition, Absence | Pattern | Expression):
        raise ConfigError(table.place("quantity"), "found nothing", "name the quantity that is watched")
    if _has_unit(condition) and not table.has("unit"):
        raise ConfigError(table.place("unit"), "found nothing", "write the unit the limit is in")
    return Rule(
        id=rule_id,
        category=table.choice("category", Category),
        priority=table.choice("priority", Priority),
        condition=condition,
        quantity=quantity,
        unit=table.text("unit", ""),
        scope=parse_scope(table.get("scope"), table.place("scope")) if table.has("scope") else EVERYWHERE,
        latched=table.flag("latched"),
        title=_text(table.get("title"), table.place("title")),
        cause=_text(table.get("cause"), table.place("cause")) if table.has("cause") else Text(),
        consequence=_text(table.get("consequence"), table.place("consequence")),
        response=_text(table.get("response"), table.place("response")),
        respond_within=table.duration("respond_within", 0),
        clause=table.text("clause", ""),
        corrective_action=table.flag("corrective_action"),
        schedule=parse_schedule(table.get("schedule"), table.place("schedule")) if table.has("schedule") else ALWAYS,
        supersedes=table.texts("supersedes"),
        retrospective=table.duration("retrospective", 15 * MINUTE),
        parameters=parameters,
        source=json.dumps(raw, ensure_ascii=False, separators=(",", ":"), default=str),
    )


def _has_unit(condition: Condition) -> bool:
    """Tell whether a condition has limits that are written in a unit."""
    return isinstance(condition, Limit | Figure | Baseline | NightFlow | Balance)


def _text(raw: object, where: str) -> Text:
    table = Table(raw, where, ("zh", "en"))
    return Text(zh=table.text("zh"), en=table.text("en"))


def check_rules(rules: Iterable[Rule], units: Mapping[str, str]) -> None:
    """Check rules against the vocabulary.

    Args:
        rules: The rules.
        units: The unit of each quantity.

    Raises:
        ConfigError: A rule watches an unknown quantity, or its limits are in another unit.
    """
    for rule in rules:
        for place, quantity in _quantities(rule):
            if quantity not in units:
                near = difflib.get_close_matches(quantity, units, 1)
                hint = f"did you mean {near[0]!r}?" if near else "choose one from the vocabulary"
                raise ConfigError(f"rule {rule.id}.{place}", f"no quantity is called {quantity!r}", hint)
        if not rule.quantity or not _has_unit(rule.condition):
            continue
        unit = units[rule.quantity]
        if rule.unit != unit:
            found = f"{rule.unit!r} is not the unit of {rule.quantity}"
            raise ConfigError(f"rule {rule.id}.unit", found, f"write the limit in {unit!r}")
        if isinstance(rule.condition, MeanKinetic) and unit != "Cel":
            raise ConfigError(f"rule {rule.id}.unit", f"{unit!r} is no temperature", "watch one in Cel")


def _quantities(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the quantities a rule names, and where."""
    if rule.quantity:
        yield "quantity", rule.quantity
    if isinstance(rule.condition, Pattern):
        for name, happening in (("a", rule.condition.a), ("b", rule.condition.b)):
            if happening is not None and happening.quantity:
                yield f"condition.{name}.quantity", happening.quantity


def find_mistakes(text: str, where: str, units: Mapping[str, str]) -> list[ConfigError]:
    """Return what is wrong with each rule of a TOML text, one mistake of each: :func:`parse_rules` stops at the first.

    Args:
        text: The file's content.
        where: What to call it in errors, such as its name.
        units: The unit of each quantity.
    """
    try:
        tables = _tables(text, where)
    except ConfigError as exc:
        return [exc]
    mistakes: list[ConfigError] = []
    seen: set[str] = set()
    for number, table in enumerate(tables):
        place = f"{where}: rules[{number}]"
        try:
            rule = read_rule(table, place)
            check_rules([rule], units)
        except ConfigError as exc:
            mistakes.append(exc)
            continue
        if rule.id in seen:
            mistakes.append(_twice(rule, place))
        seen.add(rule.id)
    return mistakes
