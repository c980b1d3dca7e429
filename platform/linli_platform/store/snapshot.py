"""The DuckDB file as it was at one instant, written out while it goes on; and a file made of that again.

A snapshot is a read transaction: what is committed afterwards is not in it, and it holds up nobody. The readings go
into Parquet files by the day they were observed on, sorted by series and time, so that years of history cost little
memory and a person can open any day with other tools. A day of many readings is several files, each of some series: one
query that takes seconds would take them from the alarms.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from linli_core.instant import DAY, Instant
from linli_platform.store import StoreError, of_gateways, packed, removal, rollup
from linli_platform.store.schema import VERSION, connect
from linli_platform.store.statements import read_marks
from linli_platform.store.transaction import told

READINGS: Final = "reading"
DEVICE_TIMES: Final = "device_time"
TABLES: Final = ("meta", "series", "mark", "mark_journal", "event", "quarantine", "late_journal", "completeness")
"""Every table but the readings and the devices' own times of them."""

LATER: Final = frozenset({"late_journal", "completeness"})
"""Those that a backup of an earlier program lacks."""

PIECE: Final = 250_000
"""Readings written by one query: a tenth of a second's work or so."""

_COLUMNS: Final = {READINGS: "series, time, value, text, quality", DEVICE_TIMES: "series, time, device_time"}
_TIMES: Final = {READINGS: packed.TIMES, DEVICE_TIMES: {"device_time": "time", "stamp": packed.TIMES["stamp"]}}
"""What is written by days, where its times stand, and as what: of devices' own times with those that have none."""

_DOING: Final = "the snapshot cannot be read or written"
_PARQUET: Final = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"


@dataclass(frozen=True, slots=True)
class Counts:
    """What a snapshot holds.

    Attributes:
        readings, series, events: Rows.
        gateways: Gateways with marks.
        device_times: Readings of which the device's own time is known.
        first, last: Observation times of the oldest and the newest reading; ``None`` where there are none.
    """

    readings: int
    series: int
    events: int
    gateways: int
    device_times: int
    first: Instant | None
    last: Instant | None


class Snapshot:
    """The store at one instant; made by :meth:`DuckDBStore.snapshot`, good until that block ends."""

    def __init__(self, path: Path, cursor: duckdb.DuckDBPyConnection) -> None:
        self._path = path
        self._cursor = cursor

    def counts(self) -> Counts:
        """Return what is in it."""
        (readings,) = self._one(packed.COUNT)
        first, last = self._span(READINGS)
        (series,) = self._one("SELECT count(*) FROM series")
        (events,) = self._one("SELECT count(*) FROM event")
        with told(self._path, _DOING):
            gateways = len(of_gateways(read_marks(self._cursor)))
        (device_times,) = self._one(packed.COUNT_DEVICE_TIMES)
        return Counts(readings, series, events, gateways, device_times, first, last)

    def export(self, folder: Path, rest: Callable[[], None] = lambda: None) -> Iterator[Path]:
        """Write everything as Parquet below ``folder`` and yield each file as soon as it is whole.

        Args:
            folder: Exists, and is empty.
            rest: Called after each file: whoever must leave the machine to others waits there.
        """
        for table in TABLES:
            yield self._copy(f"SELECT * FROM {table}", folder / f"{table}.parquet")  # noqa: S608 - from the table above
            rest()
        for table in rollup.ALL:
            # Of days that have their readings they are made anew.
            yield self._copy(removal.without_readings(self._rows, table), folder / f"{table}.parquet")
            rest()
        for table in _COLUMNS:
            yield from self._by_day(table, folder / table, rest)

    def _by_day(self, table: str, folder: Path, rest: Callable[[], None]) -> Iterator[Path]:
        """Write what is too much for one file by the day its readings were observed on."""
        columns = _COLUMNS[table]
        begin, end = self._span(table)
        if begin is None or end is None or (table == DEVICE_TIMES and self._one(packed.COUNT_DEVICE_TIMES) == (0,)):
            return
        folder.mkdir()
        day = begin // DAY
        while day <= end // DAY:
            start = day * DAY
            of_day = f"time >= {start} AND time < {start + DAY}"
            source = _source(table, start, start + DAY)
            (rows,) = self._one(f"SELECT count(*) FROM {source} WHERE {of_day}")  # noqa: S608
            if rows:
                for number, (first, last) in enumerate(self._pieces(source, of_day, rows)):
                    rest()
                    yield self._copy(
                        f"SELECT {columns} FROM {source} WHERE {of_day}"  # noqa: S608
                        f" AND series BETWEEN {first} AND {last} ORDER BY series, time",
                        folder / f"{day}-{number:05}.parquet",
                    )
                rest()
                day += 1
                continue
            # A reading of 1970 must not cost a look at every day since.
            following, _end = self._span(table, f"WHERE time >= {start + DAY}")
            if following is None:
                return
            day = following // DAY

    def _span(self, table: str, where: str = "") -> tuple[int | None, int | None]:
        """Return the first and the last time of what is written by days."""
        spans = " UNION ALL ".join(
            f"SELECT min(time) AS first, max(time) AS last FROM (SELECT {time} AS time FROM {place}) {where}"  # noqa: S608
            for place, time in _TIMES[table].items()
        )
        first, last = self._one(f"SELECT min(first), max(last) FROM ({spans})")  # noqa: S608 - from the table above
        return first, last

    def _pieces(self, source: str, of_day: str, rows: int) -> list[tuple[int, int]]:
        """Return ranges of series whose rows of a day are written together."""
        if rows <= PIECE:
            return [(0, 2**31 - 1)]
        counts = self._rows(
            f"SELECT series, count(*) FROM {source} WHERE {of_day} GROUP BY series ORDER BY series"  # noqa: S608
        )
        pieces: list[tuple[int, int]] = []
        first, held = counts[0][0], 0
        for series, count in counts:
            if held and held + count > PIECE:
                pieces.append((first, series - 1))
                first, held = series, 0
            held += count
        return [*pieces, (first, counts[-1][0])]

    def _copy(self, query: str, path: Path) -> Path:
        self._rows(f"COPY ({query}) TO '{_quoted(path)}' {_PARQUET}")
        return path

    def _one(self, query: str) -> tuple[int, ...]:
        (row,) = self._rows(query)
        return row

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with told(self._path, _DOING):
            return self._cursor.execute(query).fetchall()


