"""Statements by chance: what a board's builder makes, and what people type beside it."""

import random
from typing import Final

from linli_sim.influxql.data import START

_SECOND: Final = 1_000_000_000
_START: Final = START * 1000

_PLAIN: Final = (
    "value",
    "raw",
    "text",
    "quality",
    "device",
    "building",
    "*",
    "value * 2",
    "value + quality",
    "quality / 3",
    "quality % 2",
    "abs(value)",
    "round(value)",
    "-value",
    "/val|dev/",
    "value AS v",
    "sqrt(value)",
    "floor(value)",
    "pow(value, 2)",
)
_TRANSFORMATIONS: Final = (
    "derivative(value, 1m)",
    "derivative(value)",
    "difference(value)",
    "difference(quality)",
    "non_negative_derivative(value)",
    "non_negative_difference(value)",
    "moving_average(value, 3)",
    "cumulative_sum(value)",
    "cumulative_sum(quality)",
    "elapsed(value, 1s)",
    "elapsed(text)",
)
_OF_AGGREGATES: Final = (
    "derivative(mean(value), 1m)",
    "derivative(last(value))",
    "difference(max(value))",
    "moving_average(mean(value), 2)",
    "cumulative_sum(count(value))",
    "non_negative_difference(sum(value))",
)
_AGGREGATES: Final = (
    "count",
    "sum",
    "mean",
    "median",
    "mode",
    "spread",
    "stddev",
    "min",
    "max",
    "first",
    "last",
    "distinct",
)
_OF_TEXT: Final = frozenset({"count", "first", "last", "mode", "distinct"})
_SPECIAL: Final = (
    "percentile(value, 90)",
    "top(value, 2)",
    "bottom(value, 3)",
    "top(value, device, 2)",
    "mean(*)",
    "count(*)",
    "last(*)",
    "max(/v/)",
    "count(distinct(value))",
    "mean(value) + max(value)",
    "sum(value) / count(value)",
    "integral(value, 1m)",
)
_OF_TAGS: Final = (
    "device = 'a'",
    "device != 'a'",
    "gateway =~ /gw1/",
    "building = 'north'",
    "building != 'north'",
    "building = ''",
    "building !~ /n/",
    "(device = 'a' OR device = 'b')",
    "(device = 'a' AND gateway = 'gw1')",
    "nope = 'x'",
    "nope != 'x'",
)
_OF_FIELDS: Final = (
    "value > 100",
    "value <= 50.5",
    "quality = 0",
    "quality != 0",
    "text = 'on'",
    "text =~ /h/",
    "value > 100 AND quality = 0",
    "(value > 10 OR device = 'c')",
    "value * 2 > 100",
    "value > quality",
)
_REACHES: Final = (
    "",
    f"time >= {_START}",
    f"time >= {_START + 600 * _SECOND} AND time < {_START + 3600 * _SECOND}",
    "time >= '2020-09-13T12:30:00Z' AND time <= '2020-09-13T13:30:00Z'",
    f"time > {_START // 1_000_000}ms AND time < {_START // _SECOND + 9000}s",
)
_FILLS: Final = (
    "",
    "",
    "",
    " fill(none)",
    " fill(previous)",
    " fill(0)",
    " fill(-1.5)",
    " fill(linear)",
    " fill(null)",
)


class _Draft:
    """A statement on its way."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.source = chance.choice(["active_power", "temperature", "active_power, temperature", "/e/", "active_power"])
        self.columns = ""
        self.conditions: list[str] = []
        self.dimensions: list[str] = []
        self.fill = ""

    def plain(self) -> None:
        chance = self.chance
        self.columns = ", ".join(chance.sample(_PLAIN, chance.choice([1, 1, 2, 3])))
        if chance.random() < 0.4:
            self.dimensions = chance.sample(["device", "gateway", "building", "*", "nope", "/dev/"], 1)

    def transformed(self) -> None:
        self.columns = self.chance.choice(_TRANSFORMATIONS)
        if self.chance.random() < 0.5:
            self.dimensions = ["device"]

    def reduced(self) -> None:
        chance = self.chance
        self.columns = ", ".join(self._aggregate() for _ in range(chance.choice([1, 1, 2, 3])))
        if chance.random() < 0.15:
            self.columns = chance.choice(_SPECIAL)
        if chance.random() < 0.12:
            selector = chance.choice(["max", "first", "last", "min"])
            self.columns = f"{selector}(value), {chance.choice(['device', 'quality', 'building'])}"
        if chance.random() < 0.6:
            offset = chance.choice(["", "", ", 30s", ", -1m"])
            self.dimensions.append(f"time({chance.choice(['1m', '5m', '10m', '1h', '90s'])}{offset})")
            end = _START + chance.choice([3600, 7200, 1800]) * _SECOND
            self.conditions.append(f"time >= {_START} AND time < {end}")
            self.fill = chance.choice(_FILLS)
            if chance.random() < 0.2:
                self.columns = chance.choice(_OF_AGGREGATES)
        if chance.random() < 0.5:
            self.dimensions += chance.sample(["device", "gateway", "building"], chance.choice([1, 2]))

    def _aggregate(self) -> str:
        chance = self.chance
        function = chance.choice(_AGGREGATES)
        field = chance.choice(["value", "value", "value", "quality", "text" if function in _OF_TEXT else "value"])
        call = f"{function}({field})"
        if function == "distinct":
            return call
        return chance.choice([call, call, call, f"{call} * 2" if field != "text" else call, f"{call} AS z"])

    def text(self) -> str:
        chance = self.chance
        reach = chance.choice(_REACHES)
        if reach and not self.conditions:
            self.conditions.append(reach)
        if chance.random() < 0.3:
            self.conditions.append(chance.choice(_OF_TAGS))
        if chance.random() < 0.25:
            self.conditions.append(chance.choice(_OF_FIELDS))
        found = f"SELECT {self.columns} FROM {self.source}"
        if self.conditions:
            found += f" WHERE {' AND '.join(self.conditions)}"
        if self.dimensions:
            found += f" GROUP BY {', '.join(self.dimensions)}"
        found += self.fill
        if chance.random() < 0.2:
            found += " ORDER BY time DESC"
        if chance.random() < 0.2:
            found += f" LIMIT {chance.choice([1, 2, 5])}"
            if chance.random() < 0.3:
                found += f" OFFSET {chance.choice([1, 2])}"
        elif chance.random() < 0.1 and any(dimension.startswith("time(") for dimension in self.dimensions):
            found += " tz('Asia/Shanghai')"
        return found


def statement(chance: random.Random) -> str:
    """Return a statement."""
    draft = _Draft(chance)
    kind = chance.random()
    if kind < 0.3:
        draft.plain()
    elif kind < 0.45:
        draft.transformed()
    else:
        draft.reduced()
    text = draft.text()
    if chance.random() < 0.08 and "GROUP BY" not in text and "LIMIT" not in text and "top(" not in text:
        inner = f"SELECT mean(value) AS mean, max(value) AS max FROM {draft.source} WHERE time >= {_START}"
        inner += f" AND time < {_START + 7200 * _SECOND} GROUP BY time(5m), device fill(none)"
        outer = chance.choice(["max(mean)", "mean(max)", "sum(mean)", "mean, max", "count(max)"])
        return f"SELECT {outer} FROM ({inner})" + chance.choice(["", " GROUP BY device"])
    return text
