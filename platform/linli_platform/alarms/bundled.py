"""Reading rule files: those that ship with the platform, or an operator's folder."""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from linli_core.alarm import Rule, check_rules, parse_rules
from linli_core.errors import ConfigError
from linli_core.vocabulary import vocabulary


def load_rules(folder: Path | None = None) -> list[Rule]:
    """Return the rules of every ``*.toml`` in a folder, by file name; the bundled ones where none is given.

    Raises:
        ConfigError: A file cannot be read, a rule cannot be used, or two rules share an id.
    """
    root: Traversable = folder if folder is not None else resources.files(__package__) / "rules"
    rules: dict[str, Rule] = {}
    try:
        files = sorted((item for item in root.iterdir() if item.name.endswith(".toml")), key=lambda item: item.name)
        texts = [(item.name, item.read_text(encoding="utf-8")) for item in files]
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(root), f"cannot read the rules: {exc}", "name a readable folder of TOML files") from exc
    for name, text in texts:
        for rule in parse_rules(text, name):
            if rule.id in rules:
                raise ConfigError(name, f"rule {rule.id!r} is in another file too", "give each rule its own id")
            rules[rule.id] = rule
    check_rules(rules.values(), {quantity.name: quantity.unit for quantity in vocabulary().values()})
    return list(rules.values())
