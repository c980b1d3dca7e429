"""The DuckDB file: its settings, its tables, its version."""

import secrets
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from linli_platform.store import StoreUnavailable, device_time, packed, rollup

VERSION: Final = 6

LOG: Final = "16MB"
"""How long the write-ahead log grows. Bringing it in holds up the commit it is part of, and every alarm behind it: with
64 MB for 650 ms where this takes 200, for a thirtieth less of work."""

LOG_BESIDE: Final = "64MB"
"""How long while upkeep is at work, which brings it in itself beside the writer."""

TEMPORARY: Final = "2GiB"
"""What queries may write beside the file when memory is not enough for them; beyond it they are refused."""

SHARES: Final = 4
"""Which part of the memory one query may hold, beside what is read of the file."""

_FIRST: Final = """
CREATE TABLE IF NOT EXISTS meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS series (
    id INTEGER NOT NULL, gateway VARCHAR NOT NULL, device VARCHAR NOT NULL, name VARCHAR NOT NULL,
    quantity VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS reading (
    series INTEGER NOT NULL, time BIGINT NOT NULL, value DOUBLE, text VARCHAR, quality UTINYINT NOT NULL);
CREATE TABLE IF NOT EXISTS mark (gateway VARCHAR NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mark_journal (number BIGINT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS event (
    gateway VARCHAR NOT NULL, id VARCHAR NOT NULL, time BIGINT NOT NULL, type VARCHAR NOT NULL,
    subject VARCHAR NOT NULL, body VARCHAR NOT NULL, received BIGINT NOT NULL, PRIMARY KEY (gateway, id));
CREATE TABLE IF NOT EXISTS quarantine (
    number BIGINT NOT NULL, gateway VARCHAR NOT NULL, epoch VARCHAR NOT NULL, seq BIGINT NOT NULL,
    reason VARCHAR NOT NULL, payload BLOB NOT NULL, received BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS late_journal (number BIGINT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS completeness (
    series INTEGER NOT NULL, day BIGINT NOT NULL, expected BIGINT, received BIGINT NOT NULL, good BIGINT NOT NULL,
    late BIGINT NOT NULL, computed BIGINT NOT NULL);
"""
"""The tables of version 1. ``IF NOT EXISTS``: programs of that version added to them without counting up."""

_HISTORY: Final = """
CREATE TABLE history (
    series INTEGER NOT NULL, time BIGINT NOT NULL, value DOUBLE, text VARCHAR, quality UTINYINT NOT NULL,
    day INTEGER NOT NULL);
CREATE TABLE head (
    series INTEGER PRIMARY KEY, time BIGINT NOT NULL, value DOUBLE, text VARCHAR, quality UTINYINT NOT NULL);
CREATE VIEW readings AS
    SELECT series, time, value, text, quality FROM reading
    UNION ALL SELECT series, time, value, text, quality FROM history;
"""
"""Version 2: ``reading`` holds what is fresh, ``history`` days that are over, sorted; ``docs/adr/0027``."""

_NOTES: Final = "SELECT 1"
"""Version 4: notes of late readings are packed; those that wait are read as they are."""

_STEPS: Final = (_FIRST, _HISTORY + rollup.TABLES, device_time.TABLE, _NOTES, packed.TABLES, packed.WHOLE)
"""What brings a file from each version to the next; an empty file is of version 0."""


