"""A long write beside the writer's short ones: it gives way to them, whatever it was doing.

DuckDB lets transactions write at the same time as long as they do not delete the same rows; the second to do so fails.
So the long one holds nothing while it works. It takes the writer's lock for its commit alone, and a writer that must
delete what the long one is moving makes it start again later: readings wait for nobody.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

import duckdb
import msgspec

from linli_core.instant import Instant
from linli_platform.store import StoreError
from linli_platform.store.schema import LOG, LOG_BESIDE

_NOW: Final = "1MB"
"""A log as long as this is brought in at once."""

_AGAIN_S: Final = 0.01
"""An interrupt between two statements reaches neither: it is said again until the work stands."""


class GaveWay(StoreError):
    """The writer came first; nothing has changed, try again later."""


class Aside:
    """One transaction at a time beside the writer.

    Args:
        write: The writer's lock; whoever holds it has the only other transaction.

    Attributes:
        bringing_in: Held while the write-ahead log is brought into the file. Who holds it does not ask for ``write``.
    """

    def __init__(self, write: threading.Lock) -> None:
        self._write = write
        self.bringing_in = threading.Lock()
        self._one = threading.Lock()
        self._turn = threading.Condition()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._span = (0, 0)
        self._busy = False

    @contextmanager
    def transaction(self, cursor: duckdb.DuckDBPyConnection, first: Instant, last: Instant) -> Iterator[None]:
        """Run a block of :meth:`execute` as one transaction over readings of a stretch of time; close the cursor.

        It begins between two commits of the writer. Begun within one, it would not see what that changes, and a writer
        who has told everybody to give way does not tell again.

        Raises:
            GaveWay: Nothing was kept.
        """
        with self._one:
            with self._write, self._turn:
                cursor.begin()
                cursor.execute("SELECT count(*) FROM meta").fetchall()  # from here on it sees no later commit
                self._cursor, self._span = cursor, (first, last)
            try:
                yield
                with self._write, self._turn:
                    if self._cursor is None:
                        raise GaveWay("the writer came first")
                    cursor.commit()
                    self._cursor = None
            finally:
                with self._turn:
                    self._roll_back()
                cursor.close()

    def execute(self, query: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement inside :meth:`transaction` and return its rows."""
        with self._turn:
            cursor = self._cursor
            if cursor is None:
                raise GaveWay("the writer came first")
            self._busy = True
        try:
            return cursor.execute(query, values).fetchall()
        except duckdb.InterruptException as exc:
            raise GaveWay("the writer came first") from exc
        finally:
            with self._turn:
                self._busy = False
                self._turn.notify_all()

    def bring_in(self, cursor: duckdb.DuckDBPyConnection, reader: duckdb.DuckDBPyConnection) -> None:
        """Bring the write-ahead log into the file, and let the writer commit meanwhile; close the cursors.

        DuckDB does it in the commit that makes the log too long. It lets others insert beside it if that commit did
        nothing but insert, and if another transaction is open. What the writer would do in a commit of its own, with a
        piece of a day in the log for half a second, is done here: no message waits for it.
        """
        with self.bringing_in, closing(cursor), closing(reader):
            reader.begin()
            reader.execute("SELECT count(*) FROM meta").fetchall()
            cursor.begin()
            cursor.execute("INSERT INTO mark_journal VALUES (0, ?)", [msgspec.msgpack.encode({})])
            cursor.execute(f"SET wal_autocheckpoint = '{_NOW}'")
            try:
                cursor.commit()
            finally:
                cursor.execute(f"SET wal_autocheckpoint = '{LOG_BESIDE}'")
                reader.rollback()

    @contextmanager
    def keeping_log(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Leave the write-ahead log to :meth:`bring_in` while the block runs; close the cursor."""
        with closing(cursor):
            cursor.execute(f"SET wal_autocheckpoint = '{LOG_BESIDE}'")
            try:
                yield
            finally:
                with suppress(duckdb.Error):  # closed meanwhile, and opened again with the setting as it was
                    cursor.execute(f"SET wal_autocheckpoint = '{LOG}'")

    def give_way(self, first: Instant | None = None, last: Instant | None = None) -> None:
        """Undo the transaction if it is over readings of this time, or any. The caller holds the writer's lock."""
        with self._turn:
            if first is not None and last is not None and (last < self._span[0] or first > self._span[1]):
                return
            while self._busy and self._cursor is not None:
                self._cursor.interrupt()
                self._turn.wait(_AGAIN_S)
            self._roll_back()

    def _roll_back(self) -> None:
        if self._cursor is not None:
            # A database that failed inside a commit refuses: whoever writes next finds that out and opens it again.
            with suppress(duckdb.Error):
                self._cursor.rollback()
            self._cursor = None
