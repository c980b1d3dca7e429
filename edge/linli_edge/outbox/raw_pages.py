"""Messages and totals out of a damaged log file, past everything but the pages they stand on.

A query finds a row through the pages above it: one damaged page up there hides a hundred sound ones. Here every page
that looks like a leaf of a table is read for what it is, and a row is believed if its own checksum says so.
The file format: https://www.sqlite.org/fileformat2.html (§1.6 b-tree pages, §2.1 record format).
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from linli_edge.outbox.head import Head, head_of
from linli_edge.outbox.store import PAGES, Row, is_sound

Page = Callable[[int], bytes]
"""Returns a page by its number, from 1; ``IndexError`` where there is none."""

_HEADER: Final = 100
_AHEAD_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_LEAF: Final = 0x0D
_COLUMNS: Final = 8
_HEAD_COLUMNS: Final = 3
_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST_OVERFLOW: Final = 4096


def sound_rows(path: Path) -> Iterator[Row]:
    """Yield every row of ``message`` in a file whose checksum proves it, in the order of the pages; some may be stale.

    Raises:
        OSError: The file cannot be read.
    """
    for seq, record in _records(path):
        try:
            row = _row(seq, record)
        except (IndexError, ValueError):
            continue
        if row[7] is not None and is_sound(row):
            yield row


def sound_head(path: Path) -> Head | None:
    """Return the newest totals in a file whose checksum proves them.

    Raises:
        OSError: The file cannot be read.
    """
    heads = []
    for key, record in _records(path):
        try:
            cells = _cells(record)
            if key != 1 or len(cells) != _HEAD_COLUMNS or cells[0] is not None or not isinstance(cells[2], int):
                continue
            heads.append(head_of((key, cells[1], cells[2] % 2**32)))
        except (IndexError, ValueError, sqlite3.DatabaseError):
            continue
    return max(heads, key=lambda head: head.next_seq, default=None)


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the key and the record of every cell of every page that looks like a leaf of a table.

    The write-ahead file beside it is searched too: SQLite does not play it into a file whose first page it refuses.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        beside = path.with_name(f"{path.name}-wal")
        ahead: BinaryIO = stack.enter_context(beside.open("rb")) if beside.exists() else BytesIO()
        for size in _sizes(file.read(_HEADER)):
            yield from _records_of(file, ahead, size)


def _records_of(file: BinaryIO, ahead: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield what :func:`_records` does, from pages of one size."""
    count = file.seek(0, 2) // size
    frames = _frames(ahead, size)

    def page(number: int) -> bytes:
        if number in frames.newest:
            ahead.seek(frames.newest[number])
            return ahead.read(size)
        if not 1 <= number <= count:
            raise IndexError
        file.seek((number - 1) * size)
        return file.read(size)

    for number in range(1, count + 1):
        with suppress(OSError):  # a sector that cannot be read
            file.seek((number - 1) * size)
            yield from _leaf(file.read(size), number, page)
    for number, place in frames.all:
        with suppress(OSError):
            ahead.seek(place)
            yield from _leaf(ahead.read(size), number, page)


def _sizes(head: bytes) -> Sequence[int]:
    """Return the size of a page as a header says it; every size we ever made, if the header is damaged itself.

    A row is believed by its checksum, so pages cut wrongly make none that never was.
    """
    size = int.from_bytes(head[16:18])
    return PAGES if size < min(PAGES) or size & (size - 1) else (size,)


def _leaf(data: bytes, number: int, page: Page) -> Iterator[tuple[int, bytes]]:
    start = _HEADER if number == 1 else 0
    if len(data) <= start or data[start] != _LEAF:
        return
    cells = int.from_bytes(data[start + 3 : start + 5])
    for place in range(min(cells, len(data) // 4)):
        at = int.from_bytes(data[start + 8 + 2 * place : start + 10 + 2 * place])
        with suppress(IndexError, ValueError, OSError):
            yield _payload(data, at, len(data), page)


@dataclass(slots=True)
class _Frames:
    """Where pages stand in a write-ahead file: all, and of those of its present round the newest of each."""

    all: list[tuple[int, int]] = field(default_factory=list)
    newest: dict[int, int] = field(default_factory=dict)


def _frames(ahead: BinaryIO, size: int) -> _Frames:
    """Return the pages of a write-ahead file (§4.1 of the file format)."""
    ahead.seek(0)
    head = ahead.read(_AHEAD_HEADER)
    found = _Frames()
    end = ahead.seek(0, 2)
    for place in range(_AHEAD_HEADER, end - _FRAME_HEADER - size + 1, _FRAME_HEADER + size):
        ahead.seek(place)
        try:
            frame = ahead.read(_FRAME_HEADER)
        except OSError:
            continue
        number = int.from_bytes(frame[:4])
        found.all.append((number, place + _FRAME_HEADER))
        if frame[8:16] == head[16:24]:
            found.newest[number] = place + _FRAME_HEADER
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9


def _payload(data: bytes, at: int, usable: int, page: Page) -> tuple[int, bytes]:
    """Return a cell's row number and its record, put together from overflow pages where it is long."""
    total, at = _varint(data, at)
    seq, at = _varint(data, at)
    most = usable - 35
    if total <= most:
        return seq, data[at : at + total]
    least = (usable - 12) * 32 // 255 - 23
    local = least + (total - least) % (usable - 4)
    local = local if local <= most else least
    parts, left = [data[at : at + local]], total - local
    following = int.from_bytes(data[at + local : at + local + 4])
    if total > _MOST_OVERFLOW * usable:
        raise ValueError("no message is as long")
    while left > 0:
        overflow = page(following)
        parts.append(overflow[4 : 4 + min(left, usable - 4)])
        left -= usable - 4
        following = int.from_bytes(overflow[:4])
    return seq, b"".join(parts)


def _cells(record: bytes) -> list[int | bytes | None]:
    """Return the values of a record; text and fractions are none of ours."""
    end, at = _varint(record, 0)
    types = []
    while at < end:
        kind, at = _varint(record, at)
        types.append(kind)
    if at != end:
        raise ValueError("the record's header ends elsewhere")
    cells: list[int | bytes | None] = []
    for kind in types:
        if kind == 0:
            cells.append(None)
            continue
        if kind in {8, 9}:
            cells.append(kind - 8)
            continue
        is_blob = kind >= 12 and kind % 2 == 0
        size = (kind - 12) // 2 if is_blob else _INTEGERS.get(kind, 0)
        if not size and not is_blob:
            raise ValueError("neither number nor body")
        cell = record[at : at + size]
        cells.append(cell if is_blob else int.from_bytes(cell, signed=True))
        at += size
    if at > len(record):
        raise ValueError("the record ends before its last column")
    return cells


def _row(seq: int, record: bytes) -> Row:
    cells = _cells(record)
    if len(cells) != _COLUMNS or cells[0] is not None:
        raise ValueError("no row of ours")
    *numbers, body, crc = cells[1:]
    numbers.append(crc)
    found = [number for number in numbers if isinstance(number, int)]
    if len(found) != len(numbers) or not isinstance(body, bytes):
        raise ValueError("no row of ours")
    kind, priority, observed_from, observed_to, readings, check = found
    return seq, kind, priority, observed_from, observed_to, readings, body, check
