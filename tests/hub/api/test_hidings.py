"""Shelved, out of service, by design: hidden with a reason, a name and an end, and listed as long as it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from tests.hub.api.conftest import open_site

from linli_core.alarm import CONDITION_HOLDS, Suppression
from linli_core.instant import HOUR, SECOND, to_rfc3339
from linli_platform.alarms import ActionMissing, AlarmRow, Filter
from linli_platform.alarms.last_words import SAVING_POWER

if TYPE_CHECKING:
    from pathlib import Path

    from tests.hub.api.conftest import Clock, Site

ROOM = "cold-room-1/air_temperature"


async def warm(site: Site, clock: Clock) -> AlarmRow:
    for _ in range(3):
        site.commit("gw", [(ROOM, clock(), 9.0)])
        clock.forward(4 * SECOND)
    await site.settle()
    (alarm,) = [row for row in await site.alarms.find(Filter(active=True)) if row.rule == "food.cold-room-warm"]
    return alarm


async def post(client: httpx.AsyncClient, path: str, status: int = 200, length: str = "", **body: Any) -> Any:
    """Post; ``length`` is the word ``for``, which Python keeps for itself."""
    response = await client.post(f"/api/v1{path}", json=body | ({"for": length} if length else {}))
    assert response.status_code == status, response.text
    return response.json()


async def hidden(client: httpx.AsyncClient) -> list[int]:
    return [alarm["id"] for alarm in (await client.get("/api/v1/alarms/hidden")).json()]


@pytest.fixture
async def alarm(furnished: Site, clock: Clock) -> int:
    site = furnished
    site.commit("gw-new", [("cold-room-9/air_temperature", clock(), 9.0)])
    clock.forward(4 * SECOND)
    site.commit("gw-new", [("cold-room-9/air_temperature", clock(), 9.0)])
    await site.settle()
    (row,) = await site.alarms.find(Filter(active=True, gateway="gw-new"))
    return row.id


async def test_a_shelved_alarm_is_hidden_listed_and_comes_back_by_itself(
    client: httpx.AsyncClient, furnished: Site, clock: Clock, alarm: int
) -> None:
    heard: list[tuple[int, bool]] = []
    furnished.alarms.listen(lambda row: heard.append((row.id, row.hiding is not None)))
    shelved = await post(client, f"/alarms/{alarm}/shelve", actor="王芳", reason="压缩机待修", length="2h")
    assert shelved["state"] == "unacknowledged"
    until = to_rfc3339(clock() + 2 * HOUR)
    told = {"kind": "shelved", "actor": "王芳", "reason": "压缩机待修", "until": until, "active": True}
    assert told.items() <= shelved["hidden"].items()
    assert await hidden(client) == [alarm]
    (listed,) = (await client.get("/api/v1/hidings")).json()
    assert listed["subject"] == "gw-new/cold-room-9/air_temperature"
    page = (await client.get("/alarms/hidden", headers={"Accept": "text/html"})).text
    assert "压缩机待修" in page
    front = (await client.get("/", headers={"Accept": "text/html", "Accept-Language": "en"})).text
    assert "1 alarm is hidden" in front
    assert f'href="/alarms/{alarm}"' not in front
    assert heard == [(alarm, True)]
    clock.forward(2 * HOUR)
    furnished.alarms.hiding.has_turned(clock())
    await furnished.alarms._tell_hidden()
    assert (alarm, False) in heard
    assert await hidden(client) == []
    assert (await client.get("/api/v1/hidings")).json() == []
    (over,) = (await client.get("/api/v1/hidings", params={"over": True})).json()
    assert (over["active"], over["ended_at"]) == (False, None)
    changes = (await client.get(f"/api/v1/alarms/{alarm}")).json()["changes"]
    assert [(change["event"], change["actor"], change["comment"]) for change in changes][-1] == (
        "shelve",
        "王芳",
        "压缩机待修",
    )


async def test_it_is_shown_again_before_its_time(client: httpx.AsyncClient, alarm: int) -> None:
    await post(client, f"/alarms/{alarm}/shelve", reason="r", length="1d")
    shown = await post(client, f"/alarms/{alarm}/unshelve", actor="li")
    assert shown["hidden"] is None
    await post(client, f"/alarms/{alarm}/unshelve", 409)
    (over,) = (await client.get("/api/v1/hidings", params={"over": True})).json()
    assert over["ended_by"] == "li"


async def test_a_shelf_outlives_a_restart(tmp_path: Path, clock: Clock) -> None:
    async with open_site(tmp_path, clock) as site:
        row = await warm(site, clock)
        await site.alarms.shelve(row.id, clock() + HOUR, actor="li", reason="r")
    async with open_site(tmp_path, clock) as site:
        (again,) = await site.alarms.hidden()
        assert again.id == row.id
        clock.forward(HOUR)
        assert await site.alarms.hidden() == []


async def test_a_device_out_of_service_and_a_window_that_is_planned(
    client: httpx.AsyncClient, clock: Clock, alarm: int
) -> None:
    begins = to_rfc3339(clock() + HOUR)
    device = {"gateway": "gw-new", "device": "cold-room-9", "reason": "rebuilt", "actor": "li"}
    made = await post(client, "/hidings", 201, kind="suppressed_by_design", **device | {"from": begins}, length="2h")
    assert (made["active"], await hidden(client)) == (False, [])
    clock.forward(HOUR)
    assert await hidden(client) == [alarm]
    await post(client, f"/hidings/{made['id']}/end", actor="wang")
    assert await hidden(client) == []
    await post(client, f"/hidings/{made['id']}/end", 409)
    await post(client, "/hidings", 201, kind="out_of_service", rule="food.other", **device, length="2h")
    assert await hidden(client) == []
    await post(client, "/hidings", 201, kind="out_of_service", **device, length="30d")
    assert await hidden(client) == [alarm]


async def test_devices_of_a_silent_gateway_are_silent_by_design(site: Site, clock: Clock) -> None:
    for _ in range(4):
        site.commit("gw", [("meter-1/voltage", clock(), 230.0)])
        clock.forward(10 * SECOND)
    clock.forward(26 * HOUR)
    await site.settle()
    (shown,) = [row for row in await site.alarms.find(Filter(active=True)) if row.hiding is None]
    assert shown.rule == "system.gateway-silent"
    (by_design,) = await site.alarms.hidden()
    assert by_design.rule == "system.device-silent"
    assert by_design.hiding is not None
    assert (by_design.hiding.kind, by_design.hiding.reason) == (
        Suppression.SUPPRESSED_BY_DESIGN,
        "system.gateway-silent: gw",
    )
    # The gateway speaks again and the meter does not: now its silence is its own.
    site.commit("gw", [("meter-2/voltage", clock(), 230.0)])
    await site.settle()
    shown_now = {row.rule for row in await site.alarms.find(Filter(active=True)) if row.hiding is None}
    assert "system.device-silent" in shown_now


def said_last(site: Site, clock: Clock) -> None:
    """A node reports, says that its battery is low, and that it saves it; its gateway lives on."""
    for _ in range(4):
        site.commit("gw", [("leak-1/water_leak", clock(), 0.0), ("leak-1/battery_low", clock(), 0.0)])
        clock.forward(900 * SECOND)
    site.commit("gw", [("leak-1/battery_low", clock(), 1.0)])
    clock.forward(SECOND)
    for point in ("leak-1/water_leak", "leak-1/battery_low"):
        site.commit("gw", [(point, clock(), None)], quality=SAVING_POWER)


async def live(site: Site, clock: Clock, hours: int) -> None:
    for _ in range(hours):
        clock.forward(HOUR)
        site.commit("gw", [("meter-1/voltage", clock(), 230.0)])
        await site.settle()


async def shown_and_hidden(site: Site, subject: str = "gw/leak-1") -> tuple[set[str], list[str]]:
    shown = {
        row.rule
        for row in await site.alarms.find(Filter(active=True))
        if row.hiding is None and row.state in CONDITION_HOLDS and row.subject.startswith(subject)
    }
    hidden = [row for row in await site.alarms.hidden() if row.state in CONDITION_HOLDS]
    return shown, [row.hiding.reason for row in hidden if row.hiding is not None]


async def test_the_silence_of_a_node_that_saves_its_battery_is_no_alarm_of_its_own(
    tmp_path: Path, clock: Clock
) -> None:
    async with open_site(tmp_path, clock) as site:
        said_last(site, clock)
        await live(site, clock, 30)
        # One alarm, about what is to be done; the silence is listed with why.
        expected = ({"system.battery-low"}, ["saving_power: gw/leak-1"])
        assert await shown_and_hidden(site) == expected
    async with open_site(tmp_path, clock) as site:
        await live(site, clock, 1)
        assert await shown_and_hidden(site) == expected
        # New cells: it hands over what it kept, and is a device as any other.
        for back in range(20, 0, -1):
            site.commit("gw", [("leak-1/water_leak", clock() - back * HOUR, 0.0)])
        site.commit("gw", [("leak-1/water_leak", clock(), 0.0), ("leak-1/battery_low", clock(), 0.0)])
        await site.settle()
        assert await shown_and_hidden(site) == (set(), [])
        await live(site, clock, 30)
        assert await shown_and_hidden(site) == ({"system.device-silent"}, [])


async def test_what_a_node_kept_through_its_silence_shows_no_alarm_while_it_is_handed_over(
    site: Site, clock: Clock
) -> None:
    heard: list[tuple[str, bool]] = []
    said_last(site, clock)
    await live(site, clock, 30)
    site.alarms.listen(lambda row: heard.append((row.state.value, row.hiding is not None)))
    for back in range(20, -1, -1):
        site.commit("gw", [("leak-1/water_leak", clock() - back * HOUR, 0.0)])
        clock.forward(SECOND)
        if site.alarms.hiding.has_turned(clock()):
            await site.alarms._tell_hidden()
        await site.settle()
    assert heard == [("returned_unacknowledged", True)]


async def test_the_list_of_what_is_hidden_says_why_a_node_is_silent(
    client: httpx.AsyncClient, site: Site, clock: Clock
) -> None:
    said_last(site, clock)
    await live(site, clock, 30)
    for lang, words in (("en", "saves its battery: change it"), ("zh", "电池欠压，停发省电：请换电池")):
        page = (await client.get("/alarms/hidden", headers={"Accept": "text/html", "Accept-Language": lang})).text
        assert words in page


async def test_a_point_that_is_gone_for_good_hides_no_later_silence(tmp_path: Path, clock: Clock) -> None:
    async with open_site(tmp_path, clock) as site:
        said_last(site, clock)
        await live(site, clock, 30)
        # New cells, and another configuration: its rope is gone, and with it whoever could take its word back.
        site.commit("gw", [("leak-1/door_open", clock(), 0.0), ("leak-1/battery_low", clock(), 0.0)])
        await site.settle()
        assert await shown_and_hidden(site) == (set(), [])
    async with open_site(tmp_path, clock) as site:
        await live(site, clock, 30)
        assert await shown_and_hidden(site) == ({"system.device-silent"}, [])


async def test_what_a_device_says_again_of_the_time_before_its_last_word_is_no_word_after_it(
    site: Site, clock: Clock
) -> None:
    said_last(site, clock)
    site.commit("gw", [("leak-1/water_leak", clock() - 2 * HOUR, 0.0)])
    await live(site, clock, 30)
    assert await shown_and_hidden(site) == ({"system.battery-low"}, ["saving_power: gw/leak-1"])


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"reason": "r"}, 422, "neither for nor until"),
        ({"reason": "r", "for": "2h", "until": "2030-01-01T00:00:00Z"}, 422, "both for and until"),
        ({"reason": " ", "for": "2h"}, 409, "a reason is missing"),
        ({"reason": "r", "for": "8d"}, 409, "by 7 days at most"),
        ({"reason": "r", "until": "2020-01-01T00:00:00Z"}, 409, "after now"),
        ({"for": "2h"}, 422, "reason"),
    ],
)
async def test_nothing_is_shelved_without_reason_and_end(
    client: httpx.AsyncClient, alarm: int, body: dict[str, str], status: int, said: str
) -> None:
    response = await client.post(f"/api/v1/alarms/{alarm}/shelve", json=body)
    assert response.status_code == status
    assert said in response.json()["detail"]
    assert await hidden(client) == []


async def test_a_note_and_whose_it_is(client: httpx.AsyncClient, alarm: int) -> None:
    await post(client, f"/alarms/{alarm}/comment", actor="li", comment="called the fitter")
    given = await post(client, f"/alarms/{alarm}/assign", actor="li", to="赵师傅")
    assert given["assigned_to"] == "赵师傅"
    changes = (await client.get(f"/api/v1/alarms/{alarm}")).json()["changes"]
    assert [(change["event"], change["comment"]) for change in changes][1:] == [
        ("comment", "called the fitter"),
        ("assign", "赵师傅"),
    ]
    for act in ("comment", "assign", "reset", "unshelve"):
        await post(client, f"/alarms/999999/{act}", 404)
    await post(client, f"/alarms/{alarm}/reset", 409)


async def test_an_excursion_is_closed_with_a_word_of_what_was_done(site: Site, clock: Clock) -> None:
    rule = site.alarms.engine.rules["food.cold-room-warm"]
    site.alarms.engine.rules[rule.id] = msgspec.structs.replace(rule, corrective_action=True)
    row = await warm(site, clock)
    with pytest.raises(ActionMissing, match="with a word of what was done"):
        await site.alarms.acknowledge(row.id, actor="li")
    seen = await site.alarms.acknowledge(row.id, actor="li", comment="moved the fish to room 2")
    assert seen.comment == "moved the fish to room 2"


@pytest.mark.parametrize("act", ["shelve", "comment", "assign", "unshelve", "nonsense"])
async def test_the_forms_do_what_the_api_does(client: httpx.AsyncClient, alarm: int, act: str) -> None:
    if act == "unshelve":
        await post(client, f"/alarms/{alarm}/shelve", reason="r", length="1d")
    form = {"actor": "王芳", "comment": "门坏了", "for": "30min", "to": "赵师傅"}
    response = await client.post(f"/alarms/{alarm}/{act}", data=form)
    if act == "nonsense":
        assert response.status_code == 404
        return
    assert (response.status_code, response.headers["location"]) == (303, f"/alarms/{alarm}")
    changes = (await client.get(f"/api/v1/alarms/{alarm}")).json()["changes"]
    assert (changes[-1]["event"], changes[-1]["actor"]) == (act, "王芳")
    assert (await client.get(f"/alarms/{alarm}", headers={"Accept": "text/html"})).status_code == 200


async def test_the_page_hides_and_shows_again(client: httpx.AsyncClient, furnished: Site, clock: Clock) -> None:
    known = furnished.registry.gateways()[0].id
    form = {"subject": known, "kind": "suppressed_by_design", "comment": "annual check", "for": "8h"}
    assert (await client.post("/hidings", data=form)).status_code == 303
    (listed,) = (await client.get("/api/v1/hidings")).json()
    assert (listed["subject"], listed["until"]) == (known, to_rfc3339(clock() + 8 * HOUR))
    page = (await client.get("/alarms/hidden?lang=zh", headers={"Accept": "text/html"})).text
    assert "annual check" in page
    assert "被隐藏的报警" in page
    assert (await client.post(f"/hidings/{listed['id']}/end", data={})).status_code == 303
    assert (await client.get("/api/v1/hidings")).json() == []
    for wrong in ({"subject": "nowhere"}, {"kind": "shelved"}):
        assert (await client.post("/hidings", data=form | wrong)).status_code == 422
