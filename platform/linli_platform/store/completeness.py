"""Completeness in the DuckDB file: late readings as they come, and days as they are counted.

Late readings leave a note in the transaction that stores them: which quarter of an hour they are of. So they are
counted once, and a day they change is found again after a crash. Quarters, for no time zone's days begin elsewhere.

A note says much the same of all points of a gateway: column by column and as differences it packs to a hundredth. As it
is in memory a backlog's notes came to as much as its readings, and each checkpoint wrote all of them anew.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.completeness import Completeness
from linli_core.instant import MINUTE, Instant
from linli_core.model import Quality, quality_code
from linli_platform.store import LATE, Batch, CompleteDay, DayCounts, packed
from linli_platform.store.statements import registered

QUARTER: Final = 15 * MINUTE
_NOTE: Final = np.dtype([("series", "<i4"), ("quarter", "<i8"), ("readings", "<i8")])
_PACKED: Final = struct.Struct("<iiqq")
"""Begins a note that is packed: 0, which is no series' number, how many rows, and its first and last quarter. Up to
version 3 of the file none was."""

_LEVEL: Final = 1
_EVER: Final = 2**62
_DENSE: Final = 8
"""Up to so many cells for each row are counted in place."""

_AT_ONCE: Final = 128
"""Notes read at a time, as they are packed."""

_UNCERTAIN: Final = quality_code(Quality.UNCERTAIN)


def note_late(batch: Batch, rows: NDArray[np.int64]) -> bytes:
    """Return which rows of a batch come long after they were made, to be written with them; nothing if none does."""
    times = batch.time[rows]
    late = batch.received_at - times > LATE
    if not late.any():
        return b""
    return _packed(_summed(batch.series[rows][late], times[late] // QUARTER, np.ones(int(late.sum()), np.int64)))


def insert_late(connection: duckdb.DuckDBPyConnection, number: int, body: bytes) -> None:
    """Write a note of late rows. As one value: as rows it would cost half as much again as the readings themselves."""
    connection.execute("INSERT INTO late_journal VALUES (?, ?)", [number, body])


def newest_note(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the number of the newest note."""
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM late_journal").fetchall()[0]
    return int(number)


def late_days(connection: duckdb.DuckDBPyConnection) -> list[Instant]:
    """Return the beginning of each quarter of an hour of which late readings wait to be counted."""
    quarters: set[int] = set()
    for _, body in _read(connection, newest_note(connection)):
        quarters.update(np.unique(_unpacked(body)["quarter"]).tolist())
    return [quarter * QUARTER for quarter in sorted(quarters)]


@dataclass(frozen=True, slots=True)
class LateOfDay:
    """What notes say of one day.

    Attributes:
        counts: Late readings by series; as long as it must be.
        spent: Numbers of the notes that say anything of it.
        left: What these say of other days, by number.
    """

    counts: NDArray[np.int64]
    spent: list[int]
    left: dict[int, bytes]


def late_of_day(connection: duckdb.DuckDBPyConnection, through: int, start: Instant, end: Instant) -> LateOfDay:
    """Add up what notes up to a number say of a day. A backlog leaves thousands of them with millions of rows."""
    first, last = start // QUARTER, -(-end // QUARTER) - 1
    counts = np.zeros(0, np.int64)
    spent: list[int] = []
    left: dict[int, bytes] = {}
    for number, body in _read(connection, through):
        begins, ends = _span(body)
        if ends < first or begins > last:
            continue
        note = _unpacked(body)
        of_day = (note["quarter"] >= first) & (note["quarter"] <= last)
        mine = note[of_day]
        if not len(mine):
            continue
        size = max(len(counts), int(mine["series"].max()) + 1)
        found = np.bincount(mine["series"], weights=mine["readings"], minlength=size)
        counts = np.pad(counts, (0, size - len(counts))) + found.astype(np.int64)
        spent.append(number)
        if len(others := note[~of_day]):
            left[number] = _packed(others)
    return LateOfDay(counts, spent, left)


def _read(connection: duckdb.DuckDBPyConnection, through: int) -> Iterator[tuple[int, bytes]]:
    """Yield the notes up to a number, a few in memory at a time."""
    first = -1
    while rows := connection.execute(
        "SELECT number, body FROM late_journal WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
        [first, through, _AT_ONCE],
    ).fetchall():
        yield from rows
        first = rows[-1][0]


def _packed(note: NDArray[np.void]) -> bytes:
    columns = b"".join(np.diff(note[name], prepend=note[name].dtype.type(0)).tobytes() for name in _NOTE.names or ())
    quarters = note["quarter"]
    return _PACKED.pack(0, len(note), quarters.min(), quarters.max()) + zlib.compress(columns, _LEVEL)


def _is_packed(body: bytes) -> bool:
    # One row that is not packed is shorter than what begins a packed note.
    return body.startswith(bytes(4))


def _span(body: bytes) -> tuple[int, int]:
    """Return the first and the last quarter of a note that is packed, and for ever of one that is not."""
    if not _is_packed(body):
        return -_EVER, _EVER
    _, _, first, last = _PACKED.unpack_from(body)
    return first, last


