"""Who speaks at the InfluxDB-shaped doors: each way of saying it, and what each may see."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from linli_platform.api.context import ApiContext
from linli_platform.api.influx_errors import install
from linli_platform.api.influx_tokens import Caller, caller_of, visible
from linli_platform.registry import Area, Device, Gateway, State
from linli_platform.store import SeriesInfo
from linli_platform.tokens import Reads, Token, Tokens, make_secret

if TYPE_CHECKING:
    from tests.hub.api.conftest import Site

SECRET, DIGEST = make_secret()
TOKENS = Tokens([Token("telegraf", DIGEST, "telegraf-1", Reads(gateways=("gw-a",)))])


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def said(context: ApiContext, headers: Mapping[str, str], query: str = "") -> tuple[int, str]:
    """Return the status, and who the door thinks it is or what it says."""
    app = FastAPI()
    install(app)

    @app.get("/who")
    async def who(caller: Annotated[Caller, Depends(caller_of(context))]) -> dict[str, str]:
        return {"is": f"{caller.name or 'anybody'} writes as {caller.writes_as or 'nobody'}"}

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get(f"/who{query}", headers=dict(headers))
    body = answer.json()
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="linli"'
        assert answer.headers["X-Influxdb-Error"] == body["error"] == body["message"]
    return answer.status_code, body.get("is") or body["error"]


GOOD: list[tuple[dict[str, str], str]] = [
    ({"Authorization": f"Token {SECRET}"}, ""),
    ({"Authorization": f"token telegraf:{SECRET}"}, ""),
    ({"Authorization": f"Bearer {SECRET}"}, ""),
    (basic("telegraf", SECRET), ""),
    ({}, f"?u=telegraf&p={SECRET}"),
]
BAD: list[tuple[dict[str, str], str]] = [
    ({"Authorization": "Token wrong"}, ""),
    ({"Authorization": f"Token other:{SECRET}"}, ""),
    ({"Authorization": "Bearer wrong"}, ""),
    (basic("telegraf", "wrong"), ""),
    (basic("other", SECRET), ""),
    ({"Authorization": "Basic ????"}, ""),
    ({"Authorization": "Basic " + base64.b64encode(b"\xff\xff:\xff").decode()}, ""),
    ({}, f"?u=other&p={SECRET}"),
    ({}, "?u=telegraf&p=wrong"),
    ({"Cookie": f"linli_token={SECRET}"}, ""),
    ({"Authorization": SECRET}, ""),
    ({"Authorization": "Token "}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("headers", "query"), GOOD, ids=range(len(GOOD)))
async def test_each_way_of_saying_a_token_is_understood(site: "Site", headers: dict[str, str], query: str) -> None:
    context = replace(site.context, tokens=TOKENS)
    assert await said(context, headers, query) == (200, "telegraf writes as telegraf-1")


@pytest.mark.parametrize(("headers", "query"), BAD, ids=range(len(BAD)))
async def test_whatever_else_is_said_opens_nothing(site: "Site", headers: dict[str, str], query: str) -> None:
    context = replace(site.context, tokens=TOKENS, token="platform-token")
    status, text = await said(context, headers, query)
    assert (status, text.partition(":")[0].partition(" ")[0]) == (401, "authorization")


async def test_the_platforms_own_token_sees_all_and_writes_as_nobody(site: "Site") -> None:
    context = replace(site.context, tokens=TOKENS, token="platform-token")
    assert await said(context, {"Authorization": "Bearer platform-token"}) == (200, "anybody writes as nobody")
    assert await said(context, basic("admin", "platform-token")) == (200, "anybody writes as nobody")


async def test_without_any_token_this_machine_may_read_and_not_write(site: "Site") -> None:
    assert await said(site.context, {}) == (200, "anybody writes as nobody")
    # The 1.x client says root:root to every server.
    assert await said(site.context, basic("root", "root")) == (200, "anybody writes as nobody")


def test_a_caller_sees_its_gateways_and_what_lies_in_its_areas_and_below(site: "Site") -> None:
    site.registry.declare(
        [
            Area("garden", None, "community"),
            Area("building-3", "garden", "building"),
            Area("flat-301", "building-3", "dwelling"),
            Area("building-4", "garden", "building"),
        ],
        [Gateway("gw-a", State.ACTIVE, area="building-4"), Gateway("gw-b", State.ACTIVE, area="building-3")],
        [
            Device("gw-a", "far-meter", State.ACTIVE, area="flat-301"),
            Device("gw-a", "own-meter", State.ACTIVE),
            Device("gw-b", "moved-meter", State.ACTIVE, area="building-4"),
        ],
    )

    def seen(reads: Reads) -> list[str]:
        registry = site.registry
        sees = visible(reads, registry.areas(), registry.gateways(), registry.devices())
        pairs = [("gw-a", "far-meter"), ("gw-a", "own-meter"), ("gw-b", "moved-meter"), ("gw-b", "new"), ("gw-c", "x")]
        infos = [SeriesInfo(1, gateway, device, f"{device}/voltage", "voltage") for gateway, device in pairs]
        return [info.device for info in infos if sees(info)]

    assert seen(Reads()) == []
    assert seen(Reads(everything=True)) == ["far-meter", "own-meter", "moved-meter", "new", "x"]
    assert seen(Reads(areas=("garden",))) == ["far-meter", "own-meter", "moved-meter", "new"]
    assert seen(Reads(areas=("building-3",))) == ["far-meter", "new"]
    assert seen(Reads(areas=("flat-301",))) == ["far-meter"]
    assert seen(Reads(areas=("building-4",))) == ["own-meter", "moved-meter"]
    assert seen(Reads(gateways=("gw-c",), areas=("flat-301",))) == ["far-meter", "x"]
    assert seen(Reads(areas=("nowhere",))) == []
