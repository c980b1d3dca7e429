"""What the embedded store keeps in memory of the blocks it has written."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pytest

from linli_platform.store import Batch, cache
from linli_platform.store.cache import Cache
from linli_platform.store.duckdb import DuckDBStore

ROWS = 130_000
"""More than one row group of DuckDB."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "store.duckdb", memory_limit="100MB") as store:
        store._cache = Cache(store.path, "100MB", kept=300_000)
        yield store


def bring(store: DuckDBStore, seed: int, rows: int = ROWS) -> None:
    """Commit readings that do not compress."""
    info = store.series("gw", "m/voltage")
    values = np.random.default_rng(seed).random(rows)
    times = np.arange(rows, dtype=np.int64) + seed * ROWS
    store.append(Batch(np.full(rows, info.id, np.int32), times, values, np.zeros(rows, np.uint8), seed), {})


def blocks(store: DuckDBStore) -> int:
    ((held,),) = store._rows("SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'BASE_TABLE'", {})
    return int(held)


def limit(store: DuckDBStore) -> str:
    ((found,),) = store._rows("SELECT current_setting('memory_limit')", {})
    return str(found)


def test_after_a_checkpoint_few_blocks_stay(store: DuckDBStore) -> None:
    before = limit(store)
    for seed in range(3):
        bring(store, seed)
        store.checkpoint()
    assert blocks(store) > 300_000
    bring(store, 3, rows=1)
    assert blocks(store) <= 300_000
    assert limit(store) == before
    assert store.count_distinct() == 3 * ROWS + 1


def test_nothing_is_let_go_while_others_are_at_work(store: DuckDBStore) -> None:
    bring(store, 0)
    store.checkpoint()
    held = blocks(store)
    with store._reader():
        bring(store, 1, rows=1)
        assert blocks(store) >= held
    with store._one_thread():
        store.checkpoint()
        bring(store, 2, rows=1)
        assert blocks(store) >= held


def test_no_query_begins_while_memory_is_taken_back(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a moment there is hardly any: it would be told to ask for less, and has asked for little."""
    may_begin: list[bool] = []
    give_back = store._cache.give_back

    def watched(connection: duckdb.DuckDBPyConnection) -> None:
        may_begin.append(not store._state.locked())
        give_back(connection)

    monkeypatch.setattr(store._cache, "give_back", watched)
    bring(store, 0)
    store.checkpoint()
    bring(store, 1, rows=1)
    assert may_begin == [False]
    with store._state:
        taken = store._cursors.take(store._connected())
        assert store._cursors  # from here on nothing is taken back
    with store._cursors.asking(store._connected(), taken, store._share):
        pass
    assert not store._cursors


def test_memory_that_cannot_be_had_back_stays(store: DuckDBStore) -> None:
    before = limit(store)
    bring(store, 0)
    connection = store._connected()
    ((held, blocks),) = connection.execute(cache._HELD).fetchall()
    with pytest.raises(duckdb.OutOfMemoryException):
        connection.execute("SET memory_limit = '1000B'")
    Cache(store.path, "100MB", kept=blocks - held + 1000).give_back(connection)
    assert limit(store) == before
    bring(store, 1)
    assert store.count() == 2 * ROWS
