"""The routes about rules: what is in force, and what others would have said of what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from linli_core.instant import DAY, HOUR, MINUTE, SECOND, to_rfc3339

if TYPE_CHECKING:
    from tests.hub.api.conftest import Clock, Site

TRIED = """
[[rules]]
id = "food.cold-room-warm"
category = "food"
priority = "high"
quantity = "air_temperature"
unit = "Cel"
condition = { kind = "limit", high = 8.0, on_delay = "30 min" }
title = { zh = "过热", en = "Too warm" }
consequence = { zh = "变质", en = "It spoils" }
response = { zh = "关门", en = "Shut the door" }
"""


async def tried(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    return await client.post("/api/v1/rules/replay", json={"rules": TRIED, "from": "-1d"} | more)


async def test_the_rules_in_force(client: httpx.AsyncClient) -> None:
    rules = (await client.get("/api/v1/rules")).json()
    assert [rule["id"] for rule in rules] == sorted(rule["id"] for rule in rules)
    (warm,) = [rule for rule in rules if rule["id"] == "food.cold-room-warm"]
    assert warm["title"] == {"zh": "冷库温度过高", "en": "Cold room too warm"}


async def test_a_replay_names_each_alarm_and_changes_nothing(
    client: httpx.AsyncClient, site: Site, clock: Clock
) -> None:
    began = clock() + HOUR
    # The room is warm for ten minutes: too short for the rule that is tried.
    warm = [
        ("cold-room-7/air_temperature", began + minute * MINUTE, 9.0 if minute < 10 else 4.0) for minute in range(30)
    ]
    site.commit("gw", warm)
    clock.forward(2 * HOUR)
    await site.settle()
    alarms = (await client.get("/api/v1/alarms", params={"limit": 1000})).json()
    found = (await tried(client)).json()
    gone = [it for it in found["vanish"] if it["subject"] == "gw/cold-room-7/air_temperature"]
    assert gone == [
        {
            "rule": "food.cold-room-warm",
            "subject": "gw/cold-room-7/air_temperature",
            "raised_at": to_rfc3339(began + 3 * SECOND),
            "returned_at": to_rfc3339(began + 10 * MINUTE + 2 * SECOND),
        }
    ]
    assert found["vanish_count"] == len(found["vanish"])
    assert sum(day["before"] for day in found["days"]) == found["same"] + found["vanish_count"]
    assert sum(day["after"] for day in found["days"]) == found["same"] + found["appear_count"]
    assert found["readings"] >= 30
    assert (await client.get("/api/v1/alarms", params={"limit": 1000})).json() == alarms


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"rules": "[[rules]]"}, 422, "found nothing"),
        ({"rules": TRIED.replace("Cel", "K")}, 422, "write the limit in 'Cel'"),
        ({"rules": "["}, 422, "no TOML"),
        ({"from": "yesterday"}, 422, "is no time"),
        ({"from": "now", "to": "-1d"}, 422, "let `to` come after `from`"),
        ({"from": "-401d"}, 422, "by 400 days at most"),
        ({"frm": "-1d"}, 422, "frm"),
        ({"rules": "x" * 60_001}, 422, "60000"),
    ],
)
async def test_what_cannot_be_tried_is_refused(
    client: httpx.AsyncClient, more: dict[str, str], status: int, said: str
) -> None:
    response = await tried(client, **more)
    assert response.status_code == status
    assert said in response.json()["detail"]


async def test_one_day_is_the_warm_up(client: httpx.AsyncClient, site: Site, clock: Clock) -> None:
    # What stood before the span began is no alarm of its first minute.
    site.commit("gw", [("cold-room-8/air_temperature", clock() - DAY - HOUR + 10 * MINUTE * n, 9.0) for n in range(9)])
    await site.settle()
    found = (await tried(client)).json()
    assert "gw/cold-room-8/air_temperature" not in {it["subject"] for it in (*found["appear"], *found["vanish"])}
