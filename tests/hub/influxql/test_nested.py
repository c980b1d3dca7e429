"""What is taken together twice is what its rows, made one by one, would have come to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.hub.influxql.conftest import AREAS, BAD, DEVICES, GATEWAYS, GOOD, T0, Rows, put

from linli_core.instant import MINUTE
from linli_platform.influxql import answer as answering
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.influxql.encode import to_json
from linli_platform.influxql.execute import execute
from linli_platform.influxql.members import Members, Shelf
from linli_platform.influxql.parse import parse
from linli_platform.influxql.source import Series
from linli_platform.influxql.store_source import StoreSource
from linli_platform.store.duckdb import DuckDBStore

END = T0 + 3 * 60 * MINUTE
_TIME = "time >= '2026-03-01T00:07:00Z' AND time < '2026-03-01T02:51:00Z'"


class _RowByRow(StoreSource):
    """A source that takes nothing together: every row is made."""

    def steps(self, *_asked: object) -> None:
        return None


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    """Four registers: one is exchanged for a new one, one is silent for an hour, one reads half an hour only.

    Of a fifth there is nothing in the time that is asked for.
    """
    chance = np.random.default_rng(8)
    with DuckDBStore(tmp_path_factory.mktemp("meters") / "store.duckdb") as store:
        for number, device in enumerate(("m1", "m2", "m3", "m4")):
            register = 1000.0 * number
            rows: Rows = []
            for minute in range(180):
                register = 3.0 if (number, minute) == (1, 100) else register + float(chance.integers(0, 9))
                silent = (number == 2 and 40 <= minute < 100) or (number == 3 and minute > 30)
                if not silent:
                    rows.append((T0 + minute * MINUTE, register, BAD if minute % 37 == 5 else GOOD))
            put(store, "gw-1", f"{device}/energy_import", rows)
        put(store, "gw-1", "m5/energy_import", [(T0 + 400 * MINUTE, 1.0, GOOD)])
        yield store


@pytest.fixture(scope="module")
def catalogue(meters: DuckDBStore) -> Catalogue:
    return Catalogue.of(meters.all_series(), Places(AREAS, GATEWAYS, DEVICES), lambda _info: True)


def _asked(source: StoreSource, text: str) -> Any:
    return json.loads(to_json(execute(parse(text), source, END * 1000, "linli"), 1_000_000_000))["results"]


_CONSUMED = f"""(SELECT non_negative_difference(last("value")) AS "used" FROM "energy_import" WHERE {_TIME}
 GROUP BY time(10m), "building", "device", "point" fill(null))"""
_HIGHEST = f"""(SELECT max("value") AS "used" FROM "energy_import" WHERE {_TIME} GROUP BY time(10m), "device")"""
_RATE = _CONSUMED.replace('difference(last("value"))', 'derivative(last("value"), 1h)')
_CHANGE = _CONSUMED.replace('non_negative_difference(last("value"))', 'derivative(min("value"))')


@pytest.mark.parametrize("inner", [_CONSUMED, _HIGHEST, _RATE, _CHANGE])
@pytest.mark.parametrize(
    "outer",
    [
        'SELECT sum("used") * 0.001 AS "all" FROM {} WHERE {}',
        'SELECT sum("used"), count("used"), mean("used"), spread("used") FROM {} WHERE {} GROUP BY "device"',
        'SELECT round(mean("used") / 7) FROM {} GROUP BY "building", "nowhere"',
        'SELECT sum("used") FROM {} WHERE {} GROUP BY time(30m), "building" fill(null)',
        'SELECT mean("used") FROM {} WHERE {} GROUP BY time(30m) fill(previous)',
        'SELECT difference(max("used")) FROM {} WHERE {} GROUP BY time(20m), "device"',
        'SELECT max("used") * 2 AS "most" FROM {} WHERE {} GROUP BY "device"',
        'SELECT min("used") FROM {} WHERE {}',
        'SELECT first("used") FROM {} GROUP BY "device"',
        'SELECT last("used") FROM {} WHERE {} GROUP BY "building" LIMIT 1',
        'SELECT sum("used") FROM {} WHERE {} GROUP BY "device" SLIMIT 2 SOFFSET 1',
        "SELECT mean(*) FROM {} WHERE {} GROUP BY *",
        'SELECT sum("nothing") FROM {} WHERE {}',
        'SELECT percentile("used", 10) * 24 AS "steady" FROM {} WHERE {} GROUP BY "device", "building"',
        # Where few values are, a low one of a hundred is none of them.
        'SELECT percentile("used", 5) FROM {} WHERE {} GROUP BY "device"',
        'SELECT percentile("used", 0.1) FROM {} WHERE {}',
        'SELECT percentile("used", 100) FROM {} WHERE {} GROUP BY "building"',
        'SELECT percentile("used", 20) AS "p" FROM {} WHERE {} GROUP BY time(1h), "device" fill(null)',
        'SELECT percentile("used", 10) * 2 FROM {} WHERE {} GROUP BY time(30m), "building" fill(none)',
        'SELECT percentile("used", 50) FROM {} WHERE {} GROUP BY time(30m), "device" fill(previous)',
        'SELECT max("used") FROM {} WHERE {} GROUP BY time(30m), "device"',
    ],
)
def test_a_subquery_taken_together_is_what_its_rows_come_to(
    meters: DuckDBStore, catalogue: Catalogue, outer: str, inner: str
) -> None:
    text = outer.format(inner, _TIME)
    found = _asked(StoreSource(meters, catalogue), text)
    assert found == _asked(_RowByRow(meters, catalogue), text)
    assert "series" in found[0] or "nothing" in text


@pytest.mark.parametrize(
    "inner",
    [
        'SELECT mean("value") AS "v" FROM "energy_import" WHERE {} GROUP BY "device"',
        'SELECT count("value") AS "v" FROM "energy_import" WHERE {} GROUP BY "device"',
        'SELECT count("value") AS "v" FROM "energy_import" WHERE {} GROUP BY time(10m), "device"',
        'SELECT mean("value") * 2 AS "v" FROM "energy_import" WHERE {} GROUP BY time(10m), "device"',
        'SELECT last("value") AS "v" FROM "energy_import" WHERE {} GROUP BY time(10m), "device" fill(previous)',
        'SELECT last("value") AS "v" FROM "energy_import" WHERE {} GROUP BY time(10m), "device" LIMIT 3',
        'SELECT max("value") AS "v" FROM "energy_import" WHERE {} GROUP BY time(10m) ORDER BY time DESC',
        'SELECT "value" AS "v" FROM "energy_import" WHERE {}',
        'SELECT mean("v") AS "v" FROM (SELECT max("value") AS "v" FROM "energy_import" WHERE {} GROUP BY time(10m))',
        'SELECT sum("value") AS "v" FROM "energy_import", "active_power" WHERE {} GROUP BY time(1m), "device"',
        'SELECT sum("value") AS "v" FROM "nothing" WHERE {} GROUP BY time(1m), "device"',
    ],
)
def test_whatever_is_asked_within_is_answered_alike(meters: DuckDBStore, catalogue: Catalogue, inner: str) -> None:
    text = f'SELECT sum("v"), max("v") FROM ({inner.format(_TIME)}) WHERE {_TIME} GROUP BY "device"'
    assert _asked(StoreSource(meters, catalogue), text) == _asked(_RowByRow(meters, catalogue), text)


def test_a_subquery_of_too_many_values_is_refused(
    meters: DuckDBStore, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "MOST_VALUES", 40)
    (found,) = _asked(StoreSource(meters, catalogue), f'SELECT sum("used") FROM {_HIGHEST}')
    assert found["error"].startswith("more than 40 values in a subquery")


def test_what_was_worked_out_of_tags_is_forgotten_where_there_is_no_room() -> None:
    """Whoever asks another condition each time fills no memory, and is answered rightly all the same."""
    shelf = Shelf(room=8_000)
    members = Members([Series(number, {"device": f"d{number}"}) for number in range(20)], shelf)
    for number in range(20):
        (statement,) = parse(f"SELECT value FROM x WHERE device =~ /^d{number}$/")
        part = statement.condition  # type: ignore[union-attr]
        assert part is not None
        assert [one.id for one in members.holding([part])] == [number]
        assert 0 < shelf.used <= 8_000
    # What a long condition says of one series is a byte; what is kept is the condition.
    (statement,) = parse(f"SELECT value FROM x WHERE device =~ /^{'d' * 5_000}$/")
    assert statement.condition is not None  # type: ignore[union-attr]
    other = Shelf()
    assert not Members([Series(1, {"device": "d"})], other).holding([statement.condition])  # type: ignore[union-attr]
    assert other.used > 5_000
