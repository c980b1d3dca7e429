"""What was used by a register whose meter was exchanged, set back or doubted, by any period: what truly was used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hub.influxql.conftest import AREAS, BAD, DEVICES, GATEWAYS, GOOD, T0, Rows, put

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant, to_rfc3339
from linli_core.model import Quality, Reason, quality_code
from linli_platform.influxql import store_source
from linli_platform.influxql.catalogue import Catalogue, Places
from linli_platform.influxql.counted import Exchange, course
from linli_platform.influxql.encode import to_json
from linli_platform.influxql.execute import execute
from linli_platform.influxql.parse import parse
from linli_platform.influxql.store_source import StoreSource
from linli_platform.store import Batch, EventRow
from linli_platform.store.duckdb import DuckDBStore

NOTHING: Final = Batch(
    series=np.empty(0, np.int32),
    time=np.empty(0, np.int64),
    value=np.empty(0, np.float64),
    quality=np.empty(0, np.uint8),
    received_at=T0,
)
JUMP: Final = quality_code(Quality.UNCERTAIN, Reason.UNIT_JUMP)
DIP: Final = quality_code(Quality.UNCERTAIN, Reason.ZERO_DIP)
RESET: Final = quality_code(Quality.UNCERTAIN, Reason.REGISTER_RESET)
RISE: Final = quality_code(Quality.UNCERTAIN, Reason.IMPLAUSIBLE_RISE)
LATE: Final = quality_code(Quality.UNCERTAIN, Reason.STALE)
STEP: Final = 20 * MINUTE
DAYS: Final = 3
END: Final = T0 + DAYS * DAY
"""Readings begin a step before the time that is asked for, so that it is known what stood on each register then."""

TIMES: Final = range(T0 - STEP, END, STEP)
PACE: Final = 0.5
"""What each meter counts in a step."""


def _used(at: Instant) -> float:
    return PACE * (at - T0 + STEP) / STEP


def _plain(at: Instant) -> tuple[float | None, int]:
    return 100 + _used(at), GOOD


class _Meters:
    """Registers by what becomes of them, and what is told of that; each uses the same, but for what nobody can know."""

    def __init__(self) -> None:
        self.rows: dict[str, Rows] = {}
        self.events: list[EventRow] = []
        self.unknown: dict[str, float] = {}

    def add(self, device: str, rows: Rows, *, unknown: float = 0.0) -> None:
        self.rows[device] = rows
        self.unknown[device] = unknown

    def tell(self, device: str, kind: str, at: Instant, **data: object) -> None:
        number = f"{len(self.events)}"
        self.events.append(EventRow("gw-1", number, at, f"linli.{kind}", device, json.dumps(data), at))


def _exchanged(at: Instant, start: float) -> Rows:
    """Return the readings of a meter that another replaces, which begins at ``start``."""
    return [(each, 100 + _used(each) if each < at else start + _used(each) - _used(at), GOOD) for each in TIMES]


def _meters() -> _Meters:
    made = _Meters()
    noon = T0 + DAY + 12 * HOUR + 7 * MINUTE
    final = 100 + _used(noon)
    made.add("plain", [(at, *_plain(at)) for at in TIMES])
    # Told by a person, with what both showed; days later.
    made.add("told", _exchanged(noon, 3.0))
    said: dict[str, object] = {"noticed_by": "operator", "swapped_at": to_rfc3339(noon)}
    both = {"final": {"energy_import": final}, "start": {"energy_import": 3.0}}
    made.tell("told", "device.swapped", END + DAY, **said, **both)
    # A used meter that shows more than the old one.
    made.add("used", _exchanged(noon, 7000.0))
    made.tell("used", "device.swapped", noon, **said, final={"energy_import": final}, start={"energy_import": 7000.0})
    # Whoever exchanged it looked at the watch before lunch, or after it.
    for device, by in (("early", -5 * HOUR), ("late", 3 * HOUR)):
        made.add(device, _exchanged(noon, 1.0))
        ends = {"final": {"energy_import": final}, "start": {"energy_import": 1.0}}
        made.tell(device, "device.swapped", END, swapped_at=to_rfc3339(noon + by), **ends)
    # Or did not remember, the next day, on which day it was; and it was a used one.
    made.add("day-late", _exchanged(noon, 7000.0))
    ends = {"final": {"energy_import": final}, "start": {"energy_import": 7000.0}}
    made.tell("day-late", "device.swapped", END, swapped_at=to_rfc3339(noon + 14 * HOUR), **ends)
    # The gateway saw another number; what was used meanwhile nobody knows, and it is no step to 7000 either.
    made.add("noticed", _exchanged(noon, 7000.0), unknown=PACE)
    first = next(at for at in TIMES if at >= noon)
    last_read = {"energy_import": 100 + _used(first - STEP)}
    made.tell("noticed", "device.swapped", first + 40 * SECOND, noticed_by="identity", final=last_read)
    # The same, but its first readings were doubted before the gateway saw that it is another: it tells of that alone.
    odd = [(at, value, RISE if first <= at < first + 2 * STEP else GOOD) for at, value, _ in _exchanged(noon, 7000.0)]
    made.add("seen-late", odd, unknown=3 * PACE)
    made.tell("seen-late", "device.swapped", first + 30 * MINUTE, noticed_by="identity", final=last_read)
    # Both told of it.
    made.add("twice", _exchanged(noon, 7000.0))
    ends = {"final": {"energy_import": final}, "start": {"energy_import": 7000.0}}
    made.tell("twice", "device.swapped", END, **said, **ends)
    made.tell("twice", "device.swapped", first + 40 * SECOND, noticed_by="identity", final=last_read)
    # Nobody told of it: what falls is no use.
    made.add("untold", _exchanged(noon, 0.0), unknown=PACE)
    # For two hours in another unit, then back; told when it was certain, and when it was over.
    jumped = range(first, first + 2 * HOUR, STEP)
    made.add("jump", [(at, 1000 * (100 + _used(at)), JUMP) if at in jumped else (at, *_plain(at)) for at in TIMES])
    when = {"point": "energy_import", "after_at": to_rfc3339(first)}
    made.tell("jump", "register.unit_jump", first + 2 * STEP, **when)
    made.tell("jump", "register.glitch", first + 2 * HOUR, **when)
    # The same, and it lasts: who set the meter back has not come yet.
    lasting: Rows = [(at, 1000 * (100 + _used(at)), JUMP) if at >= first else (at, *_plain(at)) for at in TIMES]
    made.add("lasting", lasting, unknown=_used(END - STEP) - _used(first - STEP))
    # It shows nothing for five hours.
    dip = range(first, first + 5 * HOUR, STEP)
    made.add("dip", [(at, 0.0, DIP) if at in dip else (at, *_plain(at)) for at in TIMES])
    made.tell("dip", "register.zero_dip", first + 5 * HOUR, **when)
    # It begins anew; the first readings are doubted until that is certain.
    reset = [(at, _used(at) - _used(first), RESET) if first <= at < first + 2 * STEP else None for at in TIMES]
    whole: Rows = [row or (at, value, GOOD) for (at, value, _), row in zip(_exchanged(first, 0.0), reset, strict=True)]
    made.add("reset", whole, unknown=3 * PACE)
    made.tell("reset", "register.reset", first + 2 * STEP, **when)
    # Exchanged while nobody heard it for a day.
    silent = range(first - 12 * HOUR, first + 12 * HOUR, STEP)
    made.add("silent", [row for row in _exchanged(noon, 2.0) if row[0] not in silent])
    ends = {"final": {"energy_import": final}, "start": {"energy_import": 2.0}}
    made.tell("silent", "device.swapped", END, **said, **ends)
    # What nobody doubts but is not fresh counts; what is BAD does not.
    bad: Rows = [(at, None, BAD) if at % HOUR and at >= T0 else (at, _plain(at)[0], LATE) for at in TIMES]
    made.add("hourly", bad, unknown=2 * PACE)
    return made


METERS: Final = _meters()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBStore]:
    with DuckDBStore(tmp_path_factory.mktemp("registers") / "store.duckdb") as opened:
        for device, rows in METERS.rows.items():
            put(opened, "gw-1", f"{device}/energy_import", rows)
        opened.append(NOTHING, {}, events=METERS.events)
        yield opened


class _RowByRow(StoreSource):
    """A source that takes nothing together: every row is made."""

    def steps(self, *_asked: object) -> None:
        return None


def _source(store: DuckDBStore, kind: type[StoreSource] = StoreSource) -> StoreSource:
    return kind(store, Catalogue.of(store.all_series(), Places(AREAS, GATEWAYS, DEVICES), lambda _info: True))


def _asked(source: StoreSource, text: str) -> list[dict[str, Any]]:
    (result,) = json.loads(to_json(execute(parse(text), source, END * 1000, "linli"), 1_000_000_000))["results"]
    assert "error" not in result, result
    series: list[dict[str, Any]] = result.get("series", [])
    return series


def _consumed(length: str) -> str:
    time = f"time >= '{to_rfc3339(T0)}' AND time < '{to_rfc3339(END)}'"
    return (
        f'SELECT non_negative_difference(last("counted")) AS "used" FROM "energy_import" WHERE {time}'
        f' GROUP BY time({length}), "gateway", "device", "point" fill(null)'
    )


@pytest.mark.parametrize("kind", [StoreSource, _RowByRow])
@pytest.mark.parametrize("length", ["20m", "30m", "1h", "6h", "1d"])
def test_what_was_used_is_the_same_by_any_period(store: DuckDBStore, length: str, kind: type[StoreSource]) -> None:
    found = {
        series["tags"]["device"]: sum(value for _, value in series["values"])
        for series in _asked(_source(store, kind), _consumed(length))
    }
    truly = _used(END - STEP) - _used(T0 - STEP)
    assert found == {device: pytest.approx(truly - unknown) for device, unknown in METERS.unknown.items()}


@pytest.mark.parametrize("length", ["20m", "1h", "1d"])
def test_what_the_store_takes_together_is_what_reading_by_reading_comes_to(store: DuckDBStore, length: str) -> None:
    together = _asked(_source(store), _consumed(length))
    one_by_one = _asked(_source(store, _RowByRow), _consumed(length))
    assert [series["tags"] for series in together] == [series["tags"] for series in one_by_one]
    for ours, theirs in zip(together, one_by_one, strict=True):
        assert dict(ours["values"]) == {at: pytest.approx(value) for at, value in theirs["values"]}, ours["tags"]


@pytest.mark.parametrize("length", ["20m", "1d"])
def test_meters_of_which_nothing_can_be_trusted_have_used_nothing(tmp_path: Path, length: str) -> None:
    with DuckDBStore(tmp_path / "store.duckdb") as opened:
        put(opened, "gw-1", "m1/energy_import", [(at, 100 + _used(at), JUMP) for at in TIMES])
        assert _asked(_source(opened), _consumed(length)) == []
        put(opened, "gw-1", "m2/energy_import", [(at, *_plain(at)) for at in TIMES])
        (series,) = _asked(_source(opened), _consumed(length))
        assert series["tags"]["device"] == "m2"


def test_a_register_that_is_in_doubt_is_looked_at_once(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not day by day: of one such meter among a thousand a board of a month would take seconds."""
    looked: list[list[int]] = []
    scan = store.scan

    def counting(series: list[int], *asked: Any, **more: Any) -> Any:
        looked.append(series)
        return scan(series, *asked, **more)

    monkeypatch.setattr(store, "scan", counting)
    _asked(_source(store), _consumed("1h").replace("time >=", '"device" =~ /^(plain|lasting)$/ AND time >=', 1))
    lasting = store.series("gw-1", "lasting/energy_import").id
    assert looked == [[lasting]]


