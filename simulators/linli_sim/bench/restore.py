"""``restore.readings_per_s``: how fast a backup becomes a platform again."""

import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
from pyrage import x25519

from linli_core.instant import MINUTE, SECOND, Instant
from linli_platform.backup.restore import Place, restore
from linli_platform.backup.take import take
from linli_platform.backup.targets import FolderTarget
from linli_platform.registry import Registry
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.bench import CannotRun, bench

_SERIES: Final = 1_000
_MINUTES: Final = 5_000
_AT_ONCE: Final = 100
_NOW: Final[Instant] = 1_795_000_000 * SECOND


@bench("restore.readings_per_s", unit="readings/s", target=1_000_000)
def readings_per_s() -> float:
    """Five million readings of a thousand series: fetch, decrypt, check every byte, load, put into place."""
    chance = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="linli-bench-") as name:
        folder = Path(name)
        for part in ("target", "work", "new"):
            (folder / part).mkdir()
        target, key = FolderTarget(folder / "target"), x25519.Identity.generate()
        with DuckDBStore(folder / "store.duckdb") as store:
            ids = np.array([store.series("gw", f"m-{one}/active_power").id for one in range(_SERIES)], np.int32)
            level = chance.normal(1000, 200, _SERIES)
            for first in range(0, _MINUTES, _AT_ONCE):
                minutes = np.arange(first, first + _AT_ONCE, dtype=np.int64)
                value = np.round(np.tile(level, _AT_ONCE) + chance.normal(0, 5, _AT_ONCE * _SERIES), 1)
                time_ = np.repeat(_NOW - _MINUTES * MINUTE + minutes * MINUTE, _SERIES)
                series = np.tile(ids, _AT_ONCE)
                store.append(Batch(series, time_, value, np.zeros(len(value), np.uint8), _NOW), {"gw": b"mark"})
            with Registry(folder / "registry.sqlite") as registry:
                take(store, registry.path, target, key.to_public(), _NOW, work=folder / "work")
        begun = time.monotonic()
        place = Place(folder / "new" / "store.duckdb", folder / "new" / "registry.sqlite", folder / "work")
        restore(target, "newest", [key], place, _NOW)
        took = time.monotonic() - begun
        with DuckDBStore(place.store) as back:
            found = back.count()
    if found != _SERIES * _MINUTES:
        raise CannotRun(f"the figure is void: {found} readings came back of {_SERIES * _MINUTES}")
    return found / took
