"""Who reads much harms nobody: what would take too much is refused, and whoever writes waits for no reader."""

import threading
from contextlib import suppress
from pathlib import Path

import duckdb
import numpy as np
import pytest

from linli_core.instant import DAY, MINUTE, SECOND
from linli_platform.store import Batch, StoreError, StoreUnavailable, duckdb_query, schema
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.extent import EVERYWHERE
from linli_platform.store.query import Measure, Steps, TooManyReadings, Windows
from linli_platform.store.removal import Retention

SERIES = 10
READINGS = 20_000
MANY = 50_000
"""Of which the windows take more than there is however few threads share the work."""


def filled(store: DuckDBStore, readings: int = READINGS) -> list[int]:
    times = np.arange(readings, dtype=np.int64) * SECOND
    ids = [store.series("gw", f"meter-{number}/voltage").id for number in range(SERIES)]
    for number in ids:
        store.append(Batch(np.full(readings, number, np.int32), times, times / 7, np.zeros(readings, np.uint8), 0), {})
    return ids


def one(series: int, time: int) -> Batch:
    return Batch(np.array([series], np.int32), np.array([time]), np.array([1.0]), np.zeros(1, np.uint8), time)


@pytest.mark.parametrize("is_packed", [False, True], ids=["fresh", "packed"])
def test_a_query_that_would_eat_the_memory_is_refused_and_others_live_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_packed: bool
) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        ids = filled(store, MANY)
        if is_packed:
            assert store.compact(3 * DAY).readings == SERIES * MANY
        store.checkpoint()
        (bound,) = store._rows("SELECT value FROM duckdb_settings() WHERE name = 'max_temp_directory_size'", {})
        assert bound == (schema.TEMPORARY.replace("GiB", ".0 GiB"),)
    # Nothing may be put aside, so that little is too much; when the file is opened again neither.
    monkeypatch.setattr(schema, "TEMPORARY", "0KB")
    with DuckDBStore(tmp_path / "store.duckdb", memory_limit="24MB") as store:
        windows = Windows(np.arange(MANY + 1, dtype=np.int64) * SECOND)
        answers: list[Steps] = []
        refusals: list[str] = []
        is_over = threading.Event()

        def ask() -> None:
            while len(refusals) + len(answers) < 3 and not is_over.is_set():
                try:
                    # Where memory ended in the last moment of a commit the file is opened again, beside the query.
                    with suppress(StoreUnavailable):
                        answers.append(store.steps({number: number for number in ids}, windows, frozenset(Measure)))
                except TooManyReadings as exc:
                    refusals.append(str(exc))

        asking = threading.Thread(target=ask)
        asking.start()
        written, is_refused = 0, False
        try:
            while asking.is_alive() or written < 10 or is_refused:
                # For a moment there may be no memory for it. That is never the batch's fault: it is tried again, and
                # taken, or known already where memory ended in the last moment of its commit.
                is_refused = True
                with suppress(StoreUnavailable):
                    appended = store.append(one(ids[0], DAY + written), {})
                    written += len(appended.new) + appended.duplicates
                    is_refused = False
        finally:
            is_over.set()
            asking.join()
        assert not answers
        assert all("ask for a shorter time" in refusal for refusal in refusals), refusals
        assert len(store.read(ids[1], 0, DAY, step=MINUTE)) == MANY // 60 + 1
        assert store.count() == SERIES * MANY + written
        with pytest.raises(TooManyReadings, match="ask for a shorter time"):
            store.scan(ids, 0, DAY, texts=False, limit=MANY)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Failed to commit: failed to allocate data of size 16.0 MiB", StoreUnavailable),
        (
            "Failed to commit: failed to offload data block of size 64.0 KiB (960.0 KiB/976.5 KiB used).",
            StoreUnavailable,
        ),
        ("Failed to commit: could not allocate block of size 4.0 KiB (22.9 MiB/22.8 MiB used)", StoreUnavailable),
        ("Failed to commit: whatever else (22.9 MiB/22.8 MiB used)", StoreUnavailable),
        ("Failed to commit: something else", StoreError),
    ],
)
def test_no_batch_is_to_blame_for_memory_that_ends_in_its_commit(
    tmp_path: Path, said: str, kind: type[StoreError]
) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        with pytest.raises(StoreError) as found, store._changes():
            raise duckdb.TransactionException(said)
        assert type(found.value) is kind


def test_what_a_rollback_left_over_refuses_one_batch_and_no_more(tmp_path: Path) -> None:
    """DuckDB was seen to refuse a blameless batch after memory had ended, and would refuse the next ones as well."""
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        (number,) = filled(store)[:1]
        before = store._connected()
        with pytest.raises(StoreUnavailable, match="nothing of the batch was kept"), store._changes():
            raise duckdb.TransactionException('Catalog write-write conflict on create with "new_reading"')
        assert len(store.append(one(number, DAY), {}).new) == 1
        assert store._connected() is not before


def test_more_windows_than_may_be_are_not_brought_to_memory(tmp_path: Path) -> None:
    """What leaves DuckDB is in no limit of its own; just as many as may be are answered."""
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        groups = {number: number for number in filled(store)[:2]}
        windows = Windows(np.arange(READINGS + 1, dtype=np.int64) * SECOND)
        with store._reader() as cursor:
            asked = (cursor, EVERYWHERE, groups, windows, frozenset({Measure.SUM}), 128, None)
            assert len(duckdb_query.steps(*asked, most=2 * READINGS).group) == 2 * READINGS
            with pytest.raises(TooManyReadings, match=f"more than {2 * READINGS - 1} windows: ask for a shorter time"):
                duckdb_query.steps(*asked, most=2 * READINGS - 1)


def test_the_writer_waits_for_no_reader(tmp_path: Path) -> None:
    """A reader in the middle of an answer keeps what it sees; all that writes goes on beside it."""
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        ids = filled(store)
        held = store.count()
        with store._reader() as reader, store.snapshot() as snapshot:
            reader.execute("SELECT series, time FROM readings")
            seen = len(reader.fetchmany(1_000))
            store.append(one(ids[0], DAY), {})
            assert store.compact(2 * DAY + DAY // 2).readings == held + 1
            assert store.delete([ids[0]], 0, DAY) == READINGS
            assert store.retain(9 * DAY, Retention(gauge=2)).readings == held + 1 - READINGS
            store.append(one(ids[0], 8 * DAY), {})
            while rows := reader.fetchmany(100_000):
                seen += len(rows)
            assert seen == snapshot.counts().readings == held
        store.checkpoint()
        assert store.count() == 1


def test_a_file_is_opened_again_beside_a_query_that_takes_long(tmp_path: Path) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        ids = filled(store)
        asked = threading.Event()
        refused: list[StoreError] = []

        def ask() -> None:
            try:
                with store._reader() as reader:
                    asked.set()
                    reader.execute("SELECT sum(sqrt(a.value + b.value)) FROM readings a, readings b").fetchall()
            except StoreError as exc:
                refused.append(exc)

        asking = threading.Thread(target=ask)
        asking.start()
        asked.wait()
        store.mark_broken()  # as a commit does that fails in its last moment
        assert len(store.append(one(ids[0], DAY), {}).new) == 1
        asking.join()
        (found,) = refused
        assert isinstance(found, StoreUnavailable), found  # a question that may be asked again, not one that is wrong
        assert "ask again" in str(found)
        assert store.count() == SERIES * READINGS + 1
