"""The texts people meet, in Chinese and English, by one key each (``zh.toml``, ``en.toml``).

``text("page.title", "zh")``; placeholders are ``{name}``. A test holds both files to the same keys and placeholders.
Where a number stands before a noun, the key has two forms, ``one`` and ``many``: ``counted`` takes the right one.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final, Literal

Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")


@cache
def catalogue(lang: Language) -> Mapping[str, str]:
    """Return every text of a language by its dotted key."""
    content = (resources.files(__package__) / f"{lang}.toml").read_text(encoding="utf-8")
    return MappingProxyType(dict(_flatten("", tomllib.loads(content))))


def _flatten(prefix: str, table: Mapping[str, object]) -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            flat += _flatten(f"{prefix}{key}.", value)
        else:
            flat.append((prefix + key, str(value)))
    return flat


def text(key: str, lang: Language, **values: object) -> str:
    """Return a text with its placeholders filled in; ``KeyError`` for a key or a placeholder that is not there."""
    return catalogue(lang)[key].format_map(values)


def counted(key: str, lang: Language, count: int, **values: object) -> str:
    """Return a text that depends on a number, ``{count}`` in it: 1 meter, 2 meters."""
    return text(f"{key}.one" if count == 1 else f"{key}.many", lang, **{"count": f"{count:,}", **values})
