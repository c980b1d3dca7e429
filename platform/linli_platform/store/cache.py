"""Gives back memory that DuckDB keeps for blocks it has written, or read once.

DuckDB holds every block in memory until its limit is reached: a store that only takes readings would grow to that limit
within hours, for nobody reads these blocks again soon, and the kernel keeps them too. A checkpoint is what writes them:
after one, the oldest blocks beyond a few are let go. There is no statement for it; a lower limit does it, for a moment.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb

KEPT: Final = 32_000_000
"""Bytes of blocks that stay: the newest, and those a query has just read."""

_HELD: Final = """
SELECT sum(memory_usage_bytes)::BIGINT, coalesce(sum(memory_usage_bytes) FILTER (tag = 'BASE_TABLE'), 0)::BIGINT
FROM duckdb_memory()
"""


class Cache:
    """The blocks of one file in memory.

    Args:
        path: The file.
        limit: What DuckDB may hold in memory, as DuckDB writes it.
        kept: Bytes of blocks that stay.
    """

    def __init__(self, path: Path, limit: str, kept: int = KEPT) -> None:
        self._log = path.with_name(path.name + ".wal")
        self._limit = limit
        self._kept = kept
        self._written = 0

    def was_written(self) -> bool:
        """Tell whether a checkpoint has emptied the write-ahead log since the last look."""
        try:
            now = self._log.stat().st_size
        except FileNotFoundError:
            now = 0
        before, self._written = self._written, now
        return now < before

    def give_back(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let blocks go beyond those that stay; nobody else may be in the middle of a statement.

        Raises:
            duckdb.Error: The file is of no more use.
        """
        ((held, blocks),) = connection.execute(_HELD).fetchall()
        if blocks <= self._kept:
            return
        try:
            # Refused where memory cannot be had back so fast: then another time.
            with suppress(duckdb.OutOfMemoryException):
                connection.execute(f"SET memory_limit = '{held - blocks + self._kept}B'")
        finally:
            connection.execute(f"SET memory_limit = '{self._limit}'")
