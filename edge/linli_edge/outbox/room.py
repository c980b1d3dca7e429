"""How much of the disk the log takes, and whether the disk has room for more."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Final

OVERHEAD: Final = 64 * 1024
"""What a log takes beside its messages: tables of its own, indexes, pages half full."""
RESERVE: Final = 256 * 1024
"""Bytes by which the file grows, so that the disk is not asked for each message."""
MOST_TAKEN: Final = 2.25
"""How many times its bytes a message takes on disk at most (one of 480 bytes takes a page). What is beyond is a damaged
count of pages, for which nothing must leave."""


class NoRoom(sqlite3.OperationalError):
    """The disk has no room; SQLite's own error, said before it is too late."""

    sqlite_errorname = "SQLITE_FULL"


def is_full(error: Exception) -> bool:
    """Tell whether an error says that the disk has no room."""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(error, "errno", 0) == errno.ENOSPC


class Room:
    """The pages of a log's file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._file: int | None = None

    def open(self, path: Path) -> None:
        """Open the file, to ask the disk for room.

        Raises:
            OSError: It cannot be opened.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the file, after SQLite has."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def taken(self) -> int:
        """Return the bytes of pages in use, what a log takes beside its messages left out."""
        return self._pragma("page_count") * self._pragma("page_size") - self.free() - OVERHEAD

    def free(self) -> int:
        """Return the bytes of the file's free pages."""
        return self._pragma("freelist_count") * self._pragma("page_size")

    def reserve(self, need: int) -> None:
        """Have the disk promise so many bytes of room before they are committed.

        What the write-ahead file holds must fit into the file one day. If it did not, it would never begin anew, and
        nothing could be written any more, not even in the place of what may go.

        Raises:
            NoRoom: There is none.
        """
        growth = need - self.free()
        if self._file is None or growth <= 0:
            return
        size = self._pragma("page_count") * self._pragma("page_size") + growth
        try:
            if size > os.fstat(self._file).st_size:
                os.posix_fallocate(self._file, 0, size + RESERVE)
        except OSError as exc:
            if is_full(exc):
                raise NoRoom("the disk has no room for the log to grow") from exc
            # Of whatever else is wrong SQLite says more, or nothing: not every disk can promise.

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
