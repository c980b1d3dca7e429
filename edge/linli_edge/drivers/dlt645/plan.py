"""Which requests a poll consists of: blocks where a meter has them, single values where not; and what was learnt."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from linli_core.codecs.dlt645 import Dictionary, Edition, Item
from linli_core.codecs.dlt645.dictionary import block_of
from linli_core.instant import HOUR, Instant

RELEARN: Final = HOUR
"""How long a refusal is believed before the identifier is asked for again."""


@dataclass
class Memory:
    """What was learnt of one meter; it outlives a connection.

    Attributes:
        edition: The edition it answered in.
        number: The meter number it told.
        swaps: How often another meter number was told than before.
        refused: Identifier it does not have → when it said so.
        proven: Blocks it has answered.
    """

    edition: Edition | None = None
    number: str = ""
    swaps: int = 0
    refused: dict[int, Instant] = field(default_factory=dict)
    proven: set[int] = field(default_factory=set)

    def refuse(self, identifier: int, now: Instant) -> None:
        """Note that the meter has no such identifier."""
        self.refused[identifier] = now

    def forget(self, now: Instant) -> None:
        """Forget refusals that are too old to be believed."""
        for identifier, when in list(self.refused.items()):
            if not 0 <= now - when < RELEARN:
                del self.refused[identifier]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what of its answer is wanted.

    Attributes:
        identifier: What is asked for.
        wanted: The values; of a block those that were asked for, in order.
        parts: The single identifiers it stands for; empty for a single one.
    """

    identifier: int
    wanted: tuple[Item, ...]
    parts: tuple[int, ...] = ()


class ReadPlan:
    """The requests of one poll.

    Attributes:
        items: Every value that the poll yields when all goes well, in order.
    """

    def __init__(self, identifiers: Iterable[int], words: Dictionary, *, tariffs: int, blocks: bool) -> None:
        """Store what is wanted.

        Args:
            identifiers: As the profile lists them: single ones and blocks.
            words: What they name.
            tariffs: How many tariffs of a block are expected.
            blocks: Whether it is worth asking for blocks at all.
        """
        self.words = words
        self._blocks = blocks
        self._groups: dict[int, list[Item]] = {}
        for identifier in identifiers:
            for item in _expected(words.layout(identifier), tariffs):
                group = self._groups.setdefault(self._block(identifier, item), [])
                if item not in group:
                    group.append(item)
        self.items = tuple(item for group in self._groups.values() for item in group)

    def requests(self, memory: Memory) -> list[Request]:
        """Return what to ask for, as the meter's refusals have shaped it."""
        found: list[Request] = []
        for block, group in self._groups.items():
            singles = tuple(dict.fromkeys(item.identifier for item in group))
            if len(singles) > 1 and self._blocks and block not in memory.refused:
                found.append(Request(block, tuple(group), singles))
                continue
            found += self.singles(group, memory)
        return found

    def singles(self, wanted: Sequence[Item], memory: Memory) -> list[Request]:
        """Return the single requests for some values, without those the meter refused."""
        by_identifier: dict[int, list[Item]] = {}
        for item in wanted:
            by_identifier.setdefault(item.identifier, []).append(item)
        return [
            Request(identifier, tuple(items))
            for identifier, items in by_identifier.items()
            if identifier not in memory.refused
        ]

    def denied(self, memory: Memory) -> list[Item]:
        """Return the values that are wanted and that the meter does not have."""
        return [item for item in self.items if item.identifier in memory.refused]

    def _block(self, asked: int, item: Item) -> int:
        """Return the block a value is asked for in: the one that was listed, or the one it stands in."""
        if item.identifier != asked:
            return asked
        block = block_of(self.words.edition, item.identifier)
        # A maker's own meaning is not the block's.
        return item.identifier if block is None or item not in self.words.layout(block) else block


def _expected(items: Sequence[Item], tariffs: int) -> list[Item]:
    return [item for item in items if item.tariff is None or item.tariff <= tariffs]
