"""``/query``: InfluxDB's own form in and out, and no statement reaches what the asker may not see."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import httpx
import pytest

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, to_rfc3339
from linli_platform.api import create_app
from linli_platform.registry import Area, Device, Gateway, State
from linli_platform.store import StoreUnavailable
from linli_platform.tokens import Reads, Token, Tokens, make_secret

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site

KITCHEN, KITCHEN_DIGEST = make_secret()
BUILDING, BUILDING_DIGEST = make_secret()
EVERYTHING, EVERYTHING_DIGEST = make_secret()
TOKENS = Tokens(
    [
        Token("kitchen", KITCHEN_DIGEST, reads=Reads(gateways=("gw-kitchen",))),
        Token("building", BUILDING_DIGEST, reads=Reads(areas=("b1",))),
        Token("everything", EVERYTHING_DIGEST, reads=Reads(everything=True)),
    ]
)


async def answer(client: httpx.AsyncClient, text: str, **more: str) -> Any:
    response = await client.get("/query", params={"db": "linli", "epoch": "ms", "q": text} | more)
    assert response.status_code == 200, response.text
    return response.json()["results"]


@asynccontextmanager
async def guarded(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A platform whose callers have tokens."""
    transport = httpx.ASGITransport(create_app(replace(site.context, tokens=TOKENS)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080") as client:
        yield client


def bearing(secret: str) -> dict[str, str]:
    return {"Authorization": f"Token {secret}"}


async def devices_seen(client: httpx.AsyncClient, headers: Mapping[str, str], text: str) -> set[str]:
    response = await client.get("/query", params={"db": "linli", "q": text}, headers=dict(headers))
    assert response.status_code == 200
    (result,) = response.json()["results"]
    return {one["tags"]["device"] for one in result.get("series", [])}


async def test_a_panel_is_answered_as_grafana_expects(client: httpx.AsyncClient, clock: Clock) -> None:
    now = clock() // 1000
    (result,) = await answer(
        client,
        f'SELECT mean("value") FROM "active_power" WHERE "device" =~ /^meter-1$/ AND time >= {now - 600_000}ms'
        f' AND time <= {now}ms GROUP BY time(5m), "device"::tag fill(null)',
    )
    (series,) = result["series"]
    assert series["name"] == "active_power"
    assert series["tags"] == {"device": "meter-1"}
    assert series["columns"] == ["time", "mean"]
    assert [row[0] for row in series["values"]] == sorted(row[0] for row in series["values"])
    assert all(row[0] % 300_000 == 0 for row in series["values"])
    assert any(row[1] is not None for row in series["values"])


async def test_a_form_is_a_query_too(client: httpx.AsyncClient) -> None:
    for data, parameters in (
        ({"q": "SHOW MEASUREMENTS", "db": "linli"}, {}),
        ({"q": "SHOW MEASUREMENTS"}, {"db": "linli"}),
        ({}, {"q": "SHOW MEASUREMENTS", "db": "linli"}),
    ):
        response = await client.post("/query", data=data, params=parameters)
        assert response.status_code == 200
        assert ["active_power"] in response.json()["results"][0]["series"][0]["values"]
    refused = await client.post("/query", content=b"x", headers={"Content-Type": "application/json"})
    assert refused.status_code == 415


async def test_times_are_text_unless_a_unit_is_asked_for(client: httpx.AsyncClient, clock: Clock) -> None:
    text = "SELECT last(value) FROM active_power WHERE device = 'meter-1'"
    at = clock() - MINUTE
    for epoch, expected in (
        ("", to_rfc3339(at)),
        ("rfc3339", to_rfc3339(at)),
        ("s", at // SECOND),
        ("ms", at // 1000),
        ("u", at),
        ("ns", at * 1000),
    ):
        (result,) = await answer(client, text, epoch=epoch)
        assert result["series"][0]["values"][0][0] == expected
    refused = await client.get("/query", params={"q": text, "db": "linli", "epoch": "fortnight"})
    assert refused.status_code == 400
    assert "use one of n, ns" in refused.json()["error"]


async def test_csv_for_people(client: httpx.AsyncClient) -> None:
    text = "SELECT last(value) FROM active_power GROUP BY device; SHOW MEASUREMENTS"
    response = await client.get("/query", params={"q": text, "db": "linli"}, headers={"Accept": "application/csv"})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(response.text)))
    assert rows[0] == ["name", "tags", "time", "last"]
    assert rows[1][:2] == ["active_power", "device=meter-1"]
    assert ["name", "tags", "name"] in rows


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({}, 400, 'missing required parameter "q"'),
        ({"q": "  "}, 400, 'missing required parameter "q"'),
        ({"q": "SELEC value FROM a", "db": "linli"}, 400, "error parsing query: found SELEC"),
        ({"q": "SELECT value FROM a WHERE (", "db": "linli"}, 400, "found EOF"),
        ({"q": "SELECT value FROM a", "db": "linli", "params": '{"a":'}, 400, "params is no JSON"),
        ({"q": "SELECT value FROM a", "db": "linli", "params": "[1]"}, 400, "no JSON object"),
        ({"q": "SELECT value FROM a WHERE b = $b", "db": "linli", "params": '{"a":1}'}, 400, "missing parameter: b"),
    ],
)
async def test_what_is_no_query_is_refused(
    client: httpx.AsyncClient, parameters: dict[str, str], status: int, said: str
) -> None:
    response = await client.get("/query", params=parameters)
    assert response.status_code == status
    assert said in response.json()["error"]


