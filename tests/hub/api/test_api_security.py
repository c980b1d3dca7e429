"""Who may ask, and from where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from linli_platform.api import create_app

if TYPE_CHECKING:
    from tests.hub.api.conftest import Site

TOKEN = "correct-horse-battery-staple"
HOME = "http://127.0.0.1:8080"


@pytest.fixture
async def guarded(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(replace(site.context, token=TOKEN)))
    async with httpx.AsyncClient(transport=transport, base_url="http://linli.example") as client:
        yield client


async def test_without_the_token_nothing_is_told(guarded: httpx.AsyncClient) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"cookie": "linli_token=wrong"}):
        for path in ("/api/v1/health", "/api/v1/openapi.json", "/", "/metrics", "/nothing"):
            response = await guarded.get(path, headers=headers)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == 'Bearer realm="linli"'
            assert response.json()["type"] == "/problems/token-needed"


async def test_with_the_token_everything_is(guarded: httpx.AsyncClient) -> None:
    for scheme in ("Bearer", "bearer"):
        response = await guarded.get("/api/v1/health", headers={"authorization": f"{scheme} {TOKEN}"})
        assert response.status_code == 200


async def test_a_browser_signs_in_and_the_cookie_is_out_of_a_scripts_reach(guarded: httpx.AsyncClient) -> None:
    browser = {"accept": "text/html"}
    turned = await guarded.get("/", headers=browser)
    assert (turned.status_code, turned.headers["location"]) == (303, "/login")
    assert (await guarded.get("/login", headers=browser)).status_code == 200
    wrong = await guarded.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 401
    right = await guarded.post("/login", data={"token": TOKEN})
    assert (right.status_code, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await guarded.get("/", headers=browser)).status_code == 200


async def test_a_token_that_is_no_ascii_is_only_wrong(guarded: httpx.AsyncClient) -> None:
    response = await guarded.get("/api/v1/health", headers=[(b"authorization", b"Bearer \xe9\xff")])
    assert response.status_code == 401
    assert (await guarded.post("/login", data={"token": "令牌"})).status_code == 401


async def test_every_answer_bears_the_headers_that_bind_a_browser(client: httpx.AsyncClient) -> None:
    for path in ("/", "/api/v1/health", "/nothing", "/static/live.js"):
        headers = (await client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "", "127.0.0.1.evil.example", "[", "a@b"])
async def test_another_name_for_loopback_is_refused(client: httpx.AsyncClient, host: str) -> None:
    response = await client.get("/api/v1/health", headers={"host": host})
    assert response.status_code == 421
    assert response.json()["type"] == "/problems/unknown-host"


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "192.168.1.5:8080"])
async def test_addresses_and_localhost_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/api/v1/health", headers={"host": host})).status_code == 200


async def test_another_sites_page_cannot_act_here(client: httpx.AsyncClient) -> None:
    for origin in ("http://evil.example", "null", "http://["):
        response = await client.post("/api/v1/gateways/gw-electric/accept", headers={"origin": origin})
        assert response.status_code == 403
        assert response.json()["type"] == "/problems/foreign-origin"
    own = await client.post("/api/v1/gateways/gw-electric/accept", headers={"origin": HOME})
    assert own.status_code == 200


async def test_a_large_or_endless_body_is_refused_before_it_is_read(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"{}"

    for content in (b"x" * 70_000, endless()):
        response = await client.post("/api/v1/alarms/1/acknowledge", content=content)
        assert response.status_code == 413
