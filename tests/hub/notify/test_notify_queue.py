"""The queue of notices: who is told, who is not and why, once each, over restarts and through any flood."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hub.notify.conftest import T0, ZONE, Recorder, Town

from linli_core.alarm import Hiding, Suppression
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, from_datetime
from linli_platform.notify import Fate, Outcome, Reason, Routes, Silence, SilenceRefused, Wanted
from linli_platform.notify.pace import Pace, back_off

Parse = Callable[[str], Routes]
ALL = '[[routes]]\nid = "all"\nto = ["duty"]\n'
WARM = "gw-1/room-1/air_temperature"


async def test_an_alarm_is_told_once_and_told_again_when_it_is_over(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
        await desk.settled()
        assert recorder.titles() == ["[High] Rule food.warm: gw-1/room-1"]
        assert "It spoils." in recorder.sent[0][2]
        town.returned()
        await desk.settled()
        assert recorder.titles()[1:] == ["[over] Rule food.warm: gw-1/room-1"]
        assert await town.log(desk) == [
            ("raised", "all", "duty", "sent", ""),
            ("resolved", "all", "duty", "sent", ""),
        ]


async def test_what_no_route_is_for_is_in_the_log_as_well(town: Town, recorder: Recorder, routes: Parse) -> None:
    async with town.desk(routes(ALL + 'categories = ["safety"]\n'), recorder) as desk:
        town.raised()
        await desk.settled()
        assert await town.log(desk) == [("raised", "", "", "dropped", "no_route")]
        assert recorder.sent == []


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ('categories = ["food"]', 1),
        ('priorities = ["low", "medium"]', 0),
        ('areas = ["garden"]', 1),
        ('areas = ["flat-1"]', 1),
        ('areas = ["house-2"]', 0),
        ('gateways = ["gw-2"]', 0),
        ('devices = ["room-*"]', 1),
        ('rules = ["safety.*"]', 0),
        ('rules = ["*.warm"]\nareas = ["house-1"]\ncategories = ["food"]', 1),
    ],
)
async def test_a_route_takes_what_all_of_its_keys_match(
    town: Town, recorder: Recorder, routes: Parse, keys: str, told: int
) -> None:
    async with town.desk(routes(f"{ALL}{keys}\n"), recorder) as desk:
        town.raised()
        await desk.settled()
        assert len(recorder.sent) == told


async def test_two_routes_to_one_person_make_one_message(town: Town, recorder: Recorder, routes: Parse) -> None:
    text = ALL + '[[routes]]\nid = "food"\nto = ["duty", "boss"]\ncategories = ["food"]\n'
    async with town.desk(routes(text), recorder) as desk:
        town.raised()
        await desk.settled()
        assert sorted(target for target, _, _ in recorder.sent) == ["boss", "duty"]
        assert recorder.titles("boss") == ["【高】规则 food.warm：gw-1/room-1"]
        assert len(await town.log(desk)) == 3


# Held back


def shelf(until: int) -> Hiding:
    return Hiding(1, Suppression.SHELVED, "food.warm", WARM, "being mended", "li", T0, until)


async def test_what_is_hidden_is_told_to_nobody_until_it_is_seen_again(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    town.hidden["food.warm", WARM] = shelf(T0 + HOUR)
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
        assert recorder.sent == []
        (row,) = await desk.find(Wanted())
        assert (row.fate, row.reason, row.detail) == (Fate.HELD, Reason.HIDDEN, "shelved: being mended")
        town.forward(HOUR)
        await desk.settled()
        assert len(recorder.sent) == 1


async def test_what_is_over_before_it_is_seen_again_is_told_to_nobody(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    town.hidden["food.warm", WARM] = shelf(T0 + HOUR)
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
        town.returned()
        town.forward(2 * HOUR)
        await desk.settled()
        assert recorder.sent == []
        assert await town.log(desk) == [("raised", "all", "duty", "dropped", "over")]


async def test_what_is_hidden_while_it_waits_is_held_back(town: Town, recorder: Recorder, routes: Parse) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        for number in range(6):
            town.raised("food.door", f"gw-1/room-{number}/door_open")
            await desk.settled()
        told = len(recorder.sent)
        assert told < 6  # the pace keeps the rest waiting
        town.hidden["food.door", "gw-1/room-5/door_open"] = shelf(T0 + HOUR)
        town.forward(10 * SECOND)
        await desk.settled()
        town.forward(5 * MINUTE)
        await desk.settled()
        assert not any("room-5" in title + body for _, title, body in recorder.sent)


async def test_silences_silence_what_they_match_and_end(town: Town, recorder: Recorder, routes: Parse) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        made = await desk.silence(Silence(0, "food.*", "", "", "house-1", "", "tests", "li", T0, T0 + DAY))
        town.raised()
        town.raised("food.warm", "gw-2/room-2/air_temperature")
        await desk.settled()
        assert recorder.titles() == ["[High] Rule food.warm: gw-2/room-2"]
        assert (await town.log(desk))[0][3:] == ("held", "silenced")
        await desk.end_silence(made.id, actor="li")
        await desk.settled()
        assert recorder.titles()[1:] == ["[High] Rule food.warm: gw-1/room-1"]
        assert await desk.silences() == []
        with pytest.raises(SilenceRefused):
            await desk.end_silence(made.id, actor="li")


async def test_a_silence_has_a_reason_and_an_end(town: Town, recorder: Recorder, routes: Parse) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        for reason, until in ((" ", T0 + HOUR), ("why", T0), ("why", T0 + 31 * DAY)):
            with pytest.raises(SilenceRefused):
                await desk.silence(Silence(0, "", "", "", "", "", reason, "li", T0, until))
        assert await desk.silences() == []


async def test_what_a_larger_thing_explains_is_held_back_while_it_stands(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    text = '[[inhibitions]]\nby = ["utility.outage"]\nof = ["food.*"]\n'
    async with town.desk(routes(ALL + text), recorder) as desk:
        town.raised("utility.outage", "gw-1")
        town.raised()
        town.raised("safety.gas", "gw-1/room-1/gas")
        town.raised("food.warm", "gw-2/room-2/air_temperature")
        await desk.settled()
        told = " ".join(title + body for _, title, body in recorder.sent)
        assert "utility.outage" in told and "safety.gas" in told and "gw-2/room-2" in told  # noqa: PT018
        assert ("raised", "all", "duty", "held", "inhibited") in await town.log(desk)
        town.returned("utility.outage", "gw-1")
        town.forward(10 * SECOND)
        await desk.settled()
        town.forward(10 * MINUTE)
        await desk.settled()
        assert any("food.warm: gw-1/room-1" in title + body for _, title, body in recorder.sent)


async def test_a_route_of_the_night_tells_by_the_communitys_clock(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    town.now = from_datetime(datetime(2026, 11, 20, 21, 59, tzinfo=ZONE))
    async with town.desk(routes(ALL + 'hours = "22:00-06:00"\n'), recorder) as desk:
        town.raised()
        await desk.settled()
        assert await town.log(desk) == [("raised", "all", "duty", "held", "hours")]
        town.forward(2 * MINUTE)
        await desk.settled()
        assert len(recorder.sent) == 1


def test_the_night_belongs_to_the_day_it_begins_on(routes: Parse) -> None:
    (route,) = routes(ALL + 'hours = "22:00-06:00"\ndays = ["fri"]\n').routes
    at = [datetime(2026, 11, day, hour, tzinfo=ZONE) for day, hour in ((20, 21), (20, 22), (21, 5), (21, 6), (21, 22))]
    assert [route.is_open(moment) for moment in at] == [False, True, True, False, False]


# Repeated


async def test_it_is_said_again_until_somebody_acknowledges(town: Town, recorder: Recorder, routes: Parse) -> None:
    async with town.desk(routes(ALL + 'repeat = "15 min"\n'), recorder) as desk:
        town.raised()
        await desk.settled()
        for _ in range(2):
            town.forward(14 * MINUTE)
            await desk.settled()
            town.forward(MINUTE)
            await desk.settled()
        again = "[High, still unanswered] Rule food.warm: gw-1/room-1"
        assert recorder.titles() == ["[High] Rule food.warm: gw-1/room-1", again, again]
        town.acknowledged()
        await desk.settled()
        town.forward(DAY)
        await desk.settled()
        assert len(recorder.sent) == 3


async def test_what_is_over_is_not_said_again(town: Town, recorder: Recorder, routes: Parse) -> None:
    async with town.desk(routes(ALL + 'repeat = "15 min"\nresolved = false\n'), recorder) as desk:
        town.raised()
        await desk.settled()
        town.returned()
        town.forward(HOUR)
        await desk.settled()
        assert len(recorder.sent) == 1


async def test_a_clock_set_back_by_years_neither_silences_nor_repeats_for_ever(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    async with town.desk(routes(ALL + 'repeat = "15 min"\n'), recorder) as desk:
        town.raised()
        await desk.settled()
        town.now -= 3 * 365 * DAY
        await desk.settled()
        await desk.settled()
        assert len(recorder.sent) == 2  # the first, and one because nobody knows how long ago that was
        town.raised("safety.gas", "gw-1/room-1/gas")
        await desk.settled()
        assert len(recorder.sent) == 3


# Floods, failures


async def test_ten_thousand_alarms_are_a_few_messages_the_most_pressing_first_and_none_is_lost(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        town.flood({f"gw-1/d-{n}/x": "food.warm" if n % 100 == 0 else "food.door" for n in range(10_000)})
        for _ in range(3):
            await desk.settled()
            town.forward(MINUTE)
        assert len(recorder.sent) <= 7
        assert "of high priority" in recorder.titles()[0]
        assert all("Rule food.warm" in body.split("\n")[0] for _, _, body in recorder.sent[:1])
        assert all(len((title + body).encode()) <= 4_096 for _, title, body in recorder.sent)
    with sqlite3.connect(town.registry.path) as database:
        assert database.execute(
            "SELECT state, count(DISTINCT alarm), count(*) FROM notice GROUP BY state"
        ).fetchall() == [("sent", 10_000, 10_000)]


async def test_an_hour_of_refusals_costs_neither_an_alarm_nor_a_second_message(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    recorder.refusing["duty"] = Outcome("Internal Server Error, error=500")
    text = '[[routes]]\nid = "all"\nto = ["duty", "boss"]\n'
    async with town.desk(routes(text), recorder) as desk:
        town.raised()
        await desk.settled()
        assert recorder.titles("boss")  # another's fault is not theirs
        for _ in range(60):
            town.forward(MINUTE)
            await desk.settled()
        assert recorder.attempts < 30
        town.returned()
        state = next(item for item in await desk.targets() if item.id == "duty")
        assert (state.waiting, state.error) == (1, "Internal Server Error, error=500")
        assert desk.health(town.now)[0] == "degraded"
        del recorder.refusing["duty"]
        town.forward(5 * MINUTE)
        await desk.settled()
        await desk.settled()
        assert recorder.titles("duty") == ["[over] Rule food.warm: gw-1/room-1"]
        assert desk.health(town.now) == ("ok", "")


async def test_what_cannot_be_handed_over_for_a_day_is_given_up_in_writing(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    recorder.refusing["duty"] = Outcome("refused")
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
        for _ in range(25):
            town.forward(HOUR)
            await desk.settled()
        assert await town.log(desk) == [("raised", "all", "duty", "failed", "gave_up")]
        assert desk.given_up == 1


async def test_a_message_that_may_have_come_through_says_so_the_next_time(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    recorder.refusing["duty"] = Outcome("Read timed out", doubtful=True)
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
        recorder.refusing.clear()
        town.forward(MINUTE)
        await desk.settled()
        assert recorder.sent[0][2].endswith("Message 1 (sent again: it is not certain that it came)")


async def test_what_is_hidden_between_two_attempts_does_not_go_with_the_next(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    recorder.refusing["duty"] = Outcome("refused")
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
        town.hidden["food.warm", WARM] = shelf(T0 + HOUR)
        recorder.refusing.clear()
        town.forward(MINUTE)
        await desk.settled()
        town.forward(MINUTE)
        await desk.settled()
        assert recorder.sent == []
        assert await town.log(desk) == [("raised", "all", "duty", "held", "hidden")]
        town.forward(HOUR)
        await desk.settled()
        assert len(recorder.sent) == 1


# Restarts


async def test_what_was_written_while_nobody_listened_is_told_after_a_restart(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    async with town.desk(routes(ALL), recorder):
        pass
    town.raised()
    for _ in range(3):
        async with town.desk(routes(ALL), recorder) as desk:
            await desk.settled()
    assert len(recorder.sent) == 1


async def test_history_of_before_anybody_was_to_be_told_is_told_to_nobody(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    async with town.desk(Routes(), recorder) as desk:
        await desk.run()
    town.raised()
    async with town.desk(routes(ALL), recorder) as desk:
        await desk.settled()
        town.raised("safety.gas", "gw-1/room-1/gas")
        await desk.settled()
    assert recorder.titles() == ["[High] Rule safety.gas: gw-1/room-1"]


async def test_a_route_that_was_taken_out_leaves_nothing_waiting(town: Town, recorder: Recorder, routes: Parse) -> None:
    recorder.refusing["duty"] = Outcome("refused")
    async with town.desk(routes(ALL + 'hours = "00:00-00:01"\n'), recorder) as desk:
        town.raised()
        await desk.settled()
    async with town.desk(routes(ALL.replace('"all"', '"other"')), recorder) as desk:
        await desk.settled()
        assert await town.log(desk) == [("raised", "all", "duty", "dropped", "route_gone")]


async def test_the_log_is_kept_for_as_long_as_the_file_says(town: Town, recorder: Recorder, routes: Parse) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
        town.forward(89 * DAY)
        await desk.settled()
        assert len(await desk.find(Wanted())) == 1
        town.forward(2 * DAY)
        await desk.settled()
        assert await desk.find(Wanted()) == []


async def test_one_change_is_one_notice_for_each_route_and_target_whatever_happens(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
    with sqlite3.connect(town.registry.path) as database:
        names = ", ".join(row[1] for row in database.execute("PRAGMA table_info(notice)") if row[1] != "id")
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
            database.execute(f"INSERT INTO notice ({names}) SELECT {names} FROM notice")


async def test_a_target_that_was_taken_out_leaves_no_message_open(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    recorder.refusing["duty"] = Outcome("refused")
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised()
        await desk.settled()
    only_boss = routes(ALL.replace("duty", "boss"))
    left = msgspec.structs.replace(only_boss, targets=only_boss.targets[1:])
    async with town.desk(left, recorder) as desk:
        town.forward(HOUR)
        await desk.settled()
        assert await town.log(desk) == [("raised", "all", "duty", "dropped", "route_gone")]
        assert [state.id for state in await desk.targets()] == ["boss"]


async def test_how_late_is_too_late_to_ring_is_for_each_rule_to_say(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised("food.core", "gw-1/room-1/core", late=2 * HOUR)
        town.raised("food.core", "gw-1/room-2/core", late=3 * HOUR)
        await desk.settled()
        assert recorder.titles() == ["[High] Rule food.core: gw-1/room-1"]
        late, in_time = await desk.find(Wanted())
        assert (late.fate, late.reason, late.detail) == (Fate.HELD, Reason.RETROSPECTIVE, "learnt 180 min later")
        assert in_time.fate is Fate.SENT


async def test_what_is_learnt_hours_later_rings_nobody_unless_it_still_stands(
    town: Town, recorder: Recorder, routes: Parse
) -> None:
    async with town.desk(routes(ALL), recorder) as desk:
        town.raised(late=2 * HOUR)
        town.raised("safety.gas", "gw-1/room-1/gas", late=2 * HOUR)
        await desk.settled()
        (row, _) = await desk.find(Wanted())
        assert (row.fate, row.reason, row.detail) == (Fate.HELD, Reason.RETROSPECTIVE, "learnt 120 min later")
        town.returned()
        town.forward(59 * SECOND)
        await desk.settled()
        assert recorder.sent == []
        town.forward(SECOND)
        await desk.settled()
        town.forward(5 * SECOND)
        await desk.settled()
        assert recorder.titles() == ["[High] Rule safety.gas: gw-1/room-1"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(0, 300), min_size=1, max_size=60), urgent=st.booleans())
def test_a_pace_lets_a_burst_through_and_then_one_in_a_while(steps: list[int], urgent: bool) -> None:
    pace = Pace(5, MINUTE)
    due, now, sent = 0, T0, []
    for step in steps:
        now += step * SECOND
        while pace.allows(due, now, urgent=urgent):
            due = pace.spent(due, now)
            sent.append(now)
    for index, moment in enumerate(sent):
        within = sum(moment <= other < moment + 10 * MINUTE for other in sent[index:])
        assert within <= 5 + 10
    assert sent.count(sent[0]) == (5 if urgent else 4)


def test_waits_double_up_to_five_minutes() -> None:
    assert [back_off(attempts) // SECOND for attempts in (1, 2, 3, 7, 8, 1_000)] == [5, 10, 20, 300, 300, 300]