async def test_a_statement_that_fails_keeps_its_neighbours(client: httpx.AsyncClient) -> None:
    refused, answered = await answer(client, "SELECT nope(value) FROM active_power; SHOW MEASUREMENTS")
    assert refused == {"statement_id": 0, "error": "undefined function nope()"}
    assert answered["series"]


async def test_a_store_that_is_away_is_said_to_be(client: httpx.AsyncClient, furnished: Site) -> None:
    with mock.patch.object(furnished.store, "steps", side_effect=StoreUnavailable("the file is gone")):
        response = await client.get(
            "/query", params={"q": "SELECT sum(value), count(value) FROM active_power", "db": "linli"}
        )
    assert response.status_code == 503
    assert "the file is gone" in response.json()["error"]


async def test_nobody_without_a_token_is_answered(furnished: Site) -> None:
    async with guarded(furnished) as client:
        parameters = {"q": "SHOW MEASUREMENTS", "db": "linli"}
        for headers in ({}, bearing("wrong")):
            response = await client.get("/query", params=parameters, headers=headers)
            assert response.status_code == 401
        response = await client.get("/query", params=parameters | {"u": "everything", "p": EVERYTHING})
        assert response.status_code == 200


REACHING = [
    "SELECT last(value) FROM active_power, air_temperature GROUP BY device",
    "SELECT value FROM /.*/ GROUP BY device",
    "SELECT max(m) FROM (SELECT mean(value) AS m FROM /.*/ GROUP BY device) GROUP BY device",
    "SELECT mean(value) FROM /.*/ WHERE gateway = 'gw-electric' OR gateway != 'gw-electric' GROUP BY device",
    "SELECT last(value) FROM linli.autogen.active_power, linli..air_temperature GROUP BY device",
]


@pytest.mark.parametrize("text", REACHING)
async def test_no_statement_reaches_what_may_not_be_seen(furnished: Site, text: str) -> None:
    async with guarded(furnished) as client:
        assert await devices_seen(client, bearing(KITCHEN), text) == {"cold-room-1"}
        assert await devices_seen(client, bearing(EVERYTHING), text) == {"cold-room-1", "meter-1", "meter-2"}


async def test_what_is_shown_is_what_may_be_seen(furnished: Site) -> None:
    async with guarded(furnished) as client:
        for text in (
            "SHOW MEASUREMENTS",
            "SHOW TAG VALUES WITH KEY =~ /.*/",
            "SHOW SERIES",
            "SHOW TAG VALUES FROM active_power WITH KEY = device",
        ):
            parameters = {"q": text, "db": "linli"}
            response = await client.get("/query", params=parameters, headers=bearing(KITCHEN))
            assert "meter-1" not in response.text
            assert "active_power" not in response.text


async def test_a_device_that_moves_is_seen_by_who_sees_its_new_place(furnished: Site, clock: Clock) -> None:
    text = "SELECT last(value) FROM active_power GROUP BY device"
    registry = furnished.registry
    registry.declare(
        [Area("yard", None, "community"), Area("b1", "yard", "building"), Area("b2", "yard", "building")],
        [Gateway("gw-electric", State.ACTIVE, area="b2")],
        [],
    )
    async with guarded(furnished) as client:
        assert await devices_seen(client, bearing(BUILDING), text) == set()
        registry.declare([], [], [Device("gw-electric", "meter-1", State.ACTIVE, area="b1")])
        clock.forward(10 * SECOND)
        assert await devices_seen(client, bearing(BUILDING), text) == {"meter-1"}
        where = "SELECT last(value) FROM active_power WHERE building = 'b1' GROUP BY device"
        assert await devices_seen(client, bearing(EVERYTHING), where) == {"meter-1"}


async def test_an_answer_says_which_rollups_it_is_from(client: httpx.AsyncClient, site: Site) -> None:
    day = site.clock() // DAY * DAY - 9 * DAY
    site.commit("gw", [("meter-r/reactive_power", day + 5 * SECOND * n, float(n)) for n in range(12 * 60)])
    site.store.compact(site.clock())

    async def asked(every: str) -> tuple[str | None, int]:
        text = (
            f"SELECT count(value) FROM reactive_power WHERE time >= {day}u AND time < {day + HOUR}u"
            f" GROUP BY time({every}) fill(none)"
        )
        response = await client.get("/query", params={"db": "linli", "q": text})
        ((series,),) = [result["series"] for result in response.json()["results"]]
        return response.headers.get("X-Linli-Rollups"), sum(count for _, count in series["values"])

    assert await asked("15m") == ("15m", 720)
    assert await asked("1h") == ("1h", 720)
    assert await asked("7s") == (None, 720)
