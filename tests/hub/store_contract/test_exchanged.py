"""A meter that is exchanged counts on, on every store."""

from collections.abc import Callable

import numpy as np
import pytest

from linli_core.instant import SECOND
from linli_core.model import Quality, Reason, quality_code
from linli_platform.influxql.counted import Registers
from linli_platform.store import Batch, EventRow
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Measure, Windows

GOOD = quality_code(Quality.GOOD)
NOW = 1_764_000_000_000_000
"""2025-11-24T16:00:00Z"""


def at(second: int) -> int:
    return NOW + second * SECOND


def test_what_a_meter_counted_goes_on_over_its_exchange(store: DuckDBStore, batch: Callable[..., Batch]) -> None:
    """By what was told of it: 0.3 that the old one still counted, 0.2 that the new one had when it was first read."""
    names = "meter-1/energy_import", "meter-2/energy_import"
    series, other = (store.series("gw-a", name).id for name in names)
    rows = [(series, at(minute * 60), (700.0 if minute < 50 else -49.8) + minute, None, GOOD) for minute in range(100)]
    rows[20] = (series, at(1200), 720_000.0, None, quality_code(Quality.UNCERTAIN, Reason.UNIT_JUMP))
    plain = [(other, at(minute * 60), 700.0 + minute, None, GOOD) for minute in range(50)]
    store.append(batch([*rows, *plain]), {})
    data = '{"swapped_at": "2025-11-24T16:49:30Z", "final": {"energy_import": 749.3}, "start": {"energy_import": 0}}'
    event = EventRow("gw-a", "1", at(90_000), "linli.device.swapped", "meter-1", data, at(90_000))
    glitch = EventRow("gw-a", "2", at(1260), "linli.register.glitch", "meter-1", '{"point": "energy_import"}', at(1260))
    store.append(batch([]), {}, events=[event, glitch])
    for minutes in (1, 7, 25, 100):
        windows = Windows(np.array([at(minute * 60) for minute in range(0, 100 + minutes, minutes)], np.int64))
        found = Registers(store).steps({series: 3, other: 5}, windows, 1_000)
        own, last = found.group == 3, found.measures[Measure.LAST]
        assert last[own][-1] == pytest.approx(749.5 + 49)
        assert last[found.group == 5][-1] == 749.0
        assert (np.diff(last[own]) >= 0).all()
