"""A transaction of the writer, and who is to blame where it fails: the batch, or the memory, the disk, others."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from linli_platform.store import StoreError, StoreUnavailable

_NO_MEMORY: Final = re.compile(r"(?:failed to|could not) (?:allocate|offload|pin|resize)|\(\S+ \S+/\S+ \S+ used\)")
"""What DuckDB says where memory ends in a commit, or what it may put aside; an error of the transaction to it."""

_NOT_OURS: Final = re.compile(
    r"TransactionContext Error: (?:Conflict on |Failed to commit: (?:Could not|Cannot) [a-z0-9 ]+ file \")"
)
"""What it says where another transaction changes the same rows, and where the disk is full or fails in a commit."""

_BLAMELESS: Final = (
    duckdb.OutOfMemoryException,
    duckdb.IOException,
    duckdb.InterruptException,
    duckdb.ConnectionException,
)
"""Errors that no batch makes, whatever it holds. Something small may be written all the same: a probe shows nothing."""

_LEFT_OVER: Final = "Catalog write-write conflict"
"""What it says where memory ended in a rollback too: a table of columns that it lent us is neither there nor gone."""


@contextmanager
def transaction(
    connection: duckdb.DuckDBPyConnection, path: Path, broken: Callable[[], None]
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Commit what the block does, or nothing of it.

    Args:
        connection: The writer's.
        path: The file, for errors.
        broken: Called where the file must be opened again before the next write.

    Raises:
        StoreUnavailable: There is no memory or no disk for it now, or the file is of no more use: what was written is
            not to blame, and may be tried again.
        StoreError: Anything else that DuckDB says: what was written may be to blame.
    """
    try:
        connection.begin()
    except duckdb.Error as exc:
        broken()  # by what came before: nothing of this was written yet
        raise StoreUnavailable(f"{path}: nothing of the batch was kept, try again: {exc}") from exc
    try:
        yield connection
        connection.commit()
    except BaseException as exc:
        try:
            connection.rollback()
        except duckdb.Error:
            broken()
        if not isinstance(exc, duckdb.Error):
            raise
        if is_left_over := _LEFT_OVER in str(exc):
            broken()
        if is_left_over or isinstance(exc, _BLAMELESS) or _NO_MEMORY.search(str(exc)) or _NOT_OURS.match(str(exc)):
            # A query holds the memory, others fill the disk: no batch may be taken apart for that.
            raise StoreUnavailable(f"{path}: nothing of the batch was kept, try again: {exc}") from exc
        raise StoreError(f"{path}: nothing of the batch was kept: {exc}") from exc


@contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """Say as an error of the store what DuckDB says while the block runs.

    Args:
        path: The file.
        doing: What is being done.
    """
    try:
        yield
    except duckdb.Error as exc:
        raise StoreError(f"{path}: {doing}: {exc}") from exc
