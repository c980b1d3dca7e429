"""The statements that write to the DuckDB file, and the marks' way back; each runs inside its caller's transaction."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, Instant
from linli_platform.store import (
    QUARANTINE_BYTES,
    QUARANTINE_ROWS,
    Batch,
    EventRow,
    EventSort,
    Quarantined,
    SeriesInfo,
    packed,
    rollup,
)

_marks_decoder: Final = msgspec.msgpack.Decoder(dict[str, bytes])

_HEADS: Final = """
SELECT series, max(time), unnest(arg_max({'value': value, 'text': text, 'quality': quality, 'told': told}, time)) FROM (
    SELECT *, NULL::BIGINT AS told FROM reading UNION ALL
    SELECT * FROM head h WHERE NOT EXISTS (SELECT 1 FROM reading r WHERE r.series = h.series AND r.time = h.time))
GROUP BY series
"""
"""The newest readings: of what is fresh and of what is history. A better reading of the same instant is fresh."""


@contextmanager
def registered(connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, NDArray[Any]]) -> Iterator[None]:
    """Let statements see columns as a table while the block runs."""
    connection.register(name, columns)
    try:
        yield
    except BaseException:
        # A transaction that failed refuses this too, and would hide why it failed.
        with suppress(duckdb.Error):
            connection.unregister(name)
        raise
    connection.unregister(name)


def insert_series(connection: duckdb.DuckDBPyConnection, series: Sequence[SeriesInfo]) -> None:
    """Write new series."""
    columns = {
        "id": np.array([info.id for info in series], np.int32),
        "gateway": np.array([info.gateway for info in series], object),
        "device": np.array([info.device for info in series], object),
        "name": np.array([info.name for info in series], object),
        "quantity": np.array([info.quantity for info in series], object),
    }
    with registered(connection, "new_series", columns):
        connection.execute("INSERT INTO series SELECT id, gateway, device, name, quantity FROM new_series")


def insert_readings(connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
    """Append rows of a batch."""
    if not len(rows):
        return
    columns: dict[str, NDArray[Any]] = {
        "series": batch.series[rows],
        "time": batch.time[rows],
        "value": batch.value[rows],  # NaN arrives as NULL
        "quality": batch.quality[rows],
    }
    text = "NULL"
    if batch.texts:
        columns["text"] = np.array([batch.texts.get(row) for row in rows.tolist()], object)
        text = "CAST(text AS VARCHAR)"
    with registered(connection, "new_reading", columns):
        connection.execute(f"INSERT INTO reading SELECT series, time, value, {text}, quality FROM new_reading")  # noqa: S608


def look_up(
    connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]
) -> list[tuple[int, float | None, str | None, int]]:
    """Return (row, value, text, quality) of the rows whose identity the store holds, as it holds them."""
    columns: dict[str, NDArray[Any]] = {"row": rows, "series": batch.series[rows], "time": batch.time[rows]}
    bounds = [int(columns["time"].min()), int(columns["time"].max())]
    with registered(connection, "late", columns):
        return connection.execute(
            f"SELECT late.row, r.value, r.text, r.quality FROM {packed.readings(*bounds)} r"  # noqa: S608 - numbers
            " JOIN late ON r.series = late.series AND r.time = late.time WHERE r.time BETWEEN ? AND ?",
            bounds,
        ).fetchall()


def delete(connection: duckdb.DuckDBPyConnection, batch: Batch, rows: NDArray[np.int64]) -> None:
    """Take the readings out that have the identity of these rows, wherever they are."""
    columns: dict[str, NDArray[Any]] = {"series": batch.series[rows], "time": batch.time[rows]}
    bounds = [int(columns["time"].min()), int(columns["time"].max())]
    with registered(connection, "replaced", columns):
        same = "USING replaced r WHERE t.series = r.series AND t.time = r.time AND t.time BETWEEN ? AND ?"
        connection.execute(f"DELETE FROM reading t {same}", bounds)  # noqa: S608 - from above
        moved = connection.execute(f"DELETE FROM history t {same} RETURNING t.series, t.day", bounds).fetchall()  # noqa: S608
        spans = [*bounds, *packed.days_of(*bounds)]
        if found := connection.execute(packed.DELETE_SAME, spans).fetchall():
            connection.execute(packed.DELETE_UNSHARED, spans)
        moved += found
    redo(connection, moved)


def plainly(connection: duckdb.DuckDBPyConnection) -> rollup.Execute:
    """Return what runs a statement and returns its rows."""
    return lambda query: connection.execute(query).fetchall()


def redo(connection: duckdb.DuckDBPyConnection, pairs: Iterable[tuple[int, int]]) -> None:
    """Make the rollups anew of series on days of which history has changed."""
    rows = ", ".join(f"({series}, {day}, 0)" for series, day in sorted(set(pairs)))
    if not rows:
        return

    execute = plainly(connection)
    span = rollup.touch(execute, f"SELECT * FROM (VALUES {rows}) AS v(series, day, start)")  # noqa: S608 - numbers
    if span is not None:
        rollup.redo(execute, span)


def swaps_of(events: Iterable[EventRow]) -> list[Instant]:
    """Return when meters were exchanged, as events tell."""
    return [rollup.swapped_at(event.time, event.body) for event in events if event.type == rollup.SWAPPED]


def redo_swapped(connection: duckdb.DuckDBPyConnection, events: Iterable[EventRow]) -> None:
    """Make the rollups anew of days on which a meter was exchanged, where that is told later."""
    for event in events:
        if event.type == rollup.SWAPPED:
            pairs = connection.execute(
                f"SELECT r.series, r.day FROM {rollup.DAILY} r JOIN series s ON s.id = r.series"  # noqa: S608 - ours
                " WHERE s.gateway = $gateway AND s.device = $device"
                " AND r.time > $at - 2 * $length AND r.time <= $at AND r.last_time >= $at",
                {
                    "gateway": event.gateway,
                    "device": event.subject,
                    "at": rollup.swapped_at(event.time, event.body),
                    "length": DAY,
                },
            ).fetchall()
            redo(connection, pairs)


def insert_events(connection: duckdb.DuckDBPyConnection, events: Sequence[EventRow]) -> tuple[int, ...]:
    """Write events that are not there yet; return the numbers of those that were new."""
    new = []
    for number, event in enumerate(events):
        row = [event.gateway, event.id, event.time, event.type, event.subject, event.body, event.received_at]
        if connection.execute("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id", row).fetchall():
            new.append(number)
    return tuple(new)


def insert_quarantined(connection: duckdb.DuckDBPyConnection, quarantined: Sequence[Quarantined]) -> None:
    """Keep messages that could not be taken; the oldest beyond a bound go."""
    if not quarantined:
        return
    newest = connection.execute("SELECT coalesce(max(number), 0) FROM quarantine").fetchall()[0][0]
    for number, item in enumerate(quarantined, newest + 1):
        connection.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                number,
                item.gateway,
                item.epoch,
                item.seq,
                item.reason,
                item.payload,
                item.received_at,
            ],
        )
    connection.execute("DELETE FROM quarantine WHERE number <= ?", [newest + len(quarantined) - QUARANTINE_ROWS])
    connection.execute(
        "DELETE FROM quarantine WHERE number <= (SELECT max(number) FROM"
        " (SELECT number, sum(octet_length(payload)) OVER (ORDER BY number DESC) AS held FROM quarantine)"
        " WHERE held > ?)",
        [QUARANTINE_BYTES],
    )


def insert_marks(connection: duckdb.DuckDBPyConnection, marks: Mapping[str, bytes]) -> None:
    """Write marks into a table that holds none of them."""
    if not marks:
        return
    columns = {"gateway": np.array(list(marks), object), "body": np.array(list(marks.values()), object)}
    with registered(connection, "new_mark", columns):
        connection.execute("INSERT INTO mark SELECT gateway, body FROM new_mark")


def read_marks(connection: duckdb.DuckDBPyConnection) -> dict[str, bytes]:
    """Return each gateway's mark: the folded ones, then the journal over them."""
    marks: dict[str, bytes] = {
        gateway: bytes(body) for gateway, body in connection.execute("SELECT gateway, body FROM mark").fetchall()
    }
    for (body,) in connection.execute("SELECT body FROM mark_journal ORDER BY number").fetchall():
        marks.update(_marks_decoder.decode(body))
    return marks


