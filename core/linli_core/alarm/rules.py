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
import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from linli_core.alarm.rule import (
    Absence,
    Category,
    Condition,
    Limit,
    Priority,
    Rule,
    Scope,
    StateIs,
    SubjectKind,
    Text,
)
from linli_core.errors import ConfigError
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant

_UNITS: Final = {"ms": SECOND // 1000, "s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}
_DURATION: Final = re.compile(r"(?P<number>\d{1,9}(?:\.\d{1,6})?) ?(?P<unit>ms|s|min|h|d)", re.ASCII)
_RULE_ID: Final = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+", re.ASCII)

_EnumT = TypeVar("_EnumT", bound=StrEnum)


class _Table:
    """A TOML table that is read key by key and must be used up."""

    def __init__(self, table: object, where: str, known: Iterable[str]) -> None:
        if not isinstance(table, Mapping):
            raise ConfigError(where, f"found {_kind(table)}", "write a table")
        self._table = table
        self.where = where
        names = tuple(known)
        for key in table:
            if key not in names:
                near = difflib.get_close_matches(str(key), names, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}"
                raise ConfigError(f"{where}.{key}", "no such key", hint)

    def has(self, key: str) -> bool:
        return key in self._table

    def get(self, key: str) -> object:
        return self._table.get(key)

    def place(self, key: str) -> str:
        return f"{self.where}.{key}"

    def text(self, key: str, default: str | None = None) -> str:
        value = self._table.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            raise ConfigError(self.place(key), f"found {_kind(value)}", "write a text")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self._table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(self.place(key), f"found {_kind(value)}", "write a finite number")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            raise ConfigError(self.place(key), f"found {_kind(value)}", "write true or false")
        return value

    def duration(self, key: str, default: Instant) -> Instant:
        if key not in self._table:
            return default
        value = self._table[key]
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ConfigError(self.place(key), f"found {_kind(value)}", 'write a duration such as "90 s" or "15 min"')
        return round(float(match["number"]) * _UNITS[match["unit"]])

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise ConfigError(self.place(key), f"found {_kind(value)}", "write a list of texts")
        return tuple(value)

    def choice(self, key: str, choices: type[_EnumT], default: _EnumT | None = None) -> _EnumT:
        value = self._table.get(key, default)
        try:
            return choices(value)
        except ValueError:
            known = ", ".join(choices)
            raise ConfigError(self.place(key), f"found {_kind(value)}", f"write one of {known}") from None


def _kind(value: object) -> str:
    return "nothing" if value is None else repr(value)[:80]


def parse_rules(text: str, where: str) -> list[Rule]:
    """Return the rules of a TOML text.

    Args:
        text: The file's content.
        where: What to call it in errors, such as its name.

    Raises:
        ConfigError: A rule cannot be used.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(where, f"no TOML: {exc}", "mend the syntax there") from exc
    top = _Table(document, where, ("rules",))
    tables = top.get("rules")
    if not isinstance(tables, list):
        raise ConfigError(top.place("rules"), f"found {_kind(tables)}", "write [[rules]] tables")
    rules = [_rule(table, f"{where}: rules[{number}]") for number, table in enumerate(tables)]
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        if rule.id in seen:
            raise ConfigError(
                f"{where}: rules[{number}].id", f"{rule.id!r} is there twice", "give each rule its own id"
            )
        seen.add(rule.id)
    return rules


_RULE_KEYS: Final = (
    "id", "category", "priority", "quantity", "unit", "scope", "condition", "latched", "title", "consequence",
    "response", "clause", "corrective_action",
)  # fmt: skip


def _rule(raw: object, where: str) -> Rule:
    table = _Table(raw, where, _RULE_KEYS)
    rule_id = table.text("id")
    if not _RULE_ID.fullmatch(rule_id):
        raise ConfigError(table.place("id"), f"found {rule_id!r}", "write category.name in lower case with hyphens")
    condition = _condition(table.get("condition"), table.place("condition"))
    quantity = table.text("quantity", "")
    if not quantity and not isinstance(condition, Absence):
        raise ConfigError(table.place("quantity"), "found nothing", "name the quantity that is watched")
    if isinstance(condition, Limit) and not table.has("unit"):
        raise ConfigError(table.place("unit"), "found nothing", "write the unit the limit is in")
    return Rule(
        id=rule_id,
        category=table.choice("category", Category),
        priority=table.choice("priority", Priority),
        condition=condition,
        quantity=quantity,
        unit=table.text("unit", ""),
        scope=_scope(table.get("scope"), table.place("scope")) if table.has("scope") else Scope(),
        latched=table.flag("latched"),
        title=_text(table.get("title"), table.place("title")),
        consequence=_text(table.get("consequence"), table.place("consequence")),
        response=_text(table.get("response"), table.place("response")),
        clause=table.text("clause", ""),
        corrective_action=table.flag("corrective_action"),
    )


def _text(raw: object, where: str) -> Text:
    table = _Table(raw, where, ("zh", "en"))
    return Text(zh=table.text("zh"), en=table.text("en"))


def _scope(raw: object, where: str) -> Scope:
    table = _Table(raw, where, ("gateways", "devices", "kinds", "tags", "points"))
    return Scope(
        gateways=table.texts("gateways"),
        devices=table.texts("devices"),
        kinds=table.texts("kinds"),
        tags=table.texts("tags"),
        points=table.texts("points"),
    )


class _ConditionKind(StrEnum):
    LIMIT = "limit"
    STATE = "state"
    ABSENCE = "absence"


_CONDITION_KEYS: Final = {
    _ConditionKind.LIMIT: ("kind", "high", "low", "hysteresis", "on_delay", "off_delay"),
    _ConditionKind.STATE: ("kind", "values", "on_delay", "off_delay"),
    _ConditionKind.ABSENCE: ("kind", "of", "bad_counts", "after", "intervals", "until_known"),
}


def _condition(raw: object, where: str) -> Condition:
    every = {key for keys in _CONDITION_KEYS.values() for key in keys}
    kind = _Table(raw, where, sorted(every)).choice("kind", _ConditionKind)
    table = _Table(raw, where, _CONDITION_KEYS[kind])
    if kind is _ConditionKind.LIMIT:
        return _limit(table)
    if kind is _ConditionKind.STATE:
        return StateIs(_states(table), on_delay=table.duration("on_delay", 0), off_delay=table.duration("off_delay", 0))
    intervals = table.number("intervals", 0.0)
    if intervals and intervals < 1:
        raise ConfigError(table.place("intervals"), f"found {intervals:g}", "wait for at least one interval")
    after = table.duration("after", 60 * SECOND)
    if after <= 0:
        raise ConfigError(table.place("after"), "found no time at all", "wait for at least some milliseconds")
    return Absence(
        of=table.choice("of", SubjectKind, SubjectKind.POINT),
        bad_counts=table.flag("bad_counts"),
        after=after,
        intervals=intervals,
        until_known=table.duration("until_known", HOUR),
    )


def _limit(table: _Table) -> Limit:
    if table.has("high") == table.has("low"):
        found = "found both high and low" if table.has("high") else "found neither high nor low"
        raise ConfigError(table.where, found, "write one of them; the other limit is a rule of its own, with its texts")
    hysteresis = table.number("hysteresis", 0.0)
    if hysteresis < 0:
        raise ConfigError(table.place("hysteresis"), f"found {hysteresis:g}", "write 0 or more")
    return Limit(
        high=table.number("high") if table.has("high") else None,
        low=table.number("low") if table.has("low") else None,
        hysteresis=hysteresis,
        on_delay=table.duration("on_delay", 0),
        off_delay=table.duration("off_delay", 0),
    )


def _states(table: _Table) -> tuple[bool | float | str, ...]:
    values = table.get("values")
    if not isinstance(values, list) or not values or not all(isinstance(v, bool | int | float | str) for v in values):
        raise ConfigError(table.place("values"), f"found {_kind(values)}", "write a list of states, such as [true]")
    return tuple(values)


def check_rules(rules: Iterable[Rule], units: Mapping[str, str]) -> None:
    """Check rules against the vocabulary.

    Args:
        rules: The rules.
        units: The unit of each quantity.

    Raises:
        ConfigError: A rule watches an unknown quantity, or its limits are in another unit.
    """
    for rule in rules:
        if not rule.quantity:
            continue
        if rule.quantity not in units:
            near = difflib.get_close_matches(rule.quantity, units, 1)
            hint = f"did you mean {near[0]!r}?" if near else "choose one from the vocabulary"
            raise ConfigError(f"rule {rule.id}.quantity", f"no quantity is called {rule.quantity!r}", hint)
        if isinstance(rule.condition, Limit) and rule.unit != units[rule.quantity]:
            found = f"{rule.unit!r} is not the unit of {rule.quantity}"
            raise ConfigError(f"rule {rule.id}.unit", found, f"write the limit in {units[rule.quantity]!r}")


def find_mistakes(text: str, where: str, units: Mapping[str, str]) -> list[ConfigError]:
    """Return what is wrong with each rule of a TOML text, one mistake of each: :func:`parse_rules` stops at the first.

    Args:
        text: The file's content.
        where: What to call it in errors, such as its name.
        units: The unit of each quantity.
    """
    try:
        document = tomllib.loads(text)
        tables = document.get("rules")
        if set(document) - {"rules"} or not isinstance(tables, list):
            parse_rules(text, where)
    except tomllib.TOMLDecodeError as exc:
        return [ConfigError(where, f"no TOML: {exc}", "mend the syntax there")]
    except ConfigError as exc:
        return [exc]
    mistakes: list[ConfigError] = []
    seen: set[str] = set()
    for number, table in enumerate(tables or ()):
        place = f"{where}: rules[{number}]"
        try:
            rule = _rule(table, place)
            check_rules([rule], units)
        except ConfigError as exc:
            mistakes.append(exc)
            continue
        if rule.id in seen:
            mistakes.append(ConfigError(f"{place}.id", f"{rule.id!r} is there twice", "give each rule its own id"))
        seen.add(rule.id)
    return mistakes