def _unpacked(body: bytes) -> NDArray[np.void]:
    if not _is_packed(body):
        return np.frombuffer(body, _NOTE)
    _, rows, _, _ = _PACKED.unpack_from(body)
    columns = zlib.decompress(memoryview(body)[_PACKED.size :], bufsize=rows * _NOTE.itemsize)
    note = np.empty(rows, _NOTE)
    at = 0
    for name in _NOTE.names or ():
        column = np.frombuffer(columns, _NOTE[name], rows, at)
        note[name] = np.cumsum(column)
        at += column.nbytes
    return note


def _summed(series: NDArray[Any], quarters: NDArray[np.int64], readings: NDArray[Any]) -> NDArray[np.void]:
    """Return a note: how many readings of each series and quarter."""
    first = quarters.min()
    span = int(quarters.max() - first) + 1
    cells = series.astype(np.int64) * span + (quarters - first)
    if (int(cells.max()) + 1) <= _DENSE * len(cells):  # counted in place: a backlog's millions need no sorting
        sums = np.bincount(cells, weights=readings)
        places = np.flatnonzero(sums)
        counts = sums[places]
    else:
        places, which = np.unique(cells, return_inverse=True)
        counts = np.bincount(which, weights=readings)
    note = np.empty(len(places), _NOTE)
    note["series"], note["quarter"] = places // span, places % span + first
    note["readings"] = counts.astype(np.int64)
    return note


def count_readings(connection: duckdb.DuckDBPyConnection, start: Instant, end: Instant) -> DayCounts:
    """Count a day's readings."""
    # First: late readings that come meanwhile are counted, if at all, but not yet called late.
    through = newest_note(connection)
    rows = connection.execute(
        "SELECT series, count(*), count(*) FILTER (quality < ?)"  # noqa: S608 - numbers
        f" FROM {packed.readings(start, end)} WHERE time >= ? AND time < ? GROUP BY 1",
        [_UNCERTAIN, start, end],
    ).fetchall()
    return DayCounts({series: (received, good) for series, received, good in rows}, through)


@dataclass(frozen=True, slots=True)
class Day:
    """A day as it will be written.

    Attributes:
        start: When it begins.
        columns: Its rows.
        late: What was counted in from notes.
    """

    start: Instant
    columns: dict[str, NDArray[Any]]
    late: LateOfDay


def make_day(
    connection: duckdb.DuckDBPyConnection,
    start: Instant,
    end: Instant,
    expected: Mapping[int, int | None],
    counts: DayCounts,
) -> Day:
    """Return a day as it is to be written. This may take seconds, and needs no transaction: nobody waits for it."""
    late: dict[int, int] = dict(
        connection.execute("SELECT series, late FROM completeness WHERE day = ?", [start]).fetchall()
    )
    noted = late_of_day(connection, counts.through, start, end)
    for series in np.flatnonzero(noted.counts).tolist():
        late[series] = late.get(series, 0) + int(noted.counts[series])
    ids = sorted(expected.keys() | counts.readings.keys() | late.keys())
    found = [counts.readings.get(series, (0, 0)) for series in ids]
    due = [expected.get(series) for series in ids]
    columns: dict[str, NDArray[Any]] = {
        "series": np.array(ids, np.int32),
        "due": np.array([-1 if number is None else number for number in due], np.int64),
        "received": np.array([received for received, _ in found], np.int64),
        "good": np.array([good for _, good in found], np.int64),
        "late": np.array([late.get(series, 0) for series in ids], np.int64),
    }
    return Day(start, columns, noted)


def write_day(connection: duckdb.DuckDBPyConnection, day: Day, now: Instant) -> None:
    """Write a day anew; runs inside its caller's transaction. Between its making and this no other may be written."""
    if day.late.spent:
        with registered(connection, "spent", {"number": np.array(day.late.spent, np.int64)}):
            connection.execute("DELETE FROM late_journal WHERE number IN (SELECT number FROM spent)")
    if left := day.late.left:
        columns = {"number": np.array(list(left), np.int64), "body": np.array(list(left.values()), object)}
        with registered(connection, "left_over", columns):
            connection.execute("INSERT INTO late_journal SELECT number, body FROM left_over")
    connection.execute("DELETE FROM completeness WHERE day = ?", [day.start])
    if not len(day.columns["series"]):
        return
    with registered(connection, "new_day", day.columns):
        connection.execute(
            "INSERT INTO completeness SELECT series, ?, CASE WHEN due >= 0 THEN due END, received, good, late, ?"
            " FROM new_day",
            [day.start, now],
        )


def read_days(
    connection: duckdb.DuckDBPyConnection, series: Iterable[int], start: Instant, end: Instant
) -> list[CompleteDay]:
    """Return the days of series, by series and day."""
    rows = connection.execute(
        "SELECT series, day, expected, received, good, late, computed FROM completeness"
        " WHERE day >= ? AND day < ? AND list_contains(?, series) ORDER BY series, day",
        [start, end, list(series)],
    ).fetchall()
    return [CompleteDay(row[0], row[1], Completeness(*row[2:6]), row[6]) for row in rows]
