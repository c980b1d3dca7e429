"""Alarms on the platform: written down before told, one of each identity, the same after a restart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from sqlalchemy.exc import IntegrityError
from tests.hub.api.conftest import open_site

from linli_core.alarm import AlarmChange, Event, Memory, State, parse_rules
from linli_core.instant import HOUR, MINUTE, SECOND
from linli_platform.alarms import AlarmRow, AlarmService, Filter, NoSuchAlarm, NothingToAcknowledge, load_rules
from linli_platform.alarms.models import AlarmTable
from linli_platform.alarms.places import areas_above
from linli_platform.alarms.records import AlarmRecordError, AlarmRecords, encode_memory
from linli_platform.alarms.rows import ChangeRow
from linli_platform.registry import Area, Device, Gateway, Registry
from linli_platform.registry import State as Life

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site

ROOM = "cold-room-1/air_temperature"
DOOR = "cold-room-1/door_open"


async def history(alarms: AlarmService, alarm: int) -> list[ChangeRow]:
    found = await alarms.with_history(alarm)
    assert found is not None
    return found[1]


async def warm(site: Site, clock: Clock) -> AlarmRow:
    site.commit("gw", [(ROOM, clock(), 9.0)])
    clock.forward(4 * SECOND)
    site.commit("gw", [(ROOM, clock(), 9.5)])
    await site.settle()
    (alarm,) = await site.alarms.find(Filter(active=True))
    return alarm


async def test_a_warm_room_raises_and_clears(site: Site, clock: Clock) -> None:
    heard: list[AlarmRow] = []
    site.alarms.listen(heard.append)
    start = clock()
    alarm = await warm(site, clock)
    assert (alarm.rule, alarm.subject, alarm.state) == ("food.cold-room-warm", f"gw/{ROOM}", State.UNACKNOWLEDGED)
    assert (alarm.gateway, alarm.device, alarm.point) == ("gw", "cold-room-1", ROOM)
    assert (alarm.raised_at, alarm.learnt_at, alarm.value) == (start + 3 * SECOND, start + 4 * SECOND, 9.0)
    site.commit("gw", [(ROOM, clock() + SECOND, 4.0)])
    clock.forward(4 * SECOND)
    site.commit("gw", [(ROOM, clock(), 4.0)])
    await site.settle()
    (after,) = await site.alarms.find(Filter(active=True))
    assert (after.state, after.returned_at) == (State.RETURNED_UNACKNOWLEDGED, start + 7 * SECOND)
    assert [row.state for row in heard] == [State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED]
    assert (site.alarms.raised, site.alarms.returned) == (1, 1)


async def test_acknowledging_is_written_with_who_and_why(site: Site, clock: Clock) -> None:
    alarm = await warm(site, clock)
    assert site.alarms.stands("gw", "cold-room-1")
    seen = await site.alarms.acknowledge(alarm.id, actor="王芳", comment="门已关")
    assert (seen.state, seen.acknowledged_by, seen.comment) == (State.ACKNOWLEDGED, "王芳", "门已关")
    with pytest.raises(NothingToAcknowledge, match="acknowledged"):
        await site.alarms.acknowledge(alarm.id, actor="li")
    with pytest.raises(NoSuchAlarm):
        await site.alarms.acknowledge(alarm.id + 1, actor="li")
    site.commit("gw", [(ROOM, clock() + SECOND, 4.0)])
    clock.forward(9 * SECOND)
    site.commit("gw", [(ROOM, clock(), 4.0)])
    await site.settle()
    assert await site.alarms.find(Filter(active=True)) == []
    assert not site.alarms.stands("gw", "cold-room-1")
    found = await site.alarms.with_history(alarm.id)
    assert found is not None
    assert found[0] == await site.alarms.get(alarm.id)
    changes = found[1]
    assert await site.alarms.with_history(alarm.id + 1) is None
    assert [(change.event, change.after, change.actor) for change in changes] == [
        (Event.RAISE, State.UNACKNOWLEDGED, ""),
        (Event.ACKNOWLEDGE, State.ACKNOWLEDGED, "王芳"),
        (Event.RETURN, State.NORMAL, ""),
    ]


async def test_raised_again_unseen_it_stays_one_alarm(site: Site, clock: Clock) -> None:
    alarm = await warm(site, clock)
    for value in (4.0, 4.0, 9.0, 9.0):
        clock.forward(5 * SECOND)
        site.commit("gw", [(ROOM, clock(), value)])
    await site.settle()
    (again,) = await site.alarms.find(Filter())
    assert (again.id, again.times_raised, again.state) == (alarm.id, 2, State.UNACKNOWLEDGED)
    assert again.returned_at is None


async def test_a_restart_neither_doubles_nor_forgets(site: Site, clock: Clock) -> None:
    alarm = await warm(site, clock)
    await site.alarms.acknowledge(alarm.id, actor="li")
    async with AlarmService(site.registry, site.store, site.rules, clock) as second:
        await second.settled()
        (kept,) = await second.find(Filter())
        assert (kept.id, kept.state) == (alarm.id, State.ACKNOWLEDGED)
        assert second.stands("gw", "cold-room-1")


async def test_an_excursion_that_began_before_a_crash_is_still_raised(site: Site, clock: Clock) -> None:
    """The second service starts without the first having stopped: nothing but the store and the database remain."""
    site.commit("gw", [(DOOR, clock(), 1.0)])
    clock.forward(MINUTE)
    async with AlarmService(site.registry, site.store, site.rules, clock) as second:
        clock.forward(4 * MINUTE)
        changes = second.engine.tick(clock())
        assert [(change.rule, change.event) for change in changes][:1] == [("food.cold-room-door-open", Event.RAISE)]


async def test_a_change_that_was_not_written_is_concluded_again(site: Site, clock: Clock) -> None:
    """A memory ahead of its alarm's row gives way: the row is the record."""
    site.commit("gw", [(ROOM, clock(), 9.0)])
    records = AlarmRecords(site.registry.sessions, site.alarms.engine.rules)
    ahead = Memory("food.cold-room-warm", f"gw/{ROOM}", state=State.UNACKNOWLEDGED, raised=True)
    records.write([], [encode_memory(ahead)], [(ahead.rule, ahead.subject)])
    (memory,) = [item for item in records.load() if item.rule == ahead.rule]
    assert (memory.state, memory.raised) == (State.NORMAL, False)


