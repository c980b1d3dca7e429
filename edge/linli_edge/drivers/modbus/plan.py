"""Which requests read which points: neighbours together, small holes read through, refused blocks split.

Pure. A plan changes only through :meth:`RequestPlan.refused` and :meth:`RequestPlan.forget`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from typing import Final

from linli_core.instant import Instant
from linli_core.model import Point, Reading, Reason, missing
from linli_edge.drivers.modbus.decode import BlockDecoder
from linli_edge.drivers.modbus.registers import ADDRESSES, MappedPoint, Multiplier, RegisterTable

Entry = tuple[MappedPoint, Point | None]
"""Where something stands, and its point; none for a register that is read only to multiply others."""

Factors = dict[MappedPoint, Fraction | Reason]
"""What each multiplying register has turned out to be worth in a poll."""

_KEPT: Final = 8
"""Decoders that a block keeps for different scale factors: a device that changes them does so among few."""

_NOBODY: Final = Point("multiplier", "multiplier")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device can take in one request.

    Attributes:
        registers: Most registers; the protocol allows 125, many devices fewer.
        bits: Most coils or discrete inputs; the protocol allows 2000.
        gap: Most unwanted registers (or bits) that are read through to save a request.
        even: Whether only even numbers of registers may be asked for.
    """

    registers: int = 125
    bits: int = 2000
    gap: int = 8
    even: bool = False

    def most(self, table: RegisterTable) -> int:
        """Return the most addresses of one request to a table."""
        most = min(table.maximum, self.bits if table.bits else self.registers)
        return most - most % 2 if self.even and not table.bits else most


class Block:
    """One request and the points its answer holds.

    Attributes:
        table: Table of the device.
        address: First address.
        count: How many addresses.
        entries: What stands in it, in the order of the addresses.
        points: The points of the model among them.
        gives: The multiplying registers among them.
        needs: What its points are to be multiplied by; it may stand in other blocks.
    """

    __slots__ = ("_decoders", "_wanted", "address", "count", "entries", "even", "gives", "needs",
                 "points", "table")  # fmt: skip

    def __init__(self, entries: Sequence[Entry], *, even: bool = False) -> None:
        self.entries = tuple(sorted(entries, key=_span))
        self.even = even
        self.table = self.entries[0][0].table
        self.address = self.entries[0][0].address
        count = max(entry.end for entry, _ in self.entries) - self.address
        # The register behind is asked for as well; at the very end of the table there is none.
        odd = even and not self.table.bits and count % 2 and self.address + count < ADDRESSES
        self.count = count + 1 if odd else count
        self._wanted = [(entry, point) for entry, point in self.entries if point is not None]
        self.points = tuple(point for _, point in self._wanted)
        self.gives = tuple(entry for entry, point in self.entries if point is None)
        self.needs: tuple[Multiplier, ...] = tuple(
            {one: None for entry, _ in self._wanted for one in entry.multipliers}
        )
        self._decoders: dict[tuple[Fraction | Reason, ...], tuple[BlockDecoder, list[tuple[Point, Reason]]]] = {}
        if not self.needs:
            self._decoders[()] = BlockDecoder(self.address, self._wanted), []

    def factors_in(self, data: bytes) -> Factors:
        """Return what the multiplying registers of this block hold."""
        return {
            entry: reading.reason or Reason.NOT_A_NUMBER if reading.value is None else Fraction(str(reading.value))
            for entry in self.gives
            for reading in BlockDecoder(self.address, [(entry, _NOBODY)]).decode(data, 0)
        }

    def decode(
        self, data: bytes, observed_at: Instant, factors: Mapping[MappedPoint, Fraction | Reason]
    ) -> list[Reading]:
        """Return one reading for each point.

        Args:
            data: The data bytes of the answer.
            observed_at: When it came.
            factors: What the multiplying registers hold, those of other blocks included. A point whose multiplier is
                not among them, or makes no sense, is BAD.
        """
        key: tuple[Fraction | Reason, ...] = tuple(_worth(one, factors) for one in self.needs)
        known = self._decoders.get(key)
        if known is None:
            if len(self._decoders) >= _KEPT:
                self._decoders.clear()
            known = self._decoders[key] = self._compiled(dict(zip(self.needs, key, strict=True)))
        decoder, unscaled = known
        readings = decoder.decode(data, observed_at)
        readings += [missing(point, observed_at, reason) for point, reason in unscaled]
        return readings

    def _compiled(
        self, worth: Mapping[Multiplier, Fraction | Reason]
    ) -> tuple[BlockDecoder, list[tuple[Point, Reason]]]:
        """Return the decoder for one set of multipliers, and the points that have none."""
        scaled: list[tuple[MappedPoint, Point]] = []
        unscaled: list[tuple[Point, Reason]] = []
        for entry, point in self._wanted:
            factor: Fraction | Reason = entry.factor
            for one in entry.multipliers:
                number = worth[one]
                factor = (
                    number if isinstance(number, Reason) else factor if isinstance(factor, Reason) else factor * number
                )
            if isinstance(factor, Reason):
                unscaled.append((point, factor))
            else:
                scaled.append((replace(entry, factor=factor), point))
        return BlockDecoder(self.address, scaled), unscaled

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
        return Block(left, even=self.even), Block(right, even=self.even)


