"""``store.longest_commit_ms``: for how long what comes in waits while days are moved to history."""

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, MINUTE
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.bench import CannotRun, bench

_SERIES: Final = 2_000
_DAYS: Final = 3
_INTERVAL: Final = 5 * MINUTE
_READINGS_IN_COMMIT: Final = 1_000
_PAUSE: Final = 0.02


@bench("store.longest_commit_ms", unit="ms", target=500)
def longest_commit() -> float:
    """Commits of 1,000 readings, fifty a second, while 1.7 million readings of three days are moved to history.

    The days' readings came in order of time, of 2,000 series, as they do. The median is told beside.
    """
    with (
        tempfile.TemporaryDirectory(prefix="linli-bench-") as folder,
        DuckDBStore(Path(folder) / "store.duckdb") as store,
    ):
        ids = np.array([store.series("gw-1", f"d{number}/active_power").id for number in range(_SERIES)], np.int32)
        chance = np.random.default_rng(1)
        for moment in range(0, _DAYS * DAY, _INTERVAL):
            _commit(store, ids, moment, chance)
        moved: list[int] = []
        mover = threading.Thread(target=lambda: moved.append(store.compact((_DAYS + 1) * DAY).readings))
        mover.start()
        taken = []
        moment = (_DAYS + 2) * DAY
        while mover.is_alive():
            began = time.perf_counter()
            _commit(store, ids[:_READINGS_IN_COMMIT], moment, chance)
            taken.append((time.perf_counter() - began) * 1000)
            moment += _INTERVAL
            time.sleep(_PAUSE)
        mover.join()
        if moved != [_SERIES * _DAYS * DAY // _INTERVAL]:
            raise CannotRun(f"the figure is void: {moved} readings were moved")
    median = f"  {len(taken)} commits, median {np.median(taken):.1f} ms"
    print(median, file=sys.stderr)  # noqa: T201 - the bench's detail
    return max(taken)


def _commit(store: DuckDBStore, ids: NDArray[np.int32], moment: int, chance: np.random.Generator) -> None:
    readings = len(ids)
    values = np.round(chance.uniform(80, 900, readings), 1)
    store.append(Batch(ids, np.full(readings, moment), values, np.zeros(readings, np.uint8), moment), {"gw-1": b"mark"})
