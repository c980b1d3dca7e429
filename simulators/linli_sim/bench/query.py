"""``query.*``: what a board asks, of the store itself, through ``/query``'s work, and of InfluxDB beside it.

5,000 series, one for each of 5,000 dwellings of 100 buildings. By default 30 days by the hour, 3.6 million readings;
``QUERY=full`` in the environment makes it 10^8 in a year.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, HOUR, MINUTE
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.influxql.encode import to_json
from linli_platform.influxql.execute import execute
from linli_platform.influxql.parse import parse
from linli_platform.influxql.show import DATABASE
from linli_platform.influxql.store_source import StoreSource
from linli_platform.registry import Area, Device, State
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Measure, Windows
from linli_sim.bench import CannotRun, Result, bench
from linli_sim.bench.filling import END, INTERVAL, READINGS, ROWS, START, fill
from linli_sim.influxdb import influxdb, program

_SERIES: Final = 5_000
_BUILDINGS: Final = 100
_ROUNDS: Final = 5
_TURNS: Final = 15

_NS: Final = 1000
_PANEL_START: Final = END - 30 * DAY
_PANEL: Final = (
    "SELECT mean(value) FROM active_power WHERE quarter = 'q1'"
    f" AND time >= {_PANEL_START * _NS} AND time < {END * _NS} GROUP BY time(15m), building fill(none)"
)
"""500 series in ten buildings: one line for each building."""
_LATEST: Final = "SELECT last(value) FROM active_power GROUP BY device"
_YEAR: Final = (
    "SELECT max(value) FROM active_power WHERE device = 'd77'"
    f" AND time >= {START * _NS} AND time < {END * _NS} GROUP BY time(1d) fill(none) tz('Asia/Shanghai')"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one question: milliseconds of the store and of the peer over HTTP, and what InfluxQL around it costs.

    Attributes:
        store: Median of some rounds.
        overhead: With InfluxQL around it, over the store alone: the least of either, asked in turn, so that whatever
            else the machine does meets both and falls out of both.
        overhead_cpu: The same in CPU time.
        peer: As ``store``; ``None`` without one.
    """

    store: float
    overhead: float
    overhead_cpu: float
    peer: float | None


@bench("query.board_panel_ms", unit="ms", target=300)
def board_panel() -> Result:
    """30 days, 15-min mean, 500 series taken together by building; the peer is asked over HTTP on loopback."""
    return _result("panel")


@bench("query.latest5000_ms", unit="ms", target=20)
def latest() -> Result:
    """The newest value of each of 5,000 series."""
    return _result("latest")


@bench("query.dwelling_year_ms", unit="ms", target=30)
def dwelling_year() -> Result:
    """One dwelling's greatest value of each day, days of the community's zone."""
    return _result("year")


@bench("query.front_overhead", unit="x", target=1.3)
def front_overhead() -> float:
    """A board's panel through InfluxQL, from its text to JSON, over the same of the store alone."""
    figures = _measured()["panel"]
    print(f"  in CPU time {figures.overhead_cpu:.2f} times", file=sys.stderr)  # noqa: T201 - the bench's detail
    return figures.overhead


def _result(name: str) -> Result:
    figures = _measured()[name]
    return Result(figures.store, "influxdb-1.6" if figures.peer is not None else "", figures.peer)


@cache
def _measured() -> dict[str, Figures]:
    with (
        tempfile.TemporaryDirectory(prefix="linli-bench-") as folder,
        DuckDBStore(Path(folder) / "store.duckdb", zone=ZoneInfo("Asia/Shanghai")) as store,
    ):
        catalogue = _fill(store)
        peers = dict(_peer(catalogue))
        source = StoreSource(store, catalogue)

        def through_the_front(text: str) -> Callable[[], Any]:
            return lambda: to_json(list(execute(parse(text), source, END * _NS, DATABASE)), 1_000_000)

        return {
            name: _figures(asked, through_the_front(text), peers.get(text))
            for name, asked, text in (
                ("panel", _panel(store, catalogue), _PANEL),
                ("latest", lambda: store.latest(range(1, _SERIES + 1)), _LATEST),
                ("year", _year(store, catalogue), _YEAR),
            )
        }


