"""Which values an identifier names: the two standards' tables, and what a meter's profile adds to them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from linli_core.codecs.dlt645 import identifiers_1997, identifiers_2007
from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.dlt645.item import Item

_KEPT: Final = 4096


@lru_cache(maxsize=_KEPT)
def standard_layout(edition: Edition, identifier: int) -> tuple[Item, ...]:
    """Return the values that an identifier names in the standard; see the two tables."""
    if edition is Edition.E2007:
        return identifiers_2007.layout(identifier)
    return identifiers_1997.layout(identifier)


class Dictionary:
    """The identifiers of one kind of meter.

    Attributes:
        edition: Whose table is looked into.
    """

    def __init__(self, edition: Edition, own: Mapping[int, tuple[Item, ...]] | None = None) -> None:
        """Store the edition, and what the maker has given a meaning of its own."""
        self.edition = edition
        self._own = dict(own or {})

    def layout(self, identifier: int) -> tuple[Item, ...]:
        """Return the values an identifier names, in the order they are sent; none for one that is unknown."""
        return self._own.get(identifier) or standard_layout(self.edition, identifier)

    def is_block(self, identifier: int) -> bool:
        """Tell whether an identifier names several values that can also be read one by one."""
        items = self.layout(identifier)
        return len(items) > 1 and any(item.identifier != identifier for item in items)

    def show(self, identifier: int) -> str:
        """Return an identifier as it is printed: ``0001FF00``, ``9010``."""
        return show(self.edition, identifier)


STANDARD: Final = {edition: Dictionary(edition) for edition in Edition}
"""The standards' own tables."""


def show(edition: Edition, identifier: int) -> str:
    """Return an identifier as it is printed: ``0001FF00``, ``9010``."""
    return f"{identifier:0{2 * edition.identifier_size}X}"


def block_of(edition: Edition, identifier: int) -> int | None:
    """Return the block in which a single value stands beside its like; ``None`` where it has none worth asking for.

    Energies and demands are grouped by tariff, variables by phase, state words by number.
    """
    if edition is Edition.E1997:
        block = identifier | 0xF
        return block if len(standard_layout(edition, block)) > 1 else None
    kind = identifier >> 24
    if kind in (0x00, 0x01) or (kind == 0x02 and identifier >> 16 & 0xFF != 0x80):
        block = identifier | 0xFF00
    elif kind == 0x04 and identifier >> 8 == 0x040005:
        block = identifier | 0xFF
    else:
        return None
    items = standard_layout(edition, block)
    return block if len(items) > 1 and any(item.identifier == identifier for item in items) else None
