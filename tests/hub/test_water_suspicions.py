"""Which meters the board of water suspects: leaks are planted behind meters that are read often, and once a day.

The board's own statements are asked, of the platform's store, row by row, and straight of the databases under it.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from tests.hub.influxql.conftest import GOOD, Rows, put

from linli_core.instant import DAY, HOUR, MINUTE, Instant, from_rfc3339
from linli_dashboards.ask import Ask
from linli_dashboards.boards.district import DISTRICT
from linli_dashboards.boards.water import WATER
from linli_dashboards.check.grafana import Shown, filled
from linli_dashboards.influxql import Scope, statement
from linli_dashboards.promql import expression
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.influxql.encode import to_json
from linli_platform.influxql.execute import execute
from linli_platform.influxql.parse import parse
from linli_platform.influxql.store_source import StoreSource
from linli_platform.registry import Area, Device, Gateway, State
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.boards.engines import influx, victoria
from linli_sim.database_server import find_program
from linli_sim.influxdb import InfluxDB

ZONE: Final = ZoneInfo("Europe/Berlin")
NOW: Final = from_rfc3339("2026-03-20T10:17:00Z")
BEGIN: Final = from_rfc3339("2026-03-01T00:00:00Z")
VARIABLES: Final[dict[str, str | list[str]]] = {
    **dict.fromkeys(("area", "building", "dwelling", "device"), ".*"),
    "water_price": "4.00",
    "period": "1d",
}
_BY_DAY: Final = (7, 8, 12, 18, 19, 20, 21)

Found = dict[str, float | None]
Asking = Callable[[Ask], Found]


def _used(at: Instant) -> float:
    """Return what people have drawn until an instant, in litres: by day alone, and nothing on three days away."""
    day, into = divmod(at - BEGIN, DAY)
    days = [each for each in range(day) if each not in (12, 13, 14)]
    today = 0 if day in (12, 13, 14) else sum(min(max(into - hour * HOUR, 0), HOUR) for hour in _BY_DAY) / HOUR
    return sum(25.0 * (1 + each % 3) * len(_BY_DAY) for each in days) + 25.0 * (1 + day % 3) * today


def _register(every: Instant, phase: Instant, leak: float, swapped: Instant = 0, shut: Instant = 0) -> Rows:
    """Return the readings of a meter behind which so many litres an hour leak.

    At ``swapped`` it begins anew; from ``shut`` on nothing runs for an hour.
    """
    rows: Rows = []
    for at in range(BEGIN + phase, NOW, every):
        still = min(max(at - shut, 0), HOUR) if shut else 0
        stood = 70.0 + (_used(at) + leak * (at - BEGIN - still) / HOUR) / 1000
        rows.append((at, stood - 70.0 if 0 < swapped <= at else stood, GOOD))
    return rows


METERS: Final = {
    "hourly-leak": _register(HOUR, 4 * MINUTE, 8.0, shut=from_rfc3339("2026-03-20T01:04:00Z")),
    "four-hourly-leak": _register(4 * HOUR, 30 * MINUTE, 6.0),
    "four-hourly-honest": _register(4 * HOUR, 40 * MINUTE, 0.0),
    "hourly-honest": _register(HOUR, 9 * MINUTE, 0.0),
    "quarterly-leak": _register(15 * MINUTE, 2 * MINUTE, 5.0, swapped=NOW - 30 * HOUR),
    "quarterly-honest": _register(15 * MINUTE, MINUTE, 0.0),
    "daily-honest": _register(DAY, 5 * HOUR, 0.0),
    "daily-leak": _register(DAY, 5 * HOUR, 20.0),
}


MAIN: Final = "main"
"""Through it all draw at any hour. Its kind says so to the platform; a database under it knows of no kinds."""


def _questions(key: str) -> dict[str, Ask]:
    (panel,) = (panel for panel in WATER.panels if panel.key == key)
    return {ask.name: ask for ask in panel.asks if isinstance(ask, Ask)}


def _statement(ask: Ask, scope: Scope = Scope.PLATFORM) -> str:
    shown = Shown.until(NOW // 1_000_000, "7d")
    text = statement(ask, "en", scope)
    return filled(text, shown, VARIABLES)


class _RowByRow(StoreSource):
    def steps(self, *_asked: object) -> None:
        return None


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path_factory.mktemp("water") / "store.duckdb", zone=ZONE) as opened:
        for device, rows in {**METERS, MAIN: _register(HOUR, MINUTE, 300.0)}.items():
            put(opened, "gw-1", f"{device}/water_volume", rows)
        yield opened


def _of_platform(store: DuckDBStore, kind: type[StoreSource]) -> Callable[[str], list[dict[str, Any]]]:
    devices = [Device("gw-1", device, State.ACTIVE, "water_meter", area="yard") for device in METERS]
    devices.append(Device("gw-1", MAIN, State.ACTIVE, "bulk_water_meter", area="yard"))
    places = Places([Area("yard", None, "community")], [Gateway("gw-1", State.ACTIVE, area="yard")], devices)
    source = kind(store, Catalogue.of(store.all_series(), places, lambda _info: True))

    def asked(text: str) -> list[dict[str, Any]]:
        results = execute(parse(text), source, NOW * 1000, "linli", ZONE)
        found: list[dict[str, Any]] = json.loads(to_json(results, 1_000_000))["results"][0]["series"]
        return found

    return asked


def _by_device(series: list[dict[str, Any]]) -> Found:
    return {one["tags"]["device"]: one["values"][0][1] for one in series}


def _lines(name: str, by: str) -> bytes:
    return (
        "\n".join(
            f"{name},gateway=gw-1,device={device},point={device}/water_volume value={value} {at * 1000}"
            for device, rows in METERS.items()
            for at, value, _ in rows
        )
        .replace("value=", f"{by}=")
        .encode()
    )


@pytest.fixture(scope="module", params=["platform", "row by row", "influxdb", "victoriametrics"])
def ask(request: pytest.FixtureRequest, store: DuckDBStore) -> Iterator[Asking]:
    """Return what asks one of the board's questions and returns the value of each device."""
    if request.param == "influxdb":
        if find_program("influxd") is None:
            pytest.skip("apt install influxdb")
        with influx() as engine:
            server = InfluxDB(engine.url, 0)
            server.write("linli", _lines("water_volume", "value"))
            yield lambda ask: _by_device(server.query(_statement(ask, Scope.DATABASE), "linli")["results"][0]["series"])
    elif request.param == "victoriametrics":
        if find_program("victoria-metrics") is None:
            pytest.skip("apt install victoria-metrics")
        with victoria() as engine:
            _post(f"{engine.url}/write", _lines("water_volume", "value"))
            _post(f"{engine.url}/internal/force_flush", b"")
            yield lambda ask: _of_victoria(engine.url, ask)
    else:
        asked = _of_platform(store, _RowByRow if request.param == "row by row" else StoreSource)
        yield lambda ask: _by_device(asked(_statement(ask)))


