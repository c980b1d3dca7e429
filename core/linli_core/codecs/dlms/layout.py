"""Push lists that do not say all of themselves, as data: ``layouts.toml`` beside this module."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_core.obis import Obis, parse

_FILE: Final = "layouts.toml"


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    positions: list[list[str]]
    scale: dict[str, tuple[int, str]]
    list_id: str = ""
    channel: int | None = None
    inherits: str = ""


class Layout(msgspec.Struct, frozen=True):
    """What a maker's list leaves out.

    Attributes:
        name: Its name.
        list_id: What the list's own first text begins with; empty: it cannot be told from the data.
        channel: Group B of the meter's codes that means nothing.
        positions: By the number of elements: the code of each.
        scale: By groups C and D: power of ten and unit.
    """

    name: str
    list_id: str
    channel: int | None
    positions: Mapping[int, tuple[Obis, ...]]
    scale: Mapping[tuple[int, int], tuple[int, str]]

    def scaled(self, code: Obis) -> tuple[int, str] | None:
        """Return power of ten and unit of a code's numbers."""
        return self.scale.get((code.c, code.d))

    def plain(self, code: Obis) -> Obis:
        """Return a code without the channel that means nothing."""
        if self.channel is not None and code.b == self.channel:
            return Obis(code.a, 0, code.c, code.d, code.e, code.f)
        return code


@cache
def layouts() -> Mapping[str, Layout]:
    """Return the layouts by name; read once."""
    text = files("linli_core.codecs.dlms").joinpath(_FILE).read_text(encoding="utf-8")
    try:
        rows = msgspec.convert(tomllib.loads(text), dict[str, _Row])
        return {name: _layout(name, row, rows) for name, row in rows.items()}
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, ValueError, KeyError) as exc:
        raise ConfigError(_FILE, str(exc), "see the head of the file for the fields") from exc


def _layout(name: str, row: _Row, rows: Mapping[str, _Row]) -> Layout:
    scale = (rows[row.inherits].scale if row.inherits else {}) | row.scale
    return make_layout(name, row.list_id, row.channel, row.positions, scale)


def make_layout(
    name: str,
    list_id: str,
    channel: int | None,
    positions: Sequence[Sequence[str]],
    scale: Mapping[str, tuple[int, str]],
) -> Layout:
    """Return a layout from its texts; ``ValueError`` for what is no code."""
    by_count = {len(codes): tuple(map(parse, codes)) for codes in positions}
    pairs = {(code.c, code.d): value for text, value in scale.items() for code in [parse(text)]}
    return Layout(name, list_id, channel, by_count, pairs)


def layout_of(list_id: str) -> Layout | None:
    """Return the layout of a list by what it calls itself."""
    return next(
        (layout for layout in layouts().values() if layout.list_id and list_id.startswith(layout.list_id)), None
    )
