"""The health of the alarm system, by the API and on its page, of what really happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from linli_core.instant import SECOND
from linli_platform.alarms import Filter
from linli_platform.registry import Area, Gateway, State

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site


@pytest.fixture
async def chattering(furnished: Site, clock: Clock) -> Site:
    """A room that is too warm for eight seconds every forty seconds, five times; the last time somebody has seen it."""
    for _ in range(5):
        for value in (9.0, 9.0, 4.0, 4.0):
            furnished.commit("gw-north", [("cold-room-9/air_temperature", clock(), value)])
            clock.forward(4 * SECOND)
        clock.forward(24 * SECOND)
    await furnished.settle()
    (row,) = await furnished.alarms.find(Filter(active=True, gateway="gw-north"))
    await furnished.alarms.acknowledge(row.id, actor="li")
    clock.forward(SECOND)
    return furnished


async def test_what_happened_is_told(client: httpx.AsyncClient, chattering: Site) -> None:
    found = (await client.get("/api/v1/alarms/health", params={"from": "-1d", "gateway": "gw-north"})).json()
    assert (found["raised"], found["busiest_hour"], found["acknowledged"], found["unseen"]) == (5, 5, 1, 0)
    (noisy,) = found["chattering"]
    assert (noisy["rule"], noisy["count"]) == ("food.cold-room-warm", 5)
    assert (noisy["on_delay"], noisy["off_delay"]) == (7.0, 33.0)
    assert found["mix"] == {"low": 0.0, "medium": 0.0, "high": 1.0}
    assert found["worst"] == [{"rule": "food.cold-room-warm", "count": 5, "share": 1.0}]
    for lang, word in (("zh", "反复触发"), ("en", "They come and go")):
        page = await client.get(f"/alarms/health?lang={lang}", headers={"Accept": "text/html"})
        assert word in page.text
    assert chattering.alarms.raised >= 5


async def test_of_an_area_and_below_it(client: httpx.AsyncClient, chattering: Site) -> None:
    areas = [Area("city", None, "city"), Area("north", "city", "community"), Area("south", "city", "community")]
    chattering.registry.declare(areas, [Gateway("gw-north", State.ACTIVE, area="north")], [])

    async def raised(area: str) -> int:
        found = await client.get("/api/v1/alarms/health", params={"area": area, "from": "-1d"})
        return int(found.json()["raised"])

    assert (await raised("north"), await raised("city"), await raised("south")) == (5, 5, 0)
    found = await client.get("/api/v1/alarms/health", params={"area": "nowhere"})
    assert found.status_code == 404


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"from": "now"}, "let `to` come after"),
        ({"from": "-500d"}, "by 400 days at most"),
        ({"from": "x"}, "is no time"),
    ],
)
async def test_a_period_that_is_none(client: httpx.AsyncClient, parameters: dict[str, str], said: str) -> None:
    response = await client.get("/api/v1/alarms/health", params=parameters)
    assert response.status_code == 422
    assert said in response.json()["detail"]
    assert (await client.get("/alarms/health?window=year", headers={"Accept": "text/html"})).status_code == 422
