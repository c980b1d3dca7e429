"""The same data in our store and in InfluxDB's, the same statements to both."""

import json
import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linli_platform.influxql.encode import to_json
from linli_platform.influxql.execute import execute
from linli_platform.influxql.parse import QueryError, parse
from linli_platform.influxql.show import DATABASE
from linli_platform.influxql.source import Newest, Series, Source
from linli_platform.influxql.store_source import StoreSource
from linli_platform.influxql.window import Range
from linli_platform.store.duckdb import DuckDBStore
from linli_sim.influxdb import influxdb
from linli_sim.influxql.compare import difference, read
from linli_sim.influxql.data import START, make
from linli_sim.influxql.statements import statement

WORLDS = 10
"""Different data of one run."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One statement that is not answered alike."""

    statement: str
    reason: str
    ours: str
    theirs: str


@dataclass(slots=True)
class Tally:
    """What came of it.

    Attributes:
        statements, equal: How many.
        argued: By reason; each is in ``docs/influxql.md``.
        wrong: Differences without a reason.
        unlike: Statements we answer otherwise ourselves when the store brings rows than when it takes them together.
        differences: All of them, the wrong ones first.
    """

    statements: int = 0
    equal: int = 0
    argued: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    unlike: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "statements": self.statements,
            "equal": self.equal,
            "argued": sum(self.argued.values()),
            "wrong": self.wrong,
        }


class RowsOnly:
    """A source that takes nothing together: everything has to be made of rows."""

    def __init__(self, source: Source) -> None:
        self.measurements = source.measurements
        self.fields = source.fields
        self.series = source.series
        self.tags = source.tags
        self.rows = source.rows

    def newest(
        self, _measurement: str, series: Sequence[Series], _reach: Range, _field: str
    ) -> tuple[list[Newest], list[Series]]:
        """Know nothing."""
        return [], list(series)

    def steps(self, *_asked: Any) -> None:
        """Take nothing together."""


def run(statements: int, seed: int) -> Tally:
    """Ask both."""
    tally = Tally()
    with influxdb() as peer:
        for number in range(WORLDS):
            with (
                tempfile.TemporaryDirectory(prefix="linli-influxql-") as folder,
                DuckDBStore(Path(folder) / "store.duckdb") as store,
            ):
                world = make(store, seed + number)
                peer.create(DATABASE)
                peer.write(DATABASE, "\n".join(world.lines()).encode())
                chance = random.Random(f"{seed}/{number}")  # noqa: S311 - no secret
                source = StoreSource(store, world.catalogue)
                for _ in range(statements // WORLDS):
                    text = statement(chance)
                    _compare(tally, text, source, peer.query(text, DATABASE))
    tally.differences.sort(key=lambda found: found.reason != "wrong")
    return tally


def _compare(tally: Tally, text: str, source: Source, answer: Mapping[str, Any]) -> None:
    tally.statements += 1
    ours = _ask(text, source)
    by_rows = _ask(text, RowsOnly(source))
    if difference(text, read(ours), read(by_rows)) is not None:
        tally.unlike.append(text)
    reason = difference(text, read(ours), read(dict(answer)))
    if reason is None:
        tally.equal += 1
        return
    if reason == "wrong":
        tally.wrong += 1
    else:
        tally.argued[reason] += 1
    tally.differences.append(Difference(text, reason, json.dumps(ours), json.dumps(answer)))


def _ask(text: str, source: Source) -> dict[str, Any]:
    try:
        statements = parse(text)
    except QueryError as exc:
        return {"error": str(exc)}
    results = list(execute(statements, source, START * 1000, DATABASE))
    found: dict[str, Any] = json.loads(to_json(results, 1))
    return found
