"""The private layouts that ship with Linli, a file each; read once."""

import tomllib
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from linli_core.codecs.wmbus.layout import Layout, Where, parse_layout
from linli_core.errors import ConfigError


@cache
def bundled() -> Mapping[str, Layout]:
    """Return the layouts by their ids, in the order of those."""
    found: dict[str, Layout] = {}
    for file in sorted(files(__name__).iterdir(), key=lambda each: each.name):
        if file.name.endswith(".toml"):
            identifier = file.name.removesuffix(".toml")
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8"))
            except tomllib.TOMLDecodeError as exc:
                raise ConfigError(file.name, str(exc), "correct the TOML") from exc
            found[identifier] = parse_layout(identifier, table)
    return found


@cache
def of_maker() -> Mapping[tuple[Where, str], tuple[Layout, ...]]:
    """Return the layouts by the part they read and the manufacturer's letters."""
    found: defaultdict[tuple[Where, str], list[Layout]] = defaultdict(list)
    for layout in bundled().values():
        for letters in layout.file.match.manufacturer:
            found[layout.file.match.where, letters].append(layout)
    return {key: tuple(layouts) for key, layouts in found.items()}
