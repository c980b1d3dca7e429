"""Upkeep is beside the writer: at no step of it does a commit wait for the next, and what stops all is bounded."""

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from linli_core.instant import DAY, SECOND
from linli_platform.store import Batch, statements
from linli_platform.store.duckdb import DuckDBStore


def batch(series: int, first: int, readings: int) -> Batch:
    at = np.arange(first, first + readings, dtype=np.int64) * SECOND
    return Batch(np.full(readings, series, np.int32), at, at / SECOND / 8, np.zeros(readings, np.uint8), 0)


def test_commits_go_on_at_every_step_of_moving_a_day(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        for number in (1, 2):
            store.append(batch(store.series("gw", f"meter-{number}/voltage").id, 0, 5_000), {})
        run, steps = store._aside.execute, 0

        def execute(query: str, values: Any = None) -> list[tuple[Any, ...]]:
            nonlocal steps
            # Held up by what is being moved, this would wait for ever.
            store.append(batch(1, 1_000_000 + steps * 10, 10), {"gw": b"mark"})
            steps += 1
            return run(query, values)

        store._aside.execute = execute  # type: ignore[method-assign]
        assert store.compact(2 * DAY, most=6_000).readings == 10_000
        assert steps > 20
        assert store.count() == store.count_distinct() == 10_000 + steps * 10


def test_holes_are_closed_a_few_at_a_time(tmp_path: Path) -> None:
    """Nobody writes while DuckDB closes them: what a checkpoint closes is bounded, and the next goes on with it."""

    def blocks(store: DuckDBStore) -> int:
        return int(store._rows("SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('reading')", {})[0][0])

    with DuckDBStore(tmp_path / "store.duckdb") as store:
        series = store.series("gw", "meter-1/voltage").id
        for number in range(12):
            store.append(batch(series, number * 122_880, 122_880), {})
        store.checkpoint()
        before = blocks(store)
        store._connected().execute("DELETE FROM reading WHERE time % 4000000 <> 0")
        left = [before]
        for _ in range(9):
            store.append(batch(series, 10_000_000 + len(left), 1), {})
            store.checkpoint()
            left.append(blocks(store))
        assert before >= 12
        assert left[-1] < before // 2
        assert all(one - other <= 4 for one, other in pairwise(left))


def test_the_log_is_brought_in_while_commits_go_on(tmp_path: Path) -> None:
    """Were it brought in by a commit of the writer, or by a checkpoint that lets nobody in, none would be beside it."""
    path = tmp_path / "store.duckdb"
    log = path.with_name(path.name + ".wal")
    with DuckDBStore(path) as store:
        series = [store.series("gw", f"meter-{number}/voltage").id for number in (1, 2, 3)]
        bring_in, sleep_ms = store._aside.bring_in, 50
        beside: list[int] = []
        log_after: list[int] = []

        def watched(cursor: duckdb.DuckDBPyConnection, reader: duckdb.DuckDBPyConnection) -> None:
            done = threading.Event()

            def work() -> None:
                bring_in(cursor, reader)
                done.set()

            # As long as it might take: for each table that has changed.
            store._connected().execute(f"SET debug_checkpoint_scan_sleep_ms = {sleep_ms}")
            worker = threading.Thread(target=work)
            worker.start()
            committed = 0
            while not done.is_set():
                store.append(batch(series[0], 100_000_000 + len(beside) * 10_000 + committed, 1), {"gw": b"mark"})
                committed += 1
            worker.join()
            # Only now: now and then a commit of the writer is so near that it is the one that does it.
            log_after.append(log.stat().st_size if log.exists() else 0)
            store._connected().execute("SET debug_checkpoint_scan_sleep_ms = 0")
            beside.append(committed)

        store._aside.bring_in = watched  # type: ignore[method-assign]
        days = 0
        # On a busy machine commits take long: what they are beside must take longer, until five of them are.
        while max(beside, default=0) < 5:
            for number in series:
                store.append(batch(number, days * DAY // SECOND, 80_000), {})
            assert log.stat().st_size > 4_000_000
            days += 1
            assert store.compact((days + 1) * DAY).readings == 3 * 80_000
            assert beside
            sleep_ms *= 4
        assert max(log_after) < 1_000_000
        assert store.count() == store.count_distinct() == days * 3 * 80_000 + sum(beside)
        assert store.marks() == {"gw": b"mark"}
        assert store._rows("SELECT current_setting('wal_autocheckpoint')", {}) == [("15.2 MiB",)]


def test_upkeep_begins_between_two_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a writer is about to change is seen by all that begins after it told the others to give way."""
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        store.append(batch(store.series("gw", "meter-1/voltage").id, 0, 5), {})
        aside, seen, gone_on = store._aside, [], threading.Event()

        class Asked:
            """The writer's lock; tells that it is asked for."""

            def __enter__(self) -> None:
                gone_on.set()
                store._write.acquire()

            def __exit__(self, *_: object) -> None:
                store._write.release()

        def look() -> None:
            with aside.transaction(store._cursor(), 0, 1):
                seen.extend(aside.execute("SELECT count(*) FROM reading"))
                gone_on.set()

        upkeep = threading.Thread(target=look)
        redo = statements.redo_swapped

        def writing(*of: Any) -> None:
            redo(*of)
            upkeep.start()
            gone_on.wait()

        monkeypatch.setattr(aside, "_write", Asked())
        monkeypatch.setattr(statements, "redo_swapped", writing)
        store.append(batch(1, 9, 5), {})
        upkeep.join()
        assert seen == [(10,)]
