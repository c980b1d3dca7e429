"""``boards.*``: what a board's whole set of queries takes of the processor, from each text to its JSON.

1,250 dwellings of 25 buildings, four quantities each. By default 30 days by the hour, 3.6 million readings;
``QUERY=full`` in the environment makes it 10^8 in a year. Counted is the time of all threads: whoever waits at an idle
machine waits no longer than that, and a busy one makes no figure of its own business. What the platform tells of the
present is put together anew for each round, as for a reader who opens a board after an hour; where everything is it
knows, as long as nothing is moved.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from linli_core.instant import DAY, HOUR
from linli_dashboards.board import Board
from linli_dashboards.boards import BOARDS
from linli_dashboards.build import made
from linli_dashboards.check.grafana import POINTS, Shown, filled, presets
from linli_platform.alarms import AlarmService
from linli_platform.influxql.catalogue import Places
from linli_platform.influxql.encode import to_json
from linli_platform.influxql.execute import execute
from linli_platform.influxql.joined import Joined
from linli_platform.influxql.parse import parse
from linli_platform.influxql.show import DATABASE
from linli_platform.influxql.store_source import StoreSource
from linli_platform.influxql.told import told
from linli_platform.influxql.told.known import Knowing, Sees
from linli_platform.registry import Area, Device, Gateway, Registry, State
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.bench import CannotRun, bench
from linli_sim.bench.filling import END, INTERVAL, READINGS, ROWS, START, fill

_DWELLINGS: Final = 1_250
_BUILDINGS: Final = 25
_QUANTITIES: Final = ("active_power", "energy_import", "voltage", "power_factor")
_SERIES: Final = _DWELLINGS * len(_QUANTITIES)
_ROUNDS: Final = 3
_ZONE: Final = ZoneInfo("Asia/Shanghai")
_GATEWAY: Final = "gw-1"


@bench("boards.front_ms", unit="ms", target=500)
def front() -> float:
    """Every query of *Community today*, its choices and marks too."""
    return _measured()["today"]


@bench("boards.whole_set_ms", unit="ms", target=2000)
def whole_set() -> float:
    """Every query of *Electricity* for 30 days, of 1,250 dwellings."""
    return _measured()["electricity"]


@cache
def _measured() -> dict[str, float]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linli-bench-")))
        store = stack.enter_context(DuckDBStore(folder / "store.duckdb", zone=_ZONE))
        registry = stack.enter_context(Registry(folder / "registry.sqlite"))
        _declare(registry)
        _fill(store)
        return asyncio.run(_asked(store, registry))


async def _asked(store: DuckDBStore, registry: Registry) -> dict[str, float]:
    lengths = {"today": "24h", "electricity": "30d"}
    found = {}
    async with AlarmService(registry, store, [], lambda: END) as alarms:
        for board in BOARDS:
            if board.name in lengths:
                queries = list(_queries(board, lengths[board.name]))
                found[board.name] = _median(store, Knowing(store, registry, alarms), queries)
    return found


def _queries(board: Board, length: str) -> Iterator[str]:
    """Yield what Grafana asks when a reader opens a board."""
    (dashboard,) = (each.dashboard for each in made([board]) if each.lang == "en")
    shown, variables = Shown.until(END // 1_000_000, length), presets(dashboard)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield filled(target["query"], shown, variables, panel.get("maxDataPoints") or POINTS)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield filled(variable["query"], shown, variables)
    for mark in dashboard["annotations"]["list"]:
        if mark["enable"]:
            yield filled(mark["target"]["query"], shown, variables)


def _median(store: DuckDBStore, knowing: Knowing, queries: list[str]) -> float:
    """Return what all queries take of the processor together, in ms; the first round warms."""
    taken = []
    for number in range(_ROUNDS + 1):
        began = time.process_time()
        for text in queries:
            known = knowing.of("manager", END + number * HOUR, _all_seen, everything=True)
            source = Joined(StoreSource(store, known.catalogue, known.registers), told(known))
            results = list(execute(parse(text), source, END * 1000, DATABASE, _ZONE))
            if failed := next((each.error for each in results if each.error), ""):
                raise CannotRun(f"{text} is not answered: {failed}")
            to_json(results, 1_000_000)
        taken.append((time.process_time() - began) * 1000)
    return statistics.median(taken[1:])


def _all_seen(_places: Places) -> Sees:
    return lambda _gateway, _device: True


# The data


def _declare(registry: Registry) -> None:
    areas = [Area("yard", None, "community")]
    areas += [Area(f"b{number}", "yard", "building") for number in range(_BUILDINGS)]
    areas += [Area(f"flat{number}", f"b{number % _BUILDINGS}", "dwelling") for number in range(_DWELLINGS)]
    gateway = Gateway(_GATEWAY, State.ACTIVE, area="yard")
    devices = [
        Device(_GATEWAY, f"d{number}", State.ACTIVE, "electricity_meter", area=f"flat{number}")
        for number in range(_DWELLINGS)
    ]
    registry.declare(areas, [gateway], devices)


def _fill(store: DuckDBStore) -> None:
    ids = np.array(
        [store.series(_GATEWAY, f"d{number}/{name}").id for name in _QUANTITIES for number in range(_DWELLINGS)],
        np.int32,
    )
    fill(store, ids, _readings())


def _readings() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield times and the values of all series at each: loads of dwellings, their registers, voltages, factors."""
    chance = np.random.default_rng(1)
    base = chance.uniform(80, 900, _DWELLINGS)
    moments = ROWS // _SERIES
    register = np.zeros(_DWELLINGS)
    for first in range(0, READINGS, moments):
        times = START + np.arange(first, min(first + moments, READINGS), dtype=np.int64) * INTERVAL
        shape = (len(times), _DWELLINGS)
        wave = 1 + 0.5 * np.sin(times / DAY * 2 * np.pi)
        power = np.round(base * wave[:, None] * chance.uniform(0.9, 1.1, shape), 1)
        energy = register + np.cumsum(np.round(power * (INTERVAL / HOUR)), axis=0)
        register = energy[-1]
        voltage = np.round(chance.normal(226, 3, shape), 1)
        factor = np.round(chance.uniform(0.85, 1, shape), 2)
        yield times, np.concatenate([power, energy, voltage, factor], axis=1)
