"""Rules and what people changed of them as one file that another platform takes in, and a person can read."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from linli_core.alarm import Rule
from linli_core.alarm.rules import read_rule
from linli_core.alarm.table import Table, kind_of
from linli_core.errors import ConfigError
from linli_platform.alarms.rulebook import Setting

MOST: Final = 10_000
"""Rules and values of one file."""

_KEYS: Final = ("rule", "area", "parameter", "value")
_ORDER: Final = (
    "id", "category", "priority", "quantity", "unit", "scope", "condition", "parameters", "schedule", "latched",
    "title", "cause", "consequence", "response", "respond_within", "clause",
)  # fmt: skip


def exported(files: Iterable[Rule], settings: Iterable[Setting]) -> str:
    """Return rules as their files have them, and the values that people gave their parameters, as TOML."""
    blocks = [_block("rules", _ordered(json.loads(rule.source))) for rule in files if rule.source]
    for one in settings:
        told = {"rule": one.rule, "area": one.area, "parameter": one.parameter, "value": one.value}
        blocks.append(_block("values", {key: value for key, value in told.items() if value != ""}))
    return "\n".join(blocks)


def imported(text: str, where: str) -> tuple[list[Rule], list[Setting]]:
    """Return what such a file holds; raise :class:`ConfigError` where it cannot be used."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(where, f"no TOML: {exc}", "take what 'rules export' wrote") from exc
    top = Table(document, where, ("rules", "values"))
    found: list[list[object]] = []
    for key in ("rules", "values"):
        tables = top.get(key)
        if tables is not None and not isinstance(tables, list):
            raise ConfigError(top.place(key), f"found {kind_of(tables)}", f"write [[{key}]] tables")
        found.append(tables or [])
    if sum(map(len, found)) > MOST:
        raise ConfigError(where, f"more than {MOST} rules and values", "import them in parts")
    rules = [read_rule(raw, f"{where}: rules[{number}]") for number, raw in enumerate(found[0])]
    return rules, [_setting(raw, f"{where}: values[{number}]") for number, raw in enumerate(found[1])]


def _setting(raw: object, where: str) -> Setting:
    table = Table(raw, where, _KEYS)
    return Setting(table.text("rule"), table.text("area", ""), table.text("parameter"), table.number("value"))


def _ordered(raw: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: raw[key] for key in _ORDER if key in raw}
    return known | {key: value for key, value in raw.items() if key not in known}


def _block(name: str, table: Mapping[str, Any]) -> str:
    return "\n".join([f"[[{name}]]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items()), ""])


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):
        # A basic string of TOML escapes as JSON does, but for the one character that JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