def test_only_what_something_was_told_of_is_looked_at(store: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A month of a thousand meters, ten of which were exchanged, is not read for those."""
    looked: list[int] = []
    scan = store.scan

    def counting(*asked: Any, **more: Any) -> Any:
        found = scan(*asked, **more)
        looked.append(len(found))
        return found

    monkeypatch.setattr(store, "scan", counting)
    source = _source(store)
    device = '"device" =~ /^(plain|told|used|untold)$/ AND time >='
    _asked(source, _consumed("1h").replace("time >=", device, 1))
    assert 0 < sum(looked) < 3 * 2 * 3 + 1, "of three meters one window and the one before it"
    monkeypatch.setattr(store_source, "MOST_READINGS", 5)
    results = list(execute(parse(_consumed("1h")), source, END * 1000, "linli"))
    assert "more than" in str(results[0].error)


def test_counters_alone_have_it(store: DuckDBStore, tmp_path: Path) -> None:
    (series,) = _asked(_source(store), "SHOW FIELD KEYS")
    assert ["counted", "float"] in series["values"]
    rows = _asked(_source(store), "SELECT counted, value FROM energy_import WHERE device = 'dip' LIMIT 40")[0]["values"]
    assert [counted == value for _, counted, value in rows[:3]] == [True] * 3
    assert _asked(_source(store), "SELECT max(counted) FROM energy_import WHERE device = 'jump'")[0]["values"][0][
        1
    ] == pytest.approx(100 + _used(END - STEP))
    with DuckDBStore(tmp_path / "store.duckdb") as other:
        put(other, "gw-1", "m1/temperature", [(T0, 4.0, GOOD)])
        assert "counted" not in str(_asked(_source(other), "SHOW FIELD KEYS"))
        assert _asked(_source(other), "SELECT last(counted) FROM temperature") == []
        put(other, "gw-1", "m1/energy_import", [(T0, 7.0, GOOD)])
        both = _asked(_source(other), "SELECT last(counted) FROM /^(temperature|energy_import)$/")
        assert [series["name"] for series in both] == ["energy_import"]


def test_what_is_told_in_another_form_makes_no_figure_of_its_own(tmp_path: Path) -> None:
    """A word that cannot be read is no exchange with ends, and breaks nothing."""
    with DuckDBStore(tmp_path / "store.duckdb") as opened:
        put(opened, "gw-1", "m1/energy_import", [(at, *_plain(at)) for at in TIMES])
        for number, body in enumerate(('{"final": 7}', "[]", '{"point": "energy_import", "after_at": "soon"}')):
            kind = "linli.register.reset" if "point" in body else "linli.device.swapped"
            event = EventRow("gw-1", f"{number}", T0 + HOUR, kind, "m1", body, T0)
            opened.append(NOTHING, {}, events=[event])
        (series,) = _asked(_source(opened), _consumed("1h"))
        assert sum(value for _, value in series["values"]) == pytest.approx(_used(END - STEP) - _used(T0 - STEP) - PACE)


@settings(max_examples=60, deadline=None)
@given(
    rises=st.lists(st.floats(0, 50), min_size=2, max_size=30),
    at=st.integers(1, 29),
    wrong=st.integers(-6, 6),
    start=st.floats(0, 1000),
    unread=st.tuples(st.floats(0, 5), st.floats(0, 5)),
)
def test_with_both_ends_known_nothing_is_lost_though_the_hour_is_wrong(
    rises: list[float], at: int, wrong: int, start: float, unread: tuple[float, float]
) -> None:
    place = min(at, len(rises) - 1)
    # The old meter shows more than the new one will for long: otherwise nobody could tell whose a reading is.
    old = start + 2 * (sum(rises) + sum(unread)) + 1 + np.cumsum(rises[:place])
    new = start + unread[1] + np.cumsum([0.0, *rises[place + 1 :]])
    final = float(old[-1]) + unread[0]
    exchange = Exchange((place + wrong) * HOUR - MINUTE, final, start)
    found = course(np.arange(len(rises), dtype=np.int64) * HOUR, np.concatenate([old, new]), [exchange])
    truly = (final - float(old[0])) + (float(new[-1]) - start)
    assert float(found[-1] - found[0]) == pytest.approx(truly, abs=1e-6)
    assert (np.diff(found) >= 0).all()


def test_what_falls_is_no_use() -> None:
    values = np.array([5.0, 7.0, 1.0, 2.0, 2.0, 9.0])
    found = course(np.arange(6, dtype=np.int64), values, [])
    assert found.tolist() == [5.0, 7.0, 7.0, 8.0, 8.0, 15.0]
    assert all(later >= before for before, later in pairwise(found.tolist()))
    assert course(np.empty(0, np.int64), np.empty(0), [Exchange(0)]).tolist() == []
