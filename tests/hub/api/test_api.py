"""The API: honest answers, problem documents for everything wrong, no 500 whatever comes."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linli_core.instant import DAY, MINUTE, SECOND, to_rfc3339
from linli_platform.api.schema import schema

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site

ROOM = "gw-kitchen/cold-room-1/air_temperature"
OPENAPI = Path(__file__).parents[3] / "docs" / "openapi.json"


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    response = await client.get(f"/api/v1{path}", params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def refused(client: httpx.AsyncClient, path: str, **params: Any) -> Any:
    response = await client.get(f"/api/v1{path}", params=params)
    assert response.status_code in {404, 422}
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    return problem


async def test_health_names_its_parts(client: httpx.AsyncClient) -> None:
    health = await get(client, "/health")
    assert health["state"] == "ok"
    assert set(health["parts"]) == {"broker", "store"}


async def test_gateways_with_status_refusals_and_losses(client: httpx.AsyncClient) -> None:
    gateways = {item["id"]: item for item in await get(client, "/gateways")}
    assert gateways["gw-kitchen"]["titles"] == {"zh": "一号楼厨房", "en": "Kitchen, building 1"}
    electric = gateways["gw-electric"]
    assert (electric["state"], electric["devices"], electric["refused"]) == ("pending", 2, 3)
    assert electric["status"]["clock"] == {
        "state": "doubtful",
        "source": "none",
        "since": "2026-01-01T00:00:00Z",
    }
    link = electric["status"]["links"][0]
    assert (link["silent"], link["stretched"], link["unlisted"]) == (["meter-2"], 1.4, 7)
    assert [unit["device"] for unit in link["units"]] == ["meter-2", "meter-1"]
    assert link["units"][0]["timeouts"] == 9
    assert link["units"][1]["median"] == 0.042
    detail = await get(client, "/gateways/gw-electric")
    assert detail["refusals"][0]["reason"] == "unknown_unit"
    assert (detail["losses"][0]["messages"], detail["losses"][0]["cause"]) == (3, "space")
    assert (await get(client, "/losses"))[0]["first"] == 7
    assert await get(client, "/losses", gateway="gw-kitchen") == []


async def test_accepting_a_gateway_accepts_its_devices(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/gateways/gw-electric/accept")
    assert response.json()["state"] == "active"
    assert {item["state"] for item in await get(client, "/devices", gateway="gw-electric")} == {"active"}
    missing = await client.post("/api/v1/gateways/gw-none/accept")
    assert missing.status_code == 404
    assert missing.json()["found"] == "no gateway is called 'gw-none'"


async def test_points_have_titles_unit_and_an_honest_latest(client: httpx.AsyncClient) -> None:
    points = {item["point"]: item for item in await get(client, "/points")}
    room = points[ROOM]
    assert (room["unit"], room["kind"], room["latest"]["quality"]) == ("Cel", "gauge", "good")
    assert room["latest"]["age_s"] == 60
    assert room["title"]["zh"]
    dead = points["gw-electric/meter-2/active_power"]["latest"]
    assert (dead["value"], dead["quality"]) == (None, "bad/no_communication")
    assert len(await get(client, "/points", device="cold-room-1")) == 2
    assert [item["quantity"] for item in await get(client, "/points", quantity="voltage")] == ["voltage", "voltage"]
    assert len(await get(client, "/points", limit=3, offset=1)) == 3


async def test_latest_by_name_or_filter(client: httpx.AsyncClient) -> None:
    assert set(await get(client, "/latest", point=ROOM)) == {ROOM}
    assert len(await get(client, "/latest", gateway="gw-electric")) == 7
    assert (await refused(client, "/latest", point="gw/none/x"))["type"] == "/problems/unknown-point"


async def test_series_raw_and_by_steps(client: httpx.AsyncClient, clock: Clock) -> None:
    (raw,) = await get(client, "/series", point=ROOM, **{"from": "-10min"})
    assert [row["time"] for row in raw["rows"]] == [to_rfc3339(clock() - n * MINUTE) for n in range(10, 0, -1)]
    assert (raw["unit"], raw["step"], raw["aggregate"], raw["truncated"]) == ("Cel", None, None, False)
    for aggregate in ("mean", "min", "max", "last", "sum", "count"):
        (steps,) = await get(client, "/series", point=ROOM, step="15min", aggregate=aggregate, **{"from": "-1h"})
        assert steps["aggregate"] == aggregate
        assert sum(row["count"] for row in steps["rows"]) == 60
    (cut,) = await get(client, "/series", point=ROOM, limit=5)
    assert (len(cut["rows"]), cut["truncated"]) == (5, True)
    start, end = to_rfc3339(clock() - 2 * MINUTE), to_rfc3339(clock() - MINUTE)
    (one,) = await get(client, "/series", point=ROOM, **{"from": start, "to": end})
    assert len(one["rows"]) == 1
    (dead,) = await get(client, "/series", point="gw-electric/meter-2/active_power", step="1h", **{"from": "-2h"})
    assert sum(row["bad"] for row in dead["rows"]) == 19


async def test_what_a_devices_clock_said_is_told_beside_the_gateways_time(
    client: httpx.AsyncClient, furnished: Site, clock: Clock
) -> None:
    heat, now = "gw-electric/heat-1/energy", clock()
    rows: list[tuple[str, int, float | str | None]] = [("heat-1/energy", now - n * MINUTE, 5.0) for n in (2, 1, 0)]
    furnished.commit("gw-electric", rows, device_times={0: 0, 2: now + 90 * MINUTE})
    (raw,) = await get(client, "/series", point=heat)
    told = ["1970-01-01T00:00:00Z", None, to_rfc3339(now + 90 * MINUTE)]
    assert [row["device_time"] for row in raw["rows"]] == told
    assert [row["time"] for row in raw["rows"]] == [to_rfc3339(at) for _, at, _ in rows]
    latest = (await get(client, "/latest", point=heat))[heat]
    assert (latest["time"], latest["device_time"], latest["age_s"]) == (to_rfc3339(now), told[2], 0)
    (steps,) = await get(client, "/series", point=heat, step="1h", **{"from": "-1h"})
    assert {row["device_time"] for row in steps["rows"]} == {None}


async def test_steps_say_from_which_rollups_they_are(client: httpx.AsyncClient, furnished: Site, clock: Clock) -> None:
    point, now = "gw-electric/tank/level", clock()
    day = (now // DAY - 2) * DAY
    times = [*(day + number * 7 * MINUTE for number in range(200)), now]
    furnished.commit("gw-electric", [("tank/level", at, 7.0) for at in times])
    for moved, rollups in ((False, []), (True, ["1h"])):
        (steps,) = await get(client, "/series", point=point, step="6h", **{"from": to_rfc3339(day)})
        assert (steps["rollups"], sum(row["count"] for row in steps["rows"])) == (rollups, 201)
        (quarters,) = await get(client, "/series", point=point, step="15min", **{"from": to_rfc3339(day)})
        assert quarters["rollups"] == []  # for so few readings none are kept
        if not moved:
            furnished.store.compact(now)
    (raw,) = await get(client, "/series", point=point, **{"from": to_rfc3339(day)})
    assert (raw["rollups"], len(raw["rows"])) == ([], 201)


async def test_several_series_in_one_answer(client: httpx.AsyncClient) -> None:
    points = [ROOM, "gw-electric/meter-1/voltage.l1"]
    assert [item["point"] for item in await get(client, "/series", point=points)] == points


@pytest.mark.parametrize(
    ("params", "where", "detail"),
    [
        ({"from": "yesterday"}, "from", "'yesterday' is no time; write RFC 3339 with an offset"),
        ({"from": "2026-11-23T08:00:00"}, "from", "is no time"),
        ({"to": "-99999999999h"}, "to", "is no time"),
        ({"from": "now", "to": "-1h"}, "from", "write the earlier time in 'from'"),
        ({"step": "0s"}, "step", "'0s' is no step"),
        ({"step": "weekly"}, "step", "write a duration up to 366 d"),
        ({"aggregate": "mean"}, "aggregate", "give a step"),
        ({"aggregate": "median", "step": "1h"}, "query.aggregate", "'mean'"),
        ({"limit": "0"}, "query.limit", "greater than or equal to 1"),
    ],
)
async def test_what_is_wrong_with_a_range(
    client: httpx.AsyncClient, params: dict[str, str], where: str, detail: str
) -> None:
    problem = await refused(client, "/series", point=ROOM, **params)
    assert problem["where"] == where
    assert detail in problem["detail"]


async def test_counts_for_audits(client: httpx.AsyncClient) -> None:
    counts = await get(client, "/counts")
    assert counts["readings"] == counts["distinct"] == 60 * 9
    assert counts["series"] == 9
    assert counts["lost_messages"] == 3


async def test_alarms_listed_shown_and_acknowledged(client: httpx.AsyncClient, furnished: Site, clock: Clock) -> None:
    for _ in range(2):
        clock.forward(5 * SECOND)
        furnished.commit("gw-kitchen", [("cold-room-1/air_temperature", clock(), 11.0)])
    await furnished.settle()
    (alarm,) = await get(client, "/alarms", active="true", category="food", priority="high", since="-1h")
    assert (alarm["rule"], alarm["state"], alarm["value"]) == ("food.cold-room-warm", "unacknowledged", 11.0)
    body = {"actor": "王芳", "comment": "门已关"}
    response = await client.post(f"/api/v1/alarms/{alarm['id']}/acknowledge", json=body)
    assert (response.status_code, response.json()["state"]) == (200, "acknowledged")
    detail = await get(client, f"/alarms/{alarm['id']}")
    assert [change["event"] for change in detail["changes"]] == ["raise", "acknowledge"]
    assert detail["changes"][1]["actor"] == "王芳"
    again = await client.post(f"/api/v1/alarms/{alarm['id']}/acknowledge", json={})
    assert (again.status_code, again.json()["type"]) == (409, "/problems/nothing-to-acknowledge")
    assert await get(client, "/alarms", before=alarm["id"]) == []
    assert (await get(client, "/counts"))["alarms_acknowledged"] == 1


async def test_unknown_things_are_problems(client: httpx.AsyncClient) -> None:
    for path in ("/gateways/none", "/alarms/999", "/nothing"):
        assert (await refused(client, path))["status"] == 404
    wrong_method = await client.delete("/api/v1/gateways", headers={"content-length": "0"})
    assert wrong_method.status_code == 405
    assert wrong_method.headers["content-type"] == "application/problem+json"
    missing = await client.post("/api/v1/alarms/999/acknowledge", json={})
    assert missing.json()["type"] == "/problems/unknown-alarm"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"actor": 1}', b'{"actor": ""}', b'{"who": "li"}', b"\xff\xfe", b'{"comment": null}'],
)
async def test_a_wrong_body_is_a_problem(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await client.post("/api/v1/alarms/1/acknowledge", content=body, headers=headers)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


def test_the_published_document_is_the_code() -> None:
    assert OPENAPI.read_text(encoding="utf-8") == schema(), (
        "run: .venv/bin/python -m linli_platform.api.schema > docs/openapi.json"
    )


def test_every_operation_is_described() -> None:
    document = json.loads(schema())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (path, method)
            assert operation["description"], (path, method)
            assert "4XX" in operation["responses"], (path, method)


_TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(string.digits + "-+:TZhmsd .", max_size=40),
    st.sampled_from(
        ["", "0", "-1", "99999999999999999999", "1e999", "nan", "true", "now", "-1h", "1h", "mean", ROOM, "gw-kitchen",
         "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00", "\x00", "../..", "%", "gw-kitchen/", "//", "a" * 300]
    ),
)  # fmt: skip
_OPERATIONS = [
    (path, [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"])
    for path, operations in json.loads(schema())["paths"].items()
    for method, operation in operations.items()
    if method == "get" and not path.endswith("/live")
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(data=st.data())
async def test_no_parameter_makes_an_error_of_ours(client: httpx.AsyncClient, data: st.DataObject) -> None:
    path, names = data.draw(st.sampled_from(_OPERATIONS))
    for name in ("gateway", "alarm"):
        path = path.replace("{" + name + "}", urlencode({"": data.draw(_TEXTS)})[1:])
    query: list[tuple[str, str]] = []
    if names:
        query = data.draw(st.lists(st.tuples(st.sampled_from([*names, "other"]), _TEXTS), max_size=5))
    response = await client.get(f"{path}?{urlencode(query)}")
    assert response.status_code < 500
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert set(response.json()) == {"type", "title", "status", "detail", "where", "found", "remedy"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(body=st.one_of(st.binary(max_size=100), st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["actor", "comment", "x"]), inner),
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
async def test_no_body_makes_an_error_of_ours(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await client.post("/api/v1/alarms/1/acknowledge", content=body, headers=headers)
    assert response.status_code in {400, 404, 422}
