"""The store's promise when its process dies at any moment: marks are never ahead of the data, nothing is doubled."""

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore

ROWS = 200

# Writes batch after batch, each with its number as the mark, from the one before the last committed: a gateway that has
# not heard the ack sends again. Prints the number once the store says it is committed.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore

rows = int(sys.argv[2])
with DuckDBStore(Path(sys.argv[1])) as store:
    ids = np.array([store.series("gw", f"meter-{n}/energy_import").id for n in range(10)], np.int32)
    number = max(0, int(store.marks().get("gw", b"0")) - 1)
    while True:
        time = number * rows + np.arange(rows, dtype=np.int64)
        values = time.astype(np.float64)
        batch = Batch(ids[time % 10], time, values, np.zeros(rows, np.uint8), 0)
        store.append(batch, {"gw": b"%d" % number})
        print(number, flush=True)
        number += 1
        if number % 7 == 0:
            store.checkpoint()
"""


def test_a_writer_that_is_killed_leaves_marks_and_data_in_step(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    chance = random.Random(1)
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(ROWS)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(chance.randint(1, 12))]
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        said += [int(line) for line in rest.split("\n")[:-1]]
        with DuckDBStore(path) as store:
            mark = int(store.marks()["gw"])
            assert mark in {said[-1], said[-1] + 1}  # it may have died between the commit and the word
            assert store.count() == store.count_distinct() == (mark + 1) * ROWS
            for series in store.all_series():
                rows = store.read(series.id, 0, 2**60, limit=1_000_000)
                assert [row.time for row in rows] == list(range(series.id - 1, (mark + 1) * ROWS, 10))
                assert all(row.value == row.time for row in rows)
            assert {row.time for row in store.latest()} == set(range((mark + 1) * ROWS - 10, (mark + 1) * ROWS))


def test_readers_see_whole_commits_while_a_writer_writes(tmp_path: Path) -> None:
    problems: list[object] = []
    done = threading.Event()
    with DuckDBStore(tmp_path / "store.duckdb") as store:
        series = store.series("gw", "meter-1/energy_import").id

        def write() -> None:
            for number in range(40):
                time = number * ROWS + np.arange(ROWS, dtype=np.int64)
                ids = np.full(ROWS, series, np.int32)
                store.append(
                    Batch(ids, time, time.astype(np.float64), np.zeros(ROWS, np.uint8), 0), {"gw": b"%d" % number}
                )
            done.set()

        def read() -> None:
            while not done.is_set():
                counted = store.count()
                rows = store.read(series, 0, 2**60, limit=1_000_000)
                if counted % ROWS or len(rows) % ROWS or len(rows) < counted:
                    problems.append((counted, len(rows)))
                latest = store.latest()
                if latest and (latest[0].time + 1) % ROWS:
                    problems.append(latest)

        threads = [threading.Thread(target=work) for work in (write, read, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        assert store.count() == 40 * ROWS