async def test_alarms_of_a_rule_that_was_taken_out_are_settled_with_a_record(site: Site, clock: Clock) -> None:
    alarm = await warm(site, clock)
    others = [rule for rule in site.rules if rule.id != alarm.rule]
    async with AlarmService(site.registry, site.store, others, clock) as second:
        closed = await second.get(alarm.id)
        assert closed is not None
        assert closed.state is State.NORMAL
        last = (await history(second, alarm.id))[-1]
        assert last.comment == "the rule is no longer in force"


async def test_the_database_holds_one_active_alarm_of_each_identity(site: Site, clock: Clock) -> None:
    alarm = await warm(site, clock)
    with site.registry.sessions() as session:
        row = session.get(AlarmTable, alarm.id)
        assert row is not None
        columns = {c.key: getattr(row, c.key) for c in AlarmTable.__table__.columns if c.key != "id"}
        session.add(AlarmTable(**columns))
        with pytest.raises(IntegrityError):
            session.flush()


async def test_a_return_without_an_alarm_is_refused_whole(site: Site) -> None:
    records = AlarmRecords(site.registry.sessions, site.alarms.engine.rules)
    change = AlarmChange(
        "food.cold-room-warm", "gw/x/y", Event.RETURN, State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED, 1, 1
    )
    with pytest.raises(AlarmRecordError, match="without an active alarm"):
        records.write([change], [], [])


