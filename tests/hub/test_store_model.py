"""The store against a dict: whatever comes late, better or again, is moved in pieces of a few readings, or cut short.

Groups of rows are made so small that a day is many pieces, and the next day fills up what the one before left. At a
statement of each move the files are copied as they are, as a process that is killed there leaves them.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.model import Quality, Reason, quality_code
from linli_platform.store import Batch, compaction, packed
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.query import Measure, Scan, Windows, steps_of

GOOD = quality_code(Quality.GOOD)
UNCERTAIN = quality_code(Quality.UNCERTAIN)
BAD = quality_code(Quality.BAD, Reason.NO_COMMUNICATION)
BERLIN = ZoneInfo("Europe/Berlin")
SPRING = 1_774_652_400 * SECOND
"""2026-03-27T23:00Z: a day of 24 hours begins in Berlin, then one of 23."""

NAMES = [f"meter-{number % 2}/{'voltage' if number % 3 else 'energy_import'}.s{number}" for number in range(4)]
SERIES = range(1, len(NAMES) + 1)
EDGES = [
    np.arange(SPRING - 6 * HOUR, SPRING + 5 * DAY, 6 * HOUR),
    np.array([SPRING, SPRING + DAY, SPRING + 47 * HOUR, SPRING + 71 * HOUR]),
]

Identity = tuple[int, int]
Said = tuple[float | None, str | None, int]

said = st.one_of(
    st.tuples(st.sampled_from([0.0, 23.5, 0.1 + 0.2, 2.0**53]), st.none(), st.sampled_from([GOOD, UNCERTAIN, BAD])),
    st.tuples(st.none(), st.sampled_from(["an", "aus"]), st.sampled_from([GOOD, UNCERTAIN])),
    st.just((None, None, BAD)),
)
times = st.integers(0, 16).map(lambda number: SPRING + number * 6 * HOUR) | st.integers(SPRING, SPRING + 4 * DAY)
clocks = st.none() | st.sampled_from([7, SECOND, 40 * MINUTE])
readings = st.dictionaries(st.tuples(st.sampled_from(SERIES), times), st.tuples(said, clocks), min_size=1, max_size=30)
steps = st.one_of(
    readings,
    readings,
    st.tuples(st.just("move"), st.integers(1, 6), st.sampled_from([5, 9, 10**6]), st.integers(0, 60)),
    st.tuples(st.just("delete"), st.sampled_from(SERIES), times, times),
    st.just(("open again",)),
)


@pytest.fixture(scope="module", autouse=True)
def small_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "ROWS", 8)
        patch.setattr(compaction, "_WORTH_FILLING", 1)
        patch.setattr(compaction, "_LOG_BYTES", 0)
        yield


@dataclass
class Model:
    """What the store should hold."""

    held: dict[Identity, Said] = field(default_factory=dict)
    told: dict[Identity, int] = field(default_factory=dict)

    def append(self, offered: dict[Identity, tuple[Said, int | None]]) -> None:
        for identity, (one, clock) in offered.items():
            known = self.held.get(identity)
            if known is None or one[2] // 64 < known[2] // 64:
                self.held[identity] = one
                self.told.pop(identity, None)
            elif known != one:
                continue
            if clock is not None:
                self.told.setdefault(identity, clock)

    def delete(self, series: int, start: int, end: int) -> int:
        gone = [(number, time) for number, time in self.held if number == series and start <= time < end]
        for identity in gone:
            del self.held[identity]
            self.told.pop(identity, None)
        return len(gone)

    def scan(self) -> Scan:
        held = sorted(self.held.items())
        return Scan(
            np.array([series for (series, _), _ in held], np.int32),
            np.array([time for (_, time), _ in held], np.int64),
            np.array([np.nan if value is None else value for _, (value, _, _) in held], np.float64),
            np.array([quality for _, (_, _, quality) in held], np.uint8),
        )


def opened(path: Path) -> DuckDBStore:
    store = DuckDBStore(path, zone=BERLIN).__enter__()
    for name in NAMES:
        store.series("gw", name)
    return store


def batch_of(offered: dict[Identity, tuple[Said, int | None]]) -> Batch:
    values = list(offered.values())
    return Batch(
        series=np.array([series for series, _ in offered], np.int32),
        time=np.array([time for _, time in offered], np.int64),
        value=np.array([np.nan if one[0] is None else one[0] for one, _ in values], np.float64),
        quality=np.array([one[2] for one, _ in values], np.uint8),
        received_at=SPRING,
        texts={row: one[1] for row, (one, _) in enumerate(values) if one[1] is not None},
        device_times={row: clock for row, (_, clock) in enumerate(values) if clock is not None},
    )


def check(store: DuckDBStore, model: Model) -> None:
    """Compare all answers with those of the model."""
    assert store.count() == store.count_distinct() == len(model.held)
    assert store.count_device_times() == len(model.told)
    found = store.scan(SERIES, SPRING - DAY, SPRING + 9 * DAY)
    assert {
        (series, time): (None if isnan(value) else value, found.texts.get(row), quality)
        for row, (series, time, value, quality) in enumerate(
            zip(found.series.tolist(), found.time.tolist(), found.value.tolist(), found.quality.tolist(), strict=True)
        )
    } == model.held
    start, end = SPRING + 5 * HOUR, SPRING + 50 * HOUR
    assert {
        (series, row.time): ((row.value, row.text, row.quality), row.device_time)
        for series in SERIES
        for row in store.read(series, start, end)
    } == {
        identity: (one, model.told.get(identity)) for identity, one in model.held.items() if start <= identity[1] < end
    }
    newest = {
        identity for identity in model.held if identity[1] == max(at for of, at in model.held if of == identity[0])
    }
    assert {
        (row.series.id, row.time): ((row.value, row.text, row.quality), row.device_time) for row in store.latest()
    } == {identity: (model.held[identity], model.told.get(identity)) for identity in newest}
    for edges in EDGES:
        asked = ({series: series for series in SERIES}, Windows(edges), frozenset(Measure))
        ours, theirs = store.steps(*asked), steps_of(model.scan(), *asked, bad=128)
        assert (ours.group.tolist(), ours.window.tolist()) == (theirs.group.tolist(), theirs.window.tolist())
        for measure in Measure:
            assert ours.measures[measure] == pytest.approx(theirs.measures[measure], rel=1e-12)


def move(store: DuckDBStore, model: Model, days: int, most: int, killed_at: int) -> None:
    """Move what is over; at one of the statements the process might have been killed."""
    run, number = store._aside.execute, 0

    def execute(query: str, values: Any = None) -> list[tuple[Any, ...]]:
        nonlocal number
        number += 1
        if number == killed_at:
            with tempfile.TemporaryDirectory() as folder:
                for file in store.path.parent.glob(f"{store.path.name}*"):
                    if file.is_file():
                        shutil.copy(file, folder)
                left = opened(Path(folder) / store.path.name)
                try:
                    check(left, model)
                finally:
                    left.__exit__(None, None, None)
        return run(query, values)

    store._aside.execute = execute  # type: ignore[method-assign]
    try:
        store.compact(SPRING + days * DAY + 3 * HOUR, most=most)
    finally:
        store._aside.execute = run  # type: ignore[method-assign]


@settings(max_examples=8, deadline=None)
@given(st.lists(steps, min_size=2, max_size=7))
def test_whatever_is_done_to_it_the_store_is_what_a_dict_is(done: list[Any]) -> None:
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        store = opened(Path(folder) / "store.duckdb")
        try:
            for step in done:
                if isinstance(step, dict):
                    store.append(batch_of(step), {})
                    model.append(step)
                elif step[0] == "move":
                    move(store, model, *step[1:])
                elif step[0] == "delete":
                    assert store.delete([step[1]], *step[2:]) == model.delete(*step[1:])
                else:
                    store.__exit__(None, None, None)
                    store = opened(store.path)
                check(store, model)
        finally:
            store.__exit__(None, None, None)
