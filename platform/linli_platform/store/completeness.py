"""Completeness in the DuckDB file: late readings as they come, and days as they are counted.

Late readings leave a note in the transaction that stores them: which quarter of an hour they are of. So they are
counted once, and a day they change is found again after a crash. Quarters, for no time zone's days begin elsewhere.

A note says much the same of all points of a gateway: column by column and as differences it packs to a hundredth. As it
is in memory a backlog's notes came to as much as its readings, and each checkpoint wrote all of them anew.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.completeness import Completeness
from linli_core.instant import MINUTE, Instant
from linli_core.model import Quality, quality_code
from linli_platform.store import LATE, Batch, CompleteDay, DayCounts
from linli_platform.store.statements import registered

QUARTER: Final = 15 * MINUTE
_NOTE: Final = np.dtype([("series", "<i4"), ("quarter", "<i8"), ("readings", "<i8")])
_PACKED: Final = struct.Struct("<ii")
"""Begins a note that is packed: 0, which is no series' number, and how many rows. Up to version 3 none was."""

_LEVEL: Final = 1
_TOGETHER: Final = 500_000
"""So many rows of notes are added up before more are read."""

_DENSE: Final = 8
"""Up to so many cells for each row are counted in place."""

_AT_ONCE: Final = 32
"""Notes read at a time; one holds at most a commit's rows."""

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
    for note in _read(connection, newest_note(connection)):
        quarters.update(np.unique(note["quarter"]).tolist())
    return [quarter * QUARTER for quarter in sorted(quarters)]


def _notes(connection: duckdb.DuckDBPyConnection, through: int) -> NDArray[np.void]:
    """Return all notes up to a number, as one; a backlog leaves millions of rows that come to a few."""
    parts: list[NDArray[np.void]] = []
    held = 0
    limit = _TOGETHER
    for note in _read(connection, through):
        parts.append(note)
        held += len(note)
        if held >= limit:
            parts = [_together(parts)]
            held = len(parts[0])
            limit = held + max(held, _TOGETHER)
    return _together(parts) if parts else np.empty(0, _NOTE)


def _read(connection: duckdb.DuckDBPyConnection, through: int) -> Iterator[NDArray[np.void]]:
    """Yield the notes up to a number, a few in memory at a time."""
    first = -1
    while rows := connection.execute(
        "SELECT number, body FROM late_journal WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
        [first, through, _AT_ONCE],
    ).fetchall():
        for number, body in rows:
            first = number
            yield _unpacked(body)


def _packed(note: NDArray[np.void]) -> bytes:
    columns = b"".join(np.diff(note[name], prepend=note[name].dtype.type(0)).tobytes() for name in _NOTE.names or ())
    return _PACKED.pack(0, len(note)) + zlib.compress(columns, _LEVEL)


def _unpacked(body: bytes) -> NDArray[np.void]:
    zero, rows = _PACKED.unpack_from(body)
    if zero:
        return np.frombuffer(body, _NOTE)
    columns = zlib.decompress(memoryview(body)[_PACKED.size :], bufsize=rows * _NOTE.itemsize)
    note = np.empty(rows, _NOTE)
    at = 0
    for name in _NOTE.names or ():
        column = np.frombuffer(columns, _NOTE[name], rows, at)
        note[name] = np.cumsum(column)
        at += column.nbytes
    return note


def _together(notes: list[NDArray[np.void]]) -> NDArray[np.void]:
    whole = np.concatenate(notes)
    return _summed(whole["series"], whole["quarter"], whole["readings"])


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
        "SELECT series, count(*), count(*) FILTER (quality < ?) FROM readings WHERE time >= ? AND time < ? GROUP BY 1",
        [_UNCERTAIN, start, end],
    ).fetchall()
    return DayCounts({series: (received, good) for series, received, good in rows}, through)


def write_day(
    connection: duckdb.DuckDBPyConnection,
    start: Instant,
    end: Instant,
    expected: Mapping[int, int | None],
    counts: DayCounts,
    now: Instant,
) -> None:
    """Write a day anew; runs inside its caller's transaction."""
    late: dict[int, int] = dict(
        connection.execute("SELECT series, late FROM completeness WHERE day = ?", [start]).fetchall()
    )
    notes = _notes(connection, counts.through)
    of_day = (notes["quarter"] >= start // QUARTER) & (notes["quarter"] < -(-end // QUARTER))
    if of_day.any():
        sums = np.bincount(notes["series"][of_day], weights=notes["readings"][of_day]).astype(np.int64)
        for series in np.flatnonzero(sums).tolist():
            late[series] = late.get(series, 0) + int(sums[series])
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
    connection.execute("DELETE FROM late_journal WHERE number <= ?", [counts.through])
    if len(others := notes[~of_day]):
        insert_late(connection, counts.through, _packed(others))
    connection.execute("DELETE FROM completeness WHERE day = ?", [start])
    if not ids:
        return
    with registered(connection, "new_day", columns):
        connection.execute(
            "INSERT INTO completeness SELECT series, ?, CASE WHEN due >= 0 THEN due END, received, good, late, ?"
            " FROM new_day",
            [start, now],
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