def read_heads(
    connection: duckdb.DuckDBPyConnection,
) -> list[tuple[int, Instant, float | None, str | None, int, Instant | None]]:
    """Return the newest reading of each series that has any: series, time, value, text and quality.

    Of those that were moved it is said, last, what the device's clock told.
    """
    return connection.execute(_HEADS).fetchall()


def read_events(
    connection: duckdb.DuckDBPyConnection,
    start: Instant,
    end: Instant,
    gateways: Collection[str] | None,
    types: Collection[str] | None,
    limit: int,
) -> list[EventRow]:
    """Return events with ``start <= time < end``, newest first; see :meth:`linli_platform.store.Store.events`."""
    query = (
        "SELECT gateway, id, time, type, subject, body, received FROM event WHERE time >= $start AND time < $end"
        " AND ($gateways IS NULL OR list_contains($gateways, gateway))"
        " AND ($types IS NULL OR EXISTS (FROM unnest($types::VARCHAR[]) AS of(begin) WHERE starts_with(type, begin)))"
        " ORDER BY time DESC, id LIMIT $limit"
    )
    values = {
        "start": start,
        "end": end,
        "gateways": None if gateways is None else sorted(gateways),
        "types": None if types is None else sorted(types),
        "limit": limit,
    }
    return [EventRow(*row) for row in connection.execute(query, values).fetchall()]


def read_event_sorts(connection: duckdb.DuckDBPyConnection) -> list[EventSort]:
    """Return every sort of event there ever was."""
    found = connection.execute("SELECT DISTINCT gateway, type, subject FROM event").fetchall()
    return [EventSort(*row) for row in found]


def read_quarantined(
    connection: duckdb.DuckDBPyConnection, gateway: str | None, number: int | None, limit: int
) -> list[Quarantined]:
    """Return quarantined messages, newest first; see :meth:`linli_platform.store.Store.quarantine`."""
    query = (
        "SELECT gateway, epoch, seq, reason, payload, received, number FROM quarantine"
        " WHERE ($gateway IS NULL OR gateway = $gateway) AND ($number IS NULL OR number = $number)"
        " ORDER BY number DESC LIMIT $limit"
    )
    values = {"gateway": gateway, "number": number, "limit": limit}
    return [Quarantined(*row) for row in connection.execute(query, values).fetchall()]
