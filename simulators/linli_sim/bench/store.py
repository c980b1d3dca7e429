"""``store.bytes_per_reading``: what a reading costs on disk."""

import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from linli_core.instant import DAY, HOUR, SECOND
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.bench import CannotRun, Result, bench
from linli_sim.loadcurve import Household

_METERS: Final = 20
_MOMENTS: Final = 8_640 // 2
_INTERVAL: Final = 10 * SECOND
_START: Final = 1_767_225_600 * SECOND
_LATENESS: Final = 20_000
"""A poll is up to this many µs after its time, another every time: times do not compress as a grid's would."""

_PHASES: Final = ("l1", "l2", "l3")
_POINTS: Final = (
    *(f"voltage.{phase}" for phase in _PHASES),
    *(f"current.{phase}" for phase in _PHASES),
    *(f"active_power.{phase}" for phase in _PHASES),
    "active_power",
    "power_factor",
    "energy_import",
)
_MOMENTS_IN_COMMIT: Final = 40
READINGS: Final = _METERS * _MOMENTS * len(_POINTS)


@bench("store.bytes_per_reading", unit="B", target=3)
def bytes_per_reading() -> Result:
    """A million readings: 20 meters of 12 points, every 10 s for 12 h, committed as they come, then moved to history.

    Values follow households' load curves, rounded as billing meters round them (0.1 V, 1 mA, 0.1 W, 10 Wh). Counted is
    what is in use of the file, rollups and all: what moving left free is filled by what comes next.
    The peer holds the same rows in one table whose key is series and time.
    """
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as name:
        folder = Path(name)
        with DuckDBStore(folder / "store.duckdb") as store, closing(sqlite3.connect(folder / "peer.sqlite")) as peer:
            peer.execute("PRAGMA synchronous = OFF")  # its size is asked for, not its speed
            peer.execute(
                "CREATE TABLE reading (series INTEGER, time INTEGER, value REAL, quality INTEGER,"
                " PRIMARY KEY (series, time)) WITHOUT ROWID"
            )
            ids = [store.series("gw-1", f"meter-{meter}/{point}").id for meter in range(_METERS) for point in _POINTS]
            for batch in _batches(np.array(ids, dtype=np.int32)):
                store.append(batch, {"gw-1": b"mark"})
                rows = zip(batch.series.tolist(), batch.time.tolist(), batch.value.tolist(), strict=True)
                peer.executemany("INSERT INTO reading VALUES (?, ?, ?, 0)", rows)
                peer.commit()
            moved = store.compact(_START + 2 * DAY).readings
            store.checkpoint()
            if not store.count() == moved == READINGS:
                raise CannotRun(f"the figure is void: {READINGS} appended, {store.count()} in the store, {moved} moved")
            ours = store.bytes_in_use()
        theirs = (folder / "peer.sqlite").stat().st_size
    return Result(ours / READINGS, f"SQLite {sqlite3.sqlite_version}, WITHOUT ROWID (series, time)", theirs / READINGS)


def _batches(ids: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Iterator[Batch]:
    lateness = random.Random(1)  # noqa: S311 - a repeatable day, no secret
    households = [Household(meter) for meter in range(_METERS)]
    times: list[int] = []
    values: list[float] = []
    for moment in range(_MOMENTS):
        due = _START + moment * _INTERVAL
        for household in households:
            household.step(_INTERVAL / SECOND, due % DAY / HOUR)
            times += [due + lateness.randrange(_LATENESS)] * len(_POINTS)
            values += _shown(household)
        if (moment + 1) % _MOMENTS_IN_COMMIT == 0:
            yield Batch(
                series=np.tile(ids, _MOMENTS_IN_COMMIT),
                time=np.array(times, dtype=np.int64),
                value=np.array(values, dtype=np.float64),
                quality=np.zeros(len(values), dtype=np.uint8),
                received_at=due + _INTERVAL,
            )
            times, values = [], []


def _shown(household: Household) -> list[float]:
    """Return what a billing meter shows, in the order of the points and the vocabulary's units."""
    phases = household.phases
    return [
        *(round(phase.voltage, 1) for phase in phases),
        *(round(phase.current, 3) for phase in phases),
        *(round(phase.power, 1) for phase in phases),
        round(household.power, 1),
        round(household.power / household.apparent, 3),
        round(household.energy / 10) * 10.0,
    ]