def _post(url: str, body: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, data=body)):
        pass


def _of_victoria(url: str, ask: Ask) -> Found:
    text = filled(expression(ask), Shown.until(NOW // 1_000_000, "7d"), VARIABLES)
    given = urllib.parse.urlencode({"query": text, "time": NOW // 1_000_000, "nocache": 1})
    with urllib.request.urlopen(f"{url}/api/v1/query?{given}") as answer:
        result = json.load(answer)["data"]["result"]
    return {one["metric"]["device"]: float(one["value"][1]) for one in result}


def test_a_leak_is_suspected_where_a_night_is_seen(ask: Asking) -> None:
    found = ask(_questions("board.water.suspicions")["daily"])
    # An hour that is not over, one in which the main was shut, a meter that was exchanged hide nothing.
    assert found["hourly-leak"] == pytest.approx(192, rel=0.02)
    assert found["four-hourly-leak"] == pytest.approx(144, rel=0.02)
    assert found["quarterly-leak"] == pytest.approx(120, rel=0.02)
    for device in ("hourly-honest", "four-hourly-honest", "quarterly-honest"):
        assert found[device] == pytest.approx(0, abs=0.01)
    # One reading a day tells of no night, whether it leaks or not.
    assert found.get("daily-honest") is None
    assert found.get("daily-leak") is None


def test_what_it_makes_an_hour_and_in_money(ask: Asking) -> None:
    questions = _questions("board.water.suspicions")
    daily = ask(questions["daily"])
    for name, share in (("steady", 1 / 24), ("money", 4.00 / 1000)):
        found = ask(questions[name])
        for device, value in daily.items():
            assert found[device] == (None if value is None else pytest.approx(value * share, abs=1e-6)), name


def test_days_of_least_use_tell_a_leak_of_any_meter(ask: Asking) -> None:
    questions = _questions("board.water.days")
    least, middle = ask(questions["least_day"]), ask(questions["middle_day"])
    ranked = sorted(METERS, key=lambda device: -(least[device] or 0))
    assert ranked[:4] == ["daily-leak", "hourly-leak", "four-hourly-leak", "quarterly-leak"]
    assert least["daily-leak"] == pytest.approx(480, rel=0.1)
    for device in ("daily-honest", "hourly-honest", "four-hourly-honest", "quarterly-honest"):
        assert least[device] == pytest.approx(0, abs=0.01), "they were away for three days"
        assert 170 < (middle[device] or 0) < 540


def test_bars_of_nights_leave_out_who_tells_of_none(store: DuckDBStore) -> None:
    (night,) = _questions("board.water.night").values()
    for kind in (StoreSource, _RowByRow):
        found = {one["tags"]["device"]: one["values"] for one in _of_platform(store, kind)(_statement(night))}
        assert all(value is None for _, value in found.get("daily-leak", []))
        # Of the few hours of the present day the one without water counts.
        assert [value for _, value in found["hourly-leak"]][:7] == [pytest.approx(8.0, rel=0.02)] * 7
        # Four readings of the first day, two of the present one: they are too few.
        assert [value for _, value in found["four-hourly-leak"]] == [None, *[pytest.approx(6.0, rel=0.02)] * 6, None]
        assert [value for _, value in found["quarterly-honest"]] == [pytest.approx(0, abs=0.01)] * 8


@pytest.mark.parametrize("kind", [StoreSource, _RowByRow])
def test_a_main_meter_is_told_by_itself_and_not_suspected_before_all_others(
    store: DuckDBStore, kind: type[StoreSource]
) -> None:
    asked = _of_platform(store, kind)
    for key in ("board.water.suspicions", "board.water.days"):
        for ask in _questions(key).values():
            assert METERS.keys() >= _by_device(asked(_statement(ask))).keys()
    mains = {name: _by_device(asked(_statement(ask))) for name, ask in _questions("board.water.mains").items()}
    assert mains["steady"] == {MAIN: pytest.approx(300, rel=0.02)}
    assert mains["least_day"] == {MAIN: pytest.approx(7200, rel=0.1)}


def test_what_a_main_meter_counts_is_in_no_sum_with_what_is_behind_it(store: DuckDBStore) -> None:
    asked = _of_platform(store, StoreSource)
    rises = 0.0
    for rows in METERS.values():
        for (_, before, _), (at, then, _) in pairwise(rows):
            assert isinstance(before, float)
            assert isinstance(then, float)
            rises += max(0.0, then - before) if at >= NOW - 7 * DAY else 0.0
    for board, key in ((WATER, "board.water.elsewhere"), (DISTRICT, "board.district.water")):
        ask = next(panel.asks[0] for panel in board.panels if panel.key == key)
        assert isinstance(ask, Ask)
        (found,) = asked(_statement(ask))
        assert sum(value or 0 for _, value in found["values"]) == pytest.approx(rises, rel=0.05), key
