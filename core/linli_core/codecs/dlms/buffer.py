"""Buffers of profiles (load curves, billing): rows of columns, in which null means "as before"."""

from typing import Final

import msgspec

from linli_core.codecs.dlms.axdr import ARRAY, NULL, OCTETS, STRUCTURE, Item
from linli_core.codecs.dlms.clock import SIZE, CosemTime, decode_time
from linli_core.errors import ProtocolError
from linli_core.instant import SECOND, Instant
from linli_core.obis import Obis

CLOCK: Final = 8
"""Class id of the clock."""


class Column(msgspec.Struct, frozen=True):
    """A capture object: class, code, attribute."""

    interface: int
    code: Obis
    attribute: int = 2


class Row(msgspec.Struct, frozen=True):
    """One entry.

    Attributes:
        instant: Its time; ``None`` if the profile has no clock, or the time before it is not known.
        items: A value for each column but the clocks'; ``None`` where there was none yet to stand for.
    """

    instant: Instant | None
    items: tuple[Item | None, ...]


def rows_of(buffer: Item, columns: tuple[Column, ...], period: int, utc_offset: int = 0) -> list[Row]:
    """Return the rows of a buffer.

    A null in a clock column is the time before and one period; in any other it is the value before.

    Args:
        buffer: The array of structures.
        columns: The capture objects, in order.
        period: Capture period in seconds.
        utc_offset: Minutes the meter's clock is east of UTC, where it names no deviation.

    Raises:
        ProtocolError: It is no buffer of these columns.
    """
    if buffer.tag != ARRAY:
        raise ProtocolError(f"a buffer is an array, not {buffer.name}", offset=buffer.offset)
    rows: list[Row] = []
    before: list[Item | None] = [None] * len(columns)
    instant: Instant | None = None
    for entry in buffer.items:
        if entry.tag != STRUCTURE or len(entry.items) != len(columns):
            raise ProtocolError(f"an entry is a structure of {len(columns)}", kind="wrong_columns", offset=entry.offset)
        for place, (column, item) in enumerate(zip(columns, entry.items, strict=True)):
            if column.interface == CLOCK:
                instant = _instant(item, instant, period, utc_offset)
            elif item.tag != NULL:
                before[place] = item
        rows.append(
            Row(instant, tuple(item for item, column in zip(before, columns, strict=True) if column.interface != CLOCK))
        )
    return rows


def _instant(item: Item, before: Instant | None, period: int, utc_offset: int) -> Instant | None:
    if item.tag == NULL:
        return before + period * SECOND if before is not None and period else None
    if isinstance(item.value, CosemTime):
        return item.value.instant(utc_offset)
    if item.tag == OCTETS and isinstance(item.value, bytes) and len(item.value) == SIZE:
        return decode_time(item.value).instant(utc_offset)
    raise ProtocolError(f"a time is twelve octets or null, not {item.name}", offset=item.offset)