async def test_a_flood_skips_readings_and_judges_the_newest_afterwards(site: Site, clock: Clock) -> None:
    service = AlarmService(site.registry, site.store, site.rules, clock, pending_limit=0)
    async with service:
        site.alarms = service
        site.commit("gw", [(ROOM, clock(), 9.0)])
        assert service.skipped == 1
        assert service.engine.memory(("food.cold-room-warm", f"gw/{ROOM}")) is None
        await service._catch_up()
        memory = service.engine.memory(("food.cold-room-warm", f"gw/{ROOM}"))
        assert memory is not None
        assert memory.since == clock()


async def test_filters(site: Site, clock: Clock) -> None:
    alarm = await warm(site, clock)
    find = site.alarms.find
    assert await find(Filter(gateway="gw", device="cold-room-1", category=alarm.category, priority=alarm.priority))
    assert await find(Filter(since=alarm.raised_at))
    for nothing in (
        Filter(active=False),
        Filter(gateway="other"),
        Filter(device="other"),
        Filter(before=alarm.id),
        Filter(since=alarm.raised_at + 1),
    ):
        assert await find(nothing) == []


async def test_a_silent_gateway_is_told_by_the_clock(site: Site, clock: Clock) -> None:
    for _ in range(4):
        site.commit("gw", [(ROOM, clock(), None)])
        clock.forward(10 * SECOND)
    clock.forward(MINUTE)
    site.commit("gw-2", [(ROOM, clock(), 3.0)])
    await site.settle()
    (alarm,) = await site.alarms.find(Filter(active=True))
    assert (alarm.rule, alarm.subject, alarm.device) == ("system.gateway-silent", "gw", "")
    assert site.alarms.interval_of("gw-2", "cold-room-1") is None


def test_the_bundled_rules_say_what_and_why_in_both_languages() -> None:
    rules = load_rules()
    assert {rule.id for rule in rules} >= {
        "food.cold-room-warm",
        "food.cold-room-door-open",
        "system.device-silent",
        "system.gateway-silent",
        "utility.voltage-high",
        "utility.voltage-low",
    }
    for rule in rules:
        assert rule.id.split(".")[0] == rule.category
        for words in (rule.title, rule.consequence, rule.response):
            assert words.zh
            assert words.en


