"""Whom a failure is laid to: a batch that is blameless is tried again, and never taken apart or set aside."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from linli_core.instant import DAY
from linli_platform.store import Batch, StoreError, StoreUnavailable, statements
from linli_platform.store.duckdb import DuckDBStore


def one(store: DuckDBStore, time: int) -> Batch:
    series = np.array([store.series("gw", "meter-1/voltage").id], np.int32)
    return Batch(series, np.array([time]), np.array([1.0]), np.zeros(1, np.uint8), time)


# Writes under a limit of the size of a file, which stands for a disk that has room for little more: what is small is
# taken, and says nothing of what is large. A batch of the first size goes into the log, one of the other is written
# before the commit.
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from linli_platform.store import Batch, StoreError
from linli_platform.store.duckdb import DuckDBStore

path = Path(sys.argv[1])
for readings in (20_000, 200_000):
    with DuckDBStore(path) as store:
        series = store.series("gw", "meter-1/voltage").id
        held = store.count()
        time = held + np.arange(readings, dtype=np.int64)
        values = np.random.default_rng(1).random(readings)
        batch = Batch(np.full(readings, series, np.int32), time, values, np.zeros(readings, np.uint8), 0)
        room = max(path.stat().st_size, 100_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            store.append(batch, {})
        except StoreError as exc:
            print(type(exc).__name__, type(exc.__cause__).__name__)
        store.probe()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(len(store.append(batch, {}).new), store.count() - held)
"""


def test_no_batch_is_to_blame_for_a_disk_that_is_full(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / "store.duckdb")]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.stdout.splitlines() == [
        "StoreUnavailable TransactionException",
        "20000 20000",
        "StoreUnavailable IOException",
        "200000 200000",
    ], said.stderr


def test_no_batch_is_to_blame_for_what_another_transaction_changes(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        store.append(one(store, 0), {})
        other = store._cursor()
        other.begin()
        other.execute("DELETE FROM reading")
        with pytest.raises(StoreUnavailable, match="Conflict on tuple deletion"), store._changes() as connection:
            connection.execute("DELETE FROM reading")
        other.rollback()
        other.close()
        assert len(store.append(one(store, 1), {}).new) == 1


def test_no_batch_is_to_blame_for_what_came_before_it(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        store._connected().begin()  # something was left over that lets no transaction begin
        with pytest.raises(StoreUnavailable, match="nothing of the batch was kept, try again"):
            store.append(one(store, 0), {})
        assert len(store.append(one(store, 0), {}).new) == 1


def test_why_a_commit_failed_is_said_though_the_rollback_fails_too(tmp_path: Path) -> None:
    def fail(connection: duckdb.DuckDBPyConnection) -> None:
        connection.rollback()
        raise ValueError("the reason")

    with DuckDBStore(tmp_path / "store.duckdb") as store:
        with pytest.raises(ValueError, match="the reason"), store._changes() as connection:
            fail(connection)
        assert len(store.append(one(store, 0), {}).new) == 1


def failing_once(of: Any) -> Any:
    """Return what fails as a disk does when it is called first."""
    calls = iter([duckdb.IOException("Could not read from file")])

    def call(*arguments: Any) -> Any:
        if failure := next(calls, None):
            raise failure
        return of(*arguments)

    return call


def test_a_file_that_cannot_be_opened_again_now_is_opened_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        store.append(one(store, 0), {"gw": b"1"})
        store.mark_broken()
        monkeypatch.setattr(statements, "read_heads", failing_once(statements.read_heads))
        with pytest.raises(StoreUnavailable, match="it cannot be read: Could not read from file"):
            store.append(one(store, 1), {"gw": b"2"})
        assert len(store.append(one(store, 1), {"gw": b"2"}).new) == 1
        assert store.marks() == {"gw": b"2"}


def test_what_fails_after_a_commit_does_not_undo_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_platform.store.duckdb._FOLD_AFTER", 1)
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        monkeypatch.setattr(statements, "read_marks", failing_once(statements.read_marks))
        assert len(store.append(one(store, 0), {"gw": b"1"}).new) == 1
        assert store.marks() == {"gw": b"1"}
        assert len(store.append(one(store, 1), {"gw": b"2"}).new) == 1
        assert store.marks() == {"gw": b"2"}


def test_a_deletion_that_fails_takes_out_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        store.append(one(store, 0), {})
        monkeypatch.setattr(statements, "read_heads", failing_once(statements.read_heads))
        with pytest.raises(StoreError, match="Could not read from file"):
            store.delete([1], 0, DAY)
        assert store.count() == len(store.latest()) == 1
        assert store.delete([1], 0, DAY) == 1
        assert store.latest() == []


def test_upkeep_and_backups_hear_of_a_file_that_fails_as_of_any_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever calls them waits for errors of the store, and tries again later."""
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        store.append(one(store, 0), {})
        with store.snapshot() as snapshot:
            store._reopen()
            with pytest.raises(StoreError, match="the snapshot cannot be read or written"):
                snapshot.counts()
        gone = store._cursor()
        gone.close()
        with monkeypatch.context() as patch:
            patch.setattr(store, "_cursor", lambda: gone)
            with pytest.raises(StoreError, match="upkeep"):
                store.compact(9 * DAY)
        assert store.compact(9 * DAY).readings == 1
