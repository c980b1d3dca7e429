"""A transaction of the writer, and who is to blame where it fails: the batch, or the memory."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from linli_platform.store import StoreError, StoreUnavailable

_NO_MEMORY: Final = re.compile(r"(?:failed to|could not) (?:allocate|offload|pin|resize)|\(\S+ \S+/\S+ \S+ used\)")
"""What DuckDB says where memory ends in a commit, or what it may put aside; an error of the transaction to it."""

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
        StoreUnavailable: There is no memory for it now; the same may be tried again.
        StoreError: Anything else that DuckDB says: what was written is to blame, or the file.
    """
    try:
        connection.begin()
        yield connection
        connection.commit()
    except duckdb.Error as exc:
        try:
            connection.rollback()
        except duckdb.Error:
            broken()
        if _LEFT_OVER in str(exc):
            broken()
            raise StoreUnavailable(f"{path}: nothing of the batch was kept, try again: {exc}") from exc
        if isinstance(exc, duckdb.OutOfMemoryException) or _NO_MEMORY.search(str(exc)):
            # A query holds it. No batch is to blame for that, and none may be taken apart.
            raise StoreUnavailable(f"{path}: nothing of the batch was kept, try again: {exc}") from exc
        raise StoreError(f"{path}: nothing of the batch was kept: {exc}") from exc
    except BaseException:
        connection.rollback()
        raise
