"""What InfluxQL tells of alarms: those that stand, what happened to them, how their system fares, and to whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from tests.hub.api.conftest import open_site
from tests.hub.api.test_influx_told import asked, client_of, rows_of

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant
from linli_core.vocabulary import vocabulary
from linli_platform.alarms import Filter, load_rules
from linli_platform.registry import Area, Device, Gateway, State
from linli_platform.tokens import Reads

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site

ROOM = "cold-room/air_temperature"
NAMES = ("alarm_active", "alarm_change", "alarm_count", "alarm_health", "alarm_seen")


def window(start: Instant, end: Instant) -> str:
    return f"time >= {start * 1000} AND time < {end * 1000}"


@pytest.fixture
async def alarmed(tmp_path: Path, clock: Clock) -> AsyncIterator[Site]:
    """A site with one rule, and two communities: in one a room got warm and was seen to, in the other one is warm."""
    rules = [rule for rule in load_rules() if rule.id == "food.cold-room-warm"]
    async with open_site(tmp_path, clock, rules=rules) as site:
        await furnish(site, clock)
        yield site


async def furnish(site: Site, clock: Clock) -> None:
    site.registry.declare(
        [
            Area("yard", None, "community", {"zh": "茉莉花园", "en": "Jasmine Garden"}),
            Area("b1", "yard", "building"),
            Area("other", None, "community"),
        ],
        [Gateway("gw-1", State.ACTIVE, area="b1"), Gateway("gw-2", State.ACTIVE, area="other")],
        [Device("gw-1", "cold-room", State.ACTIVE), Device("gw-2", "cold-room", State.ACTIVE)],
    )
    clock.forward(HOUR - clock() % HOUR)
    for value in (4.0, 11.0, 11.0):
        site.commit("gw-1", [(ROOM, clock(), value)])
        clock.forward(5 * SECOND)
    await site.settle()
    (alarm,) = await site.alarms.find(Filter(active=True, gateway="gw-1"))
    clock.forward(10 * MINUTE)
    await site.alarms.acknowledge(alarm.id, actor="li", comment="door shut")
    for value in (4.0, 4.0):
        site.commit("gw-1", [(ROOM, clock(), value)])
        clock.forward(5 * SECOND)
    clock.forward(HOUR)
    for _ in range(2):
        site.commit("gw-2", [(ROOM, clock(), 9.0)])
        clock.forward(5 * SECOND)
    await site.settle()


def test_no_quantity_has_such_a_name() -> None:
    assert vocabulary().keys().isdisjoint(NAMES)


async def test_alarms_that_stand_are_told_with_what_to_do(alarmed: Site) -> None:
    (row,) = [row for row in await asked(alarmed, "SELECT * FROM alarm_active") if row["rule"] == "food.cold-room-warm"]
    assert (row["gateway"], row["community"], row["priority"], row["state"]) == (
        "gw-2", "other", "high", "unacknowledged",
    )  # fmt: skip
    assert (row["title_zh"], row["title_en"]) == ("冷库温度过高", "Cold room too warm")
    assert row["response_en"]
    assert (row["acknowledged"], row["hidden"], row["retrospective"], row["value"]) == (False, False, False, 9.0)
    assert row["since"] == pytest.approx(7.0)


async def test_alarms_are_counted_where_there_are_none_too(alarmed: Site, clock: Clock) -> None:
    text = 'SELECT sum(high) AS high, sum(low) AS low, sum("all") AS every FROM alarm_count'
    (row,) = await asked(alarmed, text)
    assert (row["high"], row["low"], row["every"]) == (1, 0, 1)
    found = {row["community"]: row["every"] for row in await asked(alarmed, f"{text} GROUP BY community")}
    assert found == {"yard": 0, "other": 1}
    (row,) = await asked(alarmed, text, Reads(areas=("yard",)))
    assert row["every"] == 0, "nothing stands, which is something else than nothing known"
    assert await asked(alarmed, f"{text} WHERE building = 'nowhere'") == []
    assert await asked(alarmed, text, Reads()) == []
    # What stands of a device that was retired is not forgotten.
    alarmed.registry.retire("gw-2", "cold-room")
    clock.forward(10 * SECOND)
    rows = [row for row in await asked(alarmed, "SELECT * FROM alarm_count") if row["all"]]
    assert [(row["gateway"], row["device"], row["high"]) for row in rows] == [("gw-2", "cold-room", 1)]
    # Nor is it with its gateway: the list of those that stand has it too. What is gone and has none is told no more.
    alarmed.registry.retire("gw-2")
    alarmed.registry.retire("gw-1", "cold-room")
    clock.forward(10 * SECOND)
    rows = await asked(alarmed, "SELECT * FROM alarm_count")
    assert [(row["gateway"], row["device"], row["all"]) for row in rows if row["all"]] == [("gw-2", "cold-room", 1)]
    assert not [row for row in rows if row["device"] == "cold-room" and row["gateway"] == "gw-1"]
    assert len(await asked(alarmed, "SELECT * FROM alarm_active WHERE device = 'cold-room'")) == 1


async def test_anothers_flood_leaves_no_alarm_out(alarmed: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linli_platform.influxql.told.alarms._STANDING", 1)
    monkeypatch.setattr("linli_platform.influxql.told.alarms._MOST", 3)
    for _ in range(2):
        alarmed.commit("gw-1", [(ROOM, clock(), 11.0)])
        clock.forward(5 * SECOND)
    await alarmed.settle()
    # The newest alarm, and more changes than may be told, are the other community's.
    ours = Reads(areas=("other",))
    assert [row["gateway"] for row in await asked(alarmed, "SELECT * FROM alarm_active", ours)] == ["gw-2"]
    text = f"SELECT event FROM alarm_change WHERE {window(clock() - 4 * HOUR, clock())}"
    assert [row["event"] for row in await asked(alarmed, text, ours)] == ["raise"]


async def test_what_happened_is_told_when_it_was_so(alarmed: Site, clock: Clock) -> None:
    start = clock() - 2 * HOUR
    text = f"SELECT event, state, active, actor, comment FROM alarm_change WHERE {window(start, clock())}"
    rows = await asked(alarmed, f"{text} AND gateway = 'gw-1' AND rule = 'food.cold-room-warm' GROUP BY rule, building")
    assert [(row["event"], row["state"], row["active"], row["actor"]) for row in rows] == [
        ("raise", "unacknowledged", 1, None),
        ("acknowledge", "acknowledged", 1, "li"),
        ("return", "normal", 0, None),
    ]
    assert (rows[1]["comment"], rows[1]["building"]) == ("door shut", "b1")
    marked = (
        f"SELECT said_zh, said_en FROM alarm_change WHERE {window(start, clock())}"
        " AND event =~ /^(acknowledge|assign|shelve)$/"
    )
    (mark,) = await asked(alarmed, marked)
    assert (mark["said_en"], mark["said_zh"]) == (
        "Acknowledged (li): Cold room too warm · door shut",
        "确认（li）：冷库温度过高 · door shut",
    )
    named = f"SELECT count(alarm) FROM alarm_change WHERE {window(start, clock())} GROUP BY rule, rule_zh, rule_en"
    assert ("food.cold-room-warm", "冷库温度过高", "Cold room too warm") in [
        (row["rule"], row["rule_zh"], row["rule_en"]) for row in await asked(alarmed, named)
    ]
    (count,) = await asked(
        alarmed,
        f"SELECT count(alarm) FROM alarm_change WHERE {window(start, clock())} AND event = 'raise'"
        " AND rule = 'food.cold-room-warm'",
    )
    assert count["count"] == 2
    early = await asked(alarmed, f"SELECT event FROM alarm_change WHERE {window(start - HOUR, start)}")
    assert early == []


async def test_the_health_of_the_alarms_is_told_by_hour_and_community(alarmed: Site, clock: Clock) -> None:
    first = clock() // HOUR * HOUR - HOUR
    text = f"SELECT * FROM alarm_health WHERE {window(first, clock())} AND community = 'yard'"
    one, two = await asked(alarmed, text)
    assert (one["time"], two["time"]) == (first // 1000, first // 1000 + 3_600_000)
    assert (one["raised"], one["high"], one["low"], one["acknowledged"], one["unseen"]) == (1, 1, 0, 1, 0)
    assert (one["seen_after"], one["seen_after_p90"]) == (pytest.approx(607.0, abs=10), pytest.approx(607.0, abs=10))
    assert (two["raised"], two["seen_after"], two["floods"], two["chattering"], two["standing"]) == (0, None, 0, 0, 0)
    assert one["community_en"] == "Jasmine Garden"
    by_day = (
        f"SELECT sum(raised), max(unseen) FROM alarm_health WHERE {window(first, clock())} GROUP BY time(1d), community"
    )
    found = {row["community"]: row for row in await asked(alarmed, by_day) if row["sum"] is not None}
    assert (found["yard"]["sum"], found["yard"]["max"]) == (1, 0)
    assert found["other"]["max"] >= 1
    assert await asked(alarmed, f"SELECT * FROM alarm_health WHERE {window(clock() + HOUR, clock() + 2 * HOUR)}") == []


async def test_how_soon_people_saw_is_told_of_each_alarm_and_not_of_each_hour(alarmed: Site, clock: Clock) -> None:
    """Three that were seen to at once in one hour weigh more than the one that waited ten minutes in another."""
    clock.forward(HOUR - clock() % HOUR)
    for _ in range(3):
        for value in (4.0, 4.0, 11.0, 11.0):
            alarmed.commit("gw-1", [(ROOM, clock(), value)])
            clock.forward(5 * SECOND)
        await alarmed.settle()
        (alarm,) = await alarmed.alarms.find(Filter(active=True, gateway="gw-1"))
        clock.forward(MINUTE)
        await alarmed.alarms.acknowledge(alarm.id, actor="li")
    await alarmed.settle()
    reach = window(clock() - DAY, clock() + SECOND)
    text = f"SELECT median(after) AS m, count(after) AS n FROM alarm_seen WHERE {reach}"
    (row,) = await asked(alarmed, f"{text} GROUP BY community, priority")
    assert (row["community"], row["priority"], row["n"], row["m"]) == ("yard", "high", 4, pytest.approx(62, abs=5))
    assert await asked(alarmed, text, Reads(areas=("other",))) == [], "another community's people are none of theirs"
    assert await asked(alarmed, f"{text} AND community = 'yard'", Reads(areas=("other",))) == []
    early = window(clock() - 3 * DAY, clock() - 2 * DAY)
    assert await asked(alarmed, f"SELECT after FROM alarm_seen WHERE {early}") == []
    assert await asked(alarmed, f"SELECT after FROM alarm_seen WHERE {window(clock() + HOUR, clock() + DAY)}") == []


@pytest.mark.parametrize(("name", "phase"), [("Asia/Kathmandu", 15), ("Asia/Kolkata", 30), ("Europe/Berlin", 0)])
async def test_an_alarm_of_a_days_first_minutes_is_none_of_the_day_before(
    alarmed: Site, clock: Clock, name: str, phase: int
) -> None:
    """Where midnight is at half past of UTC's hours, those of the alarms begin then."""
    alarmed.context = replace(alarmed.context, zone=ZoneInfo(name))
    reach = window(clock() - DAY, clock())
    raised = [
        row["time"] * 1000
        for row in await asked(alarmed, f"SELECT event, gateway FROM alarm_change WHERE {reach}")
        if (row["event"], row["gateway"]) == ("raise", "gw-1")
    ]
    rows = await asked(alarmed, f"SELECT raised FROM alarm_health WHERE {reach} AND community = 'yard'")
    assert {row["time"] * 1000 % HOUR for row in rows} == {phase * MINUTE}
    hours = [row["time"] * 1000 for row in rows for _ in range(row["raised"])]
    assert hours == [(at - phase * MINUTE) // HOUR * HOUR + phase * MINUTE for at in raised]
    assert hours


async def test_communities_stand_side_by_side_each_for_whoever_may_see_it(alarmed: Site, clock: Clock) -> None:
    """One without any alarm has its row of noughts; one that lies in nobody's sight has none."""
    alarmed.registry.declare(
        [Area("calm", None, "community"), Area("far", None, "community")],
        [Gateway("gw-3", State.ACTIVE, area="calm"), Gateway("gw-4", State.ACTIVE, area="far")],
        [Device("gw-3", "meter", State.ACTIVE), Device("gw-4", "old", State.RETIRED)],
    )
    reach = window(clock() // HOUR * HOUR - HOUR, clock())
    text = (
        'SELECT sum("raised") AS raised, max("unseen") AS unseen, max("standing") AS standing,'
        f' median("seen_after") AS seen FROM alarm_health WHERE {reach} GROUP BY community'
    )
    found = {row["community"]: row for row in await asked(alarmed, text)}
    assert {name: row["raised"] for name, row in found.items()} == {"yard": 1, "other": 1, "calm": 0}
    assert (found["yard"]["unseen"], found["other"]["unseen"], found["calm"]["unseen"]) == (0, 1, 0)
    assert (found["yard"]["seen"], found["calm"]["seen"]) == (pytest.approx(607.0, abs=10), None)
    for areas in (("b1",), ("calm",), ("calm", "other")):
        (names, wanted) = ({row["community"] for row in await asked(alarmed, text, Reads(areas=areas))}, set(areas))
        assert names == {"yard" if name == "b1" else name for name in wanted}
    # The whole: the most at the end of an hour of all of them together.
    for _ in range(2):
        alarmed.commit("gw-1", [(ROOM, clock(), 11.0)])
        clock.forward(5 * SECOND)
    await alarmed.settle()
    reach = window(clock() // HOUR * HOUR - HOUR, clock())
    inner = f'SELECT sum("unseen") AS unseen FROM alarm_health WHERE {reach} GROUP BY time(1h)'
    (whole,) = await asked(alarmed, f"SELECT max(unseen) AS unseen FROM ({inner}) WHERE {reach}")
    assert whole["unseen"] == 2


async def test_a_boards_questions_of_the_same_hours_are_worked_out_once(
    alarmed: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only for a moment: what happens then is told with the next question."""
    calls: list[tuple[Instant, Instant]] = []
    moments = alarmed.alarms.records.moments

    def counted(start: Instant, end: Instant, gateways: set[str], limit: int) -> object:
        calls.append((start, end))
        return moments(start, end, gateways, limit)

    monkeypatch.setattr(alarmed.alarms.records, "moments", counted)
    begin = clock() // HOUR * HOUR - HOUR
    text = f'SELECT sum("raised") AS r FROM alarm_health WHERE time >= {begin * 1000} AND community ='
    async with client_of(alarmed) as client:
        for _ in range(2):
            assert [row["r"] for row in await rows_of(client, f"{text} 'yard'")] == [1]
            assert [row["r"] for row in await rows_of(client, f"{text} 'other'")] == [1]
        seen = f"SELECT count(after) AS n FROM alarm_seen WHERE time >= {begin * 1000} AND community ="
        assert [row["n"] for row in await rows_of(client, f"{seen} 'yard'")] == [1]
        assert await rows_of(client, f"{seen} 'other'") == []
        assert len(calls) == 2
        clock.forward(6 * SECOND)
        for _ in range(2):
            alarmed.commit("gw-1", [(ROOM, clock(), 11.0)])
            clock.forward(5 * SECOND)
        await alarmed.settle()
        assert [row["r"] for row in await rows_of(client, f"{text} 'yard'")] == [2]


async def test_they_are_listed_and_nobody_is_told_of_what_it_may_not_see(alarmed: Site, clock: Clock) -> None:
    names = {row["name"] for row in await asked(alarmed, "SHOW MEASUREMENTS")}
    assert names >= set(NAMES)
    told: dict[str, list[dict[str, Any]]] = {}
    for name in NAMES:
        # What is so now bears the present instant.
        reach = f" WHERE {window(clock() - 3 * HOUR, clock())}" if name != "alarm_count" else ""
        told[name] = await asked(alarmed, f"SELECT * FROM {name}{reach}", Reads(areas=("b1",)))
        assert "other" not in str(told[name])
        assert "gw-2" not in str(told[name])
        assert await asked(alarmed, f"SELECT * FROM {name}{reach}", Reads()) == []
        of_communities = name in {"alarm_health", "alarm_seen"}
        assert "gw-2" in str(await asked(alarmed, f"SELECT * FROM {name}{reach}")) or of_communities
    assert sum(row["raised"] for row in told["alarm_health"]) >= 1
    assert told["alarm_change"]
