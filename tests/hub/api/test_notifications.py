"""Who was told, who was not and why: by API, on a page in both languages, and silences through both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from linli_core.instant import HOUR, SECOND, to_rfc3339
from linli_platform.api import create_app
from linli_platform.notify import NotifyService, Outcome, Writer
from linli_platform.notify.routes import parse_routes
from linli_platform.web.words import PageWords

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site

ROOM = "cold-room-1/air_temperature"
ROUTES = """
[[targets]]
id = "duty"
url_file = "nowhere"
[[routes]]
id = "food"
to = ["duty"]
categories = ["food"]
"""


class Post:
    """Stands where Apprise does."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.error = ""

    def open(self) -> None:
        pass

    def limit(self, target: str) -> int:  # noqa: ARG002
        return 2_000

    def send(self, target: str, title: str, body: str) -> Outcome:  # noqa: ARG002
        if not self.error:
            self.sent.append((title, body))
        return Outcome(self.error)

    def close(self) -> None:
        pass


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def notices(furnished: Site, clock: Clock, post: Post) -> AsyncIterator[NotifyService]:
    routes = parse_routes(ROUTES, "notify.toml")
    writer = Writer(PageWords(furnished.registry, furnished.store), UTC, "https://linli.example")
    hiding = furnished.alarms.hiding.of
    async with NotifyService(furnished.registry, routes, post, writer, clock, UTC, hiding) as service:
        furnished.alarms.listen(service.on_alarm)
        yield service


@pytest.fixture
async def client(furnished: Site, notices: NotifyService) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(replace(furnished.context, notices=notices)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as opened:
        yield opened


async def warm(site: Site, clock: Clock, gateway: str = "gw-kitchen") -> None:
    for _ in range(2):
        site.commit(gateway, [(ROOM, clock(), 9.0)])
        clock.forward(4 * SECOND)
    await site.settle()


async def get(client: httpx.AsyncClient, path: str) -> Any:
    response = await client.get(f"/api/v1{path}")
    assert response.status_code == 200, response.text
    return response.json()


async def page(client: httpx.AsyncClient, lang: str) -> str:
    response = await client.get("/notifications", headers={"accept": "text/html", "accept-language": lang})
    assert response.status_code == 200
    return response.text


async def test_an_alarm_of_the_engine_is_told_in_the_words_of_the_pages(
    client: httpx.AsyncClient, furnished: Site, clock: Clock, notices: NotifyService, post: Post
) -> None:
    await warm(furnished, clock)
    await notices.settled()
    ((title, body),) = post.sent
    assert title == "【高】冷库温度过高：一号楼厨房 › 一号冷库 › 库内空气温度"
    assert "9.0 °C" in body
    assert "冷藏食品变质" in body
    (line,) = await get(client, "/notifications")
    assert body.splitlines()[4] == f"https://linli.example/alarms/{line['alarm']}"
    assert (line["state"], line["kind"], line["route"], line["target"]) == ("sent", "raised", "food", "duty")
    assert line["decided_at"] == to_rfc3339(clock())
    assert (await get(client, f"/notifications?alarm={line['alarm']}&state=sent&target=duty")) == [line]
    assert (await get(client, f"/notifications?before={line['id']}")) == []
    (target,) = await get(client, "/notifications/targets")
    assert (target["id"], target["waiting"], target["error"]) == ("duty", 0, "")


async def test_a_target_that_fails_is_told_by_api_and_page(
    client: httpx.AsyncClient, furnished: Site, clock: Clock, notices: NotifyService, post: Post
) -> None:
    post.error = "connection <refused>"
    await warm(furnished, clock)
    await notices.settled()
    (target,) = await get(client, "/notifications/targets")
    assert (target["waiting"], target["attempts"], target["error"]) == (1, 1, "connection <refused>")
    english, chinese = await page(client, "en"), await page(client, "zh")
    assert "cannot be reached" in english
    assert "connection &lt;refused&gt;" in english
    assert "无法送达" in chinese
    assert "待发送" in chinese


async def test_a_silence_is_made_seen_and_ended_by_api(
    client: httpx.AsyncClient, furnished: Site, clock: Clock, notices: NotifyService, post: Post
) -> None:
    wanted = {"gateway": "gw-kitchen", "reason": "defrosting", "actor": "李", "for": "2h"}
    made = await client.post("/api/v1/silences", json=wanted)
    assert made.status_code == 201, made.text
    silence = made.json()
    assert (silence["active"], silence["until"]) == (True, to_rfc3339(clock() + 2 * HOUR))
    await warm(furnished, clock)
    await notices.settled()
    assert post.sent == []
    (line,) = await get(client, "/notifications")
    assert (line["state"], line["reason"], line["detail"]) == ("held", "silenced", "silence 1: defrosting")
    assert "silenced · silence 1: defrosting" in await page(client, "en")
    ended = await client.post(f"/api/v1/silences/{silence['id']}/end", json={"actor": "王"})
    assert ended.json()["ended_by"] == "王"
    assert await get(client, "/silences") == []
    await notices.settled()
    assert len(post.sent) == 1
    again = await client.post(f"/api/v1/silences/{silence['id']}/end", json={})
    assert (again.status_code, again.json()["remedy"]) == (409, "see /api/v1/silences")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": " ", "for": "2h"}, 409),
        ({"reason": "why", "for": "31d"}, 409),
        ({"reason": "why"}, 422),
        ({"reason": "why", "for": "2h", "until": "2030-01-01T00:00:00Z"}, 422),
        ({"reason": "why", "for": "2h", "gateway": "No Id"}, 422),
        ({"for": "2h"}, 422),
    ],
)
async def test_a_silence_without_a_reason_or_an_end_is_refused(
    client: httpx.AsyncClient, body: dict[str, str], status: int
) -> None:
    assert (await client.post("/api/v1/silences", json=body)).status_code == status
    assert await get(client, "/silences") == []


async def test_a_silence_is_made_and_ended_on_the_page(client: httpx.AsyncClient) -> None:
    form = {"subject": "gw-kitchen/cold-room-1", "comment": "化霜", "for": "8h", "actor": "李"}
    made = await client.post("/silences", data=form)
    assert (made.status_code, made.headers["location"]) == (303, "/notifications")
    (silence,) = await get(client, "/silences")
    assert (silence["gateway"], silence["device"], silence["reason"]) == ("gw-kitchen", "cold-room-1", "化霜")
    assert "化霜" in await page(client, "zh")
    await client.post(f"/silences/{silence['id']}/end", data={"actor": "李"})
    assert await get(client, "/silences") == []


async def test_where_nobody_is_to_be_told_the_page_says_so(furnished: Site) -> None:
    transport = httpx.ASGITransport(create_app(furnished.context))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        assert "Nobody is to be told yet." in await page(client, "en")
        assert "尚未配置通知对象。" in await page(client, "zh")
        assert await get(client, "/notifications") == []
        assert await get(client, "/notifications/targets") == []
        assert await get(client, "/silences") == []
        refused = await client.post("/api/v1/silences", json={"reason": "why", "for": "2h"})
        assert refused.status_code == 409
