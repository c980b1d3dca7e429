"""``alarm.evaluations_per_cpu_second`` and ``alarm.instances``: what the engine in core makes of a CPU."""

import time
from typing import Final

from linli_core.alarm import Bound, Engine, Series, parse_rules
from linli_core.instant import MINUTE, SECOND
from linli_core.model import Quality
from linli_sim.bench import bench

_POINTS: Final = 10_000
_START: Final = 1_795_000_000 * SECOND
_TEXTS: Final = (
    'title = { zh = "题", en = "T" }\nconsequence = { zh = "果", en = "C" }\nresponse = { zh = "应", en = "R" }'
)
_LIMITS: Final = ('kind = "limit", high = 8.0, on_delay = "5 min"', 'kind = "limit", low = -2.0, on_delay = "5 min"')
_KINDS: Final = (
    *_LIMITS,
    *_LIMITS,
    'kind = "absence", after = "10 min"',
    'kind = "rate", rise = 30.0, over = "30 min"',
    'kind = "outside", high = 8.0, for = "1 h", over = "6 h"',
    'kind = "window", statistic = "mean", high = 8.0, over = "1 h"',
    'kind = "mean_kinetic_temperature", high = 8.0, over = "24 h"',
    'kind = "baseline", direction = "above"',
)


def _engine(conditions: tuple[str, ...]) -> tuple[Engine, list[Bound]]:
    """Return an engine with a rule for each condition, and all points bound."""
    rules = "".join(
        f'[[rules]]\nid = "bench.rule-{number}"\ncategory = "food"\npriority = "low"\nquantity = "air_temperature"\n'
        f'unit = "Cel"\ncondition = {{ {condition} }}\n{_TEXTS}\n'
        for number, condition in enumerate(conditions)
    )
    engine = Engine(parse_rules(rules, "bench"))
    names = [(f"room-{number}", f"room-{number}/air_temperature") for number in range(_POINTS)]
    return engine, [engine.bind(Series("gw", device, name, "air_temperature"), _START) for device, name in names]


def _rounds(engine: Engine, bounds: list[Bound], first: int, last: int) -> float:
    """Feed every point once a minute; return the CPU-seconds it took."""
    began = time.process_time()
    for number in range(first, last):
        now = _START + number * MINUTE
        value = 4.0 + 0.1 * (number % 7)
        engine.observe_all(bounds, [value] * _POINTS, [Quality.GOOD] * _POINTS, [now] * _POINTS, now)
        engine.tick(now)
    return time.process_time() - began


@bench("alarm.evaluations_per_cpu_second", unit="1/s", target=1_000_000)
def evaluations_per_cpu_second() -> float:
    """Readings judged by limits, one by one, of 10,000 points in order; without the platform's screening of columns."""
    engine, bounds = _engine(_LIMITS)
    _rounds(engine, bounds, 0, 5)
    before = engine.evaluations
    took = _rounds(engine, bounds, 5, 45)
    return (engine.evaluations - before) / took


@bench("alarm.instances", unit="instances", target=100_000)
def instances() -> float:
    """How many rules on subjects one CPU carries with a reading a minute each: ten kinds of rules on each point."""
    engine, bounds = _engine(_KINDS)
    _rounds(engine, bounds, 0, 3)
    rounds = 6
    took = _rounds(engine, bounds, 3, 3 + rounds)
    return len(engine.snapshot()) * 60 * rounds / took
