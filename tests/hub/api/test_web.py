"""The pages: complete without JavaScript, in both languages, honest about what is missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.requests import Request

from linli_core.catalogue import Language
from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.model import Kind
from linli_platform.alarms import AlarmRow, Filter
from linli_platform.api import create_app
from linli_platform.store import SeriesInfo
from linli_platform.web import show
from linli_platform.web.chart import Dot, chart, sparkline
from linli_platform.web.language import language_of

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site

PATHS = (
    "/",
    "/gateways/gw-electric",
    "/gateways/gw-kitchen",
    "/devices/gw-electric/meter-1",
    "/devices/gw-electric/meter-1?window=day",
    "/devices/gw-electric/meter-2?window=week",
    "/devices/gw-kitchen/cold-room-1",
    "/alarms",
    "/alarms?show=open",
    "/rules",
    "/alarms?show=settled",
    "/login",
)


async def page(client: httpx.AsyncClient, path: str, lang: Language = "en") -> str:
    response = await client.get(path, headers={"accept": "text/html", "accept-language": lang})
    assert response.status_code == 200, response.text
    return response.text


async def warm(site: Site, clock: Clock) -> None:
    for _ in range(2):
        clock.forward(5 * SECOND)
        site.commit("gw-kitchen", [("cold-room-1/air_temperature", clock(), 11.0)])
    await site.settle()


@pytest.mark.parametrize("path", PATHS)
async def test_every_page_speaks_both_languages(client: httpx.AsyncClient, path: str) -> None:
    english, chinese = await page(client, path, "en"), await page(client, path, "zh")
    assert '<html lang="en">' in english
    assert '<html lang="zh-CN">' in chinese
    visible = re.sub(r"<script.*?</script>|<[^>]*>|中文", "", english, flags=re.DOTALL)
    assert not re.search(r"[\u3400-\u9fff]", visible)


@pytest.mark.parametrize("path", PATHS)
async def test_no_page_needs_what_its_policy_forbids(client: httpx.AsyncClient, path: str) -> None:
    content = await page(client, path)
    assert not re.search(r"<script(?![^>]*(\bsrc=|application/json))", content)
    assert not re.search(r'\s(on[a-z]+|style)="', content)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', content)


async def test_values_with_unit_and_a_missing_one_as_a_mark(client: httpx.AsyncClient) -> None:
    content = await page(client, "/")
    assert "Kitchen, building 1" in content
    assert re.search(r'class="value"[^>]*>1,235\.68</span><span class="unit"[^>]*>kWh', content)
    dead = content[content.index(">meter-2<") :]
    assert re.search(r'class="value none[^"]*"[^>]*>–</span>', dead)
    assert "Bad: device does not answer" in dead
    assert "坏值：设备无应答" in await page(client, "/", "zh")


async def test_the_cold_room_shows_temperature_door_and_its_last_hour(client: httpx.AsyncClient) -> None:
    content = await page(client, "/")
    room = content[content.index('class="card room') : content.index('id="devices"')]
    assert "Cold room 1" in room
    assert "Door closed" in room
    assert "Last hour: lowest 3.1, highest 5.8" in room
    assert re.search(r'<path class="line" d="M', room)


async def test_all_is_well_then_an_alarm_needs_you(client: httpx.AsyncClient, furnished: Site, clock: Clock) -> None:
    assert "All is well" in await page(client, "/")
    await warm(furnished, clock)
    content = await page(client, "/")
    assert "1 alarm needs you" in content
    assert "Cold room too warm" in content
    assert "room alarmed" in content
    assert "1 条报警待处理" in await page(client, "/", "zh")
    (alarm,) = re.findall(r'action="(/alarms/\d+)/acknowledge"', content)
    answer = await client.post(f"{alarm}/acknowledge", data={"actor": "<Li>", "comment": "door shut & locked"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    content = await page(client, "/")
    assert "Acknowledged alarms still stand" in content
    assert "Seen by &lt;Li&gt;" in content
    record = await page(client, alarm)
    assert "door shut &amp; locked" in record
    assert "<Li>" not in record
    again = await client.post(f"{alarm}/acknowledge", data={}, headers={"accept": "text/html"})
    assert again.status_code == 409


async def test_what_was_learnt_long_afterwards_says_when_it_was_and_when_it_was_learnt(
    client: httpx.AsyncClient, furnished: Site, clock: Clock
) -> None:
    told: list[AlarmRow] = []
    furnished.alarms.listen(told.append)
    point, now = "cold-room-1/air_temperature", clock()
    # A backlog of an hour ago: warm for half an hour, and cold again.
    for minute, value in ((-90, 4.0), (-80, 11.0), (-60, 11.0), (-50, 4.0), (-40, 4.0)):
        furnished.commit("gw-late", [(point, now + minute * MINUTE, value)])
    await furnished.settle()
    (alarm,) = [row for row in told if row.gateway == "gw-late"][:1]
    content, chinese = await page(client, f"/alarms/{alarm.id}"), await page(client, f"/alarms/{alarm.id}", "zh")
    assert re.search(r"occurred .*:\d\d.*, learnt .*:\d\d", content)
    assert re.search(r"发生于 .*:\d\d.*，获知于 .*:\d\d", chinese)
    assert "Learnt afterwards" in await page(client, "/alarms")
    detail = (await client.get(f"/api/v1/alarms/{alarm.id}")).json()
    assert detail["retrospective"] is True
    assert [(change["event"], change["retrospective"]) for change in detail["changes"]] == [
        ("raise", True),
        ("return", True),
    ]
    await warm(furnished, clock)
    (row,) = [row for row in await furnished.alarms.find(Filter(active=True)) if row.gateway == "gw-kitchen"]
    assert not row.retrospective


async def test_silence_is_said_at_the_top(client: httpx.AsyncClient, clock: Clock) -> None:
    clock.forward(3 * HOUR)
    content = await page(client, "/")
    assert "No data is arriving" in content
    assert "No reading has come for 3 h." in content
    assert 'class="value old"' in content


async def test_before_the_first_gateway_the_page_says_what_to_do(site: Site) -> None:
    transport = httpx.ASGITransport(create_app(site.context))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        content = await page(client, "/")
    assert "Waiting for the first gateway" in content


@pytest.mark.parametrize("part", ["status", "rooms", "devices", "gateways"])
async def test_the_page_is_made_of_its_fragments(client: httpx.AsyncClient, part: str) -> None:
    whole, fragment = await page(client, "/"), await page(client, f"/fragments/{part}")
    assert fragment.strip() in whole


async def test_a_gateways_page_shows_refusals_links_and_ledger(client: httpx.AsyncClient) -> None:
    content = await page(client, "/gateways/gw-electric")
    for words in ("Unknown unit", "furlong", "space", "7–9", "Degraded", "31 %", "silent: meter-2", "doubtful since "):
        assert words in content
    for words in ("intervals × 1.4", "Devices on bus-1", "42 ms", "27.0 %", "1204", "7 more devices"):
        assert words in content
    answer = await client.post("/gateways/gw-electric/accept")
    assert answer.status_code == 303
    assert "Not accepted yet" not in await page(client, "/gateways/gw-electric")


async def test_a_point_without_a_curve_says_why(site: Site, client: httpx.AsyncClient) -> None:
    now = site.clock()
    site.commit("gw-water", [("meter-7/water_valve_state", now, "open"), ("meter-7/water_volume", now, 4.2)])
    content = await page(client, "/devices/gw-water/meter-7")
    assert "Told in words or as a time" in content
    assert "No amount yet" in content
    assert "No reading in this period" not in content


async def test_a_device_has_a_chart_for_each_point(client: httpx.AsyncClient) -> None:
    content = await page(client, "/devices/gw-electric/meter-1")
    assert content.count('<svg class="chart"') == 6
    assert "amount per 5 min" in content
    dead = await page(client, "/devices/gw-electric/meter-2")
    assert '<rect class="bad"' in dead


@pytest.mark.parametrize(
    "path",
    ["/gateways/none", "/devices/gw-electric/none", "/alarms/999", "/alarms/99999999999999999999", "/fragments/x"],
)
async def test_what_is_not_there_is_a_page_for_people_and_a_problem_for_programs(
    client: httpx.AsyncClient, path: str
) -> None:
    for_people = await client.get(path, headers={"accept": "text/html"})
    assert (for_people.status_code, for_people.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "返回总览" in for_people.text
    for_programs = await client.get(path)
    assert for_programs.headers["content-type"] == "application/problem+json"


async def test_a_wrong_window_and_an_odd_form_are_no_errors_of_ours(client: httpx.AsyncClient) -> None:
    assert (await client.get("/devices/gw-electric/meter-1?window=year")).status_code == 422
    many = "&".join(f"a{n}=1" for n in range(50))
    assert (await client.post("/alarms/1/acknowledge", content=many)).status_code == 422
    assert (await client.post("/alarms/1/acknowledge", content=b"\xff%zz")).status_code == 404


def request(query: str = "", cookie: str = "", accept: str = "") -> Request:
    headers = [(b"cookie", cookie.encode()), (b"accept-language", accept.encode())]
    return Request({"type": "http", "query_string": query.encode(), "headers": headers})


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "lang"),
    [
        ("lang=en", "linli_lang=zh", "zh", "en"),
        ("lang=xx", "linli_lang=zh", "en", "zh"),
        ("", "linli_lang=no", "en-GB,zh;q=0.5", "en"),
        ("", "", "zh-TW,en;q=0.9", "zh"),
        ("", "", "de,zh;q=0.9", "en"),
        ("", "", "en;q=0.2,zh;q=0.8", "zh"),
        ("", "", "en;q=x, zh;q=0", "zh"),
        ("", "", "", "zh"),
    ],
)
def test_the_language_is_asked_for_remembered_or_told(query: str, cookie: str, accept: str, lang: str) -> None:
    assert language_of(request(query, cookie, accept)) == lang


async def test_the_choice_of_a_language_is_remembered(client: httpx.AsyncClient) -> None:
    first = await client.get("/?lang=en")
    assert first.headers["set-cookie"].startswith("linli_lang=en;")
    assert '<html lang="en">' in (await client.get("/", headers={"accept-language": "zh"})).text


SERIES = SeriesInfo(1, "gw", "d", "d/energy_import.t2", "energy_import")


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [(1234.567, 1, "1,234.6"), (-3.25, 1, "−3.2"), (-0.0, 1, "0.0"), (0.004, 1, "0.004"), (0.0, 2, "0.00")],
)
def test_numbers(value: float, decimals: int, expected: str) -> None:
    assert show.number(value, decimals) == expected


def test_values_are_shown_in_the_unit_people_read() -> None:
    assert show.shown(SERIES, 1_234_567.0, None, "en") == "1,234.57"
    assert show.unit_shown(SERIES) == "kWh"
    assert show.shown(SERIES, None, None, "zh") == "–"
    assert show.shown(SERIES, None, "E3", "zh") == "E3"
    assert show.title(SERIES, "en").endswith(" · tariff 2")
    door = SeriesInfo(2, "gw", "d", "d/door_open", "door_open")
    assert [show.shown(door, value, None, "en") for value in (0.0, 1.0)] == ["closed", "open"]
    valve = SeriesInfo(4, "gw", "d", "d/water_valve_state", "water_valve_state")
    assert [show.shown(valve, None, word, "zh") for word in ("open", "closed", "abnormal")] == ["开", "关", "异常"]
    relay = SeriesInfo(5, "gw", "d", "d/relay_state", "relay_state")
    assert [show.shown(relay, None, word, "zh") for word in ("open", "closed", "?")] == [
        "拉闸（断电）",
        "合闸（通电）",
        "?",
    ]
    odd = SeriesInfo(3, "gw", "d", "d/flux_capacity", "flux_capacity")
    assert (show.title(odd, "zh"), show.shown(odd, 1.5, None, "zh"), show.unit_shown(odd)) == (
        "flux_capacity",
        "1.50",
        "",
    )


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "0 s"),
        (59 * SECOND, "59 s"),
        (MINUTE, "1 min"),
        (119 * MINUTE, "119 min"),
        (2 * HOUR, "2 h"),
        (3 * DAY, "3 d"),
    ],
)
def test_lengths_of_time(length: int, expected: str) -> None:
    assert show.span(length, "en") == expected


def test_a_gap_stays_a_gap_in_a_chart() -> None:
    dots = [Dot(n * MINUTE, 1.0 + n) for n in (0, 1, 2, 20, 21)] + [Dot(22 * MINUTE, None, bad=1)]
    svg = chart(dots, 0, HOUR, MINUTE, kind=Kind.GAUGE, label='<"x">', zone=None)
    assert svg.count('<path class="line"') == 2
    assert svg.count('<rect class="bad"') == 1
    assert 'aria-label="&lt;&#34;x&#34;&gt;"' in svg


def test_a_state_is_stepped_and_a_counter_has_bars() -> None:
    dots = [Dot(n * MINUTE, float(n % 2)) for n in range(5)]
    assert "H" in chart(dots, 0, HOUR, MINUTE, kind=Kind.STATE, label="", zone=None)
    assert chart(dots, 0, HOUR, MINUTE, kind=Kind.COUNTER, label="", zone=None).count('class="amount"') == 5


def test_nothing_read_draws_no_line() -> None:
    for kind in Kind:
        assert "path" not in chart([], 0, HOUR, MINUTE, kind=kind, label="", zone=None)
    assert "path" not in sparkline([], 0, HOUR, MINUTE, "")