def _source(table: str, start: Instant, end: Instant) -> str:
    """Return in SQL what is written by days, of some of them."""
    if table == READINGS:
        return packed.readings(start, end)
    return f"(SELECT series, time, device_time FROM device_time UNION ALL FROM {packed.device_times(start, end)})"  # noqa: S608


def load(folder: Path, path: Path, *, memory_limit: str = "512MB", threads: int = 2) -> None:
    """Make a new DuckDB file of an exported folder.

    Raises:
        StoreError: The files are of another version, or cannot be read or written.
    """
    connection = connect(path, memory_limit, threads)
    try:
        written = connection.execute(
            f"SELECT value FROM '{_quoted(folder / 'meta.parquet')}' WHERE key = 'version'"  # noqa: S608
        ).fetchall()
        # Readings are readings in every version so far; where they stand in the file is not in a backup.
        if written not in [[(str(version),)] for version in range(1, VERSION + 1)]:
            found = written[0][0] if written else "none"
            raise StoreError(f"the backup's store is of version {found}, this program knows {VERSION}")
        connection.begin()
        for table in TABLES:
            if table in LATER and not (folder / f"{table}.parquet").exists():
                continue
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - from the table above
            connection.execute(f"INSERT INTO {table} SELECT * FROM '{_quoted(folder / f'{table}.parquet')}'")  # noqa: S608
        for table in rollup.ALL:
            if (folder / f"{table}.parquet").exists():
                connection.execute(f"INSERT INTO {table} SELECT * FROM '{_quoted(folder / f'{table}.parquet')}'")  # noqa: S608
        connection.execute("UPDATE meta SET value = ? WHERE key = 'version'", [str(VERSION)])
        connection.commit()
        for table, columns in _COLUMNS.items():
            for day in sorted((folder / table).glob("*.parquet"), key=_place):
                connection.execute(f"INSERT INTO {table} SELECT {columns} FROM '{_quoted(day)}'")  # noqa: S608
        connection.checkpoint()
    except duckdb.Error as exc:
        raise StoreError(f"{path}: the backup cannot be loaded: {exc}") from exc
    finally:
        connection.close()


def _place(file: Path) -> tuple[int, int]:
    """Return a file's day, which is negative before 1970, and which of its pieces it is."""
    day, _, number = file.stem.rpartition("-")
    return (int(day), int(number)) if day else (int(file.stem), 0)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
