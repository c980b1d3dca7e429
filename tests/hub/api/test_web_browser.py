"""The live page in a real browser: values move, an alarm appears and is acknowledged, nothing complains."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from playwright.async_api import Browser, Page, async_playwright, expect
from tests.hub.api.conftest import Clock

from linli_core.instant import SECOND
from linli_platform.api import create_app
from linli_platform.clock import wall_clock

if TYPE_CHECKING:
    from tests.hub.api.conftest import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]
SIZES = {"small phone": (360, 740), "phone": (390, 844), "desktop": (1280, 900)}
expect.set_options(timeout=600_000)
PATHS = ("/", "/gateways/gw-electric", "/devices/gw-electric/meter-1", "/alarms", "/alarms/1")


@dataclass
class Served:
    """A community served on a port, and what a browser complained of."""

    site: Site
    url: str
    browser: Browser
    complaints: list[str]

    @contextlib.asynccontextmanager
    async def page(self, size: str = "phone", lang: str = "en", *, javascript: bool = True) -> AsyncIterator[Page]:
        width, height = SIZES[size]
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            locale="zh-CN" if lang == "zh" else "en-GB",
            java_script_enabled=javascript,
        )
        context.set_default_timeout(0)
        page = await context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        yield page
        await context.close()


class Server(uvicorn.Server):
    """A server that tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@pytest.fixture
async def served(tmp_path: Path, open_community: object) -> AsyncIterator[Served]:
    assert callable(open_community)
    # It stands still from here on: however long a browser takes, no gateway falls silent meanwhile.
    clock = Clock(wall_clock())
    async with open_community(tmp_path, clock) as site:
        server = Server(uvicorn.Config(create_app(site.context), port=0, log_level="warning", lifespan="off"))
        task = asyncio.create_task(server.serve(), name="server")
        await server.is_up.wait()
        port = server.servers[0].sockets[0].getsockname()[1]
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=CHROMIUM,
                timeout=0,
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"],
            )
            yield Served(site, f"http://127.0.0.1:{port}", browser, [])
            await browser.close()
        server.should_exit = True
        await task


def temperature(site: Site, value: float, ago: int = 0) -> None:
    now = site.clock() - ago * SECOND
    site.commit("gw-kitchen", [("cold-room-1/air_temperature", now, value), ("cold-room-1/door_open", now, 1.0)])


async def test_values_move_an_alarm_comes_and_is_acknowledged(served: Served) -> None:
    async with served.page() as page:
        await page.goto(served.url)
        await expect(page.locator("#headline")).to_have_text("All is well")
        await expect(page.locator("#link")).to_have_text("Live")
        temperature(served.site, 10.5, ago=8)
        await expect(page.locator(".room .big .value")).to_have_text("10.5")
        temperature(served.site, 11.5)
        await served.site.settle()
        await expect(page.locator("#headline")).to_have_text("1 alarm needs you")
        await expect(page.locator(".room .door")).to_have_text("Door open")
        card = page.locator(".alarm", has_text="Cold room too warm")
        await card.locator("summary").click()
        await card.locator("input[name=actor]").fill("Wang Fang")
        await card.locator("button").click()
        await expect(page.locator("#headline")).to_have_text("Acknowledged alarms still stand")
        await expect(page.locator(".alarm")).to_contain_text("Seen by Wang Fang")
        await page.get_by_role("link", name="中文").click()
        await expect(page.locator("#headline")).to_have_text("已确认的报警仍未消除")
    assert served.complaints == []


async def test_a_reading_that_fails_is_marked_in_place(served: Served) -> None:
    async with served.page(lang="zh") as page:
        await page.goto(served.url)
        await expect(page.locator("#link")).to_have_text("实时")
        served.site.commit("gw-electric", [("meter-1/voltage.l1", served.site.clock(), None)])
        row = page.locator(".points li", has_text="L1").filter(has=page.locator(".mark.bad:visible"))
        await expect(row.locator(".value")).to_have_text("–")
        await expect(row.locator(".mark")).to_have_text("坏值：设备无应答")
        await expect(row.locator(".unit")).to_be_hidden()
    assert served.complaints == []


async def test_a_new_device_appears_by_itself(served: Served) -> None:
    async with served.page() as page:
        await page.goto(served.url)
        await expect(page.locator("#link")).to_have_text("Live")
        served.site.commit("gw-electric", [("meter-9/active_power", served.site.clock(), 77.0)])
        await expect(page.locator(".device", has_text="meter-9").locator(".value")).to_have_text("77.0")
    assert served.complaints == []


async def test_no_page_scrolls_sideways_or_complains(served: Served) -> None:
    temperature(served.site, 11.0, ago=8)
    temperature(served.site, 11.0)
    node = "emergency-button-beside-the-lift-of-building-12"
    told = (("heap_free", 61_000.0), ("battery_low", 1.0), ("signal_strength", -61.0), ("battery_voltage", 2.9))
    served.site.commit("gw-electric", [(f"{node}/{name}", served.site.clock(), value) for name, value in told])
    await served.site.settle()
    for size, (width, _) in SIZES.items():
        for lang in ("zh", "en"):
            async with served.page(size, lang) as page:
                for path in PATHS:
                    await page.goto(served.url + path)
                    wide = await page.evaluate("document.documentElement.scrollWidth")
                    assert wide <= width, (size, lang, path, wide)
    assert served.complaints == []


async def test_without_javascript_it_is_a_snapshot_whose_button_works(served: Served) -> None:
    temperature(served.site, 11.0, ago=8)
    temperature(served.site, 11.0)
    await served.site.settle()
    async with served.page(javascript=False) as page:
        await page.goto(served.url)
        await expect(page.locator("#headline")).to_have_text("1 alarm needs you")
        await expect(page.locator("#snapshot")).to_contain_text("Snapshot of")
        await page.locator(".alarm button").click()
        await expect(page.locator("#headline")).to_have_text("Acknowledged alarms still stand")
