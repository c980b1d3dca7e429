"""What devices' own clocks said of readings: a small table in the DuckDB file, beside the readings wherever those are.

Most readings have no such time, so it is no column of theirs. The table has no key: what is asked of it is asked by
time, it is written in about that order, and DuckDB passes over the blocks of other days (``docs/adr/0030``). What was
said of readings by the time these were packed is packed with them (:mod:`linli_platform.store.packed`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import Instant
from linli_platform.store import Batch, Row, packed
from linli_platform.store.arrange import Held, same_reading
from linli_platform.store.statements import registered

Stored = Callable[[duckdb.DuckDBPyConnection, Batch, NDArray[np.int64]], Iterable[Held]]
"""Returns what is stored of the identities of rows, those of this transaction too."""

TABLE: Final = """
CREATE TABLE device_time (series INTEGER NOT NULL, time BIGINT NOT NULL, device_time BIGINT NOT NULL);
"""


def keep(
    connection: duckdb.DuckDBPyConnection, batch: Batch, written: NDArray[np.int64], stored: Stored
) -> NDArray[np.int64]:
    """Write what devices' clocks said of the rows that were written; return the others to which it is new.

    Those say what is stored already: it came without, or died with its commit after a server had the reading.
    """
    told = np.array(sorted(batch.device_times), np.int64)
    is_written = np.isin(told, written)
    _insert(connection, batch, told[is_written])
    again = []
    if not is_written.all():
        for row, value, text, quality in stored(connection, batch, told[~is_written]):
            offered = (float(batch.value[row]), batch.texts.get(row), int(batch.quality[row]))
            if same_reading((np.nan if value is None else value, text, quality), offered):
                again.append(row)
    same = np.array(sorted(again), np.int64)
    _fill(connection, batch, same)
    return same


def _insert(connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
    """Write the device times of rows that were stored just now."""
    if len(rows):
        with registered(connection, "told", _columns(batch, rows)):
            connection.execute("INSERT INTO device_time SELECT series, time, device_time FROM told")


def _fill(connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
    """Write the device times of rows that say what is stored already, where none is known; the first of them stays."""
    if not len(rows):
        return
    columns = _columns(batch, rows)
    bounds = [int(columns["time"].min()), int(columns["time"].max())]
    with registered(connection, "told", columns):
        connection.execute(
            "INSERT INTO device_time SELECT series, time, arg_min(device_time, row) FROM told t WHERE NOT EXISTS"  # noqa: S608
            " (SELECT 1 FROM device_time d WHERE d.series = t.series AND d.time = t.time AND d.time BETWEEN ? AND ?)"
            f" AND NOT EXISTS (SELECT 1 FROM {packed.device_times(*bounds)} p"
            " WHERE p.series = t.series AND p.time = t.time) GROUP BY series, time",
            bounds,
        )


def _columns(batch: Batch, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {
        "row": rows,
        "series": batch.series[rows],
        "time": batch.time[rows],
        "device_time": np.array([batch.device_times[row] for row in rows.tolist()], np.int64),
    }


def delete(connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
    """Take out what was said of the readings that these rows take the place of."""
    columns: dict[str, NDArray[Any]] = {"series": batch.series[rows], "time": batch.time[rows]}
    bounds = [int(columns["time"].min()), int(columns["time"].max())]
    with registered(connection, "replaced", columns):
        connection.execute(
            "DELETE FROM device_time d USING replaced r WHERE d.series = r.series AND d.time = r.time"
            " AND d.time BETWEEN ? AND ?",
            bounds,
        )


def withdraw(connection: duckdb.DuckDBPyConnection, series: Sequence[int], start: Instant, end: Instant) -> None:
    """Take out what was said of readings of series with ``start <= time < end``."""
    connection.execute(
        "DELETE FROM device_time WHERE list_contains(?, series) AND time >= ? AND time < ?", [list(series), start, end]
    )


def beside(connection: duckdb.DuckDBPyConnection, series: int, rows: list[Row]) -> list[Row]:
    """Return readings of a series, in order of time, with what the device's clock said of them and is in the table."""
    if not rows:
        return rows
    query = "SELECT time, device_time FROM device_time WHERE series = ? AND time BETWEEN ? AND ?"
    told = dict(connection.execute(query, [series, rows[0].time, rows[-1].time]).fetchall())
    return [replace(row, device_time=told.get(row.time, row.device_time)) for row in rows] if told else rows


def of_newest(connection: duckdb.DuckDBPyConnection, newest: Mapping[int, Instant]) -> dict[int, Instant]:
    """Return the device times of single readings by series, given their times, as far as they are in the table."""
    if not newest:
        return {}
    columns: dict[str, NDArray[Any]] = {
        "series": np.array(list(newest), np.int32),
        "time": np.array(list(newest.values()), np.int64),
    }
    with registered(connection, "newest", columns):
        query = (
            "SELECT d.series, d.device_time FROM device_time d JOIN newest n ON d.series = n.series AND d.time = n.time"
            " WHERE d.time BETWEEN ? AND ?"
        )
        return dict(connection.execute(query, [min(newest.values()), max(newest.values())]).fetchall())
