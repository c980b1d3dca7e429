"""``alarm.replay.*``: rules tried on stored history, half a day of a community of a thousand dwellings."""

import tempfile
from datetime import UTC
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from linli_core.alarm import Limit
from linli_core.instant import DAY, HOUR, MINUTE
from linli_platform.alarms import load_rules
from linli_platform.alarms.replay import replay
from linli_platform.store import Batch
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.bench import bench

_METERS: Final = 1_000
_POINTS: Final = ("voltage.l1", "voltage.l2", "voltage.l3", "active_power", "air_temperature")
_START: Final = 1_795_000_000_000_000 // DAY * DAY
_SPAN: Final = 12 * HOUR


@bench("alarm.replay.readings_per_s", unit="readings/s", target=1_000_000)
def replayed() -> float:
    """Readings judged in a second by the rules that ship with the platform, and by the same with other limits.

    5,000 points by the minute; four fifths of them are watched by a rule of their own, all of them by those of silence.
    One voltage in a thousand readings is too high.
    """
    random = np.random.default_rng(7)
    with (
        tempfile.TemporaryDirectory(prefix="linli-bench-") as folder,
        DuckDBStore(Path(folder) / "store.duckdb") as store,
    ):
        names = [f"meter-{number}/{point}" for number in range(_METERS) for point in _POINTS]
        series = np.array([store.series("gw", name).id for name in names], np.int32)
        for at in range(_START, _START + _SPAN, 10 * MINUTE):
            times = np.arange(at, at + 10 * MINUTE, MINUTE, dtype=np.int64)
            value = np.where(random.random((len(times), len(names))) < 0.001, 240.0, 230.0)
            value[:, 4::5] = 4.0
            store.append(
                Batch(
                    np.tile(series, len(times)),
                    np.repeat(times, len(names)),
                    value.ravel(),
                    np.zeros(value.size, np.uint8),
                    at,
                    {},
                ),
                {},
            )
        rules = load_rules()
        tried = [
            msgspec.structs.replace(rule, condition=msgspec.structs.replace(rule.condition, hysteresis=1.5))
            if isinstance(rule.condition, Limit)
            else rule
            for rule in rules
        ]
        found = replay(store, rules, tried, {}, _START, _START + _SPAN, UTC)
    return found.readings / found.seconds
