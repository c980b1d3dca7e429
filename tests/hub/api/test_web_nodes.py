"""Nodes on the pages of their gateway and their own: who calls, the button that answers, how each fares."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.hub.api.conftest import open_site

from linli_core.alarm import State
from linli_core.instant import SECOND
from linli_platform.alarms import load_rules
from linli_platform.alarms.last_words import SAVING_POWER
from linli_platform.api import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.hub.api.conftest import Clock, Site

GATEWAY, OWN = "/gateways/gw-hall", "/devices/gw-hall/help-1"


@pytest.fixture
async def hall(tmp_path: Path, clock: Clock) -> AsyncIterator[Site]:
    """A gateway with a button, a leak rope on a battery, and a meter that is no node."""
    async with open_site(tmp_path, clock, rules=load_rules(packs=["safety"])) as site:
        health = (("heap_free", 61_000.0), ("restarts", 2.0), ("backlog", 0.0), ("signal_strength", -61.0))
        for name, value in (("emergency_button", 0.0), *health):
            site.commit("gw-hall", [(f"help-1/{name}", clock(), value)])
        for name, value in (("water_leak", 0.0), ("battery_voltage", 2.91), ("battery_low", 0.0), *health):
            site.commit("gw-hall", [(f"leak-1/{name}", clock(), value)])
        site.commit("gw-hall", [("meter-1/voltage", clock(), 230.0)])
        await site.settle()
        yield site


@pytest.fixture
async def browser(hall: Site) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(hall.context))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as opened:
        yield opened


async def page(browser: httpx.AsyncClient, path: str, lang: str = "en") -> str:
    answer = await browser.get(path, headers={"Accept": "text/html", "Accept-Language": lang})
    assert answer.status_code == 200
    return answer.text


def nodes(text: str) -> list[str]:
    """Return the cards of nodes, as their words."""
    cards = re.findall(r'<li class="card node.*?</li>', text, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", card).split()) for card in cards]


async def press(site: Site, clock: Clock, value: float) -> None:
    clock.forward(SECOND)
    site.commit("gw-hall", [("help-1/emergency_button", clock(), value)])
    await site.settle()


async def test_how_each_node_fares_stands_on_its_gateways_page_and_its_own(browser: httpx.AsyncClient) -> None:
    help_1, leak_1 = nodes(await page(browser, GATEWAY))
    assert help_1.startswith("help-1 Signal strength −61 dBm Restarts 2 Messages waiting 0 Free heap 61 KB")
    assert "Battery low no" in leak_1
    assert "Battery voltage 2.9 V" in leak_1
    assert nodes(await page(browser, OWN)) == [help_1]
    assert nodes(await page(browser, "/devices/gw-hall/meter-1")) == []
    assert "空闲堆内存" in nodes(await page(browser, GATEWAY, "zh"))[0]


async def test_a_call_stands_first_and_is_answered_from_the_page(
    browser: httpx.AsyncClient, hall: Site, clock: Clock
) -> None:
    await press(hall, clock, 1.0)
    posted = set()
    for path in (GATEWAY, OWN):
        text = await page(browser, path)
        assert nodes(text)[0].startswith("help-1 It is calling.")
        posted.update(re.findall(r'class="act" method="post" action="(/alarms/\d+/acknowledge)"', text))
    (answering,) = posted
    assert "正在呼叫。" in (await page(browser, GATEWAY, "zh"))
    answer = await browser.post(answering, data={"actor": "王敏", "back": GATEWAY})
    assert (answer.status_code, answer.headers["location"]) == (303, GATEWAY)
    (alarm,) = [row for row in await hall.alarms.standing() if row.rule == "safety.emergency-button"]
    assert (alarm.state, alarm.acknowledged_by) == (State.ACKNOWLEDGED, "王敏")
    told = nodes(await page(browser, GATEWAY))[0]
    assert "Heard by 王敏. The button is told so" in told
    assert "I have heard it" not in told
    # The node has been told: the call is over.
    await press(hall, clock, 0.0)
    assert "calling" not in nodes(await page(browser, GATEWAY))[0]


async def test_a_button_that_is_pressed_twice_shows_who_has_heard_the_call(
    browser: httpx.AsyncClient, hall: Site, clock: Clock
) -> None:
    await press(hall, clock, 1.0)
    (alarm,) = [row for row in await hall.alarms.standing() if row.rule == "safety.emergency-button"]
    for actor in ("王敏", "王敏", "李强"):
        answer = await browser.post(f"/alarms/{alarm.id}/acknowledge", data={"actor": actor, "back": GATEWAY})
        assert (answer.status_code, answer.headers["location"]) == (303, GATEWAY)
    assert "王敏 已听到" in nodes(await page(browser, GATEWAY, "zh"))[0]
    # One that never was is told as before.
    assert (await browser.post("/alarms/999/acknowledge", data={"back": GATEWAY})).status_code == 404


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example/", "/gateways/../x", "/gateways/a/b/c/d", "/login", "\r\nX: y", ""]
)
async def test_a_form_leads_back_to_pages_of_this_console_alone(
    browser: httpx.AsyncClient, hall: Site, clock: Clock, back: str
) -> None:
    await press(hall, clock, 1.0)
    (alarm,) = [row for row in await hall.alarms.standing() if row.rule == "safety.emergency-button"]
    answer = await browser.post(f"/alarms/{alarm.id}/acknowledge", data={"actor": "li", "back": back})
    assert answer.headers["location"] == "/"


async def test_a_node_that_saves_its_battery_says_so(browser: httpx.AsyncClient, hall: Site, clock: Clock) -> None:
    clock.forward(SECOND)
    hall.commit("gw-hall", [("leak-1/battery_low", clock(), 1.0), ("leak-1/battery_voltage", clock(), 2.17)])
    text = await page(browser, GATEWAY)
    assert 'class="warn"><dt>Battery low</dt>' in text
    clock.forward(SECOND)
    hall.commit("gw-hall", [("leak-1/battery_low", clock(), None)], quality=SAVING_POWER)
    assert "saves its battery: change it" in nodes(await page(browser, GATEWAY))[1]