async def test_a_write_that_is_under_way_when_its_writer_is_cancelled_is_not_made_again(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, released = threading.Event(), threading.Event()
    write = AlarmRecords.write
    calls: list[int] = []

    def slow_write(records: AlarmRecords, changes: Sequence[AlarmChange], *rest: Any) -> list[AlarmRow]:
        calls.append(len(changes))
        begun.set()
        assert released.wait(300)
        return write(records, changes, *rest)

    heard: list[AlarmRow] = []
    async with open_site(tmp_path, clock) as site:
        monkeypatch.setattr(AlarmRecords, "write", slow_write)
        site.alarms.listen(heard.append)
        site.commit("gw", [(ROOM, clock(), 9.0)])
        clock.forward(4 * SECOND)
        site.commit("gw", [(ROOM, clock(), 9.5)])
        writer = next(task for task in asyncio.all_tasks() if task.get_name() == "alarms")
        assert await asyncio.to_thread(begun.wait, 300)
        writer.cancel()
        second = asyncio.create_task(site.alarms.settled())
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await writer
        await second
        (alarm,) = await site.alarms.find(Filter(active=True))
        assert [(row.id, row.times_raised) for row in heard] == [(alarm.id, 1)]
        assert sum(calls) == 1


def test_a_device_stands_in_its_area_and_in_all_that_lie_above() -> None:
    garden, house, flat = (
        Area("garden", None, "community"),
        Area("house-1", "garden", "building"),
        Area("1-1", "house-1", "dwelling"),
    )
    assert areas_above([garden, house, flat])["1-1"] == {"1-1", "house-1", "garden"}
    # Nobody can declare a ring; a registry that holds one must not hold up the alarms.
    assert areas_above([Area("a", "b", ""), Area("b", "a", "")]) == {"a": {"a", "b"}, "b": {"a", "b"}}


async def test_a_rule_finds_devices_by_the_tags_of_the_registry(tmp_path: Path, clock: Clock) -> None:
    rules = [rule for rule in load_rules(packs=["safety"]) if rule.id in {"safety.fire-tank-low", "safety.tank-low"}]
    async with open_site(tmp_path, clock, rules=rules) as site:
        devices = [
            Device("gw", "tank-1", Life.ACTIVE, "tank", tags=("fire-water",)),
            Device("gw", "tank-2", Life.ACTIVE, "tank"),
        ]
        site.registry.declare([], [Gateway("gw", Life.ACTIVE)], devices)
        await site.alarms.refresh()
        for _ in range(2):
            site.commit("gw", [(f"tank-{number}/tank_fill", clock(), 80.0) for number in (1, 2)])
            clock.forward(11 * MINUTE)
        await site.settle()
        (alarm,) = await site.alarms.find(Filter(active=True))
        assert (alarm.rule, alarm.device) == ("safety.fire-tank-low", "tank-1")


AFTER_A_KILL = """
[[rules]]
id = "test.pressed"
category = "safety"
priority = "high"
quantity = "emergency_button"
condition = { kind = "state", values = [true] }
title = { zh = "按", en = "Pressed" }
consequence = { zh = "果", en = "Bad" }
response = { zh = "应", en = "Do" }

[[rules]]
id = "test.outside"
category = "food"
priority = "low"
quantity = "air_temperature"
unit = "Cel"
condition = { kind = "outside", high = 8.0, for = "2 h", over = "10 h" }
title = { zh = "外", en = "Outside" }
consequence = { zh = "果", en = "Bad" }
response = { zh = "应", en = "Do" }
"""


async def test_what_was_stored_but_not_judged_before_a_kill_is_judged_after_it(tmp_path: Path, clock: Clock) -> None:
    """A press that is over already, and the minutes of a window that no memory on disk holds yet."""
    async with open_site(tmp_path, clock, rules=parse_rules(AFTER_A_KILL, "test")) as site:
        start = clock()
        site.commit("gw", [("lobby/emergency_button", start, 0.0)])
        for minute in range(60):
            site.commit("gw", [(ROOM, start + minute * MINUTE, 9.0)])
            clock.forward(MINUTE)
            await site.settle()
        with patch.object(site.alarms, "on_committed"):  # the process is killed between the store's commit and this
            for minute in range(60, 110):
                site.commit("gw", [(ROOM, start + minute * MINUTE, 9.0)])
                clock.forward(MINUTE)
            pressed = clock()
            site.commit("gw", [("lobby/emergency_button", pressed, 1.0)])
            site.commit("gw", [("lobby/emergency_button", pressed + SECOND, 0.0)])
        clock.forward(10 * SECOND)
        async with AlarmService(site.registry, site.store, site.rules, clock) as second:
            await second.settled()
            (button,) = await second.find(Filter())
            assert (button.rule, button.raised_at, button.returned_at) == ("test.pressed", pressed, pressed + SECOND)
            clock.forward(12 * MINUTE)
            await second.settled()
            (warm_room, _) = await second.find(Filter())
            assert (warm_room.rule, warm_room.raised_at) == ("test.outside", start + 2 * HOUR)


async def gone(site: Site, clock: Clock) -> None:
    """A gateway, its meter, and an alarm of somebody else's by it, were heard of, and then no more."""
    site.commit("gw", [(ROOM, clock(), 4.0)])
    for _ in range(4):
        clock.forward(10 * SECOND)
        site.commit("gw-old", [("outside-high-0a/outside_alarm", clock(), 1.0), ("meter-1/voltage", clock(), 230.0)])
    await site.settle()
    clock.forward(2 * HOUR)
    site.commit("gw", [(ROOM, clock(), 4.0)])
    await site.settle()


async def standing(service: AlarmService) -> set[tuple[str, str]]:
    return {(row.rule, row.subject) for row in await service.find(Filter(active=True))}


async def test_what_was_retired_is_waited_for_no_more_and_its_alarms_are_settled(site: Site, clock: Clock) -> None:
    await gone(site, clock)
    mine = {("system.outside-high", "gw-old/outside-high-0a/outside_alarm")}
    silent = {("system.device-silent", "gw-old/meter-1"), ("system.gateway-silent", "gw-old")}
    assert await standing(site.alarms) >= mine | silent
    heard: list[AlarmRow] = []
    site.alarms.listen(heard.append)
    site.registry.retire("gw-old", "meter-1")
    await site.alarms.refresh()
    assert await standing(site.alarms) >= mine | {("system.gateway-silent", "gw-old")}
    assert ("system.device-silent", "gw-old/meter-1") not in await standing(site.alarms)
    assert [(row.rule, row.state) for row in heard] == [("system.device-silent", State.NORMAL)]
    assert not site.alarms.stands("gw-old", "meter-1")
    assert (await history(site.alarms, heard[0].id))[-1].comment == "it was retired"
    site.registry.retire("gw-old")
    await site.alarms.refresh()
    assert {subject for _, subject in await standing(site.alarms) if subject.startswith("gw-old")} == set()
    clock.forward(48 * HOUR)
    await site.settle()
    assert {subject for _, subject in await standing(site.alarms) if subject.startswith("gw-old")} == set()
    # What it still sends is judged; put to work again, it is waited for from then on.
    site.commit("gw-old", [("outside-high-0a/outside_alarm", clock(), 1.0)])
    await site.settle()
    await site.alarms.refresh()
    assert await standing(site.alarms) >= mine
    site.registry.accept("gw-old")
    await site.alarms.refresh()
    for _ in range(4):
        clock.forward(10 * SECOND)
        site.commit("gw-old", [("meter-1/voltage", clock(), 230.0)])
    clock.forward(2 * HOUR)
    await site.settle()
    assert ("system.gateway-silent", "gw-old") in await standing(site.alarms)


async def test_what_was_retired_while_nothing_ran_is_not_silent_after_the_start(tmp_path: Path, clock: Clock) -> None:
    async with open_site(tmp_path, clock) as site:
        await gone(site, clock)
    with Registry(tmp_path / "registry.sqlite") as registry:
        registry.retire("gw-old")
    async with open_site(tmp_path, clock) as site:
        await site.settle()
        of_old = {(rule, subject) for rule, subject in await standing(site.alarms) if subject.startswith("gw-old")}
        assert of_old == {("system.outside-high", "gw-old/outside-high-0a/outside_alarm")}


async def test_what_is_told_while_the_alarms_of_a_retired_device_are_settled_is_another_alarm(
    site: Site, clock: Clock
) -> None:
    alarm = await warm(site, clock)
    site.registry.retire("gw", "cold-room-1")
    close = site.alarms.records.close_orphans

    def slowly(*args: Any) -> list[AlarmRow]:
        loop.call_soon_threadsafe(warm_again)
        assert said.wait(300)
        return close(*args)

    def warm_again() -> None:
        for _ in range(2):
            clock.forward(5 * SECOND)
            site.commit("gw", [(ROOM, clock(), 9.0)])
        said.set()

    loop, said = asyncio.get_running_loop(), threading.Event()
    with patch.object(site.alarms.records, "close_orphans", slowly):
        await site.alarms.refresh()
    await site.settle()
    again, before = await site.alarms.find(Filter())
    assert (before.id, before.state, again.state) == (alarm.id, State.NORMAL, State.UNACKNOWLEDGED)
