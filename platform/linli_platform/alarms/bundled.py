"""Reading rule files and their timelines: those that ship with the platform, or an operator's folder."""

from collections.abc import Callable, Iterator, Sequence
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


def load_rules(folder: Path | None = None, packs: Sequence[str] = ()) -> list[Rule]:
    """Return the rules of every ``*.toml`` in a folder and below, by file name, and of packs.

    Args:
        folder: An operator's own; the bundled rules where none is given.
        packs: Names of :func:`pack_names`.

    Raises:
        ConfigError: A file cannot be read, a rule cannot be used, two rules share an id, or there is no such pack.
    """
    rules: dict[str, Rule] = {}
    for name, text in rule_texts(folder, packs):
        for rule in parse_rules(text, name):
            if rule.id in rules:
                raise ConfigError(name, f"rule {rule.id!r} is in another file too", "give each rule its own id")
            rules[rule.id] = rule
    check_rules(rules.values(), units())
    return list(rules.values())


def load_timelines(folder: Path | None = None, packs: Sequence[str] = ()) -> list[Timeline]:
    """Return the timelines that stand beside the rules; raises as :func:`load_rules` does."""
    return [timeline for name, text in timeline_texts(folder, packs) for timeline in parse_timelines(text, name)]


def rule_texts(folder: Path | None = None, packs: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the name and text of each file of rules; raises as :func:`load_rules` does."""
    return _texts(folder, packs, lambda name: name.endswith(".toml") and not name.endswith(TIMELINES))


def timeline_texts(folder: Path | None = None, packs: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return the name and text of each file of timelines; raises as :func:`load_rules` does."""
    return _texts(folder, packs, lambda name: name.endswith(TIMELINES))


def pack_names() -> list[str]:
    """Return the packs of rules that ship with the platform and are in force where the settings name them."""
    root = _packs()
    return sorted(item.name for item in root.iterdir() if item.is_dir()) if root.is_dir() else []


def _packs() -> Traversable:
    return resources.files("linli_platform") / "packs"


def units() -> dict[str, str]:
    """Return the unit of each quantity of the vocabulary."""
    return {quantity.name: quantity.unit for quantity in vocabulary().values()}


def _texts(folder: Path | None, packs: Sequence[str], wanted: Callable[[str], bool]) -> list[tuple[str, str]]:
    roots: list[tuple[str, Traversable]] = [
        ("", folder if folder is not None else resources.files(__package__) / "rules")
    ]
    for pack in packs:
        if pack not in pack_names():
            remedy = f"choose among {', '.join(pack_names()) or 'none'}"
            raise ConfigError("packs", f"no pack of rules is called {pack!r}", remedy)
        roots.append((f"{pack}/", _packs() / pack))
    found: list[tuple[str, str]] = []
    for before, root in roots:
        try:
            found += [
                (name, item.read_text(encoding="utf-8")) for name, item in sorted(_below(root, before)) if wanted(name)
            ]
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(
                str(root), f"cannot read the rules: {exc}", "name a readable folder of TOML files"
            ) from exc
    return found


def _below(root: Traversable, before: str = "") -> Iterator[tuple[str, Traversable]]:
    for item in root.iterdir():
        if item.is_dir():
            yield from _below(item, f"{before}{item.name}/")
        elif item.name.endswith(".toml"):
            yield f"{before}{item.name}", item
