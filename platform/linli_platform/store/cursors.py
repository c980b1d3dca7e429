"""The cursors of queries: DuckDB runs one query at a time on each, so each that asks has one of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from linli_platform.store import StoreError, StoreUnavailable
from linli_platform.store.query import TooManyReadings

_IDLE: Final = 4
"""Cursors kept for the next queries: what answers a board in a millisecond is not to need a part of that to begin."""

_AGAIN_S: Final = 0.01
"""A query is interrupted until it stands: before it began, and in its last moment, it does not hear it."""


class Cursors:
    """Those that are in use, and some that wait to be.

    Args:
        path: The file, for errors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used: set[duckdb.DuckDBPyConnection] = set()
        self._idle: list[tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyConnection]] = []
        self._pause = threading.Event()

    def __bool__(self) -> bool:
        """Tell whether any is in use."""
        return bool(self._used)

    @contextmanager
    def used(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let a cursor count as one in use while the block runs, and close it."""
        try:
            self._used.add(cursor)
            yield
        finally:
            self._used.discard(cursor)
            cursor.close()

    def take(self, connection: duckdb.DuckDBPyConnection) -> tuple[duckdb.DuckDBPyConnection, bool]:
        """Return a cursor of a connection, and whether it is a new one; the caller holds the store's state.

        From now on it counts as one in use.
        """
        cursor = None
        if self._idle:
            of, cursor = self._idle.pop()
            cursor = cursor if of is connection else None
        taken = (connection.cursor(), True) if cursor is None else (cursor, False)
        self._used.add(taken[0])
        return taken

    @contextmanager
    def asking(
        self, connection: duckdb.DuckDBPyConnection, taken: tuple[duckdb.DuckDBPyConnection, bool], share: str
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a cursor that was taken, for the calling thread alone, and keep it afterwards if nothing went wrong.

        Args:
            connection: Of which it was taken.
            taken: As :meth:`take` returned it.
            share: What a query may hold in memory, as DuckDB writes it.

        Raises:
            TooManyReadings: The memory does not do.
            StoreUnavailable: The file was closed meanwhile, by the end of the program or to be opened again.
            StoreError: Anything else that DuckDB says.
        """
        cursor, is_new = taken
        is_sound = False
        try:
            if is_new:
                cursor.execute(f"SET operator_memory_limit = '{share}'")
            yield cursor
            is_sound = True
        except duckdb.OutOfMemoryException as exc:
            found = str(exc).partition("\n")[0]
            raise TooManyReadings(
                f"too much for the memory: ask for a shorter time or for fewer series ({found})"
            ) from exc
        except (duckdb.InterruptException, duckdb.ConnectionException) as exc:
            # Only :meth:`close` interrupts; who had not begun yet finds the connection gone. No question is to blame.
            raise StoreUnavailable(f"{self._path}: closed while the query ran, ask again ({exc})") from exc
        except duckdb.Error as exc:
            raise StoreError(f"{self._path}: {exc}") from exc
        finally:
            # Without the lock of the store's state: whoever closes the file holds it, and waits for this query.
            self._used.discard(cursor)
            if is_sound and len(self._idle) < _IDLE:
                self._idle.append((connection, cursor))
            else:
                cursor.close()

    def close(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Close a connection, with the queries that are under way."""
        while self._idle:
            self._idle.pop()[1].close()
        while True:
            for cursor in list(self._used):
                cursor.interrupt()
            try:
                connection.close()
            except duckdb.ResourceInUseException:
                self._pause.wait(_AGAIN_S)
            else:
                return
