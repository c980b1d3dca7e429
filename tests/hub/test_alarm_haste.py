"""What is committed at once because somebody waits for it, and what may wait for company."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hub.test_alarm_screening import NOW, RULES, SERIES, bound, screened

from linli_core.alarm import Category, Change, Engine, Limit, Priority, Rule, StateIs
from linli_platform.alarms.haste import Haste
from linli_platform.alarms.screening import Screening
from linli_platform.ingest.settings import Grouping

if TYPE_CHECKING:
    from tests.hub.conftest import GatewayStandIn, Site

VOLTAGE, POWER, _, DOOR, AIR = SERIES[:5]


def presses(haste: Haste, *readings: tuple[int, float]) -> bool:
    series, values = zip(*readings, strict=True)
    return haste.presses(np.array(series, np.int32), np.array(values, np.float64))


def test_what_crosses_a_limit_presses_and_what_stays_on_its_side_does_not() -> None:
    engine = Engine(RULES)
    screening = Screening(engine, lambda info: bound(engine, info, NOW))
    assert not presses(screening.haste, (AIR.id, 9.0))  # not known yet
    screened(screening, [(AIR, -5, 2.0, 0), (VOLTAGE, -5, 220.0, 0), (POWER, -5, 1.0, 0), (DOOR, -5, 0.0, 0)], NOW)
    assert not presses(screening.haste, (AIR.id, 7.9), (VOLTAGE.id, 201.0), (POWER.id, 9e9), (DOOR.id, 0.0))
    assert not presses(screening.haste, (AIR.id, np.nan))
    assert presses(screening.haste, (AIR.id, 7.9), (AIR.id, 8.1))
    assert presses(screening.haste, (VOLTAGE.id, 199.0))
    assert presses(screening.haste, (DOOR.id, 1.0))
    screened(screening, [(AIR, -3, 9.0, 0), (DOOR, -3, 1.0, 0)], NOW)
    assert not presses(screening.haste, (AIR.id, 9.5), (DOOR.id, 1.0))
    assert presses(screening.haste, (AIR.id, 8.0))
    screening.forget()
    assert not presses(screening.haste, (AIR.id, 2.0))


def test_many_series_are_known_apart() -> None:
    haste = Haste()
    engine = Engine([Rule("warm", Category.FOOD, Priority.HIGH, Limit(high=8.0), "air_temperature")])
    known = bound(engine, AIR, NOW)
    for series in (3, 500, 64):
        haste.meet(series, known)
    assert presses(haste, (3, 9.0))
    assert presses(haste, (500, 9.0))
    assert not presses(haste, (499, 9.0), (4, 9.0), (90_000, 9.0), (500, 1.0))


READINGS = st.lists(
    st.tuples(
        st.sampled_from([AIR, VOLTAGE, DOOR]), st.sampled_from([0.0, 1.0, 7.0, 9.0, 199.0, 210.0, 241.0, np.nan])
    ),
    min_size=1,
    max_size=4,
)


@given(st.lists(READINGS, max_size=12))
def test_nothing_that_moves_an_alarm_at_once_waits(commits: list[list[tuple[object, float]]]) -> None:
    rules = [
        Rule("warm", Category.FOOD, Priority.HIGH, Limit(high=8.0), "air_temperature"),
        Rule("low", Category.FOOD, Priority.HIGH, Limit(low=200.0), "voltage"),
        Rule("open", Category.FOOD, Priority.HIGH, StateIs((True,)), "door_open"),
        Rule("moved", Category.FOOD, Priority.HIGH, Change(), "door_open"),
    ]
    engine = Engine(rules)
    screening = Screening(engine, lambda info: bound(engine, info, NOW))
    screened(screening, [(AIR, -100, 2.0, 0), (VOLTAGE, -100, 220.0, 0), (DOOR, -100, 0.0, 0)], NOW)
    for number, commit in enumerate(commits):
        pressed = presses(screening.haste, *((info.id, value) for info, value in commit))  # type: ignore[attr-defined]
        rows = [
            (info, 4 * number + place - 50, None if np.isnan(value) else value, 0)
            for place, (info, value) in enumerate(commit)
        ]
        changes = screened(screening, rows, NOW)  # type: ignore[arg-type]
        assert pressed or not changes


@pytest.mark.system
async def test_a_reading_that_somebody_waits_for_takes_all_with_it(site: "Site", gateway: "GatewayStandIn") -> None:
    site.grouping = Grouping(linger_s=1_000.0)
    async with site.run() as hub:
        hub.ingest.hurry(lambda _series, values: bool((values > 8).any()))
        await gateway.announce()
        await gateway.send(1)
        await gateway.acked(1)
        hub.ingest._company.worked(-1_000.0, 0.0)  # commits are dear: what comes now waits for company till doomsday
        await gateway.send(2, {"n": "room-1/temperature", "u": "Cel", "v": 4})
        await gateway.send(3, {"n": "room-1/temperature", "u": "Cel", "v": 9, "t": 1})
        await gateway.acked(3)
        assert [committed.values for committed in hub.committed[1:]] == [[4.0, 9.0]]