def connect(path: Path, memory_limit: str, threads: int) -> duckdb.DuckDBPyConnection:
    """Return a connection to the file, made if absent; :class:`StoreUnavailable` with a remedy if it cannot be used."""
    try:
        connection = duckdb.connect(
            str(path),
            config={
                "memory_limit": memory_limit,
                "threads": threads,
                # A query beyond its memory goes on on the disk, up to here: all of the disk is the writer's.
                "max_temp_directory_size": TEMPORARY,
                "wal_autocheckpoint": LOG,
                # It closes holes that deletions left, too, and nobody writes meanwhile: a few at a time. All at once,
                # after a day was moved, took seconds.
                "max_vacuum_tasks": "1",
                # Whole groups of rows are written as they come, not up to five at the commit: others wait for that.
                "write_buffer_row_group_count": "1",
                # Of a new file. Each column of 122,880 readings begins a block, and fills less than one of 256 KiB.
                "default_block_size": "65536",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
    except duckdb.Error as exc:
        remedy = "is another linli-platform running on this data folder? stop it, or give another --data"
        raise StoreUnavailable(f"{path}: {exc}; {remedy}") from exc
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        # Queries come from the API: they may read the tables. Snapshots are written to this folder, and nowhere else.
        connection.execute("SET allowed_directories = [?]", [str(path.resolve().parent)])
        connection.execute("SET enable_external_access = false")
        found = version_of(connection)
        if found is not None and not 0 <= found <= VERSION:
            raise StoreUnavailable(
                f"{path}: written as store version {found}, this program knows {VERSION}; install the newer linli"
            )
        migrate(connection, found or 0)
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('installation', ?)", [secrets.token_hex(16)])
    except duckdb.Error as exc:
        raise StoreUnavailable(f"{path}: {exc}; restore the file from a backup, or start with another --data") from exc


def version_of(connection: duckdb.DuckDBPyConnection) -> int | None:
    """Return the version a file was written as, -1 if what stands there is none, ``None`` in an empty file."""
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'meta'"
    if connection.execute(tables).fetchall() == [(0,)]:
        return None
    row = connection.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
    if row is None:
        return None  # killed between the first table and the first row: nothing was ever written
    return int(row[0]) if str(row[0]).isdecimal() else -1


def migrate(connection: duckdb.DuckDBPyConnection, found: int) -> None:
    """Bring a file to this version, one version after the other, each in a transaction: killed, it goes on there."""
    for version, step in enumerate(_STEPS[found:], found + 1):
        connection.begin()
        try:
            connection.execute(step)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('version', ?)", [str(version)])
            connection.commit()
        except BaseException:
            connection.rollback()
            raise


def installation_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the name of the installation whose store this is: 32 hexadecimal digits, random, for its whole life."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'installation'").fetchone()
    return str(row[0]) if row else ""


def share_of(connection: duckdb.DuckDBPyConnection) -> str:
    """Return what a query may hold of the memory, as DuckDB writes it: with all of it, the writer would have none."""
    ((limit,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    size, unit = str(limit).split()
    return f"{float(size) / SHARES}{unit}"


def read_installation(path: Path) -> str:
    """Return the installation of a store that nobody has open; :class:`StoreUnavailable` if it cannot be read."""
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return installation_of(connection)
    except duckdb.Error as exc:
        remedy = "is linli-platform running on this data folder? stop it first"
        raise StoreUnavailable(f"{path}: {exc}; {remedy}") from exc


def note_zone(connection: duckdb.DuckDBPyConnection, zone: tzinfo) -> None:
    """Write by which zone the file has its days."""
    offset = zone.utcoffset(datetime(1970, 1, 1)) or timedelta()  # noqa: DTZ001 - of a fixed offset: any moment will do
    name = zone.key if isinstance(zone, ZoneInfo) else str(offset // timedelta(seconds=1))
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('zone', ?)", [name])


def note_keeper(connection: duckdb.DuckDBPyConnection, keeper: str) -> None:
    """Write for ever which server's database keeps the readings that the marks of this file speak of."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('keeper', ?)", [keeper])


def keeper_of(connection: duckdb.DuckDBPyConnection) -> str | None:
    """Return what keeps the readings, ``None`` if that was never written."""
    # All of them: of an answer that is not read to its end the connection is kept busy.
    found = connection.execute("SELECT value FROM meta WHERE key = 'keeper'").fetchall()
    return str(found[0][0]) if found else None


def zone_of(connection: duckdb.DuckDBPyConnection) -> tzinfo | None:
    """Return by which zone the file has its days, ``None`` if it has none yet."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'zone'").fetchone()
    if row is None:
        return None
    name = str(row[0])
    if name.lstrip("-").isdecimal():
        return timezone(timedelta(seconds=int(name)))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise StoreUnavailable(f"the store's days are those of {name!r}, which this machine does not know") from exc
