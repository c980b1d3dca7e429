"""Which requests read which points: neighbours together, small holes read through, refused blocks split.

Pure. A plan changes only through :meth:`RequestPlan.refused` and :meth:`RequestPlan.forget`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from linli_core.instant import Instant
from linli_core.model import Point
from linli_edge.drivers.modbus.decode import BlockDecoder
from linli_edge.drivers.modbus.registers import MappedPoint, RegisterTable

Entry = tuple[MappedPoint, Point]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device can take in one request.

    Attributes:
        registers: Most registers; the protocol allows 125, many devices fewer.
        bits: Most coils or discrete inputs; the protocol allows 2000.
        gap: Most unwanted registers (or bits) that are read through to save a request.
    """

    registers: int = 125
    bits: int = 2000
    gap: int = 8

    def most(self, table: RegisterTable) -> int:
        """Return the most addresses of one request to a table."""
        return min(table.maximum, self.bits if table.bits else self.registers)


class Block:
    """One request and the points its answer holds.

    Attributes:
        table: Table of the device.
        address: First address.
        count: How many addresses.
        entries: The points, in the order of their addresses.
        points: The same as points of the model.
        decoder: Turns the answer's data bytes into readings.
    """

    __slots__ = ("address", "count", "decoder", "entries", "points", "table")

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(sorted(entries, key=_span))
        self.table = self.entries[0][0].table
        self.address = self.entries[0][0].address
        self.count = max(entry.end for entry, _ in self.entries) - self.address
        self.points = tuple(point for _, point in self.entries)
        self.decoder = BlockDecoder(self.address, self.entries)

    def split(self) -> "tuple[Block, Block] | None":
        """Return two smaller blocks: cut at the widest hole, else in the middle; ``None`` where nothing can be cut.

        A hole that was read through is the likeliest reason for a refusal. Points with the very same addresses (bit
        fields of one register) share their fate.
        """
        groups = [list(group) for _, group in groupby(self.entries, key=_span)]
        if len(groups) == 1:
            return None
        best, widest, end = len(groups) // 2, 0, groups[0][0][0].end
        for place, group in enumerate(groups[1:], start=1):
            hole = group[0][0].address - end
            if hole > widest:
                best, widest = place, hole
            end = max(end, group[0][0].end)
        left = [entry for group in groups[:best] for entry in group]
        right = [entry for group in groups[best:] for entry in group]
        return Block(left), Block(right)


def _span(entry: Entry) -> tuple[int, int]:
    return entry[0].address, entry[0].end


def blocks_of(entries: Iterable[Entry], limits: Limits) -> list[Block]:
    """Return the fewest requests, greedily from the lowest address, that read every point once.

    Raises:
        ValueError: A single point is longer than a request may be; the configuration refuses it earlier.
    """
    blocks: list[Block] = []
    tables: dict[RegisterTable, list[Entry]] = {}
    for entry in entries:
        tables.setdefault(entry[0].table, []).append(entry)
    for table, members in tables.items():
        most = limits.most(table)
        group: list[Entry] = []
        first = end = 0
        for entry in sorted(members, key=_span):
            mapped = entry[0]
            if mapped.count > most:
                raise ValueError(f"{mapped.where}: {mapped.count} addresses in one value, {most} allowed")
            if group and mapped.address - end <= limits.gap and max(end, mapped.end) - first <= most:
                group.append(entry)
                end = max(end, mapped.end)
                continue
            if group:
                blocks.append(Block(group))
            group, first, end = [entry], mapped.address, mapped.end
        blocks.append(Block(group))
    return blocks


class RequestPlan:
    """The requests of one poll, and what the device taught us about them.

    Attributes:
        blocks: The requests in force.
        denied: Points that the device refuses even when asked for alone: not asked again until :meth:`forget`.
        changed_at: When a refusal first changed the plan; ``None`` while it is as planned.
    """

    def __init__(self, entries: Sequence[Entry], limits: Limits) -> None:
        self._entries = tuple(entries)
        self._limits = limits
        self.blocks: list[Block] = blocks_of(entries, limits)
        self.denied: list[Point] = []
        self.changed_at: Instant | None = None

    def refused(self, block: Block, now: Instant, *, whole: bool = False) -> tuple[Block, ...]:
        """Take note that the device refuses a block; return the blocks to ask for in its place (none: denied).

        Args:
            block: One of :attr:`blocks`.
            now: Present instant.
            whole: The refusal is not about these addresses (the function is unknown): splitting is no use.
        """
        self.changed_at = now if self.changed_at is None else self.changed_at
        place = self.blocks.index(block)
        parts = None if whole else block.split()
        if parts is None:
            self.denied.extend(block.points)
            del self.blocks[place]
            return ()
        self.blocks[place : place + 1] = parts
        return parts

    def forget(self) -> None:
        """Start again from the unsplit plan: a device may have been changed or updated."""
        self.changed_at = None
        self.blocks = blocks_of(self._entries, self._limits)
        self.denied = []
