"""Completeness in the DuckDB file: late readings as they come, and days as they are counted.

A late reading leaves a row in the transaction that stores it: which quarter of an hour it is of. So late readings are
counted once, and a day they change is found again after a crash. Quarters, for no time zone's days begin elsewhere.
"""

from collections.abc import Iterable, Mapping
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
_UNCERTAIN: Final = quality_code(Quality.UNCERTAIN)


def insert_late(connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
    """Note which rows of a batch come long after they were made."""
    times = batch.time[rows]
    late = batch.received_at - times > LATE
    if not late.any():
        return
    columns: dict[str, NDArray[Any]] = {"series": batch.series[rows][late], "quarter": times[late] // QUARTER}
    with registered(connection, "new_late", columns):
        connection.execute(
            "INSERT INTO late SELECT (SELECT coalesce(max(number), 0) + 1 FROM late), series, quarter, count(*)"
            " FROM new_late GROUP BY series, quarter"
        )


def late_days(connection: duckdb.DuckDBPyConnection) -> list[Instant]:
    """Return the beginning of each quarter of an hour of which late readings wait to be counted."""
    rows = connection.execute("SELECT DISTINCT quarter FROM late ORDER BY quarter").fetchall()
    return [quarter * QUARTER for (quarter,) in rows]


def count_readings(connection: duckdb.DuckDBPyConnection, start: Instant, end: Instant) -> DayCounts:
    """Count a day's readings."""
    # First: late readings that come meanwhile are counted, if at all, but not yet called late.
    (through,) = connection.execute("SELECT coalesce(max(number), 0) FROM late").fetchall()[0]
    rows = connection.execute(
        "SELECT series, count(*), count(*) FILTER (quality < ?) FROM reading WHERE time >= ? AND time < ? GROUP BY 1",
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
    of_day = [counts.through, start // QUARTER, -(-end // QUARTER)]
    late: dict[int, int] = dict(
        connection.execute("SELECT series, late FROM completeness WHERE day = ?", [start]).fetchall()
    )
    for series, readings in connection.execute(
        "SELECT series, sum(readings)::BIGINT FROM late WHERE number <= ? AND quarter >= ? AND quarter < ? GROUP BY 1",
        of_day,
    ).fetchall():
        late[series] = late.get(series, 0) + readings
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
    connection.execute("DELETE FROM late WHERE number <= ? AND quarter >= ? AND quarter < ?", of_day)
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
