"""Messages out of a damaged log file, past everything but the pages they stand on.

A query finds a row through the pages above it: one damaged page up there hides a hundred sound ones. Here every page
that looks like a leaf of a table is read for what it is, and a row is believed if its own checksum says so.
The file format: https://www.sqlite.org/fileformat2.html (§1.6 b-tree pages, §2.1 record format).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from linli_edge.outbox.store import Row, is_sound

Page = Callable[[int], bytes]
"""Returns a page by its number, from 1; ``IndexError`` where there is none."""

_HEADER: Final = 100
_LEAF: Final = 0x0D
_COLUMNS: Final = 8
_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST_OVERFLOW: Final = 4096


def sound_rows(path: Path) -> Iterator[Row]:
    """Yield every row of ``message`` in a file whose checksum proves it, in the order of the pages; some may be stale.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEADER)
        size = int.from_bytes(head[16:18]) if len(head) == _HEADER else 0
        size = 65536 if size == 1 else size
        if size < 512 or size & (size - 1):
            return
        usable = size - head[20]
        count = file.seek(0, 2) // size

        def page(number: int) -> bytes:
            if not 1 <= number <= count:
                raise IndexError
            file.seek((number - 1) * size)
            return file.read(size)

        for number in range(1, count + 1):
            try:
                data = page(number)
            except OSError:
                continue  # a sector that cannot be read
            start = _HEADER if number == 1 else 0
            if data[start] != _LEAF:
                continue
            cells = int.from_bytes(data[start + 3 : start + 5])
            for place in range(min(cells, size // 4)):
                at = int.from_bytes(data[start + 8 + 2 * place : start + 10 + 2 * place])
                try:
                    row = _row(*_payload(data, at, usable, page))
                except (IndexError, ValueError, OSError):
                    continue
                if row[7] is not None and is_sound(row):
                    yield row


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


def _row(seq: int, record: bytes) -> Row:
    end, at = _varint(record, 0)
    types = []
    while at < end:
        kind, at = _varint(record, at)
        types.append(kind)
    if len(types) != _COLUMNS or types[0] != 0 or at != end:
        raise ValueError("no row of ours")
    numbers: list[int] = []
    body = b""
    for column, kind in enumerate(types[1:], 1):
        if column == 6:
            if kind < 12 or kind % 2:
                raise ValueError("no body")
            size = (kind - 12) // 2
            body = record[at : at + size]
        else:
            size = _INTEGERS.get(kind, 0)
            if not size and kind not in {8, 9}:
                raise ValueError("no number")
            numbers.append(int.from_bytes(record[at : at + size], signed=True) if size else kind - 8)
        at += size
    if at > len(record):
        raise ValueError("the record ends before its last column")
    kind, priority, observed_from, observed_to, readings, crc = numbers
    return seq, kind, priority, observed_from, observed_to, readings, body, crc