def _worth(one: Multiplier, factors: Mapping[MappedPoint, Fraction | Reason]) -> Fraction | Reason:
    held = factors.get(one.register, Reason.NO_COMMUNICATION)
    return held if isinstance(held, Reason) else one.number(held)


def _span(entry: Entry) -> tuple[int, int]:
    return entry[0].address, entry[0].end


def blocks_of(entries: Iterable[Entry], limits: Limits) -> list[Block]:
    """Return the fewest requests, greedily from the lowest address, that read every point once.

    Registers that multiply are read with them, each once.

    Raises:
        ValueError: A single point is longer than a request may be; the configuration refuses it earlier.
    """
    blocks: list[Block] = []
    tables: dict[RegisterTable, list[Entry]] = {}
    wanted = list(entries)
    multipliers = {one.register: None for mapped, _ in wanted for one in mapped.multipliers}
    for entry in [*wanted, *((register, None) for register in multipliers)]:
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
                blocks.append(Block(group, even=limits.even))
            group, first, end = [entry], mapped.address, mapped.end
        blocks.append(Block(group, even=limits.even))
    return blocks


class RequestPlan:
    """The requests of one poll, and what the device taught us about them.

    Attributes:
        blocks: The requests in force.
        denied: Points that the device refuses even when asked for alone: not asked again until :meth:`forget`.
        denied_factors: The same for registers that multiply.
        changed_at: When a refusal first changed the plan; ``None`` while it is as planned.
    """

    def __init__(self, entries: Sequence[Entry], limits: Limits, *, apart: Sequence[Entry] = ()) -> None:
        """Plan the requests.

        Args:
            entries: What to read.
            limits: What the device can take.
            apart: What to read before, in requests of its own.
        """
        self._entries = tuple(entries)
        self._apart = tuple(apart)
        self._limits = limits
        self.blocks: list[Block] = self._planned()
        self.denied: list[Point] = []
        self.denied_factors: Factors = {}
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
            self.denied_factors.update(dict.fromkeys(block.gives, Reason.REFUSED_BY_DEVICE))
            del self.blocks[place]
            return ()
        self.blocks[place : place + 1] = parts
        return parts

    def forget(self) -> None:
        """Start again from the unsplit plan: a device may have been changed or updated."""
        self.changed_at = None
        self.blocks = self._planned()
        self.denied = []
        self.denied_factors = {}

    def _planned(self) -> list[Block]:
        before = blocks_of(self._apart, self._limits) if self._apart else []
        return before + blocks_of(self._entries, self._limits)
