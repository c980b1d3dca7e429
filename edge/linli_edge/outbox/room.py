"""How much of the disk the log takes, and whether the disk has room for more."""

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

OVERHEAD: Final = 64 * 1024
"""What a log takes beside its messages: tables of its own, indexes, pages half full."""
RESERVE: Final = 256 * 1024
"""Bytes by which the file grows, so that the disk is not asked for each message."""
MOST_TAKEN: Final = 2.25
"""How many times its bytes a message takes on disk at most (one of 250 bytes takes a page). What is beyond is a damaged
count of pages, for which nothing must leave."""

AHEAD: Final = 2 * 1024**2
"""Bytes of the write-ahead file at which SQLite moves it into the log, counted in frames: a page and 24 bytes. The
longer it is, the more often a page is written there before it is written once in the log."""

LAID_BY: Final = AHEAD + 1024**2
"""Bytes kept free beside the log for a start on a full disk: a write-ahead file and its index."""

_LEAST: Final = 256 * 1024
_LEFT: Final = 64 * 1024
"""What the write-ahead file takes beyond that: a commit, which is not cut in two."""

_NO_ROOM: Final = frozenset({"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"})


class NoRoom(sqlite3.OperationalError):
    """The disk has no room; SQLite's own error, said before it is too late."""

    sqlite_errorname = "SQLITE_FULL"


def is_full(error: Exception) -> bool:
    """Tell whether an error says that the disk has no room."""
    return getattr(error, "sqlite_errorname", "") in _NO_ROOM or getattr(error, "errno", 0) == errno.ENOSPC


def lay_by(log: Path) -> None:
    """Keep some room beside a log that is given to nobody else: as much as there is, up to what a start needs."""
    try:
        file = os.open(_kept(log), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        for size in range(LAID_BY, 0, -_LEAST):
            if os.fstat(file).st_size >= size:
                break
            try:
                os.posix_fallocate(file, 0, size)
            except OSError:
                os.ftruncate(file, 0)
    finally:
        os.close(file)


def spend(log: Path) -> bool:
    """Give the room up that was laid by; tell whether there was any."""
    try:
        _kept(log).unlink()
    except OSError:
        return False
    return True


def _kept(log: Path) -> Path:
    return log.with_name(f"{log.name}.reserve")


class Room:
    """The pages of a log's file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._file: int | None = None

    def open(self, path: Path) -> None:
        """Open the file, to ask the disk for room, and have it promise some to the write-ahead file.

        Raises:
            OSError: It cannot be opened.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        with suppress(OSError), path.with_name(f"{path.name}-wal").open("r+b") as ahead:
            os.posix_fallocate(ahead.fileno(), 0, AHEAD + _LEFT)

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