def _panel(store: DuckDBStore, catalogue: Catalogue) -> Callable[[], Any]:
    """Return what asks for a board's panel; whose series they are is known to who asks a store."""
    members = [one for one in catalogue.series["active_power"] if one.tags["quarter"] == "q1"]
    buildings = {name: number for number, name in enumerate(sorted({one.tags["building"] for one in members}))}
    groups = {one.id: buildings[one.tags["building"]] for one in members}
    edges = np.arange(_PANEL_START, END + 1, 15 * MINUTE, dtype=np.int64)
    return lambda: store.steps(groups, Windows(edges), frozenset({Measure.SUM, Measure.COUNT}))


def _year(store: DuckDBStore, catalogue: Catalogue) -> Callable[[], Any]:
    """Return what asks for one dwelling's year."""
    (one,) = (one for one in catalogue.series["active_power"] if one.tags["device"] == "d77")
    edges = np.arange(START - 8 * HOUR, END + DAY, DAY, dtype=np.int64)
    return lambda: store.steps({one.id: 0}, Windows(edges), frozenset({Measure.MAXIMUM}))


def _figures(asked: Callable[[], Any], in_front: Callable[[], Any], peer: float | None) -> Figures:
    """Ask the store and the front in turn; the first round warms."""
    asked()
    in_front()
    rounds = [(*_taken(asked), *_taken(in_front)) for _ in range(_TURNS)]
    store, store_cpu, front, front_cpu = zip(*rounds, strict=True)
    return Figures(statistics.median(store), min(front) / min(store), min(front_cpu) / min(store_cpu), peer)


def _taken(asked: Callable[[], Any]) -> tuple[float, float]:
    """Return the milliseconds and the CPU time that a question takes."""
    began, cpu = time.perf_counter(), time.process_time()
    asked()
    return (time.perf_counter() - began) * 1000, (time.process_time() - cpu) * 1000


def _best(asked: Callable[[], Any]) -> float:
    """Return the median of some rounds, in ms; the first one warms."""
    asked()
    taken = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        asked()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


# The data


def _fill(store: DuckDBStore) -> Catalogue:
    ids = np.array([store.series("gw-1", f"d{number}/active_power").id for number in range(_SERIES)], np.int32)
    fill(store, ids, _readings())
    areas = [Area(f"q{number}", None, "quarter") for number in range(10)]
    areas += [Area(f"b{number}", f"q{number // 10}", "building") for number in range(_BUILDINGS)]
    devices = [Device("gw-1", f"d{number}", State.ACTIVE, area=f"b{number % _BUILDINGS}") for number in range(_SERIES)]
    return Catalogue.of(store.all_series(), Places(areas, [], devices), lambda _info: True)


def _readings() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield times and the values of all series at each: loads of dwellings, rounded as meters round them."""
    chance = np.random.default_rng(1)
    base = chance.uniform(80, 900, _SERIES)
    moments = ROWS // _SERIES
    for first in range(0, READINGS, moments):
        times = START + np.arange(first, min(first + moments, READINGS), dtype=np.int64) * INTERVAL
        wave = 1 + 0.5 * np.sin(times / DAY * 2 * np.pi)
        values = np.round(base * wave[:, None] * chance.uniform(0.9, 1.1, (len(times), _SERIES)), 1)
        yield times, values


def _peer(catalogue: Catalogue) -> Iterator[tuple[str, float]]:
    """Yield what the peer takes for each question; nothing where it is not installed."""
    if program() is None:
        return
    with influxdb() as server:
        server.create(DATABASE)
        for lines in _lines(catalogue):
            server.write(DATABASE, lines)
        for text in (_PANEL, _LATEST, _YEAR):
            if "error" in (answer := server.query(text, DATABASE))["results"][0]:
                raise CannotRun(f"influxd does not answer {text}: {answer}")
            yield text, _best(partial(server.ask, text, DATABASE))


def _lines(catalogue: Catalogue) -> Iterator[bytes]:
    heads = {
        one.tags["device"]: ",".join(["active_power", *(f"{tag}={value}" for tag, value in one.tags.items())])
        for one in catalogue.series["active_power"]
    }
    keys = [f"{heads[f'd{number}']} value=" for number in range(_SERIES)]
    for times, values in _readings():
        for row in range(0, len(times), 4):
            part = [
                f"{key}{value} {at}"
                for moment, line in zip(times[row : row + 4].tolist(), values[row : row + 4].tolist(), strict=True)
                for at in (moment * _NS,)
                for key, value in zip(keys, line, strict=True)
            ]
            yield "\n".join(part).encode()
