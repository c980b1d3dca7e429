"""A small store with places: two buildings, meters in them, gaps, texts and a reading that went wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linli_core.instant import MINUTE, from_rfc3339
from linli_core.model import Quality, Reason, quality_code
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.influxql.encode import to_json
from linli_platform.influxql.execute import execute
from linli_platform.influxql.parse import parse
from linli_platform.influxql.store_source import StoreSource
from linli_platform.registry import Area, Device, Gateway, State
from linli_platform.store import Batch, SeriesInfo
from linli_platform.store.duckdb import DuckDBStore

T0 = from_rfc3339("2026-03-01T00:00:00Z")
GOOD = quality_code(Quality.GOOD)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
Rows = list[tuple[int, float | str | None, int]]
Asked = Callable[..., list[dict[str, Any]]]

AREAS = [Area("yard", None, "community"), Area("b1", "yard", "building"), Area("b2", "yard", "building")]
GATEWAYS = [Gateway("gw-1", State.ACTIVE, area="b1")]
DEVICES = [Device("gw-1", "m2", State.ACTIVE, area="b2")]


def put(store: DuckDBStore, gateway: str, name: str, rows: Rows) -> SeriesInfo:
    """Store readings of one point."""
    info = store.series(gateway, name)
    store.append(
        Batch(
            series=np.full(len(rows), info.id, np.int32),
            time=np.array([row[0] for row in rows], np.int64),
            value=np.array([row[1] if isinstance(row[1], int | float) else np.nan for row in rows], np.float64),
            quality=np.array([row[2] for row in rows], np.uint8),
            received_at=T0,
            texts={place: row[1] for place, row in enumerate(rows) if isinstance(row[1], str)},
        ),
        {},
    )
    return info


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path / "store.duckdb") as opened:
        minutes = [T0 + minute * MINUTE for minute in range(6)]
        put(opened, "gw-1", "m1/active_power", [(at, 100.0 + place, GOOD) for place, at in enumerate(minutes)])
        put(opened, "gw-1", "m2/active_power", [(minutes[0], 7.0, GOOD), (minutes[4], 9.0, GOOD)])
        put(opened, "gw-1", "m1/text_message", [(minutes[1], "door open", GOOD), (minutes[3], "closed", GOOD)])
        put(
            opened,
            "gw-1",
            "m3/temperature",
            [(minutes[0], 4.0, GOOD), (minutes[1], 999.0, BAD), (minutes[2], None, BAD)],
        )
        yield opened


@pytest.fixture
def source(store: DuckDBStore) -> StoreSource:
    catalogue = Catalogue.of(store.all_series(), Places(AREAS, GATEWAYS, DEVICES), lambda _info: True)
    return StoreSource(store, catalogue)


@pytest.fixture
def ask(source: StoreSource) -> Asked:
    """Return what asks a query and returns the results of its statements."""

    def asked(
        text: str,
        *,
        unit: int | None = 1_000_000_000,
        database: str = "linli",
        now: int = T0,
        local: tzinfo | None = None,
    ) -> Any:
        results = execute(parse(text), source, now * 1000, database, local)
        return json.loads(to_json(results, unit))["results"]

    return asked
