"""Reading rule files and their timelines: those that ship with the platform, or an operator's folder."""

from collections.abc import Callable, Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from linli_core.alarm import Rule, check_rules, parse_rules
from linli_core.alarm.timeline import Timeline, parse_timelines
from linli_core.errors import ConfigError
from linli_core.vocabulary import vocabulary

TIMELINES: Final = ".timelines.toml"
"""What the name of a file of timelines ends in; it stands beside the rules it is about."""


def load_rules(folder: Path | None = None) -> list[Rule]:
    """Return the rules of every ``*.toml`` in a folder and below, by file name; the bundled ones where none is given.

    Raises:
        ConfigError: A file cannot be read, a rule cannot be used, or two rules share an id.
    """
    rules: dict[str, Rule] = {}
    for name, text in rule_texts(folder):
        for rule in parse_rules(text, name):
            if rule.id in rules:
                raise ConfigError(name, f"rule {rule.id!r} is in another file too", "give each rule its own id")
            rules[rule.id] = rule
    check_rules(rules.values(), units())
    return list(rules.values())


def load_timelines(folder: Path | None = None) -> list[Timeline]:
    """Return the timelines that stand beside the rules of a folder; raises as :func:`load_rules` does."""
    return [timeline for name, text in timeline_texts(folder) for timeline in parse_timelines(text, name)]


def rule_texts(folder: Path | None = None) -> list[tuple[str, str]]:
    """Return the name and text of each file of rules; raise ``ConfigError`` if one cannot be read."""
    return _texts(folder, lambda name: name.endswith(".toml") and not name.endswith(TIMELINES))


def timeline_texts(folder: Path | None = None) -> list[tuple[str, str]]:
    """Return the name and text of each file of timelines; raise ``ConfigError`` if one cannot be read."""
    return _texts(folder, lambda name: name.endswith(TIMELINES))


def units() -> dict[str, str]:
    """Return the unit of each quantity of the vocabulary."""
    return {quantity.name: quantity.unit for quantity in vocabulary().values()}


def _texts(folder: Path | None, wanted: Callable[[str], bool]) -> list[tuple[str, str]]:
    root: Traversable = folder if folder is not None else resources.files(__package__) / "rules"
    try:
        return [(name, item.read_text(encoding="utf-8")) for name, item in sorted(_below(root)) if wanted(name)]
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(root), f"cannot read the rules: {exc}", "name a readable folder of TOML files") from exc


def _below(root: Traversable, before: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in root.iterdir():
        if item.is_dir():
            yield from _below(item, f"{before}{item.name}/")
        else:
            yield f"{before}{item.name}", item
